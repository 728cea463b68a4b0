from __future__ import annotations

import json
import pickle

import anndata as ad
import numpy as np
import pytest
import scipy.sparse as sp
import torch
from safetensors.torch import save_file

from dtp_scvi.data import check_same_options, embedding_matrix
from dtp_scvi.pp import to_gene_list
from dtp_scvi.tl import embed

N_GENES = 12
GENES = [f"G{i}" for i in range(N_GENES)]


def run(adata, checkpoint, **kwargs):
    given = {"genes": GENES, "model": "scfoundation", "accelerator": "cpu", **kwargs}
    embed(adata, checkpoint, **given)
    return adata.obsm[given.get("key_added") or "X_scfoundation"]


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def norm(x, w, prefix):
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    return x * w[prefix + ".weight"] + w[prefix + ".bias"]


def encode(values, positions, state):
    """One cell without padding, in numpy: the oracle."""
    w = {
        name.removeprefix("model."): tensor.numpy().astype(float) for name, tensor in state.items()
    }
    h = values[:, None] @ w["token_emb.mlp.weight"].T + w["token_emb.mlp.bias"]
    h = np.where(h > 0, h, 0.1 * h)
    h = h + h @ w["token_emb.mlp2.weight"].T + w["token_emb.mlp2.bias"]
    x = softmax(h) @ w["token_emb.emb.weight"] + w["pos_emb.weight"][positions]
    for i in range(2):
        p = f"encoder.transformer_encoder.{i}."
        qkv = x @ w[p + "self_attn.in_proj_weight"].T + w[p + "self_attn.in_proj_bias"]
        q, k, v = qkv.reshape(len(x), 3, 2, 4).transpose(1, 2, 0, 3)
        mixed = (softmax(q @ k.transpose(0, 2, 1) / 2.0) @ v).transpose(1, 0, 2).reshape(len(x), 8)
        mixed = mixed @ w[p + "self_attn.out_proj.weight"].T + w[p + "self_attn.out_proj.bias"]
        x = norm(x + mixed, w, p + "norm1")
        hidden = np.maximum(x @ w[p + "linear1.weight"].T + w[p + "linear1.bias"], 0)
        x = norm(x + hidden @ w[p + "linear2.weight"].T + w[p + "linear2.bias"], w, p + "norm2")
    return norm(x, w, "encoder.norm")


def expected(counts, resolution, state, pool="all"):
    """What the published script does, cell by cell: genes, then T, then S."""
    out = []
    for row in np.asarray(counts, float):
        total = row.sum()
        if resolution == "bulk":
            x = np.log1p(row / total * np.median(counts.sum(1)))
            source = aimed = np.log10(x.sum())
        else:
            x, source = np.log1p(row / total * 1e4), np.log10(total)
            number = float(resolution[1:])
            aimed = {"t": number, "a": source + number, "f": np.log10(total * number)}[
                resolution[0]
            ]
        values = np.append(x, [aimed, source])
        kept = np.flatnonzero(values > 0)
        h = encode(values[kept], kept, state)
        parts = [h[-1], h[-2], h[:-2].max(0), h[:-2].mean(0)]
        out.append(np.concatenate(parts) if pool == "all" else h.max(0))
    return np.array(out)


@pytest.mark.parametrize("resolution", ["t4", "a5", "f1", "f2.5", "bulk"])
@pytest.mark.parametrize("pool", ["all", "max"])
def test_against_an_independent_encoder(cells, checkpoint, state, resolution, pool):
    got = run(cells, checkpoint, resolution=resolution, pool=pool)
    assert got.shape == (11, 32 if pool == "all" else 8)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, expected(cells.X, resolution, state, pool), atol=2e-5)


@pytest.mark.parametrize("store", [sp.csr_matrix, sp.csc_matrix])
@pytest.mark.parametrize("batch_size", [1, 4, 100])
def test_batches_storage_and_order_do_not_matter(cells, checkpoint, store, batch_size):
    before = run(cells, checkpoint, batch_size=3)
    order = np.random.default_rng(0).permutation(11)
    genes = np.random.default_rng(1).permutation(N_GENES)
    other = cells[order][:, genes].copy()
    other.X = store(other.X)
    got = run(other, checkpoint, batch_size=batch_size)
    np.testing.assert_allclose(got, before[order], atol=1e-5)


