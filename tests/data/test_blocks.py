from __future__ import annotations

import threading
from concurrent.futures.thread import BrokenThreadPool

import anndata as ad
import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from dtp_scvi.data import N_READERS, SymbolResolver, align_genes, iter_blocks
from dtp_scvi.data import _columns as columns_module

RESOLVER = SymbolResolver([("NEW", ("OLD",), (), "")])


def matrix(n=300, g=40, seed=0, dtype=np.float32):
    rng = np.random.default_rng(seed)
    values = rng.poisson(0.7, (n, g)) * rng.random((n, g))
    values[[3, n - 1]] = 0  # rows without any value
    return values.astype(dtype)


def alignment(g=40, n_targets=12, seed=0):
    names = [f"G{i}" for i in range(g)]
    targets = [f"G{i}" for i in np.random.default_rng(seed).permutation(g)[:n_targets]]
    return align_genes(names, [*targets, "absent"], resolver=RESOLVER)


def collect(blocks):
    blocks = list(blocks)
    return (
        np.vstack([b.matrix.toarray() for b in blocks]),
        np.concatenate([b.total for b in blocks]),
        [b.rows for b in blocks],
    )


@pytest.fixture
def stored(tmp_path):
    """Write a matrix and open it backed."""

    def write(values, **kwargs):
        path = tmp_path / f"x{len(list(tmp_path.iterdir()))}.h5ad"
        ad.AnnData(values).write_h5ad(path, **kwargs)
        return ad.read_h5ad(path, backed="r").X

    return write


def forms(values, stored):
    yield from (np.asfortranarray(values), sp.csr_matrix(values), sp.csc_matrix(values))
    yield from (sp.csr_array(values), sp.csc_array(values), sp.coo_matrix(values))
    yield from (stored(values), stored(sp.csr_matrix(values)), stored(sp.csc_matrix(values)))
    yield stored(sp.csr_matrix(values), compression="gzip")


@pytest.mark.parametrize("scale", ["counts", "log1p_cp10k", "log2_tpm"])
def test_same_bits_from_every_storage(stored, scale):
    values, align = matrix(), alignment()
    expected, total, _ = collect(iter_blocks(values, align, scale=scale))
    for form in forms(values, stored):
        found, found_total, rows = collect(iter_blocks(form, align, scale=scale, max_bytes=1))
        assert np.array_equal(found, expected), type(form)
        assert np.array_equal(found_total, total), type(form)
        assert [r.start for r in rows] == list(range(0, 300, 64))


def test_log2_without_a_pseudocount_is_read_as_linear(stored):
    logs, align = np.log2(matrix() + 0.25), alignment()
    logs[:, :3] = 0.0  # the logarithm of one, which sparse storage leaves out
    expected = np.zeros((300, 13), np.float32)
    expected[:, align.target] = np.exp2(logs.astype(np.float64))[:, align.source]
    whole, all_totals, _ = collect(iter_blocks(logs, align, scale="log2", check="adata.X"))
    assert whole == pytest.approx(expected, rel=1e-6)
    assert all_totals == pytest.approx(np.exp2(logs.astype(np.float64)).sum(axis=1), rel=1e-12)
    for form in forms(logs, stored):
        found, total, _ = collect(iter_blocks(form, align, scale="log2", max_bytes=1))
        assert np.array_equal(found, whole), type(form)
        assert np.array_equal(total, all_totals), type(form)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_log2_refuses_what_is_not_finite(bad):
    logs = np.array([[1.0, bad], [-2.0, 3.0]])
    with pytest.raises(ValueError, match=r"1 (NaN|infinite) values; the first in row 0, column 1"):
        list(iter_blocks(logs, scale="log2", check="adata.X"))


def test_log2_averages_duplicates():
    align = align_genes(["OLD", "NEW", "X"], ["X", "NEW"], resolver=RESOLVER)
    found = collect(iter_blocks(np.array([[1.0, 2.0, -1.0]]), align, scale="log2"))[0]
    assert found.tolist() == [[0.5, 3.0]]


def test_columns_come_in_the_order_of_the_model():
    values, align = matrix(), alignment()
    found, total, _ = collect(iter_blocks(values, align))
    expected = np.zeros((300, 13), np.float32)
    expected[:, align.target] = values[:, align.source]
    assert np.array_equal(found, expected)
    assert found[:, -1].max() == 0
    assert total == pytest.approx(values.sum(axis=1, dtype=np.float64), rel=1e-12)


@pytest.mark.parametrize(
    ("scale", "inverse"),
    [("counts", lambda x: x), ("log1p_cpm", np.expm1), ("log2_tpm", lambda x: 2**x - 1)],
)
def test_total_is_linear_and_over_all_genes(scale, inverse):
    values = matrix(dtype=np.float64)
    _, total, _ = collect(iter_blocks(sp.csr_matrix(values), alignment(n_targets=1), scale=scale))
    assert total.dtype == np.float64
    assert total == pytest.approx(inverse(values).sum(axis=1), rel=1e-12, abs=1e-12)


