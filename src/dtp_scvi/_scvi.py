"""The only file that uses names of scvi-tools which no promise covers."""

from __future__ import annotations

import logging
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scvi.data.fields import CategoricalObsField, ObsmField
from scvi.model.base import BaseModelClass

from dtp_scvi._labels import label_text
from dtp_scvi._validate import problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from anndata import AnnData
    from scvi.data import AnnDataManager


class StringLabelsField(CategoricalObsField):
    """A categorical column read as text, without categories that no row has.

    scvi-tools takes the classes from the categories of the column, unused ones included, and
    lets an unseen class 0 of integer labels pass; text has neither fault.
    """

    def _get_original_column(self, adata: AnnData) -> np.ndarray:
        return label_text(adata.obs[self._original_attr_key])

    def register_field(self, adata: AnnData) -> dict[str, Any]:
        """Write the codes to ``obs["_scvi_<key>"]`` and return the classes in sorted order."""
        column = pd.Categorical(self._get_original_column(adata))
        adata.obs[self.attr_key] = column.codes.astype(np.int64)
        return {
            self.CATEGORICAL_MAPPING_KEY: np.asarray(column.categories, dtype=object),
            self.ORIGINAL_ATTR_KEY: self._original_attr_key,
        }


class EmbeddingField(ObsmField):
    """An array or data frame of ``obsm``; columns without names are numbered ``<key>_<number>``.

    scvi-tools numbers them 0, 1, ... and prints a line about it.
    """

    def __init__(self, registry_key: str, attr_key: str) -> None:
        super().__init__(registry_key, attr_key, correct_data_format=False)

    def _setup_column_names(self, adata: AnnData) -> np.ndarray:
        return embedding_names(adata.obsm[self.attr_key], self.attr_key)


def embedding_names(table: pd.DataFrame | np.ndarray, key: str) -> np.ndarray:
    """Return the names of the columns of ``obsm[key]``, as text."""
    if isinstance(table, pd.DataFrame):
        return np.asarray(table.columns, dtype=str)
    return np.array([f"{key}_{i}" for i in range(table.shape[1])], dtype=str)


def setup_method_args(cls: type, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Record the arguments of ``setup_anndata`` the way scvi-tools replays them."""
    return BaseModelClass._get_setup_method_args(cls=cls, **arguments)


def manager_of(cls: type[BaseModelClass], adata: AnnData) -> AnnDataManager:
    """Return the manager of an AnnData that was set up for ``cls``, or raise ``ValueError``."""
    manager = cls._get_most_recent_anndata_manager(adata, required=False)
    if manager is None:
        msg = problem(
            f"an AnnData that was set up for {cls.__name__}",
            "one that was not (a setup belongs to one class and one object, not to its copies)",
            f"Run {cls.__name__}.setup_anndata(adata, labels_key=...) first.",
        )
        raise ValueError(msg)
    return manager


def leave_original(family: type[BaseModelClass], adata: AnnData) -> None:
    """Drop the id that a copy took along from an AnnData that a class of ``family`` knows.

    scvi-tools finds a registration by this id, so the copy's would take the original's place.
    """
    name = adata.uns.get("_scvi_uuid")
    managers = [cls._setup_adata_manager_store.get(name) for cls in family.__subclasses__()]
    if any(manager is not None and manager.adata is not adata for manager in managers):
        del adata.uns["_scvi_uuid"]


def setup_args(registry: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments ``setup_anndata`` was called with."""
    return dict(registry["setup_args"])


def init_params(model: BaseModelClass, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Record the constructor's arguments in the attribute that scvi-tools reads."""
    return model._get_init_params(dict(arguments))


@contextmanager
def quiet_training() -> Iterator[None]:
    """Silence, for one fit, what Lightning says about settings that are chosen on purpose."""
    loggers = [
        logging.getLogger(name)
        for name in (
            "lightning.pytorch",
            "lightning.fabric",
            "lightning.pytorch.utilities.rank_zero",
        )
    ]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        for text in (
            ".*does not have many workers.*",
            ".*is smaller than the logging interval.*",
            ".*`isinstance\\(treespec, LeafSpec\\)` is deprecated.*",
            ".*Checkpoint directory.*",
            ".*was configured so validation will run at the end of the training epoch.*",
            ".*module.{0,3} in eval mode at the start of training.*",
            ".*`IterableDataset` has `__len__` defined.*",
            ".*Trying to infer the `batch_size`.*",
            ".*Sparse invariant checks are implicitly disabled.*",
            ".*lr_scheduler.step.*",
        ):
            warnings.filterwarnings("ignore", message=text)
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
