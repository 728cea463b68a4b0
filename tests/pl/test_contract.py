"""What every figure keeps: the axes passed in, no new figure, no changed style, no source changed."""

from __future__ import annotations

import copy
import functools

import anndata as ad
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

from dtp_scvi import pl

CROSS_VALIDATED = [
    "roc",
    "pr",
    "calibration",
    "benchmark",
    "threshold_sweep",
    "threshold_transfer",
    "decision_curve",
    "coverage",
]
DRUGS = ["drug_response", "drug_scatter", "drug_waterfall", "null_controls"]
OTHERS = [
    "atom_attention",
    "attribution",
    "attribution_agreement",
    "attribution_beeswarm",
    "attribution_dependence",
    "attribution_groups",
    "audit",
    "drug_transfer",
    "essentiality",
    "enrichment",
    "scores",
    "signatures",
    "fidelity",
    "gene_attention",
    "gene_embedding",
    "history",
    "leak_demonstration",
    "dose_time",
    "perturbation_benchmark",
    "perturbation_heatmap",
    "perturbation_scatter",
    "program_attention",
    "response_heatmap",
    "survival",
    "target_recovery",
    "targets",
    "transfer",
    *DRUGS,
]


def drug_figures(tested):
    named = dict.fromkeys(("drug_scatter", "drug_waterfall"), (tested, "drug b"))
    return {**dict.fromkeys(DRUGS, (tested,)), **named}


def perturbation_figures(wells, change, evaluated):
    return {
        "dose_time": (wells, "drug 1", "g3"),
        "perturbation_benchmark": (evaluated,),
        "perturbation_heatmap": (wells, ["g1", "g2", "g3"], ["drug 0", "drug 1"]),
        "perturbation_scatter": (wells, change, "drug 1"),
    }


KEYWORDS = {"dose_time": {"dose_key": "dose", "time_key": "time"}}


@pytest.fixture(params=[*CROSS_VALIDATED, *OTHERS])
def figure(request, result, audited, scored, agreement, losses, attention):
    """Each plotting function with something to draw."""
    arguments = {
        **dict.fromkeys(
            (
                "attribution",
                "attribution_beeswarm",
                "attribution_dependence",
                "attribution_groups",
            ),
            (request.getfixturevalue("explained"),),
        ),
        "attribution_agreement": (request.getfixturevalue("agreeing"),),
        "drug_transfer": (request.getfixturevalue("carried_over"),),
        "atom_attention": (request.getfixturevalue("looked_at"), "drug a"),
        "audit": (audited,),
        "enrichment": (request.getfixturevalue("enriched"),),
        "scores": (scored, "state"),
        "essentiality": (request.getfixturevalue("screened"),),
        "signatures": (request.getfixturevalue("compared"),),
        "fidelity": (agreement,),
        "gene_attention": (request.getfixturevalue("looked_at"),),
        "gene_embedding": (request.getfixturevalue("mapped"),),
        "history": (losses,),
        "leak_demonstration": (request.getfixturevalue("protocols"),),
        "response_heatmap": request.getfixturevalue("patients"),
        "program_attention": (attention,),
        "survival": (request.getfixturevalue("survived"),),
        "target_recovery": (request.getfixturevalue("recovered"),),
        "targets": (request.getfixturevalue("target_table"),),
        "transfer": (request.getfixturevalue("checked"),),
        **perturbation_figures(
            *request.getfixturevalue("treated_wells"), request.getfixturevalue("evaluated")
        ),
        **drug_figures(request.getfixturevalue("tested")),
    }
    function = functools.partial(getattr(pl, request.param), **KEYWORDS.get(request.param, {}))
    return function, arguments.get(request.param, (result,))


def test_every_figure_is_covered():
    assert {*CROSS_VALIDATED, *OTHERS} == set(pl.__all__)


def test_draws_on_the_axes_passed_in(figure):
    function, arguments = figure
    given, other = plt.subplots(1, 2)[1]
    before, size = plt.get_fignums(), given.figure.get_size_inches().tolist()
    assert function(*arguments, ax=given) is given
    assert plt.get_fignums() == before
    assert given.figure.get_size_inches().tolist() == size
    assert not other.has_data()


def test_makes_one_figure_without_axes(figure):
    function, arguments = figure
    before = len(plt.get_fignums())
    ax = function(*arguments)
    assert len(plt.get_fignums()) == before + 1
    assert ax.figure.number in plt.get_fignums()


