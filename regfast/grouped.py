"""Several linear predictors whose coefficients of a column enter together, penalised by l1_j ‖b_j·‖₂ + ½ l2_j ‖b_j·‖².

Squared error of several responses is one quadratic with the same Gram for each of them; a softmax is taken for such a
one, its curvature bounded row by row by one number, and what that leaves is solved for by Newton's method with products
of the true curvature. Simon, Friedman & Hastie (2013), arXiv:1311.6529.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import scipy.sparse as sp

from .errors import OK, SEPARATED
from .multinomial import Softmax
from .problem import EPS, RIDGE_GRID, SQUARED, Null
from .rownorm import Linear, conjugate, newton, pulled, quadratic, rows, without_turning
from .rowwork import Ids, Workspace, hessian
from .unpenalised import least_squares
from .validation import Float

STRIDE = 0.6  # of the strength last solved for: an α further down is approached in such steps
ROUNDS = 50  # quadratics for one working set
IDLE = 3  # of them that may pass without getting nearer
HALVINGS = 30
TIRED = 12  # so many of them, and the model of the curvature is made anew
FORCING = 0.1  # of the gradient: what they leave
FREE = 1000  # sweeps over columns without a penalty
AWAY = 20.0  # from where intercepts alone put it: a row that fits without penalty seldom goes so far
WITHIN = 0.5  # of tol: what the working set is solved to before the other columns are looked at
NOISE = 1e-13  # of P_null: what an objective may seem to rise by when nothing but rounding is left


class Grouped(Workspace):
    """How one α is solved, and what a path asks of it."""

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
            if self.loss.quadratic:
                self.refresh()
            else:
                self.land(alpha, self.ids, before, self.b[self.ids] - before, top)
                self.polish(alpha, min(FORCING, float(np.sqrt(lack))))

    def step(self, alpha: float, tol: float) -> None:
        """b moves to the model's minimum on the working set."""
        b = self.b[self.ids]
        c = np.ascontiguousarray(self.c[:, self.ids].T) / self.total
        l1, l2 = (alpha / self.total * x[self.ids] for x in (self.problem.l1, self.problem.l2))
        self.n_iter += quadratic(self.square, b, c, l1, l2, tol / self.total, NOISE * self.null / self.total)
        self.b[self.ids] = b

    def land(self, alpha: float, ids: Ids, before: Float, step: Float, top: float) -> None:
        """b moves by a step, by half of it, … until the objective is at most `top`; rows that would turn stop at 0."""
        b0 = self.b0
        for halving in range(HALVINGS):
            self.b[ids] = without_turning(before, step * 0.5**halving)
            self.b0 = b0
            self.refresh()
            if self.objective(alpha) <= top:
                return
        self.b[ids], self.b0 = before, b0
        self.refresh()

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
        self.land(alpha, on, before, step, self.objective(alpha) + NOISE * self.null)

    def curvature(self, on: Ids, b: Float, l1: Float, l2: Float) -> Linear:
        """x (m, C) -> second derivative of the objective in rows `on`, the intercepts at their best, times x."""
        (bent, _), size = hessian(self.loss, self.eta, self.lines, on, self.problem.intercept), rows(b)
        u, a = b / size[:, None], l1 / size
        return lambda x: np.asarray(
            bent(x) + a[:, None] * (x - np.einsum("jc,jc->j", u, x)[:, None] * u) + l2[:, None] * x)

    def solve(self, alpha: float, tol: float, max_iter: int) -> tuple[str, float]:
        """Working set → descent → certificate over all columns, until it holds: (status, gap)."""
        began, best, idle, aim = self.n_iter, np.inf, 0, WITHIN * tol
        if alpha < STRIDE * self.last < np.inf:
            self.solve(STRIDE * self.last, max(tol, 1e-3), max_iter)
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

    def foresee(self, alphas: Float) -> None:
        """One α is solved from the one before it."""

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
