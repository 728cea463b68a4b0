"""What all classifiers of expression share: set-up, evidence, and the state that is saved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd
from scvi import REGISTRY_KEYS
from scvi.data.fields import LayerField

from dtp_scvi._docs import docs
from dtp_scvi._logging import warn
from dtp_scvi._scvi import StringLabelsField, manager_of, setup_args
from dtp_scvi._validate import problem
from dtp_scvi.model._checks import (
    check_takes_values,
    classes_of,
)
from dtp_scvi.model._classifier_query import ClassifierQueries
from dtp_scvi.model._data_summary import describe_data
from dtp_scvi.model._evidence import Evidence, adopt_result, held_out_evidence
from dtp_scvi.model._registration import Registration, check_training_data, read_registration

if TYPE_CHECKING:
    from collections.abc import Mapping

    from anndata import AnnData

    from dtp_scvi.model._training_data import TrainingData
    from dtp_scvi.stats import Calibration, MondrianConformal, ScoreReference, SpaceReference


@docs.dedent
class ExpressionClassifier(ClassifierQueries):
    """Base of models that put cells or bulk samples into classes by their expression.

    It carries registration, prediction on any AnnData by gene name, saving and loading. A
    subclass adds one network and ``train``.

    Parameters
    ----------
    %(adata)s
    %(registry)s

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
        self.history_rows_: list[dict[str, float]] = []

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
        %(setup_kwargs)s

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
        fields = [
            LayerField(REGISTRY_KEYS.X_KEY, layer, is_count_data=False),
            StringLabelsField(REGISTRY_KEYS.LABELS_KEY, labels_key),
        ]
        cls._register(adata, ExpressionClassifier, fields, arguments, **kwargs)

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
    def history_table_(self) -> pd.DataFrame:
        """Losses of every epoch of every member."""
        columns = ["epoch", "member", "train_loss", "validation_loss"]
        return pd.DataFrame(self.history_rows_, columns=columns)

    @property
    def importance_(self) -> np.ndarray:
        """Mean absolute attribution of each gene in the training cells, (n_genes,)."""
        return self.module.importance.cpu().numpy()

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

    def _judge(
        self,
        given: TrainingData,
        held_out: np.ndarray,
        odds: np.ndarray,
        rule: dict[str, Any],
        calibration: str,
        seed: int,
    ) -> None:
        """Calibrate and choose the threshold on held-out rows; record what they rest on.

        ``odds`` are of the positive class, by fits that have not seen the row.
        """
        labels = given.codes[held_out] == self.classes_.index(self.positive_)
        if "negatives" in rule:
            rule = {**rule, "negatives": rule["negatives"][held_out]}
        donors = given.donors_of(held_out)
        self._take(held_out_evidence(odds, labels, donors, rule, kind=calibration, seed=seed))
        self._record(given, seed)

    def _record(self, given: TrainingData, seed: int) -> None:
        """Take what the model was trained on."""
        self.seed_, self.train_rows_ = seed, given.which
        # What an earlier fit was worth does not carry over.
        self.data_, self.evaluation_ = describe_data(self, given), {}

    def _take(self, evidence: Evidence) -> None:
        self.calibration_, self.conformal_ = evidence.calibration, evidence.conformal
        self.score_reference_, self.threshold_ = evidence.score_reference, evidence.threshold

    def _column_in(self, result: Mapping[str, Any]) -> str | None:
        """Column of a cross-validation that holds this model's class."""
        params = result["params"]
        return str(params["model"]) if params["model_class"] == type(self).__name__ else None
