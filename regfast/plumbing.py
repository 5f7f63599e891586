"""What the estimators share: parameters checked in scikit-learn's words, and one α solved."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, NamedTuple, Self

import numpy as np
import scipy.sparse as sp
from sklearn import get_config
from sklearn.base import BaseEstimator
from sklearn.utils import check_scalar
from sklearn.utils.validation import check_is_fitted

from . import validation as check
from .blas import single_threaded
from .condense import condense
from .errors import NO_MEMORY, STATUS, InvalidParameterError, warn_not_converged
from .exchange import Exchange
from .folds import Fold, row_numbers
from .problem import RIDGE_GRID, Null, Problem, start
from .result import Path
from .smooth import Smooth
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
    gap: float  # duality gap on the scale of the objective; NaN where there is only a KKT residual


class TakesSparse(Exchange, BaseEstimator):
    """An estimator that fits and predicts sparse X as it is."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


class Sparsifies(BaseEstimator):
    """An estimator whose coefficients may be stored sparse."""

    coef_: Any

    def sparsify(self) -> Self:
        """Store `coef_` as a sparse matrix, which saves memory where most coefficients are 0; `densify` undoes it."""
        check_is_fitted(self, msg="Estimator, %(name)s, must be fitted before sparsifying.")
        self.coef_ = as_configured(sp.csr_array(self.coef_))
        return self

    def densify(self) -> Self:
        """Store `coef_` as an array again, as `fit` does."""
        check_is_fitted(self, msg="Estimator, %(name)s, must be fitted before densifying.")
        if sp.issparse(self.coef_):
            self.coef_ = self.coef_.toarray()
        return self


def as_configured(matrix: sp.csr_array) -> Any:
    """A sparse matrix or a sparse array, as `sklearn.set_config(sparse_interface=...)` says (1.9; a matrix before)."""
    return matrix if get_config().get("sparse_interface") == "sparray" else sp.csr_matrix(matrix)


def per_row(sample_weight: Any) -> Any:
    """Weights (n,), or None; one number for all rows weighs them alike."""
    if isinstance(sample_weight, Real):
        check.number("sample_weight", float(sample_weight), 0, np.finfo(np.float64).max, open_lo=True)
        return None
    if sample_weight is not None and np.asarray(sample_weight).ndim != 1:
        raise ValueError("Sample weights must be 1D array or scalar: sample_weight must be a number or (n,); got shape "
                         f"{np.asarray(sample_weight).shape}")
    return sample_weight


def must(estimator: Any, parameter: str, wanted: str, ok: bool) -> None:
    """Refuse a parameter unless it is `ok`."""
    if not ok:
        name, value = type(estimator).__name__, getattr(estimator, parameter)
        raise InvalidParameterError(f"The {parameter!r} parameter of {name} must be {wanted}. Got {value!r} instead.")


def real(x: Any) -> bool:
    """Whether x is a number: neither a bool nor NaN."""
    return isinstance(x, Real) and not isinstance(x, (bool, np.bool_)) and float(x) == float(x)


def whole(x: Any, lo: int) -> bool:
    """Whether x is an integer of at least lo."""
    return isinstance(x, Integral) and not isinstance(x, bool) and int(x) >= lo


def check_strengths(alphas: Any, *, zero: bool) -> None:
    """Each of several strengths, in scikit-learn's words; `zero`: it may be 0."""
    for k, alpha in enumerate(alphas):
        name = f"alphas[{k}]" if len(alphas) > 1 else "alphas"
        check_scalar(alpha, name, Real, min_val=0.0, include_boundaries="left" if zero else "neither")
        if not alpha < np.inf:
            raise ValueError(f"{name} must be finite; got {alpha}")


def solve_at(problem: Problem, alpha: float, tol: float, max_iter: int, warm: Float | None,
             polish: int = 0) -> Solution:
    """The solution at one α, from coefficients (p,) if there are some to begin from; `polish`: steps beyond `tol`."""
    small = condense(problem) if alpha > 0 else problem
    fit = small.fit()
    null = start(problem, fit)
    if alpha == 0:
        last = unpenalised(problem, fit)
        return Solution(last.coef, last.intercept, last.n_iter, last.kkt, last.status, null.value, last.gap)
    if warm is not None:
        gap, _, _, _, constant = fit.at(np.where(np.isinf(problem.l1), 0.0, warm), alpha)
        if gap <= tol:
            coef, left = fit.coef(), gap * null.value
            return Solution(coef, float(small.intercepts(constant, coef)), 0, gap, "converged", null.value, left)
    with single_threaded():
        _, _, _, b0, _, gaps, epochs, _, codes = fit.run(np.array([alpha]), tol, max_iter, False, null.total, None)
        if polish and STATUS[codes[-1]] == "converged":
            _, _, _, b0, _, gaps, more, _, stopped = fit.run(np.array([alpha]), 0.0, polish, False, null.total, None)
            epochs, codes = epochs + more, codes if len(stopped) == len(b0) else stopped
    if len(codes) > len(b0):
        raise MemoryError if codes[-1] == NO_MEMORY else fit.error or KeyboardInterrupt
    coef = fit.coef()
    return Solution(coef, float(small.intercepts(b0[0], coef)), max(1, int(epochs[0])), float(gaps[0]),
                    STATUS[codes[0]], null.value, float(gaps[0]) * null.value)


