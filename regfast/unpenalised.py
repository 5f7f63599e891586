"""α = 0: least squares without a penalty, of minimum norm where it is not unique."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import scipy.linalg
import scipy.sparse as sp
import scipy.sparse.linalg as spl

from ._path import Fit
from .errors import STATUS
from .problem import EPS, Problem, bare, columns, start
from .validation import Float


class Solution(NamedTuple):
    coef: Float
    intercept: float
    value: float
    kkt: float
    status: str
    n_iter: int
    gap: float = np.nan  # what the objective still has to fall, where that is known


def unpenalised(problem: Problem, fit: Fit) -> Solution:
    """The best fit without a penalty, within the bounds, over every column that is not excluded."""
    if problem.family.quadratic and problem.ridge is None:
        return least_squares(problem, fit)
    coef, status = _bounded(problem)
    _, kkt, _, value, intercept = fit.at(coef, 0.0)
    used = np.isfinite(problem.penalties.factors) & (problem.curvature > 0)
    rows = np.count_nonzero(problem.w) - int(problem.intercept)
    many = np.count_nonzero(used) > rows or len(np.unique(problem.twin_of[used])) < np.count_nonzero(used)
    if status == "converged" and problem.ridge is None and many:
        status = "not_unique"
        if not np.isfinite(problem.penalties.lo).any() and not np.isfinite(problem.penalties.hi).any():
            coef = shortest(problem, coef)
            _, kkt, _, value, intercept = fit.at(coef, 0.0)
    return Solution(fit.coef(), intercept, value, kkt / np.sqrt(2 * max(start(problem, problem.fit()).value, 1e-300)),
                    status, 1)


def least_squares(problem: Problem, fit: Fit) -> Solution:
    """min_b ½ Σ w (y − b0 − Xb)² within the bounds, over every column that is not excluded.

    Without bounds dense X goes through LAPACK's gelsd on a weighted, standardised copy, sparse X through LSMR (Fong &
    Saunders, 2011) with implicit centring; what is not unique is then made `shortest`. With finite bounds our own
    active set.
    """
    ids = np.flatnonzero(np.isfinite(problem.penalties.factors) & (problem.curvature > 0))
    coef = np.zeros(problem.data.design.p)
    status, n_iter, gap = "converged", 1, 0.0
    lo, hi = problem.penalties.lo[ids], problem.penalties.hi[ids]
    if np.isfinite(lo).any() or np.isfinite(hi).any():
        (coef, status), gap = _bounded(problem), np.nan
    elif ids.size:
        size, root = np.sqrt(problem.curvature[ids]), np.sqrt(problem.w)
        t = root * (problem.y - (problem.w @ problem.y if problem.intercept else 0.0))
        A = _operator(problem, ids, root, size)
        if isinstance(A, np.ndarray):
            scaled, _, rank, _ = scipy.linalg.lstsq(A, t)
            status = "converged" if rank == ids.size else "not_unique"
        else:
            scaled, stop, n_iter = spl.lsmr(A, t, atol=1e-15, btol=1e-15, conlim=0, maxiter=10 * min(A.shape) + 100)[:3]
            status = "max_iter" if stop == 7 else "converged"
        rows = np.count_nonzero(problem.w) - int(problem.intercept)
        if status == "converged" and (ids.size > rows or len(np.unique(problem.twin_of[ids])) < ids.size):
            status = "not_unique"
        apply = A.dot if isinstance(A, np.ndarray) else A.matvec
        gap = 0.5 * float(np.sum(apply(_once_more(A, t - apply(scaled))) ** 2))
        coef[ids] = scaled / size
        known = isinstance(A, np.ndarray) and status != "not_unique"  # (LSMR does not tell a rank)
        if not problem.standardize and not known:
            coef = shortest(problem, coef)
    _, kkt, _, value, intercept = fit.at(coef, 0.0)
    centred = problem.y - (problem.w @ problem.y if problem.intercept else 0.0)
    null = float(np.sqrt(problem.w @ centred**2))
    return Solution(fit.coef(), intercept, value, kkt / max(null, 1e-300), status, max(int(n_iter), 1), gap)


def _once_more(A: Any, rest: Float) -> Float:
    """What least squares makes of a residual: its fit is what the first solution left to be had."""
    if isinstance(A, np.ndarray):
        return np.asarray(scipy.linalg.lstsq(A, rest)[0])
    return np.asarray(spl.lsmr(A, rest, atol=1e-6, btol=1e-6, conlim=0, maxiter=10 * min(A.shape) + 100)[0])


def shortest(problem: Problem, coef: Float) -> Float:
    """(p,) of all coefficients with these fitted values those of least norm Σ (s_j b_j)²: what ridge tends to as α → 0.

    With Z the row space of the standardised columns, scaled by D, that is D b = (the projection of b on D⁻¹ Z): found
    from an orthonormal basis, so that fitted values stay to rounding however the columns are scaled. Sparse X: LSMR,
    whose answer counts where it has the same fitted values.
    """
    ids = np.flatnonzero(np.isfinite(problem.penalties.factors) & (problem.curvature > 0))
    size, root, scale = np.sqrt(problem.curvature[ids]), np.sqrt(problem.w), problem.scale[ids]
    out = np.zeros_like(coef)
    A: Any = _operator(problem, ids, root, size)
    if isinstance(A, np.ndarray):
        _, values, rows = scipy.linalg.svd(A, full_matrices=False)
        Z = rows[values > max(A.shape) * EPS * values[0]].T
        Q, R = scipy.linalg.qr((size / scale)[:, None] * Z, mode="economic")
        out[ids] = Q @ scipy.linalg.solve_triangular(R, Z.T @ (size * coef[ids]), trans="T") / scale
    else:
        fitted = A.matvec(size * coef[ids])
        B: Any = _operator(problem, ids, root, scale)
        short = spl.lsmr(B, fitted, atol=1e-15, btol=1e-15, conlim=0, maxiter=10 * min(B.shape) + 100)[0]
        kept = np.linalg.norm(B.matvec(short) - fitted) <= 1e-10 * np.linalg.norm(fitted)
        out[ids] = short / scale if kept else coef[ids]
    return out


def _bounded(problem: Problem) -> tuple[Float, str]:
    """Every column free within its bounds: the null model of the problem in which none is penalised."""
    unheld = bare(problem)
    fit = unheld.fit()
    status = start(unheld, fit).status
    return fit.coef(), STATUS[status]


def _operator(problem: Problem, ids: np.ndarray[tuple[int], np.dtype[np.intp]], root: Float,
              size: Float) -> Float | spl.LinearOperator:
    """Weighted, centred, scaled columns: a dense copy, or products with the sparse ones."""
    if not sp.issparse(problem.data.X):
        return np.asarray(columns(problem, ids) * root[:, None] / size)
    X, mean = problem.data.X[:, ids], problem.mean[ids]

    def forward(b: Float) -> Float:
        scaled = np.ravel(b) / size
        return np.asarray(root * (X @ scaled - mean @ scaled))

    def backward(r: Float) -> Float:
        weighted = root * np.ravel(r)
        return np.asarray((X.T @ weighted - mean * weighted.sum()) / size)

    return spl.LinearOperator((X.shape[0], ids.size), matvec=forward, rmatvec=backward, dtype=np.float64)
