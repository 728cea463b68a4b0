"""What all models that predict the effect of a drug share: set-up, training, prediction."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import pandas as pd
import torch
from scvi import REGISTRY_KEYS
from scvi.data import AnnDataManager
from scvi.data.fields import LayerField

from dtp_scvi._constants import CONTROL_KEY, PERTURBATION_RESEARCH_USE, SPLIT_KEY
from dtp_scvi._docs import docs
from dtp_scvi._labels import text_column
from dtp_scvi._logging import progress, warn
from dtp_scvi._scvi import leave_original, setup_args, setup_method_args
from dtp_scvi._validate import check_positive_int, problem, shorten
from dtp_scvi.data import get_drug_table
from dtp_scvi.model._bundle import read_meta, read_weights
from dtp_scvi.model._checks import check_not_empty
from dtp_scvi.model._perturbation_card import perturbation_card
from dtp_scvi.model._perturbation_data import (
    check_perturbation_data,
    describe_treated,
    read_treated,
    registered_names,
    three_parts,
    treated_rows,
)
from dtp_scvi.model._perturbation_drugs import (
    DrugFeatures,
    encoding_of,
    fitted_width,
    new_drugs,
    sizes_of,
)
from dtp_scvi.model._perturbation_fit import PerturbationFit, fit_perturbation
from dtp_scvi.model._perturbation_start import take_over
from dtp_scvi.model._saved import SavedModel
from dtp_scvi.nn import RowNoise

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from anndata import AnnData

    from dtp_scvi.model._network_card import NetworkCard
    from dtp_scvi.module import DrugSizes, PerturbationBatch, PerturbationModule
    from dtp_scvi.train import TreatedRows


@dataclass(frozen=True)
class NetworkShape:
    """What the data say about the size of a network."""

    n_genes: int
    n_cells: int
    drugs: DrugSizes
    gene_features: int = 0


class PerturbationModel(SavedModel):
    """Base of :class:`XPert` and :class:`PertDiT`.

    Parameters
    ----------
    adata
        Data that were set up, or ``None`` with a registry.
    registry
        Registry of a saved model; for loading.
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

    module: PerturbationModule
    _saved: ClassVar[tuple[str, ...]] = (
        "drugs_",
        "cells_",
        "encoding_",
        "history_rows_",
        "protocol_",
    )
    _research_use: ClassVar[str] = PERTURBATION_RESEARCH_USE
    _lr: ClassVar[float] = 1e-3

    def __init__(
        self, adata: AnnData | None, registry: dict[str, Any] | None, features: DrugFeatures
    ) -> None:
        super().__init__(adata, registry)
        self._features = features
        self.genes_ = registered_names(self.registry_)
        self.drugs_: list[str] = []
        self.cells_: list[str] = []
        self.encoding_: dict[str, Any] = {}
        self.data_: dict[str, Any] = {}
        self.evaluation_: dict[str, Any] = {}
        self.notes_: dict[str, str] = {}
        self.history_rows_: list[dict[str, float]] = []
        self.protocol_: dict[str, Any] = {}
        self.seed_: int | None = None
        self.reinitialised_: pd.DataFrame | None = None
        self._started = False

    def _build(self) -> None:
        """Make the network for the registered data; a model that is loaded gets its later."""
        if self.adata is None:
            return
        table = get_drug_table(self.adata)
        self.drugs_ = [str(name) for name in table.names]
        self.encoding_ = encoding_of(self.adata)
        cell_key = setup_args(self.registry_)["cell_key"]
        if cell_key is not None:
            cells = text_column(self.adata.obs, cell_key, "cell_key")
            self.cells_ = sorted(set(cells[treated_rows(self.adata)].tolist()))
        self.module = self._fresh(0)

    def _fresh(self, seed: int) -> PerturbationModule:
        """Return an untrained network drawn from ``seed``, with the drugs of the data."""
        adata = self._own_adata()
        parts = self._features.tensors(get_drug_table(adata))
        shape = NetworkShape(
            len(self.genes_), len(self.cells_), sizes_of(parts), self._gene_vectors(adata).shape[1]
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            module = self._new_module(shape)
        module.drugs.fill(**parts)
        self._place_gene_vectors(module, adata)
        return module.eval()

    @abstractmethod
    def _new_module(self, shape: NetworkShape) -> PerturbationModule:
        """Return an untrained network."""

    def _gene_vectors(self, adata: AnnData) -> np.ndarray:
        """Return prior vectors of the genes, (n_genes, width); width 0 without."""
        return np.zeros((adata.n_vars, 0), np.float32)

    def _place_gene_vectors(self, module: PerturbationModule, adata: AnnData) -> None:
        """Give the network its prior vectors of genes, where it takes any."""

    def _start_from(self, module: PerturbationModule, data: TreatedRows, rows: np.ndarray) -> None:
        """Set what a fresh network takes from its training rows."""
        module.set_statistics(**data.moments(rows))

    def _watching(self) -> dict[str, Any]:
        """Return how changes are predicted in the rows that pick the epoch."""
        return {}

    @staticmethod
    def _make_card(meta: Mapping[str, Any], model_id: str) -> NetworkCard:
        return perturbation_card(meta, model_id)

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
        leave_original(PerturbationModel, adata)
        manager = AnnDataManager(
            fields=[LayerField(REGISTRY_KEYS.X_KEY, arguments["layer"], is_count_data=False)],
            setup_method_args=setup_method_args(cls, {"adata": adata, **arguments}),
        )
        manager.register_fields(adata)
        cls.register_manager(manager)

    @property
    def history_table_(self) -> pd.DataFrame:
        """One row an epoch: losses, and in ``validation_loss`` the squared error of the change."""
        return pd.DataFrame(self.history_rows_)

    def _rows(
        self, adata: AnnData, drugs: Sequence[str], *, values: bool, seed: int
    ) -> TreatedRows:
        return read_treated(
            adata,
            setup_args(self.registry_),
            drugs=drugs,
            cells=self.cells_,
            genes=self.genes_,
            values=values,
            seed=seed,
        )

    @docs.dedent
    def train(
        self,
        max_epochs: int = 50,
        *,
        split_key: str = SPLIT_KEY,
        indices: tuple[Sequence[int], Sequence[int], Sequence[int]] | None = None,
        batch_size: int = 32,
        lr: float | None = None,
        weight_decay: float = 0.01,
        patience: int = 10,
        ema: float = 0.999,
        n_watched: int = 512,
        seed: int = 0,
        accelerator: str = "auto",
        devices: Any = "auto",
        verbose: bool = False,
    ) -> None:
        """Fit to the training part; the validation part picks the epoch, the test part is unseen.

        A network that :meth:`load_pretrained` filled goes on from there, its moments of genes and
        edges of values included; otherwise a new one is drawn from ``seed``. AdamW, one cycle,
        gradients clipped at 1.

        Parameters
        ----------
        max_epochs
            Most epochs.
        split_key
            Column of ``adata.obs`` with ``train``, ``valid`` and ``test``, from
            :func:`dtp_scvi.pp.split_perturbation`.
        indices
            Rows to train, to validate and to test on, in place of ``split_key``.
        batch_size
            Training rows a step.
        lr
            Peak learning rate; 1e-3 by default.
        weight_decay
            Of AdamW.
        patience
            Epochs without a lower error before training ends.
        ema
            Weight of the past in the running mean of weights that is kept; 0 for none.
        n_watched
            Most validation rows to watch, drawn evenly over drugs.
        %(seed)s
        %(accelerator)s
        devices
            Devices of Lightning.
        %(verbose)s

        Raises
        ------
        KeyError
            When there is no such column.
        ValueError
            When a part is missing or empty, parts share rows, or a number is out of range.
        """
        adata, arguments = self._own_adata(), setup_args(self.registry_)
        options = PerturbationFit(
            max_epochs=max_epochs,
            batch_size=batch_size,
            lr=self._lr if lr is None else lr,
            weight_decay=weight_decay,
            patience=patience,
            ema=ema,
            n_watched=n_watched,
            seed=seed,
            accelerator=accelerator,
            devices=devices,
            verbose=verbose,
            sampling=self._watching(),
        )
        train, valid = three_parts(adata, split_key, indices)
        data = self._rows(adata, self.drugs_, values=True, seed=seed)
        module = self._fresh(seed)
        if self._started:
            module.load_state_dict(self.module.state_dict())
        else:
            self._start_from(module, data, train)
        table, evaluation = fit_perturbation(module, data, train, valid, options)
        self.module = module
        self.history_rows_ = table.to_dict("records")
        self.data_ = describe_treated(adata, arguments, data, train)
        self.evaluation_, self.protocol_, self.seed_ = evaluation, options.protocol, seed
        self.is_trained_ = True

    @docs.dedent
    def predict(
        self, adata: AnnData | None = None, *, return_delta: bool = True, batch_size: int = 128
    ) -> pd.DataFrame:
        """Predict what the drug does to the control of each row; the row itself is not looked at.

        Parameters
        ----------
        %(adata)s
            Rows need paired controls (:func:`dtp_scvi.pp.pair_controls`); drugs that the model was
            not trained on need SMILES. The training data by default.
        return_delta
            The change against the control; otherwise control plus change.
        %(batch_size)s

        Returns
        -------
        Rows x genes of the model, float32, indexed by row names. Control rows get no change.

        Raises
        ------
        RuntimeError
            When the model was not trained.
        KeyError, ValueError
            When a column or gene is missing, or a drug has no structure.
        """
        return self._predict(adata, {}, return_delta=return_delta, batch_size=batch_size)[0]

    def _predict(
        self,
        adata: AnnData | None,
        sampling: dict[str, Any],
        *,
        return_delta: bool,
        batch_size: int,
        seed: int = 0,
        verbose: bool = False,
    ) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return mean and spread of the prediction."""
        adata = self._own_adata() if adata is None else adata
        mean = np.zeros((adata.n_obs, len(self.genes_)), np.float32)
        spread = np.zeros_like(mean)
        module = self.module
        for rows, batch in self._batches(adata, batch_size, seed=seed, verbose=verbose):
            draw = RowNoise(batch["noise"].tolist(), module.n_genes, module.device)
            with torch.inference_mode():
                found = module.predict_delta(batch, draw=draw, **sampling)
            mean[rows], spread[rows] = (part.cpu().numpy() for part in found)
        if not return_delta:
            position = adata.var_names.get_indexer(pd.Index(self.genes_))
            mean += np.asarray(adata.obsm[CONTROL_KEY])[:, position]
        return tuple(  # type: ignore[return-value]
            pd.DataFrame(part, index=adata.obs_names.copy(), columns=self.genes_)
            for part in (mean, spread)
        )

    def _batches(
        self, adata: AnnData, batch_size: int, *, seed: int = 0, verbose: bool = False
    ) -> Iterator[tuple[np.ndarray, PerturbationBatch]]:
        """Yield positions and tensors of the treated rows, with new drugs in the table."""
        self._check_trained()
        check_positive_int(batch_size, "batch_size")
        check_not_empty(adata)
        treated = np.flatnonzero(treated_rows(adata))
        names = text_column(adata.obs, setup_args(self.registry_)["drug_key"], "drug_key")
        unseen = sorted(set(names[treated].tolist()) - set(self.drugs_))
        table, drugs = self.module.drugs, [*self.drugs_, *unseen]
        data = self._rows(adata, drugs, values=False, seed=seed)
        if unseen:
            self.module.drugs = table.extended(**self._new_parts(adata, unseen, names))
        try:
            with progress(len(treated), "predicting", verbose=verbose) as bar:
                for start in range(0, len(treated), batch_size):
                    rows = treated[start : start + batch_size]
                    batch = data.batch(rows)
                    device = self.module.device
                    yield rows, {k: v.to(device) for k, v in batch.items()}  # type: ignore[misc, attr-defined]
                    bar.update(len(rows))
        finally:
            self.module.drugs = table

    def _new_parts(
        self, adata: AnnData, unseen: list[str], names: np.ndarray
    ) -> dict[str, torch.Tensor]:
        sizes = self.module.drugs.sizes
        table = new_drugs(
            adata,
            unseen,
            drug=names,
            smiles_key=setup_args(self.registry_)["smiles_key"],
            encoding=self.encoding_,
            features=self._features,
            sizes=sizes,
        )
        codes = torch.from_numpy(table.codes(unseen))
        parts = {name: part[codes] for name, part in self._features.tensors(table).items()}
        return fitted_width(parts, sizes)

    def load_pretrained(self, dir_path: str | Path, *, strict: bool = False) -> pd.DataFrame:
        """Take over the weights of a saved model of this class; :meth:`train` goes on from them.

        Vectors of genes and of cell lines are matched by name. The drugs are those of the present
        data. Moments of genes and edges of values come with the weights, so that the network goes
        on reading values as it was trained to.

        Parameters
        ----------
        dir_path
            Directory that :meth:`save` wrote.
        strict
            Raise where anything can't be taken over.

        Returns
        -------
        What was not taken over, indexed by tensor: its ``shape``, and in ``kept`` the share that
        is as it was. It is warned of, and stays in :attr:`reinitialised_`.

        Raises
        ------
        FileNotFoundError, ValueError
            When there is no such model, it is damaged or of another class; with ``strict``, when
            a tensor is left.
        """
        path = Path(dir_path)
        meta = read_meta(path)
        if meta["class"] != type(self).__name__:
            msg = problem(
                f"a {type(self).__name__} in {path}", f"a {meta['class']}", "Name another path."
            )
            raise ValueError(msg)
        attributes = meta["attributes"]
        return self._take(
            read_weights(path, meta), meta["genes"], attributes["cells_"], strict=strict
        )

    def _take(
        self,
        state: Mapping[str, torch.Tensor],
        genes: Sequence[str],
        cells: Sequence[str],
        *,
        strict: bool,
    ) -> pd.DataFrame:
        module = self._fresh(0)
        left = take_over(
            module,
            state,
            genes=(self.genes_.tolist(), list(genes)),
            cells=(self.cells_, list(cells)),
        )
        if len(left):
            listed = [f"{name} {row['shape']}: {row['kept']:.0%}" for name, row in left.iterrows()]
            if strict:
                msg = problem(
                    "every tensor of the pretrained model to fit",
                    f"{len(left):,} that do not ({shorten(listed, 20)})",
                    "Make the model with the same options, or pass strict=False.",
                )
                raise ValueError(msg)
            warn(f"{len(left):,} tensors start anew, in full or in part: {shorten(listed, 20)}.")
        self.module, self.reinitialised_, self._started = module, left, True
        return left

    def fine_tune(self, adata: AnnData, *, lr: float | None = None, **train_kwargs: Any) -> Self:
        """Return a model of other data that starts from this one, which stays as it is.

        Parameters
        ----------
        adata
            Data that were set up for this class, such as clinical pairs.
        lr
            Peak learning rate; a quarter of that of :meth:`train` by default.
        **train_kwargs
            Arguments of :meth:`train`.

        Returns
        -------
        The fine-tuned model; see its :attr:`reinitialised_`.

        Raises
        ------
        RuntimeError
            When this model was not trained.
        ValueError
            When ``adata`` was not set up.
        """
        self._check_trained()
        model = type(self)(adata, **self.init_params_["non_kwargs"])
        model._take(self.module.state_dict(), self.genes_.tolist(), self.cells_, strict=False)
        model.train(lr=self._lr / 4 if lr is None else lr, **train_kwargs)
        return model

    def _fit_module_to(self, state: dict[str, torch.Tensor]) -> None:
        parts = {name: state[f"drugs.{name}"] for name in ("tokens", "vector", "graph")}
        vectors = state.get("genes.gene_vectors")
        shape = NetworkShape(
            len(self.genes_),
            len(self.cells_),
            sizes_of(parts),
            0 if vectors is None else vectors.shape[1],
        )
        with torch.random.fork_rng(devices=[]):
            self.module = self._new_module(shape)
