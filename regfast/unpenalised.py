"""α = 0: least squares without a penalty, of minimum norm where it is not unique."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.linalg
import scipy.sparse as sp
import scipy.sparse.linalg as spl

from ._path import Fit
from .errors import STATUS
from .problem import Problem, bare, columns, start
from .validation import Float


class Solution(NamedTuple):
    coef: Float
    intercept: float
    value: float
    kkt: float
    status: str
    n_iter: int


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
    return Solution(fit.coef(), intercept, value, kkt / np.sqrt(2 * max(start(problem, problem.fit()).value, 1e-300)),
                    status, 1)


def least_squares(problem: Problem, fit: Fit) -> Solution:
    """min_b ½ Σ w (y − b0 − Xb)² within the bounds, over every column that is not excluded.

    Without bounds the solution of minimum norm on standardised columns: dense X through LAPACK's gelsd on a weighted
    copy, sparse X through LSMR (Fong & Saunders, 2011) with implicit centring. With finite bounds our own active set.
    """
    ids = np.flatnonzero(np.isfinite(problem.penalties.factors) & (problem.curvature > 0))
    coef = np.zeros(problem.data.design.p)
    status, n_iter = "converged", 1
    lo, hi = problem.penalties.lo[ids], problem.penalties.hi[ids]
    if np.isfinite(lo).any() or np.isfinite(hi).any():
        coef, status = _bounded(problem)
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
        coef[ids] = scaled / size
    _, kkt, _, value, intercept = fit.at(coef, 0.0)
    centred = problem.y - (problem.w @ problem.y if problem.intercept else 0.0)
    null = float(np.sqrt(problem.w @ centred**2))
    return Solution(fit.coef(), intercept, value, kkt / max(null, 1e-300), status, max(int(n_iter), 1))


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
