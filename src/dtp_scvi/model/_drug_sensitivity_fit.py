"""What a head is fitted on: aligned rows, the moments they get, made-up rows, importances."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
import torch
from scipy import sparse as sp

from dtp_scvi._validate import problem
from dtp_scvi.data import Scale, align_genes, get_matrix, iter_blocks, scale_kind
from dtp_scvi.model._vae_fit import FitOptions, fit_vae
from dtp_scvi.module import (
    DrugSensitivityModule,
    ResVAEModule,
    dense_rows,
    one_against_rest,
    sparse_batch,
)
from dtp_scvi.stats import Moments, moment_map
from dtp_scvi.train import DenseRows, FeatureBatches, SensitivityPlan, run_plan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import pandas as pd
    from anndata import AnnData

    from dtp_scvi.model._query import Query

REFERENCES: Final = ("train", "pretraining", "paper")
_STEP: Final = 256
# One row in so many watches the pretraining.
_WATCHED: Final = 10
_PRETRAIN: Final[dict[str, Any]] = {"batch_size": 64, "keep": "best", "patience": 10}
_MOST_AXES: Final = 10
_N_STEPS: Final = 16
_IMPORTANCE_ROWS: Final = 256


class Autoencoder(Protocol):
    """What is needed of a trained :class:`~dtp_scvi.model.ResVAE`."""

    genes_: np.ndarray
    scale_: str
    obsm_key_: str | None
    module: ResVAEModule

    @property
    def adata(self) -> AnnData | None:
        """Its training data, ``None`` where it was loaded without."""

    def prepare(self) -> Query:
        """Find the training rows."""


@dataclass(frozen=True)
class Source:
    """An autoencoder whose encoder a head is put on."""

    module: ResVAEModule
    genes: np.ndarray
    given: bool
    moments: Callable[[], Moments] | None
    """Of the rows it was trained on; ``None`` where these are the rows of the head."""


@dataclass(frozen=True)
class AlignedRows:
    """Training rows in the genes of an encoder."""

    matrix: sp.csr_matrix
    """On the scale of the input, (n_rows, n_genes)."""
    total: np.ndarray
    scale: Scale
    known: np.ndarray
    """Which genes of the encoder the rows have."""

    def values(self, module: DrugSensitivityModule) -> torch.Tensor:
        """Return the inputs of the encoder, (n_rows, n_genes), float32."""
        parts = []
        with torch.no_grad():
            for rows in parts_of(len(self.total)):
                batch = sparse_batch(self.matrix[rows], self.total[rows], scale_kind(self.scale))
                parts.append(module.inputs(batch))
        return torch.cat(parts)


def parts_of(n_rows: int, step: int = _STEP) -> Iterator[slice]:
    """Yield slices of at most ``step`` rows."""
    for start in range(0, n_rows, step):
        yield slice(start, start + step)


def read_aligned(
    adata: AnnData,
    layer: str | None,
    scale: Scale,
    which: np.ndarray,
    genes: np.ndarray,
    floor: float,
) -> AlignedRows:
    """Read rows cut to an encoder's genes, by name."""
    alignment = align_genes(adata.var_names.astype(str), genes)
    alignment.check(floor)
    matrix = get_matrix(adata, layer)
    blocks = list(iter_blocks(matrix, alignment, scale=scale, indices=which))
    rows = sp.vstack([block.matrix for block in blocks], format="csr")
    total = np.concatenate([block.total for block in blocks])
    return AlignedRows(rows, total, scale, alignment.observed)


def given_source(vae: Autoencoder, scale: str, n_vars: int) -> Source:
    """Take an autoencoder; raise where it was trained on another kind of values."""
    embedded = (scale == Scale.AS_IS, str(vae.scale_) == Scale.AS_IS)
    if embedded[0] != embedded[1]:
        msg = problem(
            f"rows of the kind that the autoencoder was trained on (scale={str(vae.scale_)!r})",
            f"scale={scale!r}",
            "Expression and values that are used as they are do not mix.",
        )
        raise ValueError(msg)
    if vae.obsm_key_ is not None and n_vars != len(vae.genes_):
        msg = problem(
            f"embeddings of width {len(vae.genes_):,}, as the autoencoder was trained on",
            f"width {n_vars:,}",
            "Extract them with the same checkpoint and options.",
        )
        raise ValueError(msg)
    genes = np.asarray(vae.genes_, dtype=str)
    return Source(vae.module, genes, given=True, moments=lambda: _pool_moments(vae))


