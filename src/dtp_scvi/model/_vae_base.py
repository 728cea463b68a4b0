"""What the autoencoders share: input, training, latent representation, reconstruction."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Unpack

import numpy as np
import pandas as pd

from dtp_scvi._docs import docs
from dtp_scvi._logging import progress
from dtp_scvi._scvi import setup_args
from dtp_scvi._validate import check_one_of, problem
from dtp_scvi.data import embedding_record
from dtp_scvi.model._checks import check_not_empty, check_same_kind
from dtp_scvi.model._query import MISSING, Missing, Query, expression_query
from dtp_scvi.model._saved import SavedModel
from dtp_scvi.model._vae_data import align_embedding, embedding, embedding_query, panel_of
from dtp_scvi.model._vae_stream import VAEInputOptions, stream_vae

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from anndata import AnnData
    from torch import Tensor

    from dtp_scvi.module import Preset, ResVAEModule


class LatentModel(SavedModel):
    """Base of autoencoders over expression or over an embedding."""

    module: ResVAEModule
    _preset: Preset | None
    _saved: ClassVar[tuple[str, ...]] = ("history_rows_", "protocol_", "embedding_")

    def __init__(
        self,
        adata: AnnData | None,
        registry: dict[str, Any] | None,
        genes: Sequence[str] | None,
    ) -> None:
        super().__init__(adata, registry)
        arguments = setup_args(self.registry_)
        self.obsm_key_: str | None = arguments["obsm_key"]
        self.embedding_: dict[str, Any] = {}
        if adata is not None and self.obsm_key_ is not None:
            self.embedding_ = embedding_record(adata, self.obsm_key_)
        self.scale_ = str(arguments["scale"])
        self.genes_ = panel_of(np.asarray(self._registered_names, dtype=str), genes)
        self.data_: dict[str, Any] = {}
        self.evaluation_: dict[str, Any] = {}
        self.notes_: dict[str, str] = {}
        self.history_rows_: list[dict[str, float]] = []
        self.protocol_: dict[str, Any] = {}
        self.seed_: int | None = None
        self.train_rows_: np.ndarray | None = None

    @classmethod
    def _check_same_data(cls, adata: AnnData, meta: Mapping[str, Any]) -> None:
        arguments = setup_args(meta["registry"])
        if arguments["obsm_key"] is None:
            super()._check_same_data(adata, meta)
            return
        key = arguments["obsm_key"]
        names, wanted = embedding(adata, key)[1], np.asarray(meta["registered_genes"], dtype=str)
        align_embedding(key, names, wanted, named=not np.array_equal(names, wanted))

    @abstractmethod
    def _new_module(self, seed: int = 0) -> ResVAEModule:
        """Return an untrained network, drawn from ``seed``."""

    @property
    def history_table_(self) -> pd.DataFrame:
        """Losses of every epoch: one row an epoch, ``validation_loss`` on held-out rows."""
        return pd.DataFrame(self.history_rows_)

    @docs.dedent
    def prepare(
        self,
        adata: AnnData | None = None,
        *,
        layer: str | None = None,
        obsm_key: str | None = None,
        gene_key: str | None = None,
        scale: str = "auto",
        missing: Missing = "mean",
        min_coverage: float = 0.5,
    ) -> Query:
        """Find the input of the model in an AnnData, by gene name or in ``obsm``.

        Where ``adata`` is left out, the training data are taken, with the registered layer or key
        and scale unless others are given.

        Parameters
        ----------
        %(adata)s
        %(layer)s
        obsm_key
            Key of ``adata.obsm``, for models of an embedding; the one of training by default.
        %(gene_key)s
        %(scale)s
        %(missing)s
        %(min_coverage)s

        Raises
        ------
        KeyError
            When there is no such layer or key.
        RuntimeError
            When the model was not trained.
        ValueError
            When values, scale or width are unfit, or too few genes are found.
        """
        self._check_trained()
        check_one_of(missing, MISSING, "missing")
        own = adata is None or adata is self.adata
        known = own and layer is None and scale == "auto"
        adata = self._own_adata() if adata is None else adata
        check_not_empty(adata)
        if self.obsm_key_ is not None:
            key = self.obsm_key_ if obsm_key is None else obsm_key
            check_same_kind(type(self).__name__, self.scale_, scale)
            return embedding_query(adata, key, self.embedding_, self.genes_, missing)
        if obsm_key is not None:
            msg = problem("expression, as in training", f"obsm_key={obsm_key!r}", "Leave it out.")
            raise ValueError(msg)
        scale = check_same_kind(type(self).__name__, self.scale_, scale)
        if known:
            arguments = setup_args(self.registry_)
            layer, scale = arguments["layer"], arguments["scale"]
        return expression_query(
            adata,
            self.genes_,
            layer=layer,
            gene_key=gene_key,
            scale=scale,
            missing=missing,
            min_coverage=min_coverage,
            known=known,
        )

    def _map(
        self,
        adata: AnnData | None,
        what: Callable[[ResVAEModule, Tensor, Tensor], tuple[Tensor, ...]],
        widths: Sequence[int],
        *,
        indices: np.ndarray | None,
        batch_size: int | None,
        verbose: bool,
        **input_kwargs: Unpack[VAEInputOptions],
    ) -> tuple[pd.Index, list[np.ndarray]]:
        """Return the names of the rows and, for each width, an array of what comes out."""
        query = self.prepare(adata, **input_kwargs)
        adata = self._own_adata() if adata is None else adata
        names = adata.obs_names if indices is None else adata.obs_names[indices]
        out = [np.empty((len(names), width), np.float32) for width in widths]
        with progress(len(names), "encoding", verbose=verbose) as bar:
            for rows, found in stream_vae(
                self.module, query, what, indices=indices, batch_size=batch_size
            ):
                for array, values in zip(out, found, strict=True):
                    array[rows] = values
                bar.update(rows.stop - rows.start)
        return names, out

    @docs.dedent
    def get_latent_representation(
        self,
        adata: AnnData | None = None,
        *,
        give_mean: bool = True,
        indices: np.ndarray | None = None,
        batch_size: int | None = None,
        seed: int | None = 0,
        verbose: bool = False,
        **input_kwargs: Unpack[VAEInputOptions],
    ) -> np.ndarray:
        """Return the latent representation of each row.

        The AnnData is not registered, not changed and not kept.

        Parameters
        ----------
        %(adata)s
        give_mean
            The mean of the posterior, which is deterministic; otherwise a draw from it.
        indices
            Rows to encode, in any order; all by default.
        %(batch_size)s
        seed
            Seed of the draws; ``None`` draws a fresh one.
        %(verbose)s
        %(input_kwargs)s

        Returns
        -------
        float32, shape (n_rows, n_latent).

        Raises
        ------
        RuntimeError
            When the model was not trained.
        ValueError
            When the input is unfit, or too few genes are found.
        """
        n_latent = self.module.n_latent
        _, (mu, logvar) = self._map(
            adata,
            lambda module, x, mask: module.encode(x),
            (n_latent, n_latent),
            indices=indices,
            batch_size=batch_size,
            verbose=verbose,
            **input_kwargs,
        )
        if give_mean:
            return mu
        # Drawn for all rows at once, so that a row's draw does not depend on the batches.
        noise = np.random.default_rng(seed).standard_normal(mu.shape, dtype=np.float32)
        return mu + np.exp(logvar / 2) * noise

    @docs.dedent
    def reconstruct(
        self,
        adata: AnnData | None = None,
        *,
        indices: np.ndarray | None = None,
        batch_size: int | None = None,
        verbose: bool = False,
        **input_kwargs: Unpack[VAEInputOptions],
    ) -> pd.DataFrame:
        """Return each row decoded from the mean of its posterior.

        Parameters
        ----------
        %(adata)s
        %(chosen_rows)s
        %(input_kwargs)s

        Returns
        -------
        float32, one row a cell and one column an input (index ``obs_names``), on the scale of the
        model: log1p(1e4 · x / total) of expression, or the embedding as it is. Errors are those
        of :meth:`get_latent_representation`.
        """
        names, (found,) = self._map(
            adata,
            lambda module, x, mask: (module.decode(module.encode(x)[0]),),
            (self.module.n_inputs,),
            indices=indices,
            batch_size=batch_size,
            verbose=verbose,
            **input_kwargs,
        )
        return pd.DataFrame(found, index=names, columns=self.genes_)

    @docs.dedent
    def reconstruction_error(
        self,
        adata: AnnData | None = None,
        *,
        indices: np.ndarray | None = None,
        batch_size: int | None = None,
        verbose: bool = False,
        **input_kwargs: Unpack[VAEInputOptions],
    ) -> pd.Series:
        """Return the mean squared error of each row's reconstruction, over inputs it has.

        Rows unlike the training data have large ones.

        Parameters
        ----------
        %(adata)s
        %(chosen_rows)s
        %(input_kwargs)s

        Returns
        -------
        float32, one value a row, 0 or more. Errors are those of
        :meth:`get_latent_representation`.
        """
        names, (found,) = self._map(
            adata,
            _squared_error,
            (1,),
            indices=indices,
            batch_size=batch_size,
            verbose=verbose,
            **input_kwargs,
        )
        return pd.Series(found[:, 0], index=names, name="reconstruction_error")


def _squared_error(module: ResVAEModule, x: Tensor, mask: Tensor) -> tuple[Tensor, ...]:
    error = (module.decode(module.encode(x)[0]) - x).square() @ mask / mask.sum()
    return (error[:, None],)
