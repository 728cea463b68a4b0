"""Models of a response, bundled or in a folder: score, models and card."""

from __future__ import annotations

import json
import shutil
import warnings

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import dtp_scvi as dtp
from dtp_scvi.hub import _registry

N, G = 40, 40


def names(folder):
    return sorted(item.name for item in folder.iterdir())


def samples(n=N, seed=0, genes=None):
    rng = np.random.default_rng(seed)
    n_genes = G if genes is None else len(genes)
    logs = np.random.default_rng(9).normal(4, 1, n_genes) + rng.normal(0, 0.6, (n, n_genes))
    counts = rng.poisson(np.exp(logs)).astype(np.float32)
    obs = pd.DataFrame(
        {"auc": logs[:, 0] * 10, "other": logs[:, 1]}, index=[f"s{i}" for i in range(n)]
    )
    var = pd.DataFrame(index=[f"GENE{i}" for i in range(n_genes)] if genes is None else genes)
    return ad.AnnData(counts, obs=obs, var=var)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A model of one response, one of two, and samples for these and for the bundled ones."""
    place = tmp_path_factory.mktemp("responses")
    train = samples()
    one = dtp.model.ResponseModel("planted").fit(train, "auc", units="AUC")
    one.save(place / "one")
    two = dtp.model.ResponseTransformer("pair", n_programs=4, d_model=8, n_blocks=1)
    two.fit(train, ["auc", "other"], direction="higher_is_sensitive", max_epochs=1, verbose=False)
    two.save(place / "two")
    samples(30, 1).write_h5ad(place / "new.h5ad")
    bundled = dtp.hub.load("aml-venetoclax").genes_.tolist()
    samples(30, 1, bundled[:480]).write_h5ad(place / "aml.h5ad")
    return place


def scored(dtp_command, *arguments):
    """Score; return what is printed. Warnings of the transfer check have to reach the screen."""
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        done = dtp_command("score", *arguments, "-q")
    assert done.code == 0, done.text
    return done.text


def expected(path, model, **options):
    query = ad.read_h5ad(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dtp.tl.score(query, model, **options)
    return query


def same(table, query, columns=("dtp_score", "dtp_rank")):
    pd.testing.assert_frame_equal(
        table[list(columns)], query.obs[list(columns)], check_names=False
    )


def line(text, name):
    """What stands beside a name on the screen."""
    (found,) = [row for row in text.split("\n") if row.startswith(f"  {name} ")]
    return found.removeprefix(f"  {name}").strip()


@pytest.mark.parametrize("named", ["aml-venetoclax", "aml-venetoclax@1"])
def test_a_bundled_model_by_its_name(dtp_command, place, tmp_path, named):
    out = tmp_path / "x.csv"
    text = scored(dtp_command, place / "aml.h5ad", "--model", named, "--out", out)
    model = dtp.hub.load("aml-venetoclax")
    query = expected(place / "aml.h5ad", model)
    table = pd.read_csv(out, index_col=0)
    assert list(table) == ["dtp_score", "dtp_rank"]
    same(table, query)
    assert "Bundled model aml-venetoclax, version 1" in text
    assert "Scored 30 rows with aml-venetoclax" in text
    low, middle, high = query.obs["dtp_score"].quantile([0.05, 0.5, 0.95])
    assert line(text, "score") == f"median {middle:.4g}, 5–95 % of rows {low:.4g}–{high:.4g}"
    assert line(text, "units") == model.units_
    assert line(text, "direction") == "higher is more resistant"
    assert line(text, "worth") == model.worth_
    assert line(text, "note") == query.uns["dtp"]["research_use"]
    assert "threshold" not in text
    assert "calls" not in text
    assert names(tmp_path) == ["x.csv"]


def test_no_model_is_the_default_one_and_said(dtp_command, place, tmp_path):
    out = tmp_path / "x.h5ad"
    text = scored(dtp_command, place / "aml.h5ad", "--out", out)
    worth = dtp.hub.load("aml-tolerance").worth_
    assert text.startswith(f"No --model: the bundled aml-tolerance is used. {worth}.")
    found = ad.read_h5ad(out)
    same(found.obs, expected(place / "aml.h5ad", None))
    assert found.uns["dtp"]["name"] == "aml-tolerance"
    assert found.uns["dtp"]["bundled"]


def test_a_folder_with_a_model_of_a_response(dtp_command, place, tmp_path):
    out = tmp_path / "x.tsv"
    text = scored(dtp_command, place / "new.h5ad", "--model", place / "one", "--out", out)
    query = expected(place / "new.h5ad", place / "one")
    same(pd.read_csv(out, index_col=0, sep="\t"), query)
    assert text.startswith("new.h5ad: 30 rows × 40 genes, X, read from disk in blocks")
    assert line(text, "units") == "AUC"
    assert line(text, "worth") == "not evaluated on rows of others"
    assert (line(text, "align"), line(text, "warranted")) == ("none", "none")
    assert query.uns["dtp"]["transfer"]["reasons"][0] in text
    assert line(text, "values") == "on the training scale"
    assert "target" not in text


def test_a_text_table_lies_as_the_model_s_genes_say(dtp_command, place, tmp_path):
    query = ad.read_h5ad(place / "new.h5ad")
    query.to_df().T.to_csv(tmp_path / "new.csv")
    out = tmp_path / "x.csv"
    text = scored(dtp_command, tmp_path / "new.csv", "--model", place / "one", "--out", out)
    assert "Genes are in rows: 40 of 40 model genes" in text
    same(pd.read_csv(out, index_col=0), expected(place / "new.h5ad", place / "one"))


def test_a_modality(dtp_command, place, tmp_path):
    import mudata

    mudata.MuData({"rna": samples(12, 1)}).write_h5mu(tmp_path / "new.h5mu")
    out = tmp_path / "x.h5mu"
    where = ["--model", place / "two", "--target", "other", "--out", out]
    scored(dtp_command, tmp_path / "new.h5mu", *where)
    found = mudata.read_h5mu(out)["rna"]
    query = samples(12, 1)
    dtp.tl.score(query, place / "two", target="other")
    same(found.obs, query)
    assert list(found.obsm["dtp_responses"]) == ["auc", "other"]


@pytest.mark.parametrize("align", ["none", "moments", "rank"])
def test_alignments(dtp_command, place, tmp_path, align):
    # A power leaves ranks as they are.
    shifted = ad.read_h5ad(place / "new.h5ad")
    shifted.X = shifted.X**4
    shifted.write_h5ad(tmp_path / "new.h5ad")
    out = tmp_path / "x.h5ad"
    options = ["--model", place / "one", "--align", align, "--scale", "corrected_counts"]
    text = scored(dtp_command, tmp_path / "new.h5ad", *options, "--out", out)
    query = expected(tmp_path / "new.h5ad", place / "one", align=align, scale="corrected_counts")
    found = ad.read_h5ad(out)
    same(found.obs, query)
    record = found.uns["dtp"]
    assert (record["align"], record["transfer"]["warranted"]) == (align, "rank")
    depends = ": each score depends on the other rows" if align == "moments" else ""
    assert line(text, "align") == f"{align}{depends}"
    assert line(text, "warranted") == "rank"
    assert query.uns["dtp"]["transfer"]["reasons"][0] in text
    assert line(text, "values") == "not on the training scale: read the rank"
    assert ("warning: Transfer check: " in text) == (align == "none")
    assert ('or pass --align "rank"' in text) == (align == "none")


def test_the_check_can_be_left_out(dtp_command, place, tmp_path):
    where = ["--model", place / "one", "--transfer", "skip", "--out", tmp_path / "x.csv"]
    text = scored(dtp_command, place / "new.h5ad", *where)
    assert line(text, "align") == "none; whether it is warranted was not checked"
    assert "warranted  " not in text
    assert "training scale" not in text


def test_rows_without_a_score_are_counted(dtp_command, place, tmp_path):
    query = ad.read_h5ad(place / "new.h5ad")
    query.X[4] = 0
    query.write_h5ad(tmp_path / "new.h5ad")
    where = ["--model", place / "one", "--out", tmp_path / "x.csv"]
    text = scored(dtp_command, tmp_path / "new.h5ad", *where)
    assert line(text, "missing") == "1 of 30 rows have no score"
    assert pd.read_csv(tmp_path / "x.csv")["dtp_score"].isna().sum() == 1


@pytest.mark.parametrize("target", ["auc", "other"])
@pytest.mark.parametrize("repeated", [False, True])
def test_several_targets(dtp_command, place, tmp_path, target, repeated):
    cells = ad.read_h5ad(place / "new.h5ad")
    if repeated:
        cells.obs_names = ["s0"] * cells.n_obs
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of repeated names
        cells.write_h5ad(tmp_path / "new.h5ad")
        query = expected(tmp_path / "new.h5ad", place / "two", target=target)
    out = tmp_path / "x.csv"
    where = ["--model", place / "two", "--target", target, "--key-added", "p", "--out", out]
    text = scored(dtp_command, tmp_path / "new.h5ad", *where)
    table = pd.read_csv(out, index_col=0)
    assert list(table) == ["p_score", "p_rank", "auc", "other"]
    pd.testing.assert_frame_equal(
        table[["auc", "other"]], query.obsm["dtp_responses"], check_names=False, rtol=1e-5
    )
    assert np.array_equal(table["p_score"], table[target])
    assert line(text, "target") == f"{target}, one of 2"
    assert line(text, "units") == "not recorded"
    assert line(text, "direction") == "higher is more sensitive"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--model", "aml-venetoclx"], "Did you mean aml-venetoclax? The command dtp models"),
        (["--model", "aml-venetoclax@9"], "Expected a version of aml-venetoclax that ships here"),
        (["--model", "ome"], "found 'ome', which is neither. Did you mean one?"),
        (["--model", "new.h5ad"], "Expected model.safetensors and model.json in new.h5ad"),
        (["--model", "aml-venetoclax"], "model genes found (coverage 0%"),
        (["--model", "two"], "Expected --target, one of the model's responses; found none named"),
        (["--model", "two", "--target", "othr"], "Did you mean other?"),
        (["--model", "one", "--target", "x"], "Expected --target among the 1 responses"),
        (["--model", "one", "--transfer", "calls"], 'Expected --transfer to be "check" or "skip"'),
        (["--model", "one", "--donor-key", "auc"], "Expected no --donor-key with a model of a"),
    ],
)
@pytest.mark.parametrize("ending", ["csv", "h5ad"])
def test_what_can_not_work_leaves_nothing(
    dtp_command, place, tmp_path, monkeypatch, options, message, ending
):
    monkeypatch.chdir(place)
    before = names(place)
    done = dtp_command("score", "new.h5ad", *options, "--out", tmp_path / f"x.{ending}", "-q")
    assert done.code == 2, done.text
    last = done.text.rstrip("\n").split("\n")[-1]
    assert last.startswith("error: ")
    assert message in last
    assert "Traceback" not in done.text
    assert names(tmp_path) == []
    assert names(place) == before


def test_moments_of_few_rows_are_refused(dtp_command, place, tmp_path):
    samples(9, 1).write_h5ad(tmp_path / "few.h5ad")
    where = ["--model", place / "one", "--align", "moments", "--out", tmp_path / "x.csv"]
    done = dtp_command("score", tmp_path / "few.h5ad", *where, "-q")
    assert done.code == 2
    assert "at least 10 rows to take moments of; found 9. Score more rows" in done.text
    assert 'pass --align "rank"' in done.text
    assert names(tmp_path) == ["few.h5ad"]


def test_an_alignment_that_there_is_not(dtp_command, place, tmp_path):
    where = ["--model", place / "one", "--align", "mean", "--out", tmp_path / "x.csv"]
    done = dtp_command("score", place / "new.h5ad", *where)
    assert done.code == 2
    (row,) = [row for row in done.text.split("\n") if "--align" in row]
    assert "'mean'" in row
    assert names(tmp_path) == []


def test_a_folder_that_bears_a_bundled_name(dtp_command, place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "aml-venetoclax").mkdir()
    bundled = dtp.hub.load("aml-venetoclax").card_.to_markdown()
    # A folder of something else does not stand in the way.
    assert dtp_command("card", "aml-venetoclax").text == bundled
    shutil.copytree(place / "one", tmp_path / "aml-venetoclax", dirs_exist_ok=True)
    text = dtp_command("card", "aml-venetoclax").text
    assert "warning: aml-venetoclax is the folder of that name" in text
    assert "the other is aml-venetoclax@1." in text
    assert "| name | planted |" in text
    assert dtp_command("card", "aml-venetoclax@1").text == bundled


def test_card_of_a_bundled_model(dtp_command):
    done = dtp_command("card", "aml-venetoclax")
    folder = _registry.MODELS / "aml-venetoclax"
    assert (done.code, done.text) == (0, (folder / "card.md").read_text(encoding="utf-8"))
    found = json.loads(dtp_command("card", "aml-venetoclax", "--json").text)
    assert found == dtp.hub.load("aml-venetoclax").card_.to_dict()


def test_card_of_a_name_that_there_is_not(dtp_command):
    done = dtp_command("card", "aml-venetoclx")
    assert (done.code, done.text.count("\n")) == (2, 1)
    assert "Did you mean aml-venetoclax?" in done.text


def test_models_lists_each_with_its_worth(dtp_command):
    done = dtp_command("models")
    assert done.code == 0, done.text
    table = dtp.hub.available()
    for name, row in table.iterrows():
        (found,) = [text for text in done.text.split("\n") if text.strip().startswith(f"{name} ")][
            :1
        ]
        low, high = row["spearman_low"], row["spearman_high"]
        worth = f"{row['spearman']:.2f} [{low:.2f}, {high:.2f}]".replace("-", "−")
        star = "*" if low <= 0 <= high else ""
        cells = [name, row["version"], str(row["n_training"]), str(row["n_external"])]
        assert found.split() == [*cells, *f"{worth}{star}".split()]
    assert line(done.text, "tested on") == table["cohort"].iloc[0]
    assert "aml-tolerance" in line(done.text, "default")
    assert "research use only" in done.text
