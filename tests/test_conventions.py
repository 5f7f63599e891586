"""Every translation against the library it names, or an independent solution of the objective it names."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.optimize
from numpy.typing import NDArray
from sklearn.linear_model import ElasticNet, Lasso, LogisticRegression, PoissonRegressor, Ridge
from sklearn.svm import LinearSVC

from regfast import conventions, reference

Array = NDArray[np.float64]
ALPHAS = [0.02, 0.3, 1.7]


def make_data(n: int = 60, p: int = 4, seed: int = 0) -> tuple[Array, Array, Array]:
    """X (n, p) with unequal scales, y with a standard deviation far from 1, weights that do not sum to n."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) * np.array([0.5, 1.0, 2.0, 1.0])[:p] + rng.uniform(-1.0, 1.0, p)
    y = 4.0 * (X @ np.array([1.0, -1.5, 0.1, 0.0])[:p]) + 3.0 * rng.standard_normal(n) + 5.0
    return X, y, rng.uniform(0.1, 2.0, n)


def solve(X: Array, y: Array, alpha: float, l1_ratio: float, **options: Any) -> Array:
    """regfast's answer by the plain-Python oracle: (p + 1,), coefficients then intercept."""
    fit = reference.coordinate_descent(X, y, alpha=alpha, l1_ratio=l1_ratio, tol=1e-15, **options)
    assert fit.gap <= 1e-13
    return np.array([*fit.coef, fit.intercept])


def minimise(smooth: Callable[[Array], float], l1: Array) -> Array:
    """argmin of smooth(z) + Σ l1_j |z_j|, by L-BFGS-B on the positive and negative parts of z."""
    p = len(l1)
    options = {"ftol": 1e-15, "gtol": 1e-9, "maxiter": 10_000, "maxfun": 1_000_000}

    def objective(z: Array) -> float:
        return float(smooth(z[:p] - z[p:]) + l1 @ (z[:p] + z[p:]))

    box = [(0.0, None)] * (2 * p)
    z = scipy.optimize.minimize(objective, np.zeros(2 * p), bounds=box, method="L-BFGS-B", options=options).x
    return np.asarray(z[:p] - z[p:])


def logistic(X: Array, y: Array, w: Array, alpha: float, l1_ratio: float, penalise: float = 0.0) -> Array:
    """regfast's logistic objective solved directly; y in {0, 1}; `penalise` also penalises the intercept."""
    held = np.array([1.0] * X.shape[1] + [penalise])

    def smooth(z: Array) -> float:
        eta = X @ z[:-1] + z[-1]
        loss = w @ (np.logaddexp(0.0, eta) - y * eta) / w.sum()
        return float(loss + alpha * (1.0 - l1_ratio) / 2 * (held @ z**2))

    return minimise(smooth, alpha * l1_ratio * held)


TWO = {
    "lambdas": (conventions.to_lambdas, conventions.from_lambdas, ()),
    "zou_hastie": (conventions.to_zou_hastie, conventions.from_zou_hastie, (37,)),
    "glmnet": (conventions.to_glmnet, conventions.from_glmnet, (4.2,)),
    "spark": (conventions.to_spark, conventions.from_spark, (0.3,)),
}
ONE = {
    "mse": (conventions.to_mse, conventions.from_mse, ()),
    "half_mse": (conventions.to_half_mse, conventions.from_half_mse, ()),
    "ridge": (conventions.to_ridge, conventions.from_ridge, (37.5,)),
    "c": (conventions.to_c, conventions.from_c, (37,)),
    "statsmodels": (conventions.to_statsmodels, lambda alphas, p: conventions.from_statsmodels(alphas), (3,)),
    "logit": (conventions.to_statsmodels_logit, conventions.from_statsmodels_logit, (37, 3)),
}


