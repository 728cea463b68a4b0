"""What holds for every test: nothing on screen, nothing global left changed."""

from __future__ import annotations

import os

os.environ.setdefault("MPLBACKEND", "Agg")
# Idle threads of small operations spin: on busy cores a test then takes twenty times as long.
# Numba, called by scanpy, raises the number of torch's threads too. Set others to test with more.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("NUMBA_NUM_THREADS", "1")

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import settings

# Cores are shared on the machines that run this; a slow example is no defect.
settings.register_profile("dtp", deadline=None)
settings.load_profile("dtp")


@pytest.fixture(autouse=True)
def _nothing_global_changes(request):
    """Fail a test that moves the global random state or the plotting defaults; close its figures."""
    # Python's own generator is left out: rich draws from it, and ruff bans it in this package.
    before = np.random.get_state()  # noqa: NPY002
    with mpl.rc_context():
        style = mpl.rcParams.copy()
        yield
        changed = [key for key, value in style.items() if mpl.rcParams[key] != value]
    plt.close("all")
    after = np.random.get_state()  # noqa: NPY002
    np.random.set_state(before)  # noqa: NPY002
    assert not changed, f"plotting defaults were changed: {changed}"
    if "uses_global_rng" not in request.keywords:
        same = all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
        assert same, "the global random state of numpy was used"
