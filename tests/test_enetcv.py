"""LassoCV, ElasticNetCV and their multi-task kin against scikit-learn's, against copies of folds and repeated rows."""

import threading
import warnings
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
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning
from sklearn.metrics import mean_squared_error
from sklearn.model_selection import GroupKFold, KFold, PredefinedSplit, ShuffleSplit, cross_validate
from sklearn.utils.estimator_checks import parametrize_with_checks

import regfast

X, Y, W = make_data()
Y2 = np.column_stack([Y, np.sin(3 * Y) + X[:, 5], X[:, 2] - X[:, 7]])
N = len(Y)
FEW = {"alphas": 15, "cv": 4}
TIGHT = {"tol": 1e-14, "max_iter": 1_000_000}
CASES: dict[str, tuple[str, dict[str, Any], Any]] = {
    "lasso": ("LassoCV", {}, Y), "positive": ("LassoCV", {"positive": True}, Y),
    "elastic": ("ElasticNetCV", {"l1_ratio": 0.4}, Y), "elastics": ("ElasticNetCV", {"l1_ratio": [0.2, 0.9, 1]}, Y),
    "positives": ("ElasticNetCV", {"l1_ratio": [0.5, 1.0], "positive": True}, Y),
    "tasks": ("MultiTaskLassoCV", {}, Y2), "elastic tasks": ("MultiTaskElasticNetCV", {"l1_ratio": [0.3, 0.9]}, Y2),
}  # fmt: skip
every_case = pytest.mark.parametrize("case", CASES)


def ours(case: str, **more: Any) -> Any:
    return getattr(regfast, CASES[case][0])(**(FEW | CASES[case][1] | more))


def other(case: str, **more: Any) -> Any:
    return getattr(theirs, CASES[case][0])(**(FEW | CASES[case][1] | more))


@parametrize_with_checks([regfast.LassoCV(max_iter=5, cv=3), regfast.ElasticNetCV(max_iter=5, cv=3),
                          regfast.MultiTaskLassoCV(alphas=5, max_iter=5, cv=3),
                          regfast.MultiTaskElasticNetCV(alphas=5, max_iter=5, cv=3)])
def test_checks_of_scikit_learn(estimator: Any, check: Any) -> None:  # instances as its own suite has them
    check(estimator)


@pytest.mark.parametrize("name", ["LassoCV", "ElasticNetCV", "MultiTaskLassoCV", "MultiTaskElasticNetCV"])
def test_parameters_and_their_defaults_are_scikit_learns(name: str) -> None:
    a, b = getattr(regfast, name)(), getattr(theirs, name)()
    assert a.get_params() == b.get_params()
    for part in ("input_tags", "target_tags"):
        assert getattr(a.__sklearn_tags__(), part) == getattr(b.__sklearn_tags__(), part)
    with config_context(enable_metadata_routing=True):
        assert str(a.get_metadata_routing()) == str(b.get_metadata_routing())


@every_case
@pytest.mark.parametrize("weights", [None, W], ids=["even", "weights"])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("storage", [np.asarray, sp.csr_array])
def test_agreement(case: str, storage: Any, fit_intercept: bool, weights: Any) -> None:
    y = CASES[case][2]
    a = ours(case, fit_intercept=fit_intercept, **TIGHT).fit(storage(X), y, weights)
    b = other(case, fit_intercept=fit_intercept, **TIGHT).fit(X, y, weights)  # (on sparse data theirs end above 1e-14)
    assert_allclose(a.alphas_, b.alphas_, rtol=1e-12)
    assert_allclose(a.mse_path_, b.mse_path_, rtol=1e-8)
    assert a.alpha_ == pytest.approx(b.alpha_, rel=1e-12)
    assert_allclose(a.coef_, b.coef_, atol=2e-6)
    assert_allclose(a.intercept_, b.intercept_, atol=2e-6)
    assert_allclose(a.predict(storage(X)), b.predict(X), atol=1e-5)
    known = {name for name in vars(b) if name.endswith("_")}
    assert {name for name in vars(a) if name.endswith("_")} == known
    for name in known:
        assert np.shape(getattr(a, name)) == np.shape(getattr(b, name)), name
        assert isinstance(getattr(a, name), type(getattr(b, name))), name
