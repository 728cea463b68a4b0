"""The ``dtp`` command: what a notebook calls, from a shell."""

from dtp_scvi.cli._app import app, main

__all__ = ["app", "main"]
