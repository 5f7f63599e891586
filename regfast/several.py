"""The path of several linear predictors, α after α, whatever solves for one of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import scipy.sparse as sp

from .blas import single_threaded
from .errors import INTERRUPTED, NO_MEMORY, SEPARATED, STATUS, attach
from .multipath import MultiPath, joined
from .problem import Null, Problem, binding, facts, grid
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
        self.coefs: list[list[Any]] = [[] for _ in range(classes)]
        self.rows: list[tuple[Float, float, float, str, int, float]] = []
        self.p = p

    def __len__(self) -> int:
        return len(self.rows)

    def add(self, model: Predictors, status: str, gap: float, n_iter: int) -> None:
        """The model as it stands."""
        for kept, coef in zip(self.coefs, model.coefs(), strict=True):
            kept.append(sp.csc_array(coef[:, None]))
        passes = model.n_passes + model.problem.data.design.gauge_reads
        self.rows.append((model.constants(), model.value(), gap, status, n_iter, passes))

    def column(self, k: int, dtype: Any = np.float64) -> Any:
        """(done,) or, of intercepts, (C, done)"""
        parts = [row[k] for row in self.rows]
        return np.array(parts, dtype=dtype).T if parts else np.zeros((len(self.coefs), 0) if k == 0 else 0, dtype=dtype)

    def matrices(self) -> list[sp.csc_array]:
        """C of (p, done)"""
        return [sp.csc_array(sp.hstack(part[:len(self)], format="csc")) if self.rows else sp.csc_array((self.p, 0))
                for part in self.coefs]


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
                  warm: Float | None = None) -> MultiPath:
    """The path of a model, from coefficients (p, C) if there are some to begin from; does not warn."""
    problem = model.problem
    with single_threaded():
        null = model.start()
        if warm is not None:
            model.warm(warm)
    asked = grid(problem, null, n_alphas, eps) if alphas is None else alphas
    separated = null.status == SEPARATED
    found, cut = Found(len(problem.y), problem.data.design.p), None
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
    path = MultiPath(
        coefs=coefs, intercepts=found.column(0), n_nonzero=joined(coefs), gaps=found.column(2),
        gap_kind="kkt residual" if 0 in asked[:done] else problem.gap_kind, n_iter=found.column(4, np.int64),
        n_passes=found.column(5), grouped=problem.penalties.grouped,
        **facts(problem, null, asked, found.column(1), status, word, tol=tol, standardize=standardize,
                has_offset=has_offset, keep=keep))
    if cut is not None:
        attach(cut, path)
        raise cut
    return path
