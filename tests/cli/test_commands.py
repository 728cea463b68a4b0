from __future__ import annotations

import json
import warnings

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import dtp_scvi as dtp

SETUP = ["--labels-key", "state", "--positive", "drug_tolerant", "--donor-key", "donor"]
COLUMNS = ["dtp_logit", "dtp_score", "dtp_rank", "dtp_call"]


def names(folder):
    return sorted(item.name for item in folder.iterdir())


def test_train_writes_the_model_that_a_notebook_would(dtp_command, room, tmp_path):
    options = ["--layer", "counts", "--max-epochs", 1, "--seed", 3, "--quiet"]
    done = dtp_command("train", room / "cells.h5ad", *SETUP, *options, "--out", tmp_path / "model")
    assert done.code == 0, done.text
    assert "240 rows × 200 genes, layer 'counts'" in done.text
    assert "Values look like counts" in done.text
    assert "(positive), sensitive" in done.text
    assert "donor: 4 donors" in done.text
    cells = ad.read_h5ad(room / "cells.h5ad")
    dtp.model.DTPTransformer.setup_anndata(
        cells, "state", positive="drug_tolerant", layer="counts", donor_key="donor"
    )
    teacher = dtp.model.DTPTransformer(cells)
    teacher.train(max_epochs=1, seed=3, verbose=False)
    saved = dtp.model.load_model(tmp_path / "model")
    assert saved.id_ == teacher.id_
    assert saved.id_ in done.text
    assert names(tmp_path) == ["model"]


def test_train_takes_programs_members_and_a_threshold_rule(dtp_command, room, tmp_path):
    genes = ad.read_h5ad(room / "cells.h5ad").var_names
    sets = {"one": genes[:20], "two": genes[20:50]}
    lines = [f"{name}\tmade up\t" + "\t".join(members) for name, members in sets.items()]
    (tmp_path / "sets.gmt").write_text("\n".join(lines))
    options = ["--gmt", tmp_path / "sets.gmt", "--members", 2, "--max-epochs", 1, "-q"]
    rule = ["--threshold-rule", "fpr", "--target", 0.2, "--negatives", "cell_type=progenitor"]
    where = ["--out", tmp_path / "model"]
    done = dtp_command("train", room / "cells.h5ad", *SETUP, *options, *rule, *where)
    assert done.code == 0, done.text
    saved = dtp.model.load_model(tmp_path / "model")
    assert saved.program_names_ == ["one", "two"]
    assert saved.history_table_["member"].nunique() == 2
    assert (saved.threshold_["rule"], saved.threshold_["target"]) == ("fpr", 0.2)
    assert saved.threshold_["metrics"]["false_positive_rate"] <= 0.2


def test_distill_needs_no_column_names(dtp_command, room, tmp_path):
    # The genes in another order, as they come back from other tools.
    cells = ad.read_h5ad(room / "cells.h5ad")
    cells[:, ::-1].copy().write_h5ad(tmp_path / "cells.h5ad")
    options = ["--n-genes", 30, "--max-epochs", 1, "--quiet"]
    found = {}
    for path in (room / "cells.h5ad", tmp_path / "cells.h5ad"):
        out = tmp_path / f"student_{len(found)}"
        done = dtp_command("distill", path, "--model", room / "teacher", *options, "--out", out)
        assert done.code == 0, done.text
        assert "state: drug_tolerant" in done.text
        assert "Jaccard index" in done.text
        assert "Spearman" in done.text
        found[out.name] = dtp.model.load_model(out)
    assert {len(student.genes_) for student in found.values()} == {30}
    assert len({student.id_ for student in found.values()}) == 1


@pytest.mark.parametrize("ending", [".csv", ".csv.gz", ".tsv", ".h5ad"])
def test_score_writes_what_tl_score_says(dtp_command, room, tmp_path, scored, ending):
    out = tmp_path / f"scored{ending}"
    done = dtp_command("score", room / "new.h5ad", "--model", room / "student", "--out", out, "-q")
    assert done.code == 0, done.text
    assert "40 of 40 model genes found" in done.text
    assert ("read from disk in blocks" in done.text) == (ending != ".h5ad")
    if ending == ".h5ad":
        found = ad.read_h5ad(out)
        assert found.uns["dtp"]["model_id"] == scored.uns["dtp"]["model_id"]
        table = found.obs[COLUMNS]
        assert set(found.obs) == set(scored.obs)
    else:
        table = pd.read_csv(out, index_col=0, sep="\t" if ending == ".tsv" else ",")
        assert list(table) == COLUMNS
    pd.testing.assert_frame_equal(
        table, scored.obs[COLUMNS], check_names=False, check_dtype=False, check_categorical=False
    )
    assert names(tmp_path) == [out.name]


