"""The AUROC within studies, for the screen and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

_COLUMNS: Final = {
    "auroc": "all pairs",
    "auroc_within_study": "in a study",
    "auroc_within_study_and_fold": "and a fold",
}
# What a column of numbers has room for.
_WIDTH: Final = 13


def pooled(uns: Mapping[str, Any]) -> dict[str, Any]:
    """Leave the metrics within studies to their own table."""
    from dtp_scvi._constants import CV_KEY

    result = dict(uns[CV_KEY])
    within = result["metrics"]["metric"].isin([name for name in _COLUMNS if name != "auroc"])
    return {**uns, CV_KEY: {**result, "metrics": result["metrics"][~within]}}


def show_within_study(result: Mapping[str, Any]) -> None:
    """Print the AUROC over all pairs, over pairs of one study, and in each study."""
    from dtp_scvi.cli import _screen as screen
    from dtp_scvi.cli._results import metrics_tables

    if "within_study" not in result:
        return
    screen.say(
        "AUROC over all pairs, pairs of one study, those of one study and fold, and in each study",
        style="bold",
    )
    main, width = str(result["params"]["model"]), screen.console().width
    for table in metrics_tables(_long(result), main=main, width=width):
        screen.show(table)


def within_study_json(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``{"within_study": {model: {study: {"value", "low", "high"}}}}``, or nothing."""
    from dtp_scvi.cli._results import metrics_json

    if "within_study" not in result:
        return {}
    return {
        "within_study": metrics_json(result["within_study"].rename(columns={"study": "metric"}))
    }


def _long(result: Mapping[str, Any]) -> pd.DataFrame:
    import pandas as pd

    metrics, each = result["metrics"], result["within_study"]
    whole = metrics[metrics["metric"].isin(list(_COLUMNS))]
    names = each["study"].map(lambda name: name if len(name) <= _WIDTH else f"{name[:12]}…")
    whole = whole.assign(metric=whole["metric"].map(_COLUMNS))
    # Cut names may coincide; then the whole ones are shown.
    unique = names.nunique() == each["study"].nunique()
    each = each.assign(metric=names if unique else each["study"])
    return pd.concat([whole, each], ignore_index=True)
