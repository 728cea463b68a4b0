"""What the demo does, step by step, each step timed."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from dtp_scvi._constants import COUNTS_LAYER, CV_KEY
from dtp_scvi.cli._describe import label_findings, matrix_findings, shape_title
from dtp_scvi.cli._screen import findings, say

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from anndata import AnnData

    from dtp_scvi.model import DTPStudent, DTPTransformer

LABELS: Final = "state"
POSITIVE: Final = "drug_tolerant"
DONOR: Final = "donor"


@dataclass(frozen=True)
class Sizes:
    """How large the demo is."""

    n_cells: int
    n_genes: int
    n_donors: int
    n_new_cells: int
    n_patients: int
    n_panel: int
    n_folds: int
    n_boot: int
    teacher: dict[str, Any] = field(default_factory=dict)
    """Arguments of the teacher's training that are not its defaults."""
    student: dict[str, Any] = field(default_factory=dict)
    """Arguments of the student's training that are not its defaults."""


USUAL: Final = Sizes(
    n_cells=3000,
    n_genes=2000,
    n_donors=10,
    n_new_cells=2000,
    n_patients=200,
    n_panel=1000,
    n_folds=5,
    n_boot=200,
    # Less than the defaults: six teachers and students have to fit into three minutes.
    teacher={"max_epochs": 18},
    student={"mixtures": 6, "max_epochs": 20},
)
QUICK: Final = Sizes(
    n_cells=600,
    n_genes=500,
    n_donors=6,
    n_new_cells=300,
    n_patients=40,
    n_panel=100,
    n_folds=3,
    n_boot=50,
    teacher={"max_epochs": 3},
    student={"max_epochs": 3, "mixtures": 2},
)


@dataclass(frozen=True)
class Done:
    """What the steps made."""

    sizes: Sizes
    seed: int
    cells: AnnData
    """Training cells, with the cross-validation in ``uns``."""
    query: AnnData
    """Scored cells of other donors."""
    cohort: AnnData
    """Scored bulk samples, mixed from cells of other donors."""
    teacher: DTPTransformer
    student: DTPStudent
    timings: dict[str, float]
    """Seconds of each step."""


class Clock:
    """Says which step begins, and keeps how long each took."""

    def __init__(self, n_steps: int) -> None:
        self.n_steps = n_steps
        self.start = time.perf_counter()
        self.timings: dict[str, float] = {}

    @contextmanager
    def step(self, name: str, text: str) -> Iterator[None]:
        """Time one step."""
        say(f"[{len(self.timings) + 1}/{self.n_steps}] {text}", style="bold")
        start = time.perf_counter()
        yield
        self.timings[name] = round(time.perf_counter() - start, 3)

    def total(self) -> dict[str, float]:
        """Return the seconds of each step and of all."""
        return {**self.timings, "total": round(time.perf_counter() - self.start, 3)}


def run(room: Path, sizes: Sizes, *, seed: int, verbose: bool) -> Done:
    """Go the whole way; write models, scored data and figures into ``room``."""
    from dtp_scvi import tl
    from dtp_scvi.cli._demo_figures import draw_all

    clock = Clock(n_steps=6)
    with clock.step("simulate", "Simulate labelled cells, cells of new donors, a bulk cohort"):
        cells, query, cohort = simulate(sizes, seed)
    with clock.step("cross_validate", f"Cross-validate by donor, {sizes.n_folds} folds"):
        cross_validate(cells, sizes, seed=seed, verbose=verbose)
    with clock.step("train", "Train the teacher on all labelled cells"):
        teacher = teach(cells, sizes, seed=seed, verbose=verbose)
        teacher.save(room / "teacher")
    with clock.step("distil", f"Distil a student of {sizes.n_panel:,} genes"):
        student = teacher.distill(sizes.n_panel, verbose=verbose, **sizes.student)
        student.adopt(cells.uns[CV_KEY])
        student.save(room / "student")
    with clock.step("score", "Score the new cells and the bulk cohort with the student"):
        for adata, name in ((query, "scored_cells"), (cohort, "scored_cohort")):
            tl.score(adata, student, layer=COUNTS_LAYER)
            adata.write_h5ad(room / f"{name}.h5ad", compression="gzip")
    with clock.step("figures", "Draw the figures"):
        draw_all(cells, query, cohort, teacher, room)
    return Done(sizes, seed, cells, query, cohort, teacher, student, clock.total())


def simulate(sizes: Sizes, seed: int) -> tuple[AnnData, AnnData, AnnData]:
    """Simulate two studies of one disease, and bulk samples mixed from the second."""
    from dtp_scvi import datasets

    cells = datasets.simulate_cells(
        sizes.n_cells, sizes.n_genes, n_donors=sizes.n_donors, seed=seed
    )
    # The same biology_seed, so the same disease; another seed, so other donors and batches.
    query = datasets.simulate_cells(
        sizes.n_new_cells, sizes.n_genes, n_donors=sizes.n_donors, seed=seed + 1
    )
    cohort = datasets.simulate_cohort(sizes.n_patients, cells=query, seed=seed + 1)
    for name, adata in (("labelled", cells), ("new donors", query), ("bulk cohort", cohort)):
        findings(shape_title(name, adata, COUNTS_LAYER), matrix_findings(adata, COUNTS_LAYER))
    return cells, query, cohort


def cross_validate(cells: AnnData, sizes: Sizes, *, seed: int, verbose: bool) -> None:
    """Evaluate teacher, student and simple models on held-out donors."""
    from dtp_scvi import model, tl

    model.DTPTransformer.setup_anndata(
        cells, LABELS, positive=POSITIVE, layer=COUNTS_LAYER, donor_key=DONOR
    )
    rows = label_findings(model.DTPTransformer.registration(cells))
    findings("labelled cells, as set up", rows)
    tl.cross_validate(
        model.DTPTransformer,
        cells,
        n_folds=sizes.n_folds,
        distill={"n_genes": sizes.n_panel, "verbose": False, **sizes.student},
        train_kwargs=sizes.teacher,
        n_boot=sizes.n_boot,
        seed=seed,
        verbose=verbose,
    )


def teach(cells: AnnData, sizes: Sizes, *, seed: int, verbose: bool) -> DTPTransformer:
    """Train the teacher on all labelled cells; calibration and threshold are cross-validated."""
    from dtp_scvi import model

    teacher = model.DTPTransformer(cells)
    teacher.train(seed=seed, verbose=verbose, **sizes.teacher)
    # Training holds out a fifth of the donors; the cross-validation has seen all of them held out.
    teacher.adopt(cells.uns[CV_KEY])
    return teacher
