"""From AnnData to arrays: gene names, expression scale, row blocks, splits, gene programs."""

from dtp_scvi.data._align import align_genes, gene_names
from dtp_scvi.data._alignment import GeneAlignment
from dtp_scvi.data._blocks import N_READERS, Block, iter_blocks
from dtp_scvi.data._check_matrix import check_matrix
from dtp_scvi.data._check_object import check_object
from dtp_scvi.data._disjoint import SharedRows, check_disjoint
from dtp_scvi.data._draw import draw_rows
from dtp_scvi.data._drug_table import DrugTable, get_drug_table
from dtp_scvi.data._embedding import (
    Embedding,
    check_same_options,
    embedding_matrix,
    embedding_record,
)
from dtp_scvi.data._get_matrix import get_matrix
from dtp_scvi.data._gmt import read_gmt
from dtp_scvi.data._headers import GENE_HEADERS, are_headers, header_word
from dtp_scvi.data._holdout import holdout_groups
from dtp_scvi.data._lists import nuisance_genes
from dtp_scvi.data._log_values import check_log_values
from dtp_scvi.data._network import as_network, read_network
from dtp_scvi.data._network_damaged import damaged_symbols
from dtp_scvi.data._network_match import NetworkMatch, match_network
from dtp_scvi.data._parts import check_parts, split_rows
from dtp_scvi.data._positive_numbers import positive_numbers
from dtp_scvi.data._programs import coexpression_programs
from dtp_scvi.data._row_hashes import canonical, canonical_hashes, row_hashes
from dtp_scvi.data._rows_as_array import rows_as_array
from dtp_scvi.data._scale import ScaleReport, detect_scale, resolve_scale
from dtp_scvi.data._scale_kinds import (
    LINEARISE,
    SIGNED,
    Scale,
    linearise,
    linearise_block,
    scale_kind,
)
from dtp_scvi.data._splits import feasible_folds, group_folds, leave_one_group_out
from dtp_scvi.data._symbols import SymbolResolver

__all__ = [
    "GENE_HEADERS",
    "LINEARISE",
    "N_READERS",
    "SIGNED",
    "Block",
    "DrugTable",
    "Embedding",
    "GeneAlignment",
    "NetworkMatch",
    "Scale",
    "ScaleReport",
    "SharedRows",
    "SymbolResolver",
    "align_genes",
    "are_headers",
    "as_network",
    "canonical",
    "canonical_hashes",
    "check_disjoint",
    "check_log_values",
    "check_matrix",
    "check_object",
    "check_parts",
    "check_same_options",
    "coexpression_programs",
    "damaged_symbols",
    "detect_scale",
    "draw_rows",
    "embedding_matrix",
    "embedding_record",
    "feasible_folds",
    "gene_names",
    "get_drug_table",
    "get_matrix",
    "group_folds",
    "header_word",
    "holdout_groups",
    "iter_blocks",
    "leave_one_group_out",
    "linearise",
    "linearise_block",
    "match_network",
    "nuisance_genes",
    "positive_numbers",
    "read_gmt",
    "read_network",
    "resolve_scale",
    "row_hashes",
    "rows_as_array",
    "scale_kind",
    "split_rows",
]