def smooth_at(problem: Problem, alpha: float, tol: float, max_iter: int, warm: Float | None) -> Solution:
    """`solve_at` where `Smooth` applies."""
    with single_threaded():
        model, status, gap = Smooth(problem), "converged", 0.0
        null = model.start()
        if warm is not None:
            model.warm(warm[:, None])
        if null.value > 0:
            status, gap = model.solve(alpha, tol, max_iter)
    return Solution(model.coefs()[0], float(model.constants()[0]), max(1, model.n_iter), gap, status, null.value,
                    gap * null.value)


def automatic(problem: Problem, null: Null, count: int, eps: float) -> Float:
    """(count,) scikit-learn's grid: geometric from the smallest α without coefficients; all tiny where that is 0."""
    ratio, tiny = problem.penalties.l1_ratio, float(np.finfo(np.float64).resolution)
    if ratio == 0:
        raise ValueError("Automatic alpha grid generation is not supported for l1_ratio=0. Please supply a grid by "
                         "providing your estimator with the appropriate `alphas=` argument.")
    top = null.alpha_max * max(ratio, RIDGE_GRID) / ratio
    return np.full(count, tiny) if top <= tiny else np.geomspace(top, top * eps, count)


def check_cross_validation(est: Any) -> None:
    """What `verbose` and `n_jobs` may be; `cv` is scikit-learn's to check."""
    must(est, "verbose", "an int in the range [0, inf) or a bool",
         isinstance(est.verbose, np.bool_) or (isinstance(est.verbose, Integral) and int(est.verbose) >= 0))
    must(est, "n_jobs", "None or an instance of 'int'", est.n_jobs is None or isinstance(est.n_jobs, Integral))


def warn_of_worst(paths: list[Path], tol: float) -> None:
    """One warning for all paths, of each strength the worst solution, if that missed the user's `tol`."""
    worst: dict[float, tuple[float, str]] = {}
    for path in paths:
        for alpha, gap, word in zip(path.alphas.tolist(), path.gaps.tolist(), path.status.tolist(), strict=True):
            told = word if gap > tol or word == "separated" else "converged"  # (what is aimed at is our own affair)
            worst[alpha] = max(worst.get(alpha, (0.0, "converged")), (gap, told))
    alphas = sorted(worst, reverse=True)
    warn_not_converged(np.array(alphas), np.array([worst[a][0] for a in alphas]), [worst[a][1] for a in alphas],
                       paths[0].gap_kind, tol)


def routing_enabled() -> bool:
    """Whether scikit-learn hands metadata to who asked for it."""
    return bool(get_config()["enable_metadata_routing"])


def route(est: Any, method: str, params: dict[str, Any], sample_weight: Any) -> Any:
    """What the user passed on, as `splitter.split` and `scorer.score`.

    Where scikit-learn's metadata routing is enabled, by who asked for it; else the weights go to the scorer.

    Raises
    ------
    ValueError
        Something else was passed on, and routing is not enabled.
    """
    from sklearn.utils import Bunch
    from sklearn.utils.metadata_routing import process_routing

    weights = {} if sample_weight is None else {"sample_weight": sample_weight}
    if routing_enabled():
        return process_routing(est, method, **weights, **params)
    if params:
        raise ValueError(f"Passing extra keyword arguments to {type(est).__name__}.{method} is only supported if "
                         f"enable_metadata_routing=True, which sklearn.set_config sets; got {sorted(params)}")
    return Bunch(splitter=Bunch(split={}), scorer=Bunch(score=weights))


def split_rows(est: Any, X: Any, y: Any, w: Float, routed: Any) -> list[Fold]:
    """The folds that scikit-learn makes of `est.cv`."""
    from sklearn.base import is_classifier
    from sklearn.model_selection import check_cv

    cv = check_cv(est.cv, y, classifier=is_classifier(est))
    folds = row_numbers(cv.split(X, y, **routed.splitter.split), w)
    if not folds:
        raise ValueError("cv must give at least one fold; got none")
    return folds
