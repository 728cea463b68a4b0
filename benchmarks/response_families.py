"""Which kind of model predicts drug response best, by cross-validation inside BeatAML waves 1+2.

    python benchmarks/response_families.py --beataml DIR [--seeds 2] [--json FILE]

Every model sees the same folds of patients and the same 493 genes. Waves 3+4 are not read. The
error of a difference to the ridge is that of the paired difference over folds, corrected for
training sets that overlap (Nadeau & Bengio 2003, doi:10.1023/A:1024068626366).

ridge
    ``ResponseModel``, one a drug: what ships.
forest
    Random forest on the same inputs, one a drug.
transformer
    ``ResponseTransformer``, one a drug.
multi-drug
    ``ResponseTransformer`` with a head for each drug, missing responses masked.
multi-drug, rank loss
    The same, trained on the order of pairs.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.stats import spearmanr
from sklearn.ensemble import RandomForestRegressor
from sklearn.model_selection import KFold

from dtp_scvi.datasets import read_beataml
from dtp_scvi.model import ResponseModel, ResponseTransformer

if TYPE_CHECKING:
    from anndata import AnnData

DRUGS = (
    "Venetoclax",
    "Cytarabine",
    "Midostaurin",
    "Quizartinib",
    "Sorafenib",
    "Dasatinib",
    "Trametinib",
    "Panobinostat",
    "Gilteritinib",
)
N_FOLDS = 5
REFERENCE = "ridge"


def early_patients(folder: Path) -> AnnData:
    """Read the samples of waves 1+2 with a column of obsm for each of the nine drugs."""
    adata = read_beataml(
        folder / "beataml2_norm_exp_493genes_566samples.csv.gz",
        folder / "drug_auc_569patients_166drugs.csv.gz",
        sample_map=folder / "expression_sample_map.csv",
    )
    adata = adata[(adata.obs["wave"] == "Waves1+2").to_numpy()].copy()
    table = adata.obsm["drug_auc"]
    columns = {drug: next(c for c in table if c.split(" (")[0] == drug) for drug in DRUGS}
    adata.obsm["drug_auc"] = table[list(columns.values())].set_axis(list(columns), axis=1)
    adata.obs["patient"] = adata.obs["patient"].astype(str)
    return adata[table[list(columns.values())].notna().any(axis=1).to_numpy()].copy()


def ridge(train: AnnData, test: AnnData) -> pd.DataFrame:
    """One ridge regression a drug."""
    found = {}
    for drug in DRUGS:
        rows = train.copy()
        rows.obs["response"] = train.obsm["drug_auc"][drug]
        model = ResponseModel(drug).fit(rows, "response", donor_key="patient", scale="log2")
        found[drug] = model.predict(test, scale="log2")
    return pd.DataFrame(found)


def forest(train: AnnData, test: AnnData) -> pd.DataFrame:
    """One random forest a drug."""
    found = {}
    for drug in DRUGS:
        y = train.obsm["drug_auc"][drug].to_numpy()
        seen = np.isfinite(y)
        model = RandomForestRegressor(500, min_samples_leaf=3, max_features=0.2, random_state=0)
        found[drug] = model.fit(train.X[seen], y[seen]).predict(test.X)
    return pd.DataFrame(found, index=test.obs_names)


def transformer(train: AnnData, test: AnnData) -> pd.DataFrame:
    """One Transformer a drug."""
    parts = []
    for drug in DRUGS:
        model = ResponseTransformer(drug)
        model.fit(
            train, "drug_auc", targets=[drug], donor_key="patient", scale="log2", verbose=False
        )
        parts.append(model.predict(test, scale="log2"))
    return pd.concat(parts, axis=1)


def multi(train: AnnData, test: AnnData, loss: Any = "huber") -> pd.DataFrame:
    """One Transformer with a head for each drug."""
    model = ResponseTransformer(loss=loss)
    model.fit(train, "drug_auc", donor_key="patient", scale="log2", verbose=False)
    return model.predict(test, scale="log2")


FAMILIES = {
    REFERENCE: ridge,
    "forest": forest,
    "transformer": transformer,
    "multi-drug": multi,
    "multi-drug, rank loss": lambda train, test: multi(train, test, "rank"),
}


def run(adata: AnnData, seeds: int) -> pd.DataFrame:
    """Spearman's correlation of every family, drug and fold."""
    unique = np.unique(adata.obs["patient"])
    lines = []
    for seed in range(seeds):
        folds = KFold(N_FOLDS, shuffle=True, random_state=seed).split(unique)
        for fold, (inside, _) in enumerate(folds):
            kept = adata.obs["patient"].isin(unique[inside]).to_numpy()
            train, test = adata[kept].copy(), adata[~kept].copy()
            for family, predict in FAMILIES.items():
                start = time.perf_counter()
                predicted = predict(train, test)
                seconds = time.perf_counter() - start
                for drug in DRUGS:
                    y = test.obsm["drug_auc"][drug]
                    rho = spearmanr(predicted[drug], y, nan_policy="omit").statistic
                    lines.append((seed, fold, family, drug, float(rho), seconds))
    return pd.DataFrame(lines, columns=["seed", "fold", "family", "drug", "rho", "seconds"])


def summary(found: pd.DataFrame) -> dict[str, Any]:
    """Mean by family and drug, and the difference to the ridge with its error."""
    wide = found.pivot(index=["seed", "fold"], columns=["family", "drug"], values="rho")
    error = np.sqrt(1 / len(wide) + 1 / (N_FOLDS - 1))
    out: dict[str, Any] = {}
    for family in FAMILIES:
        gap = wide[family] - wide[REFERENCE]
        overall = gap.mean(axis=1)
        out[family] = {
            "rho": {drug: float(wide[family][drug].mean()) for drug in DRUGS},
            "mean": float(wide[family].to_numpy().mean()),
            "minus_ridge": float(overall.mean()),
            "error": float(error * overall.std(ddof=1)),
            "seconds": float(found.loc[found["family"] == family, "seconds"].mean()),
        }
    return out


def main(arguments: list[str]) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--beataml", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args(arguments)
    adata = early_patients(given.beataml)
    print(f"{adata.n_obs} samples of {adata.obs['patient'].nunique()} patients, waves 1+2")
    found = summary(run(adata, given.seeds))
    table = pd.DataFrame({name: entry["rho"] for name, entry in found.items()})
    print(table.round(3).to_string())
    for name, entry in found.items():
        print(
            f"{name}: mean {entry['mean']:.3f}, minus ridge {entry['minus_ridge']:+.3f} "
            f"(error {entry['error']:.3f}), {entry['seconds']:.1f} s a fold"
        )
    if given.json:
        given.json.write_text(json.dumps(found, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
