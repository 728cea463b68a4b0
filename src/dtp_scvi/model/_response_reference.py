"""What is kept of the training inputs: numbers by gene, and no row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from dtp_scvi._validate import problem, shorten
from dtp_scvi.model._response_input import closed, read_inputs, standardise

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


@dataclass(frozen=True)
class InputReference:
    """Moments of the inputs of the training rows, and what stands in where genes are missing."""

    kinds: tuple[str, ...]
    """Kind of each set of inputs."""
    mean: NDArray[np.float64]
    """Of the training inputs, (n_kinds, n_genes)."""
    sd: NDArray[np.float64]
    """Of the training inputs, (n_kinds, n_genes)."""
    share: NDArray[np.float64]
    """Mean share of a gene in the panel's sum, (n_genes,); sums to 1."""
    profile: NDArray[np.float64]
    """Mean over training rows of their sorted closed values, ascending, (n_genes,)."""

    @classmethod
    def of(
        cls, values: NDArray[np.float64], kinds: tuple[str, ...]
    ) -> tuple[Self, NDArray[np.float64]]:
        """
        Read the inputs of training rows.

        Parameters
        ----------
        values
            Linear expression, (n_rows, n_genes).
        kinds
            Kinds of inputs.

        Returns
        -------
        The reference and the standardised inputs, (n_kinds, n_rows, n_genes).
        """
        everything = np.ones(values.shape[1], bool)
        share = (values / values.sum(axis=1, keepdims=True)).mean(axis=0)
        inputs = read_inputs(values, everything, kinds, share, None)
        profile = np.sort(closed(values, everything, share), axis=1).mean(axis=0)
        found = cls(kinds, inputs.mean(axis=1), inputs.std(axis=1), share, profile)
        return found, standardise(inputs, found.mean, found.sd, everything)

    def to_arrays(self) -> dict[str, NDArray[np.float64]]:
        """Arrays by name, as they are saved."""
        return {name: getattr(self, name) for name in ("mean", "sd", "share", "profile")}

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, NDArray[np.float64]], kinds: tuple[str, ...], n_genes: int
    ) -> Self:
        """Check the shapes of saved arrays and take them."""
        one, each = (n_genes,), (len(kinds), n_genes)
        shapes = {"mean": each, "sd": each, "share": one, "profile": one}
        return cls(kinds=kinds, **checked_arrays(arrays, shapes))


def checked_arrays(
    arrays: Mapping[str, NDArray[np.float64]], shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, NDArray[np.float64]]:
    """Return the named arrays; raise where one is absent, of another shape or not finite."""
    wrong = [
        name
        for name, shape in shapes.items()
        if name not in arrays or arrays[name].shape != shape or not np.isfinite(arrays[name]).all()
    ]
    if wrong:
        msg = problem(
            f"finite weights of shapes {', '.join(str(shapes[name]) for name in wrong)}",
            f"others in {shorten(wrong)}",
            "Copy the directory again.",
        )
        raise ValueError(msg)
    return {name: arrays[name] for name in shapes}
