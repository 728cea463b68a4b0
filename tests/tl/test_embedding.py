"""A planted network is found in an embedding, noise is not, and order does not matter."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from dtp_scvi import pl, tl

N = 48
GENES = [f"GENE{i:02d}" for i in range(N)]
GROUP = np.arange(N) // 8
FEW = {"n_permutations": 199, "n_boot": 40}


def vectors(size, seed=0):
    """Vectors of genes, alike within groups by ``size``."""
    rng = np.random.default_rng(seed)
    table = size * rng.normal(size=(GROUP.max() + 1, 6))[GROUP] + rng.normal(size=(N, 6))
    return pd.DataFrame(table, GENES)


def network():
    first, second = np.nonzero(np.triu(GROUP[:, None] == GROUP, 1))
    return pd.DataFrame({"from": np.take(GENES, first), "to": np.take(GENES, second)})


def test_planted_network_is_found_and_beats_the_start():
    table = tl.embedding_vs_network(vectors(1.5), network(), untrained=vectors(0, 1), **FEW)
    assert (table["p"] == 0.005).all()
    assert (table["difference_p"] == 0.005).all()
    assert (table["difference_low"] > 0).all()
    assert (table["low"] > table["null_high"]).all()
    assert (table["difference"] == table["value"] - table["untrained"]).all()


@pytest.mark.parametrize("metric", ["cosine", "euclidean", "correlation"])
def test_noise_is_not(metric):
    p = [
        tl.embedding_vs_network(
            vectors(0, seed), network(), metric=metric, n_permutations=59, n_boot=1
        )["p"]
        for seed in range(20)
    ]
    assert 0.25 < np.mean(p) < 0.75
    assert np.mean(np.array(p) < 0.1) < 0.3


def test_what_training_did_not_change_is_no_gain():
    table = tl.embedding_vs_network(vectors(1.5), network(), untrained=vectors(1.5), **FEW)
    assert (table["difference"] == 0).all()
    assert (table["difference_p"] == 1).all()


def test_order_direction_repeats_and_loops_do_not_matter():
    embedding, edges = vectors(0.4), network()
    expected = tl.embedding_vs_network(embedding, edges, **FEW)
    turned = edges.iloc[::-1, ::-1].set_axis(["from", "to"], axis=1)
    loops = pd.DataFrame({"from": GENES[:3], "to": GENES[:3]})
    mixed = pd.concat([edges, turned, loops], ignore_index=True).assign(score=900)
    shuffled = embedding.sample(frac=1, random_state=0)
    found = tl.embedding_vs_network(shuffled, mixed, **FEW)
    pd.testing.assert_frame_equal(found, expected, check_like=False)
    assert found.attrs["dtp_embedding_network"]["n_edges"] == len(edges)


def test_genes_of_no_edge_are_left_out_and_old_names_are_found():
    embedding = vectors(1.0)
    renamed = embedding.rename(index={"GENE00": "ADGRG1", "GENE01": "LONELY"})
    edges = network().replace("GENE00", "GPR56")
    edges = edges[~edges.eq("GENE01").any(axis=1)]
    extra = pd.DataFrame({"from": ["GENE02"], "to": ["ELSEWHERE"]})
    table = tl.embedding_vs_network(renamed, pd.concat([edges, extra]), **FEW)
    record = table.attrs["dtp_embedding_network"]
    assert record["genes_not_in_network"].tolist() == ["LONELY"]
    assert (record["n_genes"], record["n_network_genes_unmatched"]) == (N - 1, 1)
    assert record["n_edges"] == len(edges)


def test_a_model_brings_its_start():
    model = SimpleNamespace(
        get_gene_embedding=lambda: vectors(1.5), untrained_gene_embedding=lambda: vectors(0, 1)
    )
    table = tl.embedding_vs_network(model, network(), **FEW)
    given = tl.embedding_vs_network(vectors(1.5), network(), untrained=vectors(0, 1), **FEW)
    pd.testing.assert_frame_equal(table, given)
    alone = tl.embedding_vs_network(vectors(1.5), network(), **FEW)
    assert alone[["untrained", "difference", "difference_p"]].isna().all(axis=None)


@pytest.mark.parametrize(
    ("embedding", "edges", "arguments", "error", "message"),
    [
        ([1], network(), {}, TypeError, "as a model or a DataFrame; found list"),
        (vectors(1).iloc[[0, 0, 1]], network(), {}, ValueError, "one row a gene.*GENE00"),
        (vectors(1) * np.nan, network(), {}, ValueError, "finite numbers"),
        (vectors(1) * 0, network(), {}, ValueError, "vectors with a direction; found zero ones"),
        (vectors(1), [1], {}, TypeError, "`edges` as a DataFrame; found list"),
        (vectors(1), network()[["from"]], {}, ValueError, "two columns of gene symbols"),
        (vectors(1), network().iloc[:5], {}, ValueError, "at least 10 genes.*6 genes, 5 edges"),
        (vectors(1), network().replace("GENE00", np.nan), {}, ValueError, "two genes an edge"),
        (
            vectors(1),
            network().set_axis(["CD34", "KIT"], axis=1),
            {},
            ValueError,
            "the genes CD34, KIT. The file has no header",
        ),
        (vectors(1), network(), {"metric": "l1"}, ValueError, "metric"),
        (
            vectors(1),
            network(),
            {"untrained": vectors(1).iloc[1:]},
            ValueError,
            "same genes before and after training; found GENE00",
        ),
    ],
)
def test_bad_input(embedding, edges, arguments, error, message):
    with pytest.raises(error, match=message):
        tl.embedding_vs_network(embedding, edges, **arguments)


def test_maps_of_groups_agree_and_those_of_noise_as_noise_does():
    options = {"seeds": (0, 1), "perplexity": 6, "k": 5}
    grouped = tl.gene_map(vectors(4), edges=network(), **options)
    assert grouped[["seed", "gene"]].values.tolist() == [[s, g] for s in (0, 1) for g in GENES]
    record = grouped.attrs["dtp_gene_map"]
    assert len(record["edges"]) == len(network())
    between = record["agreement"].iloc[0]
    assert between["shared"] > between["noise"] + 0.1
    assert between["chance"] == pytest.approx(5 / 47)
    noise = tl.gene_map(vectors(0, 9), **options).attrs["dtp_gene_map"]["agreement"].iloc[0]
    assert abs(noise["shared"] - noise["noise"]) < 0.25
    assert not len(tl.gene_map(vectors(0, 9), **options).attrs["dtp_gene_map"]["edges"])


def test_a_map_depends_on_its_seed_and_on_nothing_else():
    options = {"perplexity": 6, "seeds": (3,)}
    embedding = vectors(2)
    first = tl.gene_map(embedding, **options)
    again = tl.gene_map(embedding.sample(frac=1, random_state=1), edges=network(), **options)
    assert first.equals(again)
    other = tl.gene_map(embedding, perplexity=6, seeds=(4,))
    assert not np.allclose(first[["x", "y"]], other[["x", "y"]])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seeds": (1, 1)}, "`seeds` that differ; found 1, 1"),
        ({"seeds": ()}, "`seeds` that differ; found none"),
        ({"perplexity": 48}, "perplexity"),
        ({"k": 47}, "`k` in"),
    ],
)
def test_bad_options_of_a_map(arguments, message):
    with pytest.raises(ValueError, match=message):
        tl.gene_map(vectors(1), **arguments)


@pytest.fixture(scope="module")
def mapped():
    return tl.gene_map(vectors(2), edges=network(), perplexity=6, seeds=(0, 7))


def test_a_panel_for_each_seed_with_its_edges(mapped):
    ax = pl.gene_embedding(mapped, n_labels=2)
    lines = [c for c in ax.collections if hasattr(c, "get_segments")]
    assert [len(c.get_segments()) for c in lines] == [len(network())] * 2
    assert "shared between seeds" in ax.get_title("left")
    assert ax.get_xlabel() == "t-SNE, seeds 0 and 7"
    one = pl.gene_embedding(mapped, seeds=[7], genes=["GENE05"])
    assert one.get_xlabel() == "t-SNE, seed 7"
    assert [text.get_text() for text in one.texts] in ([], ["GENE05"])


def test_bad_choices_in_a_map(mapped):
    with pytest.raises(KeyError, match="`seeds` of the table; found 3"):
        pl.gene_embedding(mapped, seeds=[3])
    with pytest.raises(KeyError, match="`genes` of the map; found 'GENE5'"):
        pl.gene_embedding(mapped, genes=["GENE5"])
    with pytest.raises(ValueError, match="a seed to draw; found none"):
        pl.gene_embedding(mapped, seeds=[])
    with pytest.raises(KeyError, match="a table with columns"):
        pl.gene_embedding(mapped[["x", "y"]])