def test_score_takes_a_table_of_bulk_samples(dtp_command, room, tmp_path):
    cells = dtp.datasets.simulate_cells(1500, 200, seed=1)
    bulk = dtp.datasets.simulate_cohort(12, cells=cells, scale="log2_tpm")
    bulk.to_df().T.to_csv(tmp_path / "bulk.csv.gz")
    student = dtp.model.load_model(room / "student")
    dtp.tl.score(bulk, student)
    where = ["--model", room / "student", "--out", tmp_path / "scored.h5ad", "--quiet"]
    done = dtp_command("score", tmp_path / "bulk.csv.gz", *where)
    assert done.code == 0, done.text
    assert "Genes are in rows" in done.text
    assert "log2(TPM + 1)" in done.text
    found = ad.read_h5ad(tmp_path / "scored.h5ad")
    assert found.obs_names.tolist() == bulk.obs_names.tolist()
    assert np.allclose(found.obs["dtp_logit"], bulk.obs["dtp_logit"], atol=1e-5)


@pytest.fixture(scope="module")
def incomplete(room, tmp_path_factory):
    """Cells without the genes that count most, which the check does not let be called."""
    student = dtp.model.load_model(room / "student")
    best = student.genes_[np.argsort(-student.importance_)[:16]]
    cells = ad.read_h5ad(room / "new.h5ad")
    path = tmp_path_factory.mktemp("incomplete") / "cells.h5ad"
    cells[:, ~cells.var_names.isin(best)].copy().write_h5ad(path)
    return path


def scored_by(dtp_command, model, path, out, *options):
    """Score a file; return what is printed and the object."""
    where = ["--model", model, "--out", out, "--quiet"]
    with warnings.catch_warnings():
        # Warnings are errors in these tests; here they have to reach the screen.
        warnings.simplefilter("default")
        done = dtp_command("score", path, *where, *options)
    assert done.code == 0, done.text
    return done.text, ad.read_h5ad(out)


def test_score_withholds_calls_where_the_check_says_so(dtp_command, room, tmp_path, incomplete):
    text, found = scored_by(dtp_command, room / "student", incomplete, tmp_path / "x.h5ad")
    record = found.uns["dtp"]["transfer"]
    assert (record["verdict"], record["found"]) == ("rank_only", "rank_only")
    assert "override" not in record
    assert found.obs["dtp_call"].isna().all()
    assert "withheld: read the rank" in text
    assert "warning: Transfer check: rank_only." in text
    assert all(reason[:30] in text for reason in record["reasons"])


@pytest.mark.parametrize("verdict", ["calls", "recalibrate", "rank_only"])
@pytest.mark.parametrize("name", ["new.h5ad", "incomplete"])
def test_score_uses_a_verdict_by_name(dtp_command, room, tmp_path, incomplete, name, verdict):
    path = incomplete if name == "incomplete" else room / name
    options = ["--transfer", verdict]
    text, found = scored_by(dtp_command, room / "student", path, tmp_path / "x.h5ad", *options)
    record = found.uns["dtp"]["transfer"]
    assert (record["verdict"], record["override"]) == (verdict, verdict)
    if name == "incomplete":
        assert record["found"] == "rank_only"
    assert found.obs["dtp_call"].isna().all() == (verdict == "rank_only")
    assert found.uns["dtp"]["probability_holds"] == (verdict == "calls")
    assert ("withheld: read the rank" in text) == (verdict == "rank_only")
    assert ("warning: Transfer check" in text) == (verdict != "calls")


def test_score_skips_the_check(dtp_command, room, tmp_path, incomplete):
    options = ["--transfer", "skip"]
    text, found = scored_by(
        dtp_command, room / "student", incomplete, tmp_path / "x.h5ad", *options
    )
    assert "transfer" not in found.uns["dtp"]
    assert not found.uns["dtp"]["probability_holds"]
    assert found.obs["dtp_call"].notna().all()
    assert "ransfer" not in text
    assert "withheld" not in text


def test_score_writes_empty_calls_to_a_table(dtp_command, room, tmp_path):
    options = ["--transfer", "rank_only", "--model", room / "student", "--quiet"]
    done = dtp_command("score", room / "new.h5ad", *options, "--out", tmp_path / "x.csv")
    assert done.code == 0, done.text
    table = pd.read_csv(tmp_path / "x.csv", index_col=0)
    assert list(table) == COLUMNS
    assert table["dtp_call"].isna().all()
    assert table["dtp_rank"].notna().all()


