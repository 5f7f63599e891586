"""certify_estimator: every estimator, its parameters read, its distance to its own optimum proved."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import sklearn.linear_model as theirs
from roster import ETA, RESPONSES, ROSTER, TIGHT, N, P, W, X
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

import regfast
from regfast import certify, certify_estimator, conventions

SEPARATE = ("lasso of several",)
NUMBER, TWO = RESPONSES["number"], RESPONSES["two"]
both = pytest.mark.parametrize("side", ["ours", "theirs"])


@both
@pytest.mark.parametrize("weights", [None, W], ids=["even", "weights"])
@pytest.mark.parametrize("name", [name for name in ROSTER if name not in SEPARATE])
def test_solved_models_have_no_gap_and_others_have(name: str, weights: Any, side: str) -> None:
    """A wrong constant anywhere would show as a gap: the same coefficients a little off, or another strength, do."""
    entry = ROSTER[name]
    fit_args = {"sample_weight": weights} if weights is not None and entry.weighted else {}
    model = getattr(entry, side)().fit(X, entry.y, **fit_args)
    found = certify_estimator(model, X, entry.y, **fit_args)
    assert found.kind == "duality gap"
    assert found.gap < 1e-9
    model.coef_ = model.coef_ * 1.01
    assert certify_estimator(model, X, entry.y, **fit_args).gap > 1e-7


@pytest.mark.parametrize("name", [name for name, entry in ROSTER.items()
                                  if not entry.name.endswith("CV") and name not in SEPARATE])
def test_another_strength_has_another_optimum(name: str) -> None:
    entry = ROSTER[name]
    model = entry.theirs().fit(X, entry.y)
    strength = "C" if hasattr(model, "C") else "alpha"
    setattr(model, strength, getattr(model, strength) * 1.1)
    assert certify_estimator(model, X, entry.y).gap > 1e-7


def test_an_early_stop_is_told() -> None:
    model = theirs.Lasso(alpha=0.001, max_iter=1, tol=1e-12)
    with pytest.warns(ConvergenceWarning):
        model.fit(X, NUMBER)
    found = certify_estimator(model, X, NUMBER)
    direct = certify(X, NUMBER, model.coef_, model.intercept_, alpha=0.001, standardize=False)
    assert found.gap == direct.gap > 1e-8


FREE: dict[str, tuple[Any, Any]] = {
    "least squares": (theirs.LinearRegression(), NUMBER),
    "least squares of several": (theirs.LinearRegression(), RESPONSES["numbers"]),
    "least squares, positive": (theirs.LinearRegression(positive=True), NUMBER),
    "logistic": (theirs.LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-12), TWO),
    "poisson": (theirs.PoissonRegressor(alpha=0, solver="newton-cholesky", tol=1e-12), RESPONSES["count"]),
}


@pytest.mark.parametrize("name", FREE)
def test_no_penalty(name: str) -> None:
    est, y = FREE[name]
    found = certify_estimator(est.fit(X, y), X, y)
    assert found.kkt < 1e-9
    assert found.gap < 1e-9
    est.coef_ = est.coef_ * 1.01
    found = certify_estimator(est, X, y)
    assert max(found.gap, found.kkt) > 1e-5


OTHERS: dict[str, tuple[Any, Any]] = {
    "lars": (theirs.LassoLars(alpha=0.05), NUMBER),
    "lars cv": (theirs.LassoLarsCV(cv=3), NUMBER),
    "lars ic": (theirs.LassoLarsIC("bic"), NUMBER),
    "ridge per target": (theirs.RidgeCV([0.5, 2.0], alpha_per_target=True), np.column_stack([NUMBER, 2 * NUMBER])),
    "liblinear l1": (theirs.LogisticRegression(solver="liblinear", l1_ratio=1.0, tol=1e-12, max_iter=100_000), TWO),
    "liblinear l2": (theirs.LogisticRegression(solver="liblinear", intercept_scaling=3, tol=1e-12, max_iter=100_000),
                     TWO),
    "liblinear origin": (theirs.LogisticRegression(solver="liblinear", fit_intercept=False, tol=1e-12), TWO),
    "sparse coefficients": (theirs.LogisticRegression(C=0.1, l1_ratio=1, solver="saga", **TIGHT), TWO),
    "legacy arrays": (theirs.LogisticRegressionCV(Cs=[0.1, 1], l1_ratios=[0.0], cv=3, scoring="accuracy", tol=1e-10,
                                                  use_legacy_attributes=True, max_iter=10_000), TWO),
    "search": (GridSearchCV(theirs.Lasso(**TIGHT), {"alpha": [0.01, 0.1]}, cv=3), NUMBER),
    "pipeline": (make_pipeline(StandardScaler(), theirs.Lasso(0.1, **TIGHT)), NUMBER),
    "search of pipelines": (GridSearchCV(make_pipeline(StandardScaler(), regfast.Ridge()), {"ridge__alpha": [1, 5]}),
                            NUMBER),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_forms(name: str) -> None:
    est, y = OTHERS[name]
    est.fit(X, y)
    if name == "sparse coefficients":
        est.sparsify()
    assert certify_estimator(est, X, y).gap < 1e-9


@pytest.mark.parametrize("weights", [None, 2 * W], ids=["even", "weights"])
@pytest.mark.parametrize("penalty", ["l2", "l1", "elasticnet", None])
def test_stochastic_gradients_are_near(penalty: Any, weights: Any) -> None:
    """They hardly converge; but with α in the wrong units they would be off by much more."""
    options: dict[str, Any] = {"penalty": penalty, "alpha": 0.1, "l1_ratio": 0.4, "max_iter": 3000, "tol": None,
                               "learning_rate": "invscaling", "random_state": 0}
    numbers = theirs.SGDRegressor(eta0=0.02, **options).fit(X, NUMBER, sample_weight=weights)
    labels = theirs.SGDClassifier("log_loss", eta0=0.2, power_t=0.5, class_weight="balanced", **options)
    labels.fit(X, TWO, sample_weight=weights)
    for est, y in ((numbers, NUMBER), (labels, TWO)):
        assert certify_estimator(est, X, y, sample_weight=weights).gap < 0.02
    if penalty == "l2":
        gap = certify_estimator(numbers, X, NUMBER, sample_weight=weights).gap
        numbers.alpha *= 2  # what a mean over weights instead of rows would come to
        assert certify_estimator(numbers, X, NUMBER, sample_weight=weights).gap > 5 * gap


STORAGE = {"Fortran": np.asfortranarray, "csr": sp.csr_array, "csc": sp.csc_matrix,
           "pandas": lambda X: pd.DataFrame(X, columns=list("abcde")), "float32": lambda X: X.astype(np.float32)}


@pytest.mark.parametrize("storage", STORAGE)
def test_any_data(storage: str) -> None:
    A = STORAGE[storage](X)
    model = regfast.Lasso(0.1, tol=1e-10).fit(A, NUMBER)
    assert certify_estimator(model, A, NUMBER).gap < (1e-6 if storage == "float32" else 1e-10)
    if storage == "pandas":
        with pytest.raises(ValueError, match="X must have the feature names"):
            certify_estimator(model, A[list("baced")], NUMBER)


def test_liblinear_certifies_the_intercept_as_a_column() -> None:
    options: dict[str, Any] = {"solver": "liblinear", "tol": 1e-12, "max_iter": 100_000}
    model = theirs.LogisticRegression(intercept_scaling=0.3, C=0.1, **options).fit(X, TWO)
    found = certify_estimator(model, X, TWO)
    assert found.zero.size + found.nonzero.size + found.undecided.size == P + 1
    plain = certify(X, TWO, model.coef_[0], model.intercept_[0], family="binomial", alpha=conventions.from_c(0.1, N),
                    l1_ratio=0.0, standardize=False)
    assert found.gap < 1e-9
    assert plain.gap > 1e-4  # the model with a free intercept is another one


@pytest.mark.parametrize("standardize", [True, False])
def test_paths_are_estimators_too(standardize: bool) -> None:
    options: dict[str, Any] = {"standardize": standardize, "penalty_factors": [1, 2, 0.5, 1, 1], "sample_weight": W,
                               "l1_ratio": 0.5}
    path = regfast.fit_path(X, NUMBER, alphas=[0.5, 0.1], tol=1e-12, **options)
    assert certify_estimator(path, X, NUMBER, sample_weight=W, alpha=0.1).gap < 1e-12
    with pytest.raises(ValueError, match="alpha must name one of the solutions"):
        certify_estimator(path, X, NUMBER)
    offset = np.sin(ETA)
    path = regfast.fit_path(X, TWO, family="binomial", alphas=[0.05], offset=offset, tol=1e-12)
    assert certify_estimator(path, X, TWO, offset=offset, alpha=0.05).gap < 1e-10
    chosen = regfast.fit_cv(X, RESPONSES["three"], family="multinomial", group_classes=True, cv=3, tol=1e-10,
                            n_alphas=5, eps=0.1, early_stop=False)
    assert certify_estimator(chosen, X, RESPONSES["three"]).gap < 1e-9


class Named(theirs.Lasso):
    """A user's own subclass."""


