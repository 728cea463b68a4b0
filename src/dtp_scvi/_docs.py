"""Texts of parameters that several functions share, so that one name means one thing.

Write ``%(adata)s`` on a line of its own under ``Parameters`` and put ``@docs.dedent`` on the
function, under ``@classmethod`` and ``@staticmethod``. Types stay in the signature. A shared text
may hold others: ``%(query_input)s`` stands for five parameters.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any, TypeVar

from docrep import DocstringProcessor

from dtp_scvi._validate import near_matches, problem

Documented = TypeVar("Documented", bound=Callable[..., Any])

_PLACEHOLDER = re.compile(r"%\((\w+)\)s")


class SharedDocs(DocstringProcessor):  # type: ignore[misc]
    """A docrep processor that keeps the type of what it decorates and refuses unknown names."""

    def dedent(self, documented: Documented) -> Documented:
        """Fill the shared texts into the docstring of ``documented`` and return it."""
        text = documented.__doc__
        if text is None:  # python -OO strips docstrings
            return documented
        for name in _PLACEHOLDER.findall(text):
            if name not in self.params:
                msg = problem(
                    f"every %(name)s in the docstring of `{documented.__qualname__}` to be shared",
                    repr(name),
                    near_matches(name, self.params),
                )
                raise KeyError(msg)
        # Not docrep's own substitution: it reads "5 % of" as a broken format.
        documented.__doc__ = self._filled(inspect.cleandoc(text))
        return documented

    def _filled(self, text: str) -> str:
        return _PLACEHOLDER.sub(lambda found: self._filled(self.params[found[1]]), text)


docs = SharedDocs(
    adata="""\
adata
    Cells or bulk samples in rows, genes in columns.""",
    layer="""\
layer
    Layer that holds the expression; ``None`` means ``adata.X``. ``adata.raw`` is never read.""",
    mod="""\
mod
    Modality to use when a :class:`~mudata.MuData` is given.""",
    gene_key="""\
gene_key
    Column of ``adata.var`` with gene names; ``None`` means ``adata.var_names``. Symbols and
    Ensembl ids, with or without version, are both understood.""",
    labels_key="""\
labels_key
    Column of ``adata.obs`` with the class of each row.""",
    positive="""\
positive
    Class that the score is about. May be left out only for boolean or 0/1 labels.""",
    donor_key="""\
donor_key
    Column of ``adata.obs`` with the donor of each row. Rows of a donor are never split between
    training and validation.""",
    batch_key="""\
batch_key
    Column of ``adata.obs`` with the batch (platform, study, run) of each row.""",
    scale="""\
scale
    Expression scale of the input. ``"auto"`` detects it and records the evidence; a named scale
    that the data contradict is an error.""",
    missing="""\
missing
    What stands in for a model gene that the input lacks: ``"mean"`` (the training mean),
    ``"zero"``, or ``"error"``.""",
    key_added="""\
key_added
    Prefix of the columns of ``adata.obs`` and key of ``adata.uns`` under which the result is
    written.""",
    copy="""\
copy
    Return a changed copy and leave ``adata`` as it is.""",
    seed="""\
seed
    Seed of a local random generator; the global random state is left alone. ``None`` draws a
    fresh one.""",
    verbose="""\
verbose
    Show a progress bar.""",
    batch_size="""\
batch_size
    Rows per step; it changes speed and memory, never the result.""",
    accelerator="""\
accelerator
    ``"cpu"``, ``"gpu"``, ``"mps"``, or ``"auto"`` for a GPU where there is one.""",
    attribution="""\
method
    ``"integrated_gradients"`` (Sundararajan et al., ICML 2017), ``"gradient_shap"`` (Lundberg and
    Lee, NeurIPS 2017) or ``"deep_lift"`` (Shrikumar et al., ICML 2017). A prediction that is
    linear in its inputs has the same answer by all three and needs no captum.
