from __future__ import annotations

import json
import socket

import anndata as ad
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from dtp_scvi.data import check_same_options, embedding_matrix
from dtp_scvi.pp import rank_tokens
from dtp_scvi.tl import embed

GENES = [f"G{i}" for i in range(12)]

transformers = pytest.importorskip(
    "transformers", reason="the extra `embeddings` (transformers) is not installed"
)

VOCABULARY = {"<pad>": 0, "<mask>": 1, **{gene: i + 2 for i, gene in enumerate(GENES)}}
MEDIANS = dict(zip(GENES, np.linspace(0.5, 3, len(GENES)), strict=True))


def write_checkpoint(folder, seed=0, **kwargs):
    config = transformers.BertConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=8,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=16,
        pad_token_id=0,
        hidden_act="relu",
        initializer_range=0.5,
        **kwargs,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = transformers.BertForMaskedLM(config).eval()
    network.save_pretrained(folder)
    return network


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("geneformer")


@pytest.fixture(scope="session")
def network(folder):
    return write_checkpoint(folder)


@pytest.fixture
def tokens(cells):
    rank_tokens(cells, MEDIANS, vocabulary=VOCABULARY, scale="counts", n_tokens=10)
    return cells


def run(adata, folder, **kwargs):
    embed(adata, folder, model="geneformer", accelerator="cpu", **kwargs)
    return adata.obsm[kwargs.get("key_added", "X_geneformer")]


def test_the_second_to_last_layer_of_one_cell_at_a_time(tokens, folder, network):
    got = run(tokens, folder)
    assert got.dtype == np.float32
    for row, length, mine in zip(
        tokens.obsm["X_rank_tokens"], tokens.obs["X_rank_tokens_length"], got, strict=True
    ):
        ids = torch.tensor(row[:length].astype(np.int64))[None]
        with torch.no_grad():
            hidden = network(input_ids=ids, output_hidden_states=True).hidden_states
        assert len(hidden) == 4
        np.testing.assert_allclose(mine, hidden[-2][0].mean(0).numpy(), atol=1e-5)


@pytest.mark.parametrize("batch_size", [1, 4, 100])
def test_batches_and_order_of_rows_do_not_matter(tokens, folder, network, batch_size):
    before = run(tokens, folder, batch_size=3)
    order = np.random.default_rng(0).permutation(tokens.n_obs)
    other = tokens[order].copy()
    got = run(other, folder, batch_size=batch_size)
    np.testing.assert_allclose(got, before[order], atol=1e-5)


def test_what_is_recorded(tokens, folder, network, tmp_path):
    run(tokens, folder)
    write_checkpoint(tmp_path / "other", seed=1)
    run(tokens, tmp_path / "other", key_added="other")
    tokens.write_h5ad(tmp_path / "a.h5ad")
    back = ad.read_h5ad(tmp_path / "a.h5ad")
    first, second = (embedding_matrix(back, key).record for key in ("X_geneformer", "other"))
    assert first["model"] == "geneformer"
    assert first["n_dims"] == 8
    assert first["options"]["n_tokens"] == 10
    with pytest.raises(ValueError, match="weights '"):
        check_same_options(first, second)