def test_only_listed_genes_count(cells, checkpoint):
    alone = run(cells.copy(), checkpoint)
    more = ad.AnnData(np.c_[cells.X, np.full(11, 50.0)].astype(np.float32), obs=cells.obs)
    more.var_names = [*GENES, "OTHER"]
    np.testing.assert_allclose(run(more, checkpoint), alone, atol=1e-6)


def test_an_object_on_the_list(cells, checkpoint, tmp_path):
    (tmp_path / "genes.txt").write_text("\n".join(GENES))
    direct = run(cells, checkpoint, genes=tmp_path / "genes.txt")
    listed = to_gene_list(cells[:, ::-1].copy(), GENES, min_genes=0)
    np.testing.assert_allclose(run(listed, checkpoint, genes=None), direct, atol=1e-6)
    same = embedding_matrix(cells, "X_scfoundation").record["options"]
    assert embedding_matrix(listed, "X_scfoundation").record["options"] == same
    shuffled = listed[:, ::-1].copy()
    with pytest.raises(ValueError, match="whose genes were changed since"):
        run(shuffled, checkpoint, genes=None)
    with pytest.raises(ValueError, match=r"an object that dtp.pp.to_gene_list has not made"):
        run(cells, checkpoint, genes=None)


def test_what_is_recorded_keeps_options_apart(cells, checkpoint, tmp_path):
    records = {}
    for name, kwargs in {
        "a5": {"resolution": "a5"},
        "again": {"resolution": "a5", "batch_size": 2},
        "f1": {"resolution": "f1"},
        "bulk": {"resolution": "bulk"},
        "cell": {"resolution": "a5", "variant": "cell"},
    }.items():
        run(cells, checkpoint, key_added=name, **kwargs)
    cells.write_h5ad(tmp_path / "a.h5ad")
    back = ad.read_h5ad(tmp_path / "a.h5ad")
    records = {name: embedding_matrix(back, name).record for name in back.obsm}
    check_same_options(records["a5"], records["again"])
    check_same_options(records["a5"], records["bulk"])
    with pytest.raises(ValueError, match="resolution 'a5'; found resolution 'f1'"):
        check_same_options(records["a5"], records["f1"])
    with pytest.raises(ValueError, match="weights '"):
        check_same_options(records["a5"], records["cell"])
    assert records["bulk"]["about"]["target_sum"] == np.median(cells.X.sum(1))
    assert records["a5"]["about"]["checkpoint"] == "models.ckpt"


def test_a_folder_of_safetensors(cells, checkpoint, state, config, tmp_path):
    flat = {**config["model_config"]["mae_autobin"], **config["dataset_config"]["rnaseq"]}
    for name, settings in (("nested", config), ("flat", flat)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps(settings))
        save_file(state, folder / "model.safetensors")
        np.testing.assert_array_equal(run(cells, folder), run(cells, checkpoint))


def test_a_file_of_one_variant(cells, checkpoint, state, config, tmp_path):
    torch.save({"config": config, "model_state_dict": state}, tmp_path / "one.pt")
    np.testing.assert_array_equal(run(cells, tmp_path / "one.pt"), run(cells, checkpoint))


class Trap:
    def __reduce__(self):
        return (pytest.fail, ("the file was allowed to run code",))


def save(path, content):
    torch.save(content, path)
    return path


def test_files_that_could_run_code_are_not_opened(cells, state, tmp_path):
    path = save(tmp_path / "trap.ckpt", {"rde": {"config": Trap(), "state_dict": state}})
    with pytest.raises(ValueError, match="objects that could run code"):
        run(cells, path)
    path.write_bytes(pickle.dumps(Trap(), protocol=2))
    with pytest.raises(ValueError, match="objects that could run code"):
        run(cells, path)


