"""Folds point at planted genes, at others where there is nothing to find, and say which it is."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

import dtp_scvi as dtp
from dtp_scvi import tl
from dtp_scvi.data import group_folds
from dtp_scvi.tl._attribution_folds import Explained, mean_jaccard, mean_spearman

KEY = "dtp_attribution_stability"


def explaining(fake):
    """Give the stand-in, which is linear, the attributions that a linear model has."""

    def attribute(self, *, indices, donor_key, seed, method, max_cells, n_steps, n_top):
        x, weight = self._log(indices).toarray(), self.fitted.coef_[0]
        mean = self._log(self.trained[-1]["indices"]).toarray().mean(axis=0)
        size = pd.DataFrame(np.abs((x - mean) * weight))
        donors = np.zeros(len(x)) if donor_key is None else self.adata.obs[donor_key].to_numpy()
        by_donor = size.groupby(donors if donor_key is None else donors[indices]).mean()
        table = pd.DataFrame({"mean_abs": by_donor.mean().to_numpy()}, index=self.adata.var_names)
        n_donors = 0 if donor_key is None else len(by_donor)
        record = {
            "params": {"n_rows": len(x), "n_donors": n_donors},
            "completeness": {"median": 0.0},
        }
        return SimpleNamespace(table=table.sort_values("mean_abs"), record=record)

    fake.attribute = attribute
    return fake


def stability(model_cls, adata, **kwargs):
    arguments = {"n_folds": 4, "n_top": 6, "n_permutations": 0, "verbose": False}
    return tl.attribution_stability(model_cls, adata, **{**arguments, **kwargs})


def test_each_row_is_explained_by_the_model_that_has_not_seen_it(fake, cells):
    table = stability(explaining(fake), cells)
    reg = fake.registration(cells)
    folds = group_folds(reg.labels.tolist(), reg.donors.tolist(), 4, seed=0)
    for given, (train, _) in zip(fake.trained, folds, strict=True):
        assert np.array_equal(given["indices"], train)
    stored = cells.uns[KEY]
    by_fold = stored["by_fold"]
    assert by_fold.shape == (30, 4)
    n_donors = stored["folds"]["n_donors"].to_numpy()
    assert n_donors.sum() == len(set(reg.donors))
    expected = (by_fold * n_donors).sum(axis=1) / n_donors.sum()
    found = table.set_index("gene")
    assert found["mean_abs"][by_fold.index].to_numpy() == pytest.approx(expected.to_numpy())
    ranks = by_fold.rank(ascending=False)
    assert found["rank_sd"][ranks.index].to_numpy() == pytest.approx(ranks.std(axis=1).to_numpy())
    top = ranks <= 6
    assert found["frequency"][ranks.index].to_numpy() == pytest.approx(top.mean(axis=1).to_numpy())
    assert table["rank"].tolist() == list(range(1, 31))
    pairs = list(itertools.combinations(range(4), 2))
    rho = [spearmanr(by_fold.iloc[:, a], by_fold.iloc[:, b])[0] for a, b in pairs]
    assert stored["stability"]["spearman"] == pytest.approx(np.mean(rho))
    sets = [set(by_fold.index[top.iloc[:, k]]) for k in range(4)]
    shared = [len(sets[a] & sets[b]) / len(sets[a] | sets[b]) for a, b in pairs]
    assert stored["stability"]["jaccard"] == pytest.approx(np.mean(shared))
    assert stored["stability"]["auroc"] > 0.8
    assert set(stored["stability"]) == {"spearman", "jaccard", "auroc"}


def test_the_order_of_rows_and_genes_does_not_matter(fake, cells, monkeypatch):
    expected = stability(explaining(fake), cells).set_index("gene")
    rng = np.random.default_rng(0)
    moved = cells[:, rng.permutation(cells.n_vars)].copy()
    found = stability(fake, moved).set_index("gene")
    np.testing.assert_allclose(found["mean_abs"][expected.index], expected["mean_abs"], rtol=0.01)
    # Folds of moved rows are other folds; of the same donors, the result is the same.
    rows = rng.permutation(cells.n_obs)
    donor_fold = {d: k % 4 for k, d in enumerate(sorted(set(cells.obs["donor"])))}

    def by_name(labels, groups, n_folds, *, seed):
        fold = np.array([donor_fold[d] for d in groups])
        return [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(n_folds)]

    monkeypatch.setattr("dtp_scvi.tl._cv_plan.group_folds", by_name)
    first, second = (stability(fake, part.copy()) for part in (cells, cells[rows]))
    first, second = (table.set_index("gene")["mean_abs"] for table in (first, second))
    # The solver stops at another place near the same optimum.
    np.testing.assert_allclose(second[first.index], first, atol=0.01)


@pytest.fixture(scope="module")
def planted():
    """Simulated patients and a Transformer's attributions on true and on permuted labels."""
    ici = dtp.datasets.simulate_ici(
        (60, 60), n_genes=60, signal=6.0, n_signal_genes=8, study_effect=0.0, response_rates=0.5
    )
    ici.obs["word"] = np.where(ici.obs["response"] == 1, "responder", "other")
    dtp.model.DTPTransformer.setup_anndata(
        ici, "word", positive="responder", donor_key="patient", scale="normalized"
    )
    table = stability(
        dtp.model.DTPTransformer,
        ici,
        n_folds=3,
        n_top=8,
        n_permutations=3,
        max_cells=40,
        model_kwargs={"n_programs": 6, "d_model": 16, "n_blocks": 1},
        train_kwargs={"max_epochs": 1},
    )
    return ici, table


