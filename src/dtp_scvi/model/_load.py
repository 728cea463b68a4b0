"""Open a model directory whatever class it holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dtp_scvi._validate import problem
from dtp_scvi.model._amu import AMU
from dtp_scvi.model._bundle import read_meta
from dtp_scvi.model._drug_sensitivity import DrugSensitivity
from dtp_scvi.model._response import ResponseModel
from dtp_scvi.model._response_transformer import ResponseTransformer
from dtp_scvi.model._student import DTPStudent
from dtp_scvi.model._transformer import DTPTransformer

if TYPE_CHECKING:
    from anndata import AnnData

    from dtp_scvi.model._classifier import ExpressionClassifier

_CLASSES: dict[str, type[ExpressionClassifier]] = {
    cls.__name__: cls for cls in (DTPTransformer, DTPStudent, AMU, DrugSensitivity)
}
_RESPONSE_CLASSES: dict[str, type[ResponseModel | ResponseTransformer]] = {
    cls.__name__: cls for cls in (ResponseModel, ResponseTransformer)
}


def load_model(
    dir_path: str | Path, adata: AnnData | None = None
) -> ExpressionClassifier | ResponseModel | ResponseTransformer:
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
    if name in _RESPONSE_CLASSES:
        return _RESPONSE_CLASSES[name].load(dir_path)
    if name not in _CLASSES:
        msg = problem(
            f"a model of class {', '.join([*_CLASSES, *_RESPONSE_CLASSES])} in {dir_path}",
            repr(name),
            "Update dtp_scvi.",
        )
        raise ValueError(msg)
    return _CLASSES[name].load(dir_path, adata)