def _pool_moments(vae: Autoencoder) -> Moments:
    if vae.adata is None:
        msg = problem(
            "an autoencoder with its training data, whose moments are asked for",
            "one that was loaded without",
            'Load it with adata=..., or use reference="train".',
        )
        raise ValueError(msg)
    return Moments.from_blocks(dense_blocks(vae.prepare(), len(vae.genes_)))


def dense_blocks(
    query: Query, n_inputs: int, rows: np.ndarray | None = None
) -> Iterator[np.ndarray]:
    """Yield rows of a query as they are normalised, (n_rows, n_inputs)."""
    for block in query.blocks(indices=rows):
        batch = sparse_batch(block.matrix, block.total, query.kind)
        yield dense_rows(batch, n_inputs).numpy()


@torch.no_grad()
def set_reference(
    module: DrugSensitivityModule,
    rows: AlignedRows,
    source: Source,
    reference: str,
) -> torch.Tensor:
    """Store the moments that targets get; return the inputs of all rows as the head sees them.

    Parameters
    ----------
    module
        Network whose buffers are set.
    rows
        Training rows.
    source
        Autoencoder whose encoder it has.
    reference
        ``"train"``: rows as they are, and targets get their moments. ``"pretraining"``: both get
        the moments of the pretraining rows. ``"paper"``: rows get those of the pretraining, targets
        those of the rows before that, as in the released code.
    """
    raw = rows.values(module)
    own = Moments.from_blocks([raw.numpy()])
    gain, shift = np.ones_like(own.mean), np.zeros_like(own.mean)
    if reference != "train" and source.moments is not None:
        gain, shift = moment_map(own, source.moments())
    module.known.copy_(torch.from_numpy(rows.known))
    mean = np.where(rows.known, gain * own.mean + shift, source.module.mean.double().cpu())
    sd = gain * own.sd
    wanted = (own.mean, own.sd) if reference == "paper" else (mean, sd)
    for name, value in {
        "recast_gain": gain,
        "recast_shift": shift,
        "mean": mean,
        "sd": sd,
        "query_mean": wanted[0],
        "query_sd": wanted[1],
    }.items():
        getattr(module, name).copy_(torch.from_numpy(value))
    return rows.values(module)


def posterior_sampler(module: ResVAEModule) -> Callable[[np.ndarray, int], np.ndarray]:
    """Return what decodes a draw from the posterior of each row, with its own generator."""

    @torch.no_grad()
    def sample(rows: np.ndarray, seed: int) -> np.ndarray:
        module.eval()
        generator = torch.Generator().manual_seed(seed)
        made = []
        for part in parts_of(len(rows)):
            mu, logvar = module.encode(torch.from_numpy(rows[part]))
            noise = torch.randn(mu.shape, generator=generator)
            made.append(module.decode(mu + (logvar / 2).exp() * noise).numpy())
        return np.concatenate(made)

    return sample


@torch.no_grad()
def latent_of(module: DrugSensitivityModule, x: torch.Tensor) -> torch.Tensor:
    """Return posterior means, (n_rows, n_latent)."""
    module.eval()
    return torch.cat([module.latent(x[part]) for part in parts_of(len(x))])


@torch.no_grad()
def set_space(module: DrugSensitivityModule, latent: torch.Tensor) -> None:
    """Compare queries in the leading principal axes of the training rows' posterior means."""
    centre = latent.mean(dim=0)
    axes = torch.linalg.svd((latent - centre).double(), full_matrices=False).Vh[: module.n_space]
    # The sign of a singular vector is arbitrary.
    axes = axes * torch.where(axes.sum(dim=1, keepdim=True) < 0, -1.0, 1.0)
    module.space_mean.copy_(centre)
    module.space_weight.copy_(axes.T)


