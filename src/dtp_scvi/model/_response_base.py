"""What all models of a continuous response share: input, evidence, card, saving."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar

import numpy as np

from dtp_scvi._constants import RESPONSE_RESEARCH_USE
from dtp_scvi._docs import docs
from dtp_scvi._validate import problem, shorten
from dtp_scvi.model._bundle import read_meta_of, read_weights, weights_hash, write_bundle
from dtp_scvi.model._card import with_notes
from dtp_scvi.model._plain import plain
from dtp_scvi.model._response_card import ResponseCard, response_card
from dtp_scvi.model._response_query import ResponseQueries
from dtp_scvi.model._versions import versions

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

    from dtp_scvi.model._response_data import TrainingRows

Found = TypeVar("Found")
Direction = Literal["higher_is_resistant", "higher_is_sensitive"]
DIRECTIONS = ("higher_is_resistant", "higher_is_sensitive")


class ResponseBase(ResponseQueries):
    """A model that predicts one or several continuous responses from a panel of genes.

    Parameters
    ----------
    name
        What to call the model.
    """

    target_: str

    def __init__(self, name: str) -> None:
        self.name_ = name
        self.units_ = ""
        self.direction_: Direction = "higher_is_resistant"
        self.targets_: tuple[str, ...] = ()
        self.genes_ = np.empty(0, dtype=str)
        self.data_: dict[str, Any] = {}
        self.settings_: dict[str, Any] = {}
        self.evaluation_: dict[str, Any] = {}
        self.notes_: dict[str, str] = {}

    @abstractmethod
    def _state(self) -> dict[str, torch.Tensor]:
        """Return the weights by name."""

    @abstractmethod
    def _own_meta(self) -> dict[str, Any]:
        """Return what this class adds to ``model.json``."""

    def _fitted(self, fit: Found | None) -> Found:
        """Return what was fitted; raise where nothing was."""
        if fit is None:
            msg = problem(f"a fitted {type(self).__name__}", "one that is not", "Run fit() first.")
            raise RuntimeError(msg)
        return fit

    def _units_of(self, units: str) -> str:
        """Return the units of a prediction for those of the response."""
        ranked = f"rank of the {units or 'response'} among the training rows, 0 to 1"
        return ranked if self.target_ == "rank" else units

    def _record(
        self, given: TrainingRows, settings: dict[str, Any], units: str, direction: Direction
    ) -> None:
        """Take what the model was fitted to, and how."""
        self.genes_, self.targets_, self.data_ = given.genes, given.targets, given.summary
        self.settings_, self.direction_ = settings, direction
        self.units_ = self._units_of(units)
        # What an earlier fit was worth does not carry over.
        self.evaluation_ = {}

    @property
    def worth_(self) -> str:
        """What the model was worth on other rows, in a few words."""
        if not self.evaluation_:
            return "not evaluated on rows of others"
        found = self.evaluation_["spearman"]
        return (
            f"Spearman {found['value']:.2f} [{found['low']:.2f}, {found['high']:.2f}] on "
            f"{self.evaluation_['cohort']} (n = {self.evaluation_['n']:,})"
        )

    def adopt(self, evaluation: Mapping[str, Any]) -> None:
        """Take what the model was worth on rows it was not made with into its card.

        Parameters
        ----------
        evaluation
            ``cohort`` (its name), ``n`` (rows), ``spearman`` (with ``value``, ``low``, ``high``)
            and whatever else the card should keep, such as ``comparators``, ``interval`` and
            ``protocol``.

        Raises
        ------
        ValueError
            When one of the three is missing.
        """
        missing = [name for name in ("cohort", "n", "spearman") if name not in evaluation]
        missing += [
            name for name in ("value", "low", "high") if name not in evaluation.get("spearman", {})
        ]
        if missing:
            msg = problem(
                "an evaluation with cohort, n and spearman (value, low, high)",
                f"none of {shorten(missing)}",
                "Add them.",
            )
            raise ValueError(msg)
        self.evaluation_ = plain(dict(evaluation))

    def describe(self, **notes: str) -> None:
        """Add what no data can tell to the card, such as licence and population.

        Parameters
        ----------
        **notes
            Texts, any of ``dtp_scvi.model.NOTES``; an empty text removes one.

        Raises
        ------
        TypeError
            When a name is unknown.
        """
        self.notes_ = with_notes(self.notes_, notes)

    @property
    def id_(self) -> str:
        """First twelve digits of the checksum of the weights."""
        return weights_hash(self._state())[:12]

    @property
    def card_(self) -> ResponseCard:
        """What the model is, was trained on, is worth and is not."""
        return response_card(self._meta(), self.id_)

    @docs.dedent
    def save(self, dir_path: str | Path, *, overwrite: bool = False) -> None:
        """Write coefficients, settings and the card into a new directory.

        Files: ``model.safetensors``, ``model.json``, ``card.md``, ``card.json``; no training row
        and no pickle. The directory appears whole or not at all.

        Parameters
        ----------
        %(save_to)s

        Raises
        ------
        FileExistsError
            When the directory exists and ``overwrite`` is false.
        RuntimeError
            When the model was not fitted.
        """
        state, card = self._state(), self.card_
        texts = {"card.md": card.to_markdown(), "card.json": card.to_json()}
        write_bundle(Path(dir_path), state, self._meta(), texts, overwrite=overwrite)

    @classmethod
    def load(cls, dir_path: str | Path) -> Self:
        """Read a model directory; nothing in it is executed.

        Parameters
        ----------
        dir_path
            Directory that :meth:`save` wrote.

        Raises
        ------
        FileNotFoundError
            When there is nothing at ``dir_path``.
        ValueError
            When it is damaged, foreign or of another class.
        """
        path = Path(dir_path)
        meta = read_meta_of(path, cls.__name__, "Use dtp_scvi.model.load_model.")
        weights = read_weights(path, meta)
        model = cls._unfitted(meta)
        model._restore(meta)
        model._take_weights(weights, meta)
        return model

    @classmethod
    @abstractmethod
    def _unfitted(cls, meta: Mapping[str, Any]) -> Self:
        """Make a model with the arguments that ``model.json`` holds."""

    @abstractmethod
    def _take_weights(self, weights: Mapping[str, torch.Tensor], meta: Mapping[str, Any]) -> None:
        """Take what was fitted."""

    def _restore(self, meta: Mapping[str, Any]) -> None:
        """Take what every class saves from ``model.json``."""
        self.genes_ = np.asarray(meta["genes"], dtype=str)
        self.units_, self.direction_ = meta["units"], meta["direction"]
        self.data_, self.settings_ = meta["data"], meta["settings"]
        self.evaluation_, self.notes_ = meta["evaluation"], meta["notes"]

    def _meta(self) -> dict[str, Any]:
        self._check_fitted()
        return plain(
            {
                "class": type(self).__name__,
                "name": self.name_,
                "research_use": RESPONSE_RESEARCH_USE,
                "versions": versions(),
                "genes": self.genes_,
                "units": self.units_,
                "direction": self.direction_,
                "settings": self.settings_,
                "data": self.data_,
                "evaluation": self.evaluation_,
                "notes": self.notes_,
                **self._own_meta(),
            }
        )