def test_leaves_style_and_source_alone(figure):
    function, arguments = figure
    style = dict(mpl.rcParams)
    kept = copy.deepcopy(arguments)
    function(*arguments)
    assert dict(mpl.rcParams) == style
    assert repr(arguments) == repr(kept)


def test_axes_are_named_and_words_are_readable(figure):
    function, arguments = figure
    ax = function(*arguments)
    ax.figure.canvas.draw()
    assert ax.get_xlabel()
    assert ax.xaxis.label.get_fontsize() >= 8
    assert all(label.get_fontsize() >= 7 for label in ax.get_xticklabels())
    assert all(text.get_fontsize() >= 7 for text in ax.texts)
    assert not ax.spines["top"].get_visible()


def test_words_stay_inside_the_figure(figure):
    function, arguments = figure
    ax = function(*arguments)
    ax.figure.canvas.draw()
    whole = ax.figure.bbox
    tight = ax.get_tightbbox()
    assert tight.x0 >= whole.x0 - 1
    assert tight.y0 >= whole.y0 - 1
    assert tight.x1 <= whole.x1 + 1
    assert tight.y1 <= whole.y1 + 1


@pytest.mark.parametrize("name", CROSS_VALIDATED)
def test_reads_an_anndata_after_it_was_written(name, result, tmp_path):
    adata = ad.AnnData(np.zeros((2, 1), dtype=np.float32), uns={"dtp_cv": result})
    adata.write_h5ad(tmp_path / "cells.h5ad")
    read = ad.read_h5ad(tmp_path / "cells.h5ad")
    before, after = getattr(pl, name)(adata), getattr(pl, name)(read)
    assert len(before.lines) == len(after.lines)
    assert [t.get_text() for t in before.texts] == [t.get_text() for t in after.texts]


@pytest.mark.parametrize("name", CROSS_VALIDATED)
def test_says_what_the_numbers_rest_on(name, result):
    assert getattr(pl, name)(result).get_title("right") == "simulated data"
    result["params"] |= {"simulated": False, "optimistic": True}
    assert getattr(pl, name)(result).get_title("right") == "cell-level split: optimistic"
    result["params"]["optimistic"] = False
    assert getattr(pl, name)(result).get_title("right") == ""


def test_an_audit_is_read_after_it_was_written(audited, tmp_path):
    table = audited.set_axis(audited.index.astype(str))
    adata = ad.AnnData(np.zeros((2, 1), dtype=np.float32), uns={"dtp_audit": {"table": table}})
    adata.write_h5ad(tmp_path / "cells.h5ad")
    after = pl.audit(ad.read_h5ad(tmp_path / "cells.h5ad"))
    assert [t.get_text() for t in pl.audit(audited).texts] == [t.get_text() for t in after.texts]


def test_simulated_cells_are_called_so_whoever_scored_them(scored, result):
    scored.uns["dtp_simulation"] = {"seed": 0}
    scored.uns["dtp_cv"] = result | {"params": {**result["params"], "simulated": False}}
    assert pl.scores(scored, "state").get_title("right") == "simulated data"
    assert pl.roc(scored).get_title("right") == "simulated data"


@pytest.mark.parametrize("name", CROSS_VALIDATED)
def test_names_the_function_to_run_first(name, scored):
    with pytest.raises(
        KeyError, match=r"uns\['dtp_cv'\].*found no such key \(dtp\).*Run dtp.tl.cross_validate"
    ):
        getattr(pl, name)(scored)
    with pytest.raises(TypeError, match="an AnnData or the stored result; found list"):
        getattr(pl, name)([1])


@pytest.mark.parametrize("name", CROSS_VALIDATED)
def test_result_without_an_entry_is_an_error(name, result):
    other = {
        "benchmark": "metrics",
        "calibration": "reliability",
        "threshold_transfer": "probabilities",
    }
    entry = other.get(name, name)
    del result[entry]
    with pytest.raises(KeyError, match=f"the result to hold '{entry}'"):
        getattr(pl, name)(result)


@pytest.mark.parametrize(
    "name", ["roc", "pr", "benchmark", "calibration", "decision_curve", "threshold_transfer"]
)
def test_unknown_model_is_an_error(name, result):
    one = name in ("calibration", "threshold_transfer")
    argument = {"model": "random_tree"} if one else {"models": ["random_tree"]}
    with pytest.raises(KeyError, match=r"found 'random_tree'.*Did you mean random_forest"):
        getattr(pl, name)(result, **argument)
