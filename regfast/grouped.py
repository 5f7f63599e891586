"""Several linear predictors whose coefficients of a column enter together, penalised by l1_j ‖b_j·‖₂ + ½ l2_j ‖b_j·‖².

Squared error of several responses is one quadratic with the same Gram for each of them; a softmax is taken for such a
one, its curvature bounded row by row by one number, and what that leaves is solved for by Newton's method with products
of the true curvature. Simon, Friedman & Hastie (2013), arXiv:1311.6529.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from ._grouped import Working
from ._moments import products
from .errors import OK, SEPARATED
from .joint import Joint, inverse
from .multinomial import Softmax
from .problem import EPS, RIDGE_GRID, SQUARED, Null, Problem
from .rownorm import Linear, conjugate, newton, pulled, quadratic, rows, value, without_turning, young
from .unpenalised import least_squares
from .validation import Float

Ids = NDArray[np.intp]

AT_ONCE = 8  # residuals that one read of X serves
STRIDE = 0.6  # of the strength last solved for: an α further down is approached in such steps
ROUNDS = 50  # quadratics for one working set
IDLE = 3  # of them that may pass without getting nearer
HALVINGS = 30
TIRED = 12  # so many of them, and the model of the curvature is made anew
FORCING = 0.1  # of the gradient: what they leave
FREE = 1000  # sweeps over columns without a penalty
AWAY = 20.0  # from where intercepts alone put it: a row that fits without penalty seldom goes so far
WITHIN = 0.5  # of tol: what the working set is solved to before the other columns are looked at
TIE = 1 + 32 * EPS  # a correlation within rounding of the threshold counts as on it
NOISE = 1e-13  # of P_null: what an objective may seem to rise by when nothing but rounding is left


class Grouped:
    """One problem of several predictors, and what solving it needs."""

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
        self.eta, self.lost = self.loss.begin(), 0.0
        self.lines.spread(on, self.b[on], self.eta)
        if self.problem.intercept:
            self.b0 = self.loss.intercepts(self.eta, self.b0)
            self.eta += self.b0[:, None]
        self.r = self.loss.residual(self.eta)
        if self.problem.intercept:
            left = self.r.sum(axis=1)
            self.lost = float(np.abs(left).sum())
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
        if mean is not None:  # what is left in Σ r of rounding
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

    # ---- one α

    def model(self) -> None:
        """A quadratic in place of the loss, at η as it stands."""
        bound = self.loss.bound(self.eta)
        self.total = float(bound.sum())
        self.bound = np.ascontiguousarray(bound / self.total)
        self.lines.weigh(self.ids, self.bound, self.problem.intercept)
        self.multiply(0)

    def descend(self, alpha: float, aim: float, most: int) -> None:
        """Quadratic after quadratic until the gap of the working set is at most `aim`, or falls no more."""
        best, idle = np.inf, 0
        for _ in range(ROUNDS):
            self.look()
            lack = self.gap(alpha, self.ids)
            idle = 0 if lack < 0.5 * best else idle + 1
            best = min(best, lack)
            if lack <= aim or idle > IDLE or self.n_iter >= most:
                return
            if self.bound is None or (idle and not self.loss.quadratic):
                self.model()
            before, top = self.b[self.ids], self.objective(alpha) + NOISE * self.null
            self.step(alpha, 0.01 * aim * aim * self.null)
            self.refresh()
            if not self.loss.quadratic:
                self.land(alpha, before, top)
                self.polish(alpha, min(FORCING, float(np.sqrt(lack))))

    def step(self, alpha: float, tol: float) -> None:
        """b moves to the model's minimum on the working set."""
        b = self.b[self.ids]
        c = np.ascontiguousarray(self.c[:, self.ids].T) / self.total
        l1, l2 = (alpha / self.total * x[self.ids] for x in (self.problem.l1, self.problem.l2))
        self.n_iter += quadratic(self.square, b, c, l1, l2, tol / self.total, NOISE * self.null / self.total)
        self.b[self.ids] = b

    def land(self, alpha: float, before: Float, top: float) -> bool:
        """Half as far, again and again, while the objective is above `top`."""
        for _ in range(HALVINGS):
            if self.objective(alpha) <= top:
                return True
            self.b[self.ids] = 0.5 * (self.b[self.ids] + before)
            self.refresh()
        self.b[self.ids] = before
        self.refresh()
        return False

    def polish(self, alpha: float, tol: float) -> None:
        """Newton's step on the rows that are not 0, by conjugate gradients: the model, whose inverse is at hand,
        preconditions the true curvature."""
        at = self.support
        on = self.ids[at]
        if not on.size:
            return
        l1, l2 = alpha * self.problem.l1[on], alpha * self.problem.l2[on]
        before, c = self.b[on], np.empty((len(on), self.classes))
        self.lines.correlate(on, self.r, c)
        g = pulled(before, c, l1, l2)
        near = newton(self.total * self.square[np.ix_(at, at)], before, g, l1, l2)
        if near is None:
            self.bound = None
            return
        step, n = conjugate(self.curvature(on, before, l1, l2), near, g, tol)
        if n >= TIRED:
            self.bound = None
        top = self.objective(alpha) + NOISE * self.null
        for halving in range(HALVINGS):
            self.b[on] = without_turning(before, step * 0.5**halving)
            self.refresh()
            if self.objective(alpha) <= top:
                return
        self.b[on] = before
        self.refresh()

    def curvature(self, on: Ids, b: Float, l1: Float, l2: Float) -> Linear:
        """x (m, C) -> second derivative of the objective in rows `on`, the intercepts at their best, times x."""
        bend, size = self.loss.curvature(self.eta), rows(b)
        u, a = b / size[:, None], l1 / size
        shares = np.array([bend(np.repeat(one[:, None], self.eta.shape[1], axis=1)).sum(axis=1)
                           for one in np.eye(self.classes)])
        settle = inverse(shares)

        def product(x: Float) -> Float:
            eta, out = np.zeros_like(self.eta), np.empty_like(x)
            self.lines.spread(on, x, eta)
            r = bend(eta)
            if self.problem.intercept:
                r -= bend(np.repeat((settle @ r.sum(axis=1))[:, None], r.shape[1], axis=1))
            self.lines.correlate(on, r, out)
            return np.asarray(out + a[:, None] * (x - np.einsum("jc,jc->j", u, x)[:, None] * u) + l2[:, None] * x)

        return product

    def solve(self, alpha: float, tol: float, max_iter: int) -> tuple[str, float]:
        """Working set → descent → certificate over all columns, until it holds: (status, gap)."""
        began, best, idle, aim = self.n_iter, np.inf, 0, WITHIN * tol
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
                if idle > IDLE:
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
        if self.loss.quadratic:
            self.model()
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
        v = problem.penalties.factors
        ids = np.flatnonzero((v > 0) & (problem.curvature > 0)
                             & (self.norms > noise * np.sqrt(problem.curvature + problem.mean**2)))
        top = float((self.norms[ids] / (v[ids] * problem.scale[ids])).max(initial=0.0))
        self.last = top
        return Null(status, total, null, top / max(problem.penalties.l1_ratio, RIDGE_GRID) * (1 + 4 * EPS))

    def warm(self, b: Float) -> None:
        """Begin from coefficients (p, C)."""
        self.widen(np.flatnonzero(b.any(axis=1) & np.isfinite(self.problem.l1) & ~self.inside))
        self.b[self.ids] = b[self.ids]
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

    def unpenalised(self, tol: float) -> tuple[str, float]:
        """Move to α = 0, where nothing joins the predictors any more: (status, KKT residual)."""
        if self.loss.quadratic:
            each = [replace(self.problem, y=y, offset=None, family=SQUARED) for y in self.loss.y]
            solved = [least_squares(one, one.fit(by_kkt=True)) for one in each]
            b, kkt = np.array([one.coef for one in solved]).T, max(one.kkt for one in solved)
            status = max((one.status for one in solved), key=("converged", "not_unique", "max_iter").index)
        else:
            model = Softmax(self.problem)
            status, kkt = model.unpenalised(tol)
            b = np.array(model.coefs()).T
        self.bound, self.n_iter = None, self.n_iter + 1
        self.widen(np.flatnonzero(b.any(axis=1) & ~self.inside))
        self.b = np.ascontiguousarray(b)
        self.refresh()
        return status, kkt
