"""Ask whether a model's calls and probabilities hold for a query."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from dtp_scvi._constants import KEY_ADDED
from dtp_scvi._docs import docs
from dtp_scvi._labels import text_column
from dtp_scvi._logging import warn
from dtp_scvi._validate import check_one_of, problem
from dtp_scvi.model import ResponseBase, load_predictor
from dtp_scvi.tl._predict import predict
from dtp_scvi.tl._transfer_evidence import collect
from dtp_scvi.tl._transfer_rules import VERDICTS, judge, measured

if TYPE_CHECKING:
    from anndata import AnnData

    from dtp_scvi.model import ExpressionClassifier, Query
    from dtp_scvi.tl._predict import Prediction


@docs.dedent
def transfer_check(
    adata: AnnData,
    model: ExpressionClassifier | str | Path,
    *,
    layer: str | None = None,
    gene_key: str | None = None,
    missing: Literal["mean", "zero", "error"] = "mean",
    scale: str = "auto",
    donor_key: str | None = None,
    override: Literal["calls", "recalibrate", "rank_only"] | None = None,
    key_added: str = KEY_ADDED,
    batch_size: int | None = None,
    verbose: bool = False,
) -> dict[str, Any]:
    """Check whether a model's threshold and probabilities hold for these rows.

    A threshold is learned on some donors, a tissue, a platform. The query is compared with what
    the model keeps of its training rows: moments of their program coordinates and quantiles of
    their held-out logits, no rows. :func:`score` runs the same check.

    Of more than 100,000 rows, program coordinates are compared for a random sample. Verdicts:
    ``calls`` (nothing speaks against threshold and probabilities), ``recalibrate``
    (ranks look sound, the probabilities moved: see :func:`recalibrate`), ``rank_only`` (another
    kind of sample, too few genes or saturated probabilities: only the order of the rows is
    offered). No verdict shows that a score is right: only labels of the new kind can.

    Parameters
    ----------
    %(adata)s
    model
        Trained model, or the directory of a saved one.
    %(layer)s
    %(gene_key)s
    %(missing)s
    %(scale)s
    donor_key
        Column of ``adata.obs`` with the donor of each row; rows count as independent without it.
    override
        Verdict to use instead of the one found; recorded.
    %(key_added)s
    %(batch_size)s
    %(verbose)s

    Returns
    -------
    ``verdict``, ``found`` (the verdict before an override), ``override``, ``reasons`` (sentences,
    the deciding one first) and ``evidence``: ``coverage``, ``weighted_coverage``, ``scale``;
    ``domain_auroc``, how well a line in program space tells query from training rows, and
    ``donor_auroc``, the most it does so for a training donor; ``far_share``, share of rows beyond
    the training rows' 99 % Mahalanobis distance, and ``mad_share``, beyond their median
    plus 2.5 MAD; ``spread``, the rows' variance as a share of the training rows'; ``shift``, Kolmogorov-Smirnov distance of the logits to the training donors' held-out
    ones; ``label_shift``, whether another share of the positive class explains that, with
    ``label_shift_p`` and that share as ``prevalence``; ``share_high`` (probability above 0.95),
    ``share_low`` (below 0.05), ``entropy`` (bits). ``measures`` holds what was judged, larger
    being worse, each with its ``value``, what is ``usual`` among the training rows,
    ``recalibrate_from`` and ``rank_only_from``, and its own ``verdict``; :func:`dtp_scvi.pl.transfer`
    draws them. Written to ``adata.uns["dtp"]["transfer"]``.

    Raises
    ------
    ValueError
        When expression or scale is unfit, too few genes are found, or ``override`` is no verdict.
    KeyError
        When ``layer``, ``gene_key`` or ``donor_key`` is missing.

    Examples
    --------
    >>> import dtp_scvi as dtp
    >>> cells = dtp.datasets.simulate_cells(300, 200, n_donors=4)
    >>> dtp.model.DTPTransformer.setup_anndata(
    ...     cells, "state", positive="drug_tolerant", layer="counts", donor_key="donor"
    ... )
    >>> teacher = dtp.model.DTPTransformer(cells, n_programs=8)
    >>> teacher.train(max_epochs=2, verbose=False)
    >>> found = dtp.tl.transfer_check(cells, teacher, layer="counts", override="rank_only")
    >>> found["verdict"], found["evidence"]["far_share"] < 0.02
    ('rank_only', True)
    """
    if override is not None:
        check_one_of(override, VERDICTS, "override")
    donors = donors_of(adata, donor_key)
    given = load_predictor(model) if isinstance(model, str | Path) else model
    if isinstance(given, ResponseBase):
        msg = problem(
            "a classifier", type(given).__name__, "tl.score checks what a response model needs."
        )
        raise TypeError(msg)
    # Coverage is evidence here: too low a share gives a verdict, not an error.
    query = given.prepare(
        adata, layer=layer, gene_key=gene_key, scale=scale, missing=missing, min_coverage=0.0
    )
    predicted = predict(given, query, adata.n_obs, batch_size=batch_size, verbose=verbose)
    found = report(given, query, predicted, donors, override)
    adata.uns[key_added] = {**adata.uns.get(key_added, {}), "transfer": found}
    return found


def donors_of(adata: AnnData, donor_key: str | None) -> np.ndarray | None:
    """Donors of a query as text."""
    return None if donor_key is None else text_column(adata.obs, donor_key, "donor_key")


def report(
    model: ExpressionClassifier,
    query: Query,
    predicted: Prediction,
    donors: np.ndarray | None,
    override: str | None,
) -> dict[str, Any]:
    """Collect the evidence, judge it, warn unless calls hold; only what h5ad can store."""
    evidence = collect(
        model, query, predicted.logits, predicted.space, groups=donors, seed=model.seed_ or 0
    )
    found, reasons = judge(evidence)
    verdict = found if override is None else override
    if verdict != "calls":
        todo = (
            "Calls are withheld: read dtp_rank. "
            if verdict == "rank_only"
            else "Do not read the score as a probability before tl.recalibrate. "
        )
        warn(f"Transfer check: {verdict}. {' '.join(reasons[:2])} {todo}See the transfer record.")
    kept = {name: value for name, value in evidence.items() if value is not None}
    result = {
        "verdict": verdict,
        "found": found,
        "reasons": np.array(reasons, dtype=object),
        "evidence": kept,
        "measures": measured(evidence),
    }
    return result if override is None else {**result, "override": override}
