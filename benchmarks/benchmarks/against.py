"""The compiled engine against the same algorithm in plain Python and in NumPy; minutes, so off by default.

REGFAST_ASV_SLOW=1 switches it on.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import regfast
from regfast import reference

from .numpy_cd import lasso_path
from .problems import Float, dense, text

GAP = 1e-4
"""Relative duality gap that all of them stop at."""
PROBLEMS: dict[str, Callable[[], tuple[Any, Float]]] = {
    "dense": lambda: dense(1000, 1000),
    "CSR": lambda: text(20_000, 20_000, 1_000_000),
}
"""Both store a million entries."""
Fits = list[tuple[Any, float]]


def by_reference(X: Any, y: Float, alphas: Float) -> Fits:
    return [(np.array(fit.coef), fit.intercept) for fit in reference.path(X, y, alphas, tol=GAP)]


def by_numpy(X: Any, y: Float, alphas: Float) -> Fits:
    return [(fit.coef, fit.intercept) for fit in lasso_path(X, y, alphas, tol=GAP)]


def by_regfast(X: Any, y: Float, alphas: Float) -> Fits:
    path = regfast.fit_path(X, y, alphas=alphas, tol=GAP, standardize=False)
    return [(path.coef_at(alpha), path.intercept_at(alpha)) for alpha in path.alphas]


SOLVERS = {"reference": by_reference, "NumPy": by_numpy, "regfast": by_regfast}


def seconds(data: tuple[Any, Float], solve: Callable[..., Fits], least: float, who: str, **same: Any) -> float:
    """Time of one path of five α's, down to `least`·α_max; the least of five where that is quick.

    Raises
    ------
    RuntimeError
        A solution is further from the optimum than `GAP`, by `regfast.certify`.
    """
    X, y = data
    alphas = np.geomspace(1, least, 6)[1:] * regfast.alpha_max(X, y, standardize=False, **same)
    times: list[float] = []
    while not times or (len(times) < 5 and sum(times) < 2):
        start = time.perf_counter()
        fits = solve(X, y, alphas)
        times.append(time.perf_counter() - start)
    for alpha, (coef, intercept) in zip(alphas, fits, strict=True):
        gap = regfast.certify(X, y, coef, intercept, alpha=alpha, standardize=False, **same).gap
        if gap > GAP * (1 + 1e-6):  # the same gap, summed in another order
            raise RuntimeError(f"{who}, alpha={alpha:g}: gap {gap:g} is over {GAP:g}")
    return min(times)


def slow() -> bool:
    return os.environ.get("REGFAST_ASV_SLOW") == "1"


class _Tracked:
    """What was timed once, in `setup_cache`, which asv wants in each class."""

    param_names = ("storage", "solver")
    timeout = 3600

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


class Against(_Tracked):
    """Five α's, from α_max / 2.2 to α_max / 50, to a gap of 1e-4, from arrays to coefficients."""

    params = (list(PROBLEMS), list(SOLVERS))

    def setup_cache(self) -> dict[tuple[str, str], float]:
        return {(kind, name): seconds(PROBLEMS[kind](), solve, 0.02, f"{name}, {kind}")
                for kind in PROBLEMS for name, solve in SOLVERS.items() if slow()}

    setup_cache.timeout = 3600
