"""Look at data before modelling: gene names, expression scale, what gives a label away; cells to samples."""

from dtp_scvi.pp._align_genes import align_genes
from dtp_scvi.pp._audit import audit
from dtp_scvi.pp._audit_table import confounded
from dtp_scvi.pp._check_scale import check_scale
from dtp_scvi.pp._pseudobulk import pseudobulk

__all__ = ["align_genes", "audit", "check_scale", "confounded", "pseudobulk"]
