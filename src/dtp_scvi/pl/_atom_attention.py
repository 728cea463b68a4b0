"""Attention to the atoms of a drug, on its structure."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
from matplotlib import colormaps
from matplotlib.collections import EllipseCollection
from matplotlib.colors import ListedColormap
from matplotlib.pyplot import imread

from dtp_scvi._constants import ATTENTION_KEY
from dtp_scvi._docs import docs
from dtp_scvi._optional import require
from dtp_scvi._validate import near_matches, problem
from dtp_scvi.pl._source import entry, stored
from dtp_scvi.pl._style import LABEL, SMALL, caution, dress, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TOOL: Final = "dtp.tl.attention"
# Pixels of RDKit's drawing: sharp at 300 dpi in one column of a paper.
_WIDTH, _HEIGHT = 1500, 1050
# Black bonds can't be read on the dark end of a colour map.
_LIGHT: Final = (0.05, 0.7)


@docs.dedent
def atom_attention(
    data: Any,
    drug: str,
    *,
    cmap: str = "YlOrBr",
    limit: float | None = None,
    key: str = ATTENTION_KEY,
    ax: Axes | None = None,
) -> Axes:
    """
    Draw how much a model attends to each atom of a drug, on RDKit's drawing of the drug.

    Attention is not effect: an atom can be looked at without changing the prediction. Needs RDKit
    (extra ``chem``).

    Parameters
    ----------
    data
        AnnData that ``dtp.tl.attention`` wrote to, or ``adata.uns["dtp_attention"]``.
    drug
        Name of the drug.
    cmap
        Sequential colour map, light at its low end; its lighter 70 % is used, so that bonds stay
        readable. The default is told apart with any colour vision.
    limit
        Attention at which colours end; ``None`` takes the largest of this drug. One value
        for several drugs makes them comparable.
    key
        The entry of ``uns`` to draw.
    %(ax)s

    Returns
    -------
    The axes. Discs are atoms, in RDKit's numbering of the canonical SMILES; an atom that the model
    was not given (``max_atoms``) has none. The colour bar takes some of the room of the axes.

    Raises
    ------
    ImportError
        RDKit is not installed.
    KeyError, ValueError
        Nothing is stored, no such drug, a drug without atoms, ``limit`` not above 0.

    Examples
    --------
    >>> import pandas as pd
    >>> import dtp_scvi as dtp
    >>> table = pd.DataFrame([[0.1, 2.0, 0.4]], ["ethanol"], ["atom 0", "atom 1", "atom 2"])
    >>> structures = pd.DataFrame({"smiles": "CCO"}, index=["ethanol"])
    >>> found = {"table": table, "structures": structures, "params": {}}
    >>> ax = dtp.pl.atom_attention({"atoms": found}, "ethanol")
    >>> len(ax.collections[0].get_array())
    3
    """
    todo = f'{TOOL}(adata, model, of="atoms")'
    result = entry(stored(data, key, todo), "atoms", todo)
    table, drugs = entry(result, "table", todo), entry(result, "structures", todo)
    if drug not in table.index:
        msg = problem(
            "`drug` to name a drug of the result", repr(drug), near_matches(drug, table.index)
        )
        raise KeyError(msg)
    weights = table.loc[drug].to_numpy(dtype=np.float64)
    if limit is None:
        limit = float(np.nanmax(weights)) if np.isfinite(weights).any() else 0.0
    if not limit > 0:
        msg = problem(
            "attention above 0 to some atom, and `limit` above 0",
            f"limit {limit:g}, {np.isfinite(weights).sum():,} atoms of {drug!r}",
            "Draw another drug, or leave `limit` out.",
        )
        raise ValueError(msg)
    picture, places, radius = _structure(str(drugs.loc[drug, "smiles"]))
    weights = np.pad(weights, (0, max(0, len(places) - len(weights))), constant_values=np.nan)
    weights = weights[: len(places)]
    ax = new_axes(ax, 3.8, 2.5)
    shown = np.isfinite(weights)
    discs = EllipseCollection(
        *(np.full(shown.sum(), size) for size in (2 * radius, 2 * radius, 0.0)),
        units="xy",
        offsets=places[shown],
        offset_transform=ax.transData,
        array=weights[shown],
        cmap=ListedColormap(colormaps[cmap](np.linspace(*_LIGHT, 256))),
        clim=(0, limit),
        linewidths=0,
    )
    ax.add_collection(discs)
    ax.imshow(picture, zorder=3, interpolation="antialiased")
    dress(ax, _name(drug, int(shown.sum()), len(places)), "")
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    bar = cast("Figure", ax.figure).colorbar(discs, ax=ax, fraction=0.06, pad=0.03, aspect=15)
    bar.set_label("Attention, first + last layer", fontsize=LABEL)
    bar.ax.tick_params(labelsize=SMALL)
    bar.outline.set_visible(False)  # type: ignore[operator]
    caution(ax, entry(result, "params", todo), data)
    return ax


def _name(drug: str, n_shown: int, n_atoms: int) -> str:
    return drug if n_shown == n_atoms else f"{drug} ({n_shown} of {n_atoms} atoms were read)"


def _structure(smiles: str) -> tuple[np.ndarray, np.ndarray, float]:
    """Return RDKit's drawing on a clear ground, where its atoms are, and a radius in pixels."""
    chem, draw = require("rdkit.Chem", "chem"), require("rdkit.Chem.Draw.rdMolDraw2D", "chem")
    molecule = chem.MolFromSmiles(smiles)
    n_atoms = molecule.GetNumAtoms()
    canvas = draw.MolDraw2DCairo(_WIDTH, _HEIGHT)
    options = canvas.drawOptions()
    options.clearBackground = False
    options.useBWAtomPalette()
    options.padding = 0.08
    options.bondLineWidth = 5
    options.scaleBondWidth = False
    # Small molecules are not blown up.
    options.fixedBondLength = 150
    options.fixedFontSize = 62
    draw.PrepareAndDrawMolecule(canvas, molecule)
    canvas.FinishDrawing()
    points = [canvas.GetDrawCoords(i) for i in range(n_atoms)]
    places = np.array([(point.x, point.y) for point in points])
    distance = [
        np.linalg.norm(places[bond.GetBeginAtomIdx()] - places[bond.GetEndAtomIdx()])
        for bond in molecule.GetBonds()
    ]
    radius = 0.4 * float(np.median(distance)) if distance else 60.0
    return imread(io.BytesIO(canvas.GetDrawingText())), places, radius
