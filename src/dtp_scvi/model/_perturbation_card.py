"""The card of a network that predicts the change a drug makes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dtp_scvi._docs import docs
from dtp_scvi.model._network_card import NetworkCard, card_with

if TYPE_CHECKING:
    from collections.abc import Mapping


@docs.dedent
def perturbation_card(meta: Mapping[str, Any], model_id: str) -> NetworkCard:
    """
    Build a card from what ``save`` writes.

    Parameters
    ----------
    %(saved_meta)s
    """
    limits = []
    if meta["data"].get("simulated"):
        limits.append("Trained on simulated data: what it makes of real profiles is unknown.")
    evaluation = meta["evaluation"]
    mse, mean = evaluation.get("delta_mse"), evaluation.get("mean_delta_mse")
    if mse is not None and mean is not None and mse >= mean:
        limits.append(
            "On its validation rows it is no better than the mean change of the training rows."
        )
    limits += [
        "The numbers below are of the validation part, which picked the epoch; the test part was "
        "not looked at.",
        "Prediction and truth share the input control, so agreement with it is flattered; see "
        "dtp_scvi.tl.evaluate_perturbation for independent controls and baselines.",
        "Drugs, cell lines, doses and times far from the training data are extrapolation.",
    ]
    return card_with(meta, model_id, limits)
