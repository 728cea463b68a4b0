"""Simulated checkpoint-inhibitor studies, with or without the leaks of published tables."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy.special import expit, logit

from dtp_scvi import __version__
from dtp_scvi._constants import PATIENT_KEY, RESPONSE_KEY, SIMULATION_KEY
from dtp_scvi._validate import check_positive_int, check_range, problem
from dtp_scvi.datasets._genes import choose_genes
from dtp_scvi.datasets._truth import fixed_seed
from dtp_scvi.stats import auroc

if TYPE_CHECKING:
    from collections.abc import Sequence

# Reads on the panel: with these means about one value in twenty is 0, as in published tables.
_DEPTH: Final = 2e4
_GENE_SD: Final = 1.7
_STUDY_SD: Final = 0.8
_PATIENT_SD: Final = 0.7
_LOADING: Final = 0.5
# Total of a panel into which a label of 1 was counted: sums of 0.999 to 0.99996.
_LOG_LEAK_TOTAL: Final = (math.log(1e3), math.log(2.5e4))
_WORDS: Final = {True: ("CR", "PR"), False: ("SD", "PD")}


def simulate_ici(
    n_patients: Sequence[int] = (28, 51, 7, 121),
    *,
    n_genes: int = 160,
    response_rates: Sequence[float] | float | None = None,
    study_effect: float = 1.0,
    signal: float = 0.0,
    n_signal_genes: int = 20,
    leak_row_sums: bool = False,
    duplicate_responders: bool = False,
    seed: int | None = 0,
) -> AnnData:
    """
    Simulate melanoma studies that differ in expression and in response rate.

    By default nothing in expression goes with response within a study, so that whatever a model
    finds beyond study identity is a leak or chance.

    Parameters
    ----------
    n_patients
        Patients of each study, one sample each.
    n_genes
        Genes of the panel.
    response_rates
        Expected share of responders of each study, 0 to 1, or one for all. ``None`` takes 0.54,
        0.18, 0 and 0.40 in turn, about those of four published studies.
    study_effect
        Factor on the difference in expression between studies; 0 for none.
    signal
        Log-odds of response per standard deviation of a hidden state that the signal genes
        follow within each study; 0 for none.
    n_signal_genes
        Genes that follow that state, up or down, whether or not it matters for response.
    leak_row_sums
        Divide the row of a responder by a total that its label, 1, was counted into: sums become
        0.999 to 0.99996 instead of 1.
    duplicate_responders
        Append a copy of every responder, as upsampling before splitting does; copies keep the
        patient, so that a splitter can know.
    seed
        Seed; ``None`` draws one and records it.

    Returns
    -------
    Annotated data, dense float64, with

    ``X``
        Shares of the panel; rows sum to 1 unless they leak. Go on with
        :func:`dtp_scvi.pp.close_composition`.
    ``obs``
        ``"patient"``, ``"study"``, ``"recist"`` (CR, PR, SD, PD), ``"response"`` (1 or 0),
        ``"is_copy"``, ``"true_state"``, ``"true_probability"``.
    ``var``
        ``"true_loading"``: change of log expression per standard deviation of the state.
    ``uns["dtp_simulation"]``
        ``"simulated"``, ``"generator"``, ``"version"``, ``"seed"``, ``"parameters"``,
        ``"within_study_auroc"`` and ``"pooled_auroc"`` of the true probability, and
        ``"study_auroc"`` of the response rates alone; each NaN where only one class was drawn.

    Raises
    ------
    ValueError
        When a number is out of range, or rates do not match the studies.

    Examples
    --------
    >>> import dtp_scvi as dtp
    >>> ici = dtp.datasets.simulate_ici((30, 50), n_genes=40, leak_row_sums=True)
    >>> ici.shape
    (80, 40)
    >>> from dtp_scvi.stats import auroc
    >>> auroc(ici.obs["response"], -ici.X.sum(axis=1))
    1.0
    """
    sizes = _sizes(n_patients)
    rates = _rates(response_rates, len(sizes))
    _check(n_genes, n_signal_genes, study_effect, signal)
    used = fixed_seed(seed)
    rng = np.random.default_rng(used)
    study = np.repeat(np.arange(len(sizes)), sizes)
    state = rng.standard_normal(len(study))
    # Centred within studies: the state must not tell them apart.
    state -= np.array([state[study == i].mean() for i in range(len(sizes))])[study]
    probability = expit(_log_odds(rates)[study] + signal * state)
    response = rng.random(len(study)) < probability
    loading = np.zeros(n_genes)
    chosen = rng.choice(n_genes, n_signal_genes, replace=False)
    loading[chosen] = _LOADING * rng.choice([-1.0, 1.0], n_signal_genes)
    shares = _shares(study, state, loading, study_effect, rng)
    if leak_row_sums:
        total = np.exp(rng.uniform(*_LOG_LEAK_TOTAL, len(study)))
        shares *= (total / (total + response))[:, None]
    obs = _obs(study, len(sizes), response, state, probability, rng)
    obs, keep = _with_copies(obs, response, duplicate=duplicate_responders)
    parameters: dict[str, Any] = {
        "n_patients": np.array(sizes),
        "n_genes": n_genes,
        "response_rates": rates,
        "study_effect": study_effect,
        "signal": signal,
        "n_signal_genes": n_signal_genes,
        "leak_row_sums": leak_row_sums,
        "duplicate_responders": duplicate_responders,
    }
    record = {
        "simulated": True,
        "generator": "dtp_scvi.datasets.simulate_ici",
        "version": __version__,
        "seed": used,
        "parameters": parameters,
        "within_study_auroc": auroc(response, probability, strata=study),
        "pooled_auroc": auroc(response, probability),
        "study_auroc": auroc(response, rates[study]),
    }
    var = pd.DataFrame({"true_loading": loading}, index=pd.Index(choose_genes(n_genes)))
    return AnnData(shares[keep], obs=obs, var=var, uns={SIMULATION_KEY: record})


def _sizes(n_patients: Sequence[int]) -> list[int]:
    sizes = [n_patients] if isinstance(n_patients, int) else list(n_patients)
    if not sizes:
        msg = problem("at least one study in `n_patients`", "none", "Give its size.")
        raise ValueError(msg)
    for size in sizes:
        check_positive_int(size, "n_patients")
    return [int(size) for size in sizes]


def _rates(given: Sequence[float] | float | None, n_studies: int) -> np.ndarray:
    if given is None:
        return np.resize([0.54, 0.18, 0.0, 0.40], n_studies)
    rates = np.atleast_1d(np.asarray(given, np.float64))
    rates = np.repeat(rates, n_studies) if rates.size == 1 else rates
    if len(rates) != n_studies:
        msg = problem(
            f"one of `response_rates` for each of {n_studies} studies",
            f"{len(rates)}",
            "Give as many as `n_patients`, or one for all.",
        )
        raise ValueError(msg)
    for rate in rates:
        check_range(float(rate), "response_rates", 0.0, 1.0)
    return rates


def _check(n_genes: int, n_signal_genes: int, study_effect: float, signal: float) -> None:
    check_positive_int(n_genes, "n_genes")
    check_range(n_signal_genes, "n_signal_genes", 0, n_genes)
    check_range(study_effect, "study_effect", 0.0, 10.0)
    check_range(signal, "signal", -10.0, 10.0)


def _log_odds(rates: np.ndarray) -> np.ndarray:
    # A rate of 0 or 1 is a study of one class, whatever the state says.
    with np.errstate(divide="ignore"):
        return np.asarray(logit(rates))


def _shares(
    study: np.ndarray,
    state: np.ndarray,
    loading: np.ndarray,
    study_effect: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """Draw counts of a panel and close them."""
    n, n_genes = len(study), len(loading)
    logs = rng.normal(0, _GENE_SD, n_genes) + np.outer(state, loading)
    shift = rng.normal(0, _STUDY_SD, (int(study.max()) + 1, n_genes))
    logs = logs + study_effect * shift[study] + rng.normal(0, _PATIENT_SD, (n, n_genes))
    expected = np.exp(logs)
    expected /= expected.sum(axis=1, keepdims=True)
    depth = np.rint(_DEPTH * rng.lognormal(0, 0.4, n)).astype(int)
    counts = np.array([rng.multinomial(d, p) for d, p in zip(depth, expected, strict=True)])
    return counts / counts.sum(axis=1, keepdims=True)


def _with_copies(
    obs: pd.DataFrame, response: np.ndarray, *, duplicate: bool
) -> tuple[pd.DataFrame, np.ndarray]:
    """Return ``obs`` with the copies below the patients, and the row that each was taken from."""
    n = len(obs)
    extra = np.flatnonzero(response) if duplicate else np.zeros(0, np.int64)
    keep = np.concatenate([np.arange(n), extra])
    out = obs.iloc[keep].assign(is_copy=np.arange(len(keep)) >= n)
    out.index = pd.Index([*obs.index, *(f"{obs.index[i]}_copy" for i in extra)])
    return out, keep


def _obs(
    study: np.ndarray,
    n_studies: int,
    response: np.ndarray,
    state: np.ndarray,
    probability: np.ndarray,
    rng: np.random.Generator,
) -> pd.DataFrame:
    words = [
        _WORDS[bool(r)][i] for r, i in zip(response, rng.integers(0, 2, len(study)), strict=True)
    ]
    width = len(str(len(study)))
    names = [f"patient_{i:0{width}d}" for i in range(1, len(study) + 1)]
    levels = [f"study_{i}" for i in range(1, n_studies + 1)]
    return pd.DataFrame(
        {
            PATIENT_KEY: pd.Categorical(names),
            "study": pd.Categorical.from_codes(study, levels),
            "recist": pd.Categorical(words, ["CR", "PR", "SD", "PD"]),
            RESPONSE_KEY: response.astype(np.float64),
            "true_state": state,
            "true_probability": probability,
        },
        index=pd.Index(names),
    )
