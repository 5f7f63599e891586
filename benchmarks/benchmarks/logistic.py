"""Logistic paths, and the compiled engine against coordinate descent in plain Python."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import regfast
from regfast import reference
from regfast.reference_logistic import logistic_coordinate_descent

from .against import GAP, Fits
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


def seconds(kind: str, solver: str) -> float:
    """Time of one path of five α's, from α_max / 1.6 to α_max / 10; the least of five where that is quick.

    Raises
    ------
    RuntimeError
        A solution is further from the optimum than `GAP`, by `regfast.certify`.
    """
    X, y = PROBLEMS[kind]()
    same: dict[str, Any] = {"family": "binomial", "standardize": False}
    alphas = np.geomspace(1, 0.1, 6)[1:] * regfast.alpha_max(X, y, **same)
    times: list[float] = []
    while not times or (len(times) < 5 and sum(times) < 2):
        start = time.perf_counter()
        fits = SOLVERS[solver](X, y, alphas)
        times.append(time.perf_counter() - start)
    for alpha, (coef, intercept) in zip(alphas, fits, strict=True):
        gap = regfast.certify(X, y, coef, intercept, alpha=alpha, **same).gap
        if gap > GAP * (1 + 1e-6):  # the same gap, summed in another order
            raise RuntimeError(f"{solver}, {kind}, alpha={alpha:g}: gap {gap:g} is over {GAP:g}")
    return min(times)


class LogisticAgainst:
    """Five α's to a gap of 1e-4, from arrays to coefficients."""

    params = (list(PROBLEMS), list(SOLVERS))
    param_names = ("storage", "solver")
    timeout = 3600

    def setup_cache(self) -> dict[tuple[str, str], float]:
        if os.environ.get("REGFAST_ASV_SLOW") != "1":
            return {}
        return {(kind, solver): seconds(kind, solver) for kind in PROBLEMS for solver in SOLVERS}

    setup_cache.timeout = 3600

    def setup(self, took: dict[tuple[str, str], float], kind: str, solver: str) -> None:
        if not took:
            # asv's own word for "not now": the benchmark is skipped with this message
            raise NotImplementedError("minutes of plain Python: set REGFAST_ASV_SLOW=1")

    def track_seconds(self, took: dict[tuple[str, str], float], kind: str, solver: str) -> float:
        return took[kind, solver]

    track_seconds.unit = "s"

    def track_speedup(self, took: dict[tuple[str, str], float], kind: str, solver: str) -> float:
        """How many times longer than regfast."""
        return took[kind, solver] / took[kind, "regfast"]

    track_speedup.unit = "x"
