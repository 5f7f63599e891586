"""Ridge, RidgeCV and their classifiers: scikit-learn's own checks and estimators, and leave-one-out by leaving out."""

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import sklearn.linear_model as theirs
from numpy.testing import assert_allclose, assert_array_equal
from oracle import make_data
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import get_scorer, make_scorer, mean_absolute_error
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold

import regfast
from regfast import Ridge, RidgeClassifier, RidgeClassifierCV, RidgeCV, certify

X, Y, W = make_data(density=0.7)
Y3 = np.column_stack([Y, np.sin(3 * Y) + X[:, 5], X[:, 2] - X[:, 7]])
WIDE = make_data(n=25, p=40, seed=1, density=0.7)
LABELS = np.array(["b", "a", "c"])[np.digitize(Y, np.quantile(Y, [0.4, 0.8]))]
STORAGES = {"C": np.asarray, "F": np.asfortranarray, "CSR": sp.csr_array, "CSC": sp.csc_matrix}
ALPHAS = np.geomspace(1e-2, 1e3, 7)
every_storage = pytest.mark.parametrize("storage", STORAGES.values(), ids=list(STORAGES))
weighted = pytest.mark.parametrize("weights", [False, True], ids=["even", "weights"])
intercepts = pytest.mark.parametrize("fit_intercept", [True, False], ids=["intercept", "through zero"])
shapes = pytest.mark.parametrize("data", [(X, Y3, W), (WIDE[0], np.column_stack([WIDE[1], WIDE[0][:, :2]]), WIDE[2])],
                                 ids=["tall", "wide"])  # fmt: skip


@pytest.mark.parametrize("name", ["Ridge", "RidgeClassifier", "RidgeCV", "RidgeClassifierCV"])
def test_parameters_attributes_and_shapes_are_scikit_learns(name: str) -> None:
    ours, other = getattr(regfast, name), getattr(theirs, name)
    assert ours().get_params() == other().get_params()
    for y in (LABELS, LABELS == "a") if "Classifier" in name else (Y, Y[:, None], Y3):
        a, b = ours().fit(X, y), other().fit(X, y)
        beside = {"gcv_mode", "alpha_per_target"} if name == "RidgeClassifierCV" else set()  # (no parameters there)
        assert set(vars(a)) == set(vars(b)) - beside
        for attribute in ("coef_", "intercept_", "alpha_", "best_score_"):
            assert np.shape(getattr(a, attribute, 0)) == np.shape(getattr(b, attribute, 0)), attribute
        assert_allclose(a.coef_, b.coef_, atol=1e-10)
        assert_allclose(a.intercept_, b.intercept_, atol=1e-9)
        assert np.shape(a.predict(X)) == np.shape(b.predict(X))
    again = pickle.loads(pickle.dumps(a))
    assert_array_equal(again.predict(X), a.predict(X))
    assert not hasattr(clone(a), "coef_")
    with pytest.raises(NotFittedError):
        ours().predict(X)


@shapes
@every_storage
@weighted
@intercepts
def test_ridge(data: Any, storage: Any, weights: bool, fit_intercept: bool) -> None:
    A, targets, w = data
    w = w if weights else None
    for alpha, y in ((0.3, targets[:, 0]), (2.0, targets), ([0.1, 1.0, 10.0], targets)):
        a = Ridge(alpha, fit_intercept=fit_intercept).fit(storage(A), y, w)
        b = theirs.Ridge(alpha, fit_intercept=fit_intercept, solver="svd").fit(A, y, w)
        assert_allclose(a.coef_, b.coef_, atol=1e-10)
        assert_allclose(a.predict(storage(A)), b.predict(A), rtol=1e-10, atol=1e-10)
        assert a.score(storage(A), y, w) == pytest.approx(b.score(A, y, w), abs=1e-10)
    total = len(A) if w is None else w.sum()
    proof = certify(A, targets[:, 0], a.coef_[0], float(np.atleast_1d(a.intercept_)[0]), alpha=0.1 / total, l1_ratio=0,
                    standardize=False, sample_weight=w, fit_intercept=fit_intercept)  # fmt: skip
    assert proof.gap < 1e-14


