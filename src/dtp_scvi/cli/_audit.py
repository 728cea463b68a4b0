"""``dtp audit``: what would let a model read the label off something other than biology."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path  # noqa: TC003  (typer reads annotations when it runs)
from typing import TYPE_CHECKING, Annotated

import typer

from dtp_scvi.cli import _options as opt  # noqa: TC001  (as above)
from dtp_scvi.cli._guard import guard

if TYPE_CHECKING:
    import pandas as pd


def audit(
    ctx: typer.Context,
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA",
            help="Cells or samples, as .h5ad; read from disk in blocks.",
            show_default=False,
        ),
    ],
    *,
    labels_key: opt.LabelsKey,
    positive: opt.Positive = None,
    donor_key: opt.DonorKey = None,
    batch_keys: Annotated[
        list[str] | None,
        typer.Option("--batch-key", help="Column that ought not to tell the label; repeatable."),
    ] = None,
    layer: opt.Layer = None,
    near_duplicates: Annotated[
        bool,
        typer.Option("--near-duplicates/--no-near-duplicates", help="Look for near copies, too."),
    ] = True,
    seed: opt.Seed = 0,
    csv: Annotated[
        Path | None, typer.Option("--csv", help="Write all findings to this file.")
    ] = None,
    debug: opt.Debug = False,
) -> None:
    """Look for confounding, copies and leaks; exit code 3 where a finding is an error."""
    with guard(ctx, debug=debug):
        from dtp_scvi._validate import check_file
        from dtp_scvi.cli._input import open_cells
        from dtp_scvi.cli._outputs import new_file
        from dtp_scvi.cli._screen import say

        with nullcontext() if csv is None else new_file(csv, (".csv",)) as part:
            check_file(data)  # before anything heavy is loaded
            from dtp_scvi import pp

            table = pp.audit(
                open_cells(data),
                labels_key,
                donor_key=donor_key,
                batch_keys=tuple(batch_keys or ()),
                layer=layer,
                positive=positive,
                near_duplicates=near_duplicates,
                seed=seed,
            )
            show_audit(table)
            if part is not None:
                table.to_csv(part, index=False)
        if csv is not None:
            say(f"Wrote {csv}", style="bold")
    if (table["verdict"] == "error").any():
        raise typer.Exit(3)


def show_audit(table: pd.DataFrame) -> None:
    """Print what is worth reading, worst first, and count the rest."""
    from dtp_scvi.cli._screen import findings

    worst = ["error", "warn", "note"]
    counts = table["verdict"].value_counts()
    said = ", ".join(f"{counts.get(name, 0):,} {name}" for name in [*worst, "ok"])
    rows = [
        (name, str(sentence))
        for name in worst
        for sentence in table.loc[table["verdict"] == name, "sentence"]
    ]
    findings(f"Audit: {said}", rows or [("ok", "nothing found")])
