"""The model card: what a model is, was trained on, is worth and is not."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dtp_scvi._docs import docs
from dtp_scvi._validate import problem, shorten
from dtp_scvi.model._bundle import NETWORKS, PERTURBATION_MODELS, RESPONSE_MODELS, read_meta
from dtp_scvi.model._card_base import Card
from dtp_scvi.model._card_limits import limits_of
from dtp_scvi.model._card_text import as_markdown
from dtp_scvi.model._network_card import NetworkCard, network_card
from dtp_scvi.model._perturbation_card import perturbation_card
from dtp_scvi.model._response_card import ResponseCard, response_card
from dtp_scvi.model._tripod import tripod_items

if TYPE_CHECKING:
    from collections.abc import Mapping

NOTES: Final = (
    "title",
    "label",
    "intended_use",
    "population",
    "data_source",
    "dates",
    "eligibility",
    "treatments",
    "sample_size",
    "fairness",
    "ethics",
    "funding",
    "conflicts",
    "protocol",
    "registration",
    "data_availability",
    "involvement",
    "interpretation",
    "limitations",
    "licence",
    "citation",
    "contact",
)


def with_notes(kept: Mapping[str, str], notes: Mapping[str, str]) -> dict[str, str]:
    """Add texts to a card's notes; an empty one removes a note, an unknown name is an error."""
    unknown = [name for name in notes if name not in NOTES]
    if unknown:
        msg = problem(f"any of {', '.join(NOTES)}", shorten(unknown), "Use one of these names.")
        raise TypeError(msg)
    return {name: str(text) for name, text in {**kept, **notes}.items() if text}


@docs.dedent
@dataclass(frozen=True, kw_only=True)
class ModelCard(Card):
    """
    What a model is, what it was trained on, what it is worth, and what it is not.

    Everything in it is measured or given by :meth:`ExpressionClassifier.describe`; what neither
    says is listed as not filled in. Sections follow Mitchell et al., FAT* 2019
    (doi:10.1145/3287560.3287596), the checklist TRIPOD+AI (Collins et al., BMJ 2024,
    doi:10.1136/bmj-2023-078378).

    Parameters
    ----------
    model
        Class, id, number of genes, settings, seed, versions.
    research_use
        What the model is not for.
    label
        Column, classes, positive class, and the definition that was given.
    data
        Rows, classes, donors, scale and checksums of the training data.
    audit
        Findings of :func:`dtp_scvi.pp.audit` on it.
    protocol
        What training held out and kept.
    evaluation
        Metrics with intervals, baselines and differences of an adopted cross-validation.
    calibration
        Curve from log-odds to probability, with ECE and Brier score on held-out rows.
    conformal
        Sets of classes with their promise; empty where too few donors were held out.
    threshold
        Value, rule and interval.
    inputs
        What a query needs.
    %(card_notes)s
    tripod
        Items of TRIPOD+AI with their text, or empty where not filled in.

    Examples
    --------
    >>> import dtp_scvi as dtp
    >>> cells = dtp.datasets.simulate_cells(300, 200, n_donors=4)
    >>> dtp.model.DTPTransformer.setup_anndata(
    ...     cells, "state", positive="drug_tolerant", layer="counts", donor_key="donor"
    ... )
    >>> teacher = dtp.model.DTPTransformer(cells, n_programs=8)
    >>> teacher.train(max_epochs=2, verbose=False)
    >>> teacher.card_.limits[0]
    'Trained on simulated data: the score says nothing about real cells.'
    """

    model: dict[str, Any]
    research_use: str
    label: dict[str, Any]
    data: dict[str, Any]
    audit: list[dict[str, Any]]
    protocol: dict[str, Any]
    evaluation: dict[str, Any]
    calibration: dict[str, Any]
    conformal: dict[str, Any]
    threshold: dict[str, Any]
    inputs: dict[str, Any]
    limits: list[str]
    notes: dict[str, str]
    tripod: list[dict[str, str]] = field(default_factory=list)

    def to_markdown(self) -> str:
        """A page to read."""
        return as_markdown(self.to_dict())


@docs.dedent
def model_card(meta: Mapping[str, Any], model_id: str) -> ModelCard:
    """
    Build a card from what ``save`` writes.

    Parameters
    ----------
    %(saved_meta)s
    """
    arguments = meta["registry"]["setup_args"]
    data = {key: value for key, value in meta["data"].items() if key != "audit"}
    evaluation = {key: value for key, value in meta["evaluation"].items() if key != "audit"}
    card: dict[str, Any] = {
        "model": {
            "class": meta["class"],
            "id": model_id,
            "n_genes": len(meta["genes"]),
            "settings": meta["init_params"],
            "seed": meta["seed"],
            "versions": meta["versions"],
        },
        "research_use": meta["research_use"],
        "label": {
            "labels_key": arguments["labels_key"],
            "positive": arguments["positive"],
            "classes": list(data.get("classes", {})),
            "definition": meta["notes"].get("label", ""),
        },
        "data": data,
        "audit": meta["data"].get("audit") or meta["evaluation"].get("audit") or [],
        "protocol": dict(meta["attributes"].get("protocol_") or {}),
        "evaluation": evaluation,
        "calibration": meta["calibration"] or {},
        "conformal": meta["conformal"] or {},
        "threshold": meta["threshold"],
        "inputs": {
            "training_scale": arguments["scale"],
            "min_coverage": 0.5,
            "checked_by": "dtp.tl.transfer_check",
        },
        "notes": dict(meta["notes"]),
    }
    fidelity = meta["attributes"].get("fidelity_")
    if fidelity:
        card["protocol"] |= {"fidelity": fidelity, "teacher": meta["attributes"]["teacher_id_"]}
    card["limits"] = limits_of(card)
    return ModelCard(**card, tripod=tripod_items(card))


def read_card(path: str | Path) -> ModelCard | NetworkCard | ResponseCard:
    """
    Read the card of a saved model from its checked settings.

    Parameters
    ----------
    path
        Directory that ``save`` wrote.

    Raises
    ------
    FileNotFoundError
        When there is nothing.
    ValueError
        When the directory is damaged or holds no model.

    Examples
    --------
    >>> import tempfile
    >>> import dtp_scvi as dtp
    >>> cells = dtp.datasets.simulate_cells(300, 200, n_donors=4)
    >>> dtp.model.DTPTransformer.setup_anndata(
    ...     cells, "state", positive="drug_tolerant", layer="counts", donor_key="donor"
    ... )
    >>> teacher = dtp.model.DTPTransformer(cells, n_programs=8)
    >>> teacher.train(max_epochs=2, verbose=False)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     teacher.save(folder, overwrite=True)
    ...     dtp.model.read_card(folder).label["positive"]
    'drug_tolerant'
    """
    meta = read_meta(Path(path))
    model_id = str(meta["sha256"])[:12]
    if meta["class"] in PERTURBATION_MODELS:
        return perturbation_card(meta, model_id)
    if meta["class"] in NETWORKS:
        return network_card(meta, model_id)
    build = response_card if meta["class"] in RESPONSE_MODELS else model_card
    return build(meta, model_id)
