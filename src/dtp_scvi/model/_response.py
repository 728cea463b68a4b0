"""Predict a continuous response of a sample, such as a drug's AUC, linearly in its expression."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import pandas as pd
import torch

from dtp_scvi._docs import docs
from dtp_scvi._validate import check_one_of
from dtp_scvi.data import check_object
from dtp_scvi.model._response_base import DIRECTIONS, Direction, ResponseBase
from dtp_scvi.model._response_data import read_training
from dtp_scvi.model._response_fit import Fitted, fit_response
from dtp_scvi.model._response_input import ALIGN, INPUTS, Align
from dtp_scvi.model._response_predict import standardised

if TYPE_CHECKING:
    from collections.abc import Mapping

    from anndata import AnnData

    from dtp_scvi.model._query import Missing, Query


@docs.dedent
class ResponseModel(ResponseBase):
    """Predicts a continuous response of a sample from a panel of genes, linearly.

    Ridge regression on standardised inputs. ``"closed"`` inputs are log1p(1e4 · x / sum over the
    panel), which needs no library size and is the same whatever constant a platform multiplies
    with; ``"rank"`` inputs are the panel genes' ranks within the sample; a ``"blend"`` is the mean
    of both regressions, each on its own standard deviation. The penalty is the one of the least
    squared error when one donor is left out at a time. What is kept are coefficients, means and
    deviations by gene: no training row.

    Parameters
    ----------
    name
        What to call the model.
    inputs
        ``"closed"``, ``"rank"`` or ``"blend"``.
    target
        ``"value"`` regresses the response, ``"rank"`` its rank among the training rows divided by
        their number.

    Attributes
    ----------
    genes_
        Genes of the model, in its order.
    units_
        Units of a prediction.
    direction_
        ``"higher_is_resistant"`` or ``"higher_is_sensitive"``.
    data_
        Size, scale and origin of the training rows.
    settings_
        Penalty of each regression, and Spearman's correlation with donors left out.
    evaluation_
        What the model was worth on rows of others, given by :meth:`adopt`; else empty.
    notes_
        Texts for the card, see :meth:`describe`.

    Examples
    --------
    >>> import anndata as ad, numpy as np, pandas as pd
    >>> import dtp_scvi as dtp
    >>> rng = np.random.default_rng(0)
    >>> counts = rng.poisson(50, (80, 30)).astype(np.float32)
    >>> samples = ad.AnnData(
    ...     counts, obs=pd.DataFrame({"auc": counts[:, 0]}, index=map(str, range(80)))
    ... )
    >>> model = dtp.model.ResponseModel("first gene").fit(samples, "auc", units="counts")
    >>> bool(np.corrcoef(model.predict(samples), counts[:, 0])[0, 1] > 0.9)
    True
    """

    def __init__(
        self,
        name: str = "",
        *,
        inputs: Literal["closed", "rank", "blend"] = "closed",
        target: Literal["value", "rank"] = "value",
    ) -> None:
        check_one_of(inputs, INPUTS, "inputs")
        check_one_of(target, ("value", "rank"), "target")
        super().__init__(name)
        self.inputs_, self.target_ = inputs, target
        self.fitted_: Fitted | None = None

    @docs.dedent
    def fit(
        self,
        adata: AnnData,
        target_key: str,
        *,
        layer: str | None = None,
        gene_key: str | None = None,
        donor_key: str | None = None,
        scale: str = "auto",
        units: str = "",
        direction: Direction = "higher_is_resistant",
    ) -> Self:
        """Fit on all genes of an AnnData; rows without a response are left out.

        Parameters
        ----------
        %(adata)s
        target_key
            Column of ``adata.obs`` with the response: numbers, NaN where it is missing.
        %(layer)s
        %(gene_key)s
        donor_key
            Column of ``adata.obs`` with the donor of each row; rows of a donor are left out
            together when the penalty is chosen. Each row is its own donor without it.
        %(scale)s
        %(response_meaning)s

        Returns
        -------
        The model itself.

        Raises
        ------
        KeyError
            When a key is missing.
        ValueError
            When gene names repeat, expression or scale are unfit, the response is no number, or
            fewer than 20 rows, or one value, are left.
        """
        check_one_of(direction, DIRECTIONS, "direction")
        check_object(adata)
        given = read_training(
            adata,
            target_key,
            layer=layer,
            gene_key=gene_key,
            donor_key=donor_key,
            scale=scale,
        )
        fitted, settings = fit_response(
            given, INPUTS[self.inputs_], as_rank=self.target_ == "rank"
        )
        self.fitted_ = fitted
        self._record(given, settings, units, direction)
        return self

    @docs.dedent
    def predict(
        self,
        adata: AnnData,
        *,
        align: Align = "none",
        layer: str | None = None,
        gene_key: str | None = None,
        scale: str = "auto",
        missing: Missing = "mean",
        min_coverage: float = 0.5,
    ) -> pd.Series:
        """Return the predicted response of each row; nothing is written.

        Parameters
        ----------
        %(adata)s
        align
            ``"none"`` takes the rows as they are; ``"moments"`` maps each gene's mean and
            deviation over the rows onto those of the training rows, so that a row's prediction
            depends on the other rows; ``"rank"`` uses each row's ranks only: closed inputs take
            the mean training value of a gene's rank.
        %(query_input)s

        Returns
        -------
        Predictions in :attr:`units_`, float64, index ``obs_names``; NaN for rows in which no
        gene of the model has a value above zero.

        Raises
        ------
        RuntimeError
            When the model was not fitted.
        ValueError
            When the expression or its scale is unfit, too few genes are found, or
            ``align="moments"`` meets fewer than ten rows.
        """
        check_one_of(align, ALIGN, "align")
        query = self.prepare(
            adata,
            layer=layer,
            gene_key=gene_key,
            scale=scale,
            missing=missing,
            min_coverage=min_coverage,
        )
        values = self.predict_query(query, align=align)
        return pd.Series(values, index=adata.obs_names, name="prediction")

    def predict_query(self, query: Query, *, align: Align = "none") -> np.ndarray:
        """Return the predictions of :meth:`predict` for what :meth:`prepare` found.

        Parameters
        ----------
        query
            What to predict.
        align
            As in :meth:`predict`.
        """
        fitted = self._fit_of()
        out = np.empty(int(query.matrix.shape[0]))
        for rows, z in standardised(fitted.reference, query, align):
            # Summed gene by gene, so that a row's prediction does not depend on its block.
            out[rows] = fitted.intercept + np.einsum("krg,kg->r", z, fitted.weight)
        return out

    @property
    def weights_(self) -> pd.DataFrame:
        """Change of the prediction by one training deviation of a gene, by kind of input."""
        fitted = self._fit_of()
        return pd.DataFrame(fitted.weight.T, self.genes_, list(fitted.reference.kinds))

    @property
    def importance_(self) -> np.ndarray:
        """Summed absolute weight of each gene, (n_genes,)."""
        return np.abs(self._fit_of().weight).sum(axis=0)

    @classmethod
    def _unfitted(cls, meta: Mapping[str, Any]) -> Self:
        return cls(meta["name"], inputs=meta["inputs"], target=meta["target"])

    def _take_weights(self, weights: Mapping[str, torch.Tensor], meta: Mapping[str, Any]) -> None:
        self.targets_ = (meta["data"]["target_key"],)
        state = {name: value.numpy() for name, value in weights.items()}
        self.fitted_ = Fitted.from_arrays(state, INPUTS[self.inputs_], len(self.genes_))

    def _fit_of(self) -> Fitted:
        return self._fitted(self.fitted_)

    def _state(self) -> dict[str, torch.Tensor]:
        arrays = self._fit_of().to_arrays()
        return {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}

    def _own_meta(self) -> dict[str, Any]:
        return {"inputs": self.inputs_, "target": self.target_}
