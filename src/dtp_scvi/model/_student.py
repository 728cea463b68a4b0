"""The student: a small network on a gene panel that gives a teacher's scores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd

from dtp_scvi._constants import STUDENT, TEACHER
from dtp_scvi._docs import docs
from dtp_scvi._scvi import init_params
from dtp_scvi._validate import check_positive_int, check_range, problem
from dtp_scvi.data import Scale
from dtp_scvi.model._checks import check_same_genes
from dtp_scvi.model._classifier import ExpressionClassifier
from dtp_scvi.model._evidence import space_reference
from dtp_scvi.model._imitation import imitation_rows
from dtp_scvi.model._student_fit import measured_fidelity, stable_panel, start_student
from dtp_scvi.model._training_data import read_training_data
from dtp_scvi.module import StudentModule
from dtp_scvi.nn import seeded
from dtp_scvi.train import DistillPlan, SparseBatches, panel_table, run_plan

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import torch
    from anndata import AnnData

    from dtp_scvi.model._transformer import DTPTransformer

_MIXTURES = 32
NUISANCE = ("ribosomal", "mitochondrial", "sex", "haemoglobin", "dissociation")


@docs.dedent
class DTPStudent(ExpressionClassifier):
    r"""Student: a linear model plus a small perceptron on a panel of genes.

    The panel is chosen from the training cells alone, by the teacher's attributions averaged per
    donor and their stability over half-samples of the donors. No gene is forced in. The student
    is fitted to the teacher's logits on training cells and on mixtures of them.

    Parameters
    ----------
    %(adata)s
    %(registry)s
    n_genes
        Size of the panel.
    n_directions
        Directions of the panel that the perceptron sees.
    n_hidden
        Widths of the perceptron.
    dropout
        Dropout rate, 0 to 1.

    Attributes
    ----------
    genes_
        The panel, once trained.
    panel_
        Panel genes with ``importance`` and selection ``frequency``.
    stability_
        ``jaccard``: mean Jaccard index of the top genes of two donors; ``n_excluded``: genes left
        out by kind.
    fidelity_
        Spearman, agreement at the threshold and Cohen's kappa with the teacher, on rows that the
        student was not fitted to.

    Examples
    --------
    >>> import dtp_scvi as dtp
    >>> cells = dtp.datasets.simulate_cells(300, 200, n_donors=4)
    >>> dtp.model.DTPTransformer.setup_anndata(
    ...     cells, "state", positive="drug_tolerant", layer="counts", donor_key="donor"
    ... )
    >>> teacher = dtp.model.DTPTransformer(cells, n_programs=8)
    >>> teacher.train(max_epochs=2, verbose=False)
    >>> student = teacher.distill(n_genes=50, max_epochs=2, verbose=False)
    >>> len(student.genes_)
    50
    """

    _saved: ClassVar[tuple[str, ...]] = (
        "panel_rows_",
        "stability_",
        "fidelity_",
        "teacher_id_",
        "history_rows_",
    )

    def __init__(
        self,
        adata: AnnData | None = None,
        registry: dict[str, Any] | None = None,
        *,
        n_genes: int = 1000,
        n_directions: int = 32,
        n_hidden: Sequence[int] = (64, 32),
        dropout: float = 0.1,
    ) -> None:
        super().__init__(adata, registry)
        check_positive_int(n_genes, "n_genes")
        check_range(n_genes, "n_genes", 1, len(self.genes_))
        check_range(dropout, "dropout", 0, 0.95)
        check_positive_int(n_directions, "n_directions")
        n_hidden = tuple(int(width) for width in n_hidden)
        self._architecture: dict[str, Any] = {
            "n_directions": n_directions,
            "n_hidden": n_hidden,
            "dropout": dropout,
        }
        self.n_genes = n_genes
        self.module = self._new_module()
        self.panel_rows_: list[dict[str, Any]] = []
        self.stability_: dict[str, Any] = {}
        self.fidelity_: dict[str, Any] = {}
        self.teacher_id_ = ""
        self.init_params_ = init_params(self, locals())

    def _new_module(self, seed: int = 0, n_space: int = 0) -> StudentModule:
        with seeded(seed):
            return StudentModule(
                self.n_genes, len(self.classes_), n_space=n_space, **self._architecture
            )

    def _fit_module_to(self, state: dict[str, torch.Tensor]) -> None:
        self.module = self._new_module(n_space=len(state["space_bias"]))

    @property
    def panel_(self) -> pd.DataFrame:
        """Panel genes, most important first."""
        return pd.DataFrame(self.panel_rows_, columns=["gene", "importance", "frequency"])

    @docs.dedent
    def train(
        self,
        teacher: DTPTransformer | None = None,
        max_epochs: int = 25,
        *,
        indices: np.ndarray | None = None,
        alpha: float = 1.0,
        temperature: float = 2.0,
        exclude: Sequence[str] = NUISANCE,
        mixtures: int = _MIXTURES,
        batch_size: int = 512,
        lr: float = 5e-3,
        weight_decay: float = 1e-3,
        patience: int = 8,
        seed: int = 0,
        accelerator: str = "auto",
        devices: Any = "auto",
        verbose: bool = True,
    ) -> None:
        r"""Choose the panel and imitate a teacher.

        The loss is :math:`(1-\alpha)\,CE + \alpha T^2\, KL(teacher_T \| student_T)`; mixtures have
        no label and enter the second term only. A fifth of the donors is held out of the fit (not
        of the choice of genes) for early stopping and ``fidelity_``.

        Parameters
        ----------
        teacher
            Trained teacher; one is trained on the same rows when left out.
        max_epochs
            Most epochs.
        indices
            Rows to use; all by default.
        alpha
            Weight of the teacher against the labels, 0 to 1. At the default the student sees the
            labels through the teacher only, which is the most faithful.
        temperature
            Temperature of both distributions, above 0.
        exclude
            Kinds of :func:`dtp_scvi.data.nuisance_genes` that stay out of the panel.
        mixtures
            Mixtures of two training rows per row, at most 30,000 in all.
        %(one_cycle)s
        patience
            Epochs without improvement before training stops.
        %(run_options)s

        Raises
        ------
        ValueError
            When the panel can't be filled, or the teacher has other genes or classes.
        """
        check_positive_int(max_epochs, "max_epochs")
        check_positive_int(batch_size, "batch_size")
        check_range(mixtures, "mixtures", 0)
        check_range(alpha, "alpha", 0, 1)
        check_range(temperature, "temperature", 0, inclusive=False)
        self._own_adata()
        if teacher is None:
            teacher = self._own_teacher(
                indices, seed=seed, accelerator=accelerator, verbose=verbose
            )
        self._check_teacher(teacher)
        given = read_training_data(self, indices, seed)
        panel, self.stability_ = stable_panel(teacher, given, self.n_genes, exclude, seed)
        train, held_out = given.inner.folds[0]
        data, train, coordinates = imitation_rows(teacher, given, train, panel, mixtures, seed)
        module = self._new_module(seed, teacher.module.n_space)
        start_student(module, teacher, data, train, coordinates, panel, Scale(self.scale_))
        self.module = module
        batches = SparseBatches(data, train, held_out, batch_size=batch_size, thin=0.0, seed=seed)
        plan = DistillPlan(
            self.module,
            alpha=alpha,
            temperature=temperature,
            lr=lr,
            weight_decay=weight_decay,
            n_steps=max_epochs * batches.n_batches,
            patience=patience,
        )
        table = run_plan(
            self,
            plan,
            batches,
            max_epochs=max_epochs,
            seed=seed,
            accelerator=accelerator,
            devices=devices,
            description="student",
            verbose=verbose,
        )
        self.module.to("cpu").eval()
        self.history_rows_ = table.assign(member=0).to_dict("records")
        self.genes_ = np.asarray(teacher.genes_)[panel.genes]
        self.panel_rows_ = panel_table(panel, teacher.genes_.tolist()).to_dict("records")
        self.threshold_, self.teacher_id_ = dict(teacher.threshold_), teacher.id_
        # The student's own held-out rows were in the teacher's linear part; the teacher's were not.
        self.calibration_, self.score_reference_ = teacher.calibration_, teacher.score_reference_
        self.space_reference_ = space_reference(
            self.module,
            given.matrix[:, panel.genes],
            given.total,
            given.scale,
            given.codes,
            given.donors,
        )
        # A promise of coverage holds for the scores that it was fitted on, not for an imitation.
        self.conformal_ = None
        self._record(given, seed)
        self.notes_ = {**teacher.notes_, **self.notes_}
        found = measured_fidelity(self, data, held_out)
        self.fidelity_ = {**found, "held_out": given.inner.unit}
        self.is_trained_ = True

    def _own_teacher(self, indices: np.ndarray | None, **kwargs: Any) -> DTPTransformer:
        from dtp_scvi.model._transformer import DTPTransformer

        DTPTransformer.setup_anndata(self.adata, **self.registry_["setup_args"])
        teacher = DTPTransformer(self.adata)
        teacher.train(indices=indices, **kwargs)
        return teacher

    def _column_in(self, result: Mapping[str, Any]) -> str | None:
        distilled = STUDENT in result["scores"] and result["params"]["model"] == TEACHER
        return STUDENT if distilled else super()._column_in(result)

    def _check_teacher(self, teacher: DTPTransformer) -> None:
        teacher._check_trained()
        check_same_genes(self.adata, teacher.genes_.tolist())
        if teacher.classes_ != self.classes_ or teacher.positive_ != self.positive_:
            msg = problem(
                f"a teacher of {', '.join(self.classes_)} (positive: {self.positive_})",
                f"one of {', '.join(teacher.classes_)} (positive: {teacher.positive_})",
                "Set up both on the same labels.",
            )
            raise ValueError(msg)
