"""fit_path against closed forms, identities, the plain-Python oracle and scikit-learn."""

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from oracle import EPS, Array, check_path, make_data, objective
from sklearn.linear_model import ElasticNet, Lasso, Ridge

import regfast
from regfast import alpha_max, fit_path, reference

X, Y, W = make_data()
OFFSET = np.sin(np.arange(60.0)) * 3
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "raw": {"standardize": False},
    "origin": {"fit_intercept": False},
    "weights": {"sample_weight": W},
    "offset": {"offset": OFFSET},
    "factors": {"penalty_factors": np.linspace(0.2, 3, 20)},
    "free": {"penalty_factors": np.where(np.arange(20) % 7 == 3, 0.0, 1.0)},
    "excluded": {"penalty_factors": np.where(np.arange(20) % 5 == 1, np.inf, 1.0)},
    "bounds": {"bounds": (-0.3, np.where(np.arange(20) % 2, np.inf, 0.4))},
    "positive": {"bounds": (0, np.inf)},
    "everything": {"sample_weight": W, "offset": OFFSET, "penalty_factors": np.linspace(0.2, 3, 20),
                   "bounds": (-0.5, np.inf), "standardize": False},
}  # fmt: skip
every_option = pytest.mark.parametrize("options", list(OPTIONS.values()), ids=list(OPTIONS))
every_ratio = pytest.mark.parametrize("l1_ratio", [1.0, 0.5, 0.0])


# A gap g leaves coefficients undecided by about √g, unless (lasso) the support is found and the rest is linear algebra.
TIGHT = {1.0: 1e-14, 0.5: 1e-16, 0.0: 1e-16}
CLOSE = {1.0: 1e-9, 0.5: 1e-7, 0.0: 1e-7}


def coefs_of(path: regfast.Path) -> Array:
    """(k, p)"""
    return np.asarray(path.coefs.toarray().T)


# ---- the beginning of the path


@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
@every_option
def test_alpha_max_and_the_null_model(options: dict[str, Any], l1_ratio: float) -> None:
    problem = objective(X, Y, **options)
    want = problem.unit_alpha_max / l1_ratio
    assert alpha_max(X, Y, l1_ratio=l1_ratio, **options) == pytest.approx(want, rel=1e-12)
    path = fit_path(X, Y, l1_ratio=l1_ratio, tol=1e-12, **options)
    assert path.alphas[0] == path.alpha_max == alpha_max(X, Y, l1_ratio=l1_ratio, **options)
    penalised = ~problem.free
    assert not coefs_of(path)[0][penalised].any()
    assert_allclose(coefs_of(path)[0], problem.null_coef, rtol=1e-9, atol=1e-12)
    assert path.gaps[0] <= 1e-14
    below = fit_path(X, Y, alphas=[want * (1 - 1e-9)], l1_ratio=l1_ratio, tol=1e-13, **options)
    assert coefs_of(below)[0][penalised].any()


def test_default_grids() -> None:
    path = fit_path(X, Y, early_stop=False)
    assert len(path) == 100
    assert_allclose(path.alphas, path.alpha_max * np.geomspace(1, 1e-4, 100), rtol=1e-12)
    wide = fit_path(X[:10], Y[:10], early_stop=False)
    assert_allclose(wide.alphas, wide.alpha_max * np.geomspace(1, 1e-2, 100), rtol=1e-12)
    zeros = np.where(np.arange(60) < 10, 1.0, 0.0)  # rows of weight zero are no rows
    assert fit_path(X, Y, sample_weight=zeros, early_stop=False).alphas[-1] == pytest.approx(wide.alphas[-1], rel=1e-12)
    short = fit_path(X, Y, n_alphas=7, eps=0.3, early_stop=False)
    assert_allclose(short.alphas, short.alpha_max * np.geomspace(1, 0.3, 7), rtol=1e-12)
    assert_array_equal(fit_path(X, Y, n_alphas=1).alphas, [path.alpha_max])
    assert alpha_max(X, Y, l1_ratio=0) == pytest.approx(1000 * alpha_max(X, Y), rel=1e-12)


# ---- the same answer however one gets there


