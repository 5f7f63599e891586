"""Several responses under L2 alone: nothing joins them but the factorisation that solves for all α's of all of them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import ridge
from .grouped import Grouped
from .problem import Null, Problem
from .standard_form import StandardForm
from .validation import Float


class Solved(NamedTuple):
    coefs: Float  # (p, C)
    intercepts: Float  # (C,)
    gap: float
    value: float


class Ridges:
    """A problem of several responses that `ridge` solves, at strengths that are foreseen."""

    def __init__(self, problem: Problem, stop: NDArray[np.int32] | None = None) -> None:
        self.problem, self.classes = problem, len(problem.y)
        self.model = Grouped(problem, stop)  # what has no penalty at all, or only an intercept
        self.form = StandardForm(problem, stop)
        self.n_iter, self.null = 0, 0.0
        self.known: dict[float, Solved] = {}
        self.now: Solved | None = None

    @staticmethod
    def applies(problem: Problem) -> bool:
        """Whether nothing but L2 penalises, and every column is."""
        squares = problem.family.joint(problem.y, problem.w, None).quadratic
        return squares and problem.penalties.l1_ratio == 0 and not problem.loose.size

    @property
    def n_passes(self) -> float:
        """Reads of X so far."""
        return self.model.n_passes + self.form.reads

    def start(self) -> Null:
        """Fit the null model and read α_max off its correlations."""
        null = self.model.start()
        self.null = max(null.value, 1e-300)
        return null

    def foresee(self, alphas: Float) -> None:
        """Solve at all of these."""
        alphas, C = np.unique(alphas[alphas > 0]), self.classes
        Y, which = self.problem.y.T, np.tile(np.arange(C), len(alphas))
        found = ridge.solve(self.form, self.form.response(Y), which, np.repeat(alphas, C))
        coefs, b0 = self.form.coefficients(found.beta, Y[:, which])
        for k, alpha in enumerate(alphas.tolist()):
            of = slice(C * k, C * k + C)
            self.known[alpha] = Solved(coefs[:, of], b0[of], float(found.gaps[of].sum()), float(found.values[of].sum()))
        self.n_iter += found.steps

    def solve(self, alpha: float, tol: float, max_iter: int) -> tuple[str, float]:
        """Move to the solution at α: (status, relative gap)."""
        if alpha not in self.known:
            self.foresee(np.array([alpha]))
        self.now = self.known[alpha]
        gap = self.now.gap / self.null
        return ("converged" if gap <= tol else "rounding"), gap

    def unpenalised(self, tol: float) -> tuple[str, float]:
        """Move to the solution at α = 0: (status, KKT residual)."""
        self.now = None
        return self.model.unpenalised(tol)

    def warm(self, b: Float) -> None:
        """A factorisation begins from nothing."""

    def coefs(self) -> list[Float]:
        """C of (p,)"""
        return self.model.coefs() if self.now is None else list(self.now.coefs.T)

    def constants(self) -> Float:
        """(C,) the intercepts, on the scale of the data."""
        return self.model.constants() if self.now is None else self.now.intercepts

    def value(self) -> float:
        """Σ w ℓ"""
        return self.model.value() if self.now is None else self.now.value
