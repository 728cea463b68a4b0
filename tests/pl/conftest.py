from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from dtp_scvi import datasets, pp, stats, tl

MODELS = {
    "teacher": 2.0,
    "logistic_regression": 1.6,
    "gradient_boosting": 1.8,
    "random_forest": 1.4,
    "mean_expression": 0.3,
    "lsc17": 0.6,
}

EFFECTS = (("drug a", 1.0), ("drug b", -0.5), ("drug c", 0.0))


def make_result(seed: int = 0, n: int = 400) -> dict:
    """What ``tl.cross_validate`` stores, from simulated scores."""
    rng = np.random.default_rng(seed)
    labels = rng.random(n) < 0.4
    groups = np.array([f"d{i}" for i in rng.integers(0, 6, n)])
    logits = {m: e * (labels - 0.5) + rng.normal(size=n) for m, e in MODELS.items()}
    p = {model: stats.sigmoid(logit) for model, logit in logits.items()}
    threshold = stats.choose_threshold(labels, p["teacher"], groups=groups, n_boot=20)
    metrics, differences = stats.bootstrap_metrics(
        labels, logits, p, threshold.value, groups, n_boot=20, reference="teacher"
    )
    return {
        "metrics": metrics,
        "differences": differences,
        "threshold": threshold.to_dict(),
        "threshold_sweep": stats.threshold_sweep(labels, p["teacher"]),
        "roc": stats.roc_table(labels, logits),
        "pr": stats.pr_table(labels, logits),
        "reliability": stats.reliability_table(labels, p, groups, n_boot=20),
        "decision_curve": stats.decision_curve(labels, p, groups=groups, n_boot=20),
        "coverage": stats.conformal_coverage(labels, p["teacher"], groups, n_boot=20),
        "probabilities": pd.DataFrame(p, index=[f"c{i}" for i in range(n)]),
        "label": labels,
        "group": groups.astype(object),
        "params": {
            "model": "teacher",
            "positive": "bad",
            "simulated": True,
            "optimistic": False,
            "prevalence": float(labels.mean()),
        },
    }


@pytest.fixture(scope="session")
def stored_result() -> dict:
    return make_result()


@pytest.fixture
def result(stored_result) -> dict:
    """A result that a test may change."""
    return {**stored_result, "params": dict(stored_result["params"])}


@pytest.fixture
def scored() -> ad.AnnData:
    """Cells in three groups, as ``tl.score`` leaves them."""
    rng = np.random.default_rng(0)
    obs = pd.DataFrame(
        {
            "state": np.repeat(["relapse", "diagnosis", "healthy"], [60, 50, 40]),
            "dtp_score": rng.random(150),
        },
        index=[f"c{i}" for i in range(150)],
    )
    info = {"threshold": {"value": 0.6, "rule": "f1"}, "simulated": False}
    return ad.AnnData(np.zeros((150, 1), dtype=np.float32), obs=obs, uns={"dtp": info})


@pytest.fixture
def agreement() -> dict:
    rng = np.random.default_rng(0)
    teacher = rng.normal(size=300)
    student = teacher + 0.3 * rng.normal(size=300)
    cuts = {"teacher_threshold": 0.2, "student_threshold": 0.1}
    return {
        "table": pd.DataFrame({"teacher_logit": teacher, "student_logit": student, "group": "a"}),
        "summary": stats.fidelity(teacher, student, **cuts),
        **cuts,
        "params": {"simulated": False},
    }


@pytest.fixture
def losses() -> pd.DataFrame:
    epochs = np.arange(8)
    parts = [
        pd.DataFrame(
            {
                "epoch": epochs,
                "member": member,
                "train_loss": 1 / (epochs + 1),
                "validation_loss": 0.4 + 0.01 * (epochs - 3 - member) ** 2,
            }
        )
        for member in range(3)
    ]
    return pd.concat(parts, ignore_index=True)


@pytest.fixture
def attention() -> pd.DataFrame:
    weights = np.random.default_rng(0).dirichlet(np.arange(1, 8), size=4)
    return pd.DataFrame(weights, index=list("abcd"), columns=[f"p{i}" for i in range(7)])


