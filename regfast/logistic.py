"""scikit-learn's LogisticRegression: its parameters, objective and attributes, this engine."""

from __future__ import annotations

import warnings
from numbers import Integral, Real
from typing import Any, NoReturn, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_expit
from sklearn.base import ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data

from . import families
from . import validation as check
from .errors import warn_not_converged
from .estimators import FLOATS
from .glm import ACCURACY, Linear, kind, real
from .validation import Float

SOLVERS = ("lbfgs", "liblinear", "newton-cg", "newton-cholesky", "sag", "saga")
RATIO = {"l2": 0.0, "l1": 1.0, None: 0.0}
"""What the penalties of older versions come to."""


def _multinomial(classes: NDArray[Any]) -> NoReturn:
    """More than two classes."""
    raise ValueError(f"LogisticRegression with more than two classes is not in this version; got {len(classes)}. Only "
                     "binary classification is supported. The type of the target is multiclass: wrap the estimator in "
                     "sklearn.multiclass.OneVsRestClassifier")


class LogisticRegression(ClassifierMixin, Linear):
    """Logistic regression with L1, L2 or both penalties, as in scikit-learn.

    Minimises  C Σ w (log(1 + e^η) − y η) + l1_ratio·‖b‖₁ + ½ (1 − l1_ratio) ‖b‖²,  η = Xb + b0, y in {0, 1}, w the
    sample weights times the class weights: `regfast.fit_path` with alpha = 1 / (C Σ w) and no standardisation.

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
    classes_ : (2,)
    coef_ : (1, p), of X's float type
    intercept_ : (1,)
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
        y : (n,) labels of two classes
        sample_weight : float or (n,), optional
            As if rows were repeated.

        Raises
        ------
        ValueError
            Input or a parameter is not what it must be, or y has one class, or more than two.
        """
        self._check_parameters()
        strength, l1_ratio = self._penalty()
        X, y = validate_data(self, X, y, accept_sparse=["csc", "csr"], dtype=FLOATS)
        check_classification_targets(y)
        w = self._weights(y, sample_weight)
        self.classes_ = np.unique(y)
        if len(self.classes_) > 2:
            _multinomial(self.classes_)
        alpha = 0.0 if strength == np.inf else 1 / (strength * float(w.sum()))
        found = self.solve(X, (y == self.classes_[1]).astype(np.float64), families.Binomial(), alpha, l1_ratio, w)
        self.coef_ = found.coef.astype(X.dtype, copy=False)[None]
        self.intercept_ = np.array([found.intercept if self.fit_intercept else 0.0], dtype=X.dtype)
        self.n_iter_ = np.array([found.n_iter], dtype=np.int32)
        warn_not_converged(np.array([alpha]), np.array([found.measure]), [found.status], kind(alpha),
                           min(self.tol, ACCURACY))
        return self

    def _check_parameters(self) -> None:
        self.must("C", "a float in the range (0.0, inf]", real(self.C) and self.C > 0)
        self.must("l1_ratio", "a float in the range [0.0, 1.0] or None",
                  self.l1_ratio is None or (real(self.l1_ratio) and 0 <= self.l1_ratio <= 1))
        self.must("penalty", "a str among {'l1', 'l2', 'elasticnet'} or None",
                  self.penalty is None or self.penalty in ("deprecated", "l1", "l2", "elasticnet"))
        self.must("dual", "an instance of 'bool'", isinstance(self.dual, (bool, np.bool_)))
        self.must("intercept_scaling", "a float in the range (0.0, inf)",
                  real(self.intercept_scaling) and 0 < self.intercept_scaling < np.inf)
        self.must("class_weight", "an instance of 'dict', a str among {'balanced'} or None",
                  self.class_weight is None or isinstance(self.class_weight, dict) or self.class_weight == "balanced")
        self.must("solver", f"a str among {set(SOLVERS)}", self.solver in SOLVERS)
        self.must("n_jobs", "None or an instance of 'int'", self.n_jobs is None or isinstance(self.n_jobs, Integral))
        self.check_common(least_iter=0)
        check_random_state(self.random_state)
        if self.n_jobs is not None:
            warnings.warn("'n_jobs' has no effect, here as in scikit-learn since 1.8: leave it out", FutureWarning,
                          stacklevel=3)

    def _penalty(self) -> tuple[float, float]:
        """(C, l1_ratio), from `penalty` where it is given; both are then checked for what contradicts it."""
        C = float(self.C)
        ratio = None if self.l1_ratio is None else float(self.l1_ratio)
        if self.penalty == "deprecated":
            if ratio is None:
                warnings.warn("'l1_ratio=None' is deprecated, as in scikit-learn since 1.8: give 0 for the L2 penalty",
                              FutureWarning, stacklevel=3)
            return C, ratio or 0.0
        warnings.warn("'penalty' is deprecated, as in scikit-learn since 1.8: l1_ratio=0 is 'l2', l1_ratio=1 is 'l1', "
                      "values between them are 'elasticnet', and C=np.inf is None", FutureWarning, stacklevel=3)
        if self.penalty == "elasticnet":
            if ratio is None:
                raise ValueError("l1_ratio must be specified when penalty is elasticnet.")
            return C, ratio
        if self.penalty is None:
            if C != 1:
                warnings.warn("Setting penalty=None will ignore the C and l1_ratio parameters", stacklevel=3)
            return np.inf, 0.0
        if ratio != RATIO[self.penalty]:
            warnings.warn(f"Inconsistent values: penalty={self.penalty!r} with l1_ratio={self.l1_ratio}; the penalty "
                          "is what counts", stacklevel=3)
        return C, RATIO[self.penalty]

    def _weights(self, y: NDArray[Any], sample_weight: Any) -> Float:
        """(n,) sample weights times class weights, on their own scale."""
        n = len(y)
        given = np.full(n, float(sample_weight)) if isinstance(sample_weight, Real) else sample_weight
        w = np.ones(n) if given is None else check.vector("sample_weight", given, n)
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
        """Log-odds of `classes_[1]` at every row, (n,)."""
        return self.linear(X)

    def predict(self, X: Any) -> Any:
        """The more probable label at every row, (n,)."""
        eta = self.decision_function(X)
        return self.classes_[(eta > 0).astype(np.intp)]

    def predict_proba(self, X: Any) -> Any:
        """Probabilities (n, 2) of the classes, in the order of `classes_`."""
        eta = self.decision_function(X)
        return np.column_stack([expit(-eta), expit(eta)])

    def predict_log_proba(self, X: Any) -> Any:
        """Logarithms of `predict_proba`, finite even where a probability is not above zero in floating point."""
        eta = self.decision_function(X)
        return np.column_stack([log_expit(-eta), log_expit(eta)])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags
