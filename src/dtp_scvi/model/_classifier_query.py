"""What a classifier of expression says of rows: log-odds, probabilities, attributions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

import numpy as np
import pandas as pd
from scipy.special import expit

from dtp_scvi._docs import docs
from dtp_scvi._logging import progress
from dtp_scvi._scvi import setup_args
from dtp_scvi._validate import check_positive_int
from dtp_scvi.model._attribute import Attribution, Explanation, attribute_classifier
from dtp_scvi.model._checks import check_not_empty, check_same_kind
from dtp_scvi.model._portable import PortableModel
from dtp_scvi.model._query import (
    InputOptions,
    Missing,
    Predicted,
    Query,
    expression_query,
    match_genes,
    stream_logits,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anndata import AnnData

    from dtp_scvi.data import GeneAlignment


class ClassifierQueries(PortableModel):
    """Base of :class:`ExpressionClassifier`: alignment, prediction and attribution."""

    genes_: np.ndarray
    classes_: list[str]
    positive_: str
    scale_: str

    @docs.dedent
    def align(
        self,
        adata: AnnData,
        *,
        gene_key: str | None = None,
        min_coverage: float = 0.5,
        missing: Missing = "mean",
    ) -> GeneAlignment:
        """Match the genes of a query with those of the model, by name.

        Parameters
        ----------
        %(adata)s
        %(gene_key)s
        %(min_coverage)s
        %(missing)s

        Raises
        ------
        ValueError
            When too few genes are found, or any is missing and ``missing="error"``.
        """
        return match_genes(adata, self.genes_, gene_key, missing, min_coverage)

    @docs.dedent
    def prepare(
        self,
        adata: AnnData | None = None,
        *,
        layer: str | None = None,
        gene_key: str | None = None,
        scale: str = "auto",
        missing: Missing = "mean",
        min_coverage: float = 0.5,
    ) -> Query:
        """Find the expression, its scale and the model's genes in an AnnData.

        Where ``adata`` is left out, the training data are taken, with the registered layer and
        scale unless others are given.

        Parameters
        ----------
        %(adata)s
        %(query_input)s

        Raises
        ------
        RuntimeError
            When the model was not trained.
        ValueError
            When the expression or its scale is unfit, or too few genes are found.
        """
        self._check_trained()
        known = adata is None and layer is None and scale == "auto"
        adata = self._own_adata() if adata is None else adata
        check_not_empty(adata)
        scale = check_same_kind(type(self).__name__, self.scale_, scale)
        if known:
            arguments = setup_args(self.registry_)
            layer, scale = arguments["layer"], arguments["scale"]
        return expression_query(
            adata,
            self.genes_,
            layer=layer,
            gene_key=gene_key,
            scale=scale,
            missing=missing,
            min_coverage=min_coverage,
            known=known,
        )

    @docs.dedent
    def predict_logits(
        self,
        adata: AnnData | None = None,
        *,
        indices: np.ndarray | None = None,
        batch_size: int | None = None,
        verbose: bool = False,
        **input_kwargs: Unpack[InputOptions],
    ) -> pd.DataFrame:
        """Return the log-odds of each class against all others.

        The AnnData is not registered, not changed and not kept. Genes are matched by name; the
        total of a row is taken over all genes of the input.

        Parameters
        ----------
        %(adata)s
        %(chosen_rows)s
        **input_kwargs
            Arguments of :meth:`prepare`: ``layer``, ``gene_key``, ``scale``, ``missing``,
            ``min_coverage``.

        Returns
        -------
        Log-odds, float64, one row a cell (index ``obs_names``) and one column a class. Its
        sigmoid is :meth:`predict_proba`.

        Raises
        ------
        RuntimeError
            When the model was not trained.
        ValueError
            When the expression or its scale is unfit, or too few genes are found.
        """
        query = self.prepare(None if adata is self.adata else adata, **input_kwargs)
        adata = self._own_adata() if adata is None else adata
        names = adata.obs_names if indices is None else adata.obs_names[indices]
        out = np.empty((len(names), len(self.classes_)))
        with progress(len(names), "predicting", verbose=verbose) as bar:
            for part in self.stream(query, indices=indices, batch_size=batch_size):
                out[part.rows] = part.logits
                bar.update(len(part.logits))
        return pd.DataFrame(out, index=names, columns=self.classes_)

    @docs.dedent
    def predict_proba(
        self,
        adata: AnnData | None = None,
        *,
        indices: np.ndarray | None = None,
        batch_size: int | None = None,
        verbose: bool = False,
        **input_kwargs: Unpack[InputOptions],
    ) -> pd.DataFrame:
        """Return the probability of each class, 0 to 1.

        Parameters
        ----------
        %(adata)s
        %(chosen_rows)s
        %(input_kwargs)s

        Returns
        -------
        Probabilities, float64, one row a cell and one column a class; rows sum to 1. That of the
        positive class is the calibrated log-odds of :meth:`predict_logits`; other classes share
        the rest as their sigmoids do. Errors are those of :meth:`predict_logits`.
        """
        logits = self.predict_logits(
            adata, indices=indices, batch_size=batch_size, verbose=verbose, **input_kwargs
        )
        positive = self.classes_.index(self.positive_)
        table = expit(logits.to_numpy())
        table[:, positive] = self.calibrated(logits.to_numpy()[:, positive])
        others = np.arange(table.shape[1]) != positive
        rest = np.maximum(table[:, others].sum(axis=1), np.finfo(float).tiny)
        table[:, others] *= ((1 - table[:, positive]) / rest)[:, None]
        return pd.DataFrame(table, index=logits.index, columns=logits.columns)

    @docs.dedent
    def attribute(
        self,
        adata: AnnData | None = None,
        *,
        method: str = "integrated_gradients",
        baseline: str | np.ndarray = "train_mean",
        groupby: str | None = None,
        donor_key: str | None = None,
        indices: np.ndarray | None = None,
        max_cells: int | None = 1000,
        n_steps: int | None = None,
        n_top: int = 50,
        seed: int | None = 0,
        verbose: bool = False,
        **input_kwargs: Unpack[InputOptions],
    ) -> Attribution:
        """Return what each gene contributes to the log-odds of the positive class.

        Inputs are the model's genes as log1p(1e4 · x / total) (of AMU: log1p per million of the
        closed panel), and noise is off. A contribution says what the *model* uses, not what causes the state. Nothing is written:
        :func:`dtp_scvi.tl.attribute` does that. Needs the extra ``mechanism`` (captum).

        Parameters
        ----------
        %(adata)s
        %(attribution)s
        %(seed)s
        %(verbose)s
        %(input_kwargs)s

        Returns
        -------
        An :class:`Attribution`. Where the training data are explained, their registered donors are
        used unless ``donor_key`` is given.

        Raises
        ------
        RuntimeError
            When the model was not trained.
        ImportError
            When captum is missing.
        ValueError
            When an option or the expression is unfit, a baseline has another length, or DeepLIFT's
            contributions miss more than 5 % of the log-odds.

        Warns
        -----
        UserWarning
            When a completeness error stays above one per cent, or genes are missing.
        """
        own = adata is None or adata is self.adata
        query = self.prepare(None if own else adata, **input_kwargs)
        if adata is None or own:
            adata, registered = self._own_adata(), setup_args(self.registry_)["donor_key"]
            donor_key = registered if donor_key is None else donor_key
        how = Explanation(
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
        )
        return attribute_classifier(self, adata, query, how)

    def calibrated(self, logits: np.ndarray) -> np.ndarray:
        """Return the probability of the positive class for its log-odds.

        Parameters
        ----------
        logits
            Column of the positive class from :meth:`predict_logits`.

        Returns
        -------
        Probabilities, float64, 0 to 1; the sigmoid where no calibration could be fitted.
        """
        return expit(logits) if self.calibration_ is None else self.calibration_.transform(logits)

    def stream(
        self, query: Query, *, indices: np.ndarray | None = None, batch_size: int | None = None
    ) -> Iterator[Predicted]:
        """Yield log-odds and program coordinates block by block, in constant memory.

        Parameters
        ----------
        query
            What to predict, from :meth:`prepare`.
        indices
            Rows to predict; all by default.
        batch_size
            Rows per step.
        """
        if batch_size is not None:
            check_positive_int(batch_size, "batch_size")
        yield from stream_logits(self.module, query, indices=indices, batch_size=batch_size)
