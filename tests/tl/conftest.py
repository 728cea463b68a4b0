from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from dtp_scvi import stats
from dtp_scvi.data import Scale, get_matrix
from dtp_scvi.model import Registration
from dtp_scvi.train import log_rows, read_rows


class Fake:
    """The interface of a model: logistic regression that remembers what it was given."""

    trained: list[dict]

    def __init__(self, adata, *, C=0.1):
        self.adata, self.C = adata, C

    @classmethod
    def setup_anndata(cls, adata, labels_key, **keys):
        adata.uns["_fake"] = {"labels_key": labels_key, **keys}

    @classmethod
    def registration(cls, adata):
        if "_fake" not in adata.uns:
            msg = "not set up"
            raise ValueError(msg)
        keys = {"donor_key": None, "batch_key": None, **adata.uns["_fake"]}
        text = {
            k: None if v is None else adata.obs[v].astype(str).to_numpy() for k, v in keys.items()
        }
        return Registration(
            labels=text["labels_key"],
            classes=tuple(sorted(set(text["labels_key"]))),
            positive="bad",
            labels_key=keys["labels_key"],
            layer=None,
            scale=Scale.COUNTS,
            genes=adata.var_names.to_numpy(dtype=str),
            donors=text["donor_key"],
            donor_key=keys["donor_key"],
            batches=text["batch_key"],
            batch_key=keys["batch_key"],
        )

    def _log(self, indices):
        return log_rows(*read_rows(get_matrix(self.adata), Scale.COUNTS, indices), Scale.COUNTS)

    def calibrated(self, logits):
        return stats.sigmoid(logits)

    def train(
        self, *, indices, seed, verbose, fail=False, threshold_rule="youden", threshold_kwargs=None
    ):
        if fail and len(self.trained) == 1:
            msg = "ran out of luck"
            raise RuntimeError(msg)
        self.trained.append({"indices": indices, "seed": seed, "verbose": verbose})
        kwargs = {"n_boot": 0, **(threshold_kwargs or {})}
        if kwargs.get("negatives") is not None:
            kwargs["negatives"] = kwargs["negatives"][indices]
        labels = self.registration(self.adata).labels[indices]
        self.fitted = LogisticRegression(C=self.C, max_iter=2000).fit(self._log(indices), labels)
        p = self.fitted.predict_proba(self._log(indices))[
            :, list(self.fitted.classes_).index("bad")
        ]
        chosen = stats.choose_threshold(labels == "bad", p, rule=threshold_rule, **kwargs)
        self.threshold_ = chosen.to_dict()

    def predict_logits(self, *, indices):
        p = self.fitted.predict_proba(self._log(indices))
        names = self.adata.obs_names[indices]
        return pd.DataFrame(stats.logit(p), index=names, columns=self.fitted.classes_)

    def distill(self, n_genes=10, *, seed, verbose):
        student = type(self)(self.adata, C=self.C / 10)
        student.trained = []
        student.train(indices=self.trained[-1]["indices"], seed=seed, verbose=verbose)
        student.threshold_ = self.threshold_
        return student


def new_fake():
    return type("Fake", (Fake,), {"trained": []})


@pytest.fixture
def fake():
    """A fresh model class, so that nothing is remembered from test to test."""
    return new_fake()


def make_cells(n=240, *, n_genes=30, n_donors=8, classes=("bad", "good"), seed=0):
    """Counts in which the label shifts the first genes; donors and batches are crossed with it."""
    rng = np.random.default_rng(seed)
    state = np.array(classes)[rng.integers(0, len(classes), n)]
    mean = rng.gamma(2.0, 3.0, n_genes) * np.ones((n, 1))
    mean[:, :6] *= np.where(state == "bad", 1.5, 1.0)[:, None]
    obs = pd.DataFrame(
        {
            "state": state,
            "donor": [f"d{i}" for i in rng.integers(0, n_donors, n)],
            "healthy": state == classes[-1],
        },
        index=[f"cell{i}" for i in range(n)],
    )
    obs["batch"] = np.where(obs["donor"].isin(["d0", "d1", "d2"]), "x", "y")
    var = pd.DataFrame(index=["CD34", "GPR56", *(f"G{i}" for i in range(n_genes - 2))])
    return ad.AnnData(rng.poisson(mean).astype(np.float32), obs=obs, var=var)


@pytest.fixture
def draw_cells():
    return make_cells


def make_ready(fake):
    adata = make_cells()
    fake.setup_anndata(adata, "state", donor_key="donor", batch_key="batch")
    return adata


@pytest.fixture
def cells(fake):
    return make_ready(fake)


@pytest.fixture(scope="session")
def fresh():
    """Return a function that makes a model class and cells set up for it, as ``fake, cells``."""

    def make():
        fake = new_fake()
        return fake, make_ready(fake)

    return make
