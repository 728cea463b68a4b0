"""Signs that a table of drug response was made up, or made from the score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import pandas as pd
from scipy.stats import norm, rankdata

from dtp_scvi._logging import warn
from dtp_scvi._validate import problem, shorten
from dtp_scvi.data import are_headers
from dtp_scvi.stats import within_drug_rank

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

Level = Literal["ok", "warning", "error", "simulated", "not judged"]

_ENOUGH_ROWS: Final = 30
_ENOUGH_DRUGS: Final = 3
# Correlation of drugs through the patient that a real screen exceeds, and how well it must be
# known before its absence is a sign: 0.02 is five drugs in 250 patients.
_FEWEST_SHARED: Final = 0.05
_KNOWN_TO: Final = 0.02
# No independent measurement agrees with a mean of drugs, or with one, as well as this.
_SAME: Final = 0.95
_SAME_AS_ONE: Final = 0.99
_EXPLAINED: Final = 0.98
_TOGETHER: Final = ("complete", "unit_range", "residual_correlation")


@dataclass(frozen=True)
class Finding:
    """
    One guard: what it measured and what that means.

    Attributes
    ----------
    guard
        Its name.
    level
        ``"ok"``, ``"warning"``, ``"error"``, ``"simulated"`` (would have spoken, but the data say
        that they are simulated), or ``"not judged"``.
    value
        What was measured; NaN where nothing could be.
    message
        What was found.
    """

    guard: str
    level: Level
    value: float
    message: str


def check_provenance(
    score: NDArray[np.float64],
    response: pd.DataFrame,
    rows: Iterable[object],
    auc_range: Sequence[float] | None,
    *,
    simulated: bool,
) -> list[Finding]:
    """
    Judge where score and response come from.

    Parameters
    ----------
    score
        One number per row, NaN where not scored.
    response
        Rows x drugs, NaN where not measured.
    rows
        Names of the rows.
    auc_range
        Least and largest value of the source's scale; ``None`` where unknown.
    simulated
        Whether the data say that they are simulated: what is found is then expected.

    Returns
    -------
    One finding per guard, then one on several signs together.
    """
    measured = response.loc[:, response.notna().any()]
    findings = [
        _header(rows),
        _complete(measured),
        _same_samples(measured),
        _range(measured, auc_range),
        _residual(score, measured),
        *_from_response(score, measured),
    ]
    findings.append(_several(findings))
    if simulated:
        findings = [_excused(finding) for finding in findings]
    return findings


def as_table(findings: Iterable[Finding]) -> pd.DataFrame:
    """Return the findings as a table, one a row."""
    columns = ["guard", "level", "value", "message"]
    return pd.DataFrame(
        [[getattr(f, name) for name in columns] for f in findings], columns=columns
    )


def speak(findings: Iterable[Finding], *, raises: bool) -> None:
    """Raise what is an error, unless told not to, and warn once of all the rest."""
    spoken = [f for f in findings if f.level in ("error", "warning")]
    errors = [f for f in spoken if f.level == "error"]
    if errors and raises:
        msg = problem(
            "measured drug response, and a score that knows nothing of it",
            " ".join(f.message for f in spoken).rstrip("."),
            'Correct the data; guards="warn" goes on all the same and records this.',
        )
        raise ValueError(msg)
    if spoken:
        warn("PROVENANCE OF THE DRUG RESPONSE: " + " ".join(f.message for f in spoken))


def _excused(finding: Finding) -> Finding:
    if finding.level not in ("error", "warning") or finding.guard == "header":
        return finding
    return Finding(finding.guard, "simulated", finding.value, finding.message)


def _header(rows: Iterable[object]) -> Finding:
    """A column of the expression file that is no sample, scored as one."""
    names = [str(name) for name in rows]
    found = [name for name, header in zip(names, are_headers(names), strict=True) if header]
    if not found:
        return Finding("header", "ok", 0.0, "No row is called like a column header.")
    text = f"Rows called like headers of a gene table are scored as samples: {shorten(found)}."
    return Finding("header", "error", float(len(found)), text)


def _complete(response: pd.DataFrame) -> Finding:
    share = float(response.notna().to_numpy().mean()) if response.size else float("nan")
    text = f"{share:.1%} of the drug matrix is measured."
    if response.shape[1] < _ENOUGH_DRUGS or len(response) < _ENOUGH_ROWS:
        return Finding("complete", "not judged", share, text)
    if share < 1:
        return Finding("complete", "ok", share, text)
    text = (
        f"The drug matrix is complete ({len(response):,} samples x {response.shape[1]} drugs, "
        "no value missing); measured ones are sparse."
    )
    return Finding("complete", "warning", share, text)


def _same_samples(response: pd.DataFrame) -> Finding:
    kinds = len({column.tobytes() for column in response.notna().to_numpy().T})
    text = f"{kinds} sets of samples over {response.shape[1]} drugs."
    if response.shape[1] < _ENOUGH_DRUGS or len(response) < _ENOUGH_ROWS:
        return Finding("same_samples", "not judged", float(kinds), text)
    if kinds > 1:
        return Finding("same_samples", "ok", float(kinds), text)
    text = f"All {response.shape[1]} drugs were measured in exactly the same samples."
    return Finding("same_samples", "warning", 1.0, text)


def _range(response: pd.DataFrame, auc_range: Sequence[float] | None) -> Finding:
    if not response.size:
        return Finding("unit_range", "not judged", float("nan"), "No drug was measured.")
    low, high = float(np.nanmin(response)), float(np.nanmax(response))
    text = f"Values from {low:g} to {high:g}."
    within = low >= 0 and high <= 1
    if auc_range is None:
        if not within:
            return Finding("unit_range", "ok", high, text)
        text += " All lie in [0, 1], as a share does; published areas (0-300) do not. Pass `auc_range`."
        return Finding("unit_range", "warning", high, text)
    least, most = (float(end) for end in auc_range)
    if within and most > 2:
        text += f" All lie in [0, 1], but the source's scale is {least:g} to {most:g}."
        return Finding("unit_range", "error", high, text)
    slack = 0.01 * (most - least)
    if low < least - slack or high > most + slack:
        text += f" The source's scale is {least:g} to {most:g}."
        return Finding("unit_range", "error", high, text)
    return Finding("unit_range", "ok", high, text)


def _residual(score: NDArray[np.float64], response: pd.DataFrame) -> Finding:
    """Mean correlation between drugs of what the score leaves of their ranks."""
    name = "residual_correlation"
    left = pd.DataFrame(
        {drug: _leftover(score, column.to_numpy()) for drug, column in response.items()}
    )
    pairs = np.triu_indices(left.shape[1], 1)
    both = (left.notna().astype(float).T @ left.notna().astype(float)).to_numpy()[pairs]
    found = left.corr(min_periods=_ENOUGH_ROWS).to_numpy()[pairs]
    kept = np.isfinite(found) & (both >= _ENOUGH_ROWS)
    if not kept.any():
        text = "Too few samples share two drugs to see whether drugs correlate."
        return Finding(name, "not judged", float("nan"), text)
    mean = float(found[kept].mean())
    error = float(np.sqrt((1 / both[kept]).sum()) / kept.sum())
    text = f"Given the score, drugs correlate by {mean:.3f} on average (±{error:.3f} by chance)."
    if error > _KNOWN_TO:
        return Finding(name, "not judged", mean, text)
    if mean >= _FEWEST_SHARED:
        return Finding(name, "ok", mean, text)
    text += " Measured drugs share the patient, so they correlate."
    return Finding(name, "warning", mean, text)


def _leftover(score: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks of one drug minus what a line on the ranks of the score explains."""
    kept = ~np.isnan(values) & ~np.isnan(score)
    out = np.full(len(values), np.nan)
    if kept.sum() < _ENOUGH_ROWS:
        return out
    x, y = rankdata(score[kept]), rankdata(values[kept])
    x, y = x - x.mean(), y - y.mean()
    out[kept] = y - x * (x @ y) / max(float(x @ x), 1.0)
    return out


