"""The plain-Python logistic regression: held against certificates, identities, the engine and scikit-learn."""

import itertools
import math
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.special import expit, xlogy
from sklearn.linear_model import LogisticRegression

import regfast
from regfast import reference
from regfast.reference_logistic import divergence, logistic_coordinate_descent, mean_of

Array = NDArray[np.float64]
TOL = 1e-12
every_ratio = pytest.mark.parametrize("l1_ratio", [1.0, 0.5, 0.0])


def make_data(n: int = 40, p: int = 12, seed: int = 0) -> tuple[Array, Array, Array]:
    """Columns of very different scales, none of mean zero, some correlated; labels; weights with one zero."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) * rng.uniform(0.2, 3.0, p) + rng.uniform(-2.0, 2.0, p)
    X[:, 1] += X[:, 0]
    y = (rng.random(n) < expit(X[:, 0] - X[:, 1] + X[:, -1] - 0.5)).astype(float)
    weights = rng.uniform(0.0, 2.0, n)
    weights[3] = 0.0
    return X, y, weights


def entropy(q: Any) -> Any:
    return -xlogy(q, q) - xlogy(1.0 - q, 1.0 - q)


def gap_by_numpy(
    fit: reference.Fit, X: Array, y: Array, w: Array, alpha: float, l1_ratio: float, scale: Array
) -> float:
    """P − D from P and D themselves, D(θ) = Σ w entropy(y − θ) − Σ pen*(X'Wθ), with an intercept and α > 0."""
    b, l1, l2 = np.asarray(fit.coef), alpha * l1_ratio * scale, alpha * (1.0 - l1_ratio) * scale**2
    eta = fit.intercept + X @ b
    primal = w @ (np.logaddexp(0.0, eta) - y * eta) + l1 @ abs(b) + 0.5 * l2 @ b**2
    theta, tops = y - expit(eta), [0.0]
    c = X.T @ (w * theta)
    if l1_ratio < 1.0:  # dual B
        tops.append(w @ entropy(y - theta) - (np.maximum(abs(c) - l1, 0.0) ** 2 / l2).sum() / 2)
    if l1_ratio > 0.0:  # dual A: rows √l2_j with target 0
        s = min(1.0, 1.0 / (abs(c - l2 * b) / l1).max())
        tops.append(w @ entropy(y - s * theta) - 0.5 * s * s * l2 @ b**2)
    saturated, share = w @ entropy(y), w @ y
    return float((primal - max(tops)) / (entropy(share) - saturated))


@pytest.mark.parametrize("m", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("eta", [-800.0, -3.0, 0.0, 0.5, 800.0])
def test_divergence_is_the_loss_less_its_least(eta: float, m: float) -> None:
    """log(1 + e^η) − mη, less the entropy of m; the mean's log-odds are η."""
    clipped = min(max(eta, -700.0), 700.0)
    assert divergence(m, eta) == pytest.approx(np.logaddexp(0.0, clipped) - m * clipped - entropy(m), abs=1e-12)
    assert mean_of(eta) + mean_of(-eta) == pytest.approx(1.0)
    assert mean_of(eta) == pytest.approx(expit(clipped))


@every_ratio
@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize("alpha", [0.1, 0.02, 0.004])
def test_the_engine_agrees(alpha: float, standardize: bool, l1_ratio: float) -> None:
    X, y, weights = make_data()
    w = weights / weights.sum()
    options: dict[str, Any] = {"l1_ratio": l1_ratio, "sample_weight": weights, "standardize": standardize}
    fit = logistic_coordinate_descent(X, y, alpha=alpha, tol=TOL, **options)
    scale = np.sqrt(w @ (X - w @ X) ** 2) if standardize else np.ones(X.shape[1])
    proof = regfast.certify(X, y, fit.coef, fit.intercept, alpha=alpha, family="binomial", **options)
    assert (fit.gap <= TOL, proof.kind) == (True, "duality gap")
    assert proof.gap <= 2 * TOL
    assert gap_by_numpy(fit, X, y, w, alpha, l1_ratio, scale) <= 2 * TOL
    path = regfast.fit_path(X, y, family="binomial", alphas=[alpha], tol=TOL, **options)
    got, want = [*fit.coef, fit.intercept], [*path.coef_at(alpha), path.intercept_at(alpha)]
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-5)


@every_ratio
@pytest.mark.parametrize("epochs", [0, 1, 4])
def test_gap_of_an_unfinished_fit_is_the_true_gap(epochs: int, l1_ratio: float) -> None:
    X, y, weights = make_data()
    options: dict[str, Any] = {"alpha": 0.02, "l1_ratio": l1_ratio, "sample_weight": weights}
    fit = logistic_coordinate_descent(X, y, max_epochs=epochs, tol=0.0, **options)
    assert fit.epochs == epochs
    assert fit.gap > 1e-2
    mine = gap_by_numpy(fit, X, y, weights / weights.sum(), 0.02, l1_ratio, np.ones(X.shape[1]))
    assert fit.gap == pytest.approx(mine, rel=1e-8)
    proof = regfast.certify(X, y, fit.coef, fit.intercept, family="binomial", standardize=False, **options)
    assert fit.gap == pytest.approx(proof.gap, rel=1e-8)


@every_ratio
def test_every_sweep_lowers_the_objective(l1_ratio: float) -> None:
    """Also where the classes are separated, the columns' scales differ by 1e2, and it starts far from the minimum."""
    X, _, _ = make_data(20, 6)
    X, y = X * np.geomspace(0.1, 10.0, 6), (X[:, 2] > X[:, 2].mean()).astype(float)
    start, alpha, values = np.full(6, 3.0), 0.003, []
    for epochs in range(25):
        fit = logistic_coordinate_descent(X, y, alpha=alpha, l1_ratio=l1_ratio, coef=start, max_epochs=epochs, tol=0.0)
        eta, b = fit.intercept + X @ fit.coef, np.asarray(fit.coef)
        penalty = l1_ratio * abs(b).sum() + (1.0 - l1_ratio) / 2 * b @ b
        values.append(float(np.mean(np.logaddexp(0.0, eta) - y * eta) + alpha * penalty))
    assert all(after <= before + 1e-14 for before, after in itertools.pairwise(values))
    assert values[-1] < 0.5 * values[0]


@pytest.mark.parametrize("fit_intercept", [True, False])
@every_ratio
def test_scikit_learn_agrees(l1_ratio: float, fit_intercept: bool) -> None:
    X, y, weights = make_data()
    X = X / abs(X).max(axis=0)
    options: dict[str, Any] = {"sample_weight": weights, "fit_intercept": fit_intercept}
    fit = logistic_coordinate_descent(X, y, alpha=0.01, l1_ratio=l1_ratio, tol=TOL, **options)
    peer = LogisticRegression(C=100 / weights.sum(), l1_ratio=l1_ratio, fit_intercept=fit_intercept, tol=1e-12,
                              random_state=0, max_iter=10**5, solver="saga" if l1_ratio else "newton-cholesky")
    peer.fit(X, y, sample_weight=weights)
    assert fit.gap <= TOL
    np.testing.assert_allclose([*fit.coef, fit.intercept], [*peer.coef_[0], *np.atleast_1d(peer.intercept_)], atol=1e-5)


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_sparse_columns_equal_dense(fit_intercept: bool) -> None:
    """Dense columns are centred and sparse ones are not: two ways to one solution."""
    X, y, weights = make_data()
    X[np.random.default_rng(1).random(X.shape) < 0.6] = 0.0
    options: dict[str, Any] = {"alpha": 0.02, "sample_weight": weights, "fit_intercept": fit_intercept, "tol": TOL}
    dense, *others = (logistic_coordinate_descent(form, y, **options) for form in
                      (X, X.tolist(), sp.csr_array(X), sp.csc_array(X)))  # fmt: skip
    for fit in others:
        assert fit.gap <= TOL
        np.testing.assert_allclose([*fit.coef, fit.intercept], [*dense.coef, dense.intercept], rtol=0, atol=1e-6)


def test_fractions_are_weighted_labels() -> None:
    X, _, weights = make_data()
    share = np.random.default_rng(2).random(len(X))
    both = np.repeat([0.0, 1.0], len(X)), np.concatenate([weights * (1.0 - share), weights * share])
    options: dict[str, Any] = {"alpha": 0.01, "l1_ratio": 0.7, "tol": 1e-14}
    one = logistic_coordinate_descent(X, share, sample_weight=weights, **options)
    two = logistic_coordinate_descent(np.vstack([X, X]), both[0], sample_weight=both[1], **options)
    np.testing.assert_allclose([*one.coef, one.intercept], [*two.coef, two.intercept], atol=1e-6)


def test_path_is_warm_started_and_each_alpha_is_certified() -> None:
    X, y, _ = make_data()
    top = regfast.alpha_max(X, y, family="binomial", standardize=False)
    alphas = top * np.geomspace(1.0, 1e-2, 8)
    fits = reference.path(X, y, alphas, solve=logistic_coordinate_descent, tol=1e-9)
    assert (fits[0].coef, fits[0].epochs) == ([0.0] * X.shape[1], 0)
    assert fits[0].intercept == pytest.approx(math.log(y.mean() / (1.0 - y.mean())))
    assert all(fit.gap <= 1e-9 for fit in fits)
    assert [np.count_nonzero(fit.coef) > 0 for fit in fits] == [False] + [True] * 7
    cold = [logistic_coordinate_descent(X, y, alpha=a, tol=1e-9) for a in alphas]
    assert sum(fit.epochs for fit in fits) < sum(fit.epochs for fit in cold)


@every_ratio
def test_degenerate(l1_ratio: float) -> None:
    X, y, _ = make_data(p=4)
    X[:, 1], X[:, 2] = 0.1, 0.0
    fit = logistic_coordinate_descent(X, y, alpha=0.05, l1_ratio=l1_ratio, tol=TOL)
    assert (fit.coef[1:3], fit.gap <= TOL) == ([0.0, 0.0], True)
    assert logistic_coordinate_descent([[], []], [0.0, 1.0], alpha=1.0) == reference.Fit([], 0.0, 0.0, 0)
    flat = logistic_coordinate_descent(X, [0.25] * len(X), alpha=0.1, l1_ratio=l1_ratio)
    assert (flat.coef, flat.epochs) == ([0.0] * 4, 0)
    assert flat.intercept == pytest.approx(-math.log(3.0))


@pytest.mark.parametrize(
    ("argument", "value"),
    [("alpha", 0.0), ("alpha", math.nan), ("l1_ratio", 1.5), ("sample_weight", [-1.0, 1.0]), ("coef", [1.0, 1.0]),
     ("y", [0.0, 2.0]), ("y", [1.0, 1.0]), ("y", [0.0, 0.0])],
)  # fmt: skip
def test_errors_name_the_argument(argument: str, value: Any) -> None:
    options: dict[str, Any] = {"y": [0.0, 1.0], "alpha": 0.1, argument: value}
    with pytest.raises(ValueError, match=argument):
        logistic_coordinate_descent([[1.0], [2.0]], **options)
