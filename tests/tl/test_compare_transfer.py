from __future__ import annotations

import anndata as ad
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, f1_score, matthews_corrcoef, roc_auc_score
from sklearn.preprocessing import StandardScaler

from dtp_scvi import tl
from dtp_scvi.datasets import simulate_drug_transfer
from dtp_scvi.model import DrugSensitivity, ResVAE

DRUG = "simulated drug"


@pytest.fixture(scope="module")
def pair():
    return simulate_drug_transfer(120, 100, n_genes=60, seed=1)


def compare(lines, cells, **kwargs):
    return tl.compare_transfer(lines, cells, **{"drug": DRUG, "n_boot": 20, **kwargs})


def value(table, model, metric="auroc"):
    row = table[(table["model"] == model) & (table["metric"] == metric)]
    return float(row["value"].iloc[0])


@pytest.fixture(scope="module")
def compared(pair):
    lines, cells = pair[0], pair[1].copy()
    return cells, compare(lines, cells, models={"oracle": cells.obs["true_response"]})


def test_metrics_are_those_of_scikit_learn(compared):
    cells, table = compared
    truth = (cells.obs["response"] == "resistant").to_numpy()
    scores = cells.obsm["dtp_drug_transfer_scores"]
    chosen = cells.uns["dtp_drug_transfer"]["chosen"]["logistic_regression"]
    for how in ("none", "adain", "coral"):
        name = f"logistic_regression_{how}"
        score = scores[name]
        calls = 1 / (1 + np.exp(-score)) >= chosen["threshold"]
        assert value(table, name) == pytest.approx(roc_auc_score(truth, score))
        assert value(table, name, "auprc") == pytest.approx(average_precision_score(truth, score))
        assert value(table, name, "mcc") == pytest.approx(matthews_corrcoef(truth, calls))
        wanted = f1_score(truth, calls, average="macro")
        assert value(table, name, "macro_f1") == pytest.approx(wanted)
    drawn = table.dropna()
    assert ((drawn["low"] <= drawn["value"]) & (drawn["value"] <= drawn["high"])).mean() > 0.9


def test_logistic_regression_is_the_plain_one(pair, compared):
    lines, cells = pair[0], compared[0]
    label = lines.obsm["response"][DRUG]
    known = label.notna().to_numpy()
    scaler = StandardScaler().fit(lines.X[known].astype(float))
    penalty = cells.uns["dtp_drug_transfer"]["chosen"]["logistic_regression"]["penalty"]
    model = LogisticRegression(C=penalty, class_weight="balanced", max_iter=5000)
    model.fit(scaler.transform(lines.X[known].astype(float)), label[known] == "resistant")
    scores = cells.obsm["dtp_drug_transfer_scores"]
    plain = model.decision_function(scaler.transform(cells.X.astype(float)))
    np.testing.assert_allclose(scores["logistic_regression_none"], plain, atol=1e-2)
    own = StandardScaler().fit_transform(cells.X.astype(float))
    np.testing.assert_allclose(
        scores["logistic_regression_adain"], model.decision_function(own), atol=1e-2
    )


def test_a_constant_and_a_plain_score_have_their_rows(compared):
    cells, table = compared
    assert value(table, "prevalence", "auprc") == 0.5
    assert value(table, "prevalence", "macro_f1") == pytest.approx(1 / 3)
    oracle = table[table["model"] == "oracle"].set_index("metric")["value"]
    assert oracle["auroc"] > 0.9
    assert oracle[["mcc", "macro_f1"]].isna().all()
    params = cells.uns["dtp_drug_transfer"]["params"]
    assert sorted(params["transductive"]) == [
        "logistic_regression_adain",
        "logistic_regression_coral",
        "ridge_adain",
        "ridge_coral",
    ]
    assert (params["simulated"], params["n_cells"], params["n_genes"]) == (True, 100, 60)


def test_moments_mend_an_affine_shift(compared):
    table = compared[1]
    assert value(table, "ridge_adain") > value(table, "ridge_none") + 0.02
    assert value(table, "ridge_adain", "mcc") > value(table, "ridge_none", "mcc") + 0.2


def test_labels_of_cells_change_no_score(pair, compared):
    lines, cells = pair[0], pair[1].copy()
    words = cells.obs["response"].astype(str).to_numpy()
    cells.obs["response"] = np.random.default_rng(0).permutation(words)
    compare(lines, cells)
    known = compared[0].obsm["dtp_drug_transfer_scores"].drop(columns="oracle")
    np.testing.assert_array_equal(known, cells.obsm["dtp_drug_transfer_scores"])


def test_samples_are_drawn_whole_and_pairs_are_compared(pair):
    lines, cells = pair[0], pair[1].copy()
    compare(lines, cells, sample_key="sample", reference="ridge_adain", n_boot=50)
    result = cells.uns["dtp_drug_transfer"]
    assert result["params"]["n_samples"] == 6
    differences = result["differences"]
    assert set(differences["model"]) == {"ridge_adain"}
    table = result["metrics"]
    row = differences[
        (differences["baseline"] == "ridge_none") & (differences["metric"] == "auroc")
    ]
    gap = value(table, "ridge_adain") - value(table, "ridge_none")
    assert float(row["value"].iloc[0]) == pytest.approx(gap)


