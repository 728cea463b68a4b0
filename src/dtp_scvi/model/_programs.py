"""Find the genes of named programs in the data."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dtp_scvi._logging import warn
from dtp_scvi._validate import problem
from dtp_scvi.data import align_genes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_MIN_PROGRAM_GENES = 3


def match_programs(
    programs: Mapping[str, Sequence[str]], genes: np.ndarray
) -> dict[str, np.ndarray]:
    """Find the positions of each program's genes, through aliases; drop programs too small."""
    found: dict[str, np.ndarray] = {}
    too_small = []
    for name, members in programs.items():
        hits = np.flatnonzero(align_genes(list(dict.fromkeys(members)), genes).observed)
        if len(hits) >= _MIN_PROGRAM_GENES:
            found[name] = hits
        else:
            too_small.append(name)
    if not found:
        msg = problem(
            f"programs with at least {_MIN_PROGRAM_GENES} of the {len(genes):,} genes",
            f"none of {len(programs):,}",
            "Check that both use gene symbols of the same species.",
        )
        raise ValueError(msg)
    if too_small:
        warn(
            f"{len(too_small):,} of {len(programs):,} programs have fewer than "
            f"{_MIN_PROGRAM_GENES} genes in the data and are left out: {', '.join(too_small[:5])}."
        )
    return found
