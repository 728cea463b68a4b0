"""Cell lines of GDSC to single cells: models of drug sensitivity beside linear comparators.

    python benchmarks/drug_transfer.py --cell-lines DIR --cells DIR [--json FILE]

DIR of ``--cell-lines`` holds expression with ln IC50 (h5ad), the table of drugs and the table of binary
labels; that of ``--cells`` the two sets of cells. Labels without a measured IC50 are dropped.

reproduced
    A plain logistic regression as others ran it: all labels as released, filled ones included, both
    sides standardised, C = 0.01, balanced classes.
transfer
    Everything of ``dtp.tl.compare_transfer``: labels without a measurement dropped, penalties and
    thresholds from cross-validation on lines. ``DrugSensitivity`` without adaptation and with each.
    Its number of latent variables is the one with the best AUROC on held-out lines, drug by drug; the
    rest was fixed beforehand. No label of a cell chose anything. What the other numbers would have
    given is printed afterwards: how much a choice that lines hardly decide matters in cells.

Cells come as z-scores, so nothing can bring them to the scale of the lines: methods without
adaptation read them as they are. The released labels of the head and neck cells are one set: a cell is
sensitive to vorinostat where it is resistant to gefitinib, so the two rows are not two findings.
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import dtp_scvi as dtp
from dtp_scvi import stats

LINES = "ccle_dualgcn_expr_gdsc_ic50.h5ad"
LABELS = "scatd_gdsc_binary_labels.csv"
DRUGS = "gdsc_drug_table.csv"
# Drug, file of cells, their column (1 = sensitive).
TARGETS = (
    ("PLX-4720", "scad_A375_PLX4720_GSE108383.h5ad", "response_PLX4720"),
    ("Gefitinib", "scad_HNSC1_Gefitinib_Vorinostat_AR42.h5ad", "response_Gefitinib"),
    ("Vorinostat", "scad_HNSC1_Gefitinib_Vorinostat_AR42.h5ad", "response_Vorinostat"),
)
ADAPTATIONS = (None, "adain", "mmd", "coral")
NAME = "drug_sensitivity"
# Tried on lines, in this order; the encoder is at least as wide as the other benchmark's.
N_LATENT = (16, 64, 128)
EPOCHS = 200
SEEDS = (0, 1, 2, 3, 4)


def read_lines(folder: Path, *, filled: bool = False) -> ad.AnnData:
    """Lines with expression, ln IC50 and labels."""
    return dtp.datasets.read_gdsc(
        folder / LINES,
        labels=folder / LABELS,
        drug_table=folder / DRUGS,
        unmeasured="keep" if filled else "drop",
    )


def read_cells(folder: Path, name: str, key: str) -> ad.AnnData:
    """Cells with named genes and a response in words."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cells = ad.read_h5ad(folder / name)
    cells.var_names = cells.var["symbol"].astype(str)
    cells = cells[:, ~cells.var_names.duplicated() & (cells.var_names != "")].copy()
    cells.obs["response"] = np.where(cells.obs[key].astype(int) == 1, "sensitive", "resistant")
    return cells


def on_shared_genes(lines: ad.AnnData, cells: ad.AnnData) -> tuple[ad.AnnData, ad.AnnData]:
    """Both on the genes they share, in the units of the lines' standard deviations."""
    genes = [gene for gene in lines.var_names if gene in set(cells.var_names)]
    lines, cells = lines[:, genes].copy(), cells[:, genes].copy()
    mean, sd = lines.X.mean(axis=0), lines.X.std(axis=0)
    lines.X, cells.X = (lines.X - mean) / sd, (cells.X - mean) / sd
    return lines, cells


def reproduced(lines: ad.AnnData, cells: ad.AnnData, drug: str) -> tuple[float, float, float]:
    """AUROC of the plain regression on labels as released."""
    genes = [gene for gene in lines.var_names if gene in set(cells.var_names)]
    label = lines.obsm["response"][drug]
    known = label.notna().to_numpy()
    model = make_pipeline(
        StandardScaler(), LogisticRegression(C=0.01, class_weight="balanced", max_iter=5000)
    )
    model.fit(lines[known, genes].X.astype(float), label[known] == "resistant")
    own = StandardScaler().fit_transform(cells[:, genes].X.astype(float))
    score = model[-1].decision_function(own)
    return stats.auroc_interval(cells.obs["response"] == "resistant", score, n_boot=1000)


def fit(lines: ad.AnnData, drug: str, n_latent: int, seed: int) -> dtp.model.DrugSensitivity:
    """Pretrain on all lines, whatever their labels, and fit the head."""
    lines = lines.copy()
    dtp.model.ResVAE.setup_anndata(lines, scale="as_is")
    width = (max(128, 2 * n_latent),)
    vae = dtp.model.ResVAE(lines, encoder=width, n_latent=n_latent, decoder=width)
    vae.train(max_epochs=EPOCHS, seed=seed, verbose=False)
    model = dtp.model.DrugSensitivity.from_vae(vae)
    model.fit_bulk(lines, drug, scale="as_is", seed=seed, verbose=False)
    return model


def held_out_auroc(model: dtp.model.DrugSensitivity) -> float:
    """AUROC on lines that the heads had not seen, from the quantiles that the model keeps."""
    reference = model.score_reference_
    positive, negative = np.array(reference.positive), np.array(reference.negative)
    return float(np.mean(positive[:, None] > negative[None, :]))


