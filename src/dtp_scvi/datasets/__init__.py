"""Simulated data with a planted truth, and readers of public cohorts."""

from dtp_scvi.datasets._read_beataml import read_beataml
from dtp_scvi.datasets._read_bulk import read_bulk
from dtp_scvi.datasets._read_clinical import read_clinical
from dtp_scvi.datasets._read_tcga_laml import read_tcga_laml
from dtp_scvi.datasets._simulate_cells import simulate_cells
from dtp_scvi.datasets._simulate_cohort import simulate_cohort

__all__ = [
    "read_beataml",
    "read_bulk",
    "read_clinical",
    "read_tcga_laml",
    "simulate_cells",
    "simulate_cohort",
]
