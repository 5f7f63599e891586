"""Penalty factors and bounds: the optimality conditions, checked in plain NumPy."""

from typing import Any

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse as sp
from numpy.testing import assert_allclose
from oracle import Array, check_path, make_data, objective

import regfast
from regfast import fit_path, reference

X, Y, W = make_data()
ALPHAS = [3.0, 1.0, 0.3, 0.1, 0.01]
every_ratio = pytest.mark.parametrize("l1_ratio", [1.0, 0.6, 0.0])
every_storage = pytest.mark.parametrize("storage", [np.asarray, np.asfortranarray, sp.csr_array, sp.csc_array])


def kkt(path: regfast.Path, A: Array = X, **options: Any) -> float:
    """The worst violation of the optimality conditions along a path, in units of a correlation."""
    coefs = path.coefs.toarray().T
    return max(objective(A, Y, alpha=a, **options).kkt(b) for a, b in zip(path.alphas, coefs, strict=True))


# ---- penalty factors


@every_ratio
@every_storage
def test_factors_of_all_kinds(storage: Any, l1_ratio: float) -> None:
    v = np.random.default_rng(0).choice([0.0, 0.3, 1.0, 4.0, np.inf], 20)
    options = {"penalty_factors": v, "l1_ratio": l1_ratio, "sample_weight": W}
    path = fit_path(storage(X), Y, alphas=ALPHAS, tol=1e-13, **options)
    check_path(path, X, Y, **options)
    assert kkt(path, **options) < 1e-6
    coefs = path.coefs.toarray()
    assert not coefs[np.isinf(v)].any()
    assert coefs[v == 0].all()
    np.testing.assert_array_equal(path.penalty_factors, v)


def test_excluded_columns_are_as_good_as_absent() -> None:
    v = np.where(np.arange(20) % 3 == 0, np.inf, 1.0)
    a = fit_path(X, Y, alphas=ALPHAS, penalty_factors=v)
    b = fit_path(np.ascontiguousarray(X[:, np.isfinite(v)]), Y, alphas=ALPHAS)
    assert_allclose(a.coefs.toarray()[np.isfinite(v)], b.coefs.toarray(), atol=1e-13)
    assert a.alpha_max == pytest.approx(b.alpha_max, rel=1e-14)
    nothing = fit_path(X, Y, penalty_factors=np.full(20, np.inf))
    assert nothing.coefs.nnz == 0
    assert nothing.alpha_max == 0
    assert nothing.gaps.max() == 0


@every_ratio
def test_factors_are_used_as_given(l1_ratio: float) -> None:
    """Twice the factors are twice the strength: no rescaling to a sum of p."""
    v = np.linspace(0.1, 2, 20)
    a = fit_path(X, Y, alphas=[0.2], penalty_factors=2 * v, l1_ratio=l1_ratio, tol=1e-14)
    b = fit_path(X, Y, alphas=[0.4], penalty_factors=v, l1_ratio=l1_ratio, tol=1e-14)
    np.testing.assert_array_equal(a.coefs.toarray(), b.coefs.toarray())


def test_factors_of_a_lasso_are_scales_of_columns() -> None:
    v = np.linspace(0.1, 2, 20)
    a = fit_path(X, Y, alphas=ALPHAS, penalty_factors=v, standardize=False, tol=1e-14)
    b = fit_path(X / v, Y, alphas=ALPHAS, standardize=False, tol=1e-14)
    assert_allclose(a.coefs.toarray(), b.coefs.toarray() / v[:, None], atol=1e-8)


@every_storage
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_free_columns_alone_are_least_squares(fit_intercept: bool, storage: Any) -> None:
    path = fit_path(storage(X), Y, penalty_factors=np.zeros(20), fit_intercept=fit_intercept, sample_weight=W)
    A = np.column_stack([X, np.ones(60)]) if fit_intercept else X
    root = np.sqrt(W)
    exact = np.linalg.lstsq(A * root[:, None], Y * root, rcond=None)[0]
    for k in range(len(path)):
        assert_allclose(path.coefs.toarray()[:, k], exact[:20], atol=1e-9)
    assert path.alpha_max == 0
    assert path.gaps.max() <= 1e-14