@pytest.fixture
def audited() -> pd.DataFrame:
    """What ``pp.audit`` returns for three columns and two row statistics."""
    rows = [
        ("determined_by_donor", "donor", 0.3, np.nan, "note"),
        ("cramers_v", "donor", 0.6, 0.2, "note"),
        ("auroc", "donor", 0.9, 0.7, "note"),
        ("determined_by_batch", "run", 1.0, np.nan, "error"),
        ("cramers_v", "run", 1.0, 0.2, "note"),
        ("auroc", "run", 1.0, 0.7, "note"),
        ("cramers_v", "site", 0.0, 0.2, "ok"),
        ("auroc", "site", 0.3, 0.7, "ok"),
        ("row_statistic", "total", 0.08, np.nan, "warn"),
        ("row_statistic", "n_genes", 0.6, np.nan, "ok"),
    ]
    return pd.DataFrame(rows, columns=["check", "subject", "value", "null_high", "verdict"])


@pytest.fixture
def checked() -> dict:
    """What ``tl.score`` stores of a check that could not measure everything."""

    def measure(value, usual, low, high, verdict):
        names = ("value", "usual", "recalibrate_from", "rank_only_from", "verdict")
        return dict(zip(names, (value, usual, usual + low, usual + high, verdict), strict=True))

    transfer = {
        "verdict": "rank_only",
        "found": "rank_only",
        "reasons": np.array(["Bulk samples are so alike.", "The shift is large."], dtype=object),
        "measures": {
            "missing": measure(0.05, 0.0, 0.1, 0.3, "calls"),
            "alike": measure(0.96, 0.0, 0.75, 0.9, "rank_only"),
            "shift": measure(0.4, 0.0, 0.2, 1.1, "recalibrate"),
            "high": measure(0.3, 0.2, 0.5, 0.8, "calls"),
            "low": measure(0.0, 0.0, 0.5, 0.8, "calls"),
        },
    }
    return {"transfer": transfer, "simulated": False}


@pytest.fixture(scope="session")
def stored_survival() -> ad.AnnData:
    """Patients whose survival goes with their score, in three groups."""
    rng = np.random.default_rng(0)
    score = rng.normal(size=150)
    time, lost = rng.exponential(400 / np.exp(score)), rng.uniform(100, 1500, 150)
    obs = pd.DataFrame(
        {"risk": score, "days": np.minimum(time, lost).round(), "event": time <= lost},
        index=[f"p{i}" for i in range(150)],
    )
    adata = ad.AnnData(np.zeros((150, 1), dtype=np.float32), obs=obs)
    tl.survival(adata, time_key="days", score_key="risk", cut="tertiles", n_boot=20)
    return adata


@pytest.fixture
def survived(stored_survival) -> ad.AnnData:
    """A result of ``tl.survival`` that a test may change."""
    return stored_survival.copy()


@pytest.fixture
def tested() -> dict:
    """What ``tl.drug_response`` stores for three drugs, one of them not tested."""
    rng = np.random.default_rng(0)
    score = rng.random(60)
    response = pd.DataFrame(
        {name: 150 + 60 * effect * score + 20 * rng.normal(size=60) for name, effect in EFFECTS},
        index=[f"p{i}" for i in range(60)],
    )
    response.loc[response.index[:10], "drug b"] = np.nan
    response["rare"] = np.where(np.arange(60) < 5, 100.0, np.nan)
    rows = [
        ("drug a", 60, True, "", 0.6, 0.4, 0.7, 0.0002),
        ("drug b", 50, True, "", -0.35, -0.55, -0.1, 0.04),
        ("drug c", 60, True, "", 0.05, -0.2, 0.3, 0.7),
        ("rare", 5, False, "5 patients, fewer than 50", np.nan, np.nan, np.nan, np.nan),
    ]
    columns = ["drug", "n", "tested", "reason", "rho", "low", "high", "q"]
    pooled = pd.DataFrame(
        {
            "estimator": ["within_drug", "naive_pairs"],
            "value": [0.1, 0.1],
            "low": [-0.05, 0.05],
            "high": [0.25, 0.15],
            "p": [0.2, 0.001],
            "n_patients": 60,
        }
    )
    null = rng.normal(0, 0.1, 50)
    controls = pd.DataFrame(
        {
            "control": ["random_panels", "blast_percentage"],
            "kind": ["null", "single"],
            "n": [50, 1],
            "observed": [0.1, 0.12],
            "value": [0.0, 0.2],
            "low": [-0.2, 0.1],
            "high": [0.2, 0.3],
            "rank": [16, 2],
        }
    )
    values = pd.DataFrame({"control": ["random_panels"] * 50, "value": null})
    return {
        "table": pd.DataFrame(rows, columns=columns),
        "pooled": pooled,
        "controls": {"table": controls, "values": values},
        "guards": pd.DataFrame({"guard": ["complete"], "level": ["ok"]}),
        "patients": pd.DataFrame({"score": score}, index=response.index),
        "response": response,
        "params": {
            "score_key": "dtp_score",
            "direction": "higher_is_resistant",
            "simulated": False,
        },
    }


