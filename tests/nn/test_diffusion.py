"""Samplers against closed forms: the best denoiser of Gaussian data is linear."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from dtp_scvi.nn import (
    EDM,
    NoiseSchedule,
    RowNoise,
    WeightAverage,
    guided,
    sample_ddim,
    sample_ddpm,
    sample_heun,
)

MEAN, SD = (
    torch.tensor([1.5, -0.7], dtype=torch.float64),
    torch.tensor([0.3, 2.0], dtype=torch.float64),
)
N = 20_000


def normal(n=N, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, 2, generator=generator, dtype=torch.float64)


def drawing(generator, n=N):
    return lambda: torch.randn(n, 2, generator=generator, dtype=torch.float64)


def fine(n_steps):
    """A schedule with the published ends, in double precision."""
    return NoiseSchedule(n_steps, 0.002 * 50 / n_steps, 0.4 * 50 / n_steps).double()


def eps_of(schedule):
    """E[eps | x_t] where x_0 ~ N(MEAN, SD²)."""

    def denoise(x, t):
        kept = schedule.alpha_bar[t][:, None]
        return (1 - kept).sqrt() * (x - kept.sqrt() * MEAN) / (kept * SD**2 + 1 - kept)

    return denoise


def x0_of(x, sigma):
    """E[x_0 | x_0 + sigma · eps]."""
    s2 = sigma[:, None] ** 2
    return (SD**2 * x + s2 * MEAN) / (SD**2 + s2)


def test_the_published_alphas():
    kept = NoiseSchedule(50).alpha_bar
    assert kept[0].item() == pytest.approx(0.998, abs=5e-4)
    assert kept[24].item() == pytest.approx(0.328, abs=5e-4)
    assert kept[49].item() == pytest.approx(2.4e-4, abs=5e-6)
    assert kept[49].sqrt().item() == pytest.approx(0.0154, abs=5e-5)


def test_noise_has_the_variance_the_schedule_says_and_is_undone():
    schedule = NoiseSchedule(10).double()
    x0, eps = MEAN + SD * normal(), normal(seed=1)
    for step in (0, 4, 9):
        t = torch.full((N,), step)
        x = schedule.add_noise(x0, eps, t)
        kept = schedule.alpha_bar[step]
        expected = kept * SD**2 + 1 - kept
        assert torch.allclose(x.var(dim=0), expected, rtol=0.05)
        torch.testing.assert_close(schedule.x0_of(x, eps, t), x0)
        torch.testing.assert_close(schedule.eps_of(x, x0, t), eps)


def test_ancestral_samples_have_the_moments_of_the_data():
    schedule = fine(400)
    generator = torch.Generator().manual_seed(2)
    x = sample_ddpm(eps_of(schedule), schedule, drawing(generator))
    assert torch.allclose(x.mean(dim=0), MEAN, atol=4 * SD.max() / N**0.5)
    assert torch.allclose(x.std(dim=0), SD, rtol=0.02)


def test_one_ancestral_step_is_the_posterior_of_bayes():
    # q(x_{t-1} | x_t, x_0) is proportional to q(x_t | x_{t-1}) q(x_{t-1} | x_0).
    schedule = NoiseSchedule(2).double()
    beta, before = schedule.betas[1], schedule.alpha_bar[0]
    x, x0 = normal()[:1].expand(N, 2), normal(seed=5)[:1].expand(N, 2)
    seen = {}

    def given(at, t):
        seen[int(t[0])] = at
        return schedule.eps_of(at, x0, t)

    fresh = iter([x, normal(seed=3)])
    out = sample_ddpm(given, schedule, lambda: next(fresh))
    precision = (1 - beta) / beta + 1 / (1 - before)
    mean = ((1 - beta).sqrt() / beta * x[0] + before.sqrt() / (1 - before) * x0[0]) / precision
    assert torch.allclose(seen[0].mean(dim=0), mean, atol=4 / (precision * N) ** 0.5)
    assert torch.allclose(seen[0].var(dim=0), (1 / precision).expand(2), rtol=0.05)
    assert torch.allclose(out, x0, atol=1e-4)


def test_ddim_follows_the_flow_of_a_gaussian():
    schedule, noise = fine(2000), normal(500)
    x = sample_ddim(eps_of(schedule), schedule, noise, 2000)
    kept = schedule.alpha_bar[-1]
    expected = MEAN + SD * (noise - kept.sqrt() * MEAN) / (kept * SD**2 + 1 - kept).sqrt()
    assert torch.allclose(x, expected, atol=0.02)


def test_ddim_of_few_steps_is_the_product_of_its_affine_steps():
    schedule, noise = NoiseSchedule(50).double(), normal(5)
    slope, shift = torch.ones(2, dtype=torch.float64), torch.zeros(2, dtype=torch.float64)
    visited = list(range(0, 50, 5))
    kept = torch.cat([torch.ones(1, dtype=torch.float64), schedule.alpha_bar[visited]])
    for before, now in reversed(list(pairwise(kept))):
        noise_of = (1 - now).sqrt() / (now * SD**2 + 1 - now)
        a = (before / now).sqrt() * (1 - (1 - now).sqrt() * noise_of) + (
            1 - before
        ).sqrt() * noise_of
        b = -now.sqrt() * MEAN * noise_of
        b = b * ((1 - before).sqrt() - (before / now).sqrt() * (1 - now).sqrt())
        slope, shift = a * slope, a * shift + b
    x = sample_ddim(eps_of(schedule), schedule, noise, 10)
    torch.testing.assert_close(x, slope * noise + shift, rtol=1e-5, atol=1e-5)


def test_ddim_steps_lead():
    seen = []

    def denoise(x, t):
        seen.append(int(t[0]))
        return torch.zeros_like(x)

    sample_ddim(denoise, NoiseSchedule(50).double(), normal(1), 10)
    assert seen == [45, 40, 35, 30, 25, 20, 15, 10, 5, 0]
    # A number that does not divide the schedule starts among the noisiest steps as well.
    for n_steps in (1, 7, 30, 50):
        seen.clear()
        sample_ddim(denoise, NoiseSchedule(50).double(), normal(1), n_steps)
        assert len(set(seen)) == n_steps
        assert seen[-1] == 0
        assert seen[0] == 50 - -(-50 // n_steps)


def test_heun_follows_the_flow_of_a_gaussian():
    noise, edm = normal(500), EDM(sigma_data=1.0)
    x = sample_heun(x0_of, edm, noise, 200)
    expected = MEAN + SD * (edm.high * noise - MEAN) / (SD**2 + edm.high**2).sqrt()
    assert torch.allclose(x, expected, atol=0.01)
    rough = (sample_heun(x0_of, edm, noise, 50) - expected).abs().max()
    # Second order: a quarter of the steps, some sixteen times the error.
    assert (x - expected).abs().max() < rough / 8


def test_preconditioning_keeps_variances_at_one():
    edm = EDM(sigma_data=0.5)
    x0, eps = 0.5 * normal()[:, 0], normal(seed=1)[:, 0]
    for sigma in (0.01, 0.5, 3.0, 80.0):
        level = torch.tensor(sigma, dtype=torch.float64)
        skip, out, scale, noise = edm.coefficients(level)
        noisy = x0 + sigma * eps
        assert (scale * noisy).var().item() == pytest.approx(1, abs=0.04)
        # What the network has to give.
        assert ((x0 - skip * noisy) / out).var().item() == pytest.approx(1, abs=0.04)
        # No other skip makes the output's share smaller.
        assert out**2 == pytest.approx((1 - skip) ** 2 * 0.25 + (skip * sigma) ** 2)
        for other in (skip + 1e-3, skip - 1e-3):
            assert (1 - other) ** 2 * 0.25 + (other * sigma) ** 2 > out**2
        assert edm.weight(level) * out**2 == pytest.approx(1)
        assert noise == pytest.approx(torch.log(level) / 4)


def test_levels_fall_from_high_to_low_to_zero():
    levels = EDM().levels(18)
    assert (levels[0], levels[-2], levels[-1]) == pytest.approx((80, 0.002, 0))
    assert levels == sorted(levels, reverse=True)
    assert levels[1] == pytest.approx(
        (80 ** (1 / 7) + (0.002 ** (1 / 7) - 80 ** (1 / 7)) / 17) ** 7
    )


def test_guidance_extrapolates():
    conditional, null = torch.tensor([3.0]), torch.tensor([1.0])
    assert [guided(conditional, null, w).item() for w in (0.0, 1.0, 3.0)] == [1, 3, 7]


def test_noise_belongs_to_its_row():
    schedule, before = NoiseSchedule(10), torch.get_rng_state()
    mean, sd = MEAN.float(), SD.float()

    def denoise(x, t):
        kept = schedule.alpha_bar[t][:, None]
        return (1 - kept).sqrt() * (x - kept.sqrt() * mean) / (kept * sd**2 + 1 - kept)

    def sampled(seeds):
        return sample_ddpm(denoise, schedule, RowNoise(seeds, 2, torch.device("cpu")))

    together = sampled([7, 8, 9])
    assert torch.equal(together, torch.cat([sampled([7]), sampled([8, 9])]))
    assert not torch.equal(together[0], together[1])
    assert torch.equal(before, torch.get_rng_state())


def test_the_average_of_weights():
    layer = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(layer.weight)
    average = WeightAverage(layer, 0.5)
    mean = 0.0
    for n, value in enumerate((1.0, 2.0, 4.0), start=1):
        torch.nn.init.constant_(layer.weight, value)
        average.update()
        decay = min(0.5, (1 + n) / (10 + n))
        mean = decay * mean + (1 - decay) * value
    with average.applied():
        assert layer.weight.item() == pytest.approx(mean)
    assert layer.weight.item() == 4.0
    latest = WeightAverage(layer, 0.0)
    torch.nn.init.constant_(layer.weight, 7.0)
    latest.update()
    with latest.applied():
        assert layer.weight.item() == 7.0
