"""``dtp recalibrate``: fit probabilities and calls anew on a scored file."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003  (typer reads annotations when it runs)
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dtp_scvi.cli import _options as opt  # noqa: TC001  (as above)
from dtp_scvi.cli._guard import guard

if TYPE_CHECKING:
    from anndata import AnnData


def recalibrate(
    ctx: typer.Context,
    data: Annotated[
        Path,
        typer.Argument(metavar="DATA", help="What dtp score wrote, as .h5ad.", show_default=False),
    ],
    *,
    out: Annotated[Path, typer.Option("--out", help="The object with its new calls (.h5ad).")],
    labels: Annotated[
        str | None,
        typer.Option("--labels", help="Column with the class of some rows, empty for the rest."),
    ] = None,
    prevalence: Annotated[
        str | None,
        typer.Option("--prevalence", help="Known share of the positive class, or: estimate."),
    ] = None,
    negatives: Annotated[
        str | None, typer.Option("--negatives", help="Boolean column: rows known to be negative.")
    ] = None,
    target_fpr: Annotated[
        float, typer.Option("--target-fpr", help="Share of negatives that may be called positive.")
    ] = 0.05,
    groupby: Annotated[
        str | None, typer.Option("--groupby", help="Column: recalibrate each group alone.")
    ] = None,
    donor_key: Annotated[
        str | None, typer.Option("--donor-key", help="Column of obs with the donor.")
    ] = None,
    key: Annotated[str, typer.Option("--key", help="Prefix of the columns of the score.")] = "dtp",
    seed: opt.Seed = 0,
    debug: opt.Debug = False,
) -> None:
    """Adapt calls and probabilities to what is known of a scored file."""
    with guard(ctx, debug=debug):
        from dtp_scvi._validate import check_file
        from dtp_scvi.cli._input import read_cells
        from dtp_scvi.cli._outputs import new_file
        from dtp_scvi.cli._screen import say

        share = _share(prevalence)
        with new_file(out, (".h5ad",)) as part:
            check_file(data)  # before anything heavy is loaded
            from dtp_scvi import tl

            adata = read_cells(data)
            tl.recalibrate(
                adata,
                labels=labels,
                prevalence=share,
                negatives=negatives,
                target_fpr=target_fpr,
                groupby=groupby,
                donor_key=donor_key,
                key=key,
                seed=seed,
            )
            adata.write_h5ad(part)
        report(adata, key)
        say(f"Wrote {out}", style="bold")


def _share(text: str | None) -> Any:
    """A number, or the word that tl.recalibrate takes or refuses."""
    try:
        return None if text is None else float(text)
    except ValueError:
        return text


def report(adata: AnnData, key: str) -> None:
    """Say by what, and what the calls are now."""
    from dtp_scvi._constants import CALL_SUFFIX
    from dtp_scvi.cli._screen import findings

    record = adata.uns[key]["recalibration"]
    numbers = adata.obs[f"{key}{CALL_SUFFIX}"].value_counts()
    rows = [("calls", ", ".join(f"{name} {n:,}" for name, n in numbers.items()))]
    for name, row in record["groups"].iterrows():
        found = ", ".join(f"{column} {value:.4g}" for column, value in row.items())
        rows.append((str(name), found))
    findings(f"Recalibrated {adata.n_obs:,} rows by {record['method']}", rows)
