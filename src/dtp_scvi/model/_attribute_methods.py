"""Captum's methods on a dense network, and how far their sums are from what they explain."""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import torch
from torch import Tensor, nn

from dtp_scvi._optional import require
from dtp_scvi._validate import near_matches, problem
from dtp_scvi.nn import seeded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dtp_scvi.model._attribute_net import DenseNet

Method = Literal["integrated_gradients", "gradient_shap", "deep_lift"]
INTEGRATED: Final = "integrated_gradients"
SHAP: Final = "gradient_shap"
DEEP_LIFT: Final = "deep_lift"
METHODS: Final = (INTEGRATED, SHAP, DEEP_LIFT)
# Largest completeness error of a row, as a share of what there is to explain.
TOLERANCE: Final = 0.01
EXTRA: Final = "mechanism"

_NODES, _MOST_HALVINGS = 8, 8
_SAMPLES = 64
# Points that go through a network together: activations of more would leave the cache.
_MOST_POINTS = 256
# Values of a batch of rows, of which a dozen copies are held.
_MOST_VALUES = 2**21


def check_method(method: str) -> None:
    """Raise ``ValueError`` unless the method is known."""
    if method not in METHODS:
        msg = problem(
            f"`method` to be one of {', '.join(map(repr, METHODS))}",
            repr(method),
            near_matches(str(method), METHODS),
        )
        raise ValueError(msg)


@dataclass(frozen=True)
class RowParts:
    """Attributions of some rows with what they should sum to."""

    linear: np.ndarray
    """Of the linear part, (n_rows, n_inputs)."""
    residual: np.ndarray
    """Of the residual, (n_rows, n_inputs)."""
    linear_output: np.ndarray
    """Prediction of the linear part less that at the baseline, (n_rows,)."""
    residual_output: np.ndarray
    """The same of the residual."""

    @property
    def total(self) -> np.ndarray:
        """Of the whole prediction, (n_rows, n_inputs)."""
        return self.linear + self.residual

    @property
    def output(self) -> np.ndarray:
        """Prediction less that at the baseline (its mean over several), (n_rows,)."""
        return self.linear_output + self.residual_output

    @property
    def error(self) -> np.ndarray:
        """How far the attributions of a row are from summing to ``output``, (n_rows,)."""
        return np.abs(self.linear.sum(axis=1) + self.residual.sum(axis=1) - self.output)


