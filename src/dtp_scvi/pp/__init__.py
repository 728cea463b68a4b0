"""Look at data before modelling: gene names and expression scale."""

from dtp_scvi.pp._align_genes import align_genes
from dtp_scvi.pp._check_scale import check_scale

__all__ = ["align_genes", "check_scale"]
