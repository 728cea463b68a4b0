"""Bad input ends a command with one readable line, a warning shows as one line."""

from __future__ import annotations

import re
import sys
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import typer

from dtp_scvi.cli._screen import complain

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

BAD_INPUT: Final = 2
STOPPED: Final = 143

# What the package and the libraries under it raise on bad input. Anything else is a defect, and
# its traceback is what the report of it needs.
_EXPECTED: Final = (
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    OSError,
    RuntimeError,
    ImportError,
    MemoryError,
)
# Noise of other libraries that no user of a command can act upon.
_HIDDEN: Final = (DeprecationWarning, PendingDeprecationWarning, FutureWarning)
# Arguments whose option has another name.
_RENAMED: Final = {"n_folds": "folds", "n_members": "members", "programs": "gmt"}


@contextmanager
def guard(ctx: typer.Context, *, debug: bool) -> Iterator[None]:
    """Turn an expected error into one line and exit code 2; ``debug`` lets it through."""
    options = {param.name for param in ctx.command.params if param.name}
    try:
        with _warnings_in_one_line(options):
            yield
    except (typer.Exit, typer.Abort):  # subclasses of RuntimeError
        raise
    except SystemExit as stop:
        if stop.code:
            raise
        # Lightning turns the signal into an exit without a code, which a shell takes for success.
        complain("error", "Stopped by a signal; nothing was written.")
        raise typer.Exit(STOPPED) from None
    except _EXPECTED as error:
        if debug:
            raise
        complain("error", one_line(error, options))
        raise typer.Exit(BAD_INPUT) from None


def one_line(error: BaseException, options: Collection[str] = ()) -> str:
    """Word ``error`` in one line; arguments of functions become ``options`` of the command."""
    # str(KeyError) is the repr of its message.
    text = str(error.args[0] if isinstance(error, KeyError) and error.args else error)
    if isinstance(error, MemoryError):
        text = f"Out of memory. {text}"
    head, *rest = (text.strip() or type(error).__name__).split("\n")
    if any("setup_anndata(" in line for line in rest):
        # Python lines that mend it are of no use in a shell; the options behind them are.
        usable = [f"--{name}" for name in ("layer", "scale") if name in options]
        head = re.sub(r"(, for example)?:$", ".", head.rstrip())
        rest = [f"Options: {', '.join(usable)}."] if usable else []
    text = " ".join(part.strip() for part in (head, *rest) if part.strip())
    return _with_options(text, options)


def _with_options(text: str, options: Collection[str]) -> str:
    """Put options of the command in place of arguments of functions."""
    text = re.sub(r"`(\w+)`", lambda found: _option(found[1], options) or found[0], text)
    return re.sub(
        r"\b(\w+)=(?=[\w'\"])",
        lambda found: f"{option} " if (option := _option(found[1], options)) else found[0],
        text,
    )


def _option(argument: str, options: Collection[str]) -> str | None:
    """Return the option of the command that stands for an argument of a function."""
    name = _RENAMED.get(argument, argument)
    return f"--{name.replace('_', '-')}" if name in options else None


@contextmanager
def _warnings_in_one_line(options: Collection[str]) -> Iterator[None]:
    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: Any = None,
        line: str | None = None,
    ) -> None:
        if not issubclass(category, _HIDDEN):
            text = _with_options(" ".join(str(message).split()), options)
            complain("warning", text, file=file or sys.stderr)

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield
