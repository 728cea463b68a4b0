from __future__ import annotations

import anndata as ad
import mudata
import numpy as np
import pandas as pd
import pytest

from dtp_scvi.data import check_object


def cells(n=4, g=3):
    return ad.AnnData(np.ones((n, g), np.float32))


def test_an_object_of_its_own_passes(tmp_path):
    adata = cells()
    check_object(adata)
    check_object(adata[:2, :1].copy())
    adata.write_h5ad(tmp_path / "x.h5ad")
    backed = ad.read_h5ad(tmp_path / "x.h5ad", backed="r")
    check_object(backed)
    backed.file.close()


@pytest.mark.parametrize(
    ("make", "found"),
    [
        (lambda: mudata.MuData({"rna": cells()}), "MuData"),
        (lambda: pd.DataFrame({"CD34": [1.0]}), "DataFrame"),
        (lambda: "cells.h5ad", "str"),
        (lambda: None, "NoneType"),
    ],
)
def test_another_object(make, found):
    with pytest.raises(TypeError, match=f"an AnnData; found {found}. Pass one modality"):
        check_object(make())


@pytest.mark.parametrize(
    ("rows", "genes", "found"),
    [(0, 3, "0 rows and 3 genes"), (4, 0, "4 rows and 0 genes"), (0, 0, "0 rows and 0 genes")],
)
def test_nothing_in_it(rows, genes, found):
    with pytest.raises(ValueError, match=f"at least one row and one gene; found {found}"):
        check_object(cells(rows, genes))
    with pytest.raises(ValueError, match=f"found {found}.*Check the filter"):
        check_object(cells()[:rows, :genes])


def test_a_view():
    adata = cells()
    for view in (adata[:2], adata[:, [0]], adata[:]):
        with pytest.raises(ValueError, match=r"of its own; found a view.*adata = adata\.copy\(\)"):
            check_object(view)
        # Looking made no copy of it.
        assert view.is_view
