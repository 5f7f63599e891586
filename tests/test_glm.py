"""Logistic, Poisson, gamma and Tweedie drop-ins: scikit-learn's own checks and estimators, KKT conditions."""

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import sklearn.linear_model as theirs
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.metrics import d2_tweedie_score, r2_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from regfast import GammaRegressor, LogisticRegression, PoissonRegressor, TweedieRegressor

Array = NDArray[Any]


def draw(n: int = 150, p: int = 8, seed: int = 0) -> tuple[Array, Array, Array]:
    """X (n, p) with zeros, of float32 numbers; linear predictor; weights, one of them zero."""
    rng = np.random.default_rng(seed)
    X = np.round(rng.standard_normal((n, p)), 3).astype(np.float32).astype(np.float64)
    X *= rng.random((n, p)) < 0.7
    X[:, 1] += X[:, 0] / 2
    weights = rng.uniform(0.2, 2.0, n)
    weights[0] = 0
    return X, X @ np.array([1.0, -0.7, 0.5, 0, 0, 0.3, 0, 0])[:p] - 0.4, weights


X, ETA, W = draw()
N = len(X)
RNG = np.random.default_rng(7)
LABELS = (RNG.random(N) < 1 / (1 + np.exp(-ETA))).astype(int)
NAMES = np.where(LABELS, "yes", "no")
MEAN = np.exp(ETA)
REGRESSORS: dict[str, tuple[Any, Any, float, Array]] = {  # ours, theirs, power, y
    "poisson": (PoissonRegressor, theirs.PoissonRegressor, 1, RNG.poisson(MEAN).astype(float)),
    "gamma": (GammaRegressor, theirs.GammaRegressor, 2, RNG.gamma(2, MEAN / 2)),
    "normal": (TweedieRegressor, theirs.TweedieRegressor, 0, ETA + RNG.standard_normal(N)),
    "compound": (TweedieRegressor, theirs.TweedieRegressor, 1.5, RNG.gamma(1, MEAN) * (RNG.random(N) < 0.7)),
    "tweedie poisson": (TweedieRegressor, theirs.TweedieRegressor, 1, RNG.poisson(MEAN).astype(float)),
    "tweedie gamma": (TweedieRegressor, theirs.TweedieRegressor, 2, RNG.gamma(2, MEAN / 2)),
}
STORAGES = {"C": np.ascontiguousarray, "Fortran": np.asfortranarray, "CSR": sp.csr_array, "CSC": sp.csc_matrix}
every_regressor = pytest.mark.parametrize("name", REGRESSORS)
every_storage = pytest.mark.parametrize("storage", STORAGES)
TIGHT = {"tol": 1e-13, "max_iter": 10_000}
NEWTON = {"solver": "newton-cholesky", "tol": 1e-10, "max_iter": 1000}


def regressors(name: str, **arguments: Any) -> tuple[Any, Any]:
    """Ours and theirs, both at a tight tolerance."""
    ours, other, power, _ = REGRESSORS[name]
    extra = {"power": power} if ours is TweedieRegressor else {}
    known = {key: value for key, value in arguments.items() if key != "l1_ratio"}
    return ours(**extra, **(TIGHT | arguments)), other(**extra, **NEWTON, **known)


def assert_stationary(b: Array, b0: float, slope: Array, l1: float, l2: float, intercept: bool = True) -> None:
    """KKT conditions of Σ w ℓ + l1‖b‖₁ + l2/2 ‖b‖², given w ∂ℓ/∂η at (b, b0)."""
    pull = X.T @ slope + l2 * b
    assert_allclose(pull[b != 0], -l1 * np.sign(b[b != 0]), atol=2e-7)
    assert (abs(pull[b == 0]) <= l1 + 2e-7).all()
    if intercept:
        assert slope.sum() == pytest.approx(0, abs=1e-9)
    else:
        assert b0 == 0


# ---- scikit-learn's own checks; with five iterations, as its own suite has these estimators, they may not converge

