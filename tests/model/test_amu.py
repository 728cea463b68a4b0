"""AMU learns a planted signal on a panel, keeps gene identity, and survives its file."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.metrics import roc_auc_score

import dtp_scvi as dtp
from dtp_scvi.model import AMU, load_model
from dtp_scvi.model._training_data import read_training_data

G, PLANTED = 40, 5


def samples(n, seed, effect=1.2):
    """Simulated compositions; the first genes go up in responders."""
    rng = np.random.default_rng(seed)
    responds = rng.random(n) < 0.4
    logs = np.random.default_rng(9).normal(3, 1, G) + rng.normal(0, 0.6, (n, G))
    logs[:, :PLANTED] += effect * responds[:, None]
    share = np.exp(logs) / np.exp(logs).sum(axis=1, keepdims=True)
    return ad.AnnData(
        share.astype(np.float32),
        obs=pd.DataFrame(
            {
                "response": np.where(responds, "CR/PR", "SD/PD"),
                "patient": [f"p{i}" for i in range(n)],
                "study": np.where(np.arange(n) % 2 == 0, "one", "two"),
            },
            index=[f"s{i}" for i in range(n)],
        ),
        var=pd.DataFrame(index=[f"GENE{i}" for i in range(G)]),
    )


def set_up(adata):
    AMU.setup_anndata(
        adata,
        "response",
        positive="CR/PR",
        donor_key="patient",
        batch_key="study",
        scale="normalized",
    )
    return adata


def trained(adata, epochs=12, **kwargs):
    model = AMU(set_up(adata), n_blocks=1, **kwargs)
    model.train(epochs, verbose=False)
    return model


@pytest.fixture(scope="module")
def model():
    return trained(samples(160, 0))


@pytest.fixture
def query():
    return samples(80, 1)


def logits(model, adata, **kwargs):
    return model.predict_logits(adata, scale="normalized", **kwargs)["CR/PR"].to_numpy()


def test_planted_signal_is_found_and_its_genes_weigh_most(model, query):
    assert roc_auc_score(query.obs["response"] == "CR/PR", logits(model, query)) > 0.85
    assert roc_auc_score(np.arange(G) < PLANTED, model.importance_) > 0.85


def test_permuted_labels_leave_chance(query):
    shuffled = samples(160, 0)
    order = np.random.default_rng(3).permutation(160)
    shuffled.obs["response"] = shuffled.obs["response"].to_numpy()[order]
    found = roc_auc_score(query.obs["response"] == "CR/PR", logits(trained(shuffled), query))
    assert 0.25 < found < 0.75


def test_capacity():
    # Labels are random, so that only rows that are fitted can be known. A fifth of the patients is held
    # out for the threshold: of 80, 64 are fitted, and the training AUROC is that of these 64.
    rows = samples(80, 4, effect=0.0)
    model = AMU(set_up(rows), dropout=0, head_dropout=0)
    model.train(30, lr=1e-3, batch_size=16, keep="last", verbose=False)
    fitted, held_out = read_training_data(model, None, 0).inner.folds[0]
    assert (len(fitted), len(held_out)) == (64, model.protocol_["threshold_rows"])
    assert len(model.history_table_) == 30
    truth, score = rows.obs["response"] == "CR/PR", logits(model, rows)
    assert roc_auc_score(truth.iloc[fitted], score[fitted]) > 0.95
    assert abs(roc_auc_score(truth.iloc[held_out], score[held_out]) - 0.5) < 0.35
    assert model.history_table_["train_loss"].iloc[-1] < 0.05


def test_order_of_genes_and_rows_storage_and_depth_do_not_matter(model, query):
    expected = logits(model, query)
    rng = np.random.default_rng(0)
    genes, rows = rng.permutation(G), rng.permutation(query.n_obs)
    shuffled = query[rows][:, genes].copy()
    assert logits(model, shuffled) == pytest.approx(expected[rows], abs=1e-4)
    sparse = ad.AnnData(sp.csr_matrix(query.X), query.obs, query.var)
    assert logits(model, sparse) == pytest.approx(expected, abs=1e-5)
    assert logits(model, query, batch_size=7) == pytest.approx(expected, abs=1e-4)
    deeper = ad.AnnData(query.X * 1000, query.obs, query.var)
    assert logits(model, deeper) == pytest.approx(expected, abs=1e-3)
    other = ad.AnnData(query.X * 3, query.obs, pd.DataFrame(index=[f"X{i}" for i in range(G)]))
    more = ad.concat([query, other], axis=1, merge="first")
    assert logits(model, more) == pytest.approx(expected, abs=1e-4)


def test_one_seed_gives_one_model():
    rows = samples(80, 5)
    ids = {trained(rows, epochs=2).id_ for _ in range(2)}
    assert len(ids) == 1
    other = AMU(rows, n_blocks=1)
    other.train(2, seed=1, verbose=False)
    assert other.id_ not in ids


def test_save_load_score_and_card(model, query, tmp_path):
    model.save(tmp_path / "m")
    again = load_model(tmp_path / "m")
    assert isinstance(again, AMU)
    assert np.array_equal(logits(again, query), logits(model, query))
    assert again.settings_ == model.settings_
    dtp.tl.score(query, again, scale="normalized")
    assert query.uns["dtp"]["model"] == "AMU"
    assert "verdict" in query.uns["dtp"]["transfer"]
    assert "AMU" in model.card_.to_markdown()


def test_embedding_and_similarity(model):
    embedding = model.get_gene_embedding()
    assert embedding.shape == (G, 20)
    start = model.untrained_gene_embedding()
    assert not np.allclose(start, embedding)
    cosine = model.gene_similarity().to_numpy()
    unit = embedding / np.linalg.norm(embedding, axis=1, keepdims=True)
    assert cosine == pytest.approx((unit @ unit.T).to_numpy(), abs=1e-10)
    gap = embedding.iloc[0] - embedding.iloc[1]
    assert model.gene_similarity("euclidean").iloc[0, 1] == pytest.approx(-np.linalg.norm(gap))


def test_paper_and_cnn_train(query):
    rows = samples(80, 6)
    paper = AMU.paper(set_up(rows))
    assert paper.schedule == "two_step"
    paper = AMU(rows, **{**AMU.PAPER, "n_blocks": 1, "attention_dropout": 0.0})
    paper.train(5, verbose=False)
    assert paper.protocol_["lr"] == 1e-4
    cnn = AMU(rows, network="cnn")
    cnn.train(3, verbose=False)
    assert np.isfinite(logits(cnn, query)).all()
    with pytest.raises(ValueError, match="a network with gene embeddings; found a CNN"):
        cnn.get_gene_embedding()


def test_two_steps_lie_where_they_are_said_to_lie():
    from dtp_scvi.train import PanelPlan

    model = AMU(set_up(samples(40, 7)), n_blocks=1)
    plan = PanelPlan(
        model.module,
        schedule="two_step",
        max_epochs=20,
        keep_last=True,
        lr=1.0,
        weight_decay=0.0,
        n_steps=20,
        patience=20,
    )
    parts = plan.configure_optimizers()
    rates = []
    for _ in range(20):
        rates.append(parts["optimizer"].param_groups[0]["lr"])
        parts["optimizer"].step()
        parts["lr_scheduler"]["scheduler"].step()
    assert rates == pytest.approx([1.0] * 12 + [0.1] * 5 + [0.01] * 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"network": "lstm"}, "network"),
        ({"n_heads": 3}, "`n_heads` to divide `d_model`; found d_model=20, n_heads=3"),
        ({"dropout": 1.5}, "dropout"),
        ({"schedule": "cosine"}, "schedule"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        AMU(set_up(samples(40, 8)), **arguments)


def test_errors_of_train(query):
    model = AMU(set_up(samples(40, 8)), n_blocks=1)
    with pytest.raises(RuntimeError, match=r"a trained AMU.*Run train\(\) first"):
        model.predict_logits(query)
    with pytest.raises(ValueError, match="max_epochs"):
        model.train(0)
    with pytest.raises(ValueError, match="keep"):
        model.train(keep="first")
