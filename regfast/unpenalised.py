"""α = 0: least squares without a penalty, of minimum norm where it is not unique."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.linalg
import scipy.optimize
import scipy.sparse as sp
import scipy.sparse.linalg as spl

from ._path import Fit
from .problem import Problem, columns
from .validation import Float


class Solution(NamedTuple):
    coef: Float
    intercept: float
    value: float
    kkt: float
    status: str
    n_iter: int


def least_squares(problem: Problem, fit: Fit) -> Solution:
    """min_b ½ Σ w (y − b0 − Xb)² within the bounds, over every column that is not excluded.

    Without bounds the solution of minimum norm on standardised columns: dense X through LAPACK's gelsd on a weighted
    copy, sparse X through LSMR (Fong & Saunders, 2011) with implicit centring. With finite bounds SciPy's trust-region
    solver.
    """
    ids = np.flatnonzero(np.isfinite(problem.penalties.factors) & (problem.curvature > 0))
    coef = np.zeros(problem.data.design.p)
    status, n_iter = "converged", 0
    if ids.size:
        size = np.sqrt(problem.curvature[ids])
        root = np.sqrt(problem.w)
        centre = problem.w @ problem.y if problem.intercept else 0.0
        t = root * (problem.y - centre)
        A = _operator(problem, ids, root, size)
        lo, hi = problem.penalties.lo[ids] * size, problem.penalties.hi[ids] * size
        if np.isfinite(lo).any() or np.isfinite(hi).any():
            out = scipy.optimize.lsq_linear(A, t, (np.minimum(lo, -1e-300), np.maximum(hi, 1e-300)), tol=1e-14)
            scaled, n_iter = out.x, out.nit
            status = "converged" if out.success else "max_iter"
        elif isinstance(A, np.ndarray):
            scaled, _, rank, _ = scipy.linalg.lstsq(A, t)
            status = "converged" if rank == ids.size else "not_unique"
        else:
            scaled, stop, n_iter = spl.lsmr(A, t, atol=1e-15, btol=1e-15, conlim=0, maxiter=10 * min(A.shape) + 100)[:3]
            status = "max_iter" if stop == 7 else "converged"
        if status == "converged" and ids.size > len(t) - int(problem.intercept):
            status = "not_unique"
        coef[ids] = scaled / size
    _, kkt, _, value, intercept = fit.at(coef, 0.0)
    curvature = float(np.sqrt(2 * max(value, 1e-300))) if value else 1.0
    null = float(np.sqrt(problem.w @ (problem.y - (problem.w @ problem.y if problem.intercept else 0.0)) ** 2))
    return Solution(fit.coef(), intercept, value, kkt / max(null, curvature, 1e-300), status, max(int(n_iter), 1))


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
