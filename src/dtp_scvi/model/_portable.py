"""What a classifier saves beside its weights: the evidence that its probabilities rest on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from dtp_scvi._constants import RESEARCH_USE
from dtp_scvi._scvi import setup_args
from dtp_scvi.model._card import ModelCard, model_card
from dtp_scvi.model._checks import check_same_classes, classes_of
from dtp_scvi.model._saved import SavedModel
from dtp_scvi.stats import Calibration, MondrianConformal, ScoreReference, SpaceReference

if TYPE_CHECKING:
    from collections.abc import Mapping

    from anndata import AnnData

_EVIDENCE: Final[dict[str, Any]] = {
    "calibration": Calibration,
    "conformal": MondrianConformal,
    "score_reference": ScoreReference,
    "space_reference": SpaceReference,
}


def _stored(evidence: Any) -> dict[str, Any] | None:
    return None if evidence is None else evidence.to_dict()


class PortableModel(SavedModel):
    """A saved model of classes, with threshold, calibration and references."""

    threshold_: dict[str, Any]
    calibration_: Calibration | None
    conformal_: MondrianConformal | None
    score_reference_: ScoreReference | None
    space_reference_: SpaceReference | None

    _research_use: ClassVar[str] = RESEARCH_USE

    @staticmethod
    def _make_card(meta: Mapping[str, Any], model_id: str) -> ModelCard:
        return model_card(meta, model_id)

    @classmethod
    def _check_same_data(cls, adata: AnnData, meta: Mapping[str, Any]) -> None:
        super()._check_same_data(adata, meta)
        registry = meta["registry"]
        check_same_classes(adata, setup_args(registry), classes_of(registry))

    def _own_meta(self) -> dict[str, Any]:
        return {
            "threshold": self.threshold_,
            **{name: _stored(getattr(self, f"{name}_")) for name in _EVIDENCE},
        }

    def _restore_own(self, meta: Mapping[str, Any]) -> None:
        self.threshold_ = meta["threshold"]
        for name, kind in _EVIDENCE.items():
            entries = meta[name]
            setattr(self, f"{name}_", None if entries is None else kind.from_dict(entries))
