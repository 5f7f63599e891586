"""The drop-ins against scikit-learn: its own checks, and its own estimators beside them."""

import pickle
import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import sklearn.linear_model as theirs
from numpy.testing import assert_allclose, assert_array_equal
from oracle import make_data, objective
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import regfast
from regfast import ElasticNet, Lasso, enet_path, lasso_path

X, Y, W = make_data()
Y2 = np.column_stack([Y, np.sin(3 * Y) + X[:, 5], X[:, 2] - X[:, 7]])
TIGHT = {"tol": 1e-14, "max_iter": 1_000_000}
every_storage = pytest.mark.parametrize("storage", [np.asarray, np.asfortranarray, sp.csr_array, sp.csc_matrix])
BOTH = {
    "lasso": (Lasso, theirs.Lasso, {}),
    "elastic": (ElasticNet, theirs.ElasticNet, {"l1_ratio": 0.4}),
    "nearly lasso": (ElasticNet, theirs.ElasticNet, {"l1_ratio": 0.99}),
}
both = pytest.mark.parametrize(("ours", "other", "arguments"), list(BOTH.values()), ids=list(BOTH))


def test_parameters_and_their_defaults_are_scikit_learns() -> None:
    assert Lasso().get_params() == theirs.Lasso().get_params()
    assert ElasticNet().get_params() == theirs.ElasticNet().get_params()
    assert Lasso(0.3).alpha == 0.3


@both
@every_storage
@pytest.mark.parametrize("weights", [None, W], ids=["even", "weights"])
@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_agreement(ours: Any, other: Any, arguments: Any, storage: Any, weights: Any, positive: bool,
                   fit_intercept: bool) -> None:  # fmt: skip
    options = {"alpha": 0.1, "positive": positive, "fit_intercept": fit_intercept, **arguments, **TIGHT}
    a, b = (kind(**options).fit(storage(X), Y, sample_weight=weights) for kind in (ours, other))
    problem = objective(X, Y, alpha=0.1, sample_weight=weights, fit_intercept=fit_intercept, standardize=False,
                        l1_ratio=a.l1_ratio, bounds=(0, np.inf) if positive else None)  # fmt: skip
    assert problem.primal(a.coef_) <= problem.primal(b.coef_) * (1 + 1e-14)
    assert_allclose(a.coef_, b.coef_, atol=2e-6)
    assert a.intercept_ == pytest.approx(b.intercept_, abs=1e-5)
    assert_allclose(a.predict(storage(X)), b.predict(storage(X)), atol=1e-5)
    assert a.score(storage(X), Y, weights) == pytest.approx(b.score(storage(X), Y, weights), abs=1e-9)
    for name in ("coef_", "intercept_", "n_features_in_", "dual_gap_"):
        assert np.shape(getattr(a, name)) == np.shape(getattr(b, name)), name
    assert type(a.n_iter_) is type(b.n_iter_) is int
    assert a.dual_gap_ == pytest.approx(float(problem.gap(a.coef_) * problem.null), rel=1e-6, abs=1e-13)
    assert sorted(vars(a)) == sorted(vars(b))


@both
@every_storage
@pytest.mark.parametrize("tol", [1e-2, 1e-4])
def test_tolerance_bounds_the_gap(ours: Any, other: Any, arguments: Any, storage: Any, tol: float) -> None:
    model = ours(alpha=0.05, tol=tol, **arguments).fit(storage(X), Y)
    problem = objective(X, Y, alpha=0.05, l1_ratio=model.l1_ratio, standardize=False)
    true = problem.gap(model.coef_, model.intercept_)
    assert true <= tol
    assert model.dual_gap_ == pytest.approx(true * problem.null, rel=1e-6, abs=1e-12)  # on the scale of the objective


@both
@every_storage
def test_several_targets(ours: Any, other: Any, arguments: Any, storage: Any) -> None:
    options = {"alpha": 0.1, **arguments, **TIGHT}
    a, b = (kind(**options).fit(storage(X), Y2, sample_weight=W) for kind in (ours, other))
    assert a.coef_.shape == (3, 20)
    assert_allclose(a.coef_, b.coef_, atol=1e-6)
    assert_allclose(a.intercept_, b.intercept_, atol=1e-5)
    assert_allclose(a.predict(storage(X)), b.predict(storage(X)), atol=1e-5)
    assert np.shape(a.dual_gap_) == np.shape(b.dual_gap_) == (3,)
    assert isinstance(a.n_iter_, list)
    for k in range(3):
        one = ours(**options).fit(storage(X), Y2[:, k], sample_weight=W)
        assert_array_equal(a.coef_[k], one.coef_)
    column, same = (kind(**options).fit(storage(X), Y[:, None]) for kind in (ours, other))
    assert column.coef_.shape == same.coef_.shape == (20,)
    assert np.shape(column.intercept_) == np.shape(same.intercept_)
    assert column.predict(storage(X)).shape == same.predict(storage(X)).shape


