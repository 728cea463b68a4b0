"""New drugs by SMILES, pretrained weights, fine-tuning, edges that travel."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import torch

from dtp_scvi.model import PertDiT, XPert

pytest.importorskip("rdkit")

KEYS = {
    "drug_key": "drug",
    "smiles_key": "smiles",
    "dose_key": "dose",
    "cell_key": "cell",
    "control_label": "DMSO",
}
SMILES = ["CCO", "c1ccccc1O", "CC(=O)Nc1ccc(O)cc1", "CCN", "c1ccncc1", "CCCC"]
TINY = {
    XPert: {"d_model": 8, "n_heads": 2, "treated": ("cross",), "untreated": 1, "d_head": 8},
    PertDiT: {"d_model": 8, "n_heads": 2, "n_layers": 1, "d_hidden": 8, "n_steps": 5},
}
EACH = pytest.mark.parametrize("cls", [XPert, PertDiT])


def simulated(smiles=SMILES, cells=("A", "B"), genes=None, seed=0, shift=0.0):
    rng = np.random.default_rng(seed)
    rows = [(f"drug {s}", s, cell) for s in smiles for cell in cells]
    rows += [("DMSO", "CS(C)=O", cell) for cell in cells for _ in range(4)]
    obs = pd.DataFrame(rows, columns=["drug", "smiles", "cell"])
    obs.index = [f"well {i}" for i in range(len(obs))]
    obs["dose"] = np.where(obs["drug"] == "DMSO", np.nan, 10.0)
    n_treated = len(smiles) * len(cells)
    part = np.array(["train", "train", "valid", "test"])[np.arange(len(obs)) // len(cells) % 4]
    obs["split"] = np.where(np.arange(len(obs)) < n_treated, part, "control")
    genes = [f"gene {g}" for g in range(10)] if genes is None else genes
    x = rng.normal(8 + shift, 1, (len(obs), len(genes))).astype(np.float32)
    return ad.AnnData(x, obs, pd.DataFrame(index=genes))


def trained(cls, adata=None, **options):
    adata = simulated() if adata is None else adata
    cls.setup_anndata(adata, **KEYS)
    model = cls(adata, **TINY[cls] | options)
    model.train(max_epochs=2, lr=1e-2, ema=0.0)
    return model


def stirred(model):
    """Move every weight away from zero: two epochs on noise leave a network at its start."""
    generator = torch.Generator().manual_seed(9)
    with torch.no_grad():
        for parameter in model.module.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
    return model


@EACH
def test_a_new_drug_is_read_from_its_smiles(cls):
    model = stirred(trained(cls))
    query = model.adata[model.adata.obs["drug"] == "drug CCO"].copy()
    expected = model.predict(query)
    del query.uns["drugs"]
    query.obs["drug"] = "a new name"
    # The same structure under another name, and another way to write it.
    query.obs["smiles"] = "OCC"
    pd.testing.assert_frame_equal(model.predict(query), expected, atol=1e-6)
    query.obs["smiles"] = "c1ccccc1"
    assert not np.allclose(model.predict(query), expected)
    assert model.module.drugs.sizes.n_drugs == len(SMILES)


@EACH
def test_a_new_drug_without_smiles(cls):
    model = trained(cls)
    query = model.adata[model.adata.obs["drug"] == "drug CCO"].copy()
    query.obs["drug"] = "mystery"
    del query.obs["smiles"], query.uns["drugs"]
    with pytest.raises(ValueError, match=r"structure of every drug; found 1 .*\(mystery\)"):
        model.predict(query)
    query.obs["smiles"] = "no structure"
    with pytest.raises(ValueError, match="SMILES that RDKit can read"):
        model.predict(query)


def test_a_new_drug_may_have_fewer_atoms_but_not_more():
    model = trained(XPert)
    query = model.adata[model.adata.obs["drug"] == "drug CCO"].copy()
    del query.uns["drugs"]
    query.obs["drug"] = "methane"
    query.obs["smiles"] = "C"
    assert np.isfinite(model.predict(query)).all(axis=None)
    query.obs["smiles"] = "C" * 40
    with pytest.warns(UserWarning, match="Atoms beyond 11 were left out of 1 drugs"):
        model.predict(query)


@EACH
def test_a_loaded_model_reads_new_drugs(cls, tmp_path):
    model = trained(cls)
    model.save(tmp_path / "model")
    query = simulated(["CCCl", "CCBr"], seed=5)
    from dtp_scvi.pp import pair_controls

    pair_controls(query, drug_key="drug", control_label="DMSO", cell_key="cell")
    pd.testing.assert_frame_equal(
        cls.load(tmp_path / "model").predict(query), model.predict(query)
    )


@EACH
def test_pretrained_weights_fit_by_name(cls, tmp_path):
    first = trained(cls)
    first.save(tmp_path / "model")
    same = simulated(seed=3)
    cls.setup_anndata(same, **KEYS)
    model = cls(same, **TINY[cls])
    assert len(model.load_pretrained(tmp_path / "model", strict=True)) == 0
    own = {k: v for k, v in model.module.state_dict().items() if not k.startswith("drugs.")}
    assert all((first.module.state_dict()[name] == value).all() for name, value in own.items())
    assert not model.is_trained_
    model.train(max_epochs=1)
    # Moments of genes came along: another fit of the new data would have its own.
    assert (model.module.x_mean == first.module.x_mean).all()


def test_what_does_not_fit_is_listed(tmp_path):
    trained(XPert, value="bins").save(tmp_path / "model")
    genes = [f"gene {g}" for g in range(5, 15)]
    other = simulated(cells=("A", "C", "D"), genes=genes)
    XPert.setup_anndata(other, **KEYS)
    model = XPert(other, **TINY[XPert] | {"value": "bins", "n_bins": 16})
    with pytest.warns(UserWarning, match="tensors start anew, in full or in part"):
        table = model.load_pretrained(tmp_path / "model")
    assert table.loc["genes.identity", "kept"] == pytest.approx(0.5)
    assert table.loc["cell_head.weight", "kept"] == pytest.approx(2 / 3)
    assert table.loc["genes.value.embedding.weight", "kept"] == 1
    assert table.loc["genes.value.edges", "shape"] == "(15,)"
    assert model.reinitialised_ is table
    # Without prior vectors of genes there is nothing to take over.
    assert model.module.genes.gene_vectors.numel() == 0
    assert "genes.gene_vectors" not in table.index
    assert not any(name.startswith(("treated", "untreated", "heads")) for name in table.index)
    with pytest.raises(ValueError, match=r"every tensor of the pretrained model to fit"):
        model.load_pretrained(tmp_path / "model", strict=True)
    pertdit = simulated()
    PertDiT.setup_anndata(pertdit, **KEYS)
    another = PertDiT(pertdit, **TINY[PertDiT])
    with pytest.raises(ValueError, match="a PertDiT in"):
        another.load_pretrained(tmp_path / "model")


@EACH
def test_fine_tuning_starts_there_and_leaves_the_model_alone(cls):
    model = trained(cls)
    before = model.id_
    other = simulated(["CCCl", "CCBr", "CCF", "CCI"], seed=4)
    cls.setup_anndata(other, **KEYS)
    tuned = model.fine_tune(other, max_epochs=1, lr=1e-9, ema=0.0)
    assert model.id_ == before
    assert tuned.drugs_ == [f"drug {s}" for s in sorted(["CCCl", "CCBr", "CCF", "CCI"])]
    query = other[other.obs["split"] == "test"].copy()
    # At a rate of nothing it predicts what the first one does.
    np.testing.assert_allclose(tuned.predict(query), model.predict(query), atol=1e-4)


def test_bins_keep_the_edges_they_were_trained_with():
    model = trained(XPert, value="bins")
    shifted = simulated(seed=4, shift=3.0)
    XPert.setup_anndata(shifted, **KEYS)
    tuned = model.fine_tune(shifted, max_epochs=1)
    fresh = XPert(shifted, **TINY[XPert], value="bins")
    fresh.train(max_epochs=1)
    edges = [m.module.genes.value.edges for m in (model, tuned, fresh)]
    assert (edges[0] == edges[1]).all()
    assert float(edges[2][0]) > float(edges[0][0]) + 1


def test_prior_vectors_of_genes_and_drugs():
    adata = simulated()
    rng = np.random.default_rng(0)
    adata.varm["network"] = rng.normal(size=(10, 3))
    XPert.setup_anndata(adata, **KEYS)
    names = adata.uns["drugs"]["table"].index
    known = np.arange(len(names)) > 0
    values = np.where(known[:, None], rng.normal(size=(len(names), 4)), 0).astype(np.float32)
    adata.uns["drugs"]["embeddings"] = {"kg": {"values": values, "known": known}}
    model = XPert(adata, **TINY[XPert], gene_vectors_key="network", graph_key="kg")
    model.train(max_epochs=1)
    np.testing.assert_allclose(model.module.genes.gene_vectors, adata.varm["network"], rtol=1e-6)
    assert model.module.drugs.in_graph.tolist() == known.tolist()
    query = adata[adata.obs["drug"] == "drug CCO"].copy()
    query.obs["drug"], query.obs["smiles"] = "new", "CCCCl"
    del query.uns["drugs"]
    assert np.isfinite(model.predict(query)).all(axis=None)


def test_text_tokens_need_a_text():
    adata = simulated()
    PertDiT.setup_anndata(adata, **KEYS)
    n = len(adata.uns["drugs"]["table"])
    mask = np.ones((n, 4), bool)
    mask[0, 2:] = False
    values = np.random.default_rng(0).normal(size=(n, 4, 6)).astype(np.float32)
    adata.uns["drugs"]["text"] = {"bert": {"values": values, "mask": mask}}
    model = PertDiT(adata, **TINY[PertDiT], fingerprint=None, text_key="bert")
    model.train(max_epochs=1)
    query = adata[adata.obs["drug"] == "drug CCO"].copy()
    assert np.isfinite(model.predict(query)).all(axis=None)
    # No drug is no text: the network looks at nothing, whatever the table says of others.
    nothing = query.copy()
    nothing.obs["drug"], nothing.obs["smiles"] = "DMSO", ""
    zeroed = model.predict(nothing)
    assert np.isfinite(zeroed).all(axis=None)
    model.module.drugs.tokens.normal_()
    pd.testing.assert_frame_equal(model.predict(nothing), zeroed)
    query.obs["drug"] = "new"
    with pytest.raises(ValueError, match="an embedded text of every drug"):
        model.predict(query)
    with pytest.raises(ValueError, match="atoms, a fingerprint, graph vectors or a text"):
        PertDiT(adata, **TINY[PertDiT], fingerprint=None)
