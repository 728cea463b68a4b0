"""What is written beside rows that ComBat corrected."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from dtp_scvi import __version__
from dtp_scvi._optional import require

if TYPE_CHECKING:
    from dtp_scvi.pp._combat import Combat


def combat_record(
    combat: Combat, batch: np.ndarray, new: list[str], unseen: str
) -> dict[str, Any]:
    """Say which batches were fitted on what, and what the correction saw."""
    here = pd.Series(batch).value_counts()
    names = [*combat.counts_.index, *new]
    batches = pd.DataFrame(
        {
            "batch": names,
            "n_training": [int(combat.counts_.get(name, 0)) for name in names],
            "n_rows": [int(here.get(name, 0)) for name in names],
            "fitted_on": ["own rows" if name in new else "training rows" for name in names],
        },
        index=[str(i) for i in range(len(names))],
    )
    params: dict[str, Any] = {
        "batch_key": combat.batch_key,
        "covariates": np.array(combat.covariates, dtype=object),
        "mean_only": combat.mean_only,
        "parametric": combat.parametric,
        "unseen": unseen,
        "library": f"combatlearn {require('combatlearn', 'harmonise').__version__}",
        "version": __version__,
    }
    optional = {"labels_key": combat.labels_key, "layer": combat.layer}
    params |= {name: value for name, value in optional.items() if value is not None}
    return {
        "batches": batches,
        "unadjusted_genes": combat.unadjusted_genes_.to_numpy(dtype=object),
        "transductive": bool(new),
        "label_used": combat.labels_key is not None,
        "params": params,
    }
