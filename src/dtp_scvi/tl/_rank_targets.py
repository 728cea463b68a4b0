"""Rank genes as surface targets on evidence of several kinds, each in a column of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from anndata import AnnData

from dtp_scvi import __version__
from dtp_scvi._constants import KEY_ADDED, SCORE_SUFFIX, TARGETS_KEY, TARGETS_RESEARCH_USE
from dtp_scvi._docs import docs
from dtp_scvi._validate import check_one_of, check_positive_int, check_range, problem
from dtp_scvi.tl._target_filters import Limits, apply_filters
from dtp_scvi.tl._target_samples import read_samples, read_table
from dtp_scvi.tl._target_table import collect, exclude, plain, rank, storable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dtp_scvi.tl._target_evidence import Tables

_TIERS = ("strict", "loose", None)


@docs.dedent
def rank_targets(
    adata: AnnData | pd.DataFrame,
    *,
    score_key: str = KEY_ADDED + SCORE_SUFFIX,
    donor_key: str | None = None,
    normal: Tables | None = None,
    critical_tissues: Sequence[str] | None = None,
    normal_cells: pd.DataFrame | None = None,
    dependency: pd.DataFrame | None = None,
    surface: pd.DataFrame | None = None,
    hpa: pd.DataFrame | None = None,
    surface_tier: Literal["strict", "loose"] | None = "strict",
    min_detected: float | None = 0.2,
    min_abundance: float | None = None,
    max_normal: float | None = None,
    weights: Mapping[str, float] | None = None,
    missing: Literal["neutral", "exclude"] = "neutral",
    layer: str | None = None,
    scale: str = "auto",
    gene_key: str | None = None,
    min_cells: int = 1,
    n_boot: int = 500,
    n_shuffles: int = 200,
    seed: int | None = 0,
    key_added: str = TARGETS_KEY,
) -> pd.DataFrame:
    """
    Rank surface targets on several kinds of evidence, each in a column of its own.

    Hard filters first; then each kind of evidence is turned into the gene's quantile among the
    candidates, and the score is their weighted geometric mean, so that a gene has to be good in
    all of them. Nothing depends on which gene it is: known targets enter only in
    :func:`~dtp_scvi.tl.target_recovery`.

    Parameters
    ----------
    adata
        Scored samples or cells; or a table of genes with ``association`` and, where known,
        ``abundance`` (log2(1 + TPM)) and ``share_detected``: it is ranked without resamples.
    score_key
        Numeric column of ``adata.obs``; a gene is associated where its expression goes *up* with
        the score.
    donor_key
        Column of ``adata.obs`` with the donor or patient, whose rows are summed. By default
        ``adata.obs["patient"]`` where it is there, otherwise each row is a donor.
    normal
        Levels in healthy tissue, genes x tissues, linear (:func:`dtp_scvi.datasets.read_hpa_consensus`,
        :func:`dtp_scvi.datasets.read_gtex`), or several such tables by name: the highest counts.
    critical_tissues
        Columns of ``normal`` in which a target must not be; by default bone marrow, cerebral
        cortex, colon, heart muscle, kidney, liver, lung, pancreas and small intestine, as far as
        they are there.
    normal_cells
        Levels in healthy cell types (such as stem cells of the marrow), genes x types, linear.
    dependency
        What :func:`dtp_scvi.tl.essentiality` returned (its ``difference`` counts), or
        :func:`dtp_scvi.datasets.read_depmap_summary`, which knows no other diseases.
    surface
        What :func:`dtp_scvi.datasets.read_surfaceome` returned.
    hpa
        What :func:`dtp_scvi.datasets.read_hpa` or :func:`dtp_scvi.datasets.hpa_flags` returned.
    surface_tier
        Tier of ``surface`` that a candidate has to be in, or ``None``.
    min_detected
        Least share of a donor's rows that show the gene, averaged over donors, or ``None``.
    min_abundance
        Least mean log expression, on the scale of the data, or ``None``.
    max_normal
        Highest level allowed in any critical tissue, in the units of ``normal``, or ``None``.
    weights
        Weights of components; 1 unless named, 0 leaves one out.
    missing
        What a gene without evidence in a component gets there: ``"neutral"``, the geometric mean
        of the others' quantiles, or ``"exclude"``, removal from the list.
    %(layer)s
    %(scale)s
    %(gene_key)s
    min_cells
        Scored rows that a donor needs; take 10 or more for single cells.
    n_boot
        Resamples of donors behind the intervals.
    n_shuffles
        Rankings with shuffled scores, for :func:`~dtp_scvi.tl.target_recovery`.
    %(seed)s
    key_added
        Key of ``adata.uns`` under which the result is written, where an AnnData is given.

    Returns
    -------
    One gene a row, candidates first, by rank; the others follow with ``removed_by``:

    ``rank``, ``score``
        1 is best; weighted geometric mean of the quantiles, in (0, 1). NaN for removed genes.
    ``rank_low``, ``rank_high``, ``rank_median``
        Of the ranks in resamples of donors, 95 %; association, abundance and contrasts anew.
    ``rra_rho``, ``rra_p``, ``rra_rank``
        Robust rank aggregation, unweighted, with Bonferroni's bound, not adjusted for the number
        of genes. It takes components for independent, which they are not quite.
    ``association``, ``association_low``, ``association_high``
        Spearman's correlation with the score over donors, 95 % interval for candidates.
    ``abundance``, ``share_detected``
        Mean log expression over donors; mean over donors of the share of rows that show the gene.
    ``normal_max``, ``normal_max_tissue``, ``normal_mean``, ``log2_ratio_max``, ``log2_ratio_mean``
        Over the critical tissues; of several tables the highest (and each with its name at the
        end). The ratios compare the level in the samples with them, 1 added to both.
    ``normal_cells_max``, ``normal_cells_max_type``, ``log2_ratio_cells``
        The same for healthy cell types.
    ``dependency``, ``is_common_essential``
        Effect of losing the gene, negative where the disease needs it. For common essential genes
        it counts as not known.
    ``surface_<source>``, ``surface_loose``, ``surface_strict``, ``surface_sources``
        Which sources and tiers say surface, and how many; missing where the table lacks the gene.
    ``HPA_surface_protein``, ``HPA_antibody_reliability``, ``HPA_reliability_IH``, ``HPA_reliability_IF``
        As read. The reliability is the component ``antibody``; the surface flag is no component,
        for HPA is one of the sources.
    ``quantile_<component>``
        Among candidates, NaN where nothing is known. Components: ``association``, ``abundance``,
        ``contrast``, ``cells``, ``dependency``, ``surface``, ``antibody``.
    ``rank_without_<component>``, ``max_rank_shift``
        Ranks with a component left out, and the largest change.
    ``name``, ``hgnc_status``, ``removed_by``
        The name in the data, how it was matched (``"exact"``, ``"case"``, ``"previous"``,
        ``"alias"``, ``"ensembl"``, ``"spreadsheet"``, ``"ambiguous"``, ``"unmatched"``), and the
        first filter that a gene failed.

    ``attrs["dtp_targets"]`` and ``adata.uns["dtp_targets"]`` hold ``filters``, ``components``
    (weight, genes without evidence), ``leave_one_out``, ``names`` (``unmatched``, ``ambiguous``,
    ``damaged``, ``superseded``, ``merged``) and ``params``; ``uns`` also ``table``, and candidates
    x draws of rank percentiles, 1 the best: ``resampled`` and ``shuffled``.

    Raises
    ------
    ValueError
        Fewer than five donors, a constant score, a table that shares no gene, no gene left, a
        weight for what has no evidence.
    KeyError
        A key, tissue or component is unknown; near matches are named.

    Notes
    -----
    Levels of different platforms differ by a factor that is nearly the same for all genes; ranks
    hardly depend on it, single ratios do. A rank is noisier at the top than it looks: the best
    genes tend to fall in resamples.

    Examples
    --------
    >>> import pandas as pd
    >>> import dtp_scvi as dtp
    >>> bulk = dtp.datasets.simulate_cohort(60, n_genes=300, n_drugs=4)
    >>> genes = bulk.var_names
    >>> normal = pd.DataFrame({"liver": 5.0, "lung": range(len(genes))}, index=genes)
    >>> table = dtp.tl.rank_targets(
    ...     bulk,
    ...     score_key="true_persister_fraction",
    ...     normal=normal,
    ...     surface_tier=None,
    ...     n_boot=50,
    ...     n_shuffles=20,
    ... )
    >>> int(table["rank"].iloc[0]), table["normal_max_tissue"].iloc[-1]
    (1, 'lung')
    """
    _check_arguments(surface_tier, surface, missing, max_normal, normal, n_boot, n_shuffles)
    if isinstance(adata, pd.DataFrame):
        samples = read_table(adata)
    else:
        check_positive_int(min_cells, "min_cells")
        options: dict[str, Any] = {"layer": layer, "scale": scale, "gene_key": gene_key}
        samples = read_samples(adata, score_key, donor_key, min_cells=min_cells, **options)
    tables = (normal, critical_tissues, normal_cells, dependency, surface, hpa)
    table, about = collect(samples, *tables)
    limits = Limits(surface_tier, min_detected, min_abundance, max_normal)
    table["removed_by"], filters = apply_filters(table, limits)
    if missing == "exclude":
        filters = exclude(table, filters, weights)
    result = rank(samples, table, weights, n_boot, n_shuffles, seed)
    result["filters"] = filters
    result["names"] = samples.genes.report
    result["params"] = {
        **samples.params,
        **about,
        # Text and NaN stand for None, which h5ad does not know.
        "surface_tier": surface_tier or "none",
        **{name: np.nan if value is None else value for name, value in limits.numbers().items()},
        "missing": missing,
        "n_boot": n_boot,
        "n_shuffles": n_shuffles,
        "seed": -1 if seed is None else seed,
        "n_genes": len(table),
        "n_candidates": int((table["removed_by"] == "").sum()),
        "version": __version__,
        "research_use": TARGETS_RESEARCH_USE,
    }
    out: pd.DataFrame = result["table"]
    out.attrs[TARGETS_KEY] = plain(result)
    if isinstance(adata, AnnData):
        adata.uns[key_added] = storable(result)
    return out


def _check_arguments(
    surface_tier: str | None,
    surface: pd.DataFrame | None,
    missing: str,
    max_normal: float | None,
    normal: Tables | None,
    n_boot: int,
    n_shuffles: int,
) -> None:
    check_one_of(surface_tier, _TIERS, "surface_tier")
    check_one_of(missing, ("neutral", "exclude"), "missing")
    check_positive_int(n_boot, "n_boot")
    check_positive_int(n_shuffles, "n_shuffles")
    if surface_tier is not None and surface is None:
        msg = problem(
            f"a table `surface` for surface_tier={surface_tier!r}",
            "None",
            "Pass what dtp.datasets.read_surfaceome returned, or surface_tier=None.",
        )
        raise ValueError(msg)
    if max_normal is not None:
        check_range(max_normal, "max_normal", 0.0)
        if normal is None:
            msg = problem("a table `normal` for `max_normal`", "None", "Pass levels by tissue.")
            raise ValueError(msg)
