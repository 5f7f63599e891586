"""Likelihoods under L2 alone, against oracles of their own: gradient and gap in NumPy, the engine's exact steps."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from scipy.special import expit, softmax, xlogy
from sklearn.exceptions import ConvergenceWarning

import regfast
from regfast import families, smooth
from regfast.multinomial import Softmax
from regfast.path import prepare, solve, solve_one
from regfast.smooth import Smooth

Float = NDArray[np.float64]
N, P = 60, 7
RNG = np.random.default_rng(0)
X = RNG.standard_normal((N, P)) * (RNG.random((N, P)) < 0.6) + [0, 0, 3, 0, -1, 0, 0]
SIGNAL = X @ RNG.standard_normal(P) / 2
W = RNG.integers(0, 4, N).astype(np.float64)
OFFSET = RNG.standard_normal(N) / 3
MEAN = np.exp(0.3 * SIGNAL + 0.2)
RESPONSES: dict[str, Any] = {
    "binomial": RNG.binomial(1, expit(SIGNAL)).astype(np.float64), "poisson": RNG.poisson(MEAN).astype(np.float64),
    "gamma": RNG.gamma(2, MEAN), "tweedie(1.3)": RNG.poisson(MEAN) * RNG.gamma(2, MEAN),
    "multinomial": RNG.integers(0, 3, N) * (SIGNAL > -0.5)}
STORAGES = {"C": np.ascontiguousarray, "F": np.asfortranarray, "CSR": sp.csr_array, "CSC": sp.csc_array,
            "float32": lambda x: x.astype(np.float32)}
ALPHAS = np.array([1.0, 0.1, 1e-3])
HOW: dict[str, Any] = {"tol": 1e-13, "max_iter": 100, "has_offset": False}


@pytest.fixture(autouse=True)
def whatever_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """Problems of tests are small."""
    monkeypatch.setattr(smooth, "SMALL", 0)


def loss_of(family: str, y: Float, eta: Float) -> tuple[Float, Float]:
    """ℓ (n,), up to what does not depend on η, and ∂ℓ/∂η of shape η (n,) or (n, C)."""
    if family == "multinomial":
        one = np.eye(eta.shape[1])[y.astype(int)]
        mu = softmax(eta, axis=1)
        return -xlogy(one, mu).sum(axis=1), mu - one
    if family == "binomial":
        return np.logaddexp(0, eta) - y * eta, expit(eta) - y
    power = {"poisson": 1.0, "gamma": 2.0}.get(family, 1.3)
    mu = np.exp(eta)
    left = eta if power == 1 else mu ** (1 - power) / (1 - power)
    right = eta if power == 2 else mu ** (2 - power) / (2 - power)
    return right - y * left, mu ** (2 - power) - y * mu ** (1 - power)


def lack(family: str, x: Float, coef: Float, intercept: Any, alpha: float, w: Float, standardize: bool,
         fit_intercept: bool, offset: Any = 0.0, v: Float | None = None) -> tuple[float, float]:
    """(gap bound ‖g‖²/(2α) over columns in units of their penalty, |Σ r|): zero at the minimum and only there."""
    w = w / w.sum()
    mean = w @ x
    l2 = (w @ (x - mean) ** 2 if standardize else np.ones(x.shape[1])) * (1 if v is None else v)
    slope = loss_of(family, RESPONSES[family], x @ coef + intercept + offset)[1]
    weighted = (slope.T * w).T
    g = (x.T @ weighted).T + alpha * l2 * coef.T
    return float((g**2 / (2 * alpha * l2)).sum()), float(np.abs(weighted.sum(axis=0)).max()) * fit_intercept


@pytest.mark.parametrize("family", RESPONSES)
@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
def test_the_gradient_vanishes(family: str, storage: str, standardize: bool, fit_intercept: bool,
                               weighted: bool) -> None:
    given = STORAGES[storage](X)
    path = regfast.fit_path(given, RESPONSES[family], family=family, l1_ratio=0, alphas=ALPHAS, tol=1e-13,
                            sample_weight=W if weighted else None, standardize=standardize, fit_intercept=fit_intercept)
    assert (path.status == "converged").all()
    assert (path.gaps <= 1e-13).all()
    x = (given.toarray() if sp.issparse(given) else given).astype(np.float64)
    for alpha in ALPHAS:
        coef, b0 = path.coef_at(alpha).T, path.intercept_at(alpha)
        gap, slope = lack(family, x, coef, b0, alpha, W if weighted else np.ones(N), standardize, fit_intercept)
        assert gap <= 1.1e-13 * path.null_deviance / 2 + 1e-15
        assert slope <= 1e-12


@pytest.mark.parametrize("family", RESPONSES)
def test_what_is_reported_is_what_certify_proves(family: str) -> None:
    kind = {"family": family, "l1_ratio": 0, "sample_weight": W}
    path = regfast.fit_path(X, RESPONSES[family], alphas=ALPHAS, tol=1e-5, **kind)
    for alpha, gap in zip(ALPHAS, path.gaps, strict=True):
        proof = regfast.certify(X, RESPONSES[family], path.coef_at(alpha), path.intercept_at(alpha), alpha=alpha,
                                **kind)
        assert proof.gap == pytest.approx(gap, rel=1e-3, abs=1e-14)


@pytest.mark.parametrize("family", [name for name in RESPONSES if name != "multinomial"])
@pytest.mark.parametrize("with_offset", [True, False])
def test_equals_the_engine(family: str, with_offset: bool) -> None:
    """Another algorithm: Newton's steps by a Cholesky factor, on columns one by one."""
    v = np.array([1, 2, 0.1, 1, np.inf, 1, 3])
    problem = prepare(X, RESPONSES[family], family=family, l1_ratio=0, sample_weight=W, penalty_factors=v,
                      offset=OFFSET if with_offset else None)
    assert Smooth.applies(problem)
    ours, other = (how(problem, ALPHAS, **HOW, standardize=True) for how in (solve, solve_one))
    assert_allclose(ours.coefs.toarray(), other.coefs.toarray(), atol=1e-6)
    assert_allclose(ours.intercepts, other.intercepts, atol=1e-6)
    assert_allclose(ours.deviance_ratio, other.deviance_ratio, atol=1e-6)  # √gap: it is not what is least
    assert ours.alpha_max == pytest.approx(other.alpha_max, rel=1e-13)
    assert ours.null_deviance == pytest.approx(other.null_deviance, rel=1e-13)
    assert not ours.coefs.toarray()[4].any()


