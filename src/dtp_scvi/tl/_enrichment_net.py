"""Take gene sets in any form, and a background; nothing is fetched unless asked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import pandas as pd

from dtp_scvi._validate import check_positive_int, near_matches, problem, shorten
from dtp_scvi.data import align_genes, as_network, damaged_symbols, read_network
from dtp_scvi.tl._enrichment_methods import decoupler

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# What decoupler fetches: from OmniPath, and CollecTRI from Zenodo.
_REMOTE: Final = ("hallmark", "progeny", "collectri", "dorothea")

Net: TypeAlias = str | Path | pd.DataFrame | Mapping[str, Any]


def resolve_net(net: Net, *, download: bool) -> pd.DataFrame:
    """Return a network from a table, a mapping, a local file, or (only when asked) the network."""
    if not isinstance(net, str | Path):
        return as_network(net)
    name = str(net)
    if name not in _REMOTE:
        if isinstance(net, str) and not Path(net).suffix and not Path(net).exists():
            msg = problem(
                "`net` to be a local file, a table, a mapping or a name that decoupler knows",
                repr(net),
                near_matches(net, _REMOTE),
            )
            raise ValueError(msg)
        return read_network(net)
    if not download:
        msg = problem(
            "a network on this machine",
            f"the name {name!r}",
            f"Pass download=True to let decoupler fetch it (decoupler.op.{name}), or the path of "
            "a local GMT, CSV or TSV file.",
        )
        raise ValueError(msg)
    return as_network(getattr(decoupler().op, name)())


def background_genes(background: object | None) -> list[str] | None:
    """Return the names of a background: a list, or what a model has seen (``genes_``)."""
    if background is None:
        return None
    genes = getattr(background, "genes_", background)
    if isinstance(genes, str) or not isinstance(genes, Iterable):
        msg = problem(
            "`background` as gene names or a model with `genes_`",
            type(background).__name__,
            "Pass model.genes_, for example.",
        )
        raise TypeError(msg)
    return [str(gene) for gene in genes]


def check_min_overlap(min_overlap: int) -> None:
    """Raise unless sets need at least two genes."""
    check_positive_int(min_overlap, "min_overlap")
    if min_overlap < 2:
        todo = "A set of one gene is that gene: read its own statistic."
        msg = problem("`min_overlap` of 2 or more", f"{min_overlap}", todo)
        raise ValueError(msg)


def why_untested(table: pd.DataFrame, min_overlap: int) -> NDArray[np.object_]:
    """Say of each set why it is not tested; an empty text where it is."""
    reasons = []
    for row in table.itertuples():
        if row.n_in_set == 1:
            reasons.append("a set of one gene is that gene")
        elif row.n_found < min_overlap:
            reasons.append(
                f"{row.n_found} of {row.n_in_set} genes found, fewer than {min_overlap}"
            )
        else:
            reasons.append("")
    found = pd.Series(reasons, dtype=object).to_numpy()
    if (found != "").all():
        shown = shorten(
            f"{row.source}: {row.n_found} of {row.n_in_set}" for row in table.itertuples()
        )
        todo = (
            "A set of one gene is that gene: read its own statistic."
            if (table["n_in_set"] == 1).all()
            else "Lower `min_overlap`, or check the gene names."
        )
        msg = problem(f"a set with {min_overlap} genes in the background", f"none ({shown})", todo)
        raise ValueError(msg)
    return found


def column_names(sources: Iterable[object]) -> list[str]:
    """Names of sets that a file can hold: HDF5 reads a slash as a folder."""
    return [str(source).replace("/", "_") for source in sources]


def not_matched(net: pd.DataFrame, names: Iterable[str]) -> dict[str, pd.DataFrame]:
    """Names of the network that no symbol and no gene explains, and those that were damaged."""
    rows = net[net["how"].isin(("unmatched", "ambiguous"))]
    if len(rows):
        rows = rows[rows["target"].isin(align_genes(names, rows["target"].unique()).missing)]
    columns = ["source", "original", "how", "candidates"]
    return {
        "not_matched": rows[columns].reset_index(drop=True),
        "damaged": damaged_symbols(net),
    }
