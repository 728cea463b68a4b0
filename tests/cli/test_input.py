from __future__ import annotations

import h5py
import numpy as np
import pytest
from anndata import AnnData
from mudata import MuData

from dtp_scvi.cli import _input


def test_cells_in_memory_and_on_disk_are_the_same(room):
    memory, disk = _input.read_cells(room / "new.h5ad"), _input.open_cells(room / "new.h5ad")
    assert (memory.isbacked, disk.isbacked) == (False, True)
    assert np.array_equal(memory.X.toarray(), disk.X[:].toarray())
    disk.file.close()


@pytest.mark.parametrize("read", [_input.read_cells, _input.open_cells])
@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("nwe.h5ad", FileNotFoundError, r"no such file\. Did you mean new\.h5ad"),
        ("no_folder/new.h5ad", FileNotFoundError, r"There is no such folder"),
        ("student", IsADirectoryError, r"found a folder"),
        ("text.h5ad", ValueError, r"found 8 bytes that are not HDF5"),
        ("empty.h5ad", ValueError, r"found an empty file"),
    ],
)
def test_what_is_no_h5ad_is_named(room, read, name, error, message):
    with pytest.raises(error, match=message):
        read(room / name)


def test_foreign_hdf5_is_named(tmp_path):
    with h5py.File(tmp_path / "x.h5ad", "w") as file:
        file["weights"] = 1
    with pytest.raises(ValueError, match=r"`obs` and `var` in x\.h5ad; found weights"):
        _input.read_cells(tmp_path / "x.h5ad")


def test_a_damaged_part_is_named(room, tmp_path):
    damaged = tmp_path / "x.h5ad"
    damaged.write_bytes((room / "new.h5ad").read_bytes())
    with h5py.File(damaged, "a") as file:
        del file["X/indptr"]
    with pytest.raises(ValueError, match=r"Expected x\.h5ad to be an AnnData file"):
        _input.read_cells(damaged)


def test_a_file_without_x_can_be_opened(tmp_path):
    AnnData(None, layers={"counts": np.ones((2, 3), np.float32)}).write_h5ad(tmp_path / "x.h5ad")
    assert _input.open_cells(tmp_path / "x.h5ad").X is None


def modalities(*names: str) -> MuData:
    return MuData(
        {
            name: AnnData(np.ones((3, 2), np.float32), var={"name": [f"{name}1", f"{name}2"]})
            for name in names
        }
    )


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_modality_needs_no_name_where_it_is_alone():
    assert _input.check_modality(modalities("rna"), None) == "rna"
    assert _input.check_modality(modalities("rna", "adt"), "adt") == "adt"
    with pytest.raises(KeyError, match=r"found None\. Available: rna, adt"):
        _input.check_modality(modalities("rna", "adt"), None)
    with pytest.raises(KeyError, match=r"found 'rn'\. Did you mean rna"):
        _input.check_modality(modalities("rna", "adt"), "rn")


def test_a_modality_of_a_file_without_any_is_an_error(room):
    _input.check_no_modality(room / "new.h5ad", None)
    with pytest.raises(ValueError, match=r"\.h5mu file only; found new\.h5ad"):
        _input.check_no_modality(room / "new.h5ad", "rna")
