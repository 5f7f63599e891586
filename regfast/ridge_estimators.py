"""scikit-learn's Ridge and RidgeClassifier: its parameters, objective and attributes, this engine."""

from __future__ import annotations

from numbers import Real
from typing import Any, NamedTuple, Self

import numpy as np
from sklearn.base import ClassifierMixin, MultiOutputMixin, RegressorMixin
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import check_random_state
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

from . import validation as check
from .blas import single_threaded
from .errors import warn_not_converged
from .plumbing import FLOATS, TakesSparse, must, per_row, real, solve_at, whole
from .predictor import linear_predictor
from .problem import Penalties, Problem, build
from .ridge import solve
from .standard_form import StandardForm
from .validation import Float

SOLVERS = ("auto", "svd", "cholesky", "lsqr", "sparse_cg", "sag", "saga", "lbfgs")

TIGHT = 1e-12
"""The gap that is aimed at under bounds where `tol` asks for less."""


class Weights(NamedTuple):
    """Row weights, and the sum that scikit-learn's α is relative to."""

    share: Float  # (n,) of sum 1
    total: float

    @classmethod
    def of(cls, sample_weight: Any, n: int) -> Weights:
        if sample_weight is None or isinstance(sample_weight, Real):
            each = 1.0 if sample_weight is None else float(sample_weight)
            check.number("sample_weight", each, 0, np.finfo(float).max, open_lo=True)
            return cls(check.weights(None, n), n * each)
        w = check.vector("sample_weight", per_row(sample_weight), n)
        return cls(check.weights(w, n), float(w.sum()))


def as_problem(X: Any, y: Float, weights: Weights, intercept: bool, positive: bool = False) -> Problem:
    """½ Σ w (y − b0 − Xb)² / Σ w + ½ α/Σ w ‖b‖²: half of scikit-learn's objective, over Σ w."""
    p = X.shape[1]
    penalties = Penalties(0.0, check.factors(None, p), *check.limits((0, np.inf) if positive else None, p))
    return build(check.as_data(X), y, weights.share, intercept=intercept, standardize=False, penalties=penalties)


class Linear(TakesSparse):
    """What the four ridge estimators share: attributes from coefficients, and predictions from these."""

    def settle(self, coef: Float, intercept: Float, dtype: Any, flat: bool) -> None:
        """Set `coef_` and `intercept_` from (p, T) and (T,); `flat`: y was (n,). One column gives (p,), as there."""
        self.coef_ = np.ascontiguousarray(coef.T).astype(dtype, copy=False)
        self.intercept_: Any = 0.0
        if self.fit_intercept:
            self.intercept_ = intercept.astype(dtype, copy=False)[0 if flat else slice(None)]
        if len(self.coef_) == 1:
            self.coef_ = self.coef_[0]

    def linear(self, X: Any) -> Any:
        """X @ coef_.T + intercept_, (n,) or (n, T)."""
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse=["csr", "csc", "coo"], dtype=FLOATS, reset=False)
        return linear_predictor(X, self.coef_.T, self.intercept_)


class Classifying(ClassifierMixin, Linear):
    """Labels as responses of ±1, and back."""

    def targets(self, X: Any, y: Any, sample_weight: Any) -> tuple[Any, Float, Any]:
        """X, (n, C) of ±1 (one column for two classes) and weights with those of the classes in them."""
        given = self.class_weight
        must(self, "class_weight", "an instance of 'dict', a str among {'balanced'} or None",
             given is None or isinstance(given, dict) or given == "balanced")
        X, y = validate_data(self, X, y, accept_sparse=["csr", "csc"], dtype=FLOATS, multi_output=True)
        self._label_binarizer = LabelBinarizer(pos_label=1, neg_label=-1)
        Y = self._label_binarizer.fit_transform(y)
        self.classes_ = self._label_binarizer.classes_
        if not self._label_binarizer.y_type_.startswith("multilabel"):
            y = column_or_1d(y, warn=True)
        if self.class_weight is not None:
            each = 1.0 if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
            sample_weight = each * compute_sample_weight(self.class_weight, y)
        return X, Y.astype(np.float64), sample_weight

    def decision_function(self, X: Any) -> Any:
        """Fitted responses, (n,) for two classes (positive: `classes_[1]`), else (n, C)."""
        scores = self.linear(X)
        return scores[:, 0] if scores.ndim == 2 and scores.shape[1] == 1 else scores

    def predict(self, X: Any) -> Any:
        """Labels (n,), or (n, C) of 0 and 1 where several may hold."""
        return self.labels(self.decision_function(X))

    def labels(self, scores: Any) -> Any:
        """What scores (n,), (n, 1) or (n, C) say."""
        scores = scores[:, 0] if scores.ndim == 2 and scores.shape[1] == 1 else scores
        if self._label_binarizer.y_type_.startswith("multilabel"):
            return self._label_binarizer.inverse_transform(2.0 * (scores > 0) - 1.0)
        return self.classes_[(scores > 0).astype(np.intp) if scores.ndim == 1 else scores.argmax(axis=1)]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


