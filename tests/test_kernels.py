"""The compiled parts one by one: moments, the coordinate update, the certificate, bounds, descent."""

import warnings
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from oracle import Array, make_data, objective

import regfast
from regfast._design import dense, sparse
from regfast._moments import moments

EPS = np.finfo(float).eps
LAYOUTS = {
    "C": lambda X: dense(np.ascontiguousarray(X)),
    "F": lambda X: dense(np.asfortranarray(X)),
    "CSC": lambda X: compressed(sp.csc_array(X), True),
    "CSR": lambda X: compressed(sp.csr_array(X), False),
}


def compressed(X: Any, by_column: bool) -> Any:
    return sparse(X.data, X.indices, X.indptr.astype(np.int64), *X.shape, by_column)


def moments_of(layout: str, X: Array, w: Array) -> tuple[Array, Array, Array]:
    p = X.shape[1]
    mean, var, mark = np.empty(p), np.empty(p), np.empty(p)
    moments(LAYOUTS[layout](X), w, np.random.default_rng(7).random(len(X)), mean, var, mark)
    return mean, var, mark


def longdouble_moments(X: Array, w: Array) -> tuple[Array, Array]:
    """Two passes in extended precision."""
    X, w = X.astype(np.longdouble), w.astype(np.longdouble)
    mean = w @ X
    return mean.astype(float), (w @ (X - mean) ** 2).astype(float)


def even(n: int) -> Array:
    return np.full(n, 1 / n)


def some(n: int) -> Array:
    w = np.random.default_rng(1).random(n) * (np.arange(n) % 3 > 0)
    return np.asarray(w / w.sum())


# ---- moments


@pytest.mark.parametrize("weigh", [even, some])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("n", [1, 2, 7, 16, 17, 1000])
def test_moments(n: int, layout: str, dtype: str, weigh: Any) -> None:
    rng = np.random.default_rng(n)
    X = (rng.standard_normal((n, 37)) * rng.uniform(0.1, 9, 37) + rng.uniform(-5, 5, 37)).astype(dtype)
    X *= rng.random(X.shape) < 0.6
    w = weigh(n) if n > 1 else even(n)
    mean, var, _ = moments_of(layout, X, w)
    want_mean, want_var = longdouble_moments(X, w)
    scale = np.sqrt(want_var + want_mean**2)
    np.testing.assert_allclose(mean, want_mean, rtol=0, atol=1e-14 * scale.max())
    assert (abs(var - want_var) <= 1e-13 * want_var + 1e-30).all()


@pytest.mark.parametrize("weigh", [even, some])
@pytest.mark.parametrize("layout", ["C", "F"])
@pytest.mark.parametrize("ratio", [1e3, 1e5, 1e7])
def test_variance_about_a_mean_far_away(ratio: float, layout: str, weigh: Any) -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((500, 5)) + ratio
    w = weigh(500)
    mean, var, _ = moments_of(layout, X, w)
    want_mean, want_var = longdouble_moments(X, w)
    np.testing.assert_allclose(mean, want_mean, rtol=4 * EPS)
    np.testing.assert_allclose(var, want_var, rtol=1e-12)  # E[x²] − mean² would lose 2·log10(ratio) digits


@pytest.mark.parametrize("weigh", [even, some])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("value", [0.0, 0.1, -1 / 3, 1e-9, 12345.678, 1e9 / 7, -1e100])
@pytest.mark.parametrize("n", [2, 3, 1000, 30011])
def test_constant_columns_have_no_variance(n: int, value: float, layout: str, weigh: Any) -> None:
    X = np.full((n, 3), value)
    X[:, 1] = np.arange(n)
    _, var, _ = moments_of(layout, X, weigh(n))
    assert var[0] <= (8 * EPS * value) ** 2
    assert var[1] > 0 or n == 2
    path = regfast.fit_path(X, np.sin(np.arange(n)), alphas=[1e-3], sample_weight=weigh(n))
    assert path.scales[0] == 0 == path.scales[2]
    assert not path.coefs.toarray()[[0, 2]].any()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_rows_of_weight_zero_have_no_say(layout: str) -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((50, 6))
    w = some(50)
    mean, var, _ = moments_of(layout, X, w)
    X[w == 0] = 1e6 * rng.standard_normal((np.count_nonzero(w == 0), 6))
    other_mean, other_var, _ = moments_of(layout, X, w)
    np.testing.assert_array_equal(mean, other_mean)
    np.testing.assert_array_equal(var, other_var)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_equal_columns_have_bit_equal_moments_and_others_do_not(layout: str) -> None:
    rng = np.random.default_rng(3)
    X = np.repeat(rng.standard_normal((101, 10)) * (rng.random((101, 10)) < 0.5), 3, axis=1)
    X = X[:, rng.permutation(30)]
    for part in moments_of(layout, X, some(101)):
        equal = part[:, None] == part[None, :]
        np.testing.assert_array_equal(equal, (X[:, :, None] == X[:, None, :]).all(axis=0))


