"""What ``dtp score`` says and writes of the scores, for classifiers and models of a response."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from anndata import AnnData

    from dtp_scvi.cli._describe import Finding

_DIRECTIONS: Final = {
    "higher_is_resistant": "higher is more resistant",
    "higher_is_sensitive": "higher is more sensitive",
}


def score_columns(adata: AnnData, key_added: str) -> pd.DataFrame:
    """Return the columns that tl.score wrote, those of all targets of a model after them."""
    import pandas as pd

    from dtp_scvi import _constants as names

    suffixes = ("LOGIT", "SCORE", "RANK", "CALL", "STD", "SET")
    columns = [f"{key_added}{getattr(names, f'{suffix}_SUFFIX')}" for suffix in suffixes]
    written = adata.obs[[column for column in columns if column in adata.obs]]
    responses = adata.obsm.get(f"{key_added}{names.RESPONSES_SUFFIX}")
    # Side by side rather than joined: names of rows may repeat.
    return written if responses is None else pd.concat([written, responses], axis=1)


def report_scores(adata: AnnData, key_added: str) -> None:
    """Say how the scores are spread, and what they rest on."""
    from dtp_scvi._constants import SCORE_SUFFIX
    from dtp_scvi.cli._screen import counted, findings

    info = adata.uns[key_added]
    scores = adata.obs[f"{key_added}{SCORE_SUFFIX}"]
    found = f"{info['weighted_coverage']:.1%} of it lies on the genes that were found"
    of_response = "direction" in info
    rows = (
        _of_response(adata, key_added, scores)
        if of_response
        else _of_classifier(adata, key_added, scores)
    )
    name = info.get("name") or info["model"]
    title = f"Scored {counted(adata.n_obs, 'row')}" + (f" with {name}" if of_response else "")
    findings(title, [("importance", found), *rows, ("note", str(info["research_use"]))])


def _of_classifier(adata: AnnData, key_added: str, scores: pd.Series) -> list[Finding]:
    from dtp_scvi._constants import CALL_SUFFIX
    from dtp_scvi.cli._describe import threshold_text

    info = adata.uns[key_added]
    low, middle, high = scores.quantile([0.05, 0.5, 0.95])
    rows = [
        ("score", f"median {middle:.3f}, 5–95 % of rows {low:.3f}–{high:.3f}"),
        ("threshold", threshold_text(info.get("threshold", {}))),
    ]
    call = f"{key_added}{CALL_SUFFIX}"
    if call in adata.obs:
        numbers = adata.obs[call].value_counts()
        counted = ", ".join(f"{name} {n:,}" for name, n in numbers.items())
        rows.append(("calls", counted if numbers.sum() else "withheld: read the rank"))
    if "transfer" in info:
        rows.append(("transfer", str(info["transfer"]["verdict"])))
        rows += [("", str(reason)) for reason in info["transfer"]["reasons"]]
    return rows


def _of_response(adata: AnnData, key_added: str, scores: pd.Series) -> list[Finding]:
    """Say values, units, worth and alignment; there is no threshold and no call."""
    from dtp_scvi._constants import RESPONSES_SUFFIX

    info = adata.uns[key_added]
    # Predicted AUCs have three digits before the point, predicted ranks none.
    low, middle, high = (f"{value:.4g}" for value in scores.quantile([0.05, 0.5, 0.95]))
    rows = [("score", f"median {middle}, 5–95 % of rows {low}–{high}")]
    n_missing = int(scores.isna().sum())
    if n_missing:
        rows.append(("missing", f"{n_missing:,} of {len(scores):,} rows have no score"))
    responses = adata.obsm.get(f"{key_added}{RESPONSES_SUFFIX}")
    if responses is not None:
        rows.append(("target", f"{info['target']}, one of {responses.shape[1]:,}"))
    rows += [
        ("units", str(info["units"]) or "not recorded"),
        ("direction", _DIRECTIONS[str(info["direction"])]),
        ("worth", str(info["worth"])),
    ]
    return rows + _alignment(info)


def _alignment(info: Mapping[str, Any]) -> list[Finding]:
    """Say how the rows were aligned, what is warranted, and why."""
    depends = ": each score depends on the other rows" if info["transductive"] else ""
    align = f"{info['align']}{depends}"
    if "transfer" not in info:
        return [("align", f"{align}; whether it is warranted was not checked")]
    check = info["transfer"]
    holds = "on the training scale"
    return [
        ("align", align),
        ("warranted", str(check["warranted"])),
        *(("", str(reason)) for reason in check["reasons"]),
        ("values", holds if check["values_hold"] else f"not {holds}: read the rank"),
    ]
