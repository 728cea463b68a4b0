"""Replicate ceilings and the artefact of shared controls against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dtp_scvi import stats


def replicates(n_groups=60, n_each=4, n_genes=300, effect=1.0, noise=1.5, shared=0.0, seed=0):
    """Changes against two sets of controls; with ``shared`` both hold the noise of one."""
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(n_groups), n_each)
    truth = effect * rng.normal(size=(n_groups, n_genes))
    changes = truth[groups] + noise * rng.normal(size=(len(groups), n_genes))
    return changes + shared * rng.normal(size=n_genes), truth[groups], groups


def test_correlations_are_the_reliabilities():
    changes, _, groups = replicates()
    found = stats.replicate_ceiling(changes, changes, groups)
    single = 1 / (1 + 1.5**2)
    assert found.pair == pytest.approx(single, abs=0.02)
    assert found.half == pytest.approx(1 / (1 + 1.5**2 / 2), abs=0.02)
    assert found.full == pytest.approx(1 / (1 + 1.5**2 / 4), abs=0.02)
    assert (len(found.groups), found.n_rows) == (60, 240)


def test_the_noise_free_profile_reaches_the_ceiling_and_no_more():
    changes, truth, groups = replicates()
    found = stats.replicate_ceiling(changes, changes, groups)
    single = stats.profile_correlation(changes, truth)[0].mean()
    assert found.ceiling_single == pytest.approx(single, abs=0.02)
    means = (stats.group_profiles(x, groups)[0] for x in (changes, truth))
    assert found.ceiling_mean == pytest.approx(
        stats.profile_correlation(*means)[0].mean(), abs=0.02
    )


def test_the_ceiling_is_of_the_second_side():
    """Noisier controls on the first side lower what pairs say, not what can be reached."""
    changes, _, groups = replicates()
    noisy = changes + 2.0 * np.random.default_rng(5).normal(size=changes.shape)
    clean = stats.replicate_ceiling(changes, changes, groups)
    found = stats.replicate_ceiling(noisy, changes, groups)
    assert found.pair < 0.8 * clean.pair
    assert found.ceiling_single == pytest.approx(clean.ceiling_single, abs=0.03)
    assert found.ceiling_mean == pytest.approx(clean.ceiling_mean, abs=0.03)


def test_a_shared_control_is_taken_for_agreement():
    noise, control = (replicates(effect=0.0, shared=shared) for shared in (0.0, 1.5))
    honest = stats.replicate_ceiling(noise[0], noise[0], noise[2])
    fooled = stats.replicate_ceiling(control[0], control[0], control[2])
    assert honest.pair == pytest.approx(0.0, abs=0.02)
    assert fooled.pair == pytest.approx(0.5, abs=0.03)
    # Against another set of controls on the other side it is gone.
    other = noise[0] + 1.5 * np.random.default_rng(9).normal(size=noise[0].shape[1])
    assert stats.replicate_ceiling(control[0], other, noise[2]).pair < 0.12


def test_single_rows_and_missing_groups():
    changes, _, groups = replicates(n_groups=3, n_each=1)
    found = stats.replicate_ceiling(changes, changes, groups)
    assert math.isnan(found.pair)
    assert math.isnan(found.ceiling_mean)
    assert found.n_rows == 0
    with pytest.raises(ValueError, match="a group for each of 3 rows"):
        stats.replicate_ceiling(changes, changes, groups[:2])


@pytest.mark.parametrize(
    ("control", "treated", "effect"), [(1.0, 1.0, 0.0), (0.5, 1.0, 0.3), (1.0, 0.7, 1.0)]
)
def test_artefact_of_a_shared_control_is_what_theory_says(control, treated, effect):
    rng = np.random.default_rng(0)
    base, n, n_genes = 8.0, 400, 500
    c = base + control * rng.normal(size=(n, n_genes))
    s = base + control * rng.normal(size=(n, n_genes))
    y = base + effect * rng.normal(size=(n, n_genes)) + treated * rng.normal(size=(n, n_genes))
    predicted = np.full_like(y, base)
    own = stats.profile_correlation(y - c, predicted - c)[0].mean()
    independent = stats.profile_correlation(y - s, predicted - c)[0].mean()
    assert own == pytest.approx(stats.control_artefact(control, treated, effect), abs=0.01)
    assert independent == pytest.approx(0.0, abs=0.01)


def test_artefact_without_noise():
    assert stats.control_artefact(0, 0, 0) == 0.0
    with pytest.raises(ValueError, match="`treated_sd`"):
        stats.control_artefact(1.0, -1.0, 0.0)
