"""What goes to the screen: one console, one form for findings, warnings and errors."""

from __future__ import annotations

import sys
from typing import IO, TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console
    from rich.table import Table

# A log file or a pipe has no width; 80 columns would break the tables.
_WIDTH_OF_A_PIPE: Final = 132
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


def complain(
    kind: Literal["error", "warning"], text: str, *, file: IO[str] | None = None
) -> None:
    """Print one line of warning or error to standard error."""
    from rich.text import Text

    line = Text.assemble((f"{kind}: ", _COLOURS[kind]), text)
    console(sys.stderr if file is None else file).print(line, soft_wrap=True)


def findings(title: str, rows: Iterable[tuple[str, str]]) -> None:
    """Print what was found in an input: a title, then name and text in two columns."""
    from rich.text import Text

    say(title, style="bold")
    grid = new_grid()
    for name, text in rows:
        grid.add_row(Text(f"  {name}", style="cyan"), Text(text))
    show(grid)


def new_grid() -> Table:
    """Return a table of two columns without lines."""
    from rich.table import Table

    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    return grid


def counted(number: int, noun: str) -> str:
    """Write a number with its noun: ``1 donor``, ``1,200 genes``."""
    plural = f"{noun}es" if noun.endswith(("ss", "ch")) else f"{noun}s"
    return f"{number:,} {noun if number == 1 else plural}"
