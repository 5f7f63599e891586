"""The workspace of a problem whose coefficients of a column enter together: predictors, residuals, working set, gap."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from ._grouped import Working
from ._moments import products
from .joint import Joint, inverse
from .problem import EPS, Problem
from .rownorm import Linear, pulled, rows, value, young
from .validation import Float

Ids = NDArray[np.intp]

AT_ONCE = 8  # residuals that one read of X serves
TIE = 1 + 32 * EPS  # a correlation within rounding of the threshold counts as on it


def hessian(loss: Joint, eta: Float, lines: Working, on: Ids, intercept: bool) -> tuple[Linear, Linear]:
    """(product, along): x (m, C) -> X_A'W(X_A x), W the curvature at η, and x -> X_A x (C, n).

    Intercepts move to where they are best for x, by Schur's complement.
    """
    bend = loss.curvature(eta)
    shares = np.array([bend(np.repeat(one[:, None], eta.shape[1], axis=1)).sum(axis=1) for one in np.eye(len(eta))])
    settle = inverse(shares)

    def along(x: Float) -> Float:
        u = np.zeros_like(eta)
        lines.spread(on, x, u)
        return np.asarray(u - (settle @ bend(u).sum(axis=1))[:, None] if intercept else u)

    def product(x: Float) -> Float:
        out = np.empty_like(x)
        lines.correlate(on, bend(along(x)), out)
        return out

    return product, along


class Workspace:
    """One problem of several predictors: where it stands, and the columns that are worked with."""

    def __init__(self, problem: Problem, stop: NDArray[np.int32] | None = None) -> None:
        self.problem = problem
        self.classes, p = len(problem.y), problem.data.design.p
        self.loss: Joint = problem.family.joint(problem.y, problem.w, problem.offset)
        stop = np.zeros(1, dtype=np.int32) if stop is None else stop
        self.lines = Working(problem.data.design, problem.mean, problem.intercept, stop)
        self.b, self.c, self.norms = np.zeros((p, self.classes)), np.zeros((self.classes, p)), np.zeros(p)
        self.b0 = np.zeros(self.classes)
        self.ids: Ids = np.zeros(0, dtype=np.intp)
        self.inside = np.zeros(p, dtype=bool)
        self.bound: Float | None = None  # (n,) of sum 1: what takes the place of the curvature
        self.total = 1.0  # what it has been divided by: the model's unit
        self.square = np.zeros((0, 0))  # the Gram of the working set under it
        self.n_iter, self.passes, self.last, self.null = 0, 0, np.inf, 0.0

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
            self.b0 = self.loss.intercepts(self.eta, self.b0)
            self.eta += self.b0[:, None]
        self.r = self.loss.residual(self.eta)
        left = self.r.sum(axis=1) * self.problem.intercept
        self.lost = 0.0 if self.loss.quadratic else float(np.abs(left).sum())
        self.r -= self.problem.w * left[:, None]

    def look(self) -> None:
        """Correlations of the working set."""
        out = np.empty((len(self.ids), self.classes))
        self.lines.correlate(self.ids, self.r, out)
        self.c[:, self.ids] = out.T
        self.norms[self.ids] = rows(out)

    def look_at_all(self) -> None:
        """Those of every column: one read of X for every eight predictors."""
        mean = self.problem.mean if self.problem.intercept else None
        for first in range(0, self.classes, AT_ONCE):
            few = slice(first, first + AT_ONCE)
            products(self.problem.data.design, self.r[few], self.c[few], mean)
            self.passes += 1
        if mean is not None and sp.issparse(self.problem.data.X):  # (a dense X is read less its means)
            self.c -= self.r.sum(axis=1)[:, None] * mean
        self.norms = np.sqrt(np.einsum("cj,cj->j", self.c, self.c))

    def gap(self, alpha: float, ids: Ids | slice = slice(None)) -> float:
        """P − D over some columns, relative to P_null; the KKT residual where columns are free."""
        problem = self.problem
        l1, l2, norms = alpha * problem.l1[ids], alpha * problem.l2[ids], self.norms[ids].copy()
        b, c = self.b[ids], self.c[:, ids].T
        on = np.flatnonzero(b.any(axis=1))
        b, c = b[on], np.ascontiguousarray(c[on])
        if problem.loose.size:
            norms[on] = l1[on] + rows(pulled(b, c, l1[on], l2[on]))
            far, size = np.where(np.isinf(l1), 0.0, np.maximum(norms - l1, 0)), np.sqrt(problem.curvature[ids])
            worst = float(np.divide(far, size, out=np.zeros_like(far), where=size > 0).max(initial=0))
            return (worst + self.lost) / float(np.sqrt(2 * self.null))
        best, over = np.inf, np.maximum(norms - l1, 0)
        over[on] = 0
        if problem.penalties.l1_ratio < 1 and not over[l2 == 0].any():
            best = float((over[l2 > 0] ** 2 / (2 * l2[l2 > 0])).sum()) + young(b, c, l1[on], l2[on])
        pull = l2[on, None] * b
        norms[on] = rows(c - pull)
        s = float(np.divide(l1, norms, out=np.ones_like(l1), where=norms > l1).min(initial=1.0))
        joined = self.loss.young(s, self.eta) + young(b, s * (c - pull), l1[on], np.zeros(len(on))) \
            + 0.5 * (1 - s) ** 2 * float((pull * b).sum())
        return (min(best, joined) + self.lost) / self.null

    def objective(self, alpha: float) -> float:
        """Loss + penalty"""
        return self.loss.value(self.eta) + alpha * value(self.b[self.ids], self.problem.l1[self.ids],
                                                         self.problem.l2[self.ids])

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
