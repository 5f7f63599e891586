"""What the estimators share: parameters checked in scikit-learn's words, and one α solved."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np

from .blas import single_threaded
from .condense import condense
from .errors import NO_MEMORY, STATUS
from .problem import Problem, start
from .unpenalised import unpenalised
from .validation import Float

FLOATS = [np.float64, np.float32]


class Solution(NamedTuple):
    coef: Float  # (p,)
    intercept: float
    n_iter: int
    measure: float  # relative duality gap; KKT residual for α = 0
    status: str
    null: float  # P_null, which the gap is relative to


def must(estimator: Any, parameter: str, wanted: str, ok: bool) -> None:
    """Refuse a parameter unless it is `ok`."""
    if not ok:
        name, value = type(estimator).__name__, getattr(estimator, parameter)
        raise ValueError(f"The {parameter!r} parameter of {name} must be {wanted}. Got {value!r} instead.")


def real(x: Any) -> bool:
    """Whether x is a number: neither a bool nor NaN."""
    return isinstance(x, Real) and not isinstance(x, (bool, np.bool_)) and float(x) == float(x)


def whole(x: Any, lo: int) -> bool:
    """Whether x is an integer of at least lo."""
    return isinstance(x, Integral) and not isinstance(x, bool) and int(x) >= lo


def solve_at(problem: Problem, alpha: float, tol: float, max_iter: int, warm: Float | None) -> Solution:
    """The solution at one α, from coefficients (p,) if there are some to begin from."""
    small = condense(problem) if alpha > 0 else problem
    fit = small.fit()
    null = start(problem, fit)
    if alpha == 0:
        last = unpenalised(problem, fit)
        return Solution(last.coef, last.intercept, last.n_iter, last.kkt, last.status, null.value)
    if warm is not None:
        fit.warm(np.where(np.isinf(problem.l1), 0.0, warm))
    with single_threaded():
        _, _, _, b0, _, gaps, epochs, _, codes = fit.run(np.array([alpha]), tol, max_iter, False, null.total, None)
    if len(codes) > len(b0):
        raise MemoryError if codes[-1] == NO_MEMORY else fit.error or KeyboardInterrupt
    coef = fit.coef()
    return Solution(coef, float(small.intercepts(b0[0], coef)), max(1, int(epochs[0])), float(gaps[0]),
                    STATUS[codes[0]], null.value)
