"""What goes to the screen: one console, one form for findings, warnings and errors."""

from __future__ import annotations

import sys
from typing import IO, TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console

# A log file or a pipe has no width; 80 columns would break the tables.
_WIDTH_OF_A_PIPE: Final = 132
# Columns that names take, more where one is longer.
_NAMES: Final = 12
_COLOURS: Final = {"error": "bold red", "warning": "bold yellow"}


def console(file: IO[str] | None = None) -> Console:
    """Return a console on ``file``, by default what standard output is at the moment."""
    from rich.console import Console

    file = sys.stdout if file is None else file
    width = None if file.isatty() else _WIDTH_OF_A_PIPE
    return Console(file=file, width=width, highlight=False, emoji=False)


def say(text: str, *, style: str = "") -> None:
    """Print one line as it is, without reading markup in it or breaking it."""
    console().print(text, style=style or None, markup=False, soft_wrap=True)


def show(renderable: Any) -> None:
    """Print a table or a panel."""
    console().print(renderable)


def complain(kind: Literal["error", "warning"], text: str, *, file: IO[str] | None = None) -> None:
    """Print one line of warning or error to standard error."""
    from rich.text import Text

    line = Text.assemble((f"{kind}: ", _COLOURS[kind]), text)
    console(sys.stderr if file is None else file).print(line, soft_wrap=True)


def findings(title: str, rows: Iterable[tuple[str, str]]) -> None:
    """Print what was found: a title, then name and text, a line each."""
    from rich.text import Text

    if title:
        say(title, style="bold")
    rows = list(rows)
    width = max([_NAMES, *(len(name) + 1 for name, _ in rows)])
    for name, text in rows:
        console().print(Text.assemble((f"  {name:<{width}}", "cyan"), text), soft_wrap=True)


def counted(number: int, noun: str) -> str:
    """Write a number with its noun: ``1 donor``, ``1,200 genes``."""
    plural = f"{noun}es" if noun.endswith(("ss", "ch")) else f"{noun}s"
    return f"{number:,} {noun if number == 1 else plural}"
