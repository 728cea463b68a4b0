"""Each model as one dense function of its inputs, which gradients can be taken of."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from dtp_scvi.module import (
    N_CLASSES,
    AMUModule,
    DrugSensitivityModule,
    ProgramModule,
    StudentModule,
    one_against_rest,
)

if TYPE_CHECKING:
    from dtp_scvi.model._response_fit import Fitted
    from dtp_scvi.module import ResidualNet


@dataclass(frozen=True)
class Outcome:
    """What of a network's raw outputs is explained: one of them, scaled, or log-odds of it."""

    output: int
    scale: float = 1.0
    shift: float = 0.0
    against_rest: bool = False

    def __call__(self, raw: Tensor) -> Tensor:
        """Map raw outputs (n_rows, n_outputs) to (n_rows,)."""
        if self.against_rest:
            return one_against_rest(raw)[:, self.output]
        return self.scale * raw[:, self.output] + self.shift

    @classmethod
    def of_class(cls, position: int, n_classes: int, *, single: bool = True) -> Outcome:
        """Log-odds of a class against all others; ``single`` where two classes share an output."""
        if n_classes > 2 or not single:
            return cls(position, against_rest=True)
        # The single raw output is the log-odds of the second class.
        return cls(0, scale=1.0 if position == 1 else -1.0)


class DenseNet(nn.Module):
    r"""Inputs (n_rows, n_inputs) to the prediction (n_rows,), in double precision.

    .. math:: f(x) = \phi\left(b + \sum_i o_i w_i (x_i - \mu_i) + r(x)\right)

    Here :math:`r = 0`; subclasses add a residual. A gene that was not observed
    (:math:`o_i = 0`) changes nothing.
    """

    mean: Tensor
    slope: Tensor
    bias: Tensor
    seen: Tensor
    has_residual = False
    # Parts that a path is integrated in at first, and the smallest difference of two predictions
    # that errors are measured against.
    n_parts = 1
    least = 0.0

    def __init__(
        self, mean: Tensor, slope: Tensor, bias: Tensor, outcome: Outcome, seen: Tensor | None
    ) -> None:
        super().__init__()
        self.outcome = outcome
        seen = torch.ones_like(mean) if seen is None else seen
        for name, value in {"mean": mean, "slope": slope, "bias": bias, "seen": seen}.items():
            self.register_buffer(name, value.detach().double().cpu().clone())

    @property
    def input_slope(self) -> Tensor | None:
        """Change of the prediction by a unit of each input in the linear part; None if it varies."""
        if self.outcome.against_rest:
            return None
        return self.seen * self.slope[:, self.outcome.output] * self.outcome.scale

    def _linear_raw(self, values: Tensor) -> Tensor:
        return self.bias + ((values - self.mean) * self.seen) @ self.slope

    def _residual_raw(self, values: Tensor) -> Tensor:
        return values.new_zeros(len(values), len(self.bias))

    def linear(self, values: Tensor) -> Tensor:
        """Return what the linear part alone predicts, (n_rows,)."""
        return self.outcome(self._linear_raw(values))

    def residual(self, values: Tensor) -> Tensor:
        """Return what the residual adds to it, (n_rows,)."""
        if self.outcome.against_rest:
            return self(values) - self.linear(values)
        return self.outcome.scale * self._residual_raw(values)[:, self.outcome.output]

    def forward(self, values: Tensor) -> Tensor:
        """Return the prediction, (n_rows,)."""
        return self.outcome(self._linear_raw(values) + self._residual_raw(values))


class ProgramNet(DenseNet):
    """A linear part plus residuals of gene-program Transformers, of dense rows."""

    columns_seen: Tensor | None

    def __init__(self, module: ProgramModule, outcome: Outcome, seen: Tensor | None) -> None:
        live = module.live_members
        n_outputs = module.n_outputs
        weight = module.projection(live).detach().double().cpu()
        mean = weight.new_zeros(len(weight))
        order = module.order.cpu()
        mean[order] = module.mean.double().cpu()
        super().__init__(mean, weight[:, :n_outputs], module.linear_bias, outcome, seen)
        self.has_residual = bool(live)
        self.n_programs = module.n_programs
        self.share = [float(module.member_scale[m]) / len(module.members) for m in live]
        self.nets = nn.ModuleList(_frozen(module.members[m]) for m in live)
        self.register_buffer("columns_seen", None if seen is None else self.seen[order])
        self.register_buffer("projection", weight[:, n_outputs:])

    def _residual_raw(self, values: Tensor) -> Tensor:
        out = super()._residual_raw(values)
        parts = ((values * self.seen) @ cast("Tensor", self.projection)).chunk(
            max(1, len(self.share)), dim=1
        )
        for module, share, part in zip(self.nets, self.share, parts, strict=False):
            net = cast("ResidualNet", module)
            sums = part.unflatten(1, (self.n_programs, -1))
            out = out + share * net(sums, self.columns_seen)
        return out


