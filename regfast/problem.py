"""One problem, ready for the kernels: moments, penalty weights, free columns, twins, null model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from ._design import moments
from ._loss import Gaussian
from ._path import Fit
from ._penalty import ElasticNet
from .errors import INTERRUPTED
from .validation import Data, Float, blocks, check_finite

EPS = float(np.finfo(float).eps)
BLOCK_LIMIT = 2000
"""Free columns beyond this many are left to coordinate descent (their Gram would outgrow the problem)."""

RIDGE_GRID = 1e-3
"""The smallest l1_ratio that α_max believes: with less, no finite α gives the null model (glmnet's rule)."""


@dataclass(frozen=True)
class Penalties:
    """How strongly each column is penalised, before α."""

    l1_ratio: float
    factors: Float  # (p,) v_j
    lo: Float  # (p,)
    hi: Float  # (p,)


@dataclass(frozen=True)
class Problem:
    """Arrays that describe one fit. X is shared; everything else belongs to the problem."""

    data: Data
    y: Float  # (n,) response less offset
    w: Float  # (n,) weights, sum 1
    intercept: bool
    penalties: Penalties
    mean: Float  # (p,) weighted means; 0 without intercept
    curvature: Float  # (p,) Σ w (x − mean)²
    sd: Float  # (p,) weighted standard deviations about the true mean
    scale: Float  # (p,) s_j of the objective
    l1: Float  # (p,) weight of |b_j|; inf: excluded, dead, twin, or free in the block
    l2: Float  # (p,)
    block: NDArray[np.intp]  # free columns without bounds: solved exactly
    loose: NDArray[np.intp]  # free columns with bounds, or too many for the block
    twin_of: NDArray[np.intp]  # (p,) the first column that is equal to this one

    @property
    def gap_kind(self) -> str:
        """What certifies a solution: free columns with bounds leave no finite dual point."""
        return "kkt residual" if self.loose.size else "duality gap"

    def fit(self, stop: NDArray[np.int32] | None = None, by_kkt: bool = False) -> Fit:
        """A workspace for this problem; `stop[0] != 0` interrupts it."""
        inverse = block_inverse(self)
        return Fit(self.data.design, ElasticNet(self.l1, self.l2, self.penalties.lo, self.penalties.hi),
                   Gaussian(self.y, self.w), self.w, _never_empty(self.mean), _never_empty(self.curvature),
                   self.intercept, self.block, inverse, self.loose, by_kkt or bool(self.loose.size),
                   np.zeros(1, dtype=np.int32) if stop is None else stop)


def _never_empty(x: Float) -> Float:
    return x if x.size else np.zeros(1)


def build(data: Data, y: Float, w: Float, *, intercept: bool, standardize: bool, penalties: Penalties) -> Problem:
    """Moments in one or two passes over X, then the weights of the penalty.

    Raises
    ------
    ValueError
        X contains NaN or infinity, or values too large to square.
    """
    n, p = data.design.n, data.design.p
    mean, var, mark = np.empty(p), np.empty(p), np.empty(p)
    moments(data.design, w, np.random.default_rng(0).random(n), mean, var, mark)
    check_finite(data, mean, var)
    var[var <= (8 * EPS) ** 2 * (var + mean * mean)] = 0
    dead = var == 0 if intercept else var + mean * mean == 0
    sd = np.sqrt(var)
    scale = np.where(sd > 0, sd, 1.0) if standardize else np.ones(p)
    v = penalties.factors
    open_ended = np.isinf(penalties.lo) & np.isinf(penalties.hi)
    free = np.flatnonzero((v == 0) & ~dead)
    block = free[open_ended[free]]
    if block.size > BLOCK_LIMIT:
        block = block[:0]
    with np.errstate(invalid="ignore"):  # inf · 0 where l1_ratio is 0 or 1
        l1 = np.where(np.isinf(v) | dead, np.inf, v * scale * penalties.l1_ratio)
        l2 = np.where(np.isinf(v) | dead, 0.0, v * scale * scale * (1 - penalties.l1_ratio))
    twin_of = twins(mean, var, mark)
    l1[superfluous(twin_of, l1, l2, penalties)] = np.inf
    l1[block] = np.inf
    return Problem(data, y, w, intercept, penalties, mean if intercept else np.zeros(p),
                   var if intercept else var + mean * mean, sd, scale, l1, l2, block.astype(np.intp),
                   np.setdiff1d(free, block).astype(np.intp), twin_of)


def twins(mean: Float, var: Float, mark: Float) -> NDArray[np.intp]:
    """(p,) the lowest index of a column equal to this one: equal columns have bit-equal moments and random marks."""
    order = np.argsort(mark, kind="stable")
    first = np.ones(len(order), dtype=bool)
    same = np.ones(max(len(order) - 1, 0), dtype=bool)
    for x in (mark, mean, var):
        same &= x[order][1:] == x[order][:-1]
    first[1:] = ~same
    out = np.empty(len(order), dtype=np.intp)
    out[order] = order[first][np.cumsum(first) - 1] if len(order) else order
    return out


def superfluous(twin_of: NDArray[np.intp], l1: Float, l2: Float, penalties: Penalties) -> NDArray[np.intp]:
    """Columns that an equal one before them can replace at no cost: the first of them enters, alone.

    Not with a quadratic part (equal columns then share), nor where a finite bound could fill the first one up.
    """
    j = np.flatnonzero(twin_of != np.arange(len(twin_of)))
    i = twin_of[j]
    lo, hi = penalties.lo, penalties.hi
    alike = (l1[j] == l1[i]) & (l2[j] == 0) & (l2[i] == 0) & (lo[j] == lo[i]) & (hi[j] == hi[i])
    roomy = (np.isinf(lo[i]) | (lo[i] == 0)) & (np.isinf(hi[i]) | (hi[i] == 0))
    return np.asarray(j[alike & roomy & (penalties.factors[j] > 0)])


def columns(problem: Problem, ids: NDArray[Any]) -> Float:
    """(n, len(ids)) float64 copy of some columns, centred where an intercept is fitted."""
    X = problem.data.X[:, ids]
    dense = np.asarray(X.toarray() if sp.issparse(X) else X, dtype=np.float64)
    return np.asarray(dense - problem.mean[ids])


def gram(problem: Problem, ids: NDArray[Any]) -> Float:
    """(k, k) weighted, centred Gram of some columns, each scaled to variance 1."""
    A = columns(problem, ids) * np.sqrt(problem.w)[:, None] / np.sqrt(problem.curvature[ids])
    return np.asarray(A.T @ A)


def block_inverse(problem: Problem) -> Float:
    """Pseudo-inverse of the free columns' Gram: minimum norm (on standardised columns) where they are collinear."""
    ids = problem.block
    if not ids.size:
        return np.zeros((1, 1))
    d, V = np.linalg.eigh(gram(problem, ids))
    keep = d > len(ids) * 16 * EPS * d[-1]
    h = np.sqrt(problem.curvature[ids])
    return np.ascontiguousarray(((V[:, keep] / d[keep]) @ V[:, keep].T) / h[:, None] / h[None, :])


@dataclass(frozen=True)
class Null:
    """The model without penalised columns."""

    status: int
    total: float  # value with the intercept alone
    value: float  # P_null: with the free columns too; 0 where y is constant but for rounding
    alpha_max: float  # the smallest α whose solution is the null model


def start(problem: Problem, fit: Fit) -> Null:
    """Fit the null model and read α_max off its correlations."""
    floor = (64 * EPS) ** 2 * float(problem.w @ (problem.y * problem.y))
    status, total, value = fit.start(floor)
    if status == INTERRUPTED:
        raise fit.error or KeyboardInterrupt()
    if value == 0:
        return Null(status, 0.0 if total <= floor else total, 0.0, 0.0)
    c = fit.correlation()
    # a column in the span of the free ones has no correlation left, only rounding
    noise = (500 if problem.block.size else 32) * EPS * np.sqrt(2 * total * (problem.curvature + problem.mean**2))
    c[np.abs(c) <= noise] = 0
    lo, hi = problem.penalties.lo, problem.penalties.hi
    pull = np.where(c > 0, np.where(hi > 0, c, 0), np.where(lo < 0, -c, 0))
    ratio = max(problem.penalties.l1_ratio, RIDGE_GRID)
    with np.errstate(divide="ignore", invalid="ignore"):
        reach = pull / (problem.penalties.factors * problem.scale * ratio)
    penalised = (problem.penalties.factors > 0) & (problem.curvature > 0)
    alpha_max = float(np.max(reach[penalised], initial=0.0)) * (1 + 4 * EPS)
    return Null(status, total, value, alpha_max)


def linear_predictor(X: Any, coef: Any, intercept: Any) -> Float:
    """X @ coef + intercept, dense, in row blocks: a sparse `coef` never meets a dense copy of X."""
    if not sp.issparse(coef) or sp.issparse(X):
        product = X @ coef
        eta: Float = np.asarray(product.toarray() if sp.issparse(product) else product) + intercept
        return eta
    used = np.flatnonzero(np.diff(coef.tocsr().indptr))
    small = coef.tocsr()[used].toarray()
    out = np.empty((X.shape[0], coef.shape[1]))
    for rows in blocks(X.shape[0], max(1, 2**22 // max(len(used), 1))):
        out[rows] = X[rows][:, used] @ small
    return np.asarray(out + intercept)
