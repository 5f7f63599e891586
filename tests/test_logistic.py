"""LogisticRegression against scikit-learn's own solvers: weights, classes, penalties, separation."""

import warnings
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import sklearn.linear_model as theirs
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning
from sklearn.metrics import accuracy_score

from regfast import LogisticRegression

Array = NDArray[Any]
N = 150
RNG = np.random.default_rng(0)
X = np.round(RNG.standard_normal((N, 8)), 3) * (RNG.random((N, 8)) < 0.7)
X[:, 1] += X[:, 0] / 2
ETA = X @ np.array([1.0, -0.7, 0.5, 0, 0, 0.3, 0, 0]) - 0.4
LABELS = (RNG.random(N) < 1 / (1 + np.exp(-ETA))).astype(int)
NAMES = np.where(LABELS, "yes", "no")
W = RNG.uniform(0.2, 2.0, N)
W[0] = 0
STORAGES = {"C": np.ascontiguousarray, "Fortran": np.asfortranarray, "CSR": sp.csr_array, "CSC": sp.csc_matrix}
TIGHT = {"tol": 1e-14, "max_iter": 10_000}
NEWTON = {"solver": "newton-cholesky", "tol": 1e-10, "max_iter": 1000}

WEIGHTS: dict[str, tuple[Any, Any]] = {  # class_weight, sample_weight
    "even": (None, None), "weights": (None, W), "balanced": ("balanced", None), "balanced weights": ("balanced", W),
    "dict": ({"yes": 3.0, "no": 0.5}, W), "one named": ({"yes": 3.0}, None), "scalar": (None, 2.5),
}  # fmt: skip


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("C", [0.02, 1.0, np.inf])
def test_logistic_agreement(C: float, fit_intercept: bool, weights: str, storage: str) -> None:
    class_weight, sample_weight = WEIGHTS[weights]
    options = {"C": C, "fit_intercept": fit_intercept, "class_weight": class_weight}
    A = STORAGES[storage](X)
    a = LogisticRegression(**options, **TIGHT).fit(A, NAMES, sample_weight)
    b = theirs.LogisticRegression(**options, **NEWTON).fit(A, NAMES, sample_weight)
    assert_allclose(a.coef_, b.coef_, atol=1e-7)
    assert_allclose(a.intercept_, b.intercept_, atol=1e-7)
    assert_array_equal(a.classes_, b.classes_)
    assert_array_equal(a.predict(A), b.predict(A))
    for method in ("decision_function", "predict_proba", "predict_log_proba"):
        assert_allclose(getattr(a, method)(A), getattr(b, method)(A), atol=1e-6)
    assert a.score(A, NAMES, W) == pytest.approx(accuracy_score(NAMES, b.predict(A), sample_weight=W))
    assert sorted(vars(a)) == sorted(vars(b))
    for name in ("coef_", "intercept_", "n_iter_", "classes_", "n_features_in_"):
        assert np.shape(getattr(a, name)) == np.shape(getattr(b, name)), name
    assert a.n_iter_.dtype.kind == "i"


@pytest.mark.parametrize(("l1_ratio", "C"), [(1.0, 0.3), (0.4, 0.3), (1.0, 3.0), (0.05, 1.0)])
@pytest.mark.parametrize("weighted", [False, True])
def test_logistic_with_an_l1_part(l1_ratio: float, C: float, weighted: bool) -> None:
    options = {"C": C, "l1_ratio": l1_ratio, "class_weight": "balanced" if weighted else None}
    w = W if weighted else None
    a = LogisticRegression(**options, **TIGHT).fit(X, LABELS, w)
    b = theirs.LogisticRegression(**options, solver="saga", tol=1e-9, max_iter=20_000).fit(X, LABELS, w)
    assert_allclose(a.coef_, b.coef_, atol=1e-6)
    assert_allclose(a.intercept_, b.intercept_, atol=1e-6)
    assert_array_equal(a.coef_ == 0, b.coef_ == 0)
    each = np.ones(N) if w is None else w * each_class(w)[LABELS]
    slope = C * each * (a.predict_proba(X)[:, 1] - LABELS)
    b, pull = a.coef_[0], X.T @ slope + (1 - l1_ratio) * a.coef_[0]
    assert_allclose(pull[b != 0], -l1_ratio * np.sign(b[b != 0]), atol=1e-5)
    assert (abs(pull[b == 0]) <= l1_ratio + 1e-5).all()
    assert slope.sum() == pytest.approx(0, abs=1e-9 * N)


def each_class(w: Array) -> Array:
    """(2,) "balanced" weights of the classes."""
    return w.sum() / (2 * np.bincount(LABELS, w))


def test_without_intercept_liblinear_agrees() -> None:
    a = LogisticRegression(C=0.5, l1_ratio=1, fit_intercept=False, **TIGHT).fit(X, LABELS, W)
    b = theirs.LogisticRegression(C=0.5, l1_ratio=1, fit_intercept=False, solver="liblinear", tol=1e-12, random_state=0,
                                  max_iter=10_000).fit(X, LABELS, W)
    assert_allclose(a.coef_, b.coef_, atol=1e-6)


