"""The plain-Python oracle, itself held against certificates, identities, closed forms and scikit-learn."""

import math
from typing import Any

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.linear_model import ElasticNet

from regfast import reference

Array = NDArray[np.float64]
TOL = 1e-12


def make_data(n: int = 40, p: int = 12, seed: int = 0) -> tuple[Array, Array, Array]:
    """Columns of very different scales, none of mean zero, some correlated, and weights with one zero."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) * rng.uniform(0.2, 3.0, p) + rng.uniform(-2.0, 2.0, p)
    X[:, 1] += X[:, 0]
    y = X[:, :2] @ np.array([1.0, -2.0]) + 3.0 * X[:, -1] + rng.standard_normal(n) + 7.0
    weights = rng.uniform(0.0, 2.0, n)
    weights[3] = 0.0
    return X, y, weights


def penalty_terms(
    X: Array, w: Array, alpha: float, l1_ratio: float, v: Any = None, standardize: bool = False
) -> tuple[Array, Array]:
    """The L1 and the L2 strength of every column."""
    scale = np.sqrt(w @ (X - w @ X) ** 2) if standardize else np.ones(X.shape[1])
    v = np.ones(X.shape[1]) if v is None else np.asarray(v)
    return alpha * v * l1_ratio * scale, alpha * v * (1.0 - l1_ratio) * scale**2


def kkt_residual(
    fit: reference.Fit, X: Array, y: Array, w: Array, l1: Array, l2: Array,
    low: float = -np.inf, high: float = np.inf,
) -> float:  # fmt: skip
    """The largest violation of 0 ∈ gradient + subdifferential + normal cone of the bounds."""
    b = np.asarray(fit.coef)
    slope = X.T @ (w * (y - fit.intercept - X @ b)) - l2 * b  # must lie in l1 ∂|b| + the normal cone
    least, most = np.where(b > 0, l1, -l1), np.where(b < 0, -l1, l1)
    most = np.where(b >= high, np.inf, most)
    least = np.where(b <= low, -np.inf, least)
    return float(np.maximum(np.maximum(least - slope, slope - most), 0.0).max())


def gap_by_numpy(fit: reference.Fit, X: Array, y: Array, w: Array, l1: Array, l2: Array) -> float:
    """P − D from P and D themselves, on centred data: no bounds, no free column."""
    Xc, yc, b = X - w @ X, y - w @ y, np.asarray(fit.coef)
    r = yc - Xc @ b
    primal = 0.5 * w @ r**2 + l1 @ abs(b) + 0.5 * l2 @ b**2
    tops = [0.0]  # θ = 0 is always feasible
    if l2.min() > 0:  # dual B: θ = r
        excess = np.maximum(abs(Xc.T @ (w * r)) - l1, 0.0)
        tops.append(0.5 * w @ yc**2 - 0.5 * w @ (yc - r) ** 2 - 0.5 * (excess**2 / l2).sum())
    if l1.min() > 0:  # dual A: the lasso with rows diag(√l2) and targets 0, all in one least-squares problem
        rows = np.vstack([np.sqrt(w)[:, None] * Xc, np.diag(np.sqrt(l2))])
        target = np.concatenate([np.sqrt(w) * yc, np.zeros(len(l2))])
        residual = target - rows @ b
        residual *= min(1.0, 1.0 / (abs(rows.T @ residual) / l1).max())
        tops.append(0.5 * target @ target - 0.5 * ((target - residual) ** 2).sum())
    return float(primal - max(tops)) / (0.5 * w @ yc**2)


# ------------------------------------------------------------------------------------------- gradient descent


def test_ridge_gradient_descent_reaches_the_closed_form() -> None:
    X, y, _ = make_data(p=3)
    X = (X - X.mean(axis=0)) / X.std(axis=0) + 0.5
    lam, n = 0.3, len(y)
    weights, bias = reference.ridge_gradient_descent(X, y, lam=lam, rate=0.2, epochs=2000)
    A = np.column_stack([X, np.ones(n)])  # (A'A/n + lam diag(1, ..., 1, 0)) (w, b) = A'y/n
    exact = np.linalg.solve(A.T @ A / n + lam * np.diag([1.0, 1.0, 1.0, 0.0]), A.T @ y / n)
    np.testing.assert_allclose([*weights, bias], exact, rtol=1e-10)


def test_the_two_algorithms_agree() -> None:
    X, y, _ = make_data(p=3)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    weights, bias = reference.ridge_gradient_descent(X, y, lam=0.3, rate=0.2, epochs=2000)
    fit = reference.coordinate_descent(X, y, alpha=0.3, l1_ratio=0.0, tol=1e-14)
    np.testing.assert_allclose([*weights, bias], [*fit.coef, fit.intercept], atol=1e-6)


def test_bias_is_not_penalised() -> None:
    X, y, _ = make_data(p=2)
    weights, bias = reference.ridge_gradient_descent(X, y, lam=1e6, rate=1e-6, epochs=3)
    more, _ = reference.ridge_gradient_descent(X, y + 100.0, lam=1e6, rate=1e-6, epochs=3)
    assert max(map(abs, weights + more)) < 1e-3
    assert bias > 0.0


def test_too_large_a_rate_is_an_error() -> None:
    X, y, _ = make_data(p=2)
    with pytest.raises(ArithmeticError, match="rate=10"):
        reference.ridge_gradient_descent(X, y, rate=10.0, epochs=1000)


@pytest.mark.parametrize("seed", [0, 1])
def test_teaching_example(seed: int, capsys: pytest.CaptureFixture[str]) -> None:
    weight, bias = reference.teaching_example(seed)
    lines = capsys.readouterr().out.splitlines()
    epochs = [int(line.split()[1]) for line in lines[:-1]]
    losses = [float(line.split()[3]) for line in lines[:-1]]
    assert epochs == list(range(100, 1001, 100))
    assert losses == sorted(losses, reverse=True)
    assert losses[0] > losses[-1]
    X, y = reference.teaching_data(seed)
    slope, level = np.polyfit(np.ravel(X), y, 1)
    assert (weight, bias) == pytest.approx((slope, level), abs=1e-5)
    assert (weight, bias) == pytest.approx((3.0, 2.0), abs=0.1)
    assert f"weight {weight:.4f}" in lines[-1]
    assert f"bias {bias:.4f}" in lines[-1]
    assert losses[-1] == pytest.approx(0.5 * np.mean((np.ravel(X) * slope + level - y) ** 2), abs=1e-6)


# ----------------------------------------------------------------------------------------- coordinate descent


@pytest.mark.parametrize("t", [0.0, 0.7])
@pytest.mark.parametrize("z", [-2.0, -0.7, -0.1, 0.0, 0.3, 0.7, 5.0])
def test_soft_threshold_is_the_proximal_point(z: float, t: float) -> None:
    found = scipy.optimize.minimize_scalar(lambda b: 0.5 * (b - z) ** 2 + t * abs(b), tol=1e-12).x
    assert reference.soft_threshold(z, t) == pytest.approx(found, abs=1e-6)


@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize("l1_ratio", [1.0, 0.5, 0.0])
@pytest.mark.parametrize("alpha", [1.0, 0.1, 0.01])
def test_certificate(alpha: float, l1_ratio: float, standardize: bool) -> None:
    X, y, weights = make_data()
    options: dict[str, Any] = {"alpha": alpha, "l1_ratio": l1_ratio, "standardize": standardize}
    fit = reference.coordinate_descent(X, y, sample_weight=weights, tol=TOL, **options)
    w = weights / weights.sum()
    l1, l2 = penalty_terms(X, w, alpha, l1_ratio, standardize=standardize)
    assert fit.gap <= TOL
    assert gap_by_numpy(fit, X, y, w, l1, l2) <= 2 * TOL
    assert kkt_residual(fit, X, y, w, l1, l2) <= 1e-5


@pytest.mark.parametrize("l1_ratio", [1.0, 0.5, 0.0])
def test_gap_of_an_unfinished_fit_is_the_true_gap(l1_ratio: float) -> None:
    X, y, weights = make_data()
    w = weights / weights.sum()
    options: dict[str, Any] = {"alpha": 0.1, "l1_ratio": l1_ratio, "sample_weight": weights}
    fit = reference.coordinate_descent(X, y, max_epochs=3, tol=0.0, **options)
    l1, l2 = penalty_terms(X, w, 0.1, l1_ratio)
    assert fit.epochs == 3
    assert fit.gap > 1e-6
    assert fit.gap == pytest.approx(gap_by_numpy(fit, X, y, w, l1, l2), rel=1e-8)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("l1_ratio", [1.0, 0.6, 0.1])
def test_agrees_with_scikit_learn(l1_ratio: float, fit_intercept: bool) -> None:
    X, y, weights = make_data()
    fit = reference.coordinate_descent(
        X, y, alpha=0.2, l1_ratio=l1_ratio, sample_weight=weights, fit_intercept=fit_intercept, tol=1e-15
    )
    peer = ElasticNet(alpha=0.2, l1_ratio=l1_ratio, fit_intercept=fit_intercept, tol=1e-12, max_iter=100_000)
    peer.fit(X, y, sample_weight=weights)
    np.testing.assert_allclose(fit.coef, peer.coef_, atol=2e-5)
    assert fit.intercept == pytest.approx(peer.intercept_, abs=1e-4)
    assert fit.gap <= 1e-13


@pytest.mark.parametrize("option", ["plain", "no intercept", "standardize", "weights", "free"])
def test_sparse_columns_equal_dense(option: str) -> None:
    X, y, weights = make_data()
    X[np.random.default_rng(1).random(X.shape) < 0.6] = 0.0
    options: dict[str, Any] = {
        "plain": {},
        "no intercept": {"fit_intercept": False},
        "standardize": {"standardize": True},
        "weights": {"sample_weight": weights},
        "free": {"penalty_factors": [0.0, 0.0] + [1.0] * 10},
    }[option]
    solve = {"alpha": 0.1, "l1_ratio": 0.7, "tol": TOL, **options}
    dense = reference.coordinate_descent(X.tolist(), y.tolist(), **solve)
    columns = [(np.flatnonzero(x).tolist(), x[x != 0.0].tolist()) for x in X.T]
    for form in (X, np.asfortranarray(X), sp.csr_array(X), sp.csc_matrix(X), sp.coo_array(X), columns):
        fit = reference.coordinate_descent(form, y, **solve)
        got, want = [*fit.coef, fit.intercept], [*dense.coef, dense.intercept]
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-12)
    assert dense.gap <= TOL


def test_duplicate_sparse_entries_are_summed_and_the_matrix_is_left_alone() -> None:
    X = sp.csc_array((np.array([1.0, 2.0, 5.0]), np.array([0, 0, 2]), np.array([0, 3])), shape=(3, 1))
    ((rows, values),) = reference.columns_of(X)
    assert (list(rows), list(values)) == ([0, 2], [3.0, 5.0])
    assert X.nnz == 3


@pytest.mark.parametrize("standardize", [False, True])
def test_weights_equal_repeated_rows(standardize: bool) -> None:
    X, y, _ = make_data()
    repeats = np.random.default_rng(2).integers(0, 4, len(y))
    options: dict[str, Any] = {"alpha": 0.1, "l1_ratio": 0.7, "tol": 1e-14, "standardize": standardize}
    weighted = reference.coordinate_descent(X, y, sample_weight=repeats, **options)
    repeated = reference.coordinate_descent(np.repeat(X, repeats, axis=0), np.repeat(y, repeats), **options)
    np.testing.assert_allclose(weighted.coef, repeated.coef, rtol=0, atol=1e-9)


def test_standardize_equals_scaling_the_columns_by_hand() -> None:
    X, y, weights = make_data()
    w = weights / weights.sum()
    scale = np.sqrt(w @ (X - w @ X) ** 2)
    options: dict[str, Any] = {"alpha": 0.1, "l1_ratio": 0.5, "sample_weight": weights, "tol": 1e-14}
    inside = reference.coordinate_descent(X, y, standardize=True, **options)
    outside = reference.coordinate_descent(X / scale, y, **options)
    np.testing.assert_allclose(inside.coef, outside.coef / scale, atol=1e-9)


def test_offset_is_part_of_the_prediction() -> None:
    X, y, weights = make_data()
    options: dict[str, Any] = {"alpha": 0.1, "sample_weight": weights, "tol": TOL}
    fit = reference.coordinate_descent(X, y, offset=X[:, 0], **options)
    assert fit == reference.coordinate_descent(X, y - X[:, 0], **options)


@pytest.mark.parametrize("bounds", [(0.0, np.inf), (-0.4, 0.3), (-np.inf, 0.0)])
@pytest.mark.parametrize("l1_ratio", [1.0, 0.5, 0.0])
@pytest.mark.parametrize("alpha", [0.1, 0.0])
def test_bounds(alpha: float, l1_ratio: float, bounds: tuple[float, float]) -> None:
    X, y, weights = make_data()
    w = weights / weights.sum()
    fit = reference.coordinate_descent(
        X, y, alpha=alpha, l1_ratio=l1_ratio, sample_weight=weights, bounds=bounds, tol=TOL
    )
    l1, l2 = penalty_terms(X, w, alpha, l1_ratio)
    assert fit.gap <= TOL
    assert min(fit.coef) >= bounds[0]
    assert max(fit.coef) <= bounds[1]
    assert kkt_residual(fit, X, y, w, l1, l2, *bounds) <= 1e-5


@pytest.mark.parametrize("l1_ratio", [1.0, 0.5, 0.0])
def test_penalty_factors(l1_ratio: float) -> None:
    X, y, weights = make_data()
    w = weights / weights.sum()
    v = np.array([0.0, 0.0, np.inf] + [0.5, 1.0, 2.0] * 3)
    fit = reference.coordinate_descent(
        X, y, alpha=0.3, l1_ratio=l1_ratio, sample_weight=weights, penalty_factors=v, tol=TOL
    )
    assert fit.gap <= TOL
    assert fit.coef[2] == 0.0
    kept = v < np.inf
    l1, l2 = penalty_terms(X[:, kept], w, 0.3, l1_ratio, v[kept])
    inner = fit._replace(coef=np.array(fit.coef)[kept].tolist())
    assert kkt_residual(inner, X[:, kept], y, w, l1, l2) <= 1e-5


def test_free_columns_alone_are_least_squares() -> None:
    X, y, _ = make_data(p=4)
    exact = np.linalg.lstsq(np.column_stack([X, np.ones(len(y))]), y, rcond=None)[0]
    for options in ({"alpha": 0.0}, {"alpha": 5.0, "penalty_factors": np.zeros(4)}):
        fit = reference.coordinate_descent(X, y, tol=1e-14, **options)
        np.testing.assert_allclose([*fit.coef, fit.intercept], exact, atol=1e-5)
        assert fit.gap <= 1e-14


def test_gap_is_relative_to_the_null_model_with_the_free_columns() -> None:
    """With alpha huge the null model is the optimum: the gap at b = 0 is (SST − SSE) / SSE of the free columns."""
    X, y, _ = make_data()
    A = np.column_stack([X[:, :2], np.ones(len(y))])
    sse = float(((y - A @ np.linalg.lstsq(A, y, rcond=None)[0]) ** 2).sum())
    fit = reference.coordinate_descent(X, y, alpha=1e3, penalty_factors=[0.0] * 2 + [1.0] * 10, max_epochs=0)
    assert fit.gap == pytest.approx((y.var() * len(y) - sse) / sse, rel=1e-10)


def test_path_is_warm_started_and_each_alpha_is_certified() -> None:
    X, y, weights = make_data()
    w = weights / weights.sum()
    top = float(abs(X.T @ (w * (y - w @ y))).max())
    alphas = top * np.geomspace(1.0, 1e-3, 12)
    fits = reference.path(X, y, alphas, sample_weight=weights, tol=1e-10)
    assert fits[0].coef == [0.0] * X.shape[1]
    assert fits[0].epochs == 0
    assert all(fit.gap <= 1e-10 for fit in fits)
    assert [np.count_nonzero(fit.coef) > 0 for fit in fits] == [False] + [True] * 11
    cold = [reference.coordinate_descent(X, y, alpha=a, sample_weight=weights, tol=1e-10) for a in alphas]
    assert sum(fit.epochs for fit in fits) < sum(fit.epochs for fit in cold)
    np.testing.assert_allclose([f.coef for f in fits], [f.coef for f in cold], atol=1e-3)


def test_columns_without_spread_get_zero() -> None:
    X, y, _ = make_data(p=4)
    X[:, 1], X[:, 2] = 0.1, 0.0
    for alpha in (0.0, 0.1):
        fit = reference.coordinate_descent(X, y, alpha=alpha, tol=TOL)
        assert fit.coef[1:3] == [0.0, 0.0]
        assert fit.gap <= TOL
        free = reference.coordinate_descent(X, y, alpha=alpha, fit_intercept=False, tol=TOL)
        assert free.coef[1] != 0.0
        assert free.coef[2] == 0.0
        assert free.gap <= TOL


@pytest.mark.parametrize("l1_ratio", [1.0, 0.5, 0.0])
def test_constant_y_and_no_columns(l1_ratio: float) -> None:
    X, _, _ = make_data()
    constant = reference.coordinate_descent(X, [0.1] * len(X), alpha=0.1, l1_ratio=l1_ratio)
    assert constant == reference.Fit([0.0] * 12, 0.1, 0.0, 0)
    assert reference.coordinate_descent([[], []], [1.0, 3.0], alpha=1.0) == reference.Fit([], 2.0, 0.0, 0)


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("alpha", -1.0),
        ("alpha", math.nan),
        ("l1_ratio", 1.5),
        ("sample_weight", [1.0]),
        ("sample_weight", [-1.0, 1.0]),
        ("sample_weight", [0.0, 0.0]),
        ("offset", [1.0]),
        ("penalty_factors", [-1.0]),
        ("penalty_factors", [1.0, 1.0]),
        ("bounds", (0.5, 1.0)),
        ("coef", [1.0, 1.0]),
    ],
)
def test_errors_name_the_argument(argument: str, value: Any) -> None:
    options = {"alpha": 0.1, argument: value}
    with pytest.raises(ValueError, match=argument):
        reference.coordinate_descent([[1.0], [2.0]], [1.0, 2.0], **options)


def test_rows_must_match() -> None:
    with pytest.raises(ValueError, match="X has 2 rows, y has 3"):
        reference.coordinate_descent([[1.0], [2.0]], [1.0, 2.0, 3.0], alpha=0.1)
    with pytest.raises(ValueError, match="rows of one length"):
        reference.coordinate_descent([[1.0], [2.0, 3.0]], [1.0, 2.0], alpha=0.1)
