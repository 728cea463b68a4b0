"""Controls are drawn apart within plates, whatever the storage and the order of rows."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from dtp_scvi import pp

PLATES = ("p1", "p2", "p3")


def make_wells(n_control=6, n_treated=8, n_genes=5, seed=0):
    rng = np.random.default_rng(seed)
    plate = np.repeat(PLATES, n_control + n_treated)
    drug = (["DMSO"] * n_control + [f"d{i % 4}" for i in range(n_treated)]) * len(PLATES)
    cell = np.where(plate == "p3", "B", "A")
    obs = pd.DataFrame({"drug": drug, "plate": plate, "cell": cell})
    obs.index = [f"w{i}" for i in range(len(obs))]
    values = rng.normal(8, 1, (len(obs), n_genes)).astype(np.float32)
    return ad.AnnData(values, obs, pd.DataFrame(index=[f"g{i}" for i in range(n_genes)]))


KEYS = {"drug_key": "drug", "control_label": "DMSO", "plate_key": "plate", "cell_key": "cell"}


def test_means_are_those_of_disjoint_wells_of_the_plate():
    wells = make_wells()
    assert pp.pair_controls(wells, **KEYS) is None
    role = wells.obs["dtp_control_role"].astype(str).to_numpy()
    for plate in PLATES:
        here = (wells.obs["plate"] == plate).to_numpy()
        for key, part in (("dtp_control", "input"), ("dtp_control_scoring", "scoring")):
            mean = wells.X[here & (role == part)].mean(axis=0)
            assert (here & (role == part)).sum() == 3
            np.testing.assert_allclose(
                wells.obsm[key][here], np.tile(mean, (here.sum(), 1)), rtol=1e-5
            )
    assert wells.obsm["dtp_control"].dtype == np.float32
    record = wells.uns["dtp_controls"]
    assert record["plates"]["n_input"].tolist() == [3, 3, 3]
    assert record["plates"]["n_treated"].tolist() == [8, 8, 8]
    assert record["n_without_scoring"] == 0
    assert record["params"]["plate_key"] == "plate"


@pytest.mark.parametrize("how", ["plate_mean", "well"])
@pytest.mark.parametrize("storage", ["csr", "csc", "backed", "shuffled"])
def test_same_controls_in_any_storage_and_order(how, storage, tmp_path):
    wells = make_wells()
    expected = pp.pair_controls(wells, **KEYS, how=how, copy=True)
    other = make_wells()
    if storage == "backed":
        other.write_h5ad(tmp_path / "wells.h5ad")
        other = ad.read_h5ad(tmp_path / "wells.h5ad", backed="r")
    elif storage == "shuffled":
        other = other[np.random.default_rng(1).permutation(other.n_obs)].copy()
    else:
        other.X = {"csr": sp.csr_matrix, "csc": sp.csc_matrix}[storage](other.X)
    pp.pair_controls(other, **KEYS, how=how)
    at = expected.obs_names.get_indexer(other.obs_names)
    for key in ("dtp_control", "dtp_control_scoring"):
        np.testing.assert_array_equal(other.obsm[key], expected.obsm[key][at])
    assert (
        other.obs["dtp_control_role"].tolist()
        == expected.obs["dtp_control_role"].iloc[at].tolist()
    )


def test_a_well_is_an_input_well_of_the_plate():
    wells = make_wells()
    pp.pair_controls(wells, **KEYS, how="well")
    inputs = wells[wells.obs["dtp_control_role"] == "input"]
    for plate, control in zip(wells.obs["plate"], wells.obsm["dtp_control"], strict=True):
        own = inputs[inputs.obs["plate"] == plate].X
        assert (own == control).all(axis=1).sum() == 1
    assert len(np.unique(wells.obsm["dtp_control"], axis=0)) > len(PLATES)


def test_seed_decides_which_wells():
    roles = [
        pp.pair_controls(make_wells(), **KEYS, seed=seed, copy=True)
        .obs["dtp_control_role"]
        .tolist()
        for seed in (0, 0, 1)
    ]
    assert roles[0] == roles[1] != roles[2]


def test_scoring_share_leaves_at_least_one_well_on_either_side():
    for share, n in ((0.01, 1), (0.34, 2), (0.99, 5)):
        wells = pp.pair_controls(make_wells(), **KEYS, scoring_share=share, copy=True)
        assert wells.uns["dtp_controls"]["plates"]["n_scoring"].tolist() == [n] * 3


def short(n_left):
    """All but ``n_left`` controls of plate p2 removed."""
    wells = make_wells()
    control = ((wells.obs["drug"] == "DMSO") & (wells.obs["plate"] == "p2")).to_numpy()
    return wells[np.setdiff1d(np.arange(wells.n_obs), np.flatnonzero(control)[n_left:])].copy()


def test_a_plate_without_controls_is_named():
    with pytest.raises(
        ValueError, match=r"control wells on every plate; found none on 'p2' \(A\)"
    ):
        pp.pair_controls(short(0), **KEYS)


def test_a_plate_with_one_control_is_named():
    with pytest.raises(ValueError, match=r"at least two control wells.*one on 'p2' \(A\)"):
        pp.pair_controls(short(1), **KEYS)


def test_a_plate_with_one_control_may_go_without_scoring():
    wells = short(1)
    pp.pair_controls(wells, **KEYS, no_scoring="nan")
    lacking = np.isnan(wells.obsm["dtp_control_scoring"]).all(axis=1)
    assert (lacking == (wells.obs["plate"] == "p2")).all()
    assert wells.uns["dtp_controls"]["n_without_scoring"] == 8
    assert np.isfinite(wells.obsm["dtp_control"]).all()


@pytest.mark.parametrize("n_left", [0, 1])
def test_fallback_takes_wells_of_the_cell_line_still_apart(n_left):
    wells = short(n_left)
    pp.pair_controls(wells, **KEYS, fallback="cell")
    role = wells.obs["dtp_control_role"].astype(str).to_numpy()
    here, line = ((wells.obs["plate"] == "p2").to_numpy(), (wells.obs["cell"] == "A").to_numpy())
    for key, part in (("dtp_control", "input"), ("dtp_control_scoring", "scoring")):
        mean = wells.X[line & (role == part)].mean(axis=0)
        np.testing.assert_allclose(wells.obsm[key][here][0], mean, rtol=1e-5)


def test_fallback_does_not_cross_cell_lines():
    wells = make_wells()
    wells = wells[~((wells.obs["drug"] == "DMSO") & (wells.obs["cell"] == "B"))].copy()
    with pytest.raises(ValueError, match="Their cell lines have none either"):
        pp.pair_controls(wells, **KEYS, fallback="cell")


def test_named_rows_are_scored_by_the_others():
    wells = make_wells()
    wells.obs["pair"] = ["w1" if p == "p1" else "w15" for p in wells.obs["plate"]]
    wells = wells[wells.obs["plate"] != "p3"].copy()
    pp.pair_controls(wells, **KEYS, control_index_key="pair")
    treated = (wells.obs["dtp_control_role"] == "treated").to_numpy()
    p1 = treated & (wells.obs["plate"] == "p1").to_numpy()
    np.testing.assert_array_equal(wells.obsm["dtp_control"][p1][0], wells["w1"].X.ravel())
    others = wells[["w0", "w2", "w3", "w4", "w5"]].X.mean(axis=0)
    np.testing.assert_allclose(wells.obsm["dtp_control_scoring"][p1][0], others, rtol=1e-5)
    assert wells.obs.loc["w1", "dtp_control_role"] == "both"
    assert wells.obs.loc["w0", "dtp_control_role"] == "scoring"


def test_given_profiles_are_found_among_the_wells():
    wells = make_wells()
    wells.obs["pair"] = ["w1"] * 14 + ["w15"] * 14 + ["w29"] * 14
    named = pp.pair_controls(wells, **KEYS, control_index_key="pair", copy=True)
    wells.obsm["ctl"] = named.obsm["dtp_control"].copy()
    pp.pair_controls(wells, **KEYS, control_key="ctl")
    treated = (wells.obs["dtp_control_role"] == "treated").to_numpy()
    for key in ("dtp_control", "dtp_control_scoring"):
        np.testing.assert_array_equal(wells.obsm[key][treated], named.obsm[key][treated])


def test_unknown_profiles_are_not_scored():
    wells = make_wells()
    wells.obsm["ctl"] = wells.X + 0.5
    with pytest.warns(UserWarning, match="24 treated rows is no control well"):
        pp.pair_controls(wells, **KEYS, control_key="ctl")
    treated = (wells.obs["dtp_control_role"] == "treated").to_numpy()
    assert np.isnan(wells.obsm["dtp_control_scoring"][treated]).all()
    assert wells.uns["dtp_controls"]["n_without_scoring"] == 24


def test_raw_counts_are_refused_and_logged_on_request():
    wells = make_wells(n_genes=30)
    wells.X = np.random.default_rng(0).poisson(20, wells.shape).astype(np.float32)
    with pytest.raises(ValueError, match=r"logarithms in adata.X; found counts"):
        pp.pair_controls(wells, **KEYS)
    pp.pair_controls(wells, **KEYS, log=True)
    expected = np.log1p(1e4 * wells.X / wells.X.sum(axis=1, keepdims=True))
    np.testing.assert_allclose(wells.layers["dtp_log1p"], expected, rtol=1e-5)
    inputs = (wells.obs["dtp_control_role"] == "input").to_numpy()
    first = inputs & (wells.obs["plate"] == "p1").to_numpy()
    np.testing.assert_allclose(
        wells.obsm["dtp_control"][0], expected[first].mean(axis=0), rtol=1e-5
    )
    assert wells.uns["dtp_controls"]["params"]["layer"] == "dtp_log1p"


def test_sparse_counts_are_logged_alike():
    wells = make_wells(n_genes=30)
    wells.X = np.random.default_rng(0).poisson(3, wells.shape).astype(np.float32)
    expected = pp.pair_controls(wells, **KEYS, log=True, copy=True)
    wells.X = sp.csr_matrix(wells.X)
    pp.pair_controls(wells, **KEYS, log=True)
    np.testing.assert_allclose(wells.obsm["dtp_control"], expected.obsm["dtp_control"], rtol=1e-6)


def test_log2_without_a_pseudocount_is_a_logarithm():
    """Such values go below zero; they are taken as they are."""
    wells = make_wells(n_genes=200)
    gene = np.random.default_rng(0).normal(8, 3, 200)
    wells.X = (wells.X - 8 + gene).astype(np.float32)
    assert wells.X.min() < -1
    pp.pair_controls(wells, **KEYS)
    inputs = (wells.obs["dtp_control_role"] == "input") & (wells.obs["plate"] == "p1")
    mean = wells.X[inputs.to_numpy()].mean(axis=0)
    np.testing.assert_allclose(wells.obsm["dtp_control"][0], mean, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="as log=True takes their logarithm"):
        pp.pair_controls(wells, **KEYS, log=True)


def test_logarithms_are_not_logged_again():
    with pytest.raises(ValueError, match="as log=True takes their logarithm"):
        pp.pair_controls(make_wells(), **KEYS, log=True)


def test_result_survives_a_file(tmp_path):
    wells = make_wells()
    pp.pair_controls(wells, **KEYS)
    wells.write_h5ad(tmp_path / "wells.h5ad")
    read = ad.read_h5ad(tmp_path / "wells.h5ad")
    pd.testing.assert_frame_equal(
        read.uns["dtp_controls"]["plates"], wells.uns["dtp_controls"]["plates"]
    )
    np.testing.assert_array_equal(read.obsm["dtp_control"], wells.obsm["dtp_control"])


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"control_label": None}, "none of them"),
        ({"control_label": "DMS"}, "Did you mean DMSO"),
        ({"control_key": "a", "control_index_key": "b"}, "one source of controls"),
        ({"how": "mean"}, "`how` to be one of"),
        ({"scoring_share": 1.0}, "`scoring_share` in"),
        ({"fallback": "plate"}, "`fallback` to be one of"),
        ({"no_scoring": "skip"}, "`no_scoring` to be one of"),
    ],
)
def test_bad_arguments(change, match):
    with pytest.raises(ValueError, match=match):
        pp.pair_controls(make_wells(), **{**KEYS, **change})


def test_bad_columns_and_keys():
    for change, match in (
        ({"drug_key": "drugs"}, "Did you mean drug"),
        ({"plate_key": "plat"}, "Did you mean plate"),
        ({"control_key": "ctl"}, "`control_key` to name a key"),
        ({"control_index_key": "pair"}, "`control_index_key` to name a key"),
    ):
        with pytest.raises(KeyError, match=match):
            pp.pair_controls(make_wells(), **{**KEYS, **change})


def test_bad_objects():
    wells = make_wells()
    twice = wells.copy()
    twice.obs_names = ["w0", *wells.obs_names[:-1]]
    with pytest.raises(ValueError, match="'w0' twice"):
        pp.pair_controls(twice, **KEYS)
    with pytest.raises(ValueError, match="controls alone"):
        pp.pair_controls(wells[wells.obs["drug"] == "DMSO"].copy(), **KEYS)
    wells.obs["pair"] = "w999"
    with pytest.raises(ValueError, match="that are no row: w999"):
        pp.pair_controls(wells, **KEYS, control_index_key="pair")
    wells.obs["pair"] = "w7"
    with pytest.raises(ValueError, match="to name control rows"):
        pp.pair_controls(wells, **KEYS, control_index_key="pair")
    wells.obsm["ctl"] = np.ones((wells.n_obs, 2))
    with pytest.raises(ValueError, match="of shape"):
        pp.pair_controls(wells, **KEYS, control_key="ctl")
    wells.X[3, 2] = np.nan
    with pytest.raises(ValueError, match="1 NaN"):
        pp.pair_controls(wells, **KEYS)


def test_rows_without_structures_of_plates_are_one_plate():
    wells = make_wells()
    pp.pair_controls(wells, drug_key="drug", control_label="DMSO")
    assert len(np.unique(wells.obsm["dtp_control"], axis=0)) == 1
    assert wells.uns["dtp_controls"]["plates"]["n_control"].tolist() == [18]
