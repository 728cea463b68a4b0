"""Four curves from logit to probability."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

import numpy as np
from scipy.special import expit
from sklearn.isotonic import IsotonicRegression

from dtp_scvi._validate import check_one_of, problem
from dtp_scvi.stats._calibrator import Calibrator, refuse_inverse
from dtp_scvi.stats._logistic import fit_logistic, logistic_loss, separated

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

ISOTONIC_LABELS: Final = 1000
ISOTONIC_GROUPS: Final = 5
Source = Literal["out_of_fold", "held_out", "training"]
SOURCES: Final = ("out_of_fold", "held_out")


class PlattCalibrator(Calibrator):
    """
    Logistic curve ``sigmoid(slope * logit + intercept)`` (Platt 1999).

    By maximum likelihood, without penalty, on the labels themselves. Only where a cut parts the
    classes, and so no finite slope is best, Platt's smoothed targets (n+ + 1)/(n+ + 2) and
    1/(n- + 2) stand in, and ``smoothed`` is 1. ``smoothing=True`` uses them always, as
    scikit-learn does.

    Parameters
    ----------
    smoothing
        Use Platt's smoothed targets also where the classes overlap.

    Examples
    --------
    >>> from dtp_scvi import stats
    >>> platt = stats.PlattCalibrator().fit([-1, -1, -1, 1, 1, 1], [0, 0, 1, 0, 1, 1])
    >>> platt.transform([-1, 1]).round(4).tolist()
    [0.3333, 0.6667]
    """

    kind = "platt"
    _fields: ClassVar = {"slope": False, "intercept": False, "smoothed": False}

    def __init__(self, *, smoothing: bool = False) -> None:
        super().__init__()
        self.smoothing = smoothing

    def _fit(
        self, score: NDArray[np.float64], truth: NDArray[np.bool_], weights: NDArray[np.float64]
    ) -> dict[str, Any]:
        target, smoothed = _targets(score, truth, weights, always=self.smoothing)
        columns = np.column_stack([score, np.ones_like(score)])
        slope, intercept = _solved(fit_logistic(columns, target, weights))
        refuse_inverse("slope", slope)
        return {"slope": slope, "intercept": intercept, "smoothed": float(smoothed)}

    def _transform(self, score: NDArray[np.float64]) -> NDArray[np.float64]:
        return expit(self.parameters["slope"] * score + self.parameters["intercept"])

    def _valid(self, parameters: Mapping[str, Any]) -> bool:
        return parameters["slope"] > 0


class TemperatureCalibrator(Calibrator):
    """
    One number: ``sigmoid(logit / temperature)`` (Guo et al. 2017), by maximum likelihood.

    Probability 0.5 stays where it is, so a wrong prevalence is not mended. Where no cut at logit
    0 errs, the temperature would be 0; Platt's smoothed targets stand in.

    Examples
    --------
    >>> from dtp_scvi import stats
    >>> fitted = stats.TemperatureCalibrator().fit([-2, -2, -2, 2, 2, 2], [0, 0, 1, 0, 1, 1])
    >>> fitted.transform([-2, 2]).round(4).tolist()
    [0.3333, 0.6667]
    """

    kind = "temperature"
    _fields: ClassVar = {"temperature": False, "smoothed": False}

    def _fit(
        self, score: NDArray[np.float64], truth: NDArray[np.bool_], weights: NDArray[np.float64]
    ) -> dict[str, Any]:
        # Through the origin the classes are parted only by a cut at 0.
        faultless = bool(np.all(np.where(truth, score >= 0, score <= 0)))
        target, smoothed = _targets(score, truth, weights, always=faultless)
        (slope,) = _solved(fit_logistic(score[:, None], target, weights))
        refuse_inverse("1 / temperature", slope)
        return {"temperature": 1 / slope, "smoothed": float(smoothed)}

    def _transform(self, score: NDArray[np.float64]) -> NDArray[np.float64]:
        return expit(score / self.parameters["temperature"])

    def _valid(self, parameters: Mapping[str, Any]) -> bool:
        return parameters["temperature"] > 0


class BetaCalibrator(Calibrator):
    """
    Beta calibration: ``sigmoid(a ln p - b ln(1 - p) + c)`` with a, b >= 0.

    Bends each end of the curve on its own (Kull, Silva Filho & Flach 2017). Where a cut parts the classes, Platt's smoothed
    targets stand in.

    Examples
    --------
    >>> from dtp_scvi import stats
    >>> fitted = stats.BetaCalibrator().fit([-2, -1, 0, 0, 1, 2] * 9, [0, 0, 1, 0, 1, 1] * 9)
    >>> sorted(fitted.parameters)
    ['a', 'b', 'c', 'smoothed']
    """

    kind = "beta"
    _fields: ClassVar = {"a": False, "b": False, "c": False, "smoothed": False}

    def _fit(
        self, score: NDArray[np.float64], truth: NDArray[np.bool_], weights: NDArray[np.float64]
    ) -> dict[str, Any]:
        target, smoothed = _targets(score, truth, weights, always=False)
        columns = np.column_stack([*_logs(score), np.ones_like(score)])
        best, least = None, np.inf
        # The likelihood is concave: where the free maximum has a negative coefficient, or lies at
        # infinity, the best one in the quadrant is on an edge.
        for used in ([True, True, True], [True, False, True], [False, True, True]):
            found = fit_logistic(columns[:, used], target, weights)
            if found is None or found[:-1].min() < 0:
                continue
            loss = logistic_loss(columns[:, used] @ found, target, weights)
            if loss < least:
                best, least = np.zeros(3), loss
                best[used] = found
            if all(used):
                break
        if best is None:
            refuse_inverse("a + b", -0.0)
        a, b, c = _solved(best).tolist()
        refuse_inverse("a + b", a + b)
        return {"a": a, "b": b, "c": c, "smoothed": float(smoothed)}

    def _transform(self, score: NDArray[np.float64]) -> NDArray[np.float64]:
        log_p, log_q = _logs(score)
        values = self.parameters
        return expit(values["a"] * log_p + values["b"] * log_q + values["c"])

    def _valid(self, parameters: Mapping[str, Any]) -> bool:
        return min(parameters["a"], parameters["b"]) >= 0 and parameters["a"] + parameters["b"] > 0


class IsotonicCalibrator(Calibrator):
    """
    Rising step curve, interpolated; refused under 1,000 labels or 5 donors.

    Follows any rising shape, and noise with it. Ties count as one point, rows outside the range
    take the value of its end. Ranks are kept but for new ties.

    Examples
    --------
    >>> import numpy as np
    >>> from dtp_scvi import stats
    >>> logits = np.linspace(-2, 2, 1200)
    >>> labels = np.random.default_rng(0).random(1200) < stats.sigmoid(logits)
    >>> fitted = stats.IsotonicCalibrator().fit(logits, labels, groups=np.arange(1200) % 6)
    >>> bool((np.diff(fitted.transform(logits)) >= 0).all())
    True
    """

    kind = "isotonic"
    _fields: ClassVar = {"x": True, "y": True}

    @staticmethod
    def check_enough(n_labels: int, n_groups: int) -> None:
        """
        Raise where there are too few rows for a free curve.

        Parameters
        ----------
        n_labels
            Rows to fit on.
        n_groups
            Donors among them; rows count alone where donors are unknown.

        Raises
        ------
        ValueError
            Fewer than 1,000 rows or 5 donors.
        """
        if n_labels < ISOTONIC_LABELS or n_groups < ISOTONIC_GROUPS:
            msg = problem(
                f"at least {ISOTONIC_LABELS:,} labels of {ISOTONIC_GROUPS} donors for isotonic",
                f"{n_labels:,} labels of {n_groups:,}",
                "Use 'platt', which has two parameters.",
            )
            raise ValueError(msg)

    def _fit(
        self, score: NDArray[np.float64], truth: NDArray[np.bool_], weights: NDArray[np.float64]
    ) -> dict[str, Any]:
        self.check_enough(self.n_labels, self.n_groups)
        # Ties are merged here: scikit-learn also merges neighbours that differ in the last bits.
        level, row = np.unique(score, return_inverse=True)
        mass = np.bincount(row, weights)
        share = np.bincount(row, weights * truth) / mass
        curve = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip")
        fitted = np.asarray(curve.fit(level, share, sample_weight=mass).predict(level))
        refuse_inverse("rise", float(np.ptp(fitted)))
        # A point between two equal ones lies on their line.
        flat = (fitted[1:-1] == fitted[:-2]) & (fitted[1:-1] == fitted[2:])
        kept = np.r_[True, ~flat, True]
        return {"x": level[kept].tolist(), "y": fitted[kept].tolist()}

    def _transform(self, score: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.interp(score, self.parameters["x"], self.parameters["y"])

    def _valid(self, parameters: Mapping[str, Any]) -> bool:
        x, y = np.asarray(parameters["x"]), np.asarray(parameters["y"])
        rising = len(x) == len(y) > 1 and np.all(np.diff(x) > 0) and np.all(np.diff(y) >= 0)
        return bool(rising and y[0] >= 0 and y[-1] <= 1)


CALIBRATORS: Final = MappingProxyType(
    {
        cls.kind: cls
        for cls in (PlattCalibrator, TemperatureCalibrator, IsotonicCalibrator, BetaCalibrator)
    }
)


def fit_calibrator(
    kind: str,
    logits: ArrayLike,
    labels: ArrayLike,
    *,
    source: Source,
    groups: ArrayLike | None = None,
    weights: ArrayLike | None = None,
) -> Calibrator:
    """
    Fit a calibrator on logits of rows that the model was not trained on.

    Parameters
    ----------
    kind
        ``"platt"``, ``"temperature"``, ``"isotonic"`` or ``"beta"``.
    logits
        Any finite numbers that rise with the positive class.
    labels
        True for the positive class.
    source
        Where the logits come from: ``"out_of_fold"`` (donors left out in turn) or
        ``"held_out"``. ``"training"`` is refused: a model is too sure of what it was taught.
    groups
        The donor of each row, counted.
    weights
        Non-negative weights; only their ratios matter.

    Returns
    -------
    The fitted calibrator.

    Raises
    ------
    ValueError
        Training scores, an unknown kind, one class, constant or inversely related logits, too few
        labels or donors for isotonic.

    Examples
    --------
    >>> from dtp_scvi import stats
    >>> logits, labels = [-2.0, -1.0, 0.5, -0.5, 1.0, 2.0], [0, 0, 0, 1, 1, 1]
    >>> fitted = stats.fit_calibrator("platt", logits, labels, source="out_of_fold")
    >>> fitted.kind, fitted.n_labels
    ('platt', 6)
    """
    check_one_of(kind, CALIBRATORS, "kind")
    if source == "training":
        msg = problem(
            "`source` to be 'out_of_fold' or 'held_out'",
            "'training': a model is too sure of rows it was trained on",
            "Score each donor with a model that did not see it, then calibrate.",
        )
        raise ValueError(msg)
    check_one_of(source, SOURCES, "source")
    return CALIBRATORS[kind]().fit(logits, labels, groups=groups, weights=weights)


def _targets(
    score: NDArray[np.float64],
    truth: NDArray[np.bool_],
    weights: NDArray[np.float64],
    *,
    always: bool,
) -> tuple[NDArray[np.float64], bool]:
    """Targets of the regression, and whether they are Platt's smoothed ones."""
    if not always and not separated(score, truth):
        return truth.astype(np.float64), False
    n_true = float(weights @ truth)
    n_false = float(weights.sum()) - n_true
    return np.where(truth, (n_true + 1) / (n_true + 2), 1 / (n_false + 2)), True


def _solved(found: NDArray[np.float64] | None) -> NDArray[np.float64]:
    if found is None:
        todo = "Use 'platt' or 'temperature', or drop extreme logits."
        msg = problem("a curve of finite maximum likelihood", "no convergence", todo)
        raise ValueError(msg)
    return found


def _logs(score: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return ln p and -ln(1 - p) of logits, without going through p."""
    return -np.logaddexp(0, -score), np.logaddexp(0, score)
