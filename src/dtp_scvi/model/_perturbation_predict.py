"""Prediction of the change that a drug makes, for any rows with controls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch

from dtp_scvi._constants import CONTROL_KEY
from dtp_scvi._docs import docs
from dtp_scvi._labels import text_column
from dtp_scvi._logging import progress
from dtp_scvi._scvi import setup_args
from dtp_scvi._validate import check_positive_int
from dtp_scvi.model._checks import check_not_empty
from dtp_scvi.model._perturbation_data import treated_rows
from dtp_scvi.model._perturbation_drugs import fitted_width, new_drugs
from dtp_scvi.model._perturbation_network import PerturbationNetwork
from dtp_scvi.nn import RowNoise

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anndata import AnnData

    from dtp_scvi.module import PerturbationBatch


class PerturbationPrediction(PerturbationNetwork):
    """The part of :class:`PerturbationModel` that predicts."""

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