@pytest.mark.parametrize("grouped", [True, False])
def test_classes_equal_class_after_class(grouped: bool) -> None:
    """Under L2 alone it makes no difference whether rows of coefficients enter together."""
    y = RESPONSES["multinomial"]
    ours, problem = (make(X, y, family="multinomial", l1_ratio=0, sample_weight=W, offset=np.outer(OFFSET, [1, 2, 3]),
                          **more) for make, more in ((regfast.fit_path, {"alphas": ALPHAS, "tol": 1e-13,
                                                                         "group_classes": grouped}), (prepare, {})))
    other = Softmax(problem)
    other.start()
    for alpha in ALPHAS:
        other.solve(float(alpha), 1e-13, 1000)
        assert_allclose(ours.coef_at(alpha), other.coefs(), atol=1e-6)
        assert_allclose(ours.intercept_at(alpha), other.constants(), atol=1e-6)


def test_two_classes_equal_one_predictor() -> None:
    """b_1 = −b_0 = β/2: ½ α (|b_0|² + |b_1|²) is ¼ α |β|²."""
    y = RESPONSES["binomial"]
    two = regfast.fit_path(X, y, family="multinomial", l1_ratio=0, alphas=ALPHAS, tol=1e-14)
    one = regfast.fit_path(X, y, family="binomial", l1_ratio=0, alphas=ALPHAS / 2, tol=1e-14)
    assert_allclose((two.coefs[1] - two.coefs[0]).toarray(), one.coefs.toarray(), atol=1e-6)
    assert_allclose((two.coefs[1] + two.coefs[0]).toarray(), 0, atol=1e-7)


