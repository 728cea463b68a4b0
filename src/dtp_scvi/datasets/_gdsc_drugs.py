"""Drugs of a GDSC screen: their names, the screens they were in, and the unit of the IC50."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import pandas as pd

from dtp_scvi._validate import near_matches, problem, shorten

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dtp_scvi.datasets._report import Report

Repeated = Literal["most", "mean", "separate"]
_COLUMNS: Final = ("gdsc_id", "name")
# ln(30 uM) is 3.4; a logarithm of 30 would be 1e13 uM.
_HIGHEST_LN: Final = 30.0
_WIDEST: Final = 1e3


def drug_word(name: object) -> str:
    """Reduce a drug name to what spellings share: ``PLX-4720`` and ``PLX.4720`` to ``PLX4720``."""
    word = "".join(letter for letter in str(name).upper() if letter.isalnum())
    # R puts an X before a name that starts with a digit.
    return word[1:] if len(word) > 1 and word[0] == "X" and word[1].isdigit() else word


def check_unit(values: np.ndarray) -> None:
    """Raise unless these look like natural logarithms of an IC50 in uM."""
    known = values[np.isfinite(values)]
    if known.size == 0:
        msg = problem("measured IC50", "none", "Check obsm['ln_ic50'].")
        raise ValueError(msg)
    if known.min() < 0:
        return
    low, high = np.quantile(known, (0.01, 0.99))
    found = f"no negative value among {known.size:,}, from {known.min():.3g} to {known.max():.3g}"
    expected = "ln(IC50 in µM)"
    if high > _HIGHEST_LN or high > _WIDEST * low:
        todo = "These look like concentrations: take np.log of the values in µM."
    elif high <= 1.0:
        todo = "These look like areas under the curve, not IC50; read the table of ln IC50."
    else:
        return
    raise ValueError(problem(expected, found, todo))


def read_drug_table(frame: pd.DataFrame, columns: Sequence[str], where: str) -> pd.DataFrame:
    """Return the rows of the drugs in ``columns``, indexed by their ids."""
    missing = [name for name in _COLUMNS if name not in frame]
    if missing:
        msg = problem(
            f"columns {shorten(_COLUMNS)} in {where}",
            f"no {shorten(missing)} among {shorten(frame.columns)}",
            "Check the file.",
        )
        raise ValueError(msg)
    table = frame.assign(gdsc_id=frame["gdsc_id"].astype(str), name=frame["name"].astype(str))
    twice = table.loc[table["gdsc_id"].duplicated(), "gdsc_id"]
    if len(twice):
        msg = problem(f"each gdsc_id once in {where}", f"{shorten(twice)} again", "Keep one row.")
        raise ValueError(msg)
    table = table.set_index("gdsc_id")
    unknown = [name for name in columns if name not in table.index]
    if unknown:
        msg = problem(
            f"a row of {where} for each column of obsm['ln_ic50']",
            f"none for {shorten(unknown)}",
            near_matches(unknown[0], table.index),
        )
        raise ValueError(msg)
    return table.loc[list(columns)]


def name_drugs(
    ic50: pd.DataFrame, table: pd.DataFrame, repeated: Repeated, report: Report
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Give columns the names of drugs, one a drug unless the screens are to stay apart."""
    # A slash would be a folder in h5ad.
    names = table["name"].str.replace("/", "-", regex=False)
    n_lines = ic50.notna().sum()
    parts, rows = {}, []
    for word, ids in names.groupby(names.map(drug_word), sort=False).groups.items():
        ranked = sorted(ids, key=lambda one: -int(n_lines[one]))
        name = str(names[ranked[0]])
        if len(ids) > 1 and repeated == "separate":
            for one in ranked:
                parts[f"{name} [{one}]"] = ic50[one]
                rows.append((f"{name} [{one}]", word, [one]))
            continue
        # The first that measured a line: values of two screens are not mixed within it.
        own = ic50[ranked].bfill(axis=1).iloc[:, 0]
        parts[name] = ic50[ranked].mean(axis=1) if repeated == "mean" else own
        rows.append((name, word, ranked))
        if len(ids) > 1:
            how = "mean of" if repeated == "mean" else "first of"
            reason = f"{how} the screens {', '.join(ranked)}"
            report.add("drugs", [name], reason, outcome="kept")
    drugs = table.loc[[ids[0] for _, _, ids in rows]].reset_index()
    drugs.index = pd.Index([name for name, _, _ in rows])
    drugs["gdsc_id"] = [", ".join(ids) for _, _, ids in rows]
    drugs["word"] = [word for _, word, _ in rows]
    named = pd.DataFrame(parts, index=ic50.index)
    drugs["n_lines"] = named.notna().sum().to_numpy()
    return named, drugs


def pick_drugs(drugs: pd.DataFrame, asked: str | Sequence[str]) -> list[str]:
    """Return the names of the drugs asked for by name, in any spelling, or by id."""
    chosen: list[str] = []
    for one in [asked] if isinstance(asked, str) else asked:
        exact = drugs.index == one
        found = drugs.index[exact if exact.any() else (drugs["word"] == drug_word(one))]
        if not len(found):
            found = drugs.index[[str(one) in ids.split(", ") for ids in drugs["gdsc_id"]]]
        if not len(found):
            msg = problem(
                "`drugs` to name drugs with IC50", repr(one), near_matches(str(one), drugs.index)
            )
            raise KeyError(msg)
        chosen += [str(name) for name in found if name not in chosen]
    return chosen
