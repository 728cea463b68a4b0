"""Turn SMILES into a table of drugs: fingerprints, atoms, scaffolds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
import scipy.sparse as sp

from dtp_scvi import __version__
from dtp_scvi._constants import (
    BY_DOSE_SUFFIX,
    CODE_SUFFIX,
    CONTROL_LABEL,
    DRUGS_KEY,
    LOG_DOSE_SUFFIX,
)
from dtp_scvi._logging import warn
from dtp_scvi._validate import check_key, check_one_of, check_positive_int, problem, shorten
from dtp_scvi.data import check_object, positive_numbers
from dtp_scvi.pp._encode_drugs_rows import drug_rows, pair_smiles
from dtp_scvi.pp._encode_drugs_structure import ATOM_FEATURES, atoms, fingerprints, scaffold

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData

    from dtp_scvi.pp._encode_drugs_structure import Structure


def encode_drugs(
    adata: AnnData,
    *,
    smiles_key: str,
    drug_key: str | None = None,
    dose_key: str | None = None,
    control: str | Sequence[str] = CONTROL_LABEL,
    fingerprint: Literal["fcfp4", "ecfp4"] = "fcfp4",
    n_bits: int = 1024,
    max_atoms: int | None = None,
    salts: Literal["keep", "largest"] = "keep",
    invalid: Literal["error", "missing", "drop"] = "error",
    times_log_dose: bool = False,
    key_added: str = DRUGS_KEY,
) -> None:
    """
    Encode each drug once: fingerprint bits and counts, atoms with a mask, scaffold.

    The result is a table of drugs, not of rows: rows point to it by name. Needs RDKit (extra
    ``chem``).

    Parameters
    ----------
    adata
        Treated and control samples in rows.
    smiles_key
        Column of ``adata.obs`` with the structure of the drug of each row; that of control rows
        is not looked at.
    drug_key
        Column with the name of the drug; ``None`` takes ``"drug"`` where there is such a column,
        and the SMILES themselves as names otherwise.
    dose_key
        Column with the dose in µM; controls may have 0 or none.
    control
        Name, or names, of the vehicle in the column of drugs. It is no drug of the table.
    fingerprint
        ``"fcfp4"``, Morgan of radius 2 on functional classes of atoms (donor, acceptor,
        aromatic, ...), or ``"ecfp4"``, on the atoms themselves.
    n_bits
        Length of the folded fingerprint.
    max_atoms
        Width of the table of atoms; by default that of the largest molecule. Longer ones are
        cut, with a warning.
    salts
        ``"keep"`` encodes all fragments of a SMILES, ``"largest"`` the largest one only.
    invalid
        What becomes of a drug without SMILES, or with one that RDKit can't read: ``"error"``
        lists them all, ``"missing"`` keeps the drug with an empty mask and fingerprint,
        ``"drop"`` leaves it out of the table (the code of its rows is -1).
    times_log_dose
        Also write bits x log10(dose + 1) for each row, as PRnet and PertDiT use them: a dose of 0
        erases the drug there, and a tenth of the dose is a scaled copy.
    key_added
        Key of ``adata.uns`` and prefix of the columns.

    Returns
    -------
    ``None``. Written are ``adata.uns[key_added]`` with ``"table"`` (indexed by drug: ``smiles``
    canonical, ``scaffold``, ``n_atoms``, ``n_fragments``, ``status``), ``"bits"`` (uint8) and
    ``"counts"`` (uint16), drugs x bits; ``"atoms"`` (uint8), drugs x atoms x features,
    ``"atom_mask"`` and ``"atom_features"``; ``"params"``. Further ``adata.obs[key_added + "_code"]``,
    the row of the table, -1 for controls; with doses ``adata.obs[key_added + "_log_dose"]``,
    log10(dose + 1), 0 for controls; and ``adata.obsm[key_added + "_by_dose"]``, sparse, if asked.
    :func:`dtp_scvi.data.get_drug_table` reads it back.

    Raises
    ------
    TypeError, KeyError, ValueError, ImportError
        Not an AnnData, or a view; no such column; drugs without a name; one drug with several
        structures; SMILES that can't be read; doses that are text, missing or not above 0; no RDKit.

    Notes
    -----
    Atom ``i`` of a drug is atom ``i`` of ``rdkit.Chem.MolFromSmiles`` of the canonical SMILES.
    Names that share a structure are told of in a warning: a split by names would put one compound
    on both sides; :func:`dtp_scvi.pp.split_perturbation` keeps them together.

    References
    ----------
    Rogers and Hahn, J. Chem. Inf. Model. 2010 (circular fingerprints); Bemis and Murcko, J. Med.
    Chem. 1996 (scaffolds).

    Examples
    --------
    >>> import dtp_scvi as dtp
    >>> adata = dtp.datasets.simulate_perturbation(2, n_drugs=5, n_genes=20)
    >>> dtp.pp.encode_drugs(adata, smiles_key="smiles", dose_key="dose")
    >>> drugs = adata.uns["drugs"]
    >>> drugs["bits"].shape, drugs["table"]["status"].unique().tolist()
    ((5, 1024), ['ok'])
    """
    check_object(adata)
    check_one_of(fingerprint, ("fcfp4", "ecfp4"), "fingerprint")
    check_one_of(salts, ("keep", "largest"), "salts")
    check_one_of(invalid, ("error", "missing", "drop"), "invalid")
    check_positive_int(n_bits, "n_bits")
    if max_atoms is not None:
        check_positive_int(max_atoms, "max_atoms")
    if times_log_dose and dose_key is None:
        msg = problem("`dose_key` with times_log_dose=True", "None", "Name the column of doses.")
        raise ValueError(msg)
    check_key(adata.obs, smiles_key, "adata.obs", "smiles_key")
    rows, names_key = drug_rows(adata, drug_key, smiles_key, control)
    dose = _doses(adata, dose_key, (rows == "").to_numpy())
    smiles = adata.obs[smiles_key]
    drugs = pair_smiles(rows, smiles, largest_fragment=salts == "largest", invalid=invalid)
    _remark(drugs, max_atoms, salts)
    mols = [None if found is None else found.mol for found in drugs.structures]
    bits, counts = fingerprints(mols, fingerprint, n_bits)
    features, mask = atoms(mols, max_atoms)
    adata.uns[key_added] = {
        "table": _table(drugs.names, drugs.structures, drugs.status),
        "bits": bits,
        "counts": counts,
        "atoms": features,
        "atom_mask": mask,
        "atom_features": np.array(ATOM_FEATURES, dtype=object),
        "params": {
            "smiles_key": smiles_key,
            "drug_key": names_key,
            "control": np.array([control] if isinstance(control, str) else control, dtype=object),
            "fingerprint": fingerprint,
            "radius": 2,
            "n_bits": n_bits,
            "salts": salts,
            "invalid": invalid,
            "version": __version__,
            **({"dose_key": dose_key} if dose_key else {}),
        },
    }
    code = pd.Index(drugs.names).get_indexer(pd.Index(rows)).astype(np.int32)
    adata.obs[key_added + CODE_SUFFIX] = code
    _write_doses(adata, key_added, dose, code, bits, by_row=times_log_dose)


def _doses(adata: AnnData, dose_key: str | None, is_control: np.ndarray) -> np.ndarray | None:
    if dose_key is None:
        return None
    check_key(adata.obs, dose_key, "adata.obs", "dose_key")
    dose = positive_numbers(adata.obs[dose_key], is_control, name=dose_key)
    # Some tables give controls the dose of the vehicle.
    return np.where(is_control, 0.0, dose)


def _write_doses(
    adata: AnnData,
    key_added: str,
    dose: np.ndarray | None,
    code: np.ndarray,
    bits: np.ndarray,
    *,
    by_row: bool,
) -> None:
    if dose is None:
        return
    log_dose = np.log10(dose + 1)
    adata.obs[key_added + LOG_DOSE_SUFFIX] = log_dose
    if by_row:
        padded = sp.vstack(
            [sp.csr_matrix(bits, dtype=np.float32), sp.csr_matrix((1, bits.shape[1]))]
        )
        scaled = sp.diags(log_dose.astype(np.float32)) @ padded.tocsr()[code]
        adata.obsm[key_added + BY_DOSE_SUFFIX] = sp.csr_matrix(scaled, dtype=np.float32)


def _table(
    names: list[str], structures: list[Structure | None], status: list[str]
) -> pd.DataFrame:
    columns: dict[str, Any] = {
        "smiles": ["" if s is None else s.smiles for s in structures],
        "scaffold": ["" if s is None else scaffold(s.mol) for s in structures],
        "n_atoms": [0 if s is None else s.mol.GetNumAtoms() for s in structures],
        "n_fragments": [0 if s is None else s.n_fragments for s in structures],
        "status": status,
    }
    return pd.DataFrame(columns, index=pd.Index(names, dtype=object))


def _remark(drugs: Any, max_atoms: int | None, salts: str) -> None:
    """Warn of mixtures, of molecules that are cut, and of one structure under several names."""
    found = [(n, s) for n, s in zip(drugs.names, drugs.structures, strict=True) if s is not None]
    mixed = [name for name, s in found if s.n_fragments > 1]
    if mixed and salts == "keep":
        warn(
            f"{len(mixed):,} of {len(drugs.names):,} drugs are salts or mixtures "
            f'({shorten(mixed)}); all fragments are encoded. salts="largest" takes the largest.'
        )
    if max_atoms is not None:
        cut = [name for name, s in found if s.mol.GetNumAtoms() > max_atoms]
        if cut:
            warn(f"Atoms beyond {max_atoms} were left out of {len(cut):,} drugs ({shorten(cut)}).")
    by_smiles = pd.Series([name for name, _ in found], dtype=object).groupby(
        [s.smiles for _, s in found]
    )
    shared = [" = ".join(group) for _, group in by_smiles if len(group) > 1]
    if shared:
        warn(f"Several names have one structure: {shorten(shared)}.")