@pytest.mark.parametrize("pays", [0, np.inf], ids=["eigenvectors", "diagonal"])
@pytest.mark.parametrize("family", ["binomial", "multinomial", "poisson"])
def test_collinear_unscaled_and_constant_columns(family: str, pays: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Columns of 1e-3 to 1e4, far from zero, twice, nearly twice, the sum of two others, or that do not vary."""
    monkeypatch.setattr(smooth, "PAYS", pays)
    Z = X * np.geomspace(1e-3, 1e3, P) + np.array([0, 1, 0, 0, 50, 0, 1e4])
    Z = np.hstack([Z, Z[:, :1], Z[:, 1:2] + 1e-9, Z[:, 2:3] + Z[:, 3:4], np.full((N, 1), 7.0)])
    path = regfast.fit_path(Z, RESPONSES[family], family=family, l1_ratio=0, alphas=ALPHAS, tol=1e-11)
    assert (path.status == "converged").all()
    for k, alpha in enumerate(ALPHAS):
        coef, b0 = path.coef_at(alpha).T, path.intercept_at(alpha)
        used = np.arange(Z.shape[1]) != 10
        gap, _ = lack(family, Z[:, used], coef[used], b0, alpha, np.ones(N), True, True)
        assert gap <= 1e-9 * path.null_deviance
        assert not coef[10].any()
        assert_allclose(coef[7], coef[0], rtol=1e-4, atol=1e-9 / Z[:, 0].std())
        assert path.gaps[k] <= 1e-11


@pytest.mark.parametrize("family", ["binomial", "multinomial", "gamma"])
@pytest.mark.parametrize("n", [1, 2, 5])
def test_fewer_rows_than_columns(family: str, n: int) -> None:
    y = np.concatenate([RESPONSES[family][:0], np.arange(n) % 3 + (family == "gamma")])
    if family == "binomial":
        y = y % 2
    if n < 3 - (family == "binomial") and family != "gamma":
        with pytest.raises(ValueError, match="class"):
            regfast.fit_path(X[:n], y[:1].repeat(n), family=family, l1_ratio=0)
        return
    Z = np.hstack([X[:n], np.flip(X[:n]) ** 2])
    path = regfast.fit_path(Z, y, family=family, l1_ratio=0, alphas=[0.1, 1e-3], standardize=False, tol=1e-12)
    assert (path.gaps <= 1e-12).all()
    coef, b0 = path.coef_at(1e-3).T, path.intercept_at(1e-3)
    slope = loss_of(family, y, Z @ coef + b0)[1] / n
    assert_allclose((Z.T @ slope).T + 1e-3 * coef.T, 0, atol=1e-6)


def test_no_columns_and_nothing_to_fit() -> None:
    path = regfast.fit_path(np.zeros((4, 0)), [0, 1, 1, 2], family="multinomial", l1_ratio=0, alphas=[1.0])
    assert_allclose(path.intercepts[:, 0] - path.intercepts[0, 0], np.log([1, 2, 1]), atol=1e-7)
    flat = regfast.fit_path(X, np.full(N, 3.0), family="poisson", l1_ratio=0, alphas=[1.0, 0.1])
    assert flat.path_status == "constant"
    assert not flat.coefs.toarray().any()
    assert_allclose(flat.intercepts, np.log(3), rtol=1e-12)


@pytest.mark.parametrize("family", ["binomial", "multinomial"])
def test_separated_labels_have_a_minimum_under_l2(family: str) -> None:
    y = (SIGNAL > 0) * 1.0 + (family == "multinomial") * (SIGNAL > 1)
    alphas = [1e-2, 1e-5, 1e-8]
    path = regfast.fit_path(X, y, family=family, l1_ratio=0, alphas=alphas, tol=1e-9)
    assert (path.gaps <= 1e-9).all()
    assert np.isfinite(path.predict(X, alpha=1e-8)).all()


def test_counts_that_a_whole_step_would_overshoot() -> None:
    Z, y = np.array([[0.0], [0.0], [1.0], [40.0]]), np.array([0.0, 1.0, 2.0, 5000.0])
    path = regfast.fit_path(Z, y, family="poisson", l1_ratio=0, alphas=[1e-6], standardize=False, tol=1e-12)
    b, b0 = path.coef_at(1e-6)[0], path.intercept_at(1e-6)
    slope = (np.exp(b0 + Z[:, 0] * b) - y) / 4
    assert abs(Z[:, 0] @ slope + 1e-6 * b) <= 1e-5
    assert path.status[0] == "converged"


def test_ends_when_told_and_says_so() -> None:
    y = RESPONSES["multinomial"]
    with pytest.warns(ConvergenceWarning, match="max_iter"):
        path = regfast.fit_path(X, y, family="multinomial", l1_ratio=0, alphas=[1e-4], max_iter=1, tol=1e-12)
    assert path.n_iter[0] == 1
    assert path.gaps[0] > 1e-12

    def interrupt(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as info:
        regfast.fit_path(X, y, family="multinomial", l1_ratio=0, alphas=ALPHAS, progress=interrupt)
    partial: Any = info.value
    assert len(partial.partial) == 2


def test_a_raised_flag_ends_it_between_two_products(monkeypatch: pytest.MonkeyPatch) -> None:
    stop = np.zeros(1, dtype=np.int32)
    problem = prepare(X, RESPONSES["binomial"], family="binomial", l1_ratio=0)
    model = Smooth(problem, stop)
    model.start()
    stop[0] = 1
    with pytest.raises(KeyboardInterrupt):
        model.solve(1e-3, 1e-12, 100)


@pytest.mark.parametrize("family", RESPONSES)
def test_cross_validation_equals_paths_on_copies(family: str) -> None:
    folds = [(np.arange(N) % 3 != k).nonzero()[0] for k in range(3)]
    pairs = [(train, np.setdiff1d(np.arange(N), train)) for train in folds]
    how: dict[str, Any] = {"family": family, "l1_ratio": 0, "alphas": ALPHAS, "tol": 1e-13}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the best α may be at the edge
        cv = regfast.fit_cv(X, RESPONSES[family], cv=pairs, keep_folds=True, n_jobs=2, **how)
    assert cv.folds is not None
    for train, _, fold in cv.folds:
        alone = regfast.fit_path(X[train], RESPONSES[family][train], **how)
        for alpha in ALPHAS:
            assert_allclose(fold.coef_at(alpha), alone.coef_at(alpha), atol=1e-6)


def test_bounds_free_columns_kinks_and_squared_error_are_not_its() -> None:
    problem = prepare(X, RESPONSES["binomial"], family="binomial", l1_ratio=0)
    assert Smooth.applies(problem)
    for other in ({"l1_ratio": 0.1}, {"bounds": (0, np.inf)}, {"penalty_factors": np.arange(P)}, {"dropout": 0.5}):
        assert not Smooth.applies(prepare(X, RESPONSES["binomial"], **{"family": "binomial", "l1_ratio": 0, **other}))
    assert not Smooth.applies(prepare(X, SIGNAL, l1_ratio=0))
    assert not Smooth.applies(prepare(X, np.outer(SIGNAL, [1, 2]), family="multigaussian", l1_ratio=0))


def test_one_predictor_as_a_joint_loss() -> None:
    """r = −w ∂ℓ/∂η and its curvature by finite differences; the best intercept leaves no slope."""
    w, step = W / W.sum(), 1e-5
    for name, y in RESPONSES.items():
        if name == "multinomial":
            continue
        loss = families.get(name).joint(y, w, OFFSET)
        eta, u = RNG.standard_normal((2, 1, N))
        ahead, behind = eta + step * u, eta - step * u
        assert (loss.value(ahead) - loss.value(behind)) / (2 * step) == pytest.approx(
            -(loss.residual(eta) * u).sum(), rel=1e-6)
        bent = (loss.residual(behind) - loss.residual(ahead)) / (2 * step)
        assert_allclose(loss.curvature(eta)(u), bent, atol=1e-8)
        assert loss.stiffness(eta)[0, 0] == pytest.approx(loss.curvature(eta)(np.ones((1, N))).sum(), rel=1e-12)
        b0 = loss.intercepts(eta, np.zeros(1))
        assert abs(loss.residual(eta + b0[:, None]).sum()) <= 1e-12
        assert_allclose(loss.begin(), OFFSET[None])


def test_kept_products_serve_a_problem_of_the_same_columns() -> None:
    """Residuals, not the data, change from one response to the next."""
    problem = prepare(X, RESPONSES["binomial"], family="binomial", l1_ratio=0)
    other = replace(problem, y=1 - problem.y)
    one, two = (solve(p, ALPHAS, **HOW, standardize=True) for p in (problem, other))
    assert_allclose(one.coefs.toarray(), -two.coefs.toarray(), atol=1e-7)