@every_ratio
@every_option
def test_warm_equals_cold(options: dict[str, Any], l1_ratio: float) -> None:
    path = fit_path(X, Y, n_alphas=10, eps=1e-2, early_stop=False, tol=TIGHT[l1_ratio], l1_ratio=l1_ratio,
                    **options)
    for k, alpha in enumerate(path.alphas):
        cold = fit_path(X, Y, alphas=[alpha], tol=TIGHT[l1_ratio], l1_ratio=l1_ratio, **options)
        difference = coefs_of(cold)[0] - coefs_of(path)[k]
        assert abs(difference).max() <= CLOSE[l1_ratio]
        assert cold.intercepts[0] == pytest.approx(path.intercepts[k], abs=10 * CLOSE[l1_ratio])
        problem = objective(X, Y, alpha=alpha, l1_ratio=l1_ratio, **options)  # both lie in balls about the solution
        apart = problem.w @ (problem.X @ difference) ** 2 + problem.l2 @ difference**2
        balls = [np.sqrt(2 * problem.null * (gap + EPS)) for gap in (cold.gaps[0], path.gaps[k])]
        assert path.gap_kind != "duality gap" or np.sqrt(apart) <= sum(balls)


@every_ratio
@every_option
def test_agrees_with_the_plain_python_oracle(options: dict[str, Any], l1_ratio: float) -> None:
    small = {name: x[:30] if name in ("sample_weight", "offset") else x for name, x in options.items()}
    path = fit_path(X[:30], Y[:30], alphas=[0.7, 0.1], tol=1e-13, l1_ratio=l1_ratio, **small)
    check_path(path, X[:30], Y[:30], l1_ratio=l1_ratio, **small)
    for k, alpha in enumerate(path.alphas.tolist()):
        problem = objective(X[:30], Y[:30], alpha=alpha, l1_ratio=l1_ratio, **small)
        fit = reference.coordinate_descent(X[:30], Y[:30], alpha=alpha, l1_ratio=l1_ratio, tol=1e-10,
                                           **({"standardize": True} | small))
        ours = problem.primal(coefs_of(path)[k], path.intercepts[k])
        theirs = problem.primal(np.array(fit.coef), fit.intercept)
        assert ours <= theirs + 1e-12 * problem.null
        assert theirs - ours <= 1.01e-10 * problem.null


@pytest.mark.parametrize("weights", [None, W], ids=["even", "weights"])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
@pytest.mark.parametrize("alpha", [1.0, 0.1, 0.01])
def test_agrees_with_scikit_learn(alpha: float, l1_ratio: float, fit_intercept: bool, weights: Any) -> None:
    arguments = {"alpha": alpha, "fit_intercept": fit_intercept, "tol": 1e-14, "max_iter": 1_000_000}
    model = Lasso(**arguments) if l1_ratio == 1 else ElasticNet(l1_ratio=l1_ratio, **arguments)
    model.fit(X, Y, sample_weight=weights)
    path = fit_path(X, Y, alphas=[alpha], l1_ratio=l1_ratio, fit_intercept=fit_intercept, standardize=False,
                    tol=TIGHT[l1_ratio], sample_weight=weights)
    problem = objective(X, Y, alpha=alpha, l1_ratio=l1_ratio, fit_intercept=fit_intercept, standardize=False,
                        sample_weight=weights)
    assert problem.primal(coefs_of(path)[0]) <= problem.primal(model.coef_) * (1 + 1e-15)
    assert_allclose(coefs_of(path)[0], model.coef_, atol=2e-6 if l1_ratio < 1 else 1e-7)  # √ of its gap, not of ours
    assert path.intercepts[0] == pytest.approx(model.intercept_, abs=1e-6)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("weights", [None, W], ids=["even", "weights"])
