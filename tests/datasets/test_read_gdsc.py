"""Made-up tables in the layout of the released ones; no row of them is here."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from dtp_scvi.datasets import read_gdsc

DRUGS = {"G:1": "Alpha-1", "G:2": "Beta", "G:3": "Beta", "G:4": "5-Gamma/2"}


@pytest.fixture
def lines():
    rng = np.random.default_rng(0)
    n = 40
    adata = ad.AnnData(rng.gamma(2, 2, (n, 6)).astype(np.float32))
    adata.obs_names = [f"ACH-{i:03d}" for i in range(n)]
    adata.obs["cosmic_id"] = pd.Categorical(["", "", *map(str, range(900, 900 + n - 2))])
    ic50 = pd.DataFrame(rng.normal(2, 2, (n, 4)), index=adata.obs_names, columns=list(DRUGS))
    ic50.iloc[5:10, 0] = np.nan
    ic50.iloc[::2, 1] = np.nan
    ic50.iloc[31:34, 2] = np.nan
    adata.obsm["ln_ic50"] = ic50
    return adata


@pytest.fixture
def drug_table():
    table = pd.DataFrame({"gdsc_id": list(DRUGS), "name": list(DRUGS.values())})
    return table.assign(smiles=["C", "CC", "CC", None])


@pytest.fixture
def labels(lines):
    """Complete, as the released table: pairs that were not measured are filled."""
    ic50 = lines.obsm["ln_ic50"]
    words = np.where(ic50[["G:1", "G:3", "G:4"]] > 2, "resistant", "sensitive")
    table = pd.DataFrame(words[2:30], columns=["ALPHA.1", "BETA", "X5.GAMMA.2"])
    table.index = [f"DATA.{i}" for i in range(900, 928)]
    table["OMEGA"] = "resistant"
    return pd.concat([table, table.iloc[:3].set_axis(["DATA.1", "DATA.2", "DATA.3"])])


def reasons(adata):
    report = adata.uns["dtp_cohort"]["report"]
    return report.groupby(["table", "outcome", "reason"])["rows"].sum()


def test_joins_lines_and_drops_what_was_not_measured(lines, labels, drug_table):
    adata = read_gdsc(lines, labels=labels, drug_table=drug_table)
    found, ic50 = adata.obsm["response"], adata.obsm["ln_ic50"]
    assert list(found) == ["Alpha-1", "Beta", "5-Gamma-2"]
    assert not (found.notna() & ic50[list(found)].isna()).any().any()
    # Lines 5 to 9 have no IC50 of the first drug; the first two lines have no id.
    assert found["Alpha-1"].count() == 28 - 5
    assert (found["Alpha-1"] == "resistant").sum() == (ic50["Alpha-1"].iloc[2:30] > 2).sum()
    counts = adata.uns["dtp_cohort"]["counts"]
    assert counts["labels_read"] == 31 * 4
    assert counts["lines_joined"] == 28
    assert counts["labels_unmeasured"] == 5
    assert counts["labels_kept"] + counts["labels_dropped"] == counts["labels_read"]
    why = reasons(adata)
    assert why["labels", "dropped", "no IC50 of this line and drug"] == 5
    assert why["labels", "dropped", "line without expression"] == 3
    assert why["labels", "dropped", "drug without IC50"] == 1
    assert why["expression", "kept", "line without labels"] == 12


def test_survives_a_file_and_leaves_its_source_alone(lines, labels, drug_table, tmp_path):
    lines.write_h5ad(tmp_path / "lines.h5ad")
    labels.to_csv(tmp_path / "labels.csv")
    drug_table.to_csv(tmp_path / "drugs.csv", index=False)
    adata = read_gdsc(
        tmp_path / "lines.h5ad",
        labels=tmp_path / "labels.csv",
        drug_table=tmp_path / "drugs.csv",
    )
    adata.write_h5ad(tmp_path / "read.h5ad")
    back = ad.read_h5ad(tmp_path / "read.h5ad")
    pd.testing.assert_frame_equal(back.obsm["response"], adata.obsm["response"])
    record = back.uns["dtp_cohort"]
    assert record["files"]["role"].tolist() == ["drugs", "labels"]
    assert record["drugs"].loc["5-Gamma-2", ["name", "smiles"]].tolist() == ["5-Gamma/2", ""]
    read_gdsc(lines, labels=labels, drug_table=drug_table)
    assert "response" not in lines.obsm


@pytest.mark.parametrize("repeated", ["most", "mean", "separate"])
def test_drugs_screened_twice(lines, drug_table, repeated):
    before = lines.obsm["ln_ic50"]
    adata = read_gdsc(lines, drug_table=drug_table, repeated=repeated)
    ic50 = adata.obsm["ln_ic50"]
    wanted = {
        "most": {"Beta": before["G:3"].fillna(before["G:2"])},
        "mean": {"Beta": before[["G:2", "G:3"]].mean(axis=1)},
        "separate": {"Beta [G:2]": before["G:2"], "Beta [G:3]": before["G:3"]},
    }[repeated]
    assert {name for name in ic50 if name.startswith("Beta")} == set(wanted)
    for name, values in wanted.items():
        assert np.allclose(ic50[name], values, equal_nan=True)


@pytest.mark.parametrize("name", ["alpha 1", "ALPHA.1", "G:1"])
def test_drugs_are_found_in_any_spelling(lines, labels, drug_table, name):
    adata = read_gdsc(lines, labels=labels, drug_table=drug_table, drugs=name)
    assert list(adata.obsm["ln_ic50"]) == list(adata.obsm["response"]) == ["Alpha-1"]
    assert adata.uns["dtp_cohort"]["counts"]["labels_read"] == 31


def test_filled_labels_are_kept_only_where_asked(lines, labels, drug_table):
    with pytest.warns(UserWarning, match="5 labels were kept though no IC50"):
        adata = read_gdsc(lines, labels=labels, drug_table=drug_table, unmeasured="keep")
    assert adata.obsm["response"]["Alpha-1"].count() == 28


def test_unknown_drug_offers_near_ones(lines, drug_table):
    with pytest.raises(KeyError, match="Did you mean Alpha-1"):
        read_gdsc(lines, drug_table=drug_table, drugs=["Alhpa-1"])


def test_concentrations_are_told_from_logarithms(lines):
    ic50 = lines.obsm["ln_ic50"]
    lines.obsm["ln_ic50"] = np.exp(ic50)
    with pytest.raises(ValueError, match=r"look like concentrations: take np\.log"):
        read_gdsc(lines)
    lines.obsm["ln_ic50"] = np.exp(ic50).rank(pct=True)
    with pytest.raises(ValueError, match="areas under the curve"):
        read_gdsc(lines)
    # One drug may have no line below 1 uM.
    lines.obsm["ln_ic50"] = ic50.abs() + 1
    assert read_gdsc(lines).obsm["ln_ic50"].to_numpy(na_value=9).min() >= 1


def test_labels_the_wrong_way_round(lines, labels, drug_table):
    turned = labels.replace({"resistant": "sensitive", "sensitive": "resistant"})
    with pytest.raises(ValueError, match=r"3 of 3 drugs \(Alpha-1, Beta, 5-Gamma-2\).*wrong way"):
        read_gdsc(lines, labels=turned, drug_table=drug_table)
    one = labels.assign(BETA=turned["BETA"])
    with pytest.warns(UserWarning, match="lower median IC50 for Beta; .* dropped"):
        adata = read_gdsc(lines, labels=one, drug_table=drug_table)
    assert list(adata.obsm["response"]) == ["Alpha-1", "5-Gamma-2"]
    assert reasons(adata)["labels", "dropped", "labels run against the IC50"] == 28
    with pytest.raises(ValueError, match="a lower median for Beta"):
        read_gdsc(lines, labels=one, drug_table=drug_table, on_contradiction="error")
    with pytest.warns(UserWarning, match="kept"):
        adata = read_gdsc(lines, labels=one, drug_table=drug_table, on_contradiction="keep")
    assert "Beta" in adata.obsm["response"]


def test_no_line_in_common(lines, labels, drug_table):
    labels.index = [f"DATA.{i}" for i in range(5000, 5000 + len(labels))]
    with pytest.raises(ValueError, match="share ids of lines; found none in common"):
        read_gdsc(lines, labels=labels, drug_table=drug_table)


def test_what_is_there_twice(lines, labels, drug_table):
    with pytest.raises(ValueError, match="each line once in DataFrame; found 900 again"):
        read_gdsc(lines, labels=pd.concat([labels, labels.iloc[:1]]), drug_table=drug_table)
    again = labels.assign(**{"ALPHA-1": labels["ALPHA.1"]})
    with pytest.raises(ValueError, match="each drug once in DataFrame; found ALPHA1 again"):
        read_gdsc(lines, labels=again, drug_table=drug_table)
    with pytest.raises(ValueError, match="each gdsc_id once"):
        read_gdsc(lines, drug_table=pd.concat([drug_table, drug_table]))
    twice = lines.copy()
    twice.obs["cosmic_id"] = "900"
    with pytest.raises(ValueError, match=r"each line once in adata\.obs\['cosmic_id'\]"):
        read_gdsc(twice, labels=labels, drug_table=drug_table)
    ic50 = lines.obsm["ln_ic50"]
    lines.obsm["ln_ic50"] = ic50.set_axis(["a", "a", "b", "c"], axis=1)
    with pytest.raises(ValueError, match="each drug once in obsm"):
        read_gdsc(lines)


def test_other_words_and_missing_pieces(lines, labels, drug_table):
    with pytest.raises(
        ValueError, match="the words resistant and sensitive in DataFrame; found 1"
    ):
        read_gdsc(lines, labels=labels.replace("resistant", "1"), drug_table=drug_table)
    with pytest.raises(ValueError, match=r"none for G:4"):
        read_gdsc(lines, drug_table=drug_table.iloc[:3])
    with pytest.raises(KeyError, match="line_key"):
        read_gdsc(lines, labels=labels, drug_table=drug_table, line_key="cosmic")
    lines.obsm["ln_ic50"] = lines.obsm["ln_ic50"].to_numpy()
    with pytest.raises(TypeError, match="a DataFrame in obsm"):
        read_gdsc(lines)
    del lines.obsm["ln_ic50"]
    with pytest.raises(KeyError, match="ln_ic50"):
        read_gdsc(lines)


def test_labels_with_gaps_stay_gaps(lines, labels, drug_table):
    labels.iloc[:10, 0] = None
    adata = read_gdsc(lines, labels=labels, drug_table=drug_table)
    assert adata.obsm["response"]["Alpha-1"].iloc[2:12].isna().all()
