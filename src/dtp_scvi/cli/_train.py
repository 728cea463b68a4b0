"""``dtp train``: teach a model from labelled cells."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003  (typer reads annotations when it runs)
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dtp_scvi.cli import _options as opt
from dtp_scvi.cli import _threshold as cut
from dtp_scvi.cli._guard import guard

if TYPE_CHECKING:
    from anndata import AnnData

    from dtp_scvi.model import DTPTransformer


def train(
    ctx: typer.Context,
    data: opt.Data,
    *,
    labels_key: opt.LabelsKey,
    out: Annotated[Path, typer.Option("--out", help="Folder for the model.")],
    positive: opt.Positive = None,
    donor_key: opt.DonorKey = None,
    batch_key: opt.BatchKey = None,
    allow_confounded: opt.AllowConfounded = False,
    layer: opt.Layer = None,
    scale: opt.ScaleName = "auto",
    gmt: opt.Gmt = None,
    max_epochs: opt.MaxEpochs = None,
    members: opt.Members = None,
    threshold_rule: cut.ThresholdRule = opt.Rule.YOUDEN,
    target: cut.Target = None,
    fixed: cut.Fixed = None,
    negatives: cut.Negatives = None,
    evaluate: Annotated[
        bool,
        typer.Option(
            "--evaluate",
            help="Cross-validate first; calibration, threshold and model card then rest on it.",
        ),
    ] = False,
    folds: opt.Folds = 5,
    notes: Annotated[
        list[str] | None,
        typer.Option("--note", help="Text for the model card, e.g. label='CD34+ blasts'."),
    ] = None,
    seed: opt.Seed = 0,
    overwrite: opt.Overwrite = False,
    quiet: opt.Quiet = False,
    debug: opt.Debug = False,
) -> None:
    """Train a teacher on labelled cells or samples and save it."""
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
        from dtp_scvi._validate import check_file
        from dtp_scvi.cli._outputs import MODEL_FILE, new_folder
        from dtp_scvi.cli._screen import say

        with new_folder(out, overwrite=overwrite, holds=MODEL_FILE) as room:
            check_file(data)  # before anything heavy is loaded
            texts = _texts(notes or [])
            adata = read_and_set_up(data, setup)
            model = _teach(
                adata,
                model_arguments(gmt, members),
                epochs={} if max_epochs is None else {"max_epochs": max_epochs},
                rule=cut.threshold_arguments(
                    adata, threshold_rule, target=target, fixed=fixed, negatives=negatives
                ),
                notes=texts,
                n_folds=folds if evaluate else 0,
                seed=seed,
                verbose=not quiet,
            )
            model.save(room, overwrite=True)
        report(model)
        say(f"Wrote {out}/", style="bold")


def read_and_set_up(data: Path, setup: dict[str, Any]) -> AnnData:
    """Read labelled cells, set them up, and say what was found."""
    from dtp_scvi.cli._describe import label_findings, matrix_findings, shape_title
    from dtp_scvi.cli._input import read_cells
    from dtp_scvi.cli._screen import findings
    from dtp_scvi.model import DTPTransformer

    adata = read_cells(data)
    layer = setup["layer"]
    # First, as a refusal is easier to understand beside what was found.
    findings(shape_title(data.name, adata, layer), matrix_findings(adata, layer))
    DTPTransformer.setup_anndata(adata, **setup)
    findings("", label_findings(DTPTransformer.registration(adata)))
    return adata


def _teach(
    adata: AnnData,
    arguments: dict[str, Any],
    *,
    epochs: dict[str, Any],
    rule: dict[str, Any],
    notes: dict[str, str],
    n_folds: int,
    seed: int,
    verbose: bool,
) -> DTPTransformer:
    """Train a teacher; cross-validate it before, on request, and adopt the result."""
    from dtp_scvi import tl
    from dtp_scvi._constants import CV_KEY
    from dtp_scvi.cli._results import show_evaluation
    from dtp_scvi.model import DTPTransformer

    model = DTPTransformer(adata, **arguments)
    model.describe(**notes)
    if n_folds:
        tl.cross_validate(
            DTPTransformer,
            adata,
            n_folds=n_folds,
            model_kwargs=arguments,
            train_kwargs=epochs,
            seed=seed,
            verbose=verbose,
            **rule,
        )
        show_evaluation(adata.uns)
    model.train(seed=seed, verbose=verbose, **epochs, **rule)
    if n_folds:
        model.adopt(adata.uns[CV_KEY])
    return model


def _texts(notes: list[str]) -> dict[str, str]:
    """Read NAME=TEXT pairs; the names are checked before anything is read."""
    from dtp_scvi._validate import problem, shorten
    from dtp_scvi.model import NOTES

    pairs = [note.partition("=") for note in notes]
    wrong = [
        note
        for note, (name, sign, _) in zip(notes, pairs, strict=True)
        if not sign or name not in NOTES
    ]
    if wrong:
        msg = problem(
            f"--note NAME=TEXT with a name of {', '.join(NOTES)}", shorten(wrong), "Mend it."
        )
        raise ValueError(msg)
    return {name: text for name, _, text in pairs}


def model_arguments(gmt: Path | None, members: int | None) -> dict[str, Any]:
    """Return the arguments of the model that were asked for."""
    from dtp_scvi import data
    from dtp_scvi._validate import check_file

    arguments: dict[str, Any] = {}
    if gmt is not None:
        check_file(gmt, "gene sets (.gmt)")
        arguments["programs"] = data.read_gmt(gmt)
    if members is not None:
        arguments["n_members"] = members
    return arguments


def report(model: DTPTransformer) -> None:
    """Say what a trained teacher rests on."""
    from dtp_scvi.cli._describe import threshold_text
    from dtp_scvi.cli._screen import counted, findings

    protocol = model.protocol_
    kept = ", ".join(f"{share:.0%}" for share in protocol["member_scale"])
    last = model.history_table_.groupby("member")["epoch"].max() + 1
    rows = [
        ("genes", f"{len(model.genes_):,}"),
        ("epochs", ", ".join(f"{n:,}" for n in last)),
        ("held out", f"a fifth of the {protocol['held_out']}s for early stopping"),
        ("residual", f"kept to {kept} on top of the linear part"),
        ("threshold", threshold_text(model.threshold_)),
    ]
    findings(f"Teacher {model.id_}, trained on {counted(protocol['n_rows'], 'row')}", rows)
