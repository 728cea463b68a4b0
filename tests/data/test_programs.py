from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.metrics import adjusted_rand_score

from dtp_scvi.data import coexpression_programs, draw_rows

N_PROGRAMS, N_GENES, N_CELLS = 8, 600, 900


@pytest.fixture(scope="module")
def planted():
    """Cells with eight planted modules, noise genes and silent genes.

    Divided by the true depth: dividing by the row sum would couple the noise to the modules.
    """
    rng = np.random.default_rng(0)
    module = rng.integers(-1, N_PROGRAMS, N_GENES)
    module[-20:] = -2
    hidden = rng.normal(size=(N_CELLS, N_PROGRAMS))
    effect = np.where(module >= 0, 0.9 * hidden[:, np.maximum(module, 0)], 0.0)
    depth = rng.lognormal(0, 0.3, (N_CELLS, 1))
    rate = np.exp(rng.normal(-0.5, 0.7, N_GENES) + effect) * depth
    counts = rng.poisson(np.where(module == -2, 0, rate))
    return sp.csr_matrix(np.log1p(counts / depth)), module


def labels_of(programs, n_genes=N_GENES):
    label = np.full(n_genes, -1)
    for number, genes in enumerate(programs):
        label[genes] = number
    return label


def test_planted_modules_are_found(planted):
    X, module = planted
    label = labels_of(coexpression_programs(X, n_programs=N_PROGRAMS))
    both = (module >= 0) & (label >= 0)
    assert adjusted_rand_score(module[both], label[both]) > 0.9
    assert (label[module >= 0] >= 0).mean() > 0.9
    assert (label[module == -1] >= 0).mean() < 0.25
    assert (label[module == -2] == -1).all()


def test_programs_are_a_partition_largest_first(planted):
    programs = coexpression_programs(planted[0], n_programs=12)
    genes = np.concatenate(programs)
    assert genes.size == np.unique(genes).size
    sizes = [p.size for p in programs]
    assert sizes == sorted(sizes, reverse=True)
    assert min(sizes) >= 5
    assert len(programs) <= 12
    assert all(np.all(np.diff(p) > 0) for p in programs)


def test_largest_size_is_kept(planted):
    X, _ = planted
    free = coexpression_programs(X, n_programs=N_PROGRAMS)
    capped = coexpression_programs(X, n_programs=N_PROGRAMS, max_genes=75)
    assert free[0].size > 75
    assert max(p.size for p in capped) <= 75
    assert set(np.concatenate(capped)) == set(np.concatenate(free))


def test_same_seed_same_programs_whatever_the_storage(planted):
    X, _ = planted
    first = coexpression_programs(X, seed=3)
    again = coexpression_programs(X.tocsc(), seed=3)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))


def test_input_is_not_changed(planted):
    X = planted[0].copy()
    coexpression_programs(X)
    assert (planted[0] != X).nnz == 0


def test_donors_are_drawn_evenly():
    groups = np.repeat(["big", "small", "tiny"], [1000, 300, 20])
    drawn = draw_rows(groups.size, groups, 300, np.random.default_rng(0))
    names, counts = np.unique(groups[drawn], return_counts=True)
    assert dict(zip(names, counts, strict=True)) == {"big": 140, "small": 140, "tiny": 20}
    assert draw_rows(50, None, 300, np.random.default_rng(0)).tolist() == list(range(50))


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"n_programs": 0}, "`n_programs` to be a whole number"),
        ({"max_genes": 10}, "`n_programs` x `max_genes` of at least 5.. detected genes"),
    ],
)
def test_bad_sizes(planted, kwargs, message):
    with pytest.raises(ValueError, match=message):
        coexpression_programs(planted[0], **kwargs)


def test_too_little_data(planted):
    with pytest.raises(ValueError, match=r"at least 10 cells and 10 genes .*found 6 cells"):
        coexpression_programs(planted[0][:6])


def test_noise_has_no_programs():
    noise = np.random.default_rng(0).normal(size=(2000, 60))
    programs = []
    try:
        programs = coexpression_programs(sp.csr_matrix(np.exp(noise)))
    except ValueError as error:
        assert "genes that vary together" in str(error)  # noqa: PT017
    assert sum(p.size for p in programs) < 60
