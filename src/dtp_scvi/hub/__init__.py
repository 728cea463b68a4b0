"""Models that ship inside the package, with what each one was worth on patients of others."""

from dtp_scvi.hub._available import available
from dtp_scvi.hub._load import load

__all__ = ["available", "load"]
