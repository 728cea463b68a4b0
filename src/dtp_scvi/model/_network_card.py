"""The card of a network that puts out no class and no response."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from dtp_scvi._docs import docs
from dtp_scvi.model._card_base import Card
from dtp_scvi.model._card_text import about, bullets, listed, page, pairs, table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_TEXTS: Final = ("intended_use", "population", "data_source", "licence", "citation", "limitations")


@docs.dedent
@dataclass(frozen=True, kw_only=True)
class NetworkCard(Card):
    """
    What a network is, what it was trained on, how well it fits, and what it is not.

    Parameters
    ----------
    model
        Class, id, number of inputs, settings, seed, versions.
    research_use
        What the model is not for.
    data
        Rows, inputs, scale and checksum of the training data.
    training
        What was held out, and the settings of the fit.
    evaluation
        Losses on rows that were held out of the fit.
    %(card_notes)s

    Examples
    --------
    >>> import dtp_scvi as dtp
    >>> cells = dtp.datasets.simulate_cells(300, 200, n_donors=4)
    >>> dtp.model.ResVAE.setup_anndata(cells, layer="counts", donor_key="donor")
    >>> vae = dtp.model.ResVAE(cells, encoder=(32,), n_latent=5)
    >>> vae.train(max_epochs=2, verbose=False)
    >>> vae.card_.limits[0]
    'Trained on simulated data: what it makes of real cells is unknown.'
    """

    model: dict[str, Any]
    research_use: str
    data: dict[str, Any]
    training: dict[str, Any]
    evaluation: dict[str, Any]
    limits: list[str]
    notes: dict[str, str]

    def to_markdown(self) -> str:
        """A page to read."""
        model, notes = self.model, self.notes
        title = notes.get("title") or f"{model['class']} {model['id']}"
        plain = [(name, v) for name, v in model.items() if name not in ("versions", "settings")]
        given = [(name, v) for name, v in model["settings"].items() if v is not None]
        shown = [(name, _short(value)) for name, value in [*plain, *given]]
        return page(
            title,
            self.research_use,
            {
                "Limits": bullets(self.limits),
                "What it is": table(("", ""), [*shown, ("versions", listed(model["versions"]))]),
                "What it was trained on": pairs(self.data),
                "How it was trained": pairs(self.training),
                "On rows held out": pairs(self.evaluation),
                "About": about(notes, _TEXTS),
            },
        )


def _short(value: Any) -> Any:
    """A list of genes is no line of a table."""
    return f"{len(value):,} names" if isinstance(value, list) and len(value) > 10 else value


@docs.dedent
def network_card(meta: Mapping[str, Any], model_id: str) -> NetworkCard:
    """
    Build a card from what ``save`` writes.

    Parameters
    ----------
    %(saved_meta)s
    """
    training = meta["attributes"].get("protocol_") or {}
    limits = []
    if meta["data"].get("simulated"):
        limits.append("Trained on simulated data: what it makes of real cells is unknown.")
    if training.get("held_out") == "row":
        limits.append("Its losses are on held-out rows of the same donors, not on new donors.")
    limits += [
        "It was fitted without labels: that cells lie together says nothing about why.",
        "Rows unlike the training data get a latent representation as well; compare their "
        "reconstruction error.",
    ]
    return card_with(meta, model_id, limits)


@docs.dedent
def card_with(meta: Mapping[str, Any], model_id: str, limits: Sequence[str]) -> NetworkCard:
    """
    Build a card with these limits.

    Parameters
    ----------
    %(saved_meta)s
    limits
        What follows from the rest, in sentences.
    """
    return NetworkCard(
        model={
            "class": meta["class"],
            "id": model_id,
            "n_inputs": len(meta["genes"]),
            "settings": meta["init_params"],
            "seed": meta["seed"],
            "versions": meta["versions"],
        },
        research_use=meta["research_use"],
        data=dict(meta["data"]),
        training=dict(meta["attributes"].get("protocol_") or {}),
        evaluation=dict(meta["evaluation"]),
        limits=list(limits),
        notes=dict(meta["notes"]),
    )
