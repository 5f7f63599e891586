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
@pytest.mark.parametrize(("storage", "fit_intercept"), [
    (np.asarray, True), (np.asarray, False), (sp.csr_array, True)])
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


@every_case
@pytest.mark.parametrize("storage", [np.asfortranarray, sp.csr_array, sp.csc_array])
def test_masks_are_copies(case: str, storage: Any) -> None:
    y, cv = CASES[case][2], list(KFold(3, shuffle=True, random_state=0).split(X))
    model = ours(case, cv=cv, tol=1e-13).fit(storage(X), y, W)
    ratios = np.atleast_1d(getattr(model, "l1_ratio", 1.0))
    errors = model.mse_path_.reshape(len(ratios), -1, 3)
    for k, (train, test) in enumerate(cv):
        for i, alphas in enumerate(np.broadcast_to(model.alphas_, (len(ratios), 15))):
            path = regfast.fit_path(storage(X)[train], y[train], family="multigaussian" if y.ndim > 1 else "gaussian",
                                    l1_ratio=ratios[i], alphas=alphas, sample_weight=W[train], standardize=False,
                                    bounds=(0, np.inf) if model.get_params().get("positive") else None, tol=1e-13)
            far = path.predict(X[test]) - y[test][:, None]
            expected = [mean_squared_error(0 * one, one, sample_weight=W[test]) for one in np.moveaxis(far, 1, 0)]
            assert_allclose(errors[i, :, k], expected, rtol=1e-12)


@every_case
def test_the_last_fit_is_the_plain_estimator(case: str) -> None:
    y = CASES[case][2]
    model = ours(case).fit(X, y, W)
    plain = getattr(regfast, CASES[case][0].removesuffix("CV"))(alpha=model.alpha_, tol=1e-10)
    if "l1_ratio" in plain.get_params():
        plain.set_params(l1_ratio=model.l1_ratio_)
    if case.startswith("positive"):
        plain.set_params(positive=True)
    plain.fit(X, y, W)
    assert_allclose(model.coef_, plain.coef_, atol=1e-6)
    assert_allclose(model.predict(X), plain.predict(X), atol=1e-5)
    coefs, intercepts = model.coef_, model.intercept_
    if y.ndim == 1:
        bounds = (0, np.inf) if case.startswith("positive") else None
        proof = regfast.certify(X, y, coefs, intercepts, alpha=model.alpha_, l1_ratio=getattr(model, "l1_ratio_", 1.0),
                                sample_weight=W, standardize=False, bounds=bounds)
        assert proof.gap <= 1e-10
        assert model.dual_gap_ <= 1e-10 * np.average((y - np.average(y, weights=W)) ** 2, weights=W)


@every_case
def test_weights_are_repeats_at_the_default_tolerance(case: str) -> None:
    y, times, fold = CASES[case][2], np.random.default_rng(0).integers(0, 4, N), np.arange(N) % 4
    a = ours(case, cv=PredefinedSplit(fold)).fit(X, y, times.astype(float))
    b = ours(case, cv=PredefinedSplit(np.repeat(fold, times)))
    b.fit(np.repeat(X, times, axis=0), np.repeat(y, times, axis=0))
    assert_allclose(a.alphas_, b.alphas_, rtol=1e-12)
    assert_allclose(a.mse_path_, b.mse_path_, rtol=1e-8)
    assert a.alpha_ == pytest.approx(b.alpha_)
    assert_allclose(a.coef_, b.coef_, atol=1e-7)
    c = ours(case).fit(X, y, 3.0)
    assert_array_equal(c.mse_path_, ours(case).fit(X, y).mse_path_)