def test_result_survives_a_file(compared, tmp_path):
    cells, table = compared
    cells.write_h5ad(tmp_path / "x.h5ad")
    back = ad.read_h5ad(tmp_path / "x.h5ad")
    stored = back.uns["dtp_drug_transfer"]["metrics"]
    np.testing.assert_allclose(stored["value"], table["value"])
    assert next(iter(back.obsm["dtp_drug_transfer_scores"])) == "oracle"


def test_counts_are_brought_to_log1p_and_genes_are_matched_by_name():
    lines, cells = simulate_drug_transfer(80, 60, n_genes=60, shift="nonaffine")
    plain = compare(lines, cells)
    turned = cells[:, ::-1].copy()
    turned.var["symbol"] = turned.var_names
    turned.var_names = [f"id{i}" for i in range(60)]
    other = compare(lines, turned, layer="counts", gene_key="symbol")
    assert turned.uns["dtp_drug_transfer"]["params"]["scale"] == "counts"
    np.testing.assert_allclose(plain["value"], other["value"], atol=1e-6)


def test_labels_from_a_column_of_obs(pair):
    lines, cells = pair[0].copy(), pair[1].copy()
    lines.obs["word"] = lines.obsm["response"][DRUG].astype(object)
    table = compare(lines, cells, drug=None, labels_key="word")
    again = compare(pair[0], pair[1].copy())
    np.testing.assert_allclose(table["value"], again["value"])


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"drug": "simulated durg"}, KeyError, "Did you mean simulated drug"),
        ({"labels_key": "labels"}, KeyError, r"bulk\.obsm"),
        ({"truth_key": "truth"}, KeyError, "truth_key"),
        ({"positive": "persister"}, ValueError, "`positive` to be a class in bulk"),
        ({"models": {"ridge_none": np.zeros(100)}}, ValueError, "names of their own"),
        ({"models": {"a": np.zeros(7)}}, ValueError, r"shape \(7,\)"),
        ({"models": {"a": np.full(100, np.nan)}}, ValueError, "NaN or infinite"),
        ({"reference": "lasso"}, ValueError, "`reference` to be one of"),
        ({"rule": "recall"}, ValueError, "`rule` to be one of"),
        ({"sample_key": "donor"}, KeyError, "sample_key"),
    ],
)
def test_refuses(pair, arguments, error, words):
    with pytest.raises(error, match=words):
        compare(pair[0], pair[1].copy(), **arguments)


def test_refuses_what_can_not_be_compared(pair):
    lines, cells = pair
    other = cells.copy()
    other.var_names = [f"id{i}" for i in range(other.n_vars)]
    with pytest.raises(ValueError, match="genes that lines and cells share"):
        compare(lines, other)
    with pytest.raises(ValueError, match="at least 10 rows to take moments of"):
        compare(lines, cells[:9].copy())
    few = lines[:20].copy()
    few.obsm["response"].iloc[4:] = None
    with pytest.raises(ValueError, match="at least 5 lines of either class"):
        compare(few, cells.copy())
    one = cells[(cells.obs["response"] == "resistant").to_numpy()].copy()
    with pytest.raises(ValueError, match="at least two classes"):
        compare(lines, one)


def test_a_model_and_its_predictions_stand_beside_the_comparators():
    lines, cells = simulate_drug_transfer(60, 60, n_genes=40)
    ResVAE.setup_anndata(lines, scale="as_is")
    vae = ResVAE(lines, encoder=(16,), n_latent=4, decoder=(16,))
    vae.train(max_epochs=2, verbose=False)
    model = DrugSensitivity.from_vae(vae)
    model.fit_bulk(lines, DRUG, scale="as_is", max_epochs=2, verbose=False)
    plain = model.predict(cells, scale="as_is")
    model.adapt(cells, "adain", scale="as_is")
    models = {"plain": plain, "adapted": model.predict(cells, scale="as_is"), "model": model}
    options = {"scale": "as_is", "bulk_scale": "as_is"}
    table = compare(lines, cells, models=models, **options).set_index(["model", "metric"])
    np.testing.assert_allclose(table.loc["model"], table.loc["adapted"])
    truth = cells.obs["response"] == "resistant"
    assert table.loc[("plain", "auroc"), "value"] == roc_auc_score(truth, plain["logit"])
    wanted = matthews_corrcoef(truth, plain["call"] == "resistant")
    assert table.loc[("plain", "mcc"), "value"] == pytest.approx(wanted)
    known = cells.uns["dtp_drug_transfer"]["params"]["transductive"]
    assert {"adapted", "model"} <= set(known)
    assert "plain" not in known
    with pytest.raises(ValueError, match="other rows"):
        compare(lines, cells, models={"a": plain[::-1]}, **options)
    cells.obs["response"] = cells.obs["response"].cat.rename_categories({"resistant": "tolerant"})
    lines.obsm["response"][DRUG] = lines.obsm["response"][DRUG].cat.rename_categories(
        {"resistant": "tolerant"}
    )
    with pytest.raises(ValueError, match="to have the positive class 'tolerant'; found 'resist"):
        compare(lines, cells, models={"model": model}, positive="tolerant", **options)