def test_checkpoints_of_another_kind(cells, checkpoint, state, config, tmp_path):
    path = tmp_path / "x.ckpt"
    encoder = config["model_config"]["mae_autobin"]["encoder"]
    flat = {"seq_len": N_GENES + 2, "bin_num": 5, "bin_alpha": 1.0, "encoder": encoder}
    less = {name: value for name, value in state.items() if "norm1" not in name}
    for content, match in [
        (
            {"gene": {"config": config, "state_dict": state}},
            "the variant 'rde' in x.ckpt; found gene",
        ),
        ({"config": config}, "`config` and `state_dict` in x.ckpt"),
        ([1], "`config` and `state_dict` in x.ckpt; found list"),
        ({"config": {}, "state_dict": state}, r"none named seq_len, .* encoder.heads"),
        (
            {"config": {**flat, "encoder": {**encoder, "norm_first": True}}, "state_dict": state},
            "post-norm",
        ),
        ({"config": flat, "state_dict": less}, "4 missing"),
        ({"config": {**flat, "bin_num": 6}, "state_dict": state}, "5 of another shape"),
        (
            {"config": flat, "state_dict": {**state, "model.more": state["model.norm.weight"]}},
            "more",
        ),
    ]:
        with pytest.raises(ValueError, match=match):
            run(cells, save(path, content))
    path.write_bytes(checkpoint.read_bytes()[:500])
    with pytest.raises(ValueError, match=r"weights in x.ckpt|objects that could"):
        run(cells, path)


def test_another_number_of_genes(cells, checkpoint):
    with pytest.raises(ValueError, match="the 12 genes of the checkpoint; found a list of 11"):
        run(cells, checkpoint, genes=GENES[:11])


def test_what_is_no_counts(cells, checkpoint):
    wide = ad.AnnData(np.random.default_rng(0).poisson(2.0, (80, 300)).astype(np.float32))
    wide.var_names = [*GENES, *(f"H{i}" for i in range(288))]
    wide.X = np.log1p(1e4 * wide.X / wide.X.sum(1, keepdims=True))
    with pytest.raises(ValueError, match=r"counts in adata.X.*'log1p_cp10k'.*layer=\"counts\""):
        run(wide, checkpoint)


def test_rows_with_hardly_a_count(cells, checkpoint):
    cells.X[3] = 0
    cells.X[5] = 0
    cells.X[5, 1] = 1
    with pytest.raises(ValueError, match="found 2 rows without: c3, c5"):
        run(cells, checkpoint)
    assert "X_scfoundation" not in cells.obsm


def test_depth_tokens_above_zero(cells, checkpoint):
    with pytest.raises(ValueError, match="S and T above zero"):
        run(cells, checkpoint, resolution="f0.001")
    with pytest.raises(ValueError, match="S and T above zero"):
        run(cells, checkpoint, resolution="t0")


@pytest.mark.parametrize(
    ("kwargs", "error", "match"),
    [
        ({"model": "scgpt"}, ValueError, "`model` to be one of 'geneformer', 'scfoundation'"),
        ({"resolution": "5"}, ValueError, "`resolution` to be 'bulk', or"),
        ({"pool": "mean"}, ValueError, "`pool` to be one of"),
        ({"batch_size": 0}, ValueError, "`batch_size` to be a whole number"),
        ({"accelerator": "tpu"}, ValueError, "`accelerator` to be one of"),
        ({"variant": "rda"}, ValueError, "Did you mean rde?"),
    ],
)
def test_bad_arguments(cells, checkpoint, kwargs, error, match):
    with pytest.raises(error, match=match):
        run(cells, checkpoint, **kwargs)


def test_no_checkpoint(cells, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing. Download it first.*nothing is fetched"):
        run(cells, tmp_path / "none.ckpt")


def test_global_state_of_torch_stays(cells, checkpoint):
    before = torch.random.get_rng_state()
    run(cells, checkpoint)
    assert torch.equal(before, torch.random.get_rng_state())
