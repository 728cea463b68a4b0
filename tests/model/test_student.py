"""The student: its panel, and how faithfully it follows its teacher."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from dtp_scvi.data import nuisance_genes
from dtp_scvi.datasets import simulate_cells
from dtp_scvi.model import DTPStudent, DTPTransformer

QUICK = {"max_epochs": 1, "mixtures": 1, "verbose": False}


def prepared(adata, cls=DTPTransformer, **kwargs):
    given = {"positive": "drug_tolerant", "layer": "counts", "donor_key": "donor", **kwargs}
    cls.setup_anndata(adata, kwargs.pop("labels_key", "state"), **given)
    return adata


@pytest.fixture(scope="module")
def made():
    """Cells of which a few genes carry nuisance names, the strongest ones among them."""
    return simulate_cells(300, 200, n_donors=6, seed=1)


def quick_teacher(adata, **kwargs):
    model = DTPTransformer(adata, n_programs=5, d_model=16, n_blocks=1)
    model.train(max_epochs=1, verbose=False, **kwargs)
    return model


@pytest.fixture(scope="module")
def plain_teacher(made):
    """Trained once on all rows; distilling leaves it as it is."""
    return quick_teacher(prepared(made.copy()))


def test_panel(student, teacher, cells):
    panel = student.panel_
    assert list(panel.columns) == ["gene", "importance", "frequency"]
    assert len(panel) == len(student.genes_) == 120
    assert set(panel["gene"]) == set(student.genes_)
    assert panel["importance"].is_monotonic_decreasing
    assert (panel["importance"] > 0).all()
    assert panel["frequency"].between(0, 1).all()
    # Genes keep the order of the training data.
    positions = pd.Index(teacher.genes_).get_indexer(student.genes_)
    assert (np.diff(positions) > 0).all()
    assert teacher.id_ == student.teacher_id_


def test_nuisance_genes_stay_out_unless_asked_for(made, plain_teacher):
    weights = pd.Series(plain_teacher.importance_, index=plain_teacher.genes_).sort_values()[::-1]
    names = {weights.index[0]: "RPL13", weights.index[1]: "MT-ND1", weights.index[2]: "XIST"}
    renamed = made.copy()
    taken = [name for name in names.values() if name in renamed.var_names]
    renamed = renamed[:, ~renamed.var_names.isin(taken)].copy()
    renamed.var_names = [names.get(name, name) for name in renamed.var_names]
    teacher = quick_teacher(prepared(renamed))
    student = teacher.distill(n_genes=40, **QUICK)
    unwanted = {gene for kind in nuisance_genes(student.genes_).values() for gene in kind}
    assert not unwanted
    expected = {gene for kind in nuisance_genes(renamed.var_names).values() for gene in kind}
    assert student.stability_["n_excluded"] == len(expected)
    free = teacher.distill(n_genes=40, exclude=(), **QUICK)
    assert {"RPL13", "MT-ND1", "XIST"} <= set(free.genes_)
    assert free.stability_["n_excluded"] == 0
    with pytest.raises(ValueError, match="`exclude` to be one of"):
        teacher.distill(n_genes=40, exclude=("housekeeping",), **QUICK)


def test_only_training_rows_choose_the_panel(made):
    donors = np.unique(made.obs["donor"])
    rows = np.flatnonzero(made.obs["donor"] != donors[0])
    panels = []
    for change in (False, True):
        adata = made.copy()
        if change:
            counts = adata.layers["counts"].toarray()
            held_out = np.setdiff1d(np.arange(adata.n_obs), rows)
            counts[held_out] = np.random.default_rng(0).poisson(4, counts[held_out].shape)
            adata.layers["counts"] = counts
        student = quick_teacher(prepared(adata), indices=rows).distill(n_genes=40, **QUICK)
        assert student.stability_["n_donors"] == len(donors) - 1
        panels.append((student.panel_, student.id_))
    pd.testing.assert_frame_equal(panels[0][0], panels[1][0])
    assert panels[0][1] == panels[1][1]


def test_too_many_genes(plain_teacher):
    with pytest.raises(ValueError, match=r"`n_genes` in \[1, 200\]"):
        plain_teacher.distill(n_genes=201)
    with pytest.raises(ValueError, match=r"at least n_genes=200 genes that may enter"):
        plain_teacher.distill(n_genes=200, **QUICK)


@pytest.mark.parametrize(
    ("kwargs", "match"),
    [
        ({"alpha": 1.5}, "`alpha`"),
        ({"temperature": 0}, "`temperature`"),
        ({"max_epochs": 0}, "`max_epochs`"),
        ({"batch_size": 0}, "`batch_size`"),
        ({"mixtures": -1}, "`mixtures`"),
    ],
)
def test_unfit_arguments(teacher, kwargs, match):
    with pytest.raises(ValueError, match=match):
        teacher.distill(n_genes=40, **{"verbose": False, **kwargs})


def test_stability(student):
    assert 0 <= student.stability_["jaccard"] <= 1
    assert student.stability_["n_donors"] == 6


def test_fidelity_is_measured_on_donors_held_out_of_the_fit(student, teacher, cells):
    found = student.fidelity_
    assert found["held_out"] == "donor"
    assert found["n"] < cells.n_obs / 2
    assert 0.5 < found["spearman"] <= 1
    assert 0 <= found["agreement"] <= 1
    assert -1 <= found["kappa"] <= 1


def test_the_student_ranks_new_cells_as_its_teacher_does(student, teacher, query):
    pair = [model.predict_logits(query)["drug_tolerant"] for model in (student, teacher)]
    assert spearmanr(*pair).statistic > 0.7
    assert student.threshold_ == teacher.threshold_


@pytest.fixture(scope="module")
def third(teacher):
    """A student of seed 3."""
    return teacher.distill(n_genes=40, seed=3, **QUICK)


def test_one_seed_gives_one_student(teacher, third):
    again, other = (teacher.distill(n_genes=40, seed=seed, **QUICK) for seed in (3, 4))
    assert again.id_ == third.id_
    assert other.id_ != third.id_


def test_labels_can_take_part(teacher, third):
    alone = teacher.distill(n_genes=40, seed=3, alpha=0.0, **QUICK)
    assert np.isfinite(alone.history_table_["train_loss"]).all()
    assert alone.id_ != third.id_


def test_a_teacher_of_other_classes_is_refused(made, plain_teacher):
    own = plain_teacher
    other = made.copy()
    other.obs["state"] = np.where(other.obs["state"] == "sensitive", "sensitive", "tolerant")
    prepared(other, DTPStudent, positive="tolerant")
    student = DTPStudent(other, n_genes=40)
    with pytest.raises(ValueError, match=r"a teacher of sensitive, tolerant .positive: tolerant"):
        student.train(own, **QUICK)
    flipped = prepared(made.copy(), DTPStudent, positive="sensitive")
    with pytest.raises(ValueError, match=r"positive: sensitive.*positive: drug_tolerant"):
        DTPStudent(flipped, n_genes=40).train(own, **QUICK)
    cut = prepared(made[:, :150].copy(), DTPStudent)
    with pytest.raises(ValueError, match=r"200 genes.*found 150 other genes"):
        DTPStudent(cut, n_genes=40).train(own, **QUICK)
    adata = prepared(made.copy())
    untrained = DTPTransformer(adata)
    with pytest.raises(RuntimeError, match="a trained DTPTransformer"):
        DTPStudent(prepared(adata, DTPStudent), n_genes=40).train(untrained, **QUICK)


def test_without_a_teacher_it_trains_its_own(made):
    adata = prepared(made.copy(), DTPStudent)
    student = DTPStudent(adata, n_genes=40)
    rows = np.arange(240)
    student.train(indices=rows, **QUICK)
    assert student.teacher_id_
    assert student.predict_proba().shape == (300, 2)
    np.testing.assert_array_equal(student.train_rows_, rows)


def test_other_cells_can_be_imitated(made):
    """The rows of the teacher's training say nothing about another object."""
    teacher = quick_teacher(prepared(made.copy()), indices=np.arange(200, 300))
    other = made[:150].copy()
    student = teacher.distill(n_genes=40, adata=other, **QUICK)
    assert len(student.train_rows_) == 150
    with pytest.raises(ValueError, match="150 other genes"):
        teacher.distill(n_genes=40, adata=made[:, :150].copy(), **QUICK)


def test_a_loaded_teacher_says_that_it_does_not_know_its_rows(made, tmp_path):
    quick_teacher(prepared(made.copy()), indices=np.arange(240)).save(tmp_path / "m")
    teacher = DTPTransformer.load(tmp_path / "m", made.copy())
    with pytest.warns(UserWarning, match="trained on 240 rows, not on all 300"):
        teacher.distill(n_genes=40, **QUICK)
    student = teacher.distill(n_genes=40, indices=np.arange(240), **QUICK)
    assert len(student.train_rows_) == 240


def test_logged_training_data_need_no_mixtures(made):
    adata = made.copy()
    total = np.asarray(adata.X.sum(axis=1))
    adata.X = np.log1p(adata.X.toarray() * 1e4 / total).astype(np.float32)
    teacher = quick_teacher(prepared(adata, layer=None))
    student = teacher.distill(n_genes=40, **QUICK)
    pair = [model.predict_logits()["drug_tolerant"] for model in (student, teacher)]
    assert spearmanr(*pair).statistic > 0.7
