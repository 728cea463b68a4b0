"""What all classifiers of expression share: set-up, prediction, save and load."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
import pandas as pd
import scipy
import scvi
import torch
from scvi import REGISTRY_KEYS
from scvi.data import AnnDataManager
from scvi.data.fields import LayerField
from scvi.model.base import BaseModelClass

from dtp_scvi import __version__
from dtp_scvi._constants import RESEARCH_USE
from dtp_scvi._docs import docs
from dtp_scvi._logging import progress
from dtp_scvi._scvi import (
    StringLabelsField,
    leave_original,
    manager_of,
    setup_args,
    setup_method_args,
)
from dtp_scvi._threads import torch_share
from dtp_scvi._validate import check_one_of, check_positive_int, problem, shorten
from dtp_scvi.data import (
    N_READERS,
    Scale,
    align_genes,
    gene_names,
    get_matrix,
    iter_blocks,
    resolve_scale,
    scale_kind,
)
from dtp_scvi.model._bundle import read_meta, read_weights, weights_hash, write_bundle
from dtp_scvi.model._plain import plain
from dtp_scvi.model._registration import Registration, check_training_data, read_registration
from dtp_scvi.module import SparseBatch, one_against_rest, sparse_batch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anndata import AnnData

    from dtp_scvi.data import Block, GeneAlignment

Missing = Literal["mean", "zero", "error"]
_MISSING = ("mean", "zero", "error")


@docs.dedent
class ExpressionClassifier(BaseModelClass):
    """Base of models that put cells or bulk samples into classes by their expression.

    It carries registration, prediction on any AnnData by gene name, saving and loading. A
    subclass adds one network and ``train``.

    Parameters
    ----------
    %(adata)s
    registry
        Registry of a saved model; for loading.

    Attributes
    ----------
    genes_
        Genes of the model, in its order.
    classes_
        Classes in sorted order.
    positive_
        Class that the score is about.
    scale_
        Scale of the training data.
    threshold_
        Threshold on the probability of the positive class, with its rule and interval.
    """

    _saved: ClassVar[tuple[str, ...]] = ()
    """Attributes, JSON-able, that a subclass saves beside the common ones."""

    def __init__(
        self, adata: AnnData | None = None, registry: dict[str, Any] | None = None
    ) -> None:
        super().__init__(adata, registry)
        fields = self.registry_["field_registries"]
        arguments = setup_args(self.registry_)
        names = fields[REGISTRY_KEYS.X_KEY]["state_registry"]["column_names"]
        self.genes_ = np.asarray(names, dtype=str)
        self.classes_ = _classes_of(self.registry_)
        self.positive_ = str(arguments["positive"])
        self.scale_ = str(arguments["scale"])
        self.threshold_: dict[str, Any] = {}
        self.seed_: int | None = None
        self.train_rows_: np.ndarray | None = None

    @classmethod
    @docs.dedent
    def setup_anndata(
        cls,
        adata: AnnData,
        labels_key: str,
        *,
        positive: str | bool | int | None = None,
        layer: str | None = None,
        donor_key: str | None = None,
        batch_key: str | None = None,
        scale: str = "auto",
        **kwargs: Any,
    ) -> None:
        """Check an AnnData and register it for training.

        Everything is checked first; on an error nothing has been written. Afterwards
        ``obs["_scvi_labels"]`` (int64), ``uns["_scvi_uuid"]`` and ``uns["_scvi_manager_uuid"]``
        are there, as after the set-up of any scvi-tools model.

        Parameters
        ----------
        %(adata)s
        %(labels_key)s
        %(positive)s
        %(layer)s
        %(donor_key)s
        %(batch_key)s
        %(scale)s
        **kwargs
            Passed on to scvi-tools.

        Raises
        ------
        KeyError
            When a key is missing.
        ValueError
            When labels, donors or expression are unfit for training; the message says why.

        Examples
        --------
        >>> import dtp_scvi as dtp
        >>> cells = dtp.datasets.simulate_cells(300, 200, n_donors=4)
        >>> dtp.model.DTPTransformer.setup_anndata(
        ...     cells, "state", positive="drug_tolerant", layer="counts", donor_key="donor"
        ... )
        """
        arguments: dict[str, Any] = {
            "labels_key": labels_key,
            "positive": positive,
            "layer": layer,
            "donor_key": donor_key,
            "batch_key": batch_key,
            "scale": scale,
        }
        found = check_training_data(adata, **arguments)
        arguments |= {"positive": found.positive, "scale": str(found.scale)}
        leave_original(ExpressionClassifier, adata)
        manager = AnnDataManager(
            fields=[
                LayerField(REGISTRY_KEYS.X_KEY, layer, is_count_data=False),
                StringLabelsField(REGISTRY_KEYS.LABELS_KEY, labels_key),
            ],
            setup_method_args=setup_method_args(cls, {"adata": adata, **arguments}),
        )
        manager.register_fields(adata, **kwargs)
        cls.register_manager(manager)

    @classmethod
    @docs.dedent
    def registration(cls, adata: AnnData) -> Registration:
        """Return labels, donors and scale of an AnnData that was set up for this class.

        Parameters
        ----------
        %(adata)s

        Raises
        ------
        ValueError
            When it was not set up for this class.
        """
        return read_registration(adata, setup_args(manager_of(cls, adata).registry))

    @property
    def id_(self) -> str:
        """First twelve digits of the checksum of the weights."""
        return weights_hash(self.module.state_dict())[:12]

    @property
    def importance_(self) -> np.ndarray:
        """Mean absolute attribution of each gene in the training cells, (n_genes,)."""
        return self.module.importance.cpu().numpy()

    def _check_trained(self) -> None:
        if not self.is_trained_:
            msg = problem(
                f"a trained {type(self).__name__}", "one that is not", "Run train() first."
            )
            raise RuntimeError(msg)

    @docs.dedent
    def align(
        self,
        adata: AnnData,
        *,
        gene_key: str | None = None,
        min_coverage: float = 0.5,
        missing: Missing = "mean",
    ) -> GeneAlignment:
        """Match the genes of a query with those of the model, by name.

        Parameters
        ----------
        %(adata)s
        %(gene_key)s
        min_coverage
            Least share of the model's genes that must be found, 0 to 1.
        %(missing)s

        Raises
        ------
        ValueError
            When too few genes are found, or any is missing and ``missing="error"``.
        """
        check_one_of(missing, _MISSING, "missing")
        alignment = align_genes(gene_names(adata, gene_key), self.genes_)
        alignment.check(1.0 if missing == "error" else min_coverage)
        return alignment

    @docs.dedent
    def predict_logits(
        self,
        adata: AnnData | None = None,
        *,
        indices: np.ndarray | None = None,
        layer: str | None = None,
        gene_key: str | None = None,
        scale: str = "auto",
        missing: Missing = "mean",
        min_coverage: float = 0.5,
        batch_size: int | None = None,
        verbose: bool = False,
    ) -> pd.DataFrame:
        """Return the log-odds of each class against all others.

        The AnnData is not registered, not changed and not kept. Genes are matched by name; the
        total of a row is taken over all genes of the input. For the training data (``adata`` left
        out, or the object itself) the registered layer and scale are used.

        Parameters
        ----------
        %(adata)s
        indices
            Rows to predict, in any order; all by default.
        %(layer)s
        %(gene_key)s
        %(scale)s
        %(missing)s
        min_coverage
            Least share of the model's genes that must be found, 0 to 1.
        %(batch_size)s
        %(verbose)s

        Returns
        -------
        Log-odds, float64, one row a cell (index ``obs_names``) and one column a class. Its
        sigmoid is :meth:`predict_proba`.

        Raises
        ------
        RuntimeError
            When the model was not trained.
        ValueError
            When the expression or its scale is unfit, or too few genes are found.
        """
        self._check_trained()
        if adata is None:
            adata = self._own_adata()
        if adata is self.adata and layer is None and scale == "auto":
            arguments = setup_args(self.registry_)
            layer, scale = arguments["layer"], arguments["scale"]
            matrix, found, check = get_matrix(adata, layer), Scale(scale), None
        else:
            matrix, found, check = self._check_query(adata, layer, scale)
        alignment = self.align(
            adata, gene_key=gene_key, min_coverage=min_coverage, missing=missing
        )
        n_rows = matrix.shape[0] if indices is None else len(np.arange(matrix.shape[0])[indices])
        out = np.empty((n_rows, len(self.classes_)))
        with progress(n_rows, "predicting", verbose=verbose) as bar:
            for rows, raw in self.stream(
                matrix,
                alignment,
                scale=found,
                missing=missing,
                indices=indices,
                batch_size=batch_size,
                check=check,
            ):
                out[rows] = raw
                bar.update(rows.stop - rows.start)
        names = adata.obs_names if indices is None else adata.obs_names[indices]
        return pd.DataFrame(out, index=names, columns=self.classes_)

    @docs.dedent
    def predict_proba(
        self,
        adata: AnnData | None = None,
        *,
        indices: np.ndarray | None = None,
        layer: str | None = None,
        gene_key: str | None = None,
        scale: str = "auto",
        missing: Missing = "mean",
        min_coverage: float = 0.5,
        batch_size: int | None = None,
        verbose: bool = False,
    ) -> pd.DataFrame:
        """Return the probability of each class, 0 to 1; rows sum to 1.

        Parameters
        ----------
        %(adata)s
        indices
            Rows to predict, in any order; all by default.
        %(layer)s
        %(gene_key)s
        %(scale)s
        %(missing)s
        min_coverage
            Least share of the model's genes that must be found, 0 to 1.
        %(batch_size)s
        %(verbose)s

        Returns
        -------
        Probabilities, float64, one row a cell and one column a class: the sigmoid of
        :meth:`predict_logits`, whose errors it shares.
        """
        logits = self.predict_logits(
            adata,
            indices=indices,
            layer=layer,
            gene_key=gene_key,
            scale=scale,
            missing=missing,
            min_coverage=min_coverage,
            batch_size=batch_size,
            verbose=verbose,
        )
        return pd.DataFrame(
            scipy.special.expit(logits.to_numpy()), index=logits.index, columns=logits.columns
        )

    def _own_adata(self) -> AnnData:
        if self.adata is None:
            msg = problem(
                "an AnnData to predict",
                "none (the model was loaded without its training data)",
                "Pass adata=...",
            )
            raise ValueError(msg)
        return self.adata

    @staticmethod
    def _check_query(adata: AnnData, layer: str | None, scale: str) -> tuple[Any, Scale, str]:
        matrix = get_matrix(adata, layer)
        name = "adata.X" if layer is None else f"adata.layers[{layer!r}]"
        return matrix, resolve_scale(matrix, scale, name=name), name

    def stream(
        self,
        matrix: Any,
        alignment: GeneAlignment,
        *,
        scale: Scale,
        missing: Missing = "mean",
        indices: np.ndarray | None = None,
        batch_size: int | None = None,
        check: str | None = None,
    ) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield (rows, log-odds) block by block, in constant memory.

        Parameters
        ----------
        matrix
            Cells x genes, in memory or on disk.
        alignment
            Which column feeds which gene of the model, from :meth:`align`.
        scale
            Scale of the values.
        missing
            What stands in for a gene that the input lacks.
        indices
            Rows to predict; all by default.
        batch_size
            Rows per step.
        check
            Name of the matrix in messages; where it is given, NaN, infinite and negative values
            are refused.
        """
        if batch_size is not None:
            check_positive_int(batch_size, "batch_size")
        self.module.eval()
        device = self.module.device
        observed = None
        if missing == "mean" and not alignment.observed.all():
            observed = torch.from_numpy(alignment.observed.astype(np.float32)).to(device)
        kind = scale_kind(scale)

        def predict(block: Block) -> list[tuple[slice, np.ndarray]]:
            # Inference mode belongs to a thread, and blocks are predicted where they are read.
            with torch.inference_mode():
                step, out = batch_size or block.matrix.shape[0], []
                for start in range(0, block.matrix.shape[0], step):
                    part = slice(start, min(start + step, block.matrix.shape[0]))
                    whole = step >= block.matrix.shape[0]
                    rows = block.matrix if whole else block.matrix[part]
                    batch = sparse_batch(rows, block.total[part], kind)
                    raw = self.module.raw_logits(to_device(batch, device), observed)
                    logits = one_against_rest(raw.double()).cpu().numpy()
                    first = block.rows.start + part.start
                    out.append((slice(first, first + len(logits)), logits))
            return out

        for parts in iter_blocks(
            matrix,
            alignment,
            scale=scale,
            indices=indices,
            check=check,
            then=predict,
            start=torch_share(N_READERS),
        ):
            yield from parts

    def _meta(self) -> dict[str, Any]:
        registry = {
            key: value for key, value in self.registry_.items() if key != "field_registries"
        }
        fields = {}
        for name, field in self.registry_["field_registries"].items():
            state = {k: v for k, v in field["state_registry"].items() if k != "column_names"}
            fields[name] = {**field, "state_registry": state}
        return plain(
            {
                "class": type(self).__name__,
                "research_use": RESEARCH_USE,
                "versions": versions(),
                "init_params": self.init_params_["non_kwargs"],
                "registry": {**registry, "field_registries": fields},
                "registered_genes": self.get_var_names() if self.adata is not None else self._all,
                "genes": self.genes_,
                "threshold": self.threshold_,
                "seed": self.seed_,
                "attributes": {name: getattr(self, name) for name in self._saved},
            }
        )

    @property
    def _all(self) -> np.ndarray:
        fields = self.registry_["field_registries"]
        return fields[REGISTRY_KEYS.X_KEY]["state_registry"]["column_names"]

    def save(self, dir_path: str | Path, *, overwrite: bool = False) -> None:
        """Write ``model.safetensors`` and ``model.json`` into a new directory.

        The directory appears whole or not at all. It holds weights, gene names, settings and
        summary numbers; no cell, no donor and no pickle.

        Parameters
        ----------
        dir_path
            Directory to write.
        overwrite
            Replace a directory that exists.

        Raises
        ------
        FileExistsError
            When the directory exists and ``overwrite`` is false.
        RuntimeError
            When the model was not trained.
        """
        self._check_trained()
        path = Path(dir_path)
        write_bundle(path, self.module.state_dict(), self._meta(), overwrite=overwrite)

    @classmethod
    def load(cls, dir_path: str | Path, adata: AnnData | None = None) -> Self:
        """Read a model directory; nothing in it is executed.

        Parameters
        ----------
        dir_path
            Directory that :meth:`save` wrote.
        adata
            Training data, to train or distil again; it is set up as the original was. Scoring
            needs none.

        Raises
        ------
        FileNotFoundError
            When there is nothing at ``dir_path``.
        ValueError
            When it is damaged, foreign, of another class, or ``adata`` has other genes.
        """
        path = Path(dir_path)
        meta = read_meta(path)
        if meta.get("class") != cls.__name__:
            msg = problem(
                f"a {cls.__name__} in {path}",
                f"a {meta.get('class')}",
                f"Use {meta.get('class')}.load, or dtp_scvi.model.load_model.",
            )
            raise ValueError(msg)
        state = read_weights(path, meta)
        registry = meta["registry"]
        x_state = registry["field_registries"][REGISTRY_KEYS.X_KEY]["state_registry"]
        x_state["column_names"] = np.asarray(meta["registered_genes"], dtype=str)
        if adata is None:
            model = cls(registry=registry, **meta["init_params"])
        else:
            check_same_genes(adata, meta["registered_genes"])
            arguments = setup_args(registry)
            check_same_classes(adata, arguments, _classes_of(registry))
            cls.setup_anndata(adata, **arguments)
            model = cls(adata, **meta["init_params"])
        model._restore(meta, state)
        return model

    def _restore(self, meta: dict[str, Any], state: dict[str, torch.Tensor]) -> None:
        self.genes_ = np.asarray(meta["genes"], dtype=str)
        for name, value in meta["attributes"].items():
            setattr(self, name, value)
        self._fit_module_to(state)
        self.module.load_state_dict(state)
        self.module.eval()
        self.threshold_, self.seed_ = meta["threshold"], meta["seed"]
        self.is_trained_ = True

    def _fit_module_to(self, state: dict[str, torch.Tensor]) -> None:
        """Rebuild the network where its size is known only after training."""


