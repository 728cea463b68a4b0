"""Models, ablations, parts and errors of the evaluation of perturbation models."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from dtp_scvi import pp
from dtp_scvi.model import PerturbationBaseline
from dtp_scvi.tl import evaluate_perturbation

N_GENES = 40
QUICK = {"n_boot": 20, "metrics": ["pearson_delta"], "baselines": None}


def make_wells(seed=0):
    """Drugs seen in training, on another plate in the test part; two test parts."""
    rng = np.random.default_rng(seed)
    change = rng.normal(size=(8, N_GENES))
    rows, values = [], []
    for cell in ("A", "B"):
        base = rng.normal(8, 1, N_GENES)
        rows += [("DMSO", "CCO", cell, "control")] * 6
        values += [base] * 6
        for d in range(8):
            part = ("test" if d % 2 else "test_drug") if cell == "B" else "train"
            rows += [(f"d{d}", "C" * (d + 1), cell, part)] * 3
            values += [base + change[d]] * 3
    obs = pd.DataFrame(rows, columns=["drug", "smiles", "cell", "split"])
    obs.index = [f"w{i}" for i in range(len(obs))]
    noisy = np.asarray(values) + 0.3 * rng.normal(size=(len(values), N_GENES))
    wells = ad.AnnData(noisy.astype(np.float32), obs)
    pp.pair_controls(wells, drug_key="drug", control_label="DMSO", cell_key="cell")
    return wells


@pytest.fixture
def wells():
    return make_wells()


def values_of(table, control="independent", grouping="per_sample"):
    rows = table[(table["control"] == control) & (table["grouping"] == grouping)]
    return rows.set_index(["part", "model"])["value"]


def test_ablations_take_the_drug_away(wells):
    model = PerturbationBaseline("drug_mean_delta").fit(wells)
    found = values_of(evaluate_perturbation(model, wells, **QUICK))["test"]
    assert found["PerturbationBaseline"] > 0.8
    # The control label is no drug of training: the mean of all rows remains.
    assert found["PerturbationBaseline, drugs zeroed"] < 0.5
    assert found["PerturbationBaseline, drugs shuffled"] < 0.4
    assert wells.obs["drug"].nunique() == 9


def test_shuffled_drugs_take_their_structure_along(wells):
    seen = {}

    class Spy:
        def predict(self, adata, *, return_delta):
            assert return_delta
            seen[len(seen)] = adata.obs[["drug", "smiles"]].astype(str)
            return np.zeros(adata.shape)

    evaluate_perturbation({"spy": Spy()}, wells, parts=["test"], smiles_key="smiles", **QUICK)
    true, zeroed, shuffled = seen.values()
    assert (true["drug"] != shuffled["drug"]).all()
    assert set(true["drug"]) == set(shuffled["drug"])
    pairs = {*zip(true["drug"], true["smiles"], strict=True)}
    assert {*zip(shuffled["drug"], shuffled["smiles"], strict=True)} == pairs
    assert set(zeroed["drug"]) == {"DMSO"}


def test_a_model_may_ablate_itself(wells):
    class Own:
        def predict(self, adata, *, return_delta):
            return adata.X - 8 if "blind" not in adata.obs else np.zeros(adata.shape)

        def ablate_drugs(self, adata, how, seed):
            adata.obs["blind"] = how
            return adata

    found = values_of(evaluate_perturbation({"own": Own()}, wells, **QUICK))["test"]
    assert found["own"] > 0.1
    assert found["own, drugs zeroed"] == found["own, drugs shuffled"] == 0.0


def test_ablation_must_keep_the_rows(wells):
    class Drops:
        def predict(self, adata, *, return_delta):
            return np.zeros(adata.shape)

        def ablate_drugs(self, adata, how, seed):
            return adata[:-1]

    with pytest.raises(ValueError, match="`ablate_drugs` to keep the rows"):
        evaluate_perturbation({"m": Drops()}, wells, **QUICK)


def test_every_test_part_has_its_rows(wells):
    table = evaluate_perturbation({"x": make_frame(wells)}, wells, **QUICK)
    assert set(table["part"]) == {"test", "test_drug"}
    one = evaluate_perturbation({"x": make_frame(wells)}, wells, parts=["test_drug"], **QUICK)
    assert set(one["part"]) == {"test_drug"}


def make_frame(wells):
    return wells.to_df() + 0.1 * np.random.default_rng(0).normal(size=wells.shape)


def test_a_cell_line_without_training_is_centred_by_its_controls(wells):
    """Truth by scoring controls, prediction by input controls: no noise is shared."""
    options = {**QUICK, "metrics": ["pearson_centred"]}
    table = evaluate_perturbation({"x": make_frame(wells)}, wells, **options)
    assert values_of(table, "training_mean")["test"]["x"] > 0.8


def test_rows_without_scoring_controls_are_left_out(wells):
    wells.obsm["dtp_control_scoring"][wells.obs_names == "w40"] = np.nan
    part = wells.obs.loc["w40", "split"]
    table = evaluate_perturbation({"x": make_frame(wells)}, wells, parts=[part], **QUICK)
    n = table[(table["grouping"] == "per_sample") & (table["model"] == "x")].set_index("control")
    assert n.loc["own", "n_groups"] - n.loc["independent", "n_groups"] == 1


def test_intervals_over_cell_lines_need_several(wells):
    table = evaluate_perturbation({"x": make_frame(wells)}, wells, bootstrap="cell", **QUICK)
    assert table["low"].isna().all()
    table = evaluate_perturbation({"x": make_frame(wells)}, wells, bootstrap="drug", **QUICK)
    assert table.loc[table["kind"] == "model", "low"].notna().all()


def test_groupings_follow_the_columns(wells):
    table = evaluate_perturbation({"x": make_frame(wells)}, wells, **QUICK)
    assert set(table.loc[table["kind"] == "model", "grouping"]) == {
        "drug",
        "cov_drug",
        "per_sample",
    }
    wells.obs["dose"] = 1.0
    table = evaluate_perturbation({"x": make_frame(wells)}, wells, dose_key="dose", **QUICK)
    assert {"drug_dose", "cov_drug_dose"} < set(table["grouping"])


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"groupby": ["drugs"]}, "`groupby` of"),
        ({"groupby": ["drug_dose"]}, "`dose_key` for the grouping"),
        ({"controls": ["mine"]}, "`controls` to be one of"),
        ({"metrics": ["r"]}, "`metrics` to be one of"),
        ({"ablations": ["noise"]}, "`ablations` to be one of"),
        ({"values": "post-delta"}, "`values` to be one of"),
        ({"bootstrap": "plate"}, "`bootstrap` to be one of"),
        ({"n_boot": 0}, "`n_boot` to be a whole number"),
        ({"parts": ["tests"]}, "Did you mean test"),
        ({"baselines": ["mean"]}, "`name` to be one of"),
        ({"baselines": "some"}, "`baselines` to be one of"),
        ({"baselines": ["ridge"]}, "fingerprints of drugs"),
    ],
)
def test_bad_arguments(wells, change, match):
    with pytest.raises(ValueError, match=match):
        evaluate_perturbation({}, wells, **{**QUICK, **change})


def test_predictions_have_to_name_their_rows(wells):
    with pytest.raises(TypeError, match="an array says nothing of its order"):
        evaluate_perturbation({"x": wells.X}, wells, **QUICK)
    frame = make_frame(wells)
    tests = wells.obs_names[wells.obs["split"] == "test"]
    with pytest.raises(ValueError, match=r"for all 12 rows; found none for 1"):
        evaluate_perturbation({"x": frame.drop(index=tests[0])}, wells, **QUICK)
    with pytest.raises(ValueError, match=r"for all 40 genes; found none for 2"):
        evaluate_perturbation({"x": frame.iloc[:, 2:]}, wells, **QUICK)
    with pytest.raises(ValueError, match="repeated names"):
        evaluate_perturbation({"x": pd.concat([frame, frame])}, wells, **QUICK)
    frame.loc[tests[3]] = np.nan
    with pytest.raises(ValueError, match="finite predictions of 'x'"):
        evaluate_perturbation({"x": frame}, wells, **QUICK)
    with pytest.raises(KeyError, match="`layer` to name a key"):
        evaluate_perturbation({"x": "predicted"}, wells, **QUICK)


def test_models_have_to_predict_every_row(wells):
    class Short:
        def predict(self, adata, *, return_delta):
            return np.zeros((2, adata.n_vars))

    with pytest.raises(ValueError, match="'m' to predict"):
        evaluate_perturbation({"m": Short()}, wells, **QUICK)


def test_data_have_to_be_paired_and_split(wells):
    bare = ad.AnnData(wells.X.copy(), wells.obs.copy())
    with pytest.raises(KeyError, match=r"Run dtp\.pp\.pair_controls first"):
        evaluate_perturbation({}, bare, **QUICK)
    with pytest.raises(KeyError, match="`split_key` to name a key"):
        evaluate_perturbation({}, wells, split_key="fold", **QUICK)
    with pytest.raises(ValueError, match="`obsm` does not follow"):
        evaluate_perturbation({}, wells[:, ::-1].copy(), **QUICK)
    wells.obs["split"] = "train"
    with pytest.raises(ValueError, match='whose name begins with "test"'):
        evaluate_perturbation({}, wells, **QUICK)


def test_zeroing_needs_a_control_label(wells):
    wells.uns["dtp_controls"]["params"].pop("control_label")
    model = PerturbationBaseline("mean_delta").fit(wells)
    with pytest.raises(ValueError, match="a control label to take the place of drugs"):
        evaluate_perturbation(model, wells, **QUICK)
