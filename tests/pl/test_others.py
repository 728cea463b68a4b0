"""Scores, fidelity, history and attention."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from dtp_scvi import pl, tl


def groups_of(ax):
    return [label.get_text().split("\n")[0] for label in ax.get_yticklabels()]


def test_scores_count_every_row_of_each_group(scored):
    ax = pl.scores(scored, "state", max_points=10)
    assert [label.get_text() for label in ax.get_yticklabels()] == [
        "diagnosis\nn = 50",
        "healthy\nn = 40",
        "relapse\nn = 60",
    ]
    assert [len(points.get_offsets()) for points in ax.collections] == [10, 10, 10]
    assert len(ax.patches) == 3


def test_scores_mark_median_threshold_and_share(scored):
    ax = pl.scores(scored, "state")
    median = scored.obs.groupby("state")["dtp_score"].median()
    dots = [line.get_xdata()[0] for line in ax.lines if line.get_marker() == "o"]
    np.testing.assert_allclose(dots, median)
    assert any(set(line.get_xdata()) == {0.6} for line in ax.lines)
    share = (scored.obs["dtp_score"] >= 0.6).groupby(scored.obs["state"]).mean()
    words = [text.get_text() for text in ax.texts]
    assert [f"{value:.0%}" for value in share] == words[-3:]
    assert words[0].strip() == "threshold 0.60"


def cut_of(ax):
    """The threshold that is drawn, in the line and in words; ``None`` where neither is."""
    lines = {tuple(set(line.get_xdata())) for line in ax.lines if line.get_linestyle() == "--"}
    words = [text.get_text().strip() for text in ax.texts]
    said = [word for word in words if word.startswith("threshold")]
    assert len(lines) == len(said) <= 1
    if not lines:
        assert "share ≥" not in words
        return None
    ((value,),) = lines
    assert said == [f"threshold {value:.2f}"]
    return value


def recalibrated(info, groups, **threshold):
    """What ``tl.recalibrate`` leaves: a threshold of its own only where there is one group."""
    table = pd.DataFrame({"threshold": [0.25, 0.75][: len(groups)]}, index=groups)
    info["recalibration"] = {"method": "labels", "groups": table}
    if threshold:
        info["recalibration"]["threshold"] = threshold


@pytest.mark.parametrize("found", [None, "calls", "recalibrate", "rank_only"])
def test_scores_draw_the_threshold_of_a_recalibration(scored, found):
    info = scored.uns["dtp"]
    if found is not None:
        info["transfer"] = {"verdict": found, "found": found}
    recalibrated(info, ["all"], value=0.25, rule="youden")
    ax = pl.scores(scored, "state")
    assert cut_of(ax) == 0.25
    share = (scored.obs["dtp_score"] >= 0.25).groupby(scored.obs["state"]).mean()
    assert [text.get_text() for text in ax.texts][-3:] == [f"{value:.0%}" for value in share]


def test_scores_draw_no_threshold_where_calls_are_withheld(scored):
    scored.uns["dtp"]["transfer"] = {"verdict": "rank_only", "found": "rank_only"}
    assert cut_of(pl.scores(scored, "state")) is None
    for verdict, found in (("recalibrate", "recalibrate"), ("calls", "rank_only")):
        scored.uns["dtp"]["transfer"] = {"verdict": verdict, "found": found}
        assert cut_of(pl.scores(scored, "state")) == 0.6


def test_scores_draw_no_threshold_where_each_group_has_its_own(scored):
    recalibrated(scored.uns["dtp"], ["s1", "s2"])
    assert cut_of(pl.scores(scored, "state")) is None


def test_scores_after_recalibration_itself(scored):
    rng = np.random.default_rng(0)
    scored.obs["dtp_logit"] = rng.normal(size=scored.n_obs)
    scored.obs["sample"] = np.where(np.arange(scored.n_obs) % 2, "s1", "s2")
    negatives = (scored.obs["state"] == "healthy").to_numpy()
    scored.uns["dtp"]["positive"] = "relapse"
    tl.recalibrate(scored, negatives=negatives, target_fpr=0.1, groupby="sample")
    assert cut_of(pl.scores(scored, "state")) is None
    tl.recalibrate(scored, negatives=negatives, target_fpr=0.1)
    expected = scored.uns["dtp"]["recalibration"]["threshold"]["value"]
    assert cut_of(pl.scores(scored, "state")) == expected != 0.6


def test_scores_follow_order_categories_and_key(scored):
    assert groups_of(pl.scores(scored, "state", order=["relapse", "healthy"])) == [
        "relapse",
        "healthy",
    ]
    levels = ["relapse", "empty", "healthy", "diagnosis"]
    scored.obs["state"] = pd.Categorical(scored.obs["state"], levels)
    scored.obs["mine_score"] = scored.obs.pop("dtp_score")
    scored.uns["mine"] = {}
    ax = pl.scores(scored, "state", key="mine")
    assert groups_of(ax) == ["relapse", "healthy", "diagnosis"]
    assert len(ax.texts) == 0  # no threshold is stored


def test_scores_leave_out_rows_without_group_or_score(scored):
    scored.obs.loc["c0", "state"] = np.nan
    scored.obs.loc["c1", "dtp_score"] = np.nan
    ax = pl.scores(scored, "state")
    assert ax.get_yticklabels()[2].get_text() == "relapse\nn = 58"


def test_scores_points_are_fixed_by_the_seed(scored):
    def points(seed):
        ax = pl.scores(scored, "state", seed=seed, max_points=20)
        return np.concatenate([group.get_offsets() for group in ax.collections])

    assert np.array_equal(points(1), points(1))
    assert not np.array_equal(points(1), points(2))


def test_scores_of_one_value_are_drawn(scored):
    scored.obs["dtp_score"] = 1.0
    assert len(pl.scores(scored, "state").patches) == 3


def test_scores_refuse_what_they_cannot_draw(scored):
    with pytest.raises(KeyError, match="Did you mean state"):
        pl.scores(scored, "sate")
    with pytest.raises(KeyError, match=r"`order` to name groups.*found 'relaps'.*relapse"):
        pl.scores(scored, "state", order=["relaps"])
    with pytest.raises(KeyError, match=r"uns\['other'\].*Run dtp.tl.score"):
        pl.scores(scored, "state", key="other")
    with pytest.raises(ValueError, match="`max_points`"):
        pl.scores(scored, "state", max_points=0)
    logits = scored.copy()
    logits.obs["dtp_score"] = 3.0
    with pytest.raises(ValueError, match=r"in \[0, 1\]; found 3 to 3"):
        pl.scores(logits, "state")
    scored.obs["state"] = np.nan
    with pytest.raises(ValueError, match="rows with a score and a value of 'state'; found none"):
        pl.scores(scored, "state")
    del scored.obs["dtp_score"]
    with pytest.raises(KeyError, match=r"obs\['dtp_score'\].*Run dtp.tl.score first"):
        pl.scores(scored, "state")


def test_fidelity_draws_cells_thresholds_and_numbers(agreement):
    ax = pl.fidelity(agreement)
    (cells,) = [c for c in ax.collections if len(c.get_offsets()) == 300]
    columns = ["teacher_logit", "student_logit"]
    np.testing.assert_allclose(cells.get_offsets(), agreement["table"][columns])
    assert any(set(line.get_xdata()) == {0.2} for line in ax.lines)
    assert any(set(line.get_ydata()) == {0.1} for line in ax.lines)
    text = ax.texts[0].get_text()
    for name in ("spearman", "agreement", "kappa"):
        assert f"{agreement['summary'][name]:.3f}" in text
    assert ax.get_xlim() == ax.get_ylim()


def test_fidelity_counts_many_cells_in_hexagons(agreement):
    logits = np.random.default_rng(0).normal(size=4000)
    table = pd.DataFrame({"teacher_logit": logits, "student_logit": logits})
    ax = pl.fidelity(agreement | {"table": table})
    assert len(ax.figure.axes) == 2  # and the colour bar
    assert max(c.get_array().sum() for c in ax.collections if c.get_array() is not None) == 4000


def test_fidelity_names_what_is_missing(agreement, scored):
    with pytest.raises(KeyError, match=r"uns\['dtp_fidelity'\]"):
        pl.fidelity(scored)
    with pytest.raises(KeyError, match="to hold 'student_threshold'"):
        pl.fidelity({k: v for k, v in agreement.items() if k != "student_threshold"})
    with pytest.raises(KeyError, match="none called student_logit"):
        pl.fidelity(agreement | {"table": agreement["table"][["teacher_logit"]]})


def test_history_draws_each_member_and_its_best_epoch(losses):
    ax = pl.history(losses)
    dots = [line for line in ax.lines if line.get_marker() == "o"]
    assert [dot.get_xdata()[0] for dot in dots] == [3, 4, 5]
    assert len(ax.lines) == 3 * 2 + 3
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["training", "held out"]


def test_history_without_held_out_rows_draws_training_only(losses):
    ax = pl.history(losses.assign(validation_loss=np.nan), held_out="donors")
    assert len(ax.lines) == 3
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["training"]


def test_history_breaks_off_where_a_member_stopped(losses):
    stopped = losses[~((losses["member"] == 1) & (losses["epoch"] > 4))]
    lengths = sorted(len(line.get_xdata()) for line in pl.history(stopped).lines)
    assert lengths == [1, 1, 1, 5, 5, 8, 8, 8, 8]


def test_history_refuses_other_tables(losses):
    with pytest.raises(KeyError, match="none called member"):
        pl.history(losses.drop(columns="member"))
    with pytest.raises(TypeError, match="found dict"):
        pl.history(losses.to_dict())
    with pytest.raises(ValueError, match="a loss in some epoch; found none in 24 rows"):
        pl.history(losses.assign(train_loss=np.nan, validation_loss=np.nan))


def test_attention_shows_the_programs_by_falling_mean(attention):
    ax = pl.program_attention(attention, n_programs=3)
    order = attention.mean().sort_values(ascending=False).index[:3]
    assert [label.get_text() for label in ax.get_xticklabels()] == list(order)
    np.testing.assert_array_equal(ax.images[0].get_array(), attention[order].to_numpy())
    assert ax.get_xlabel() == "Gene program (4 more not shown)"
    assert [label.get_text() for label in ax.get_yticklabels()] == list("abcd")


def test_attention_marks_even_attention_only_where_rows_sum_to_1(attention):
    bar = pl.program_attention(attention).figure.axes[1]
    assert any(set(line.get_ydata()) == {1 / 7} for line in bar.lines)
    other = pl.program_attention(2 * attention, label="Weight").figure.axes[1]
    assert len(other.lines) == 0
    assert other.get_ylabel() == "Weight"


def test_attention_of_many_cells_counts_them(attention):
    ax = pl.program_attention(pd.concat([attention] * 20))
    assert ax.get_ylabel() == "80 rows"
    assert len(ax.get_yticks()) == 0


def test_attention_refuses_gaps_and_nothing(attention):
    with pytest.raises(ValueError, match=r"shape \(4, 7\) with gaps"):
        pl.program_attention(attention.mask(attention > 0.3))
    with pytest.raises(ValueError, match=r"shape \(0, 7\)"):
        pl.program_attention(attention.iloc[:0])
    with pytest.raises(TypeError, match="found ndarray"):
        pl.program_attention(attention.to_numpy())
    with pytest.raises(ValueError, match="`n_programs`"):
        pl.program_attention(attention, n_programs=0)
