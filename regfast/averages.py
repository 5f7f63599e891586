"""The mean of a loss under dropout: its value, its gradient as rows and a ridge, its curvature along a step.

Over rows with a response and, below these, rows without. The gradient is, in every column, X'(row terms) + D b: that
of a likelihood with forces on its rows and a ridge for each column (docs/objective.md).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.special import expit

from . import validation as check
from ._loss import Loss
from ._tilted import Tilted
from .noise import second_moments
from .problem import Problem
from .tiles import Tiles
from .validation import Data, Float

NEVER = -700.0  # a logarithm of nothing

Linear = Callable[[Float, float], tuple[Float, float]]


class Mean(ABC):
    """A loss and its mean under dropout, over rows with a response and, below these, rows without.

    `value` puts it at b, `hold` writes what is to be held there: `ridge` (p,), and what the engine's `loss` reads.
    """

    def __init__(self, problem: Problem) -> None:
        noise = problem.penalties.noise
        assert noise is not None
        self.problem, self.rate, self.kappa = problem, noise.rate, noise.kappa
        self.data, self.mass = widened(problem)
        self.n, m = len(problem.w), self.data.design.n - len(problem.w)
        rest, n = np.zeros(m), self.n
        self.w = np.concatenate([problem.w, rest])  # of the loss
        self.y = np.concatenate([problem.y, rest])
        self.shift = np.zeros(n + m)
        if problem.offset is not None:
            self.shift[:n] = problem.offset
        self.plain = problem.family.loss(problem.y, problem.w, None)
        self.ridge = np.zeros(len(problem.l1))
        self.columns = Tiles(self.data.X)

    @property
    @abstractmethod
    def loss(self) -> Loss:
        """What the engine is to fit; it sees what `hold` changes."""

    @abstractmethod
    def entry(self, x: Float, b: Float) -> Float:
        """What an entry adds to the number of its row that the penalty depends on, beside η."""

    @abstractmethod
    def penalty(self) -> float:
        """What dropout adds to the loss."""

    @abstractmethod
    def hold(self) -> None:
        """Bring what is held to where the coefficients are."""

    @abstractmethod
    def residual(self) -> Float:
        """(n + m,) the row terms of minus the gradient, as held."""

    @abstractmethod
    def bent(self) -> Linear:
        """(Hv, its entry of the intercept) for a step (v, v0) of the coefficients that are not 0, H the Hessian."""

    def value(self, b: Float, b0: float) -> float:
        """The loss and its penalty at these coefficients; sets `used`, those that are not 0, and `eta`, `more`."""
        self.used = np.flatnonzero(b)
        self.b, self.eta, self.more = b[self.used], self.shift + b0, np.zeros_like(self.shift)
        with np.errstate(over="ignore", invalid="ignore"):  # a step may lead too far
            for rows, tile in self.tiles():
                self.eta[rows] += tile @ self.b
                self.more[rows] = self.each(tile, self.entry).sum(axis=1)
            self.more = np.maximum(self.more, 0.0)
            total = self.deviance() + self.penalty()
        return total if np.isfinite(total) else np.inf

    def deviance(self) -> float:
        """Σ w ℓ without dropout, less its saturated value"""
        return self.plain.deviance(np.ascontiguousarray(self.eta[:self.n]))

    def tiles(self) -> Iterator[tuple[slice, Any]]:
        """(rows, their entries in the columns that are not 0)"""
        return self.columns.of(self.used)

    def each(self, tile: Any, act: Callable[[Float, Float], Float]) -> Any:
        """act(x_ij, b_j) for every stored entry, 0 where x_ij is."""
        if not sp.issparse(tile):
            return act(tile, self.b)
        return sp.csr_array((act(tile.data, self.b[tile.indices]), tile.indices, tile.indptr), shape=tile.shape)


class SecondOrder(Mean):
    """log(1 + e^η) − yη with ½ κ Σ_i A''(η_i) s_i, s_i = Σ_j x_ij² b_j², A'' = μ(1 − μ): not convex."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.tilt = np.zeros_like(self.w)

    @property
    def loss(self) -> Loss:
        family = self.problem.family
        return Tilted(family.loss(self.y, self.w, self.shift), self.tilt)

    def entry(self, x: Float, b: Float) -> Float:
        return np.asarray((x * b) ** 2)

    def penalty(self) -> float:
        return 0.5 * self.kappa * float(self.mass @ (expit(self.eta) * expit(-self.eta) * self.more))

    def hold(self) -> None:
        up, down = expit(self.eta), expit(-self.eta)
        bent = self.mass * up * down
        self.ridge[:] = self.kappa * second_moments(self.data, bent)
        self.tilt[:] = -0.5 * self.kappa * bent * (down - up) * self.more

    def residual(self) -> Float:
        out = self.tilt.copy()
        out[:self.n] += self.plain.gradient(np.ascontiguousarray(self.eta[:self.n]))[0]
        return out

    def bent(self) -> Linear:
        b, up, down, ridge = self.b, expit(self.eta), expit(-self.eta), self.ridge[self.used]
        bend = up * down
        third, fourth = self.kappa * self.mass * bend * (down - up), self.kappa * self.mass * bend * (1 - 6 * bend)
        first = self.w * bend + 0.5 * fourth * self.more
        parts = [(rows, tile, self.each(tile, lambda x, _: x * x)) for rows, tile in self.tiles()]

        def product(v: Float, v0: float) -> tuple[Float, float]:
            out, out0 = ridge * v, 0.0
            for rows, tile, square in parts:
                along = tile @ v + v0
                pull = first[rows] * along + third[rows] * (square @ (b * v))
                out += pull @ tile + b * ((third[rows] * along) @ square)
                out0 += float(pull.sum())
            return out, out0

        return product


