"""
Train the models that ship with dtp_scvi on BeatAML waves 1+2, test them once on waves 3+4.

    python scripts/train_bundled.py --beataml DIR [--out DIR] [--stop-before-test]

DIR holds ``beataml2_norm_exp_493genes_566samples.csv.gz`` (genes x samples, log2),
``expression_sample_map.csv`` (sample, patient, cohort) and
``drug_auc_569patients_166drugs.csv.gz`` (patients x drugs). The family of each model is chosen by
cross-validation inside waves 1+2 and printed before any response of waves 3+4 is looked at.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
from scipy.stats import rankdata, spearmanr
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold

from dtp_scvi.model import ResponseModel
from dtp_scvi.stats import rank_correlation
from dtp_scvi.stats._bca import bca_interval, resampling_weights
from dtp_scvi.stats._weighted_ranks import RankCorrelator
from dtp_scvi.train._baseline_scores import LSC17_WEIGHTS, lsc17_weights

OUT = Path(__file__).parents[1] / "src/dtp_scvi/hub/models"
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
# Simplest first: one regression before two, amounts before ranks, the value before its rank.
FAMILIES = (
    ("closed", "value"),
    ("closed", "rank"),
    ("rank", "value"),
    ("rank", "rank"),
    ("blend", "value"),
    ("blend", "rank"),
)
MONOCYTIC = ("LYZ", "CD14", "S100A8", "S100A9", "FCN1", "VCAN")
FEWEST_PATIENTS, FEWEST_DRUGS = 100, 10
N_FOLDS, SEEDS = 5, (0, 1, 2, 3, 4)
N_PANELS, PANEL_SIZE, N_BOOT = 200, 50, 2000
UNITS = "AUC as published by BeatAML, 0 to 300, lower is more sensitive"
TOLERANCE = "mean percentile rank of the AUC within each drug, 0 to 1"
LICENCE = (
    "Trained on BeatAML 2.0 data, CC-BY-4.0; attribute Bottomly et al., Cancer Cell 2022 "
    "(doi:10.1016/j.ccell.2022.07.002) and Tyner et al., Nature 2018 "
    "(doi:10.1038/s41586-018-0623-z). The coefficients are under the licence of this package; "
    "no row of the data is included."
)


class Cohort:
    """Expression, patients and waves; responses by wave, on demand."""

    def __init__(self, folder: Path) -> None:
        table = pd.read_csv(folder / "beataml2_norm_exp_493genes_566samples.csv.gz", index_col=0).T
        where = pd.read_csv(folder / "expression_sample_map.csv").set_index("dbgap_rnaseq_sample")
        where = where.loc[table.index]
        obs = pd.DataFrame(
            {
                "patient": where["dbgap_subject_id"].astype(str),
                "cohort": where["cohort"].to_numpy(),
            },
            index=table.index,
        )
        adata = ad.AnnData(table.astype(np.float32), obs=obs)
        early, late = (
            set(obs.loc[obs["cohort"] == name, "patient"]) for name in ("Waves1+2", "Waves3+4")
        )
        both = set(obs.loc[obs["cohort"] == "Both", "patient"])
        self.early = adata[obs["patient"].isin(early - late - both).to_numpy()].copy()
        self.late = adata[obs["patient"].isin(late - early - both).to_numpy()].copy()
        self._auc_file = folder / "drug_auc_569patients_166drugs.csv.gz"

    def responses(self, adata: ad.AnnData) -> pd.DataFrame:
        """AUC of these patients, one row a sample, one column a drug."""
        table = pd.read_csv(self._auc_file, index_col=0)
        table.index = table.index.astype(str)
        return table.reindex(adata.obs["patient"]).set_axis(adata.obs_names)


def drug_column(table: pd.DataFrame, drug: str) -> str:
    """Name of the one column of a drug, which may carry a synonym in brackets."""
    found = [name for name in table.columns if name == drug or name.startswith(f"{drug} (")]
    if len(found) != 1:
        msg = f"{drug}: {len(found)} columns"
        raise ValueError(msg)
    return found[0]


def targets(table: pd.DataFrame, panel: list[str]) -> dict[str, np.ndarray]:
    """Responses by model name; the tolerance index is made within these rows alone."""
    found = {f"aml-{d.lower()}": table[drug_column(table, d)].to_numpy(float) for d in DRUGS}
    ranks = table[panel].rank(pct=True)
    index = ranks.mean(axis=1).where(ranks.notna().sum(axis=1) >= FEWEST_DRUGS)
    return {**found, "aml-tolerance": index.to_numpy(float)}


def fit(adata: ad.AnnData, y: np.ndarray, name: str, family: tuple[str, str]) -> ResponseModel:
    """Fit one family on the rows that have a response."""
    rows = ad.AnnData(adata.X, obs=adata.obs.assign(response=y), var=adata.var)
    inputs, target = family
    units = TOLERANCE if name == "aml-tolerance" else UNITS
    model = ResponseModel(name, inputs=inputs, target=target)
    return model.fit(rows, "response", donor_key="patient", scale="log2", units=units)


def choose(adata: ad.AnnData, y: np.ndarray, name: str) -> tuple[tuple[str, str], pd.DataFrame]:
    """
    Return the simplest family within one standard error of the best, and all fold results.

    The error is that of the difference to the best over folds, with the correction of Nadeau &
    Bengio (2003, doi:10.1023/A:1024068626366) for training sets that overlap.
    """
    have = np.flatnonzero(~np.isnan(y))
    rows, y = adata[have].copy(), y[have]
    patients = rows.obs["patient"].to_numpy()
    unique = np.unique(patients)
    results = []
    for seed in SEEDS:
        for train, _ in KFold(N_FOLDS, shuffle=True, random_state=seed).split(unique):
            inside = np.isin(patients, unique[train])
            held = ~inside
            line = {}
            for family in FAMILIES:
                model = fit(rows[inside].copy(), y[inside], name, family)
                predicted = model.predict(rows[held].copy(), scale="log2")
                line[family] = spearmanr(predicted, y[held]).statistic
            results.append(line)
    table = pd.DataFrame(results)
    table.columns = pd.MultiIndex.from_tuples(table.columns)
    best = table.mean().idxmax()
    inflation = 1 / len(table) + 1 / (N_FOLDS - 1)
    for family in FAMILIES:
        loss = table[best] - table[family]
        if loss.mean() <= np.sqrt(inflation * loss.var(ddof=1)):
            return family, table
    return best, table


def spearman_with_interval(predicted: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """Spearman's correlation and its BCa interval over resampled patients."""
    found = rank_correlation(predicted, y, n_boot=N_BOOT)
    return {"value": found.rho, "low": found.low, "high": found.high}


