"""A student of genes follows, on cells it has not seen, a teacher over an embedding."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest
import scanpy as sc
from sklearn.decomposition import PCA

from dtp_scvi.model import DistVAE, ResVAE


@pytest.mark.slow
def test_latent_cosine_on_held_out_cells(fresh, record_property):
    adata = fresh("vangalen")
    log = ad.AnnData(adata.X.copy(), var=adata.var[[]])
    sc.pp.normalize_total(log, target_sum=1e4)
    sc.pp.log1p(log)
    values = log.X.toarray()
    rows = np.random.default_rng(0).permutation(adata.n_obs)
    test, train = np.sort(rows[:227]), np.sort(rows[227:])
    # No foundation model's embedding is at hand: principal components of all genes stand in.
    # They, the teacher and the panel see the training cells only.
    pca = PCA(50, random_state=0).fit(values[train])
    fit, held = adata[train].copy(), adata[test].copy()
    fit.obsm["X_pca"] = pca.transform(values[train]).astype(np.float32)
    held.obsm["X_pca"] = pca.transform(values[test]).astype(np.float32)
    ResVAE.setup_anndata(fit, obsm_key="X_pca")
    teacher = ResVAE(fit)
    teacher.train(verbose=False, accelerator="cpu")
    assert teacher.evaluation_["variance_explained"] > 0.5
    fit.obsm["X_latent"] = teacher.get_latent_representation(fit)
    wanted = teacher.get_latent_representation(held)
    expressed = np.sort(np.argsort(-values[train].mean(axis=0))[:2000])
    DistVAE.setup_anndata(fit)
    student = DistVAE(fit, genes=fit.var_names[expressed].tolist())
    student.train(verbose=False, accelerator="cpu")
    found = student.get_latent_representation(held)
    lengths = np.linalg.norm(found, axis=1) * np.linalg.norm(wanted, axis=1)
    cosine = (found * wanted).sum(axis=1) / lengths
    record_property("latent_cosine", float(cosine.mean()))
    record_property("latent_cosine_5_percent", float(np.quantile(cosine, 0.05)))
    assert cosine.mean() >= 0.9