# ---- the coordinate update: problems of one column, where a fine grid sees the minimum


@pytest.mark.parametrize("bounds", [None, (0, np.inf), (-np.inf, 0.3), (-0.2, 0.2), (-1, 0)])
@pytest.mark.parametrize("l1_ratio", [1.0, 0.7, 0.0])
@pytest.mark.parametrize("alpha", [0.01, 0.4, 3.0])
@pytest.mark.parametrize("slope", [1.3, -0.7, 0.02])
def test_one_column_by_grid_search(slope: float, alpha: float, l1_ratio: float, bounds: Any) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((30, 1)) * 1.7 + 0.5
    y = slope * x[:, 0] + 0.3 * rng.standard_normal(30)
    options = {"l1_ratio": l1_ratio, "bounds": bounds, "standardize": False}
    path = regfast.fit_path(x, y, alphas=[alpha], tol=1e-14, **options)
    problem = objective(x, y, alpha=alpha, **options)
    grid = np.concatenate([np.linspace(-2, 2, 4001), [0.0], problem.lo, problem.hi])
    grid = grid[np.isfinite(grid) & (grid >= problem.lo[0]) & (grid <= problem.hi[0])]
    values = np.array([float(problem.primal(np.array([b]))) for b in grid])
    b = path.coefs.toarray()[0, 0]
    assert problem.primal(np.array([b])) <= values.min() + 1e-15
    assert abs(b - grid[values.argmin()]) <= 1e-3
    assert problem.lo[0] <= b <= problem.hi[0]


@pytest.mark.parametrize("slope", [1.3, -0.7])
def test_one_column_by_the_formula(slope: float) -> None:
    x = np.array([[1.0], [-1.0], [2.0], [-2.0]])
    y = slope * x[:, 0]
    h, c = 2.5, slope * 2.5  # mean x², mean x·y
    for alpha, l1_ratio in ((0.3, 1.0), (0.3, 0.5), (1.0, 0.0), (2.0, 1.0)):
        want = np.sign(c) * max(abs(c) - alpha * l1_ratio, 0) / (h + alpha * (1 - l1_ratio))
        path = regfast.fit_path(x, y, alphas=[alpha], l1_ratio=l1_ratio, standardize=False, fit_intercept=False)
        assert path.coefs.toarray()[0, 0] == pytest.approx(want, rel=1e-14)


# ---- the certificate


OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "raw": {"standardize": False},
    "origin": {"fit_intercept": False},
    "raw origin": {"fit_intercept": False, "standardize": False},
    "weights": {"sample_weight": make_data()[2]},
    "offset": {"offset": np.sin(np.arange(60.0))},
    "factors": {"penalty_factors": np.linspace(0.5, 2, 20)},
    "excluded": {"penalty_factors": np.where(np.arange(20) % 5 == 1, np.inf, 1.0)},
    "free": {"penalty_factors": np.where(np.arange(20) % 7 == 3, 0.0, 1.0)},
    "positive": {"bounds": (0, np.inf)},
    "box": {"bounds": (-0.3, 0.4)},
    "mixed bounds": {"bounds": (np.where(np.arange(20) % 3, -np.inf, -0.2), np.where(np.arange(20) % 2, 0.3, np.inf))},
}


