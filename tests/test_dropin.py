"""What a user of scikit-learn expects of its names beside the figures: errors, warnings, methods, warm starts."""

import warnings
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import sklearn.linear_model as theirs
from numpy.testing import assert_allclose, assert_array_equal
from oracle import make_data
from scipy.special import softmax
from sklearn import config_context, get_config

import regfast
from regfast import ElasticNet, ElasticNetCV, Lasso, LassoCV, LogisticRegression, LogisticRegressionCV, Ridge, RidgeCV

X, Y, W = make_data()
CENTRED = X - X.mean(axis=0)
CLASSES = np.digitize(Y, np.quantile(Y, [0.3, 0.7]))
both = pytest.mark.parametrize("storage", [np.asarray, sp.csr_array])
intercepts = pytest.mark.parametrize("fit_intercept", [True, False])


@pytest.mark.parametrize(("model", "parameter"), [
    (Lasso(alpha=-1.0), "alpha"), (ElasticNet(l1_ratio="a"), "l1_ratio"), (Ridge(max_iter=0), "max_iter"),
    (LogisticRegression(C=0), "C"), (LassoCV(eps=0), "eps"), (regfast.PoissonRegressor(solver="sag"), "solver"),
])  # fmt: skip
@pytest.mark.parametrize("kind", [ValueError, TypeError])
def test_a_refused_parameter_is_both_kinds_of_error(model: Any, parameter: str, kind: Any) -> None:
    with pytest.raises(kind, match=f"The '{parameter}' parameter of {type(model).__name__} must be"):
        model.fit(X, CLASSES if isinstance(model, LogisticRegression) else np.abs(Y))


@pytest.mark.parametrize("kind", [LassoCV, ElasticNetCV, RidgeCV])
def test_every_strength_is_looked_at(kind: Any) -> None:
    for alphas, error, message in (((1, -1), ValueError, r"alphas\[1\] == -1, must be >"),
                                   ((np.nan, 1), ValueError, r"alphas\[0\] must be finite; got nan"),
                                   ((1, "1"), TypeError, r"alphas\[1\] must be an instance of float, not str")):
        with pytest.raises(error, match=message):
            kind(alphas=alphas).fit(X, Y)


@pytest.mark.parametrize("kind", [Lasso, LassoCV, Ridge, RidgeCV, LogisticRegression, regfast.PoissonRegressor])
def test_weights_are_a_number_or_one_dimensional(kind: Any) -> None:
    y = CLASSES if kind is LogisticRegression else np.abs(Y)
    for bad in (W[:, None], W[None]):
        with pytest.raises(ValueError, match="Sample weights must be 1D array or scalar"):
            kind().fit(X, y, sample_weight=bad)
    with pytest.raises(ValueError, match="sample_weight"):
        kind().fit(X, y, sample_weight=0.0)


def test_a_gram_matrix_is_looked_at_and_not_needed() -> None:
    weights = W * len(W) / W.sum()
    middle = X - np.average(X, axis=0, weights=W)
    for A, gram, w in ((CENTRED, CENTRED.T @ CENTRED, None), (middle, (middle.T * weights) @ middle, W)):
        a, b = Lasso(0.1, precompute=gram).fit(A, Y, w), Lasso(0.1).fit(A, Y, w)
        assert_array_equal(a.coef_, b.coef_)
    for gram, message in ((CENTRED.T @ CENTRED + 1, "did not pass validation"), (np.eye(3), r"\(20, 20\).*\(3, 3\)")):
        with pytest.raises(ValueError, match=message):
            Lasso(0.1, precompute=gram).fit(CENTRED, Y)
    with pytest.warns(UserWarning, match="Gram matrix was provided but X was centered"):
        Lasso(0.1, precompute=X.T @ X).fit(X, Y)


@both
@pytest.mark.parametrize("y", [CLASSES, CLASSES > 0], ids=["three", "two"])
@pytest.mark.parametrize("kind", [LogisticRegression, LogisticRegressionCV])
def test_sparse_coefficients_predict_the_same(kind: Any, y: Any, storage: Any) -> None:
    model = kind(l1_ratio=1, C=0.2) if kind is LogisticRegression else kind(Cs=[0.1, 1.0], cv=3, l1_ratios=(1,))
    before = model.fit(storage(X), y).coef_
    scores = model.decision_function(storage(X))
    assert isinstance(model.sparsify().coef_, sp.csr_matrix)
    assert_allclose(model.decision_function(storage(X)), scores, atol=1e-12)
    assert_array_equal(model.densify().coef_, before)
    if "sparse_interface" in get_config():
        with config_context(sparse_interface="sparray"):
            assert isinstance(model.sparsify().coef_, sp.sparray)


