"""DrugSensitivity: resistance to a drug, learned on bulk lines and carried over to cells."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, Self, Unpack

import numpy as np
import pandas as pd
import torch
from anndata import AnnData

from dtp_scvi._docs import docs
from dtp_scvi._labels import text_column
from dtp_scvi._logging import logger
from dtp_scvi._scvi import init_params, setup_args
from dtp_scvi._validate import check_one_of, check_positive_int, check_range, problem
from dtp_scvi.data import Scale, get_matrix, resolve_scale
from dtp_scvi.model._arguments import N_FOLDS, class_weights
from dtp_scvi.model._checks import check_not_empty, check_same_kind
from dtp_scvi.model._classifier import ExpressionClassifier
from dtp_scvi.model._data_summary import describe_data
from dtp_scvi.model._drug_labels import RESISTANT, read_drug_labels
from dtp_scvi.model._drug_sensitivity_adapt import (
    AdaptOptions,
    fit_adaptation,
    sample_codes,
    stream_adapted,
)
from dtp_scvi.model._drug_sensitivity_encoder import architecture_of, blank_registry
from dtp_scvi.model._drug_sensitivity_fit import (
    REFERENCES,
    AlignedRows,
    Source,
    fit_head,
    given_source,
    latent_of,
    mean_attributions,
    member_odds,
    n_axes,
    posterior_sampler,
    pretrained_source,
    read_aligned,
    set_reference,
    set_space,
)
from dtp_scvi.model._evidence import held_out_evidence, space_reference
from dtp_scvi.model._query import Predicted, Query
from dtp_scvi.model._training_data import (
    TrainingData,
    check_calibration,
    read_training_data,
    rule_arguments,
)
from dtp_scvi.model._vae_data import align_embedding, embedding
from dtp_scvi.module import ACTIVATIONS, Adaptation, DrugSensitivityModule
from dtp_scvi.stats import CALIBRATORS
from dtp_scvi.train import (
    AUGMENTATIONS,
    augment_classes,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from dtp_scvi.model._drug_sensitivity_fit import Autoencoder
    from dtp_scvi.model._query import InputOptions, Missing
    from dtp_scvi.module import Activation

SCHEDULES: Final = ("one_cycle", "cosine")
_RECIPES: Final[dict[str, dict[str, Any]]] = {
    "one_cycle": {"max_epochs": 60, "batch_size": 32, "lr": 1e-2, "weight_decay": 1e-2},
    "cosine": {"max_epochs": 150, "batch_size": 64, "lr": 2e-5, "weight_decay": 3e-3},
}


def _checked_members(given: int | None, n_unfrozen_epochs: int) -> int:
    if given is None:
        return 1 if n_unfrozen_epochs else N_FOLDS
    check_positive_int(given, "n_members")
    check_range(given, "n_members", 1, N_FOLDS)
    if given > 1 and n_unfrozen_epochs:
        found = f"n_members={given}, n_unfrozen_epochs={n_unfrozen_epochs}"
        msg = problem("one head where the encoder is trained too", found, "Set n_members=1.")
        raise ValueError(msg)
    return given


@docs.dedent
class DrugSensitivity(ExpressionClassifier):
    """Resistance to a drug: a head on a pretrained encoder, fitted on bulk and used on cells.

    The encoder is that of a residual autoencoder and stays as it was; the head reads its posterior
    mean, so no noise takes part in a prediction. Made by :meth:`from_vae` and :meth:`fit_bulk`, or
    set up as any classifier and trained with ``train(vae=...)``; without an autoencoder, ``train``
    first pretrains one on the same rows.

    Bulk and single cells differ in more than the drug's effect. :meth:`adapt` maps the cells onto
    the stored moments of the training rows, which needs no label of a cell.

    Parameters
    ----------
    %(adata)s
    registry
        Registry of a saved model; for loading.
    encoder, decoder
        Widths of the autoencoder's blocks, where ``train`` pretrains it.
    n_latent
        Number of its latent variables.
    activation
        Its activation.
    augment
        ``"vae"``: decoded draws from the posterior of training rows fill up the classes, by the
        rule of scATD, then Tomek links are cut; ``"smote"``; ``None``. Within the fitted rows only.
        Needs the extra ``resampling``.
    n_members
        Number of heads, whose log-odds are averaged; each holds out another fifth of the rows, so
        that with five calibration and threshold rest on all rows. 1 to 5; 1 where the encoder is
        trained too.
    n_unfrozen_epochs
        Last epochs in which the encoder is trained too.
    reference
        Moments that targets get. ``"train"``: those of the training rows, which are read as they
        are. ``"pretraining"``: training rows and targets both get those of the autoencoder's rows.
        ``"paper"``: training rows get those of the autoencoder's rows, targets those of the
        training rows before that, as in the code released with scATD.
    schedule
        ``"one_cycle"``, or ``"cosine"``, whose rate rises again every half of the epochs.

    Attributes
    ----------
    adaptation_
        What :meth:`adapt` did: method, number of rows, that it is transductive, its options; empty
        without.
    history_table_
        One row an epoch of a member: ``epoch``, ``member``, ``train_loss``, ``validation_loss``.
    PAPER
        Arguments of the published training, at its published rate.

    References
    ----------
    Zhou et al., scATD, Briefings in Bioinformatics 2025, doi:10.1093/bib/bbaf268, and the code
    released with it.

    Examples
    --------
    >>> import dtp_scvi as dtp
    >>> cells = dtp.datasets.simulate_cells(200, 100, n_donors=4)
    >>> dtp.model.DrugSensitivity.setup_anndata(
    ...     cells, "state", positive="drug_tolerant", layer="counts", donor_key="donor"
    ... )
    >>> model = dtp.model.DrugSensitivity(cells, encoder=(32,), n_latent=8, decoder=(32,))
    >>> model.train(2, pretrain_kwargs={"max_epochs": 2}, verbose=False)
    >>> list(model.predict(cells))
    ['logit', 'probability', 'call']
    """

    PAPER: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {"augment": "vae", "n_members": 1, "reference": "paper", "schedule": "cosine"}
    )
    _takes_values: ClassVar[bool] = True
    _saved: ClassVar[tuple[str, ...]] = (
        "history_rows_",
        "protocol_",
        "adaptation_",
        "architecture_",
        "obsm_key_",
    )

    def __init__(
        self,
        adata: AnnData | None = None,
        registry: dict[str, Any] | None = None,
        *,
        encoder: Sequence[int] = (256, 128),
        n_latent: int = 32,
        decoder: Sequence[int] = (128, 256),
        activation: Activation = "leaky_relu",
        augment: Literal["vae", "smote"] | None = None,
        n_members: int | None = None,
        n_unfrozen_epochs: int = 0,
        reference: Literal["train", "pretraining", "paper"] = "train",
        schedule: Literal["one_cycle", "cosine"] = "one_cycle",
    ) -> None:
        super().__init__(adata, registry)
        check_one_of(activation, ACTIVATIONS, "activation")
        check_one_of(augment, (*AUGMENTATIONS, None), "augment")
        check_one_of(reference, REFERENCES, "reference")
        check_one_of(schedule, SCHEDULES, "schedule")
        for width in (n_latent, *encoder, *decoder, n_unfrozen_epochs + 1):
            check_positive_int(width, "encoder, n_latent, decoder or n_unfrozen_epochs + 1")
        self.augment, self.n_unfrozen_epochs = augment, n_unfrozen_epochs
        self.n_members = _checked_members(n_members, n_unfrozen_epochs)
        self.reference, self.schedule = reference, schedule
        self._sizes: dict[str, Any] = {
            "encoder": list(encoder),
            "n_latent": n_latent,
            "activation": activation,
            "spectral_norm": "none",
        }
        self.architecture_ = dict(self._sizes)
        self._decoder = list(decoder)
        self._vae: Autoencoder | None = None
        self.obsm_key_: str | None = None
        self.module = self._new_module()
        self.history_rows_: list[dict[str, float]] = []
        self.protocol_: dict[str, Any] = {}
        self.adaptation_: dict[str, Any] = {}
        self.init_params_ = init_params(self, locals())

    @classmethod
    def from_vae(
        cls,
        vae: Autoencoder,
        *,
        augment: Literal["vae", "smote"] | None = None,
        n_members: int | None = None,
        n_unfrozen_epochs: int = 0,
        reference: Literal["train", "pretraining", "paper"] = "train",
        schedule: Literal["one_cycle", "cosine"] = "one_cycle",
    ) -> Self:
        """Put an unfitted head on a pretrained autoencoder; :meth:`fit_bulk` comes next.

        Parameters
        ----------
        vae
            A trained :class:`~dtp_scvi.model.ResVAE`, whose genes the model takes. It is not kept
            in the saved model, its encoder is.
        augment, n_members, n_unfrozen_epochs, reference, schedule
            As in the constructor.
        """
        registry = blank_registry(cls.__name__, vae.genes_, vae.scale_)
        model = cls(
            registry=registry,
            augment=augment,
            n_members=n_members,
            n_unfrozen_epochs=n_unfrozen_epochs,
            reference=reference,
            schedule=schedule,
        )
        model._vae, model.obsm_key_ = vae, vae.obsm_key_
        return model

    def _new_module(
        self, seed: int = 0, n_members: int = 1, n_space: int = 0
    ) -> DrugSensitivityModule:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return DrugSensitivityModule(
                len(self.genes_), n_members=n_members, n_space=n_space, **self.architecture_
            )

    def _fit_module_to(self, state: dict[str, torch.Tensor]) -> None:
        n_members = len({name.split(".")[1] for name in state if name.startswith("heads.")})
        self.module = self._new_module(0, n_members, state["space_weight"].shape[1])
        self.module.adaptation = Adaptation.from_state(state, "adaptation.")

    @property
    def history_table_(self) -> pd.DataFrame:
        """Losses of every epoch."""
        return pd.DataFrame(
            self.history_rows_, columns=["epoch", "member", "train_loss", "validation_loss"]
        )

    @docs.dedent
    def fit_bulk(
        self,
        adata: AnnData,
        drug: str,
        *,
        labels_key: str = "response",
        layer: str | None = None,
        donor_key: str | None = None,
        scale: str = "auto",
        ic50_key: str | None = "ln_ic50",
        **train_kwargs: Any,
    ) -> None:
        """Fit the head on the lines that have a label of one drug.

        The rows are copied, set up and handed to :meth:`train`; ``adata`` stays as it is.

        Parameters
        ----------
        %(adata)s
        drug
            Column of ``adata.obsm[labels_key]``.
        labels_key
            Key of ``adata.obsm``: a data frame of lines x drugs with ``"resistant"`` and
            ``"sensitive"``, or 1 and 0. Lines without a label (NaN) are left out and counted.
        %(layer)s
        %(donor_key)s
        %(scale)s
        ic50_key
            Key of ``adata.obsm``: IC50 or its logarithm, where there is one. Labels that call the
            lines with the lower median resistant are refused.
        **train_kwargs
            Arguments of :meth:`train`.

        Raises
        ------
        KeyError
            When there is no such table or drug; near matches are named.
        ValueError
            When labels are unknown, of one class or the wrong way round, no gene is shared with
            the autoencoder, or an embedding has another width.
        """
        found = read_drug_labels(adata, drug, labels_key, ic50_key)
        if found.n_unlabelled:
            logger.info("%s: %d lines without a label are left out", drug, found.n_unlabelled)
        obs = pd.DataFrame({labels_key: found.labels}, index=adata.obs_names[found.rows])
        if donor_key is not None:
            obs[donor_key] = text_column(adata.obs, donor_key, "donor_key")[found.rows]
        matrix, names = self._values(adata, layer)
        rows = AnnData(matrix[found.rows], obs, pd.DataFrame(index=names))
        scale = str(Scale.AS_IS) if self.obsm_key_ else scale
        type(self).setup_anndata(
            rows, labels_key, positive=RESISTANT, donor_key=donor_key, scale=scale
        )
        fitted = type(self)(rows, **self.init_params_["non_kwargs"])
        fitted._vae, fitted.notes_ = self._vae, self.notes_
        fitted.train(**train_kwargs)
        fitted.protocol_ |= {
            "drug": drug,
            "n_unlabelled": found.n_unlabelled,
            "polarity_checked": found.polarity_checked,
        }
        # A model of scvi-tools belongs to the rows that it was made with: this one becomes that.
        self.__dict__ = fitted.__dict__

    @docs.dedent
    def train(
        self,
        max_epochs: int | None = None,
        *,
        vae: Autoencoder | None = None,
        indices: np.ndarray | None = None,
        batch_size: int | None = None,
        lr: float | None = None,
        weight_decay: float | None = None,
        patience: int = 15,
        keep: Literal["best", "last"] | None = None,
        class_weight: Literal["balanced"] | Mapping[str, float] | None = "balanced",
        min_coverage: float = 0.5,
        pretrain_kwargs: Mapping[str, Any] | None = None,
        threshold_rule: str = "youden",
        threshold_kwargs: Mapping[str, Any] | None = None,
        calibration: str = "platt",
        seed: int = 0,
        accelerator: str = "auto",
        devices: Any = "auto",
        verbose: bool = True,
    ) -> None:
        """Fit the heads, then calibration and threshold on what they have not seen.

        Each head holds out another fifth of the rows (of the donors, where these are known); it
        watches for the best epoch and carries calibration and threshold. Made-up rows and class
        weights are of the other rows. Moments, which no label enters, are of all rows.

        Parameters
        ----------
        max_epochs
            Most epochs; 60, or 150 with the schedule ``"cosine"``.
        vae
            Pretrained autoencoder. Without one, and without :meth:`from_vae`, it is pretrained
            here, on the rows to train on. In a cross-validation one that is passed
            may have seen the rows of a test fold, though not their labels.
        indices
            Rows to train on; all by default.
        batch_size
            Rows per step; 32, or 64 with ``"cosine"``.
        lr
            Learning rate at its peak; 1e-2, or 2e-5 with ``"cosine"``.
        weight_decay
            Weight decay of AdamW; 1e-2, or 3e-3 with ``"cosine"``.
        patience
            Epochs without improvement before training stops; ignored with ``keep="last"``.
        keep
            Weights to keep: of the ``"best"`` held-out loss, or of the ``"last"`` epoch, which is the
            default with ``"cosine"`` and with ``n_unfrozen_epochs``.
        class_weight
            ``"balanced"`` on the fitted rows, made-up ones included, a weight a class, or ``None``.
        min_coverage
            Least share of the autoencoder's genes that the rows must have, 0 to 1.
        pretrain_kwargs
            Arguments of :meth:`ResVAE.train <dtp_scvi.model.ResVAE.train>`, where it is pretrained.
        threshold_rule
            One of ``dtp_scvi.stats.RULES``.
        threshold_kwargs
            More arguments of :func:`dtp_scvi.stats.choose_threshold`.
        calibration
            One of ``dtp_scvi.stats.CALIBRATORS``.
        %(seed)s
        %(accelerator)s
        devices
            Devices as Lightning takes them.
        %(verbose)s

        Raises
        ------
        ValueError
            When a class is missing among the rows, too few genes are shared with the autoencoder,
            or an embedding has another width.
        """
        check_one_of(calibration, CALIBRATORS, "calibration")
        keep = keep or ("last" if self.schedule == "cosine" or self.n_unfrozen_epochs else "best")
        check_one_of(keep, ("best", "last"), "keep")
        asked = {"max_epochs": max_epochs, "batch_size": batch_size, "lr": lr}
        asked["weight_decay"] = weight_decay
        recipe = _RECIPES[self.schedule] | {k: v for k, v in asked.items() if v is not None}
        for name in ("max_epochs", "batch_size"):
            check_positive_int(recipe[name], name)
        given = read_training_data(self, indices, seed)
        n_members = self.n_members if len(given.inner.folds) >= self.n_members else 1
        check_calibration(calibration, given, n_members)
        rule = {"rule": threshold_rule, **rule_arguments(threshold_kwargs, given, n_members)}
        where = {"accelerator": accelerator, "devices": devices, "verbose": verbose}
        source = self._source(vae, given, dict(pretrain_kwargs or {}), seed, where)
        rows = self._read(given, source.genes, min_coverage)
        self._start(source, n_members, len(given.which), seed)
        x = set_reference(self.module, rows, source, self.reference)
        logits = np.full((len(x), len(self.classes_)), np.nan)
        sample = posterior_sampler(source.module) if self.augment == "vae" else None
        self.history_rows_ = []
        for member, (fit_rows, held_out) in enumerate(given.inner.folds[:n_members]):
            made, labels = augment_classes(
                x[fit_rows].numpy(),
                given.codes[fit_rows],
                self.augment,
                seed + member,
                sample=sample,
            )
            table = fit_head(
                self,
                member,
                class_weights(class_weight, self.classes_, labels),
                (torch.from_numpy(made), torch.from_numpy(labels)),
                (x[held_out], torch.from_numpy(given.codes[held_out])),
                schedule=self.schedule,
                n_unfrozen=self.n_unfrozen_epochs,
                keep_last=keep == "last",
                patience=patience,
                seed=seed + member,
                **recipe,
                **where,
            )
            self.history_rows_ += table.assign(member=member).to_dict("records")
            latent = latent_of(self.module, x[held_out])
            logits[held_out] = member_odds(self.module, member, latent)
        self._finish(rows, x, given, logits, rule, calibration, seed)
        self.protocol_ |= {
            "keep": keep,
            "n_members": n_members,
            "encoder": "given" if source.given else "pretrained on the training rows",
            "reference": self.reference,
            "augment": self.augment,
            **recipe,
        }
        self.is_trained_ = True

    def _source(
        self,
        vae: Autoencoder | None,
        given: TrainingData,
        pretrain_kwargs: dict[str, Any],
        seed: int,
        devices: dict[str, Any],
    ) -> Source:
        """Take the autoencoder that was given, or pretrain one on the rows that are fitted."""
        adata, vae = self._own_adata(), vae or self._vae
        if vae is not None:
            self.obsm_key_ = vae.obsm_key_
            return given_source(vae, str(given.scale), adata.n_vars)
        genes = np.asarray(adata.var_names, dtype=str)
        options = {"seed": seed, **devices, **pretrain_kwargs}
        sizes = {**self._sizes, "decoder": self._decoder}
        return pretrained_source(self._read(given, genes, 0.0), genes, sizes, options)

    def _read(self, given: TrainingData, genes: np.ndarray, floor: float) -> AlignedRows:
        layer = setup_args(self.registry_)["layer"]
        return read_aligned(self._own_adata(), layer, given.scale, given.which, genes, floor)

    def _start(self, source: Source, n_members: int, n_rows: int, seed: int) -> None:
        """Make the network on an encoder."""
        self.genes_, self.architecture_ = source.genes, architecture_of(source.module)
        n_space = n_axes(n_rows, source.module.n_latent)
        self.module, self.adaptation_ = self._new_module(seed, n_members, n_space), {}
        self.module.copy_encoder(source.module)

    def _finish(
        self,
        rows: AlignedRows,
        x: torch.Tensor,
        given: TrainingData,
        logits: np.ndarray,
        rule: dict[str, Any],
        calibration: str,
        seed: int,
    ) -> None:
        """Calibrate and choose the threshold on the held-out rows; record what they rest on.

        ``logits`` holds what a row was given by the head that has not seen it, else NaN.
        """
        self.seed_, self.train_rows_ = seed, given.which
        positive = self.classes_.index(self.positive_)
        held_out = np.flatnonzero(np.isfinite(logits[:, positive]))
        labels = given.codes[held_out] == positive
        by_donor = given.donors is not None and given.inner.unit == "donor"
        donors = given.donors[held_out] if given.donors is not None and by_donor else None
        if donors is not None and len(set(donors)) < 2:
            donors = None
        if "negatives" in rule:
            rule["negatives"] = rule["negatives"][held_out]
        odds = logits[held_out, positive]
        self._take(held_out_evidence(odds, labels, donors, rule, kind=calibration, seed=seed))
        set_space(self.module, latent_of(self.module, x))
        self.space_reference_ = space_reference(
            self.module, rows.matrix, rows.total, rows.scale, given.codes, given.donors
        )
        importance = mean_attributions(self.module, x, positive, seed)
        self.module.importance.copy_(torch.from_numpy(importance))
        self.data_, self.evaluation_ = describe_data(self, given), {}
        self.protocol_ = {
            "held_out": given.inner.unit,
            "n_rows": len(given.which),
            "n_donors": None if given.donors is None else len(set(given.donors)),
            "threshold_rows": len(held_out),
        }

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
            (:func:`dtp_scvi.nn.mmd2`), with everything else frozen. ``None`` drops an adaptation. The
            last two need the training rows at hand.
        sample_key
            Column of ``adata.obs``: with ``"adain"``, each sample gets its own moments.
        %(layer)s
        %(gene_key)s
        scale
            Expression scale, or ``"as_is"`` for values that can't be brought to the model's own.
        %(missing)s
        min_coverage
            Least share of the model's genes that must be found, 0 to 1.
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
            return embedding(adata, self.obsm_key_)
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
            matrix, names = embedding(adata, key)
            named = isinstance(adata.obsm[key], pd.DataFrame)
            alignment = align_embedding(key, names, self.genes_, named=named)
            return Query(matrix, Scale.AS_IS, alignment, missing, f"adata.obsm[{key!r}]")
        matrix = get_matrix(adata, layer)
        name = "adata.X" if layer is None else f"adata.layers[{layer!r}]"
        alignment = self.align(
            adata, gene_key=gene_key, min_coverage=min_coverage, missing=missing
        )
        if self.scale_ == Scale.AS_IS and scale == "auto":
            scale = str(Scale.AS_IS)
        found = resolve_scale(matrix, scale, name=name, values=True)
        return Query(matrix, found, alignment, missing, name)

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
        indices
            Rows to predict, in any order; all by default.
        %(batch_size)s
        %(verbose)s
        **input_kwargs
            Arguments of :meth:`prepare`.

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