@pytest.mark.parametrize("storage", [np.asfortranarray, sp.csr_array], ids=["F", "CSR"])
@pytest.mark.parametrize("tol", [0.3, 1e-2, 1e-5])
@pytest.mark.parametrize("l1_ratio", [1.0, 0.9, 0.3, 0.0])
@pytest.mark.parametrize("option", OPTIONS)
def test_reported_gap_is_primal_minus_dual(option: str, l1_ratio: float, tol: float, storage: Any) -> None:
    X, y, _ = make_data(density=0.7)
    options = OPTIONS[option] | {"l1_ratio": l1_ratio}
    path = regfast.fit_path(storage(X), y, n_alphas=8, eps=1e-2, tol=tol, early_stop=False, **options)
    assert path.gap_kind == "duality gap"
    coefs = path.coefs.toarray()
    for k, alpha in enumerate(path.alphas):
        problem = objective(X, y, alpha=alpha, **options)
        intercept = path.intercepts[k] if path.fit_intercept else None
        true = problem.gap(coefs[:, k], intercept)
        assert true == pytest.approx(path.gaps[k], rel=1e-8, abs=1e-15)
        assert path.gaps[k] <= tol


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("l1_ratio", [1.0, 0.5, 0.0])
def test_kkt_residual_is_what_it_says(l1_ratio: float, fit_intercept: bool) -> None:
    X, y, _ = make_data()
    v = np.where(np.arange(20) < 2, 0.0, 1.0)
    options = {"l1_ratio": l1_ratio, "penalty_factors": v, "bounds": (-0.5, 0.5), "fit_intercept": fit_intercept}
    path = regfast.fit_path(X, y, alphas=[1.0, 0.3, 0.1, 0.01], tol=1e-4, **options)
    assert path.gap_kind == "kkt residual"
    for k, alpha in enumerate(path.alphas):
        problem = objective(X, y, alpha=alpha, **options)
        assert problem.kkt(path.coefs.toarray()[:, k]) == pytest.approx(path.gaps[k], rel=1e-6, abs=1e-13)


# ---- descent


@pytest.mark.parametrize("option", [*OPTIONS])
@pytest.mark.parametrize("l1_ratio", [1.0, 0.4, 0.0])
def test_every_epoch_goes_down(l1_ratio: float, option: str) -> None:
    X, y, _ = make_data(n=40, seed=5)
    options = OPTIONS[option] | {"l1_ratio": l1_ratio}
    options = {name: x[:40] if name in ("sample_weight", "offset") else x for name, x in options.items()}
    problem = objective(X, y, alpha=0.02, **options)
    value = problem.primal(problem.null_coef)
    for epochs in [1, 2, 3, 4, 5, 8, 12, 20, 40]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            path = regfast.fit_path(X, y, alphas=[0.02], tol=1e-13, max_iter=epochs, **options)
        after = problem.primal(path.coefs.toarray()[:, 0])
        assert after <= value * (1 + 1e-15)
        assert path.status[0] == ("converged" if path.gaps[0] <= 1e-13 else "max_iter")
        value = after


@pytest.mark.parametrize("l1_ratio", [1.0, 0.4, 0.0])
@pytest.mark.parametrize("max_iter", [1, 2, 5])
def test_max_iter_is_a_limit(max_iter: int, l1_ratio: float) -> None:
    X, y, _ = make_data(n=40, p=100, seed=5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = regfast.fit_path(X, y, alphas=[1.0, 0.1, 0.001], tol=1e-13, max_iter=max_iter, l1_ratio=l1_ratio)
    assert path.n_iter.max() <= max_iter


@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
def test_value_and_loss_along_the_path(l1_ratio: float) -> None:
    X, y, _ = make_data()
    path = regfast.fit_path(X, y, l1_ratio=l1_ratio, tol=1e-12)
    coefs = path.coefs.toarray()
    values = [objective(X, y, alpha=a, l1_ratio=l1_ratio).primal(coefs[:, k]) for k, a in enumerate(path.alphas)]
    losses = [objective(X, y, alpha=0).primal(coefs[:, k]) for k in range(len(path))]
    assert (np.diff(np.array(values, dtype=float)) < 1e-12).all()  # a smaller α can only lower the minimum,
    assert (np.diff(np.array(losses, dtype=float)) < 1e-12).all()  # and the loss with it
    np.testing.assert_allclose(1 - np.array(losses, dtype=float) / losses[0], path.deviance_ratio, atol=1e-13)
