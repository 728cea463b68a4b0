"""Open a model directory whatever class it holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dtp_scvi._validate import problem
from dtp_scvi.model._amu import AMU
from dtp_scvi.model._bundle import NETWORKS, read_meta
from dtp_scvi.model._dist_vae import DistVAE
from dtp_scvi.model._drug_sensitivity import DrugSensitivity
from dtp_scvi.model._pertdit import PertDiT
from dtp_scvi.model._res_vae import ResVAE
from dtp_scvi.model._response import ResponseModel
from dtp_scvi.model._response_transformer import ResponseTransformer
from dtp_scvi.model._student import DTPStudent
from dtp_scvi.model._transformer import DTPTransformer
from dtp_scvi.model._xpert import XPert

if TYPE_CHECKING:
    from anndata import AnnData

    from dtp_scvi.model._classifier import ExpressionClassifier
    from dtp_scvi.model._saved import SavedModel

_CLASSES: dict[str, type[ExpressionClassifier]] = {
    cls.__name__: cls for cls in (DTPTransformer, DTPStudent, AMU, DrugSensitivity)
}
_RESPONSE_CLASSES: dict[str, type[ResponseModel | ResponseTransformer]] = {
    cls.__name__: cls for cls in (ResponseModel, ResponseTransformer)
}
_NETWORK_CLASSES: dict[str, type[SavedModel]] = {
    cls.__name__: cls for cls in (ResVAE, DistVAE, XPert, PertDiT)
}


def load_model(
    dir_path: str | Path, adata: AnnData | None = None
) -> SavedModel | ResponseModel | ResponseTransformer:
    """Read a model directory of any class of this package; nothing in it is executed.

    Parameters
    ----------
    dir_path
        Directory that ``save`` wrote.
    adata
        Training data, to train or distil again; scoring needs none, and models of a response
        take none.

    Returns
    -------
    A model of the class that was saved.

    Raises
    ------
    FileNotFoundError
        When there is nothing at ``dir_path``.
    ValueError
        When it is damaged or foreign.
    """
    name = read_meta(Path(dir_path)).get("class")
    if name in _NETWORK_CLASSES:
        return _NETWORK_CLASSES[name].load(dir_path, adata)
    return load_predictor(dir_path, adata)


def load_predictor(
    dir_path: str | Path, adata: AnnData | None = None
) -> ExpressionClassifier | ResponseModel | ResponseTransformer:
    """Read a directory of a model that predicts a class or a response.

    Parameters
    ----------
    dir_path, adata
        As in :func:`load_model`.

    Raises
    ------
    FileNotFoundError
        When there is nothing at ``dir_path``.
    ValueError
        When it is damaged or foreign, or holds an autoencoder.
    """
    name = read_meta(Path(dir_path)).get("class")
    if name in _RESPONSE_CLASSES:
        return _RESPONSE_CLASSES[name].load(dir_path)
    if name in NETWORKS:
        msg = problem(
            f"a model that predicts a class or a response in {dir_path}",
            f"a {name}",
            f"Use dtp_scvi.model.{name}.load.",
        )
        raise ValueError(msg)
    if name not in _CLASSES:
        msg = problem(
            f"a model of class {', '.join([*_CLASSES, *_RESPONSE_CLASSES, *NETWORKS])} in "
            f"{dir_path}",
            repr(name),
            "Update dtp_scvi.",
        )
        raise ValueError(msg)
    return _CLASSES[name].load(dir_path, adata)
