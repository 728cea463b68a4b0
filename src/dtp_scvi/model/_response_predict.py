"""Predict with a response model, block by block, and measure how far a query lies off."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dtp_scvi._constants import FEWEST_FOR_MOMENTS
from dtp_scvi._validate import problem
from dtp_scvi.data import linearise, scale_kind
from dtp_scvi.model._response_input import Moments, read_inputs, standardise

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from dtp_scvi.data import Block
    from dtp_scvi.model._query import Query
    from dtp_scvi.model._response_fit import Fitted
    from dtp_scvi.model._response_input import Align

_MAX_BYTES = 2**23


def predict_response(fitted: Fitted, query: Query, align: Align) -> NDArray[np.float64]:
    """Return one prediction a row; NaN where the panel has no value above zero."""
    mean, sd = fitted.mean, fitted.sd
    if align == "moments":
        found = query_moments(fitted, query, "none")
        if found.n < FEWEST_FOR_MOMENTS:
            msg = problem(
                f"at least {FEWEST_FOR_MOMENTS} rows to take moments of",
                f"{found.n:,}",
                'Score more rows together, or pass align="rank".',
            )
            raise ValueError(msg)
        mean, sd = np.asarray(found.mean), found.sd
    out, observed, start = np.empty(int(query.matrix.shape[0])), _observed(query), 0
    for inputs in _inputs(fitted, query, align):
        z = standardise(inputs, mean, sd, observed)
        here = slice(start, start + inputs.shape[1])
        # Summed gene by gene, so that a row's prediction does not depend on its block.
        out[here] = fitted.intercept + np.einsum("krg,kg->r", z, fitted.weight)
        start = here.stop
    return out


def query_moments(fitted: Fitted, query: Query, align: Align) -> Moments:
    """Mean and deviation of the query's inputs."""
    found = Moments()
    for inputs in _inputs(fitted, query, align):
        found.add(inputs)
    return found


def shifted_share(fitted: Fitted, query: Query, align: Align) -> dict[str, Any]:
    """Share of the found genes whose mean lies over three training deviations off."""
    found = query_moments(fitted, query, align)
    if not found.n:
        return {"shifted": 1.0, "n_rows": 0}
    observed = _observed(query)
    sd = fitted.sd[:, observed]
    off = np.abs(np.asarray(found.mean)[:, observed] - fitted.mean[:, observed])
    return {"shifted": float((off > 3 * sd)[sd > 0].mean()), "n_rows": found.n}


def _observed(query: Query) -> NDArray[np.bool_]:
    seen = query.alignment.observed
    return np.ones(len(seen), bool) if query.missing == "zero" else seen


def _inputs(fitted: Fitted, query: Query, align: Align) -> Iterator[NDArray[np.float64]]:
    observed, linear = _observed(query), scale_kind(query.scale) == "linear"
    profile = fitted.profile if align == "rank" else None

    def read(block: Block) -> NDArray[np.float64]:
        values = block.matrix.toarray().astype(np.float64)
        if not linear:
            values = linearise(values, query.scale)
        return read_inputs(values, observed, fitted.kinds, fitted.share, profile)

    yield from query.blocks(then=read, max_bytes=_MAX_BYTES)
