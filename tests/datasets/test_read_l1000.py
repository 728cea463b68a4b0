from __future__ import annotations

import h5py
import numpy as np
import pandas as pd
import pytest

from dtp_scvi.datasets import read_l1000

RNG = np.random.default_rng(0)
N_GENES = 30


def wells() -> pd.DataFrame:
    """Two plates of 16: DMSO, water, a ligand, and compounds in several units."""
    kinds = ["ctl_vehicle"] * 3 + ["trt_cp"] * 12 + ["trt_lig"]
    ids = ["DMSO", "DMSO", "H2O", *(f"BRD-K{i % 4}" for i in range(12)), "IL6"]
    units = ["-666"] * 3 + ["um"] * 10 + ["nM", "%", "ng/mL"]
    one = pd.DataFrame(
        {
            "pert_id": ids,
            "pert_iname": [name.lower() for name in ids],
            "pert_type": kinds,
            "pert_dose": [-666.0] * 3 + [10.0] * 10 + [500.0, 1.0, 2.0],
            "pert_dose_unit": units,
            "pert_time": [24] * 16,
            "pert_time_unit": "h",
            "cell_id": "A375",
        }
    )
    both = pd.concat([one, one.assign(cell_id="PC3", pert_time=6)], ignore_index=True)
    both["rna_plate"] = np.repeat(["P1", "P2"], 16)
    both.insert(0, "inst_id", [f"{p}:{i:02d}" for i, p in enumerate(both["rna_plate"])])
    return both


def genes() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "pr_gene_id": np.arange(100, 100 + N_GENES),
            "pr_gene_symbol": [f"G{i}" for i in range(N_GENES)],
            "pr_is_lm": [i % 2 for i in range(N_GENES)],
        }
    )


COMPOUNDS = pd.DataFrame(
    {"pert_id": [f"BRD-K{i}" for i in range(4)], "canonical_smiles": ["CCO", "CCN", "CCC", "CC"]}
)


def write(path, values, ids=None, gene_ids=None, columns=None):
    """Write what cmapPy writes: the matrix on its side, ids and columns as byte strings."""
    ids = wells()["inst_id"] if ids is None else ids
    gene_ids = genes()["pr_gene_id"].astype(str) if gene_ids is None else gene_ids
    with h5py.File(path, "w") as file:
        file.attrs["version"] = np.bytes_("GCTX1.0")
        file["0/DATA/0/matrix"] = values.astype(np.float32)
        file["0/META/COL/id"] = np.array([str(i).encode() for i in ids])
        file["0/META/ROW/id"] = np.array([str(i).encode() for i in gene_ids])
        for name, column in (columns or {}).items():
            text = column.dtype == object
            file[f"0/META/COL/{name}"] = (
                np.array([v.encode() for v in column]) if text else column.to_numpy()
            )
    return path


@pytest.fixture
def values() -> np.ndarray:
    return RNG.normal(8, 2, (32, N_GENES)).clip(2, 15)


@pytest.fixture
def level3(tmp_path, values):
    # The order in the file is not that of the table.
    order = RNG.permutation(32)
    ids = wells()["inst_id"].to_numpy()[order]
    return write(tmp_path / "level3.gctx", values[order], ids)


def test_compounds_and_dmso_in_standard_columns(level3, values):
    adata = read_l1000(level3, wells(), gene_info=genes(), compounds=COMPOUNDS)
    assert adata.var_names.tolist() == [f"G{i}" for i in range(1, N_GENES, 2)]
    row = wells().set_index("inst_id").index.get_indexer(adata.obs_names)
    np.testing.assert_allclose(adata.X, values[row][:, 1::2], rtol=1e-6)
    obs = adata.obs
    assert obs["is_control"].sum() == 4
    assert (obs.loc[obs["is_control"], "drug"] == "DMSO").all()
    treated = obs[~obs["is_control"]]
    assert set(treated["drug"]) == {f"BRD-K{i}" for i in range(4)}
    assert (treated.loc[treated["drug"] == "BRD-K1", "smiles"] == "CCN").all()
    assert sorted(treated["dose"].unique()) == [0.5, 10.0]  # 500 nM
    assert sorted(treated["pert_dose"].unique()) == [10.0, 500.0]
    assert obs.groupby("cell", observed=True)["time"].first().to_dict() == {"A375": 24, "PC3": 6}
    report = adata.uns["dtp_perturbation"]["report"]
    assert report["reason"].value_counts().to_dict() == {
        "neither a compound nor a vehicle": 2,
        "another vehicle than DMSO": 2,
        "pert_dose in another unit": 2,
    }


