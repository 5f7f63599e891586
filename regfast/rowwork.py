"""A problem of several predictors: where it stands, its working set, and how one α after the other is solved on it.

What it means to solve the working set (`descend`) and what proves it (`gap`) is said by who inherits this.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import cast

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from ._grouped import Working
from ._moments import products
from .errors import OK, SEPARATED
from .joint import Joint, inverse
from .problem import EPS, RIDGE_GRID, Null, Problem, strongest
from .rownorm import Linear
from .validation import Float

Ids = NDArray[np.intp]

AT_ONCE = 8  # residuals that one read of X serves
IDLE = 3  # rounds that may pass without getting nearer
FREE = 1000  # sweeps over columns without a penalty
AWAY = 20.0  # from where intercepts alone put it: a row that fits without penalty seldom goes so far
WITHIN = 0.5  # of tol: what the working set is solved to before the other columns are looked at
NOISE = 1e-13  # of P_null: what an objective may seem to rise by when nothing but rounding is left
TIE = 1 + 32 * EPS  # a correlation within rounding of the threshold counts as on it


def hessian(loss: Joint, eta: Float, lines: Working, on: Ids, intercept: bool) -> tuple[Linear, Linear]:
    """(product, along): x (m, C) -> X_A'W(X_A x), W the curvature at η, and x -> X_A x (C, n).

    Intercepts move to where they are best for x, by Schur's complement.
    """
    bend = loss.curvature(eta)
    settle = inverse(loss.stiffness(eta))

    def along(x: Float) -> Float:
        u = np.zeros_like(eta)
        lines.spread(on, x, u)
        return np.asarray(u - (settle @ bend(u).sum(axis=1))[:, None] if intercept else u)

    def product(x: Float) -> Float:
        out = np.empty_like(x)
        lines.correlate(on, bend(along(x)), out)
        return out

    return product, along


class Workspace(ABC):
    """One problem of several predictors: where it stands, and the columns that are worked with."""

    level = 2 * EPS  # of the slopes of intercepts
    patience, rounds = IDLE, 50  # without getting nearer, and in all, on one working set
    stride = 0.6  # of the strength last solved for: an α further down is approached in such steps

    def __init__(self, problem: Problem, stop: NDArray[np.int32] | None = None) -> None:
        self.problem = problem
        self.classes, p = len(problem.y), problem.data.design.p
        self.loss = cast(Joint, problem.family.joint(problem.y, problem.w, problem.offset))
        self.stop = np.zeros(1, dtype=np.int32) if stop is None else stop
        self.lines = Working(problem.data.design, problem.mean, problem.intercept, self.stop)
        self.b, self.c, self.norms = np.zeros((p, self.classes)), np.zeros((self.classes, p)), np.zeros(p)
        self.b0 = np.zeros(self.classes)
        self.ids: Ids = np.zeros(0, dtype=np.intp)
        self.inside = np.zeros(p, dtype=bool)
        self.bound: Float | None = None  # (n,) of sum 1: what takes the place of the curvature
        self.total = 1.0  # what it has been divided by: the model's unit
        self.square = np.zeros((0, 0))  # the Gram of the working set under it
        self.n_iter, self.passes, self.last, self.null = 0, 0.0, np.inf, 0.0

    # ---- where things stand

    @property
    def support(self) -> Ids:
        """Which rows of the working set are not 0."""
        return np.flatnonzero(self.b[self.ids].any(axis=1))

    def refresh(self) -> None:
        """Predictors, intercepts and residual from the coefficients: no drift survives it."""
        on = self.ids[self.support]
        self.eta = self.loss.begin()
        self.lines.spread(on, self.b[on], self.eta)
        if self.problem.intercept:
            self.b0 = self.settled()
            self.eta += self.b0[:, None]
        self.eta.flags.writeable = False
        self.r = self.residual()
        self.left = self.r.sum(axis=1) * self.problem.intercept
        self.lost = 0.0 if self.loss.quadratic else float(np.abs(self.left).sum())
        self.r -= self.problem.w * self.left[:, None]

    def settled(self) -> Float:
        """(C,) intercepts for predictors that are less them."""
        return self.loss.intercepts(self.eta, self.b0, self.level)

    def residual(self) -> Float:
        """(C, n) minus what the objective without its penalty changes with the predictors."""
        return self.loss.residual(self.eta)

    def look(self) -> None:
        """Correlations of the working set."""
        out = np.empty((len(self.ids), self.classes))
        self.lines.correlate(self.ids, self.r, out)
        self.c[:, self.ids] = out.T
        self.norms[self.ids] = self.pull(self.ids, out)

    def look_at_all(self) -> None:
        """Those of every column: one read of X for every eight predictors."""
        mean = self.problem.mean if self.problem.intercept else None
        for first in range(0, self.classes, AT_ONCE):
            few = slice(first, first + AT_ONCE)
            products(self.problem.data.design, self.r[few], self.c[few], mean)
            self.passes += 1
        if mean is not None and sp.issparse(self.problem.data.X):  # (a dense X is read less its means)
            self.c -= self.r.sum(axis=1)[:, None] * mean
        self.norms = self.pull(slice(None), self.c.T)

    @abstractmethod
    def pull(self, ids: Ids | slice, c: Float) -> Float:
        """(m,) how strongly correlations c (m, C) pull columns away from 0, on the scale of l1."""

    @abstractmethod
    def gap(self, alpha: float, ids: Ids | slice = slice(None)) -> float:
        """P − D over some columns, relative to P_null; the KKT residual where columns are free."""

    @abstractmethod
    def objective(self, alpha: float) -> float:
        """Loss + penalty"""

    @abstractmethod
    def descend(self, alpha: float, aim: float, most: int) -> None:
        """Solve on the working set until its gap is at most `aim`, falls no more, or n_iter is `most`."""

    # ---- the working set

    def widen(self, more: Ids) -> None:
        """These columns join."""
        before = len(self.ids)
        self.lines.fetch(more)
        self.inside[more] = True
        self.ids = np.concatenate([self.ids, more])
        if self.bound is not None and more.size:
            self.lines.weigh(more, self.bound, self.problem.intercept)
            self.multiply(before)

    def multiply(self, before: int) -> None:
        """The Gram of the model, of which `before` rows are there."""
        m = len(self.ids)
        H = np.zeros((m, m))
        H[:before, :before] = self.square[:before, :before]
        self.lines.gram(self.ids, before, H)
        H[before:, before:] = np.tril(H[before:, before:]) + np.tril(H[before:, before:], -1).T
        H[:before, before:] = H[before:, :before].T
        self.square = H

    def shrink(self, alpha: float) -> None:
        """Where most of the working set is 0, what will likely stay so leaves it."""
        on = self.b[self.ids].any(axis=1)
        if len(self.ids) <= 2 * np.count_nonzero(on) + 64:
            return
        keep = np.flatnonzero(on | (self.norms[self.ids] >= 0.9 * alpha * self.problem.l1[self.ids]))
        self.inside[self.ids] = False
        self.ids = self.ids[keep]
        self.inside[self.ids] = True
        if self.bound is not None:
            self.square = np.ascontiguousarray(self.square[np.ix_(keep, keep)])

    def wanting(self, alpha: float) -> Ids:
        """Columns outside whose correlations reach the threshold at α: the furthest beyond it, where they are many."""
        l1 = self.problem.l1
        ids = np.flatnonzero((self.norms > alpha * l1 * TIE) & ~self.inside & np.isfinite(l1))
        most = max(64, len(self.support))
        if len(ids) <= most:
            return ids
        score = np.divide(self.norms[ids], l1[ids], out=np.full(len(ids), np.inf), where=l1[ids] > 0)
        return np.sort(ids[np.argpartition(-score, most)[:most]])

    # ---- one α after the other

    def nearing(self, alpha: float, aim: float, most: int) -> Iterator[tuple[float, int]]:
        """What the working set lacks, and for how many rounds it has come no nearer, until it is enough or hopeless.

        The caller steps, and counts it in n_iter.
        """
        best, idle = np.inf, 0
        for _ in range(self.rounds):
            self.look()
            lack = self.gap(alpha, self.ids)
            idle = 0 if lack < 0.5 * best else idle + 1
            best = min(best, lack)
            if lack <= aim or idle > self.patience or self.n_iter >= most:
                return
            yield lack, idle

    def solve(self, alpha: float, tol: float, max_iter: int) -> tuple[str, float]:
        """Working set → descent → certificate over all columns, until it holds: (status, gap)."""
        began, best, idle, aim = self.n_iter, np.inf, 0, WITHIN * tol
        if self.problem.penalties.l1_ratio and alpha < self.stride * self.last < np.inf:
            self.solve(self.stride * self.last, max(tol, 1e-3), max_iter)
        self.shrink(alpha)
        self.widen(self.wanting(max(2 * alpha - self.last, 0.5 * alpha)))
        while True:
            self.descend(alpha, aim, began + max_iter)
            self.look_at_all()
            gap = self.gap(alpha)
            self.last = alpha
            if gap <= tol:
                return "converged", gap
            if self.n_iter - began >= max_iter:
                return "max_iter", gap
            more = self.wanting(alpha)
            if not more.size:
                aim = min(aim, 0.1 * gap)
                idle = 0 if gap < 0.9 * best else idle + 1
                best = min(best, gap)
                if idle > self.patience:
                    return "rounding", gap
            self.widen(more)

    def start(self) -> Null:
        """Fit the null model and read α_max off its correlations."""
        problem, status = self.problem, OK
        floor = (64 * EPS) ** 2 * float(np.einsum("cn,cn,n->", problem.y, problem.y, problem.w)) \
            if self.loss.quadratic else 64 * EPS
        self.refresh()
        total = self.loss.value(self.eta)
        self.null = max(total, 1e-300)
        if problem.loose.size:
            before = self.eta
            self.widen(problem.loose)
            self.descend(1.0, 64 * EPS, FREE)
            self.refresh()
            if not self.loss.quadratic and np.abs(self.eta - before).max() > AWAY and self.gap(1.0) > 64 * EPS:
                status = SEPARATED
        self.look_at_all()
        null = self.loss.value(self.eta)
        if null <= floor or (problem.loose.size and null <= 1e-20 * total):
            return Null(status, 0.0 if total <= floor else total, 0.0, 0.0)
        self.null = null
        noise = (500 if problem.loose.size else 32) * EPS * float(np.sqrt(2 * total))
        self.last = strongest(problem, self.norms, noise)
        return Null(status, total, null, self.last / max(problem.penalties.l1_ratio, RIDGE_GRID) * (1 + 4 * EPS))

    def warm(self, b: Float) -> None:
        """Begin from coefficients (p, C)."""
        self.widen(np.flatnonzero(b.any(axis=1) & np.isfinite(self.problem.l1) & ~self.inside))
        self.b[self.ids] = b[self.ids]
        self.last = 0.0  # no way lies before it
        self.refresh()
        self.look_at_all()

    # ---- what a path asks of it

    @property
    def n_passes(self) -> float:
        """Reads of X so far."""
        return self.passes + self.lines.reads / max(self.problem.data.design.entries, 1)

    def coefs(self) -> list[Float]:
        """C of (p,)"""
        return list(self.b.T)

    def constants(self) -> Float:
        """(C,) the intercepts, on the scale of the data; of mean 0 over classes."""
        if not self.problem.intercept:
            return np.zeros(self.classes)
        centred = not sp.issparse(self.problem.data.X)  # (a dense X is read less its means)
        b0 = self.b0 - self.problem.mean @ self.b if centred else self.b0
        return np.asarray(b0 if self.loss.quadratic else b0 - b0.mean())

    def value(self) -> float:
        """Σ w ℓ, less its saturated value"""
        return self.loss.value(self.eta)
