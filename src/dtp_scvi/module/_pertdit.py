"""Conditional diffusion of the profile after treatment, or of its change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

import torch
from scvi.module.base import LossOutput
from torch import Tensor, nn
from torch.nn import functional as F

from dtp_scvi.module._pertdit_condition import Condition
from dtp_scvi.module._pertdit_net import Backbone, PertDiTNet
from dtp_scvi.module._perturbation import PerturbationModule
from dtp_scvi.nn import (
    EDM,
    NoiseSchedule,
    StepEmbedding,
    guided,
    sample_ddim,
    sample_ddpm,
    sample_heun,
)

if TYPE_CHECKING:
    from dtp_scvi.module._drugs import DrugSizes
    from dtp_scvi.module._perturbation import PerturbationBatch
    from dtp_scvi.nn import Draw

Objective = Literal["ddpm", "edm", "direct"]
Target = Literal["post", "delta"]
Prediction = Literal["eps", "x0"]
Sampler = Literal["auto", "ddim", "ddpm", "heun"]
OBJECTIVES: Final = ("ddpm", "edm", "direct")
TARGETS: Final = ("post", "delta")
PREDICTIONS: Final = ("eps", "x0")
SAMPLERS: Final = {"ddpm": ("ddim", "ddpm"), "edm": ("heun",), "direct": ()}


class PertDiTModule(PerturbationModule):
    """PertDiT: a diffusion Transformer on genes, conditioned on control, drug, dose and time.

    What is diffused is standardised gene by gene; for ``"edm"`` it has the deviation that the
    preconditioning expects. ``"direct"`` is the same network without noise, fitted by least
    squares.

    Parameters
    ----------
    n_genes
        Number of genes.
    drugs
        Shape of the drug table.
    backbone
        One of ``BACKBONES``.
    objective
        ``"ddpm"``, ``"edm"`` or ``"direct"``.
    target
        ``"post"`` or ``"delta"``.
    prediction
        What the network of a ``"ddpm"`` puts out: noise (``"eps"``) or clean rows (``"x0"``).
    n_steps
        Steps of the schedule of a ``"ddpm"``.
    condition_dropout
        Share of training rows whose drug, dose and time are withheld.
    d_model, n_heads, n_layers, d_hidden
        Width of a token, heads, layers, hidden width of the perceptrons.
    start_at_zero
        Start the output at zero.
    **condition
        ``use_dose``, ``use_time`` and ``scale_by_dose`` of :class:`Condition`.
    """

    def __init__(
        self,
        n_genes: int,
        drugs: DrugSizes,
        *,
        backbone: Backbone = "cross",
        objective: Objective = "ddpm",
        target: Target = "delta",
        prediction: Prediction = "x0",
        n_steps: int = 50,
        condition_dropout: float = 0.1,
        d_model: int = 64,
        n_heads: int = 4,
        n_layers: int = 2,
        d_hidden: int = 128,
        start_at_zero: bool = True,
        **condition: Any,
    ) -> None:
        super().__init__(n_genes, drugs)
        self.objective, self.target, self.prediction = objective, target, prediction
        self.condition_dropout = condition_dropout
        self.net = PertDiTNet(
            n_genes,
            backbone,
            d_model=d_model,
            n_heads=n_heads,
            n_layers=n_layers,
            d_hidden=d_hidden,
            start_at_zero=start_at_zero,
        )
        self.condition = Condition(drugs, d_model, **condition)
        # Whole steps are told apart; a noise level is a smooth thing.
        self.step = StepEmbedding(d_model, (-4.0, 0.0) if objective == "edm" else (0.0, 4.0))
        self.schedule = NoiseSchedule(n_steps)
        self.edm = EDM()
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                nn.init.xavier_uniform_(layer.weight)
                nn.init.zeros_(layer.bias)
        self.net.start()

    @property
    def _spread(self) -> float:
        return self.edm.sigma_data if self.objective == "edm" else 1.0

    def _clean(self, tensors: PerturbationBatch) -> Tensor:
        """Standardise what is diffused, (n_rows, n_genes)."""
        if self.target == "post":
            z = (tensors["x"] - self.x_mean) / self.x_sd
        else:
            z = (tensors["x"] - tensors["control"] - self.delta_mean) / self.delta_sd
        return self._spread * z

    def _delta(self, clean: Tensor, control: Tensor) -> Tensor:
        """Undo :meth:`_clean` and return the change, on the scale of the input."""
        z = clean / self._spread
        if self.target == "post":
            return self.x_mean + self.x_sd * z - control
        return self.delta_mean + self.delta_sd * z

    def denoise(
        self,
        noisy: Tensor,
        level: Tensor,
        tensors: PerturbationBatch,
        dropped: Tensor,
        maps: dict[str, list[Tensor]] | None = None,
    ) -> Tensor:
        """Return what the network says about noisy rows, (n_rows, n_genes).

        That is noise or clean rows of a ``"ddpm"``, clean rows of an ``"edm"`` and ``"direct"``.

        Parameters
        ----------
        noisy
            Rows to denoise, (n_rows, n_genes); not read by ``"direct"``.
        level
            Step, int64, or sigma of ``"edm"``, (n_rows,).
        tensors
            Control, drug, dose and time.
        dropped
            True where the condition is withheld, bool, (n_rows,).
        maps
            Lists by name to which attention weights are appended.
        """
        control = (tensors["control"] - self.x_mean) / self.x_sd
        drugs = self.drugs.lookup(tensors["drug"])
        tokens, mask = self.condition(drugs, tensors["dose"], tensors["time"], dropped)
        if self.objective != "edm":
            given = control if self.objective == "direct" else noisy
            return self.net(given, control, self.step(level), tokens, mask, maps)
        skip, out, scale, noise = self.edm.coefficients(level)
        inner = self.net(scale[:, None] * noisy, control, self.step(noise), tokens, mask, maps)
        return skip[:, None] * noisy + out[:, None] * inner

    def inference(
        self, tensors: PerturbationBatch, generator: torch.Generator | None = None
    ) -> dict[str, Tensor]:
        """Add noise at random levels; return ``output``, what it should be, and its ``weight``.

        Parameters
        ----------
        tensors
            The batch.
        generator
            Source of the noise, on the device of the batch; torch's own without it.
        """
        clean = self._clean(tensors)
        n, device = len(clean), clean.device
        eps = torch.randn(clean.shape, generator=generator, device=device)
        dropped = torch.rand(n, generator=generator, device=device) < self.condition_dropout
        weight = clean.new_ones(n, 1)
        if self.objective == "edm":
            level = self.edm.draw(n, device, generator)
            noisy, wanted = clean + level[:, None] * eps, clean
            weight = self.edm.weight(level)[:, None]
        elif self.objective == "ddpm":
            level = torch.randint(self.schedule.n_steps, (n,), generator=generator, device=device)
            noisy = self.schedule.add_noise(clean, eps, level)
            wanted = eps if self.prediction == "eps" else clean
        else:
            level, noisy, wanted = torch.zeros(n, device=device), clean, clean
        output = self.denoise(noisy, level, tensors, dropped)
        return {"output": output, "wanted": wanted, "weight": weight}

    def generative(
        self, tensors: PerturbationBatch, inference_outputs: dict[str, Tensor]
    ) -> dict[str, Tensor]:
        """Return nothing: samples come from :meth:`predict_delta`."""
        return {}

    def loss(
        self,
        tensors: PerturbationBatch,
        inference_outputs: dict[str, Tensor],
        generative_outputs: dict[str, Tensor] | None = None,
    ) -> LossOutput:
        """Return the weighted mean squared error of what the network puts out."""
        out = inference_outputs
        loss = (out["weight"] * (out["output"] - out["wanted"]).square()).mean()
        return LossOutput(loss=loss, n_obs_minibatch=len(out["output"]))

    def batch_loss(
        self, tensors: PerturbationBatch, generator: torch.Generator | None = None
    ) -> LossOutput:
        """Return the loss of a batch at random noise levels."""
        return self.loss(tensors, self.inference(tensors, generator))

    def predict_delta(  # type: ignore[override]
        self,
        tensors: PerturbationBatch,
        *,
        draw: Draw,
        n_samples: int = 1,
        n_steps: int = 10,
        sampler: Sampler = "auto",
        guidance: float = 1.0,
    ) -> tuple[Tensor, Tensor]:
        """Return mean and standard deviation of sampled changes, both (n_rows, n_genes).

        Parameters
        ----------
        tensors
            The batch; ``x`` is not read and may be left out.
        draw
            Returns fresh standard normal rows, such as :class:`dtp_scvi.nn.RowNoise`.
        n_samples
            Number of samples; ``"direct"`` needs one.
        n_steps
            Steps of ``"ddim"`` and ``"heun"``; ``"ddpm"`` takes all of the schedule.
        sampler
            ``"ddim"`` or ``"ddpm"``, ``"heun"`` for ``"edm"``; ``"auto"`` is the first that fits.
        guidance
            1 samples from the condition as it is; more exaggerates it.
        """
        if self.objective == "direct":
            n_samples = 1
        samples = [
            self._delta(
                self._sample(tensors, draw, n_steps, sampler, guidance), tensors["control"]
            )
            for _ in range(n_samples)
        ]
        stacked = torch.stack(samples)
        return stacked.mean(dim=0), stacked.std(dim=0, correction=min(1, n_samples - 1))

    def _sample(
        self, tensors: PerturbationBatch, draw: Draw, n_steps: int, sampler: str, guidance: float
    ) -> Tensor:
        control = tensors["control"]
        kept = torch.zeros(len(control), dtype=torch.bool, device=control.device)

        def output(x: Tensor, level: Tensor) -> Tensor:
            given = self.denoise(x, level, tensors, kept)
            if guidance == 1:
                return given
            return guided(given, self.denoise(x, level, tensors, ~kept), guidance)

        def eps_of(x: Tensor, t: Tensor) -> Tensor:
            out = output(x, t)
            return out if self.prediction == "eps" else self.schedule.eps_of(x, out, t)

        if self.objective == "direct":
            return output(control, torch.zeros(len(control), device=control.device))
        if self.objective == "edm":
            return sample_heun(output, self.edm, draw(), n_steps)
        if sampler == "ddpm":
            return sample_ddpm(eps_of, self.schedule, draw)
        return sample_ddim(eps_of, self.schedule, draw(), n_steps)

    def attention_maps(
        self, tensors: PerturbationBatch, draw: Draw, level: float | None = None
    ) -> dict[str, Tensor]:
        """Return where genes look while pure noise is denoised, averaged over heads and queries.

        Parameters
        ----------
        tensors
            The batch; ``x`` is not read.
        draw
            Returns fresh standard normal rows.
        level
            Step or sigma to look at; by default the noisiest.

        Returns
        -------
        ``drug``, (n_rows, n_layers, n_tokens of :meth:`Condition.names`), and ``gene``, (n_rows,
        n_layers, n_genes); each sums to 1, and one that the backbone has not is left out.
        """
        maps: dict[str, list[Tensor]] = {"drug": [], "gene": []}
        noise = draw()
        if level is None:
            level = self.edm.high if self.objective == "edm" else self.schedule.n_steps - 1
        noise = noise * level if self.objective == "edm" else noise
        levels = torch.full((len(noise),), level, device=noise.device)
        kept = torch.zeros(len(noise), dtype=torch.bool, device=noise.device)
        self.denoise(noise, levels, tensors, kept, maps)
        out = {
            name: torch.stack([m.mean(dim=(1, 2)) for m in found], dim=1)
            for name, found in maps.items()
            if found
        }
        if "drug" in out:
            n_tokens = len(self.condition.names())
            out["drug"] = F.pad(out["drug"], (0, n_tokens - out["drug"].shape[-1]))
        return out