@settings(max_examples=25)
@given(st.lists(st.integers(0, 299), max_size=200), st.booleans())
def test_rows_come_back_in_the_order_asked_for(order, sparse):
    values, align = matrix(), alignment()
    form = sp.csr_matrix(values) if sparse else values
    blocks = list(iter_blocks(form, align, indices=np.array(order, int), max_bytes=1))
    everything, total, _ = collect(iter_blocks(values, align))
    assert sum(b.matrix.shape[0] for b in blocks) == len(order)
    for block in blocks:
        assert np.array_equal(block.matrix.toarray(), everything[order[block.rows]])
        assert np.array_equal(block.total, total[order[block.rows]])


def test_scattered_rows_of_files(stored, monkeypatch):
    monkeypatch.setattr("dtp_scvi.data._rows._BRIDGE_BYTES", 300)
    values, align = matrix(), alignment()
    order = np.random.default_rng(0).choice(300, 150)
    expected, total, _ = collect(iter_blocks(values[order], align))
    for form in forms(values, stored):
        found, found_total, _ = collect(iter_blocks(form, align, indices=order))
        assert np.array_equal(found, expected)
        assert np.array_equal(found_total, total)


def test_mask_selects_rows():
    values = matrix()
    mask = np.arange(300) % 7 == 0
    found, _, _ = collect(iter_blocks(values, indices=mask))
    assert np.array_equal(found, values[mask])


@pytest.mark.parametrize(
    ("indices", "message"),
    [([300], "row numbers from 0 to 299; found 300"), ([-1, 2], "found -1 to 2")],
)
def test_rows_out_of_range(indices, message):
    with pytest.raises(IndexError, match=message):
        next(iter_blocks(matrix(), indices=np.array(indices)))
    with pytest.raises(IndexError, match="a mask over 300 rows"):
        next(iter_blocks(matrix(), indices=np.ones(3, bool)))


@pytest.mark.parametrize("form", [np.asarray, sp.csr_matrix])
def test_duplicates_sum_for_counts_and_average_for_logs(form):
    values = form(np.array([[1.0, 2.0, 5.0], [0.0, 3.0, 0.0]], np.float32))
    align = align_genes(["OLD", "NEW", "X"], ["X", "NEW"], resolver=RESOLVER)
    assert collect(iter_blocks(values, align))[0].tolist() == [[5, 3], [0, 3]]
    logs = collect(iter_blocks(values, align, scale="log1p_cp10k"))[0]
    assert logs.tolist() == [[5, 1.5], [0, 1.5]]
    summed = collect(iter_blocks(values, align, scale="log1p_cp10k", reduce="sum"))[0]
    assert summed.tolist() == [[5, 3], [0, 3]]
    block = next(iter_blocks(values, align))
    assert block.matrix.has_canonical_format


@pytest.mark.parametrize("align", [None, align_genes(["a", "b"], ["a", "b"], resolver=RESOLVER)])
def test_work_in_place_on_a_block_leaves_the_input_alone(align):
    X = sp.csr_matrix(np.array([[1, 2], [0, 3]], np.float32))
    before = X.copy()
    block = next(iter_blocks(X, align))
    block.matrix.data[:] = -1
    block.matrix.indices[:] = 0
    assert (before != X).nnz == 0


def test_blocks_respect_their_size():
    values = sp.random(9000, 500, density=0.1, format="csr", random_state=np.random.default_rng(0))
    sizes = [b.matrix.shape[0] for b in iter_blocks(values, max_bytes=2**18)]
    per_row = 8 * values.nnz / 9000
    assert sum(sizes) == 9000
    assert max(sizes) * per_row <= 2**18
    assert [b.matrix.shape[0] for b in iter_blocks(values)] == [4096, 4096, 808]
    dense = iter_blocks(np.ones((600, 30_000), np.float32), max_bytes=2**24)
    assert next(dense).matrix.shape[0] == 2**24 // (4 * 30_000)


def test_wrong_alignment_and_wrong_reduce():
    with pytest.raises(ValueError, match="the 40 genes of the alignment; found 39 columns"):
        next(iter_blocks(matrix(g=39), alignment()))
    with pytest.raises(ValueError, match="`reduce` to be one of 'sum', 'mean'"):
        next(iter_blocks(matrix(), alignment(), reduce="max"))
    with pytest.raises(ValueError, match="`scale` to be one of"):
        next(iter_blocks(matrix(), alignment(), scale="zscore"))
    with pytest.raises(TypeError, match="a matrix of cells x genes; found list"):
        next(iter_blocks([[1, 2]]))


def test_no_gene_matched_gives_empty_columns():
    align = align_genes(["a", "b"], ["c"], resolver=RESOLVER)
    found, total, _ = collect(iter_blocks(np.ones((3, 2)), align))
    assert found.tolist() == [[0], [0], [0]]
    assert total.tolist() == [2, 2, 2]


