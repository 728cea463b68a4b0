"""What is hidden in a simulated cohort: mixtures, drug response, survival, missing values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from scipy.special import expit, logit

# Cell types that blasts consist of; the others make up the rest of a sample, all sensitive.
BLAST_TYPES: Final = ("stem-like", "progenitor", "monocytic")
NORMAL_TYPES: Final = ("lymphoid", "erythroid")
_DRUG_ROLES: Final = ("affected", "affected", "confounded", "null")
_AUC_MAX: Final = 300.0
_MEDIAN_SURVIVAL: Final = 500.0
_WEIBULL_SHAPE: Final = 1.1
_CLINICAL_WITH_GAPS: Final = ("blast_percentage", "monocytic_score", "age")


@dataclass(frozen=True)
class Mixtures:
    """Shares of cell types in each sample (patients x types) and of tolerant cells in blasts."""

    blast_shares: np.ndarray
    normal_shares: np.ndarray
    tolerant_in_blasts: np.ndarray

    @property
    def persister_fraction(self) -> np.ndarray:
        """Drug-tolerant cells among all cells of the sample."""
        return self.blast_shares.sum(axis=1) * self.tolerant_in_blasts

    @property
    def monocytic_share(self) -> np.ndarray:
        """Monocytic cells among blasts."""
        return self.blast_shares[:, BLAST_TYPES.index("monocytic")] / self.blast_shares.sum(axis=1)


def standardised(values: np.ndarray) -> np.ndarray:
    """Return ``values`` with mean 0 and variance 1."""
    return (values - values.mean()) / max(float(values.std()), np.finfo(float).tiny)


def draw_mixtures(n_patients: int, rng: np.random.Generator) -> Mixtures:
    """Draw the make-up of each sample; tolerant cells go with monocytic blasts."""
    blasts = rng.beta(3.0, 1.5, n_patients).clip(0.05, 0.98)
    within = rng.dirichlet([1.5, 1.8, 1.2], n_patients)
    monocytic = standardised(within[:, BLAST_TYPES.index("monocytic")])
    tolerant = expit(-0.6 + 0.5 * monocytic + rng.normal(0.0, 1.0, n_patients))
    rest = rng.dirichlet([2.5, 1.5], n_patients)
    return Mixtures(within * blasts[:, None], rest * (1 - blasts)[:, None], tolerant)


def drug_table(
    n_drugs: int, drug_effect: float, confounder_effect: float, rng: np.random.Generator
) -> pd.DataFrame:
    """Draw the effects on each drug, a drug a row; half affected, a quarter null."""
    roles = np.array([_DRUG_ROLES[i % len(_DRUG_ROLES)] for i in range(n_drugs)])
    confounded = (roles != "null") * confounder_effect
    width = len(str(n_drugs))
    return pd.DataFrame(
        {
            "role": roles,
            "persister_effect": (roles == "affected")
            * drug_effect
            * rng.uniform(0.7, 1.3, n_drugs),
            "blast_effect": confounded * rng.uniform(0.1, 0.5, n_drugs),
            "monocytic_effect": confounded * rng.uniform(0.2, 0.7, n_drugs),
            "baseline": rng.normal(0.3, 0.6, n_drugs),
        },
        index=pd.Index([f"drug_{i:0{width}d}" for i in range(1, n_drugs + 1)], name="drug"),
    )


def draw_drug_auc(
    mixtures: Mixtures, drugs: pd.DataFrame, missing: float, rng: np.random.Generator
) -> np.ndarray:
    """Draw areas under the viability curve, patients x drugs, 0 to 300, NaN where not measured.

    The effects act on the logit of the area, in units of its noise (standard deviation 1). The
    share that is missing varies over drugs around ``missing``.
    """
    fraction = standardised(logit(mixtures.persister_fraction))
    blasts = standardised(mixtures.blast_shares.sum(axis=1))
    monocytic = standardised(mixtures.monocytic_share)
    effect = np.outer(fraction, drugs["persister_effect"])
    effect += np.outer(blasts, drugs["blast_effect"])
    effect += np.outer(monocytic, drugs["monocytic_effect"])
    noise = rng.standard_normal(effect.shape)
    auc = _AUC_MAX * expit(drugs["baseline"].to_numpy() + 0.7 * (effect + noise))
    rate = rng.beta(8 * missing, 8 * (1 - missing), len(drugs)) if missing > 0 else 0.0
    auc[rng.random(auc.shape) < rate] = np.nan
    return auc


def draw_clinical(
    mixtures: Mixtures,
    *,
    hazard_ratio: float,
    censoring: float,
    missing: float,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Draw clinical columns and survival with missing values, a patient a row.

    Survival is Weibull with proportional hazards in the persister fraction and age. Patients
    enter uniformly over a study that is closed when the share ``censoring`` is still alive.
    """
    n = len(mixtures.tolerant_in_blasts)
    age = rng.normal(62.0, 14.0, n).clip(18, 92).round()
    log_hazard = np.log(hazard_ratio) * standardised(logit(mixtures.persister_fraction))
    log_hazard += 0.3 * standardised(age)
    unit = rng.exponential(1.0, n) / np.log(2) / np.exp(log_hazard)
    death = _MEDIAN_SURVIVAL * unit ** (1 / _WEIBULL_SHAPE)
    entry = 1 - rng.random(n)
    follow_up = entry * np.quantile(death / entry, 1 - censoring)
    blasts = 100 * mixtures.blast_shares.sum(axis=1) + rng.normal(0.0, 5.0, n)
    clinical = pd.DataFrame(
        {
            "blast_percentage": blasts.clip(0, 100).round(1),
            "monocytic_score": standardised(mixtures.monocytic_share) + rng.normal(0, 0.3, n),
            "age": age,
            "sex": pd.Categorical.from_codes(rng.integers(0, 2, n), ["male", "female"]),
            "time": np.minimum(death, follow_up).round().clip(1),
            "event": (death <= follow_up).astype(float),
        }
    )
    for column in _CLINICAL_WITH_GAPS:
        clinical.loc[rng.random(n) < missing, column] = np.nan
    clinical.loc[rng.random(n) < missing, ["time", "event"]] = np.nan
    return clinical
