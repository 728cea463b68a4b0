from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from dtp_scvi import tl


@pytest.fixture
def tables():
    rng = np.random.default_rng(0)
    base = rng.normal(size=200)
    genes = [f"G{i}" for i in range(200)]
    frames = {}
    for name, noise in {"bulk": 0.1, "cells": 0.5, "other": 5.0}.items():
        mean = base + noise * rng.normal(size=200)
        frame = pd.DataFrame({"mean": mean, "mean_abs": np.abs(mean)}, index=genes)
        frames[name] = frame.sort_values("mean_abs", ascending=False)
    return frames


@pytest.mark.parametrize("by", ["mean", "mean_abs"])
def test_rho_is_that_of_scipy_and_pairs_are_all(tables, by):
    found = tl.compare_attributions(tables, by=by, n_boot=50)
    assert list(zip(found["first"], found["second"], strict=True)) == [
        ("bulk", "cells"),
        ("bulk", "other"),
        ("cells", "other"),
    ]
    a, b = tables["bulk"][by], tables["cells"][by]
    wanted = spearmanr(a, b.loc[a.index])
    assert found.loc[0, "rho"] == pytest.approx(wanted.statistic)
    assert (found["low"] <= found["rho"]).all()
    assert (found["rho"] <= found["high"]).all()
    assert found.loc[0, "rho"] > found.loc[1, "rho"]
    assert found.attrs["dtp_attribution_comparison"]["names"] == list(tables)


def test_shared_top_genes_beside_chance(tables):
    found = tl.compare_attributions({k: tables[k] for k in ("bulk", "cells")}, n_top=20, n_boot=20)
    tops = [set(tables[name].index[:20]) for name in ("bulk", "cells")]
    assert found.loc[0, "shared"] == len(tops[0] & tops[1])
    assert found.loc[0, "expected"] == pytest.approx(20 * 20 / 200)


def test_takes_what_attribute_wrote_and_leaves_out_missing_genes(tables):
    lacking = tables["cells"].copy()
    lacking.iloc[:30] = np.nan
    adata = ad.AnnData(np.ones((2, 2), np.float32), uns={"dtp_attribution": {"table": lacking}})
    given = {"a": adata, "b": {"table": tables["bulk"]}}
    assert tl.compare_attributions(given, n_boot=20).loc[0, "n_genes"] == 170


def test_refuses(tables):
    with pytest.raises(ValueError, match="at least two results"):
        tl.compare_attributions({"a": tables["bulk"]})
    with pytest.raises(KeyError, match="by"):
        tl.compare_attributions(tables, by="residual")
    with pytest.raises(ValueError, match="`by` to be one of"):
        tl.compare_attributions(tables, by="rank")
    with pytest.raises(TypeError, match=r"what dtp\.tl\.attribute returned for 'a'"):
        tl.compare_attributions({"a": 3, "b": tables["bulk"]})
    with pytest.raises(KeyError, match="the uns of 'a'"):
        tl.compare_attributions({"a": ad.AnnData(np.ones((2, 2))), "b": tables["bulk"]})
    renamed = tables["bulk"].rename(index=str.lower)
    with pytest.raises(ValueError, match="at least 10 genes that 'a' and 'b' share"):
        tl.compare_attributions({"a": tables["bulk"], "b": renamed})
