"""The duality gap of several linear predictors that share X, in NumPy: no solver is asked but for P_null.

With η_i = o_i + b0 + B'x_i, r_i = −∂ℓ/∂η (y_i, η_i) and c_j = Σ_i w_i x_ij r_i, all of C entries, the gap of
docs/objective.md is a sum over rows and over blocks of the penalty. A block is one coefficient, or with `group` a row
b_j· of B, whose length takes the place of |b|.
"""

from __future__ import annotations

from typing import NamedTuple, cast

import numpy as np
import scipy.sparse as sp

from .fenchel import dual_points, penalty
from .joint import Joint
from .path import predictors
from .problem import Problem
from .validation import Float, blocks

BLOCK = 2**20  # entries of X centred at a time
UNSETTLED = 1e-9  # residuals that sum to more than this are no dual point


class Weighed(NamedTuple):
    """What is known of given coefficients; values are those of the objective, not relative."""

    gap: float  # at the best intercept and free columns
    kkt: float  # largest distance from a subdifferential over √h_j
    loss: float  # at the linear predictors as given
    settled: float  # at the best intercept and free columns
    null: float  # P_null
    size: Float  # (p,) lengths of the coefficients there
    pull: Float  # (p,) of the dual point, on sides that bounds leave open


def weigh(problem: Problem, coef: Float, given: Float, alpha: float) -> Weighed:
    """The gap at coefficients (p, C), 0 on columns that are out; `given`: predictors (n, C) to value as well."""
    used = np.flatnonzero(np.isfinite(problem.l1))
    pen = penalty(problem, used, alpha)
    loss = cast(Joint, problem.family.joint(problem.y, problem.w, None))
    eta = forward(problem, coef).T + (0.0 if problem.offset is None else problem.offset)
    for _ in range(2 if problem.intercept else 0):  # the first leaves its rounding
        eta += loss.intercepts(eta, np.zeros(len(eta)))[:, None]
    R = loss.residual(eta).T
    left = R.sum(axis=0) * problem.intercept
    R -= problem.w[:, None] * left
    b, g = coef[used], backward(problem, R)[used]
    kkt = (pen.distance(b, g) / np.sqrt(problem.curvature[used])[:, None]).max(initial=0.0)
    lost = 0.0 if loss.quadratic else float(np.abs(left).sum())
    if lost > UNSETTLED:  # of all points on the ray only θ = 0 is orthogonal to the intercept
        points, lost = [(0.0, pen.young(b, 0 * g))], 0.0
    else:
        points = dual_points(pen, b, g)
    gaps = [loss.young(s, eta) + rest + lost for s, rest in points]
    best = int(np.argmin(gaps))
    pull = np.zeros(len(coef))
    pull[used] = pen.pull(points[best][0] * g)
    return Weighed(gaps[best], float(kkt), loss.value(np.ascontiguousarray(given.T)), loss.value(eta),
                   predictors(problem).start().value, np.linalg.norm(coef, axis=1), pull)


def forward(problem: Problem, coef: Float) -> Float:
    """(n, C) Xb, of centred columns where an intercept is fitted."""
    X, mean = problem.data.X, problem.mean
    if sp.issparse(X):
        return np.asarray(X @ coef - mean @ coef)
    out = np.empty((X.shape[0], coef.shape[1]))
    for rows in blocks(len(out), max(1, BLOCK // max(X.shape[1], 1))):
        out[rows] = (X[rows] - mean) @ coef
    return out


def backward(problem: Problem, R: Float) -> Float:
    """(p, C) X'R, of centred columns where an intercept is fitted."""
    X, mean = problem.data.X, problem.mean
    if sp.issparse(X):
        return np.asarray(X.T @ R - np.outer(mean, R.sum(axis=0)))
    out = np.zeros((X.shape[1], R.shape[1]))
    for rows in blocks(len(R), max(1, BLOCK // max(X.shape[1], 1))):
        out += (X[rows] - mean).T @ R[rows]
    return out
