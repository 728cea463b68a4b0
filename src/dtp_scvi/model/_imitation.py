"""What a student imitates: a teacher's outputs on measured rows and on mixtures of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp
import torch

from dtp_scvi.data import Scale, scale_kind
from dtp_scvi.module import sparse_batch
from dtp_scvi.train import Rows, mix_rows

if TYPE_CHECKING:
    from dtp_scvi.model._training_data import TrainingData
    from dtp_scvi.model._transformer import DTPTransformer
    from dtp_scvi.train import Panel

MOST_MIXTURES = 30_000


def imitation_rows(
    teacher: DTPTransformer,
    given: TrainingData,
    train: np.ndarray,
    panel: Panel,
    mixtures: int,
    seed: int,
) -> tuple[Rows, np.ndarray, np.ndarray]:
    """
    Stack measured rows and mixtures of the rows to fit on, cut to the panel.

    Returns
    -------
    The rows with the teacher's raw outputs, the positions to fit on, and the teacher's program
    coordinates of every row. Mixtures have the class -1.
    """
    matrix, total, codes = given.matrix, given.total, given.codes
    kind = scale_kind(given.scale)
    raw, seen = teacher_outputs(teacher, matrix, total, kind)
    n_mixed = min(mixtures * len(train), MOST_MIXTURES)
    if not n_mixed or kind != "linear":
        return Rows(matrix[:, panel.genes], total, codes, raw, kind), train, seen
    mixed = mix_rows(
        matrix[train],
        given.scale,
        n_mixed,
        counts=given.scale is Scale.COUNTS,
        rng=np.random.default_rng(seed),
    )
    mixed_total = np.maximum(np.asarray(mixed.sum(axis=1)).ravel(), 1.0)
    more, also_seen = teacher_outputs(teacher, mixed, mixed_total, kind)
    data = Rows(
        sp.vstack([matrix[:, panel.genes], mixed[:, panel.genes]], format="csr"),
        np.concatenate([total, mixed_total]),
        np.concatenate([codes, np.full(n_mixed, -1)]),
        np.vstack([raw, more]),
        kind,
    )
    train = np.concatenate([train, np.arange(len(codes), len(data.labels))])
    return data, train, np.vstack([seen, also_seen])


@torch.inference_mode()
def teacher_outputs(
    teacher: DTPTransformer, matrix: sp.csr_matrix, total: np.ndarray, kind: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return a teacher's raw outputs and its members' program coordinates, both by row.

    Coordinates are those of the first member, which span the space that queries are compared in,
    then those of the other members whose residual counts.

    Rows are in the order of the teacher's genes.
    """
    module = teacher.module
    raws, coordinates = [], []
    members = sorted({0, *module.live_members})
    for start in range(0, matrix.shape[0], 1024):
        part = slice(start, start + 1024)
        batch = sparse_batch(matrix[part], total[part], kind)
        raws.append(module.raw_logits(batch).numpy())
        seen = [module.coordinates(batch, m).flatten(1).numpy() for m in members]
        coordinates.append(np.hstack(seen))
    return np.concatenate(raws).astype(np.float32), np.concatenate(coordinates)