@pytest.mark.parametrize("alpha", [0.0, *ALPHAS])
@pytest.mark.parametrize("l1_ratio", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("name", TWO)
def test_round_trip_of_two_numbers(name: str, l1_ratio: float, alpha: float) -> None:
    to, back, extra = TWO[name]
    found = back(*to(alpha, l1_ratio, *extra), *extra)
    assert found.alpha == pytest.approx(alpha, rel=1e-14)
    assert found.l1_ratio == pytest.approx(l1_ratio if alpha else 1.0, rel=1e-14)


@pytest.mark.parametrize("alpha", [0.0, *ALPHAS])
@pytest.mark.parametrize("name", ONE)
def test_round_trip_of_one_number(name: str, alpha: float) -> None:
    to, back, extra = ONE[name]
    assert back(to(alpha, *extra), *extra[:1]) == pytest.approx(alpha, rel=1e-14)


@pytest.mark.parametrize("l1_ratio", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("alpha", ALPHAS)
def test_objectives_are_proportional_everywhere(alpha: float, l1_ratio: float) -> None:
    """Not only at the minimum: each form is regfast's objective times its constant, at any point."""
    X, y, _ = make_data()
    n = len(y)
    b = np.random.default_rng(1).standard_normal(X.shape[1])
    sse, l1, l2 = float(((y - 5.0 - X @ b) ** 2).sum()), float(abs(b).sum()), float(b @ b)
    ours = sse / (2 * n) + alpha * (l1_ratio * l1 + (1 - l1_ratio) / 2 * l2)
    one, two = conventions.to_lambdas(alpha, l1_ratio)
    assert sse / (2 * n) + one * l1 + two / 2 * l2 == pytest.approx(ours, rel=1e-13)
    one, two = conventions.to_zou_hastie(alpha, l1_ratio, n)
    assert sse + one * l1 + two * l2 == pytest.approx(2 * n * ours, rel=1e-13)
    lam = conventions.to_mse(alpha)
    assert sse / n + lam * (l1_ratio * l1 + (1 - l1_ratio) / 2 * l2) == pytest.approx(2 * ours, rel=1e-13)
    if l1_ratio == 0.0:
        assert sse / (2 * n) + conventions.to_half_mse(alpha) * l2 == pytest.approx(ours, rel=1e-13)
        lam = conventions.to_ridge(alpha, n)
        assert sse / (2 * n) + lam / (2 * n) * l2 == pytest.approx(ours, rel=1e-13)


@pytest.mark.parametrize("lam", ALPHAS)
def test_ridge_forms_by_normal_equations(lam: float) -> None:
    """Each ridge form's own normal equations against regfast's minimiser at the translated alpha."""
    X, y, _ = make_data()
    n, p = X.shape
    A = np.column_stack([X, np.ones(n)])
    free = np.diag([1.0] * p + [0.0])
    for factor, alpha in [
        (n * lam / 2, conventions.from_mse(lam)),  # SSE/n + (lam/2)‖b‖²
        (2 * n * lam, conventions.from_half_mse(lam)),  # SSE/(2n) + lam‖b‖²
        (lam, conventions.from_ridge(lam, n)),  # SSE/(2n) + lam/(2n)‖b‖²
        (n * lam, lam),  # reference.ridge_gradient_descent
    ]:
        exact = np.linalg.solve(A.T @ A + factor * free, A.T @ y)
        np.testing.assert_allclose(solve(X, y, alpha, 0.0), exact, atol=1e-6)


@pytest.mark.parametrize("l1_ratio", [0.4, 1.0])
@pytest.mark.parametrize("alpha", ALPHAS)
def test_lasso_and_elastic_net_need_no_translation(alpha: float, l1_ratio: float) -> None:
    X, y, w = make_data()
    ours = solve(X, y, alpha, l1_ratio, sample_weight=w)
    net = ElasticNet(alpha=alpha, l1_ratio=l1_ratio, tol=1e-12, max_iter=100_000)
    for peer in [net, Lasso(alpha=alpha, tol=1e-12, max_iter=100_000)] if l1_ratio == 1.0 else [net]:
        peer.fit(X, y, sample_weight=w)
        np.testing.assert_allclose([*peer.coef_, peer.intercept_], ours, atol=2e-5)


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("weighted", [False, True])
def test_ridge(alpha: float, weighted: bool) -> None:
    X, y, w = make_data()
    weights = w if weighted else None
    total = float(w.sum()) if weighted else len(y)
    peer = Ridge(alpha=conventions.to_ridge(alpha, total)).fit(X, y, sample_weight=weights)
    ours = solve(X, y, alpha, 0.0, sample_weight=weights)
    np.testing.assert_allclose([*peer.coef_, peer.intercept_], ours, atol=1e-6)


@pytest.mark.parametrize("l1_ratio", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("alpha", [0.02, 0.1])
def test_logistic_regression(alpha: float, l1_ratio: float) -> None:
    X, y, w = make_data()
    labels = (y > np.median(y)).astype(float)
    C = conventions.to_c(alpha, float(w.sum()))
    solver = "lbfgs" if l1_ratio == 0.0 else "saga"
    options: dict[str, Any] = {"solver": solver, "tol": 1e-8, "max_iter": 100_000, "random_state": 0}
    peer = LogisticRegression(C=C, l1_ratio=l1_ratio, **options).fit(X, labels, sample_weight=w)
    ours = logistic(X, labels, w, alpha, l1_ratio)
    np.testing.assert_allclose([*peer.coef_[0], peer.intercept_[0]], ours, atol=2e-4)


@pytest.mark.parametrize("l1_ratio", [0.0, 1.0])
def test_liblinear_penalises_the_intercept(l1_ratio: float) -> None:
    X, y, _ = make_data()
    X, labels = X + 1.0, (y > np.quantile(y, 0.2)).astype(float)
    ones, alpha = np.ones(len(y)), 0.05
    C = conventions.to_c(alpha, len(y))

    def liblinear(**options: Any) -> Array:
        options |= {"solver": "liblinear", "tol": 1e-10, "max_iter": 100_000, "random_state": 0}
        peer = LogisticRegression(C=C, l1_ratio=l1_ratio, **options).fit(X, labels)
        return np.array([*peer.coef_[0], *np.atleast_1d(peer.intercept_)])

    free = logistic(X, labels, ones, alpha, l1_ratio)
    held = logistic(X, labels, ones, alpha, l1_ratio, penalise=1.0)
    np.testing.assert_allclose(liblinear(), held, atol=2e-4)
    assert abs(liblinear() - free).max() > 1e-2
    assert abs(liblinear(intercept_scaling=100.0) - free).max() < abs(liblinear() - free).max() / 10


def test_linear_svc() -> None:
    X, y, _ = make_data()
    signs, alpha = np.where(y > np.median(y), 1.0, -1.0), 0.1
    C = conventions.to_c(alpha, len(y))
    peer = LinearSVC(C=C, tol=1e-10, max_iter=1_000_000, random_state=0).fit(X, signs)

    def smooth(z: Array) -> float:  # mean squared hinge + alpha/2 (‖b‖² + b0²)
        return float((np.maximum(0.0, 1.0 - signs * (X @ z[:-1] + z[-1])) ** 2).mean() + alpha / 2 * (z @ z))

    ours = minimise(smooth, np.zeros(X.shape[1] + 1))
    np.testing.assert_allclose([*peer.coef_[0], peer.intercept_[0]], ours, atol=2e-4)


def test_poisson_regressor_needs_no_translation() -> None:
    X, y, w = make_data()
    counts, alpha = np.floor(abs(y)), 0.1
    peer = PoissonRegressor(alpha=alpha, tol=1e-9, max_iter=10_000).fit(X, counts, sample_weight=w)

    def smooth(z: Array) -> float:
        eta = X @ z[:-1] + z[-1]
        return float(w @ (np.exp(eta) - counts * eta) / w.sum() + alpha / 2 * (z[:-1] @ z[:-1]))

    ours = minimise(smooth, np.zeros(X.shape[1] + 1))
    np.testing.assert_allclose([*peer.coef_, peer.intercept_], ours, atol=2e-4)


def glmnet_gaussian(
    X: Array, y: Array, weights: Array, lam: float, a: float, *,
    standardize: bool = True, intercept: bool = True, penalty_factor: Any = None,
) -> Array:  # fmt: skip
    """R glmnet's documented procedure, step by step: scale x and y, rescale lambda and factors, fit, unscale.

    Its objective on the scaled data is ½ Σ w (y − x b)² + lam Σ v_j [a|b_j| + (1 − a)/2 b_j²].
    """
    w = weights / weights.sum()
    v = np.ones(X.shape[1]) if penalty_factor is None else np.array(penalty_factor, dtype=float)
    counted = np.where(np.isinf(v), 1.0, v)
    v = np.where(np.isinf(v), v, counted * len(v) / counted.sum())
    x_scale = np.sqrt(w @ (X - w @ X) ** 2) if standardize else np.ones(X.shape[1])
    y_mean = w @ y if intercept else 0.0
    y_scale = np.sqrt(w @ (y - y_mean) ** 2)
    Z, target = (X - (w @ X if intercept else 0.0)) / x_scale, (y - y_mean) / y_scale
    b = solve(Z, target, lam / y_scale, a, sample_weight=w, fit_intercept=False, penalty_factors=v)[:-1]
    b = b * y_scale / x_scale
    return np.array([*b, (y_mean - w @ X @ b) if intercept else 0.0])


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("l1_ratio", [0.0, 0.4, 1.0])
def test_glmnet_gaussian(l1_ratio: float, standardize: bool, intercept: bool) -> None:
    X, y, weights = make_data()
    w = weights / weights.sum()
    sd_y = float(np.sqrt(w @ (y - (w @ y if intercept else 0.0)) ** 2))
    assert sd_y > 3.0  # so that ignoring it would show
    lam, a = conventions.to_glmnet(0.3, l1_ratio, sd_y)
    how = {"standardize": standardize, "intercept": intercept}
    ours = solve(X, y, 0.3, l1_ratio, sample_weight=weights, standardize=standardize, fit_intercept=intercept)
    np.testing.assert_allclose(glmnet_gaussian(X, y, weights, lam, a, **how), ours, atol=1e-6)
    if l1_ratio < 1.0:
        naive = glmnet_gaussian(X, y, weights, 0.3, l1_ratio, **how)
        assert abs(naive - ours).max() > 1e-2


@pytest.mark.parametrize("factors", [[0.0, 1.0, 2.0, 4.0], [0.5, math.inf, 1.0, 3.0]])
def test_glmnet_factors(factors: list[float]) -> None:
    X, y, weights = make_data()
    w = weights / weights.sum()
    sd_y = float(np.sqrt(w @ (y - w @ y) ** 2))
    rescaled, multiplier = conventions.glmnet_factors(factors)
    lam, a = conventions.to_glmnet(0.3, 0.4, sd_y)
    theirs = glmnet_gaussian(X, y, weights, multiplier * lam, a, penalty_factor=factors)
    ours = solve(X, y, 0.3, 0.4, sample_weight=weights, standardize=True, penalty_factors=factors)
    np.testing.assert_allclose(theirs, ours, atol=1e-6)
    options: dict[str, Any] = {"sample_weight": weights, "standardize": True, "penalty_factors": rescaled}
    as_rescaled = solve(X, y, 0.3 * multiplier, 0.4, **options)
    np.testing.assert_allclose(as_rescaled, ours, atol=1e-6)
    assert sum(1.0 / multiplier if v == math.inf else v for v in rescaled) == pytest.approx(len(factors))


@pytest.mark.parametrize("alpha", ALPHAS)
def test_spark_normal_solver(alpha: float) -> None:
    """WeightedLeastSquares at elasticNetParam = 0: (cov(x) + regParam / sd(y) · diag var(x)) b = cov(x, y)."""
    X, y, weights = make_data()
    w = weights / weights.sum()
    Xc, yc = X - w @ X, y - w @ y
    sd_y = float(np.sqrt(w @ yc**2))
    reg_param, elastic_net_param = conventions.to_spark(alpha, 0.0, sd_y)
    assert elastic_net_param == 0.0
    cov = Xc.T @ (w[:, None] * Xc)
    b = np.linalg.solve(cov + reg_param / sd_y * np.diag(np.diag(cov)), Xc.T @ (w * yc))
    ours = solve(X, y, alpha, 0.0, sample_weight=weights, standardize=True)
    np.testing.assert_allclose([*b, w @ y - w @ X @ b], ours, atol=1e-6)


@pytest.mark.parametrize("l1_ratio", [0.4, 1.0])
def test_spark_lbfgs_solver(l1_ratio: float) -> None:
    """It scales with n − 1: ½ mean (y/sd − x/sd·b)² + r (e|b| + (1−e)/2 b²), r = regParam/sd."""
    X, y, _ = make_data()
    x_sd, y_sd = X.std(axis=0, ddof=1), float(y.std(ddof=1))
    reg_param, share = conventions.to_spark(0.3, l1_ratio, y_sd)
    b = solve((X - X.mean(axis=0)) / x_sd, (y - y.mean()) / y_sd, reg_param / y_sd, share)[:-1] * y_sd / x_sd
    ours = solve(X / x_sd, y, 0.3, l1_ratio)[:-1] / x_sd  # columns scaled with n − 1 by hand
    np.testing.assert_allclose(b, ours, atol=1e-6)


@pytest.mark.parametrize("l1_ratio", [0.0, 0.4, 1.0])
def test_statsmodels_ols(l1_ratio: float) -> None:
    sm = pytest.importorskip("statsmodels.api")
    X, y, _ = make_data()
    model = sm.OLS(y, sm.add_constant(X))
    options = {"L1_wt": l1_ratio, "method": "elastic_net"}
    options |= {} if l1_ratio == 0.0 else {"cnvrg_tol": 1e-12, "maxiter": 10_000}
    alphas = np.array(conventions.to_statsmodels(0.3, X.shape[1]))
    params = model.fit_regularized(alpha=alphas, **options).params
    ours = solve(X, y, 0.3, l1_ratio)
    np.testing.assert_allclose([*params[1:], params[0]], ours, atol=1e-5)
    scalar = model.fit_regularized(alpha=0.3, **options).params
    assert abs(scalar[0] - ours[-1]) > 1e-2  # a scalar penalises the constant


@pytest.mark.parametrize("l1_ratio", [0.4, 1.0])
def test_statsmodels_glm(l1_ratio: float) -> None:
    sm = pytest.importorskip("statsmodels.api")
    X, y, _ = make_data()
    labels = (y > np.median(y)).astype(float)
    model = sm.GLM(labels, sm.add_constant(X), family=sm.families.Binomial())
    alphas = np.array(conventions.to_statsmodels(0.05, X.shape[1]))
    params = model.fit_regularized(alpha=alphas, L1_wt=l1_ratio, cnvrg_tol=1e-12, maxiter=10_000).params
    ours = logistic(X, labels, np.ones(len(y)), 0.05, l1_ratio)
    np.testing.assert_allclose([*params[1:], params[0]], ours, atol=2e-4)


def test_statsmodels_logit() -> None:
    sm = pytest.importorskip("statsmodels.api")
    X, y, _ = make_data()
    labels = (y > np.median(y)).astype(float)
    alphas = np.array(conventions.to_statsmodels_logit(0.05, len(y), X.shape[1]))
    model, options = sm.Logit(labels, sm.add_constant(X)), {"acc": 1e-12, "disp": False, "trim_mode": "off"}
    fit = model.fit_regularized(method="l1", alpha=alphas, **options)
    ours = logistic(X, labels, np.ones(len(y)), 0.05, 1.0)
    np.testing.assert_allclose([*fit.params[1:], fit.params[0]], ours, atol=2e-4)


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda: conventions.to_lambdas(-1.0, 0.5), "alpha"),
        (lambda: conventions.to_lambdas(math.nan, 0.5), "alpha"),
        (lambda: conventions.to_lambdas(math.inf, 0.5), "alpha"),
        (lambda: conventions.to_lambdas(1.0, 1.5), "l1_ratio"),
        (lambda: conventions.from_lambdas(1.0, -1.0), "lambda2"),
        (lambda: conventions.to_zou_hastie(1.0, 1.0, 0), "n"),
        (lambda: conventions.from_mse(-1.0), "lambda_"),
        (lambda: conventions.to_ridge(1.0, -3), "n"),
        (lambda: conventions.from_ridge(-1.0, 3), "alpha_ridge"),
        (lambda: conventions.from_c(0.0, 3), "C"),
        (lambda: conventions.to_glmnet(1.0, 0.5, 0.0), "sd_y"),
        (lambda: conventions.from_glmnet(1.0, 2.0, 1.0), "alpha"),
        (lambda: conventions.glmnet_factors([0.0, 0.0]), "penalty_factors"),
        (lambda: conventions.from_spark(1.0, -0.1, 1.0), "elastic_net_param"),
        (lambda: conventions.to_statsmodels(1.0, -1), "n_features"),
        (lambda: conventions.from_statsmodels([1.0, 1.0]), "alphas"),
        (lambda: conventions.from_statsmodels([0.0, 1.0, 2.0]), "alphas"),
    ],
)
def test_errors_name_the_argument(call: Callable[[], Any], argument: str) -> None:
    with pytest.raises(ValueError, match=f"^{argument} must"):
        call()


def test_what_is_not_a_number_is_a_type_error() -> None:
    with pytest.raises(TypeError, match=r"^alpha must be a number"):
        conventions.to_ridge("1", 3)
    with pytest.raises(TypeError, match=r"^n must be a number"):
        conventions.to_ridge(1.0, None)
