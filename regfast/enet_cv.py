"""scikit-learn's linear regressions whose strength is chosen by cross-validation, with this engine."""

from __future__ import annotations

from abc import ABC, abstractmethod
from numbers import Integral
from typing import Any, Self

import numpy as np
from joblib import effective_n_jobs
from numpy.typing import NDArray
from sklearn.model_selection import check_cv
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping
from sklearn.utils.validation import column_or_1d, validate_data

from . import validation as check
from .blas import single_threaded
from .cv import Settings, rebuild, run_folds
from .estimators import Affine, check_shared
from .families import Family, Gaussian, MultiGaussian
from .folds import Fold
from .held import Held, hold_out
from .judging import unread
from .multitask import Together
from .path import count_solves, null_model, solve
from .plumbing import (
    FLOATS,
    automatic,
    check_cross_validation,
    check_strengths,
    must,
    per_row,
    real,
    route,
    split_rows,
    warn_of_worst,
)
from .problem import Penalties, Problem, build
from .result import Path
from .skpaths import enet_path, lasso_path
from .validation import Float

FINE = 1e-10  # exact solves reach it at hardly any cost, and repeats are to equal weights


class _Chosen(Affine, ABC):
    """Paths of every fold, the strength of least mean squared error, and the model of all rows at it."""

    def __init__(self, *, eps: float, alphas: Any, fit_intercept: bool, max_iter: int, tol: float, copy_X: bool,
                 cv: Any, verbose: Any, n_jobs: int | None, random_state: Any, selection: str) -> None:
        self.eps = eps
        self.alphas = alphas
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter
        self.tol = tol
        self.copy_X = copy_X
        self.cv = cv
        self.verbose = verbose
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.selection = selection

    @abstractmethod
    def _response(self, y: Any) -> tuple[Float, Family]:
        """y as the engine sees it, (n,) or (n_targets, n)."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None, **params: Any) -> Self:
        """Fit every fold along its path, choose, and fit all rows.

        Parameters
        ----------
        X : (n, p), dense or sparse
        y : (n,); (n, n_targets) of the multi-task estimators
        sample_weight : float or (n,), optional
            As if rows were repeated, in fitting and in the mean squared error of a fold. The mean over the folds is
            not weighted.
        **params
            What goes to the splitter (`groups`), where scikit-learn's metadata routing is enabled.

        Raises
        ------
        ValueError
            Input or a parameter is not what it must be.
        """
        named, ratios = self._check_parameters()
        X, y = validate_data(self, X, y, accept_sparse=["csc", "csr"], dtype=FLOATS, multi_output=True, y_numeric=True,
                             ensure_all_finite=True)
        weights = per_row(sample_weight)
        w = check.weights(weights, X.shape[0])
        folds = split_rows(self, X, y, w, route(self, "fit", params, weights))
        settings = Settings(min(float(self.tol), FINE), int(self.max_iter), False, False,
                            (False, False))
        count = int(self.alphas) if named is None else count_solves(named)
        workers = effective_n_jobs(self.n_jobs)
        first, held = hold_out(self._problem(X, *self._response(y), w, ratios[0]), folds, count, workers)
        problems = [first, *(rebuild(first, w, settings, count, penalties=first.penalties.like(r),
                                     measured=first.measured) for r in ratios[1:])]
        grids = [automatic(one, null_model(one), int(self.alphas), float(self.eps)) if named is None else named
                 for one in problems]
        found = [validate(one, folds, grid, settings, workers, held)
                 for one, grid in zip(problems, grids, strict=True)]
        errors = np.array([of_one for of_one, _ in found])  # (ratios, alphas, folds)
        means = errors.mean(axis=2)
        ratio, at = np.unravel_index(int(means.argmin()), means.shape)
        self.mse_path_ = np.squeeze(errors)
        self.alpha_ = grids[ratio][at]
        if hasattr(self, "l1_ratio"):
            self.l1_ratio_ = ratios[ratio]
        self.alphas_ = np.array(grids) if named is None and len(ratios) > 1 else grids[0]
        last = self._fit_all(problems[ratio], grids[ratio][:at + 1], settings, X.dtype)
        warn_of_worst([path for _, paths in found for path in paths] + [last], float(self.tol))
        return self

    def _check_parameters(self) -> tuple[Float | None, list[float]]:
        """The strengths that the user named, descending, and the values of l1_ratio."""
        must(self, "eps", "a float in the range (0.0, 1.0]", real(self.eps) and 0 < self.eps <= 1)
        must(self, "max_iter", "an int in the range [1, inf)",
             isinstance(self.max_iter, Integral) and not isinstance(self.max_iter, bool) and self.max_iter >= 1)
        check_shared(self)
        check_cross_validation(self)
        precompute = getattr(self, "precompute", "auto")
        must(self, "precompute", "a str among {'auto'}, an instance of 'bool' or an array-like",
             isinstance(precompute, (bool, np.bool_)) or np.ndim(precompute) == 2 or
             (isinstance(precompute, str) and precompute == "auto"))
        ratios = list(np.atleast_1d(np.asarray(getattr(self, "l1_ratio", 1.0))))
        if not ratios or not all(real(r) and 0 <= r <= 1 for r in ratios):
            must(self, "l1_ratio", "a float in the range [0.0, 1.0] or an array-like of such", False)
        if isinstance(self.alphas, Integral):
            must(self, "alphas", "an int in the range [1, inf) or an array-like",
                 not isinstance(self.alphas, bool) and int(self.alphas) >= 1)
            return None, list(map(np.float64, ratios))
        must(self, "alphas", "an int in the range [1, inf) or an array-like", np.ndim(self.alphas) == 1)
        check_strengths(self.alphas, zero=True)
        check.strengths(self.alphas)
        return np.sort(np.asarray(self.alphas, dtype=np.float64))[::-1], list(map(np.float64, ratios))

    def _problem(self, X: Any, y: Float, family: Family, w: Float, ratio: float) -> Problem:
        p, bounds = X.shape[1], (0, np.inf) if getattr(self, "positive", False) else None
        penalties = Penalties(ratio, check.factors(None, p), *check.limits(bounds, p), grouped=family.grouped)
        return build(check.as_data(X), y, w, intercept=bool(self.fit_intercept), standardize=False,
                     penalties=penalties, family=family)

    def _fit_all(self, problem: Problem, grid: Float, settings: Settings, dtype: Any) -> Path:
        """The path of all rows down to the best strength; what it ends at, as scikit-learn's attributes."""
        alpha = float(grid[-1])
        path = solve(problem, check.strengths(grid), tol=settings.tol, max_iter=settings.max_iter, standardize=False,
                     has_offset=False)
        self.coef_ = path.coef_at(alpha).astype(dtype, copy=False)
        self.intercept_ = np.asarray(path.intercept_at(alpha)).astype(dtype)[()] if self.fit_intercept else 0.0
        self.dual_gap_ = path.gaps[-1] * path.null_deviance / 2 if alpha > 0 else np.nan
        self.n_iter_ = max(1, int(path.n_iter[-1]))
        return path

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = False
        return tags

    def get_metadata_routing(self) -> Any:
        """Where `fit` sends metadata: to the splitter."""
        return MetadataRouter(owner=self).add_self_request(self).add(
            splitter=check_cv(self.cv), method_mapping=MethodMapping().add(caller="fit", callee="split"))