def test_score_compares_donors(dtp_command, room, tmp_path):
    # Every donor is held out by a member, so that the model knows how donors differ.
    cells = dtp.datasets.simulate_cells(400, 200, n_donors=8)
    dtp.model.DTPTransformer.setup_anndata(
        cells, "state", positive="drug_tolerant", layer="counts", donor_key="donor"
    )
    teacher = dtp.model.DTPTransformer(cells, n_programs=6, d_model=16, n_blocks=1, n_members=5)
    teacher.train(max_epochs=1, verbose=False)
    teacher.save(tmp_path / "model")
    evidence = {}
    for key in (None, "donor"):
        options = [] if key is None else ["--donor-key", key]
        files = (tmp_path / "model", room / "new.h5ad", tmp_path / "x.h5ad")
        _, found = scored_by(dtp_command, *files, *options)
        evidence[key] = found.uns["dtp"]["transfer"]["evidence"]
        query = ad.read_h5ad(room / "new.h5ad")
        dtp.tl.score(query, teacher, donor_key=key)
        expected = query.uns["dtp"]["transfer"]["evidence"]
        assert set(evidence[key]) == set(expected)
        for name, value in expected.items():
            assert evidence[key][name] == value, name
    # Four donors say less than sixty rows, so the test of the label shift is less sure.
    assert evidence["donor"]["label_shift_p"] > evidence[None]["label_shift_p"]


def test_score_names_what_it_did_with_options(dtp_command, room, tmp_path):
    query = ad.read_h5ad(room / "new.h5ad")
    query.var["other"] = query.var_names
    query.var_names = [f"id{i}" for i in range(query.n_vars)]
    query = query[:, :150].copy()
    query.write_h5ad(tmp_path / "new.h5ad")
    options = [
        "--layer",
        "counts",
        "--gene-key",
        "other",
        "--missing",
        "zero",
        "--scale",
        "counts",
    ]
    where = ["--model", room / "teacher", "--out", tmp_path / "out.h5ad", "-q"]
    with warnings.catch_warnings():
        # Warnings are errors in these tests; here one has to reach the screen.
        warnings.simplefilter("default")
        done = dtp_command("score", tmp_path / "new.h5ad", *options, "--key-added", "mine", *where)
    assert done.code == 0, done.text
    assert "warning: 150 of 200 model genes found" in done.text
    info = ad.read_h5ad(tmp_path / "out.h5ad").uns["mine"]
    assert (info["layer"], info["missing"], info["scale"]) == ("counts", "zero", "counts")
    assert info["coverage"] == 0.75


def test_score_of_a_modality(dtp_command, room, tmp_path, scored):
    from mudata import MuData, read_h5mu

    rna = ad.read_h5ad(room / "new.h5ad")
    MuData({"rna": rna}).write(tmp_path / "new.h5mu")
    for ending, read in (
        (".h5mu", lambda path: read_h5mu(path).mod["rna"]),
        (".h5ad", ad.read_h5ad),
    ):
        out = tmp_path / f"out{ending}"
        where = ["--model", room / "student", "--mod", "rna", "--out", out, "-q"]
        done = dtp_command("score", tmp_path / "new.h5mu", *where)
        assert done.code == 0, done.text
        assert np.array_equal(read(out).obs["dtp_logit"], scored.obs["dtp_logit"])


def test_evaluate_says_the_protocol_and_writes_strict_json(dtp_command, room, tmp_path):
    options = ["--folds", 2, "--max-epochs", 1, "--n-boot", 10, "--n-genes", 30, "--quiet"]
    where = ["--layer", "counts", "--json", tmp_path / "x.json"]
    done = dtp_command("evaluate", room / "cells.h5ad", *SETUP, *options, *where)
    assert done.code == 0, done.text
    assert "SIMULATED DATA, donor-grouped 2-fold" in done.text
    assert "OPTIMISTIC" not in done.text
    found = json.loads((tmp_path / "x.json").read_text())
    assert found["simulated"] is True
    assert found["optimistic"] is False
    baselines = ["logistic_regression", "gradient_boosting", "random_forest"]
    models = ["teacher", "student", *baselines, "mean_expression", "lsc17"]
    assert list(found["cv"]) == models
    for model in models:
        assert set(found["cv"][model]) >= {"auroc", "auprc", "mcc", "f1", "brier", "ece"}
        assert model in done.text
        auroc = found["cv"][model]["auroc"]
        assert f"{auroc['value']:.3f}" in done.text
    gap = found["cv"]["teacher"]["auroc"]["value"] - found["cv"]["lsc17"]["auroc"]["value"]
    assert found["differences"]["teacher - lsc17"]["auroc"]["value"] == pytest.approx(gap)
    assert -1 <= found["student"]["spearman"] <= 1
    assert found["data"]["n_donors"] == 4
    assert names(tmp_path) == ["x.json"]


def test_evaluate_by_cell_is_called_optimistic(dtp_command, room):
    options = ["--folds", 2, "--max-epochs", 1, "--n-boot", 5, "--no-distill", "--cell-level"]
    done = dtp_command("evaluate", room / "cells.h5ad", *SETUP, *options, "-q")
    assert done.code == 0, done.text
    assert "cell-level 2-fold (optimistic" in done.text
    assert "OPTIMISTIC: cells of one donor are in training and test data" in done.text
    assert "student" not in done.text
