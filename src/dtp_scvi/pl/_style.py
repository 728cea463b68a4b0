"""Colours, fonts and labels that all figures share; set on artists, never in rcParams."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import matplotlib.pyplot as plt
import numpy as np

from dtp_scvi import _constants as names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes

# Okabe and Ito (2008): told apart with any colour vision.
VERMILLION: Final = "#D55E00"
BLUE: Final = "#0072B2"
GREEN: Final = "#009E73"
PURPLE: Final = "#CC79A7"
ORANGE: Final = "#E69F00"
SKY: Final = "#56B4E9"
GREY: Final = "#8A8A8A"
DARK: Final = "#333333"

# White text reads better below this luminance, black text above it.
_MIDDLE: Final = 0.179

# Sizes in points for a figure as wide as one column of a paper (3.4 inches).
SMALL: Final = 8
LABEL: Final = 9

_BASELINES: Final[tuple[dict[str, Any], ...]] = (
    {"color": "#222222", "linestyle": "--"},
    {"color": "#4D4D4D", "linestyle": "-"},
    {"color": "#6E6E6E", "linestyle": "-."},
    {"color": "#8A8A8A", "linestyle": ":"},
    {"color": "#B0B0B0", "linestyle": (0, (4, 1, 1, 1, 1, 1))},
)
_KNOWN_BASELINES: Final = (
    names.LOGISTIC_REGRESSION,
    names.GRADIENT_BOOSTING,
    names.RANDOM_FOREST,
    names.MEAN_EXPRESSION,
    names.LSC17,
)

DISPLAY: Final = MappingProxyType(
    {
        names.MEAN_EXPRESSION: "Mean expression",
        names.LSC17: "LSC17",
        "svm_rbf": "SVM, rbf",
        "adaboost": "AdaBoost",
        "xgboost": "XGBoost",
        "svm_grid": "SVM, tuned",
        "random_forest_grid": "Random forest, tuned",
        "adaboost_grid": "AdaBoost, tuned",
        "ifng": "IFN-γ, 6 genes",
        "ctl": "CTL, 5 genes",
        "study_only": "Study alone",
        "auroc": "AUROC",
        "auprc": "AUPRC",
        "mcc": "MCC",
        "f1": "F1",
        "brier": "Brier score",
        "ece": "Calibration error (ECE)",
        "youden": "Youden's J",
        "called_positive": "Share called",
        "macro_f1": "Macro-F1",
        "logistic_regression_none": "Logistic regression",
        "logistic_regression_adain": "Logistic regression, AdaIN",
        "logistic_regression_coral": "Logistic regression, CORAL",
        "ridge_none": "Ridge",
        "ridge_adain": "Ridge, AdaIN",
        "ridge_coral": "Ridge, CORAL",
    }
)


def display(name: object) -> str:
    """Turn a stored name into words: ``gradient_boosting`` into ``Gradient boosting``."""
    text = str(name)
    words = text.replace("_", " ")
    return DISPLAY.get(text, words[:1].upper() + words[1:])


def new_axes(ax: Axes | None, width: float = 3.4, height: float = 2.8) -> Axes:
    """Return ``ax``, or the axes of a new figure of the given size in inches."""
    if ax is not None:
        return ax
    _, made = plt.subplots(figsize=(width, height), layout="constrained")
    return made


def dress(ax: Axes, xlabel: str, ylabel: str) -> None:
    """Write axis labels, set the font sizes and take away the upper and right spine."""
    ax.set_xlabel(xlabel, fontsize=LABEL)
    ax.set_ylabel(ylabel, fontsize=LABEL)
    ax.tick_params(labelsize=SMALL)
    ax.spines[["top", "right"]].set_visible(False)


def caution(ax: Axes, params: Mapping[str, Any], data: Any) -> None:
    """Write on the axes what keeps the figure from being taken for more than it is."""
    marks = []
    if bool(params.get("simulated", False)) or names.SIMULATION_KEY in getattr(data, "uns", ()):
        marks.append("simulated data")
    if bool(params.get("optimistic", False)):
        shared = "shared_rows" in params
        marks.append(
            "rows on both sides: optimistic" if shared else "cell-level split: optimistic"
        )
    if marks:
        text = " · ".join(marks)
        ax.set_title(text, loc="right", fontsize=SMALL, style="italic", color=DARK)


def model_styles(models: Sequence[str], main: str | None) -> dict[str, dict[str, Any]]:
    """Give the main model a strong line and each baseline its own grey and dash."""
    fixed = dict(zip(_KNOWN_BASELINES, _BASELINES, strict=True))
    spare = [style for name, style in fixed.items() if name not in models] + list(_BASELINES)
    styles: dict[str, dict[str, Any]] = {}
    for name in models:
        if name == main:
            styles[name] = {"color": VERMILLION, "linestyle": "-", "linewidth": 2.0, "zorder": 4}
        elif name == names.STUDENT:
            # Of the model's family, so a colour: a grey would be a comparator's.
            styles[name] = {
                "color": BLUE,
                "linestyle": (0, (5, 1.5)),
                "linewidth": 1.4,
                "zorder": 3,
            }
        else:
            base = fixed[name] if name in fixed else spare.pop(0)
            styles[name] = {**base, "linewidth": 1.2, "zorder": 3}
    return styles


def text_color(background: Any) -> str:
    """Black or white, whichever can be read on this colour (WCAG 2)."""
    part = np.asarray(background[:3], dtype=np.float64)
    # Relative luminance, from the linear parts of sRGB.
    linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
    return "white" if float(linear @ [0.2126, 0.7152, 0.0722]) < _MIDDLE else "black"