CHECKED = [  # beside those of test_sklearn_checks
    LogisticRegression(max_iter=5, solver="newton-cholesky", class_weight="balanced"), LogisticRegression(l1_ratio=0.5),
    PoissonRegressor(l1_ratio=1.0, alpha=0.1), TweedieRegressor(max_iter=5, solver="newton-cholesky"),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # of max_iter=5, which is scikit-learn's
@parametrize_with_checks(CHECKED)
def test_checks_of_scikit_learn(estimator: Any, check: Any) -> None:
    check(estimator)


def test_parameters_and_their_defaults_are_scikit_learns() -> None:
    for ours, other, _, _ in REGRESSORS.values():
        assert ours().get_params() == other().get_params() | {"l1_ratio": 0.0}


# ---- regressors


@every_regressor
@every_storage
@pytest.mark.parametrize("weights", [None, W, 2.0], ids=["even", "weights", "scalar"])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("alpha", [0, 1e-3, 1.0])
def test_agreement(name: str, storage: str, weights: Any, fit_intercept: bool, alpha: float) -> None:
    y, A = REGRESSORS[name][3], STORAGES[storage](X)
    a, b = (model.fit(A, y, weights) for model in regressors(name, alpha=alpha, fit_intercept=fit_intercept))
    assert_allclose(a.coef_, b.coef_, atol=2e-7)
    assert a.intercept_ == pytest.approx(b.intercept_, abs=2e-7)
    assert_allclose(a.predict(A), b.predict(A), rtol=1e-5)
    for w in (None, W):
        assert a.score(A, y, w) == pytest.approx(b.score(A, y, w), abs=1e-7)
    assert {k for k in vars(a) if k[0] != "_"} == {k for k in vars(b) if k[0] != "_"} | {"l1_ratio"}
    for attribute in ("coef_", "intercept_", "n_iter_", "n_features_in_"):
        assert np.shape(getattr(a, attribute)) == np.shape(getattr(b, attribute)), attribute
    assert type(a.n_iter_) is int


@every_regressor
@pytest.mark.parametrize("l1_ratio", [0.3, 1.0])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_l1_part_meets_the_kkt_conditions(name: str, l1_ratio: float, fit_intercept: bool) -> None:
    power, y = REGRESSORS[name][2:]
    for alpha in (0.15, 0.01):
        model = regressors(name, alpha=alpha, l1_ratio=l1_ratio, fit_intercept=fit_intercept)[0].fit(X, y, W)
        eta = X @ model.coef_ + model.intercept_
        mean = np.exp(eta) if power else eta
        assert_allclose(model.predict(X), mean, rtol=1e-12)
        slope = W / W.sum() * (mean - y) * (mean ** (1 - power) if power else 1)
        assert_stationary(model.coef_, model.intercept_, slope, alpha * l1_ratio, alpha * (1 - l1_ratio), fit_intercept)
    assert alpha < 0.1 or (model.coef_ == 0).any()


@every_regressor
def test_score_is_the_deviance_explained(name: str) -> None:
    power, y = REGRESSORS[name][2:]
    model = regressors(name, alpha=0.01)[0].fit(X, y)
    assert model.score(X, y, W) == pytest.approx(d2_tweedie_score(y, model.predict(X), sample_weight=W, power=power))
    if power == 0:
        assert model.score(X, y) == pytest.approx(r2_score(y, model.predict(X)))
    assert regressors(name, alpha=1e9)[0].fit(X, y, W).score(X, y, W) == pytest.approx(0, abs=1e-6)  # y's mean alone
    assert model.score(X, np.full(N, 2.0)) == 0
    assert regressors(name)[0].fit(X, np.full(N, 2.0)).predict(X) == pytest.approx(2.0)
    with pytest.raises(ValueError, match="y must have 150 entries"):
        model.score(X, y[1:])


def test_what_regressors_refuse() -> None:
    for model, y, message in (
        (PoissonRegressor(), np.r_[-1.0, np.ones(N - 1)], "y must not be negative"),
        (GammaRegressor(), np.r_[0.0, np.ones(N - 1)], "y must be positive"),
        (TweedieRegressor(power=1.5), np.r_[-1.0, np.ones(N - 1)], "y must not be negative"),
        (PoissonRegressor(), np.zeros(N), "y must have a positive value"),
        (TweedieRegressor(power=3), MEAN, "power must be 0 or lie in"),
        (TweedieRegressor(power=-1), MEAN, "power must be 0 or lie in"),
        (TweedieRegressor(power=1.5, link="identity"), MEAN, "link must be 'auto' or 'log'"),
        (TweedieRegressor(link="log"), MEAN, "link must be 'auto' or 'identity'"),
    ):
        with pytest.raises(ValueError, match=message):
            model.fit(X, y)
    with pytest.warns(ConvergenceWarning, match="separated"):  # column 0 counts where nothing was counted
        model = PoissonRegressor(alpha=0, max_iter=300).fit(np.c_[X[:, 3:], LABELS], np.where(LABELS, 0, 3.0))
    assert np.isfinite(model.coef_).all()


def test_predictions_are_those_of_the_power_that_was_fitted() -> None:
    model = TweedieRegressor(power=1.5, alpha=0.1).fit(X, MEAN)
    before = model.predict(X)
    assert_array_equal(model.set_params(power=0).predict(X), before)


# ---- all of them

ALL: dict[str, tuple[Any, Any, Any]] = {  # ours, theirs, y
    "logistic": (LogisticRegression(**TIGHT), theirs.LogisticRegression(**NEWTON), NAMES),
} | {name: (*regressors(name), REGRESSORS[name][3]) for name in REGRESSORS}
all_of_them = pytest.mark.parametrize("name", ALL)


@all_of_them
@every_storage
def test_float32(name: str, storage: str) -> None:
    ours, other, y = (clone(part) if k < 2 else part for k, part in enumerate(ALL[name]))
    narrow = STORAGES[storage](X.astype(np.float32))
    a, wide = clone(ours).fit(narrow, y), ours.fit(X, y)
    other.set_params(tol=1e-4).fit(narrow, y)
    assert a.coef_.dtype == np.asarray(a.intercept_).dtype == other.coef_.dtype == np.float32
    assert_allclose(a.coef_, wide.coef_, rtol=3e-7, atol=1e-9)  # X is the same in both: the arithmetic is float64
    assert_allclose(a.coef_, other.coef_, atol=1e-3)
    method = "predict_proba" if name == "logistic" else "predict"
    assert getattr(a, method)(narrow).dtype == getattr(other, method)(narrow).dtype == np.float32
    assert clone(ours).fit(np.round(X).astype(int), y).coef_.dtype == np.float64


@all_of_them
def test_weights_are_repeats_at_the_default_tolerance(name: str) -> None:
    ours, _, y = ALL[name]
    repeats = np.random.default_rng(0).integers(0, 4, N)
    a, b, c, d = (clone(ours).set_params(tol=1e-4, max_iter=100) for _ in range(4))
    a.fit(X, y, repeats)
    b.fit(np.repeat(X, repeats, axis=0), np.repeat(y, repeats))
    assert_allclose(a.coef_, b.coef_, atol=1e-7)
    assert_allclose(a.intercept_, b.intercept_, atol=1e-7)
    if name != "logistic":
        assert_allclose(c.fit(X, y, 3.0).coef_, d.fit(X, y).coef_, atol=1e-9)


@all_of_them
def test_warm_start(name: str) -> None:
    ours, _, y = ALL[name]
    model = clone(ours).set_params(warm_start=True, l1_ratio=0.2).fit(X, y)
    cold, coef = int(np.max(model.n_iter_)), model.coef_
    again = model.fit(X, y)
    assert np.max(again.n_iter_) <= min(cold, 2)
    assert_allclose(again.coef_, coef, atol=1e-6)
    start = {"C": 1.05} if name == "logistic" else {"alpha": 0.95}
    far = clone(model).set_params(**start).fit(X, y)
    near = model.set_params(**start).fit(X, y)
    assert np.max(near.n_iter_) <= np.max(far.n_iter_)
    assert_allclose(near.coef_, far.coef_, atol=1e-6)
    assert np.shape(model.fit(X[:, :3], y).coef_)[-1] == 3  # another p: what it knew is of no use
    assert_allclose(model.coef_, clone(model).fit(X[:, :3], y).coef_, atol=1e-9)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("name", ["poisson", "gamma", "compound"])
def test_a_tight_tolerance_leaves_no_gradient(name: str, fit_intercept: bool) -> None:
    """A gap of 1e-14 is an error of 1e-7 where rows are few: what polishes must not undo what went before."""
    ours, _, power, y = REGRESSORS[name]
    extra = {"power": power} if ours is TweedieRegressor else {}
    model = ours(alpha=1.0, tol=1e-10, fit_intercept=fit_intercept, warm_start=True, **extra)
    for rows in (slice(0, 40), slice(0, 41)):  # the second from where the first ended
        model.fit(X[rows], y[rows])
        mean = model.predict(X[rows])
        slope = (mean - y[rows]) * mean ** (1 - power) / len(mean)
        assert_allclose(X[rows].T @ slope + model.coef_, 0, atol=model.tol)
        assert fit_intercept * slope.sum() == pytest.approx(0, abs=model.tol)


@all_of_them
def test_lives(name: str) -> None:
    ours, _, y = ALL[name]
    model = clone(ours)
    with pytest.raises(NotFittedError):
        model.predict(X)
    assert model.fit(pd.DataFrame(X, columns=[f"f{j}" for j in range(8)]), y) is model
    assert model.feature_names_in_[3] == "f3"
    plain = clone(model).fit(X, y)
    revived = pickle.loads(pickle.dumps(plain))
    assert_array_equal(revived.predict(X), plain.predict(X))
    assert_allclose(plain.coef_, model.coef_, rtol=1e-9)
    assert revived.score(X, y) == plain.score(X, y)
    assert clone(model).get_params() == model.get_params()
    assert not hasattr(clone(model), "coef_")


@all_of_them
def test_in_a_pipeline_and_a_search(name: str) -> None:
    ours, other, y = ALL[name]
    grid = {"model__C": [0.01, 0.1, 1.0]} if name == "logistic" else {"model__alpha": [1.0, 0.1, 0.01]}
    searches = []
    for kind in (ours, clone(other).set_params(tol=1e-8)):
        steps = make_pipeline(StandardScaler(), clone(kind))
        steps.steps[-1] = ("model", steps.steps[-1][1])
        searches.append(GridSearchCV(steps, grid, cv=4).fit(X, y))
    a, b = searches
    assert a.best_params_ == b.best_params_
    assert_allclose(a.cv_results_["mean_test_score"], b.cv_results_["mean_test_score"], atol=1e-6)
    assert_allclose(cross_val_score(clone(ours), X, y), cross_val_score(clone(other), X, y), atol=1e-7)


@pytest.mark.parametrize("name", [name for name in ALL if name != "normal"])  # (that takes one step)
def test_not_converged(name: str) -> None:
    ours, _, y = ALL[name]
    model = clone(ours).set_params(max_iter=1, l1_ratio=0.1, **({} if name == "logistic" else {"alpha": 0.01}))
    with pytest.warns(ConvergenceWarning, match=r"did not reach tol=1e-13.*\(max_iter\)") as told:
        model.fit(X, y)
    assert len(told) == 1
    assert np.max(model.n_iter_) == 1


BAD: list[tuple[str, Any]] = [
    ("tol", -1e-3), ("tol", "a"), ("max_iter", -1), ("max_iter", 0), ("max_iter", 1.5), ("fit_intercept", "no"),
    ("verbose", -1), ("warm_start", 2), ("solver", "descent"), ("alpha", -1.0), ("alpha", "a"), ("power", "a"),
    ("link", "logit"),
]  # fmt: skip


@pytest.mark.parametrize(("parameter", "value"), BAD)
def test_parameters_are_checked_in_scikit_learns_words(parameter: str, value: Any) -> None:
    for estimator in (TweedieRegressor, theirs.TweedieRegressor):
        with pytest.raises(ValueError, match=f"The '{parameter}' parameter of TweedieRegressor must be"):
            estimator(**{parameter: value}).fit(X, LABELS)


def test_our_own_parameter_is_checked() -> None:
    with pytest.raises(ValueError, match="The 'l1_ratio' parameter of GammaRegressor must be"):
        GammaRegressor(l1_ratio=-0.1).fit(X, MEAN)
    for weights, message in ((-W, "must not be negative"), (0 * W, "must not be all zero"), (W[1:], "150 entries")):
        for model in (LogisticRegression(), PoissonRegressor()):
            with pytest.raises(ValueError, match=f"sample_weight .*{message}"):
                model.fit(X, LABELS, weights)


@pytest.mark.parametrize("alpha", [0.1, 1.0, 10.0])
def test_ridge_of_many_columns_that_come_in_a_few_at_a_time(alpha: float) -> None:
    rng = np.random.default_rng(0)
    A = rng.standard_normal((300, 600))
    y = rng.poisson(np.exp(0.3 * A[:, :5].sum(axis=1))).astype(np.float64)
    model = PoissonRegressor(alpha=alpha).fit(A, y)
    mean = model.predict(A)
    assert np.abs(A.T @ (mean - y) / 300 + alpha * model.coef_).max() < 1e-6
    assert mean.mean() == pytest.approx(y.mean(), rel=1e-6)
