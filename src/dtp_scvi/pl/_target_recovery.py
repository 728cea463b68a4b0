"""How early a ranking comes to known targets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from matplotlib.patheffects import withStroke

from dtp_scvi._constants import TARGET_RECOVERY_KEY
from dtp_scvi._docs import docs
from dtp_scvi.pl._source import entry, need_columns, stored
from dtp_scvi.pl._style import DARK, GREY, SMALL, VERMILLION, caution, dress, new_axes

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_TOOL: Final = "dtp.tl.target_recovery"
_CURVE: Final = ("rank", "found", "random", "random_low", "random_high")
# Share of the axes that a name takes.
_ROOM: Final = 0.2
_WORDS: Final = {"matched_genes": "matched genes", "shuffled_score": "shuffled scores"}


@docs.dedent
def target_recovery(data: Any, *, key: str = TARGET_RECOVERY_KEY, ax: Axes | None = None) -> Axes:
    """
    Draw how many known targets are found up to each rank, beside matched random genes.

    Parameters
    ----------
    data
        AnnData that ``dtp.tl.target_recovery`` wrote to, or what it returned.
    key
        The entry of ``uns`` to draw.
    %(ax)s

    Returns
    -------
    The axes: a step at each known target, with its name; dashed, the mean of the matched random
    sets, and their middle 95 % as a band. In the corner p of the tests over the whole list.

    Raises
    ------
    KeyError, TypeError
        Nothing is stored under ``key``, or the result lacks a part.

    Examples
    --------
    >>> import dtp_scvi as dtp
    >>> bulk = dtp.datasets.simulate_cohort(60, n_genes=300, n_drugs=4)
    >>> options = {"surface_tier": None, "n_boot": 50, "n_shuffles": 20}
    >>> _ = dtp.tl.rank_targets(bulk, score_key="true_persister_fraction", **options)
    >>> _ = dtp.tl.target_recovery(bulk, controls=["CCN1", "CCN2", "NECTIN2"])
    >>> dtp.pl.target_recovery(bulk).get_ylabel()
    'Known targets found'
    """
    result = stored(data, key, _TOOL)
    curve = need_columns(entry(result, "curve", _TOOL), _CURVE, f"the `curve` of {_TOOL}")
    controls = need_columns(
        entry(result, "controls", _TOOL), ("gene", "rank", "status"), f"the `controls` of {_TOOL}"
    )
    ax = new_axes(ax, 3.8, 3.2)
    at = curve["rank"].to_numpy()
    band: dict[str, Any] = {"step": "post", "color": GREY, "alpha": 0.25, "linewidth": 0}
    ax.fill_between(at, curve["random_low"], curve["random_high"], **band, zorder=1)
    ax.plot(at, curve["random"], color=GREY, linestyle="--", linewidth=1.2, zorder=2)
    ax.step(at, curve["found"], where="post", color=VERMILLION, linewidth=1.8, zorder=3)
    ranked = controls[controls["rank"].notna()].sort_values(["rank", "gene"], kind="stable")
    end, n = float(at[-1]), len(ranked)
    ax.set(xlim=(0, end * 1.02), ylim=(0, n * 1.12))
    ax.set_yticks(range(0, n + 1, max(1, n // 5)))
    _write_names(ax, ranked, end)
    lines = [
        f"{word}: p = {float(row['p']):.2g}"
        for name, word in _WORDS.items()
        for _, row in _tests(result, name).iterrows()
    ]
    left_out = len(controls) - n
    lines.append(f"{n} of {len(controls)} ranked" if left_out else f"all {n} ranked")
    lines.append("band: 95 % of matched random sets")
    look = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1.0}
    ax.text(
        0.98,
        0.03,
        "\n".join(lines),
        transform=ax.transAxes,
        fontsize=SMALL,
        color=DARK,
        ha="right",
        va="bottom",
        bbox=look,
        zorder=6,
    )
    by = str(entry(result, "params", _TOOL)["by"]).replace("_", " ")
    dress(ax, f"Candidates, by {by}", "Known targets found")
    caution(ax, entry(result, "params", _TOOL), data)
    return ax


def _tests(result: Any, name: str) -> pd.DataFrame:
    table = need_columns(entry(result, "table", _TOOL), ("test", "p"), f"the `table` of {_TOOL}")
    return table[table["test"] == name]


def _write_names(ax: Axes, ranked: pd.DataFrame, end: float) -> None:
    """Write each name left of its step, or, where there is no room, below the next one."""
    ranks = [*ranked["rank"].astype(float), end]
    for height, (name, at, after) in enumerate(
        zip(ranked["gene"], ranks, ranks[1:], strict=False), start=1
    ):
        left = at > _ROOM * end
        ax.annotate(
            str(name),
            (at if left else after, height),
            (-3 if left else 4, 1 if left else 0),
            textcoords="offset points",
            fontsize=SMALL - 1,
            color=DARK,
            ha="right" if left else "left",
            va="bottom" if left else "center",
            path_effects=[withStroke(linewidth=2, foreground="white")],
            zorder=5,
        )