def validate(problem: Problem, folds: list[Fold], grid: Float, settings: Settings, workers: int,
             held: list[Held | None]) -> tuple[Float, list[Path]]:
    """(alphas, folds) mean squared errors on the rows held out, and the paths they are of."""
    once, at = np.unique(-grid, return_inverse=True)  # a strength given twice is solved once
    paths = run_folds(problem, folds, -once, settings, workers, None, held)
    errors = [error(path, problem, test, out)[at] for path, (_, test), out in zip(paths, folds, held, strict=True)]
    return np.array(errors).T, paths


def error(path: Path, problem: Problem, test: NDArray[np.intp], held: Held | None) -> Float:
    """(alphas,) the mean squared error of the rows held out, over all targets."""
    losses = unread(path, test, held)
    if losses is not None:
        return losses
    with single_threaded():
        eta = path.linear(problem.data.X[test])
    squares = (eta - np.expand_dims(problem.y[..., test].T, 1)) ** 2
    mean = np.average(squares, axis=0, weights=problem.w[test])
    return np.asarray(mean.reshape(len(path), -1).mean(axis=1))


class _Single(_Chosen):
    """One target."""

    def _response(self, y: Any) -> tuple[Float, Family]:
        if np.ndim(y) > 1 and np.shape(y)[1] > 1:
            raise ValueError(f"For multi-task outputs, use MultiTask{type(self).__name__}")
        return np.ascontiguousarray(column_or_1d(y, warn=True), dtype=np.float64), Gaussian()


