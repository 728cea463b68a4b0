"""Take batch effects out by ComBat, with everything fitted on training rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from dtp_scvi._constants import COMBAT_KEY, FEWEST_FOR_MOMENTS
from dtp_scvi._docs import docs
from dtp_scvi._logging import warn
from dtp_scvi._optional import require
from dtp_scvi._validate import check_one_of, matrix_name, problem, shorten
from dtp_scvi.data import check_matrix, check_object
from dtp_scvi.pp._combat_checks import check_logarithms, check_sizes, constant_within
from dtp_scvi.pp._combat_design import Design, DesignReader, stack
from dtp_scvi.pp._combat_library import apply_library, fit_library
from dtp_scvi.pp._combat_record import combat_record
from dtp_scvi.pp._rewrite import finish, read_dense, writable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData

_TRAINING = "training rows"


@docs.dedent
class Combat:
    """
    ComBat whose parameters come from training rows and are then applied to any others.

    Location and scale of each gene in each batch are shrunk by empirical Bayes (Johnson et al.
    2007, doi:10.1093/biostatistics/kxj037; with covariates Fortin et al. 2018,
    doi:10.1016/j.neuroimage.2017.11.024), as combatlearn does it (extra ``harmonise``). Rows that
    are transformed never change a parameter.

    Parameters
    ----------
    batch_key
        Column of ``adata.obs`` with the batch, for example the study.
    covariates
        Columns of ``adata.obs`` whose effect is to stay, numbers or categories. Rows that are
        transformed need them too.
    labels_key
        Column with the label. By default it is **not looked at**. With it, batches that differ
        in their label are compared at the same label; it is read from the training rows only, a
        warning says so, and all rows are then transformed as if theirs were the training average.
    mean_only
        Correct locations, leave scales as they are.
    parametric
        Parametric priors; otherwise the library's non-parametric scheme.
    %(layer)s

    Attributes
    ----------
    genes_
        Genes of the training rows, in their order.
    unadjusted_genes_
        Genes that are constant within a batch of the training rows and are passed through, as
        the R package sva does.
    counts_
        Number of training rows by batch.
    scale_, shift_
        What a row is multiplied by, and what is then added, batches x genes; covariates at their
        training mean or first level.

    Raises
    ------
    ImportError
        Without combatlearn.

    Notes
    -----
    ComBat takes out all that differs on average between batches, and with it a difference in
    response. It removes no leak: judge it by :func:`dtp_scvi.stats.auroc` within studies.

    Examples
    --------
    >>> import dtp_scvi as dtp
    >>> ici = dtp.datasets.simulate_ici((30, 40), n_genes=40)
    >>> dtp.pp.close_composition(ici)
    >>> train, test = ici[::2].copy(), ici[1::2].copy()
    >>> combat = dtp.pp.Combat("study").fit(train)
    >>> combat.transform(test)
    >>> test.uns["dtp_combat"]["transductive"]
    False
    """

    def __init__(
        self,
        batch_key: str,
        *,
        covariates: Sequence[str] = (),
        labels_key: str | None = None,
        mean_only: bool = False,
        parametric: bool = True,
        layer: str | None = None,
    ) -> None:
        require("combatlearn", "harmonise")
        self.batch_key = batch_key
        self.covariates = (covariates,) if isinstance(covariates, str) else tuple(covariates)
        self.labels_key = labels_key
        self.mean_only, self.parametric, self.layer = mean_only, parametric, layer
        if labels_key is not None and labels_key in (batch_key, *self.covariates):
            msg = problem(
                "`labels_key` to be neither batch nor covariate", repr(labels_key), "Name it once."
            )
            raise ValueError(msg)

    def fit(self, adata: AnnData) -> Combat:
        """
        Fit on training rows.

        Parameters
        ----------
        adata
            Training rows, all of them; logarithms or log-ratios. A view will do.

        Returns
        -------
        The same object.

        Raises
        ------
        TypeError, KeyError, ValueError
            Not an AnnData; no such column or layer; missing batches or covariates; counts, NaN or
            infinite values; a batch of one row; covariates that the batch determines.
        """
        check_object(adata, view=True)
        values = read_dense(adata, self.layer)
        check_matrix(values, name=self._where, negative=True)
        check_logarithms(values, self._where)
        self._reader = DesignReader(self.batch_key, self.covariates, self.labels_key)
        design = self._reader.fit(adata)
        self.counts_ = pd.Series(design.batch).value_counts().sort_index()
        check_sizes(self.counts_)
        self.genes_ = adata.var_names.astype(str)
        self._adjust = ~constant_within(values, design.batch)
        self.unadjusted_genes_ = self.genes_[~self._adjust]
        # One batch has nothing to be told from; unseen ones can still be moved to it.
        self._estimator = None
        if len(self.counts_) > 1 and self._adjust.any():
            self._estimator = fit_library(
                values[:, self._adjust],
                design,
                parametric=self.parametric,
                mean_only=self.mean_only,
            )
        if self.labels_key is not None:
            warn(
                f"Combat read the label {self.labels_key!r} of the training rows: fit it inside "
                "each training fold, or the test rows' labels leak."
            )
        self._reference = self._corrected(values, self._reader.read(adata))
        self._reference_design = self._reader.read(adata, with_label=False)
        self._probe(design)
        return self

    @docs.dedent
    def transform(
        self,
        adata: AnnData,
        *,
        unseen: Literal["error", "own"] = "error",
        layer_added: str | None = None,
        copy: bool = False,
    ) -> AnnData | None:
        """
        Correct rows by what was fitted.

        Parameters
        ----------
        adata
            Rows with the genes of the training rows, in any order.
        unseen
            A batch that training did not have is an error, or, with ``"own"``, its location and
            scale are estimated from its own rows, against the corrected training rows. No label
            is used, but the rows to be predicted are: **transductive**, and recorded as such.
        layer_added
            Layer to write to; ``None`` writes ``adata.X``.
        %(copy)s

        Returns
        -------
        ``None``, or the changed copy. Written are dense float64 values and
        ``adata.uns["dtp_combat"]``: ``"batches"`` (``batch``, ``n_training``, ``n_rows``,
        ``fitted_on``), ``"unadjusted_genes"``, ``"transductive"``, ``"label_used"``, ``"params"``.

        Raises
        ------
        RuntimeError
            Before ``fit``.
        TypeError, KeyError, ValueError
            As for ``fit``; a gene too few or too many; a level of a covariate, or a batch, that
            training did not have.
        """
        if not hasattr(self, "genes_"):
            msg = problem("a fitted Combat", "one without parameters", "Call fit(train) first.")
            raise RuntimeError(msg)
        check_one_of(unseen, ("error", "own"), "unseen")
        out = writable(adata, copy=copy)
        order = self._gene_order(out)
        values = read_dense(out, self.layer)[:, order]
        check_matrix(values, name=self._where, negative=True)
        design = self._reader.read(out)
        new = sorted(set(design.batch) - set(self.counts_.index))
        if new and unseen == "error":
            msg = problem(
                f"batches of the training rows ({shorten(self.counts_.index)})",
                shorten(new),
                'Add training rows of them, or pass unseen="own", which is transductive.',
            )
            raise ValueError(msg)
        known = np.flatnonzero(~np.isin(design.batch, new))
        values[known] = self._corrected(values[known], design.at(known))
        bare = self._reader.read(out, with_label=False)
        for batch in new:
            at = np.flatnonzero(design.batch == batch)
            values[at] = self._own(batch, values[at], bare.at(at))
        written = np.empty_like(values)
        written[:, order] = values
        record = combat_record(self, design.batch, new, unseen)
        return finish(out, written, layer_added, COMBAT_KEY, record, copy=copy)

    @property
    def _where(self) -> str:
        return matrix_name(self.layer)

    def _corrected(self, values: np.ndarray, design: Design) -> np.ndarray:
        out = values.copy()
        if self._estimator is not None and len(values):
            out[:, self._adjust] = apply_library(self._estimator, values[:, self._adjust], design)
        return out

    def _own(self, batch: str, values: np.ndarray, design: Design) -> np.ndarray:
        """Move a batch to the corrected training rows, by its own location and scale."""
        n = len(values)
        check_sizes(pd.Series({batch: n}))
        if n < FEWEST_FOR_MOMENTS:
            warn(f"Batch {batch!r} has {n} rows to fit its own location and scale: expect noise.")
        adjust = self._adjust & (np.ptp(values, axis=0) > 0)
        adjust &= np.ptp(self._reference, axis=0) > 0
        if not adjust.any():
            return values
        joined = stack(self._reference_design, design, (_TRAINING, batch))
        estimator = fit_library(
            np.vstack([self._reference, values])[:, adjust],
            joined,
            parametric=self.parametric,
            mean_only=self.mean_only,
            reference=_TRAINING,
        )
        out = values.copy()
        mine = joined.at(np.arange(len(self._reference), len(joined.batch)))
        out[:, adjust] = apply_library(estimator, values[:, adjust], mine)
        return out

    def _probe(self, design: Design) -> None:
        """Read scale and shift off rows of zeros and ones: the correction is affine."""
        names, n_genes = list(self.counts_.index), len(self.genes_)
        batch = np.array(names, dtype=object)
        levels = {
            k: pd.Categorical([v[0]] * len(names), v) for k, v in self._reader.levels.items()
        }
        means = None if design.continuous is None else design.continuous.mean()
        at_mean = Design(
            batch,
            pd.DataFrame(levels) if levels else None,
            None if means is None else pd.DataFrame([means] * len(names)).reset_index(drop=True),
        )
        zero = self._corrected(np.zeros((len(names), n_genes)), at_mean)
        one = self._corrected(np.ones((len(names), n_genes)), at_mean)
        self.shift_ = pd.DataFrame(zero, index=names, columns=self.genes_)
        self.scale_ = pd.DataFrame(one - zero, index=names, columns=self.genes_)

    def _gene_order(self, adata: AnnData) -> np.ndarray:
        names = adata.var_names.astype(str)
        missing, extra = self.genes_.difference(names), names.difference(self.genes_)
        if len(missing) or len(extra) or names.has_duplicates:
            msg = problem(
                f"the {len(self.genes_):,} genes of the training rows, each once",
                f"missing: {shorten(missing)}; not in training: {shorten(extra)}; "
                f"repeated: {shorten(names[names.duplicated()].unique())}",
                "Subset both to the same genes.",
            )
            raise ValueError(msg)
        return np.asarray(names.get_indexer(self.genes_))
