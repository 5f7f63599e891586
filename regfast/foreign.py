"""Proof for a fitted model, whoever's: its parameters read, its convention translated, its distance to the optimum."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from . import validation as check
from .certificate import Certificate, certify
from .cvpath import CVPath
from .readers import reader_of
from .result import Path
from .statement import Statement
from .validation import Float


def certify_estimator(est: Any, X: Any, y: Any, *, sample_weight: Any = None, offset: Any = None,
                      alpha: float | None = None, l1_ratio: float | None = None) -> Certificate:
    """How far a fitted linear model is from the optimum of its own objective, with proof.

    Parameters
    ----------
    est : fitted estimator
        Of scikit-learn: Lasso, ElasticNet, LassoLars, their forms with cross-validation and for several tasks, Ridge,
        RidgeClassifier, LogisticRegression, PoissonRegressor, GammaRegressor, TweedieRegressor, LinearRegression,
        SGDRegressor ("squared_error"), SGDClassifier ("log_loss", two classes); the same names of regfast; of celer
        Lasso, ElasticNet, LassoCV, ElasticNetCV, LogisticRegression; of skglm Lasso, WeightedLasso, ElasticNet,
        MultiTaskLasso, SparseLogisticRegression; glum's GeneralizedLinearRegressor; adelie's GroupElasticNet;
        statsmodels' results of OLS, WLS, GLM, Logit and Poisson; a `Path` or `CVPath`. A Pipeline that ends in one (X
        is transformed), a search that chose one.
    X, y : data of the fit
        As `est` took them; for statsmodels the design with its constant.
    sample_weight : (n,), optional
        As the fit had them; class weights are read from `est`.
    offset : (n,), optional
    alpha, l1_ratio : float, optional
        In regfast's terms, for what does not say it itself: results of statsmodels' fit_regularized, which keep
        neither, and paths (`Path`, adelie), of which `alpha` names the solution.

    Returns
    -------
    Certificate
        Of the objective that the parameters of `est` state, for the coefficients that it holds: `gap` is what they cost
        above its least value, relative to the null model, and holds whatever the solver believed. Coefficients stored
        as float32 are certified as they are.

    Raises
    ------
    TypeError
        A class that is not known, or whose objective is none of regfast's: the message says which are, and how to call
        `certify` directly.
    ValueError
        `est` holds several separate models, or its parameters name an objective that regfast does not have; X or y is
        not what `certify` takes.
    NotFittedError

    Notes
    -----
    Without a penalty (LinearRegression, C=inf, α = 0) every column is free, and where no finite dual point exists
    (`kind`) `gap` is a KKT residual. Where LIBLINEAR
    fitted scikit-learn's LogisticRegression, the intercept is one more penalised column, constantly
    `intercept_scaling`, and is certified as that (the last column of `zero`, `nonzero`, `undecided`).
    """
    est, X = _unwrap(est, X)
    if isinstance(est, CVPath):
        est, alpha = est.path, est.alpha_min if alpha is None else alpha
    root = type(est).__module__.split(".")[0]
    if isinstance(est, Path):
        s, coef, intercept = _of_path(est, alpha)
    elif root == "statsmodels":
        from .foreign_results import of_statsmodels

        s, coef, intercept, X, y = of_statsmodels(est, X, y, alpha, l1_ratio)
    elif (root, type(est).__name__) == ("adelie", "GroupElasticNet"):
        from .foreign_results import of_adelie

        s, coef, intercept = of_adelie(est, alpha)
    else:
        reader = reader_of(est)
        _fitted(est, X)
        s = reader.state(est, len(np.asarray(y)))
        coef = np.asarray(est.coef_.toarray() if sp.issparse(est.coef_) else est.coef_, dtype=np.float64)
        intercept = np.asarray(est.intercept_, dtype=np.float64)
        y, sample_weight = CODINGS[reader.coding](est, y, sample_weight, s)
        if root == "sklearn" and getattr(est, "solver", None) == "liblinear" and s.fit_intercept:
            X, coef, s = _with_constant(est, X, coef, intercept, s)
            intercept = np.zeros(1)
    return _certify(s, X, y, coef, intercept, sample_weight, offset)


def _certify(s: Statement, X: Any, y: Any, coef: Any, intercept: Any, sample_weight: Any, offset: Any) -> Certificate:
    y = np.asarray(y)
    several = s.family in ("multinomial", "multigaussian")
    if not several and coef.ndim == 2 and len(coef) > 1:
        if s.family != "gaussian" or (s.l1_ratio and s.strength) or s.bounds is not None:
            raise ValueError(f"coef_ of {len(coef)} targets holds as many separate models; certify each by itself")
        s, several = s._replace(family="multigaussian"), True  # squares do not care which coefficients stand together
    if several:
        coef = np.atleast_2d(coef)
        intercept = np.broadcast_to(intercept, (len(coef),))
        if s.family == "multigaussian":
            y = y.reshape(len(y), -1)
    else:
        coef, intercept = np.ravel(coef), float(np.ravel(intercept)[0])
        y = np.ravel(y)
    total = float(len(y) if sample_weight is None else np.sum(sample_weight))
    alpha, factors = s.alpha(total), s.penalty_factors
    if not alpha:
        alpha, factors = 1.0, np.zeros(coef.shape[-1])  # a column without penalty, at any strength
    return certify(X, y, coef, intercept, alpha=alpha, l1_ratio=s.l1_ratio, family=s.family,
                   sample_weight=sample_weight, offset=offset, fit_intercept=s.fit_intercept,
                   standardize=s.standardize, penalty_factors=factors, bounds=s.bounds,
                   group_classes=s.grouped and s.family == "multinomial")


def _unwrap(est: Any, X: Any) -> tuple[Any, Any]:
    """The model inside searches and pipelines, and X as it sees it."""
    while True:
        if hasattr(est, "best_estimator_"):
            est = est.best_estimator_
        elif type(est).__name__.endswith("SearchCV"):
            raise _not_fitted(est)
        elif hasattr(est, "steps") and hasattr(est, "named_steps"):
            X = est[:-1].transform(X) if len(est.steps) > 1 else X
            est = est.steps[-1][1]
        else:
            return est, X


def _not_fitted(est: Any) -> Exception:
    from sklearn.exceptions import NotFittedError

    error: Exception = NotFittedError(f"this {type(est).__name__} is not fitted, so that there is nothing to certify")
    return error


def _fitted(est: Any, X: Any) -> None:
    if not hasattr(est, "coef_"):
        raise _not_fitted(est)
    names, given = getattr(est, "feature_names_in_", None), check.as_data(X).names
    if names is not None and given is not None and list(names) != list(given):
        raise ValueError(f"X must have the feature names of the fit, in their order: {list(names)[:5]}...; got "
                         f"{list(given)[:5]}...")


# ----------------------------------------------------------------------------------------- responses


def _numbers(est: Any, y: Any, w: Any, s: Statement) -> tuple[Any, Any]:
    return y, w


def _labels(est: Any, y: Any, w: Any, s: Statement) -> tuple[Any, Any]:
    """Labels as the classifier has them, and weights with those of the classes in them."""
    from sklearn.utils.class_weight import compute_class_weight

    y = np.asarray(y)
    at = np.searchsorted(est.classes_, y)
    if not np.array_equal(est.classes_[np.minimum(at, len(est.classes_) - 1)], y):
        raise ValueError(f"y must hold the labels of the fit, {est.classes_.tolist()}; got {np.unique(y).tolist()}")
    if s.class_weight is not None:
        w = np.ones(len(y)) if w is None else check.vector("sample_weight", w, len(y))
        each = compute_class_weight(s.class_weight, classes=est.classes_, y=y, **_weighted(est, w))
        w = w * each[at]
    return (y if len(est.classes_) > 2 else at.astype(np.float64)), w


def _weighted(est: Any, w: Float) -> dict[str, Any]:
    """LogisticRegression's "balanced" counts sample weights; that of stochastic gradients counts rows."""
    return {} if type(est).__name__.startswith("SGD") else {"sample_weight": w}


