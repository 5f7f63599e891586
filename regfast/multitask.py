"""scikit-learn's estimators of several responses whose coefficients of a feature enter together, with this engine."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator

from . import validation as check
from .blas import single_threaded
from .errors import warn_not_converged
from .estimators import SparseCoef, checked
from .families import MultiGaussian
from .path import predictors
from .plumbing import per_row
from .problem import Penalties, build
from .several import Predictors
from .validation import Data, Float

FINE = 1e-10  # Newton's steps reach it at hardly any cost, and repeats are to equal weights


def group(data: Data, y: Float, w: Float, l1_ratio: float, intercept: bool) -> Predictors:
    """The problem of y (C, n) as scikit-learn's multi-task estimators state it: nothing is standardised."""
    p = data.design.p
    penalties = Penalties(l1_ratio, check.factors(None, p), *check.limits(None, p), grouped=True)
    return predictors(build(data, y, w, intercept=intercept, standardize=False, penalties=penalties,
                            family=MultiGaussian()))


class Together(BaseEstimator):
    """An estimator of several targets, and of no single one."""

    def responses(self, y: Any) -> Float:
        """(n_targets, n) of y (n, n_targets)."""
        if np.ndim(y) == 1:
            raise ValueError(f"For mono-task outputs, use {type(self).__name__.removeprefix('MultiTask')}")
        return np.ascontiguousarray(np.transpose(y), dtype=np.float64)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.target_tags.single_output = False
        return tags


class MultiTaskElasticNet(Together, SparseCoef):
    """Linear regression of several responses that choose the same features, as in scikit-learn.

    Minimises  1/(2 n) ‖Y − XW − b0‖²_F + α·l1_ratio·Σ_j ‖w_j·‖₂ + ½ α (1 − l1_ratio) ‖W‖²_F,  w_j· the coefficients of
    feature j in all responses. Nothing is standardised: see `regfast.fit_path` with family="multigaussian" for that.

    Parameters
    ----------
    alpha : float ≥ 0
        0 is least squares, of minimum norm on standardised columns where it is not unique.
    l1_ratio : float in [0, 1]
    fit_intercept : bool
        Never penalised.
    copy_X : bool
        Accepted for compatibility: X is never written to, nor copied.
    max_iter : int
        Sweeps of block coordinate descent.
    tol : float
        Upper bound on the duality gap relative to the null model's objective, ½ Σ‖y − ȳ‖²/n.
    warm_start : bool
        Begin from the coefficients of the last fit.
    random_state, selection
        Accepted for compatibility: the certified solution does not depend on the order of updates.

    Attributes
    ----------
    coef_ : (n_targets, p), of X's float type
    sparse_coef_ : sparse (n_targets, p)
    intercept_ : (n_targets,)
    n_iter_ : int
    dual_gap_ : float
        Certified duality gap on the scale of the objective; NaN for alpha = 0.
    eps_ : float
        What `tol` comes to on that scale.
    n_features_in_ : int
    feature_names_in_ : (p,)

    Warns
    -----
    ConvergenceWarning
        `max_iter` sweeps did not bring the gap below `tol`.

    References
    ----------
    Obozinski, Taskar & Jordan (2010), Stat. Comput. 20(2); Simon, Friedman & Hastie (2013), arXiv:1311.6529.
    """

    def __init__(self, alpha: float = 1.0, *, l1_ratio: float = 0.5, fit_intercept: bool = True, copy_X: bool = True,
                 max_iter: int = 1000, tol: float = 1e-4, warm_start: bool = False, random_state: Any = None,
                 selection: str = "cyclic") -> None:
        self.l1_ratio = l1_ratio
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter
        self.copy_X = copy_X
        self.tol = tol
        self.warm_start = warm_start
        self.random_state = random_state
        self.selection = selection

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit to X (n, p), dense or sparse, and y (n, n_targets).

        Parameters
        ----------
        X : (n, p)
        y : (n, n_targets)
        sample_weight : float or (n,), optional
            As if rows were repeated.

        Raises
        ------
        ValueError
            Input or a parameter is not what it must be.
        """
        X, y = checked(self, X, y)
        responses, alpha = self.responses(y), float(self.alpha)
        with single_threaded():
            model = group(check.as_data(X), responses, check.weights(per_row(sample_weight), len(y)),
                          float(self.l1_ratio), bool(self.fit_intercept))
            null = model.start()
            if self.warm_start and hasattr(self, "coef_") and np.shape(self.coef_) == (y.shape[1], X.shape[1]):
                model.warm(np.asarray(self.coef_, dtype=np.float64).T)
            status, gap = "converged", 0.0
            if alpha == 0:
                status, gap = model.unpenalised(float(self.tol))
            elif null.value > 0:
                status, gap = model.solve(alpha, min(float(self.tol), FINE), self.max_iter or 1000)
                status = "converged" if gap <= self.tol else status
        self.coef_ = np.array(model.coefs()).astype(X.dtype, copy=False)
        self.intercept_: Any = model.constants().astype(X.dtype, copy=False) if self.fit_intercept else 0.0
        self.dual_gap_: Any = gap * null.value if alpha > 0 else np.nan
        self.eps_ = float(self.tol) * null.value
        self.n_iter_: Any = max(1, model.n_iter)
        warn_not_converged(np.array([alpha]), np.array([gap]), [status], "duality gap", self.tol)
        return self


class MultiTaskLasso(MultiTaskElasticNet):
    """Linear regression of several responses with the penalty Σ_j ‖w_j·‖₂, as in scikit-learn.

    Minimises  1/(2 n) ‖Y − XW − b0‖²_F + α Σ_j ‖w_j·‖₂: `MultiTaskElasticNet` with l1_ratio = 1, whose parameters, less
    that one, and attributes it has.
    """

    def __init__(self, alpha: float = 1.0, *, fit_intercept: bool = True, copy_X: bool = True, max_iter: int = 1000,
                 tol: float = 1e-4, warm_start: bool = False, random_state: Any = None,
                 selection: str = "cyclic") -> None:
        super().__init__(alpha, l1_ratio=1.0, fit_intercept=fit_intercept, copy_X=copy_X, max_iter=max_iter, tol=tol,
                         warm_start=warm_start, random_state=random_state, selection=selection)