@every_storage
def test_positive_and_least_squares(storage: Any) -> None:
    held = Ridge(1.0, positive=True).fit(storage(X), Y3, W)
    assert held.coef_.min() >= 0
    for t in range(3):
        proof = certify(X, Y3[:, t], held.coef_[t], held.intercept_[t], alpha=1 / W.sum(), l1_ratio=0,
                        standardize=False, sample_weight=W, bounds=(0, np.inf))  # fmt: skip
        assert proof.gap < 1e-11
    free, other = Ridge([0.0, 1.0, 0.0]).fit(storage(X), Y3, W), theirs.LinearRegression().fit(X, Y3, W)
    assert_allclose(free.coef_[[0, 2]], other.coef_[[0, 2]], atol=1e-9)
    assert_allclose(free.coef_[1], Ridge(1.0).fit(X, Y3[:, 1], W).coef_, atol=1e-10)


def test_one_weight_for_all_is_not_no_weight() -> None:
    a, b = (kind(alpha=3.0).fit(X, Y, sample_weight=2.5) for kind in (Ridge, theirs.Ridge))
    assert_allclose(a.coef_, b.coef_, atol=1e-10)
    assert abs(a.coef_ - Ridge(3.0).fit(X, Y).coef_).max() > 1e-4
    repeats = np.random.default_rng(0).integers(0, 4, len(Y))
    often = Ridge().fit(np.repeat(X, repeats, axis=0), np.repeat(Y, repeats))
    assert_allclose(Ridge().fit(X, Y, repeats).coef_, often.coef_, atol=1e-12)


@pytest.mark.parametrize("kind", [Ridge, RidgeCV])
@pytest.mark.parametrize("storage", [np.asarray, sp.csr_array])
def test_float32_stays_float32(kind: Any, storage: Any) -> None:
    model = kind().fit(storage(X.astype(np.float32)), Y.astype(np.float32))
    assert model.coef_.dtype == model.predict(storage(X.astype(np.float32))).dtype == np.float32
    assert np.asarray(model.intercept_).dtype == np.float32
    assert_allclose(model.coef_, kind().fit(X, Y).coef_, atol=1e-4)


def left_out(A: Any, y: Any, w: Any, alpha: float, fit_intercept: bool) -> Any:
    """What fits without each row predict of it: so many fits."""
    out = np.empty(y.shape)
    for i in range(len(y)):
        rest = np.arange(len(y)) != i
        model = theirs.Ridge(alpha, fit_intercept=fit_intercept, solver="svd")
        out[i] = model.fit(A[rest], y[rest], None if w is None else w[rest]).predict(A[i:i + 1])[0]
    return out


@shapes
@weighted
@intercepts
def test_leave_one_out_is_leaving_out(data: Any, weights: bool, fit_intercept: bool) -> None:
    A, targets, w = data[0][:24], data[1][:24], data[2][:24] if weights else None
    alphas = [0.1, 5.0, 200.0]
    loss, shown = (RidgeCV(alphas, fit_intercept=fit_intercept, store_cv_results=True, scoring=scoring)
                   .fit(A, targets, w).cv_results_ for scoring in (None, "r2"))  # fmt: skip
    for k, alpha in enumerate(alphas):
        expected = left_out(A, targets, w, alpha, fit_intercept)
        assert_allclose(shown[:, :, k], expected, rtol=1e-9, atol=1e-9)
        assert_allclose(loss[:, :, k], (1 if w is None else w[:, None]) * (targets - expected) ** 2, atol=1e-8)


@shapes
@every_storage
@weighted
@intercepts
@pytest.mark.parametrize("options", [
    {}, {"alpha_per_target": True}, {"scoring": "neg_mean_absolute_error"}, {"gcv_mode": "svd"},
    {"scoring": make_scorer(mean_absolute_error, greater_is_better=False), "alpha_per_target": True},
], ids=str)  # fmt: skip
def test_ridge_cv(data: Any, storage: Any, weights: bool, fit_intercept: bool, options: Any) -> None:
    A, targets, _ = data
    w = np.random.default_rng(3).uniform(0.2, 2, len(A)) if weights else None
    several = options.get("alpha_per_target") and "scoring" in options
    for y in (targets,) if several else (targets[:, 0], targets):
        a, b = (kind.RidgeCV(ALPHAS, fit_intercept=fit_intercept, store_cv_results=True, **options).fit(Z, y, w)
                for kind, Z in ((regfast, storage(A)), (theirs, A)))  # fmt: skip
        assert_array_equal(a.alpha_, b.alpha_)
        assert_allclose(a.best_score_, b.best_score_, rtol=1e-9)
        assert_allclose(a.cv_results_, b.cv_results_, rtol=1e-8, atol=1e-8)
        assert_allclose(a.coef_, b.coef_, atol=1e-8)
        assert_allclose(a.intercept_, b.intercept_, atol=1e-8)