def test_planted_genes_are_stable_and_those_of_permuted_labels_less(planted, tmp_path):
    ici, table = planted
    found = ici.uns[KEY]["stability"]
    assert found["auroc"] > 0.8
    assert abs(found["auroc_permuted"] - 0.5) < 0.1
    assert found["spearman"] > found["spearman_permuted"] + 0.1
    assert found["jaccard"] > found["jaccard_permuted"] + 0.2
    planted_genes = set(ici.var_names[ici.var["true_loading"] != 0])
    assert len(set(table["gene"].head(6)) & planted_genes) >= 4
    assert table["frequency"].head(3).min() == 1
    assert table["rank_sd"].head(5).max() < table["rank_sd"].median()
    runs = ici.uns[KEY]["runs"]
    assert runs["run"].tolist() == ["observed", *(f"permutation {k}" for k in (1, 2, 3))]
    assert found["jaccard_permuted"] == pytest.approx(runs["jaccard"][1:].mean())
    assert ici.uns[KEY]["params"]["by"] == "donor"
    ici.write_h5ad(tmp_path / "ici.h5ad")
    stored = ad.read_h5ad(tmp_path / "ici.h5ad").uns[KEY]
    assert stored["table"]["gene"].tolist() == table["gene"].tolist()
    assert stored["stability"]["jaccard"] == found["jaccard"]


@pytest.mark.filterwarnings("ignore:Completeness error")
@pytest.mark.filterwarnings("ignore:Folds share")
def test_panels_of_patients_and_their_studies():
    ici = dtp.datasets.simulate_ici((40, 50), n_genes=30, signal=4.0, n_signal_genes=5)
    ici.obs["word"] = np.where(ici.obs["response"] == 1, "responder", "other")
    dtp.model.AMU.setup_anndata(
        ici, "word", positive="responder", donor_key="patient", scale="normalized"
    )
    stability(
        dtp.model.AMU,
        ici,
        n_folds=2,
        study_key="study",
        n_permutations=1,
        method="gradient_shap",
        n_steps=8,
        max_cells=10,
        model_kwargs={"n_blocks": 1, "n_heads": 2, "d_model": 8, "d_hidden": 16},
        train_kwargs={"max_epochs": 2},
    )
    params = ici.uns[KEY]["params"]
    assert (params["by"], params["within_study"], params["method"]) == (
        "donor",
        True,
        "gradient_shap",
    )
    assert (ici.uns[KEY]["folds"]["n_explained"] == 10).all()


def test_a_gene_that_a_fold_does_not_read_contributes_nothing():
    cells = dtp.datasets.simulate_cells(400, 120, n_donors=6)
    dtp.model.DTPStudent.setup_anndata(
        cells, "state", positive="drug_tolerant", layer="counts", donor_key="donor"
    )
    table = stability(
        dtp.model.DTPStudent,
        cells,
        n_folds=2,
        max_cells=20,
        model_kwargs={"n_genes": 20},
        train_kwargs={"max_epochs": 2},
    )
    by_fold = cells.uns[KEY]["by_fold"]
    assert len(table) == 120
    assert ((by_fold > 0).sum() <= 20).all()
    never = table["gene"][table["mean_abs"] == 0]
    assert len(never) >= 80
    assert table.set_index("gene")["frequency"][never].eq(0).all()


def test_agreement_of_sets_and_ranks_is_bounded():
    rng = np.random.default_rng(0)
    size = rng.random((5, 400))
    assert mean_spearman(np.tile(size[:1], (3, 1))) == pytest.approx(1)
    assert mean_spearman(size) == pytest.approx(0, abs=0.1)
    assert np.isnan(mean_spearman(np.ones((2, 5))))
    top = np.zeros((2, 6), bool)
    assert np.isnan(mean_jaccard(top))
    top[0, :2] = top[1, 1:4] = True
    assert mean_jaccard(top) == pytest.approx(1 / 4)
    none = Explained(np.zeros((2, 6)), np.ones(2), np.zeros(4), pd.DataFrame())
    assert not none.top(3).any()


def test_folds_that_agree_no_more_than_by_chance_are_warned_of(fake, cells, monkeypatch):
    explaining(fake)
    monkeypatch.setattr(
        "dtp_scvi.tl._attribution_stability.relabelled", lambda cls, adata, reg, labels: adata
    )
    with pytest.warns(UserWarning, match="no more stable than those of a model with nothing"):
        stability(fake, cells, n_permutations=2)
    found = cells.uns[KEY]["stability"]
    assert found["spearman_permuted"] == pytest.approx(found["spearman"], abs=0.2)


def test_bad_input(fake, cells):
    explaining(fake)
    with pytest.raises(ValueError, match=r"`n_top` below the 30 genes.*found 30"):
        stability(fake, cells, n_top=30)
    with pytest.raises(ValueError, match="`n_top`"):
        stability(fake, cells, n_top=0)
    with pytest.raises(ValueError, match="`n_permutations`"):
        stability(fake, cells, n_permutations=-1)
    with pytest.raises(ValueError, match=r"donors of one class each for by='donor'"):
        stability(fake, cells, n_permutations=1, by="donor")
    with pytest.raises(ValueError, match="folds"):
        stability(fake, cells, n_folds=40)
    with pytest.raises(TypeError, match="a model class"):
        stability("AMU", cells)
    with pytest.raises(KeyError, match="study_key"):
        stability(fake, cells, study_key="nowhere")
    assert KEY not in cells.uns
