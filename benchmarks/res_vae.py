"""Speed of the autoencoders: ResVAE beside scVI, DistVAE beside the pipeline it was distilled from.

    python benchmarks/res_vae.py [--cells 2048] [--repeats 3] [--json out.json] [--aml FILE.h5ad]
                                  [--part pretraining|encoding]

Pretraining: simulated data of 3,072 columns, an embedding for ResVAE and counts for
``scvi.model.SCVI``, which takes nothing else. Layers are matched as far as its API goes: it has one
width for all layers, so both have two hidden layers of that width on either side, the same number
of latent variables and batches of 128; ``sf`` is the published ResVAE beside the nearest scVI, two
layers of its mean width. A rate is that of the epochs after the first, taken in turns; scVI
validates never, ResVAE after every epoch, which counts against it.

Encoding: counts to latent variables, by the student and by (a) normalisation, PCA over all genes
and the teacher ResVAE, (b) a Transformer of Geneformer's published shape (12 layers, width 512, up
to 2,048 tokens, one a detected gene; random weights, which take the same time) and the teacher.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from pathlib import Path

import anndata as ad
import numpy as np
import scipy.sparse as sp
import torch

import dtp_scvi as dtp

N_INPUTS, N_LATENT, BATCH = 3072, 64, 128
EPOCHS = 3


def seconds(run) -> float:
    """Wall time of a call."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def simulated(n_cells: int) -> ad.AnnData:
    """Counts over 3,072 genes and an embedding as wide, of the same hidden variables."""
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(n_cells, 16)) @ rng.normal(0, 0.3, (16, N_INPUTS))
    adata = ad.AnnData(rng.poisson(np.exp(hidden - 0.5)).astype(np.float32))
    adata.obsm["X_embedding"] = hidden.astype(np.float32)
    return adata


def resvae_rate(adata: ad.AnnData, **sizes) -> float:
    """Training cells a second in the epochs after the first."""
    dtp.model.ResVAE.setup_anndata(adata, obsm_key="X_embedding")

    def fit(n_epochs):
        model = dtp.model.ResVAE(adata, **sizes)
        model.train(n_epochs, keep="last", batch_size=BATCH, verbose=False, accelerator="cpu")
        return model.protocol_["n_fit"]

    once = seconds(lambda: fit(1))
    start = time.perf_counter()
    n_fit = fit(EPOCHS)
    return n_fit * (EPOCHS - 1) / (time.perf_counter() - start - once)


def scvi_rate(adata: ad.AnnData, width: int, n_latent: int) -> float:
    """Training cells a second in the epochs after the first."""
    from scvi.model import SCVI

    SCVI.setup_anndata(adata)

    def fit(n_epochs):
        model = SCVI(adata, n_hidden=width, n_layers=2, n_latent=n_latent)
        model.train(
            n_epochs, train_size=0.9, batch_size=BATCH, accelerator="cpu",
            enable_progress_bar=False, logger=False,
        )  # fmt: skip

    once = seconds(lambda: fit(1))
    again = seconds(lambda: fit(EPOCHS))
    return 0.9 * adata.n_obs * (EPOCHS - 1) / (again - once)


def pretraining(n_cells: int, repeats: int) -> list[dict]:
    """Both rates, in turns."""
    adata, rows = simulated(n_cells), []
    plain = {"encoder": (512, 512), "decoder": (512, 512), "n_latent": N_LATENT}
    published = (1926 + 850 + 262 + 850 + 1926) // 5
    pairs = (("512-512", plain, 512, N_LATENT), ("sf", {"preset": "sf"}, published, 421))
    for name, sizes, width, n_latent in pairs:
        rates = [
            (resvae_rate(adata, **sizes), scvi_rate(adata, width, n_latent))
            for _ in range(repeats)
        ]
        ours, theirs = np.median(rates, axis=0)
        ratios = [a / b for a, b in rates]
        rows.append(
            {
                "layers": name, "scvi_width": width, "resvae": ours, "scvi": theirs,
                "ratio": float(np.median(ratios)), "low": min(ratios), "high": max(ratios),
            }
        )  # fmt: skip
        print(
            f"{name:8s} ResVAE {ours:9,.0f} cells/s   scVI ({width}) {theirs:9,.0f} cells/s   "
            f"ratio {np.median(ratios):.2f} [{min(ratios):.2f}, {max(ratios):.2f}]"
        )
    return rows


def cells_of(path: str | None) -> ad.AnnData:
    """Counts from a file, or simulated ones."""
    if path is not None:
        return ad.read_h5ad(path)
    adata = dtp.datasets.simulate_cells(1200, 10_000, n_donors=4)
    adata.X = sp.csr_matrix(adata.layers["counts"])
    return adata


