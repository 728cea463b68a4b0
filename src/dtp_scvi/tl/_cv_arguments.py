"""Arguments of a cross-validation, tried before anything is fitted."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from enum import Enum
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import numpy as np

from dtp_scvi import pp
from dtp_scvi._constants import STUDENT, STUDY_ONLY, TEACHER
from dtp_scvi._validate import check_key, problem, shorten
from dtp_scvi.data import get_matrix
from dtp_scvi.stats import choose_threshold
from dtp_scvi.train import log_rows, read_rows, usable_baselines

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from anndata import AnnData

    from dtp_scvi.model import Registration
    from dtp_scvi.tl._cv_plan import Plan
    from dtp_scvi.tl._cv_protocol import Protocol

_NAMES = {"DTPTransformer": TEACHER, "DTPStudent": STUDENT}
_OURS = ("indices", "seed")
_PLAIN = (str, bytes, int, float, set, frozenset, Enum, PurePath, np.generic, np.ndarray)


def check_class(model_cls: Any) -> None:
    """Raise ``TypeError`` for what is no model class."""
    if not (inspect.isclass(model_cls) and hasattr(model_cls, "registration")):
        msg = problem(
            "a model class, e.g. dtp.model.DTPTransformer",
            repr(model_cls) if inspect.isclass(model_cls) else type(model_cls).__name__,
            "Pass the class first, then the AnnData that was set up for it.",
        )
        raise TypeError(msg)


def model_name(model_cls: type) -> str:
    """Name of a class in results."""
    return _NAMES.get(model_cls.__name__, model_cls.__name__)


def given_arguments(
    model_kwargs: Mapping[str, Any] | None, train_kwargs: Mapping[str, Any] | None
) -> str:
    """Word what the caller asked of the model, to compare two calls."""
    parts = [
        sorted((key, _worded(value)) for key, value in (given or {}).items())
        for given in (model_kwargs, train_kwargs)
    ]
    return f"{parts[0]} {parts[1]}"


def _worded(value: Any) -> Any:
    """Name what is no plain value by its class, and a model by its id too.

    A repr may print, as that of a model of scvi-tools does, or hold an address in memory.
    """
    if isinstance(value, Mapping):
        return {key: _worded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        parts = [_worded(item) for item in value]
        return parts if isinstance(value, list) else tuple(parts)
    if value is None or isinstance(value, _PLAIN):
        return value
    return " ".join([type(value).__name__, str(getattr(value, "id_", ""))]).rstrip()


def run_audit(adata: AnnData, reg: Registration, seed: int | None) -> pd.DataFrame:
    """Audit labels, donors and batches as they were set up."""
    # Set-up has refused a batch that determines the label, or was told to accept it.
    return pp.audit(
        adata,
        reg.labels_key,
        donor_key=reg.donor_key,
        batch_keys=() if reg.batch_key is None else (reg.batch_key,),
        layer=reg.layer,
        positive=reg.positive,
        allow_confounded=True,
        seed=seed,
    )


def check_negatives(rule: Mapping[str, Any], plan: Plan) -> None:
    """Raise where a fold would have no named negative to choose its threshold on."""
    if "negatives" not in rule:
        return
    for number, fold in enumerate(plan.folds):
        if not rule["negatives"][fold.train].any():
            msg = problem(
                "`negatives` among the training rows of every fold",
                f"all of them in the test rows of fold {number + 1} ({fold.held_out})",
                "Name negatives of more donors.",
            )
            raise ValueError(msg)


def baseline_matrix(adata: AnnData, reg: Registration) -> Any:
    """Log1p CP10k of all rows."""
    rows, total = read_rows(get_matrix(adata, reg.layer), reg.scale, None)
    return log_rows(rows, total, reg.scale)


def threshold_arguments(
    adata: AnnData, reg: Registration, name: str, arguments: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the arguments of ``choose_threshold``, tried before anything is fitted."""
    allowed = ("target", "fixed", "negatives")
    wrong = [key for key in arguments if key not in allowed]
    if wrong:
        msg = problem(
            f"`threshold_kwargs` of {', '.join(allowed)}", shorten(wrong), "Leave the rest out."
        )
        raise TypeError(msg)
    rule = {"rule": name, **arguments}
    negatives = rule.get("negatives")
    if isinstance(negatives, str):
        check_key(adata.obs, negatives, "adata.obs", "negatives")
        negatives = adata.obs[negatives].to_numpy()
    if negatives is not None:
        rule["negatives"] = np.asarray(negatives)
    choose_threshold(reg.is_positive, reg.is_positive.astype(float), n_boot=0, **rule)
    return rule


def train_arguments(
    model_cls: Any, arguments: Mapping[str, Any], rule: Mapping[str, Any]
) -> dict[str, Any]:
    """Add to the arguments of ``train`` the rule of the threshold, where the class takes one."""
    _check_not_ours(arguments, "train_kwargs")
    known = inspect.signature(model_cls.train).parameters
    added = {"verbose": False, **arguments}
    if "threshold_rule" in known and "threshold_rule" not in arguments:
        rest = {key: value for key, value in rule.items() if key != "rule"}
        # The interval of a fold's own threshold is of no use here.
        added |= {"threshold_rule": rule["rule"], "threshold_kwargs": {**rest, "n_boot": 0}}
    return added


def distill_arguments(
    model_cls: Any, *, distill: bool | Mapping[str, Any] | None
) -> dict[str, Any] | None:
    """Arguments of ``distill``, or ``None`` where no student is asked for."""
    if distill is None or distill is False:
        return None
    if not hasattr(model_cls, "distill"):
        msg = problem(
            "a model with a `distill` method",
            model_cls.__name__,
            "Leave `distill` out, or cross-validate DTPTransformer.",
        )
        raise TypeError(msg)
    arguments = {} if distill is True else dict(distill)
    _check_not_ours(arguments, "distill")
    return {"verbose": False, **arguments}


def _check_not_ours(arguments: Mapping[str, Any], name: str) -> None:
    taken = [key for key in _OURS if key in arguments]
    if taken:
        msg = problem(
            f"`{name}` without {' and '.join(_OURS)}",
            ", ".join(taken),
            "The folds set the rows; pass `seed` to cross_validate.",
        )
        raise TypeError(msg)


def comparators(
    baselines: Sequence[str], reg: Registration, protocol: Protocol
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Names of what is fitted beside the model, and why another one is left out."""
    names, notes = usable_baselines([name for name in baselines if name != STUDY_ONLY], reg.genes)
    if protocol.study_key is None:
        if STUDY_ONLY in baselines:
            msg = problem(f"a `study_key` for {STUDY_ONLY!r}", "none", "Name the column.")
            raise ValueError(msg)
        return names, notes
    if protocol.study_folds:
        note = "not defined: the study of the held-out rows is not in training data"
        return names, notes | {STUDY_ONLY: note}
    return (*names, STUDY_ONLY), notes
