"""What all models of a continuous response share: input, evidence, card, saving."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, Unpack

import numpy as np

from dtp_scvi._constants import RESPONSE_RESEARCH_USE
from dtp_scvi._docs import docs
from dtp_scvi._validate import check_one_of, matrix_name, near_matches, problem, shorten
from dtp_scvi.data import align_genes, gene_names, get_matrix, resolve_scale
from dtp_scvi.model._attribute import Attribution, Explanation, attribute_response
from dtp_scvi.model._bundle import read_meta, read_weights, weights_hash, write_bundle
from dtp_scvi.model._card import with_notes
from dtp_scvi.model._checks import check_not_empty
from dtp_scvi.model._plain import plain
from dtp_scvi.model._query import MISSING, InputOptions, Missing, Query
from dtp_scvi.model._response_card import ResponseCard, response_card
from dtp_scvi.model._response_input import ALIGN, Align
from dtp_scvi.model._response_predict import shifted_share
from dtp_scvi.model._versions import versions

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch
    from anndata import AnnData

    from dtp_scvi.model._response_fit import Fitted
    from dtp_scvi.model._response_reference import InputReference
    from dtp_scvi.model._response_residual import NetworkFit

Direction = Literal["higher_is_resistant", "higher_is_sensitive"]
DIRECTIONS = ("higher_is_resistant", "higher_is_sensitive")


class ResponseBase(ABC):
    """A model that predicts one or several continuous responses from a panel of genes.

    Parameters
    ----------
    name
        What to call the model.
    """

    def __init__(self, name: str) -> None:
        self.name_ = name
        self.units_ = ""
        self.direction_: Direction = "higher_is_resistant"
        self.targets_: tuple[str, ...] = ()
        self.genes_ = np.empty(0, dtype=str)
        self.data_: dict[str, Any] = {}
        self.settings_: dict[str, Any] = {}
        self.evaluation_: dict[str, Any] = {}
        self.notes_: dict[str, str] = {}

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
    def _check_fitted(self) -> InputReference:
        """Return what is kept of the training inputs; raise where the model was not fitted."""

    @abstractmethod
    def _fit_of(self) -> Fitted | NetworkFit:
        """Return what was fitted; raise where nothing was."""

    @abstractmethod
    def _state(self) -> dict[str, torch.Tensor]:
        """Return the weights by name."""

    @abstractmethod
    def _own_meta(self) -> dict[str, Any]:
        """Return what this class adds to ``model.json``."""

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
        check_one_of(missing, MISSING, "missing")
        check_not_empty(adata)
        # Coverage first: where a tenth of the genes is there, the scale does not matter.
        alignment = align_genes(gene_names(adata, gene_key), self.genes_)
        alignment.check(1.0 if missing == "error" else min_coverage)
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

    @property
    def worth_(self) -> str:
        """What the model was worth on other rows, in a few words."""
        if not self.evaluation_:
            return "not evaluated on rows of others"
        found = self.evaluation_["spearman"]
        return (
            f"Spearman {found['value']:.2f} [{found['low']:.2f}, {found['high']:.2f}] on "
            f"{self.evaluation_['cohort']} (n = {self.evaluation_['n']:,})"
        )

    def adopt(self, evaluation: Mapping[str, Any]) -> None:
        """Take what the model was worth on rows it was not made with into its card.

        Parameters
        ----------
        evaluation
            ``cohort`` (its name), ``n`` (rows), ``spearman`` (with ``value``, ``low``, ``high``)
            and whatever else the card should keep, such as ``comparators``, ``interval`` and
            ``protocol``.

        Raises
        ------
        ValueError
            When one of the three is missing.
        """
        missing = [name for name in ("cohort", "n", "spearman") if name not in evaluation]
        missing += [
            name for name in ("value", "low", "high") if name not in evaluation.get("spearman", {})
        ]
        if missing:
            msg = problem(
                "an evaluation with cohort, n and spearman (value, low, high)",
                f"none of {shorten(missing)}",
                "Add them.",
            )
            raise ValueError(msg)
        self.evaluation_ = plain(dict(evaluation))

    def describe(self, **notes: str) -> None:
        """Add what no data can tell to the card, such as licence and population.

        Parameters
        ----------
        **notes
            Texts, any of ``dtp_scvi.model.NOTES``; an empty text removes one.

        Raises
        ------
        TypeError
            When a name is unknown.
        """
        self.notes_ = with_notes(self.notes_, notes)

    @property
    def id_(self) -> str:
        """First twelve digits of the checksum of the weights."""
        return weights_hash(self._state())[:12]

    @property
    def card_(self) -> ResponseCard:
        """What the model is, was trained on, is worth and is not."""
        return response_card(self._meta(), self.id_)

    @docs.dedent
    def save(self, dir_path: str | Path, *, overwrite: bool = False) -> None:
        """Write coefficients, settings and the card into a new directory.

        Files: ``model.safetensors``, ``model.json``, ``card.md``, ``card.json``; no training row
        and no pickle. The directory appears whole or not at all.

        Parameters
        ----------
        %(save_to)s

        Raises
        ------
        FileExistsError
            When the directory exists and ``overwrite`` is false.
        RuntimeError
            When the model was not fitted.
        """
        state, card = self._state(), self.card_
        texts = {"card.md": card.to_markdown(), "card.json": card.to_json()}
        write_bundle(Path(dir_path), state, self._meta(), texts, overwrite=overwrite)

    @classmethod
    def load(cls, dir_path: str | Path) -> Self:
        """Read a model directory; nothing in it is executed.

        Parameters
        ----------
        dir_path
            Directory that :meth:`save` wrote.

        Raises
        ------
        FileNotFoundError
            When there is nothing at ``dir_path``.
        ValueError
            When it is damaged, foreign or of another class.
        """
        path = Path(dir_path)
        meta = read_meta(path)
        if meta["class"] != cls.__name__:
            msg = problem(
                f"a {cls.__name__} in {path}",
                f"a {meta['class']}",
                "Use dtp_scvi.model.load_model.",
            )
            raise ValueError(msg)
        weights = read_weights(path, meta)
        model = cls._unfitted(meta)
        model._restore(meta)
        model._take_weights(weights, meta)
        return model

    @classmethod
    @abstractmethod
    def _unfitted(cls, meta: Mapping[str, Any]) -> Self:
        """Make a model with the arguments that ``model.json`` holds."""

    @abstractmethod
    def _take_weights(self, weights: Mapping[str, torch.Tensor], meta: Mapping[str, Any]) -> None:
        """Take what was fitted."""

    def _restore(self, meta: Mapping[str, Any]) -> None:
        """Take what every class saves from ``model.json``."""
        self.genes_ = np.asarray(meta["genes"], dtype=str)
        self.units_, self.direction_ = meta["units"], meta["direction"]
        self.data_, self.settings_ = meta["data"], meta["settings"]
        self.evaluation_, self.notes_ = meta["evaluation"], meta["notes"]

    def _meta(self) -> dict[str, Any]:
        self._check_fitted()
        return plain(
            {
                "class": type(self).__name__,
                "name": self.name_,
                "research_use": RESPONSE_RESEARCH_USE,
                "versions": versions(),
                "genes": self.genes_,
                "units": self.units_,
                "direction": self.direction_,
                "settings": self.settings_,
                "data": self.data_,
                "evaluation": self.evaluation_,
                "notes": self.notes_,
                **self._own_meta(),
            }
        )
