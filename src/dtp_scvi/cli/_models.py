"""``dtp models``: the bundled models, and what each one was worth on other patients."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer  # noqa: TC002  (typer reads annotations when it runs)

from dtp_scvi.cli import _options as opt  # noqa: TC001  (as above)
from dtp_scvi.cli._guard import guard

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table


def models(ctx: typer.Context, *, debug: opt.Debug = False) -> None:
    """List the bundled models with what each one was worth on patients of others."""
    with guard(ctx, debug=debug):
        from dtp_scvi._constants import DEFAULT_MODEL, RESPONSE_RESEARCH_USE
        from dtp_scvi.cli._screen import findings, say, show
        from dtp_scvi.hub import available

        found = available()
        say("Spearman's correlation of predicted and measured response", style="bold")
        show(models_table(found))
        rows = [("tested on", cohort) for cohort in found["cohort"].unique()]
        if not_shown(found).any():
            rows.append(("*", "the interval includes 0: not shown to predict anything"))
        rows += [
            ("default", f"{DEFAULT_MODEL}, where dtp score is given no --model"),
            ("more", "dtp card NAME"),
            *(("licence", licence) for licence in found["licence"].unique()),
            ("note", RESPONSE_RESEARCH_USE),
        ]
        findings("", rows)


def not_shown(found: pd.DataFrame) -> pd.Series:
    """Tell of which models the interval includes 0."""
    return (found["spearman_low"] <= 0) & (found["spearman_high"] >= 0)


def models_table(found: pd.DataFrame) -> Table:
    """Lay out the models, one a line."""
    from dtp_scvi.cli._results import new_table

    table = new_table("name", ["version", "n trained on", "n tested on", "Spearman [95 %]"])
    for name, row, unclear in zip(
        found.index, found.to_dict("records"), not_shown(found), strict=True
    ):
        low, high = f"{row['spearman_low']:.2f}", f"{row['spearman_high']:.2f}"
        worth = f"{row['spearman']:.2f} [{low}, {high}]".replace("-", "−")
        counts = (f"{row['n_training']:,}", f"{row['n_external']:,}")
        table.add_row(name, str(row["version"]), *counts, worth + ("*" if unclear else " "))
    return table