@every_ratio
@every_storage
@pytest.mark.parametrize("case", ["twins", "dependent", "nearly", "with the intercept", "more than rows"])
def test_collinear_free_columns(case: str, storage: Any, l1_ratio: float) -> None:
    rng = np.random.default_rng(0)
    free = rng.standard_normal((60, 4))
    if case == "twins":
        free[:, 2] = free[:, 0]
    elif case == "dependent":
        free[:, 3] = free[:, 0] - 2 * free[:, 1] + 3
    elif case == "nearly":
        free[:, 3] = free[:, 0] + 1e-9 * rng.standard_normal(60)
    elif case == "with the intercept":
        free = (rng.integers(0, 3, 60)[:, None] == np.arange(3)).astype(float)  # dummies of every level sum to one
    else:
        free = rng.standard_normal((60, 70))
    A = np.column_stack([X, free])
    v = np.array([1.0] * 20 + [0.0] * free.shape[1])
    options = {"penalty_factors": v, "l1_ratio": l1_ratio}
    # coefficients of 1e8 leave a residual of 1e-8: "nearly" cannot be asked for more than the default
    path = fit_path(storage(A), Y, alphas=ALPHAS, tol=1e-7 if case == "nearly" else 1e-9, **options)
    if case == "more than rows":
        assert path.path_status == "constant" or path.deviance_ratio[-1] > 1 - 1e-12  # the null model interpolates
        assert np.isfinite(path.coefs.data).all()
        return
    check_path(path, A, Y, **options)
    assert (path.status == "converged").all()
    residual = Y[:, None] - path.predict(A)
    # free columns explain what they can, to the rounding of the predictions: those of "nearly" have terms of 1e8
    rounding = 4 * np.finfo(float).eps * (abs(free).T @ (abs(A) @ abs(path.coefs.toarray()))).max()
    assert abs(free.T @ (residual - residual.mean(axis=0))).max() <= 1e-7 + rounding
    assert abs(path.coefs.toarray()).max() < 1e3 if case != "nearly" else True  # minimum norm: nothing explodes


@every_storage
def test_free_columns_are_partialled_out(storage: Any) -> None:
    """Lasso with free columns = lasso of the residuals on the residuals (Frisch–Waugh–Lovell)."""
    v = np.where(np.arange(20) < 3, 0.0, 1.0)
    path = fit_path(storage(X), Y, alphas=ALPHAS, penalty_factors=v, standardize=False, tol=1e-14)
    Z = np.column_stack([np.ones(60), X[:, :3]])
    off = np.eye(60) - Z @ np.linalg.pinv(Z)
    inner = fit_path(off @ X[:, 3:], off @ Y, alphas=ALPHAS, standardize=False, fit_intercept=False, tol=1e-14)
    assert_allclose(path.coefs.toarray()[3:], inner.coefs.toarray(), atol=1e-8)
    assert path.alpha_max == pytest.approx(inner.alpha_max, rel=1e-12)
    for k in range(len(ALPHAS)):
        b = path.coefs.toarray()[3:, k]
        gamma = np.linalg.lstsq(Z, Y - X[:, 3:] @ b, rcond=None)[0]
        assert_allclose([path.intercepts[k], *path.coefs.toarray()[:3, k]], gamma, atol=1e-9)


def test_reference_takes_numpy_numbers_with_excluded_columns() -> None:
    v = [np.inf, *np.ones(19)]
    fit = reference.coordinate_descent(X, Y, alpha=np.float64(0.5), penalty_factors=np.array(v), tol=1e-8)
    assert fit.coef[0] == 0
    assert fit.gap <= 1e-8


# ---- bounds


BOUNDS = {
    "positive": (0, np.inf),
    "negative": (-np.inf, 0),
    "box": (-0.4, 0.25),
    "tiny": (-1e-8, 1e-8),
    "huge": (-1e8, 1e8),
    "one side": (-0.3, np.inf),
    "some": (np.where(np.arange(20) % 2, -np.inf, 0.0), np.where(np.arange(20) % 3, np.inf, 0.3)),
    "some closed": (np.where(np.arange(20) % 4, -1.0, 0.0), np.where(np.arange(20) % 4, 1.0, 0.0)),
    "integers": (np.full(20, -1), np.full(20, 1)),
}


