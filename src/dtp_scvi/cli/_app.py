"""The ``dtp`` command and its subcommands."""

from __future__ import annotations

from typing import Annotated

import typer

from dtp_scvi import __version__
from dtp_scvi.cli._audit import audit
from dtp_scvi.cli._card import card
from dtp_scvi.cli._demo import demo
from dtp_scvi.cli._distill import distill
from dtp_scvi.cli._drugs import drugs
from dtp_scvi.cli._evaluate import evaluate
from dtp_scvi.cli._models import models
from dtp_scvi.cli._recalibrate import recalibrate
from dtp_scvi.cli._score import score
from dtp_scvi.cli._survival import survival
from dtp_scvi.cli._train import train

app = typer.Typer(
    name="dtp",
    help="Teach, distil and score drug tolerance in transcriptomes. For research use only.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (
    *(demo, audit, evaluate, train, distill),
    *(score, recalibrate, drugs, survival, models, card),
):
    app.command()(command)


def _print_version(value: bool) -> None:  # noqa: FBT001
    if value:
        typer.echo(f"dtp-scvi {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[  # noqa: FBT002
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Show the version."
        ),
    ] = False,
) -> None:
    """Read drug response out of transcriptomes, and say when not to believe the answer."""


def main() -> None:
    """Run the ``dtp`` command."""
    app()