@pytest.mark.parametrize("alpha", [10.0, 0.1, 1e-3])
def test_ridge(alpha: float, weights: Any, fit_intercept: bool) -> None:
    w = np.ones(60) if weights is None else W
    options = {"alphas": [alpha], "l1_ratio": 0, "tol": 1e-16, "sample_weight": weights, "fit_intercept": fit_intercept}
    path = fit_path(X, Y, standardize=False, **options)
    model = Ridge(alpha=alpha * w.sum(), fit_intercept=fit_intercept, solver="cholesky")
    assert_allclose(coefs_of(path)[0], model.fit(X, Y, sample_weight=weights).coef_, atol=1e-7)
    w = w / w.sum()  # (A'WA + α diag s²) b = A'Wy, the intercept a column without penalty
    A = np.column_stack([X, np.ones(60)]) if fit_intercept else X
    exact = np.linalg.solve(A.T @ (w[:, None] * A) + alpha * np.diag([*np.ones(20), 0.0][: A.shape[1]]), A.T @ (w * Y))
    assert_allclose(coefs_of(path)[0], exact[:20], atol=1e-7)
    scales = np.sqrt(w @ (X - w @ X) ** 2)
    penalty = alpha * np.diag([*scales**2, 0.0][: A.shape[1]])
    exact = np.linalg.solve(A.T @ (w[:, None] * A) + penalty, A.T @ (w * Y))
    assert_allclose(coefs_of(fit_path(X, Y, **options))[0], exact[:20], atol=1e-7)


def test_a_little_l1_is_nearly_ridge() -> None:
    ridge = fit_path(X, Y, alphas=[0.5], l1_ratio=0, tol=1e-14)
    nearly = fit_path(X, Y, alphas=[0.5], l1_ratio=1e-6, tol=1e-14)
    assert_allclose(coefs_of(nearly), coefs_of(ridge), atol=1e-4)
    assert (coefs_of(nearly) != coefs_of(ridge)).any()
    check_path(nearly, X, Y, l1_ratio=1e-6)


# ---- identities


@every_ratio
@pytest.mark.parametrize("storage", [np.asarray, sp.csr_array], ids=["dense", "CSR"])
@pytest.mark.parametrize("standardize", [True, False])
def test_weights_are_repeats(standardize: bool, storage: Any, l1_ratio: float) -> None:
    repeats = np.random.default_rng(0).integers(0, 4, 60)
    options = {"alphas": [1.0, 0.2, 0.03], "tol": 1e-14, "l1_ratio": l1_ratio, "standardize": standardize}
    a = fit_path(storage(X), Y, sample_weight=repeats, **options)
    b = fit_path(storage(np.repeat(X, repeats, axis=0)), np.repeat(Y, repeats), **options)
    kept = repeats > 0
    c = fit_path(storage(X[kept]), Y[kept], sample_weight=5.0 * repeats[kept], **options)
    for other in (b, c):
        assert_allclose(coefs_of(a), coefs_of(other), atol=1e-9)
        assert_allclose(a.intercepts, other.intercepts, atol=1e-8)
        assert_allclose(a.deviance_ratio, other.deviance_ratio, atol=1e-12)
        assert a.alpha_max == pytest.approx(other.alpha_max, rel=1e-12)
        assert_allclose(a.scales, other.scales, rtol=1e-13)


def test_offset_is_taken_off_y() -> None:
    a, b = (fit_path(X, y, offset=o, tol=1e-13, n_alphas=20) for y, o in ((Y, OFFSET), (Y - OFFSET, None)))
    assert_array_equal(coefs_of(a), coefs_of(b))
    assert_array_equal(a.intercepts, b.intercepts)
    assert (a.has_offset, b.has_offset) == (True, False)


@every_ratio
def test_powers_of_two_change_no_bit(l1_ratio: float) -> None:
    shifts = np.random.default_rng(0).integers(-200, 200, 20)
    a = fit_path(X, Y, l1_ratio=l1_ratio, n_alphas=20)
    b = fit_path(np.ldexp(X, shifts), Y, l1_ratio=l1_ratio, n_alphas=20)  # standardised: units do not matter
    assert_array_equal(coefs_of(a), np.ldexp(coefs_of(b), shifts))
    assert_array_equal(a.gaps, b.gaps)
    if l1_ratio == 1:  # only the L1 part scales with y
        c = fit_path(X, np.ldexp(Y, 40), alphas=np.ldexp(a.alphas, 40))
        assert_array_equal(np.ldexp(coefs_of(a), 40), coefs_of(c))
        assert c.alpha_max == np.ldexp(a.alpha_max, 40)


