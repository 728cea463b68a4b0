"""Maps of a target data set onto the rows that a head was fitted on; no label takes part."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from dtp_scvi._labels import text_column
from dtp_scvi._validate import check_one_of, near_matches, problem, shorten
from dtp_scvi.model._drug_sensitivity_fit import latent_of
from dtp_scvi.model._drug_sensitivity_source import dense_blocks
from dtp_scvi.model._query import Predicted, stream_logits
from dtp_scvi.module import Adaptation
from dtp_scvi.stats import Moments, coral_map, moment_map
from dtp_scvi.train import fit_adapter

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from anndata import AnnData

    from dtp_scvi.model._query import Query
    from dtp_scvi.module import DrugSensitivityModule, SparseBatch

ADAPTATIONS: Final = ("adain", "mmd", "coral")
# A covariance of more inputs would take 128 MiB and a decomposition of minutes.
_MOST_ROTATED: Final = 4096


@dataclass(frozen=True, kw_only=True)
class AdaptOptions:
    """How a target is mapped; see :meth:`DrugSensitivity.adapt`."""

    method: str
    start: str | None = "adain"
    shrinkage: float | str = "ledoit_wolf"
    n_steps: int = 300
    batch_size: int = 128
    lr: float = 5e-3
    penalty: float = 0.1
    bandwidths: Sequence[float] = field(default=(0.25, 0.5, 1.0, 2.0, 4.0))
    unbiased: bool = False
    seed: int = 0

    def check(self, *, with_samples: bool) -> None:
        """Raise for an unknown method, or samples where these are not told apart."""
        check_one_of(self.method, ADAPTATIONS, "method")
        check_one_of(self.start, ("adain", None), "start")
        if with_samples and self.method != "adain":
            msg = problem(
                'method="adain" with a `sample_key`', repr(self.method), "Leave `sample_key` out."
            )
            raise ValueError(msg)


def fit_adaptation(
    module: DrugSensitivityModule,
    query: Query,
    codes: np.ndarray | None,
    source: torch.Tensor | None,
    how: AdaptOptions,
) -> tuple[Adaptation, dict[str, Any]]:
    """Fit the map of a target and say what it rests on.

    Parameters
    ----------
    module
        Network with the moments that a target gets.
    query
        The target's rows.
    codes
        Sample of each row, numbered from 0.
    source
        Inputs of the training rows, for ``"coral"`` and ``"mmd"``.
    how
        Options.
    """
    if how.method == "coral":
        return _coral(module, query, _given(source), how)
    if how.method == "adain":
        return _adain(module, query, codes), {}
    return _mmd(module, query, _given(source), how)


def _given(source: torch.Tensor | None) -> torch.Tensor:
    if source is None:
        msg = problem("training rows", "none", "Load the model with adata=...")
        raise ValueError(msg)
    return source


def _adain(module: DrugSensitivityModule, query: Query, codes: np.ndarray | None) -> Adaptation:
    mean, sd = (getattr(module, name).double().numpy() for name in ("query_mean", "query_sd"))
    # The reference's own rows were counted when it was taken.
    reference = Moments(mean, sd, 0)
    parts = (
        [None] if codes is None else [np.flatnonzero(codes == c) for c in range(codes.max() + 1)]
    )
    maps = [
        moment_map(Moments.from_blocks(dense_blocks(query, module.n_inputs, rows)), reference)
        for rows in parts
    ]
    gain, shift = (
        torch.from_numpy(np.stack(column)).float() for column in zip(*maps, strict=True)
    )
    return Adaptation(gain, shift)


def _coral(
    module: DrugSensitivityModule, query: Query, source: torch.Tensor, how: AdaptOptions
) -> tuple[Adaptation, dict[str, Any]]:
    seen = query.alignment.observed & (module.known.numpy() > 0)
    if seen.sum() > _MOST_ROTATED:
        msg = problem(
            f"at most {_MOST_ROTATED:,} inputs for a covariance of each two",
            f"{int(seen.sum()):,}",
            'Use method="adain".',
        )
        raise ValueError(msg)
    target = np.concatenate(list(dense_blocks(query, module.n_inputs, None)))[:, seen]
    found = coral_map(target, source.numpy()[:, seen], shrinkage=how.shrinkage)
    here, n = np.flatnonzero(seen), module.n_inputs
    rotation, center = torch.zeros(n, n), torch.zeros(n)
    shift = module.query_mean.clone()
    rotation[here[:, None], here[None, :]] = torch.from_numpy(found.matrix).float()
    center[here] = torch.from_numpy(found.center).float()
    shift[here] = torch.from_numpy(found.shift).float()
    adaptation = Adaptation(torch.zeros(1, n), shift[None], center, rotation)
    return adaptation, {"shrinkage": how.shrinkage}


def _mmd(
    module: DrugSensitivityModule, query: Query, source: torch.Tensor, how: AdaptOptions
) -> tuple[Adaptation, dict[str, Any]]:
    n = module.n_inputs
    if how.start == "adain":
        start = _adain(module, query, None)
    else:
        start = Adaptation(module.recast_gain[None].clone(), module.recast_shift[None].clone())
    seen = torch.from_numpy(query.alignment.observed) & (module.known > 0)
    rows = torch.cat([torch.from_numpy(block) for block in dense_blocks(query, n, None)])
    Moments.check_enough(len(rows))
    target = torch.where(seen, start.inputs(rows, 0, seen.float()), module.mean)
    fitted = fit_adapter(
        latent_of(module, source),
        latent_of(module, target),
        n_steps=how.n_steps,
        batch_size=how.batch_size,
        lr=how.lr,
        penalty=how.penalty,
        bandwidths=how.bandwidths,
        unbiased=how.unbiased,
        seed=how.seed,
    )
    adaptation = Adaptation(
        start.gain, start.shift, latent_weight=fitted.weight, latent_shift=fitted.shift
    )
    record = {"start": how.start or "", "mmd_before": fitted.before, "mmd_after": fitted.after}
    record |= {"n_steps": how.n_steps, "penalty": how.penalty, "unbiased": how.unbiased}
    return adaptation, record | {"bandwidths": list(how.bandwidths), "seed": how.seed}


def sample_codes(adata: AnnData, record: dict[str, Any]) -> np.ndarray | None:
    """Number the rows of a query by the samples that a model was adapted to."""
    if not record.get("samples"):
        return None
    key, known = record["sample_key"], list(record["samples"])
    names = text_column(adata.obs, key, "sample_key")
    unknown = sorted(set(names.tolist()) - set(known))
    if unknown:
        msg = problem(
            f"samples in adata.obs[{key!r}] that the model was adapted to",
            shorten(unknown),
            f"{near_matches(unknown[0], known)} Or run adapt() on these rows.",
        )
        raise ValueError(msg)
    places = {name: place for place, name in enumerate(known)}
    return np.array([places[name] for name in names.tolist()])


class AdaptedNetwork:
    """A network that reads rows of one sample of its adaptation."""

    def __init__(self, module: DrugSensitivityModule, sample: int) -> None:
        self.module, self.sample = module, sample

    @property
    def device(self) -> torch.device:
        """Where it is."""
        return self.module.device

    def eval(self) -> None:
        """Leave noise out."""
        self.module.eval()

    def inference(
        self, tensors: SparseBatch, observed: torch.Tensor | None = None
    ) -> dict[str, torch.Tensor]:
        """Return what the network makes of mapped rows."""
        return self.module.inference(tensors, observed, self.sample)


def stream_adapted(
    module: DrugSensitivityModule,
    query: Query,
    indices: np.ndarray | None,
    batch_size: int | None,
) -> Iterator[Predicted]:
    """Yield log-odds of mapped rows; those of several samples in one piece."""
    if query.samples is None:
        network: Any = AdaptedNetwork(module, 0)
        yield from stream_logits(network, query, indices=indices, batch_size=batch_size)
        return
    order = np.arange(len(query.samples))
    order = order if indices is None else order[np.asarray(indices)]
    codes = query.samples[order]
    logits, space = np.empty((len(order), 2)), np.empty((len(order), module.n_space))
    for code in np.unique(codes):
        here = np.flatnonzero(codes == code)
        network = AdaptedNetwork(module, int(code))
        for part in stream_logits(network, query, indices=order[here], batch_size=batch_size):
            logits[here[part.rows]], space[here[part.rows]] = part.logits, part.space
    yield Predicted(slice(0, len(order)), logits, space, None)