class _Several(Together, _Chosen):
    """Several targets, whose coefficients of a feature enter together."""

    def _response(self, y: Any) -> tuple[Float, Family]:
        return self.responses(y), MultiGaussian()


class ElasticNetCV(_Single):
    """`ElasticNet` whose strength, and mix, are chosen by cross-validation, as in scikit-learn.

    The smallest mean over the folds of the mean squared error on the rows held out picks α and l1_ratio; with them the
    model is fitted to all rows. Folds are weight vectors over the one X, which is never copied. Nothing is
    standardised: see `regfast.fit_cv` for that.

    Parameters
    ----------
    l1_ratio : float in [0, 1], or list of float
        Several are compared on the same folds. 0 wants `alphas` named.
    eps : float in (0, 1]
        α_min/α_max of an automatic grid.
    alphas : int or (k,) array
        How many strengths, from α_max of all rows down to eps·α_max, or the strengths. 0 is least squares.
    fit_intercept : bool
        Never penalised.
    precompute : "auto", bool or (p, p) array
        Accepted for compatibility; the engine decides how to hold correlations.
    max_iter : int
        Epochs of coordinate descent for each strength.
    tol : float
        Upper bound on the duality gap relative to the null model's objective, ½ Σ(y − ȳ)²/n, of every fold; 1e-10 is
        aimed at where more is allowed.
    cv : None, int, splitter or iterable of (train, test)
        None is 5; an int is that many folds of consecutive rows (scikit-learn's KFold, not shuffled).
    copy_X : bool
        Accepted for compatibility: X is never written to, nor copied.
    verbose : int or bool
        Accepted for compatibility.
    n_jobs : int, optional
        Threads over folds, as joblib counts them. The result does not depend on it.
    positive : bool
        Coefficients must not be negative.
    random_state, selection
        Accepted for compatibility: the certified solution does not depend on the order of updates.

    Attributes
    ----------
    alpha_ : float
    l1_ratio_ : float
    coef_ : (p,), of X's float type
    intercept_ : float
    mse_path_ : (n_l1_ratio, n_alphas, n_folds), axes of length 1 left out
        Mean squared error on the rows held out, weighted by their sample weights.
    alphas_ : (n_alphas,), or (n_l1_ratio, n_alphas) where grids are automatic; descending
    dual_gap_ : float
        Certified duality gap of the last fit on the scale of the objective; NaN for alpha = 0.
    n_iter_ : int
        Epochs of the last fit.
    n_features_in_ : int
    feature_names_in_ : (p,)

    Warns
    -----
    ConvergenceWarning
        Once, if any solution of a fold or the last fit missed `tol`; it names the strengths.

    References
    ----------
    Zou & Hastie (2005), JRSS-B 67(2); Friedman, Hastie & Tibshirani (2010), J. Stat. Softw. 33(1).
    """

    path = staticmethod(enet_path)

    def __init__(self, *, l1_ratio: Any = 0.5, eps: float = 1e-3, alphas: Any = 100, fit_intercept: bool = True,
                 precompute: Any = "auto", max_iter: int = 1000, tol: float = 1e-4, cv: Any = None,
                 copy_X: bool = True, verbose: Any = 0, n_jobs: int | None = None, positive: bool = False,
                 random_state: Any = None, selection: str = "cyclic") -> None:
        super().__init__(eps=eps, alphas=alphas, fit_intercept=fit_intercept, max_iter=max_iter, tol=tol,
                         copy_X=copy_X, cv=cv, verbose=verbose, n_jobs=n_jobs, random_state=random_state,
                         selection=selection)
        self.l1_ratio = l1_ratio
        self.precompute = precompute
        self.positive = positive


