"""Dropout where its penalty is not a ridge: what it is where the coefficients stand, again and again until they stay.

Rows' forces and the columns' ridge (`averages`) are held as they are at b, and the engine solves the likelihood with
these; its solution is a direction in which the true objective falls, and the step is cut until it does. Where nothing
moves any more, the gradient of the true objective is that of what was solved: a stationary point of it, whatever was
held. Where that comes slowly, Newton's step on the coefficients that are not 0 goes between.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ._moments import products
from ._path import Fit
from ._penalty import ElasticNet
from .averages import Closed, Mean, SecondOrder
from .fenchel import Penalty, dual_points, penalty
from .problem import EPS, RIDGE_GRID, Null, Problem, bare, build, null_model
from .rownorm import conjugate
from .validation import Float

STRIDE = 0.6  # of the strength last solved for: where there may be several solutions, one is followed in such steps
LOOSE = 1e-3  # the measure of those in between
DOWN = 1e-6  # of that strength: near to 0
ROUNDS = 200  # solves of what is held, for one α
IDLE = 12  # that may pass without a better measure
HALVINGS = 40
NOISE = 1e-13  # of P_null: what the objective may seem to rise by when nothing but rounding is left
SHARP = 0.1  # of what is lacking: to what each solve goes
FAST = 10.0  # times nearer in a round: slower, and Newton's step pays
CROSSINGS = 5  # solves in which coefficients that would change their sign are put to 0
FORCING = 1e-3  # of the gradient: what conjugate gradients leave


class Dropped:
    """One predictor under dropout, as it stands: `b` (p,), `b0`, and what the engine has of them (see `Predictors`)."""

    classes = 1

    def __init__(self, problem: Problem, stop: NDArray[np.int32] | None = None) -> None:
        self.problem, self.stop = problem, stop
        self.mean: Mean = Closed(problem) if problem.family.dropout == "exact" else SecondOrder(problem)
        mean = self.mean
        self.spread = problem
        if len(mean.mass) > mean.n:
            self.spread = build(mean.data, mean.y, mean.mass, intercept=problem.intercept, standardize=False,
                                penalties=replace(problem.penalties, noise=None), family=problem.family)
        limits = problem.penalties
        centre, curvature = (x if x.size else np.zeros(1) for x in (self.spread.mean, self.spread.curvature))
        self.fit = Fit(mean.data.design, ElasticNet(problem.l1, problem.l2, limits.lo, limits.hi, mean.ridge),
                       mean.loss, mean.mass, centre, curvature, problem.intercept, problem.block,
                       np.zeros((1, 1)), problem.loose, True,
                       np.zeros(1, dtype=np.int32) if stop is None else stop)
        self.b, self.b0, self.null, self.read = np.zeros(len(problem.l1)), 0.0, 1e-300, 0.0
        self.convex, self.reached = problem.convex, 0.0
        self.live = np.flatnonzero(np.isfinite(problem.l1))
        self.value_at = mean.value(self.b, 0.0)
        mean.hold()

    @property
    def n_iter(self) -> int:
        """Epochs so far."""
        return self.fit.n_iter

    @property
    def n_passes(self) -> float:
        """Reads of X so far."""
        return self.fit.n_passes + self.read

    def foresee(self, alphas: Float) -> None:
        """One α is solved from the one before it."""

    def warm(self, b: Float) -> None:
        """Begin from coefficients (p, 1)."""
        self.put(b[:, 0], self.b0)
        self.fit.put(self.b)

    def coefs(self) -> list[Float]:
        """The coefficients, (p,)."""
        return [self.b]

    def constants(self) -> Float:
        """(1,) the intercept."""
        return np.array([self.b0])

    def value(self) -> float:
        """Σ w ℓ, less its saturated value, without dropout: a penalty is no part of it"""
        return self.mean.deviance()

    def place(self, b: Float, b0: Float) -> None:
        """Stand at coefficients (p, 1) and an intercept (1,)."""
        self.put(b[:, 0], float(b0[0]))

    def put(self, b: Float, b0: float) -> None:
        """Stand at these coefficients, and hold what there is."""
        self.stand(b, b0, self.mean.value(b, b0))

    def stand(self, b: Float, b0: float, value: float) -> None:
        """The same where the mean has already been taken."""
        self.b, self.b0, self.value_at = b, b0, value
        self.mean.hold()
        self.fit.reform()
        self.read += self.mean.data.design.gauge_reads

    def start(self) -> Null:
        """Fit the null model and read α_max off its correlations."""
        problem = self.problem
        status, total, _ = null_model(self.fit, 64 * EPS)
        b, b0 = np.zeros_like(self.b), float(self.fit.constant())
        if problem.loose.size:
            alone = Dropped(replace(problem, l1=np.where(problem.penalties.factors > 0, np.inf, problem.l1)), self.stop)
            alone.ready(total)
            alone.settle(1.0, 1e-12, 10**6)
            b, b0 = alone.b, alone.b0
        self.put(b, b0)
        null = self.value_at
        self.fit.at(self.b, 1.0)
        noise = 32 * EPS * np.sqrt(2 * total)
        pull = self.fit.largest_pull(problem.penalties.factors, problem.scale, noise)
        self.ready(null)
        top = self.reached = pull / max(problem.penalties.l1_ratio, RIDGE_GRID) * (1 + 4 * EPS)
        return Null(status, total, null if null > 64 * EPS else 0.0, top)

    def ready(self, null: float) -> None:
        """Measures are relative to `null` from here on."""
        self.null = max(null, 1e-300)
        self.fit.rescale(self.null)
        self.fit.begin()

    def cost(self, b: Float, alpha: float) -> float:
        """α Σ pen_j(b_j)"""
        used = np.flatnonzero(b)
        size = np.abs(b[used])
        return alpha * float((self.problem.l1[used] * size + self.problem.l2[used] / 2 * size**2).sum())

    def pull(self, r: Float) -> Float:
        """(p,) minus the gradient of the mean loss, at row terms r"""
        c = np.empty_like(self.b)
        products(self.mean.data.design, np.ascontiguousarray(r)[None], c[None])
        self.read += 1
        return c - self.mean.ridge * self.b

    def lacks(self, alpha: float) -> tuple[float, float]:
        """(relative duality gap, KKT residual) where it stands; the first is ∞ where the objective is not convex."""
        problem, r = self.problem, self.mean.residual()
        left = float(r.sum()) if problem.intercept else 0.0
        g = self.pull(r - self.mean.mass * left)[self.live, None]
        pen, b = penalty(problem, self.live, alpha), self.b[self.live, None]
        kkt = (pen.distance(b, g) / np.sqrt(problem.curvature[self.live])[:, None]).max(initial=0.0) + abs(left)
        gap = self.gap(pen, b, g) + abs(left) if problem.gap_kind == "duality gap" else np.inf
        return gap / self.null, float(kkt) / np.sqrt(2 * self.null)

    def gap(self, pen: Penalty, b: Float, g: Float) -> float:
        """The gap at the better of the dual points s·(y − m̃), m̃ the mean of a row with its noise in it."""
        assert isinstance(self.mean, Closed)
        points, far = dual_points(pen, b, g), None
        best = np.inf
        for s, rest in points:
            if s < 1 and far is None:
                far = self.mean.spread()
            best = min(best, rest + (0.0 if far is None or s >= 1 else (1 - s) ** 2 * far))
        return best

    def solve(self, alpha: float, tol: float, max_iter: int) -> tuple[str, float]:
        """Move to the solution at α: (status, measure); where there may be several, to the one that leads there."""
        while not self.convex and self.reached * STRIDE > alpha:
            self.reached *= STRIDE
            self.settle(self.reached, max(tol, LOOSE), max_iter)
        self.reached = alpha
        return self.settle(alpha, tol, max_iter)

    def settle(self, alpha: float, tol: float, max_iter: int) -> tuple[str, float]:
        """What is held is solved, and brought to where that led, until the true measure is small: (status, measure)."""
        best, before, idle, used = np.inf, np.inf, 0, self.n_iter
        for _ in range(ROUNDS):
            gap, kkt = self.lacks(alpha)
            if FAST * kkt > before and self.leap(alpha):
                gap, kkt = self.lacks(alpha)
            before, lack = kkt, gap if self.problem.gap_kind == "duality gap" else kkt
            idle = 0 if lack < 0.9 * best else idle + 1
            best = min(best, lack)
            if lack <= tol:
                return "converged", lack
            left = max_iter - (self.n_iter - used)
            if left <= 0:
                return "max_iter", lack
            self.fit.resume(alpha, max(SHARP * kkt, 1e-15), left, True)
            moved = self.approach(self.fit.coef(), float(self.fit.constant()), alpha)
            if not moved or idle > IDLE:
                return "rounding" if self.convex else "not_convex", lack
        return "max_iter" if self.convex else "not_convex", lack

    def approach(self, b: Float, b0: float, alpha: float, *, put: bool = False) -> bool:
        """Go to these coefficients, or towards them until the objective falls; whether it did.

        `put`: the engine does not stand there yet.
        """
        top = self.value_at + self.cost(self.b, alpha) + NOISE * self.null
        for halving in range(HALVINGS):
            t = 0.5**halving
            new, new0 = (b, b0) if halving == 0 else (self.b + t * (b - self.b), self.b0 + t * (b0 - self.b0))
            value = self.mean.value(new, new0)
            if value + self.cost(new, alpha) <= top:
                self.stand(new, new0, value)
                if put or halving:
                    self.fit.put(new)
                return True
        self.put(self.b, self.b0)
        self.fit.put(self.b)
        return False

    def leap(self, alpha: float) -> bool:
        """Newton's step on the coefficients that are not 0 and the intercept; whether it led down.

        By conjugate gradients.

        What is held leaves a curvature out, so that what is left of the error shrinks by a constant factor alone.
        """
        problem, mean, on = self.problem, self.mean, self.mean.used
        lo, hi = problem.penalties.lo[on], problem.penalties.hi[on]
        b, l2 = self.b[on], alpha * problem.l2[on]
        moving = np.append((lo < b) & (b < hi), problem.intercept)
        if not moving.any():
            return False
        r = mean.residual()
        g = np.append(self.pull(r)[on] - alpha * problem.l1[on] * np.sign(b) - l2 * b, r.sum()) * moving
        bent, steep = mean.bent(), np.append(mean.ridge[on] / mean.rate + l2, 0.0)
        steep[-1] = bent(np.zeros_like(b), 1.0)[1]
        steep[steep <= 0] = 1.0

        def product(x: Float) -> Float:
            out, out0 = bent(x[:-1], float(x[-1]))
            return np.append(out + l2 * x[:-1], out0)

        step = np.zeros_like(g)
        for _ in range(CROSSINGS):
            rest = (g - product(step)) * moving if step.any() else g
            step += conjugate(lambda x: product(x) * moving, lambda x: x / steep, rest, FORCING)[0]
            crossed = moving[:-1] & ((b + step[:-1]) * b <= 0)
            if not crossed.any():
                break
            moving[:-1] &= ~crossed
            step[:-1][crossed] = -b[crossed]
        new = self.b.copy()
        new[on] = np.clip(b + step[:-1], lo, hi)
        new[on[new[on] * b < 0]] = 0
        return self.approach(new, self.b0 + float(step[-1]), alpha, put=True)

    def centre(self) -> None:
        """The intercept to its best, by Newton's steps."""
        for _ in range(HALVINGS if self.problem.intercept else 0):
            left, curved = float(self.mean.residual().sum()), self.mean.bent()(np.zeros_like(self.mean.b), 1.0)[1]
            if not (curved > 0 and abs(left) > 4 * EPS) or not self.approach(self.b, self.b0 + left / curved, 0.0):
                return

    def unpenalised(self, tol: float) -> tuple[str, float]:
        """Move to α = 0: (status, KKT residual)."""
        if not self.convex:
            self.solve(DOWN * self.reached, max(tol, LOOSE), 10**6)
        model = Dropped(bare(self.problem), self.stop)
        model.ready(self.null)
        model.put(self.b, self.b0)
        model.fit.put(self.b)
        status, _ = model.settle(1.0, tol, 10**6)
        self.fit, self.mean, self.b, self.b0 = model.fit, model.mean, model.b, model.b0
        return status, model.lacks(1.0)[1]