def test_rows_of_no_weight_are_predicted_by_the_fit_itself() -> None:
    some = RidgeCV(ALPHAS, scoring="neg_mean_squared_error", store_cv_results=True).fit(X, Y, W)
    none = np.flatnonzero(W == 0)
    assert none.size
    for k, alpha in enumerate(ALPHAS):
        assert_allclose(some.cv_results_[none, k], Ridge(alpha).fit(X, Y, W).predict(X[none]), rtol=1e-10)
    assert_array_equal(RidgeCV(ALPHAS, store_cv_results=True).fit(X, Y, W).cv_results_[none], 0)


@pytest.mark.parametrize("cv", [3, KFold(4, shuffle=True, random_state=0), [(np.arange(40), np.arange(40, 60))]])
@pytest.mark.parametrize("storage", [np.asarray, sp.csr_array])
@weighted
def test_folds(cv: Any, storage: Any, weights: bool) -> None:
    w = W if weights else None
    for y in (Y, Y3):
        a, b = (kind.RidgeCV([0.0, *ALPHAS], cv=cv).fit(Z, y, w) for kind, Z in ((regfast, storage(X)), (theirs, X)))
        assert a.alpha_ == b.alpha_
        assert a.best_score_ == pytest.approx(b.best_score_, rel=1e-8)
        assert_allclose(a.coef_, b.coef_, atol=1e-8)


@every_storage
@pytest.mark.parametrize("options", [{}, {"class_weight": "balanced"}, {"class_weight": {"a": 3.0}}], ids=str)
def test_classifiers(storage: Any, options: Any) -> None:
    for y in (LABELS, np.where(LABELS == "a", "a", "b")):
        for name, more in (("RidgeClassifier", {}), ("RidgeClassifierCV", {"alphas": ALPHAS}),
                           ("RidgeClassifierCV", {"alphas": ALPHAS, "cv": 3})):  # fmt: skip
            a, b = (getattr(kind, name)(**options, **more).fit(Z, y, W) for kind, Z in
                    ((regfast, storage(X)), (theirs, X)))  # fmt: skip
            assert_allclose(a.coef_, b.coef_, atol=1e-9)
            assert_allclose(a.decision_function(storage(X)), b.decision_function(X), atol=1e-8)
            assert_array_equal(a.predict(storage(X)), b.predict(X))
            assert_array_equal(a.classes_, b.classes_)
            assert getattr(a, "alpha_", 0) == getattr(b, "alpha_", 0)
            assert getattr(a, "best_score_", 0) == pytest.approx(getattr(b, "best_score_", 0), rel=1e-9)


def test_several_labels_at_once() -> None:
    middle = np.median(Y3, axis=0)
    y = np.greater(Y3, middle).astype(int)
    for a, b in ((RidgeClassifier(), theirs.RidgeClassifier()), (RidgeClassifierCV(), theirs.RidgeClassifierCV())):
        assert_array_equal(a.fit(X, y).predict(X), b.fit(X, y).predict(X))
        assert_allclose(a.coef_, b.coef_, atol=1e-9)


@pytest.mark.parametrize("y", [LABELS, LABELS == "a"], ids=["three classes", "two classes"])
def test_the_accuracy_of_leave_one_out(y: Any) -> None:
    """By leaving out: for two classes scikit-learn compares every label with the first, and all are right."""
    model = RidgeClassifierCV(ALPHAS, scoring="accuracy", store_cv_results=True).fit(X, y)
    columns = model.classes_[1:] if len(model.classes_) == 2 else model.classes_
    signs = np.where(y[:, None] == columns, 1, -1)
    hits = []
    for k, alpha in enumerate(ALPHAS):
        scores = left_out(X, signs.astype(float), None, alpha, True)
        assert_allclose(model.cv_results_[:, :, k], scores, atol=1e-9)
        best = (scores[:, 0] > 0).astype(int) if scores.shape[1] == 1 else scores.argmax(axis=1)
        hits.append(np.mean(model.classes_[best] == y))
    assert model.best_score_ == pytest.approx(max(hits))
    assert model.alpha_ == ALPHAS[int(np.argmax(hits))]


