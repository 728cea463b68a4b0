"""What ROC and precision-recall figures share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dtp_scvi.pl._place import legend
from dtp_scvi.pl._source import entry, main_model, need_columns, pick_models
from dtp_scvi.pl._style import display, model_styles

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

TOOL = "dtp.tl.cross_validate"


def draw_curves(
    ax: Axes,
    result: Mapping[str, Any],
    *,
    table: str,
    axes: tuple[str, str],
    metric: str,
    models: Sequence[str] | None,
    drawstyle: str,
    chance: Line2D,
    grow: bool,
) -> None:
    """Draw one curve per model, with its metric in the legend, best model first, chance last."""
    curves = need_columns(entry(result, table, TOOL), ("model", *axes), f"{TOOL}'s {table!r}")
    metrics = need_columns(
        entry(result, "metrics", TOOL), ("model", "metric", "value"), f"{TOOL}'s 'metrics'"
    )
    main = main_model(result, TOOL)
    chosen = pick_models(curves, models, main)
    value = metrics[metrics["metric"] == metric].set_index("model")["value"]
    handles = []
    for name, style in model_styles(chosen, main).items():
        curve = curves[curves["model"] == name]
        text = f"{display(name)} {value[name]:.3f}" if name in value else display(name)
        (line,) = ax.plot(curve[axes[0]], curve[axes[1]], drawstyle=drawstyle, label=text, **style)
        handles.append((float(value.get(name, 0.0)), line))
    handles.sort(key=lambda pair: -pair[0])
    ax.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    ax.set_aspect("equal", adjustable="box")
    lines = [line for _, line in handles]
    named = [line for line in (*lines, chance) if not str(line.get_label()).startswith("_")]
    legend(ax, named, around=[*lines, chance], title=display(metric), grow=grow)