class Attributor:
    """One method on one network.

    Parameters
    ----------
    net
        What to explain.
    baselines
        Inputs to compare with, (n_baselines, n_inputs); several for ``gradient_shap`` only.
    method
        One of ``METHODS``.
    n_steps
        Steps of the path, or random samples of ``gradient_shap``; ``None`` halves the parts of a
        row's path until its error is under one per cent.
    seed
        Of the random samples.
    """

    def __init__(
        self,
        net: DenseNet,
        baselines: np.ndarray,
        method: str,
        n_steps: int | None,
        seed: int | None,
    ) -> None:
        self.net, self.method, self.n_steps = net, method, n_steps
        self.baselines = torch.from_numpy(np.ascontiguousarray(baselines, dtype=np.float64))
        self.rng = np.random.default_rng(seed)
        self.n_gradients = 0
        self.residual, self.linear = _Part(net, net.residual), _Part(net, net.linear)
        # A prediction that is linear in its inputs has one answer, whatever the method.
        self.captum = (
            require("captum.attr", EXTRA) if net.has_residual or net.input_slope is None else None
        )

    @property
    def batch_size(self) -> int:
        """Rows that are worked on together."""
        return int(np.clip(_MOST_VALUES // self.baselines.shape[1], 16, _MOST_POINTS))

    def __call__(self, values: np.ndarray) -> RowParts:
        """Explain rows, (n_rows, n_inputs)."""
        x = torch.from_numpy(np.ascontiguousarray(values, dtype=np.float64))
        with torch.no_grad():
            linear_output = self.net.linear(x) - self.net.linear(self.baselines).mean()
            residual_output = self.net.residual(x) - self.net.residual(self.baselines).mean()
        allowed = TOLERANCE / 2 * (linear_output + residual_output).abs().clamp_min(self.net.least)
        slope = self.net.input_slope
        if slope is None:
            linear = self._explain(self.linear, x, allowed)
        else:
            linear = (x - self.baselines.mean(dim=0)) * slope
        residual = (
            self._explain(self.residual, x, allowed)
            if self.net.has_residual
            else torch.zeros_like(x)
        )
        parts = (linear, residual, linear_output, residual_output)
        return RowParts(*(part.detach().numpy() for part in parts))

    def _explain(self, part: _Part, x: Tensor, allowed: Tensor) -> Tensor:
        if self.method == INTEGRATED:
            return self._integrate(part, x, allowed)
        if self.method == DEEP_LIFT:
            self.n_gradients += len(x)
            return _deep_lift(part, x, self.baselines)
        n_samples = self.n_steps or _SAMPLES
        self.n_gradients += n_samples * len(x)
        method = self.captum.GradientShap(part)  # type: ignore[union-attr]
        with _seeded(int(self.rng.integers(2**31))):
            return torch.cat(
                [
                    method.attribute(rows.requires_grad_(), self.baselines, n_samples=n_samples)
                    for rows in x.split(max(1, _MOST_POINTS // n_samples))
                ]
            )

    def _integrate(self, part: _Part, x: Tensor, allowed: Tensor) -> Tensor:
        """Integrate along each row's path; halve the parts of it whose error is too large.

        A trained Transformer is smooth on most of the path and steep on a short part of it that
        differs from row to row: halving takes a third of the gradients that doubling the steps
        of the whole path does. A row is done when what is left of its errors is small, whatever part
        they lie in: at a ReLU the slope jumps, and the error of a part falls only as fast as the
        part does. Errors have either sign, so that squares are summed.
        """
        steps, out, spent = self.n_steps or _NODES, torch.zeros_like(x), x.new_zeros(len(x), 2)
        # Steps that were asked for are one rule over the whole path.
        n_parts = 1 if self.n_steps is not None else self.net.n_parts
        size = 1 / n_parts
        row = torch.arange(len(x)).repeat(n_parts)
        low = (torch.arange(n_parts).to(x) * size).repeat_interleave(len(x))
        while len(row):
            last = self.n_steps is not None or size <= 0.5**_MOST_HALVINGS
            waiting, doubt, again = torch.zeros_like(x), torch.zeros_like(spent), []
            for here in torch.arange(len(row)).split(max(1, _MOST_POINTS // steps)):
                found, error = self._segment(part, x[row[here]], low[here], size, steps)
                errors = torch.stack([error, error**2], dim=1)
                good = (error.abs() <= size * allowed[row[here]]) | last
                for chosen, total, missed in ((good, out, spent), (~good, waiting, doubt)):
                    total.index_add_(0, row[here[chosen]], found[chosen])
                    missed.index_add_(0, row[here[chosen]], errors[chosen])
                again.append(here[~good])
            summed, squares = (spent + doubt).unbind(dim=1)
            done = (summed.abs() <= allowed) & (squares <= (4 * allowed) ** 2)
            out[done] += waiting[done]
            left = torch.cat(again)
            left = left[~done[row[left]]]
            size /= 2
            row, low = row[left].repeat(2), torch.cat([low[left], low[left] + size])
        return out

    def _segment(
        self, part: _Part, x: Tensor, low: Tensor, size: float, steps: int
    ) -> tuple[Tensor, Tensor]:
        """Integrate over a part of the path, from ``low`` of it on; return its error as well."""
        self.n_gradients += steps * len(x)
        start, step = low[:, None], x - self.baselines
        begin, end = self.baselines + start * step, self.baselines + (start + size) * step
        found = self.captum.IntegratedGradients(part).attribute(  # type: ignore[union-attr]
            end, begin, n_steps=steps, method="gausslegendre"
        )
        with torch.no_grad():
            error = found.sum(dim=1) - (part(end) - part(begin))
        return found.detach(), error


class _Part(nn.Module):
    """One part of a prediction as a module of its own, which captum's hooks need."""

    def __init__(self, net: DenseNet, part: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.net, self.part = net, part

    def forward(self, values: Tensor) -> Tensor:
        return self.part(values)


def _deep_lift(part: _Part, x: Tensor, baseline: Tensor) -> Tensor:
    """Apply DeepLIFT's rescale rule at every GELU.

    Captum has no rule for products of activations, softmax and layer normalisation written as
    functions: they pass the plain gradient at the row on, and sums are off by what that misses.
    """
    rules = require("captum.attr._core.deep_lift", EXTRA)
    with _also(rules.SUPPORTED_NON_LINEAR, nn.GELU, rules.nonlinear), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Setting forward, backward hooks")
        return rules.DeepLift(part).attribute(x.requires_grad_(), baseline.expand_as(x))


@contextmanager
def _also(table: dict[Any, Any], key: object, value: object) -> Iterator[None]:
    """Hold an entry in captum's table of rules, which lacks GELU, for as long as it is needed."""
    known = key in table
    table.setdefault(key, value)
    try:
        yield
    finally:
        if not known:
            del table[key]


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed the global states that captum draws from, and put them back."""
    before = np.random.get_state()  # noqa: NPY002
    np.random.seed(seed)  # noqa: NPY002
    try:
        with seeded(seed):
            yield
    finally:
        np.random.set_state(before)  # noqa: NPY002
