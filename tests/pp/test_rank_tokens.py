from __future__ import annotations

import json
from fractions import Fraction

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dtp_scvi.pp import rank_tokens

IDS = [f"ENSG000009{i:05d}" for i in range(8)]
VOCABULARY = {"<pad>": 0, "<mask>": 1, **{gene: i + 2 for i, gene in enumerate(IDS[:6][::-1])}}
MEDIANS = dict(zip(IDS[1:], [0.5, 1.0, 2.0, 2.0, 3.5, 0.25, 1.5], strict=True))
COUNTS = st.integers(0, 4).map(float)


def make(x, names=IDS):
    x = x if sp.issparse(x) else np.asarray(x, np.float32)
    return ad.AnnData(
        x, var=pd.DataFrame(index=[f"v{i}" for i in range(x.shape[1])], data={"id": names})
    )


def run(x, names=IDS, **kwargs):
    given = {
        "vocabulary": VOCABULARY,
        "gene_key": "id",
        "scale": "counts",
        "n_tokens": 5,
        **kwargs,
    }
    return rank_tokens(make(x, names), MEDIANS, copy=True, **given)


def tokens(*args, **kwargs):
    return run(*args, **kwargs).obsm["X_rank_tokens"]


def naive(x, names, n_tokens):
    """Cell by cell, in exact arithmetic: the oracle."""
    out = []
    for row in np.asarray(x, np.float64).tolist():
        total, ranked = Fraction(sum(row)), []
        for count, name in zip(row, names, strict=True):
            if count > 0 and name in VOCABULARY and name in MEDIANS:
                ranked.append(
                    (
                        -(Fraction(count) / total * 10_000 / Fraction(MEDIANS[name])),
                        VOCABULARY[name],
                    )
                )
        row_tokens = [token for _, token in sorted(ranked)][:n_tokens]
        out.append(row_tokens + [0] * (n_tokens - len(row_tokens)))
    return out


# A row with a gene of the vocabulary, so that no row is empty.
MATRICES = hnp.arrays(np.float64, st.tuples(st.integers(1, 6), st.just(8)), elements=COUNTS).map(
    lambda x: np.where(np.arange(8) == 2, x + 1, x)
)


@settings(max_examples=60)
@given(x=MATRICES, n_tokens=st.integers(1, 7))
def test_against_a_naive_implementation(x, n_tokens):
    assert tokens(x, n_tokens=n_tokens).tolist() == naive(x, IDS, n_tokens)


@settings(max_examples=30)
@given(x=MATRICES, genes=st.permutations(range(8)), seed=st.integers(0, 99))
def test_order_of_rows_and_genes_and_storage_do_not_matter(x, genes, seed):
    plain = tokens(x)
    rows = np.random.default_rng(seed).permutation(len(x))
    names = [IDS[i] for i in genes]
    np.testing.assert_array_equal(tokens(x[rows][:, genes], names), plain[rows])
    np.testing.assert_array_equal(tokens(sp.csr_matrix(x)), plain)
    np.testing.assert_array_equal(tokens(sp.csc_matrix(x)), plain)


def test_logarithms_rank_as_their_counts():
    # Medians without a common ratio, so that no two genes tie and rounding decides nothing.
    medians = dict(zip(IDS[1:], np.sqrt([2, 3, 5, 7, 11, 13, 17]), strict=True))
    x = np.random.default_rng(0).poisson(5, (300, 8)) + 1.0
    log = np.log1p(1e4 * x / x.sum(1, keepdims=True))
    both = []
    for values, scale in ((x, "counts"), (log, "log1p_cp10k")):
        adata = make(values)
        rank_tokens(adata, medians, vocabulary=VOCABULARY, gene_key="id", scale=scale, n_tokens=5)
        both.append(adata.obsm["X_rank_tokens"])
    np.testing.assert_array_equal(*both)


def test_ties_by_token():
    equal = [0, 0, 0, 2, 2, 0, 0, 0]  # IDS[3] and IDS[4] have one median
    assert tokens([equal])[0, :2].tolist() == sorted([VOCABULARY[IDS[3]], VOCABULARY[IDS[4]]])


def test_versions_are_removed_and_duplicates_summed():
    x = [[3.0, 1.0, 4.0]]
    names = [f"{IDS[2]}.3", IDS[4], f"{IDS[2]}.7"]
    assert tokens(x, names).tolist() == naive([[7.0, 1.0]], [IDS[2], IDS[4]], 5)


def test_what_is_written(tmp_path):
    out = run(np.eye(8)[[1, 2, 2]] * 3 + [[0, 0, 0, 1, 0, 1, 0, 0]], n_tokens=2)
    assert out.obsm["X_rank_tokens"].dtype == np.int32
    assert out.obs["X_rank_tokens_length"].tolist() == [2, 2, 2]
    record = out.uns["dtp_rank_tokens"]
    assert record["n_truncated"] == 3
    assert record["pad"] == 0
    assert (record["n_vocabulary"], record["n_found"], record["n_without_median"]) == (5, 5, 1)
    out.write_h5ad(tmp_path / "a.h5ad")
    back = ad.read_h5ad(tmp_path / "a.h5ad")
    np.testing.assert_array_equal(back.obsm["X_rank_tokens"], out.obsm["X_rank_tokens"])
    assert back.uns["dtp_rank_tokens"]["vocabulary"] == record["vocabulary"]


