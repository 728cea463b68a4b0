"""A network that sees the control and nothing of the drug."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.neural_network import MLPRegressor

from dtp_scvi.train._perturbation_linear import ControlAxes, valid_error

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dtp_scvi.train._perturbation_means import Predict
    from dtp_scvi.train._perturbation_rows import PerturbationRows

_HIDDEN = (64,)
_MAX_EPOCHS = 40
_EPOCHS_UNSEEN = 10
_PATIENCE = 5


def fit_drug_free_mlp(
    train: PerturbationRows, valid: PerturbationRows, seed: int
) -> tuple[Predict, dict[str, Any]]:
    """Fit the change on the components of the control; validation rows choose the epoch."""
    axes = ControlAxes(train, seed)
    x, y = axes(train), train.target().astype(np.float64)
    mean, unit = y.mean(axis=0), float(y.std()) or 1.0
    network = MLPRegressor(
        hidden_layer_sizes=_HIDDEN,
        alpha=1e-3,
        learning_rate_init=3e-3,
        batch_size=min(64, len(x)),
        random_state=seed,
    )

    def predictor(fitted: MLPRegressor) -> Predict:
        def predict(rows: PerturbationRows) -> NDArray[np.float32]:
            out = fitted.predict(axes(rows)).reshape(len(rows), -1)
            return (mean + unit * out).astype(np.float32)

        return predict

    best, epoch, error = None, 0, np.inf
    for done in range(1, (_MAX_EPOCHS if len(valid) else _EPOCHS_UNSEEN) + 1):
        network.partial_fit(
            x, (y - mean) / unit if y.shape[1] > 1 else ((y - mean) / unit).ravel()
        )
        now = valid_error(predictor(network), valid) if len(valid) else -float(done)
        if now < error:
            best, epoch, error = copy.deepcopy(network), done, now
        elif done - epoch >= _PATIENCE:
            break
    on = "valid" if len(valid) else "none: no validation rows"
    return predictor(best), {"n_epochs": epoch, "chosen_on": on}
