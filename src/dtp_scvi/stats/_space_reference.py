"""Where training rows lie in a space of a few coordinates: moments and quantiles, no rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from scipy.special import ndtr

from dtp_scvi._constants import FEWEST_ROWS
from dtp_scvi._validate import problem
from dtp_scvi.stats._check import as_codes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

# Weight of the identity in a covariance, for coordinates that hardly vary.
_RIDGE: Final = 1e-3
_NAMES: Final = (
    "shares",
    "means",
    "covariances",
    "farthest",
    "median",
    "mad",
    "n_rows",
    "donor_auroc",
)


@dataclass(frozen=True, kw_only=True, eq=False)
class SpaceReference:
    """
    Moments of each class of the training rows, and how far rows and donors lie from them.

    Parameters
    ----------
    shares
        Share of each class, shape (n_classes,).
    means
        Mean of each class, shape (n_classes, n_dimensions).
    covariances
        Covariance of each class, shape (n_classes, n_dimensions, n_dimensions).
    farthest
        99 % quantile of the Mahalanobis distance of training rows from their mean.
    median, mad
        Median of that distance and median absolute deviation from it.
    n_rows
        Training rows.
    donor_auroc
        For each training donor, how well a linear classifier tells it from the others, 0.5 to 1;
        empty where fewer than three donors are named.

    Examples
    --------
    >>> import numpy as np
    >>> from dtp_scvi import stats
    >>> rows = np.random.default_rng(0).normal(size=(400, 3))
    >>> reference = stats.SpaceReference.from_rows(rows, rows[:, 0] > 0)
    >>> reference.domain_auroc(rows + [0, 0, 5]) > 0.99
    True
    """

    shares: NDArray[np.float64]
    means: NDArray[np.float64]
    covariances: NDArray[np.float64]
    farthest: float
    median: float
    mad: float
    n_rows: int
    donor_auroc: NDArray[np.float64]

    @classmethod
    def from_rows(
        cls, rows: ArrayLike, classes: ArrayLike, groups: ArrayLike | None = None
    ) -> SpaceReference:
        """
        Summarise training rows.

        Parameters
        ----------
        rows
            Coordinates, shape (n_rows, n_dimensions).
        classes
            Class of each row.
        groups
            Donor of each row.

        Returns
        -------
        The summary.

        Raises
        ------
        ValueError
            Coordinates that are not finite, or fewer than 20 rows.
        """
        rows = _table(rows)
        if len(rows) < FEWEST_ROWS:
            msg = problem(
                f"at least {FEWEST_ROWS} rows", f"{len(rows)}", "Fewer would be single rows."
            )
            raise ValueError(msg)
        bare = _moments(rows, as_codes(classes, len(rows)))
        far = bare.distance(rows)
        median = float(np.median(far))
        donors: list[float] = []
        codes = as_codes(groups, len(rows)) if groups is not None else np.zeros(len(rows), int)
        n_donors = int(codes.max()) + 1
        for donor in range(n_donors if n_donors > 2 else 0):
            own = codes == donor
            if own.sum() >= FEWEST_ROWS and (~own).sum() >= FEWEST_ROWS:
                rest = _moments(rows[~own], as_codes(np.asarray(classes)[~own], int((~own).sum())))
                donors.append(rest.domain_auroc(rows[own]))
        return cls(
            shares=bare.shares,
            means=bare.means,
            covariances=bare.covariances,
            farthest=float(np.quantile(far, 0.99)),
            median=median,
            mad=float(np.median(np.abs(far - median))),
            n_rows=len(rows),
            donor_auroc=np.array(donors),
        )

    @property
    def mean(self) -> NDArray[np.float64]:
        """Overall mean, shape (n_dimensions,)."""
        return self.shares @ self.means

    @property
    def covariance(self) -> NDArray[np.float64]:
        """Overall covariance, between and within classes, with a small ridge."""
        apart = self.means - self.mean
        total = np.einsum("c,cij->ij", self.shares, self.covariances)
        total = total + np.einsum("c,ci,cj->ij", self.shares, apart, apart)
        ridge = _RIDGE * max(float(np.trace(total)) / len(total), float(np.finfo(np.float32).tiny))
        return total + ridge * np.eye(len(total))

    def distance(self, rows: ArrayLike) -> NDArray[np.float64]:
        """
        Mahalanobis distance from the overall mean.

        Parameters
        ----------
        rows
            Coordinates, shape (n_rows, n_dimensions).

        Returns
        -------
        Distances >= 0, shape (n_rows,).
        """
        lower = np.linalg.cholesky(self.covariance)
        return np.linalg.norm(np.linalg.solve(lower, (_table(rows) - self.mean).T), axis=0)

    def spread(self, rows: ArrayLike) -> float:
        """
        How much rows vary about their own mean, as a share of what training rows do.

        Parameters
        ----------
        rows
            Coordinates of a query, shape (n_rows, n_dimensions).

        Returns
        -------
        Mean over dimensions of the variance in units of the training covariance: 1 for rows of
        the same kind, near 0 for mixtures of many cells.
        """
        rows = _table(rows)
        own = np.atleast_2d(np.cov(rows, rowvar=False, bias=True))
        return float(np.trace(np.linalg.solve(self.covariance, own)) / rows.shape[1])

    def domain_auroc(self, rows: ArrayLike) -> float:
        """
        How well a linear classifier tells the rows from the training rows.

        Linear discriminant analysis, fitted on one half of the rows and the stored moments, judged
        on the other half against the Gaussian mixture of the classes, both ways. The halves
        alternate along the distance from the mean, so the order of the rows does not matter.

        Parameters
        ----------
        rows
            Coordinates of a query, shape (n_rows, n_dimensions).

        Returns
        -------
        AUROC, 0.5 (or slightly less, by chance) to 1.
        """
        rows = _table(rows)
        order = np.lexsort((*rows.T, self.distance(rows)))
        halves = rows[order[::2]], rows[order[1::2]]
        if len(halves[1]) == 0:
            halves = rows, rows
        own = self.covariance
        found = []
        for fitted, judged in (halves, halves[::-1]):
            # As many imagined rows of the reference keep a few query rows from bending the axes.
            share = len(fitted) / (len(fitted) + 10 * rows.shape[1])
            within = (1 - share / 2) * own + share / 2 * np.cov(fitted, rowvar=False, bias=True)
            axis = np.linalg.solve(within, fitted.mean(axis=0) - self.mean)
            spread = np.sqrt(np.einsum("i,cij,j->c", axis, self.covariances, axis))
            spread = np.maximum(spread, np.finfo(np.float64).tiny)
            above = ndtr(((judged @ axis)[:, None] - self.means @ axis) / spread)
            found.append(float((above @ self.shares).mean()))
        return float(np.mean(found))

    def to_dict(self) -> dict[str, Any]:
        """
        Plain numbers and lists for JSON.

        Returns
        -------
        The fields by name.
        """
        values = {name: getattr(self, name) for name in _NAMES}
        return {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in values.items()}

    @classmethod
    def from_dict(cls, entries: Mapping[str, Any]) -> SpaceReference:
        """
        Read what ``to_dict`` wrote; shapes are checked.

        Parameters
        ----------
        entries
            All fields by name.

        Returns
        -------
        The reference.

        Raises
        ------
        ValueError
            A field is missing, or shapes do not fit.
        """
        missing = [name for name in _NAMES if name not in entries]
        if missing:
            raise ValueError(problem("all fields", f"no {', '.join(missing)}", "Save it again."))
        arrays = {
            name: np.asarray(entries[name], dtype=np.float64)
            for name in ("shares", "means", "covariances", "donor_auroc")
        }
        n_classes, n_dimensions = arrays["means"].shape
        shapes = arrays["shares"].shape, arrays["covariances"].shape
        if shapes != ((n_classes,), (n_classes, n_dimensions, n_dimensions)):
            raise ValueError(problem("moments of one size", f"{shapes}", "Save it again."))
        return cls(
            shares=arrays["shares"],
            means=arrays["means"],
            covariances=arrays["covariances"],
            donor_auroc=arrays["donor_auroc"],
            farthest=float(entries["farthest"]),
            median=float(entries["median"]),
            mad=float(entries["mad"]),
            n_rows=int(entries["n_rows"]),
        )


def _table(rows: ArrayLike) -> NDArray[np.float64]:
    table = np.asarray(rows, dtype=np.float64)
    if table.ndim != 2 or not np.isfinite(table).all():
        msg = problem("finite coordinates, rows x dimensions", f"shape {table.shape}", "Check it.")
        raise ValueError(msg)
    return table


def _moments(rows: NDArray[np.float64], codes: NDArray[np.intp]) -> SpaceReference:
    parts = [rows[codes == code] for code in range(int(codes.max()) + 1)]
    parts = [part for part in parts if len(part)]
    return SpaceReference(
        shares=np.array([len(part) / len(rows) for part in parts]),
        means=np.array([part.mean(axis=0) for part in parts]),
        covariances=np.array(
            [np.atleast_2d(np.cov(part, rowvar=False, bias=True)) for part in parts]
        ),
        farthest=np.inf,
        median=0.0,
        mad=0.0,
        n_rows=len(rows),
        donor_auroc=np.empty(0),
    )
