"""Lines and cells that share a planted response, and the shift between them."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from dtp_scvi.datasets import simulate_drug_transfer
from dtp_scvi.stats import auroc

DRUG = "simulated drug"


def standardised(x):
    return (x - x.mean(axis=0)) / (x.std(axis=0) + 1e-9)


def scores(lines, cells, *, own_moments):
    """AUROC in cells of a regression on standardised lines."""
    label = lines.obsm["response"][DRUG]
    known = label.notna().to_numpy()
    x = lines.X[known]
    model = LogisticRegression(C=0.01).fit(standardised(x), label[known] == "resistant")
    z = standardised(cells.X) if own_moments else (cells.X - x.mean(axis=0)) / x.std(axis=0)
    return auroc(cells.obs["response"] == "resistant", model.decision_function(z))


def test_layout_is_that_of_the_reader(tmp_path):
    lines, cells = simulate_drug_transfer(100, 60, n_genes=50, shift="nonaffine")
    label, ic50 = lines.obsm["response"][DRUG], lines.obsm["ln_ic50"][DRUG]
    assert (label.isna() == ic50.isna()).all()
    assert ic50.isna().sum() == 10
    resistant = label == "resistant"
    assert ic50[resistant].median() > ic50[label == "sensitive"].median()
    assert set(cells.obs["response"]) == {"resistant", "sensitive"}
    assert cells.obs["sample"].nunique() == 6
    for adata in (lines, cells):
        assert adata.uns["dtp_simulation"]["simulated"] is True
        assert adata.uns["dtp_simulation"]["oracle_auroc"] > 0.9
        adata.write_h5ad(tmp_path / "x.h5ad")
    back = ad.read_h5ad(tmp_path / "x.h5ad")
    assert back.uns["dtp_simulation"]["parameters"]["shift"] == "nonaffine"


def test_moments_undo_the_affine_shift_and_only_that():
    plain = simulate_drug_transfer(seed=3, shift="none")[1]
    affine = simulate_drug_transfer(seed=3, shift="affine")[1]
    bent = simulate_drug_transfer(seed=3, shift="nonaffine")[1]
    assert np.abs(standardised(plain.X) - standardised(affine.X)).max() < 0.01
    assert np.abs(plain.X.mean(axis=0) - affine.X.mean(axis=0)).max() > 1
    assert np.abs(standardised(plain.X) - standardised(bent.X)).max() > 1
    assert (plain.obs["response"] == bent.obs["response"]).all()


def mean_score(shift, *, own_moments):
    drawn = (simulate_drug_transfer(shift=shift, seed=seed) for seed in range(4))
    return np.mean([scores(*pair, own_moments=own_moments) for pair in drawn])


def test_the_shift_costs_what_it_should():
    plain = mean_score("none", own_moments=False)
    assert plain > 0.9
    assert mean_score("affine", own_moments=False) < plain - 0.03
    assert mean_score("affine", own_moments=True) > plain - 0.01
    assert mean_score("nonaffine", own_moments=True) < plain - 0.1


def test_no_strength_no_shift():
    plain, still = (
        simulate_drug_transfer(shift=shift, strength=0.0)[1] for shift in ("none", "affine")
    )
    assert np.abs(standardised(plain.X) - standardised(still.X)).max() < 1e-2


def test_same_seed_same_lines_for_every_shift():
    one, other = (simulate_drug_transfer(shift=s, seed=5)[0] for s in ("affine", "nonaffine"))
    assert (one.X == other.X).all()
    assert (one.X != simulate_drug_transfer(seed=6)[0].X).any()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"shift": "rotation"}, "`shift` to be one of 'none', 'affine', 'nonaffine'"),
        ({"n_cells": 5}, r"`n_cells` in \[20"),
        ({"n_signal_genes": 500}, "`n_signal_genes`"),
        ({"strength": 3.0}, "`strength`"),
        ({"prevalence": (0.0, 0.5)}, "`prevalence`"),
    ],
)
def test_refuses(arguments, words):
    with pytest.raises(ValueError, match=words):
        simulate_drug_transfer(**arguments)
