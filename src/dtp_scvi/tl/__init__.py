"""One verb a file; results are written under ``key_added``."""

from dtp_scvi.tl._cross_validate import cross_validate
from dtp_scvi.tl._score import score

__all__ = ["cross_validate", "score"]
