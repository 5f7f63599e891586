"""The duality gap of several linear predictors that share X, in NumPy: no solver is asked but for P_null.

With η_i = o_i + b0 + B'x_i, r_i = −∂ℓ/∂η (y_i, η_i) and c_j = Σ_i w_i x_ij r_i, all of C entries, the gap of
docs/objective.md is a sum over rows and over blocks of the penalty. A block is one coefficient, or with `group` a row
b_j· of B, whose length takes the place of |b|.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.special import log_softmax, softmax, xlogy

from .multinomial import Softmax
from .problem import EPS, Problem, block_root, columns, start
from .validation import Float, blocks

BLOCK = 2**20  # entries of X centred at a time
UNSETTLED = 1e-9  # residuals that sum to more than this are no dual point


@dataclass(frozen=True)
class Penalty:
    """α Σ [ l1·|b| + l2/2 b² ] within bounds, b a block of (p, C) coefficients; arrays (p, 1)."""

    l1: Float
    l2: Float
    lo: Float
    hi: Float
    group: bool

    def size(self, b: Float) -> Float:
        """|b| of every block, (p, C), or (p, 1) of rows."""
        return np.asarray(np.linalg.norm(b, axis=1, keepdims=True) if self.group else np.abs(b))

    def room(self, u: Float) -> Float:
        """How far a coefficient can go in the direction of u."""
        return np.asarray(np.where(u > 0, self.hi, -self.lo)) if not self.group else np.full((len(u), 1), np.inf)

    def limit(self, c: Float, strict: bool) -> float:
        """The largest s ≤ 1 at which s·c has a conjugate; with `strict` one that is 0 wherever l2 = 0."""
        room = self.room(c)
        held = (self.l2 == 0) & ((room > 0) if strict else np.isinf(room))
        size = self.size(c)
        return float(np.divide(self.l1, size, out=np.ones_like(size), where=held & (size > self.l1)).min(initial=1.0))

    def young(self, b: Float, u: Float) -> float:
        """Σ pen(b) + pen*(u) − b·u as a sum of terms that are not negative."""
        size, slope = self.size(b), self.size(u)
        excess, room = np.maximum(slope - self.l1, 0.0), self.room(u)
        held = (self.l2 == 0) & np.isinf(room)  # feasible: what is left is rounding
        excess = np.where(held, 0.0, excess)
        best = np.divide(excess, self.l2, out=np.full_like(size, np.inf), where=self.l2 > 0)
        best = np.where(held, size, np.minimum(best, room))
        inner = (b * u).sum(axis=1, keepdims=True) if self.group else b * u
        turned = size * slope - inner
        if self.group:  # ½ |b||u| times the squared chord between their directions, where the difference would cancel
            one = [np.divide(x, y, out=np.zeros_like(x), where=y > 0) for x, y in ((b, size), (u, slope))]
            turned = size * slope * ((one[0] - one[1]) ** 2).sum(axis=1, keepdims=True) / 2
        terms = (best - size) * (excess - self.l2 * (best + size) / 2) + size * (self.l1 + excess - slope) + turned
        return float(np.maximum(terms, 0.0).sum())

    def distance(self, b: Float, c: Float) -> Float:
        """How far c is from the subdifferential at b, (p, C) or (p, 1)."""
        g = c - self.l2 * b
        if self.group:
            size, slope = self.size(b), self.size(g)
            inside = np.maximum(slope - self.l1, 0.0)
            direction = np.divide(b, size, out=np.zeros_like(b), where=size > 0)
            return np.where(size > 0, self.size(g - self.l1 * direction), inside)
        least = np.where(b <= self.lo, -np.inf, np.where(b > 0, self.l1, -self.l1))
        most = np.where(b >= self.hi, np.inf, np.where(b < 0, -self.l1, self.l1))
        return np.maximum(np.maximum(least - g, g - most), 0.0)

    def pull(self, c: Float) -> Float:
        """(p,) how strongly c pulls any coefficient of a column to where it can go."""
        if self.group:
            return self.size(c)[:, 0]
        return np.asarray(np.where(self.room(c) > 0, np.abs(c), -np.abs(c)).max(axis=1, initial=-np.inf))


class Squares:
    """½ ‖y − η‖²; y and η (n, C)."""

    @staticmethod
    def residual(y: Float, eta: Float) -> Float:
        return y - eta

    @staticmethod
    def value(y: Float, eta: Float) -> Float:
        """(n,) the loss less its saturated value."""
        return np.asarray(((y - eta) ** 2).sum(axis=1) / 2)

    @staticmethod
    def young(y: Float, eta: Float, s: float) -> Float:
        """(n,) ℓ(η) + ℓ*(u) − u·η at u = s ∂ℓ/∂η."""
        return (1 - s) ** 2 * Squares.value(y, eta)

    @staticmethod
    def level(y: Float, eta: Float, w: Float) -> Float:
        """(C,) what is to be added to η at best."""
        return w @ (y - eta)


class Shares:
    """log Σ_c e^η_c − Σ_c y_c η_c; y (n, C) sums to 1 in every row."""

    @staticmethod
    def residual(y: Float, eta: Float) -> Float:
        return np.asarray(y - softmax(eta, axis=1))

    @staticmethod
    def value(y: Float, eta: Float) -> Float:
        return Shares.young(y, eta, 0.0)

    @staticmethod
    def young(y: Float, eta: Float, s: float) -> Float:
        logs = log_softmax(eta, axis=1)
        m = (1 - s) * y + s * np.exp(logs)
        return np.asarray(np.maximum((xlogy(m, m) - m * logs).sum(axis=1), 0.0))

    @staticmethod
    def level(y: Float, eta: Float, w: Float) -> Float:
        """By Newton's method with a trust region (Levenberg & Marquardt): one equation for each class."""
        shift, damping = np.zeros(y.shape[1]), 1e-3
        value = w @ Shares.value(y, eta)
        for _ in range(500):
            mean = softmax(eta + shift, axis=1)
            slope = w @ (y - mean)
            if np.abs(slope).max() <= 2 * EPS or damping > 1e9:
                break
            H = np.diag(w @ mean) - mean.T @ (w[:, None] * mean)
            step = np.linalg.solve(H + damping * np.eye(len(shift)), slope)
            there = w @ Shares.value(y, eta + shift + step)
            if there <= value * (1 + 4 * EPS):
                shift, value, damping = shift + step, min(value, there), max(damping / 10, 1e-13)
            else:
                damping *= 10
        return shift


