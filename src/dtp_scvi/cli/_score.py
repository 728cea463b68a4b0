"""``dtp score``: score cells or bulk samples with a saved model."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003  (typer reads annotations when it runs)
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from dtp_scvi.cli import _options as opt
from dtp_scvi.cli._guard import guard

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

    from dtp_scvi.model import DTPStudent, DTPTransformer

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
    model: Annotated[Path, typer.Option("--model", help="Folder of a teacher or student.")],
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
    quiet: opt.Quiet = False,
    debug: opt.Debug = False,
) -> None:
    """Score cells or bulk samples; no label, donor or batch column is needed."""
    with guard(ctx, debug=debug):
        from dtp_scvi._validate import check_file
        from dtp_scvi.cli._outputs import new_file
        from dtp_scvi.cli._screen import say

        _check_distinct(data, out)
        with new_file(out, _output_suffixes(data)) as part:
            check_file(data)  # before anything heavy is loaded
            from dtp_scvi import tl
            from dtp_scvi.model import DTPStudent, DTPTransformer, load_model

            scorer = load_model(model)
            if not isinstance(scorer, DTPTransformer | DTPStudent):
                from dtp_scvi._validate import problem

                msg = problem(
                    f"a DTPTransformer or DTPStudent in {model}",
                    f"a {type(scorer).__name__}",
                    "Score with dtp_scvi.tl.score in Python.",
                )
                raise ValueError(msg)
            query, name = open_query(data, scorer, out=out, mod=mod, gene_key=gene_key)
            modality = query if name is None else query.mod[name]
            describe_query(data.name, modality, scorer, layer, gene_key)
            tl.score(
                query,
                scorer,
                layer=layer,
                gene_key=gene_key,
                key_added=key_added,
                missing=missing.value,
                min_coverage=min_coverage,
                scale=scale,
                mod=name,
                transfer=transfer.value,
                donor_key=donor_key,
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
    model: DTPTransformer | DTPStudent,
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
    model: DTPTransformer | DTPStudent,
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
        separator = "\t" if ".tsv" in part.suffixes else ","
        score_columns(adata, key_added).to_csv(part, sep=separator, index_label="name")


def score_columns(adata: AnnData, key_added: str) -> pd.DataFrame:
    """Return the columns that tl.score wrote."""
    from dtp_scvi import _constants as names

    suffixes = ("LOGIT", "SCORE", "RANK", "CALL", "STD", "SET")
    columns = [f"{key_added}{getattr(names, f'{suffix}_SUFFIX')}" for suffix in suffixes]
    return adata.obs[[column for column in columns if column in adata.obs]]


def report_scores(adata: AnnData, key_added: str) -> None:
    """Say how the scores are spread."""
    from dtp_scvi._constants import CALL_SUFFIX, RESEARCH_USE, SCORE_SUFFIX
    from dtp_scvi.cli._describe import threshold_text
    from dtp_scvi.cli._screen import findings

    info = adata.uns[key_added]
    low, middle, high = adata.obs[f"{key_added}{SCORE_SUFFIX}"].quantile([0.05, 0.5, 0.95])
    rows = [
        ("importance", f"{info['weighted_coverage']:.1%} of it lies on the genes that were found"),
        ("score", f"median {middle:.3f}, 5–95 % of rows {low:.3f}–{high:.3f}"),
        ("threshold", threshold_text(info.get("threshold", {}))),
    ]
    call = f"{key_added}{CALL_SUFFIX}"
    if call in adata.obs:
        numbers = adata.obs[call].value_counts()
        counted = ", ".join(f"{name} {n:,}" for name, n in numbers.items())
        rows.append(("calls", counted if numbers.sum() else "withheld: read the rank"))
    if "transfer" in info:
        rows.append(("transfer", str(info["transfer"]["verdict"])))
        rows += [("", str(reason)) for reason in info["transfer"]["reasons"]]
    rows.append(("note", RESEARCH_USE))
    findings(f"Scored {adata.n_obs:,} rows", rows)
