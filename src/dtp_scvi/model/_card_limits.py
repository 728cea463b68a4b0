"""What a card has to warn of, read off its numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# Fewer donors leave intervals over donors without meaning.
_FEW_DONORS: Final = 5


def limits_of(card: Mapping[str, Any]) -> list[str]:
    """
    Sentences on what the model is not shown to do.

    Parameters
    ----------
    card
        Sections of a model card.
    """
    return [*_of_data(card["data"], card["audit"]), *_of_evidence(card)]


def _of_data(data: Mapping[str, Any], audit: list[dict[str, Any]]) -> Iterator[str]:
    if data.get("simulated"):
        yield "Trained on simulated data: the score says nothing about real cells."
    if data.get("batch_determines_label"):
        yield (
            f"Each batch (obs[{data['batch_key']!r}]) holds one class: the score may be the "
            "batch (accepted with allow_confounded=True)."
        )
    if data.get("donor_determines_label"):
        yield "Each donor holds one class: the score may tell donors apart rather than classes."
    if data.get("n_donors") is None:
        yield "No donors were given: every interval is over cells and too narrow for new donors."
    elif data["n_donors"] < _FEW_DONORS:
        yield f"Only {data['n_donors']} donors: intervals over donors mean little."
    for finding in audit:
        if finding["verdict"] in ("warn", "error"):
            yield f"Audit: {finding['sentence']}"
    if not audit:
        yield "The training data was not audited (dtp.pp.audit)."


def _of_evidence(card: Mapping[str, Any]) -> Iterator[str]:
    evaluation, calibration = card["evaluation"], card["calibration"]
    if not evaluation:
        yield (
            "No evaluation is attached: cross-validate, then adopt the result. Nothing here says "
            "how well the model does on new donors."
        )
    elif "shared_rows" in evaluation["params"]:
        yield "The evaluation had the same rows on both sides of a split: its metrics are too good."
    elif evaluation["params"].get("optimistic"):
        yield "The evaluation held out cells, not donors: its metrics are too good for new donors."
    if "calibrator" not in calibration:
        yield f"Not calibrated ({calibration.get('reason', 'no held-out rows')}): no probabilities."
    if not card["conformal"]:
        yield "Too few held-out donors for conformal sets: no set of classes is written."
    scale = card["protocol"].get("member_scale")
    if scale and not any(scale):
        yield "No residual network helped on held-out rows: the model is its linear part."
    yield (
        "Threshold and probabilities belong to data like the training data; for other data "
        "dtp.tl.transfer_check decides whether they are used."
    )
    if card["notes"].get("limitations"):
        yield card["notes"]["limitations"]
