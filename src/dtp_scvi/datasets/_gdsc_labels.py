"""Labels of cell lines: joined by line and drug, and held against the measured IC50."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from dtp_scvi._constants import RESISTANT, SENSITIVE
from dtp_scvi._validate import problem, shorten
from dtp_scvi.datasets._gdsc_drugs import drug_word
from dtp_scvi.datasets._join import check_joins

if TYPE_CHECKING:
    from dtp_scvi.datasets._report import Report

CLASSES: Final = (RESISTANT, SENSITIVE)
# Medians of fewer lines say little about which way round a drug's labels are.
_FEWEST: Final = 5
_ID: Final = re.compile(r"^(?:[A-Za-z]+[._ -]?)?(\d+)(?:\.0)?$")


def line_id(name: object) -> str:
    """Return the number in ``DATA.683665`` or ``683665``, or the name as it is."""
    text = str(name).strip()
    found = _ID.match(text)
    return found[1] if found else text


def line_ids(column: pd.Series, line_key: str) -> np.ndarray:
    """Return one id a line, empty where there is none."""
    known = column.notna() & (column.astype(str).str.strip() != "")
    ids = np.array([line_id(name) if yes else "" for name, yes in zip(column, known, strict=True)])
    full = pd.Series(ids[ids != ""])
    twice = full[full.duplicated()]
    if len(twice):
        msg = problem(
            f"each line once in adata.obs[{line_key!r}]", f"{shorten(twice)} again", "Keep one."
        )
        raise ValueError(msg)
    return ids


def read_labels(frame: pd.DataFrame, where: str) -> pd.DataFrame:
    """Return labels as lower-case words, lines by id in rows, drugs by their words in columns."""
    words = frame.apply(lambda column: column.where(column.isna(), column.astype(str).str.lower()))
    odd = sorted({str(value) for value in pd.unique(words.to_numpy().ravel()) if pd.notna(value)})
    odd = [value for value in odd if value not in CLASSES]
    if odd:
        msg = problem(
            f"the words resistant and sensitive in {where}",
            shorten(odd),
            "Name the classes, or leave a cell empty where there is no label.",
        )
        raise ValueError(msg)
    words.index = pd.Index([line_id(name) for name in words.index])
    words.columns = pd.Index([drug_word(name) for name in words.columns])
    for names, what in ((words.index, "line"), (words.columns, "drug")):
        if names.has_duplicates:
            found = f"{shorten(names[names.duplicated()])} again"
            msg = problem(f"each {what} once in {where}", found, "Keep one of each.")
            raise ValueError(msg)
    return words


def join_labels(
    labels: pd.DataFrame,
    ids: np.ndarray,
    lines: pd.Index,
    drugs: pd.DataFrame,
    where: str,
    report: Report,
) -> pd.DataFrame:
    """Return labels of ``lines`` (rows) and ``drugs`` (columns), missing where there is none."""
    known = [one for one in ids if one]
    check_joins(known, labels.index, ("the expression", where), "ids of lines")
    check_joins(drugs["word"], labels.columns, ("the drugs with IC50", where), "names")
    report.add(
        "labels", [one for one in labels.index if one not in set(known)], "line without expression"
    )
    absent = [word for word in labels.columns if word not in set(drugs["word"])]
    report.add("labels", absent, "drug without IC50")
    joined = labels.reindex(index=ids, columns=drugs["word"])
    joined.index, joined.columns = lines, drugs.index
    unlabelled = lines[joined.isna().all(axis=1).to_numpy()]
    report.add("expression", unlabelled, "line without labels", outcome="kept")
    return joined


def drop_unmeasured(joined: pd.DataFrame, ic50: pd.DataFrame, report: Report) -> pd.DataFrame:
    """Leave out labels of pairs of a line and a drug that were not measured."""
    filled = joined.notna() & ic50.isna()
    for drug, n in filled.sum().items():
        report.add("labels", [drug] * int(n), "no IC50 of this line and drug")
    return joined.mask(filled)


def contradicted(joined: pd.DataFrame, ic50: pd.DataFrame) -> list[str]:
    """
    Name the drugs whose resistant lines have the lower median IC50.

    Raises
    ------
    ValueError
        When these are most of the drugs: then the labels are the wrong way round.
    """
    tested, wrong = 0, []
    for drug in joined:
        measured = ic50[drug].notna()
        parts = [ic50.loc[measured & (joined[drug] == word), drug] for word in CLASSES]
        if min(map(len, parts)) < _FEWEST:
            continue
        tested += 1
        if parts[0].median() < parts[1].median():
            wrong.append(str(drug))
    if wrong and len(wrong) > tested / 2:
        raise ValueError(_reversed(wrong, tested))
    return wrong


def _reversed(wrong: list[str], tested: int) -> str:
    return problem(
        "resistant lines to have the higher ln IC50",
        f"a lower median in {len(wrong)} of {tested} drugs ({shorten(wrong)})",
        "The labels are the wrong way round, or the values are a sensitivity such as pIC50: swap "
        "the words, or take minus the values.",
    )


def refuse_contradicted(wrong: list[str]) -> None:
    """Raise for drugs whose labels run against the IC50."""
    msg = problem(
        "resistant lines to have the higher ln IC50",
        f"a lower median for {shorten(wrong, 10)}",
        'Leave these drugs out, or pass contradicted="drop".',
    )
    raise ValueError(msg)
