"""``dtp evaluate``: how good a model is on donors that it has not seen."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path  # noqa: TC003  (typer reads annotations when it runs)
from typing import Annotated, Any

import typer

from dtp_scvi.cli import _options as opt
from dtp_scvi.cli import _threshold as cut
from dtp_scvi.cli._guard import guard


def evaluate(
    ctx: typer.Context,
    data: opt.Data,
    *,
    labels_key: opt.LabelsKey,
    positive: opt.Positive = None,
    donor_key: opt.DonorKey = None,
    batch_key: opt.BatchKey = None,
    allow_confounded: opt.AllowConfounded = False,
    layer: opt.Layer = None,
    scale: opt.ScaleName = "auto",
    gmt: opt.Gmt = None,
    folds: opt.Folds = 5,
    leave_one_batch_out: Annotated[
        bool, typer.Option("--leave-one-batch-out", help="Hold out whole batches instead.")
    ] = False,
    study_key: Annotated[
        str | None,
        typer.Option("--study-key", help="Column of obs with the study: also compare within it."),
    ] = None,
    leave_one_study_out: Annotated[
        bool, typer.Option("--leave-one-study-out", help="Hold out whole studies instead.")
    ] = False,
    cell_level: Annotated[
        bool, typer.Option("--cell-level", help="Hold out single cells: optimistic.")
    ] = False,
    threshold_rule: cut.ThresholdRule = opt.Rule.YOUDEN,
    target: cut.Target = None,
    fixed: cut.Fixed = None,
    negatives: cut.Negatives = None,
    distill: Annotated[
        bool, typer.Option("--distill/--no-distill", help="Judge a student in every fold, too.")
    ] = True,
    n_genes: Annotated[int, typer.Option("--n-genes", min=1, help="Genes of the student.")] = 1000,
    max_epochs: opt.MaxEpochs = None,
    members: opt.Members = None,
    n_boot: Annotated[
        int, typer.Option("--n-boot", min=1, help="Resamples of donors for the intervals.")
    ] = 200,
    seed: opt.Seed = 0,
    json: Annotated[
        Path | None, typer.Option("--json", help="Write all numbers to this file.")
    ] = None,
    quiet: opt.Quiet = False,
    debug: opt.Debug = False,
) -> None:
    """Cross-validate the teacher beside simple models, with intervals over donors."""
    setup = {
        "labels_key": labels_key,
        "positive": positive,
        "layer": layer,
        "donor_key": donor_key,
        "batch_key": batch_key,
        "scale": scale,
        "allow_confounded": allow_confounded,
    }
    with guard(ctx, debug=debug):
        from dtp_scvi._constants import CV_KEY
        from dtp_scvi._validate import check_file
        from dtp_scvi.cli._outputs import new_file
        from dtp_scvi.cli._results import evaluation_content, show_evaluation, write_json
        from dtp_scvi.cli._screen import say
        from dtp_scvi.cli._within_study import pooled, show_within_study, within_study_json

        with nullcontext() if json is None else new_file(json, (".json",)) as part:
            check_file(data)  # before anything heavy is loaded
            uns = _cross_validate(
                data,
                setup,
                gmt=gmt,
                members=members,
                rule={
                    "rule": threshold_rule,
                    "target": target,
                    "fixed": fixed,
                    "negatives": negatives,
                },
                n_folds=folds,
                batch_folds=leave_one_batch_out,
                study_key=study_key,
                study_folds=leave_one_study_out,
                cell_level=cell_level,
                distill={"n_genes": n_genes} if distill else None,
                train_kwargs={} if max_epochs is None else {"max_epochs": max_epochs},
                n_boot=n_boot,
                seed=seed,
                verbose=not quiet,
            )
            show_evaluation(pooled(uns))
            show_within_study(uns[CV_KEY])
            if part is not None:
                write_json(part, evaluation_content(uns) | within_study_json(uns[CV_KEY]))
        if json is not None:
            say(f"Wrote {json}", style="bold")


def _cross_validate(
    data: Path,
    setup: dict[str, Any],
    *,
    gmt: Path | None,
    members: int | None,
    rule: dict[str, Any],
    **arguments: Any,
) -> dict[str, Any]:
    """Read, set up, say what was found, cross-validate; return what was stored."""
    from dtp_scvi import tl
    from dtp_scvi.cli._train import model_arguments, read_and_set_up
    from dtp_scvi.model import DTPTransformer

    adata = read_and_set_up(data, setup)
    tl.cross_validate(
        DTPTransformer,
        adata,
        model_kwargs=model_arguments(gmt, members),
        **cut.threshold_arguments(adata, **rule),
        **arguments,
    )
    return dict(adata.uns)
