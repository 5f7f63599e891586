"""A softmax with a penalty for each coefficient: all classes at once while few coefficients are not 0, else in turn."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .pairs import MOST, Pairs, Unfit
from .problem import Null, Problem
from .turns import Turns
from .validation import Float


class Softmax:
    """What solves a path: `Pairs`, until it does not serve; then, and with columns that are free, `Turns`."""

    def __init__(self, problem: Problem, stop: NDArray[np.int32] | None = None) -> None:
        self.problem, self.stop, self.classes, self.spent = problem, stop, len(problem.y), (0, 0.0)
        dense = problem.penalties.l1_ratio == 0 and problem.data.design.p * self.classes > MOST
        self.now: Pairs | Turns = (Turns if problem.loose.size or dense else Pairs)(problem, stop)

    def start(self) -> Null:
        """Fit the null model and read α_max off its correlations."""
        return self.now.start()

    def solve(self, alpha: float, tol: float, max_iter: int) -> tuple[str, float]:
        """Move to the solution at α: (status, gap)."""
        try:
            return self.now.solve(alpha, tol, max_iter)
        except Unfit:
            return self._turn().solve(alpha, tol, max_iter)

    def unpenalised(self, tol: float) -> tuple[str, float]:
        """Move to α = 0: (status, KKT residual)."""
        return (self._turn() if isinstance(self.now, Pairs) else self.now).unpenalised(tol)

    def _turn(self) -> Turns:
        """Class after class from now on, from where the coefficients are."""
        turns, b = Turns(self.problem, self.stop), np.array(self.coefs()).T
        turns.start()
        turns.warm(b)
        self.spent, self.now = (self.now.n_iter, self.now.n_passes), turns
        return turns

    def foresee(self, alphas: Float) -> None:
        """One α is solved from the one before it."""

    def warm(self, b: Float) -> None:
        """Begin from coefficients (p, C)."""
        self.now.warm(b)

    @property
    def n_iter(self) -> int:
        """Steps and epochs so far."""
        return self.spent[0] + self.now.n_iter

    @property
    def n_passes(self) -> float:
        """Reads of X so far."""
        return self.spent[1] + self.now.n_passes

    def coefs(self) -> list[Float]:
        """C of (p,)"""
        return self.now.coefs()

    def constants(self) -> Float:
        """(C,) intercepts of mean 0."""
        return self.now.constants()

    def value(self) -> float:
        """Σ w ℓ, less its saturated value"""
        return self.now.value()
