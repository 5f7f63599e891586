"""Nanoseconds per coordinate of the inner loops, called through the compiled workspace of a fit."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from regfast import _design
from regfast.path import prepare
from regfast.problem import Problem, start

from .problems import dense, text


def prepared(storage: str, dtype: str) -> Problem:
    """A ridge problem (every coefficient moves in every sweep): lines of 1000 dense or about 50 sparse entries."""
    if storage in ("C", "F"):
        X, y = dense(1000, 1000, storage)
    else:
        X, y = text(2000, 2000, 100_000)
        X = X.tocsc() if storage == "CSC" else X
    return prepare(X.astype(dtype), y, l1_ratio=0.0)


def emptied(problem: Problem) -> Problem:
    """The same problem with nothing stored in X: what is left is the overhead."""
    n, p = problem.data.X.shape
    nothing = _design.sparse(np.zeros(0), np.zeros(0, np.int32), np.zeros(p + 1, np.int64), n, p, True)
    return replace(problem, data=problem.data._replace(design=nothing))


def least(call: Callable[[], object], before: Callable[[], object] | None = None, repeats: int = 50) -> float:
    """The shortest of `repeats` times of `call`, in ns; `before` runs untimed before each."""
    times = []
    for _ in range(repeats):
        if before is not None:
            before()
        begin = time.perf_counter_ns()
        call()
        times.append(time.perf_counter_ns() - begin)
    return float(min(times))


class Fitted:
    params = (["F", "C", "CSC", "CSR"], ["float64", "float32"])
    param_names = ("storage", "dtype")

    def setup(self, storage: str, dtype: str) -> None:
        self.problem = prepared(storage, dtype)
        self.n, self.p = self.problem.data.X.shape
        self.fit = self.problem.fit()
        self.alpha = start(self.problem, self.fit).alpha_max
        self.zero = np.zeros(self.p)
        self.coef = np.random.default_rng(1).standard_normal(self.p) / self.p


class Leaves(Fitted):
    """Differences between certificates of chosen coefficients, at a fixed α."""

    def track_kkt_scan(self, storage: str, dtype: str) -> float:
        """A certificate per column: X'r, then every condition of optimality."""
        return least(lambda: self.fit.at(self.zero, self.alpha)) / self.p

    def track_scan(self, storage: str, dtype: str) -> float:
        """X'r alone, per line of X: a dot along a column (F, CSC), or an axpy along a row (C, CSR)."""
        idle = emptied(self.problem).fit()
        start(self.problem, idle)
        whole = least(lambda: self.fit.at(self.zero, self.alpha))
        rest = least(lambda: idle.at(self.zero, self.alpha))
        return (whole - rest) / (self.p if storage in ("F", "CSC") else self.n)

    def track_axpy(self, storage: str, dtype: str) -> float:
        """One axpy along a working column (Xb anew from p coefficients), per column."""
        moved = least(lambda: self.fit.at(self.coef, self.alpha))
        return (moved - least(lambda: self.fit.at(self.zero, self.alpha))) / self.p


class Descent(Fitted):
    """Coordinate descent, every coefficient moving."""

    def track_sweep(self, storage: str, dtype: str) -> float:
        """One coordinate update: dot, prox, weighted axpy."""
        return least(lambda: self.fit.descend(1e-3 * self.alpha, 1), before=lambda: self.fit.warm(self.coef)) / self.p


for _track in (Leaves.track_kkt_scan, Leaves.track_scan, Leaves.track_axpy, Descent.track_sweep):
    _track.unit = "ns"
