"""Read parts of a matrix in the GCTx format of the Connectivity Map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import h5py
import numpy as np
import pandas as pd

from dtp_scvi._validate import problem, shorten

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

_MATRIX: Final = "0/DATA/0/matrix"
_SAMPLES: Final = "0/META/COL"
_GENES: Final = "0/META/ROW"
# Values that are read at once: 64 MiB of float32.
_BLOCK: Final = 2**24


class Gctx:
    """An open file: ``samples``, ``genes``, what it says of both, and the matrix in pieces."""

    def __init__(self, path: Path) -> None:
        try:
            self._file = h5py.File(path, "r")
        except OSError as error:
            msg = problem(f"{path.name} to be a .gctx file (HDF5)", str(error), "Check the file.")
            raise ValueError(msg) from error
        try:
            self._open(path)
        except BaseException:
            self._file.close()
            raise

    def _open(self, path: Path) -> None:
        lacking = [
            name for name in (_MATRIX, f"{_SAMPLES}/id", f"{_GENES}/id") if name not in self._file
        ]
        if lacking:
            msg = problem(
                f"the layout of GCTx in {path.name}", f"no {', '.join(lacking)}", "Check the file."
            )
            raise ValueError(msg)
        self.columns, self.rows = _metadata(self._file[_SAMPLES]), _metadata(self._file[_GENES])
        self.samples, self.genes = self.columns.index, self.rows.index
        # On disk the matrix is the transposed one: a well a row.
        self._matrix = self._file[_MATRIX]
        if self._matrix.shape != (len(self.samples), len(self.genes)):
            msg = problem(
                f"a matrix of {len(self.samples):,} samples x {len(self.genes):,} genes",
                f"shape {self._matrix.shape}",
                "The file is damaged.",
            )
            raise ValueError(msg)

    def __enter__(self) -> Gctx:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def read(self, samples: np.ndarray, genes: np.ndarray) -> np.ndarray:
        """Return these samples and genes, by position and in this order, as float32."""
        out = np.empty((len(samples), len(genes)), np.float32)
        left, right = int(genes.min()), int(genes.max()) + 1
        order = np.argsort(samples, kind="stable")
        step = max(1, _BLOCK // (right - left))
        start = 0
        while start < len(order):
            first = int(samples[order[start]])
            stop = int(np.searchsorted(samples[order], first + step))
            rows = samples[order[start:stop]]
            # Whole blocks: picking rows one by one is slow in HDF5.
            block = self._matrix[first : int(rows[-1]) + 1, left:right]
            out[order[start:stop]] = block[rows - first][:, genes - left]
            start = stop
        return out


def _metadata(group: Any) -> pd.DataFrame:
    names = _decoded(group["id"])
    frame = pd.DataFrame(
        {name: _decoded(group[name]) for name in group if name != "id"},
        index=pd.Index([str(name) for name in names]),
    )
    if frame.index.has_duplicates:
        msg = problem(
            "different ids in the file",
            f"{shorten(frame.index[frame.index.duplicated()].unique())} several times",
            "The file is damaged.",
        )
        raise ValueError(msg)
    return frame


def _decoded(data: Any) -> np.ndarray:
    values = np.asarray(data)
    if values.dtype.kind in "SO":
        text = [v.decode() if isinstance(v, bytes) else str(v) for v in values.tolist()]
        return np.array(text, dtype=object)
    return values
