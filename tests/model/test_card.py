"""Model cards: what is measured, what was said, and what is missing."""

from __future__ import annotations

import json

import numpy as np
import pytest

import dtp_scvi as dtp
from dtp_scvi.model import NOTES, DTPTransformer, load_model, read_card

SECTIONS = (
    "Limits",
    "What it is",
    "What it was trained on",
    "Audit of the training data",
    "What it is worth",
    "Calibration and threshold",
    "What a query needs",
    "TRIPOD+AI",
)


@pytest.fixture(scope="module")
def evaluated():
    adata = dtp.datasets.simulate_cells(400, 200, n_donors=6, seed=0)
    DTPTransformer.setup_anndata(
        adata, "state", positive="drug_tolerant", layer="counts", donor_key="donor"
    )
    dtp.tl.cross_validate(
        DTPTransformer,
        adata,
        n_folds=2,
        baselines=["logistic_regression"],
        model_kwargs={"n_programs": 8, "d_model": 16},
        train_kwargs={"max_epochs": 1},
        n_boot=20,
        verbose=False,
    )
    model = DTPTransformer(adata, n_programs=8, d_model=16)
    model.train(max_epochs=1, verbose=False)
    return adata, model


def test_numbers_are_those_of_data_and_model(cells, teacher):
    card = teacher.card_
    counts = cells.obs["state"].value_counts()
    assert card.data["classes"] == counts.sort_index().to_dict()
    assert card.data["n_rows"] == cells.n_obs
    assert card.data["n_donors"] == cells.obs["donor"].nunique()
    assert card.data["simulated"]
    assert card.model["id"] == teacher.id_
    assert card.threshold == teacher.threshold_
    assert card.label["positive"] == "drug_tolerant"
    assert card.research_use.startswith("For research use only")


def test_nothing_is_claimed_without_an_evaluation(teacher):
    text = teacher.card_.to_markdown()
    assert "Not evaluated" in text
    assert any("No evaluation is attached" in limit for limit in teacher.card_.limits)
    performance = next(entry for entry in teacher.card_.tripod if entry["item"] == "23a")
    assert performance["text"] == ""


def test_an_adopted_evaluation_stands_beside_its_baselines(evaluated, tmp_path):
    adata, model = evaluated
    model.adopt(adata.uns["dtp_cv"])
    card = model.card_
    table = adata.uns["dtp_cv"]["metrics"].set_index(["model", "metric"])
    text = card.to_markdown()
    for name in ("teacher", "logistic_regression"):
        value, low, high = table.loc[(name, "auroc"), ["value", "low", "high"]]
        assert f"{value:.3f} [{low:.3f}, {high:.3f}]" in text
    assert len(card.audit) == len(adata.uns["dtp_audit"]["table"])
    assert not any("not audited" in limit for limit in card.limits)
    assert not any("No evaluation" in limit for limit in card.limits)
    # Training anew leaves the old evaluation behind.
    model.save(tmp_path / "m")
    again = DTPTransformer.load(tmp_path / "m", adata.copy())
    assert again.card_.evaluation == card.evaluation != {}
    again.train(max_epochs=1, verbose=False)
    assert again.card_.evaluation == {}


def test_saved_beside_the_model_and_read_without_it(evaluated, tmp_path):
    _, model = evaluated
    model.describe(label="hidden state of the simulator", ethics="none needed | simulated")
    model.save(tmp_path / "m")
    assert sorted(p.name for p in (tmp_path / "m").iterdir()) == [
        "card.json",
        "card.md",
        "model.json",
        "model.safetensors",
    ]
    card = read_card(tmp_path / "m")
    assert card == model.card_ == load_model(tmp_path / "m").card_
    assert (tmp_path / "m" / "card.md").read_text() == card.to_markdown()
    assert json.loads((tmp_path / "m" / "card.json").read_text()) == card.to_dict()
    assert "none needed \\| simulated" in card.to_markdown()
    model.save(tmp_path / "m", overwrite=True)
    model.describe(label="", ethics="")
    assert model.notes_ == {}


def test_the_page_has_every_section_and_lists_what_is_missing(teacher):
    text = teacher.card_.to_markdown()
    heads = [line[3:] for line in text.splitlines() if line.startswith("## ")]
    assert tuple(heads) == SECTIONS
    for entry in teacher.card_.tripod:
        if entry["note"] and not entry["text"]:
            assert f"model.describe({entry['note']}=...)" in text
    assert {entry["note"] for entry in teacher.card_.tripod} - {""} <= set(NOTES)


def test_a_student_says_whom_it_imitates(teacher, student):
    card = student.card_
    assert card.protocol["teacher"] == teacher.id_
    assert f"Spearman {student.fidelity_['spearman']:.3f}" in card.to_markdown()


def test_checksums_name_the_data(evaluated):
    adata, model = evaluated
    other = adata.copy()
    other.layers["counts"] = adata.layers["counts"].toarray()
    DTPTransformer.setup_anndata(
        other, "state", positive="drug_tolerant", layer="counts", donor_key="donor"
    )
    dense = DTPTransformer(other, n_programs=8, d_model=16)
    dense.train(max_epochs=1, verbose=False)
    assert dense.data_["sha256_expression"] == model.data_["sha256_expression"]
    dense.train(max_epochs=1, verbose=False, indices=np.arange(399))
    assert dense.data_["sha256_expression"] != model.data_["sha256_expression"]
    assert dense.data_["n_rows"] == 399


def test_limits_follow_from_the_data():
    adata = dtp.datasets.simulate_cells(300, 200, n_donors=6, confounding=1.0)
    del adata.uns["dtp_simulation"]
    with pytest.warns(UserWarning, match="may be the batch"):
        DTPTransformer.setup_anndata(
            adata,
            "state",
            positive="drug_tolerant",
            layer="counts",
            batch_key="tissue",
            allow_confounded=True,
        )
    model = DTPTransformer(adata, n_programs=8, d_model=16)
    model.train(max_epochs=1, verbose=False)
    limits = " ".join(model.card_.limits)
    assert "simulated" not in limits
    assert "holds one class" in limits
    assert "No donors were given" in limits


def test_unknown_notes_and_untrained_models(cells):
    model = DTPTransformer(cells, n_programs=8)
    with pytest.raises(TypeError, match="found mood"):
        model.describe(mood="good")
    with pytest.raises(RuntimeError, match="trained DTPTransformer"):
        _ = model.card_


def test_a_damaged_or_missing_model_has_no_card(teacher, tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing at"):
        read_card(tmp_path / "none")
    teacher.save(tmp_path / "m")
    settings = tmp_path / "m" / "model.json"
    settings.write_text(settings.read_text().replace("drug_tolerant", "drug_sensitive"))
    with pytest.raises(ValueError, match="another checksum"):
        read_card(tmp_path / "m")


def test_other_settings_than_those_evaluated_are_said(evaluated):
    adata, _ = evaluated
    model = DTPTransformer(adata, n_programs=8, d_model=16, n_members=2)
    model.train(max_epochs=1, verbose=False)
    with pytest.warns(UserWarning, match=r'"n_members": 1.*this model has .*"n_members": 2'):
        model.adopt(adata.uns["dtp_cv"])