class Closed(Mean):
    """e^η − yη with E e^η̃ = e^η Π_j [δ + (1 − δ) e^z_ij] e^−x_ij b_j, z_ij = x_ij b_j/(1 − δ): exact, convex."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.lift = self.shift.copy()
        self.lift[self.n:] = NEVER
        self.full = np.concatenate([self.w[:self.n], self.mass[self.n:]])

    @property
    def loss(self) -> Loss:
        return self.problem.family.loss(self.y, self.full, self.lift)

    def entry(self, x: Float, b: Float) -> Float:
        """log E e^{(x̃ − x) b} of one entry"""
        z = x * b / (1 - self.rate)
        return np.maximum(z, 0.0) + np.log1p(self.inner(z, np.expm1(-np.abs(z)))) - x * b

    def inner(self, z: Float, fall: Float) -> Float:
        """δ + (1 − δ)e^z less 1 or, where z > 0, its e^−z-fold less 1, which cannot overflow; `fall`: e^−|z| − 1"""
        return np.where(z > 0, self.rate, 1 - self.rate) * fall

    def spring(self, x: Float, b: Float) -> Float:
        """x² κ times ((e^z − 1)/z) / (δ + (1 − δ)e^z): what an entry adds to d_j"""
        z = x * b / (1 - self.rate)
        fall = np.expm1(-np.abs(z))
        rise = np.divide(-fall, np.abs(z), out=np.ones_like(z), where=z != 0)
        return np.asarray(self.kappa * x * x * rise / (1 + self.inner(z, fall)))

    def penalty(self) -> float:
        return float(self.mass @ (np.exp(self.eta) * np.expm1(self.more)))

    def hold(self) -> None:
        n, heavy = self.n, self.mass * np.exp(self.eta + self.more)
        self.ridge[:] = self.kappa * second_moments(self.data, heavy)
        self.ridge[self.used] = sum(heavy[rows] @ self.each(tile, self.spring) for rows, tile in self.tiles())
        share = np.divide(self.mass[:n], self.w[:n], out=np.zeros(n), where=self.w[:n] > 0)
        self.lift[:n] = self.shift[:n] + np.log1p(share * np.expm1(self.more[:n]))
        with np.errstate(divide="ignore"):
            self.lift[n:] = np.maximum(np.log(np.expm1(self.more[n:])), NEVER)

    def residual(self) -> Float:
        moved = np.exp(self.eta + self.lift - self.shift)
        return np.asarray(self.w * self.y - self.full * moved)

    def tilted(self, x: Float, b: Float) -> Float:
        """x e^z / (δ + (1 − δ)e^z): the mean of x̃ where e^x̃b weighs it"""
        return np.asarray(x * expit(x * b / (1 - self.rate) + np.log((1 - self.rate) / self.rate)) / (1 - self.rate))

    def bent(self) -> Linear:
        heavy, light = self.mass * np.exp(self.eta + self.more), (self.w - self.mass) * np.exp(self.eta)
        parts = [(rows, tile, self.each(tile, self.tilted)) for rows, tile in self.tiles()]
        own = np.zeros_like(self.b)  # Σ E[x̃²] − E[x̃]² under these weights
        for rows, tile, mean in parts:
            own += heavy[rows] @ (tile * mean) / (1 - self.rate) - heavy[rows] @ (mean * mean)

        def product(v: Float, v0: float) -> tuple[Float, float]:
            out, out0 = own * v, 0.0
            for rows, tile, mean in parts:
                plain, noisy = light[rows] * (tile @ v + v0), heavy[rows] * (mean @ v + v0)
                out += plain @ tile + noisy @ mean
                out0 += float(plain.sum() + noisy.sum())
            return out, out0

        return product

    def spread(self) -> float:
        """E Σ w (y − m̃)²/m̃: times (1 − s)² no less than what the loss adds to the gap at s times the residual"""
        down = -self.eta
        for rows, tile in self.tiles():
            down[rows] += self.each(tile, lambda x, b: self.entry(x, -b)).sum(axis=1)
        with np.errstate(over="ignore", invalid="ignore"):
            each = np.where(self.y > 0, self.y**2 * np.exp(down), 0.0) - 2 * self.y + np.exp(self.eta + self.more)
        return float((self.w * np.maximum(each, 0.0)).sum())


def widened(problem: Problem) -> tuple[Data, Float]:
    """The rows of a problem and, below these, those without a response; what each counts in dropout's penalty."""
    noise = problem.penalties.noise
    assert noise is not None
    below = noise.unlabeled
    data = problem.data if below is None else stacked(problem.data, below)
    m = data.design.n - len(problem.w)
    share = noise.share(int(np.count_nonzero(problem.w)))
    return data, np.concatenate([(1 - share) * problem.w, np.full(m, share / max(m, 1))])


def stacked(above: Data, below: Data) -> Data:
    """The rows of two designs as those of one."""
    if sp.issparse(above.X):
        return check.as_data(sp.vstack([above.X, sp.csr_array(below.X)], format="csr"))
    return check.as_data(np.vstack([above.X, below.X.toarray() if sp.issparse(below.X) else below.X]))