def test_groups_are_routed_to_the_splitter() -> None:
    groups = np.arange(N) % 7
    by_hand = regfast.LassoCV(alphas=8, cv=list(GroupKFold(3).split(X, Y, groups))).fit(X, Y, W)
    model = regfast.LassoCV(alphas=8, cv=GroupKFold(3))
    with pytest.raises(ValueError, match=r"only supported if.*enable_metadata_routing=True"):
        model.fit(X, Y, groups=groups)
    with config_context(enable_metadata_routing=True):
        assert_array_equal(model.fit(X, Y, W, groups=groups).mse_path_, by_hand.mse_path_)
        model.set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        outer = cross_validate(model, X, Y, cv=GroupKFold(3),
                               params={"groups": groups, "sample_weight": W})
        assert np.isfinite(outer["test_score"]).all()
        with pytest.raises(TypeError, match="nonsense"):
            model.fit(X, Y, nonsense=groups)


@pytest.mark.parametrize("case", ["elastics", "tasks"])
def test_threads_and_storages_change_nothing(case: str) -> None:
    y, first = CASES[case][2], ours(case).fit(X, CASES[case][2])
    frozen = np.asfortranarray(X)
    frozen.flags.writeable = False
    long = sp.csr_array(X)
    long.indices, long.indptr = long.indices.astype(np.int64), long.indptr.astype(np.int64)
    for A in (frozen, long, sp.csc_matrix(X), X.astype(np.float32)):
        again = ours(case).fit(A, y)
        assert_allclose(again.mse_path_, first.mse_path_, rtol=1e-8)
    assert again.coef_.dtype == np.asarray(again.intercept_).dtype == again.predict(A).dtype == np.float32
    assert_array_equal(ours(case, n_jobs=3).fit(X, y).mse_path_, first.mse_path_)
    found: list[Any] = [None, None]
    both = [threading.Thread(target=lambda k=k: found.__setitem__(k, ours(case).fit(X, y))) for k in (0, 1)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    for model in found:
        assert_array_equal(model.coef_, first.coef_)
    frame = pd.DataFrame(X, columns=[f"f{j}" for j in range(20)])
    named = ours(case).fit(frame, y)
    assert named.feature_names_in_[3] == "f3"
    assert_allclose(named.mse_path_, first.mse_path_, rtol=1e-12)
    assert clone(named).get_params() == named.get_params()


def test_strengths_that_the_user_names() -> None:
    named = [0.1, 3.0, 0.1, 1.0]  # in any order, and one twice
    a, b = (kind(alphas=named, **TIGHT).fit(X, Y) for kind in (regfast.LassoCV, theirs.LassoCV))
    assert_array_equal(a.alphas_, b.alphas_)
    assert_allclose(a.mse_path_, b.mse_path_, rtol=1e-9)
    one, same = (kind(alphas=[0.1], cv=3).fit(X, Y) for kind in (regfast.LassoCV, theirs.LassoCV))
    assert one.mse_path_.shape == same.mse_path_.shape == (3,)
    least = regfast.ElasticNetCV(alphas=[0.0], cv=4).fit(X, Y)
    plain = theirs.LinearRegression().fit(X, Y)
    assert_allclose(least.coef_, plain.coef_, atol=1e-9)
    assert np.isnan(least.dual_gap_)
    ridge = regfast.ElasticNetCV(l1_ratio=0, alphas=[0.1, 1.0], cv=4).fit(X, Y)
    assert_allclose(ridge.coef_, theirs.Ridge(N * ridge.alpha_).fit(X, Y).coef_, atol=1e-6)
    single = regfast.LassoCV(alphas=5, cv=ShuffleSplit(1, random_state=0)).fit(X, Y)  # one split is enough
    assert single.mse_path_.shape == (5,)
    few, same = (kind(l1_ratio=1e-4, alphas=5, cv=3).fit(X, Y) for kind in (regfast.ElasticNetCV, theirs.ElasticNetCV))
    assert_allclose(few.alphas_, same.alphas_, rtol=1e-12)


def test_nothing_to_find() -> None:
    constant, flat = np.full(N, 3.0), np.ones((N, 2))
    for A, y in ((X, constant), (flat, Y), (X[:, :1], constant)):
        a, b = (kind(alphas=5, cv=3).fit(A, y) for kind in (regfast.LassoCV, theirs.LassoCV))
        assert_array_equal(a.coef_, 0)
        assert_allclose(a.alphas_, b.alphas_)
        assert_allclose(a.mse_path_, b.mse_path_, atol=1e-20)
    twins = regfast.LassoCV(alphas=5, cv=3).fit(np.column_stack([X, X]), Y)
    assert_allclose(twins.mse_path_, regfast.LassoCV(alphas=5, cv=3).fit(X, Y).mse_path_, rtol=1e-9)
    gone = sp.csr_array(np.where((np.arange(N) < 20)[:, None], X, 0))  # nothing is left without fold 0
    a, b = (kind(alphas=5, cv=3, **TIGHT).fit(gone, Y) for kind in (regfast.LassoCV, theirs.LassoCV))
    assert_allclose(a.mse_path_, b.mse_path_, rtol=1e-8)


def test_not_converged_is_told_once() -> None:
    A, y, _ = make_data(n=60, p=300)
    with pytest.warns(ConvergenceWarning, match=r"alphas did not reach tol=1e-13") as told:
        regfast.LassoCV(max_iter=1, tol=1e-13, cv=3, alphas=5).fit(A, y)
    assert len(told) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        regfast.LassoCV(cv=3, tol=0.9, max_iter=1, alphas=3).fit(X, Y)  # what is aimed at is not what was asked for


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "eps": ({"eps": 0.0}, "The 'eps' parameter"), "ratio": ({"l1_ratio": [0.5, 1.2]}, "l1_ratio"),
    "no ratio": ({"l1_ratio": []}, "l1_ratio"), "count": ({"alphas": 0}, "The 'alphas' parameter"),
    "strengths": ({"alphas": [1.0, -1.0]}, "alphas"), "tol": ({"tol": -1}, "The 'tol' parameter"),
    "max_iter": ({"max_iter": 0}, "The 'max_iter' parameter"), "jobs": ({"n_jobs": 1.5}, "The 'n_jobs' parameter"),
    "verbose": ({"verbose": -1}, "The 'verbose' parameter"), "positive": ({"positive": 3}, "The 'positive' parameter"),
    "precompute": ({"precompute": "no"}, "The 'precompute' parameter"), "cv": ({"cv": 1}, "1"),
    "selection": ({"selection": "greedy"}, "The 'selection' parameter"), "many folds": ({"cv": 61}, "n_splits=61"),
    "no grid": ({"l1_ratio": 0}, "Automatic alpha grid generation is not supported for l1_ratio=0"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_parameters_are_checked_in_scikit_learns_words(name: str) -> None:
    arguments, message = BAD[name]
    with pytest.raises(ValueError, match=message):
        regfast.ElasticNetCV(**arguments).fit(X, Y)
    if not name.endswith("ratio"):  # (theirs end in an unbound name, or in the middle of a path)
        with pytest.raises(ValueError, match=message):
            theirs.ElasticNetCV(**arguments).fit(X, Y)


def test_what_data_are_refused() -> None:
    for A, y, w, message in (
        (X, Y2, None, "For multi-task outputs, use MultiTaskLassoCV"),
        (X, np.where(X[:, 0] > 2, np.nan, Y), None, "NaN"),
        (np.where(X > 2, np.inf, X), Y, None, "infinity"), (X[:1], Y[:1], None, "n_samples=1"),
        (X[:, :0], Y, None, "0 feature"), (X, Y, -W, "sample_weight must not be negative"),
        (X, Y, np.where(np.arange(N) < 12, 0.0, W), "fold 0 has no row of positive weight to test on"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            regfast.LassoCV().fit(A, y, w)
    with pytest.raises(ValueError, match="For mono-task outputs, use LassoCV"):
        regfast.MultiTaskLassoCV().fit(X, Y)
    with pytest.raises(ValueError, match="at least one fold"):
        regfast.LassoCV(cv=[]).fit(X, Y)
    with pytest.warns(DataConversionWarning):
        assert regfast.LassoCV(alphas=3).fit(X, Y[:, None]).coef_.shape == (20,)
