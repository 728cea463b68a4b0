"""The card of a response model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dtp_scvi._docs import docs
from dtp_scvi.model._bundle import RESPONSE_MODEL
from dtp_scvi.model._card_base import Card
from dtp_scvi.model._card_text import about, bullets, listed, page, pairs, table

if TYPE_CHECKING:
    from collections.abc import Mapping

_TEXTS = (
    "intended_use",
    "population",
    "data_source",
    "treatments",
    "protocol",
    "licence",
    "citation",
    "limitations",
)


@docs.dedent
@dataclass(frozen=True, kw_only=True)
class ResponseCard(Card):
    """
    What a response model is, what it was trained on, what it is worth, and what it is not.

    Parameters
    ----------
    model
        Class, name, id, number of genes, inputs, versions.
    research_use
        What the model is not for.
    target
        What is predicted, in which units and direction.
    data
        Rows, scale and checksums of the training data.
    settings
        Penalties, and Spearman's correlation with donors left out.
    evaluation
        Spearman's correlation on rows of others, with its interval and comparators.
    inputs
        What a query needs.
    %(card_notes)s

    Examples
    --------
    >>> import dtp_scvi as dtp
    >>> card = dtp.hub.load("aml-venetoclax").card_
    >>> card.target["direction"]
    'higher_is_resistant'
    """

    model: dict[str, Any]
    research_use: str
    target: dict[str, Any]
    data: dict[str, Any]
    settings: dict[str, Any]
    evaluation: dict[str, Any]
    inputs: dict[str, Any]
    limits: list[str]
    notes: dict[str, str]

    def to_markdown(self) -> str:
        """A page to read."""
        model, notes = self.model, self.notes
        title = notes.get("title") or model["name"] or f"{model['class']} {model['id']}"
        return page(
            title,
            self.research_use,
            {
                "Limits": bullets(self.limits),
                "What it is": pairs({**model, "versions": listed(model["versions"])}),
                "What it predicts": _targets(self.target),
                "What it was trained on": pairs(self.data),
                "What it is worth": _worth(self.evaluation, self.settings),
                "What a query needs": pairs(self.inputs),
                "About": about(notes, _TEXTS),
            },
        )


@docs.dedent
def response_card(meta: Mapping[str, Any], model_id: str) -> ResponseCard:
    """
    Build a card from what ``save`` writes.

    Parameters
    ----------
    %(saved_meta)s
    """
    return ResponseCard(
        model={
            "class": meta["class"],
            "name": meta["name"],
            "id": model_id,
            "n_genes": len(meta["genes"]),
            "inputs": meta["inputs"],
            "versions": meta["versions"],
        },
        research_use=meta["research_use"],
        target={
            "target": meta["target"],
            "units": meta["units"],
            "direction": meta["direction"],
            **_by_target(meta),
        },
        data={k: v for k, v in meta["data"].items() if not isinstance(v, dict)},
        settings=dict(meta["settings"]),
        evaluation=dict(meta["evaluation"]),
        inputs={
            "genes": "symbols or Ensembl ids; at least half of the model's",
            "scale": "counts, normalised values or their logarithms; see dtp.data.Scale",
            "align": "none on the training platform; see what tl.score says is warranted",
        },
        limits=_limits(meta),
        notes=dict(meta["notes"]),
    )


def _limits(meta: Mapping[str, Any]) -> list[str]:
    said = []
    if meta["data"]["simulated"]:
        said.append("Trained on simulated data: the score says nothing about real samples.")
    if not meta["evaluation"]:
        said.append("Not evaluated on rows of others.")
    elif meta["evaluation"]["spearman"]["low"] <= 0:
        said.append(
            f"Not shown to predict anything: on {meta['evaluation']['cohort']} the interval of "
            "its correlation includes zero."
        )
    kind = "linear function" if meta["class"] == RESPONSE_MODEL else "function"
    said += [
        "Predicts a response measured ex vivo, not the outcome of a treatment.",
        f"A {kind} of a gene panel: what the panel does not reflect, it can't know.",
        "Its values are on the training platform's scale; elsewhere read the rank.",
    ]
    return said


def _by_target(meta: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers of each target, where there are several."""
    measured = meta["data"].get("n_measured")
    if measured is None:
        return {}
    left_out = meta["settings"]["spearman_left_out_by_target"]
    return {
        "targets": {
            name: {
                "n": n,
                "quantiles": meta["data"]["target_quantiles"][name],
                "spearman_left_out": left_out[name],
            }
            for name, n in measured.items()
        }
    }


def _targets(target: Mapping[str, Any]) -> list[str]:
    rest = [(name, value) for name, value in target.items() if name != "targets"]
    lines = table(("", ""), rest)
    if "targets" in target:
        head = ("target", "rows measured", "median", "Spearman on rows left out")
        rows = [
            (name, found["n"], f"{found['quantiles'][2]:.3g}", _number(found["spearman_left_out"]))
            for name, found in target["targets"].items()
        ]
        lines += ["", *table(head, rows)]
    return lines


def _number(value: float | None) -> str:
    return "not known" if value is None else f"{value:.3f}"


def _inside(settings: Mapping[str, Any]) -> str:
    found = _number(settings["spearman_left_out"])
    if "member_scale" in settings:
        return (
            f"Inside the training rows, on {settings['left_out']}s held out in "
            f"{settings['n_folds']} folds: mean Spearman {found}, optimistic as penalty and "
            "residuals were chosen on them."
        )
    return (
        f"Inside the training rows, each {settings['left_out']} left out in turn: Spearman "
        f"{found}, optimistic as the penalty was chosen on it."
    )


def _worth(evaluation: Mapping[str, Any], settings: Mapping[str, Any]) -> list[str]:
    inside = _inside(settings)
    if not evaluation:
        return [inside, "", "Not evaluated on rows of others."]
    rows = [("this model", _range(evaluation["spearman"]))]
    rows += [(name, _range(found)) for name, found in evaluation.get("comparators", {}).items()]
    return [
        f"{evaluation['cohort']}, n = {evaluation['n']:,}. "
        f"{evaluation.get('interval', '')} {evaluation.get('protocol', '')}".strip(),
        "",
        *table(("", "Spearman"), rows),
        "",
        inside,
    ]


def _range(found: Mapping[str, Any]) -> str:
    return f"{found['value']:.3f} [{found['low']:.3f}, {found['high']:.3f}]"
