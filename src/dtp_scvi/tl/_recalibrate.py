"""Fit probabilities and calls anew on a scored cohort."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from dtp_scvi._constants import (
    CALL_SUFFIX,
    FEWEST_ROWS,
    KEY_ADDED,
    LOGIT_SUFFIX,
    SCORE_SUFFIX,
    SET_SUFFIX,
    STD_SUFFIX,
)
from dtp_scvi._docs import docs
from dtp_scvi._labels import label_text, text_column
from dtp_scvi._logging import warn
from dtp_scvi._validate import check_key, check_one_of, check_range, problem, shorten
from dtp_scvi.stats import (
    Calibration,
    ScoreReference,
    choose_threshold,
    label_shift_test,
    logit,
    prior_correction,
    saerens_em,
    sigmoid,
)
from dtp_scvi.tl._calls import called

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from anndata import AnnData

Fitted = tuple[np.ndarray, dict[str, Any]]


@docs.dedent
def recalibrate(
    adata: AnnData,
    *,
    labels: str | None = None,
    prevalence: float | Literal["estimate"] | None = None,
    negatives: str | np.ndarray | None = None,
    target_fpr: float = 0.05,
    groupby: str | None = None,
    donor_key: str | None = None,
    key: str = KEY_ADDED,
    seed: int = 0,
) -> None:
    """Adapt probabilities and calls of a scored object to what is known of it.

    Exactly one of ``labels``, ``prevalence`` and ``negatives`` says what is known. Log-odds and
    ranks stay as they are.

    Parameters
    ----------
    adata
        Object that :func:`score` has written into.
    labels
        Column of ``adata.obs`` with the class of some rows, missing for the others. A logistic
        curve is fitted to these (Platt, 1999) and a threshold chosen on them, by the model's rule
        where that needs nothing but labels, else by Youden's.
    prevalence
        Share of the positive class, in (0, 1), known from elsewhere; or ``"estimate"`` to take it
        from the scores (Saerens et al., Neural Computation 2002). Both assume that the classes
        score as they did in training and only their shares moved; the estimate is refused where
        a test says otherwise, or the transfer check found ``rank_only``. Calls stay those of the
        model, unless its rule is ``fixed``.
    negatives
        Column of booleans in ``adata.obs``, or a mask, of rows known to be negative, such as
        healthy marrow. The threshold becomes their ``1 - target_fpr`` quantile. Probabilities
        stay as they are, and are not vouched for.
    target_fpr
        Share of the negatives that may be called positive, in (0, 1).
    groupby
        Column of ``adata.obs``: recalibrate each of its groups, e.g. samples, alone.
    donor_key
        Column of ``adata.obs`` with the donor of each row, for the test of ``"estimate"`` and the
        intervals.
    key
        Prefix of the columns that :func:`score` wrote.
    %(seed)s

    Returns
    -------
    Nothing. ``adata.obs["dtp_score"]`` and ``adata.obs["dtp_call"]`` are written anew, and
    ``adata.uns["dtp"]["recalibration"]`` says how, for each group: method, numbers, threshold.
    With new probabilities, ``obs["dtp_std"]`` and ``obs["dtp_set"]``, which belong to the old
    ones, are removed.

    Raises
    ------
    KeyError
        When the object was not scored, or a column is missing.
    ValueError
        When the score is that of a :class:`~dtp_scvi.model.ResponseModel`, which has no
        probability, not exactly one source is given, a class or the negatives are missing,
        ``prevalence`` or ``target_fpr`` lies outside (0, 1), or the estimate is refused.

    Examples
    --------
    >>> import dtp_scvi as dtp
    >>> cells = dtp.datasets.simulate_cells(300, 200, n_donors=4)
    >>> dtp.model.DTPTransformer.setup_anndata(
    ...     cells, "state", positive="drug_tolerant", layer="counts", donor_key="donor"
    ... )
    >>> teacher = dtp.model.DTPTransformer(cells, n_programs=8)
    >>> teacher.train(max_epochs=2, verbose=False)
    >>> query = dtp.datasets.simulate_cells(200, 200, n_donors=4, seed=1)
    >>> dtp.tl.score(query, teacher, transfer="skip")
    >>> query.obs["healthy"] = query.obs["state"] == "sensitive"
    >>> dtp.tl.recalibrate(query, negatives="healthy", target_fpr=0.1)
    >>> query.uns["dtp"]["recalibration"]["method"]
    'negatives'
    """
    logits, record = _scored(adata, key)
    given = {"labels": labels, "prevalence": prevalence, "negatives": negatives}
    named = [name for name, value in given.items() if value is not None]
    if len(named) != 1:
        msg = problem(
            "one of `labels`, `prevalence`, `negatives`", ", ".join(named) or "none", "Pass one."
        )
        raise ValueError(msg)
    check_range(target_fpr, "target_fpr", 0, 1, inclusive=False)
    if isinstance(prevalence, int | float):
        check_range(prevalence, "prevalence", 0, 1, inclusive=False)
    donors = None if donor_key is None else text_column(adata.obs, donor_key, "donor_key")
    groups = None if groupby is None else text_column(adata.obs, groupby, "groupby")
    fit: Callable[[np.ndarray], Fitted]
    if labels is not None:
        truth, known = _truth(adata, labels, record)
        fit = partial(_supervised, logits, truth, known, donors, record, seed)
    elif negatives is not None:
        mask = _mask(adata, negatives)
        old = adata.obs[f"{key}{SCORE_SUFFIX}"].to_numpy()
        fit = partial(_anchored, old, mask, target_fpr)
    else:
        known_share = None if isinstance(prevalence, str) else prevalence
        if known_share is None:
            check_one_of(str(prevalence), ("estimate",), "prevalence")
            _refuse_another_kind(record)
        fit = partial(_shifted, logits, known_share, donors, record, seed)
    parts = [np.arange(len(logits))] if groups is None else _parts(groups)
    names = ["all"] if groups is None else [str(groups[rows[0]]) for rows in parts]
    # All groups are fitted before anything is written.
    fitted = [fit(rows) for rows in parts]
    _write(adata, key, record, parts, names, fitted, method=named[0])


def _scored(adata: AnnData, key: str) -> tuple[np.ndarray, dict[str, Any]]:
    column = f"{key}{LOGIT_SUFFIX}"
    record = adata.uns.get(key, {})
    if "model" in record and "positive" not in record:
        named = f" {record['name']}" if record.get("name") else ""
        msg = problem(
            f"a classifier's score under {key!r}: recalibration changes its probabilities and calls",
            f"the score of the {record['model']}{named}, which predicts values and has neither",
            "Score with a DTPTransformer or DTPStudent first, or pass its `key`.",
        )
        raise ValueError(msg)
    if column not in adata.obs or key not in adata.uns:
        there = [column] * (column in adata.obs) + [f"adata.uns[{key!r}]"] * (key in adata.uns)
        msg = problem(
            f"adata.obs[{column!r}] and adata.uns[{key!r}]",
            f"only {there[0]}" if there else "neither",
            "Run dtp.tl.score first.",
        )
        raise KeyError(msg)
    return adata.obs[column].to_numpy(dtype=np.float64), dict(adata.uns[key])


def _parts(groups: np.ndarray) -> list[np.ndarray]:
    return [np.flatnonzero(groups == name) for name in np.unique(groups)]


def _truth(
    adata: AnnData, labels: str, record: Mapping[str, Any]
) -> tuple[np.ndarray, np.ndarray]:
    check_key(adata.obs, labels, "adata.obs", "labels")
    column = adata.obs[labels]
    known = ~column.isna().to_numpy()
    text = np.full(len(column), "", dtype=object)
    # A 0/1 column with gaps is stored as 0.0 and 1.0.
    text[known] = label_text(column[known])
    positive = str(record["positive"])
    if not (text[known] == positive).any():
        found = shorten(sorted(set(text[known]))) or "no label"
        msg = problem(
            f"rows labelled {positive!r}", found, "Name the positive class as the model does."
        )
        raise ValueError(msg)
    return text == positive, known


def _mask(adata: AnnData, negatives: str | np.ndarray) -> np.ndarray:
    if isinstance(negatives, str):
        check_key(adata.obs, negatives, "adata.obs", "negatives")
        negatives = adata.obs[negatives].to_numpy()
    mask = np.asarray(negatives)
    if mask.dtype != bool or mask.shape != (adata.n_obs,):
        msg = problem(
            f"`negatives` as a boolean for each of {adata.n_obs:,} rows",
            f"{mask.dtype} of shape {mask.shape}",
            'Pass for example adata.obs["tissue"] == "healthy marrow".',
        )
        raise ValueError(msg)
    return mask


def _supervised(
    logits: np.ndarray,
    truth: np.ndarray,
    known: np.ndarray,
    donors: np.ndarray | None,
    record: Mapping[str, Any],
    seed: int,
    rows: np.ndarray,
) -> Fitted:
    here = rows[known[rows]]
    if len(here) < FEWEST_ROWS:
        msg = problem(
            f"at least {FEWEST_ROWS} labelled rows",
            f"{len(here):,} of {len(rows):,}",
            "Label more.",
        )
        raise ValueError(msg)
    named = None if donors is None or len(set(donors[here])) < 2 else donors[here]
    found = Calibration.fit(
        logits[here], truth[here], source="held_out", groups=named, n_boot=200, seed=seed
    )
    if found.calibrator is None:
        msg = problem(
            "log-odds that are higher in the positive class",
            found.reason,
            "The score carries no signal here: do not recalibrate it.",
        )
        raise ValueError(msg)
    # The best threshold for the labelled rows, by the model's rule where that needs labels alone.
    rule = str(record["threshold"]["rule"])
    rule = rule if rule in ("youden", "f1", "mcc") else "youden"
    cut = choose_threshold(
        truth[here], found.transform(logits[here]), rule=rule, groups=named, seed=seed
    )
    return found.transform(logits[rows]), {
        "threshold": cut.to_dict(),
        "calibration": found.to_dict(),
        "n_labels": len(here),
    }


def _anchored(old: np.ndarray, mask: np.ndarray, target_fpr: float, rows: np.ndarray) -> Fitted:
    here = np.sort(old[rows[mask[rows]]])
    fewest = int(np.ceil(1 / target_fpr))
    if len(here) < fewest:
        msg = problem(
            f"at least {fewest:,} negatives for a false-positive rate of {target_fpr:g}",
            f"{len(here):,}",
            "Name more negatives, or raise `target_fpr`.",
        )
        raise ValueError(msg)
    # Conformal quantile: of a new negative the chance to reach it is at most target_fpr.
    rank = int(np.ceil((1 - target_fpr) * (len(here) + 1))) - 1
    value = float(np.nextafter(here[min(rank, len(here) - 1)], np.inf))
    cut = {"value": value, "rule": "fpr", "target": target_fpr}
    reached = float((here >= value).mean())
    return old[rows], {
        "threshold": cut,
        "n_negatives": len(here),
        "false_positive_rate": reached,
    }


def _shifted(
    logits: np.ndarray,
    prevalence: float | None,
    donors: np.ndarray | None,
    record: Mapping[str, Any],
    seed: int,
    rows: np.ndarray,
) -> Fitted:
    calibration = record.get("calibration") or {}
    if "calibrator" not in calibration or "score_reference" not in record:
        msg = problem(
            "a model with a calibration",
            "none",
            "Pass `labels` or `negatives`, or train the model on more held-out rows.",
        )
        raise ValueError(msg)
    source = float(calibration["prevalence"])
    old = Calibration.from_dict(calibration).transform(logits[rows])
    facts: dict[str, Any] = {"training_prevalence": source}
    if prevalence is None:
        reference = ScoreReference.from_dict(record["score_reference"])
        named = None if donors is None else donors[rows]
        test = label_shift_test(reference, logits[rows], target_groups=named, seed=seed)
        facts |= {"label_shift_p": test.p_value, "n_rows": len(rows)}
        if not test.accepted:
            msg = problem(
                "scores that another share of the positive class explains",
                test.reason,
                "The classes do not score as in training: pass `labels` or `negatives`.",
            )
            raise ValueError(msg)
        prevalence = float(saerens_em(old, source).prevalence)
    new = prior_correction(old, source, prevalence)
    shift = logit(prevalence) - logit(source)
    cut = dict(record["threshold"])
    # Youden's and the others cut at a likelihood ratio of the same rows, which the prior leaves
    # where it is; a fixed threshold is one on the probability itself.
    for name in ("value", "low", "high"):
        if name in cut and cut["rule"] != "fixed":
            cut[name] = float(sigmoid(logit(cut[name]) + shift))
    return new, {"threshold": cut, "prevalence": prevalence, **facts}


def _refuse_another_kind(record: Mapping[str, Any]) -> None:
    """Raise where the transfer check found rows that the classes of training do not describe."""
    found = record.get("transfer", {})
    if found.get("found") == "rank_only":
        msg = problem(
            "rows of the kind that the model was trained on",
            f"the verdict rank_only ({next(iter(found['reasons']), '')})",
            "Their scores can't tell the share of the positive class: pass `labels` or "
            "`negatives`.",
        )
        raise ValueError(msg)


def _write(
    adata: AnnData,
    key: str,
    record: dict[str, Any],
    parts: list[np.ndarray],
    names: list[str],
    fitted: list[Fitted],
    *,
    method: str,
) -> None:
    probability = np.full(adata.n_obs, np.nan)
    codes = np.full(adata.n_obs, -1)
    for rows, (values, facts) in zip(parts, fitted, strict=True):
        calls = called(values, facts["threshold"], str(record["positive"]), withheld=False)
        probability[rows], codes[rows] = values, calls.codes
    adata.obs[f"{key}{SCORE_SUFFIX}"] = probability
    adata.obs[f"{key}{CALL_SUFFIX}"] = type(calls).from_codes(codes, calls.categories)
    details = [entry for _, entry in fitted]
    table = pd.DataFrame(
        [
            {"threshold": entry["threshold"]["value"]}
            | {name: value for name, value in entry.items() if not isinstance(value, dict)}
            for entry in details
        ],
        index=pd.Index(names, name="group"),
    )
    found: dict[str, Any] = {"method": method, "groups": table}
    if len(details) == 1:
        found |= {name: value for name, value in details[0].items() if isinstance(value, dict)}
    record["recalibration"] = found
    if method != "negatives":
        # Spread and sets belong to the probabilities of before.
        stale = [f"{key}{STD_SUFFIX}", f"{key}{SET_SUFFIX}"]
        adata.obs.drop(columns=stale, inplace=True, errors="ignore")
    cuts = table["threshold"]
    said = f"{cuts.min():.3f}" if len(cuts) == 1 else f"{cuts.min():.3f} to {cuts.max():.3f}"
    # Never silent: the probabilities and calls of before are gone.
    warn(
        f"Recalibrated by {method} ({adata.n_obs:,} rows in {len(cuts):,} groups): "
        f"threshold {said}."
    )
    record["probability_holds"] = method == "labels"
    adata.uns[key] = record
