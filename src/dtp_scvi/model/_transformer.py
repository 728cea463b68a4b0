"""The teacher: logistic regression plus a gene-program Transformer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pandas as pd

from dtp_scvi._docs import docs
from dtp_scvi._logging import warn
from dtp_scvi._scvi import init_params
from dtp_scvi._validate import check_key
from dtp_scvi.data import read_gmt
from dtp_scvi.model._arguments import check_architecture, check_dropout
from dtp_scvi.model._checks import check_same_genes
from dtp_scvi.model._classifier import ExpressionClassifier
from dtp_scvi.model._explain import gene_embedding, program_attention
from dtp_scvi.model._programs import match_programs
from dtp_scvi.model._student import DTPStudent
from dtp_scvi.model._transformer_train import TeacherTraining

if TYPE_CHECKING:
    import numpy as np
    from anndata import AnnData


Programs = Mapping[str, Sequence[str]] | str | Path


@docs.dedent
class DTPTransformer(TeacherTraining, ExpressionClassifier):
    r"""Teacher: regularised logistic regression plus a gene-program Transformer residual.

    The linear part is a logistic regression on the leading principal axes of log-normalised
    expression, fitted first and kept. The Transformer adds a residual to its logit. It reads one
    token a gene program, starts at zero, is trained on top of *out-of-fold* linear logits and kept
    only as far as it lowers the log-loss of held-out donors. The teacher thus nests the linear
    part.

    Parameters
    ----------
    %(adata)s
    %(registry)s
    programs
        ``{name: genes}`` or the path of a GMT file; by default, co-expression modules of the
        training donors.
    n_programs
        Number of co-expression modules, where ``programs`` is not given.
    %(program_network)s
    d_hidden
        Hidden width of a block; ``2 * d_model`` by default.
    %(program_dropout)s
    n_members
        Number of residual networks. Each holds out another fold of the training donors; their
        residuals are averaged. At most 5.

    Attributes
    ----------
    history_table_
        One row an epoch: ``epoch``, ``member``, ``train_loss``, ``validation_loss``.
    protocol_
        What training held out, and how much of each residual was kept.

    Examples
    --------
    >>> import dtp_scvi as dtp
    >>> cells = dtp.datasets.simulate_cells(300, 200, n_donors=4)
    >>> dtp.model.DTPTransformer.setup_anndata(
    ...     cells, "state", positive="drug_tolerant", layer="counts", donor_key="donor"
    ... )
    >>> teacher = dtp.model.DTPTransformer(cells, n_programs=8)
    >>> teacher.train(max_epochs=2, verbose=False)
    >>> teacher.predict_proba().shape
    (300, 2)
    """

    _saved: ClassVar[tuple[str, ...]] = ("program_names_", "protocol_", "history_rows_")

    def __init__(
        self,
        adata: AnnData | None = None,
        registry: dict[str, Any] | None = None,
        *,
        programs: Programs | None = None,
        n_programs: int = 24,
        n_components: int = 1,
        d_model: int = 64,
        n_blocks: int = 2,
        n_heads: int = 4,
        d_hidden: int | None = None,
        dropout: float = 0.1,
        gene_dropout: tuple[float, float] = (0.2, 0.5),
        n_members: int = 1,
    ) -> None:
        super().__init__(adata, registry)
        check_architecture(n_programs, n_components, d_model, n_blocks, n_heads, n_members)
        gene_dropout = check_dropout(dropout, gene_dropout)
        if programs is not None:
            programs = read_gmt(programs) if isinstance(programs, str | Path) else dict(programs)
            programs = {name: list(genes) for name, genes in programs.items()}
            self._members_of: dict[str, np.ndarray] | None = match_programs(programs, self.genes_)
            self.program_names_ = list(self._members_of)
        else:
            self._members_of = None
            self.program_names_ = [f"module_{k + 1}" for k in range(n_programs)]
        self._architecture: dict[str, Any] = {
            "n_programs": len(self.program_names_),
            "n_components": n_components,
            "d_model": d_model,
            "n_blocks": n_blocks,
            "n_heads": n_heads,
            "d_hidden": d_hidden or 2 * d_model,
            "dropout": dropout,
            "gene_dropout": gene_dropout,
            "n_members": n_members,
        }
        self.module = self._new_module(len(self.genes_))
        self.protocol_: dict[str, Any] = {}
        self.init_params_ = init_params(self, locals())

    @docs.dedent
    def get_program_attention(
        self,
        adata: AnnData | None = None,
        *,
        groupby: str | None = None,
        member: int = 0,
    ) -> pd.DataFrame:
        """Return how much the read-out token attends to each program.

        Attention is averaged over heads and blocks. It is a weak view of what the score rests on:
        it covers the residual only and says nothing of sign.

        Parameters
        ----------
        %(adata)s
        groupby
            Column of ``adata.obs``; average over its groups.
        member
            Which residual network.

        Returns
        -------
        One row a cell, or a group, and one column a program; values 0 to 1, rows sum to at most 1.
        """
        adata = self._own_adata() if adata is None else adata
        if groupby is not None:
            check_key(adata.obs, groupby, "adata.obs", "groupby")
        if float(self.module.member_scale[member]) == 0:
            warn(
                f"The residual of member {member} did not help on held-out donors and is not "
                "part of the score; its attention describes nothing that the model uses."
            )
        query = self.prepare(None if adata is self.adata else adata)
        weights = program_attention(self.module, query, member)
        table = pd.DataFrame(weights, index=adata.obs_names, columns=self.program_names_)
        if groupby is None:
            return table
        return table.groupby(adata.obs[groupby].astype(str).to_numpy()).mean()

    def get_gene_embedding(self, *, member: int = 0) -> pd.DataFrame:
        """Return where a unit of each gene moves its program's token, (n_genes, d_model).

        Parameters
        ----------
        member
            Which residual network.

        Returns
        -------
        One row a gene; zero for genes of no program, summed over programs where there are several.
        """
        self._check_trained()
        return pd.DataFrame(gene_embedding(self.module, member), index=self.genes_)

    @docs.dedent
    def distill(
        self,
        n_genes: int = 1000,
        *,
        adata: AnnData | None = None,
        verbose: bool = True,
        **train_kwargs: Any,
    ) -> DTPStudent:
        """Train a student on a panel of genes to give this teacher's scores.

        Parameters
        ----------
        n_genes
            Size of the panel.
        %(adata)s
        %(verbose)s
        **train_kwargs
            Arguments of :meth:`DTPStudent.train`.

        Returns
        -------
        A trained :class:`DTPStudent`.
        """
        self._check_trained()
        own = adata is None or adata is self.adata
        adata = self._own_adata() if adata is None else adata
        check_same_genes(adata, self.genes_.tolist())
        if own and "indices" not in train_kwargs:
            train_kwargs["indices"] = self._rows_to_imitate(adata)
        DTPStudent.setup_anndata(adata, **_setup_of(self))
        student = DTPStudent(adata, n_genes=n_genes)
        train_kwargs.setdefault("seed", self.seed_ or 0)
        student.train(teacher=self, verbose=verbose, **train_kwargs)
        return student

    def _rows_to_imitate(self, adata: AnnData) -> np.ndarray | None:
        """Return the rows that this teacher was trained on; a saved model does not know them."""
        if self.train_rows_ is None and self.protocol_["n_rows"] != adata.n_obs:
            warn(
                f"This teacher was loaded from a file and was trained on "
                f"{self.protocol_['n_rows']:,} rows, not on all {adata.n_obs:,}: the student is "
                "fitted to all of them. Pass `indices` to keep rows out."
            )
        return self.train_rows_


def _setup_of(model: ExpressionClassifier) -> dict[str, Any]:
    return dict(model.registry_["setup_args"])
