"""One problem, ready for the kernels: moments, penalty weights, free columns, twins, null model."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from ._moments import moments, products
from ._path import Fit
from ._penalty import ElasticNet
from .blas import single_threaded
from .errors import INTERRUPTED
from .families import Family, Gaussian
from .gram import alike, centred_gram, pays
from .noise import Noise
from .twins import exclude_twins, twins
from .validation import Data, Float, check_finite, repeated

EPS = float(np.finfo(float).eps)
BLOCK_LIMIT = 2000
"""Free columns beyond this many are left to coordinate descent (their Gram would outgrow the problem)."""

RANDOM = np.random.default_rng(0).random(4096)
"""What marks columns, so that equal ones are found; more of it is made for more rows."""

SQUARED = Gaussian()

Measured = tuple[Float, Float, NDArray[Any], Float | None, Float | None]

RIDGE_GRID = 1e-3
"""The smallest l1_ratio that α_max believes: with less, no finite α gives the null model (glmnet's rule)."""


@dataclass(frozen=True)
class Penalties:
    """How strongly each column is penalised, before α."""

    l1_ratio: float
    factors: Float  # (p,) v_j
    lo: Float  # (p,)
    hi: Float  # (p,)
    grouped: bool = False  # of several predictors: ‖b_j·‖₂ takes the place of |b_j|
    noise: Noise | None = None  # dropout

    def like(self, l1_ratio: float, dropout: float | None = None) -> Penalties:
        """The same with another mix and, where there is dropout, another probability of it."""
        noise = self.noise
        if noise is not None and dropout is not None:
            noise = replace(noise, rate=dropout) if dropout > 0 else None
        return replace(self, l1_ratio=l1_ratio, noise=noise)


@dataclass(frozen=True)
class Problem:
    """Arrays that describe one fit. X is shared; everything else belongs to the problem."""

    data: Data
    family: Family
    y: Float  # (n,) response; less the offset, for squared error
    offset: Float | None  # (n,) for other families
    w: Float  # (n,) weights, sum 1
    intercept: bool
    penalties: Penalties
    mean: Float  # (p,) weighted means; 0 without intercept
    var: Float  # (p,) Σ w (x − its mean)²
    curvature: Float  # (p,) Σ w (x − mean)²; the same array with an intercept
    standardize: bool
    l1: Float  # (p,) weight of |b_j|; inf: excluded, dead, twin, or free in the block
    l2: Float  # (p,)
    ridge: Float | None  # (p,) d_j: ½ d_j b_j² whatever α is, dropout's
    block: NDArray[np.intp]  # free columns without bounds: solved exactly
    loose: NDArray[np.intp]  # free columns with bounds, or too many for the block
    twin_of: NDArray[Any]  # (p,) int the first column that is equal to this one
    square: Float | None = None  # (p, p) Gram of the columns, centred where an intercept is fitted
    pull: Float | None = None  # (p,) X'W(y − its mean)
    classes: NDArray[Any] | None = None  # (C,) labels
    trials: int | None = None  # what a response of counts was counted over, where that is not one for each row

    @property
    def size(self) -> int:
        """How many observations of positive weight there are."""
        return int(np.count_nonzero(self.w)) if self.trials is None else self.trials
    centre: tuple[Float, float] | None = None  # (p,) means and mean response taken off beforehand (condense.py)

    def intercepts(self, b0: Any, coefs: Any) -> Any:
        """Intercepts on the scale of the data, for coefficients (p,) or (p, k)."""
        return b0 if self.centre is None else b0 + self.centre[1] - self.centre[0] @ coefs

    def respond(self, y: Float) -> Problem:
        """The same problem for another response."""
        return replace(self, y=y, pull=None)

    def passes(self, counted: Float, whole: Problem) -> Float:
        """Reads of X, set-up included, that reads of this problem's rows amount to; condensing takes two."""
        if whole is self:
            return counted + self.data.design.gauge_reads
        return 2 + counted * (self.data.design.entries / max(whole.data.design.entries, 1))

    @property
    def labels(self) -> NDArray[np.intp] | None:
        """(n,) number of each row's class; None where the response is a number, a share or counts."""
        if self.classes is None or self.trials is not None:
            return None
        return self.y.astype(np.intp) if self.y.ndim == 1 else self.y.argmax(axis=0)

    @property
    def scale(self) -> Float:
        """(p,) s_j of the objective; made when asked for, X may have millions of columns."""
        return scales(self.var, self.standardize)

    @property
    def sd(self) -> Float:
        """(p,) weighted standard deviations about the mean."""
        return np.sqrt(self.var)

    @property
    def gap_kind(self) -> str:
        """What certifies a solution: free columns with bounds, and what is not convex, leave no finite dual point."""
        if self.ridge is None or not self.iterated:
            return "kkt residual" if self.loose.size and self.ridge is None else "duality gap"
        return "duality gap" if self.convex and not self.loose.size else "kkt residual"

    @property
    def convex(self) -> bool:
        """Whether every stationary point is a solution: not of dropout's second order, nor of its penalty alone."""
        noise = self.penalties.noise
        return noise is None or self.family.quadratic or (self.family.dropout == "exact" and noise.unlabeled is None)

    @property
    def iterated(self) -> bool:
        """Whether dropout makes a penalty that is not a ridge (`dropout`)."""
        return self.penalties.noise is not None and not self.family.quadratic

    @property
    def measured(self) -> Measured | None:
        """What `measure` found, if it is known."""
        return (self.mean, self.var, self.twin_of, self.square, self.pull) if self.intercept else None

    def fit(self, stop: NDArray[np.int32] | None = None, by_kkt: bool = False) -> Fit:
        """A workspace for this problem; `stop[0] != 0` interrupts it."""
        mean, curvature = (x if x.size else np.zeros(1) for x in (self.mean, self.curvature))
        return Fit(self.data.design, ElasticNet(self.l1, self.l2, self.penalties.lo, self.penalties.hi, self.ridge),
                   self.family.loss(self.y, self.w, self.offset), self.w, mean, curvature, self.intercept, self.block,
                   block_root(self), self.loose,
                   by_kkt or self.gap_kind != "duality gap", np.zeros(1, dtype=np.int32) if stop is None else stop)


def scales(var: Float, standardize: bool) -> Float:
    """(p,) standard deviations, 1 for a constant column; or ones."""
    if not standardize:
        return repeated(1.0, len(var))
    out = np.sqrt(var)
    out[out == 0] = 1
    return out


def build(data: Data, y: Float, w: Float, *, intercept: bool, standardize: bool, penalties: Penalties,
          family: Family = SQUARED, offset: Float | None = None, classes: NDArray[Any] | None = None,
          trials: int | None = None, n_alphas: int = 0, stop: NDArray[np.int32] | None = None,
          measured: Measured | None = None) -> Problem:
    """Moments in one or two passes over X, then the weights of the penalty.

    `n_alphas`: how many strengths will be asked for; where X has many rows for its columns, the Gram then pays;
    `stop[0] != 0` gives it up. `measured`: what `measure` would say, where that is known.

    Raises
    ------
    ValueError
        X contains NaN or infinity, or values too large to square.
    """
    p = data.design.p
    many = n_alphas if family.quadratic else 0
    mean, var, twin_of, square, pull = measured or measure(data, w, y, intercept, many, stop)
    var[var <= (8 * EPS) ** 2 * (var + mean * mean)] = 0
    curvature = var if intercept else var + mean * mean
    dead, v, scale = curvature == 0, penalties.factors, scales(var, standardize)
    free = np.flatnonzero((v == 0) & ~dead)
    block = free[np.isinf(penalties.lo[free]) & np.isinf(penalties.hi[free])]
    noise = penalties.noise
    if block.size > BLOCK_LIMIT or not family.quadratic or noise is not None:  # (the Gram is that of one quadratic)
        block = block[:0]
    out = dead | np.isinf(v)
    l1 = np.where(out, 0.0, v)
    l1 *= scale
    l2 = l1 * scale * (1 - penalties.l1_ratio) if penalties.l1_ratio < 1 else repeated(0.0, p)
    l1 *= penalties.l1_ratio
    l1[out] = np.inf
    ridge = None if noise is None else noise.ridge(var + mean * mean, int(np.count_nonzero(w)))
    if ridge is None:  # (else equal columns share)
        exclude_twins(twin_of, l1, l2, penalties)
    l1[block] = np.inf
    if square is not None and not intercept:
        square += np.outer(mean, mean)
    loose = np.setdiff1d(free, block) if free.size > block.size else free[:0]
    return Problem(data, family, y, offset, w, intercept, penalties, mean if intercept else np.zeros(p), var, curvature,
                   standardize, l1, l2, ridge, block, loose, twin_of, square, pull, classes=classes,
                   trials=trials)


def measure(data: Data, w: Float, y: Float, intercept: bool, n_alphas: int,
            stop: NDArray[np.int32] | None) -> Measured:
    """Means, variances, the first of each group of equal columns; where it pays the centred Gram and X'W(y − mean)."""
    n, p = data.design.n, data.design.p
    mean, var, mark = np.empty(p), np.empty(p), np.empty(p)
    if pays(n, p, n_alphas):
        e, both = y - w @ y if intercept else y, np.empty((2, p))
        products(data.design, np.stack([w, w * e]), both)
        mean = both[0]
        check_finite(data, mean, mean)
        with single_threaded():
            found = centred_gram(data, w, mean, e, both[1], intercept, stop)
        if found is not None:
            mean, square, pull = found
            var = np.maximum(np.diagonal(square), 0.0)
            check_finite(data, mean, var)
            return mean, var, alike(data.X, square), square, pull
    moments(data.design, w, RANDOM[:n] if n <= RANDOM.size else np.random.default_rng(0).random(n), mean, var, mark)
    check_finite(data, mean, var)
    return mean, var, twins(mean, var, mark), None, None


def bare(problem: Problem) -> Problem:
    """The same problem with no column penalised: its null model is the fit without a penalty."""
    free = np.where(np.isinf(problem.penalties.factors), np.inf, 0.0)
    return build(problem.data, problem.y, problem.w, intercept=problem.intercept, standardize=False,
                 penalties=replace(problem.penalties, factors=free), family=problem.family, offset=problem.offset)


def columns(problem: Problem, ids: NDArray[Any]) -> Float:
    """(n, len(ids)) float64 copy of some columns, centred where an intercept is fitted."""
    X = problem.data.X[:, ids]
    dense = np.asarray(X.toarray() if sp.issparse(X) else X, dtype=np.float64)
    return np.asarray(dense - problem.mean[ids])


def correlation_matrix(problem: Problem, ids: NDArray[Any]) -> Float:
    """(k, k) weighted correlations of some columns, about their means where an intercept is fitted."""
    A = columns(problem, ids) * np.sqrt(problem.w)[:, None] / np.sqrt(problem.curvature[ids])
    return np.asarray(A.T @ A)


def block_root(problem: Problem) -> Float:
    """(rank, k) R with R'R the pseudo-inverse of the free columns' Gram: minimum norm on standardised columns."""
    ids = problem.block
    if not ids.size:
        return np.zeros((1, 1))
    h = np.sqrt(problem.curvature[ids])
    # singular values, not eigenvalues of the Gram: a dependence of 1e-9 is one of 1e-18 there, and would be dropped
    d, V = np.linalg.svd(columns(problem, ids) * np.sqrt(problem.w)[:, None] / h, full_matrices=False)[1:]
    keep = d > 16 * EPS * max(len(ids), len(problem.w)) * d[0]
    return np.ascontiguousarray(V[keep] / d[keep][:, None] / h)


@dataclass(frozen=True)
class Null:
    """The model without penalised columns."""

    status: int
    total: float  # value with the intercept alone
    value: float  # P_null: with the free columns too; 0 where y is constant but for rounding
    alpha_max: float  # the smallest α whose solution is the null model


def grid(problem: Problem, null: Null, n_alphas: int, eps: float | None) -> Float:
    """Geometric from α_max down to eps·α_max; a constant y needs one α only, and any will do."""
    n = int(np.count_nonzero(problem.w))
    if eps is None:
        eps = 1e-2 if n < problem.data.design.p else 1e-4
    if null.alpha_max == 0:
        return np.ones(1)
    return np.geomspace(null.alpha_max, null.alpha_max * eps, n_alphas) if n_alphas > 1 else np.array([null.alpha_max])


def binding(problem: Problem) -> bool:
    """Bounds other than 0 can hold the deviance still for a while: a flat stretch is not the end of the path."""
    sides = np.concatenate([problem.penalties.lo, problem.penalties.hi])
    return bool(np.any(np.isfinite(sides) & (sides != 0)))


def facts(problem: Problem, null: Null, asked: Float, values: Float, status: NDArray[np.str_], cut: str = "", *,
          tol: float, standardize: bool, has_offset: bool, keep: tuple[bool, bool]) -> dict[str, Any]:
    """What a path tells of its problem and its end, however many predictors it has; `cut`: what broke it off."""
    done, penalties = len(status), problem.penalties
    if cut:
        path_status = cut
    elif "separated" in status:
        path_status = "separated"
    elif null.value == 0:
        path_status = "constant"
    elif done < len(asked):
        path_status = "saturated" if values[-1] < 1e-3 * null.total else "flat"
    else:
        path_status = "complete"
    return {
        "alphas": asked[:done], "status": status, "path_status": path_status,
        "deviance_ratio": 1 - values / null.total if null.total > 0 else np.zeros(done),
        "feature_names_in_": problem.data.names, "classes_": problem.classes, "l1_ratio": penalties.l1_ratio,
        "tol": tol, "fit_intercept": problem.intercept, "standardize": standardize, "family": problem.family.name,
        "scales": problem.sd, "alpha_max": null.alpha_max, "n_samples": problem.size, "null_deviance": 2 * null.total,
        "penalty_factors": penalties.factors if keep[0] else None,
        "bounds": (penalties.lo, penalties.hi) if keep[1] else None, "has_offset": has_offset,
        "dropout": 0.0 if penalties.noise is None else penalties.noise.rate,
        "has_unlabeled": penalties.noise is not None and penalties.noise.unlabeled is not None}


def strongest(problem: Problem, pull: Float, noise: float) -> float:
    """The largest of pulls (p,) at penalised columns, per weight of their penalty; those below `noise` count as none.

    `noise` is what rounding leaves of the correlation with a column of root mean square 1.
    """
    v = problem.penalties.factors
    ids = np.flatnonzero((v > 0) & (problem.curvature > 0)
                         & (pull > noise * np.sqrt(problem.curvature + problem.mean**2)))
    return float((pull[ids] / (v[ids] * problem.scale[ids])).max(initial=0.0))


def null_model(fit: Fit, floor: float) -> tuple[int, float, float]:
    """`Fit.start`, where Ctrl-C is an exception."""
    status, total, value = fit.start(floor)
    if status == INTERRUPTED:
        raise fit.error or KeyboardInterrupt()
    return status, total, value


def start(problem: Problem, fit: Fit) -> Null:
    """Fit the null model and read α_max off its correlations."""
    floor = (64 * EPS) ** 2 * float(problem.w @ (problem.y * problem.y)) if problem.family.quadratic else 64 * EPS
    status, total, value = null_model(fit, floor)
    if value == 0:
        return Null(status, 0.0 if total <= floor else total, 0.0, 0.0)
    # a column in the span of the free ones has no correlation left, only rounding
    noise = (500 if problem.block.size else 32) * EPS * math.sqrt(2 * total)
    pull = fit.largest_pull(problem.penalties.factors, problem.scale, noise)
    alpha_max = pull / max(problem.penalties.l1_ratio, RIDGE_GRID) * (1 + 4 * EPS)
    return Null(status, total, value, alpha_max)
