"""207 melanoma samples of four studies: what a leak makes of permuted labels."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import dtp_scvi as dtp

FOREST = {"models": ["random_forest"], "verbose": False}


@pytest.fixture
def samples(path_of):
    table = pd.read_csv(path_of("amu/four_columns_fixed.csv"))
    about = pd.read_csv(path_of("amu/amu_row_annotation.csv"))
    label = about["label_from_recist"].fillna(about["amu_label"]).to_numpy(int)
    genes = [name for name in table if name != "response"][:160]
    share = table[genes].to_numpy(float)
    obs = pd.DataFrame(
        {"response": label, "patient": "", "study": about["block"].to_numpy()},
        index=[f"row{i}" for i in range(len(label))],
    )
    obs["patient"] = obs.index
    closed = 1e6 * share / share.sum(axis=1, keepdims=True)
    return ad.AnnData(closed.astype(np.float32), obs=obs, var=pd.DataFrame(index=genes))


def set_up(adata):
    dtp.DTPTransformer.setup_anndata(
        adata, "response", positive="1", donor_key="patient", scale="cpm"
    )


@pytest.mark.filterwarnings("ignore")
def test_permuted_labels_are_at_chance_until_responders_are_doubled(samples):
    set_up(samples)
    protocol = {"n_folds": 5, "study_key": "study"}
    honest = dtp.tl.permutation_control(
        dtp.DTPTransformer, samples, protocol=protocol, n_permutations=2, **FOREST
    ).set_index("metric")
    assert abs(honest.loc["auroc_within_study_and_fold", "mean"] - 0.5) < 0.12
    assert honest.loc["auroc", "observed"] < 0.7
    rng = np.random.default_rng(0)
    samples.obs["response"] = rng.permutation(samples.obs["response"].to_numpy())
    again = samples[samples.obs["response"] == 1].copy()
    again.obs_names = again.obs_names + "_copy"
    again.obs["patient"] = again.obs_names
    leaky = ad.concat([samples, again])
    set_up(leaky)
    run = {"n_permutations": 1, **FOREST}
    with pytest.raises(ValueError, match=r"of 281 test rows \d+ have an identical row"):
        dtp.tl.permutation_control(dtp.DTPTransformer, leaky, **run)
    table = dtp.tl.permutation_control(
        dtp.DTPTransformer, leaky, protocol={"allow_shared_rows": True}, **run
    )
    assert table["observed"][0] > 0.8
