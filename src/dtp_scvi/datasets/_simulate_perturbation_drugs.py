"""Small molecules put together from scaffolds and substituents, and effects that follow them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Final

import numpy as np
import pandas as pd

# Places {a} and {b} take a substituent each.
SCAFFOLDS: Final[dict[str, str]] = {
    "benzene": "c1cc{a}ccc1{b}",
    "pyridine": "c1c{a}nccc1{b}",
    "pyrimidine": "c1c{a}nc{b}nc1",
    "thiophene": "c1c{a}scc1{b}",
    "thiazole": "c1{a}sc{b}nc1",
    "indole": "c1c{a}ccc2[nH]cc{b}c12",
    "benzofuran": "c1c{a}ccc2oc{b}cc12",
    "quinoline": "c1c{a}ccc2nccc{b}c12",
    "naphthalene": "c1c{a}ccc2ccc{b}cc12",
    "cyclohexane": "C1C{a}CCC{b}C1",
    "piperidine": "C1C{a}CCN(C(C)=O)C1{b}",
    "morpholine": "C1C{a}OC{b}CN1S(C)(=O)=O",
}
SUBSTITUENTS: Final[dict[str, str]] = {
    "methyl": "(C)",
    "isopropyl": "(C(C)C)",
    "hydroxyl": "(O)",
    "methoxy": "(OC)",
    "amino": "(N)",
    "dimethylamino": "(N(C)C)",
    "chloro": "(Cl)",
    "trifluoromethyl": "(C(F)(F)F)",
    "cyano": "(C#N)",
    "carboxyl": "(C(=O)O)",
    "carboxamide": "(C(N)=O)",
    "acetamido": "(NC(C)=O)",
    "methylsulfonyl": "(S(C)(=O)=O)",
    "phenyl": "(-c3ccccc3)",
}
# Each scaffold bears an unordered pair of substituents, which may be alike.
PAIRS: Final = tuple(combinations_with_replacement(range(len(SUBSTITUENTS)), 2))
MOST_DRUGS: Final = len(SCAFFOLDS) * len(PAIRS)
_EC50_SD: Final = 0.5


@dataclass(frozen=True, slots=True)
class Library:
    """A table of drugs, their effects on programmes, and log10 of the half-maximal dose."""

    table: pd.DataFrame
    effects: np.ndarray
    log_ec50: np.ndarray


def draw_library(
    n_drugs: int,
    n_programmes: int,
    log_dose: float,
    *,
    structure: bool,
    shuffle: bool,
    rng: np.random.Generator,
) -> Library:
    """Draw molecules; with ``structure`` their effects are sums over their fragments."""
    chosen = rng.choice(MOST_DRUGS, n_drugs, replace=False)
    scaffold, pair = np.divmod(chosen, len(PAIRS))
    a, b = np.array(PAIRS)[pair].T
    # The last column is the potency; all are of unit variance over fragments.
    of_scaffold = rng.standard_normal((len(SCAFFOLDS), n_programmes + 1))
    of_substituent = rng.standard_normal((len(SUBSTITUENTS), n_programmes + 1))
    values = (of_scaffold[scaffold] + of_substituent[a] + of_substituent[b]) / np.sqrt(3)
    unrelated = rng.standard_normal((n_drugs, n_programmes + 1))
    values = values if structure else unrelated
    shown = np.arange(n_drugs)
    if shuffle:
        # One cycle through all drugs: none keeps its own structure.
        order = rng.permutation(n_drugs)
        shown[order] = np.roll(order, 1)
    width = len(str(n_drugs))
    cores, groups = list(SCAFFOLDS), list(SUBSTITUENTS)
    smiles = np.array(
        [
            SCAFFOLDS[cores[s]].format(a=SUBSTITUENTS[groups[i]], b=SUBSTITUENTS[groups[j]])
            for s, i, j in zip(scaffold, a, b, strict=True)
        ],
        dtype=object,
    )
    log_ec50 = log_dose + _EC50_SD * values[:, -1]
    table = pd.DataFrame(
        {
            "smiles": smiles[shown],
            "scaffold": np.array(cores, dtype=object)[scaffold],
            "substituent_a": np.array(groups, dtype=object)[a],
            "substituent_b": np.array(groups, dtype=object)[b],
            "ec50": 10**log_ec50,
        },
        index=pd.Index([f"drug_{i:0{width}d}" for i in range(1, n_drugs + 1)]),
    )
    return Library(table, values[:, :-1], log_ec50)
