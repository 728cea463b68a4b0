"""Simulated data with a planted truth, and readers of public cohorts and target evidence."""

from dtp_scvi.datasets._hpa_flags import hpa_flags
from dtp_scvi.datasets._read_amu import read_amu
from dtp_scvi.datasets._read_beataml import read_beataml
from dtp_scvi.datasets._read_bulk import read_bulk
from dtp_scvi.datasets._read_clinical import read_clinical
from dtp_scvi.datasets._read_depmap import read_depmap_effect, read_depmap_models
from dtp_scvi.datasets._read_depmap_summary import read_depmap_summary, read_gene_list
from dtp_scvi.datasets._read_gdsc import read_gdsc
from dtp_scvi.datasets._read_gtex import read_gtex
from dtp_scvi.datasets._read_hpa import read_hpa
from dtp_scvi.datasets._read_hpa_tables import (
    read_hpa_consensus,
    read_hpa_normal_tissue,
    read_hpa_subcellular,
)
from dtp_scvi.datasets._read_l1000 import read_l1000
from dtp_scvi.datasets._read_prnet import read_prnet
from dtp_scvi.datasets._read_sciplex import read_sciplex
from dtp_scvi.datasets._read_surfaceome import read_surfaceome
from dtp_scvi.datasets._read_tcga_laml import read_tcga_laml
from dtp_scvi.datasets._read_transigen import read_transigen
from dtp_scvi.datasets._simulate_cells import simulate_cells
from dtp_scvi.datasets._simulate_cohort import simulate_cohort
from dtp_scvi.datasets._simulate_dependencies import simulate_dependencies
from dtp_scvi.datasets._simulate_drug_transfer import simulate_drug_transfer
from dtp_scvi.datasets._simulate_ici import simulate_ici
from dtp_scvi.datasets._simulate_perturbation import simulate_perturbation

__all__ = [
    "hpa_flags",
    "read_amu",
    "read_beataml",
    "read_bulk",
    "read_clinical",
    "read_depmap_effect",
    "read_depmap_models",
    "read_depmap_summary",
    "read_gdsc",
    "read_gene_list",
    "read_gtex",
    "read_hpa",
    "read_hpa_consensus",
    "read_hpa_normal_tissue",
    "read_hpa_subcellular",
    "read_l1000",
    "read_prnet",
    "read_sciplex",
    "read_surfaceome",
    "read_tcga_laml",
    "read_transigen",
    "simulate_cells",
    "simulate_cohort",
    "simulate_dependencies",
    "simulate_drug_transfer",
    "simulate_ici",
    "simulate_perturbation",
]
