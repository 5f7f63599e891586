"""scikit-learn's coordinate-descent estimators: its names, parameters, objectives and attributes, this engine."""

from __future__ import annotations

import warnings
from numbers import Integral
from typing import Any, Self

import numpy as np
import scipy.sparse as sp
from sklearn.base import MultiOutputMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from . import validation as check
from .errors import warn_not_converged
from .plumbing import FLOATS, TakesSparse, as_configured, must, per_row, real, solve_at
from .problem import Penalties, Problem, build, columns
from .validation import Float


def check_parameters(est: ElasticNet) -> None:
    """scikit-learn's constraints, in its words where they have some."""
    must(est, "alpha", "a float in the range [0.0, inf)", real(est.alpha) and 0 <= est.alpha < np.inf)
    must(est, "l1_ratio", "a float in the range [0.0, 1.0]", real(est.l1_ratio) and 0 <= est.l1_ratio <= 1)
    must(est, "max_iter", "an int in the range [1, inf) or None",
         est.max_iter is None or (isinstance(est.max_iter, Integral) and est.max_iter >= 1))
    precompute = getattr(est, "precompute", False)
    must(est, "precompute", "an instance of 'bool' or an array-like",
         isinstance(precompute, (bool, np.bool_)) or np.ndim(precompute) == 2)
    check_shared(est)


def check_shared(est: Any) -> None:
    """Those of parameters that the estimators with cross-validation have as well."""
    must(est, "tol", "a float in the range [0.0, inf)", real(est.tol) and 0 <= est.tol < np.inf)
    for flag in ("fit_intercept", "copy_X", "warm_start", "positive"):
        must(est, flag, "an instance of 'bool'", isinstance(getattr(est, flag, False), (bool, np.bool_)))
    must(est, "selection", "a str among {'cyclic', 'random'}", est.selection in ("cyclic", "random"))


def checked(est: ElasticNet, X: Any, y: Any) -> tuple[Any, Float]:
    """X and y, (n,) or (n, n_targets), of a fit whose parameters are in order."""
    check_parameters(est)
    if est.alpha == 0:
        warnings.warn("With alpha=0 there is no penalty: this is least squares, for which scikit-learn's "
                      "LinearRegression is the usual estimator", UserWarning, stacklevel=3)
    X, y = validate_data(est, X, y, accept_sparse=["csc", "csr"], dtype=FLOATS, multi_output=True, y_numeric=True,
                         ensure_all_finite=True)
    return X, np.asarray(y, dtype=np.float64)


def check_gram(gram: Any, problem: Problem) -> None:
    """A Gram matrix of X, as scikit-learn wants it: of centred columns where there is an intercept, w of sum n.

    The engine makes its own; but one entry is looked at, because a matrix that is not X's is somebody's mistake.
    """
    n, p = problem.data.design.n, problem.data.design.p
    if gram.shape != (p, p):
        raise ValueError(f"precompute must be ({p}, {p}), the Gram matrix of X; got shape {gram.shape}")
    if sp.issparse(problem.data.X):
        return
    if problem.intercept and not np.allclose(problem.mean, 0):
        warnings.warn("Gram matrix was provided but X was centered to fit intercept: recomputing Gram matrix.",
                      UserWarning, stacklevel=3)
        return
    i, j = p // 2, min(p // 2 + 1, p - 1)
    true = n * float(columns(problem, np.array([i]))[:, 0] @ (problem.w * columns(problem, np.array([j]))[:, 0]))
    rtol = 1e-4 if np.float32 in (gram.dtype, problem.data.X.dtype) else 1e-7
    if not np.isclose(true, gram[i, j], rtol=rtol, atol=1e-5):
        raise ValueError("Gram matrix passed in via 'precompute' parameter did not pass validation when a single "
                         f"element was checked: element ({i}, {j}) is {gram[i, j]}, and that of X is {true}")


class Affine(MultiOutputMixin, RegressorMixin, TakesSparse):
    """What coefficients and intercepts are for."""

    coef_: Any
    intercept_: Any

    def predict(self, X: Any) -> Any:
        """X @ coef_ + intercept_, (n,) or (n, n_targets)."""
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse=["csr", "csc", "coo"], reset=False)
        product = X @ self.coef_.T
        return np.asarray(product) + self.intercept_


class SparseCoef(Affine):
    """One that is fitted at one strength, whose coefficients can be had without their zeros."""

    @property
    def sparse_coef_(self) -> Any:
        """Sparse form of `coef_`, (1, p) or (n_targets, p)."""
        return as_configured(sp.csr_array(np.atleast_2d(self.coef_)))


