"""Adaptation of a drug sensitivity model to a target, and prediction."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, Unpack

import numpy as np
import pandas as pd

from dtp_scvi._docs import docs
from dtp_scvi._labels import text_column
from dtp_scvi._validate import check_positive_int, problem
from dtp_scvi.data import Scale, get_matrix
from dtp_scvi.model._checks import check_not_empty, check_same_kind
from dtp_scvi.model._drug_sensitivity_adapt import (
    AdaptOptions,
    fit_adaptation,
    sample_codes,
    stream_adapted,
)
from dtp_scvi.model._drug_sensitivity_source import read_aligned
from dtp_scvi.model._query import Predicted, Query, expression_query
from dtp_scvi.model._vae_data import embedding_query, query_embedding

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch
    from anndata import AnnData

    from dtp_scvi.model._classifier import ExpressionClassifier as _Classifier
    from dtp_scvi.model._query import InputOptions, Missing
    from dtp_scvi.module import DrugSensitivityModule
else:
    # scvi-tools keeps set-ups by class: a base between would hide them from `leave_original`.
    _Classifier = object


class SensitivityQueries(_Classifier):
    """Mixin of :class:`DrugSensitivity`: adaptation and prediction."""

    module: DrugSensitivityModule
    reference: str
    obsm_key_: str | None
    embedding_: dict[str, Any]
    adaptation_: dict[str, Any]

    @docs.dedent
    def adapt(
        self,
        adata: AnnData,
        method: Literal["adain", "mmd", "coral"] | None = "adain",
        *,
        sample_key: str | None = None,
        layer: str | None = None,
        gene_key: str | None = None,
        scale: str = "auto",
        missing: Missing = "mean",
        min_coverage: float = 0.5,
        **options: Any,
    ) -> None:
        """Map a target onto the training rows; predictions of other rows than these go through it.

        No label is looked at, and the head, its calibration and its threshold stay as they are. But
        it is transductive: what is predicted of a row depends on the other rows given here, so a
        target whose classes stand in another proportion is moved towards that of the training.
        Rows that arrive later are mapped as these were.

        Parameters
        ----------
        %(adata)s
        method
            ``"adain"`` gives each input the mean and deviation that the model stores
            (:func:`dtp_scvi.stats.moment_map`), which also lets a target on another scale through,
            such as z-scores with ``scale="as_is"``. ``"coral"`` gives them the mean and covariance of
            the training rows (:func:`dtp_scvi.stats.coral_map`). ``"mmd"`` trains a linear adapter
            of the target's latent variables on the discrepancy to those of the training rows
            (``nn.mmd2``), with everything else frozen. ``None`` drops an adaptation. The
            last two need the training rows at hand.
        sample_key
            Column of ``adata.obs``: with ``"adain"``, each sample gets its own moments.
        %(layer)s
        %(gene_key)s
        scale
            Expression scale, or ``"as_is"`` for values that can't be brought to the model's own.
        %(missing)s
        %(min_coverage)s
        **options
            ``shrinkage`` of ``"coral"``. Of ``"mmd"``: ``start`` (``"adain"``, the map that comes
            before the adapter, or ``None``), ``n_steps`` 300, ``batch_size`` 128, ``lr`` 5e-3,
            ``penalty`` 0.1 (of the change that the adapter makes), ``bandwidths``, ``unbiased``,
            ``seed``.

        Raises
        ------
        ValueError
            When a sample has fewer than ten rows, or too few genes are found.
        """
        self._check_trained()
        if method is None:
            self.module.adaptation, self.adaptation_ = None, {}
            return
        how = AdaptOptions(method=method, **options)
        how.check(with_samples=sample_key is not None)
        names = None if sample_key is None else text_column(adata.obs, sample_key, "sample_key")
        query = self._query(adata, layer, gene_key, scale, missing, min_coverage)
        samples, codes = (None, None) if names is None else np.unique(names, return_inverse=True)
        self.module.to("cpu")
        source = self._training_inputs(method) if method != "adain" else None
        found, details = fit_adaptation(self.module, query, codes, source, how)
        self.module.adaptation = found
        self.adaptation_ = {
            "method": method,
            "transductive": True,
            "n_rows": adata.n_obs,
            "reference": self.reference,
            "scale": str(query.scale),
            "n_missing": int((~query.alignment.observed).sum()),
            "sample_key": sample_key or "",
            "samples": [] if samples is None else samples.tolist(),
            **details,
        }

    def _training_inputs(self, method: str) -> torch.Tensor:
        if self.adata is None:
            msg = problem(
                f"the training rows for method={method!r}",
                "none (the model was loaded without its training data)",
                'Load it with adata=..., or use method="adain".',
            )
            raise ValueError(msg)
        reg = type(self).registration(self.adata)
        which = np.arange(self.adata.n_obs) if self.train_rows_ is None else self.train_rows_
        rows = read_aligned(self.adata, reg.layer, reg.scale, which, self.genes_, 0.0)
        return rows.values(self.module)

    def _values(self, adata: AnnData, layer: str | None) -> tuple[Any, np.ndarray]:
        """Values of rows that are not set up, and their names: expression, or an embedding."""
        if self.obsm_key_ is not None:
            return query_embedding(adata, self.obsm_key_, self.embedding_)
        return get_matrix(adata, layer), np.asarray(adata.var_names, dtype=str)

    def _query(
        self,
        adata: AnnData,
        layer: str | None,
        gene_key: str | None,
        scale: str,
        missing: Missing,
        min_coverage: float,
    ) -> Query:
        """Find rows that are no training rows."""
        self._check_trained()
        check_not_empty(adata)
        if self.obsm_key_ is not None:
            key = self.obsm_key_
            return embedding_query(adata, key, self.embedding_, self.genes_, missing)
        if self.scale_ == Scale.AS_IS and scale == "auto":
            scale = str(Scale.AS_IS)
        return expression_query(
            adata,
            self.genes_,
            layer=layer,
            gene_key=gene_key,
            scale=scale,
            missing=missing,
            min_coverage=min_coverage,
        )

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

        Rows other than the model's own go through the adaptation, where there is one, and are read
        on its scale unless another is named.

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
        if adata is None or adata is self.adata:
            return super().prepare(
                None if adata is self.adata and layer is None and scale == "auto" else adata,
                layer=layer,
                gene_key=gene_key,
                scale=scale,
                missing=missing,
                min_coverage=min_coverage,
            )
        adapted = self.adaptation_.get("scale")
        if not self.adaptation_:
            scale = check_same_kind(type(self).__name__, self.scale_, scale)
        elif scale == "auto" and adapted == Scale.AS_IS:
            scale = adapted
        query = self._query(adata, layer, gene_key, scale, missing, min_coverage)
        if not self.adaptation_:
            return query
        if (adapted == Scale.AS_IS) != (query.scale is Scale.AS_IS):
            msg = problem(
                f"rows of the kind that the model was adapted to (scale={adapted!r})",
                f"scale={str(query.scale)!r}",
                "Run adapt() on these rows.",
            )
            raise ValueError(msg)
        samples = sample_codes(adata, self.adaptation_)
        return replace(query, adaptation=self.adaptation_, samples=samples)

    def stream(
        self, query: Query, *, indices: np.ndarray | None = None, batch_size: int | None = None
    ) -> Iterator[Predicted]:
        """Yield log-odds and coordinates block by block; in one piece for several samples.

        Parameters
        ----------
        query
            What to predict, from :meth:`prepare`.
        indices
            Rows to predict; all by default.
        batch_size
            Rows per step.
        """
        if not query.adaptation:
            yield from super().stream(query, indices=indices, batch_size=batch_size)
            return
        if batch_size is not None:
            check_positive_int(batch_size, "batch_size")
        yield from stream_adapted(self.module, query, indices, batch_size)

    @docs.dedent
    def predict(
        self,
        adata: AnnData | None = None,
        *,
        indices: np.ndarray | None = None,
        batch_size: int | None = None,
        verbose: bool = False,
        **input_kwargs: Unpack[InputOptions],
    ) -> pd.DataFrame:
        """Return what the model says of each row.

        Parameters
        ----------
        %(adata)s
        %(chosen_rows)s
        %(input_kwargs)s

        Returns
        -------
        One row a cell: ``logit`` of the positive class, float64; its calibrated ``probability``, 0
        to 1; ``call``, the positive class where that reaches the threshold of held-out training
        rows, else the other one. ``attrs["adaptation"]`` holds :attr:`adaptation_`, where the rows
        went through it. Whether the threshold holds for these rows is for
        :func:`dtp_scvi.tl.transfer_check` to say. Errors are those of :meth:`predict_logits`.
        """
        logits = self.predict_logits(
            adata, indices=indices, batch_size=batch_size, verbose=verbose, **input_kwargs
        )[self.positive_]
        probability = self.calibrated(logits.to_numpy())
        other = next(name for name in self.classes_ if name != self.positive_)
        called = np.where(probability >= self.threshold_["value"], self.positive_, other)
        table = pd.DataFrame(
            {
                "logit": logits,
                "probability": probability,
                "call": pd.Categorical(called, categories=self.classes_),
            }
        )
        own = adata is None or adata is self.adata
        table.attrs["adaptation"] = {} if own else dict(self.adaptation_)
        return table
