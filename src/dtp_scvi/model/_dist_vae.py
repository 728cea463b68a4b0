"""DistVAE: an autoencoder over genes that gives the latent variables of a slower teacher."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import scipy.sparse as sp

from dtp_scvi._docs import docs
from dtp_scvi._scvi import EmbeddingField, init_params, setup_args
from dtp_scvi._validate import check_one_of, check_range, problem
from dtp_scvi.data import check_matrix
from dtp_scvi.model._res_vae import architecture, x_field
from dtp_scvi.model._vae_data import check_vae_data, embedding
from dtp_scvi.model._vae_train import TrainableVAE
from dtp_scvi.module import Activation, DistVAEModule, SpectralNorm
from dtp_scvi.nn import seeded

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from anndata import AnnData

MODES: Final = ("mean", "paper")
_TEACHER: Final = "teacher"


@docs.dedent
class DistVAE(TrainableVAE):
    r"""Residual autoencoder over genes, distilled from a teacher's latent representation.

    The teacher's latent of the same cells lies in ``obsm``: for instance that of a
    :class:`ResVAE` over a foundation model's embedding, by its posterior means. The loss is
    :math:`B \cdot MSE + KL + w_c (1 - \cos(t, \mu)) + w_m \, MSE(t, \mu)`, means over rows and
    columns. Once trained, neither teacher nor embedding is needed.

    Parameters
    ----------
    %(adata)s
    %(registry)s
    preset
        ``"dist"``, the published sizes over 19,264 genes, or none. What is given below replaces
        the preset's.
    genes
        Inputs to take, by name; all that were set up by default. The total of a row is over all.
    encoder, decoder
        Widths of the residual blocks; (256, 128) and (128, 256).
    activation, spectral_norm, reconstruction_weight
        As of :class:`ResVAE`.
    cosine_weight
        Weight of the cosine distance to the teacher; 158, as published.
    latent_mse_weight
        Weight of the mean squared distance to the teacher, which keeps the scale of its latent:
        the cosine leaves it free.
    mode
        ``"mean"`` compares the mean of the posterior; ``"paper"`` a draw from it, as published.

    Attributes
    ----------
    genes_
        Names of the inputs, in the order of the model.
    history_table_
        One row an epoch: losses, ``mse``, ``kl``, ``latent_cosine``, ``latent_mse``.
    evaluation_
        The same on the rows that were held out, by the mean of the posterior: ``latent_cosine``
        is the mean cosine between student and teacher.
    protocol_
        What was held out, which epoch was kept, and the settings of the fit.

    References
    ----------
    Zhou et al., scATD, Briefings in Bioinformatics 2025, bbaf268, and the code released with it.

    Examples
    --------
    >>> import dtp_scvi as dtp
    >>> cells = dtp.datasets.simulate_cells(300, 200, n_donors=4)
    >>> cells.obsm["X_teacher"] = cells.obsm["true_programmes"]
    >>> dtp.model.DistVAE.setup_anndata(cells, layer="counts", teacher_key="X_teacher")
    >>> student = dtp.model.DistVAE(cells, encoder=(64,), decoder=(64,))
    >>> student.train(max_epochs=3, verbose=False)
    >>> student.get_latent_representation(cells).shape == cells.obsm["X_teacher"].shape
    True
    """

    def __init__(
        self,
        adata: AnnData | None = None,
        registry: dict[str, Any] | None = None,
        *,
        preset: str | None = None,
        genes: Sequence[str] | None = None,
        encoder: Sequence[int] | None = None,
        decoder: Sequence[int] | None = None,
        activation: Activation | None = None,
        spectral_norm: SpectralNorm | None = None,
        reconstruction_weight: float | None = None,
        cosine_weight: float = 158.0,
        latent_mse_weight: float = 0.0,
        mode: Literal["mean", "paper"] = "mean",
    ) -> None:
        super().__init__(adata, registry, genes)
        genes = None if genes is None else [str(gene) for gene in genes]
        check_one_of(mode, MODES, "mode")
        if preset is not None:
            check_one_of(preset, ("dist",), "preset")
        check_range(cosine_weight, "cosine_weight", 0)
        check_range(latent_mse_weight, "latent_mse_weight", 0)
        fields = self.registry_["field_registries"]
        given = {
            "encoder": encoder,
            "n_latent": int(fields[_TEACHER]["summary_stats"][f"n_{_TEACHER}"]),
            "decoder": decoder,
            "activation": activation,
            "spectral_norm": spectral_norm,
            "reconstruction_weight": reconstruction_weight,
        }
        self._preset, sizes = architecture(preset, len(self.genes_), given, type(self).__name__)
        self._sizes = {
            **sizes,
            "cosine_weight": cosine_weight,
            "latent_mse_weight": latent_mse_weight,
            "sampled": mode == "paper",
        }
        self.module = self._new_module()
        self.init_params_ = init_params(self, locals())

    def _new_module(self, seed: int = 0) -> DistVAEModule:
        with seeded(seed):
            return DistVAEModule(len(self.genes_), **self._sizes)

    @classmethod
    @docs.dedent
    def setup_anndata(
        cls,
        adata: AnnData,
        teacher_key: str = "X_latent",
        *,
        layer: str | None = None,
        obsm_key: str | None = None,
        scale: str = "auto",
        donor_key: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Check an AnnData and register it for training.

        Everything is checked first; on an error nothing has been written.

        Parameters
        ----------
        %(adata)s
        teacher_key
            Key of ``adata.obsm`` with the teacher's latent representation of these rows.
        %(layer)s
        obsm_key
            Key of ``adata.obsm`` to take as input instead of expression.
        %(scale)s
        %(donor_key)s
        %(setup_kwargs)s

        Raises
        ------
        KeyError
            When a key is missing.
        ValueError
            When the teacher's latent, donors, values or scale are unfit for training.

        Examples
        --------
        >>> import dtp_scvi as dtp
        >>> cells = dtp.datasets.simulate_cells(300, 200, n_donors=4)
        >>> cells.obsm["X_latent"] = cells.obsm["true_programmes"]
        >>> dtp.model.DistVAE.setup_anndata(cells, layer="counts", donor_key="donor")
        """
        arguments: dict[str, Any] = {"layer": layer, "obsm_key": obsm_key, "scale": scale}
        arguments["donor_key"] = donor_key
        found = check_vae_data(adata, **arguments)
        _check_teacher(adata, teacher_key)
        arguments |= {"scale": str(found.scale), "teacher_key": teacher_key}
        fields = [x_field(layer, obsm_key), EmbeddingField(_TEACHER, teacher_key)]
        cls._register(adata, TrainableVAE, fields, arguments, **kwargs)

    @classmethod
    def _check_same_data(cls, adata: AnnData, meta: Mapping[str, Any]) -> None:
        super()._check_same_data(adata, meta)
        key = setup_args(meta["registry"])["teacher_key"]
        fields = meta["registry"]["field_registries"]
        wanted = int(fields[_TEACHER]["summary_stats"][f"n_{_TEACHER}"])
        found = embedding(adata, key, "teacher_key")[0].shape[1]
        if found != wanted:
            msg = problem(
                f"{wanted:,} columns in adata.obsm[{key!r}], as in training",
                f"{found:,}",
                "Pass the latent representation of the same teacher, or load without adata.",
            )
            raise ValueError(msg)

    def _target(self, which: np.ndarray) -> np.ndarray:
        key = setup_args(self.registry_)["teacher_key"]
        rows = embedding(self._own_adata(), key, "teacher_key")[0][which]
        rows = rows.toarray() if sp.issparse(rows) else np.asarray(rows)
        return np.ascontiguousarray(rows, dtype=np.float32)


def _check_teacher(adata: AnnData, key: str) -> None:
    matrix, _ = embedding(adata, key, "teacher_key")
    check_matrix(matrix, name=f"adata.obsm[{key!r}]", negative=True)
    dense = matrix.toarray() if sp.issparse(matrix) else np.asarray(matrix)
    empty = np.flatnonzero(~dense.any(axis=1))
    if len(empty):
        msg = problem(
            f"a latent representation of every row in adata.obsm[{key!r}]",
            f"{len(empty):,} rows of zeros (first: row {adata.obs_names[empty[0]]!r})",
            "A zero vector has no direction to follow: drop these rows, or encode them.",
        )
        raise ValueError(msg)