def test_float32_is_float64_of_the_same_numbers() -> None:
    single = X.astype(np.float32)
    a, b = (fit_path(x, Y, tol=1e-13, n_alphas=30) for x in (single, single.astype(np.float64)))
    assert_allclose(coefs_of(a), coefs_of(b), atol=1e-12)
    assert a.coefs.dtype == a.gaps.dtype == np.float64
    check_path(a, single, Y)


# ---- α = 0


@pytest.mark.parametrize("storage", [np.asarray, np.asfortranarray, sp.csr_array, sp.csc_array])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("weights", [None, W], ids=["even", "weights"])
def test_least_squares(weights: Any, fit_intercept: bool, storage: Any) -> None:
    root = np.ones(60) if weights is None else np.sqrt(W)
    A = np.column_stack([X, np.ones(60)]) if fit_intercept else X
    exact = np.linalg.lstsq(A * root[:, None], Y * root, rcond=None)[0]
    path = fit_path(storage(X), Y, alphas=[1.0, 0.0], sample_weight=weights, fit_intercept=fit_intercept)
    assert path.status[1] == "converged"
    assert path.gaps[1] <= 1e-12
    assert path.gap_kind == "kkt residual"
    assert_allclose(coefs_of(path)[1], exact[:20], atol=1e-10)
    assert path.intercepts[1] == pytest.approx(exact[20] if fit_intercept else 0.0, abs=1e-10)
    small = fit_path(storage(X), Y, alphas=[1e-9], sample_weight=weights, fit_intercept=fit_intercept, tol=1e-10)
    assert_allclose(coefs_of(small)[0], coefs_of(path)[1], atol=1e-6)


@pytest.mark.parametrize("storage", [np.asarray, sp.csr_array, sp.csc_array])
@pytest.mark.parametrize("case", ["wide", "weights", "duplicates"])
def test_least_squares_of_minimum_norm(case: str, storage: Any) -> None:
    if case == "wide":
        A, y, w = *make_data(n=15, p=30, seed=2)[:2], np.ones(15)
    elif case == "weights":  # more columns than rows of positive weight
        A, y, w = X, Y, np.where(np.arange(60) < 12, W + 0.5, 0.0)
    else:
        A, y, w = np.column_stack([X, X[:, :3]]), Y, W
    path = fit_path(storage(A), y, alphas=[0.0], sample_weight=w)
    root, centre = np.sqrt(w / w.sum()), w @ A / w.sum()
    centred, t = (A - centre) * root[:, None], (y - w @ y / w.sum()) * root
    size = np.sqrt((centred**2).sum(axis=0))
    exact = np.linalg.pinv(centred / size, rcond=1e-10) @ t / size  # minimum norm on standardised columns
    assert_allclose(coefs_of(path)[0], exact, atol=1e-8)
    assert path.status[0] == "not_unique"


@pytest.mark.parametrize("storage", [np.asarray, sp.csr_array, sp.csc_array])
@pytest.mark.parametrize("bounds", [(0, np.inf), (-0.5, 0.5), (-np.inf, np.where(np.arange(20) < 3, 0.2, np.inf))])
def test_least_squares_within_bounds(bounds: Any, storage: Any) -> None:
    path = fit_path(storage(X), Y, alphas=[0.0], bounds=bounds)
    problem = objective(X, Y, alpha=0, bounds=bounds)
    b = coefs_of(path)[0]
    assert (b >= problem.lo).all()
    assert (b <= problem.hi).all()
    assert problem.kkt(b) == pytest.approx(path.gaps[0], rel=1e-3, abs=1e-12)
    assert path.status[0] == "converged"
    assert path.gaps[0] <= path.tol
    active = np.flatnonzero((b > problem.lo) & (b < problem.hi))  # the exact solution, given which bounds hold
    fixed = np.where(np.isin(np.arange(20), active), 0.0, b)
    A = X[:, active] - X[:, active].mean(axis=0)
    t = Y - X @ fixed
    assert_allclose(b[active], np.linalg.lstsq(A, t - t.mean(), rcond=None)[0], atol=1e-7)


