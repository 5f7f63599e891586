"""Several linear predictors under one softmax: class after class, each a logistic regression with the others as offset.

For class c, with S_c = Σ_{d≠c} e^η_d, the loss is log(1 + e^{η_c − log S_c}) − y_c (η_c − log S_c) + what c leaves as
it is: the binomial loss at the offset −log S_c, on its own working set. Classes are taken in turn until the duality gap
of all of them together is small. Friedman, Hastie & Tibshirani (2010), J. Stat. Softw. 33(1), section 4.1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from ._grouped import Working
from ._path import Fit
from .errors import SEPARATED, STATUS
from .joint import Joint
from .problem import EPS, RIDGE_GRID, Null, Problem, bare, null_model
from .rownorm import conjugate
from .rowwork import hessian
from .validation import Float

T = TypeVar("T")
FAR = 700.0  # e^±FAR is still a number
ROUNDS = 200  # rounds of intercepts alone
IDLE = 200  # rounds that may pass without getting nearer
PATIENCE = 3  # Newton's steps in a row that hardly lower the gap
FAST = 10.0  # times nearer in a round: slower, and Newton's step on all classes pays
FORCING = 0.1  # of the gradient: what conjugate gradients leave
HALVINGS = 20
CROSSINGS = 5  # solves in which coefficients that would change their sign are put to 0
NOISE = 1e-13  # of P_null: what the objective may seem to rise by when nothing but rounding is left


class Turns:
    """C fits that share X, weights and penalty; `eta` (C, n) are their predictors as they stand."""

    def __init__(self, problem: Problem, stop: NDArray[np.int32] | None = None) -> None:
        self.problem, self.y, self.w, self.stop = problem, problem.y, problem.w, stop
        self.classes, n = self.y.shape
        self.shift = np.zeros_like(self.y) if problem.offset is None else problem.offset
        self.offsets = [np.zeros(n) for _ in range(self.classes)]
        self.fits = [replace(problem, y=y, offset=offset).fit(stop)
                     for y, offset in zip(self.y, self.offsets, strict=True)]
        self.eta = self.shift.copy()
        if problem.intercept:
            self.eta += np.log(self.y @ self.w)[:, None]
        self.loss = cast(Joint, problem.family.joint(self.y, self.w, problem.offset))
        self.null, self.spent = 0.0, 0
        lo, hi = problem.penalties.lo, problem.penalties.hi
        self.level = (problem.l1 == 0) & np.isinf(lo) & np.isinf(hi)  # (p,) columns without a kink or a bound
        self.lines = Working(problem.data.design, problem.mean, problem.intercept,
                             np.zeros(1, dtype=np.int32) if stop is None else stop)

    def each(self, act: Callable[[Fit], T]) -> list[T]:
        """act(fit) for every class in turn, with the others' predictors, as they then stand, in its offset."""
        top = self.eta.max(axis=0)
        parts = np.exp(np.maximum(self.eta - top, -FAR))
        later = np.zeros((self.classes + 1, len(top)))
        later[:-1] = np.cumsum(parts[::-1], axis=0)[::-1]
        sooner, out = np.zeros_like(top), []
        for c, fit in enumerate(self.fits):
            others = top + np.log(sooner + later[c + 1])
            np.subtract(self.shift[c], others, out=self.offsets[c])
            out.append(act(fit))
            self.eta[c] = fit.predictor() + others
            sooner += np.exp(np.clip(self.eta[c] - top, -FAR, FAR))
        return out

    @property
    def n_iter(self) -> int:
        """Epochs so far, of all classes."""
        return self.spent + sum(fit.n_iter for fit in self.fits)

    @property
    def n_passes(self) -> float:
        """Reads of X so far."""
        return sum(fit.n_passes for fit in self.fits)

    def foresee(self, alphas: Float) -> None:
        """One α is solved from the one before it."""

    def warm(self, b: Float) -> None:
        """Begin from coefficients (p, C)."""
        for fit, coef in zip(self.fits, b.T, strict=True):
            fit.put(np.ascontiguousarray(coef))

    def coefs(self) -> list[Float]:
        """C of (p,), of mean 0 over the classes where no kink or bound holds them: squares are least there."""
        b = np.array([fit.coef() for fit in self.fits])
        b[:, self.level] -= b[:, self.level].mean(axis=0)
        return list(b)

    def constants(self) -> Float:
        """(C,) intercepts of mean 0."""
        b0 = np.array([fit.constant() for fit in self.fits])
        return b0 - b0.mean() if self.problem.intercept else 0 * b0

    def value(self) -> float:
        """Σ w ℓ, less its saturated value"""
        return self.loss.value(self.eta)

    def start(self) -> Null:
        """Fit the null model and read α_max off its correlations."""
        problem = self.problem
        for _ in range(ROUNDS):
            if problem.offset is None:
                break
            if max(self.each(lambda fit: fit.profile_again()), default=0.0) <= 1e-12:
                break
        total = self.value()
        before = self.eta.copy()
        for _ in range(ROUNDS):
            status = max(self.each(lambda fit: null_model(fit, 64 * EPS)[0]))
            if not problem.loose.size or np.abs(self.eta - before).max() <= 1e-9 * (1 + np.abs(self.eta).max()):
                break
            before = self.eta.copy()
        null = self.value()
        noise = (500 if problem.loose.size else 32) * EPS
        pulls = self.each(lambda fit: fit.largest_pull(problem.penalties.factors, problem.scale, noise))
        for fit in self.fits:
            fit.rescale(max(null, 1e-300))
            fit.begin()
        top = max(pulls) / max(problem.penalties.l1_ratio, RIDGE_GRID) * (1 + 4 * EPS)
        self.null = max(null, 1e-300)
        return Null(status, total, null if null > 64 * EPS else 0.0, top)

    def gap(self, alpha: float) -> float:
        """The relative duality gap of all classes together; the KKT residual where columns are free."""
        if self.problem.intercept:  # all classes' residuals have to sum to zero at once
            self.eta += self.loss.intercepts(self.eta, np.zeros(self.classes))[:, None]
        for _ in range(ROUNDS):
            if max(self.each(lambda fit: fit.profile_again())) <= 1e-13 * (1 + np.abs(self.eta).max()):
                break
        reaches = self.each(lambda fit: fit.reach(alpha))
        lost = sum(reach[2] for reach in reaches)
        if self.problem.loose.size:
            return max(reach[3] for reach in reaches)
        kinds = (0, 1) if self.problem.penalties.l1_ratio < 1 else (0,)
        gaps = [self.missing(alpha, min(reach[kind] for reach in reaches), bool(kind)) for kind in kinds]
        return (min(gaps) + lost) / self.null

    def missing(self, alpha: float, s: float, joined: bool) -> float:
        """P − D at the dual point s·(y − probabilities)."""
        return self.loss.young(s, self.eta) + sum(fit.shortfall(alpha, s, joined) for fit in self.fits)

    def solve(self, alpha: float, tol: float, max_iter: int) -> tuple[str, float]:
        """Class after class until the certificate of all holds, if Newton's steps are not enough: (status, gap)."""
        goal, aim, best, idle = 1e-2 / self.classes, 0.5 * tol, np.inf, 0
        look, used, before = True, self.n_iter, np.inf
        if self.level[np.isfinite(self.problem.l1)].all():
            gap = self.glide(alpha, tol, max_iter)
            if gap <= tol:
                return "converged", gap
        while True:
            left = max_iter - (self.n_iter - used)
            if left <= 0:
                gap = self.gap(alpha)
                return ("converged" if gap <= tol else "max_iter"), gap
            at = max(goal, 0.1 * aim / self.classes)
            turn = partial(Fit.resume, alpha=alpha, tol=at, max_iter=left, look=look)
            lack = sum(lacks for _, lacks in self.each(turn))
            look = False
            goal = 0.1 * lack / self.classes
            if FAST * lack > before and lack > aim:
                self.leap(alpha)
            before = lack
            idle = 0 if lack < 0.999 * best else idle + 1
            best = min(best, lack)
            if lack <= aim or idle > IDLE:  # what each class lacks, the others held; all together may lack more
                gap = self.gap(alpha)
                if gap <= tol or idle > IDLE:
                    return ("converged" if gap <= tol else "rounding"), gap
                aim, look = 0.03 * aim, True

    def glide(self, alpha: float, tol: float, max_iter: int) -> float:
        """The gap after Newton's steps on all classes at once, while they gain: without kinks none is a case apart."""
        gap, best, idle = self.gap(alpha), np.inf, 0
        for _ in range(max_iter):
            idle = 0 if gap < 0.9 * best else idle + 1
            best = min(gap, best)
            if gap <= tol or idle == PATIENCE:
                break
            self.leap(alpha)
            gap = self.gap(alpha)
            self.spent += 1
        return gap

    def leap(self, alpha: float) -> None:
        """Newton's step on coefficients that are not 0 or have no kink there, of all classes, by conjugate gradients.

        Class after class, each finds its own minimum at once, and the others' after many rounds: this spares them.
        """
        problem = self.problem
        b = np.array([fit.coef() for fit in self.fits]).T
        on = np.flatnonzero(b.any(axis=1) | (self.level & (problem.curvature > 0)))
        if not on.size:
            return
        b, smooth = b[on], self.level[on, None]
        stood = b
        l1, l2 = alpha * problem.l1[on, None], alpha * problem.l2[on, None]
        lo, hi = problem.penalties.lo[on, None], problem.penalties.hi[on, None]
        if problem.penalties.l1_ratio == 1:  # what is added to all classes changes no fit: |b_j·|₁ is least at a median
            middle = np.sort(b, axis=1)[:, [(self.classes - 1) // 2, self.classes // 2]]
            b = b - np.clip(0, middle[:, :1], middle[:, 1:]) * ((l1 > 0) & np.isinf(lo) & np.isinf(hi))
        moving = ((b != 0) | smooth) & (lo < b) & (b < hi)
        self.lines.fetch(on)
        r = self.loss.residual(self.eta)
        if problem.intercept:
            r -= self.w * r.sum(axis=1)[:, None]
        g = np.empty_like(b)
        self.lines.correlate(on, r, g)
        g = (g - l1 * np.sign(b) - l2 * b) * moving
        steep = problem.curvature[on, None] * self.loss.stiffness(self.eta).diagonal() + l2
        bent, along = hessian(self.loss, self.eta, self.lines, on, problem.intercept)
        step = np.zeros_like(b)

        def product(x: Float) -> Float:
            return np.asarray(moving * (bent(x) + l2 * x))

        for _ in range(CROSSINGS):
            rest = (g - bent(step) - l2 * step) * moving if step.any() else g
            step += conjugate(product, lambda x: x / steep, rest, FORCING)[0]
            crossed = moving & ~smooth & ((b + step) * b <= 0)
            if not crossed.any():
                break
            moving &= ~crossed
            step[crossed] = -b[crossed]
        top, before, eta = self.objective(b, l1, l2) + NOISE * self.null, [fit.coef() for fit in self.fits], self.eta
        for halving in range(HALVINGS):
            new = np.clip(b + step * 0.5**halving, lo, hi)
            new[(new * b < 0) & ~smooth] = 0
            self.eta = eta + along(new - stood)  # (and what all classes were moved by: others read it)
            if self.objective(new, l1, l2) <= top:
                break
        else:
            self.eta = eta
            return
        for c, fit in enumerate(self.fits):
            before[c][on] = new[:, c]
            fit.put(before[c])

    def objective(self, b: Float, l1: Float, l2: Float) -> float:
        """Loss + penalty, of coefficients (m, C) that are not all 0"""
        return self.value() + float((l1 * np.abs(b) + l2 / 2 * b**2).sum())

    def unpenalised(self, tol: float) -> tuple[str, float]:
        """Move to α = 0, the null model of the problem in which no column is penalised: (status, KKT residual)."""
        model = Turns(bare(self.problem), self.stop)
        null = model.start()
        model.null = max(null.total, 1e-300)
        gap = model.gap(1.0)
        self.spent, self.fits, self.eta, self.level = self.n_iter + 1, model.fits, model.eta, model.level
        return STATUS[null.status] if gap <= tol or null.status == SEPARATED else "rounding", gap
