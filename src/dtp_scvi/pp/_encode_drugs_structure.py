"""From SMILES to fingerprints, atoms and scaffolds, by RDKit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from dtp_scvi._constants import ACYCLIC
from dtp_scvi._optional import require

ELEMENTS: Final = ("C", "N", "O", "F", "P", "S", "Cl", "Br", "I", "B", "Si", "Se")
HYBRIDISATIONS: Final = ("SP", "SP2", "SP3", "SP3D", "SP3D2")
_DEGREES: Final = range(7)
_CHARGES: Final = range(-2, 3)
_HYDROGENS: Final = range(5)

ATOM_FEATURES: Final[tuple[str, ...]] = (
    *(f"element={symbol}" for symbol in (*ELEMENTS, "other")),
    *(f"degree={n}" for n in _DEGREES),
    *(f"charge={n}" for n in _CHARGES),
    *(f"hydrogens={n}" for n in _HYDROGENS),
    *(f"hybridisation={name}" for name in (*HYBRIDISATIONS, "other")),
    "aromatic",
    "in_ring",
    "chiral=R",
    "chiral=S",
)


@dataclass(frozen=True, slots=True)
class Structure:
    """A parsed molecule, its canonical SMILES and how many fragments it was written with."""

    mol: Any
    smiles: str
    n_fragments: int


def parse(smiles: str, *, largest_fragment: bool) -> Structure | None:
    """Return the structure, its atoms in the order of the canonical SMILES, or ``None``."""
    chem, base = require("rdkit.Chem", "chem"), require("rdkit.rdBase", "chem")
    # RDKit writes each failure to the screen.
    with base.BlockLogs():
        mol = chem.MolFromSmiles(smiles)
        if mol is None or mol.GetNumAtoms() == 0:
            return None
        n_fragments = len(chem.GetMolFrags(mol))
        if largest_fragment and n_fragments > 1:
            standardize = require("rdkit.Chem.MolStandardize.rdMolStandardize", "chem")
            mol = standardize.LargestFragmentChooser().choose(mol)
        canonical = chem.MolToSmiles(mol)
        return Structure(chem.MolFromSmiles(canonical), canonical, n_fragments)


def scaffold(mol: Any) -> str:
    """Return the SMILES of the Murcko scaffold, or ``"acyclic"`` where there is no ring."""
    murcko = require("rdkit.Chem.Scaffolds.MurckoScaffold", "chem")
    return str(murcko.MurckoScaffoldSmiles(mol=mol)) or ACYCLIC


def fingerprints(mols: list[Any], kind: str, n_bits: int) -> tuple[np.ndarray, np.ndarray]:
    """Return bits (uint8) and counts (uint16) of radius 2; rows of ``None`` are zero."""
    make = require("rdkit.Chem.rdFingerprintGenerator", "chem")
    invariants = {"atomInvariantsGenerator": make.GetMorganFeatureAtomInvGen()}
    generator = make.GetMorganGenerator(
        radius=2, fpSize=n_bits, **(invariants if kind == "fcfp4" else {})
    )
    counts = np.zeros((len(mols), n_bits), np.uint16)
    for row, mol in enumerate(mols):
        if mol is not None:
            counts[row] = generator.GetCountFingerprintAsNumPy(mol)
    return (counts > 0).astype(np.uint8), counts


def atoms(mols: list[Any], max_atoms: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Return features of atoms, padded, and their mask; atoms beyond ``max_atoms`` are left out."""
    sizes = [0 if mol is None else mol.GetNumAtoms() for mol in mols]
    width = max(1, *sizes) if max_atoms is None else max_atoms
    values = np.zeros((len(mols), width, len(ATOM_FEATURES)), np.uint8)
    mask = np.zeros((len(mols), width), bool)
    place = {name: i for i, name in enumerate(ATOM_FEATURES)}
    for row, mol in enumerate(mols):
        for i, atom in enumerate([] if mol is None else list(mol.GetAtoms())[:width]):
            values[row, i, [place[name] for name in _features(atom)]] = 1
            mask[row, i] = True
    return values, mask


def _features(atom: Any) -> list[str]:
    symbol, hybrid = atom.GetSymbol(), str(atom.GetHybridization())
    found = [
        f"element={symbol if symbol in ELEMENTS else 'other'}",
        f"degree={min(atom.GetDegree(), _DEGREES[-1])}",
        f"charge={int(np.clip(atom.GetFormalCharge(), _CHARGES[0], _CHARGES[-1]))}",
        f"hydrogens={min(atom.GetTotalNumHs(), _HYDROGENS[-1])}",
        f"hybridisation={hybrid if hybrid in HYBRIDISATIONS else 'other'}",
    ]
    found += ["aromatic"] * atom.GetIsAromatic() + ["in_ring"] * atom.IsInRing()
    if atom.HasProp("_CIPCode") and atom.GetProp("_CIPCode") in ("R", "S"):
        found.append(f"chiral={atom.GetProp('_CIPCode')}")
    return found