@both
def test_sparse_coef(ours: Any, other: Any, arguments: Any) -> None:
    for y in (Y, Y2):
        a, b = (kind(alpha=0.1, **arguments).fit(X, y) for kind in (ours, other))
        assert sp.issparse(a.sparse_coef_)
        assert a.sparse_coef_.shape == b.sparse_coef_.shape
        assert_array_equal(a.sparse_coef_.toarray(), np.atleast_2d(a.coef_))


@pytest.mark.parametrize("storage", [np.asarray, np.asfortranarray, sp.csr_array])
def test_float32_stays_float32(storage: Any) -> None:
    model = Lasso(alpha=0.1).fit(storage(X.astype(np.float32)), Y.astype(np.float32))
    assert model.coef_.dtype == model.predict(storage(X.astype(np.float32))).dtype == np.float32
    assert np.asarray(model.intercept_).dtype == np.float32
    assert_allclose(model.coef_, Lasso(alpha=0.1).fit(X, Y).coef_, atol=1e-3)
    assert Lasso(alpha=0.1).fit(X.astype(int), Y).coef_.dtype == np.float64


@both
def test_warm_start_spares_epochs(ours: Any, other: Any, arguments: Any) -> None:
    A, y, _ = make_data(n=80, p=150, seed=3)
    model = ours(alpha=0.05, warm_start=True, tol=1e-10, max_iter=100_000, **arguments).fit(A, y)
    cold, first = model.n_iter_, model.coef_
    again = model.fit(A, y)
    assert again.n_iter_ <= cold
    assert_allclose(again.coef_, first, atol=1e-6)
    near = clone(model).fit(A, y).set_params(alpha=0.049).fit(A, y)
    far = ours(alpha=0.049, tol=1e-10, max_iter=100_000, **arguments).fit(A, y)
    assert near.n_iter_ <= far.n_iter_
    assert near.dual_gap_ <= 1e-10 * objective(A, y).null
    assert_allclose(near.coef_, far.coef_, atol=1e-4)
    other_shape = model.fit(A[:, :9], y)  # another p: what it knew is of no use
    assert other_shape.coef_.shape == (9,)
    positive = model.set_params(positive=True).fit(A[:, :9], y)
    assert (positive.coef_ >= 0).all()


@both
def test_weights_are_repeats_at_the_default_tolerance(ours: Any, other: Any, arguments: Any) -> None:
    repeats = np.random.default_rng(0).integers(0, 4, 60)
    a = ours(alpha=0.1, **arguments).fit(X, Y, sample_weight=repeats)
    b = ours(alpha=0.1, **arguments).fit(np.repeat(X, repeats, axis=0), np.repeat(Y, repeats))
    assert_allclose(a.coef_, b.coef_, atol=1e-7)
    c = ours(alpha=0.1, **arguments).fit(X, Y, sample_weight=3.0)
    assert_allclose(c.coef_, ours(alpha=0.1, **arguments).fit(X, Y).coef_, atol=1e-12)


@pytest.mark.parametrize("storage", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_alpha_zero_is_least_squares(fit_intercept: bool, storage: Any) -> None:
    model = Lasso(alpha=0, fit_intercept=fit_intercept)
    with pytest.warns(UserWarning, match="With alpha=0"):
        model.fit(storage(X), Y)
    plain = theirs.LinearRegression(fit_intercept=fit_intercept).fit(X, Y)
    assert_allclose(model.coef_, plain.coef_, atol=1e-9)
    assert model.intercept_ == pytest.approx(plain.intercept_, abs=1e-8)


@both
def test_not_converged(ours: Any, other: Any, arguments: Any) -> None:
    A, y, _ = make_data(n=60, p=300)
    with pytest.warns(ConvergenceWarning, match=r"did not reach tol=.*alpha=0.001") as told:
        model = ours(alpha=1e-3, max_iter=1, tol=1e-13, **arguments).fit(A, y)
    assert len(told) == 1
    problem = objective(A, y, alpha=1e-3, l1_ratio=model.l1_ratio, standardize=False)
    assert model.dual_gap_ == pytest.approx(problem.gap(model.coef_, model.intercept_) * problem.null, rel=1e-6)


def test_the_lives_of_an_estimator() -> None:
    model = Lasso(alpha=0.1)
    with pytest.raises(NotFittedError):
        model.predict(X)
    model.fit(pd.DataFrame(X, columns=[f"f{j}" for j in range(20)]), Y)
    assert model.feature_names_in_[3] == "f3"
    revived = pickle.loads(pickle.dumps(model))
    assert_array_equal(revived.coef_, model.coef_)
    assert clone(model).get_params() == model.get_params()
    assert not hasattr(clone(model), "coef_")
    assert repr(model) == "Lasso(alpha=0.1)"
    assert model.fit(X, Y) is model


@both
def test_in_a_pipeline_and_a_search(ours: Any, other: Any, arguments: Any) -> None:
    grid = {"model__alpha": [1.0, 0.3, 0.1, 0.03]}
    searches = []
    for kind in (ours, other):
        steps = make_pipeline(StandardScaler(), kind(**arguments, **TIGHT))
        steps.steps[-1] = ("model", steps.steps[-1][1])
        searches.append(GridSearchCV(steps, grid, cv=4).fit(X, Y))
    a, b = searches
    assert a.best_params_ == b.best_params_
    assert_allclose(a.cv_results_["mean_test_score"], b.cv_results_["mean_test_score"], atol=1e-6)
    mine, its = (cross_val_score(kind(**arguments, **TIGHT), X, Y) for kind in (ours, other))
    assert_allclose(mine, its, atol=1e-6)


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "alpha": ({"alpha": -1.0}, "The 'alpha' parameter of ElasticNet must be a float in the range"),
    "ratio": ({"l1_ratio": 1.2}, "The 'l1_ratio' parameter"),
    "tol": ({"tol": -1e-3}, "The 'tol' parameter"),
    "max_iter": ({"max_iter": 0}, "The 'max_iter' parameter"),
    "selection": ({"selection": "greedy"}, "The 'selection' parameter"),
    "intercept": ({"fit_intercept": "no"}, "The 'fit_intercept' parameter"),
    "text": ({"alpha": "a"}, "The 'alpha' parameter"),
}