def transformer_rate(counts: sp.csr_matrix, n_cells: int = 3) -> float:
    """Cells a second through a Transformer of Geneformer's published shape."""
    layer = torch.nn.TransformerEncoderLayer(512, 8, 1024, batch_first=True, activation="relu")
    encoder = torch.nn.TransformerEncoder(layer, 12, enable_nested_tensor=False).eval()
    lengths = np.minimum(np.diff(counts.indptr), 2048)[:n_cells]
    with torch.inference_mode():
        encoder(torch.zeros(1, 8, 512))
        start = time.perf_counter()
        for length in lengths:
            encoder(torch.randn(1, int(length), 512)).mean(1)
        return n_cells / (time.perf_counter() - start)


def encoding(path: str | None, repeats: int) -> dict:
    """Rates from counts to latent variables, and the cosine between student and teacher."""
    import scanpy as sc
    from sklearn.decomposition import PCA

    adata = cells_of(path)
    counts = sp.csr_matrix(adata.X)
    rows = np.random.default_rng(0).permutation(adata.n_obs)
    train, test = np.sort(rows[adata.n_obs // 5 :]), np.sort(rows[: adata.n_obs // 5])

    def log_values(of):
        found = ad.AnnData(of.copy())
        sc.pp.normalize_total(found, target_sum=1e4)
        sc.pp.log1p(found)
        return found.X

    log = log_values(counts)
    pca = PCA(50, random_state=0).fit(log[train].toarray())
    fit = adata[train].copy()
    fit.obsm["X_pca"] = pca.transform(log[train].toarray()).astype(np.float32)
    dtp.model.ResVAE.setup_anndata(fit, obsm_key="X_pca")
    teacher = dtp.model.ResVAE(fit)
    teacher.train(verbose=False, accelerator="cpu")
    fit.obsm["X_latent"] = teacher.get_latent_representation(fit)
    expressed = np.argsort(-np.asarray(log[train].mean(axis=0)).ravel())[:2000]
    dtp.model.DistVAE.setup_anndata(fit)
    student = dtp.model.DistVAE(fit, genes=list(fit.var_names[np.sort(expressed)]))
    student.train(verbose=False, accelerator="cpu")
    repeat = np.tile(test, -(-4096 // len(test)))[:4096]
    query = ad.AnnData(counts[repeat], var=adata.var[[]])
    query.obs_names_make_unique()

    def by_teacher():
        held = ad.AnnData(np.zeros((query.n_obs, 1), np.float32))
        held.obsm["X_pca"] = pca.transform(log_values(query.X).toarray()).astype(np.float32)
        return teacher.get_latent_representation(held)

    def by_student():
        return student.get_latent_representation(query, scale="counts")

    ours, theirs = by_student(), by_teacher()
    cosine = (ours * theirs).sum(1) / np.linalg.norm(ours, axis=1) / np.linalg.norm(theirs, axis=1)
    pairs = [(seconds(by_student), seconds(by_teacher)) for _ in range(repeats)]
    fast, slow = (query.n_obs / t for t in np.median(pairs, axis=0))
    token_rate = transformer_rate(counts[test])
    found = {
        "data": "simulated" if path is None else Path(path).name,
        "n_held_out": len(test), "latent_cosine": float(cosine[: len(test)].mean()),
        "student": fast, "pca_teacher": slow, "ratio_pca": float(np.median([b / a for a, b in pairs])),
        "transformer": token_rate, "ratio_transformer": fast / token_rate,
    }  # fmt: skip
    print(
        f"{found['data']}: latent cosine on {len(test)} held-out cells "
        f"{found['latent_cosine']:.3f}\nDistVAE {fast:,.0f} cells/s; PCA + ResVAE {slow:,.0f} "
        f"(x {found['ratio_pca']:.1f}); Transformer of Geneformer's shape {token_rate:,.2f} "
        f"(x {found['ratio_transformer']:,.0f})"
    )
    return found


def main() -> None:
    """Run both parts and print them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, default=2048)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--aml", help="h5ad with counts in X; simulated cells without it")
    parser.add_argument("--part", choices=("both", "pretraining", "encoding"), default="both")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    print(f"torch {torch.__version__}, {torch.get_num_threads()} thread(s)")
    found = {"pretraining": [], "threads": torch.get_num_threads()}
    if given.part != "encoding":
        found["pretraining"] = pretraining(given.cells, given.repeats)
    if given.part != "pretraining":
        found["encoding"] = encoding(given.aml, given.repeats)
    if given.json is not None:
        given.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
