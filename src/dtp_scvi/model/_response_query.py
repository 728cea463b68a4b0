"""What a response model says of rows: input, shift, attribution."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Literal, Unpack

from dtp_scvi._docs import docs
from dtp_scvi._validate import check_one_of, matrix_name, near_matches, problem, shorten
from dtp_scvi.data import get_matrix, resolve_scale
from dtp_scvi.model._attribute import Attribution, Explanation, attribute_response
from dtp_scvi.model._checks import check_not_empty
from dtp_scvi.model._query import InputOptions, Missing, Query, match_genes
from dtp_scvi.model._response_input import ALIGN, Align
from dtp_scvi.model._response_predict import shifted_share

if TYPE_CHECKING:
    import numpy as np
    from anndata import AnnData

    from dtp_scvi.model._response_fit import Fitted
    from dtp_scvi.model._response_reference import InputReference
    from dtp_scvi.model._response_residual import NetworkFit


class ResponseQueries(ABC):
    """Base of :class:`ResponseBase`: what is asked of a model that was fitted."""

    genes_: np.ndarray
    targets_: tuple[str, ...]
    units_: str

    @property
    @abstractmethod
    def importance_(self) -> np.ndarray:
        """How much each gene weighs in the predictions, (n_genes,), 0 or more."""

    @abstractmethod
    def predict_query(self, query: Query, *, align: Align = "none") -> np.ndarray:
        """Return predictions for what :meth:`prepare` found, (n_rows,) or (n_rows, n_targets).

        Parameters
        ----------
        query
            What to predict.
        align
            How the query is brought to the training rows: ``"none"``, ``"moments"`` or ``"rank"``.
        """

    @abstractmethod
    def _fit_of(self) -> Fitted | NetworkFit:
        """Return what was fitted; raise where nothing was."""

    def _check_fitted(self) -> InputReference:
        """Return what is kept of the training inputs; raise where the model was not fitted."""
        return self._fit_of().reference

    def target_index(self, target: str | None = None) -> int:
        """Return the position of a target; raise where it is unknown or several could be meant.

        Parameters
        ----------
        target
            Name of one of :attr:`targets_`; may be left out where there is one.

        Raises
        ------
        ValueError
            When the model has several targets and none is named.
        KeyError
            When it has none of this name.
        """
        self._check_fitted()
        if target is None and len(self.targets_) == 1:
            return 0
        if target is None:
            msg = problem(
                "`target`, one of the model's responses",
                f"none named of {len(self.targets_):,} ({shorten(self.targets_)})",
                "Name one.",
            )
            raise ValueError(msg)
        if target not in self.targets_:
            msg = problem(
                f"`target` among the {len(self.targets_):,} responses of the model",
                repr(target),
                near_matches(target, self.targets_),
            )
            raise KeyError(msg)
        return self.targets_.index(target)

    @docs.dedent
    def prepare(
        self,
        adata: AnnData,
        *,
        layer: str | None = None,
        gene_key: str | None = None,
        scale: str = "auto",
        missing: Missing = "mean",
        min_coverage: float = 0.5,
    ) -> Query:
        """Find the expression, its scale and the model's genes in an AnnData.

        Parameters
        ----------
        %(adata)s
        %(query_input)s

        Raises
        ------
        RuntimeError
            When the model was not fitted.
        ValueError
            When the expression or its scale is unfit, or too few genes are found.
        """
        self._check_fitted()
        check_not_empty(adata)
        # Coverage first: where a tenth of the genes is there, the scale does not matter.
        alignment = match_genes(adata, self.genes_, gene_key, missing, min_coverage)
        matrix = get_matrix(adata, layer)
        name = matrix_name(layer)
        return Query(
            matrix, resolve_scale(matrix, scale, name=name), alignment, missing, name=name
        )

    def shift(self, query: Query, *, align: Literal["none", "rank"] = "none") -> dict[str, Any]:
        """Measure how far the genes of a query lie from the training rows.

        Parameters
        ----------
        query
            What to look at, from :meth:`prepare`.
        align
            Whether to look at the rows as they are or at their ranks.

        Returns
        -------
        ``shifted``, the share of found genes whose mean lies over three training deviations off,
        and ``n_rows``, the number of rows that have any value in the model's genes.
        """
        return shifted_share(self._check_fitted(), query, align)

    @docs.dedent
    def attribute(
        self,
        adata: AnnData,
        *,
        target: str | None = None,
        align: Align = "none",
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
        """Return what each gene contributes to a predicted response, in its units.

        Inputs are those of the model: log1p(1e4 · x / sum over its genes), ranks within the
        sample, or both, whose contributions are added. Nothing is written:
        :func:`dtp_scvi.tl.attribute` does that.

        Parameters
        ----------
        %(adata)s
        target
            Which response; needed where the model has several.
        align
            How the rows are brought to the training rows, as in ``predict``.
        %(attribution)s
        %(seed)s
        %(verbose)s
        %(input_kwargs)s

        Returns
        -------
        An :class:`Attribution`.

        Raises
        ------
        RuntimeError
            When the model was not fitted.
        ImportError
            When captum is missing and the model has a residual.
        KeyError, ValueError
            When an option or the expression is unfit, a baseline has another length, or DeepLIFT's
            contributions miss more than 5 % of the prediction.
        """
        check_one_of(align, ALIGN, "align")
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
        query = self.prepare(adata, **input_kwargs)
        return attribute_response(self, adata, query, target, align, how)