class LassoCV(_Single):
    """`Lasso` whose strength is chosen by cross-validation, as in scikit-learn.

    Parameters and attributes are those of `ElasticNetCV`, less `l1_ratio`, which is 1, and `l1_ratio_`.

    References
    ----------
    Tibshirani (1996), JRSS-B 58(1).
    """

    path = staticmethod(lasso_path)

    def __init__(self, *, eps: float = 1e-3, alphas: Any = 100, fit_intercept: bool = True, precompute: Any = "auto",
                 max_iter: int = 1000, tol: float = 1e-4, copy_X: bool = True, cv: Any = None, verbose: Any = False,
                 n_jobs: int | None = None, positive: bool = False, random_state: Any = None,
                 selection: str = "cyclic") -> None:
        super().__init__(eps=eps, alphas=alphas, fit_intercept=fit_intercept, max_iter=max_iter, tol=tol,
                         copy_X=copy_X, cv=cv, verbose=verbose, n_jobs=n_jobs, random_state=random_state,
                         selection=selection)
        self.precompute = precompute
        self.positive = positive


class MultiTaskElasticNetCV(_Several):
    """`MultiTaskElasticNet` whose strength, and mix, are chosen by cross-validation, as in scikit-learn.

    Parameters and attributes are those of `ElasticNetCV`, less `precompute` and `positive`; y and `intercept_` have
    n_targets columns, `coef_` is (n_targets, p), and the mean squared error is the mean over targets too.

    References
    ----------
    Obozinski, Taskar & Jordan (2010), Stat. Comput. 20(2).
    """

    path = staticmethod(enet_path)

    def __init__(self, *, l1_ratio: Any = 0.5, eps: float = 1e-3, alphas: Any = 100, fit_intercept: bool = True,
                 max_iter: int = 1000, tol: float = 1e-4, cv: Any = None, copy_X: bool = True, verbose: Any = 0,
                 n_jobs: int | None = None, random_state: Any = None, selection: str = "cyclic") -> None:
        super().__init__(eps=eps, alphas=alphas, fit_intercept=fit_intercept, max_iter=max_iter, tol=tol,
                         copy_X=copy_X, cv=cv, verbose=verbose, n_jobs=n_jobs, random_state=random_state,
                         selection=selection)
        self.l1_ratio = l1_ratio


class MultiTaskLassoCV(_Several):
    """`MultiTaskLasso` whose strength is chosen by cross-validation, as in scikit-learn.

    Parameters and attributes are those of `MultiTaskElasticNetCV`, less `l1_ratio`, which is 1, and `l1_ratio_`.
    """

    path = staticmethod(lasso_path)

    def __init__(self, *, eps: float = 1e-3, alphas: Any = 100, fit_intercept: bool = True, max_iter: int = 1000,
                 tol: float = 1e-4, copy_X: bool = True, cv: Any = None, verbose: Any = False,
                 n_jobs: int | None = None, random_state: Any = None, selection: str = "cyclic") -> None:
        super().__init__(eps=eps, alphas=alphas, fit_intercept=fit_intercept, max_iter=max_iter, tol=tol,
                         copy_X=copy_X, cv=cv, verbose=verbose, n_jobs=n_jobs, random_state=random_state,
                         selection=selection)
