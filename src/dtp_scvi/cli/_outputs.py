"""Outputs are written whole or not at all, and a bad path is an error before any work."""

from __future__ import annotations

import secrets
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dtp_scvi._validate import problem, shorten

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

# A file of a model directory by which an earlier one is recognised.
MODEL_FILE: Final = "model.json"


@contextmanager
def new_folder(out: Path, *, overwrite: bool, holds: str) -> Iterator[Path]:
    """
    Give an empty folder beside ``out`` that takes its place once the block has ended well.

    Parameters
    ----------
    out
        Where the folder shall stand.
    overwrite
        Replace a folder that is there already.
    holds
        A file that an earlier result of the same kind holds; a folder without it is never
        replaced, so that a slip of the pen does not remove something else.
    """
    out = _absolute(out)
    _check_folder(out, overwrite=overwrite, holds=holds)
    room = _beside(out)
    _try(room.mkdir, out)
    try:
        yield room
        _take_place(room, out)
    finally:
        shutil.rmtree(room, ignore_errors=True)


@contextmanager
def new_file(out: Path, suffixes: Sequence[str]) -> Iterator[Path]:
    """Give a path beside ``out`` whose file takes its place once the block has ended well."""
    out = _absolute(out)
    ending = next((end for end in suffixes if out.name.lower().endswith(end)), None)
    if ending is None:
        msg = problem(
            f"an output that ends in {' or '.join(suffixes)}", out.name, "Change the name."
        )
        raise ValueError(msg)
    if out.is_dir():
        msg = problem("the output to be a file", f"the folder {out}", "Name a file in it.")
        raise IsADirectoryError(msg)
    _check_parent(out)
    part = _beside(out, ending)
    _try(part.touch, out)
    try:
        yield part
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)


def _absolute(path: Path) -> Path:
    # Not resolve(): what a link points to stays where it is.
    return Path.cwd() / path


def _beside(out: Path, ending: str = "") -> Path:
    return out.parent / f".{out.name}.{secrets.token_hex(4)}.part{ending}"


def _check_parent(out: Path) -> None:
    if not out.parent.is_dir():
        found = f"the file {out.parent}" if out.parent.is_file() else f"no folder {out.parent}"
        msg = problem(f"a folder to write {out.name!r} into", found, "Create the folder first.")
        raise NotADirectoryError(msg)


def _check_folder(out: Path, *, overwrite: bool, holds: str) -> None:
    if out.is_file():
        msg = problem("the output to be a folder", f"the file {out}", "Choose another name.")
        raise FileExistsError(msg)
    _check_parent(out)
    inside = sorted(item.name for item in out.iterdir()) if out.is_dir() else []
    if not inside:
        return
    if not overwrite:
        todo = "Choose another name, or pass --overwrite."
        msg = problem(f"{out} to be new or empty", shorten(inside), todo)
        raise FileExistsError(msg)
    if holds not in inside:
        found = f"{shorten(inside)}, and no {holds!r}"
        todo = "Choose another name; only an earlier result is overwritten."
        msg = problem(f"an earlier result in {out}", found, todo)
        raise FileExistsError(msg)


def _try(make: Callable[[], None], out: Path) -> None:
    try:
        make()
    except OSError as error:
        msg = problem(
            f"to be allowed to write to {out.parent}",
            error.strerror or str(error),
            "Choose another place.",
        )
        raise PermissionError(msg) from error


def _take_place(room: Path, out: Path) -> None:
    if not out.exists():
        room.rename(out)
        return
    old = _beside(out)
    out.rename(old)
    try:
        room.rename(out)
    except OSError:
        old.rename(out)
        raise
    shutil.rmtree(old)
