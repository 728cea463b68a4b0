"""Made-up tables in the layouts that the BeatAML release has; no row of it is here."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

SAMPLES = ["BA9001R", "BA9002R", "BA9003R", "BA9004R", "BA9005R", "BA9006R"]


@pytest.fixture
def expression() -> pd.DataFrame:
    """Normalised expression as released: four columns on genes, then RNA samples."""
    values = np.random.default_rng(0).normal(3, 3, (5, len(SAMPLES))).round(3)
    table = pd.DataFrame(values, columns=SAMPLES)
    table.insert(0, "stable_id", [f"ENSG0000000000{i}" for i in range(1, 6)])
    table.insert(1, "display_label", ["FLT3", "CD34", "KIT", "RN7SL1", "RN7SL1"])
    table.insert(2, "description", ["a kinase", None, "a receptor", "RNA", "RNA"])
    table.insert(3, "biotype", ["protein_coding"] * 3 + ["misc_RNA"] * 2)
    return table


@pytest.fixture
def clinical() -> pd.DataFrame:
    """One specimen a row; 3 is without RNA, patient 502 has two samples, 9006 is not there."""
    return pd.DataFrame(
        {
            "dbgap_subject_id": [501, 502, 502, 503, 504, 505],
            "dbgap_dnaseq_sample": ["BA9001D", "BA9002D", "BA9003D", "BA9007D", "BA9004D", None],
            "dbgap_rnaseq_sample": ["BA9001R", "BA9002R", "BA9003R", None, "BA9004R", "BA9099R"],
            "cohort": ["Waves1+2", "Both", "Both", "Waves3+4", "Waves3+4", "Waves1+2"],
            "consensus_sex": ["Female", "Male", "Male", "Female", "Male", "Female"],
            "ageAtDiagnosis": [61.0, 45.0, 45.0, 70.0, np.nan, 33.0],
            "timeOfSampleCollectionRelativeToInclusion": [0, 250, 0, 0, 0, 0],
            "diseaseStageAtSpecimenCollection": [
                "Initial Diagnosis", "Relapse", "Initial Diagnosis", None, "Unknown", "Residual",
            ],
            "specimenType": [
                "Bone Marrow Aspirate", "Peripheral Blood", "Leukapheresis",
                "Bone Marrow Aspirate", "Bone Marrow Aspirate", "Peripheral Blood",
            ],
            "ELN2017": ["Adverse", "Favorable", "Favorable", "Adverse", "NonAML", "Adverse"],
            "vitalStatus": ["Dead", "Alive", "Alive", "Dead", "Unknown", "Dead"],
            "overallSurvival": [300, 800, 800, 12, 0, -1],
            "%.Blasts.in.BM": ["85", "70", "60", "5", ">90", "1"],
            "%.Blasts.in.PB": ["30", "rare", "55", "5", None, "1"],
            "FLT3-ITD": ["positive", "negative", "negative", "positive", None, "negative"],
            "NPM1": ["negative"] * 6,
        }
    )  # fmt: skip


@pytest.fixture
def sample_map() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "dbgap_subject_id": [501, 502, 502, 504, 506, 600],
            "dbgap_dnaseq_sample": ["BA9001D", "BA9002D", "BA9003D", "BA9004D", None, None],
            "dbgap_rnaseq_sample": [*SAMPLES[:4], "BA9005R", "BA9006R"],
            "rna_control": ["No"] * 5 + ["Healthy Individual BM MNC"],
        }
    )


@pytest.fixture
def curve_fits() -> pd.DataFrame:
    """Fits as released, one a row."""
    rows = [
        # subject, dna, rna, drug, auc, type, paper, converged
        (501, "BA9001D", "BA9001R", "Venetoclax", 100.0, "single-agent", True, True),
        (501, "BA9001D", "BA9001R", "Venetoclax", 120.0, "single-agent", True, True),
        (501, "BA9001D", "BA9001R", "MEK1/2 Inhibitor", 200.0, "single-agent", True, True),
        (502, "BA9002D", None, "Venetoclax", 50.0, "single-agent", True, True),
        (502, "BA9003D", "BA9003R", "Venetoclax", 250.0, "single-agent", True, True),
        (502, "BA9003D", "BA9003R", "Foretinib", 10.0, "single-agent", True, False),
        (503, "BA9007D", None, "Venetoclax", 77.0, "single-agent", True, True),
        (504, "BA9004D", "BA9004R", "Venetoclax", 60.0, "single-agent", False, True),
        (501, "BA9001D", "BA9001R", "Venetoclax - Sorafenib", 9.0, "combination", True, True),
        (505, None, "BA9099R", "Ibrutinib", 90.0, "single-agent", True, True),
        (505, None, "BA9099R", "Venetoclax", None, "single-agent", True, True),
    ]
    names = ["dbgap_subject_id", "dbgap_dnaseq_sample", "dbgap_rnaseq_sample", "inhibitor"]
    return pd.DataFrame(rows, columns=[*names, "auc", "type", "paper_inclusion", "converged"])


@pytest.fixture
def wide_auc() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "dbgap_subject_id": [502, 501, 777],
            "Venetoclax": [150.0, np.nan, 40.0],
            "Cytarabine": [np.nan, 210.5, 11.0],
            "Trametinib": [np.nan, np.nan, 4.0],
        }
    )
