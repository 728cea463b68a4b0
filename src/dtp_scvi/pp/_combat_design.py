"""What ComBat is told about each row beside its expression."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from dtp_scvi._labels import label_classes, text_column
from dtp_scvi._validate import check_key, problem, shorten

if TYPE_CHECKING:
    from anndata import AnnData

_LABEL = "label: "


@dataclass(frozen=True)
class Design:
    """Batch of each row, covariates by kind; ``None`` where there are none."""

    batch: np.ndarray
    discrete: pd.DataFrame | None = None
    continuous: pd.DataFrame | None = None

    def at(self, rows: np.ndarray) -> Design:
        """Return some of the rows."""
        parts = [
            None if part is None else part.iloc[rows].reset_index(drop=True)
            for part in (self.discrete, self.continuous)
        ]
        return Design(self.batch[rows], *parts)


class DesignReader:
    """
    Read covariates as they were in training; the label is looked at there only.

    Attributes
    ----------
    levels
        Levels of each covariate that is not a number.
    label_means
        Share of each class but the first among training rows: what stands in for the label of
        every row that is transformed, so that no label is read then.
    """

    def __init__(
        self, batch_key: str, covariates: tuple[str, ...], labels_key: str | None
    ) -> None:
        self.batch_key, self.covariates, self.labels_key = batch_key, covariates, labels_key
        self.levels: dict[str, tuple[str, ...]] = {}
        self.label_means: dict[str, float] = {}

    def fit(self, adata: AnnData) -> Design:
        """Note levels and label shares, and return the design with the label in it."""
        for key in self.covariates:
            check_key(adata.obs, key, "adata.obs", "covariates")
            if not _is_number(adata.obs[key]):
                self.levels[key] = tuple(sorted(set(text_column(adata.obs, key, "covariates"))))
        label: dict[str, np.ndarray] = {}
        if self.labels_key is not None:
            found = text_column(adata.obs, self.labels_key, "labels_key")
            classes = label_classes(found, self.labels_key)
            label = {f"{_LABEL}{name}": (found == name).astype(float) for name in classes[1:]}
        self.label_means = {name: float(values.mean()) for name, values in label.items()}
        return self._design(adata, label)

    def read(self, adata: AnnData, *, with_label: bool = True) -> Design:
        """Return the design of other rows; training shares stand in for their labels."""
        means = self.label_means if with_label else {}
        return self._design(adata, {k: np.full(adata.n_obs, v) for k, v in means.items()})

    def _design(self, adata: AnnData, label: dict[str, np.ndarray]) -> Design:
        numbers: dict[str, np.ndarray] = {}
        words: dict[str, pd.Categorical] = {}
        for key in self.covariates:
            found = text_column(adata.obs, key, "covariates")
            if key not in self.levels:
                numbers[key] = adata.obs[key].to_numpy(np.float64)
                continue
            strange = sorted(set(found) - set(self.levels[key]))
            if strange:
                msg = problem(
                    f"levels of {key!r} that the training rows have",
                    shorten(strange),
                    f"Training rows have {shorten(self.levels[key], 10)}.",
                )
                raise ValueError(msg)
            words[key] = pd.Categorical(found, categories=list(self.levels[key]))
        continuous = pd.DataFrame({**numbers, **label})
        return Design(
            text_column(adata.obs, self.batch_key, "batch_key"),
            pd.DataFrame(words) if words else None,
            continuous if len(continuous.columns) else None,
        )


def _is_number(column: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def stack(first: Design, second: Design, names: tuple[str, str]) -> Design:
    """Put two designs below each other, each as one batch of the given name."""
    batch = np.repeat(np.array(names, dtype=object), [len(first.batch), len(second.batch)])
    discrete, continuous = (
        None if a is None or b is None else pd.concat([a, b], ignore_index=True)
        for a, b in ((first.discrete, second.discrete), (first.continuous, second.continuous))
    )
    return Design(batch, discrete, continuous)
