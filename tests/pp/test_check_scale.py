from __future__ import annotations

import anndata as ad
import numpy as np
import pytest

import dtp_scvi as dtp
from dtp_scvi.data import get_matrix


@pytest.fixture
def adata():
    counts = np.random.default_rng(0).poisson(2.0, (60, 300)).astype(np.float32)
    log = np.log1p(counts / counts.sum(1, keepdims=True) * 1e4)
    return ad.AnnData(log, layers={"counts": counts})


def test_x_and_layers(adata):
    assert dtp.pp.check_scale(adata).scale == "log1p_cp10k"
    assert dtp.pp.check_scale(adata, layer="counts").scale == "counts"


def test_backed_and_view(adata, tmp_path):
    path = tmp_path / "x.h5ad"
    adata.write_h5ad(path)
    backed = ad.read_h5ad(path, backed="r")
    assert dtp.pp.check_scale(backed).scale == "log1p_cp10k"
    view = adata[::2]
    assert dtp.pp.check_scale(view).scale == "log1p_cp10k"
    assert view.is_view


def test_raw_is_never_read(adata):
    adata.raw = adata.copy()
    del adata.X
    with pytest.raises(ValueError, match=r'values in adata.X; found None.*layer="...".*counts'):
        dtp.pp.check_scale(adata)


def test_unknown_layer(adata):
    with pytest.raises(KeyError, match=r"adata.layers; found 'count'. Did you mean counts"):
        get_matrix(adata, "count")
    del adata.layers["counts"]
    with pytest.raises(KeyError, match="There are no layers"):
        get_matrix(adata, "counts")