@both
def test_a_warm_start_at_the_solution_takes_no_iteration(storage: Any) -> None:
    for model, y in ((Lasso(0.01), Y), (ElasticNet(0.01, positive=True), Y), (regfast.PoissonRegressor(), np.abs(Y))):
        first = model.fit(storage(X), y)
        assert first.n_iter_ >= 1
        coef, intercept = first.coef_, first.intercept_
        again = first.set_params(warm_start=True).fit(storage(X), y)
        assert again.n_iter_ == 0
        assert_allclose(again.coef_, coef, atol=1e-12)
        assert again.intercept_ == pytest.approx(intercept, abs=1e-10)


@both
@intercepts
def test_several_classes_without_kinks(storage: Any, fit_intercept: bool) -> None:
    model = LogisticRegression(C=10, fit_intercept=fit_intercept, tol=1e-8).fit(storage(X), CLASSES)
    slope = softmax(X @ model.coef_.T + model.intercept_, axis=1) - np.eye(3)[CLASSES]
    assert np.abs(slope.T @ X + model.coef_ / 10).max() < 1e-5
    assert np.abs(slope.sum(axis=0)).max() < 1e-6 or not fit_intercept
    assert_allclose(model.coef_.sum(axis=0), 0, atol=1e-12)
    assert model.intercept_.sum() == pytest.approx(0, abs=1e-12)
    assert 1 <= model.n_iter_[0] <= 30
    again = model.set_params(warm_start=True).fit(storage(X), CLASSES)
    assert again.n_iter_[0] <= 2


@both
@intercepts
def test_of_equal_fits_the_shortest_without_a_penalty(storage: Any, fit_intercept: bool) -> None:
    rng = np.random.default_rng(0)
    wide, tall = rng.standard_normal((12, 30)) * np.geomspace(0.1, 10, 30), rng.standard_normal((40, 4))
    for A in (wide, np.hstack([tall, 2 * tall[:, :2]])):
        y = rng.standard_normal(len(A))
        off = A.mean(axis=0) if fit_intercept else np.zeros(A.shape[1])
        least = np.linalg.pinv(A - off) @ (y - y.mean() * fit_intercept)
        assert_allclose(Ridge(0.0, fit_intercept=fit_intercept).fit(storage(A), y).coef_, least, atol=1e-10)
        with pytest.warns(UserWarning, match="With alpha=0"):
            model = Lasso(0.0, fit_intercept=fit_intercept).fit(storage(A), y)
        assert_allclose(model.coef_, least, atol=1e-10)
        assert 0 <= model.dual_gap_ < 1e-20
    doubled, counts = np.hstack([tall, tall]) / 2, rng.poisson(np.exp(tall[:, 0]))
    options: dict[str, Any] = {"alpha": 0.0, "fit_intercept": fit_intercept, "tol": 1e-9, "max_iter": 1000}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the solution is not unique
        twice = regfast.PoissonRegressor(**options).fit(storage(doubled), counts).coef_
    assert_allclose(twice, np.tile(regfast.PoissonRegressor(**options).fit(tall, counts).coef_, 2), atol=1e-7)


def test_names_that_scikit_learn_takes_back_warn_as_there() -> None:
    settled: dict[str, Any] = {"scoring": None, "use_legacy_attributes": False}
    for name, arguments, message in (("LogisticRegression", {"penalty": "l2"}, "'penalty' was deprecated"),
                                     ("LogisticRegression", {"l1_ratio": None}, "'l1_ratio=None' was deprecated"),
                                     ("LogisticRegressionCV", {"l1_ratios": None, **settled},
                                      "'l1_ratios=None' was deprecated")):
        for module in (regfast, theirs):
            with pytest.warns(FutureWarning, match=message):
                getattr(module, name)(**arguments).fit(CENTRED / X.std(axis=0), CLASSES)
    for arguments in ({"n_alphas": 5}, {"alphas": None}):
        with pytest.warns(FutureWarning, match="deprecated"):
            regfast.lasso_path(X, Y, **arguments)


def test_old_attributes_have_an_axis_for_l1_ratios_only_where_these_are_given() -> None:
    for given, axes in (({}, 2), ({"l1_ratios": (0.0,)}, 3)):
        model = LogisticRegressionCV(Cs=3, cv=3, use_legacy_attributes=True, **given).fit(X, CLASSES)
        assert model.scores_[0].ndim == axes
        assert model.coefs_paths_[0].ndim == axes + 1
