"""Words for the best response to treatment, as tables spell them (RECIST 1.1, iRECIST)."""

from __future__ import annotations

import re
from typing import Final

import pandas as pd

MISSING: Final = "missing"
UNKNOWN: Final = "unknown"
NOT_EVALUABLE: Final = "NE"

# Eisenhauer et al. 2009 (doi:10.1016/j.ejca.2008.10.026); Seymour et al. 2017 for iRECIST
# (doi:10.1016/S1470-2045(17)30074-8). MR, a mixed response, is no term of either.
_SPELLINGS: Final[dict[str, tuple[str, ...]]] = {
    "CR": (
        "cr",
        "icr",
        "complete response",
        "complete responder",
        "complete remission",
        "complete",
    ),
    "PR": ("pr", "ipr", "partial response", "partial responder", "partial remission", "partial"),
    "SD": ("sd", "isd", "stable disease", "stable", "no change"),
    "PD": (
        *("pd", "ipd", "icpd", "progressive disease", "progressed disease", "disease progression"),
        *("progression", "progressive", "progressed", "confirmed progressive disease"),
    ),
    "MR": ("mr", "mixed response", "mixed responder", "mixed"),
    "iUPD": ("iupd", "unconfirmed progressive disease"),
    "non-CR/non-PD": (
        "non cr non pd",
        "noncr nonpd",
        "non complete response non progressive disease",
    ),
    "CR/PR": ("cr pr", "pr cr", "crpr", "prcr", "complete or partial response"),
    "SD/PD": ("sd pd", "pd sd", "sdpd", "pdsd", "stable or progressive disease"),
    NOT_EVALUABLE: (
        *("ne", "ine", "not evaluable", "non evaluable", "unevaluable", "inevaluable"),
        *("not evaluated", "not assessed", "not assessable", "indeterminate"),
    ),
    UNKNOWN: ("unk", "unknown", "not known", "not reported", "not available"),
    MISSING: ("", "na", "n a", "nan", "none", "null", "missing"),
}
_TERM_OF: Final = {word: term for term, words in _SPELLINGS.items() for word in words}
# What a class may consist of; the others say that there is no response to speak of.
TERMS: Final = tuple(term for term in _SPELLINGS if term not in (NOT_EVALUABLE, UNKNOWN, MISSING))
PARTS: Final = {"CR/PR": ("CR", "PR"), "SD/PD": ("SD", "PD")}


def recist_term(value: object) -> str | None:
    """Return the term that a word stands for, ``None`` for a word that is none."""
    if pd.isna(value):  # type: ignore[call-overload]
        return MISSING
    return _TERM_OF.get(" ".join(re.findall(r"[a-z0-9]+", str(value).lower())))


def known_spellings() -> list[str]:
    """Return every spelling, terms first, for near matches."""
    return [*_SPELLINGS, *(word for word in _TERM_OF if word)]
