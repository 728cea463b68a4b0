"""Take the drug away from a model, or give it that of another row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from dtp_scvi._labels import text_column
from dtp_scvi._validate import problem

if TYPE_CHECKING:
    from anndata import AnnData

    from dtp_scvi.train import PerturbationKeys

ABLATIONS: Final = ("zeroed", "shuffled")


def ablated(
    model: Any,
    rows: AnnData,
    how: str,
    keys: PerturbationKeys,
    *,
    smiles_key: str | None,
    seed: int | None,
) -> AnnData:
    """
    Return rows whose drug is no drug (``zeroed``) or another drug of these rows (``shuffled``).

    A model may have its own say: where it has a method ``ablate_drugs(adata, how, seed)``, what that
    returns is predicted. Otherwise the column of drugs (and of SMILES) is changed, to the control
    label or by moving each drug's name to the next one of a random cycle, and nothing else.
    """
    if hasattr(model, "ablate_drugs"):
        changed = model.ablate_drugs(rows, how, seed)
        if not changed.obs_names.equals(rows.obs_names):
            msg = problem("`ablate_drugs` to keep the rows", "others", "Change columns alone.")
            raise ValueError(msg)
        return changed
    drug = text_column(rows.obs, keys.drug, "drug_key")
    names = np.unique(drug.astype(str))
    if how == "zeroed":
        if keys.control_label is None:
            msg = problem(
                "a control label to take the place of drugs",
                "none recorded",
                "Pass control_label to dtp.pp.pair_controls, or leave out the ablation.",
            )
            raise ValueError(msg)
        becomes = dict.fromkeys(names, keys.control_label)
    else:
        if len(names) < 2:
            msg = problem("two drugs to exchange", f"{len(names)}", "Leave out the ablation.")
            raise ValueError(msg)
        cycle = np.random.default_rng(seed).permutation(names)
        becomes = dict(zip(cycle, np.roll(cycle, 1), strict=True))
    rows.obs[keys.drug] = pd.Categorical([becomes[name] for name in drug])
    if smiles_key is not None:
        first = dict(
            zip(drug[::-1], rows.obs[smiles_key].astype(str).to_numpy()[::-1], strict=True)
        )
        rows.obs[smiles_key] = [first.get(becomes[name], "") for name in drug]
    return rows
