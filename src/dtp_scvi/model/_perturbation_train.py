"""Training of a model of drug effects, from the start or from another model's weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from dtp_scvi._constants import SPLIT_KEY
from dtp_scvi._docs import docs
from dtp_scvi._logging import warn
from dtp_scvi._scvi import setup_args
from dtp_scvi._validate import problem, shorten
from dtp_scvi.model._bundle import read_meta_of, read_weights
from dtp_scvi.model._perturbation_data import describe_treated, three_parts
from dtp_scvi.model._perturbation_fit import PerturbationFit, fit_perturbation
from dtp_scvi.model._perturbation_network import PerturbationNetwork
from dtp_scvi.model._perturbation_start import take_over

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    import torch
    from anndata import AnnData


class PerturbationTraining(PerturbationNetwork):
    """The part of :class:`PerturbationModel` that trains, and takes over what was trained."""

    @docs.dedent
    def train(
        self,
        max_epochs: int = 50,
        *,
        split_key: str = SPLIT_KEY,
        indices: tuple[Sequence[int], Sequence[int], Sequence[int]] | None = None,
        batch_size: int = 32,
        lr: float | None = None,
        weight_decay: float = 0.01,
        patience: int = 10,
        ema: float = 0.999,
        n_watched: int = 512,
        seed: int = 0,
        accelerator: str = "auto",
        devices: Any = "auto",
        verbose: bool = False,
    ) -> None:
        """Fit to the training part; the validation part picks the epoch, the test part is unseen.

        A network that :meth:`load_pretrained` filled goes on from there, its moments of genes and
        edges of values included; otherwise a new one is drawn from ``seed``. AdamW, one cycle,
        gradients clipped at 1.

        Parameters
        ----------
        max_epochs
            Most epochs.
        split_key
            Column of ``adata.obs`` with ``train``, ``valid`` and ``test``, from
            :func:`dtp_scvi.pp.split_perturbation`.
        indices
            Rows to train, to validate and to test on, in place of ``split_key``.
        batch_size
            Training rows a step.
        lr
            Peak learning rate; 1e-3 by default.
        weight_decay
            Of AdamW.
        patience
            Epochs without a lower error before training ends.
        ema
            Weight of the past in the running mean of weights that is kept; 0 for none.
        n_watched
            Most validation rows to watch, drawn evenly over drugs.
        %(run_options)s

        Raises
        ------
        KeyError
            When there is no such column.
        ValueError
            When a part is missing or empty, parts share rows, or a number is out of range.
        """
        adata, arguments = self._own_adata(), setup_args(self.registry_)
        options = PerturbationFit(
            max_epochs=max_epochs,
            batch_size=batch_size,
            lr=self._lr if lr is None else lr,
            weight_decay=weight_decay,
            patience=patience,
            ema=ema,
            n_watched=n_watched,
            seed=seed,
            accelerator=accelerator,
            devices=devices,
            verbose=verbose,
            sampling=self._watching(),
        )
        train, valid = three_parts(adata, split_key, indices)
        data = self._rows(adata, self.drugs_, values=True, seed=seed)
        module = self._fresh(seed)
        if self._started:
            module.load_state_dict(self.module.state_dict())
        else:
            self._start_from(module, data, train)
        table, evaluation = fit_perturbation(module, data, train, valid, options)
        self.module = module
        self.history_rows_ = table.to_dict("records")
        self.data_ = describe_treated(adata, arguments, data, train)
        self.evaluation_, self.protocol_, self.seed_ = evaluation, options.protocol, seed
        self.is_trained_ = True

    def load_pretrained(self, dir_path: str | Path, *, strict: bool = False) -> pd.DataFrame:
        """Take over the weights of a saved model of this class; :meth:`train` goes on from them.

        Vectors of genes and of cell lines are matched by name. The drugs are those of the present
        data. Moments of genes and edges of values come with the weights, so that the network goes
        on reading values as it was trained to.

        Parameters
        ----------
        dir_path
            Directory that :meth:`save` wrote.
        strict
            Raise where anything can't be taken over.

        Returns
        -------
        What was not taken over, indexed by tensor: its ``shape``, and in ``kept`` the share that
        is as it was. It is warned of, and stays in :attr:`reinitialised_`.

        Raises
        ------
        FileNotFoundError, ValueError
            When there is no such model, it is damaged or of another class; with ``strict``, when
            a tensor is left.
        """
        path = Path(dir_path)
        meta = read_meta_of(path, type(self).__name__, "Name another path.")
        attributes = meta["attributes"]
        return self._take(
            read_weights(path, meta), meta["genes"], attributes["cells_"], strict=strict
        )

    def _take(
        self,
        state: Mapping[str, torch.Tensor],
        genes: Sequence[str],
        cells: Sequence[str],
        *,
        strict: bool,
    ) -> pd.DataFrame:
        module = self._fresh(0)
        left = take_over(
            module,
            state,
            genes=(self.genes_.tolist(), list(genes)),
            cells=(self.cells_, list(cells)),
        )
        if len(left):
            listed = [f"{name} {row['shape']}: {row['kept']:.0%}" for name, row in left.iterrows()]
            if strict:
                msg = problem(
                    "every tensor of the pretrained model to fit",
                    f"{len(left):,} that do not ({shorten(listed, 20)})",
                    "Make the model with the same options, or pass strict=False.",
                )
                raise ValueError(msg)
            warn(f"{len(left):,} tensors start anew, in full or in part: {shorten(listed, 20)}.")
        self.module, self.reinitialised_, self._started = module, left, True
        return left

    def fine_tune(self, adata: AnnData, *, lr: float | None = None, **train_kwargs: Any) -> Self:
        """Return a model of other data that starts from this one, which stays as it is.

        Parameters
        ----------
        adata
            Data that were set up for this class, such as clinical pairs.
        lr
            Peak learning rate; a quarter of that of :meth:`train` by default.
        **train_kwargs
            Arguments of :meth:`train`.

        Returns
        -------
        The fine-tuned model; see its :attr:`reinitialised_`.

        Raises
        ------
        RuntimeError
            When this model was not trained.
        ValueError
            When ``adata`` was not set up.
        """
        self._check_trained()
        model = type(self)(adata, **self.init_params_["non_kwargs"])
        model._take(self.module.state_dict(), self.genes_.tolist(), self.cells_, strict=False)
        model.train(lr=self._lr / 4 if lr is None else lr, **train_kwargs)
        return model