class StudentNet(DenseNet):
    """A linear skip plus a perceptron, of dense rows."""

    has_residual = True

    def __init__(self, module: StudentModule, outcome: Outcome, seen: Tensor | None) -> None:
        sd = module.sd.double()
        slope = module.linear.weight.double().T / sd[:, None]
        super().__init__(module.mean, slope, module.linear.bias, outcome, seen)
        self.register_buffer("sd", sd.cpu())
        self.net = _frozen(nn.Sequential(module.directions, module.hidden, module.head))

    def _residual_raw(self, values: Tensor) -> Tensor:
        return self.net((values - self.mean) * self.seen / cast("Tensor", self.sd))


class WholeNet(DenseNet):
    """A network without a linear part: all of a contribution is the residual's."""

    has_residual = True
    # Its slope jumps where an activation bends or another channel becomes the largest: an error of
    # one per cent of less than a quarter of a log-odds would take thousands of gradients a row.
    n_parts = 4
    least = 0.25

    def __init__(
        self, mean: Tensor, n_outputs: int, outcome: Outcome, seen: Tensor | None
    ) -> None:
        none = mean.new_zeros(len(mean), n_outputs)
        super().__init__(mean, none, none[0], outcome, seen)

    @property
    def input_slope(self) -> Tensor:
        """Zeros: the linear part is none."""
        return torch.zeros_like(self.mean)

    def linear(self, values: Tensor) -> Tensor:
        """Return zeros, (n_rows,)."""
        return values.new_zeros(len(values))

    def residual(self, values: Tensor) -> Tensor:
        """Return the whole prediction, (n_rows,)."""
        return self(values)


class PanelNet(WholeNet):
    """A network on a closed gene panel, of its dense inputs: log1p per million of the panel."""

    def __init__(self, module: AMUModule, outcome: Outcome, seen: Tensor | None) -> None:
        super().__init__(module.mean, len(module.class_weight), outcome, seen)
        self.register_buffer("per_sd", module.per_sd.double().cpu())
        self.net = _frozen(module.net)

    def _residual_raw(self, values: Tensor) -> Tensor:
        return self.net((values - self.mean) * self.seen * cast("Tensor", self.per_sd))


class SensitivityNet(WholeNet):
    """A head on the posterior mean of an encoder, of its inputs: aligned, where there was a map.

    With ``adapted``, the adapter of the latent variables is a part of it.
    """

    def __init__(
        self,
        module: DrugSensitivityModule,
        outcome: Outcome,
        seen: Tensor | None,
        *,
        adapted: bool,
    ) -> None:
        super().__init__(module.mean, N_CLASSES, outcome, seen)
        self.encode = _frozen(nn.Sequential(module.encoder, module.mu))
        self.heads = _frozen(module.heads)
        self.adaptation = _frozen(module.adaptation) if adapted else None

    def _residual_raw(self, values: Tensor) -> Tensor:
        z = self.encode(self.mean + (values - self.mean) * self.seen)
        z = z if self.adaptation is None else self.adaptation.latent(z)
        return torch.stack([head(z) for head in self.heads]).mean(dim=0)


def classifier_net(
    module: AMUModule | DrugSensitivityModule | ProgramModule | StudentModule,
    outcome: Outcome,
    seen: Tensor | None,
    *,
    adapted: bool = False,
) -> DenseNet:
    """Return the dense form of a network; ``seen`` is a mask over genes."""
    if isinstance(module, AMUModule):
        return PanelNet(module, outcome, seen)
    if isinstance(module, DrugSensitivityModule):
        return SensitivityNet(module, outcome, seen, adapted=adapted)
    if isinstance(module, StudentModule):
        return StudentNet(module, outcome, seen)
    return ProgramNet(module, outcome, seen)


def linear_response_net(fitted: Fitted) -> DenseNet:
    """Return the dense form of linear regressions; inputs are those of each kind in turn."""
    sd = fitted.reference.sd
    slope = np.divide(fitted.weight, sd, out=np.zeros_like(sd), where=sd > 0)
    return DenseNet(
        torch.from_numpy(fitted.reference.mean.ravel()),
        torch.from_numpy(slope.reshape(-1, 1)),
        torch.tensor([fitted.intercept], dtype=torch.float64),
        Outcome(0),
        None,
    )


def _frozen(module: Any) -> Any:
    """Copy a network in double precision, without noise and without gradients of its weights."""
    return copy.deepcopy(module).double().cpu().eval().requires_grad_(requires_grad=False)
