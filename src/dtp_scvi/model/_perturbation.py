"""What all models that predict the effect of a drug share, and their set-up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scvi import REGISTRY_KEYS
from scvi.data.fields import LayerField

from dtp_scvi._docs import docs
from dtp_scvi.model._perturbation_data import check_perturbation_data
from dtp_scvi.model._perturbation_network import NetworkShape
from dtp_scvi.model._perturbation_predict import PerturbationPrediction
from dtp_scvi.model._perturbation_train import PerturbationTraining

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["NetworkShape", "PerturbationModel"]


@docs.dedent
class PerturbationModel(PerturbationTraining, PerturbationPrediction):
    """Base of :class:`XPert` and :class:`PertDiT`.

    Parameters
    ----------
    adata
        Data that were set up, or ``None`` with a registry.
    %(registry)s
    features
        Which parts of the table of drugs the network is given.

    Attributes
    ----------
    genes_
        Genes of the model, in its order.
    drugs_, cells_
        Drugs and cell lines of the data it was set up with.
    evaluation_
        Mean squared error of the predicted change on rows of the validation part, beside that of
        no change and of the training rows' mean change.
    reinitialised_
        After :meth:`load_pretrained` or :meth:`fine_tune`: tensors that were not taken over.
    """

    @classmethod
    @docs.dedent
    def setup_anndata(
        cls,
        adata: AnnData,
        *,
        drug_key: str,
        smiles_key: str | None = None,
        dose_key: str | None = None,
        time_key: str | None = None,
        cell_key: str | None = None,
        plate_key: str | None = None,
        control_label: str | None = None,
        control_key: str | None = None,
        control_index_key: str | None = None,
        layer: str | None = None,
        scale: str = "auto",
    ) -> None:
        """Register an AnnData of treated and control rows; pair controls and encode drugs once.

        Controls that :func:`dtp_scvi.pp.pair_controls` has paired, and drugs that
        :func:`dtp_scvi.pp.encode_drugs` has encoded, are taken as they are; otherwise both are
        called here, with their defaults: the input is the mean of half the control wells of a
        plate, and the other half is for scoring.

        Parameters
        ----------
        %(adata)s
        drug_key
            Column of ``adata.obs`` with the drug of each row.
        smiles_key
            Column with its SMILES; needed where drugs were not encoded, and for new drugs.
        dose_key, time_key
            Columns with doses in µM and times in hours, numbers above 0; without one the model
            has no token for it.
        cell_key
            Column with the cell line: controls are shared within it, and XPert tells them apart.
        plate_key
            Column with the plate.
        control_label, control_key, control_index_key
            What a control is, see :func:`dtp_scvi.pp.pair_controls`; none where they are paired.
        %(layer)s
        scale
            Logarithms of any base; ``"auto"`` records which, and a named one that the data
            contradict is an error.

        Raises
        ------
        KeyError
            When a key is missing.
        ValueError
            When values are counts or otherwise unfit, a plate has no control, a drug no
            structure, or doses or times are text or not above 0.
        """
        arguments: dict[str, Any] = {
            "drug_key": drug_key,
            "smiles_key": smiles_key,
            "dose_key": dose_key,
            "time_key": time_key,
            "cell_key": cell_key,
            "plate_key": plate_key,
            "control_label": control_label,
            "control_key": control_key,
            "control_index_key": control_index_key,
            "layer": layer,
            "scale": scale,
        }
        arguments = check_perturbation_data(adata, arguments)
        fields = [LayerField(REGISTRY_KEYS.X_KEY, arguments["layer"], is_count_data=False)]
        cls._register(adata, PerturbationModel, fields, arguments)
