"""``dtp score``: score cells or bulk samples with a saved or bundled model."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003  (typer reads annotations when it runs)
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from dtp_scvi.cli import _model
from dtp_scvi.cli import _options as opt
from dtp_scvi.cli._guard import guard

if TYPE_CHECKING:
    from anndata import AnnData

    from dtp_scvi.model import ExpressionClassifier, ResponseBase

_TABLES: Final = (".csv", ".csv.gz", ".tsv", ".tsv.gz")


def score(
    ctx: typer.Context,
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA",
            help="Cells or samples: .h5ad, .h5mu, or a table of genes and samples (.csv, .tsv).",
            show_default=False,
        ),
    ],
    *,
    model: Annotated[
        str | None, typer.Option("--model", help=f"{_model.HELP}; without it aml-tolerance.")
    ] = None,
    out: Annotated[
        Path,
        typer.Option("--out", help="The object with its scores (.h5ad), or the scores (.csv)."),
    ],
    layer: opt.Layer = None,
    gene_key: Annotated[
        str | None,
        typer.Option("--gene-key", help="Column of var with gene names; without it var_names."),
    ] = None,
    missing: Annotated[
        opt.Missing, typer.Option("--missing", help="What stands in for a gene that is missing.")
    ] = opt.Missing.MEAN,
    min_coverage: Annotated[
        float,
        typer.Option("--min-coverage", min=0, max=1, help="Least share of model genes found."),
    ] = 0.5,
    scale: opt.ScaleName = "auto",
    key_added: Annotated[
        str, typer.Option("--key-added", help="Prefix of the columns that are written.")
    ] = "dtp",
    mod: Annotated[
        str | None, typer.Option("--mod", help="Modality of a .h5mu file to score.")
    ] = None,
    transfer: Annotated[
        opt.Transfer,
        typer.Option(
            "--transfer",
            help="check whether calls hold here, skip it, or use a verdict by name; recorded.",
        ),
    ] = opt.Transfer.CHECK,
    donor_key: Annotated[
        str | None,
        typer.Option("--donor-key", help="Column of obs with the donor, for the check."),
    ] = None,
    align: Annotated[
        opt.Align,
        typer.Option(
            "--align", help="For a model of a response: how rows of another platform are matched."
        ),
    ] = opt.Align.NONE,
    target: Annotated[
        str | None,
        typer.Option("--target", help="For a model of several responses: the one to score."),
    ] = None,
    quiet: opt.Quiet = False,
    debug: opt.Debug = False,
) -> None:
    """Score cells or bulk samples; no label, donor or batch column is needed."""
    with guard(ctx, debug=debug):
        from dtp_scvi._validate import check_file
        from dtp_scvi.cli._outputs import new_file
        from dtp_scvi.cli._score_report import report_scores
        from dtp_scvi.cli._screen import say

        _check_distinct(data, out)
        with new_file(out, _output_suffixes(data)) as part:
            check_file(data)  # before anything heavy is loaded
            from dtp_scvi import tl

            scorer = _model.open_model(model)
            query, name = open_query(data, scorer, out=out, mod=mod, gene_key=gene_key)
            modality = query if name is None else query.mod[name]
            describe_query(data.name, modality, scorer, layer, gene_key)
            tl.score(
                query,
                None if model is None else scorer,  # the record tells that none was named
                layer=layer,
                gene_key=gene_key,
                key_added=key_added,
                missing=missing.value,
                min_coverage=min_coverage,
                scale=scale,
                mod=name,
                transfer=transfer.value,
                donor_key=donor_key,
                align=align.value,
                target=target,
                verbose=not quiet,
            )
            write_scores(query, modality, part, key_added)
        report_scores(modality, key_added)
        say(f"Wrote {out}", style="bold")


def _check_distinct(data: Path, out: Path) -> None:
    from dtp_scvi._validate import problem

    if out.exists() and data.exists() and out.samefile(data):
        msg = problem("an output beside the input", f"{out} for both", "Change --out.")
        raise ValueError(msg)


def _output_suffixes(data: Path) -> tuple[str, ...]:
    more = (".h5mu",) if data.name.lower().endswith(".h5mu") else ()
    return (".h5ad", *more, *_TABLES)


def open_query(
    path: Path,
    model: ExpressionClassifier | ResponseBase,
    *,
    out: Path,
    mod: str | None,
    gene_key: str | None,
) -> tuple[Any, str | None]:
    """Read what is to be scored; return it with the modality to use, if it has modalities."""
    from dtp_scvi.cli import _input
    from dtp_scvi.cli._screen import say
    from dtp_scvi.cli._text_matrix import is_text, read_matrix

    if path.name.lower().endswith(".h5mu"):
        mdata = _input.read_modalities(path)
        return mdata, _input.check_modality(mdata, mod)
    _input.check_no_modality(path, mod)
    if is_text(path):
        adata, oriented = read_matrix(path, model.genes_, gene_key=gene_key)
        say(oriented)
        return adata, None
    if out.name.lower().endswith(_TABLES):
        return _input.open_cells(path), None
    return _input.read_cells(path), None


def describe_query(
    name: str,
    adata: AnnData,
    model: ExpressionClassifier | ResponseBase,
    layer: str | None,
    gene_key: str | None,
) -> None:
    """Say what was found in the query."""
    from dtp_scvi import pp
    from dtp_scvi.cli._describe import gene_findings, matrix_findings, shape_title
    from dtp_scvi.cli._screen import findings

    alignment = pp.align_genes(adata, model, gene_key=gene_key)
    rows = matrix_findings(adata, layer) + gene_findings(alignment)
    findings(shape_title(name, adata, layer), rows)


def write_scores(query: Any, adata: AnnData, part: Path, key_added: str) -> None:
    """Write the object, or only the columns of the score."""
    if part.name.endswith(".h5mu"):
        query.write_h5mu(part)
    elif part.name.endswith(".h5ad"):
        adata.write_h5ad(part)
    else:
        from dtp_scvi.cli._score_report import score_columns

        separator = "\t" if ".tsv" in part.suffixes else ","
        score_columns(adata, key_added).to_csv(part, sep=separator, index_label="name")