@pytest.mark.parametrize("name", BAD)
def test_parameters_are_checked_in_scikit_learns_words(name: str) -> None:
    arguments, message = BAD[name]
    for kind in (ElasticNet, theirs.ElasticNet):
        with pytest.raises(ValueError, match=message):
            kind(**arguments).fit(X, Y)


# ---- paths


@pytest.mark.parametrize("storage", [np.asarray, np.asfortranarray, sp.csc_array])
@pytest.mark.parametrize("positive", [False, True])
def test_paths(positive: bool, storage: Any) -> None:
    options = {"eps": 1e-2, "alphas": 20, "positive": positive, "tol": 1e-13, "max_iter": 1_000_000}
    # scikit-learn's path functions want float64 Fortran arrays to match; ours take anything
    for ours, other, extra in ((lasso_path, theirs.lasso_path, {}), (enet_path, theirs.enet_path, {"l1_ratio": 0.4})):
        a = ours(storage(X), Y, return_n_iter=True, **extra, **options)
        b = other(storage(X), Y, return_n_iter=True, **extra, **options)
        assert_allclose(a[0], b[0], rtol=1e-9)
        assert_allclose(a[1], b[1], atol=2e-6)
        assert a[1].shape == (20, 20)
        assert a[2].max() <= 1e-13 * (Y @ Y) / 120
        assert len(a[3]) == len(b[3]) == 20
        assert len(ours(storage(X), Y, **extra, **options)) == 3
    named = [0.5, 2.0, 0.1]
    a, b = (f(storage(X), Y, alphas=named, tol=1e-12, max_iter=100_000) for f in (lasso_path, theirs.lasso_path))
    assert_array_equal(a[0], b[0])
    assert_allclose(a[1], b[1], atol=1e-5)
    start = lasso_path(storage(X), Y, alphas=named, coef_init=a[1][:, 0], tol=1e-12)
    assert_allclose(start[1], a[1], atol=1e-5)


def test_what_paths_refuse() -> None:
    for arguments, message in (
        ({"y": Y2, "positive": True}, "positive must be False"),
        ({"alphas": [0.0, 1.0]}, "alphas must be positive"), ({"eps": 0.0}, "eps"),
        ({"alphas": [-1.0]}, "alphas"), ({"nonsense": 1}, r"Unexpected parameters.*nonsense"),
        ({"coef_init": [1]}, "coef_init"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            lasso_path(**({"X": X, "y": Y} | arguments))
    with pytest.raises(ValueError, match="l1_ratio"):
        enet_path(X, Y, l1_ratio=2.0)


# ---- what importing costs


def test_importing_and_fitting_load_no_scikit_learn() -> None:
    program = ("import sys, numpy as np, regfast; X = np.random.default_rng(0).standard_normal((20, 3)); "
               "regfast.fit_path(X, X[:, 0]); regfast.certify(X, X[:, 0], [0, 0, 0], alpha=1.0); "
               "assert not [m for m in sys.modules if m.split('.')[0] in ('sklearn', 'pandas', 'matplotlib')]; "
               "regfast.Lasso; assert 'sklearn' in sys.modules")
    subprocess.run([sys.executable, "-P", "-c", program], check=True)
    bare = "import sys, regfast; assert 'numpy' not in sys.modules and 'scipy' not in sys.modules, 'import is lazy'"
    subprocess.run([sys.executable, "-P", "-c", bare], check=True)
    assert regfast.Lasso is Lasso
