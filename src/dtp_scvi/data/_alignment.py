"""The result of matching genes: which query gene feeds which model gene."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from dtp_scvi._validate import problem, shorten
from dtp_scvi.data._name_style import describe_style, name_style, style_hint

_SHOWN = 20


@dataclass(frozen=True, eq=False, repr=False)
class GeneAlignment:
    """
    Which query gene feeds which model gene. Made by :func:`align_genes`.

    Attributes
    ----------
    targets
        Gene names of the model, in its order.
    query
        Gene names of the query, in its order.
    source
        Positions of the matched genes in the query, ascending, shape ``(n_matched,)``.
    target
        Position in ``targets`` that each entry of ``source`` feeds, shape ``(n_matched,)``.
    missing
        Model genes without a query gene.
    duplicated
        Model gene -> the several query names that feed it.
    ambiguous
        Query names left out because they may stand for a model gene or for another gene.
    renamed
        Query name -> model gene, where the two are spelled differently.
    damaged
        Query names that a spreadsheet turned into dates or numbers.
    unmatched
        Query names that feed no model gene (ambiguous and damaged ones included).
    """

    targets: tuple[str, ...]
    query: tuple[str, ...]
    source: np.ndarray
    target: np.ndarray
    missing: tuple[str, ...]
    duplicated: dict[str, tuple[str, ...]]
    ambiguous: tuple[str, ...]
    renamed: dict[str, str]
    damaged: tuple[str, ...]
    unmatched: tuple[str, ...]

    @property
    def n_query(self) -> int:
        """Number of genes in the query."""
        return len(self.query)

    @property
    def n_targets(self) -> int:
        """Number of genes in the model."""
        return len(self.targets)

    @property
    def multiplicity(self) -> np.ndarray:
        """Number of query genes that feed each model gene, int64, shape ``(n_targets,)``."""
        return np.bincount(self.target, minlength=self.n_targets)

    @property
    def observed(self) -> np.ndarray:
        """Whether each model gene was found, bool, shape ``(n_targets,)``."""
        return self.multiplicity > 0

    @property
    def coverage(self) -> float:
        """Share of the model's genes that were found, 0 to 1."""
        return float(self.observed.mean()) if self.n_targets else 0.0

    @property
    def unmatched_query(self) -> int:
        """Number of query genes that feed no model gene."""
        return len(self.unmatched)

    @property
    def is_identity(self) -> bool:
        """Whether query and model hold the same genes in the same order."""
        positions = np.arange(self.n_targets)
        return (
            self.n_query == self.n_targets
            and np.array_equal(self.source, positions)
            and np.array_equal(self.target, positions)
        )

    def weighted_coverage(self, weights: np.ndarray) -> float:
        """
        Share of the summed absolute ``weights`` that falls on genes that were found, 0 to 1.

        Parameters
        ----------
        weights
            One weight per model gene, e.g. its importance, shape ``(n_targets,)``.
        """
        weights = np.abs(np.asarray(weights, dtype=np.float64))
        if weights.shape != (self.n_targets,):
            msg = problem(
                f"one weight for each of {self.n_targets:,} model genes",
                f"an array of shape {weights.shape}",
                "Pass weights in the order of the model's genes.",
            )
            raise ValueError(msg)
        total = float(weights.sum())
        return float(weights[self.observed].sum() / total) if total > 0 else self.coverage

    def report(self) -> dict[str, Any]:
        """Summarise as a dictionary of numbers, strings and short lists, fit for ``uns``."""
        return {
            "n_query": self.n_query,
            "n_targets": self.n_targets,
            "n_found": int(self.observed.sum()),
            "coverage": self.coverage,
            "query_style": name_style(self.query),
            "target_style": name_style(self.targets),
            "n_missing": len(self.missing),
            "missing": list(self.missing[:_SHOWN]),
            "n_renamed": len(self.renamed),
            "renamed": [f"{old} -> {new}" for old, new in list(self.renamed.items())[:_SHOWN]],
            "n_duplicated": len(self.duplicated),
            "duplicated": [
                f"{', '.join(names)} -> {target}"
                for target, names in list(self.duplicated.items())[:_SHOWN]
            ],
            "n_ambiguous": len(self.ambiguous),
            "ambiguous": list(self.ambiguous[:_SHOWN]),
            "n_damaged": len(self.damaged),
            "damaged": list(self.damaged[:_SHOWN]),
            "n_unmatched_query": self.unmatched_query,
            "unmatched_query": list(self.unmatched[:_SHOWN]),
        }

    def check(self, floor: float, *, of: str = "model") -> None:
        """
        Raise ``ValueError`` when the coverage is under ``floor``.

        Parameters
        ----------
        floor
            Least share of the model's genes that must be found, 0 to 1.
        of
            Whose genes they are, for the message.
        """
        if self.coverage >= floor and self.observed.any():
            return
        n_found = int(self.observed.sum())
        hint = style_hint(self.query, self.targets)
        damaged = f" Damaged by a spreadsheet: {shorten(self.damaged)}." if self.damaged else ""
        msg = (
            f"{n_found:,} of {self.n_targets:,} {of} genes found (coverage {self.coverage:.0%}, "
            f"{self.n_query:,} query genes); floor is {floor:.0%}. "
            f"First missing: {shorten(self.missing)}. "
            f"Your names look like {describe_style(self.query)}: {shorten(self.query)}. "
            f"The {of}'s look like {describe_style(self.targets)}: {shorten(self.targets)}."
            f"{damaged} {hint}"
        )
        raise ValueError(msg)

    def __repr__(self) -> str:
        return (
            f"GeneAlignment({int(self.observed.sum()):,} of {self.n_targets:,} model genes found "
            f"among {self.n_query:,}; {len(self.renamed):,} renamed, "
            f"{len(self.duplicated):,} duplicated, {len(self.ambiguous):,} ambiguous)"
        )