def to_device(batch: SparseBatch, device: torch.device) -> SparseBatch:
    """Move the tensors of a batch."""
    if device.type == "cpu":
        return batch
    return SparseBatch(
        values=batch["values"].to(device),
        columns=batch["columns"].to(device),
        offsets=batch["offsets"].to(device),
        total=batch["total"].to(device),
        kind=batch["kind"],
    )


def check_same_genes(adata: AnnData, genes: list[str]) -> None:
    """Raise unless an AnnData has the genes of the training data, in their order."""
    found = np.asarray(adata.var_names, dtype=str)
    if np.array_equal(found, genes):
        return
    same = len(found) == len(genes) and set(found) == set(genes)
    what = "the same genes in another order" if same else f"{len(found):,} other genes"
    msg = problem(
        f"the {len(genes):,} genes that the model was set up with, in their order",
        what,
        "Run adata = adata[:, model_genes].copy(), or load without adata: scoring needs none.",
    )
    raise ValueError(msg)


def check_same_classes(adata: AnnData, arguments: dict[str, Any], classes: list[str]) -> None:
    """Raise unless the labels of an AnnData have the classes of the training data."""
    found = read_registration(adata, arguments).classes
    if list(found) != classes:
        msg = problem(
            f"the classes {', '.join(classes)} in adata.obs[{arguments['labels_key']!r}]",
            shorten(found),
            "Pass the training data, or load without adata: scoring needs none.",
        )
        raise ValueError(msg)


def _classes_of(registry: dict[str, Any]) -> list[str]:
    labels = registry["field_registries"][REGISTRY_KEYS.LABELS_KEY]
    return [str(name) for name in labels["state_registry"]["categorical_mapping"]]


def versions() -> dict[str, str]:
    """Return the versions a model was made with."""
    return {
        "dtp_scvi": __version__,
        "scvi-tools": scvi.__version__,
        "torch": str(torch.__version__),
        "python": platform.python_version(),
    }
