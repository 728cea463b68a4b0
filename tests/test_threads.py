"""Torch is held to its share of the cores in the threads that ask for it, and nowhere else."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from threadpoolctl import threadpool_info

from dtp_scvi._threads import torch_share


@pytest.fixture(params=[6, 4, 1])
def n_threads(request):
    """A machine with that many cores, as torch sees it."""
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def in_threads(n, *, initializer=None):
    """Run ``n`` threads at once; return the threads that torch has in each."""
    together = threading.Barrier(n, timeout=10)

    def ask(_):
        together.wait()
        return torch.get_num_threads()

    with ThreadPoolExecutor(n, initializer=initializer) as pool:
        return list(pool.map(ask, range(n)))


@pytest.mark.parametrize("n_readers", [1, 2, 3])
def test_each_thread_gets_its_share_and_others_keep_all(n_threads, n_readers):
    before = threadpool_info()
    hold = torch_share(n_readers)
    # Nothing happens before a thread calls it.
    assert torch.get_num_threads() == n_threads
    assert in_threads(n_readers, initializer=hold) == [max(1, n_threads // n_readers)] * n_readers
    # The thread of the caller and threads that start later are as they were.
    assert torch.get_num_threads() == n_threads
    assert in_threads(2) == [n_threads] * 2
    assert threadpool_info() == before


def test_results_are_those_of_all_cores(n_threads):
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(200, 200, generator=generator) for _ in range(2))
    with ThreadPoolExecutor(1, initializer=torch_share(2)) as pool:
        found = pool.submit(torch.matmul, a, b).result()
    torch.testing.assert_close(found, a @ b)