@every_ratio
@pytest.mark.parametrize("storage", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("name", BOUNDS)
def test_bounds(name: str, storage: Any, l1_ratio: float) -> None:
    bounds = BOUNDS[name]
    options = {"bounds": bounds, "l1_ratio": l1_ratio}
    path = fit_path(storage(X), Y, alphas=ALPHAS, tol=1e-12, **options)
    assert path.gap_kind == "duality gap"
    assert (path.status == "converged").all()
    check_path(path, X, Y, **options)
    assert kkt(path, **options) < 1e-5
    problem = objective(X, Y, **options)
    coefs = path.coefs.toarray().T
    assert (coefs >= problem.lo).all()
    assert (coefs <= problem.hi).all()
    assert path.bounds is not None
    np.testing.assert_array_equal(path.bounds, [problem.lo, problem.hi])


@pytest.mark.parametrize("l1_ratio", [1.0, 0.3])
def test_positive_agrees_with_a_general_solver(l1_ratio: float) -> None:
    options = {"bounds": (0, np.inf), "l1_ratio": l1_ratio}
    path = fit_path(X, Y, alphas=[0.3], tol=1e-14, **options)
    problem = objective(X, Y, alpha=0.3, **options)
    A = np.vstack([(problem.X * np.sqrt(problem.w)[:, None]).astype(float), np.diag(np.sqrt(problem.l2.astype(float)))])
    t = np.concatenate([(problem.t * np.sqrt(problem.w)).astype(float), np.zeros(20)])
    gram, slope = A.T @ A, A.T @ t - problem.l1.astype(float)
    root = np.linalg.cholesky(gram)  # ½ b'Gb − slope'b = ½‖root'b − root⁻¹ slope‖² + const
    exact = scipy.optimize.nnls(root.T, np.linalg.solve(root, slope))[0]
    assert_allclose(path.coefs.toarray()[:, 0], exact, atol=1e-7)


def test_negative_mirrors_positive() -> None:
    a = fit_path(X, Y, alphas=ALPHAS, bounds=(0, np.inf))
    b = fit_path(-X, Y, alphas=ALPHAS, bounds=(-np.inf, 0))
    np.testing.assert_array_equal(a.coefs.toarray(), -b.coefs.toarray())


def test_bounds_that_do_not_bind_change_nothing() -> None:
    for l1_ratio in (1.0, 0.5):
        a, b = (fit_path(X, Y, alphas=ALPHAS, tol=1e-13, l1_ratio=l1_ratio, bounds=z) for z in (None, (-50, 50)))
        assert_allclose(a.coefs.toarray(), b.coefs.toarray(), atol=1e-8 if l1_ratio == 1 else 3e-6)
        np.testing.assert_array_equal(a.alpha_max, b.alpha_max)


@every_ratio
def test_twins_fill_up_one_after_the_other(l1_ratio: float) -> None:
    """Where the first of two equal columns meets its bound, the second takes over."""
    A = np.column_stack([X[:, 14], X[:, 14], X[:, 14], X[:, 3]])
    options = {"bounds": (-0.5, 0.5), "l1_ratio": l1_ratio}
    path = fit_path(A, Y, alphas=[0.05], tol=1e-12, **options)
    check_path(path, A, Y, **options)
    assert kkt(path, A, **options) < 1e-5
    assert path.coefs.toarray()[:3, 0].sum() > 0.5


@every_ratio
@pytest.mark.parametrize("storage", [np.asarray, sp.csr_array])
def test_free_columns_with_bounds(storage: Any, l1_ratio: float) -> None:
    v = np.where(np.arange(20) < 4, 0.0, 1.0)
    lo = np.where(np.arange(20) == 1, 0.0, np.where(np.arange(20) < 3, -0.2, -np.inf))
    hi = np.where(np.arange(20) < 3, 0.3, np.inf)
    options = {"penalty_factors": v, "bounds": (lo, hi), "l1_ratio": l1_ratio}
    path = fit_path(storage(X), Y, alphas=ALPHAS, tol=1e-10, **options)
    assert path.gap_kind == "kkt residual"
    check_path(path, X, Y, **options)
    assert (path.status == "converged").all()
    assert kkt(path, **options) <= 1.01e-10
    assert (path.coefs.toarray() >= lo[:, None]).all()
    assert (path.coefs.toarray() <= hi[:, None]).all()
    want = objective(X, Y, **options).unit_alpha_max / max(l1_ratio, 1e-3)
    assert path.alpha_max == pytest.approx(want, rel=1e-6)


# ---- standardize


@every_ratio
@every_storage
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_standardize_is_scaling_by_hand(fit_intercept: bool, storage: Any, l1_ratio: float) -> None:
    s = np.sqrt(W @ (X - W @ X / W.sum()) ** 2 / W.sum())
    options = {"alphas": ALPHAS, "fit_intercept": fit_intercept, "sample_weight": W, "l1_ratio": l1_ratio, "tol": 1e-14}
    a = fit_path(storage(X), Y, **options)
    b = fit_path(storage(X / s), Y, standardize=False, **options)
    assert_allclose(a.scales, s, rtol=1e-13)
    assert_allclose(a.coefs.toarray() * s[:, None], b.coefs.toarray(), atol=1e-8 if l1_ratio == 1 else 3e-6)
    assert_allclose(a.gaps, b.gaps, atol=1e-13)


def test_constant_columns_and_their_scale() -> None:
    A = np.column_stack([X[:, :3], np.full(60, 2.0)])
    with_intercept = fit_path(A, Y, alphas=[0.1])
    assert with_intercept.coefs.toarray()[3, 0] == 0
    without = fit_path(A, Y, alphas=[0.1], fit_intercept=False, tol=1e-12)  # s = 1: penalised like any column
    assert without.coefs.toarray()[3, 0] != 0
    check_path(without, A, Y, fit_intercept=False)
