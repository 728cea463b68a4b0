"""``dtp demo``: the whole way on simulated data."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003  (typer reads annotations when it runs)
from typing import Annotated, Final

import typer

from dtp_scvi.cli import _options as opt  # noqa: TC001  (as above)
from dtp_scvi.cli._guard import guard

SUMMARY: Final = "summary.json"


def demo(
    ctx: typer.Context,
    *,
    out: Annotated[Path, typer.Option("--out", help="Folder for what the demo makes.")],
    seed: opt.Seed = 0,
    quick: Annotated[
        bool, typer.Option("--quick", help="Few cells and epochs: seconds, and poor numbers.")
    ] = False,
    overwrite: opt.Overwrite = False,
    quiet: opt.Quiet = False,
    debug: opt.Debug = False,
) -> None:
    """Simulate, cross-validate, train, distil, score and plot, in one go."""
    with guard(ctx, debug=debug):
        from dtp_scvi.cli._outputs import new_folder

        with new_folder(out, overwrite=overwrite, holds=SUMMARY) as room:
            from dtp_scvi.cli._demo_report import summarise
            from dtp_scvi.cli._demo_steps import QUICK, USUAL, run
            from dtp_scvi.cli._results import write_json

            done = run(room, QUICK if quick else USUAL, seed=seed, verbose=not quiet)
            summary = summarise(done)
            write_json(room / SUMMARY, summary)
        from dtp_scvi.cli._demo_report import show

        show(done, summary, out)
