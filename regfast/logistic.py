"""scikit-learn's LogisticRegression: its parameters, objective and attributes, this engine."""

from __future__ import annotations

import warnings
from numbers import Integral
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_expit, log_softmax, softmax
from sklearn.base import ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from . import families
from . import validation as check
from .errors import warn_not_converged
from .glm import SMOOTH, Linear, kind
from .multinomial import Softmax
from .path import prepare
from .plumbing import FLOATS, Sparsifies, must, per_row, real
from .predictor import linear_predictor
from .several import Predictors, solve_several
from .smooth import Smooth
from .validation import Float

SOLVERS = ("lbfgs", "liblinear", "newton-cg", "newton-cholesky", "sag", "saga")
RATIO = {"l2": 0.0, "l1": 1.0, None: 0.0}
"""What the penalties of older versions come to."""


FINE = 1e-13
"""The gap that several classes aim at where the penalty has kinks."""


class LogisticRegression(ClassifierMixin, Sparsifies, Linear):
    """Logistic regression with L1, L2 or both penalties, as in scikit-learn.

    Minimises  C Σ w (log(1 + e^η) − y η) + l1_ratio·‖b‖₁ + ½ (1 − l1_ratio) ‖b‖²,  η = Xb + b0, y in {0, 1}, w the
    sample weights times the class weights: `regfast.fit_path` with alpha = 1 / (C Σ w) and no standardisation. Where
    there are more than two classes, each has its coefficients, under the softmax likelihood (family "multinomial").

    Parameters
    ----------
    penalty : {"l1", "l2", "elasticnet", None}
        Deprecated, as in scikit-learn: `l1_ratio` says it, and C = inf is no penalty.
    C : float > 0
        inf is maximum likelihood.
    l1_ratio : float in [0, 1]
        1: the L1 penalty alone; 0: the L2 penalty alone. Every value goes with every `solver`.
    tol : float
        Upper bound on the duality gap relative to the null model's deviance; 1e-8 is reached for where more is allowed.
    fit_intercept : bool
        Never penalised.
    class_weight : dict, "balanced" or None
        {label: weight}, 1 for labels left out; "balanced": n / (2 · rows of the class), in weights.
    max_iter : int
        Newton steps and epochs of coordinate descent.
    warm_start : bool
        Begin from the coefficients of the last fit.
    dual, intercept_scaling, random_state, solver, verbose, n_jobs
        Accepted for compatibility: there is one engine, and its solution is certified.

    Attributes
    ----------
    classes_ : (C,)
    coef_ : (1, p) for two classes, else (C, p), of X's float type
    intercept_ : (1,) or (C,)
    n_iter_ : (1,) int
    n_features_in_ : int
    feature_names_in_ : (p,)

    Warns
    -----
    ConvergenceWarning
        `max_iter` did not suffice, or the classes are separated and there is no penalty.
    FutureWarning
        `penalty` or `n_jobs` is given, or `l1_ratio` is None.

    References
    ----------
    Friedman, Hastie & Tibshirani (2010), J. Stat. Softw. 33(1); Lee, Sun & Saunders (2014), SIAM J. Optim. 24.
    """

    def __init__(self, penalty: Any = "deprecated", *, C: float = 1.0, l1_ratio: float | None = 0.0,
                 dual: bool = False, tol: float = 1e-4, fit_intercept: bool = True, intercept_scaling: float = 1,
                 class_weight: Any = None, random_state: Any = None, solver: str = "lbfgs", max_iter: int = 100,
                 verbose: int = 0, warm_start: bool = False, n_jobs: int | None = None) -> None:
        self.penalty = penalty
        self.C = C
        self.l1_ratio = l1_ratio
        self.dual = dual
        self.tol = tol
        self.fit_intercept = fit_intercept
        self.intercept_scaling = intercept_scaling
        self.class_weight = class_weight
        self.random_state = random_state
        self.solver = solver
        self.max_iter = max_iter
        self.verbose = verbose
        self.warm_start = warm_start
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit to X (n, p), dense or sparse, and labels y (n,).

        Parameters
        ----------
        X : (n, p)
        y : (n,) labels of two classes or more
        sample_weight : float or (n,), optional
            As if rows were repeated.

        Raises
        ------
        ValueError
            Input or a parameter is not what it must be, or y has one class.
        """
        self._check_parameters()
        strength, l1_ratio = self._penalty()
        X, y = validate_data(self, X, y, accept_sparse=["csc", "csr"], dtype=FLOATS)
        check_classification_targets(y)
        w = self._weights(y, sample_weight)
        self.classes_ = np.unique(y)
        alpha = 0.0 if strength == np.inf else 1 / (strength * float(w.sum()))
        if len(self.classes_) > 2:
            coef, intercept, n_iter, measure, status = self._solve_classes(X, y, alpha, l1_ratio, w)
        else:
            found = self.solve(X, (y == self.classes_[1]).astype(np.float64), families.Binomial(), alpha, l1_ratio, w)
            coef, intercept = found.coef[None], np.array([found.intercept])
            n_iter, measure, status = found[2:5]
        self.coef_ = coef.astype(X.dtype, copy=False)
        self.intercept_ = np.zeros(len(coef), dtype=X.dtype)
        if self.fit_intercept:
            self.intercept_[:] = intercept
        self.n_iter_ = np.array([n_iter], dtype=np.int32)
        if measure > self.tol or status == "separated":  # (our own tolerance is lower, and not asked for)
            warn_not_converged(np.array([alpha]), np.array([measure]), [status], kind(alpha), self.tol)
        return self

    def _solve_classes(self, X: Any, y: NDArray[Any], alpha: float, l1_ratio: float,
                       w: Float) -> tuple[Float, Float, int, float, str]:
        """(coef (C, p), intercept (C,), iterations, measure, status) of the softmax model."""
        problem = prepare(X, y, family="multinomial", l1_ratio=l1_ratio, sample_weight=w,
                          fit_intercept=self.fit_intercept, standardize=False)
        before: Any = getattr(self, "coef_", None) if self.warm_start else None
        fits = before is not None and np.shape(before) == (len(self.classes_), X.shape[1])
        smooth = alpha > 0 and Smooth.applies(problem)
        model: Predictors = Smooth(problem) if smooth else Softmax(problem)
        tol = min(float(self.tol), SMOOTH if smooth else FINE)
        path = solve_several(model, np.array([alpha]), tol=tol, standardize=False,
                             max_iter=self._epochs(l1_ratio, len(self.classes_)), has_offset=False,
                             warm=np.asarray(before, dtype=np.float64).T if fits else None)
        return (path.coef_at(alpha), np.asarray(path.intercept_at(alpha)), max(1, int(path.n_iter[0])),
                float(path.gaps[0]), str(path.status[0]))

    def _epochs(self, l1_ratio: float, classes: int) -> int:
        """What `max_iter` allows: Newton's steps; with kinks, where classes are taken in turn, 100 epochs of each."""
        return max(1, int(self.max_iter)) * (100 * classes if l1_ratio > 0 and classes > 2 else 1)

    def _check_parameters(self) -> None:
        must(self, "C", "a float in the range (0.0, inf]", real(self.C) and self.C > 0)
        must(self, "l1_ratio", "a float in the range [0.0, 1.0] or None",
                  self.l1_ratio is None or (real(self.l1_ratio) and 0 <= self.l1_ratio <= 1))
        must(self, "penalty", "a str among {'l1', 'l2', 'elasticnet'} or None",
                  self.penalty is None or self.penalty in ("deprecated", "l1", "l2", "elasticnet"))
        self._check_shared()
        if self.n_jobs is not None:
            warnings.warn("'n_jobs' has no effect, here as in scikit-learn since 1.8: leave it out", FutureWarning,
                          stacklevel=3)

    def _check_shared(self) -> None:
        """Those of parameters that `LogisticRegressionCV` has as well."""
        must(self, "dual", "an instance of 'bool'", isinstance(self.dual, (bool, np.bool_)))
        must(self, "intercept_scaling", "a float in the range (0.0, inf)",
                  real(self.intercept_scaling) and 0 < self.intercept_scaling < np.inf)
        must(self, "class_weight", "an instance of 'dict', a str among {'balanced'} or None",
                  self.class_weight is None or isinstance(self.class_weight, dict) or self.class_weight == "balanced")
        must(self, "solver", f"a str among {set(SOLVERS)}", self.solver in SOLVERS)
        must(self, "n_jobs", "None or an instance of 'int'", self.n_jobs is None or isinstance(self.n_jobs, Integral))
        self.check_common(least_iter=0)
        check_random_state(self.random_state)

    def _penalty(self) -> tuple[float, float]:
        """(C, l1_ratio), from `penalty` where it is given; both are then checked for what contradicts it."""
        C = float(self.C)
        ratio = None if self.l1_ratio is None else float(self.l1_ratio)
        if self.penalty == "deprecated":
            if ratio is None:
                warnings.warn("'l1_ratio=None' was deprecated in scikit-learn 1.8: give 0 for the L2 penalty",
                              FutureWarning, stacklevel=3)
            return C, ratio or 0.0
        warnings.warn("'penalty' was deprecated in scikit-learn 1.8: l1_ratio=0 is 'l2', l1_ratio=1 is 'l1', "
                      "values between them are 'elasticnet', and C=np.inf is None", FutureWarning, stacklevel=3)
        if self.penalty == "elasticnet":
            if ratio is None:
                raise ValueError("l1_ratio must be specified when penalty is elasticnet.")
            return C, ratio
        if self.penalty is None:
            if C != 1:
                warnings.warn("Setting penalty=None will ignore the C and l1_ratio parameters", stacklevel=3)
            return np.inf, 0.0
        if ratio is not None and 0 < ratio < 1:
            warnings.warn(f"l1_ratio parameter is only used when penalty is 'elasticnet'. Got (penalty={self.penalty})",
                          stacklevel=3)
        elif ratio != RATIO[self.penalty]:
            warnings.warn(f"Inconsistent values: penalty={self.penalty} with l1_ratio={self.l1_ratio}; the penalty is "
                          "what counts", stacklevel=3)
        return C, RATIO[self.penalty]

    def _weights(self, y: NDArray[Any], sample_weight: Any) -> Float:
        """(n,) sample weights times class weights, on their own scale."""
        n = len(y)
        given = per_row(sample_weight)
        w = np.full(n, sample_weight or 1.0) if given is None else check.vector("sample_weight", given, n)
        used = check.weights(w, n) > 0
        classes = np.unique(y[used])
        if len(classes) < 2:
            raise ValueError(f"y must hold two classes, in rows of positive weight; got one class: {classes[0]!r}")
        if self.class_weight is None:
            return w
        factors = compute_class_weight(self.class_weight, classes=classes, y=y[used], sample_weight=w[used])
        out = np.zeros(n)
        out[used] = w[used] * factors[np.searchsorted(classes, y[used])]
        return out

    def decision_function(self, X: Any) -> Any:
        """Log-odds of `classes_[1]` at every row, (n,); linear predictors (n, C) of more than two classes."""
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse=["csr", "csc", "coo"], dtype=FLOATS, reset=False)
        eta = linear_predictor(X, self.coef_.T, self.intercept_)
        return eta[:, 0] if eta.shape[1] == 1 else eta

    def predict(self, X: Any) -> Any:
        """The most probable label at every row, (n,)."""
        check_is_fitted(self)
        eta = self.decision_function(X)
        return self.classes_[(eta > 0).astype(np.intp) if eta.ndim == 1 else eta.argmax(axis=1)]

    def predict_proba(self, X: Any) -> Any:
        """Probabilities (n, C) of the classes, in the order of `classes_`."""
        check_is_fitted(self)
        eta = self.decision_function(X)
        return np.column_stack([expit(-eta), expit(eta)]) if eta.ndim == 1 else softmax(eta, axis=1)

    def predict_log_proba(self, X: Any) -> Any:
        """Logarithms of `predict_proba`, finite even where a probability is not above zero in floating point."""
        check_is_fitted(self)
        eta = self.decision_function(X)
        return np.column_stack([log_expit(-eta), log_expit(eta)]) if eta.ndim == 1 else log_softmax(eta, axis=1)
