"""What the fits of networks share: a stand-in for their model, and how they are run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn


class NetworkHolder:
    """What scvi-tools' runner needs of a model, so that a failed fit leaves the user's alone."""

    def __init__(self, module: nn.Module) -> None:
        self.module, self.is_trained_ = module, False
        self.trainer: Any = None
        self.history_: Any = None

    def to_device(self, device: Any) -> None:
        """Move the network."""
        self.module.to(device)


def how_to_run(options: object) -> dict[str, Any]:
    """Pick the arguments of :func:`dtp_scvi.train.run_plan` from the options of a fit."""
    names = ("max_epochs", "accelerator", "devices", "verbose")
    return {name: getattr(options, name) for name in names}