def choose(lines: ad.AnnData, drug: str) -> int:
    """Number of latent variables that ranks held-out lines best."""
    found = {n: held_out_auroc(fit(lines, drug, n, SEEDS[0])) for n in N_LATENT}
    words = ", ".join(f"{n}: {value:.3f}" for n, value in found.items())
    best = max(found, key=lambda n: found[n])
    print(f"  AUROC on held-out lines by number of latent variables: {words}; {best} taken")
    return best


def transfer(lines: ad.AnnData, cells: ad.AnnData, drug: str) -> ad.AnnData:
    """Every method on one set of cells; logits of the model are averaged over seeds."""
    lines, cells = on_shared_genes(lines, cells)
    logits: dict[str, list[pd.DataFrame]] = {}
    n_latent = choose(lines, drug)
    for seed in SEEDS:
        model = fit(lines, drug, n_latent, seed)
        for method in ADAPTATIONS:
            model.adapt(cells, method, scale="as_is")
            found = model.predict(cells, scale="as_is")
            logits.setdefault(f"{NAME}_{method or 'none'}", []).append(found)
    dtp.tl.compare_transfer(
        lines,
        cells,
        drug=drug,
        models={name: averaged(parts) for name, parts in logits.items()},
        scale="as_is",
        bulk_scale="as_is",
        reference=f"{NAME}_adain",
    )
    cells.uns["by_size"] = {n: with_size(lines, cells, drug, n) for n in N_LATENT}
    cells.uns["per_seed"] = {
        name: [stats.auroc(cells.obs["response"] == "resistant", part["logit"]) for part in parts]
        for name, parts in logits.items()
    }
    return cells


def with_size(lines: ad.AnnData, cells: ad.AnnData, drug: str, n_latent: int) -> float:
    """AUROC of the model with AdaIN and another number of latent variables."""
    logits = []
    for seed in SEEDS:
        model = fit(lines, drug, n_latent, seed)
        model.adapt(cells, "adain", scale="as_is")
        logits.append(model.predict(cells, scale="as_is")["logit"])
    return stats.auroc(cells.obs["response"] == "resistant", np.mean(logits, axis=0))


def averaged(parts: list[pd.DataFrame]) -> pd.DataFrame:
    """Mean logit, and the call of most seeds."""
    calls = np.mean([part["call"].astype(str) == "resistant" for part in parts], axis=0)
    table = pd.DataFrame(
        {
            "logit": np.mean([part["logit"] for part in parts], axis=0),
            "call": np.where(calls >= 0.5, "resistant", "sensitive"),
        },
        index=parts[0].index,
    )
    table.attrs = parts[0].attrs
    return table


def show(cells: ad.AnnData) -> None:
    """Print the table of one set of cells."""
    result = cells.uns["dtp_drug_transfer"]
    params, table = result["params"], result["metrics"]
    print(
        f"  {params['n_lines']} lines ({params['bulk_prevalence']:.2f} resistant), {params['n_genes']} "
        f"shared genes, {params['n_cells']} cells, prevalence {params['prevalence']:.2f}"
    )
    wide = table.pivot(index="model", columns="metric", values=["value", "low", "high"])
    for model in dict.fromkeys(table["model"]):
        words = [
            f"{metric} {wide.loc[model, ('value', metric)]:.2f} "
            f"[{wide.loc[model, ('low', metric)]:.2f}, {wide.loc[model, ('high', metric)]:.2f}]"
            for metric in ("auroc", "auprc", "macro_f1", "mcc")
        ]
        print(f"  {model:<28}", "  ".join(words))
    chosen = result["chosen"]
    for name in chosen:
        print(
            f"  {name}: penalty {chosen[name]['penalty']:g}, AUROC on lines {chosen[name]['bulk_auroc']:.3f}"
        )
    sizes = ", ".join(f"{n}: {value:.2f}" for n, value in cells.uns["by_size"].items())
    print(
        f"  AUROC in cells, {NAME}_adain, by number of latent variables (not chosen by): {sizes}"
    )
    for name, values in cells.uns["per_seed"].items():
        print(f"  AUROC by seed, {name}: {', '.join(f'{value:.2f}' for value in values)}")


def main(arguments: list[str]) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cell-lines", type=Path, required=True)
    parser.add_argument("--cells", type=Path, required=True)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args(arguments)
    warnings.simplefilter("ignore", UserWarning)
    lines = read_lines(given.cell_lines)
    counts = lines.uns["dtp_cohort"]["counts"]
    print({name: counts[name] for name in ("lines", "lines_joined", "labels_read", "labels_kept")})
    filled, parts = read_lines(given.cell_lines, filled=True), []
    for drug, name, key in TARGETS:
        cells = read_cells(given.cells, name, key)
        value, low, high = reproduced(filled, cells, drug)
        print(
            f"\n{drug}: plain logistic regression as others ran it {value:.2f} [{low:.2f}, {high:.2f}]"
        )
        found = transfer(lines, cells, drug)
        show(found)
        parts.append(found.uns["dtp_drug_transfer"]["metrics"].assign(drug=drug))
        if drug == "PLX-4720":
            own = lines[lines.obs["Name"].astype(str) != "A-375"].copy()
            print("  without the line that these cells come from, A-375:")
            show(transfer(own, cells, drug))
    print("\nGefitinib and vorinostat: one set of labels, each the inverse of the other.")
    if given.json:
        given.json.write_text(json.dumps(pd.concat(parts).to_dict("records"), indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