def test_tables_and_searches() -> None:
    table = pd.DataFrame(X, columns=[f"f{j}" for j in range(X.shape[1])])
    model = RidgeCV().fit(table, pd.Series(Y))
    assert list(model.feature_names_in_) == list(table.columns)
    assert_allclose(model.predict(table), model.predict(table[list(table.columns)]))
    a, b = (GridSearchCV(kind(), {"alpha": ALPHAS}, cv=3).fit(X, Y) for kind in (Ridge, theirs.Ridge))
    assert_allclose(a.cv_results_["mean_test_score"], b.cv_results_["mean_test_score"], rtol=1e-9)


@pytest.mark.parametrize(("model", "message"), [
    (Ridge(alpha=-1.0), "'alpha' parameter of Ridge must be a float in the range"),
    (Ridge(alpha="1"), "'alpha' parameter of Ridge must be"),
    (Ridge(alpha=[1.0, 2.0]), "Number of targets and number of penalties do not correspond: 2 != 1"),
    (Ridge(alpha=[-1.0]), "alpha must be finite and not negative"),
    (Ridge(solver="newton"), "'solver' parameter of Ridge must be a str among"),
    (Ridge(solver="lbfgs"), "'lbfgs' solver can be used only when positive=True"),
    (Ridge(solver="svd", positive=True), "does not support positive fitting"),
    (Ridge(max_iter=0), "'max_iter' parameter of Ridge"), (Ridge(tol=-1.0), "'tol' parameter of Ridge"),
    (Ridge(fit_intercept=1), "'fit_intercept' parameter of Ridge"),
    (RidgeClassifier(class_weight="even"), "'class_weight' parameter of RidgeClassifier"),
    (RidgeCV(alphas=[1.0, -1.0]), r"alphas\[1\] == -1.0, must be > 0.0"),
    (RidgeCV(alphas=[0.0, 1.0]), r"alphas\[0\] == 0.0, must be > 0.0"),
    (RidgeCV(alphas=[np.nan, 1.0]), r"alphas\[0\] must be finite; got nan"),
    (RidgeCV(alphas=[]), "'alphas' parameter of RidgeCV"), (RidgeCV(alphas="many"), "'alphas' parameter of RidgeCV"),
    (RidgeCV(gcv_mode="gram"), "'gcv_mode' parameter of RidgeCV"),
    (RidgeCV(scoring="r3"), "'scoring' parameter of RidgeCV"),
    (RidgeCV(cv=3, store_cv_results=True), "store_cv_results=True are incompatible"),
    (RidgeCV(cv=3, alpha_per_target=True), "alpha_per_target=True are incompatible"),
], ids=str)  # fmt: skip
def test_what_is_refused(model: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        model.fit(X, (Y > 7).astype(int))


def test_leave_one_out_of_one_row() -> None:
    with pytest.raises(ValueError, match="two rows of positive weight; got n_samples = 1"):
        RidgeCV().fit(X[:1], Y[:1])
    with pytest.raises(ValueError, match="two rows of positive weight"):
        RidgeCV().fit(X[:3], Y[:3], [0.0, 1.0, 0.0])
    assert RidgeCV(fit_intercept=False, store_cv_results=True).fit(X[:1], Y[:1]).cv_results_ == pytest.approx(Y[0] ** 2)
    for weights in (-np.ones(len(Y)), np.zeros(len(Y))):
        with pytest.raises(ValueError, match="sample_weight must not be"):
            Ridge().fit(X, Y, weights)


@pytest.mark.parametrize("name", ["RidgeCV", "RidgeClassifierCV"])
@pytest.mark.parametrize("folds", [False, True], ids=["leave one out", "folds"])
def test_metadata_goes_where_scikit_learn_sends_it(name: str, folds: bool) -> None:
    groups, y = np.arange(len(Y)) % 5, LABELS if "Classifier" in name else Y
    with config_context(enable_metadata_routing=True):
        scorer = get_scorer("accuracy" if "Classifier" in name else "r2").set_score_request(sample_weight=True)
        options: dict[str, Any] = {"alphas": ALPHAS, "scoring": scorer}
        given: dict[str, Any] = {"sample_weight": W + 0.1}  # (its leave-one-out divides by the weights)
        if folds:
            options["cv"], given["groups"] = GroupKFold(3).set_split_request(groups=True), groups
        a, b = (getattr(module, name)(**options).fit(X, y, **given) for module in (regfast, theirs))
    assert a.alpha_ == b.alpha_
    assert a.best_score_ == pytest.approx(b.best_score_, abs=1e-9)
    assert_allclose(a.coef_, b.coef_, atol=1e-8)
    with pytest.raises(ValueError, match="enable_metadata_routing"):
        getattr(regfast, name)(cv=3).fit(X, y, groups=groups)
