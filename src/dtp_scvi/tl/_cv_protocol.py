"""What makes one cross-validation comparable with another."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from dtp_scvi._labels import text_column
from dtp_scvi._validate import problem, shorten
from dtp_scvi.train import check_resample

if TYPE_CHECKING:
    from collections.abc import Mapping

    from anndata import AnnData

    from dtp_scvi.model import Registration


@dataclass(frozen=True)
class Protocol:
    """Arguments of ``cross_validate`` that say what is held out, and from what is learned."""

    n_folds: int = 5
    batch_folds: bool = False
    study_key: str | None = None
    study_folds: bool = False
    cell_level: bool = False
    resample: str | None = None
    allow_shared_rows: bool = False
    seed: int | None = 0

    @classmethod
    def of(cls, arguments: Mapping[str, Any]) -> Protocol:
        """Make one of arguments by name; others are an error."""
        known = [field.name for field in fields(cls)]
        wrong = [name for name in arguments if name not in known]
        if wrong:
            msg = problem(
                f"a protocol of {', '.join(known)}", shorten(wrong), "Leave the rest out."
            )
            raise TypeError(msg)
        return cls(**arguments)

    def check(self) -> None:
        """Raise where two kinds of folds are asked for, or what resamples is not there."""
        asked = [
            name for name in ("batch_folds", "study_folds", "cell_level") if getattr(self, name)
        ]
        if len(asked) > 1:
            msg = problem(
                f"one of {' and '.join(f'`{name}`' for name in asked)}",
                "both",
                "Hold out batches, studies or single cells.",
            )
            raise ValueError(msg)
        if self.study_folds and self.study_key is None:
            msg = problem(
                "a `study_key` for study_folds=True", "none", "Name the column of the study."
            )
            raise ValueError(msg)
        check_resample(self.resample)

    def as_dict(self) -> dict[str, Any]:
        """By name, without what is ``None``, which h5ad does not hold."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def read_studies(adata: AnnData, study_key: str | None) -> np.ndarray | None:
    """Study of each row as text; one study alone is an error."""
    if study_key is None:
        return None
    studies = text_column(adata.obs, study_key, "study_key")
    if len(set(studies)) < 2:
        msg = problem(
            f"two studies or more in adata.obs[{study_key!r}]",
            f"only {studies[0]!r}",
            "Leave `study_key` out.",
        )
        raise ValueError(msg)
    return studies


def fingerprint(reg: Registration, hashes: np.ndarray) -> str:
    """Checksum of rows, labels and donors in their order."""
    made = hashlib.blake2b(np.ascontiguousarray(hashes).tobytes(), digest_size=8)
    for column in (reg.labels, reg.donors, reg.batches):
        text = "" if column is None else "\x1f".join(column.tolist())
        made.update(f"{text}\x1e".encode())
    made.update(reg.positive.encode())
    return made.hexdigest()