def n_axes(n_rows: int, n_latent: int) -> int:
    """Number of coordinates that so many rows can carry."""
    return max(1, min(_MOST_AXES, n_rows // 10, n_latent))


@torch.no_grad()
def member_odds(module: DrugSensitivityModule, member: int, latent: torch.Tensor) -> np.ndarray:
    """Log-odds of each class, (n_rows, 2), by one head, of posterior means."""
    module.eval()
    return one_against_rest(module.heads[member](latent).double()).numpy()


def mean_attributions(
    module: DrugSensitivityModule, x: torch.Tensor, positive: int, seed: int
) -> np.ndarray:
    """Mean absolute integrated gradients of each gene on the log-odds, (n_genes,).

    The baseline is the training mean (Sundararajan et al., ICML 2017); midpoints of 16 steps, of
    at most 256 rows.
    """
    module.eval()
    chosen = np.random.default_rng(seed).permutation(len(x))[:_IMPORTANCE_ROWS]
    away = x[chosen] - module.mean
    slope = torch.zeros_like(away)
    for share in (np.arange(_N_STEPS) + 0.5) / _N_STEPS:
        point = (module.mean + away * float(share)).requires_grad_()
        raw = module.members(module.latent(point)).mean(dim=1)
        odds = one_against_rest(raw)[:, positive].sum()
        slope += torch.autograd.grad(odds, point)[0] / _N_STEPS
    return (away * slope).abs().mean(dim=0).detach().numpy()


def pretrained_source(
    rows: AlignedRows,
    genes: np.ndarray,
    sizes: Mapping[str, Any],
    options: dict[str, Any],
) -> Source:
    """Pretrain an autoencoder on the training rows; a tenth of them watches."""

    def make(seed: int) -> ResVAEModule:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return ResVAEModule(len(genes), **sizes)

    order = np.random.default_rng(options["seed"]).permutation(len(rows.total))
    n_watched = max(2, len(order) // _WATCHED)
    how = FitOptions.from_preset(None, _PRETRAIN | options, len(order) - n_watched)
    values = DenseRows(rows.values(DrugSensitivityModule(len(genes), **_shape(sizes))).numpy())
    module, _, _ = fit_vae(make, values, order[n_watched:], order[:n_watched], how)
    return Source(module, genes, given=False, moments=None)


def _shape(sizes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in sizes.items() if name != "decoder"}


def fit_head(
    model: Any,
    member: int,
    class_weight: np.ndarray,
    fitted: tuple[torch.Tensor, torch.Tensor],
    held_out: tuple[torch.Tensor, torch.Tensor],
    *,
    schedule: str,
    n_unfrozen: int,
    keep_last: bool,
    patience: int,
    max_epochs: int,
    batch_size: int,
    lr: float,
    weight_decay: float,
    seed: int,
    **devices: Any,
) -> pd.DataFrame:
    """Train one head of ``model.module``; return the losses of every epoch.

    While the encoder stays as it is, the head is trained on posterior means that are computed once.
    """
    module: DrugSensitivityModule = model.module
    on_latent = not n_unfrozen
    parts = [
        (latent_of(module, x) if on_latent else x, labels) for x, labels in (fitted, held_out)
    ]
    batches: Any = FeatureBatches(*parts, batch_size=batch_size, seed=seed)
    plan = SensitivityPlan(
        module,
        member,
        torch.from_numpy(class_weight),
        schedule=schedule,
        max_epochs=max_epochs,
        keep_last=keep_last,
        n_unfrozen=n_unfrozen,
        lr=lr,
        weight_decay=weight_decay,
        n_steps=max_epochs * batches.n_batches,
        patience=max_epochs if keep_last else patience,
    )
    name = type(model).__name__
    table = run_plan(
        model, plan, batches, max_epochs=max_epochs, seed=seed, description=name, **devices
    )
    module.to("cpu").eval()
    return table
