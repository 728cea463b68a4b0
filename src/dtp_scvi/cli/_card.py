"""``dtp card``: what a model is, was trained on, is worth and is not."""

from __future__ import annotations

from typing import Annotated

import typer

from dtp_scvi.cli import _model
from dtp_scvi.cli import _options as opt
from dtp_scvi.cli._guard import guard


def card(
    ctx: typer.Context,
    model: Annotated[
        str,
        typer.Argument(metavar="MODEL", help=f"{_model.HELP}.", show_default=False),
    ],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, not Markdown.")] = False,
    debug: opt.Debug = False,
) -> None:
    """Print the model card of a saved or bundled model, from its checked settings."""
    with guard(ctx, debug=debug):
        from dtp_scvi.hub import load
        from dtp_scvi.model import read_card

        folder = _model.find_folder(model)
        found = load(model).card_ if folder is None else read_card(folder)
        typer.echo(found.to_json() if as_json else found.to_markdown(), nl=False)
