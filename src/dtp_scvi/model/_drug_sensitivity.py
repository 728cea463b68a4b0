"""DrugSensitivity: resistance to a drug, learned on bulk lines and carried over to cells."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import pandas as pd
from anndata import AnnData

from dtp_scvi._docs import docs
from dtp_scvi._labels import text_column
from dtp_scvi._logging import logger
from dtp_scvi._scvi import init_params
from dtp_scvi._validate import check_one_of, check_positive_int, check_range, problem
from dtp_scvi.data import Scale
from dtp_scvi.model._arguments import N_FOLDS
from dtp_scvi.model._classifier import ExpressionClassifier
from dtp_scvi.model._drug_labels import RESISTANT, read_drug_labels
from dtp_scvi.model._drug_sensitivity_encoder import blank_registry
from dtp_scvi.model._drug_sensitivity_fit import REFERENCES
from dtp_scvi.model._drug_sensitivity_query import SensitivityQueries
from dtp_scvi.model._drug_sensitivity_train import SCHEDULES, SensitivityTraining
from dtp_scvi.module import ACTIVATIONS
from dtp_scvi.train import AUGMENTATIONS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dtp_scvi.model._drug_sensitivity_source import Autoencoder
    from dtp_scvi.module import Activation


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
class DrugSensitivity(SensitivityTraining, SensitivityQueries, ExpressionClassifier):
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
    %(registry)s
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
        "embedding_",
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
        self.embedding_: dict[str, Any] = {}
        self.module = self._new_module()
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
        model._vae, model.obsm_key_, model.embedding_ = vae, vae.obsm_key_, vae.embedding_
        return model

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
