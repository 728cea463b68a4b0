"""Predict a continuous response of a sample, such as a drug's AUC, linearly in its expression."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import pandas as pd
import torch

from dtp_scvi._constants import RESPONSE_RESEARCH_USE
from dtp_scvi._docs import docs
from dtp_scvi._validate import check_one_of, problem, shorten
from dtp_scvi.data import (
    align_genes,
    check_object,
    gene_names,
    get_matrix,
    resolve_scale,
)
from dtp_scvi.model._bundle import (
    RESPONSE_MODEL,
    read_meta,
    read_weights,
    weights_hash,
    write_bundle,
)
from dtp_scvi.model._card import NOTES
from dtp_scvi.model._plain import plain
from dtp_scvi.model._query import MISSING, Missing, Query
from dtp_scvi.model._response_card import ResponseCard, response_card
from dtp_scvi.model._response_fit import Fitted, fit_response, read_training
from dtp_scvi.model._response_input import ALIGN, INPUTS, Align
from dtp_scvi.model._response_predict import predict_response, shifted_share
from dtp_scvi.model._versions import versions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from anndata import AnnData

Direction = Literal["higher_is_resistant", "higher_is_sensitive"]
_DIRECTIONS = ("higher_is_resistant", "higher_is_sensitive")


@docs.dedent
class ResponseModel:
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
        self.name_, self.inputs_, self.target_ = name, inputs, target
        self.units_, self.direction_ = "", _DIRECTIONS[0]
        self.genes_ = np.empty(0, dtype=str)
        self.fitted_: Fitted | None = None
        self.data_: dict[str, Any] = {}
        self.settings_: dict[str, Any] = {}
        self.evaluation_: dict[str, Any] = {}
        self.notes_: dict[str, str] = {}

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
        units
            Units of the response, for the card and the score's record.
        direction
            What a higher response means.

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
        check_one_of(direction, _DIRECTIONS, "direction")
        check_object(adata)
        given = read_training(adata, target_key, layer, gene_key, donor_key, scale)
        fitted, settings = fit_response(
            given, INPUTS[self.inputs_], as_rank=self.target_ == "rank"
        )
        self.fitted_, self.settings_ = fitted, settings
        self.genes_, self.data_ = given.genes, given.summary
        ranked = f"rank of the {units or 'response'} among the training rows, 0 to 1"
        self.units_ = ranked if self.target_ == "rank" else units
        self.direction_ = direction
        return self

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
        %(layer)s
        %(gene_key)s
        %(scale)s
        %(missing)s
        min_coverage
            Least share of the model's genes that must be found, 0 to 1.

        Raises
        ------
        RuntimeError
            When the model was not fitted.
        ValueError
            When the expression or its scale is unfit, or too few genes are found.
        """
        self._check_fitted()
        check_one_of(missing, MISSING, "missing")
        if adata.n_obs == 0 or adata.n_vars == 0:
            msg = problem(
                "at least one row and one gene",
                f"{adata.n_obs:,} rows and {adata.n_vars:,} genes",
                "Check the filter that made this object.",
            )
            raise ValueError(msg)
        # Coverage first: where a tenth of the genes is there, the scale does not matter.
        alignment = align_genes(gene_names(adata, gene_key), self.genes_)
        alignment.check(1.0 if missing == "error" else min_coverage)
        matrix = get_matrix(adata, layer)
        name = "adata.X" if layer is None else f"adata.layers[{layer!r}]"
        return Query(
            matrix, resolve_scale(matrix, scale, name=name), alignment, missing, name=name
        )

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
        %(layer)s
        %(gene_key)s
        %(scale)s
        %(missing)s
        min_coverage
            Least share of the model's genes that must be found, 0 to 1.

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
        return predict_response(self._check_fitted(), query, align)

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

    @property
    def weights_(self) -> pd.DataFrame:
        """Change of the prediction by one training deviation of a gene, by kind of input."""
        fitted = self._check_fitted()
        return pd.DataFrame(fitted.weight.T, self.genes_, list(fitted.kinds))

    @property
    def importance_(self) -> np.ndarray:
        """Summed absolute weight of each gene, (n_genes,)."""
        return np.abs(self._check_fitted().weight).sum(axis=0)

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
        unknown = [name for name in notes if name not in NOTES]
        if unknown:
            msg = problem(
                f"any of {', '.join(NOTES)}", shorten(unknown), "Use one of these names."
            )
            raise TypeError(msg)
        kept = {**self.notes_, **notes}
        self.notes_ = {name: str(text) for name, text in kept.items() if text}

    @property
    def id_(self) -> str:
        """First twelve digits of the checksum of the weights."""
        return weights_hash(self._state())[:12]

    @property
    def card_(self) -> ResponseCard:
        """What the model is, was trained on, is worth and is not."""
        return response_card(self._meta(), self.id_)

    def save(self, dir_path: str | Path, *, overwrite: bool = False) -> None:
        """Write coefficients, settings and the card into a new directory.

        Files: ``model.safetensors``, ``model.json``, ``card.md``, ``card.json``; no training row
        and no pickle. The directory appears whole or not at all.

        Parameters
        ----------
        dir_path
            Directory to write.
        overwrite
            Replace a directory that exists.

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
        if meta["class"] != RESPONSE_MODEL:
            msg = problem(
                f"a {RESPONSE_MODEL} in {path}",
                f"a {meta['class']}",
                "Use dtp_scvi.model.load_model.",
            )
            raise ValueError(msg)
        state = {name: value.numpy() for name, value in read_weights(path, meta).items()}
        model = cls(meta["name"], inputs=meta["inputs"], target=meta["target"])
        model.genes_ = np.asarray(meta["genes"], dtype=str)
        model.fitted_ = Fitted.from_arrays(state, INPUTS[meta["inputs"]], len(model.genes_))
        model.units_, model.direction_ = meta["units"], meta["direction"]
        model.data_, model.settings_ = meta["data"], meta["settings"]
        model.evaluation_, model.notes_ = meta["evaluation"], meta["notes"]
        return model

    def _check_fitted(self) -> Fitted:
        if self.fitted_ is None:
            msg = problem("a fitted ResponseModel", "one that is not", "Run fit() first.")
            raise RuntimeError(msg)
        return self.fitted_

    def _state(self) -> dict[str, torch.Tensor]:
        arrays = self._check_fitted().to_arrays()
        return {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}

    def _meta(self) -> dict[str, Any]:
        self._check_fitted()
        return plain(
            {
                "class": RESPONSE_MODEL,
                "name": self.name_,
                "research_use": RESPONSE_RESEARCH_USE,
                "versions": versions(),
                "genes": self.genes_,
                "inputs": self.inputs_,
                "target": self.target_,
                "units": self.units_,
                "direction": self.direction_,
                "settings": self.settings_,
                "data": self.data_,
                "evaluation": self.evaluation_,
                "notes": self.notes_,
            }
        )
