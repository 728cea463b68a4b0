"""Provenance guards: tables that were made up are seen, measured ones are not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

import dtp_scvi as dtp

if TYPE_CHECKING:
    import anndata as ad

QUICK = {"n_boot": 20, "n_permutations": 20}


@pytest.fixture
def placeholder(measured) -> ad.AnnData:
    """A table made as the published placeholder was: noise plus 0.3 times the score."""
    rng = np.random.default_rng(1)
    adata = measured(452)
    noise = rng.beta(2, 2, (452, 7))
    values = np.clip(noise + 0.3 * adata.obs["dtp_score"].to_numpy()[:, None], 0, 1)
    adata.obsm["drug_auc"] = pd.DataFrame(
        values, index=adata.obs_names, columns=adata.obsm["drug_auc"].columns
    )
    return adata


def levels(adata: ad.AnnData) -> dict[str, str]:
    table = adata.uns["dtp_drug_response"]["guards"]
    return dict(zip(table["guard"], table["level"], strict=True))


def run(adata: ad.AnnData, **options) -> dict[str, str]:
    dtp.tl.drug_response(adata, **{**QUICK, **options})
    return levels(adata)


def test_measured_response_passes_in_silence(measured):
    found = run(measured(), auc_range=(0, 300))
    assert set(found.values()) == {"ok"}
    assert set(found) == {
        "header",
        "complete",
        "same_samples",
        "unit_range",
        "residual_correlation",
        "score_is_mean",
        "score_is_a_drug",
        "score_is_a_combination",
        "generated",
    }


def test_the_published_placeholder_is_refused_and_each_mark_named(placeholder, measured):
    adata = placeholder
    with pytest.raises(ValueError, match="marks of numbers generated from the score") as caught:
        run(adata)
    message = str(caught.value)
    assert "complete (452 samples x 7 drugs" in message
    assert "measured in exactly the same samples" in message
    assert r"All lie in [0, 1]" in message
    assert "drugs correlate by" in message
    assert 'guards="warn"' in message
    assert "dtp_drug_response" not in adata.uns


def test_guards_can_be_told_to_warn_and_are_recorded(placeholder):
    adata = placeholder
    with pytest.warns(UserWarning, match="PROVENANCE OF THE DRUG RESPONSE"):
        found = run(adata, guards="warn")
    assert found["generated"] == "error"
    marks = ("complete", "same_samples", "unit_range", "residual_correlation")
    assert {found[name] for name in marks} == {"warning"}
    assert adata.uns["dtp_drug_response"]["params"]["guards"] == "warn"


def test_the_known_scale_makes_the_unit_range_an_error(placeholder):
    adata = placeholder
    adata.obsm["drug_auc"] = adata.obsm["drug_auc"].mask(
        np.random.default_rng(0).random((452, 7)) < 0.3
    )
    with pytest.raises(ValueError, match=r"but the source's scale is 0 to 300"):
        run(adata, auc_range=(0, 300))
    adata.uns["dtp_cohort"] = {"auc_low": 0.0, "auc_high": 300.0}
    with pytest.raises(ValueError, match=r"but the source's scale is 0 to 300"):
        run(adata)


def test_values_beyond_the_scale_are_an_error(measured):
    adata = measured()
    adata.obsm["drug_auc"].iloc[3, 2] = 1500.0
    with pytest.raises(ValueError, match=r"to 1500\. The source's scale is 0 to 300"):
        run(adata, auc_range=(0, 300))


@pytest.mark.parametrize(
    "name", ["Entrez_Gene_Id", "entrez_gene_id", "Hugo_Symbol", "Gene Symbol"]
)
def test_a_header_scored_as_a_sample_is_an_error_even_in_simulated_data(measured, name):
    adata = measured()
    adata.obs_names = [name, *adata.obs_names[1:]]
    adata.uns["dtp_simulation"] = {"simulated": True}
    with pytest.raises(ValueError, match=f"scored as samples: {name}"):
        run(adata)


def test_a_complete_matrix_is_warned_of(measured):
    adata = measured(seed=2)
    auc = adata.obsm["drug_auc"]
    adata.obsm["drug_auc"] = auc.fillna(auc.median())
    with pytest.warns(UserWarning, match="The drug matrix is complete") as caught:
        found = run(adata)
    assert found["complete"] == found["same_samples"] == "warning"
    assert len(caught) == 1


def test_the_same_samples_for_every_drug_are_warned_of(measured):
    adata = measured(seed=2)
    auc = adata.obsm["drug_auc"]
    gaps = np.arange(len(auc)) % 4 == 0
    adata.obsm["drug_auc"] = auc.fillna(auc.median()).mask(np.repeat(gaps[:, None], 7, axis=1))
    with pytest.warns(UserWarning, match="All 7 drugs were measured in exactly the same samples"):
        found = run(adata)
    assert (found["complete"], found["same_samples"]) == ("ok", "warning")


def test_drugs_that_share_nothing_but_the_score_are_warned_of(measured):
    with pytest.warns(UserWarning, match="Given the score, drugs correlate by"):
        found = run(measured(n=400, shared=0.0))
    assert found["residual_correlation"] == "warning"


def test_too_few_pairs_are_not_judged(measured):
    found = run(measured(n=80, n_drugs=2, shared=0.0))
    assert found["residual_correlation"] == "not judged"
    assert found["complete"] == "not judged"


def test_a_score_that_is_the_mean_response_is_an_error(measured):
    adata = measured()
    adata.obs["dtp_score"] = adata.obsm["drug_auc"].rank(pct=True).mean(axis=1)
    with pytest.raises(ValueError, match=r"with the mean response .* computed from the response"):
        run(adata)
    adata.obs["dtp_score"] = -adata.obs["dtp_score"]
    with pytest.raises(ValueError, match="computed from the response"):
        run(adata)


def test_a_score_that_is_one_drug_is_an_error(measured):
    adata = measured()
    auc = adata.obsm["drug_auc"]
    adata.obs["dtp_score"] = np.log(auc["d2"])
    with pytest.raises(ValueError, match=r"Largest rank correlation 1\.000 with 'd2'"):
        run(adata)


def test_a_score_that_is_a_combination_is_an_error(measured):
    adata = measured()
    auc = adata.obsm["drug_auc"]
    filled = auc.fillna(auc.mean())
    adata.obs["dtp_score"] = expit((filled["d1"] - 0.9 * filled["d2"] + 0.5 * filled["d3"]) / 100)
    with pytest.raises(ValueError, match=r"explain .* of the score .* by a line"):
        run(adata)


def test_simulated_data_are_called_so_and_not_refused(placeholder):
    adata = placeholder
    adata.uns["dtp_simulation"] = {"simulated": True}
    found = run(adata)
    assert found["generated"] == "simulated"
    assert found["header"] == "ok"
    assert not {"warning", "error"} & set(found.values())


def test_a_cohort_of_the_package_runs_in_silence():
    cells = dtp.datasets.simulate_cells(600, 100)
    bulk = dtp.datasets.simulate_cohort(120, cells=cells, missing=0.0, n_drugs=4)
    found = run(bulk, score_key="true_persister_fraction")
    assert found["complete"] == "simulated"
