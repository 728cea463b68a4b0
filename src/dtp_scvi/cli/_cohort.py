"""What the commands about patients share: scored rows, tables joined to them, what is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pandas as pd
    from anndata import AnnData

NOTE: Final = "For research use only. An association is no effect."
_DPI: Final = 160
_SCORES: Final = "scored rows (.h5ad, or a table that dtp score wrote)"


def read_scored(path: Path, *, matrix: bool = False, names: Sequence[str | None] = ()) -> AnnData:
    """
    Read scored rows: an ``.h5ad`` file, or a text table whose first column names the rows.

    Without ``matrix`` the expression of an ``.h5ad`` stays on disk. ``names`` are columns of a
    table that hold names, such as the patient's, and are read as text.
    """
    from dtp_scvi.cli._input import open_cells, read_cells
    from dtp_scvi.cli._text_matrix import is_text

    if not is_text(path):
        return read_cells(path) if matrix else open_cells(path)
    import anndata

    from dtp_scvi.cli._named_rows import read_named_rows

    table = read_named_rows(path, "scores", _SCORES, names=_with_patient(*names))
    return anndata.AnnData(obs=table)


def join_responses(adata: AnnData, path: Path, key: str, by: str | None) -> str:
    """Put a table of drug response into ``obsm[key]``, matched by row names or column ``by``."""
    from dtp_scvi._validate import problem

    if key in adata.obsm:
        msg = problem(
            f"drug response in one place: obsm[{key!r}] or --auc", "both", "Leave out --auc."
        )
        raise ValueError(msg)
    table, said = _matched(adata, path, by, "auc")
    adata.obsm[key] = table
    return said


def join_clinical(
    adata: AnnData,
    path: Path,
    by: str | None,
    columns: Sequence[str],
    *,
    patient_key: str | None = None,
) -> str:
    """Add those of ``columns``, and the patient, that a clinical table holds to ``obs``."""
    from dtp_scvi._constants import PATIENT_KEY
    from dtp_scvi._validate import problem, shorten

    table, said = _matched(adata, path, by, "clinical", names=_with_patient(patient_key))
    columns = [*columns, patient_key] if patient_key else columns
    twice = [name for name in dict.fromkeys(columns) if name in table and name in adata.obs]
    if twice:
        msg = problem(
            f"each column in DATA or in {path.name}", f"{shorten(twice)} in both", "Rename one."
        )
        raise ValueError(msg)
    # Rows of one patient are averaged or refused, which takes the column that shows them.
    for name in dict.fromkeys([*columns, PATIENT_KEY]):
        if name in table and name not in adata.obs:
            adata.obs[name] = table[name]
    return said


def _with_patient(*names: str | None) -> list[str]:
    """Return the columns that hold names, among them the one that commands look for unasked."""
    from dtp_scvi._constants import PATIENT_KEY

    return [name for name in dict.fromkeys([*names, PATIENT_KEY]) if name]


def _matched(
    adata: AnnData, path: Path, by: str | None, role: str, *, names: Sequence[str] = ()
) -> tuple[pd.DataFrame, str]:
    """Return the row of the table for each row of ``adata``, and how many were found."""
    import pandas as pd

    from dtp_scvi._labels import text_column
    from dtp_scvi._validate import problem, shorten
    from dtp_scvi.cli._named_rows import read_named_rows

    table = read_named_rows(path, role, "a table whose first column names the rows", names=names)
    rows = adata.obs_names.astype(str).to_numpy()
    wanted = rows if by is None else text_column(adata.obs, by, f"{role}_by")
    found = pd.Index(wanted).isin(table.index)
    if not found.any():
        where = "row names" if by is None else f"column {by!r}"
        msg = problem(
            f"the first column of {path.name} to name rows of DATA by their {where}",
            f"{shorten(table.index, 3)} there, {shorten(wanted, 3)} in DATA, none in common",
            f"Name the column of obs that matches with --{role}-by.",
        )
        raise ValueError(msg)
    said = f"{path.name}: {int(found.sum()):,} of {len(found):,} rows found"
    unused = table.index[~table.index.isin(wanted)]
    if len(unused):
        said += f"; {len(unused):,} of its {len(table):,} not used ({shorten(unused, 3)})"
    return table.reindex(wanted).set_axis(adata.obs_names), said


def write_tables(tables: dict[str, pd.DataFrame], room: Path, ending: str) -> None:
    """Write each table as text; empty ones are left out."""
    for name, table in tables.items():
        if len(table):
            separator = "\t" if ending == "tsv" else ","
            table.to_csv(room / f"{name}.{ending}", sep=separator, index=False)


def no_window() -> None:
    """Draw into files alone: no window may open, and no display has to be there."""
    import matplotlib.pyplot as plt

    plt.switch_backend("Agg")


def save_figure(ax: Any, path: Path) -> None:
    """Write the figure of some axes and close it."""
    import matplotlib.pyplot as plt

    ax.figure.savefig(path, dpi=_DPI, bbox_inches="tight", facecolor="white")
    plt.close(ax.figure)


def p_text(name: str, p: float) -> str:
    """Write a p or q: three digits, and no zero."""
    return f"{name} < 0.001" if p < 0.001 else f"{name} = {p:.3f}"