def test_in_place_and_copy():
    adata = make(np.ones((2, 8)))
    kwargs = {"vocabulary": VOCABULARY, "gene_key": "id", "scale": "counts", "n_tokens": 3}
    assert rank_tokens(adata, MEDIANS, key_added="t", **kwargs) is None
    assert adata.obsm["t"].shape == (2, 3)
    assert "t_length" in adata.obs


def test_empty_rows_are_named():
    with pytest.warns(UserWarning, match="1 rows without a gene of the vocabulary above zero: 1"):
        out = run([[0, 0, 1, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0, 0, 2]])
    assert out.obs["X_rank_tokens_length"].tolist() == [1, 0]
    assert out.obsm["X_rank_tokens"][1].tolist() == [0] * 5


@pytest.mark.parametrize("swap", [False, True])
def test_symbols_through_a_mapping(tmp_path, swap):
    symbols = ["CD34", "KIT", "MYC", "NOPE"]
    pairs = list(zip(symbols[:3], [f"{IDS[2]}_PAR_Y", f"{IDS[4]}.2", "LRG_1"], strict=True))
    header = "Gene name,Gene stable ID\n"
    lines = [",".join(pair[::-1] if swap else pair) for pair in pairs]
    (tmp_path / "map.csv").write_text(header + "\n".join(lines))
    x = [[1.0, 2.0, 9.0, 9.0]]
    got = tokens(x, symbols, mapping=tmp_path / "map.csv")
    assert got.tolist() == naive([[1.0, 2.0]], [IDS[2], IDS[4]], 5)


def test_symbols_without_a_mapping():
    genes = {"ENSG00000174059": 5, "ENSG00000157404": 6, "<pad>": 0}  # CD34, KIT
    adata = ad.AnnData(np.array([[1.0, 5.0]], np.float32), var=pd.DataFrame(index=["CD34", "KIT"]))
    medians = {"ENSG00000174059": 1.0, "ENSG00000157404": 1.0}
    rank_tokens(adata, medians, vocabulary=genes, scale="counts", n_tokens=2)
    assert adata.obsm["X_rank_tokens"].tolist() == [[6, 5]]


def test_files(tmp_path):
    (tmp_path / "m.json").write_text(json.dumps(MEDIANS))
    (tmp_path / "v.csv").write_text("".join(f"{g},{t}\n" for g, t in VOCABULARY.items()))
    x = np.arange(16).reshape(2, 8)
    adata = make(x)
    rank_tokens(
        adata,
        tmp_path / "m.json",
        vocabulary=tmp_path / "v.csv",
        gene_key="id",
        scale="counts",
        n_tokens=5,
    )
    np.testing.assert_array_equal(adata.obsm["X_rank_tokens"], tokens(x))


@pytest.mark.parametrize(
    ("kwargs", "match"),
    [
        (
            {"vocabulary": {g: t for g, t in VOCABULARY.items() if g != "<pad>"}},
            "'<pad>' in the voc",
        ),
        ({"vocabulary": {**VOCABULARY, "x": 2}}, "tokens that repeat"),
        ({"vocabulary": {**VOCABULARY, "x": 2.5}}, "whole numbers of 0 or more; found x: 2.5"),
        ({"vocabulary": {**VOCABULARY, "x": "a"}}, "whole numbers of 0 or more; found x: 'a'"),
        ({"vocabulary": {"<pad>": 0, "x": 2}}, "a token and a median; found none"),
        ({"vocabulary": "v.pkl"}, r"(?s)the vocabulary as text.*a pickle"),
        ({"mapping": {"CD34": "x"}}, "a mapping from names to Ensembl ids; found CD34: x"),
        ({"mapping": {"CD34": IDS[0]}}, "names of the object in the mapping; found none"),
        ({"n_tokens": 0}, "`n_tokens` to be a whole number"),
    ],
)
def test_bad_arguments(kwargs, match):
    with pytest.raises(ValueError, match=match):
        run(np.ones((2, 8)), **kwargs)


@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan])
def test_medians_above_zero(bad):
    with pytest.raises(ValueError, match=r"above zero; found 1 others \(ENSG00000900002"):
        rank_tokens(make(np.ones((1, 8))), {**MEDIANS, IDS[2]: bad}, vocabulary=VOCABULARY)


def test_no_gene_found():
    with pytest.raises(ValueError, match="0 of 5 model genes found"):
        run(np.ones((1, 2)), ["foo", "bar"])


def test_a_vocabulary_that_frames_sequences():
    with pytest.warns(UserWarning, match="has <cls> and <eos>"):
        run(np.ones((1, 8)), vocabulary={**VOCABULARY, "<cls>": 98, "<eos>": 99})
