"""Look at data before modelling, and put it into shape: genes, scale, leaks, compositions, batches."""

from dtp_scvi.pp._add_drug_embedding import add_drug_embedding
from dtp_scvi.pp._align_genes import align_genes
from dtp_scvi.pp._audit import audit
from dtp_scvi.pp._audit_table import confounded
from dtp_scvi.pp._check_scale import check_scale
from dtp_scvi.pp._close_composition import close_composition
from dtp_scvi.pp._combat import Combat
from dtp_scvi.pp._embed_drug_text import embed_drug_text
from dtp_scvi.pp._encode_drugs import encode_drugs
from dtp_scvi.pp._pair_controls import pair_controls
from dtp_scvi.pp._pseudobulk import pseudobulk
from dtp_scvi.pp._rank_tokens import rank_tokens
from dtp_scvi.pp._record_embedding import record_embedding
from dtp_scvi.pp._response_labels import response_labels
from dtp_scvi.pp._scale_by import scale_by
from dtp_scvi.pp._split_perturbation import split_perturbation
from dtp_scvi.pp._to_gene_list import to_gene_list

__all__ = [
    "Combat",
    "add_drug_embedding",
    "align_genes",
    "audit",
    "check_scale",
    "close_composition",
    "confounded",
    "embed_drug_text",
    "encode_drugs",
    "pair_controls",
    "pseudobulk",
    "rank_tokens",
    "record_embedding",
    "response_labels",
    "scale_by",
    "split_perturbation",
    "to_gene_list",
]
