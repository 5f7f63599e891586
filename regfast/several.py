"""The path of several linear predictors, α after α, whatever solves for one of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

import numpy as np
import scipy.sparse as sp

from .blas import single_threaded
from .errors import INTERRUPTED, NO_MEMORY, SEPARATED, STATUS, attach
from .multipath import MultiPath, joined
from .problem import Null, Problem, binding, facts, grid
from .result import Path
from .validation import Float


class Predictors(Protocol):
    """C linear predictors of one problem: coefficients as they stand, and how to better them."""

    problem: Problem
    classes: int

    @property
    def n_iter(self) -> int:
        """Sweeps so far."""

    @property
    def n_passes(self) -> float:
        """Reads of X so far."""

    def start(self) -> Null:
        """Fit the null model and read α_max off its correlations."""

    def foresee(self, alphas: Float) -> None:
        """Hear which strengths are to come."""

    def warm(self, b: Float) -> None:
        """Begin from coefficients (p, C)."""

    def solve(self, alpha: float, tol: float, max_iter: int) -> tuple[str, float]:
        """Move to the solution at α: (status, relative gap)."""

    def unpenalised(self, tol: float) -> tuple[str, float]:
        """Move to the solution at α = 0: (status, KKT residual)."""

    def coefs(self) -> list[Float]:
        """C of (p,)"""

    def constants(self) -> Float:
        """(C,) the intercepts, on the scale of the data."""

    def value(self) -> float:
        """Σ w ℓ, less its saturated value"""


class Found:
    """What has been solved so far."""

    def __init__(self, classes: int, p: int) -> None:
        self.coefs: list[list[tuple[Any, Float]]] = [[] for _ in range(classes)]  # (rows, values) of each α
        self.rows: list[tuple[Float, float, float, str, int, float]] = []
        self.p = p

    def __len__(self) -> int:
        return len(self.rows)

    def add(self, model: Predictors, status: str, gap: float, n_iter: int) -> None:
        """The model as it stands."""
        for kept, coef in zip(self.coefs, model.coefs(), strict=True):
            on = np.flatnonzero(coef).astype(np.int32)
            kept.append((on, coef[on]))
        passes = model.n_passes + model.problem.data.design.gauge_reads
        self.rows.append((model.constants(), model.value(), gap, status, n_iter, passes))

    def column(self, k: int, dtype: Any = np.float64) -> Any:
        """(done,) or, of intercepts, (C, done)"""
        parts = [row[k] for row in self.rows]
        return np.array(parts, dtype=dtype).T if parts else np.zeros((len(self.coefs), 0) if k == 0 else 0, dtype=dtype)

    def matrices(self) -> list[sp.csc_array]:
        """C of (p, done)"""
        return [self._matrix(part[:len(self)]) for part in self.coefs]

    def _matrix(self, part: list[tuple[Any, Float]]) -> sp.csc_array:
        if not part:
            return sp.csc_array((self.p, 0))
        indptr = np.cumsum([0, *(len(on) for on, _ in part)], dtype=np.int32)
        on, values = (np.concatenate(x) for x in zip(*part, strict=True))
        return sp.csc_array((values, on, indptr), shape=(self.p, len(part)))


def descend(model: Predictors, alphas: Float, null: Null, found: Found, *, tol: float, max_iter: int, early_stop: bool,
            tell: Callable[[int, float], Any]) -> None:
    """Every α, descending, from where the one before it ended."""
    explained = 0.0
    for k, alpha in enumerate(alphas):
        used = model.n_iter
        if alpha == 0:
            status, gap = model.unpenalised(tol)
        else:
            status, gap = model.solve(float(alpha), tol, max_iter) if null.value > 0 else ("converged", 0.0)
        found.add(model, status, gap, model.n_iter - used)
        tell(k, gap)
        before, explained = explained, 1 - model.value() / null.total if null.total > 0 else 0.0
        if early_stop and k >= 4 and (explained > 0.999 or explained - before < 1e-5 * explained):
            break


def solve_several(model: Predictors, alphas: Float | None, *, n_alphas: int = 100, eps: float | None = None, tol: float,
                  max_iter: int, early_stop: bool = False, report: Callable[[int, int], Any] | None = None,
                  standardize: bool, has_offset: bool, keep: tuple[bool, bool] = (True, True),
                  warm: Float | None = None) -> Path:
    """The path of a model, a `MultiPath` where it has several predictors, from coefficients (p, C) if there are some to
    begin from; does not warn."""
    problem = model.problem
    with single_threaded():
        null = model.start()
        if warm is not None:
            model.warm(warm)
    asked = grid(problem, null, n_alphas, eps) if alphas is None else alphas
    separated = null.status == SEPARATED
    found, cut = Found(model.classes, problem.data.design.p), None
    try:
        with single_threaded():
            if null.value > 0:
                model.foresee(asked)
            descend(model, asked[asked > 0][:1] if separated else asked, null, found, tol=tol, max_iter=max_iter,
                    early_stop=early_stop and not binding(problem),
                    tell=lambda k, gap: report and report(k + 1, len(asked)))
    except (KeyboardInterrupt, MemoryError) as raised:
        cut = raised
    done = len(found)
    status = np.array(["separated"] * done if separated else found.column(3, np.str_), dtype=np.str_)
    word = "" if cut is None else STATUS[INTERRUPTED if isinstance(cut, KeyboardInterrupt) else NO_MEMORY]
    coefs = found.matrices()
    several = problem.y.ndim > 1
    kind: Any = partial(MultiPath, grouped=problem.penalties.grouped) if several else Path
    path: Path = kind(
        coefs=coefs if several else coefs[0], intercepts=found.column(0) if several else found.column(0)[0],
        n_nonzero=joined(coefs), gaps=found.column(2),
        gap_kind="kkt residual" if 0 in asked[:done] else problem.gap_kind, n_iter=found.column(4, np.int64),
        n_passes=found.column(5),
        **facts(problem, null, asked, found.column(1), status, word, tol=tol, standardize=standardize,
                has_offset=has_offset, keep=keep))
    if cut is not None:
        attach(cut, path)
        raise cut
    return path
