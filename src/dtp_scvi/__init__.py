"""Read drug response out of transcriptomes, and say when not to believe the answer.

Nothing heavy is loaded here: a name below brings its module in when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

__version__ = "0.1.0"

if TYPE_CHECKING:
    from dtp_scvi import data, datasets, hub, model, pl, pp, stats, tl
    from dtp_scvi.model import DTPStudent, DTPTransformer

__getattr__, _, _ = lazy_loader.attach(
    __name__,
    submodules=["data", "datasets", "hub", "model", "pl", "pp", "stats", "tl"],
    submod_attrs={"model": ["DTPStudent", "DTPTransformer"]},
)

__all__ = [
    "DTPStudent",
    "DTPTransformer",
    "__version__",
    "data",
    "datasets",
    "hub",
    "model",
    "pl",
    "pp",
    "stats",
    "tl",
]


def __dir__() -> list[str]:
    return list(__all__)