class _Ridge(Linear):
    """One α for each target."""

    def __init__(self, alpha: Any = 1.0, *, fit_intercept: bool = True, copy_X: bool = True,
                 max_iter: int | None = None, tol: float = 1e-4, solver: str = "auto", positive: bool = False,
                 random_state: Any = None) -> None:
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.copy_X = copy_X
        self.max_iter = max_iter
        self.tol = tol
        self.solver = solver
        self.positive = positive
        self.random_state = random_state

    def _check_parameters(self) -> None:
        one = real(self.alpha) and 0 <= self.alpha < np.inf
        must(self, "alpha", "a float in the range [0.0, inf) or an array-like", one or np.ndim(self.alpha) == 1)
        must(self, "tol", "a float in the range [0.0, inf)", real(self.tol) and 0 <= self.tol < np.inf)
        must(self, "max_iter", "an int in the range [1, inf) or None", self.max_iter is None or whole(self.max_iter, 1))
        for flag in ("fit_intercept", "copy_X", "positive"):
            must(self, flag, "an instance of 'bool'", isinstance(getattr(self, flag), (bool, np.bool_)))
        must(self, "solver", f"a str among {set(SOLVERS)}", self.solver in SOLVERS)
        check_random_state(self.random_state)
        if self.solver == "lbfgs" and not self.positive:
            raise ValueError("'lbfgs' solver can be used only when positive=True. Please use another solver.")
        if self.positive and self.solver not in ("auto", "lbfgs"):
            raise ValueError(f"solver='{self.solver}' does not support positive fitting. Please set the solver to "
                             "'auto' or 'lbfgs', or set `positive=False`")

    def _alphas(self, n_targets: int) -> Float:
        alphas = np.asarray(self.alpha, dtype=np.float64).ravel()
        if len(alphas) not in (1, n_targets):
            raise ValueError("Number of targets and number of penalties do not correspond: "
                             f"{len(alphas)} != {n_targets}")
        if not ((alphas >= 0) & (alphas < np.inf)).all():
            raise ValueError(f"alpha must be finite and not negative; got {self.alpha!r}")
        return np.asarray(np.broadcast_to(alphas, n_targets))

    def _solve(self, X: Any, Y: Float, sample_weight: Any, flat: bool) -> None:
        """Coefficients of every target; those with an α together."""
        n_targets, p = Y.shape[1], X.shape[1]
        weights = Weights.of(sample_weight, len(Y))
        alphas = self._alphas(n_targets) / weights.total
        problem = as_problem(X, np.ascontiguousarray(Y[:, 0]), weights, bool(self.fit_intercept), bool(self.positive))
        coef, intercept = np.empty((p, n_targets)), np.empty(n_targets)
        gaps, words, steps = np.zeros(n_targets), ["converged"] * n_targets, np.ones(n_targets, dtype=np.int64)
        alone = np.flatnonzero((alphas == 0) | self.positive)
        for t in alone:
            self.solver_ = "coordinate descent" if self.positive else "lstsq"
            one = solve_at(problem.respond(np.ascontiguousarray(Y[:, t])), float(alphas[t]),
                           min(float(self.tol), TIGHT), self.max_iter or 100_000, None)
            coef[:, t], intercept[t], steps[t] = one.coef, one.intercept, one.n_iter
            gaps[t], words[t] = one.measure, one.status
        rest = np.setdiff1d(np.arange(n_targets), alone)
        if rest.size:
            form = StandardForm(problem)
            with single_threaded():
                response = form.response(Y[:, rest])
                found = solve(form, response, np.arange(len(rest)), alphas[rest])
                coef[:, rest], intercept[rest] = form.coefficients(found.beta, Y[:, rest])
            size = 0.5 * (response**2).sum(0)
            gaps[rest], steps[rest] = found.gaps / np.maximum(size, 1e-300), found.steps
            self.solver_ = found.solver
        self.settle(coef, intercept, X.dtype, flat)
        self.n_iter_ = steps
        late = [word if gap <= self.tol or word != "converged" else "rounding"
                for word, gap in zip(words, gaps, strict=True)]
        warn_not_converged(alphas * weights.total, gaps, late, "duality gap", self.tol)


