"""Training of an autoencoder, once or over folds."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from dtp_scvi._docs import docs
from dtp_scvi._labels import text_column
from dtp_scvi._scvi import setup_args
from dtp_scvi._validate import check_positive_int, problem
from dtp_scvi.model._plain import plain
from dtp_scvi.model._vae_base import LatentModel
from dtp_scvi.model._vae_data import describe_rows, read_inputs
from dtp_scvi.model._vae_fit import FitOptions, Keep, fit_vae, held_out_terms
from dtp_scvi.train import deal_rows, hold_out

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dtp_scvi.module import Schedule
    from dtp_scvi.train import DenseRows

_NOT_SHOWN = ("accelerator", "devices", "verbose")


@dataclass(frozen=True)
class VAERows:
    """Rows in memory, normalised, with their donors."""

    which: np.ndarray
    data: DenseRows
    donors: np.ndarray | None


class TrainableVAE(LatentModel):
    """An autoencoder with ``train`` and ``k_fold``."""

    def _read(self, indices: np.ndarray | None) -> VAERows:
        adata, arguments = self._own_adata(), setup_args(self.registry_)
        which = np.arange(adata.n_obs)
        which = which if indices is None else which[indices]
        if not len(which):
            msg = problem("rows to train on", "none", "Choose other `indices`.")
            raise ValueError(msg)
        key = arguments["donor_key"]
        donors = None if key is None else text_column(adata.obs, key, "donor_key")[which]
        data = read_inputs(adata, arguments, self.genes_, which)
        return VAERows(which, replace(data, target=self._target(which)), donors)

    def _target(self, which: np.ndarray) -> np.ndarray | None:
        """A teacher's latent representation of these rows, where there is a teacher."""
        return None

    @docs.dedent
    def train(
        self,
        max_epochs: int | None = None,
        *,
        indices: np.ndarray | None = None,
        batch_size: int = 128,
        lr: float | None = None,
        weight_decay: float | None = None,
        schedule: Schedule | None = None,
        validation_size: float = 0.1,
        keep: Keep = "best",
        patience: int = 20,
        seed: int = 0,
        accelerator: str = "auto",
        devices: Any = "auto",
        verbose: bool = True,
    ) -> None:
        """Fit a new network, watched on rows that are held out.

        Donors are held out whole where ``donor_key`` was registered and there are two or more.
        What a preset was published with is used unless it is given here; its fixed number of
        epochs without early stopping is ``keep="last"``.

        Parameters
        ----------
        max_epochs
            Most epochs; of the preset, or 400, and fewer for more than 20,000 rows.
        %(train_indices)s
        batch_size
            Rows per step, 2 or more.
        lr
            Learning rate, at the start; of the preset, or 1e-3.
        weight_decay
            Weight decay of AdamW; of the preset, or 1e-4.
        schedule
            ``"constant"``, or ``"cosine"`` down to a hundredth, once; of the preset, or
            ``"cosine"``.
        validation_size
            About which share of the rows to hold out, above 0 and at most 0.5.
        keep
            Weights to keep: of the ``"best"`` held-out loss, or of the ``"last"`` epoch.
        %(patience)s
        %(run_options)s

        Raises
        ------
        ValueError
            When an option is out of range, or there are too few rows.
        """
        given = self._read(indices)
        options = FitOptions.from_preset(
            self._preset,
            {
                "max_epochs": max_epochs,
                "batch_size": batch_size,
                "lr": lr,
                "weight_decay": weight_decay,
                "schedule": schedule,
                "keep": keep,
                "patience": patience,
                "seed": seed,
                "accelerator": accelerator,
                "devices": devices,
                "verbose": verbose,
            },
            len(given.which),
        )
        fit_rows, watched, unit = hold_out(len(given.which), given.donors, validation_size, seed)
        fitted, table, kept = fit_vae(self._new_module, given.data, fit_rows, watched, options)
        self.module = fitted
        self.history_rows_ = table.to_dict("records")
        self.seed_, self.train_rows_ = seed, given.which
        self.data_ = plain(
            describe_rows(self._own_adata(), setup_args(self.registry_), given.data, given.donors)
        )
        self.evaluation_ = {"n_rows": len(watched), **held_out_terms(fitted, given.data, watched)}
        shown = {k: v for k, v in asdict(options).items() if k not in _NOT_SHOWN}
        self.protocol_ = plain(
            {"held_out": unit, "n_fit": len(fit_rows), "kept_epoch": kept, **shown}
        )
        self.is_trained_ = True

    @docs.dedent
    def k_fold(
        self,
        n_folds: int = 10,
        *,
        max_epochs: int | None = None,
        indices: np.ndarray | None = None,
        batch_size: int = 128,
        lr: float | None = None,
        weight_decay: float | None = None,
        schedule: Schedule | None = None,
        patience: int = 20,
        seed: int = 0,
        accelerator: str = "auto",
        verbose: bool = False,
    ) -> pd.DataFrame:
        """Train a new network for each fold held out, and leave this model as it is.

        Donors are held out whole where ``donor_key`` was registered. The lowest loss of a fold is
        that of the epoch it was chosen by, and so a little low.

        Parameters
        ----------
        n_folds
            Number of folds, 2 or more.
        max_epochs, batch_size, lr, weight_decay, schedule, patience
            As in :meth:`train`.
        indices
            Rows to use; all by default.
        %(seed)s
        %(accelerator)s
        %(verbose)s

        Returns
        -------
        One row a fold: ``fold``, ``seed`` of its network, ``n_train``, ``n_validation`` rows,
        ``n_epochs``, ``best_epoch``, ``validation_loss`` (lowest), ``last_validation_loss``, and
        the terms of the loss on the held-out rows by the posterior mean: ``mse``,
        ``variance_explained``, ``kl``.

        Raises
        ------
        ValueError
            When there are fewer rows or donors than folds.
        """
        check_positive_int(n_folds, "n_folds")
        given = self._read(indices)
        options = FitOptions.from_preset(
            self._preset,
            {
                "max_epochs": max_epochs,
                "batch_size": batch_size,
                "lr": lr,
                "weight_decay": weight_decay,
                "schedule": schedule,
                "keep": "best",
                "patience": patience,
                "seed": seed,
                "accelerator": accelerator,
                "verbose": verbose,
            },
            len(given.which),
        )
        return pd.DataFrame(self._folds(n_folds, given, options))

    def _folds(
        self, n_folds: int, given: VAERows, options: FitOptions
    ) -> Iterator[dict[str, Any]]:
        """Yield what came of each fold."""
        fold_of = deal_rows(len(given.which), given.donors, n_folds, options.seed)
        for fold in range(n_folds):
            yield self._one_fold(given, fold_of, fold, options)

    def _one_fold(
        self, given: VAERows, fold_of: np.ndarray, fold: int, options: FitOptions
    ) -> dict[str, Any]:
        own = replace(options, seed=options.seed + fold)
        train, watched = np.flatnonzero(fold_of != fold), np.flatnonzero(fold_of == fold)
        module, table, kept = fit_vae(self._new_module, given.data, train, watched, own)
        return {
            "fold": fold,
            "seed": own.seed,
            "n_train": len(train),
            "n_validation": len(watched),
            "n_epochs": len(table),
            "best_epoch": kept,
            "validation_loss": table["validation_loss"].min(),
            "last_validation_loss": table["validation_loss"].iloc[-1],
            **held_out_terms(module, given.data, watched),
        }