class ElasticNet(SparseCoef):
    """Linear regression with combined L1 and L2 penalties, as in scikit-learn.

    Minimises  1/(2 n) ‖y − Xw − b0‖² + α·l1_ratio·‖w‖₁ + ½ α (1 − l1_ratio) ‖w‖²  (weighted mean where sample weights
    are given). Nothing is standardised: see `regfast.fit_path` for that.

    Parameters
    ----------
    alpha : float ≥ 0
        0 is least squares, of minimum norm where it is not unique.
    l1_ratio : float in [0, 1]
    fit_intercept : bool
        Never penalised.
    precompute : bool or (p, p) array
        Accepted for compatibility; the engine decides how to hold correlations.
    max_iter : int
        Epochs of coordinate descent.
    copy_X : bool
        Accepted for compatibility: X is never written to, nor copied.
    tol : float
        Upper bound on the duality gap relative to the null model's objective, ½ Σ(y − ȳ)²/n.
    warm_start : bool
        Begin from the coefficients of the last fit.
    positive : bool
        Coefficients must not be negative.
    random_state, selection
        Accepted for compatibility: the certified solution does not depend on the order of updates.

    Attributes
    ----------
    coef_ : (p,) or (n_targets, p), of X's float type
    sparse_coef_ : sparse (1, p) or (n_targets, p)
    intercept_ : float or (n_targets,)
    n_iter_ : int, or list of int for several targets
        At least 1, unless a warm start is the solution already.
    dual_gap_ : float or (n_targets,)
        Certified duality gap on the scale of the objective; NaN for alpha = 0 with `positive`.
    n_features_in_ : int
    feature_names_in_ : (p,)

    Warns
    -----
    ConvergenceWarning
        `max_iter` epochs did not bring the gap below `tol`.

    References
    ----------
    Zou & Hastie (2005), JRSS-B 67(2); Friedman, Hastie & Tibshirani (2010), J. Stat. Softw. 33(1).
    """

    def __init__(self, alpha: float = 1.0, *, l1_ratio: float = 0.5, fit_intercept: bool = True,
                 precompute: Any = False, max_iter: int = 1000, copy_X: bool = True, tol: float = 1e-4,
                 warm_start: bool = False, positive: bool = False, random_state: Any = None,
                 selection: str = "cyclic") -> None:
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.precompute = precompute
        self.max_iter = max_iter
        self.copy_X = copy_X
        self.tol = tol
        self.warm_start = warm_start
        self.positive = positive
        self.random_state = random_state
        self.selection = selection

    def fit(self, X: Any, y: Any, sample_weight: Any = None, check_input: bool = True) -> Self:
        """Fit to X (n, p), dense or sparse, and y (n,) or (n, n_targets).

        Parameters
        ----------
        X : (n, p)
        y : (n,) or (n, n_targets); targets are fitted one by one
        sample_weight : float or (n,), optional
            As if rows were repeated.
        check_input : bool
            Accepted for compatibility: every input is checked.

        Raises
        ------
        ValueError
            Input or a parameter is not what it must be.
        """
        X, y = checked(self, X, y)
        targets = np.ascontiguousarray(y.reshape(len(y), -1).T)
        problem = self._problem(X, targets[0], per_row(sample_weight))
        if not isinstance(self.precompute, (bool, np.bool_)):
            check_gram(np.asarray(self.precompute), problem)
        start_at = self._warm_coef(len(targets), X.shape[1])
        solved = [self._solve(problem.respond(target) if t else problem, None if start_at is None else start_at[t])
                  for t, target in enumerate(targets)]
        coef, intercept, gaps, n_iter, relative, words = (list(part) for part in zip(*solved, strict=True))
        self.coef_ = np.array(coef).astype(X.dtype, copy=False)
        self.intercept_ = np.array(intercept, dtype=X.dtype) if self.fit_intercept else 0.0
        self.dual_gap_, self.n_iter_ = np.array(gaps), n_iter
        if len(targets) == 1:
            self.coef_, self.dual_gap_, self.n_iter_ = self.coef_[0], self.dual_gap_[0], n_iter[0]
            if self.fit_intercept and y.ndim == 1:
                self.intercept_ = np.atleast_1d(self.intercept_)[0]
        warn_not_converged(np.full(len(words), float(self.alpha)), np.array(relative), words, "duality gap", self.tol)
        return self

    def _problem(self, X: Any, y: Float, sample_weight: Any) -> Problem:
        n, p = X.shape
        penalties = Penalties(float(self.l1_ratio), check.factors(None, p),
                              *check.limits((0, np.inf) if self.positive else None, p))
        return build(check.as_data(X), y, check.weights(sample_weight, n), intercept=bool(self.fit_intercept),
                     standardize=False, penalties=penalties, n_alphas=int(self.alpha > 0))

    def _warm_coef(self, n_targets: int, p: int) -> Float | None:
        if not (self.warm_start and hasattr(self, "coef_")):
            return None
        coef = np.atleast_2d(np.asarray(self.coef_, dtype=np.float64))
        return np.ascontiguousarray(coef) if coef.shape == (n_targets, p) else None

    def _solve(self, problem: Problem, warm: Float | None) -> tuple[Float, float, float, int, float, str]:
        """(coef, intercept, gap, epochs, relative gap, status) of one target."""
        if warm is not None and self.positive:
            warm = np.maximum(warm, 0.0)
        alpha = float(self.alpha)
        found = solve_at(problem, alpha, float(self.tol), self.max_iter or 1000, warm)
        return found.coef, found.intercept, found.gap, found.n_iter, found.measure, found.status


class Lasso(ElasticNet):
    """Linear regression with the L1 penalty, as in scikit-learn: `ElasticNet` with l1_ratio = 1.

    Minimises  1/(2 n) ‖y − Xw − b0‖² + α ‖w‖₁. Parameters and attributes are those of `ElasticNet`, less `l1_ratio`.

    References
    ----------
    Tibshirani (1996), JRSS-B 58(1).
    """

    def __init__(self, alpha: float = 1.0, *, fit_intercept: bool = True, precompute: Any = False, copy_X: bool = True,
                 max_iter: int = 1000, tol: float = 1e-4, warm_start: bool = False, positive: bool = False,
                 random_state: Any = None, selection: str = "cyclic") -> None:
        super().__init__(alpha, l1_ratio=1.0, fit_intercept=fit_intercept, precompute=precompute, max_iter=max_iter,
                         copy_X=copy_X, tol=tol, warm_start=warm_start, positive=positive, random_state=random_state,
                         selection=selection)
