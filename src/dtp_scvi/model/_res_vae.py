"""ResVAE: the residual autoencoder of scATD, over expression or over an embedding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pandas as pd
from scvi import REGISTRY_KEYS
from scvi.data.fields import LayerField

from dtp_scvi._docs import docs
from dtp_scvi._scvi import EmbeddingField, init_params
from dtp_scvi._validate import check_one_of, check_positive_int, check_range, problem
from dtp_scvi.model._vae_data import check_vae_data
from dtp_scvi.model._vae_fit import FitOptions
from dtp_scvi.model._vae_search import RANGES, Ranges, quiet_optuna, suggest
from dtp_scvi.model._vae_train import TrainableVAE
from dtp_scvi.module import PRESETS, Activation, Preset, ResVAEModule, SpectralNorm
from dtp_scvi.nn import seeded

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from anndata import AnnData

_DEFAULTS: Final[dict[str, Any]] = {
    "encoder": (256, 128),
    "n_latent": 32,
    "decoder": (128, 256),
    "activation": "leaky_relu",
    "spectral_norm": "none",
    "reconstruction_weight": 500.0,
}


def x_field(layer: str | None, obsm_key: str | None) -> LayerField | EmbeddingField:
    """Return the field of scvi-tools that holds the input."""
    if obsm_key is None:
        return LayerField(REGISTRY_KEYS.X_KEY, layer, is_count_data=False)
    return EmbeddingField(REGISTRY_KEYS.X_KEY, obsm_key)


def architecture(
    preset: str | None, n_inputs: int, given: Mapping[str, Any], cls_name: str
) -> tuple[Preset | None, dict[str, Any]]:
    """Return the preset of this name and the sizes: given ones, else its own, else defaults."""
    found = None
    if preset is not None:
        check_one_of(preset, PRESETS, "preset")
        found = PRESETS[preset]
        if found.n_inputs != n_inputs:
            msg = problem(
                f"{found.n_inputs:,} inputs for the preset {preset!r}",
                f"{n_inputs:,}",
                f"Pass the embedding or the genes it was made for, or leave `preset` out: "
                f"{cls_name}(adata, encoder=..., n_latent=...) takes any width.",
            )
            raise ValueError(msg)
    sizes = {
        name: (default if found is None else getattr(found, name))
        if given.get(name) is None
        else given[name]
        for name, default in _DEFAULTS.items()
    }
    for name in ("encoder", "decoder"):
        sizes[name] = tuple(int(width) for width in sizes[name])
        for width in sizes[name]:
            check_positive_int(width, name)
    check_positive_int(sizes["n_latent"], "n_latent")
    check_range(sizes["reconstruction_weight"], "reconstruction_weight", 0, inclusive=False)
    return found, sizes


@docs.dedent
class ResVAE(TrainableVAE):
    r"""Residual autoencoder that turns expression, or an embedding, into latent variables.

    Expression is log1p(1e4 · x / total), the total over all genes that were set up; an embedding
    of ``obsm`` is taken as it is. The loss is :math:`B \cdot MSE + KL`, each a mean over rows and
    columns, so the posterior is narrow where B is large: nearly an autoencoder without noise.

    Published sizes, with their learning rate, weight decay and epochs at full precision:
    ``preset="sf"`` over a 3072-d scFoundation embedding, ``"gf"`` over a 512-d Geneformer
    embedding, ``"dist"`` over 19,264 genes.

    Parameters
    ----------
    %(adata)s
    %(registry)s
    preset
        ``"sf"``, ``"gf"``, ``"dist"`` or none. What is given below replaces the preset's.
    genes
        Inputs to take, by name; all that were set up by default. The total of a row is over all.
    encoder
        Widths of the residual blocks behind the input; (256, 128).
    n_latent
        Number of latent variables; 32.
    decoder
        Widths of the residual blocks behind the latent variables; (128, 256).
    activation
        ``"leaky_relu"``, ``"swish"`` or ``"shared_swish"``, with a trainable scale for each block
        or for all.
    spectral_norm
        ``"none"``; ``"outer"``: shortcuts, mean, log-variance and output; ``"all"``: every layer.
    reconstruction_weight
        B; 500.

    Attributes
    ----------
    genes_
        Names of the inputs, in the order of the model.
    scale_
        Scale of the training data; ``"as_is"`` for an embedding.
    history_table_
        One row an epoch: ``train_loss``, ``validation_loss``, ``mse``, ``kl``.
    evaluation_
        Error, explained share of the variance and KL term on the rows that were held out.
    protocol_
        What was held out, which epoch was kept, and the settings of the fit.

    References
    ----------
    Zhou et al., scATD, Briefings in Bioinformatics 2025, bbaf268, and the code released with it.

    Examples
    --------
    >>> import dtp_scvi as dtp
    >>> cells = dtp.datasets.simulate_cells(300, 200, n_donors=4)
    >>> dtp.model.ResVAE.setup_anndata(cells, layer="counts", donor_key="donor")
    >>> vae = dtp.model.ResVAE(cells, encoder=(64,), n_latent=8, decoder=(64,))
    >>> vae.train(max_epochs=3, verbose=False)
    >>> vae.get_latent_representation(cells).shape
    (300, 8)
    """

    def __init__(
        self,
        adata: AnnData | None = None,
        registry: dict[str, Any] | None = None,
        *,
        preset: str | None = None,
        genes: Sequence[str] | None = None,
        encoder: Sequence[int] | None = None,
        n_latent: int | None = None,
        decoder: Sequence[int] | None = None,
        activation: Activation | None = None,
        spectral_norm: SpectralNorm | None = None,
        reconstruction_weight: float | None = None,
    ) -> None:
        super().__init__(adata, registry, genes)
        genes = None if genes is None else [str(gene) for gene in genes]
        given = {
            "encoder": encoder,
            "n_latent": n_latent,
            "decoder": decoder,
            "activation": activation,
            "spectral_norm": spectral_norm,
            "reconstruction_weight": reconstruction_weight,
        }
        self._preset, self._sizes = architecture(
            preset, len(self.genes_), given, type(self).__name__
        )
        self.module = self._new_module()
        self.init_params_ = init_params(self, locals())

    def _new_module(self, seed: int = 0) -> ResVAEModule:
        with seeded(seed):
            return ResVAEModule(len(self.genes_), **self._sizes)

    @classmethod
    @docs.dedent
    def setup_anndata(
        cls,
        adata: AnnData,
        *,
        layer: str | None = None,
        obsm_key: str | None = None,
        scale: str = "auto",
        donor_key: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Check an AnnData and register it for training.

        Everything is checked first; on an error nothing has been written. No labels are needed.

        Parameters
        ----------
        %(adata)s
        %(layer)s
        obsm_key
            Key of ``adata.obsm`` with an embedding, which is taken as it is, instead of
            expression. Its columns are named by a data frame, else numbered.
        %(scale)s
            ``"as_is"`` takes values of ``X`` or of a layer as they are.
        %(donor_key)s
        %(setup_kwargs)s

        Raises
        ------
        KeyError
            When a key is missing.
        ValueError
            When donors, values or scale are unfit for training; the message says why.

        Examples
        --------
        >>> import dtp_scvi as dtp
        >>> cells = dtp.datasets.simulate_cells(300, 200, n_donors=4)
        >>> dtp.model.ResVAE.setup_anndata(cells, layer="counts", donor_key="donor")
        """
        arguments: dict[str, Any] = {"layer": layer, "obsm_key": obsm_key, "scale": scale}
        arguments["donor_key"] = donor_key
        found = check_vae_data(adata, **arguments)
        arguments["scale"] = str(found.scale)
        cls._register(adata, TrainableVAE, [x_field(layer, obsm_key)], arguments, **kwargs)

    @staticmethod
    def suggest(trial: Any, ranges: Ranges = "sf") -> dict[str, dict[str, Any]]:
        """Draw arguments from the published ranges, in a trial of Optuna.

        Parameters
        ----------
        trial
            A trial of Optuna.
        ranges
            ``"sf"`` or ``"gf"``: the embedding that the ranges were published for.

        Returns
        -------
        ``model``, arguments of this class, and ``train``, arguments of :meth:`train`.
        """
        return suggest(trial, ranges)

    @classmethod
    @docs.dedent
    def tune(
        cls,
        adata: AnnData,
        *,
        n_trials: int = 100,
        n_folds: int = 5,
        ranges: Ranges = "sf",
        genes: Sequence[str] | None = None,
        indices: np.ndarray | None = None,
        max_epochs: int | None = None,
        batch_size: int = 128,
        seed: int = 0,
        accelerator: str = "auto",
        verbose: bool = False,
    ) -> pd.DataFrame:
        """Search the published ranges for the lowest held-out loss. Needs the extra ``autotune``.

        Trials are drawn by Optuna's TPE sampler, and stopped by its median pruner after a fold.
        Activation, spectral norm and reconstruction weight are those of the preset, so that
        losses compare. As published, no test data are set aside: the best loss is optimistic.

        Parameters
        ----------
        adata
            AnnData that was set up for this class.
        n_trials
            Number of trials.
        n_folds
            Folds of a trial, donors whole where ``donor_key`` was registered.
        ranges
            ``"sf"`` or ``"gf"``.
        genes
            Inputs to take, by name; all by default.
        indices
            Rows to use; all by default. The published searches used a random 30 %.
        max_epochs
            Most epochs, where fewer than were drawn should do.
        batch_size
            Rows per step.
        %(seed)s
        %(accelerator)s
        %(verbose)s

        Returns
        -------
        One row a trial, the best first: ``trial``, ``value`` (mean over folds of each fold's
        lowest held-out loss; of the folds that were run where it was pruned), ``state``, and the
        arguments that were drawn.

        Raises
        ------
        ImportError
            When Optuna is missing.
        ValueError
            When there are fewer rows or donors than folds.
        """
        check_positive_int(n_trials, "n_trials")
        check_one_of(ranges, RANGES, "ranges")
        preset = PRESETS[ranges]
        fixed: dict[str, Any] = {
            "activation": preset.activation,
            "spectral_norm": preset.spectral_norm,
            "reconstruction_weight": preset.reconstruction_weight,
        }
        with quiet_optuna() as optuna:

            def objective(trial: Any) -> float:
                drawn = cls.suggest(trial, ranges)
                model = cls(adata, genes=genes, **drawn["model"], **fixed)
                given = model._read(indices)
                losses: list[float] = []
                if max_epochs is not None:
                    drawn["train"]["max_epochs"] = min(max_epochs, drawn["train"]["max_epochs"])
                options = FitOptions(
                    **drawn["train"],
                    batch_size=batch_size,
                    schedule=preset.schedule,
                    keep="best",
                    patience=drawn["train"]["max_epochs"],
                    seed=seed,
                    accelerator=accelerator,
                )
                for row in model._folds(n_folds, given, options):
                    losses.append(row["validation_loss"])
                    trial.report(sum(losses) / len(losses), len(losses))
                    if len(losses) < n_folds and trial.should_prune():
                        raise optuna.TrialPruned
                return sum(losses) / len(losses)

            study = optuna.create_study(
                sampler=optuna.samplers.TPESampler(seed=seed),
                pruner=optuna.pruners.MedianPruner(),
            )
            study.optimize(objective, n_trials=n_trials, show_progress_bar=verbose)
            rows = [
                {"trial": t.number, "value": t.value, "state": t.state.name, **t.params}
                for t in study.trials
            ]
        return pd.DataFrame(rows).sort_values("value", ignore_index=True)
