"""Expression of a few genes in samples that are ordered by response and study."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
import scipy.sparse as sp
from matplotlib.patches import Patch, Rectangle

from dtp_scvi._constants import RESPONSE_KEY
from dtp_scvi._docs import docs
from dtp_scvi._validate import check_key, near_matches, problem
from dtp_scvi.data import gene_names, get_matrix
from dtp_scvi.pl._style import (
    BLUE,
    DARK,
    GREEN,
    LABEL,
    ORANGE,
    PURPLE,
    SKY,
    SMALL,
    VERMILLION,
    caution,
    display,
    new_axes,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData
    from matplotlib.axes import Axes

# Of the bars, from the first on; a missing value is light grey.
_COLORS: Final = (
    (BLUE, VERMILLION, "#F0E442", DARK),
    (GREEN, PURPLE, ORANGE, SKY, "#000000", "#B8B8B8", "#7A4A1E", "#4B0082"),
)
_NONE: Final = "#E4E4E4"
_BAR, _GAP = 0.8, 0.25
_LIMIT: Final = 2.5


@docs.dedent
def response_heatmap(
    adata: AnnData,
    genes: Sequence[str],
    *,
    groupby: str = RESPONSE_KEY,
    study_key: str | None = None,
    layer: str | None = None,
    gene_key: str | None = None,
    cmap: str = "RdBu_r",
    ax: Axes | None = None,
) -> Axes:
    """
    Draw genes by samples, the samples ordered by response, then study.

    Nothing is clustered: an order that was found in the same values would show structure in
    noise. Within a response and study, samples stand in the order of their mean over the genes.

    Parameters
    ----------
    %(adata)s
    genes
        Genes to draw, from the top down, such as the first of ``dtp.tl.attribute``'s table.
    groupby
        Column of ``obs`` with the response.
    study_key
        Column of ``obs`` with the study; ``None`` draws no bar for it.
    %(layer)s
    %(gene_key)s
    cmap
        Diverging colour map; the default is readable with the common colour deficiencies.
    %(ax)s

    Returns
    -------
    The axes. Colours are standard deviations from a gene's mean over all samples drawn, cut at
    2.5; genes chosen for their difference in these samples differ in them. Bars above give
    response and study. The colour bar takes some of the room of the axes.

    Raises
    ------
    KeyError
        A column, a layer or a gene is missing.
    ValueError
        No gene, values that are not finite, or more than four responses or eight studies.

    Examples
    --------
    >>> import dtp_scvi as dtp
    >>> ici = dtp.datasets.simulate_ici((20, 30), n_genes=40)
    >>> dtp.pp.close_composition(ici)
    >>> ax = dtp.pl.response_heatmap(ici, ici.var_names[:5], study_key="study")
    >>> [text.get_text() for text in ax.get_yticklabels()][:2]
    ['Response', 'Study']
    """
    keys = [groupby] if study_key is None else [groupby, study_key]
    for key, argument in zip(keys, ("groupby", "study_key"), strict=False):
        check_key(adata.obs, key, "adata.obs", argument)
    names = [genes] if isinstance(genes, str) else [str(gene) for gene in genes]
    z = _standardised(_values(adata, names, layer, gene_key))
    bars = [_levels(adata.obs[key], key, len(c)) for key, c in zip(keys, _COLORS, strict=False)]
    order = np.lexsort([z.mean(axis=1), *(codes for codes, _ in reversed(bars))])
    ax = new_axes(ax, 6.4, 1.5 + 0.2 * len(names))
    top = len(keys) * (_BAR + _GAP)
    picture = ax.imshow(
        z[order].T,
        aspect="auto",
        cmap=cmap,
        vmin=-_LIMIT,
        vmax=_LIMIT,
        interpolation="nearest",
        extent=(0, len(z), top + len(names), top),
    )
    keyed = []
    for row, ((codes, levels), colors) in enumerate(zip(bars, _COLORS, strict=False)):
        shown = [_NONE if level is None else colors[i] for i, level in enumerate(levels)]
        _draw_bar(ax, codes[order], shown, row * (_BAR + _GAP))
        keyed.append(
            [Patch(color=c, label=w or "missing") for c, w in zip(shown, levels, strict=True)]
        )
    for edge in np.flatnonzero(np.diff(bars[0][0][order])) + 1:
        ax.plot([edge, edge], [0, top + len(names)], color="black", linewidth=1.0)
    _dress(ax, names, keys, len(z), top)
    _legends(ax, picture, [display(key) for key in keys], keyed)
    caution(ax, {}, adata)
    return ax


def _values(
    adata: AnnData, names: list[str], layer: str | None, gene_key: str | None
) -> np.ndarray:
    """Values of the genes, (n_obs, n_genes)."""
    if not names:
        raise ValueError(problem("genes to draw", "none", "Name some."))
    have = gene_names(adata, gene_key)
    place = {name: i for i, name in reversed(list(enumerate(have)))}
    for name in names:
        if name not in place:
            msg = problem("`genes` to name genes of adata", repr(name), near_matches(name, have))
            raise KeyError(msg)
    part = get_matrix(adata, layer)[:, [place[name] for name in names]]
    values = np.asarray(part.toarray() if sp.issparse(part) else part, dtype=np.float64)
    if not np.isfinite(values).all():
        raise ValueError(problem("finite values", "NaN or infinite ones", "Mend them."))
    return values


def _standardised(values: np.ndarray) -> np.ndarray:
    sd = values.std(axis=0)
    centred = values - values.mean(axis=0)
    return np.divide(centred, sd, out=np.zeros_like(centred), where=sd > 0)


def _levels(column: pd.Series, key: str, most: int) -> tuple[np.ndarray, list[str | None]]:
    """Codes of a column and the levels they stand for; a missing value comes last."""
    codes, found = pd.factorize(column, sort=True)
    levels: list[str | None] = [
        f"{level:g}" if isinstance(level, float) else str(level) for level in found
    ]
    if len(levels) > most:
        found_text = f"{len(levels)} in adata.obs[{key!r}]"
        msg = problem(f"at most {most} levels to tell apart", found_text, "Merge some.")
        raise ValueError(msg)
    if (codes < 0).any():
        codes = np.where(codes < 0, len(levels), codes)
        levels.append(None)
    return codes, levels


def _draw_bar(ax: Axes, codes: np.ndarray, colors: Sequence[str], top: float) -> None:
    """Draw runs of one level as boxes."""
    starts = np.append(0, np.flatnonzero(np.diff(codes)) + 1)
    for start, stop in zip(starts, np.append(starts[1:], len(codes)), strict=True):
        color = colors[codes[start]]
        ax.add_patch(Rectangle((start, top), stop - start, _BAR, color=color, linewidth=0))


def _dress(ax: Axes, names: list[str], keys: list[str], n: int, top: float) -> None:
    ax.set_xlim(0, n)
    ax.set_ylim(top + len(names), 0)
    bars = [row * (_BAR + _GAP) + _BAR / 2 for row in range(len(keys))]
    ticks = [*bars, *(top + 0.5 + np.arange(len(names)))]
    ax.set_yticks(ticks, labels=[*map(display, keys), *names], fontsize=SMALL)
    ax.set_xticks([])
    ax.tick_params(length=0)
    ax.set_xlabel(f"{n:,} samples", fontsize=LABEL)
    ax.spines[:].set_visible(False)


def _legends(ax: Axes, picture: Any, titles: list[str], keyed: list[list[Patch]]) -> None:
    bar = ax.figure.colorbar(picture, ax=ax, pad=0.02, aspect=30, extend="both")
    bar.set_label("Standard deviations from the mean", fontsize=SMALL)
    bar.ax.tick_params(labelsize=SMALL - 1)
    bar.outline.set_visible(False)  # type: ignore[operator]
    # Below the picture, where neither the colour bar nor a gene is.
    for i, (title, handles) in enumerate(zip(titles, keyed, strict=True)):
        box = ax.legend(
            handles=handles,
            title=title,
            loc="upper left" if i == 0 else "upper right",
            bbox_to_anchor=(i, 0.0),
            borderaxespad=2.2,
            ncols=min(4, len(handles)),
            fontsize=SMALL - 1,
            title_fontsize=SMALL - 1,
            alignment="left",
            frameon=False,
            handlelength=1.0,
            columnspacing=1.0,
        )
        if i < len(titles) - 1:
            ax.add_artist(box)
