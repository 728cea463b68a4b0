from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import anndata as ad
import pytest
from typer.testing import CliRunner

import dtp_scvi as dtp
from dtp_scvi.cli import app

if TYPE_CHECKING:
    from pathlib import Path


class Run(NamedTuple):
    code: int
    text: str


@pytest.fixture
def dtp_command():
    """Run the command in this process; return its exit code and all it printed."""

    def run(*arguments: object) -> Run:
        done = CliRunner().invoke(app, [str(argument) for argument in arguments])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return Run(done.exit_code, done.output)

    return run


@pytest.fixture(scope="session")
def room(tmp_path_factory) -> Path:
    """Input files and saved models that no test changes."""
    room = tmp_path_factory.mktemp("inputs")
    cells = dtp.datasets.simulate_cells(240, 200, n_donors=4)
    cells.write_h5ad(room / "cells.h5ad")
    dtp.datasets.simulate_cells(60, 200, n_donors=4, seed=1).write_h5ad(room / "new.h5ad")
    dtp.model.DTPTransformer.setup_anndata(
        cells, "state", positive="drug_tolerant", layer="counts", donor_key="donor"
    )
    teacher = dtp.model.DTPTransformer(cells, n_programs=6, d_model=16, n_blocks=1)
    teacher.train(max_epochs=1, verbose=False)
    teacher.save(room / "teacher")
    teacher.distill(40, max_epochs=1, verbose=False).save(room / "student")
    (room / "text.h5ad").write_text("not HDF5")
    (room / "empty.h5ad").touch()
    return room


@pytest.fixture
def scored(room) -> ad.AnnData:
    """The new cells as tl.score leaves them."""
    query = ad.read_h5ad(room / "new.h5ad")
    dtp.tl.score(query, dtp.model.load_model(room / "student"))
    return query
