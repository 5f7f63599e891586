"""Several linear predictors whose coefficients of a column enter together, penalised by l1_j ‖b_j·‖₂ + ½ l2_j ‖b_j·‖².

Squared error of several responses is one quadratic with the same Gram for each of them; a softmax is taken for such a
one, its curvature bounded row by row by one number, and what that leaves is solved for by Newton's method with products
of the true curvature. Simon, Friedman & Hastie (2013), arXiv:1311.6529.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .problem import SQUARED
from .rownorm import Linear, conjugate, newton, pulled, quadratic, rows, value, without_turning, young
from .rowwork import NOISE, Ids, Workspace, hessian
from .turns import Turns
from .unpenalised import least_squares
from .validation import Float

HALVINGS = 30
TIRED = 12  # so many of them, and the model of the curvature is made anew
FORCING = 0.1  # of the gradient: what they leave


class Grouped(Workspace):
    """How one α is solved, and what a path asks of it."""

    def pull(self, ids: Ids | slice, c: Float) -> Float:
        return rows(c)

    def gap(self, alpha: float, ids: Ids | slice = slice(None)) -> float:
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
        return self.loss.value(self.eta) + alpha * value(self.b[self.ids], self.problem.l1[self.ids],
                                                         self.problem.l2[self.ids])

    def model(self) -> None:
        """A quadratic in place of the loss, at η as it stands."""
        bound = self.loss.bound(self.eta)
        self.total = float(bound.sum())
        self.bound = np.ascontiguousarray(bound / self.total)
        self.lines.weigh(self.ids, self.bound, self.problem.intercept)
        self.multiply(0)

    def descend(self, alpha: float, aim: float, most: int) -> None:
        for lack, idle in self.nearing(alpha, aim, most):
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

    def foresee(self, alphas: Float) -> None:
        """One α is solved from the one before it."""

    def unpenalised(self, tol: float) -> tuple[str, float]:
        """Move to α = 0, where nothing joins the predictors any more: (status, KKT residual)."""
        if self.loss.quadratic:
            each = [replace(self.problem, y=y, offset=None, family=SQUARED) for y in self.loss.y]
            solved = [least_squares(one, one.fit(by_kkt=True)) for one in each]
            b, kkt = np.array([one.coef for one in solved]).T, max(one.kkt for one in solved)
            status = max((one.status for one in solved), key=("converged", "not_unique", "max_iter").index)
        else:
            model = Turns(self.problem)
            status, kkt = model.unpenalised(tol)
            b = np.array(model.coefs()).T
        self.bound, self.n_iter = None, self.n_iter + 1
        self.widen(np.flatnonzero(b.any(axis=1) & ~self.inside))
        self.b = np.ascontiguousarray(b)
        self.refresh()
        return status, kkt