baseline
    What a row is compared with: ``"train_mean"``, the training mean of each gene;
    ``"query_mean"``, the mean of the explained rows; ``"zero"``, no expression; an array of one
    value a gene of the model. ``gradient_shap`` also takes ``"query"``, a hundred of
    the explained rows, or an array of several rows, and averages over them.
groupby
    Column of ``adata.obs``; attributions of its groups as well.
donor_key
    Column of ``adata.obs`` with the donor of each row: averages are taken by donor, then over
    donors. All rows count as one donor without it.
indices
    Rows to explain; all by default.
max_cells
    Most rows to explain, drawn so that every donor counts; ``None`` takes all.
n_steps
    Steps of the path integral, or random samples of ``gradient_shap``. By default a row's path is
    divided until its completeness error is under one per cent; 64 samples.
n_top
    How many genes count as the top in ``frequency``.""",
    registry="""\
registry
    Registry of a saved model; for loading.""",
    setup_kwargs="""\
**kwargs
    Passed on to scvi-tools.""",
    min_coverage="""\
min_coverage
    Least share of the model's genes that must be found, 0 to 1.""",
    query_input="""\
%(layer)s
%(gene_key)s
%(scale)s
%(missing)s
%(min_coverage)s""",
    input_kwargs="""\
**input_kwargs
    Arguments of :meth:`prepare`.""",
    chosen_rows="""\
indices
    Rows to take, in any order; all by default.
%(batch_size)s
%(verbose)s""",
    program_network="""\
n_components
    Coordinates of a program, its leading principal components.
d_model
    Width of a token.
n_blocks
    Number of Transformer blocks.
n_heads
    Number of attention heads; divides ``d_model``.""",
    program_dropout="""\
dropout
    Dropout rate, 0 to 1.
gene_dropout
    Range of the share of genes hidden from a training batch.""",
    train_indices="""\
indices
    Rows to train on; all by default.""",
    one_cycle="""\
batch_size
    Rows per step.
lr
    Peak of the one-cycle learning rate.
weight_decay
    Weight decay of AdamW.""",
    member_schedule="""\
%(one_cycle)s
token_lr
    Learning rate of the token projections as a share of ``lr``.
patience
    Epochs without improvement before a member stops.""",
    patience="""\
patience
    Epochs without improvement before training stops; ignored with ``keep="last"``.""",
    threshold_choice="""\
threshold_rule
    One of ``dtp_scvi.stats.RULES``.
threshold_kwargs
    More arguments of :func:`dtp_scvi.stats.choose_threshold`; ``negatives``, a mask over
    all rows of the AnnData, is cut to the rows used.
calibration
    One of ``dtp_scvi.stats.CALIBRATORS``; isotonic needs 1,000 held-out rows of 5 donors.""",
    run_options="""\
%(seed)s
%(accelerator)s
devices
    Devices as Lightning takes them.
%(verbose)s""",
    response_meaning="""\
units
    Units of the response, for the card and the score's record.
direction
    What a higher response means.""",
    saved_meta="""\
meta
    Contents of ``model.json``.
model_id
    First digits of the checksum of the weights.""",
    card_notes="""\
limits
    What follows from the above, in sentences.
notes
    Texts that were given.""",
    save_to="""\
dir_path
    Directory to write.
overwrite
    Replace a directory that exists.""",
    ax="""\
ax
    Axes to draw on; a new figure is made without it.""",
    cv_result="""\
data
    AnnData that ``dtp.tl.cross_validate`` wrote to, or its stored result.""",
    drug_result="""\
data
    AnnData that ``dtp.tl.drug_response`` wrote to, or its stored result.""",
    uns_key="""\
key
    The entry of ``uns`` to draw.""",
    models="""\
models
    Names of the models to draw; default all.""",
    labels="""\
labels
    True for the positive class, one value per row.""",
    probabilities="""\
probabilities
    Values in [0, 1].""",
    sample_weight="""\
sample_weight
    Non-negative weights, one per row.""",
)