def test_a_part_of_a_file_and_what_lincs_2020_calls_things(level3, tmp_path):
    table = wells().rename(
        columns={"inst_id": "sample_id", "cell_id": "cell_iname", "pert_iname": "cmap_name"}
    )
    table.to_csv(tmp_path / "instinfo_beta.txt", sep="\t", index=False)
    info = genes().rename(columns={"pr_gene_id": "gene_id", "pr_gene_symbol": "gene_symbol"})
    info["feature_space"] = np.where(info.pop("pr_is_lm") == 1, "landmark", "inferred")
    adata = read_l1000(
        level3, tmp_path / "instinfo_beta.txt", gene_info=info, compounds=COMPOUNDS, cells=["PC3"]
    )
    assert adata.obs["cell"].unique().tolist() == ["PC3"]
    assert adata.n_vars == N_GENES // 2
    record = adata.uns["dtp_perturbation"]
    assert record["files"]["role"].tolist() == ["expression", "wells", "compounds", "genes"]
    later = read_l1000(level3, wells(), compounds=COMPOUNDS, times=[24])
    assert later.obs["cell"].unique().tolist() == ["A375"]
    assert later.n_vars == N_GENES
    adata.write_h5ad(tmp_path / "x.h5ad")


def test_what_the_file_says_of_its_columns(tmp_path, values):
    table = wells().assign(canonical_smiles="CCO")
    path = write(tmp_path / "own.gctx", values, columns=dict(table.set_index("inst_id").items()))
    adata = read_l1000(path)
    assert adata.obs["is_control"].sum() == 4
    assert adata.obs["smiles"].unique().tolist() == ["CCO"]


def test_as_cmappy_reads_it(level3):
    parse = pytest.importorskip("cmapPy.pandasGEXpress.parse_gctx").parse
    theirs = parse(str(level3)).data_df.T
    ours = read_l1000(level3, wells(), compounds=COMPOUNDS).to_df()
    np.testing.assert_allclose(ours, theirs.loc[ours.index, ours.columns])


def test_a_file_that_cmappy_wrote(tmp_path, values, monkeypatch):
    # cmapPy 4.0.1 knows this name, which NumPy 2 dropped.
    monkeypatch.setattr(np, "string_", np.bytes_, raising=False)
    gctoo = pytest.importorskip("cmapPy.pandasGEXpress.GCToo").GCToo
    write_gctx = pytest.importorskip("cmapPy.pandasGEXpress.write_gctx").write
    table = wells().set_index("inst_id")
    data = pd.DataFrame(values.T, index=genes()["pr_gene_id"].astype(str), columns=table.index)
    write_gctx(gctoo(data, col_metadata_df=table.copy()), str(tmp_path / "theirs.gctx"))
    with pytest.warns(UserWarning, match="4 of 4 drugs have no SMILES"):
        adata = read_l1000(tmp_path / "theirs.gctx")
    row = table.index.get_indexer(adata.obs_names)
    np.testing.assert_allclose(adata.X, values[row], rtol=1e-6)