@pytest.fixture
def screened() -> pd.DataFrame:
    """What ``tl.essentiality`` returns of a simulated screen."""
    screen = datasets.simulate_dependencies(120, n_disease=8, n_selective=5, n_common=10)
    return tl.essentiality(
        screen.var_names[:5].tolist(),
        screen.to_df(),
        screen.obs,
        n_boot=50,
        n_permutations=50,
    )


@pytest.fixture
def enriched() -> pd.DataFrame:
    """What ``tl.enrichment`` returns of one statistic: three sets tested, one too small."""
    return pd.DataFrame(
        {
            "contrast": "attribution",
            "source": ["SET_UP", "SET_FLAT", "SET_DOWN", "SET_SMALL"],
            "score": [6.0, 0.5, -3.0, np.nan],
            "q": [1e-6, 0.9, 0.02, np.nan],
            "q_permutation": [0.003, 0.7, 0.05, np.nan],
            "q_donors": np.nan,
            "n_in_set": [40, 30, 20, 10],
            "n_found": [40, 15, 5, 1],
            "share_found": [1.0, 0.5, 0.25, 0.1],
            "tested": [True, True, True, False],
        }
    )


@pytest.fixture
def compared() -> pd.DataFrame:
    """What ``tl.compare_signatures`` returns; one signature was not scored."""
    return pd.DataFrame(
        {
            "source": ["lsc17", "plsc_6", "quiescence"],
            "n_donors": [40, 40, 0],
            "rho": [0.5, -0.1, np.nan],
            "low": [0.3, -0.3, np.nan],
            "high": [0.7, 0.2, np.nan],
            "q": [0.001, 0.6, np.nan],
            "partial_rho": [0.2, -0.05, np.nan],
            "partial_low": [-0.1, -0.3, np.nan],
            "partial_high": [0.5, 0.2, np.nan],
            "partial_q": [0.3, 0.8, np.nan],
        }
    )


@pytest.fixture
def target_table() -> pd.DataFrame:
    """What ``tl.rank_targets`` returns for thirty genes, two of them removed."""
    rng = np.random.default_rng(0)
    n = 28
    quantiles = rng.random((n, 4))
    quantiles[3:9, 2] = np.nan
    table = pd.DataFrame(
        quantiles,
        columns=[f"quantile_{c}" for c in ("association", "abundance", "dependency", "antibody")],
        index=pd.Index([f"GENE{i}" for i in range(n)], name="gene"),
    )
    table["rank"] = np.arange(1.0, n + 1)
    table["rank_low"], table["rank_high"] = table["rank"] * 0.7, table["rank"] * 1.6
    table["rra_rank"] = rng.permutation(n) + 1.0
    table["abundance"], table["removed_by"] = rng.random(n), ""
    removed = pd.DataFrame({"removed_by": "surface"}, index=["GONE1", "GONE2"])
    table = pd.concat([table, removed]).rename_axis("gene")
    table.attrs["dtp_targets"] = {"params": {"simulated": True}}
    return table


@pytest.fixture
def recovered(target_table) -> dict:
    names = ["GENE1", "GENE2", "GENE9", "GENE20", "GONE1"]
    return tl.target_recovery(target_table, controls=names, n_random=200)


