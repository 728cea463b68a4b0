"""Simulated data with a planted truth."""

from dtp_scvi.datasets._simulate_cells import simulate_cells
from dtp_scvi.datasets._simulate_cohort import simulate_cohort

__all__ = ["simulate_cells", "simulate_cohort"]
