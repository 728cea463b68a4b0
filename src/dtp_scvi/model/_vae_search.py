"""Published ranges of the hyperparameters of scATD's autoencoders, for Optuna."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from dtp_scvi._optional import require
from dtp_scvi._validate import check_one_of

if TYPE_CHECKING:
    from collections.abc import Iterator

Ranges = Literal["sf", "gf"]
_STEP: Final = 50


@dataclass(frozen=True)
class _Range:
    n_latent: tuple[int, int]
    outer: tuple[int, int]
    inner: tuple[int, int]
    middle: tuple[int, int]


RANGES: Final[dict[str, _Range]] = {
    "sf": _Range((200, 500), (1500, 2500), (250, 500), (750, 1500)),
    "gf": _Range((150, 500), (250, 2500), (150, 500), (250, 1500)),
}


def suggest(trial: Any, ranges: Ranges) -> dict[str, dict[str, Any]]:
    """Draw arguments of a model and of its training; see ``ResVAE.suggest``."""
    check_one_of(ranges, RANGES, "ranges")
    found = RANGES[ranges]
    n_blocks = trial.suggest_int("n_blocks", 1, 3)
    outer = trial.suggest_int("outer", *found.outer)
    inner = trial.suggest_int("inner", *found.inner)
    down, up = (
        tuple(
            trial.suggest_int(f"{side}_{i}", *found.middle, step=_STEP)
            for i in range(n_blocks - 1)
        )
        for side in ("encoder", "decoder")
    )
    return {
        "model": {
            "encoder": (outer, *down, inner),
            "n_latent": trial.suggest_int("n_latent", *found.n_latent),
            "decoder": (*up, outer),
        },
        "train": {
            "lr": trial.suggest_float("lr", 1e-6, 5e-4, log=True),
            "weight_decay": trial.suggest_float("weight_decay", 1e-5, 1e-2),
            "max_epochs": trial.suggest_int("max_epochs", 10, 60),
        },
    }


@contextmanager
def quiet_optuna() -> Iterator[Any]:
    """Give Optuna, silent; its level of logging is put back afterwards."""
    optuna = require("optuna", "autotune")
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield optuna
    finally:
        optuna.logging.set_verbosity(level)