@pytest.fixture
def explained() -> dict:
    """What ``tl.attribute`` stores, of twelve genes and five donors."""
    rng = np.random.default_rng(0)
    genes = np.array([f"G{i}" for i in range(12)], dtype=object)
    size = np.linspace(1.2, 0.1, 12)
    table = pd.DataFrame(
        {
            "mean_abs": size,
            "residual_abs": size / 4,
            "direction": np.where(np.arange(12) % 2, -1.0, 1.0),
            "rank": np.arange(1.0, 13.0),
        },
        index=genes,
    )
    expression = rng.gamma(2, 1, (200, 12))
    signs = table["direction"].to_numpy()
    return {
        "table": table,
        "donors": {
            "genes": genes,
            "donors": np.array(list("abcde"), dtype=object),
            "mean_abs": size * rng.uniform(0.7, 1.3, (5, 12)),
        },
        "cells": {
            "genes": genes,
            "rows": np.arange(200).astype(str).astype(object),
            "attribution": (expression - expression.mean(axis=0)) * size * signs,
            "expression": expression,
        },
        "groups": pd.DataFrame(
            {
                "group": np.repeat(["p1", "p2"], 12),
                "gene": np.tile(genes, 2),
                "mean": np.r_[size * signs, -size * signs],
                "mean_abs": np.tile(size, 2),
            }
        ),
        "shares": {"variance": {"linear": 0.83, "residual": 0.17}},
        "params": {"units": "log-odds of bad against the rest", "simulated": True},
    }


@pytest.fixture(scope="session")
def mapped() -> pd.DataFrame:
    """What ``tl.gene_map`` returns of thirty genes in two groups, with their edges."""
    rng = np.random.default_rng(0)
    genes = np.array([f"G{i:02d}" for i in range(30)])
    group = np.arange(30) // 15
    table = pd.DataFrame(3 * rng.normal(size=(2, 5))[group] + rng.normal(size=(30, 5)), genes)
    first, second = np.nonzero(np.triu(group[:, None] == group, 1))
    edges = pd.DataFrame({"a": genes[first], "b": genes[second]}).iloc[::6]
    return tl.gene_map(table, edges=edges, perplexity=5, seeds=(0, 1))


@pytest.fixture
def protocols() -> pd.DataFrame:
    """AUROC of two models under three protocols; one interval was not computed."""
    return pd.DataFrame(
        {
            "model": np.repeat(["AMU", "random_forest"], 3),
            "protocol": ["honest", "leaky", "leaky, permuted labels"] * 2,
            "auroc": [0.55, 0.79, 0.6, 0.59, 0.9, 0.89],
            "low": [0.47, 0.7, 0.5, 0.5, 0.85, np.nan],
            "high": [0.63, 0.86, 0.7, 0.67, 0.95, np.nan],
        }
    )


@pytest.fixture
def patients() -> tuple[ad.AnnData, list[str]]:
    """Patients of three studies and the genes to draw; two have no response."""
    ici = datasets.simulate_ici((12, 20, 9), n_genes=25, n_signal_genes=4, signal=2.0)
    ici.obs["response"] = ici.obs["response"].astype(float)
    ici.obs.iloc[[3, 20], ici.obs.columns.get_loc("response")] = np.nan
    return ici, ici.var_names[:8].tolist()


@pytest.fixture
def agreeing() -> pd.DataFrame:
    """What ``tl.compare_attributions`` returns, of three results."""
    pairs = {"first": ["bulk", "bulk", "cells"], "second": ["cells", "others", "others"]}
    ends = {"low": [0.7, 0.1, -0.5], "high": [0.9, 0.4, -0.1]}
    return pd.DataFrame({**pairs, "rho": [0.8, 0.25, -0.3], **ends})


@pytest.fixture(scope="session")
def carried_over() -> ad.AnnData:
    """Cells that ``tl.compare_transfer`` wrote to, with scores of one model beside."""
    lines, cells = datasets.simulate_drug_transfer(80, 80, n_genes=40)
    tl.compare_transfer(
        lines,
        cells,
        drug="simulated drug",
        models={"truth": cells.obs["true_response"]},
        n_boot=20,
    )
    return cells


