"""The vectors that a network on a gene panel learns, and how alike they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import pandas as pd
from scipy.spatial.distance import pdist, squareform

from dtp_scvi._validate import check_one_of, problem
from dtp_scvi.module import GeneAttention

if TYPE_CHECKING:
    import numpy as np

    from dtp_scvi.model._classifier import ExpressionClassifier as _Classifier
    from dtp_scvi.module import AMUModule
else:
    # scvi-tools keeps set-ups by class: a base between would hide them from `leave_original`.
    _Classifier = object

METRICS: Final = ("cosine", "euclidean", "correlation")


class GeneEmbeddings(_Classifier):
    """Mixin of :class:`AMU`: its gene embeddings."""

    module: AMUModule

    def get_gene_embedding(self) -> pd.DataFrame:
        """Return the learned vector that each gene's value is multiplied into.

        Returns
        -------
        One row a gene, (n_genes, d_model), float64.

        Raises
        ------
        ValueError
            When the network has none (``network="cnn"``).
        """
        return pd.DataFrame(self._embedding(self.module), index=self.genes_)

    def untrained_gene_embedding(self) -> pd.DataFrame:
        """Return the vectors that training started from: what a claim about them has to beat."""
        return pd.DataFrame(self._embedding(self._new_module(self.seed_ or 0)), index=self.genes_)

    def gene_similarity(
        self, metric: Literal["cosine", "euclidean", "correlation"] = "cosine"
    ) -> pd.DataFrame:
        """Return the similarity of each pair of gene embeddings, higher is closer.

        Parameters
        ----------
        metric
            ``"cosine"`` or ``"correlation"`` (-1 to 1), or ``"euclidean"``, the negative distance.

        Returns
        -------
        Symmetric table, (n_genes, n_genes).
        """
        check_one_of(metric, METRICS, "metric")
        distance = squareform(pdist(self._embedding(self.module), metric=metric))
        similar = -distance if metric == "euclidean" else 1 - distance
        return pd.DataFrame(similar, self.genes_, self.genes_)

    def _embedding(self, module: AMUModule) -> np.ndarray:
        if not isinstance(module.net, GeneAttention):
            msg = problem("a network with gene embeddings", "a CNN", 'Use network="attention".')
            raise ValueError(msg)
        return module.net.embedding.detach().cpu().double().numpy()
