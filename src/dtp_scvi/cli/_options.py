"""Arguments that several commands share, so that one name means one thing."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[
    Path, typer.Argument(metavar="DATA", help="Cells or samples, as .h5ad.", show_default=False)
]
Scored = Annotated[
    Path,
    typer.Argument(
        metavar="DATA",
        help="Scored rows: .h5ad, or the table that dtp score wrote (.csv, .tsv).",
        show_default=False,
    ),
]
LabelsKey = Annotated[
    str, typer.Option("--labels-key", help="Column of obs with the class of each row.")
]
Positive = Annotated[
    str | None,
    typer.Option(
        "--positive",
        help="Class that the score is about; may be left out for boolean or 0/1 labels.",
    ),
]
DonorKey = Annotated[
    str | None,
    typer.Option("--donor-key", help="Column of obs with the donor; a donor is never split."),
]
PatientKey = Annotated[
    str | None,
    typer.Option("--patient-key", help="Column of obs with the patient, whose rows are averaged."),
]
Covariates = Annotated[
    list[str] | None,
    typer.Option("--covariates", help="Column of obs to hold fixed; repeatable."),
]
PatientBoot = Annotated[
    int, typer.Option("--n-boot", min=1, help="Resamples of patients for the intervals.")
]
BatchKey = Annotated[
    str | None, typer.Option("--batch-key", help="Column of obs with the batch (platform, study).")
]
AllowConfounded = Annotated[
    bool,
    typer.Option(
        "--allow-confounded", help="Accept batches that hold one class each; it is recorded."
    ),
]
Layer = Annotated[
    str | None,
    typer.Option("--layer", help="Layer that holds the expression; without it X. Never raw."),
]
ScaleName = Annotated[
    str,
    typer.Option(
        "--scale",
        help="Expression scale, such as counts or log1p_cp10k; auto detects it and says why.",
    ),
]
Gmt = Annotated[
    Path | None,
    typer.Option("--gmt", help="Gene programs, as GMT; without it co-expression modules."),
]
MaxEpochs = Annotated[
    int | None,
    typer.Option("--max-epochs", min=1, help="Most epochs of training; the model's default."),
]
Members = Annotated[
    int | None,
    typer.Option(
        "--members",
        min=1,
        help="Transformers to average, each stopped on another fifth of the data.",
    ),
]
Folds = Annotated[int, typer.Option("--folds", min=2, help="Number of folds.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Seed of everything that is random.")]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace an earlier result of this command.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]


class Ending(StrEnum):
    """How tables are written."""

    CSV = "csv"
    TSV = "tsv"


TableFormat = Annotated[Ending, typer.Option("--format", help="How tables are written.")]


class Direction(StrEnum):
    """What a high drug response means."""

    RESISTANT = "higher_is_resistant"
    SENSITIVE = "higher_is_sensitive"


class Guards(StrEnum):
    """What happens where a guard finds an error."""

    RAISE = "raise"
    WARN = "warn"


class Missing(StrEnum):
    """What stands in for a model gene that the input lacks."""

    MEAN = "mean"
    ZERO = "zero"
    ERROR = "error"


class Transfer(StrEnum):
    """Whether scoring checks that calls hold, or a verdict to use instead."""

    CHECK = "check"
    SKIP = "skip"
    CALLS = "calls"
    RECALIBRATE = "recalibrate"
    RANK_ONLY = "rank_only"


class Align(StrEnum):
    """How rows are brought to the training rows of a model of a response."""

    NONE = "none"
    MOMENTS = "moments"
    RANK = "rank"


class Rule(StrEnum):
    """How a threshold is chosen."""

    YOUDEN = "youden"
    F1 = "f1"
    MCC = "mcc"
    RECALL = "recall"
    FPR = "fpr"
    FIXED = "fixed"