class Weighed(NamedTuple):
    """What is known of given coefficients; values are those of the objective, not relative."""

    gap: float  # at the best intercept and free columns
    kkt: float  # largest distance from a subdifferential over √h_j
    loss: float  # at the linear predictors as given
    settled: float  # at the best intercept and free columns
    null: float  # P_null
    size: Float  # (p,) lengths of the coefficients there
    pull: Float  # (p,) of the dual point, on sides that bounds leave open


def penalty(problem: Problem, used: NDArray[np.intp], alpha: float, group: bool) -> Penalty:
    """That of some columns of a problem."""
    l1, l2, lo, hi = (x[used, None] for x in (problem.l1, problem.l2, problem.penalties.lo, problem.penalties.hi))
    return Penalty(alpha * l1, alpha * l2, lo, hi, group)


def weigh(problem: Problem, coef: Float, given: Float, alpha: float, group: bool) -> Weighed:
    """The gap at coefficients (p, C), 0 on columns that are out; `given`: predictors (n, C) to value as well."""
    w, y, used = problem.w, problem.y.T, np.flatnonzero(np.isfinite(problem.l1))
    pen = penalty(problem, used, alpha, group)
    loss = Squares if problem.family.quadratic else Shares
    eta = forward(problem, coef) + (0.0 if problem.offset is None else problem.offset.T)
    for _ in range(2 if problem.intercept else 0):  # the first leaves its rounding
        eta += loss.level(y, eta, w)
    coef, eta = project(problem, coef, eta)
    R = loss.residual(y, eta)
    c = backward(problem, w[:, None] * R)
    b, g = coef[used], c[used]
    kkt = (pen.distance(b, g) / np.sqrt(problem.curvature[used])[:, None]).max(initial=0.0)
    lost = float(np.abs(w @ R).sum()) if problem.intercept and not problem.family.quadratic else 0.0
    if lost > UNSETTLED:  # of all points on the ray only θ = 0 is orthogonal to the intercept
        points, lost = [(0.0, pen.young(b, 0 * g))], 0.0
    else:
        points = dual_points(pen, b, g)
    gaps = [(float(w @ loss.young(y, eta, s)) if s < 1 else 0.0) + rest + lost for s, rest in points]
    best = int(np.argmin(gaps))
    pull = np.zeros(len(c))
    pull[used] = pen.pull(points[best][0] * g)
    return Weighed(gaps[best], float(kkt), float(w @ loss.value(y, given)), float(w @ loss.value(y, eta)),
                   null_value(problem), np.linalg.norm(coef, axis=1), pull)


def dual_points(pen: Penalty, b: Float, c: Float) -> list[tuple[float, float]]:
    """s of the points s·r that are tried, with what the penalty adds to their gaps: two duals, inside bounds or not."""
    joined, away = replace(pen, l2=np.zeros_like(pen.l2)), c - pen.l2 * b
    energy = float((pen.l2 * b**2).sum()) / 2
    out = []
    for strict in (False, True):
        s = pen.limit(c, strict)
        out.append((s, pen.young(b, s * c)))
        s = joined.limit(away, strict)
        out.append((s, joined.young(b, s * away) + (1 - s) ** 2 * energy))
    return out


def project(problem: Problem, coef: Float, eta: Float) -> tuple[Float, Float]:
    """Coefficients and predictors with the free columns of squared error at their best: a second intercept."""
    ids = problem.block
    if not ids.size:
        return coef, eta
    A, root, coef = columns(problem, ids), block_root(problem), coef.copy()
    for _ in range(2):  # the first leaves its rounding
        step = root.T @ (root @ (A.T @ (problem.w[:, None] * (problem.y.T - eta))))
        coef[ids] += step
        eta = eta + A @ step
    return coef, eta


def null_value(problem: Problem) -> float:
    """P_null: without penalised columns the responses of squared error have nothing in common."""
    if not problem.family.quadratic:
        return Softmax(problem).start().value
    alone = [problem.respond(np.ascontiguousarray(y)) for y in problem.y]
    return sum(start(one, one.fit()).value for one in alone)


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
