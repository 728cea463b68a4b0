from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from dtp_scvi.pp import response_labels


def make(words):
    obs = pd.DataFrame({"bor": words}, index=[f"r{i}" for i in range(len(words))])
    return ad.AnnData(np.ones((len(words), 1)), obs=obs)


SPELLINGS = {
    "CR": ["CR", "cr", " Complete Response ", "complete_response", "iCR"],
    "PR": ["PR", "Partial Response", "PARTIAL RESPONSE", "partial-response"],
    "SD": ["SD", "Stable Disease", "stable"],
    "PD": ["PD", "Progressive Disease", "progressive disease", "iCPD", "Progression"],
    "MR": ["MR", "Mixed Response"],
    "CR/PR": ["PRCR", "CRPR", "CR/PR", "PR/CR"],
    "SD/PD": ["SD/PD", "SDPD"],
    "NE": ["NE", "Not Evaluable", "not evaluated", "inevaluable"],
    "unknown": ["UNK", "Unknown", "not available"],
    "iUPD": ["iUPD"],
    "non-CR/non-PD": ["Non-CR/Non-PD"],
}
LABEL = {"CR": 1, "PR": 1, "CR/PR": 1, "SD": 0, "PD": 0, "SD/PD": 0}
CASES = [(word, term) for term, words in SPELLINGS.items() for word in words]


@pytest.mark.parametrize(("word", "term"), CASES)
def test_spellings(word, term):
    adata = make([word, "CR", "PD"])
    response_labels(adata, "bor")
    assert adata.obs["response_recist"].tolist()[0] == term
    expected = LABEL.get(term, np.nan)
    np.testing.assert_equal(adata.obs["response"].iloc[0], expected)


def test_unknown_kinds_are_kept_apart_and_counted(tmp_path):
    adata = make(["CR", "PD", "PD", "NE", "UNK", None, np.nan, "NA", "", " "])
    table = response_labels(adata, "bor")
    terms = adata.obs["response_recist"]
    assert terms.tolist()[:5] == ["CR", "PD", "PD", "NE", "unknown"]
    assert terms.isna().tolist() == [False] * 5 + [True] * 5
    assert adata.obs["response"].isna().sum() == 7
    by_term = table.groupby("term")["n"].sum()
    assert by_term.to_dict() == {"CR": 1, "PD": 2, "NE": 1, "unknown": 1, "missing": 5}
    adata.write_h5ad(tmp_path / "x.h5ad")
    back = ad.read_h5ad(tmp_path / "x.h5ad")
    assert back.uns["dtp_response"]["table"]["n"].sum() == 10
    assert back.uns["dtp_response"]["params"]["positive"].tolist() == ["CR", "PR", "CR/PR"]


def test_categories_and_another_definition():
    adata = make(pd.Categorical(["CR", "PR", "SD", "PD", "MR", "PRCR"]))
    response_labels(
        adata, "bor", positive=["CR", "PR", "stable disease"], negative="PD", key_added="dcb"
    )
    np.testing.assert_equal(adata.obs["dcb"].tolist(), [1, 1, 1, 0, np.nan, 1])
    response_labels(adata, "bor", positive="CR", negative=("PR", "SD", "PD", "MR"))
    # PRCR is one or the other, and nobody knows which.
    np.testing.assert_equal(adata.obs["response"].tolist(), [1, 0, 0, 0, 0, np.nan])


def test_labels_feed_a_model_after_dropping_the_unknown():
    from dtp_scvi._labels import label_classes, positive_class, text_column

    adata = make(["CR", "PD", "NE"])
    response_labels(adata, "bor")
    kept = adata[adata.obs["response"].notna()].copy()
    labels = text_column(kept.obs, "response", "labels_key")
    assert positive_class(None, label_classes(labels, "response"), "response") == "1"


def test_all_unknown_words_are_listed_with_near_matches():
    adata = make(["CR", "Progresive Disease", "Progresive Disease", "responder"])
    with pytest.raises(ValueError) as caught:
        response_labels(adata, "bor")
    text = str(caught.value)
    assert "'Progresive Disease' (2 rows; like 'progressive disease'" in text
    assert "'responder' (1 rows" in text
    assert "response" not in adata.obs


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"positive": ("CR", "SD")}, ValueError, "without a common term; found SD"),
        ({"positive": ("CR/PR",), "negative": ("PR",)}, ValueError, "common term; found PR"),
        ({"negative": ()}, ValueError, "at least one term in `negative`"),
        ({"positive": ("NE",)}, ValueError, "response terms in `positive`; found NE"),
        ({"positive": ("good",)}, ValueError, "found good. Known: CR, PR"),
    ],
)
def test_bad_classes_are_refused(arguments, error, match):
    with pytest.raises(error, match=match):
        response_labels(make(["CR", "PD"]), "bor", **arguments)


def test_missing_columns_are_named():
    with pytest.raises(KeyError, match="Did you mean bor"):
        response_labels(make(["CR", "PD"]), "bo")


def test_one_class_is_warned_of():
    with pytest.warns(UserWarning, match="0 responders and 3 others"):
        response_labels(make(["PD", "SD", "PD", "NE"]), "bor")


def test_numbers_are_no_words():
    with pytest.raises(ValueError, match=r"'1.0' \(1 rows"):
        response_labels(make([1.0, 0.0]), "bor")
