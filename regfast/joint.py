"""Losses of predictors η (C, n) at once: squared error of C responses, softmax of C classes, any likelihood of one.

Each is convex, with  r = −w ∂ℓ/∂η,  `curvature` the products with w ∂²ℓ/∂η², and `bound` (n,) a number for each row
that is not below that matrix's largest eigenvalue.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np
from scipy.special import xlogy

from ._loss import Loss
from ._softmax import shares, young
from .validation import Float

EPS = float(np.finfo(float).eps)
STEPS = 200  # of Newton's method for the intercepts
FAINT = 1e-2  # of a row's weight: the least that saturation leaves of it in a bound


def inverse(H: Float) -> Float:
    """Of a symmetric H without negative eigenvalues, on what it does not send to 0."""
    values, V = np.linalg.eigh(H)
    kept = values > max(1e-12 * float(values.max(initial=0.0)), 1e-100)
    return np.asarray((V[:, kept] / values[kept]) @ V[:, kept].T)


class Likelihood(ABC):
    """A loss of y (C, n) under weights w (n,) that sum to 1."""

    quadratic = False

    def __init__(self, y: Float, w: Float, offset: Float | None) -> None:
        self.y, self.w, self.offset = y, w, offset

    def begin(self) -> Float:
        """η without columns and intercepts: the offset"""
        return np.zeros_like(self.y) if self.offset is None else self.offset.copy()

    @abstractmethod
    def intercepts(self, eta: Float, guess: Float, tol: float = 2 * EPS) -> Float:
        """(C,) those that minimise the value at η + b0, to where no slope is above `tol`."""

    @abstractmethod
    def residual(self, eta: Float) -> Float:
        """r (C, n)"""

    @abstractmethod
    def value(self, eta: Float) -> float:
        """Σ w ℓ, less its saturated value"""

    @abstractmethod
    def stiffness(self, eta: Float) -> Float:
        """(C, C) Σ w ∂²ℓ/∂η²: what moving whole predictors meets"""

    @abstractmethod
    def curvature(self, eta: Float) -> Callable[[Float], Float]:
        """u (C, n) -> w ∂²ℓ/∂η² u (C, n)"""


class One(Likelihood):
    """That of one predictor, by its kernel. What is computed at η is kept for the next question about it."""

    def __init__(self, loss: Loss, y: Float, w: Float, offset: Float | None) -> None:
        super().__init__(y[None], w, None if offset is None else offset[None])
        self.loss, self.seen = loss, (y, y, y)

    def at(self, eta: Float) -> tuple[Float, Float]:
        """r and w ∂²ℓ/∂η², (n,)"""
        if eta is not self.seen[0] or eta.flags.writeable:
            self.seen = eta, *self.loss.gradient(eta[0])
        return self.seen[1:]

    def intercepts(self, eta: Float, guess: Float, tol: float = 2 * EPS) -> Float:
        return np.array([self.loss.constant(eta[0], guess[0])])

    def residual(self, eta: Float) -> Float:
        return self.at(eta)[0][None].copy()

    def value(self, eta: Float) -> float:
        return float(self.loss.deviance(eta[0]))

    def stiffness(self, eta: Float) -> Float:
        return np.array([[self.at(eta)[1].sum()]])

    def curvature(self, eta: Float) -> Callable[[Float], Float]:
        v = self.at(eta)[1]
        return lambda u: np.asarray(v * u)


class Joint(Likelihood):
    """One of several predictors."""

    @abstractmethod
    def mean(self, eta: Float) -> Float:
        """(C, n) what y is expected to be"""

    def residual(self, eta: Float) -> Float:
        return np.asarray(self.w * (self.y - self.mean(eta)))

    @abstractmethod
    def young(self, s: float, eta: Float) -> float:
        """Σ w [ℓ(η) + ℓ*(u) − u·η] at u = s ∂ℓ/∂η: what the loss adds to the duality gap"""

    @abstractmethod
    def bound(self, eta: Float) -> Float:
        """(n,) not below the largest eigenvalue of w ∂²ℓ/∂η²"""


class Squares(Joint):
    """ℓ = ½ ‖y − η‖²"""

    quadratic = True

    def intercepts(self, eta: Float, guess: Float, tol: float = 2 * EPS) -> Float:
        return np.asarray((self.y - eta) @ self.w)

    def mean(self, eta: Float) -> Float:
        return eta

    def value(self, eta: Float) -> float:
        return 0.5 * float(np.einsum("cn,cn,n->", self.y - eta, self.y - eta, self.w))

    def young(self, s: float, eta: Float) -> float:
        return (1 - s) ** 2 * self.value(eta)

    def bound(self, eta: Float) -> Float:
        return self.w

    def stiffness(self, eta: Float) -> Float:
        return np.asarray(np.eye(len(eta)) * self.w.sum())

    def curvature(self, eta: Float) -> Callable[[Float], Float]:
        return lambda u: self.w * u


class Classes(Joint):
    """ℓ = log Σ_c e^η_c − Σ_c y_c η_c, y_c ≥ 0 of sum 1.

    What is computed at η is kept for the next question about the same array, if nobody can have written to it.
    """

    def __init__(self, y: Float, w: Float, offset: Float | None) -> None:
        super().__init__(np.ascontiguousarray(y), w, offset)
        self.saturated = -float(w @ xlogy(y, y).sum(axis=0))
        self.zero, self.seen = np.zeros(len(y)), (y, y, w, 0.0)

    def at(self, eta: Float) -> tuple[Float, Float, float]:
        """(C, n) probabilities, (n,) log Σ_c e^η_c and the loss"""
        if eta is not self.seen[0] or eta.flags.writeable:
            mu, level = np.empty_like(self.y), np.empty(self.y.shape[1])
            self.seen = eta, mu, level, shares(np.ascontiguousarray(eta), self.zero, self.y, self.w, mu, level)
        return self.seen[1:]

    def intercepts(self, eta: Float, guess: Float, tol: float = 2 * EPS) -> Float:
        """By Newton's method, damped where a step does not lower the loss or, in its rounding, the slope."""
        b0 = best = guess
        loss, steep, damping = np.inf, np.inf, 1e-13
        slack = 8 * EPS * np.sqrt(len(self.w)) * (1 + float(np.abs(eta).max(initial=0.0)))  # rounding of η, and of sums
        eta, total = np.ascontiguousarray(eta), self.y @ self.w
        mu, level = np.empty_like(eta), np.empty(eta.shape[1])
        for _ in range(STEPS):
            now = shares(eta, b0, self.y, self.w, mu, level)
            weighted = self.w * mu
            held = weighted.sum(axis=1)
            g = total - held
            off = float(np.abs(g).max())
            if now < loss - slack or (now <= loss + slack and off < steep):
                slope, steep, loss, best, damping = g, off, min(now, loss), b0, max(damping / 10, 1e-13)
                H = np.diag(held) - weighted @ mu.T + 1 / len(g)  # (which all intercepts together do not meet)
            elif steep <= 64 * EPS:
                break
            else:
                damping = max(10 * damping, 1e-6)
            if steep <= tol or damping > 1e9:
                break
            b0 = best + np.linalg.solve(H + damping * np.eye(len(g)), slope)
        return np.asarray(best - best.mean())

    def mean(self, eta: Float) -> Float:
        return self.at(eta)[0]

    def value(self, eta: Float) -> float:
        return max(self.at(eta)[2] - self.saturated, 0.0)

    def young(self, s: float, eta: Float) -> float:
        mu, level, _ = self.at(eta)
        return max(young(s, np.ascontiguousarray(eta), self.y, self.w, mu, level), 0.0) if s < 1 else 0.0

    def bound(self, eta: Float) -> Float:
        mu = self.at(eta)[0]
        return np.asarray(self.w * np.maximum((2 * mu * (1 - mu)).max(axis=0), FAINT))

    def stiffness(self, eta: Float) -> Float:
        mu = self.at(eta)[0]
        weighted = self.w * mu
        return np.asarray(np.diag(weighted.sum(axis=1)) - weighted @ mu.T)

    def curvature(self, eta: Float) -> Callable[[Float], Float]:
        mu = self.at(eta)[0]
        weighted = self.w * mu
        return lambda u: np.asarray(weighted * (u - np.einsum("cn,cn->n", mu, u)))