class Ridge(MultiOutputMixin, RegressorMixin, _Ridge):
    """Least squares with the L2 penalty, as in scikit-learn.

    Minimises  Σ w (y − Xb − b0)² + α ‖b‖²  for each target: `regfast.fit_path` with alpha = α/Σw, l1_ratio = 0 and no
    standardisation (docs/objective.md).

    Parameters
    ----------
    alpha : float ≥ 0 or (n_targets,)
        0 is least squares, of minimum norm where that is not unique.
    fit_intercept : bool
        Never penalised, sparse X included.
    copy_X : bool
        Accepted for compatibility: X is never copied whole and never written to.
    max_iter : int, optional
        Epochs of coordinate descent, for positive=True.
    tol : float
        Upper bound on the duality gap relative to half the squared error of the intercept alone; what is reached for
        is float64's own accuracy.
    solver : {"auto", "svd", "cholesky", "lsqr", "sparse_cg", "sag", "saga", "lbfgs"}
        Accepted for compatibility, with any X: the sizes decide (`solver_`).
    positive : bool
        Coefficients must not be negative.
    random_state
        Accepted for compatibility: nothing is drawn.

    Attributes
    ----------
    coef_ : (p,) or (n_targets, p), of X's float type
    intercept_ : float or (n_targets,)
    n_iter_ : (n_targets,) int
        Epochs of coordinate descent, or steps of a Krylov space; 1 for a factorisation.
    solver_ : str
        "cholesky", "svd", "lanczos", "coordinate descent" or "lstsq".
    n_features_in_ : int
    feature_names_in_ : (p,)

    Warns
    -----
    ConvergenceWarning
        The gap stays above `tol`.

    References
    ----------
    Hoerl & Kennard (1970), Technometrics 12; Elden (1977), BIT 17.
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit to X (n, p), dense or sparse, and y (n,) or (n, n_targets).

        Parameters
        ----------
        X : (n, p)
        y : (n,) or (n, n_targets)
        sample_weight : float or (n,), optional
            As if rows were repeated; α is not divided by their sum.

        Raises
        ------
        ValueError
            Input or a parameter is not what it must be.
        """
        self._check_parameters()
        X, y = validate_data(self, X, y, accept_sparse=["csr", "csc"], dtype=FLOATS, multi_output=True, y_numeric=True)
        y = np.asarray(y, dtype=np.float64)
        self._solve(X, y.reshape(len(y), -1), sample_weight, y.ndim == 1)
        return self

    def predict(self, X: Any) -> Any:
        """X @ coef_ + intercept_, (n,) or (n, n_targets)."""
        return self.linear(X)


class RidgeClassifier(Classifying, _Ridge):
    """`Ridge` on responses of ±1, one for each class (a single one for two classes), as in scikit-learn.

    Parameters are those of `Ridge`, and

    Parameters
    ----------
    class_weight : dict, "balanced" or None
        {label: weight}; "balanced": n / (n_classes · rows of the class).

    Attributes
    ----------
    coef_ : (p,) for two classes, else (C, p)
    intercept_ : (1,) or (C,)
    classes_ : (C,)
    n_iter_, solver_, n_features_in_, feature_names_in_
        As in `Ridge`.
    """

    def __init__(self, alpha: Any = 1.0, *, fit_intercept: bool = True, copy_X: bool = True,
                 max_iter: int | None = None, tol: float = 1e-4, class_weight: Any = None, solver: str = "auto",
                 positive: bool = False, random_state: Any = None) -> None:
        super().__init__(alpha, fit_intercept=fit_intercept, copy_X=copy_X, max_iter=max_iter, tol=tol, solver=solver,
                         positive=positive, random_state=random_state)
        self.class_weight = class_weight

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit to X (n, p), dense or sparse, and labels y (n,), or (n, C) of 0 and 1.

        Parameters
        ----------
        X : (n, p)
        y : (n,) or (n, C)
        sample_weight : float or (n,), optional

        Raises
        ------
        ValueError
            Input or a parameter is not what it must be.
        """
        self._check_parameters()
        X, Y, sample_weight = self.targets(X, y, sample_weight)
        self._solve(X, Y, sample_weight, flat=False)
        return self
