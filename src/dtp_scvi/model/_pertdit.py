"""PertDiT: conditional diffusion of the change that a drug makes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

from dtp_scvi._docs import docs
from dtp_scvi._scvi import init_params, setup_args
from dtp_scvi._validate import check_one_of, check_positive_int, check_range, problem
from dtp_scvi.model._perturbation import NetworkShape, PerturbationModel
from dtp_scvi.model._perturbation_drugs import DrugFeatures, Fingerprint
from dtp_scvi.module import (
    BACKBONES,
    OBJECTIVES,
    PREDICTIONS,
    SAMPLERS,
    TARGETS,
    Backbone,
    Objective,
    PertDiTModule,
    Prediction,
    Sampler,
    Target,
)

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

    from dtp_scvi.module import PerturbationModule

_WATCHED_STEPS = 10
# The fewest that tell the noise of samples from the error of their mean.
_WATCHED_SAMPLES = 2


@docs.dedent
class PertDiT(PerturbationModel):
    """Generates treated profiles by a diffusion Transformer conditioned on control and drug.

    A prediction is the mean of a few samples, whose spread comes with it. The defaults suit a
    laptop; :meth:`paper` is the published size.

    Other than published: what is diffused is standardised gene by gene; the change may be
    diffused in place of the profile; dose is a token of its own; one null condition is used in
    training and in sampling; a running mean of the weights is kept; every row has noise of its
    own, fixed by its name and the seed, whatever rows it is predicted with.

    Parameters
    ----------
    %(adata)s
    %(registry)s
    backbone
        ``"cross"``: genes look at the control, then at the drug. ``"cat"``: at one another, then
        at the drug. ``"catonly"``: at the drug alone. ``"ada"``: at one another, while drug and
        step shift, scale and gate.
    objective
        ``"ddpm"``; ``"edm"``, in a continuous noise level; ``"direct"``, the same network without
        diffusion, fitted by least squares.
    target
        ``"delta"`` or ``"post"``.
    prediction
        What the network of a ``"ddpm"`` puts out: ``"x0"`` or ``"eps"``.
    n_steps
        Steps of the ``"ddpm"`` schedule.
    fingerprint
        ``"bits"``, ``"counts"`` (as log1p) or ``None``.
    atoms
        Give the network each atom as a token.
    text_key
        Name of an embedded text (:func:`dtp_scvi.pp.embed_drug_text`), as tokens.
    use_dose
        Add a token of log10(dose + 1), where doses were set up.
    scale_by_dose
        Multiply the fingerprint by log10(dose + 1), as published.
    condition_dropout
        Share of training rows whose treatment is withheld.
    d_model, n_heads, n_layers, d_hidden
        Width of a token, heads, layers, hidden width of the perceptrons.
    start_at_zero
        Start the output at zero.

    References
    ----------
    Hu, Chen and Gu, PertDiT, 2025, PMC12806128.

    Examples
    --------
    >>> import dtp_scvi as dtp
    >>> wells = dtp.datasets.simulate_perturbation(2, n_drugs=10, n_genes=20)
    >>> dtp.model.PertDiT.setup_anndata(
    ...     wells,
    ...     drug_key="drug",
    ...     smiles_key="smiles",
    ...     dose_key="dose",
    ...     plate_key="plate",
    ...     cell_key="cell",
    ...     control_label="DMSO",
    ... )
    >>> dtp.pp.split_perturbation(wells, "drug")
    >>> model = dtp.model.PertDiT(wells, d_model=16, n_heads=2, n_steps=10)
    >>> model.train(max_epochs=1)
    >>> test = wells[wells.obs["split"] == "test"].copy()
    >>> mean, spread = model.predict(test, n_samples=2, return_std=True)
    >>> mean.shape == spread.shape == (24, 20)
    True
    """

    module: PertDiTModule
    PAPER: ClassVar[dict[str, Any]] = {
        "objective": "ddpm",
        "target": "post",
        "prediction": "eps",
        "n_steps": 50,
        "d_model": 256,
        "n_heads": 4,
        "n_layers": 2,
        "d_hidden": 256,
        "start_at_zero": False,
    }

    def __init__(
        self,
        adata: AnnData | None = None,
        registry: dict[str, Any] | None = None,
        *,
        backbone: Backbone = "cross",
        objective: Objective = "ddpm",
        target: Target = "delta",
        prediction: Prediction = "x0",
        n_steps: int = 50,
        fingerprint: Fingerprint | None = "bits",
        atoms: bool = False,
        text_key: str | None = None,
        use_dose: bool = True,
        scale_by_dose: bool = False,
        condition_dropout: float = 0.1,
        d_model: int = 64,
        n_heads: int = 4,
        n_layers: int = 2,
        d_hidden: int = 128,
        start_at_zero: bool = True,
    ) -> None:
        check_one_of(backbone, BACKBONES, "backbone")
        check_one_of(objective, OBJECTIVES, "objective")
        check_one_of(target, TARGETS, "target")
        check_one_of(prediction, PREDICTIONS, "prediction")
        check_positive_int(n_steps, "n_steps")
        check_range(condition_dropout, "condition_dropout", 0, 1)
        if d_model % n_heads:
            msg = problem("`d_model` to be a multiple of `n_heads`", f"{d_model}", "Change one.")
            raise ValueError(msg)
        if atoms and text_key is not None:
            msg = problem("`atoms` or `text_key` as tokens", "both", "Leave one out.")
            raise ValueError(msg)
        super().__init__(
            adata, registry, DrugFeatures(atoms=atoms, fingerprint=fingerprint, text=text_key)
        )
        arguments = setup_args(self.registry_)
        if scale_by_dose and arguments["dose_key"] is None:
            msg = problem("doses with scale_by_dose=True", "none set up", "Pass dose_key.")
            raise ValueError(msg)
        self._architecture: dict[str, Any] = {
            "backbone": backbone,
            "objective": objective,
            "target": target,
            "prediction": prediction,
            "n_steps": n_steps,
            "condition_dropout": condition_dropout,
            "d_model": d_model,
            "n_heads": n_heads,
            "n_layers": n_layers,
            "d_hidden": d_hidden,
            "start_at_zero": start_at_zero,
            "use_dose": use_dose and arguments["dose_key"] is not None,
            "use_time": arguments["time_key"] is not None,
            "scale_by_dose": scale_by_dose,
        }
        self._build()
        self.init_params_ = init_params(self, locals())

    @classmethod
    def paper(cls, adata: AnnData, *, backbone: Backbone = "cross", **changes: Any) -> Self:
        """Return a published configuration: d 256, 4 heads, 2 layers, 50 steps, noise predicted.

        With 978 genes and 1,024 features of a drug these have 2.16 M (``"cross"``, ``"cat"``),
        1.64 M (``"catonly"``) and 2.42 M (``"ada"``) parameters. Published inputs are embedded
        texts (``text_key``), or for ``"ada"`` a fingerprint scaled by dose.

        Parameters
        ----------
        adata
            Data that were set up.
        backbone
            As in the class.
        **changes
            Arguments of the class that differ.
        """
        of_drug: dict[str, Any] = {}
        if "text_key" in changes:
            of_drug = {"fingerprint": None}
        return cls(adata, **{**cls.PAPER, "backbone": backbone, **of_drug, **changes})

    def _new_module(self, shape: NetworkShape) -> PerturbationModule:
        return PertDiTModule(shape.n_genes, shape.drugs, **self._architecture)

    def _watching(self) -> dict[str, Any]:
        if self._architecture["objective"] == "direct":
            return {}
        steps = _WATCHED_STEPS
        if self._architecture["objective"] == "ddpm":
            steps = min(steps, self._architecture["n_steps"])
        return {"n_steps": steps, "n_samples": _WATCHED_SAMPLES}

    @docs.dedent
    def predict(  # type: ignore[override]
        self,
        adata: AnnData | None = None,
        *,
        return_delta: bool = True,
        return_std: bool = False,
        n_samples: int = 4,
        n_steps: int | None = None,
        sampler: Sampler = "auto",
        guidance: float = 1.0,
        seed: int = 0,
        batch_size: int = 128,
        verbose: bool = False,
    ) -> pd.DataFrame | tuple[pd.DataFrame, pd.DataFrame]:
        """Predict what the drug does to the control of each row; the row itself is not looked at.

        A single sample has twice the expected squared error of the mean of all; the mean of n has
        1 + 1/n times it.

        Parameters
        ----------
        %(adata)s
            Rows need paired controls (:func:`dtp_scvi.pp.pair_controls`); drugs that the model was
            not trained on need SMILES. The training data by default.
        return_delta
            The change against the control; otherwise control plus change.
        return_std
            Return the standard deviation over samples as well.
        n_samples
            Samples to average.
        n_steps
            Steps of ``"ddim"``, at most those of the schedule, and of ``"heun"``; by default 10,
            or all of a shorter schedule.
        sampler
            ``"ddim"`` or ``"ddpm"`` (all steps); ``"heun"`` for ``"edm"``; ``"auto"``: the first
            that fits the model.
        guidance
            1 samples from the condition as it is; more exaggerates it.
        seed
            Seed of the noise.
        %(batch_size)s
        %(verbose)s

        Returns
        -------
        Rows x genes of the model, float32, indexed by row names; with ``return_std`` mean and
        deviation. Control rows get no change.

        Raises
        ------
        RuntimeError
            When the model was not trained.
        KeyError, ValueError
            When a column or gene is missing, a drug has no structure, or an option does not fit.
        """
        n_steps = self._watching().get("n_steps", _WATCHED_STEPS) if n_steps is None else n_steps
        self._check_sampling(n_samples, n_steps, sampler, return_std=return_std)
        sampling = {
            "n_samples": n_samples,
            "n_steps": n_steps,
            "sampler": sampler,
            "guidance": guidance,
        }
        mean, spread = self._predict(
            adata,
            sampling,
            return_delta=return_delta,
            batch_size=batch_size,
            seed=seed,
            verbose=verbose,
        )
        return (mean, spread) if return_std else mean

    def _check_sampling(
        self, n_samples: int, n_steps: int, sampler: str, *, return_std: bool
    ) -> None:
        check_positive_int(n_samples, "n_samples")
        check_positive_int(n_steps, "n_steps")
        objective, most = self._architecture["objective"], self._architecture["n_steps"]
        check_one_of(sampler, ("auto", *SAMPLERS[objective]), "sampler")
        if objective == "ddpm" and sampler != "ddpm" and n_steps > most:
            msg = problem(
                f"`n_steps` of at most {most}", f"{n_steps}", "The schedule has no more."
            )
            raise ValueError(msg)
        if return_std and (objective == "direct" or n_samples == 1):
            what = 'objective="direct"' if objective == "direct" else "n_samples=1"
            msg = problem("several samples with return_std=True", what, "There is no spread.")
            raise ValueError(msg)
