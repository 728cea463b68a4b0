"""Simulated cells with a planted drug-tolerance label."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from anndata import AnnData

from dtp_scvi._constants import COUNTS_LAYER, SIMULATION_KEY
from dtp_scvi._validate import check_positive_int, check_range, problem
from dtp_scvi.datasets._counts import draw_count_model, draw_counts
from dtp_scvi.datasets._genes import choose_genes, curated_genes
from dtp_scvi.datasets._latent import (
    draw_activities,
    draw_design,
    draw_label,
    draw_type_means,
)
from dtp_scvi.datasets._programmes import MIN_PROGRAMMES, make_programmes
from dtp_scvi.datasets._truth import cell_table, fixed_seed, gene_table, simulation_record

_TECHNICAL: Final = ("depth", "depth_sd", "batch_effect", "ambient", "dropout", "dispersion")
_WHOLE: Final = ("n_cells", "n_genes", "n_donors", "n_tissues", "n_platforms", "n_programmes")
_AT_LEAST_ZERO: Final = (
    "linear_effect",
    "interaction_effect",
    "depth_sd",
    "batch_effect",
    "dispersion",
    "biology_seed",
)


def simulate_cells(
    n_cells: int = 3000,
    n_genes: int = 2000,
    *,
    n_donors: int = 8,
    n_tissues: int = 2,
    n_platforms: int = 2,
    n_programmes: int = 40,
    linear_effect: float = 1.8,
    interaction_effect: float = 2.2,
    prevalence: float = 0.35,
    depth: float = 5000.0,
    depth_sd: float = 0.35,
    batch_effect: float = 0.2,
    ambient: float = 0.05,
    dropout: float = 0.15,
    dispersion: float = 0.3,
    confounding: float = 0.0,
    old_symbols: bool = True,
    biology_seed: int = 0,
    seed: int | None = 0,
    verbose: bool = False,
) -> AnnData:
    r"""Simulate single-cell counts with a planted, partly non-linear drug-tolerance label.

    Cells have activities :math:`u` of gene programmes, which depend on cell type and donor.
    The label is drawn with

    .. math::
        \operatorname{logit} P(\text{drug tolerant}) = a
            + \text{linear\_effect} \cdot L(u) + \text{interaction\_effect} \cdot I(u)

    where :math:`L` is a weighted sum of activities and :math:`I` a weighted sum of products of
    two activities, both scaled to unit variance over the cells. The four programmes in
    :math:`I` are on or off at random in every cell type and donor, so that each of them alone
    says nothing about the label: a linear classifier can't learn :math:`I`.

    The expected expression of a gene is log-linear in the activities, with gene-wise factors of
    the tissue, the platform and the donor. It is mixed with the mean profile of the donor
    (ambient RNA), scaled to the depth of the cell, and observed with negative binomial noise.

    Parameters
    ----------
    n_cells
        Number of cells, at least twice ``n_donors``.
    n_genes
        Number of genes. Names are approved human symbols, known markers first.
    n_donors
        Number of donors, at least 2. Each belongs to one tissue and one platform.
    n_tissues
        Number of tissues, at most ``n_donors``.
    n_platforms
        Number of sequencing platforms, at most ``n_donors``; crossed with tissues as far as
        there are donors enough.
    n_programmes
        Number of gene programmes, at least 19; only nine of them and four in pairs act on the
        label.
    linear_effect
        Standard deviation over cells of the linear part of the logit; at least 0.
    interaction_effect
        Standard deviation over cells of the interaction part of the logit; at least 0.
    prevalence
        Mean probability of ``"drug_tolerant"``, between 0 and 1; exact without ``confounding``.
    depth
        Typical total count of a cell before dropout.
    depth_sd
        Standard deviation of the log depth of cells; donors and platforms differ by half of it.
    batch_effect
        Standard deviation of the log factor of a gene in a tissue or platform; a third of it
        between donors.
    ambient
        Mean fraction of a cell's expected counts that comes from ambient RNA, from 0 to 0.5.
    dropout
        Probability, from 0 to 1, that the counts of a hardly expressed gene in a cell are lost;
        it is ``dropout / (1 + expected count)``, so it falls with depth.
    dispersion
        Negative binomial dispersion: variance = mean + dispersion * mean². 0 is Poisson.
    confounding
        From 0 to 1: how far the tissue (the platform, if there is one tissue) determines the
        label. At 1 all cells of every other tissue, from the first, are drug tolerant.
    old_symbols
        Whether genes renamed by HGNC, among them four genes of LSC17, appear under old symbols.
    biology_seed
        Seed of what belongs to the organism: genes of programmes, base expression, cell types.
        With the same one and the same ``n_genes`` and ``n_programmes``, two objects differ as two
        studies of one disease do: other donors, other batch effects, other cells.
    seed
        Seed of donors, cells, labels, batch effects and counts. The same arguments and seed give
        the same object. ``None`` draws a seed, which is recorded.
    verbose
        Whether to show a progress bar.

    Returns
    -------
    Annotated data, ``n_cells`` x ``n_genes``, with

    ``X`` and ``layers["counts"]``
        The counts: two separate CSR matrices, float32.
    ``obs``
        ``"donor"``, ``"tissue"``, ``"platform"``, ``"batch"`` (tissue and platform),
        ``"cell_type"``, ``"sex"`` and ``"state"`` (``"drug_tolerant"`` or ``"sensitive"``) as
        categories; the truth as numbers in ``"true_probability"``, ``"true_logit"``,
        ``"true_linear"`` and ``"true_interaction"`` (parts of the logit), ``"true_depth"``,
        ``"true_ambient"``.
    ``var``
        ``"true_symbol"`` (approved symbol), ``"programme"`` (the one with the largest loading,
        or ``"none"``), ``"signature"`` (whether in LSC17).
    ``obsm["true_programmes"]``, ``varm["true_loadings"]``
        Activities of the cells and loadings of the genes; columns as
        ``uns["dtp_simulation"]["programmes"]``, float32.
    ``uns["dtp_simulation"]``
        ``"simulated"`` (true), ``"generator"``, ``"version"``, ``"seed"``, ``"parameters"``,
        ``"programmes"``, ``"interactions"``, ``"signature_genes"``, ``"renamed"`` (old symbol to
        approved symbol) and ``"oracle_auroc"``: AUROC of ``"true_logit"``, the best that any
        classifier of these cells can reach up to chance (NaN where there is one class).

    Raises
    ------
    ValueError
        If an argument is out of its range, or there are fewer donors than tissues or platforms.

    Notes
    -----
    Simulated cells test software; they are no evidence about drug tolerance.

    Examples
    --------
    >>> import dtp_scvi as dtp
    >>> adata = dtp.datasets.simulate_cells(400, 300, n_donors=4)
    >>> adata.shape
    (400, 300)
    >>> sorted(adata.obs["state"].cat.categories)
    ['drug_tolerant', 'sensitive']
    >>> bool(adata.uns["dtp_simulation"]["simulated"])
    True
    """
    parameters = {k: v for k, v in locals().items() if k not in {"seed", "verbose"}}
    _check(parameters)
    genes = choose_genes(n_genes)
    biology = np.random.default_rng(biology_seed)
    programmes = make_programmes(genes, n_programmes, biology)
    type_means = draw_type_means(programmes.table, biology)
    seed = fixed_seed(seed)
    cell_seed, label_seed, technical_seed, count_seed = np.random.SeedSequence(seed).spawn(4)
    rng = np.random.default_rng(cell_seed)
    design = draw_design(n_cells, n_donors, n_tissues, n_platforms, rng)
    activities = draw_activities(programmes.table, type_means, design, rng)
    label = draw_label(
        activities,
        programmes.table,
        design.positive_group,
        linear_effect=linear_effect,
        interaction_effect=interaction_effect,
        prevalence=prevalence,
        confounding=confounding,
        rng=np.random.default_rng(label_seed),
    )
    model = draw_count_model(
        genes,
        programmes,
        design,
        activities,
        np.random.default_rng(technical_seed),
        **{k: parameters[k] for k in _TECHNICAL},
    )
    counts = draw_counts(model, activities, design.donor, count_seed, verbose=verbose)
    obs = cell_table(design, label, model)
    return AnnData(
        counts,
        obs=obs,
        var=gene_table(genes, programmes, old_symbols=old_symbols),
        obsm={"true_programmes": activities},
        varm={"true_loadings": programmes.loadings},
        # A copy: scanpy normalises X in place, which must not reach the counts.
        layers={COUNTS_LAYER: counts.copy()},
        uns={SIMULATION_KEY: simulation_record(parameters, seed, obs, programmes)},
    )


def _check(parameters: dict[str, Any]) -> None:
    """Raise ``ValueError`` unless all arguments are in range and fit each other."""
    for name in _WHOLE:
        check_positive_int(parameters[name], name)
    for name in _AT_LEAST_ZERO:
        check_range(parameters[name], name, low=0.0)
    for name, low, high in (("prevalence", 0.0, 1.0), ("depth", 0.0, np.inf)):
        check_range(parameters[name], name, low, high, inclusive=False)
    check_range(parameters["ambient"], "ambient", 0.0, 0.5)
    check_range(parameters["dropout"], "dropout", 0.0, 1.0)
    check_range(parameters["confounding"], "confounding", 0.0, 1.0)
    n_donors = parameters["n_donors"]
    for name, minimum, reason in (
        ("n_donors", 2, "evaluation by donor needs two"),
        ("n_cells", 2 * n_donors, "two cells a donor"),
        ("n_genes", len(curated_genes()), "the marker genes"),
        ("n_programmes", MIN_PROGRAMMES, "the named programmes"),
    ):
        if parameters[name] < minimum:
            msg = problem(
                f"`{name}` of at least {minimum} ({reason})", parameters[name], f"Raise `{name}`."
            )
            raise ValueError(msg)
    for name in ("n_tissues", "n_platforms"):
        if parameters[name] > n_donors:
            msg = problem(
                f"`{name}` of at most `n_donors` = {n_donors}, since a donor has one of each",
                parameters[name],
                f"Lower `{name}` or raise `n_donors`.",
            )
            raise ValueError(msg)
    if parameters["confounding"] > 0 and parameters["n_tissues"] == parameters["n_platforms"] == 1:
        msg = problem(
            "more than one tissue or platform where `confounding` is above 0",
            "one of each",
            "Set `n_tissues=2`.",
        )
        raise ValueError(msg)
