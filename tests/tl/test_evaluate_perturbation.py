"""One table of models and baselines: numbers, controls, rows by name, errors."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy.stats import pearsonr
from sklearn.metrics import mean_squared_error, r2_score

from dtp_scvi import pp, stats
from dtp_scvi.model import PerturbationBaseline
from dtp_scvi.tl import evaluate_perturbation

N_GENES = 60
KEYS = {"drug_key": "drug", "control_label": "DMSO", "plate_key": "plate", "cell_key": "cell"}
QUICK = {"n_boot": 30, "dose_key": "dose"}


def make_wells(
    *, effect=0.0, noise=1.0, cells=("A", "B"), n_drugs=24, n_each=2, seed=0, how="well"
):
    """Wells of two plates a cell line; each drug's change is planted in every cell line."""
    rng = np.random.default_rng(seed)
    change = effect * rng.normal(size=(n_drugs, N_GENES))
    parts = np.repeat(["train", "valid", "test"], [n_drugs // 2, n_drugs // 4, n_drugs // 4])
    rows, values = [], []
    for cell in cells:
        base = rng.normal(8, 2, N_GENES)
        for plate in range(2):
            name = f"{cell}{plate}"
            rows += [("DMSO", cell, name, 1.0, "control")] * 8
            values += [base] * 8
            for d in range(n_drugs):
                rows += [(f"d{d:02d}", cell, name, 10.0, parts[d])] * n_each
                values += [base + change[d]] * n_each
    obs = pd.DataFrame(rows, columns=["drug", "cell", "plate", "dose", "split"])
    obs.index = [f"w{i}" for i in range(len(obs))]
    clean = np.asarray(values)
    wells = ad.AnnData((clean + noise * rng.normal(size=clean.shape)).astype(np.float32), obs)
    wells.layers["clean"] = clean.astype(np.float32)
    pp.pair_controls(wells, **KEYS, how=how)
    return wells


def pick(table, model, metric, grouping, control):
    rows = table[
        (table["model"] == model)
        & (table["metric"] == metric)
        & (table["grouping"] == grouping)
        & (table["control"] == control)
    ]
    assert len(rows) == 1, rows
    return rows.iloc[0]


@pytest.fixture(scope="module")
def wells():
    return make_wells(effect=0.7)


@pytest.fixture(scope="module")
def table(wells):
    return evaluate_perturbation(
        {"truth": "clean"}, wells, **QUICK, controls=("own", "independent", "scoring")
    )


@pytest.fixture(scope="module")
def test_rows(wells):
    return wells[wells.obs["split"] == "test"].copy()


def test_shared_controls_reward_the_mean_of_the_controls():
    """Without any effect: sqrt(1 / (1 + 1)) on own controls, nothing on independent ones."""
    wells = make_wells(effect=0.0)
    table = evaluate_perturbation({}, wells, baselines=["cell_control_mean"], **QUICK)
    own = pick(table, "cell_control_mean", "pearson_delta", "per_sample", "own")
    independent = pick(table, "cell_control_mean", "pearson_delta", "per_sample", "independent")
    # The mean of eight wells holds an eighth of the noise itself.
    assert own["value"] == pytest.approx(stats.control_artefact(1.0, 1.0, 0.0), abs=0.06)
    assert abs(independent["value"]) < 0.05
    assert independent["low"] < 0.05
    assert own["low"] > 0.5


def test_means_of_plates_shrink_the_artefact_and_do_not_end_it():
    wells = make_wells(effect=0.0, how="plate_mean")
    table = evaluate_perturbation({}, wells, baselines=["cell_control_mean"], **QUICK)
    own = pick(table, "cell_control_mean", "pearson_delta", "per_sample", "own")["value"]
    # Two plates of a cell line: the predictor differs from the control by half of their gap.
    assert 0.15 < own < 0.45


def test_numbers_are_those_of_other_libraries(table, test_rows):
    y, p = test_rows.X.astype(float), test_rows.layers["clean"].astype(float)
    c, s = (test_rows.obsm[key].astype(float) for key in ("dtp_control", "dtp_control_scoring"))
    by_row = lambda a, b: np.mean([pearsonr(i, j).statistic for i, j in zip(a, b, strict=True)])  # noqa: E731
    for control, expected in (
        ("own", by_row(y - c, p - c)),
        ("independent", by_row(y - s, p - c)),
        ("scoring", by_row(y - s, p - s)),
    ):
        found = pick(table, "truth", "pearson_delta", "per_sample", control)
        assert found["value"] == pytest.approx(expected, abs=1e-5)
        assert found["low"] < found["value"] < found["high"]
    groups = (test_rows.obs["cell"].astype(str) + test_rows.obs["drug"].astype(str)).to_numpy()
    yb, pb, cb, sb = (pd.DataFrame(x).groupby(groups).mean().to_numpy() for x in (y, p, c, s))
    found = pick(table, "truth", "r2", "cov_drug", "none")
    assert found["value"] == pytest.approx(
        np.mean([r2_score(i, j) for i, j in zip(yb, pb, strict=True)])
    )
    assert found["n_groups"] == len(yb)
    found = pick(table, "truth", "pearson_delta", "cov_drug", "independent")["value"]
    assert found == pytest.approx(by_row(yb - sb, pb - cb), abs=1e-5)
    mse = pick(table, "truth", "mse", "per_sample", "none")["value"]
    assert mse == pytest.approx(mean_squared_error(y, p))
    assert pick(table, "truth", "rmse", "per_sample", "none")["value"] == pytest.approx(mse**0.5)
    gene = pick(table, "truth", "gene_r2", "per_gene", "none")["value"]
    assert gene == pytest.approx(r2_score(y, p))
    up = stats.precision_at_k(y - s, p - c, 6, n_top=6)[0].mean()
    assert pick(table, "truth", "precision_up_6", "per_sample", "independent")["value"] == up


def test_centred_correlation_is_against_the_training_mean(table, wells, test_rows):
    y, p = test_rows.X.astype(float), test_rows.layers["clean"].astype(float)
    train = wells[wells.obs["split"] == "train"]
    centre = np.zeros_like(y)
    for cell in "AB":
        mean = train.X[(train.obs["cell"] == cell).to_numpy()].mean(axis=0)
        centre[(test_rows.obs["cell"] == cell).to_numpy()] = mean
    expected = np.mean(
        [pearsonr(i, j).statistic for i, j in zip(y - centre, p - centre, strict=True)]
    )
    found = pick(table, "truth", "pearson_centred", "per_sample", "training_mean")
    assert found["value"] == pytest.approx(expected, abs=1e-4)
    # What predicts the mean change of training rows has nothing to say about any drug.
    mean = pick(table, "mean_delta", "pearson_centred", "per_sample", "training_mean")
    assert mean["value"] < 0.2 * found["value"]


def test_retrieval_tells_drugs_from_a_collapsed_prediction(table):
    for metric in ("discrimination_l1", "centroid_rank", "retrieval_rank"):
        truth = pick(table, "truth", metric, "cov_drug", "independent")["value"]
        collapsed = pick(table, "mean_delta", metric, "cov_drug", "independent")["value"]
        assert truth < 0.1
        assert collapsed == pytest.approx(0.5, abs=0.02)


def test_copied_controls_count_as_zero_and_are_counted(table, test_rows):
    for control in ("own", "independent"):
        row = pick(table, "copy_control", "pearson_delta", "per_sample", control)
        assert (row["value"], row["n_constant"]) == (0.0, len(test_rows))


def test_best_model_and_its_ceiling(table):
    assert table["model"].iloc[0] == "truth"
    assert table["model"].iloc[-1] == "replicate_ceiling"
    truth, ceiling = (
        pick(table, model, "pearson_delta", "per_sample", "independent")["value"]
        for model in ("truth", "replicate_ceiling")
    )
    # The clean profile minus a noisy single control falls short of it.
    assert 0.5 * ceiling < truth < ceiling + 0.02


def test_change_of_the_clean_profile_reaches_the_ceiling(wells):
    clean = wells[:, :].layers["clean"]
    base = pd.DataFrame(clean, index=wells.obs_names, columns=wells.var_names)
    control = (
        base[wells.obs["drug"].to_numpy() == "DMSO"]
        .groupby(wells.obs["cell"][wells.obs["drug"].to_numpy() == "DMSO"].to_numpy())
        .mean()
    )
    change = base - control.loc[wells.obs["cell"]].to_numpy()
    table = evaluate_perturbation(
        {"effect": change},
        wells,
        values="delta",
        metrics=["pearson_delta"],
        baselines=None,
        **QUICK,
    )
    values = [
        pick(table, model, "pearson_delta", "per_sample", "independent")["value"]
        for model in ("effect", "replicate_ceiling")
    ]
    assert values[0] == pytest.approx(values[1], abs=0.03)


def test_rows_are_matched_by_name(wells, test_rows, table):
    frame = test_rows.to_df("clean").iloc[::-1, ::-1]
    layer = pick(table, "truth", "pearson_delta", "drug", "independent")["value"]
    short = wells[:, ::-1][wells.obs["split"] == "test"].copy()
    short.X = short.layers["clean"]
    given = {
        "frame": frame,
        "anndata": short,
        "mapping": dict(zip(test_rows.obs_names, test_rows.layers["clean"], strict=True)),
    }
    found = evaluate_perturbation(given, wells, metrics=["pearson_delta"], baselines=None, **QUICK)
    for name in given:
        value = pick(found, name, "pearson_delta", "drug", "independent")["value"]
        assert value == pytest.approx(layer, abs=1e-6)


def test_order_of_rows_and_genes_changes_nothing(wells):
    options = {"metrics": ["pearson_delta", "retrieval", "r2", "mmd"], "baselines": ["additive"]}
    expected = evaluate_perturbation({"truth": "clean"}, wells, **options, **QUICK)
    rng = np.random.default_rng(3)
    other = wells[rng.permutation(wells.n_obs)][:, rng.permutation(N_GENES)].copy()
    pp.pair_controls(other, **KEYS, how="well")
    found = evaluate_perturbation({"truth": "clean"}, other, **options, **QUICK)
    names = ["part", "model", "kind", "metric", "grouping", "control"]
    left, right = (t.set_index(names)["value"].sort_index() for t in (found, expected))
    pd.testing.assert_series_equal(left, right, atol=1e-4, check_exact=False)


def test_backed_and_sparse_data_agree(wells, tmp_path):
    import scipy.sparse as sp

    options = {"metrics": ["pearson_delta", "r2"], "baselines": ["mean_delta"], **QUICK}
    expected = evaluate_perturbation({}, wells, **options)
    other = wells.copy()
    other.X = sp.csr_matrix(other.X)
    wells.write_h5ad(tmp_path / "wells.h5ad")
    backed = ad.read_h5ad(tmp_path / "wells.h5ad", backed="r")
    for storage in (other, backed):
        pd.testing.assert_frame_equal(evaluate_perturbation({}, storage, **options), expected)


def test_markers_across_cell_lines():
    wells = make_wells(effect=0.0, noise=0.3, cells=("A", "B", "C", "D"), n_drugs=12, n_each=3)
    rng = np.random.default_rng(5)
    # Planted: the change of each drug differs between cell lines.
    clean = wells.layers["clean"].copy()
    for (drug, _), rows in wells.obs.groupby(["drug", "cell"], observed=True).indices.items():
        if drug != "DMSO":
            change = rng.normal(size=N_GENES).astype(np.float32)
            clean[rows] += change
            wells.X[rows] += change
    # Values below zero, as corrected log2 intensities have.
    wells.layers["clean"], wells.X = clean - 8, wells.X - 8
    pp.pair_controls(wells, **KEYS, how="well")
    table = evaluate_perturbation(
        {"truth": "clean"},
        wells,
        metrics=["deg"],
        baselines=["mean_delta", "copy_control"],
        **QUICK,
    )
    truth = pick(table, "truth", "deg_across_cells", "drug", "independent")
    flat = pick(table, "copy_control", "deg_across_cells", "drug", "independent")
    assert truth["value"] > 0.9
    assert truth["n_groups"] == 3
    assert flat["value"] == 0.0
    assert flat["n_constant"] > 50


def test_result_survives_a_file(wells, tmp_path):
    found = evaluate_perturbation({"truth": "clean"}, wells, metrics=["r2"], **QUICK)
    wells.write_h5ad(tmp_path / "wells.h5ad")
    read = ad.read_h5ad(tmp_path / "wells.h5ad").uns["dtp_evaluation"]
    pd.testing.assert_frame_equal(
        read["table"].reset_index(drop=True), found, check_dtype=False, check_exact=False
    )
    assert set(read["notes"]) == {"ridge", "tanimoto_knn", "bilinear"}
    assert read["params"]["drug"] == "drug"


def test_models_stand_beside_the_best_baseline_in_pairs(wells, table):
    """The difference is that of the table, its interval that of resampled pairs, by hand here."""
    where = ("pearson_delta", "per_sample", "independent")
    row = pick(table, "truth", *where)
    baselines = table[(table["kind"] == "baseline") & (table["metric"] == where[0])]
    baselines = baselines[(baselines["grouping"] == where[1]) & (baselines["control"] == where[2])]
    best = baselines.sort_values("value").iloc[-1]
    assert row["best_baseline"] == best["model"]
    assert row["difference"] == pytest.approx(row["value"] - best["value"])
    fitted = PerturbationBaseline(best["model"], dose_key="dose").fit(wells)
    rows = wells[wells.obs["split"] == "test"].copy()
    control, scoring = rows.obsm["dtp_control"], rows.obsm["dtp_control_scoring"]
    truth = rows.X - scoring
    change = np.asarray(fitted.predict(rows, return_delta=True))
    by_row = [
        np.array(
            # A constant prediction counts as 0.
            [
                pearsonr(y, p)[0] if np.ptp(p) else 0.0
                for y, p in zip(truth, predicted, strict=True)
            ]
        )
        for predicted in (rows.layers["clean"] - control, change)
    ]
    expected = stats.cluster_mean(by_row[0] - by_row[1], rows.obs["drug"], n_boot=30)
    found = row[["difference", "difference_low", "difference_high"]].to_numpy(float)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_of_errors_and_ranks_the_lowest_baseline_is_the_best(table):
    for metric in ("mse", "mae", "discrimination_l1"):
        row = table[(table["model"] == "truth") & (table["metric"] == metric)].iloc[0]
        same = table[(table["kind"] == "baseline") & (table["metric"] == metric)]
        same = same[same["control"] == row["control"]]
        assert row["difference"] == pytest.approx(row["value"] - same["value"].min())
        assert row["difference"] < 0


def test_only_models_and_ablations_are_compared(wells):
    table = evaluate_perturbation(
        {"truth": "clean"}, wells, **QUICK, metrics=["r2", "mmd"], baselines=["mean_delta"]
    )
    others = table[table["kind"] != "model"]
    assert (others["best_baseline"] == "").all()
    assert others["difference"].isna().all()
    # One number for all rows: a difference without an interval.
    row = table[(table["model"] == "truth") & (table["metric"] == "mmd")].iloc[0]
    assert np.isfinite(row["difference"])
    assert np.isnan(row["difference_low"])


def test_simulated_data_are_marked_in_the_stored_result():
    from dtp_scvi.datasets import simulate_perturbation

    simulated = simulate_perturbation(2, n_drugs=10, n_genes=20)
    pp.pair_controls(simulated, **KEYS)
    pp.split_perturbation(simulated, "drug")
    evaluate_perturbation({}, simulated, n_boot=5, metrics=["r2"], baselines=["mean_delta"])
    assert simulated.uns["dtp_evaluation"]["params"]["simulated"]