def test_nothing_is_downloaded(tokens, folder, network, monkeypatch):
    def refuse(*args, **kwargs):
        pytest.fail("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    run(tokens, folder)


def test_global_state_of_torch_stays(tokens, folder, network):
    before = torch.random.get_rng_state()
    run(tokens, folder)
    assert torch.equal(before, torch.random.get_rng_state())


def copy_of(folder, to, state=None, name="model.safetensors", **config):
    to.mkdir()
    settings = json.loads((folder / "config.json").read_text())
    (to / "config.json").write_text(json.dumps({**settings, **config}))
    state = load_file(folder / "model.safetensors") if state is None else state
    (save_file if name.endswith("safetensors") else torch.save)(state, to / name)
    return to


def test_tensors_of_a_bin_file_and_of_the_bare_model(tokens, folder, network, tmp_path):
    expected = run(tokens, folder)
    state = load_file(folder / "model.safetensors")
    old = copy_of(folder, tmp_path / "old", state, "pytorch_model.bin")
    np.testing.assert_array_equal(run(tokens, old), expected)
    bare = {k.removeprefix("bert."): v for k, v in state.items() if k.startswith("bert.")}
    bare["pooler.dense.weight"] = torch.zeros(8, 8)
    np.testing.assert_array_equal(run(tokens, copy_of(folder, tmp_path / "b", bare)), expected)


class Trap:
    def __reduce__(self):
        return (pytest.fail, ("the file was allowed to run code",))


def test_a_bin_file_that_could_run_code_is_not_opened(tokens, folder, network, tmp_path):
    trap = copy_of(folder, tmp_path / "trap", {"x": Trap()}, "pytorch_model.bin")
    with pytest.raises(ValueError, match="objects that could run code"):
        run(tokens, trap)


def test_checkpoints_of_another_kind(tokens, folder, network, tmp_path):
    with pytest.raises(ValueError, match=r"a BERT model.*model_type 'gpt2'"):
        run(tokens, copy_of(folder, tmp_path / "gpt2", model_type="gpt2"))
    with pytest.raises(ValueError, match=r"weights of 4 layers in model\.safetensors"):
        run(tokens, copy_of(folder, tmp_path / "deep", num_hidden_layers=4))
    with pytest.raises(ValueError, match="unknown"):
        run(tokens, copy_of(folder, tmp_path / "flat", num_hidden_layers=2))
    with pytest.raises(ValueError, match="of another shape"):
        run(tokens, copy_of(folder, tmp_path / "wide", vocab_size=99))
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="the settings of a checkpoint"):
        run(tokens, tmp_path / "empty")
    (tmp_path / "empty" / "config.json").write_text((folder / "config.json").read_text())
    with pytest.raises(FileNotFoundError, match="weights at"):
        run(tokens, tmp_path / "empty")


def test_tokens_of_the_checkpoint(cells, folder, network):
    with pytest.raises(
        KeyError, match=r"`tokens_key` to name a key of adata.obsm \(see dtp.pp.rank"
    ):
        run(cells, folder)
    cells.obsm["X_rank_tokens"] = np.ones((11, 3), np.int32)
    with pytest.raises(ValueError, match="no record of them"):
        run(cells, folder)
    rank_tokens(cells, MEDIANS, scale="counts", n_tokens=10)
    with pytest.raises(ValueError, match="found genes numbered in the order of the medians"):
        run(cells, folder)
    shifted = {name: token + (name != "<pad>") for name, token in VOCABULARY.items()}
    rank_tokens(cells, MEDIANS, vocabulary=shifted, scale="counts", n_tokens=12)
    with pytest.raises(ValueError, match=r"tokens below 14 and padding 0.*found tokens up to 14"):
        run(cells, folder)


def test_more_tokens_than_positions(tokens, folder, network, tmp_path):
    state = load_file(folder / "model.safetensors")
    name = "bert.embeddings.position_embeddings.weight"
    state[name] = state[name][:4].clone()
    short = copy_of(folder, tmp_path / "short", state, max_position_embeddings=4)
    with pytest.raises(ValueError, match=r"at most 4 tokens a row.*n_tokens=4"):
        run(tokens, short)


def test_rows_without_a_token_are_named(cells, folder, network):
    cells.X[4] = 0
    with pytest.warns(UserWarning, match="1 rows without a gene of the vocabulary"):
        rank_tokens(cells, MEDIANS, vocabulary=VOCABULARY, scale="counts", n_tokens=10)
    with pytest.raises(ValueError, match="found none in 1 rows: c4"):
        run(cells, folder)


def test_without_the_extra(tokens, folder, network, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ImportError, match=r"pip install 'dtp-scvi\[embeddings\]'"):
        run(tokens, folder)
