"""What all classifiers of expression share: set-up, prediction, save and load."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Unpack

import numpy as np
import pandas as pd
from scipy.special import expit
from scvi import REGISTRY_KEYS
from scvi.data import AnnDataManager
from scvi.data.fields import LayerField

from dtp_scvi._docs import docs
from dtp_scvi._logging import progress, warn
from dtp_scvi._scvi import (
    StringLabelsField,
    leave_original,
    manager_of,
    setup_args,
    setup_method_args,
)
from dtp_scvi._validate import check_one_of, check_positive_int, problem
from dtp_scvi.data import Scale, align_genes, gene_names, get_matrix, resolve_scale
from dtp_scvi.model._attribute import Attribution, Explanation, attribute_classifier
from dtp_scvi.model._checks import (
    check_not_empty,
    check_same_kind,
    check_takes_values,
    classes_of,
)
from dtp_scvi.model._evidence import Evidence, adopt_result
from dtp_scvi.model._portable import PortableModel
from dtp_scvi.model._query import MISSING, InputOptions, Missing, Predicted, Query, stream_logits
from dtp_scvi.model._registration import Registration, check_training_data, read_registration

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from anndata import AnnData

    from dtp_scvi.data import GeneAlignment
    from dtp_scvi.stats import Calibration, MondrianConformal, ScoreReference, SpaceReference


@docs.dedent
class ExpressionClassifier(PortableModel):
    """Base of models that put cells or bulk samples into classes by their expression.

    It carries registration, prediction on any AnnData by gene name, saving and loading. A
    subclass adds one network and ``train``.

    Parameters
    ----------
    %(adata)s
    registry
        Registry of a saved model; for loading.

    Attributes
    ----------
    genes_
        Genes of the model, in its order.
    classes_
        Classes in sorted order.
    positive_
        Class that the score is about.
    scale_
        Scale of the training data.
    threshold_
        Threshold on the probability of the positive class, with its rule and interval.
    calibration_
        From the log-odds of the positive class to its probability, fitted on rows that were held
        out, with their number, ECE and Brier score.
    conformal_
        Sets of classes for new donors, at 90 %; ``None`` where fewer than nine donors of a class
        were held out.
    data_
        Size, classes, donors, scale and checksums of the training rows.
    evaluation_
        Metrics with intervals and baselines of an adopted cross-validation; else empty.
    notes_
        Texts for the model card, see :meth:`describe`.
    score_reference_, space_reference_
        Quantiles of the held-out log-odds by class, and moments of the training rows' program
        coordinates: what :func:`dtp_scvi.tl.transfer_check` compares a query with. No rows.
    """

    _takes_values: ClassVar[bool] = False
    """Whether values that are no expression may be declared with ``scale="as_is"``."""

    def __init__(
        self, adata: AnnData | None = None, registry: dict[str, Any] | None = None
    ) -> None:
        super().__init__(adata, registry)
        fields = self.registry_["field_registries"]
        arguments = setup_args(self.registry_)
        names = fields[REGISTRY_KEYS.X_KEY]["state_registry"]["column_names"]
        self.genes_ = np.asarray(names, dtype=str)
        self.classes_ = classes_of(self.registry_)
        self.positive_ = str(arguments["positive"])
        self.scale_ = str(arguments["scale"])
        self.threshold_: dict[str, Any] = {}
        self.data_: dict[str, Any] = {}
        self.evaluation_: dict[str, Any] = {}
        self.notes_: dict[str, str] = {}
        self.calibration_: Calibration | None = None
        self.conformal_: MondrianConformal | None = None
        self.score_reference_: ScoreReference | None = None
        self.space_reference_: SpaceReference | None = None
        self.seed_: int | None = None
        self.train_rows_: np.ndarray | None = None

    @classmethod
    @docs.dedent
    def setup_anndata(
        cls,
        adata: AnnData,
        labels_key: str,
        *,
        positive: str | bool | int | None = None,
        layer: str | None = None,
        donor_key: str | None = None,
        batch_key: str | None = None,
        scale: str = "auto",
        allow_confounded: bool = False,
        **kwargs: Any,
    ) -> None:
        """Check an AnnData and register it for training.

        Everything is checked first; on an error nothing has been written. Afterwards
        ``obs["_scvi_labels"]`` (int64), ``uns["_scvi_uuid"]`` and ``uns["_scvi_manager_uuid"]``
        are there, as after the set-up of any scvi-tools model.

        Parameters
        ----------
        %(adata)s
        %(labels_key)s
        %(positive)s
        %(layer)s
        %(donor_key)s
        %(batch_key)s
        %(scale)s
        allow_confounded
            Accept a ``batch_key`` whose batches hold one class each; recorded in the model.
        **kwargs
            Passed on to scvi-tools.

        Raises
        ------
        KeyError
            When a key is missing.
        ValueError
            When labels, donors or expression are unfit for training; the message says why.

        Examples
        --------
        >>> import dtp_scvi as dtp
        >>> cells = dtp.datasets.simulate_cells(300, 200, n_donors=4)
        >>> dtp.model.DTPTransformer.setup_anndata(
        ...     cells, "state", positive="drug_tolerant", layer="counts", donor_key="donor"
        ... )
        """
        arguments: dict[str, Any] = {
            "labels_key": labels_key,
            "positive": positive,
            "layer": layer,
            "donor_key": donor_key,
            "batch_key": batch_key,
            "scale": scale,
            "allow_confounded": allow_confounded,
        }
        check_takes_values(cls.__name__, scale, takes=cls._takes_values)
        found = check_training_data(adata, **arguments, values=cls._takes_values)
        arguments |= {"positive": found.positive, "scale": str(found.scale)}
        leave_original(ExpressionClassifier, adata)
        manager = AnnDataManager(
            fields=[
                LayerField(REGISTRY_KEYS.X_KEY, layer, is_count_data=False),
                StringLabelsField(REGISTRY_KEYS.LABELS_KEY, labels_key),
            ],
            setup_method_args=setup_method_args(cls, {"adata": adata, **arguments}),
        )
        manager.register_fields(adata, **kwargs)
        cls.register_manager(manager)

    @classmethod
    @docs.dedent
    def registration(cls, adata: AnnData) -> Registration:
        """Return labels, donors and scale of an AnnData that was set up for this class.

        Parameters
        ----------
        %(adata)s

        Raises
        ------
        ValueError
            When it was not set up for this class.
        """
        return read_registration(adata, setup_args(manager_of(cls, adata).registry))

    @property
    def importance_(self) -> np.ndarray:
        """Mean absolute attribution of each gene in the training cells, (n_genes,)."""
        return self.module.importance.cpu().numpy()

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
        min_coverage
            Least share of the model's genes that must be found, 0 to 1.
        %(missing)s

        Raises
        ------
        ValueError
            When too few genes are found, or any is missing and ``missing="error"``.
        """
        check_one_of(missing, MISSING, "missing")
        alignment = align_genes(gene_names(adata, gene_key), self.genes_)
        alignment.check(1.0 if missing == "error" else min_coverage)
        return alignment

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
        %(layer)s
        %(gene_key)s
        %(scale)s
        %(missing)s
        min_coverage
            Least share of the model's genes that must be found, 0 to 1.

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
        matrix = get_matrix(adata, layer)
        name = "adata.X" if layer is None else f"adata.layers[{layer!r}]"
        alignment = self.align(
            adata, gene_key=gene_key, min_coverage=min_coverage, missing=missing
        )
        found = Scale(scale) if known else resolve_scale(matrix, scale, name=name, values=True)
        return Query(matrix, found, alignment, missing, name=None if known else name)

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
        indices
            Rows to predict, in any order; all by default.
        %(batch_size)s
        %(verbose)s
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
        indices
            Rows to predict, in any order; all by default.
        %(batch_size)s
        %(verbose)s
        **input_kwargs
            Arguments of :meth:`prepare`.

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
        **input_kwargs
            Arguments of :meth:`prepare`.

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

    def adopt(self, result: Mapping[str, Any]) -> None:
        """Take calibration, sets and threshold from a cross-validation of the same class and data.

        Every donor was held out there, while ``train`` holds out a part of them. Its metrics,
        baselines and audit go into the model card.

        Parameters
        ----------
        result
            ``adata.uns["dtp_cv"]`` after :func:`dtp_scvi.tl.cross_validate`; for a student, of
            its teacher's class with ``distill``.

        Raises
        ------
        ValueError
            When it is of another model or positive class, or its threshold rests on named
            negatives.

        Warns
        -----
        UserWarning
            When the models of the cross-validation were made with other arguments.
        """
        self._check_trained()
        params = result["params"]
        column = self._column_in(result)
        if column is None or params["positive"] != self.positive_:
            msg = problem(
                f"a cross-validation of {type(self).__name__} for {self.positive_!r}",
                f"one of {params['model_class']} for {params['positive']!r}",
                "Cross-validate this class on the same labels; a student comes with "
                "cross_validate(DTPTransformer, ..., distill=True).",
            )
            raise ValueError(msg)
        if column == params["model"] and params.get("settings", self.settings_) != self.settings_:
            warn(
                f"Cross-validated with {params['settings']}, this model has {self.settings_}: its "
                "log-odds may spread differently. Pass the same model_kwargs to cross_validate."
            )
        evidence, self.evaluation_ = adopt_result(result, column)
        self._take(evidence)

    def _take(self, evidence: Evidence) -> None:
        self.calibration_, self.conformal_ = evidence.calibration, evidence.conformal
        self.score_reference_, self.threshold_ = evidence.score_reference, evidence.threshold

    def _column_in(self, result: Mapping[str, Any]) -> str | None:
        """Column of a cross-validation that holds this model's class."""
        params = result["params"]
        return str(params["model"]) if params["model_class"] == type(self).__name__ else None

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
