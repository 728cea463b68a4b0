"""The comparators of perturbation models, with the interface of the models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from dtp_scvi._constants import CONTROL_ROLE_KEY, SPLIT_KEY
from dtp_scvi._docs import docs
from dtp_scvi._validate import check_key, check_one_of, problem, shorten
from dtp_scvi.train import (
    PERTURBATION_BASELINES,
    fit_perturbation_baseline,
    perturbation_keys,
    perturbation_rows,
)

if TYPE_CHECKING:
    from typing import Self

    from anndata import AnnData

    from dtp_scvi.train import PerturbationKeys
    from dtp_scvi.train._perturbation_means import Predict


@docs.dedent
class PerturbationBaseline:
    """
    A simple predictor of treated profiles that any model has to beat.

    Parameters
    ----------
    name
        ``copy_control``: no change. ``cell_control_mean``: the mean of the cell line's controls.
        ``mean_delta``, ``cell_mean_delta``, ``drug_mean_delta``: mean change of all training rows, of
        the cell line, of the drug at the nearest dose. ``additive``: cell line plus drug, shrunk.
        ``ridge``: on components of the control, fingerprint × log10(dose + 1) and time.
        ``tanimoto_knn``: mean change of drugs with a similar structure. ``drug_free_mlp``: a network
        on components of the control. ``bilinear``: ten components of genes times ten of drugs. What
        is not known of a drug or cell line is replaced by the mean of all training rows.
    drug_key, cell_key
        Columns of ``adata.obs``; ``None`` takes those of :func:`dtp_scvi.pp.pair_controls`.
    dose_key, time_key
        Columns with doses (µM) and times (hours), as numbers above 0; ``None``: not used.
    %(seed)s

    Examples
    --------
    >>> import anndata as ad, numpy as np, pandas as pd
    >>> import dtp_scvi as dtp
    >>> drug = ["DMSO"] * 4 + ["a", "b"] * 4
    >>> obs = pd.DataFrame({"drug": drug, "split": ["control"] * 4 + ["train"] * 6 + ["test"] * 2})
    >>> obs.index = [f"well {i}" for i in range(12)]
    >>> wells = ad.AnnData(np.random.default_rng(0).normal(8, 1, (12, 3)).astype("f4"), obs)
    >>> dtp.pp.pair_controls(wells, drug_key="drug", control_label="DMSO")
    >>> baseline = dtp.model.PerturbationBaseline("drug_mean_delta").fit(wells)
    >>> baseline.predict(wells[-2:]).shape
    (2, 3)
    """

    def __init__(
        self,
        name: str,
        *,
        drug_key: str | None = None,
        cell_key: str | None = None,
        dose_key: str | None = None,
        time_key: str | None = None,
        seed: int = 0,
    ) -> None:
        check_one_of(name, PERTURBATION_BASELINES, "name")
        self.name = name
        self.seed = seed
        self.details: dict[str, Any] = {}
        self._given = {"drug": drug_key, "cell": cell_key, "dose": dose_key, "time": time_key}
        self._keys: PerturbationKeys | None = None
        self._predict: Predict | None = None

    def __repr__(self) -> str:
        """Name the baseline and whether it is fitted."""
        state = "not fitted" if self._predict is None else f"{self.details}"
        return f"PerturbationBaseline({self.name!r}, {state})"

    def fit(self, adata: AnnData, *, split_key: str = SPLIT_KEY) -> Self:
        """
        Fit on the rows of part ``train``; rows of part ``valid`` choose hyperparameters.

        Parameters
        ----------
        adata
            Data with paired controls, in memory or backed, and, for baselines of structures, with
            the fingerprints of :func:`dtp_scvi.pp.encode_drugs`.
        split_key
            Column of ``adata.obs`` with the part of each row.

        Returns
        -------
        The fitted baseline; ``details`` says what was chosen.

        Raises
        ------
        KeyError, ValueError
            No paired controls, no such column, no training rows, or no fingerprints.
        """
        keys = perturbation_keys(adata, **self._given)
        check_key(adata.obs, split_key, "adata.obs", "split_key")
        part = adata.obs[split_key].astype(str).to_numpy()
        treated = (adata.obs[CONTROL_ROLE_KEY] == "treated").to_numpy()
        parts = {name: np.flatnonzero(treated & (part == name)) for name in ("train", "valid")}
        if not len(parts["train"]):
            msg = problem(
                f'treated rows of part "train" in adata.obs[{split_key!r}]',
                f"parts {shorten(dict.fromkeys(part.tolist()))}",
                "Run dtp.pp.split_perturbation, or name another `split_key`.",
            )
            raise ValueError(msg)
        everyone = perturbation_rows(adata, keys, np.flatnonzero(treated), values=False)
        train, valid = (
            perturbation_rows(adata, keys, rows, values=True) for rows in parts.values()
        )
        self._predict, self.details = fit_perturbation_baseline(
            self.name, train, valid, everyone, seed=self.seed
        )
        self._keys = keys
        return self

    def predict(self, adata: AnnData, *, return_delta: bool = True) -> pd.DataFrame:
        """
        Predict the change of each row, or its profile.

        Parameters
        ----------
        adata
            Rows with paired controls; their matrix is not read.
        return_delta
            The change against the input control; otherwise control plus change.

        Returns
        -------
        Rows x genes, float32, indexed by row names.

        Raises
        ------
        RuntimeError
            Before :meth:`fit`.
        """
        if self._predict is None or self._keys is None:
            msg = problem("a fitted baseline", "one that is not", "Run .fit(adata) first.")
            raise RuntimeError(msg)
        rows = perturbation_rows(adata, self._keys, np.arange(adata.n_obs), values=False)
        change = self._predict(rows)
        out = change if return_delta else rows.control + change
        return pd.DataFrame(out, index=adata.obs_names.copy(), columns=adata.var_names.copy())