def _signs(est: Any, y: Any, w: Any, s: Statement) -> tuple[Any, Any]:
    """±1 for each class (one column for two)."""
    from sklearn.preprocessing import LabelBinarizer
    from sklearn.utils.class_weight import compute_sample_weight

    if s.class_weight is not None:
        w = (1.0 if w is None else np.asarray(w)) * compute_sample_weight(s.class_weight, y)
    return LabelBinarizer(pos_label=1, neg_label=-1).fit_transform(y).astype(np.float64), w


CODINGS = {"numbers": _numbers, "labels": _labels, "signs": _signs}


# -------------------------------------------------------------------------------------- special cases


def _of_path(path: Path, alpha: float | None) -> tuple[Statement, Float, Any]:
    if alpha is None:
        raise ValueError(f"alpha must name one of the solutions of the path, from {path.alphas[0]:g} to "
                         f"{path.alphas[-1]:g}")
    s = path.statement(alpha)
    return s, path.coef_at(alpha), path.intercept_at(alpha)


def _with_constant(est: Any, X: Any, coef: Float, intercept: Float, s: Statement) -> tuple[Any, Float, Statement]:
    """LIBLINEAR's model: the intercept is the coefficient of a column that is constantly `intercept_scaling`."""
    scaling = float(est.intercept_scaling)
    data = check.as_data(X).X
    one = np.full((data.shape[0], 1), scaling)
    X = sp.hstack([data, sp.csr_array(one)], format="csr") if sp.issparse(data) else np.hstack([data, one])
    return X, np.append(np.ravel(coef), intercept / scaling), s._replace(fit_intercept=False)
