from __future__ import annotations

import anndata as ad
import numpy as np
import pytest

from dtp_scvi import pp
from dtp_scvi.datasets import simulate_perturbation
from dtp_scvi.pp import _embed_drug_text

pytest.importorskip("rdkit")
transformers = pytest.importorskip("transformers")

WORDS = [
    "the",
    "dosage",
    "is",
    "micromoles",
    ".",
    "a",
    "an",
    "inhibitor",
    "of",
    "0",
    "1",
    "10",
    "c",
    "n",
    "o",
    "(",
    ")",
    "=",
    "#",
    "[",
    "]",
]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A tiny random BERT with a vocabulary of its own."""
    import torch

    folder = tmp_path_factory.mktemp("bert")
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    (folder / "vocab.txt").write_text("\n".join(vocabulary))
    transformers.BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
    config = transformers.BertConfig(
        vocab_size=len(vocabulary), hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=40,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        transformers.BertModel(config).save_pretrained(folder)
    return folder


@pytest.fixture
def adata() -> ad.AnnData:
    adata = simulate_perturbation(2, n_drugs=4, n_genes=5)
    pp.encode_drugs(adata, smiles_key="smiles")
    return adata


TEXTS = {
    "drug_1": "an inhibitor",
    "drug_2": "a inhibitor of c n o",
    "drug_3": "the dosage",
    "drug_4": "an",
}


def alone(checkpoint, text):
    """Last hidden states of one text by itself."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(checkpoint, local_files_only=True)
    model = transformers.AutoModel.from_pretrained(checkpoint, local_files_only=True).eval()
    return model(**tokenizer([text], return_tensors="pt")).last_hidden_state[0].detach().numpy()


def test_tokens_are_those_of_each_text_alone(adata, checkpoint, tmp_path):
    pp.embed_drug_text(adata, checkpoint, texts=TEXTS, dose_key="dose", batch_size=3)
    entry = adata.uns["drugs"]["text"]["text"]
    for row, text in enumerate(TEXTS.values()):
        expected = alone(checkpoint, text)
        assert entry["mask"][row].sum() == len(expected)
        np.testing.assert_allclose(entry["values"][row][entry["mask"][row]], expected, atol=1e-5)
        assert not entry["values"][row][~entry["mask"][row]].any()
    assert entry["doses"].tolist() == [0.1, 1, 10]
    expected = alone(checkpoint, "The dosage is 10 micromoles.")
    np.testing.assert_allclose(entry["dose_values"][2][entry["dose_mask"][2]], expected, atol=1e-5)
    adata.write_h5ad(tmp_path / "x.h5ad")
    again = ad.read_h5ad(tmp_path / "x.h5ad").uns["drugs"]["text"]["text"]
    assert np.array_equal(again["values"], entry["values"])


def test_means_and_the_prompt(adata, checkpoint):
    pp.embed_drug_text(adata, checkpoint, prompt="an inhibitor {smiles}", pooling="mean")
    entry = adata.uns["drugs"]["text"]["text"]
    smiles = adata.uns["drugs"]["table"]["smiles"].iloc[1]
    expected = alone(checkpoint, f"an inhibitor {smiles}")
    np.testing.assert_allclose(entry["values"][1], expected.mean(axis=0), atol=1e-5)
    assert entry["n_tokens"][1] == len(expected)
    assert entry["texts"][1] == f"an inhibitor {smiles}"


def test_the_cache_saves_the_model(adata, checkpoint, tmp_path, monkeypatch):
    kept = tmp_path / "cache"
    pp.embed_drug_text(adata, checkpoint, texts=TEXTS, cache=kept)
    first = adata.uns["drugs"]["text"]["text"]["values"]
    assert len(list(kept.glob("*.npy"))) == 4

    def refuse(*_):
        pytest.fail("the model was loaded")

    with monkeypatch.context() as patch:
        patch.setattr(_embed_drug_text, "TextModel", refuse)
        pp.embed_drug_text(adata, checkpoint, texts=TEXTS, cache=kept)
    assert np.array_equal(adata.uns["drugs"]["text"]["text"]["values"], first)
    # A text that changed, or another limit, is embedded anew.
    pp.embed_drug_text(adata, checkpoint, texts={**TEXTS, "drug_1": "c n o"}, cache=kept)
    assert len(list(kept.glob("*"))) == 5
    for path in kept.glob("*.npy"):
        path.write_bytes(b"\x93NUMPY torn")
    with pytest.raises(ValueError, match="Delete the file"):
        pp.embed_drug_text(adata, checkpoint, texts=TEXTS, cache=kept)


def test_a_file_of_the_cache_is_there_whole_or_not_at_all(
    adata, checkpoint, tmp_path, monkeypatch
):
    def fail(file, values, **_):
        file.write(b"half")
        msg = "disk full"
        raise OSError(msg)

    monkeypatch.setattr("dtp_scvi.pp._embed_drug_text_cache.np.save", fail)
    with pytest.raises(OSError, match="disk full"):
        pp.embed_drug_text(adata, checkpoint, texts=TEXTS, cache=tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []
    assert "text" not in adata.uns["drugs"]


def test_another_checkpoint_has_other_names_in_the_cache(checkpoint, tmp_path):
    from dtp_scvi.pp._embed_drug_text_model import checkpoint_hash

    before = checkpoint_hash(checkpoint)
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in checkpoint.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    assert checkpoint_hash(copy) == before
    (copy / "config.json").write_text((copy / "config.json").read_text() + " ")
    assert checkpoint_hash(copy) != before


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"texts": {**TEXTS, "drug_2": " "}}, ValueError, r"a text for each drug.*drug_2"),
        ({"texts": {"drug_1": "a"}}, ValueError, "none for 3"),
        ({"prompt": "{mol}"}, ValueError, "only {smiles} and {drug}"),
        ({"texts": TEXTS, "max_length": 4}, ValueError, "texts of at most 4 tokens; found 8"),
        ({"texts": {**TEXTS, "drug_1": "a " * 50}}, ValueError, "at most 40 tokens; found 52"),
        ({"texts": TEXTS, "dose_key": "dosis"}, KeyError, "Did you mean dose"),
        ({"pooling": "cls"}, ValueError, "`pooling` to be one of"),
        ({"batch_size": 0}, ValueError, "`batch_size`"),
        ({"drugs_key": "other"}, KeyError, r"Run dtp\.pp\.encode_drugs"),
    ],
)
def test_bad_arguments(adata, checkpoint, arguments, error, match):
    with pytest.raises(error, match=match):
        pp.embed_drug_text(adata, checkpoint, **arguments)


def test_nothing_is_fetched(adata, tmp_path):
    with pytest.raises(FileNotFoundError, match="Nothing is downloaded"):
        pp.embed_drug_text(adata, "michiyasunaga/BioLinkBERT-large")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ValueError, match="that transformers can load"):
        pp.embed_drug_text(adata, tmp_path)


def test_drugs_without_smiles_need_a_text(checkpoint):
    adata = simulate_perturbation(2, n_drugs=3, n_genes=5)
    adata.obs["smiles"] = (
        adata.obs["smiles"].astype(object).where(adata.obs["drug"] != "drug_2", "")
    )
    pp.encode_drugs(adata, smiles_key="smiles", invalid="missing")
    with pytest.raises(ValueError, match=r"to fill the prompt; found none for drug_2"):
        pp.embed_drug_text(adata, checkpoint)
    pp.embed_drug_text(adata, checkpoint, prompt="{drug}")
