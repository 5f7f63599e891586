"""Logistic paths, and the compiled engine against coordinate descent in plain Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import regfast
from regfast import reference
from regfast.reference_logistic import logistic_coordinate_descent

from .against import GAP, Fits, _Tracked, seconds, slow
from .problems import Float, dense, problem, text


def labelled(X: Any, y: Float) -> tuple[Any, Float]:
    """The same X, and whether the response is above its median: two classes of one size."""
    return X, (y > np.median(y)).astype(float)


class Logistic:
    """100 α's from α_max to a hundredth of it; the gap is 1e-7 throughout."""

    params = (["100x20 F", "1000x1000 F", "300x3000 C", "20000x100 F", "1000x5000 CSR", "5000x50000 CSR"], [1.0, 0.5])
    param_names = ("problem", "l1_ratio")
    timeout = 300

    def setup(self, name: str, l1_ratio: float) -> None:
        self.X, self.y = labelled(*problem(name))

    def fit(self, l1_ratio: float) -> regfast.Path:
        return regfast.fit_path(self.X, self.y, family="binomial", l1_ratio=l1_ratio, eps=0.01, early_stop=False)

    def time_path(self, name: str, l1_ratio: float) -> None:
        self.fit(l1_ratio)

    def track_passes(self, name: str, l1_ratio: float) -> int:
        """Full passes over X that the path took."""
        return int(self.fit(l1_ratio).n_passes[-1])

    track_passes.unit = "passes"


PROBLEMS: dict[str, Callable[[], tuple[Any, Float]]] = {
    "dense": lambda: labelled(*dense(500, 200)),
    "CSR": lambda: labelled(*text(5000, 5000, 100_000)),
}
"""Both store 100 000 entries."""


def by_reference(X: Any, y: Float, alphas: Float) -> Fits:
    fits = reference.path(X, y, alphas, solve=logistic_coordinate_descent, tol=GAP)
    return [(np.array(fit.coef), fit.intercept) for fit in fits]


def by_regfast(X: Any, y: Float, alphas: Float) -> Fits:
    path = regfast.fit_path(X, y, family="binomial", alphas=alphas, tol=GAP, standardize=False)
    return [(path.coef_at(alpha), path.intercept_at(alpha)) for alpha in path.alphas]


SOLVERS = {"reference": by_reference, "regfast": by_regfast}


class LogisticAgainst(_Tracked):
    """Five α's, from α_max / 1.6 to α_max / 10, to a gap of 1e-4, from arrays to coefficients."""

    params = (list(PROBLEMS), list(SOLVERS))

    def setup_cache(self) -> dict[tuple[str, str], float]:
        return {(kind, name): seconds(PROBLEMS[kind](), solve, 0.1, f"{name}, {kind}", family="binomial")
                for kind in PROBLEMS for name, solve in SOLVERS.items() if slow()}

    setup_cache.timeout = 3600
