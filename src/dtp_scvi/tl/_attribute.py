"""Write what each gene contributes to a model's prediction into an AnnData."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from dtp_scvi._constants import ATTRIBUTION_SUFFIX, KEY_ADDED
from dtp_scvi._docs import docs
from dtp_scvi._validate import problem
from dtp_scvi.data import align_genes, gene_names
from dtp_scvi.model import ResponseBase, load_predictor, versions

if TYPE_CHECKING:
    from anndata import AnnData

    from dtp_scvi.data import GeneAlignment
    from dtp_scvi.model import ExpressionClassifier


@docs.dedent
def attribute(
    adata: AnnData,
    model: ExpressionClassifier | ResponseBase | str | Path,
    *,
    method: str = "integrated_gradients",
    baseline: str | np.ndarray = "train_mean",
    groupby: str | None = None,
    donor_key: str | None = None,
    indices: np.ndarray | None = None,
    max_cells: int | None = 1000,
    n_steps: int | None = None,
    n_top: int = 50,
    target: str | None = None,
    align: Literal["none", "moments", "rank"] = "none",
    layer: str | None = None,
    gene_key: str | None = None,
    scale: str = "auto",
    missing: Literal["mean", "zero", "error"] = "mean",
    min_coverage: float = 0.5,
    key_added: str = KEY_ADDED,
    seed: int | None = 0,
    verbose: bool = False,
) -> pd.DataFrame:
    """Say what each gene contributes to a model's prediction, and how stable that is.

    The log-odds of a classifier's positive class, or a predicted response, less their value at the
    baseline, are divided among the genes, row by row, and averaged by donor, then over donors.
    This says what the model uses. It does not say that a gene causes anything: of two genes that
    go together a model may use either. Program attention
    (:meth:`dtp_scvi.model.DTPTransformer.get_program_attention`) is a weaker view: it has no sign,
    leaves the linear part out and does not sum to the prediction.

    Parameters
    ----------
    %(adata)s
    model
        Trained model, or the directory of a saved one.
    %(attribution)s
    target
        For a response model of several targets: the one to explain.
    align
        For a response model, as in :func:`score`.
    %(layer)s
    %(gene_key)s
    %(scale)s
    %(missing)s
    min_coverage
        Least share of the model's genes that must be found, 0 to 1.
    key_added
        Prefix of the keys of ``adata.varm`` and ``adata.uns`` under which the result is written.
    %(seed)s
    %(verbose)s

    Returns
    -------
    :attr:`dtp_scvi.model.Attribution.table`: one row a gene of the model, largest first. Written
    are, for the default ``key_added``:

    ``adata.varm["dtp_attribution"]``
        The same columns for the genes of ``adata``, float64; NaN for genes the model lacks.
    ``adata.uns["dtp_attribution"]``
        The table, ``groups`` where asked for, ``completeness``, ``shares``, ``stability``,
        ``missing``, ``params``, and what :func:`dtp_scvi.pl.attribution` and
        :func:`dtp_scvi.pl.attribution_beeswarm` draw: ``donors``, and ``cells``, at most 500 rows
        of the 30 first genes. See :class:`dtp_scvi.model.Attribution`.

    Raises
    ------
    RuntimeError
        When the model was not trained.
    ImportError
        When captum (extra ``mechanism``) is missing and the prediction is not linear.
    KeyError
        When a key or ``target`` is missing.
    ValueError
        When an option or the expression is unfit, a baseline has another length, or DeepLIFT's
        contributions miss more than 5 % of the prediction.

    Warns
    -----
    UserWarning
        When a completeness error stays above one per cent, or genes are missing.

    Examples
    --------
    >>> import dtp_scvi as dtp
    >>> cells = dtp.datasets.simulate_cells(300, 200, n_donors=4)
    >>> dtp.model.DTPTransformer.setup_anndata(
    ...     cells, "state", positive="drug_tolerant", layer="counts", donor_key="donor"
    ... )
    >>> teacher = dtp.model.DTPTransformer(cells, n_programs=8)
    >>> teacher.train(max_epochs=2, verbose=False)
    >>> table = dtp.tl.attribute(cells, teacher, layer="counts", donor_key="donor", max_cells=50)
    >>> table.shape, cells.varm["dtp_attribution"].shape
    ((200, 10), (200, 10))
    >>> cells.uns["dtp_attribution"]["completeness"]["max"] < 0.01
    True
    """
    given = load_predictor(model) if isinstance(model, str | Path) else model
    response: dict[str, Any] = {"target": target, "align": align}
    if not isinstance(given, ResponseBase):
        _refuse(target, align)
        response = {}
    found = given.attribute(
        adata,
        method=method,
        baseline=baseline,
        groupby=groupby,
        donor_key=donor_key,
        indices=indices,
        max_cells=max_cells,
        n_steps=n_steps,
        n_top=n_top,
        seed=seed,
        verbose=verbose,
        layer=layer,
        gene_key=gene_key,
        scale=scale,
        missing=missing,
        min_coverage=min_coverage,
        **response,
    )
    result = found.to_dict()
    result["params"] = {**result["params"], "model_id": given.id_, "versions": versions()}
    alignment = align_genes(gene_names(adata, gene_key), given.genes_)
    key = f"{key_added}{ATTRIBUTION_SUFFIX}"
    adata.varm[key] = _of_query(found.table.loc[given.genes_], alignment, adata)
    adata.uns[key] = result
    return found.table


def _refuse(target: str | None, align: str) -> None:
    for name, value, plain in (("target", target, None), ("align", align, "none")):
        if value != plain:
            msg = problem(f"no `{name}` with a classifier", repr(value), "Leave it out.")
            raise ValueError(msg)


def _of_query(table: pd.DataFrame, alignment: GeneAlignment, adata: AnnData) -> pd.DataFrame:
    """Give each column of the query the row of the gene of the model that it feeds."""
    out = np.full((adata.n_vars, table.shape[1]), np.nan)
    out[alignment.source] = table.to_numpy()[alignment.target]
    return pd.DataFrame(out, index=adata.var_names, columns=table.columns)
