"""The figures of the demo, one file each, and one page with the main ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pathlib import Path

    from anndata import AnnData
    from matplotlib.figure import Figure

    from dtp_scvi.model import DTPTransformer

_DPI: Final = 160
_PAGE_INCHES: Final = (17.5, 8.2)
_GROUP: Final = "cell_type"
_SHARE: Final = "share of drug-tolerant cells"
# Panels of the overview: figure, title, and how wide it is beside its neighbours.
_PAGE: Final = (
    (
        ("benchmark", "Held-out donors, beside simple models", 1.75),
        ("roc", "ROC on held-out donors", 1.05),
        ("calibration", "Predicted and observed", 1.0),
        ("fidelity", "Student follows teacher", 1.0),
    ),
    (
        ("scores", "Cells of new donors", 1.15),
        ("scores_bulk", "Bulk samples, by share of tolerant cells", 1.15),
        ("threshold_sweep", "What a threshold costs", 1.1),
        ("program_attention", "Attention to gene programs", 1.4),
    ),
)

Draw = Callable[..., Any]


def draw_all(
    cells: AnnData, query: AnnData, cohort: AnnData, teacher: DTPTransformer, room: Path
) -> None:
    """Write every figure as PNG into ``room``."""
    import matplotlib.pyplot as plt

    # No window may open, and no display has to be there.
    plt.switch_backend("Agg")
    figures = make_figures(cells, query, cohort, teacher)
    for name, draw in figures.items():
        ax = draw()
        if not ax.get_title(loc="right"):  # drawn from a table, which does not know it
            ax.set_title("simulated data", loc="right", fontsize=8, style="italic")
        _save(ax.figure, room / f"{name}.png")
    title = (
        f"Simulated data: {cells.n_obs:,} cells, {cells.n_vars:,} genes, "
        f"{cells.obs['donor'].nunique()} donors"
    )
    _save(overview(figures, title), room / "overview.png")


def make_figures(
    cells: AnnData, query: AnnData, cohort: AnnData, teacher: DTPTransformer
) -> dict[str, Draw]:
    """Return, by name, functions that draw on ``ax=`` or on a figure of their own."""
    from dtp_scvi import pl

    attention = teacher.get_program_attention(groupby=_GROUP)

    def on(function: Draw, *args: Any, **kwargs: Any) -> Draw:
        return lambda **more: function(*args, **kwargs, **more)

    return {
        "benchmark": on(pl.benchmark, cells),
        "roc": on(pl.roc, cells),
        "pr": on(pl.pr, cells),
        "calibration": on(pl.calibration, cells),
        "threshold_sweep": on(pl.threshold_sweep, cells),
        "fidelity": on(pl.fidelity, cells),
        "decision_curve": on(pl.decision_curve, cells),
        "coverage": on(pl.coverage, cells),
        "threshold_transfer": on(pl.threshold_transfer, cells),
        "audit": on(pl.audit, cells),
        "transfer": on(pl.transfer, query),
        "transfer_bulk": on(pl.transfer, cohort),
        "scores": on(pl.scores, query, "state"),
        "scores_bulk": on(pl.scores, by_share(cohort), _SHARE),
        "history": on(pl.history, teacher.history_table_, held_out="held-out donors"),
        "program_attention": on(pl.program_attention, attention),
    }


def by_share(cohort: AnnData) -> AnnData:
    """Group the samples by their hidden share of drug-tolerant cells, in a copy."""
    import pandas as pd

    share = cohort.obs["true_persister_fraction"]
    grouped = cohort[:, :0].copy()
    grouped.obs[_SHARE] = pd.qcut(share, 3, labels=["low share", "middle", "high share"])
    return grouped


def overview(figures: dict[str, Draw], title: str) -> Figure:
    """Draw the main figures on one page."""
    import matplotlib.pyplot as plt

    page = plt.figure(figsize=_PAGE_INCHES, layout="constrained")
    page.suptitle(title, x=0.01, ha="left", fontsize=13, style="italic", color="#333333")
    letters = iter("abcdefgh")
    strips: Any = page.subfigures(len(_PAGE), 1, hspace=0.04)
    for strip, panels in zip(strips, _PAGE, strict=True):
        widths = [width for _, _, width in panels]
        parts = strip.subfigures(1, len(panels), width_ratios=widths, wspace=0.03)
        for part, (name, heading, _) in zip(parts, panels, strict=True):
            ax = part.subplots()
            figures[name](ax=ax)
            # The page says once that the data are simulated.
            ax.set_title("", loc="right")
            text = f"{next(letters)}   {heading}"
            part.suptitle(text, x=0.02, ha="left", fontsize=11, weight="bold")
    return page


def _save(figure: Figure, path: Path) -> None:
    import matplotlib.pyplot as plt

    figure.savefig(path, dpi=_DPI, bbox_inches="tight", facecolor="white")
    plt.close(figure)
