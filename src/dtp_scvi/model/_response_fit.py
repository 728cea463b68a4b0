"""Fit the regressions of a linear response model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from scipy.stats import rankdata, spearmanr

from dtp_scvi.model._response_reference import InputReference, checked_arrays
from dtp_scvi.model._ridge import fit_ridge

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from dtp_scvi.model._response_data import TrainingRows


@dataclass(frozen=True)
class Fitted:
    """Everything a prediction needs: numbers by gene, and no row."""

    reference: InputReference
    weight: NDArray[np.float64]
    """Of the standardised inputs, (n_kinds, n_genes); the prediction sums over both axes."""
    intercept: float

    def to_arrays(self) -> dict[str, NDArray[np.float64]]:
        """Arrays by name, as they are saved."""
        return {
            **self.reference.to_arrays(),
            "weight": self.weight,
            "intercept": np.array([self.intercept]),
        }

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, NDArray[np.float64]], kinds: tuple[str, ...], n_genes: int
    ) -> Self:
        """Check the shapes of saved arrays and take them."""
        own = checked_arrays(arrays, {"weight": (len(kinds), n_genes), "intercept": (1,)})
        reference = InputReference.from_arrays(arrays, kinds, n_genes)
        return cls(reference, own["weight"], float(own["intercept"][0]))


def fit_response(
    given: TrainingRows, kinds: tuple[str, ...], *, as_rank: bool
) -> tuple[Fitted, dict[str, Any]]:
    """Fit one regression for each kind of input and join them."""
    response = given.y[:, 0]
    y = rankdata(response) / len(response) if as_rank else response
    reference, z = InputReference.of(given.values, kinds)
    fits = [fit_ridge(part, y, given.donors) for part in z]
    spread = np.array([(part @ fit.weight).std() for part, fit in zip(z, fits, strict=True)])
    # Each regression on its own deviation, the mean of them back on the mean deviation.
    joined = np.divide(spread.mean(), spread, out=np.ones_like(spread), where=spread > 0)
    joined /= len(fits)
    weight = np.stack([fit.weight * factor for fit, factor in zip(fits, joined, strict=True)])
    left_out = sum(
        factor * (fit.held_out - fit.intercept) for fit, factor in zip(fits, joined, strict=True)
    )
    settings = {
        "penalty": dict(zip(kinds, [fit.penalty for fit in fits], strict=True)),
        "spearman_left_out": float(spearmanr(left_out, response).statistic),
        "left_out": "row" if given.donors is None else "donor",
    }
    return Fitted(reference, weight, fits[0].intercept), settings
