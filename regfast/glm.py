"""scikit-learn's regressors of other likelihoods: its names and objectives, this engine; and what `logistic` shares."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import suppress
from typing import Any, Self

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from . import families
from . import validation as check
from .errors import warn_not_converged
from .path import prepare
from .plumbing import FLOATS, Solution, TakesSparse, must, per_row, real, smooth_at, solve_at, whole
from .predictor import linear_predictor
from .smooth import Smooth
from .validation import Float

ACCURACY = 1e-14
"""The gap that is aimed at where `tol` asks for less: the steps from 1e-4 to here are few and cost next to nothing."""
SMOOTH = 1e-15
"""The same under L2 alone, where the last step is one of Newton's on nothing but a smooth function."""
POLISH = 2
"""Newton's steps after that where `tol`, in scikit-learn a bound on the gradient, asks for more than a gap can tell."""


class Linear(TakesSparse):
    """What every estimator here does: check parameters in scikit-learn's words, solve, apply coefficients."""

    def check_common(self, least_iter: int) -> None:
        must(self, "tol", "a float in the range [0.0, inf)", real(self.tol) and 0 <= self.tol < np.inf)
        must(self, "max_iter", f"an int in the range [{least_iter}, inf)", whole(self.max_iter, least_iter))
        for flag in ("fit_intercept", "warm_start"):
            must(self, flag, "an instance of 'bool'", isinstance(getattr(self, flag, False), (bool, np.bool_)))
        must(self, "verbose", "an int in the range [0, inf) or a bool",
             isinstance(self.verbose, (bool, np.bool_)) or whole(self.verbose, 0))

    def solve(self, X: Any, y: Float, family: families.Family, alpha: float, l1_ratio: float,
              sample_weight: Any) -> Solution:
        """The model at one α, from the last coefficients if they may be used."""
        problem = prepare(X, y, family=family, l1_ratio=l1_ratio, sample_weight=sample_weight,
                          fit_intercept=self.fit_intercept, standardize=False, solves=int(alpha > 0))
        warm = np.ravel(self.coef_).astype(np.float64) if self.warm_start and hasattr(self, "coef_") else None
        warm = warm if warm is not None and len(warm) == X.shape[1] else None
        tol, max_iter = float(self.tol), int(self.max_iter)
        if alpha > 0 and Smooth.applies(problem):
            return smooth_at(problem, alpha, min(tol, SMOOTH), max_iter, warm)
        return solve_at(problem, alpha, min(tol, ACCURACY), max_iter, warm,
                        POLISH if self.tol**2 < ACCURACY and not family.quadratic else 0)

    def linear(self, X: Any) -> Any:
        """Linear predictor (n,), of the coefficients' float type."""
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse=["csr", "csc", "coo"], dtype=FLOATS, reset=False)
        return linear_predictor(X, np.ravel(self.coef_), self.intercept_)


def kind(alpha: float) -> str:
    return "duality gap" if alpha > 0 else "kkt residual"


def check_range(family: families.Family, y: Float) -> None:
    """y is what the family can have; if not, scikit-learn's words come first."""
    try:
        family.response(y, len(y))
    except ValueError as error:
        raise ValueError(f"Some value(s) of y are out of the valid range of the loss: {error}") from None


class _Regressor(RegressorMixin, Linear, ABC):
    """A penalised regression whose family is a method."""

    def __init__(self, *, alpha: float = 1.0, fit_intercept: bool = True, solver: str = "lbfgs", max_iter: int = 100,
                 tol: float = 1e-4, warm_start: bool = False, verbose: int = 0, l1_ratio: float = 0.0) -> None:
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.solver = solver
        self.max_iter = max_iter
        self.tol = tol
        self.warm_start = warm_start
        self.verbose = verbose
        self.l1_ratio = l1_ratio

    @abstractmethod
    def _family(self) -> families.Family:
        """What `power` and `link` name, where there are such parameters."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit to X (n, p), dense or sparse, and y (n,).

        Parameters
        ----------
        X : (n, p)
        y : (n,), in the range of the distribution
        sample_weight : float or (n,), optional
            As if rows were repeated.

        Raises
        ------
        ValueError
            Input or a parameter is not what it must be.
        """
        must(self, "alpha", "a float in the range [0.0, inf)", real(self.alpha) and 0 <= self.alpha < np.inf)
        must(self, "l1_ratio", "a float in the range [0.0, 1.0]", real(self.l1_ratio) and 0 <= self.l1_ratio <= 1)
        must(self, "solver", "a str among {'lbfgs', 'newton-cholesky'}", self.solver in ("lbfgs", "newton-cholesky"))
        self.check_common(least_iter=1)
        family, alpha = self._family(), float(self.alpha)
        X, y = validate_data(self, X, y, accept_sparse=["csc", "csr"], dtype=FLOATS, y_numeric=True)
        y = np.asarray(y, dtype=np.float64)
        check_range(family, y)
        found = self.solve(X, y, family, alpha, float(self.l1_ratio),
                           per_row(sample_weight))
        self.coef_ = found.coef.astype(X.dtype, copy=False)
        self.intercept_ = X.dtype.type(found.intercept) if self.fit_intercept else 0.0
        self.n_iter_ = found.n_iter
        self._fitted = family  # what `predict` and `score` mean, whatever becomes of the parameters
        if found.measure > self.tol or found.status == "separated":  # (`ACCURACY` is ours, not asked for)
            warn_not_converged(np.array([alpha]), np.array([found.measure]), [found.status], kind(alpha), self.tol)
        return self

    def predict(self, X: Any) -> Any:
        """The mean at every row, (n,)."""
        eta = self.linear(X)
        return self._fitted.inverse(eta)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """D² = 1 − deviance / deviance of the (weighted) mean of y: 1 at best, 0 where y is constant.

        Parameters
        ----------
        X : (n, p)
        y : (n,), in the range of the distribution
        sample_weight : float or (n,), optional
        """
        eta = np.asarray(self.linear(X), dtype=np.float64)
        values = self._fitted.response(y, len(eta)).y
        w = check.weights(per_row(sample_weight), len(eta))
        if np.ptp(values[w > 0]) == 0:
            return 0.0
        mean = float(w @ values)
        null = np.full(len(eta), np.log(mean) if self._fitted.link == "log" else mean)
        return 1 - self._fitted.deviance(values, eta, w) / self._fitted.deviance(values, null, w)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        with suppress(TypeError, ValueError):  # a parameter that `fit` will refuse
            tags.target_tags.positive_only = self._family().link == "log"
        return tags


