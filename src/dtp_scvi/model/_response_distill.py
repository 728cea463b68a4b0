"""A linear student of a response model with a network."""

from __future__ import annotations

import numpy as np
import pandas as pd
from anndata import AnnData

from dtp_scvi._docs import docs
from dtp_scvi._validate import check_positive_int, check_range
from dtp_scvi.data import Scale
from dtp_scvi.model._response import ResponseModel
from dtp_scvi.model._response_base import ResponseBase
from dtp_scvi.model._response_predict import linear_values

_TEACHER = "teacher"


class ResponseDistillation(ResponseBase):
    """The part of :class:`ResponseTransformer` that is distilled."""

    @docs.dedent
    def distill(
        self,
        adata: AnnData,
        n_genes: int = 1000,
        *,
        target: str | None = None,
        layer: str | None = None,
        gene_key: str | None = None,
        donor_key: str | None = None,
        scale: str = "auto",
    ) -> ResponseModel:
        """Fit a linear model on a panel of genes to this model's predictions.

        The panel holds the genes of the largest mean absolute attribution. Rows need no response:
        the more rows, the closer the student.

        Parameters
        ----------
        %(adata)s
        n_genes
            Size of the panel.
        target
            Which response; needed where the model has several.
        %(layer)s
        %(gene_key)s
        donor_key
            Column of ``adata.obs`` with the donor of each row.
        %(scale)s

        Returns
        -------
        A :class:`ResponseModel`. Its ``settings_["spearman_left_out"]`` is its agreement with this
        model on donors that were left out, and ``settings_["teacher"]`` the id of this model.

        Raises
        ------
        ValueError
            When ``n_genes`` exceeds the genes of the model, or the expression is unfit.
        """
        check_positive_int(n_genes, "n_genes")
        check_range(n_genes, "n_genes", 1, len(self.genes_))
        which = self.target_index(target)
        query = self.prepare(adata, layer=layer, gene_key=gene_key, scale=scale)
        found = np.flatnonzero(query.alignment.observed)
        panel = np.sort(found[np.argsort(-self.importance_[found], kind="stable")[:n_genes]])
        rows = AnnData(
            linear_values(query)[:, panel],
            obs=adata.obs.assign(**{_TEACHER: self.predict_query(query)[:, which]}),
            var=pd.DataFrame(index=self.genes_[panel]),
        )
        student = ResponseModel(self.name_).fit(
            rows,
            _TEACHER,
            donor_key=donor_key,
            scale=str(Scale.NORMALIZED),
            units=self.units_,
            direction=self.direction_,
        )
        student.targets_ = (self.targets_[which],)
        student.settings_["teacher"] = self.id_
        return student
