"""Share the cores between threads that each call torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from threadpoolctl import ThreadpoolController

if TYPE_CHECKING:
    from collections.abc import Callable


def torch_share(n_threads: int) -> Callable[[], None]:
    """
    Return what holds torch to its share of the cores, in the thread that calls it.

    Without it each of ``n_threads`` threads starts a team as large as the machine, and the teams
    wait for one another.
    """
    import torch

    share = max(1, torch.get_num_threads() // n_threads)
    pools = ThreadpoolController().select(user_api="openmp")

    def hold() -> None:
        # The first call in a thread sets that thread's number to the default.
        torch.get_num_threads()
        pools.limit(limits=share)

    return hold