def _spearman(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(rankdata(a), rankdata(b))[0, 1])


def difference(a: np.ndarray, b: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """Difference of two correlations and its BCa interval, patients resampled together."""
    first, second = RankCorrelator(a, y, []), RankCorrelator(b, y, [])
    drawn, without = resampling_weights(None, len(y), N_BOOT, 0)
    value = first.value() - second.value()
    draws, left_out = (first.values(w) - second.values(w) for w in (drawn, without))
    low, high = bca_interval(value, draws, left_out, 0.95)
    return {"value": value, "low": low, "high": high}


def comparators(
    early: ad.AnnData, y: np.ndarray, late: ad.AnnData, family: tuple[str, str], name: str
) -> tuple[dict[str, np.ndarray], list[np.ndarray]]:
    """Predictions for the late rows by name, and by each random panel."""
    have = ~np.isnan(y)
    mean, sd = early.X[have].mean(axis=0), early.X[have].std(axis=0) + 1e-6
    z, new = (early.X[have] - mean) / sd, (late.X - mean) / sd
    ridge = RidgeCV(np.logspace(1, 5, 13)).fit(z, y[have])
    forest = RandomForestRegressor(500, min_samples_leaf=3, max_features=0.2, random_state=0)
    genes = [gene for gene in MONOCYTIC if gene in early.var_names]
    found = {
        "plain ridge": ridge.predict(new),
        "random forest": forest.fit(z, y[have]).predict(new),
        "monocytic score": new[:, early.var_names.get_indexer(genes)].mean(axis=1),
    }
    rng = np.random.default_rng(0)
    panels = []
    for _ in range(N_PANELS):
        panel = np.sort(rng.choice(early.n_vars, PANEL_SIZE, replace=False))
        model = fit(early[:, panel].copy(), y, name, family)
        panels.append(model.predict(late[:, panel].copy(), scale="log2").to_numpy())
    return found, panels


def evaluate(
    model: ResponseModel,
    early: ad.AnnData,
    y_early: np.ndarray,
    late: ad.AnnData,
    y_late: np.ndarray,
) -> dict[str, Any]:
    """Correlations on the late rows, of the model and of what it has to beat."""
    have = ~np.isnan(y_late)
    late, y = late[have].copy(), y_late[have]
    predicted = model.predict(late, scale="log2").to_numpy()
    family = (model.inputs_, model.target_)
    others, panels = comparators(early, y_early, late, family, model.name_)
    by_panel = np.array([_spearman(p, y) for p in panels])
    own = spearman_with_interval(predicted, y)
    n_lsc17 = len(LSC17_WEIGHTS) - len(lsc17_weights(late.var_names)[1])
    return {
        "cohort": "BeatAML waves 3+4, patients of waves 1+2 excluded",
        "n": len(y),
        "interval": f"BCa interval over {N_BOOT:,} resamples of patients (Efron 1987).",
        "protocol": (
            "Everything was chosen inside waves 1+2; waves 3+4 were opened once. Random panels: "
            f"{N_PANELS} draws of {PANEL_SIZE} of the 493 genes through the same fit, median and "
            f"central 95 %. LSC17 can't be computed: {n_lsc17} of its 17 genes."
        ),
        "spearman": own,
        "comparators": {
            **{name: spearman_with_interval(p, y) for name, p in others.items()},
            f"random panels of {PANEL_SIZE}": dict(
                zip(
                    ("low", "value", "high"),
                    np.quantile(by_panel, [0.025, 0.5, 0.975]).tolist(),
                    strict=True,
                )
            ),
        },
        "minus_plain_ridge": difference(predicted, others["plain ridge"], y),
        "share_of_random_panels_below": float((by_panel < own["value"]).mean()),
    }


def describe(model: ResponseModel) -> None:
    """Add what the data do not say."""
    what = model.name_.removeprefix("aml-")
    model.describe(
        title=f"{model.name_}: predicted ex-vivo {what} response of AML samples",
        intended_use="Research: ranking AML samples or cells by predicted ex-vivo response.",
        population="Patients with AML and related myeloid neoplasms, blood or marrow, BeatAML.",
        data_source=(
            "BeatAML 2.0, waves 1+2; 493 genes, log2 of normalised RPKM; AUC per patient, the "
            "median over specimens."
        ),
        treatments="Freshly isolated mononuclear cells, drugs ex vivo for 72 hours.",
        protocol=(
            f"Family by {len(SEEDS)} x {N_FOLDS}-fold cross-validation by patient inside waves "
            "1+2, the simplest one within one standard error of the best; penalty by leaving one "
            "patient out."
        ),
        licence=LICENCE,
        citation="Bottomly et al., Cancer Cell 2022; Tyner et al., Nature 2018.",
        limitations=(
            "One study, one platform, bulk samples. On single cells only ranks within an object "
            "were looked at, in one patient."
        ),
    )


def write(models: list[ResponseModel], out: Path) -> None:
    """Write one directory a model and the registry with its checksums."""
    registry = {}
    for model in models:
        folder = out / model.name_
        if folder.exists():
            shutil.rmtree(folder)
        model.save(folder)
        registry[model.name_] = {
            "version": "1",
            "drug": model.name_.removeprefix("aml-"),
            "inputs": model.inputs_,
            "target": model.target_,
            "n_training": model.data_["n_rows"],
            "cohort": model.evaluation_["cohort"],
            "n_external": model.evaluation_["n"],
            "spearman": model.evaluation_["spearman"],
            "licence": "CC-BY-4.0 (training data)",
            "bytes": sum(file.stat().st_size for file in folder.iterdir()),
            "sha256": hashlib.sha256((folder / "model.json").read_bytes()).hexdigest(),
        }
    (out / "registry.json").write_text(json.dumps(registry, indent=1) + "\n")


def as_text(results: dict[str, dict[str, Any]]) -> str:
    """The one table."""
    names = list(next(iter(results.values()))["comparators"])
    header = ["model", "n", "Spearman", *names, "minus plain ridge"]
    lines = [header, ["---"] * len(header)]
    for name, found in results.items():
        cells = [found["spearman"], *(found["comparators"][c] for c in names)]
        cells.append(found["minus_plain_ridge"])
        shown = [f"{c['value']:.3f} [{c['low']:.3f}, {c['high']:.3f}]" for c in cells]
        lines.append([f"`{name}`", str(found["n"]), *shown])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def main(arguments: list[str]) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--beataml", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--stop-before-test", action="store_true")
    given = parser.parse_args(arguments)
    cohort = Cohort(given.beataml)
    auc = cohort.responses(cohort.early)
    panel = auc.columns[auc.notna().sum() >= FEWEST_PATIENTS].tolist()
    say = sys.stdout.write
    say(f"{cohort.early.n_obs} samples to train on; {len(panel)} drugs in the tolerance index\n")
    models = []
    for name, y in targets(auc, panel).items():
        family, table = choose(cohort.early, y, name)
        models.append(fit(cohort.early, y, name, family))
        means = ", ".join(f"{'/'.join(f)} {table[f].mean():.3f}" for f in FAMILIES)
        say(f"{name}: n = {models[-1].data_['n_rows']}; {means} -> {'/'.join(family)}\n")
        models[-1].settings_["cross_validation"] = {
            "/".join(f): float(table[f].mean()) for f in FAMILIES
        }
        sys.stdout.flush()
    say("Frozen: " + ", ".join(f"{m.name_} {m.inputs_}/{m.target_}" for m in models) + "\n")
    if given.stop_before_test:
        return 0
    y_early = targets(auc, panel)
    y_late = targets(cohort.responses(cohort.late), panel)
    results = {}
    for model in models:
        name = model.name_
        results[name] = evaluate(model, cohort.early, y_early[name], cohort.late, y_late[name])
        model.adopt(results[name])
        describe(model)
    write(models, given.out)
    (given.out / "evaluation.json").write_text(json.dumps(results, indent=1) + "\n")
    say(as_text(results))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