def test_blocks_are_put_together_in_the_order_asked_for(level3, values, monkeypatch):
    monkeypatch.setattr("dtp_scvi.datasets._gctx._BLOCK", 5 * N_GENES)
    adata = read_l1000(level3, wells()[::-1], compounds=COMPOUNDS)
    row = wells().set_index("inst_id").index.get_indexer(adata.obs_names)
    np.testing.assert_allclose(adata.X, values[row], rtol=1e-6)


def test_plates_without_a_control_and_drugs_without_smiles_are_told_of(level3):
    table = wells()
    table = table[(table["rna_plate"] == "P1") | (table["pert_type"] != "ctl_vehicle")]
    with (
        pytest.warns(UserWarning, match=r"1 of 4 drugs have no SMILES \(BRD-K0\)"),
        pytest.warns(UserWarning, match=r"1 plates have no control well \(P2\)"),
    ):
        adata = read_l1000(level3, table, compounds=COMPOUNDS[1:])
    record = adata.uns["dtp_perturbation"]
    assert record["plates_without_control"].tolist() == ["P2"]
    assert record["drugs_without_smiles"].tolist() == ["BRD-K0"]


@pytest.mark.parametrize(
    ("change", "arguments", "error", "match"),
    [
        (lambda t: t[t["pert_type"] != "ctl_vehicle"], {}, ValueError, "no control row"),
        (lambda t: t.assign(inst_id=t["inst_id"] + "x"), {}, ValueError, "none of P"),
        (lambda t: t.drop(columns="pert_type"), {}, KeyError, "a column pert_type"),
        (lambda t: t.drop(columns="inst_id"), {}, KeyError, "inst_id or sample_id"),
        (lambda t: t.drop(columns="pert_dose"), {}, KeyError, "columns for dose"),
        (lambda t: t.assign(pert_dose="10 uM"), {}, ValueError, "found text"),
        (lambda t: t.assign(pert_dose=-666.0), {}, ValueError, "above 0"),
        (lambda t: t, {"cells": ["MCF7"]}, ValueError, "none of MCF7. There are: A375, PC3"),
        (lambda t: t, {"times": [48]}, ValueError, "wells of each of `times`"),
        (lambda t: t.assign(pert_type="trt_sh"), {}, ValueError, "compounds and DMSO wells"),
    ],
)
def test_bad_tables(level3, change, arguments, error, match):
    with pytest.raises(error, match=match):
        read_l1000(level3, change(wells()), compounds=COMPOUNDS, **arguments)


def test_bad_files(tmp_path, values):
    table = wells()
    counts = RNG.poisson(3.0, values.shape)
    with pytest.raises(ValueError, match=r"logarithms in counts\.gctx; found counts"):
        read_l1000(write(tmp_path / "counts.gctx", counts), table, compounds=COMPOUNDS)
    scaled = values - values.mean(axis=0)
    with pytest.raises(ValueError, match="level-4 or level-5"):
        read_l1000(write(tmp_path / "z.gctx", scaled), table, compounds=COMPOUNDS)
    with pytest.raises(ValueError, match="a matrix of 32 samples x 30 genes"):
        read_l1000(write(tmp_path / "side.gctx", values.T), table)
    with pytest.raises(ValueError, match="P1:00 several times"):
        read_l1000(write(tmp_path / "twice.gctx", values, ["P1:00"] * 32), table)
    many = np.zeros((32, 979))
    with pytest.raises(ValueError, match="a table that tells landmark genes"):
        read_l1000(write(tmp_path / "all.gctx", many, gene_ids=range(979)), table)
    (tmp_path / "text.gctx").write_text("no")
    with pytest.raises(ValueError, match=r"text\.gctx to be a \.gctx file"):
        read_l1000(tmp_path / "text.gctx")
    with h5py.File(tmp_path / "other.gctx", "w") as file:
        file["x"] = 1
    with pytest.raises(ValueError, match="the layout of GCTx"):
        read_l1000(tmp_path / "other.gctx")
    with pytest.raises(FileNotFoundError, match=r"a \.gctx file"):
        read_l1000(tmp_path / "none.gctx")
