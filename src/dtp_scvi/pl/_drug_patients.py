"""One drug, patient by patient: against the score, and in order of response."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from matplotlib.patches import Patch

from dtp_scvi._constants import DRUG_RESPONSE_KEY
from dtp_scvi._docs import docs
from dtp_scvi._validate import problem
from dtp_scvi.pl._drug import (
    TOOL,
    find_drug,
    high_means,
    number,
    response_result,
    small,
    warn_of_guards,
)
from dtp_scvi.pl._source import entry
from dtp_scvi.pl._style import BLUE, DARK, SMALL, VERMILLION, display, dress, new_axes

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

_FIFTHS: Final = 5


@docs.dedent
def drug_scatter(
    data: Any, drug: str, *, key: str = DRUG_RESPONSE_KEY, ax: Axes | None = None
) -> Axes:
    """
    Draw the response to one drug against the score, a point a patient.

    Parameters
    ----------
    %(drug_result)s
    drug
        Name of the drug, in any case of letters.
    %(uns_key)s
    %(ax)s

    Returns
    -------
    The axes. The line joins the medians of fifths of the patients by score; correlation, interval
    and n stand above. The response is drawn as it was given.

    Raises
    ------
    KeyError
        Nothing is stored under ``key``, or the drug isn't in it.
    ValueError
        No scored patient was tested with the drug.

    Examples
    --------
    >>> import dtp_scvi as dtp
    >>> cells = dtp.datasets.simulate_cells(1000, 100)
    >>> bulk = dtp.datasets.simulate_cohort(120, cells=cells, n_drugs=4)
    >>> _ = dtp.tl.drug_response(
    ...     bulk, score_key="true_persister_fraction", n_boot=50, n_permutations=50
    ... )
    >>> dtp.pl.drug_scatter(bulk, "DRUG_1").get_ylabel()
    'drug_1 (high: resistant)'
    """
    result, row, score, response = _one_drug(data, drug, key)
    params = entry(result, "params", TOOL)
    ax = new_axes(ax)
    ax.plot(score, response, "o", color=BLUE, alpha=0.45, markersize=4, markeredgewidth=0)
    order = np.argsort(score, kind="stable")
    parts = [part for part in np.array_split(order, _FIFTHS) if len(part)]
    middle = np.array([[np.median(score[part]), np.median(response[part])] for part in parts])
    ax.plot(*middle.T, "-o", color=VERMILLION, linewidth=1.6, markersize=4.5, zorder=4)
    dress(ax, display(params["score_key"]), f"{row['drug']} (high: {high_means(params)})")
    _headline(ax, result, row, data)
    return ax


@docs.dedent
def drug_waterfall(
    data: Any, drug: str, *, key: str = DRUG_RESPONSE_KEY, ax: Axes | None = None
) -> Axes:
    """
    Draw the patients in order of their response to one drug, coloured by score.

    Parameters
    ----------
    %(drug_result)s
    drug
        Name of the drug, in any case of letters.
    %(uns_key)s
    %(ax)s

    Returns
    -------
    The axes: a bar a patient from the median response, the most resistant at the left. Colours
    tell scores above the median from the others; half of the bars have either one.

    Raises
    ------
    KeyError
        Nothing is stored under ``key``, or the drug isn't in it.
    ValueError
        No scored patient was tested with the drug.

    Examples
    --------
    >>> import dtp_scvi as dtp
    >>> cells = dtp.datasets.simulate_cells(1000, 100)
    >>> bulk = dtp.datasets.simulate_cohort(120, cells=cells, n_drugs=4)
    >>> table = dtp.tl.drug_response(
    ...     bulk, score_key="true_persister_fraction", n_boot=50, n_permutations=50
    ... )
    >>> ax = dtp.pl.drug_waterfall(bulk, "drug_1")
    >>> len(ax.patches) == int(table.set_index("drug").loc["drug_1", "n"])
    True
    """
    result, row, score, response = _one_drug(data, drug, key)
    params = entry(result, "params", TOOL)
    sign = 1 if high_means(params) == "resistant" else -1
    order = np.argsort(-sign * response, kind="stable")
    above = score[order] > np.median(score)
    ax = new_axes(ax, 4.4, 2.8)
    ax.bar(
        np.arange(len(order)),
        response[order] - np.median(response),
        width=1.0 if len(order) > 60 else 0.9,
        color=[VERMILLION if high else BLUE for high in above],
        linewidth=0,
    )
    ax.axhline(0, color=DARK, linewidth=0.8)
    ax.set_xticks([])
    ax.margins(x=0.01)
    dress(ax, "Patients, most resistant first", f"{row['drug']}, from the median")
    ax.legend(
        handles=[
            Patch(color=VERMILLION, label="score above its median"),
            Patch(color=BLUE, label="at or below"),
        ],
        loc="upper right" if sign > 0 else "lower right",
        fontsize=SMALL,
        frameon=False,
        handlelength=1.0,
    )
    _headline(ax, result, row, data)
    return ax


def _one_drug(
    data: Any, drug: str, key: str
) -> tuple[Mapping[str, Any], pd.Series[Any], NDArray[np.float64], NDArray[np.float64]]:
    """Stored result, the drug's row, and score and response of its patients."""
    result, table = response_result(data, key)
    row = find_drug(table, drug)
    score = entry(result, "patients", TOOL)["score"].to_numpy(dtype=np.float64)
    response = entry(result, "response", TOOL)[row["drug"]].to_numpy(dtype=np.float64)
    kept = ~np.isnan(response)
    if not kept.any():
        msg = problem(
            f"patients tested with {row['drug']!r}", "none", "Draw a drug with a larger n."
        )
        raise ValueError(msg)
    return result, row, score[kept], response[kept]


def _headline(ax: Axes, result: Mapping[str, Any], row: pd.Series[Any], data: Any) -> None:
    """Correlation, interval, n and q, or why there is none."""
    if bool(row["tested"]):
        text = (
            f"ρ = {number(row['rho'])} [{number(row['low'])}, {number(row['high'])}], "
            f"n = {int(row['n'])}, {small('q', float(row['q']))}"
        )
    else:
        text = f"not tested: {row['reason']}"
    warn_of_guards(ax, result, data)
    below = "\n" if ax.get_title("right") else ""
    ax.set_title(text + below, loc="left", fontsize=SMALL, color=DARK)