def _from_response(score: NDArray[np.float64], response: pd.DataFrame) -> list[Finding]:
    """Whether the score is the response in another form."""
    mean = _spearman(score, within_drug_rank(response.to_numpy()))
    text = f"Rank correlation {mean:.3f} of the score with the mean response over all drugs"
    singles = [_spearman(score, column) for column in response.to_numpy().T]
    best = int(np.nanargmax(np.abs(singles))) if np.isfinite(singles).any() else 0
    single = singles[best] if singles else float("nan")
    one = f"{single:.3f} with {response.columns[best]!r}" if singles else "no drug"
    explained = _explained(score, response)
    line = f"The drugs explain {explained:.1%} of the score (adjusted) by a line"
    return [
        _judged("score_is_mean", mean, _SAME, text),
        _judged("score_is_a_drug", single, _SAME_AS_ONE, f"Largest rank correlation {one}"),
        _judged("score_is_a_combination", explained, _EXPLAINED, line),
    ]


def _judged(guard: str, value: float, limit: float, text: str) -> Finding:
    if np.isnan(value):
        return Finding(guard, "not judged", value, "Too few samples to compare.")
    if abs(value) < limit:
        return Finding(guard, "ok", value, f"{text}.")
    text += ": the score was computed from the response, or the model was trained on it."
    return Finding(guard, "error", value, text)


def _spearman(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    kept = ~np.isnan(x) & ~np.isnan(y)
    if kept.sum() < _ENOUGH_ROWS or np.ptp(x[kept]) == 0 or np.ptp(y[kept]) == 0:
        return float("nan")
    return float(np.corrcoef(rankdata(x[kept]), rankdata(y[kept]))[0, 1])


def _explained(score: NDArray[np.float64], response: pd.DataFrame) -> float:
    """Adjusted share of the score, or of its normal scores, that a line in the drugs explains."""
    kept = ~np.isnan(score) & response.notna().any(axis=1).to_numpy()
    n, k = int(kept.sum()), response.shape[1]
    if n < max(_ENOUGH_ROWS, 3 * k) or np.ptp(score[kept]) == 0:
        return float("nan")
    values = response.to_numpy()[kept]
    spread = np.nanstd(values, axis=0)
    centred = (values - np.nanmean(values, axis=0)) / np.where(spread > 0, spread, 1.0)
    design = np.column_stack([np.ones(n), np.nan_to_num(centred)])
    shares = []
    for y in (score[kept], norm.ppf((rankdata(score[kept]) - 0.5) / n)):
        rest = y - design @ np.linalg.lstsq(design, y, rcond=None)[0]
        shares.append(1 - float(rest @ rest) / float(((y - y.mean()) ** 2).sum()))
    return 1 - (1 - max(shares)) * (n - 1) / (n - k - 1)


def _several(findings: Sequence[Finding]) -> Finding:
    """A complete matrix in [0, 1] whose drugs share nothing but the score is a generator's."""
    spoken = [
        f.guard for f in findings if f.guard in _TOGETHER and f.level in ("warning", "error")
    ]
    n = float(len(spoken))
    if len(spoken) < len(_TOGETHER):
        return Finding("generated", "ok", n, f"{len(spoken)} of 3 marks of a generated table.")
    text = (
        "A complete matrix, all in [0, 1], whose drugs share nothing but the score: these are the "
        "marks of numbers generated from the score."
    )
    return Finding("generated", "error", n, text)
