"""``dtp distill``: a student of fewer genes from a teacher."""

from __future__ import annotations

import math
from pathlib import Path  # noqa: TC003  (typer reads annotations when it runs)
from typing import TYPE_CHECKING, Annotated

import typer

from dtp_scvi._validate import problem
from dtp_scvi.cli import _options as opt  # noqa: TC001  (as above)
from dtp_scvi.cli._guard import guard

if TYPE_CHECKING:
    from anndata import AnnData

    from dtp_scvi.model import DTPStudent, DTPTransformer


def distill(
    ctx: typer.Context,
    data: opt.Data,
    *,
    model: Annotated[Path, typer.Option("--model", help="Folder of the teacher.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the student.")],
    n_genes: Annotated[int, typer.Option("--n-genes", min=1, help="Size of the panel.")] = 1000,
    max_epochs: opt.MaxEpochs = None,
    seed: opt.Seed = 0,
    overwrite: opt.Overwrite = False,
    quiet: opt.Quiet = False,
    debug: opt.Debug = False,
) -> None:
    """Distil a student from a teacher on its training cells; columns are the teacher's own."""
    with guard(ctx, debug=debug):
        from dtp_scvi._validate import check_file
        from dtp_scvi.cli._outputs import MODEL_FILE, new_folder
        from dtp_scvi.cli._screen import say

        with new_folder(out, overwrite=overwrite, holds=MODEL_FILE) as room:
            check_file(data)  # before anything heavy is loaded
            teacher = open_teacher(model, data)
            limits = {} if max_epochs is None else {"max_epochs": max_epochs}
            student = teacher.distill(n_genes, seed=seed, verbose=not quiet, **limits)
            student.save(room, overwrite=True)
        report(student)
        say(f"Wrote {out}/", style="bold")


def open_teacher(model: Path, data: Path) -> DTPTransformer:
    """Load a teacher with its training cells and say what they are."""
    from dtp_scvi.cli._describe import label_findings, matrix_findings, shape_title
    from dtp_scvi.cli._input import read_cells
    from dtp_scvi.cli._screen import findings
    from dtp_scvi.model import DTPTransformer, load_model

    alone = load_model(model)
    if not isinstance(alone, DTPTransformer):
        todo = "Pass the teacher that it was distilled from."
        msg = problem(f"a DTPTransformer in {model}", f"a {type(alone).__name__}", todo)
        raise ValueError(msg)
    teacher = DTPTransformer.load(model, in_order(read_cells(data), alone.genes_.tolist()))
    adata = teacher.adata
    registration = DTPTransformer.registration(adata)
    rows = matrix_findings(adata, registration.layer) + label_findings(registration)
    findings(shape_title(data.name, adata, registration.layer), rows)
    return teacher


def in_order(adata: AnnData, genes: list[str]) -> AnnData:
    """Bring the genes into the order of the model where they are the same."""
    names = [str(name) for name in adata.var_names]
    if names == genes or sorted(names) != sorted(genes):
        return adata
    return adata[:, genes].copy()


def report(student: DTPStudent) -> None:
    """Say how stable the panel is and how well the student follows."""
    from dtp_scvi.cli._describe import fidelity_text, threshold_text
    from dtp_scvi.cli._screen import findings

    stability, fidelity = student.stability_, student.fidelity_
    jaccard = stability.get("jaccard")
    rows = [
        ("panel", f"{len(student.genes_):,} genes, {stability['n_excluded']:,} left out by kind"),
        (
            "stability",
            f"Jaccard index {jaccard:.2f} over {stability['n_donors']:,} donors"
            if jaccard is not None and math.isfinite(jaccard)
            else "one donor: not measured",
        ),
        (
            "fidelity",
            f"{fidelity_text(fidelity)} of {fidelity['held_out']}s held out of the fit",
        ),
        ("threshold", threshold_text(student.threshold_)),
    ]
    findings(f"Student {student.id_} of teacher {student.teacher_id_}", rows)
