"""Response to checkpoint inhibitors from 160 genes: honest beside leaky, in one table.

    python benchmarks/checkpoint_response.py --amu DIR --ici DIR [--paper] [--grids] [--json FILE]

DIR of ``--amu`` holds ``four_columns_fixed.csv`` and ``amu_row_annotation.csv``; that of ``--ici`` the
two studies as h5ad. ``--paper`` adds the published architecture, which takes about half an hour on two cores;
its attention weights are not dropped out here, which would take several. ``--grids`` adds the SVM and
the forest with the published grids, searched on inner folds of the training patients.

honest
    Five folds of patients; AUROC over all pairs, and over pairs of one study scored by one fit.
leave one study out
    Each study in turn.
leaky
    Responders are copied before rows are split, so most held-out responders have a copy among the training
    rows. A protocol to avoid, kept to show what it gives; ``permuted`` is the same on permuted labels.
across
    Trained on one study, tested on another, on the genes of the panel that both have. Two signatures
    of a few genes, in which nothing is fitted, are taken from all genes.
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import dtp_scvi as dtp
from dtp_scvi import stats
from dtp_scvi.model import AMU
from dtp_scvi.train import MEAN_SIGNATURES

BASELINES = ("logistic_regression", "random_forest", "svm_rbf", "adaboost", "mean_expression")
# Left out by cross_validate where the panel lacks more than half of their genes.
SIGNATURES = ("ifng", "ctl")
GRIDS = ("svm_grid", "random_forest_grid")
PAPER = {**AMU.PAPER, "attention_dropout": 0.0}
POSITIVE = "responder"


def published_table(folder: Path) -> ad.AnnData:
    """Read the mended table; rows whose response is not known are left out."""
    adata = dtp.datasets.read_amu(
        folder / "four_columns_fixed.csv", annotation=folder / "amu_row_annotation.csv"
    )
    return with_words(adata[adata.obs["response"].notna().to_numpy()].copy())


def with_words(adata: ad.AnnData) -> ad.AnnData:
    """Name the classes."""
    words = np.where(adata.obs["response"].astype(float) == 1, POSITIVE, "non-responder")
    adata.obs["response"] = words
    return adata


def set_up(adata: ad.AnnData) -> None:
    """Register the closed shares with patient and, where there are several, study."""
    AMU.setup_anndata(
        adata, "response", positive=POSITIVE, donor_key="patient", scale="normalized"
    )


def evaluate(
    adata: ad.AnnData, name: str, settings: dict[str, Any], **kwargs: Any
) -> pd.DataFrame:
    """Cross-validate AMU under a name, with the comparators that ``kwargs`` asks for."""
    set_up(adata)
    table = dtp.tl.cross_validate(
        AMU, adata, model_kwargs=settings, audit=False, verbose=False, **kwargs
    )
    table = table[table["metric"].str.startswith("auroc")]
    return table.replace({"model": {"AMU": name}})[["model", "metric", "value", "low", "high"]]


def honest(adata: ad.AnnData, *, paper: bool, grids: bool, **protocol: Any) -> pd.DataFrame:
    """AMU, its CNN and the comparators on the same folds."""
    names = (*BASELINES, *SIGNATURES, *(GRIDS if grids else ()))
    parts = [evaluate(adata, "AMU", {}, baselines=names, study_key="study", **protocol)]
    for name, note in adata.uns["dtp_cv"]["params"]["left_out"].items():
        print(f"{name}: {note}")
    others = {"CNN": {"network": "cnn"}} | ({"AMU, paper": PAPER} if paper else {})
    for name, settings in others.items():
        found = evaluate(adata, name, settings, baselines=(), study_key="study", **protocol)
        parts.append(found[found["model"] == name])
    return pd.concat(parts, ignore_index=True)


def doubled(adata: ad.AnnData) -> ad.AnnData:
    """Append a copy of every responder, then forget that they are copies."""
    again = adata[(adata.obs["response"] == POSITIVE).to_numpy()].copy()
    both = ad.concat([adata, again], index_unique="-copy", keys=["", "x"])
    both.obs["patient"] = [f"row {i}" for i in range(both.n_obs)]
    return both


def leaky(adata: ad.AnnData, seed: int | None = None) -> pd.DataFrame:
    """The protocol to avoid, on permuted labels where a seed is given."""
    rows = adata.copy()
    if seed is not None:
        order = np.random.default_rng(seed).permutation(rows.n_obs)
        rows.obs["response"] = rows.obs["response"].to_numpy()[order]
    return evaluate(doubled(rows), "AMU", {}, baselines=BASELINES, allow_shared_rows=True)


def panel_of(path: Path, key: str, genes: list[str]) -> ad.AnnData:
    """One study before treatment, its panel genes closed to a whole."""
    adata = ad.read_h5ad(path)
    adata = adata[(adata.obs["timepoint"] == "Pre").to_numpy()].copy()
    dtp.pp.response_labels(adata, key)
    logs = np.log1p(adata.to_df().div(adata.to_df().sum(axis=1), axis=0) * 1e6)
    found = {
        name: [gene for gene in genes_of if gene in logs]
        for name, genes_of in MEAN_SIGNATURES.items()
    }
    scores = {name: logs[columns].mean(axis=1) for name, columns in found.items()}
    print(path.name, {name: len(columns) for name, columns in found.items()})
    adata = adata[adata.obs["response"].notna().to_numpy()][:, genes].copy()
    adata = with_words(adata[~adata.obs["patient"].duplicated().to_numpy()].copy())
    for name, score in scores.items():
        adata.obs[name] = score[adata.obs_names]
    dtp.pp.close_composition(adata, method="ratio")
    return adata


def across(train: ad.AnnData, test: ad.AnnData) -> pd.DataFrame:
    """Fit on one study, predict the other; genes standardised by the training study alone."""
    set_up(train)
    model = AMU(train)
    model.train(verbose=False)
    logits = model.predict_logits(test, scale="normalized")[POSITIVE].to_numpy()
    x, new = (np.log1p(1e6 * np.asarray(part.X)) for part in (train, test))
    y = (train.obs["response"] == POSITIVE).to_numpy()
    others = {
        "logistic_regression": LogisticRegression(C=0.01, max_iter=1000),
        "random_forest": RandomForestClassifier(300, min_samples_leaf=5, random_state=0),
    }
    scores = {"AMU": logits}
    scores |= {f"{name}, all genes": test.obs[name].to_numpy() for name in SIGNATURES}
    for name, estimator in others.items():
        fitted = make_pipeline(StandardScaler(), estimator).fit(x, y)
        scores[name] = fitted.predict_proba(new)[:, 1]
    truth = (test.obs["response"] == POSITIVE).to_numpy()
    lines = []
    for name, score in scores.items():
        lines.append((name, "auroc", *stats.auroc_interval(truth, score)))
    return pd.DataFrame(lines, columns=["model", "metric", "value", "low", "high"])


def main(arguments: list[str]) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--amu", type=Path, required=True)
    parser.add_argument("--ici", type=Path)
    parser.add_argument("--paper", action="store_true")
    parser.add_argument("--grids", action="store_true")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args(arguments)
    warnings.simplefilter("ignore", UserWarning)
    adata = published_table(given.amu)
    counts = adata.obs["response"].value_counts()
    print(f"{adata.n_obs} patients, {counts[POSITIVE]} responders; {adata.n_vars} genes")
    parts = {
        "honest": honest(adata, paper=given.paper, grids=given.grids),
        "leave one study out": honest(
            adata, paper=given.paper, grids=given.grids, study_folds=True
        ),
        "leaky": leaky(adata),
        "leaky, permuted": leaky(adata, seed=0),
    }
    if given.ici:
        files = {
            "Hugo": ("hugo2016_GSE78220.h5ad", "response_PD1"),
            "Riaz": ("riaz2017_GSE91061.h5ad", "BOR_riaz_table"),
        }
        names = [set(ad.read_h5ad(given.ici / f, backed="r").var_names) for f, _ in files.values()]
        genes = [gene for gene in adata.var_names if all(gene in found for found in names)]
        studies = {n: panel_of(given.ici / f, key, genes) for n, (f, key) in files.items()}
        print(f"{len(genes)} of the panel's genes in both studies")
        for one, other in (("Hugo", "Riaz"), ("Riaz", "Hugo")):
            sizes = f"{studies[one].n_obs} to {studies[other].n_obs}"
            parts[f"across, {one} to {other} ({sizes})"] = across(studies[one], studies[other])
    table = pd.concat(parts, names=["protocol"]).reset_index(level=0)
    for (protocol, metric), rows in table.groupby(["protocol", "metric"], sort=False):
        print(f"\n{protocol}: {metric}")
        for row in rows.itertuples():
            print(f"  {row.model:<30} {row.value:.3f} [{row.low:.3f}, {row.high:.3f}]")
    if given.json:
        given.json.write_text(json.dumps(table.to_dict("records"), indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