class PoissonRegressor(_Regressor):
    """Regression of counts with a log link, as in scikit-learn, and with an L1 penalty besides.

    Minimises  Σ w (μ − y log μ) / Σ w + α·l1_ratio·‖b‖₁ + ½ α (1 − l1_ratio) ‖b‖²,  μ = exp(Xb + b0), w the sample
    weights. Nothing is standardised: see `regfast.fit_path` for that.

    Parameters
    ----------
    alpha : float ≥ 0
        0 is maximum likelihood.
    fit_intercept : bool
        Never penalised.
    solver : {"lbfgs", "newton-cholesky"}
        Accepted for compatibility: there is one engine, and its solution is certified.
    max_iter : int
        Newton steps and epochs of coordinate descent.
    tol : float
        Upper bound on the duality gap relative to the null model's deviance; 1e-10 is aimed at where more is allowed.
    warm_start : bool
        Begin from the coefficients of the last fit.
    verbose : int
        Accepted for compatibility.
    l1_ratio : float in [0, 1]
        0, scikit-learn's model: the L2 penalty alone; 1: the L1 penalty alone.

    Attributes
    ----------
    coef_ : (p,), of X's float type
    intercept_ : float
    n_iter_ : int
    n_features_in_ : int
    feature_names_in_ : (p,)

    Warns
    -----
    ConvergenceWarning
        `max_iter` did not suffice, or there is no finite solution (α = 0).

    References
    ----------
    McCullagh & Nelder (1989), Generalized Linear Models; Friedman, Hastie & Tibshirani (2010), J. Stat. Softw. 33(1).
    """

    def _family(self) -> families.Family:
        return families.Poisson()


class GammaRegressor(_Regressor):
    """Regression of positive amounts of constant coefficient of variation with a log link, as in scikit-learn.

    Minimises  Σ w (y/μ + log μ) / Σ w + α·l1_ratio·‖b‖₁ + ½ α (1 − l1_ratio) ‖b‖²,  μ = exp(Xb + b0). Parameters,
    attributes and warnings are those of `PoissonRegressor`.

    References
    ----------
    McCullagh & Nelder (1989), Generalized Linear Models, chapter 8.
    """

    def _family(self) -> families.Family:
        return families.Gamma()


class TweedieRegressor(_Regressor):
    """Regression with a variance of μ^power, as in scikit-learn.

    Minimises  Σ w d(y, μ) / (2 Σ w) + α·l1_ratio·‖b‖₁ + ½ α (1 − l1_ratio) ‖b‖²  with Tweedie's unit deviance d. Other
    parameters, attributes and warnings are those of `PoissonRegressor`.

    Parameters
    ----------
    power : float, 0 or in [1, 2]
        0: squared error; 1: Poisson; 2: gamma; between them amounts that may be zero. (For others the loss is not
        convex, or no distribution has it.)
    link : {"auto", "identity", "log"}
        "auto" is the identity for power 0 and the logarithm for others; no other pair is supported.

    References
    ----------
    Jørgensen (1987), JRSS-B 49(2).
    """

    def __init__(self, *, power: float = 0.0, alpha: float = 1.0, fit_intercept: bool = True, link: str = "auto",
                 solver: str = "lbfgs", max_iter: int = 100, tol: float = 1e-4, warm_start: bool = False,
                 verbose: int = 0, l1_ratio: float = 0.0) -> None:
        super().__init__(alpha=alpha, fit_intercept=fit_intercept, solver=solver, max_iter=max_iter, tol=tol,
                         warm_start=warm_start, verbose=verbose, l1_ratio=l1_ratio)
        self.power = power
        self.link = link

    def _family(self) -> families.Family:
        must(self, "power", "a float in the range (-inf, inf)", real(self.power) and abs(self.power) < np.inf)
        must(self, "link", "a str among {'auto', 'identity', 'log'}", self.link in ("auto", "identity", "log"))
        return families.Tweedie(self.power, self.link)