@pytest.fixture(scope="session")
def treated_wells() -> tuple[ad.AnnData, pd.DataFrame]:
    """Wells of four drugs at three doses and two times, and their planted changes."""
    rng = np.random.default_rng(0)
    rows = [("DMSO", 1.0, 24.0)] * 8
    rows += [
        (f"drug {d}", dose, time)
        for d in range(4)
        for dose in (0.1, 1.0, 10.0)
        for time in (6.0, 24.0)
    ] * 2
    obs = pd.DataFrame(rows, columns=["drug", "dose", "time"])
    obs.index = [f"w{i}" for i in range(len(obs))]
    effect = np.vstack([np.zeros(20), rng.normal(size=(4, 20))])
    size = np.log10(obs["dose"] + 1) * (obs["time"] / 24)
    change = effect[pd.factorize(obs["drug"])[0]] * size.to_numpy()[:, None]
    values = rng.normal(8, 2, 20) + change + 0.2 * rng.normal(size=change.shape)
    wells = ad.AnnData(values.astype(np.float32), obs)
    wells.var_names = [f"g{i}" for i in range(20)]
    pp.pair_controls(wells, drug_key="drug", control_label="DMSO")
    return wells, pd.DataFrame(change, index=wells.obs_names, columns=wells.var_names)


@pytest.fixture(scope="session")
def evaluated() -> dict:
    """What ``tl.evaluate_perturbation`` stores of a model, its ablation and two baselines."""
    models = {
        "XPert": ("model", 0.3, 0.5),
        "XPert, drugs zeroed": ("ablation", 0.2, 0.45),
        "mean_delta": ("baseline", 0.25, 0.4),
        "cell_control_mean": ("baseline", -0.01, 0.55),
    }
    rows = [
        ("test", name, kind, metric, grouping, control, value, value - 0.05, value + 0.05, 40, 0)
        for metric in ("pearson_delta", "discrimination_l1")
        for grouping in ("per_sample", "drug")
        for name, (kind, *values) in models.items()
        for control, value in zip(("independent", "own"), values, strict=True)
    ]
    nan = float("nan")
    rows.append(
        (
            "test",
            "replicate_ceiling",
            "ceiling",
            "pearson_delta",
            "per_sample",
            "independent",
            0.45,
            nan,
            nan,
            9,
            0,
        )
    )
    columns = ["part", "model", "kind", "metric", "grouping", "control", "value", "low", "high"]
    return {
        "table": pd.DataFrame(rows, columns=[*columns, "n_groups", "n_constant"]),
        "params": {"split_key": "split"},
    }


@pytest.fixture
def looked_at() -> dict:
    """What ``tl.attention`` stores of two drugs and of genes in two groups."""
    atoms = pd.DataFrame(
        [[0.1, 2.0, 0.4, 0.0], [1.0, 0.5, np.nan, np.nan]],
        index=["drug a", "drug b"],
        columns=[f"atom {i}" for i in range(4)],
    )
    structures = pd.DataFrame(
        {"smiles": ["CCOC", "CCCCO"], "n_atoms": [4, 5]}, index=["drug a", "drug b"]
    )
    rng = np.random.default_rng(0)
    units = rng.dirichlet(np.full(30, 4.0), 10)
    shares = {"q10": 0.1, "q25": 0.25, "median": 0.5, "q75": 0.75, "q90": 0.9}
    genes = pd.DataFrame({name: np.quantile(units, q, axis=0) for name, q in shares.items()})
    genes.index = [f"g{i}" for i in range(30)]
    genes["mean"] = units.mean(axis=0)
    genes["mean_first"], genes["mean_second"] = units[:5].mean(axis=0), units[5:].mean(axis=0)
    genes["p"] = np.geomspace(1e-4, 1, 30)
    genes["q"] = np.minimum(1, 30 * genes["p"] / np.arange(1, 31))
    params = {
        "simulated": True,
        "n_units": 10,
        "unit": "patient",
        "groups": ["response", "none"],
        "n_in_groups": [5, 5],
    }
    return {
        "atoms": {"table": atoms, "structures": structures, "params": {"simulated": True}},
        "genes": {"table": genes, "params": params},
    }
