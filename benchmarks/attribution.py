"""Planted drivers: does a model's attribution find the genes that make the label?

Cells are simulated with programmes that raise or lower the log-odds of the label linearly, pairs
of programmes that do so by their product only, and programmes that do nothing. A gene is a driver
where it belongs to a programme of the first two kinds. Printed are, by ranking, the areas under
the precision-recall curve for all drivers, for those of linear programmes and for those of
products, beside what a random order would reach; then what a method cost and how complete it is.

Run: ``python benchmarks/attribution.py``
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.stats import ttest_ind
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, roc_auc_score

import dtp_scvi as dtp
from dtp_scvi.data import Scale
from dtp_scvi.train import log_rows, read_rows

if TYPE_CHECKING:
    from anndata import AnnData


def drivers(cells: AnnData) -> dict[str, np.ndarray]:
    """Return masks over genes: members of linear and of interacting programmes."""
    table = cells.uns["dtp_simulation"]["programmes"]
    member = np.asarray(cells.varm["true_loadings"]) != 0
    role = table["role"].to_numpy()
    found = {name: member[:, role == name].any(axis=1) for name in ("linear", "interaction")}
    return {"any": found["linear"] | found["interaction"], **found}


def others(cells: AnnData) -> dict[str, np.ndarray]:
    """Rank genes without the model: two usual ways, on the same cells."""
    log = log_rows(*read_rows(cells.layers["counts"], Scale.COUNTS, None), Scale.COUNTS).toarray()
    positive = (cells.obs["state"] == "drug_tolerant").to_numpy()
    sd = log.std(axis=0)
    scaled = (log - log.mean(axis=0)) / np.where(sd > 0, sd, 1)
    fitted = LogisticRegression(C=1e-3, max_iter=500).fit(scaled, positive)
    t = ttest_ind(log[positive], log[~positive], equal_var=False).statistic
    return {
        "|logistic regression coefficient|": np.abs(fitted.coef_[0]),
        "|Welch's t|, tolerant against sensitive": np.abs(np.nan_to_num(t)),
        "mean expression": log.mean(axis=0),
    }


def refusal(error: ValueError) -> str:
    """The part of the message that says what was found."""
    return str(error).partition("found ")[2].partition(":")[0]


def report(models: dict[str, Any], cells: AnnData, max_cells: int, path: Path | None) -> None:
    """Print both tables, and write them."""
    truth, rankings, costs = drivers(cells), others(cells), []
    for name, model in models.items():
        for method in ("integrated_gradients", "gradient_shap", "deep_lift"):
            start = time.perf_counter()
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    found = model.attribute(method=method, max_cells=max_cells)
            except ValueError as error:
                costs.append({"model": name, "method": method, "refused": refusal(error)})
                continue
            record = found.record
            costs.append(
                {
                    "model": name,
                    "method": method,
                    "gradients a row": record["params"]["gradients_per_row"],
                    "seconds": time.perf_counter() - start,
                    "median error": record["completeness"]["median"],
                    "max error": record["completeness"]["max"],
                    "split-half": record["stability"]["split_half"],
                    "linear share": record["shares"]["variance"]["linear"],
                }
            )
            columns = {"": "mean_abs"}
            if method == "integrated_gradients":
                columns |= {", linear part": "linear_abs", ", residual part": "residual_abs"}
            for part, column in columns.items():
                size = found.table[column].reindex(cells.var_names).fillna(0).to_numpy()
                rankings[f"{name}: {method}{part}"] = size
    rows = {
        ranking: {kind: average_precision_score(mask, size) for kind, mask in truth.items()}
        for ranking, size in rankings.items()
    }
    rows["random order"] = {kind: mask.mean() for kind, mask in truth.items()}
    print("\nAUPRC of planted drivers, by the programmes that they belong to")
    print(pd.DataFrame(rows).T.to_string(float_format="{:.3f}".format))
    print("\nCost, completeness and stability")
    print(pd.DataFrame(costs).to_string(index=False, float_format="{:.2g}".format, na_rep=""))
    if path is not None:
        path.write_text(json.dumps({"auprc": rows, "cost": costs}, indent=1) + "\n")


def main() -> None:
    """Simulate, train, explain, print."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--cells", type=int, default=6000)
    options.add_argument("--genes", type=int, default=1500)
    options.add_argument("--donors", type=int, default=8)
    options.add_argument("--epochs", type=int, default=30)
    options.add_argument("--max-cells", type=int, default=500)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--json", type=Path, help="write the numbers to this file")
    given = options.parse_args()
    cells = dtp.datasets.simulate_cells(
        given.cells, given.genes, n_donors=given.donors, interaction_effect=1.5, seed=given.seed
    )
    dtp.model.DTPTransformer.setup_anndata(
        cells, "state", positive="drug_tolerant", layer="counts", donor_key="donor"
    )
    teacher = dtp.model.DTPTransformer(cells)
    teacher.train(max_epochs=given.epochs, seed=given.seed, verbose=False)
    student = teacher.distill(n_genes=min(500, given.genes // 2), verbose=False)
    logits = teacher.predict_logits()["drug_tolerant"]
    positive = cells.obs["state"] == "drug_tolerant"
    oracle = cells.uns["dtp_simulation"]["oracle_auroc"]
    print(f"{cells.n_obs:,} cells, {cells.n_vars:,} genes, {given.donors} donors")
    print(
        f"AUROC on the training cells {roc_auc_score(positive, logits):.3f}, oracle {oracle:.3f}; "
        f"residual kept {teacher.protocol_['member_scale']}"
    )
    report({"teacher": teacher, "student": student}, cells, given.max_cells, given.json)


if __name__ == "__main__":
    main()
