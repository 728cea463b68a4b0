"""The tables and the record in which a simulation keeps its truth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from scipy.special import logit
from scipy.stats import mannwhitneyu

from dtp_scvi import __version__
from dtp_scvi.datasets._genes import LSC17_SIGNS, RENAMED
from dtp_scvi.datasets._latent import CELL_TYPES, Design, Label, interaction_table

if TYPE_CHECKING:
    from dtp_scvi.datasets._counts import CountModel
    from dtp_scvi.datasets._programmes import Programmes

POSITIVE: Final = "drug_tolerant"
NEGATIVE: Final = "sensitive"


def fixed_seed(seed: int | None) -> int:
    """Return ``seed``, or draw one where it is ``None``, so that it can be recorded."""
    return int(np.random.SeedSequence().generate_state(1)[0]) if seed is None else int(seed)


def _named(prefix: str, codes: np.ndarray, n: int) -> pd.Categorical:
    """Return a categorical ``prefix_1`` ... with numbers padded to one width."""
    width = len(str(n))
    return pd.Categorical.from_codes(codes, [f"{prefix}_{i:0{width}d}" for i in range(1, n + 1)])


def cell_table(design: Design, label: Label, model: CountModel) -> pd.DataFrame:
    """Return ``obs``: who each cell is, its state, and the hidden numbers behind it."""
    n_cells = len(design.donor)
    tissue, platform = design.donor_tissue, design.donor_platform
    columns = {
        "donor": _named("donor", design.donor, len(tissue)),
        "tissue": _named("tissue", tissue[design.donor], tissue.max() + 1),
        "platform": _named("platform", platform[design.donor], platform.max() + 1),
        "cell_type": pd.Categorical.from_codes(design.cell_type, CELL_TYPES),
        "sex": pd.Categorical.from_codes(
            design.donor_is_female[design.donor].astype(int), ["male", "female"]
        ),
        "state": pd.Categorical.from_codes(label.positive.astype(int), [NEGATIVE, POSITIVE]),
        "true_probability": label.probability,
        "true_logit": logit(label.probability),
        "true_linear": label.linear,
        "true_interaction": label.interaction,
        "true_depth": model.depth,
        "true_ambient": model.ambient,
    }
    width = len(str(n_cells))
    index = pd.Index([f"cell_{i:0{width}d}" for i in range(1, n_cells + 1)])
    obs = pd.DataFrame(columns, index=index)
    batch = obs["tissue"].astype(str) + "-" + obs["platform"].astype(str)
    obs.insert(3, "batch", pd.Categorical(batch))
    return obs


def gene_table(genes: list[str], programmes: Programmes, *, old_symbols: bool) -> pd.DataFrame:
    """Return ``var``, with renamed genes under their old symbols if asked."""
    old = {new: previous for previous, new in RENAMED.items()} if old_symbols else {}
    strength = np.abs(programmes.loadings)
    main = np.array(programmes.table.index)[strength.argmax(axis=1)]
    main[strength.max(axis=1) == 0] = "none"
    return pd.DataFrame(
        {
            "true_symbol": genes,
            "programme": pd.Categorical(main),
            "signature": [gene in LSC17_SIGNS for gene in genes],
        },
        index=pd.Index([old.get(gene, gene) for gene in genes]),
    )


def _auroc(score: np.ndarray, positive: np.ndarray) -> float:
    """Return the area under the ROC curve, or NaN where there is one class."""
    above, below = score[positive], score[~positive]
    if not len(above) or not len(below):
        return np.nan
    pairs = len(above) * len(below)
    return float(mannwhitneyu(above, below, method="asymptotic").statistic / pairs)


def simulation_record(
    parameters: dict[str, Any], seed: int, obs: pd.DataFrame, programmes: Programmes
) -> dict[str, Any]:
    """Return what ``simulate_cells`` writes to ``uns``, in types that survive writing."""
    positive = (obs["state"] == POSITIVE).to_numpy()
    return {
        "simulated": True,
        "generator": "dtp_scvi.datasets.simulate_cells",
        "version": __version__,
        "seed": seed,
        "parameters": dict(parameters),
        "programmes": programmes.table.copy(),
        "interactions": interaction_table(),
        "signature_genes": np.array(list(LSC17_SIGNS), dtype=object),
        "renamed": dict(RENAMED) if parameters["old_symbols"] else {},
        "oracle_auroc": _auroc(obs["true_logit"].to_numpy(), positive),
    }
