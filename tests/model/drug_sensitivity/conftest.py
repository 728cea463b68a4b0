"""Simulated bulk lines and cells with a planted factor of resistance."""

from __future__ import annotations

from types import SimpleNamespace

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from dtp_scvi.model import DrugSensitivity, ResVAE

G, PLANTED = 60, 12
GENES = [f"GENE{i}" for i in range(G)]
SCALE = "corrected_counts"


def lines(n, seed, *, effect=2.0, shifted=False):
    """Simulate rows; ``shifted`` moves and stretches each gene's log1p CP10k."""
    rng = np.random.default_rng(seed)
    resistant = rng.random(n) < 0.5
    logs = np.random.default_rng(9).normal(3, 0.5, G) + rng.normal(0, 0.6, (n, G))
    logs[:, :PLANTED] += effect * (resistant[:, None] - 0.5)
    if shifted:
        other = np.random.default_rng(10)
        logs = logs * other.uniform(0.5, 2, G) + other.normal(0, 1.5, G)
    names = [f"r{seed}_{i}" for i in range(n)]
    labels = np.where(resistant, "resistant", "sensitive")
    table = pd.DataFrame({"DRUG-A": labels, "DRUG-B": resistant.astype(float)}, index=names)
    table = table.astype({"DRUG-A": object})
    table.iloc[: n // 10, 0] = np.nan
    ic50 = pd.DataFrame({"DRUG-A": resistant + rng.normal(0, 0.3, n)}, index=names)
    obs = pd.DataFrame({"label": labels, "plate": np.arange(n) % 2 + 1}, index=names)
    return ad.AnnData(
        np.exp(logs).astype(np.float32),
        obs.astype({"plate": str}),
        pd.DataFrame(index=GENES),
        obsm={"response": table, "ln_ic50": ic50},
    )


def autoencoder(adata, **kwargs):
    ResVAE.setup_anndata(adata, **{"scale": SCALE} | kwargs)
    vae = ResVAE(adata, encoder=(32,), n_latent=8, decoder=(32,))
    vae.train(max_epochs=60, verbose=False)
    return vae


def fitted(vae, bulk, *, epochs=30, train=None, **kwargs):
    model = DrugSensitivity.from_vae(vae, **{"n_members": 1} | kwargs)
    model.fit_bulk(bulk, "DRUG-A", scale=SCALE, max_epochs=epochs, verbose=False, **train or {})
    return model


def resistant(adata):
    return (adata.obs["label"] == "resistant").to_numpy()


@pytest.fixture(scope="session")
def sim():
    """What the tests of this folder make their data and models with."""
    return SimpleNamespace(
        lines=lines,
        autoencoder=autoencoder,
        fitted=fitted,
        resistant=resistant,
        G=G,
        PLANTED=PLANTED,
        GENES=GENES,
        SCALE=SCALE,
    )


@pytest.fixture(scope="session")
def bulk():
    return lines(160, 0)


@pytest.fixture(scope="session")
def vae():
    return autoencoder(lines(200, 5))


@pytest.fixture(scope="session")
def trained(vae, bulk):
    return fitted(vae, bulk, n_members=5)


@pytest.fixture
def model(trained):
    """The trained model, without an adaptation before and after the test."""
    trained.adapt(None, None)
    yield trained
    trained.adapt(None, None)


@pytest.fixture
def cells():
    return lines(120, 1, shifted=True)
