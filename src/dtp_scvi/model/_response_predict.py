"""Bring a query to a response model's inputs, block by block, and measure how far it lies off."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dtp_scvi._constants import FEWEST_FOR_MOMENTS
from dtp_scvi._validate import problem
from dtp_scvi.data import linearise_block
from dtp_scvi.model._response_input import Moments, read_inputs, standardise

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from dtp_scvi.data import Block
    from dtp_scvi.model._query import Query
    from dtp_scvi.model._response_input import Align
    from dtp_scvi.model._response_reference import InputReference

_MAX_BYTES = 2**23


def standardised(
    reference: InputReference, query: Query, align: Align
) -> Iterator[tuple[slice, NDArray[np.float64]]]:
    """
    Yield positions of rows and their inputs on the training scale, (n_kinds, n_rows, n_genes).

    A gene that is missing stands at 0, its training mean; a row without any value in the genes
    of the model is NaN.
    """
    mean, sd = reference.mean, reference.sd
    if align == "moments":
        found = query_moments(reference, query, "none")
        if found.n < FEWEST_FOR_MOMENTS:
            msg = problem(
                f"at least {FEWEST_FOR_MOMENTS} rows to take moments of",
                f"{found.n:,}",
                'Score more rows together, or pass align="rank".',
            )
            raise ValueError(msg)
        mean, sd = np.asarray(found.mean), found.sd
    observed, start = _observed(query), 0
    for inputs in _inputs(reference, query, align):
        here = slice(start, start + inputs.shape[1])
        yield here, standardise(inputs, mean, sd, observed)
        start = here.stop


def query_moments(reference: InputReference, query: Query, align: Align) -> Moments:
    """Mean and deviation of the query's inputs."""
    found = Moments()
    for inputs in _inputs(reference, query, align):
        found.add(inputs)
    return found


def shifted_share(reference: InputReference, query: Query, align: Align) -> dict[str, Any]:
    """Share of the found genes whose mean lies over three training deviations off."""
    found = query_moments(reference, query, align)
    if not found.n:
        return {"shifted": 1.0, "n_rows": 0}
    observed = _observed(query)
    sd = reference.sd[:, observed]
    off = np.abs(np.asarray(found.mean)[:, observed] - reference.mean[:, observed])
    return {"shifted": float((off > 3 * sd)[sd > 0].mean()), "n_rows": found.n}


def _observed(query: Query) -> NDArray[np.bool_]:
    seen = query.alignment.observed
    return np.ones(len(seen), bool) if query.missing == "zero" else seen


def linear_values(query: Query) -> NDArray[np.float64]:
    """Return a query's linear values in the model's genes, (n_rows, n_genes); 0 where missing."""
    return np.vstack(list(query.blocks(then=lambda block: _linear(block, query))))


def _linear(block: Block, query: Query) -> NDArray[np.float64]:
    return linearise_block(block.matrix.toarray().astype(np.float64), query.scale)


def _inputs(
    reference: InputReference, query: Query, align: Align
) -> Iterator[NDArray[np.float64]]:
    observed = _observed(query)
    profile = reference.profile if align == "rank" else None

    def read(block: Block) -> NDArray[np.float64]:
        return read_inputs(
            _linear(block, query), observed, reference.kinds, reference.share, profile
        )

    yield from query.blocks(then=read, max_bytes=_MAX_BYTES)