def test_subclasses_are_what_they_derive_from() -> None:
    assert certify_estimator(Named(0.1, **TIGHT).fit(X, NUMBER), X, NUMBER).gap < 1e-9


REFUSALS: dict[str, tuple[Any, Any, type[Exception], str]] = {
    "hinge": (LinearSVC(), TWO, TypeError, r"sklearn\.LinearSVC .*hinge loss is none"),
    "pinball": (theirs.QuantileRegressor(), NUMBER, TypeError, "pinball"),
    "lars": (theirs.Lars(), NUMBER, TypeError, "LassoLars does"),
    "scaler": (StandardScaler(), NUMBER, TypeError, r"StandardScaler is not known. Known are\n  sklearn: Lasso,"),
    "hinge by gradients": (theirs.SGDClassifier(), TWO, ValueError, "loss of SGDClassifier must be .* got 'hinge'"),
    "one against all": (theirs.SGDClassifier("log_loss", tol=None, max_iter=5), RESPONSES["three"], ValueError,
                        "must have two classes"),
    "several": (theirs.Lasso(0.1), RESPONSES["numbers"], ValueError, "3 targets holds as many separate models"),
    "strengths": (theirs.Ridge([1.0, 2.0, 3.0]), RESPONSES["numbers"], ValueError, "alpha must be one number"),
    "chosen strengths": (theirs.RidgeCV([0.1, 100.0], alpha_per_target=True), np.column_stack([100 * NUMBER, W]),
                         ValueError, "alpha_ of RidgeCV must be one number"),
    "means": (regfast.LogisticRegressionCV(Cs=2, cv=3, refit=False), TWO, ValueError, "refit must be True"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refusals(name: str) -> None:
    est, y, error, match = REFUSALS[name]
    with pytest.raises(error, match=match):
        certify_estimator(est.fit(X, y), X, y)


def test_what_is_missing_or_wrong() -> None:
    with pytest.raises(NotFittedError, match="Lasso is not fitted"):
        certify_estimator(theirs.Lasso(), X, NUMBER)
    with pytest.raises(NotFittedError, match="GridSearchCV is not fitted"):
        certify_estimator(GridSearchCV(theirs.Lasso(), {}, refit=False).fit(X, NUMBER), X, NUMBER)
    with pytest.raises(ValueError, match="must be fitted: its alpha is chosen then"):
        regfast.LassoCV().equivalent("sklearn")
    model = regfast.LogisticRegression().fit(X, TWO)
    with pytest.raises(ValueError, match=r"y must hold the labels of the fit, \['no', 'yes'\]; got"):
        certify_estimator(model, X, RESPONSES["three"])


# ------------------------------------------------------------------------ libraries that may not be there


def fitted(module: Any, name: str, kind: str, arguments: dict[str, Any]) -> tuple[Any, Any]:
    y = RESPONSES[kind]
    return getattr(module, name)(**arguments).fit(X, y), y


CELER: list[tuple[str, str, dict[str, Any]]] = [
    ("Lasso", "number", {"alpha": 0.1, "weights": np.array([1, 2, 0.5, 1, 1])}),
    ("ElasticNet", "number", {"alpha": 0.1, "l1_ratio": 0.4, "weights": np.array([1, 2, 0.5, 1, 1])}),
    ("LogisticRegression", "two", {"C": 0.7})]


@pytest.mark.parametrize(("name", "kind", "arguments"), CELER, ids=[name for name, _, _ in CELER])
def test_celer(name: str, kind: str, arguments: dict[str, Any]) -> None:
    module = pytest.importorskip("celer", reason="celer is not installed")
    model, y = fitted(module, name, kind, {"tol": 1e-12, **arguments})
    assert certify_estimator(model, X, y).gap < 1e-8


SKGLM: list[tuple[str, str, dict[str, Any]]] = [
    ("Lasso", "number", {"alpha": 0.1, "positive": True}), ("ElasticNet", "number", {"alpha": 0.1, "l1_ratio": 0.4}),
    ("WeightedLasso", "number", {"alpha": 0.1, "weights": np.array([1, 2, 0.5, 1, 1])}),
    ("MultiTaskLasso", "numbers", {"alpha": 0.1}),
    ("SparseLogisticRegression", "two", {"alpha": 0.02, "l1_ratio": 0.6})]


@pytest.mark.parametrize(("name", "kind", "arguments"), SKGLM, ids=[name for name, _, _ in SKGLM])
def test_skglm(name: str, kind: str, arguments: dict[str, Any]) -> None:
    module = pytest.importorskip("skglm", reason="skglm is not installed")
    model, y = fitted(module, name, kind, {"tol": 1e-12, **arguments})
    assert certify_estimator(model, X, y).gap < 1e-8


@pytest.mark.parametrize("l1_ratio", [0.0, 0.5, 1.0])
@pytest.mark.parametrize(("family", "kind"), [("normal", "number"), ("poisson", "count"), ("gamma", "amount"),
                                              ("binomial", "two"), ("tweedie(1.3)", "count")])
def test_glum(family: str, kind: str, l1_ratio: float) -> None:
    module = pytest.importorskip("glum", reason="glum is not installed")
    y = (RESPONSES[kind] == "yes").astype(float) if kind == "two" else RESPONSES[kind]
    factors = np.array([1, 2, 0.5, 1, 1.0])
    for options in ({}, {"P1": factors, "P2": factors}, {"scale_predictors": True}):
        model = module.GeneralizedLinearRegressor(
            alpha=0.1, family=family, l1_ratio=l1_ratio, link="log" if family[0] in "pgt" else "auto",
            gradient_tol=1e-9, max_iter=1000, **options).fit(X, y, sample_weight=W)
        assert certify_estimator(model, X, y, sample_weight=W).gap < 1e-7, options


@pytest.mark.parametrize(("family", "kind"), [("gaussian", "number"), ("poisson", "count"), ("binomial", "two")])
def test_adelie(family: str, kind: str) -> None:
    module = pytest.importorskip("adelie.sklearn", reason="adelie is not installed")
    y = (RESPONSES[kind] == "yes").astype(float) if kind == "two" else RESPONSES[kind]
    model = module.GroupElasticNet(family=family).fit(
        np.asfortranarray(X), y, alpha=0.5, lmda_path=np.array([0.3, 0.1]), early_exit=False, progress_bar=False,
        tol=1e-14, irls_tol=1e-14, penalty=np.array([1, 2, 0.5, 1, 1.0]))
    for alpha in (0.3, 0.1):
        assert certify_estimator(model, X, y, alpha=alpha).gap < 1e-8
    with pytest.raises(ValueError, match="alpha must name one of the strengths"):
        certify_estimator(model, X, y)


def test_statsmodels() -> None:
    sm = pytest.importorskip("statsmodels.api", reason="statsmodels is not installed")
    A, two = sm.add_constant(X), (TWO == "yes").astype(float)
    for result, y in ((sm.OLS(NUMBER, A).fit(), NUMBER), (sm.Logit(two, A).fit(disp=0, tol=1e-12), two),
                      (sm.GLM(RESPONSES["count"], A, sm.families.Poisson()).fit(tol=1e-14), RESPONSES["count"])):
        assert certify_estimator(result, A, y).kkt < 1e-7
    result = sm.OLS(NUMBER, A).fit_regularized(alpha=conventions.to_statsmodels(0.1, P), L1_wt=0.6, cnvrg_tol=1e-12,
                                               maxiter=10_000)
    assert certify_estimator(result, A, NUMBER, alpha=0.1, l1_ratio=0.6).gap < 1e-10
    with pytest.raises(ValueError, match="alpha and l1_ratio must be given"):
        certify_estimator(result, A, NUMBER)