def test_column_file_is_turned_in_chunks_on_disk(stored, monkeypatch):
    monkeypatch.setattr(columns_module, "_CHUNK", 97)
    monkeypatch.setattr(columns_module, "_MAX_IN_MEMORY", 0)
    values = matrix()
    found, _, _ = collect(iter_blocks(stored(sp.csc_matrix(values))))
    assert np.array_equal(found, values)


def test_column_matrix_is_noted(caplog):
    with caplog.at_level("INFO", logger="dtp_scvi"):
        list(iter_blocks(sp.csc_matrix(matrix())))
    assert "Turning a CSC matrix into CSR" in caplog.text


def test_dask_and_zarr_arrays(tmp_path):
    values = matrix()
    zarr = pytest.importorskip("zarr", reason="zarr is not installed")
    array = zarr.create_array(
        str(tmp_path / "x.zarr"), shape=values.shape, dtype="f4", chunks=(50, 40)
    )
    array[:] = values
    assert np.array_equal(collect(iter_blocks(array, max_bytes=1))[0], values)
    da = pytest.importorskip("dask.array", reason="dask is not installed")
    lazy = da.from_array(values, chunks=(70, 40))
    order = np.random.default_rng(0).permutation(300)
    assert np.array_equal(collect(iter_blocks(lazy, indices=order))[0], values[order])
    sparse = lazy.map_blocks(sp.csr_matrix)
    assert np.array_equal(collect(iter_blocks(sparse, max_bytes=1))[0], values)


# The first block has 64 rows: each of these lies in a later one, or in the last row.
@pytest.mark.parametrize(("row", "column"), [(70, 0), (200, 39), (299, 5)])
@pytest.mark.parametrize("scale", ["counts", "log1p_cp10k", "log2_tpm"])
@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.nan, "1 NaN values"),
        (np.inf, "1 infinite values"),
        (-np.inf, "1 infinite, 1 negative values"),
        (-0.5, "1 negative values"),
    ],
)
def test_bad_values_in_later_blocks_are_refused(row, column, scale, bad, message):
    values, align = matrix(), alignment()
    values[row, column] = bad
    place = f"finite, non-negative values in the counts; found {message}; the first in row {row}, "
    for form in (values, sp.csr_matrix(values), sp.csc_matrix(values)):
        blocks = iter_blocks(form, align, scale=scale, max_bytes=1, check="the counts")
        found = []
        with pytest.raises(ValueError, match=f"{place}column {column}"):
            found.extend(blocks)
        # What was handed out before the bad block is in order and whole.
        assert [block.rows.start for block in found] == list(range(0, row - row % 64, 64))


@pytest.mark.parametrize("form", [np.asarray, sp.csr_matrix, sp.csc_matrix])
def test_bad_values_in_files_are_refused(stored, form):
    values = matrix()
    values[290, 7] = np.nan
    blocks = iter_blocks(stored(form(values)), max_bytes=1, check="adata.X")
    with pytest.raises(ValueError, match=r"1 NaN values; the first in row 290, column 7"):
        list(blocks)


def test_only_rows_that_are_read_are_checked_and_only_on_request():
    values = matrix()
    values[[150, 299], 3] = -1, np.nan
    good = np.setdiff1d(np.arange(300), [150, 299])
    found, _, _ = collect(iter_blocks(values, indices=good, check="adata.X"))
    assert np.array_equal(found, values[good])
    # The row named is one of the matrix, not of the choice, and all bad values are counted.
    message = "1 NaN, 1 negative values; the first in row 150, column 3"
    with pytest.raises(ValueError, match=message):
        list(iter_blocks(values, indices=np.array([299, 0]), check="adata.X"))
    unchecked, _, _ = collect(iter_blocks(values))
    assert np.array_equal(unchecked, values, equal_nan=True)


@pytest.mark.parametrize("form", [np.asarray, sp.csr_matrix, sp.csc_matrix])
def test_start_runs_once_in_each_reader(form):
    started, readers = [], []
    # Both readers have to be at work at once, or one could take every block.
    together = threading.Barrier(N_READERS, timeout=10)

    def then(block):
        readers.append(threading.get_ident())
        if block.rows.start < 64 * N_READERS:
            together.wait()
        return block

    blocks = iter_blocks(
        form(matrix()),
        max_bytes=1,
        then=then,
        start=lambda: started.append(threading.get_ident()),
    )
    assert sum(1 for _ in blocks) == 5
    assert len(started) == len(set(started)) == N_READERS
    assert set(readers) == set(started)
    assert threading.get_ident() not in started


def test_an_error_in_start_is_not_swallowed():
    def fail():
        msg = "no cores"
        raise RuntimeError(msg)

    with pytest.raises(BrokenThreadPool):
        list(iter_blocks(matrix(), start=fail))
