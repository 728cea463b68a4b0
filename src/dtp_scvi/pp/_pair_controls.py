"""Give every treated row the controls of its plate, and set some of them aside for scoring."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from dtp_scvi import __version__
from dtp_scvi._constants import (
    CONTROL_KEY,
    CONTROL_ROLE_KEY,
    CONTROL_SCORING_KEY,
    CONTROLS_KEY,
)
from dtp_scvi._docs import docs
from dtp_scvi._labels import text_column
from dtp_scvi._validate import check_one_of, check_range, near_matches, problem
from dtp_scvi.data import check_object
from dtp_scvi.pp._pair_controls_given import from_index, from_obsm
from dtp_scvi.pp._pair_controls_values import log_layer, refuse_scale
from dtp_scvi.pp._pair_controls_wells import Layout, Pairing, from_plates

if TYPE_CHECKING:
    from anndata import AnnData


@docs.dedent
def pair_controls(
    adata: AnnData,
    *,
    drug_key: str,
    control_label: str | None = None,
    control_key: str | None = None,
    control_index_key: str | None = None,
    plate_key: str | None = None,
    cell_key: str | None = None,
    how: Literal["plate_mean", "well"] = "plate_mean",
    scoring_share: float = 0.5,
    fallback: Literal["cell"] | None = None,
    no_scoring: Literal["error", "nan"] = "error",
    layer: str | None = None,
    log: bool = False,
    seed: int | None = 0,
    copy: bool = False,
) -> AnnData | None:
    """
    Pair treated rows with controls of their plate: some as input, others for scoring alone.

    A change ``y - c`` carries the noise of ``c``. A model that is given ``c`` and scored against
    the same ``c`` is rewarded for predicting that noise (see :func:`dtp_scvi.stats.control_artefact`);
    so the wells of a plate are divided at random into one half that models see and one that only
    the evaluation does.

    Parameters
    ----------
    adata
        Treated and control wells in rows, in memory or backed; logarithms.
    drug_key
        Column of ``adata.obs`` with the drug of each row.
    control_label
        Value of that column in control wells, such as ``"DMSO"``. Needed unless controls are given.
    control_key
        Key of ``adata.obsm`` with a control profile for each row, to be taken as input. Wells that
        hold exactly these values are kept out of scoring; where there are none, it can't be told
        which wells went in, and nothing is scored against independent controls.
    control_index_key
        Column of ``adata.obs`` with the row name of each row's control. Scoring is by the mean of
        the *other* wells of its plate, which are not independent of what other rows were given.
    plate_key, cell_key
        Columns with the plate and the cell line; controls are shared within both. ``None``: not
        told apart.
    how
        Input from the mean of the input wells, or from one of them at random.
    scoring_share
        Share of the wells of a plate set aside for scoring, in (0, 1); at least one on either side.
    fallback
        ``"cell"`` lets a plate with fewer than two control wells use those of its cell line.
    no_scoring
        A plate with one control well has nothing to set aside: an error, or, with ``"nan"``, left
        out wherever independent controls are needed.
    %(layer)s
    log
        Take counts, write log1p(10,000 x / total) to ``adata.layers["dtp_log1p"]`` and pair there.
    %(seed)s
    %(copy)s

    Returns
    -------
    ``None``, or the changed copy. Written are, in float32 and of the shape of the matrix,
    ``adata.obsm["dtp_control"]`` and ``adata.obsm["dtp_control_scoring"]`` (control rows get those of
    their plate); ``adata.obs["dtp_control_role"]`` (``treated``, ``input``, ``scoring``, ``both`` or
    ``unused``); ``adata.uns["dtp_controls"]`` with ``"plates"``, a table of the numbers of wells,
    ``"n_without_scoring"``, ``"genes"`` and ``"params"``.

    Raises
    ------
    TypeError, KeyError, ValueError
        Not an AnnData, or a view; no such column, layer or control; a plate without controls, or
        with one; linear values where logarithms are expected, and the other way round; row names
        that are not unique.

    Notes
    -----
    Which wells are drawn depends on the seed and on the names of rows, not on their order. Choose
    genes first: AnnData cuts and reorders the matrix with ``adata[:, genes]``, not ``obsm``; what reads
    the controls compares the names.

    Examples
    --------
    >>> import anndata as ad, numpy as np, pandas as pd
    >>> import dtp_scvi as dtp
    >>> obs = pd.DataFrame({"drug": ["DMSO"] * 4 + ["a", "b"]}, index=list("uvwxyz"))
    >>> wells = ad.AnnData(np.random.default_rng(0).normal(8, 1, (6, 3)).astype("f4"), obs)
    >>> dtp.pp.pair_controls(wells, drug_key="drug", control_label="DMSO")
    >>> wells.obs["dtp_control_role"].value_counts().to_dict()
    {'input': 2, 'scoring': 2, 'treated': 2}
    """
    check_object(adata, view=copy)
    check_one_of(how, ("plate_mean", "well"), "how")
    check_one_of(fallback, (None, "cell"), "fallback")
    check_one_of(no_scoring, ("error", "nan"), "no_scoring")
    check_range(scoring_share, "scoring_share", 0.0, 1.0, inclusive=False)
    _check_sources(control_label, control_key, control_index_key)
    out = adata.copy() if copy else adata
    layout = _layout(out, drug_key, control_label, plate_key, cell_key)
    read_layer = log_layer(out, layer) if log else layer
    if not log:
        refuse_scale(out, layer)
    if control_key is not None:
        paired = from_obsm(out, control_key, layout, read_layer)
    elif control_index_key is not None:
        paired = from_index(out, control_index_key, layout, read_layer)
    else:
        paired = from_plates(
            out,
            layout,
            read_layer,
            how=how,
            scoring_share=scoring_share,
            fallback=fallback,
            no_scoring=no_scoring,
            seed=seed,
        )
    params = {
        "drug_key": drug_key,
        "control_label": control_label,
        "control_key": control_key,
        "control_index_key": control_index_key,
        "plate_key": plate_key,
        "cell_key": cell_key,
        "how": how if control_key is None and control_index_key is None else "given",
        "scoring_share": scoring_share,
        "fallback": fallback,
        "layer": read_layer,
        "seed": seed,
        "version": __version__,
    }
    _write(out, paired, {key: value for key, value in params.items() if value is not None})
    return out if copy else None


def _check_sources(label: str | None, key: str | None, index: str | None) -> None:
    if key is not None and index is not None:
        msg = problem(
            "one source of controls", "`control_key` and `control_index_key`", "Drop one."
        )
        raise ValueError(msg)
    if label is None and key is None and index is None:
        msg = problem(
            "`control_label`, `control_key` or `control_index_key`",
            "none of them",
            'Say what a control is, for example control_label="DMSO".',
        )
        raise ValueError(msg)


def _layout(
    adata: AnnData, drug_key: str, label: str | None, plate_key: str | None, cell_key: str | None
) -> Layout:
    if not adata.obs_names.is_unique:
        twice = adata.obs_names[adata.obs_names.duplicated()]
        msg = problem(
            "one row a name", f"{twice[0]!r} twice", "Run adata.obs_names_make_unique() first."
        )
        raise ValueError(msg)
    drug = text_column(adata.obs, drug_key, "drug_key")
    is_control = np.zeros(adata.n_obs, bool) if label is None else drug == str(label)
    if label is not None and not is_control.any():
        msg = problem(
            f"control rows, with {str(label)!r} in adata.obs[{drug_key!r}]",
            "none",
            near_matches(str(label), dict.fromkeys(drug.tolist())),
        )
        raise ValueError(msg)
    if is_control.all():
        msg = problem("treated rows beside controls", "controls alone", "Check `control_label`.")
        raise ValueError(msg)
    none = np.full(adata.n_obs, "all", object)
    cell = none if cell_key is None else text_column(adata.obs, cell_key, "cell_key")
    plate = none if plate_key is None else text_column(adata.obs, plate_key, "plate_key")
    return Layout(adata.obs_names.to_numpy().astype(str), is_control, plate, cell)


def _write(adata: AnnData, paired: Pairing, params: dict[str, Any]) -> None:
    adata.obsm[CONTROL_KEY] = paired.control
    adata.obsm[CONTROL_SCORING_KEY] = paired.scoring
    adata.obs[CONTROL_ROLE_KEY] = pd.Categorical(paired.role)
    adata.uns[CONTROLS_KEY] = {
        "plates": paired.plates,
        # Columns of obsm do not follow when genes are cut or reordered; this tells.
        "genes": adata.var_names.to_numpy(object),
        "n_without_scoring": int(np.isnan(paired.scoring[~paired.is_control, 0]).sum()),
        "params": params,
    }
