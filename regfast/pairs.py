"""Softmax with a penalty for each coefficient: Newton's steps on (column, class) pairs of all classes at once.

At η the loss is, to second order, a quadratic whose curvature couples the classes, w_i (diag μ_i − μ_i μ_i') in row i.
On the pairs that are not 0, or may soon not be, its Hessian H = R'R is small, and with it the model is the squared
error of as many rows, which the engine solves exactly, penalty, bounds, dependent columns and all:

    ½ d'Hd − g'd  =  ½ ‖z − R(b + d)‖² + constant,      z = Rb + R'⁻¹g.

Yuan, Ho & Lin (2012), JMLR 13; Lee, Sun & Saunders (2014), SIAM J. Optim. 24.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.blas import dsyrk
from scipy.linalg.lapack import dpotrf, dtrtrs

from ._design import dense
from ._path import Fit
from ._penalty import ElasticNet
from .fenchel import Penalty, dual_points, penalty
from .joint import inverse
from .problem import EPS, SQUARED, Problem
from .rowwork import NOISE, Ids, Workspace
from .validation import Float, blocks

MOST = 4000  # pairs whose Hessian is made
LABOUR = 2e10  # multiply-adds that it may take: beyond, class after class costs less
ROUNDS = 60  # steps on one working set
HALVINGS = 30
NEARLY = 0.8  # of the threshold: pairs that a new model holds ready …
SPARE = 32  # … if they are not many more than those that it needs
CALL = 1e7  # multiply-adds that a step's calls cost
EXP = 500.0  # and one row of one class
CHUNK = 2**20  # entries multiplied at a time
INNER = 10_000  # epochs of the engine on one model
SHARE = 1e-2  # of the gap: what the model is solved to


class Unfit(Exception):
    """There are too many pairs, or rounding has the better of the steps."""


class Model:
    """The loss to second order at η, on some pairs; intercepts follow by Schur's complement."""

    settle: Float | None  # (C, m) how far the intercepts go back where pairs go forth
    loosen: Float  # (C, C) inverse of their own curvature

    def __init__(self, work: Pairs, on: NDArray[np.bool_]) -> None:
        """`on` (m, C): which pairs of the working set"""
        problem = work.problem
        classes, at = np.nonzero(on.T)
        self.of, self.at = classes, work.ids[at]
        used, at = np.unique(at, return_inverse=True)
        X = np.zeros((len(used), len(problem.w)))
        work.lines.spread(work.ids[used], np.eye(len(used)), X)
        self.R, self.size = self._factor(work, X, work.ids[used], at)
        m = len(at)
        self.y, none = np.zeros(m), np.zeros(0, dtype=np.intp)
        w, spread = np.full(m, 1 / m), np.sqrt(m)
        l1, l2, lo, hi = (np.ascontiguousarray(x[self.at]) for x in (
            problem.l1, problem.l2, problem.penalties.lo, problem.penalties.hi))
        self.fit = Fit(dense(self.R * spread), ElasticNet(l1, l2, lo, hi), SQUARED.loss(self.y, w, None), w,
                       np.zeros(m), self.size, False, none, np.zeros((0, 0)), none, False, work.stop)
        self.began, self.stands = False, np.zeros(m)

    def _factor(self, work: Pairs, X: Float, ids: Ids, at: Ids) -> tuple[Float, Float]:
        """R and the diagonal of H, intercepts at their best; X (k, n): columns `ids`, of which pairs are of `at`"""
        mu = work.loss.mean(work.eta)
        weighted = work.problem.w * mu
        H, lean = self._moments(X, at, self.of, mu, work.problem.w)
        H = self._reduced(work, H, lean, np.diag(weighted.sum(axis=1)) - weighted @ mu.T)
        return self._root(np.triu(H)), np.diagonal(H).copy()

    def _reduced(self, work: Pairs, H: Float, lean: Float, own: Float) -> Float:
        """H, intercepts at their best; `own` (C, C) is their curvature, `lean` (C, m) how they meet the pairs."""
        self.settle = None
        if work.problem.intercept:
            self.loosen = inverse(own)
            self.settle = self.loosen @ lean
            H -= lean.T @ self.settle
        return H

    @staticmethod
    def _moments(X: Float, at: Ids, of: Ids, mu: Float, w: Float) -> tuple[Float, Float]:
        """H above the diagonal, and (C, m) what moving an intercept adds to the gradient."""
        m, weighted = len(at), w * mu
        H, lean, root = np.zeros((m, m), order="F"), np.zeros((len(mu), m)), np.sqrt(w)
        edges = np.searchsorted(of, np.arange(len(mu) + 1))
        for rows in blocks(len(w), max(64, CHUNK // m)):
            part = slice(rows.start, rows.stop)
            D = X[at, part]
            for c, (first, last) in enumerate(pairwise(edges)):
                E = D[first:last]
                if not len(E):
                    continue
                V = -weighted[c, part] * mu[:, part]
                V[c] += weighted[c, part]
                lean[:, first:last] += V @ E.T
                H[first:last, first:last] += (E * weighted[c, part]) @ E.T
                E *= root[part] * mu[c, part]
            H = dsyrk(-1.0, D.T, trans=1, beta=1.0, c=H, overwrite_c=1)
        return H, lean

    @staticmethod
    def _root(H: Float, most: float = 1.0) -> Float:
        """R'R = H, its diagonal raised by the rounding of its products or, where they were unlucky, more: up to `most`.

        Raises
        ------
        Unfit
            That was not enough.
        """
        size, rounding = np.diagonal(H).copy(), 64 * EPS
        lift = size + EPS * size.max(initial=1e-300)
        while rounding < most:
            H[np.diag_indices(len(H))] = size + rounding * lift
            R, info = dpotrf(H, lower=0)
            if info == 0:
                return np.asarray(R)
            rounding *= 16
        raise Unfit

    def minimum(self, b: Float, g: Float, alpha: float, gap: float) -> Float:
        """(m,) where loss + penalty are least, to `gap`, for minus the gradient g of the loss at b"""
        z = self.R @ b + dtrtrs(self.R, g, trans=1)[0]
        self.y[:] = z * np.sqrt(len(b))
        scale = max(0.5 * float(z @ z), 1e-300)
        self.fit.rescale(scale)
        if not self.began:
            self.fit.begin()
        if not self.began or not np.array_equal(b, self.stands):
            self.fit.put(b)
        self.began = True
        self.fit.resume(alpha, float(np.sqrt(gap / scale)), INNER, True)
        self.stands = self.fit.coef()
        return np.asarray(self.stands)


class Pairs(Workspace):
    """How one α is solved."""

    model: Model | None = None
    held: tuple[Ids, Ids]  # pairs that the model leaves where they are
    stride, rounds = 0.3, ROUNDS

    def __init__(self, problem: Problem, stop: NDArray[np.int32] | None = None) -> None:
        super().__init__(problem, stop)
        lo, hi = problem.penalties.lo, problem.penalties.hi
        self.free = (problem.l2 == 0) & np.isinf(lo) & np.isinf(hi)  # (p,) columns whose rows can be moved as a whole

    def pull(self, ids: Ids | slice, c: Float) -> Float:
        return self._penalty(ids).pull(c)

    def _penalty(self, ids: Ids | slice, alpha: float = 1.0) -> Penalty:
        return penalty(self.problem, ids, alpha)

    def gap(self, alpha: float, ids: Ids | slice = slice(None)) -> float:
        if isinstance(ids, slice) and np.isinf(self.problem.l1).any():
            ids = np.flatnonzero(np.isfinite(self.problem.l1))
        points = dual_points(self._penalty(ids, alpha), self.b[ids], self.c[:, ids].T)
        return (min(self.loss.young(s, self.eta) + rest for s, rest in points) + self.lost) / self.null

    def objective(self, alpha: float) -> float:
        b, l1, l2 = self.b[self.ids], self.problem.l1[self.ids], self.problem.l2[self.ids]
        return self.loss.value(self.eta) + alpha * float(l1 @ np.abs(b).sum(axis=1) + 0.5 * l2 @ (b**2).sum(axis=1))

    def descend(self, alpha: float, aim: float, most: int) -> None:
        before = 0.0
        for lack, _ in self.nearing(alpha, aim, most):
            if not self.renew(alpha, lack, before, aim):
                return  # (it is the intercepts that lack)
            before = lack
            self.step(alpha, self.sharpness(lack))
            self.n_iter += 1

    def sharpness(self, lack: float) -> float:
        """The gap that a model is solved to where so much is lacking."""
        return SHARE * lack * self.null

    def renew(self, alpha: float, lack: float, before: float, aim: float) -> bool:
        """A new model where the old one lacks pairs or would take longer; `before`: what lacked a step ago.

        False where there are no pairs to take a step on.
        """
        b, c = self.b[self.ids], self.c[:, self.ids].T
        size = np.where(self._penalty(self.ids).room(c) > 0, np.abs(c), 0.0)
        level = alpha * self.problem.l1[self.ids, None]
        if self.model is not None:
            ready = np.zeros((len(self.inside), self.classes), dtype=bool)
            ready[self.model.at, self.model.of] = ready[self.held] = True
            if not (((b != 0) | (size > level)) & ~ready[self.ids]).any() and (
                    before == 0 or not self._pays(len(self.model.at), lack, before, aim)):
                return True
        b = self._settle(b)
        on = (b != 0) | (size > level)
        near, count = ~on & (size > NEARLY * level), int(np.count_nonzero(on))
        if np.count_nonzero(near) > SPARE + count // 4:
            score = (size / level)[near]
            near &= size >= np.partition(score, -SPARE - count // 4)[-SPARE - count // 4] * level
        on |= near
        full = np.flatnonzero(on.all(axis=1) & self.free[self.ids])
        last = np.where(b[full] == 0, -1 / (1 + size[full]), np.abs(b[full])).argmin(axis=1)
        # to move them all as well would leave a choice: one stays, and nothing is lost where it is 0, at the median
        on[full, last], self.held = False, (self.ids[full], last)
        m = int(np.count_nonzero(on))
        if not self.fits(m):
            raise Unfit
        self.model = self.modelled(on) if m else None
        return m > 0

    def fits(self, m: int) -> bool:
        """Whether a model of m pairs pays."""
        return m <= MOST and m * m * self.eta.shape[1] <= LABOUR

    def modelled(self, on: NDArray[np.bool_]) -> Model:
        """The model of these pairs."""
        return Model(self, on)

    def _settle(self, b: Float) -> Float:
        """What is added to a row of all classes changes no fit: under the lasso alone |b_j·|₁ is least at a median."""
        middle = np.sort(b, axis=1)[:, [(self.classes - 1) // 2, self.classes // 2]]
        b = b - np.clip(0, middle[:, :1], middle[:, 1:]) * self.free[self.ids, None]
        self.b[self.ids] = b
        return np.asarray(b)

    def _pays(self, m: int, lack: float, before: float, aim: float) -> bool:
        """Whether a new model costs less than the steps that it spares, at the rate of the last one."""
        if lack >= before:
            return True
        C, n = self.eta.shape
        step = CALL + n * (EXP * C + 8 * m) + 40.0 * m * m  # (vectors meet matrices at the speed of memory)
        left = np.log(lack / max(aim, EPS**2)) / np.log(before / lack) - 1
        return bool(left * step > CALL + m * m * (n / 2 + n / C + m))

    def step(self, alpha: float, gap: float) -> None:
        """To the minimum of the model, or half of the way, … until the objective does not rise."""
        model = self.model
        assert model is not None
        at, of, b0 = model.at, model.of, self.b0
        old, top = self.b[at, of], self.objective(alpha) + NOISE * self.null
        new, drift = self.target(model, old, alpha, gap)
        for halving in range(HALVINGS):
            t = 0.5**halving
            self.b[at, of] = new if t == 1 else old + t * (new - old)
            self.b0 = b0 + t * drift
            self.refresh()
            if self.objective(alpha) <= top:
                return
        self.b[at, of], self.b0 = old, b0
        self.refresh()

    def target(self, model: Model, old: Float, alpha: float, gap: float) -> tuple[Float, Float]:
        """Where the pairs of a model are best, and how far the intercepts are to go: from where they are best now."""
        new = model.minimum(old, self.c[model.of, model.at], alpha, gap)
        return new, np.zeros(self.classes) if model.settle is None else model.settle @ (old - new)

    def shrink(self, alpha: float) -> None:
        before = len(self.ids)
        super().shrink(alpha)
        if len(self.ids) < before:
            self.model = None

    def solve(self, alpha: float, tol: float, max_iter: int) -> tuple[str, float]:
        status, gap = super().solve(alpha, tol, max_iter)
        if status == "rounding":
            raise Unfit
        return status, gap
