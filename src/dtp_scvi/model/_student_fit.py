"""The panel of a student, where its network starts, and how well it imitates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from dtp_scvi.data import Scale, draw_rows, scale_kind
from dtp_scvi.module import one_against_rest
from dtp_scvi.stats import fidelity, logit
from dtp_scvi.train import Panel, choose_panel, gene_attributions, log_rows, ridge_start

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dtp_scvi.model._student import DTPStudent
    from dtp_scvi.model._training_data import TrainingData
    from dtp_scvi.model._transformer import DTPTransformer
    from dtp_scvi.module import StudentModule
    from dtp_scvi.train import Rows

_DONOR_CELLS = 250
_MOST_RIDGE_ROWS = 60_000


def stable_panel(
    teacher: DTPTransformer,
    given: TrainingData,
    n_genes: int,
    exclude: Sequence[str],
    seed: int,
) -> tuple[Panel, dict[str, Any]]:
    """Average attributions per donor and pick the panel; say how far donors agree on it."""
    rng = np.random.default_rng(seed)
    groups = np.zeros(len(given.codes), int) if given.donors is None else given.donors
    by_donor, detected = [], []
    for donor in np.unique(groups):
        here = np.flatnonzero(groups == donor)
        here = here[draw_rows(len(here), None, _DONOR_CELLS, rng)]
        rows, kind = given.matrix[here], scale_kind(given.scale)
        output = teacher._positive_output
        by_donor.append(gene_attributions(teacher.module, rows, given.total[here], kind, output))
        detected.append(rows.getnnz(axis=0) > 0)
    panel = choose_panel(
        np.stack(by_donor),
        np.stack(detected),
        teacher.genes_.tolist(),
        n_genes,
        exclude=exclude,
        seed=seed,
    )
    stability = {
        "jaccard": panel.jaccard,
        "n_donors": len(by_donor),
        "n_excluded": panel.n_excluded,
    }
    return panel, stability


def start_student(
    module: StudentModule,
    teacher: DTPTransformer,
    data: Rows,
    train: np.ndarray,
    coordinates: np.ndarray,
    panel: Panel,
    scale: Scale,
) -> None:
    """Start a network from ridge regressions on what the teacher computes.

    Its linear skip regresses the teacher's outputs, its directions the teacher's program
    coordinates where these count. The space is the first member's in any case.
    """
    train = train[:_MOST_RIDGE_ROWS]
    n_measured = int((data.labels[train] >= 0).sum())
    log = log_rows(data.matrix[train], data.total[train], scale)
    n_outputs = data.offset.shape[1]
    target = np.hstack([data.offset[train], coordinates[train]])
    start = ridge_start(log, target, n_measured)
    space = slice(n_outputs, n_outputs + teacher.module.n_space)
    module.set_basis(start.mean, start.sd, start.weight[:, :n_outputs], start.bias[:n_outputs])
    module.set_space(start.weight[:, space], start.bias[space])
    own = space.start if 0 in teacher.module.live_members else space.stop
    module.start_directions(start.weight[:, own:], start.bias[own:])
    importance = panel.importance[panel.genes].astype(np.float32)
    module.importance.copy_(torch.from_numpy(importance))


@torch.no_grad()
def measured_fidelity(model: DTPStudent, data: Rows, held_out: np.ndarray) -> dict[str, Any]:
    """Compare with the teacher on rows the student was not fitted to."""
    positive = model.classes_.index(model.positive_)
    raw = model.module.raw_logits(data.batch(held_out))
    student = one_against_rest(raw.double())[:, positive].numpy()
    outputs = torch.from_numpy(data.offset[held_out]).double()
    teacher = one_against_rest(outputs)[:, positive].numpy()
    # The threshold is one on calibrated probabilities; their logit keeps every rank.
    cut = float(logit(np.array([model.threshold_["value"]]))[0])
    both = [logit(model.calibrated(column)) for column in (teacher, student)]
    return fidelity(*both, teacher_threshold=cut, student_threshold=cut)
