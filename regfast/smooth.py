"""Likelihoods under L2 alone: Newton's steps on all coefficients at once, each by conjugate gradients on X as it is.

In standard form (A = XD about its means, b = Dβ, ridge ½ a‖β‖²; `standard_form`) the objective falls along
g = A'r − aβ, r = −w ∂ℓ/∂η. No column is free, so that r itself is a dual point, and the duality gap is ‖g‖²/(2a).
Newton's system (A'VA + aI) d = g, V = w ∂²ℓ/∂η² and intercepts at their best, is solved as far as the gap says that it
pays (Dembo, Eisenstat & Steihaug (1982), SIAM J. Numer. Anal. 19). What preconditions it takes every row's curvature
for their mean S (C, C): then A'VA is S ⊗ A'WA, of which the diagonal is known, and the eigenvectors where they pay.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from .errors import OK
from .factors import Spectrum
from .joint import inverse
from .multinomial import Softmax
from .problem import EPS, RIDGE_GRID, Null, Problem, strongest
from .ridge import DIRECT
from .rownorm import Linear, conjugate, rows
from .rowwork import NOISE
from .standard_form import StandardForm
from .validation import Float

IDLE = 3  # steps that may pass without halving the gap
HALVINGS = 40
LOOSE, TIGHT = 0.3, 0.1  # of the gradient: the most that a step leaves; of tol: what it need not go below
PAYS = 0.2  # steps of conjugate gradients, one predictor's, that cost what a column of A'WA and its eigenvectors do
SOON = 8  # of them: where that many will do, nothing is waited for
SMALL = 5e6  # multiply-adds of A'VA: fewer, and the engine's exact steps cost less than calls of BLAS do
FEW = 4  # predictors that BLAS multiplies faster one by one
KEPT = 2**24  # entries of X about its means that are kept, where X itself will not do


class Smooth:
    """What solves a path, of one predictor or more; `several.Predictors` says what is asked of it."""

    def __init__(self, problem: Problem, stop: NDArray[np.int32] | None = None) -> None:
        self.problem, self.stop = problem, stop
        self.form = StandardForm(problem, stop)
        self.loss = problem.family.joint(problem.y, problem.w, problem.offset)
        self.classes = 1 if problem.y.ndim == 1 else len(problem.y)
        self.b, self.b0 = np.zeros((self.classes, self.form.p)), np.zeros(self.classes)
        self.centred = not (sp.issparse(self.form.X) or self.form.near)  # as it is read
        self.kept = list(self.form.parts()) if self.centred and self.form.X.size <= KEPT else None
        self.spectrum: Spectrum | None = None
        self.level = 2 * EPS  # of the slopes of intercepts
        self.n_iter, self.n_passes, self.spent, self.null = 0, 0.0, 0, 1.0

    @staticmethod
    def applies(problem: Problem) -> bool:
        """Whether L2 alone penalises every column, nothing bounds them, and neither squared error nor size says no."""
        penalties, design = problem.penalties, problem.data.design
        return (penalties.l1_ratio == 0 and penalties.noise is None and not problem.loose.size
                and not np.isfinite(penalties.lo).any() and not np.isfinite(penalties.hi).any()
                and problem.family.link != "identity" and (problem.y.ndim > 1 or design.entries * design.p > SMALL))

    # ---- X

    def times(self, b: Float) -> Float:
        """(C, n) bA'"""
        scaled, out = b * self.form.scale, np.zeros((len(b), self.form.n))
        for at, part in self.kept or self.form.parts():
            if self.form.wide or sp.issparse(part):
                out += across(scaled[:, at], part.T)
            else:
                out[:, at] = across(scaled, part.T)
        self.n_passes += 1
        return out if self.centred else out - (scaled @ self.problem.mean)[:, None]

    def adjoint(self, r: Float) -> Float:
        """(C, p) rA"""
        out = np.zeros((len(r), self.form.p))
        for at, part in self.kept or self.form.parts():
            if self.form.wide or sp.issparse(part):
                out[:, at] = across(r, part)
            else:
                out += across(r[:, at], part)
        self.n_passes += 1
        if not self.centred:
            out -= np.outer(r.sum(axis=1), self.problem.mean)
        return np.asarray(out * self.form.scale)

    # ---- where things stand

    def refresh(self, bare: Float, guess: Float) -> None:
        """Intercepts, from a guess, and residual for predictors that are less them."""
        self.bare = bare
        if self.problem.intercept:
            self.b0 = self.loss.intercepts(bare, guess, self.level)
        self.eta = self.bare + self.b0[:, None]
        self.eta.flags.writeable = False
        self.r = self.loss.residual(self.eta)
        left = self.r.sum(axis=1) * self.problem.intercept
        self.r -= self.problem.w * left[:, None]
        self.lost = float(np.abs(left).sum())

    def objective(self, a: float) -> float:
        """Loss + penalty"""
        return self.value() + 0.5 * a * float((self.b * self.b).sum())

    def start(self) -> Null:
        """Fit the null model and read α_max off its correlations."""
        problem = self.problem
        self.refresh(self.loss.begin(), self.b0)
        total = self.value()
        if total <= 64 * EPS:
            return Null(OK, 0.0, 0.0, 0.0)
        self.null = total
        c = np.divide(self.adjoint(self.r), self.form.scale, out=np.zeros_like(self.b), where=self.form.scale > 0).T
        pull = rows(c) if problem.penalties.grouped else np.abs(c).max(axis=1, initial=0.0)
        top = strongest(problem, pull, 32 * EPS * float(np.sqrt(2 * total)))
        return Null(OK, total, total, top / RIDGE_GRID * (1 + 4 * EPS))

    # ---- one α after the other

    def solve(self, alpha: float, tol: float, max_iter: int) -> tuple[str, float]:
        """Newton's steps until the certificate holds: (status, gap)."""
        a, best, idle, began = alpha / float(self.form.unit), float(np.inf), 0, self.n_iter
        self.level = max(2 * EPS, 0.01 * tol * self.null / self.classes)
        while True:
            g = self.adjoint(self.r) - a * self.b
            gap = float((g * g).sum() / (2 * a) + self.lost) / self.null
            if gap <= tol:
                return "converged", gap
            idle = 0 if gap < 0.5 * best else idle + 1
            best = min(best, gap)
            if idle > IDLE:
                return "rounding", gap
            if self.n_iter - began >= max_iter:
                return "max_iter", gap
            self.step(g, a, max(min(LOOSE, gap**0.25), (TIGHT * tol / gap) ** 0.5))
            self.n_iter += 1

    def step(self, g: Float, a: float, leave: float) -> None:
        """To where Newton's system is solved but for `leave` of g, or half of the way, … until the objective falls."""
        S, bend = self.loss.stiffness(self.eta), self.loss.curvature(self.eta)
        settle, one = inverse(S), np.ones(self.form.n)

        def product(x: Float) -> Float:
            h = bend(self.times(x))
            if self.problem.intercept:
                h -= bend(np.outer(settle @ h.sum(axis=1), one))
            return self.adjoint(h) + a * x

        step, n = conjugate(product, self.near(S, a), g, leave)
        self.spent += n * self.classes
        b, bare, b0, top = self.b, self.bare, self.b0, self.objective(a) + NOISE * self.null
        move = self.loss.begin() + self.times(b + step) - bare
        drift = settle @ bend(move).sum(axis=1)
        for halving in range(HALVINGS):
            t = 0.5**halving
            self.b = b + t * step
            self.refresh(bare + t * move, b0 - t * drift)
            if self.objective(a) <= top:
                return
        self.b = b
        self.refresh(bare, b0)

    def near(self, S: Float, a: float) -> Linear:
        """x (C, p) -> about (A'VA + aI)⁻¹ x"""
        form = self.form
        if self.spectrum is None and not form.wide and form.p <= DIRECT and max(self.spent, SOON) >= PAYS * form.p:
            self.spectrum = Spectrum.of(form, np.inf)
        if self.spectrum is None:
            steep = np.outer(np.diagonal(S), self.problem.curvature * form.scale**2) + a
            return lambda x: x / steep
        values, U = np.linalg.eigh(S)
        V, size = self.spectrum.vectors, np.outer(np.maximum(values, 0), self.spectrum.values) + a
        return lambda x: np.asarray(U @ ((U.T @ x @ V) / size) @ V.T)

    # ---- what a path asks of it

    def foresee(self, alphas: Float) -> None:
        """One α is solved from the one before it."""

    def unpenalised(self, tol: float) -> tuple[str, float]:
        """Move to α = 0: (status, KKT residual)."""
        model = Softmax(self.problem, self.stop)
        status, kkt = model.unpenalised(tol)
        self.warm(np.array(model.coefs()).T)
        self.n_iter += 1
        return status, kkt

    def warm(self, b: Float) -> None:
        """Begin from coefficients (p, C)."""
        self.b = np.divide(b.T, self.form.scale, out=np.zeros_like(self.b), where=self.form.scale > 0)
        self.refresh(self.loss.begin() + self.times(self.b), self.b0)

    def coefs(self) -> list[Float]:
        """C of (p,)"""
        return list(self.b * self.form.scale)

    def constants(self) -> Float:
        """(C,) the intercepts, on the scale of the data; of mean 0 over classes."""
        if not self.problem.intercept:
            return np.zeros(self.classes)
        b0 = self.b0 - (self.b * self.form.scale) @ self.problem.mean
        return np.asarray(b0 - b0.mean() if self.classes > 1 else b0)

    def value(self) -> float:
        """Σ w ℓ, less its saturated value"""
        return self.loss.value(self.eta)


def across(a: Float, X: Any) -> Float:
    """aX for a few rows a, dense whatever X is."""
    if sp.issparse(X):
        return np.asarray((X.T @ a.T).T)
    return np.array([row @ X for row in a]) if len(a) <= FEW else a @ X
