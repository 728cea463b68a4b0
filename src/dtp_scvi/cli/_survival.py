"""``dtp survival``: relate a score to survival."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003  (typer reads annotations when it runs)
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from dtp_scvi.cli import _options as opt
from dtp_scvi.cli._guard import guard

if TYPE_CHECKING:
    from anndata import AnnData

RESULT: Final = "survival.json"


def survival(
    ctx: typer.Context,
    data: opt.Scored,
    *,
    out: Annotated[Path, typer.Option("--out", help="Folder for tables and figure.")],
    clinical: Annotated[
        Path | None,
        typer.Option("--clinical", help="Table with columns that DATA lacks, as text."),
    ] = None,
    clinical_by: Annotated[
        str | None,
        typer.Option(
            "--clinical-by", help="Column of obs that --clinical names rows by; else row names."
        ),
    ] = None,
    time_key: Annotated[
        str, typer.Option("--time-key", help="Column with the time to event or loss.")
    ] = "time",
    event_key: Annotated[
        str, typer.Option("--event-key", help="Column: 1 where the event was seen, 0 where not.")
    ] = "event",
    score_key: Annotated[
        str, typer.Option("--score-key", help="Column of obs with the score.")
    ] = "dtp_logit",
    covariates: opt.Covariates = None,
    strata: Annotated[
        list[str] | None,
        typer.Option(
            "--strata", help="Column whose values have a baseline hazard each; repeatable."
        ),
    ] = None,
    cut: Annotated[
        str, typer.Option("--cut", help="median, tertiles or one score, fixed beforehand.")
    ] = "median",
    patient_key: opt.PatientKey = None,
    horizon: Annotated[
        list[float] | None,
        typer.Option("--horizon", help="Time of a time-dependent AUC; repeatable."),
    ] = None,
    n_boot: opt.PatientBoot = 1000,
    seed: opt.Seed = 0,
    table_format: opt.TableFormat = opt.Ending.CSV,
    overwrite: opt.Overwrite = False,
    debug: opt.Debug = False,
) -> None:
    """Relate a score to survival: hazard ratio per SD, its checks, and one prespecified split."""
    with guard(ctx, debug=debug):
        from dtp_scvi._validate import check_file
        from dtp_scvi.cli._outputs import new_folder
        from dtp_scvi.cli._screen import say

        _check_clinical(clinical, clinical_by)
        with new_folder(out, overwrite=overwrite, holds=RESULT) as room:
            check_file(data)  # before anything heavy is loaded
            from dtp_scvi import tl
            from dtp_scvi.cli import _cohort

            adata = _cohort.read_scored(data, names=(clinical_by, patient_key))
            keys = {"time_key": time_key, "event_key": event_key, "score_key": score_key}
            named = [*keys.values(), *(covariates or ()), *(strata or ())]
            if clinical is not None:
                joined = _cohort.join_clinical(
                    adata, clinical, clinical_by, named, patient_key=patient_key
                )
                say(joined)
            tl.survival(
                adata,
                **keys,
                covariates=tuple(covariates or ()),
                strata=tuple(strata or ()),
                cut=_word_or_number(cut),
                patient_key=patient_key,
                horizon=horizon or None,
                n_boot=n_boot,
                seed=seed,
            )
            write_survival(adata, room, table_format.value)
            report_survival(adata)
        say(f"Wrote {out}", style="bold")


def _check_clinical(clinical: Path | None, clinical_by: str | None) -> None:
    from dtp_scvi._validate import check_file, problem

    if clinical is not None:
        check_file(clinical)
    elif clinical_by is not None:
        msg = problem("`clinical_by` with `clinical` only", repr(clinical_by), "Leave it out.")
        raise ValueError(msg)


def _word_or_number(text: str) -> Any:
    """A number, or the word that tl.survival takes or refuses."""
    try:
        return float(text)
    except ValueError:
        return text


def write_survival(adata: AnnData, room: Path, ending: str) -> None:
    """Write tables, what they rest on and, where a split was made, the figure."""
    from dtp_scvi import pl
    from dtp_scvi._constants import SURVIVAL_KEY
    from dtp_scvi.cli import _cohort
    from dtp_scvi.cli._results import write_json

    result = adata.uns[SURVIVAL_KEY]
    tables = {"survival": result["table"], "kaplan_meier": result["km"], "cox": result["cox"]}
    _cohort.write_tables(tables, room, ending)
    if not result["params"]["no_split"]:
        _cohort.no_window()
        _cohort.save_figure(pl.survival(adata), room / "survival.png")
    content = {name: result[name] for name in ("simulated", "params")}
    write_json(room / RESULT, {**content, "table": result["table"].to_dict("records")})


def report_survival(adata: AnnData) -> None:
    """Say each row in its own sentence, in the order in which they can be trusted."""
    from dtp_scvi._constants import SURVIVAL_KEY
    from dtp_scvi.cli import _cohort
    from dtp_scvi.cli._screen import counted, findings

    result = adata.uns[SURVIVAL_KEY]
    params = result["params"]
    rows = [(str(row.term), str(row.sentence)) for row in result["table"].itertuples()]
    if params["no_split"]:
        rows.append(("figure", "none, for no split was made"))
    rows.append(("note", _cohort.NOTE))
    simulated = "SIMULATED DATA, " if result["simulated"] else ""
    patients = counted(params["n_patients"], "patient")
    title = f"{simulated}{params['score_key']} and survival: {patients}, "
    findings(f"{title}{counted(params['n_events'], 'event')}", rows)
