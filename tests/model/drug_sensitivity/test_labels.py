"""Labels that can't be what they are called are refused before anything is fitted."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from dtp_scvi.model import DrugSensitivity


@pytest.fixture
def untrained(vae):
    return DrugSensitivity.from_vae(vae)


@pytest.fixture
def rows(sim):
    return sim.lines(40, 2)


def fit(model, rows, sim, drug="DRUG-A", **kwargs):
    model.fit_bulk(rows, drug, scale=sim.SCALE, verbose=False, **kwargs)


def test_an_unknown_drug_is_met_with_near_matches(untrained, rows, sim):
    with pytest.raises(KeyError, match=r"found 'DRUGA'. Did you mean DRUG-A"):
        fit(untrained, rows, sim, "DRUGA")
    with pytest.raises(
        KeyError, match=r"`labels_key` to name a key of adata.obsm; found 'labels'"
    ):
        fit(untrained, rows, sim, labels_key="labels")


def test_the_table_names_its_drugs(untrained, rows, sim):
    rows.obsm["response"] = rows.obsm["response"].to_numpy(dtype=object)[:, 1:].astype(float)
    with pytest.raises(ValueError, match=r"a data frame of lines x drugs.*found ndarray"):
        fit(untrained, rows, sim)


def test_one_class_or_none(untrained, rows, sim):
    table = rows.obsm["response"]
    table.loc[table["DRUG-A"] == "sensitive", "DRUG-A"] = np.nan
    with pytest.raises(
        ValueError, match=r"resistant and sensitive lines for DRUG-A; found \d+ resi"
    ):
        fit(untrained, rows, sim)
    table["DRUG-A"] = np.nan
    with pytest.raises(ValueError, match="found no label and 40 without a label"):
        fit(untrained, rows, sim)


def test_unknown_labels(untrained, rows, sim):
    rows.obsm["response"].iloc[5, 0] = "partial"
    with pytest.raises(ValueError, match=r"labels of DRUG-A to be 'resistant'.*found partial"):
        fit(untrained, rows, sim)


def test_polarity_the_wrong_way_round(untrained, rows, sim):
    rows.obsm["ln_ic50"] = -rows.obsm["ln_ic50"]
    with pytest.raises(ValueError, match="polarity of the labels is the wrong way round"):
        fit(untrained, rows, sim)
    fit(untrained, rows, sim, ic50_key=None, max_epochs=1)
    assert not untrained.protocol_["polarity_checked"]


def test_too_few_ic50_decide_nothing(untrained, rows, sim):
    table = -rows.obsm["ln_ic50"]
    table.iloc[5:] = np.nan
    rows.obsm["ln_ic50"] = table
    fit(untrained, rows, sim, max_epochs=1)
    assert not untrained.protocol_["polarity_checked"]


def test_no_shared_genes(untrained, rows, sim):
    rows.var_names = [f"OTHER{i}" for i in range(sim.G)]
    with pytest.raises(ValueError, match=r"0 of 60 autoencoder genes found .* floor is 50%"):
        fit(untrained, rows, sim)
    with pytest.raises(RuntimeError, match="a trained DrugSensitivity"):
        untrained.predict(rows)


def test_another_kind_of_values(untrained, rows, sim):
    with pytest.raises(ValueError, match="rows of the kind that the autoencoder was trained on"):
        untrained.fit_bulk(rows, "DRUG-A", scale="as_is")


def test_unfit_arguments(vae):
    with pytest.raises(ValueError, match="`augment` to be one of 'vae', 'smote', None"):
        DrugSensitivity.from_vae(vae, augment="gan")
    with pytest.raises(ValueError, match="`reference` to be one of"):
        DrugSensitivity.from_vae(vae, reference="bulk")
    with pytest.raises(ValueError, match="one head where the encoder is trained too"):
        DrugSensitivity.from_vae(vae, n_members=3, n_unfrozen_epochs=2)
    with pytest.raises(ValueError, match="`n_members` in"):
        DrugSensitivity.from_vae(vae, n_members=9)


def test_moments_of_the_pretraining_need_its_rows(vae, rows, sim, tmp_path):
    vae.save(tmp_path / "vae")
    loaded = type(vae).load(tmp_path / "vae")
    model = DrugSensitivity.from_vae(loaded, reference="pretraining")
    with pytest.raises(ValueError, match="an autoencoder with its training data"):
        fit(model, rows, sim)
    fine = DrugSensitivity.from_vae(loaded)
    fit(fine, rows, sim, max_epochs=1)
    assert isinstance(fine.history_table_, pd.DataFrame)