@pytest.mark.parametrize("labels", [[-1, 1], [0.0, 2.0], [False, True], ["b", "a"], [10, -3]], ids=repr)
def test_labels_of_any_type(labels: list[Any]) -> None:
    y = np.array(labels)[LABELS]
    model = LogisticRegression(**TIGHT).fit(X, y)
    assert_array_equal(model.classes_, np.unique(y))
    assert model.predict(X).dtype == y.dtype
    sign = 1 if labels[1] > labels[0] else -1
    assert_allclose(sign * model.coef_, LogisticRegression(**TIGHT).fit(X, LABELS).coef_, atol=1e-8)
    assert_array_equal(model.predict(X), model.classes_[model.predict_proba(X).argmax(axis=1)])
    objects = LogisticRegression(**TIGHT).fit(X, y.astype(object) if y.dtype.kind == "U" else y)
    assert_array_equal(objects.coef_, model.coef_)


def test_logarithms_of_probabilities_do_not_end_at_zero() -> None:
    model = LogisticRegression(C=1e3).fit(X, LABELS)
    far = 1e4 * model.coef_ / np.linalg.norm(model.coef_)
    eta = model.decision_function(far)[0]
    assert eta > 800
    assert_allclose(model.predict_log_proba(far), [[-eta, 0.0]])
    assert_allclose(model.predict_proba(X).sum(axis=1), 1, rtol=1e-15)


OLD: list[tuple[dict[str, Any], dict[str, Any], str | None]] = [  # given, the same said today, a further warning
    ({"penalty": "l2"}, {}, None), ({"penalty": "l1", "l1_ratio": 1.0}, {"l1_ratio": 1.0}, None),
    ({"penalty": "l1"}, {"l1_ratio": 1.0}, "Inconsistent values"),
    ({"penalty": "l2", "l1_ratio": 0.3}, {}, "Inconsistent values"),
    ({"penalty": "elasticnet", "l1_ratio": 0.3}, {"l1_ratio": 0.3}, None), ({"penalty": None}, {"C": np.inf}, None),
    ({"penalty": None, "C": 0.1}, {"C": np.inf}, "will ignore the C"), ({"l1_ratio": None}, {}, None),
    ({"n_jobs": 2}, {}, None),
]  # fmt: skip


@pytest.mark.parametrize(("given", "today", "further"), OLD, ids=[str(case[0]) for case in OLD])
def test_deprecated_parameters(given: dict[str, Any], today: dict[str, Any], further: str | None) -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        old = LogisticRegression(**given).fit(X, LABELS)
        categories = {warning.category for warning in told}
        theirs.LogisticRegression(**given, solver="saga", tol=1e-2).fit(X, LABELS)
    assert {warning.category for warning in told} - {ConvergenceWarning} == categories
    assert FutureWarning in categories
    assert (further is not None) == any(further in str(w.message) for w in told if further is not None)
    assert_array_equal(old.coef_, LogisticRegression(**today).fit(X, LABELS).coef_)


@pytest.mark.parametrize(("n", "p"), [(20, 30), (60, 80), (2, 1), (500, 5), (50, 3)])
def test_separation_is_named_and_the_best_iterate_kept(n: int, p: int) -> None:
    A = np.random.default_rng(n).standard_normal((n, p))
    y = (A[:, 0] > np.median(A[:, 0])).astype(int)
    with pytest.warns(ConvergenceWarning, match="separated") as told:
        model = LogisticRegression(C=np.inf).fit(A, y)
    assert len(told) == 1
    assert model.score(A, y) == 1
    assert np.isfinite(model.coef_).all()
    assert LogisticRegression().fit(A, y).score(A, y) > 0.9  # penalised: no warning


def test_what_labels_may_not_be() -> None:
    for y, w in ((np.ones(N), None), (LABELS, 1.0 * LABELS)):
        with pytest.raises(ValueError, match=r"y must hold two classes.*got one class: .*1"):
            LogisticRegression().fit(X, y, w)
    with pytest.raises(ValueError, match="Unknown label type: continuous"):
        LogisticRegression().fit(X, ETA)
    with pytest.raises(ValueError, match="class_weight"):
        LogisticRegression(class_weight={"perhaps": 1}).fit(X, NAMES)
    with pytest.warns(DataConversionWarning):
        assert LogisticRegression().fit(X, LABELS[:, None]).coef_.shape == (1, 8)


BAD: list[tuple[str, Any]] = [
    ("tol", -1e-3), ("tol", "a"), ("max_iter", -1), ("max_iter", 1.5), ("fit_intercept", "no"), ("verbose", -1),
    ("warm_start", 2), ("solver", "descent"), ("C", 0), ("C", -1.0), ("C", None), ("l1_ratio", 1.2), ("dual", 3),
    ("intercept_scaling", 0), ("penalty", "l0"), ("class_weight", "even"), ("n_jobs", 1.5),
]  # fmt: skip


@pytest.mark.parametrize(("parameter", "value"), BAD)
def test_parameters_are_checked_in_scikit_learns_words(parameter: str, value: Any) -> None:
    for estimator in (LogisticRegression, theirs.LogisticRegression):
        with pytest.raises(ValueError, match=f"The '{parameter}' parameter of LogisticRegression must be"):
            estimator(**{parameter: value}).fit(X, LABELS)


def test_parameters_and_their_defaults_are_scikit_learns() -> None:
    assert LogisticRegression().get_params() == theirs.LogisticRegression().get_params()


def test_what_is_not_given_with_an_old_penalty() -> None:
    with pytest.raises(ValueError, match="l1_ratio must be specified"), pytest.warns(FutureWarning):
        LogisticRegression(penalty="elasticnet", l1_ratio=None).fit(X, LABELS)
