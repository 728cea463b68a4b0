"""``dtp drugs``: correlate a score with measured drug response."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003  (typer reads annotations when it runs)
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from dtp_scvi.cli import _options as opt
from dtp_scvi.cli._guard import guard

if TYPE_CHECKING:
    from collections.abc import Mapping

    from anndata import AnnData

RESULT: Final = "drug_response.json"
# Controls that are taken from the expression.
_OF_GENES: Final = ("random_panels", "library_size")
_SHOWN: Final = 10


def drugs(
    ctx: typer.Context,
    data: opt.Scored,
    *,
    out: Annotated[Path, typer.Option("--out", help="Folder for tables and figures.")],
    auc: Annotated[
        Path | None,
        typer.Option("--auc", help="Drug response where DATA has none: rows x drugs, as text."),
    ] = None,
    auc_by: Annotated[
        str | None,
        typer.Option("--auc-by", help="Column of obs that --auc names rows by; else row names."),
    ] = None,
    auc_key: Annotated[
        str, typer.Option("--auc-key", help="Table of obsm with the drug response.")
    ] = "drug_auc",
    score_key: Annotated[
        str, typer.Option("--score-key", help="Column of obs with the score.")
    ] = "dtp_score",
    patient_key: opt.PatientKey = None,
    covariates: opt.Covariates = None,
    direction: Annotated[
        opt.Direction, typer.Option("--direction", help="What a high drug response means.")
    ] = opt.Direction.RESISTANT,
    min_patients: Annotated[
        int, typer.Option("--min-patients", min=15, help="Drugs with fewer are not tested.")
    ] = 50,
    controls: Annotated[
        list[str] | None,
        typer.Option(
            "--controls",
            help="Negative control: permuted, library_size, random_panels, or a numeric column "
            "of obs; repeatable.",
        ),
    ] = None,
    panel_size: Annotated[
        int | None,
        typer.Option("--panel-size", min=1, help="Genes of a random panel: as many as the score."),
    ] = None,
    layer: Annotated[
        str | None, typer.Option("--layer", help="Layer with the expression, for the controls.")
    ] = None,
    auc_range: Annotated[
        tuple[float, float] | None,
        typer.Option("--auc-range", help="Least and largest value of the source's scale."),
    ] = None,
    guards: Annotated[
        opt.Guards,
        typer.Option("--guards", help="raise, or warn and go on, where responses look made up."),
    ] = opt.Guards.RAISE,
    n_boot: opt.PatientBoot = 1000,
    n_permutations: Annotated[
        int, typer.Option("--n-permutations", min=1, help="Permutations behind the pooled p.")
    ] = 1000,
    seed: opt.Seed = 0,
    table_format: opt.TableFormat = opt.Ending.CSV,
    overwrite: opt.Overwrite = False,
    quiet: opt.Quiet = False,
    debug: opt.Debug = False,
) -> None:
    """Correlate a score with ex-vivo drug response, drug by drug and over all drugs."""
    with guard(ctx, debug=debug):
        from dtp_scvi._validate import check_file
        from dtp_scvi.cli._outputs import new_folder
        from dtp_scvi.cli._screen import say

        named = control_options(controls or [], panel_size, layer)
        _check_auc(auc, auc_by)
        with new_folder(out, overwrite=overwrite, holds=RESULT) as room:
            check_file(data)  # before anything heavy is loaded
            from dtp_scvi import tl
            from dtp_scvi.cli import _cohort

            of_genes = any(name in named for name in _OF_GENES)
            adata = _cohort.read_scored(data, matrix=of_genes, names=(auc_by, patient_key))
            if auc is not None:
                say(_cohort.join_responses(adata, auc, auc_key, auc_by))
            tl.drug_response(
                adata,
                score_key=score_key,
                auc_key=auc_key,
                patient_key=patient_key,
                covariates=tuple(covariates or ()),
                direction=direction.value,
                min_patients=min_patients,
                controls=named,
                auc_range=auc_range,
                guards=guards.value,
                n_boot=n_boot,
                n_permutations=n_permutations,
                seed=seed,
                verbose=not quiet,
            )
            write_drugs(adata, room, table_format.value)
            report_drugs(adata)
        say(f"Wrote {out}", style="bold")


def control_options(
    names: list[str], panel_size: int | None, layer: str | None
) -> dict[str, dict[str, Any]]:
    """Return the controls with their options as tl.drug_response takes them."""
    from dtp_scvi._validate import problem, shorten

    found: dict[str, dict[str, Any]] = {name: {} for name in names}
    if ("random_panels" in found) != (panel_size is not None):
        given = "without it" if panel_size is None else f"it and controls {shorten(names)}"
        msg = problem(
            "`panel_size` with the control random_panels, and only there",
            f"{'random_panels ' * (panel_size is None)}{given}",
            "Name the number of genes of the score's own panel, or leave both out.",
        )
        raise ValueError(msg)
    if layer is not None and not any(name in found for name in _OF_GENES):
        msg = problem(
            f"`layer` with a control that is taken from genes ({', '.join(_OF_GENES)})",
            f"controls {shorten(names)}",
            "Leave out `layer`: the score is a column of obs.",
        )
        raise ValueError(msg)
    for name in _OF_GENES:
        if name in found:
            found[name]["layer"] = layer
    if panel_size is not None:
        found["random_panels"]["panel_size"] = panel_size
    return found


def _check_auc(auc: Path | None, auc_by: str | None) -> None:
    from dtp_scvi._validate import check_file, problem

    if auc is not None:
        check_file(auc)
    elif auc_by is not None:
        msg = problem("`auc_by` with `auc` only", repr(auc_by), "Leave it out.")
        raise ValueError(msg)


def write_drugs(adata: AnnData, room: Path, ending: str) -> None:
    """Write tables, figures and what the result rests on."""
    from dtp_scvi import pl
    from dtp_scvi._constants import DRUG_RESPONSE_KEY
    from dtp_scvi.cli import _cohort
    from dtp_scvi.cli._results import write_json

    result = adata.uns[DRUG_RESPONSE_KEY]
    controls = result["controls"]
    tables = {"drugs": result["table"], "pooled": result["pooled"], "guards": result["guards"]}
    if controls:
        tables |= {"controls": controls["table"], "controls_by_drug": controls["drugs"]}
    _cohort.write_tables(tables, room, ending)
    _cohort.no_window()
    _cohort.save_figure(pl.drug_response(adata), room / "drugs.png")
    if controls:
        _cohort.save_figure(pl.null_controls(adata), room / "controls.png")
    parts = ("meta_analysis", "mixed_model", "params")
    content: dict[str, Any] = {"pooled": result["pooled"].to_dict("records")}
    write_json(room / RESULT, content | {name: result[name] for name in parts if name in result})


def report_drugs(adata: AnnData) -> None:
    """Say what was found over all drugs, and for those furthest from 0."""
    from dtp_scvi._constants import DRUG_RESPONSE_KEY
    from dtp_scvi.cli import _cohort
    from dtp_scvi.cli._screen import counted, findings

    result = adata.uns[DRUG_RESPONSE_KEY]
    table, params = result["table"], result["params"]
    tested = table[table["tested"]]
    furthest = tested.loc[tested["rho"].abs().sort_values(ascending=False).index[:_SHOWN]]
    pooled = result["pooled"].set_index("estimator").loc["within_drug"]
    rows = [("all drugs", _correlation(pooled, "value", "p"))]
    rows += [
        (str(row["drug"]), f"{_correlation(row, 'rho', 'q')}, n = {row['n']:,}")
        for _, row in furthest.sort_values("rho", ascending=False).iterrows()
    ]
    if len(tested) > len(furthest):
        rows.append(("", f"and {len(tested) - len(furthest):,} nearer to 0"))
    if len(table) > len(tested):
        left = counted(len(table) - len(tested), "drug")
        rows.append(("not tested", f"{left}; the table says why"))
    for _, row in result["controls"]["table"].iterrows() if result["controls"] else ():
        text = f"{row['value']:.2f} [{row['low']:.2f}, {row['high']:.2f}]"
        rows.append(
            (str(row["control"]), f"{text}; by distance from 0 the score ranks {row['rank']:,}")
        )
    simulated = "SIMULATED DATA, " if params["simulated"] else ""
    rows.append(("note", _cohort.NOTE))
    title = (
        f"{simulated}{params['score_key']} and {counted(len(tested), 'drug')} in "
        f"{counted(params['n_patients'], 'patient')}; above 0, a higher score is more resistant"
    )
    findings(title, rows)


def _correlation(row: Mapping[str, Any], value: str, p: str) -> str:
    from dtp_scvi.cli._cohort import p_text

    return f"{row[value]:.2f} [{row['low']:.2f}, {row['high']:.2f}], {p_text(p, row[p])}"
