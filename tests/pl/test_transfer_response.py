"""The panel of a response model's transfer check."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from dtp_scvi import pl, tl
from dtp_scvi.model import ResponseModel
from dtp_scvi.pl._style import BLUE, GREY, VERMILLION

G = 60
ROWS = ["Off the training mean, as they are", "Off the training mean, after ranking", "Not found"]


def samples(n, seed):
    rng = np.random.default_rng(seed)
    logs = np.random.default_rng(9).normal(4, 1, G) + rng.normal(0, 0.6, (n, G))
    obs = pd.DataFrame({"auc": logs[:, 0] * 10}, index=[f"s{i}" for i in range(n)])
    var = pd.DataFrame(index=[f"GENE{i}" for i in range(G)])
    return ad.AnnData(rng.poisson(np.exp(logs)).astype(np.float32), obs=obs, var=var)


@pytest.fixture(scope="module")
def model():
    return ResponseModel("planted", inputs="blend").fit(samples(60, 0), "auc", units="AUC")


@pytest.fixture
def other(model):
    """A few samples of another platform, without some of the genes, as tl.score leaves them."""
    query = samples(5, 1)
    factors = np.random.default_rng(0).lognormal(0, 2, G)
    query.X = np.ceil(query.X * factors).astype(np.float32)
    query = query[:, : int(0.7 * G)].copy()
    with (
        pytest.warns(UserWarning, match="Transfer check"),
        pytest.warns(UserWarning, match="42 of 60 model genes found"),
    ):
        tl.score(query, model)
    return query


def points(ax):
    return {
        int(line.get_ydata()[0]): (float(line.get_xdata()[0]), line.get_color(), line.get_marker())
        for line in ax.lines
        if len(line.get_ydata()) == 1
    }


def title(ax):
    head, *rest = ax.get_title("left").splitlines()
    return head, " ".join(rest).strip()


def test_what_the_score_of_a_response_model_stores_is_drawn(other):
    record = other.uns["dtp"]["transfer"]
    evidence = record["evidence"]
    ax = pl.transfer(other)
    assert [text.get_text() for text in ax.get_yticklabels()] == ROWS
    drawn = points(ax)
    assert drawn[0] == (evidence["shifted"], VERMILLION, "D")
    assert drawn[1] == (evidence["shifted_by_rank"], VERMILLION, "D")
    assert drawn[2] == (pytest.approx(0.3), GREY, "o")
    assert [text.get_text() for text in ax.texts] == [f"{drawn[row][0]:.2f}" for row in range(3)]
    head, rest = title(ax)
    assert head == "Warranted: align rank; used: none"
    assert rest.startswith("Values are not on the training scale: read the rank. The mean of ")
    assert "5 rows are too few to take moments of. 70% of the model's genes were found." in rest
    assert len(record["reasons"]) == 3


def test_samples_like_those_of_training_are_said_to_hold(model):
    query = samples(30, 2)
    tl.score(query, model, key_added="auc1")
    ax = pl.transfer(query, key="auc1")
    assert title(ax)[0] == "Warranted: align none; used: none"
    assert title(ax)[1].startswith("Values are on the training scale. ")
    assert [points(ax)[row][1:] for row in range(2)] == [(BLUE, "o")] * 2
    tl.score(query, model, align="rank")
    head, rest = title(pl.transfer(query))
    assert head == "Warranted: align none; used: rank"
    assert rest.startswith("Values are not on the training scale")


def test_the_shades_meet_at_the_limit_of_the_record(model):
    query = samples(30, 2)
    tl.score(query, model)
    query.uns["dtp"]["transfer"]["evidence"]["shifted_from"] = 0.25
    query.uns["dtp"]["transfer"]["evidence"]["shifted_by_rank"] = 0.2
    ax = pl.transfer(query)
    spans = [(bar.get_x(), bar.get_width()) for bar in ax.patches]
    assert spans == [(0, 0.25), (0.25, 0.75)] * 2
    assert points(ax)[1] == (0.2, BLUE, "o")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        "as in training",
        "off",
        "limit, 25%",
    ]


def test_the_same_is_drawn_from_the_record_alone_and_after_a_file(other, tmp_path):
    other.write_h5ad(tmp_path / "s.h5ad")
    read = ad.read_h5ad(tmp_path / "s.h5ad")
    expected = pl.transfer(other)
    for data in (read, other.uns["dtp"], other.uns["dtp"]["transfer"]):
        ax = pl.transfer(data)
        assert points(ax) == points(expected)
        assert title(ax) == title(expected)


def test_simulated_data_are_named(model):
    query = samples(30, 2)
    tl.score(query, model)
    query.uns["dtp"]["simulated"] = True
    assert pl.transfer(query).get_title("right") == "simulated data"


def test_nothing_of_the_figure_is_cut_off(other):
    ax = pl.transfer(other)
    figure = ax.figure
    figure.canvas.draw()
    for part in (ax.get_legend(), ax._left_title, *ax.get_yticklabels()):
        box = part.get_window_extent()
        assert box.x0 >= 0
        assert box.y0 >= 0
        assert box.x1 <= figure.bbox.width
        assert box.y1 <= figure.bbox.height


def test_a_record_that_lacks_a_part(model):
    query = samples(30, 2)
    tl.score(query, model)
    del query.uns["dtp"]["transfer"]["evidence"]["shifted"]
    with pytest.raises(KeyError, match="the result to hold 'shifted'"):
        pl.transfer(query)
    tl.score(query, model, transfer="skip")
    with pytest.raises(KeyError, match="the result to hold 'transfer'"):
        pl.transfer(query)