def test_zero_alpha_leaves_the_rest_of_the_path_as_it_is() -> None:
    a, b = fit_path(X, Y, alphas=[1.0, 0.1, 0.0], tol=1e-13), fit_path(X, Y, alphas=[1.0, 0.1], tol=1e-13)
    assert_allclose(coefs_of(a)[:2], coefs_of(b), atol=1e-9)
    assert_array_equal(a.alphas, [1.0, 0.1, 0.0])
    assert np.sqrt(EPS) > a.gaps.max()


# ---- the path as a whole


def test_named_alphas_are_always_solved_and_come_back_in_order() -> None:
    limit = alpha_max(X, Y)
    asked = [0.5, 3 * limit, 1e-6, 0.5, 1e-3, 0.1, limit, 1e-5, 1e-8]
    path = fit_path(X, Y, alphas=asked)
    assert_array_equal(path.alphas, sorted(set(asked), reverse=True))
    assert path.path_status == "complete"
    assert not coefs_of(path)[:2].any()
    check_path(path, X, Y)


def test_early_stops() -> None:
    exact = fit_path(X, X[:, 0] - X[:, 4], early_stop=True)
    assert exact.path_status == "saturated"
    assert 5 <= len(exact) < 100
    assert exact.deviance_ratio[-1] > 0.999 >= exact.deviance_ratio[-2]
    noise = fit_path(X, Y, early_stop=True)
    assert noise.path_status == "flat"
    gain = np.diff(noise.deviance_ratio)
    assert gain[-1] < 1e-5 * noise.deviance_ratio[-1]
    assert (gain[3:-1] >= 1e-5 * noise.deviance_ratio[4:-1]).all()
    for y in (Y, X[:, 0] - X[:, 4]):
        whole = fit_path(X, y, early_stop=False)
        assert (len(whole), whole.path_status) == (100, "complete")
        stopped = fit_path(X, y)
        assert_array_equal(coefs_of(whole)[: len(stopped)], coefs_of(stopped))


def test_interpolation_between_grid_points() -> None:
    path = fit_path(X, Y, tol=1e-13, n_alphas=30)
    a, b = path.alphas[10], path.alphas[11]
    for t in (0.0, 0.25, 1.0):
        alpha = (1 - t) * a + t * b
        assert_allclose(path.coef_at(alpha), (1 - t) * coefs_of(path)[10] + t * coefs_of(path)[11], atol=1e-14)
        assert path.intercept_at(alpha) == pytest.approx((1 - t) * path.intercepts[10] + t * path.intercepts[11])
    assert not path.coef_at(10 * path.alpha_max).any()
    assert path.intercept_at(10 * path.alpha_max) == path.intercepts[0]
    exact = path.coef_at(0.123, exact=True, X=X, y=Y)
    assert_allclose(exact, coefs_of(fit_path(X, Y, alphas=[0.123], tol=1e-13))[0], atol=1e-12)


def test_counts() -> None:
    path = fit_path(X, Y, early_stop=False)
    assert (np.diff(path.n_passes) > 0).all()
    rng = np.random.default_rng(0)
    wide = rng.standard_normal((60, 3000))
    found = fit_path(wide, wide[:, :5].sum(1) + rng.standard_normal(60), early_stop=False)
    assert found.n_passes[-1] < 0.5 * len(found)  # certificates read what the bounds leave, not X
    assert (path.n_iter[1:] >= 1).all()
    assert_array_equal(path.n_nonzero, (coefs_of(path) != 0).sum(axis=1))
    assert path.n_samples == 60
    assert fit_path(X, Y, sample_weight=W).n_samples == np.count_nonzero(W)


def test_progress() -> None:
    seen: list[tuple[int, int]] = []
    path = fit_path(X, Y, n_alphas=9, early_stop=False, progress=lambda *told: seen.append(told))
    assert seen == [(k + 1, 9) for k in range(9)]
    assert_array_equal(coefs_of(path), coefs_of(fit_path(X, Y, n_alphas=9, early_stop=False, progress=True)))

    def stumble(done: int, total: int) -> None:
        raise LookupError(f"{done} of {total}")

    with pytest.raises(LookupError, match="1 of 9"):
        fit_path(X, Y, n_alphas=9, progress=stumble)
