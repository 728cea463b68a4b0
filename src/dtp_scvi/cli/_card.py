"""``dtp card``: what a saved model is, was trained on, is worth and is not."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003  (typer reads annotations when it runs)
from typing import Annotated

import typer

from dtp_scvi.cli import _options as opt  # noqa: TC001  (as above)
from dtp_scvi.cli._guard import guard


def card(
    ctx: typer.Context,
    model: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="Folder of a saved model.", show_default=False),
    ],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, not Markdown.")] = False,
    debug: opt.Debug = False,
) -> None:
    """Print the model card of a saved model, from its checked settings."""
    with guard(ctx, debug=debug):
        from dtp_scvi.model import read_card

        found = read_card(model)
        typer.echo(found.to_json() if as_json else found.to_markdown(), nl=False)
