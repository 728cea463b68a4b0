"""Join tables by name, or show names of both sides."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dtp_scvi._validate import problem, shorten

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd


def check_joins(left: Iterable[str], right: Iterable[str], what: tuple[str, str], by: str) -> None:
    """
    Raise ``ValueError`` if no name of one side is on the other.

    Parameters
    ----------
    left, right
        Names on either side.
    what
        What the two sides are.
    by
        Kind of name.
    """
    ours, theirs = sorted(set(left)), sorted(set(right))
    if not set(ours).isdisjoint(theirs):
        return
    msg = problem(
        f"{what[0]} and {what[1]} to share {by}",
        f"none in common: {shorten(ours, 3)} on one side, {shorten(theirs, 3)} on the other",
        "Check that the files belong together and that the names are of one kind.",
    )
    raise ValueError(msg)


def unique_links(pairs: pd.DataFrame, key: str, value: str, where: str) -> dict[str, str]:
    """
    Return key -> value of the rows that have both.

    Raises
    ------
    ValueError
        If a key has two values.
    """
    full = pairs.loc[(pairs[key] != "") & (pairs[value] != ""), [key, value]].drop_duplicates()
    twice = full.loc[full[key].duplicated(keep=False)].sort_values([key, value])
    if len(twice):
        shown = [f"{k} with {v}" for k, v in twice.itertuples(index=False)]
        msg = problem(
            f"one {value} for each {key} in {where}", shorten(shown, 4), "Mend these rows."
        )
        raise ValueError(msg)
    return dict(zip(full[key], full[value], strict=True))
