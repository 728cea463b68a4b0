"""A progress bar over the cells of a fit."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import Callback

from dtp_scvi._logging import progress


class CellProgress(Callback):
    """Count training cells, so that the bar shows cells/s."""

    def __init__(self, n_cells: int, max_epochs: int, description: str, *, verbose: bool) -> None:
        self.bar = progress(n_cells * max_epochs, description, verbose=verbose)

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Advance by the rows of the batch."""
        self.bar.update(len(next(batch[name] for name in ("X", "x", "labels") if name in batch)))

    def on_fit_end(self, trainer: Any, pl_module: Any) -> None:
        """Close the bar."""
        self.bar.close()

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Close the bar."""
        self.bar.close()
