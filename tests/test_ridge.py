"""L2 alone: every α from one factorisation, whatever the shape, storage and scale of X; proved like the rest."""

import tracemalloc
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from oracle import make_data, objective
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import GammaRegressor, LogisticRegression, PoissonRegressor
from sklearn.linear_model import Ridge as TheirRidge

import regfast
from regfast import alpha_max, certify, fit_cv, fit_path, ridge
from regfast import factors as ways
from regfast.path import prepare
from regfast.standard_form import StandardForm

SHAPES = {"tall": (60, 12), "square": (20, 20), "wide": (25, 60)}
STORAGES = {"C": np.ascontiguousarray, "F": np.asfortranarray, "float32": lambda X: X.astype(np.float32),
            "CSR": sp.csr_array, "CSC": sp.csc_array}  # fmt: skip
every_shape = pytest.mark.parametrize("shape", SHAPES.values(), ids=list(SHAPES))
every_storage = pytest.mark.parametrize("storage", STORAGES.values(), ids=list(STORAGES))


def sample(shape: tuple[int, int], seed: int = 0) -> tuple[Any, Any, Any]:
    """Columns of different lengths and means, some of them often zero; numbers that float32 holds exactly."""
    X, y, w = make_data(n=shape[0], p=shape[1], seed=seed, density=0.6)
    X = (X * np.geomspace(0.1, 10, shape[1]) + (X != 0) * (np.arange(shape[1]) % 3)).astype(np.float32)
    return X.astype(float), y, w


def textbook(X: Any, y: Any, alpha: float, w: Any, *, intercept: bool, l2: Any) -> tuple[Any, float]:
    """Least squares on X with √(α l2) rows under it, by LAPACK on the whole of it: no Gram is made."""
    w = w / w.sum()
    mean, level = (w @ X, w @ y) if intercept else (np.zeros(X.shape[1]), 0.0)
    used = np.isfinite(l2)
    top = (X - mean)[:, used] * np.sqrt(w)[:, None]
    under = np.diag(np.sqrt(alpha * l2[used]))
    b = np.zeros(X.shape[1])
    b[used] = np.linalg.lstsq(np.vstack([top, under]), np.append((y - level) * np.sqrt(w), np.zeros(used.sum())))[0]
    return b, level - mean @ b


def conditioned(n: int, p: int, condition: float) -> Any:
    rng = np.random.default_rng(n + p)
    k = min(n, p)
    U, V = (np.linalg.qr(rng.standard_normal((m, k)))[0] for m in (n, p))
    return U * np.geomspace(10, 10 / condition, k) @ V.T


@every_shape
@every_storage
@pytest.mark.parametrize("weights", [False, True], ids=["even", "weights"])
@pytest.mark.parametrize("intercept", [True, False], ids=["intercept", "through zero"])
@pytest.mark.parametrize("standardize", [True, False], ids=["standardize", "raw"])
@pytest.mark.parametrize("factors", [False, True], ids=["one factor", "factors"])
def test_the_textbook(shape: Any, storage: Any, weights: bool, intercept: bool, standardize: bool,
                      factors: bool) -> None:  # fmt: skip
    X, y, w = sample(shape)
    w = np.where(np.arange(len(y)) < 2, 0, w) if weights else np.ones(len(y))
    v = np.random.default_rng(1).uniform(0.1, 3, shape[1])
    v[[0, 3]], v[5] = 0, np.inf
    alphas = np.array([10.0, 1.0, 1e-3])
    path = fit_path(storage(X), y, l1_ratio=0, alphas=alphas, sample_weight=w, fit_intercept=intercept,
                    standardize=standardize, penalty_factors=v if factors else None)  # fmt: skip
    assert path.gap_kind == "duality gap"
    assert path.gaps.max() < 1e-20
    share = w / w.sum()
    s2 = share @ (X - share @ X) ** 2 if standardize else np.ones(shape[1])
    for k, alpha in enumerate(alphas):
        b, b0 = textbook(X, y, alpha, w, intercept=intercept, l2=s2 * (v if factors else 1))
        assert_allclose(path.coefs[:, [k]].toarray()[:, 0], b, rtol=1e-9, atol=1e-10 * abs(b).max())
        assert path.intercepts[k] == pytest.approx(b0, rel=1e-9, abs=1e-9)
    same = {"alpha": 1.0, "l1_ratio": 0, "sample_weight": w, "fit_intercept": intercept, "standardize": standardize,
            "penalty_factors": v if factors else None}  # fmt: skip
    assert certify(storage(X), y, path.coef_at(1.0), path.intercept_at(1.0), **same).gap < 1e-12
    problem = objective(X, y, **same)
    assert problem.gap(path.coef_at(1.0), path.intercept_at(1.0)) < 1e-12


@pytest.mark.parametrize("shape", [(80, 20), (20, 80), (40, 40)], ids=str)
@pytest.mark.parametrize("condition", [1e1, 1e3, 1e6, 1e10])
@pytest.mark.parametrize("weights", [False, True], ids=["even", "weights"])
@pytest.mark.parametrize("intercept", [True, False], ids=["intercept", "through zero"])
def test_predictions_are_those_of_singular_values(shape: Any, condition: float, weights: bool,
                                                  intercept: bool) -> None:  # fmt: skip
    rng = np.random.default_rng(2)
    X = conditioned(*shape, condition)
    Y = X @ rng.standard_normal((shape[1], 3)) + 0.1 * rng.standard_normal((shape[0], 3))
    w = rng.uniform(0.1, 1, shape[0]) if weights else None
    for share in np.geomspace(1e-14, 1, 8):
        alpha = 100 * share
        a = regfast.Ridge(alpha, fit_intercept=intercept).fit(X, Y, w)
        b = TheirRidge(alpha, fit_intercept=intercept, solver="svd").fit(X, Y, w)
        expected = b.predict(X)
        limit = 1e-10 if share >= 1e-10 else 1e-9
        assert np.linalg.norm(a.predict(X) - expected) <= limit * np.linalg.norm(expected), (share, a.solver_)


@pytest.mark.parametrize("storage", [np.asarray, sp.csr_array, sp.csc_array])
@pytest.mark.parametrize("shape", [(80, 20), (20, 80)], ids=str)
def test_few_and_many_strengths_agree_on_ill_conditioned_data(shape: Any, storage: Any) -> None:
    X, rng = conditioned(*shape, 1e8), np.random.default_rng(0)
    y = X @ rng.standard_normal(shape[1]) + rng.standard_normal(shape[0])
    alphas = np.geomspace(1, 1e-12, 13)
    many = fit_path(storage(X), y, l1_ratio=0, alphas=alphas, standardize=False)
    assert many.gaps.max() <= 1e-12
    for alpha in alphas[::4]:
        few = fit_path(storage(X), y, l1_ratio=0, alphas=[alpha], standardize=False)
        b, b0 = textbook(X, y, alpha, np.ones(len(y)), intercept=True, l2=np.ones(shape[1]))
        fitted = X @ b + b0
        for path in (few, many):
            assert np.linalg.norm(path.predict(X, alpha) - fitted) <= 1e-9 * np.linalg.norm(fitted)


# ---- one Krylov space

@pytest.fixture
def only_products(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ridge, "DIRECT", 0)
    monkeypatch.setattr(ridge, "STEPS", 0)
    monkeypatch.setattr(ridge, "LARGEST", 0)


@every_shape
@every_storage
@pytest.mark.usefixtures("only_products")
def test_a_krylov_space_serves_every_strength(shape: Any, storage: Any) -> None:
    X, y, w = sample(shape)
    options = {"l1_ratio": 0, "alphas": np.geomspace(10, 1e-3, 9), "sample_weight": w, "tol": 1e-14}
    path = fit_path(storage(X), y, **options)
    assert path.gaps.max() <= 1e-14
    assert 1 < path.n_iter.max() <= 3 * min(shape)
    for k, alpha in enumerate(path.alphas):
        share = w / w.sum()
        b, b0 = textbook(X, y, alpha, w, intercept=True, l2=share @ (X - share @ X) ** 2)
        assert_allclose(path.predict(X)[:, k], X @ b + b0, atol=1e-6 * np.linalg.norm(y))


@pytest.mark.parametrize("storage", [np.asarray, sp.csr_array])
@pytest.mark.usefixtures("only_products")
def test_a_basis_that_is_full_is_begun_anew(storage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ways.Krylov, "room", 7)
    X, Y, _ = make_data(n=90, p=60, seed=3)
    path = fit_path(storage(X), Y, l1_ratio=0, alphas=np.geomspace(10, 0.1, 5), tol=1e-13)
    assert path.n_iter[0] > 7
    assert path.gaps.max() <= 1e-13


@pytest.mark.usefixtures("only_products")
def test_what_products_cannot_do_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ways, "LIMIT", 3)
    monkeypatch.setattr(ridge, "LIMIT", 3)
    X, y, _ = make_data(n=90, p=60, seed=3)
    with pytest.warns(ConvergenceWarning, match="max_iter"):
        path = fit_path(X, y, l1_ratio=0, alphas=[1e-4], tol=1e-10)
    problem = objective(X, y, alpha=1e-4, l1_ratio=0)
    true = problem.gap(path.coef_at(1e-4), path.intercept_at(1e-4))
    assert path.gaps[0] >= 1e-10
    assert true >= 1e-10
    monkeypatch.setattr(ridge, "LARGEST", 100)  # a factorisation is the last resort
    assert fit_path(X, y, l1_ratio=0, alphas=[1e-4], tol=1e-10).gaps[0] <= 1e-20


@pytest.mark.parametrize("shape", [(90, 30), (30, 90)], ids=str)
def test_products_and_factors_agree_on_several_responses(shape: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    X, y, w = make_data(n=shape[0], p=shape[1], seed=4)
    Y = np.column_stack([y, X[:, 0] - X[:, 1], np.sin(y)])
    direct = regfast.Ridge([1.0, 2.0, 0.5]).fit(X, Y, w)
    monkeypatch.setattr(ridge, "DIRECT", 0)
    monkeypatch.setattr(ridge, "STEPS", 0)
    iterated = regfast.Ridge([1.0, 2.0, 0.5]).fit(sp.csr_array(X), Y, w)
    assert (direct.solver_, iterated.solver_) == ("cholesky", "lanczos")
    assert_allclose(iterated.predict(X), direct.predict(X), atol=1e-9 * np.linalg.norm(Y))


# ---- the parts

@every_shape
@every_storage
@pytest.mark.parametrize("free", [False, True], ids=["penalised", "free columns"])
def test_the_standard_form_is_one_matrix(shape: Any, storage: Any, free: bool) -> None:
    """Products, tiles and Gram are those of one A, made here; `near` or not."""
    X, y, w = sample(shape)
    v = np.ones(shape[1])
    v[[1, 2]] = 0 if free else 1
    form = StandardForm(prepare(storage(X), y, l1_ratio=0.0, sample_weight=w, penalty_factors=v))
    share = w / w.sum()
    centred = (X - share @ X) * np.sqrt(share)[:, None]
    s = np.sqrt((centred**2).sum(0))
    A = np.where(v > 0, centred / s / np.sqrt(form.unit), 0)
    if free:
        F = np.linalg.qr(centred[:, [1, 2]])[0]
        A -= F @ (F.T @ A)
    rng = np.random.default_rng(0)
    B, R = rng.standard_normal((shape[1], 3)), rng.standard_normal((shape[0], 2))
    before = R.copy()
    assert_allclose(form.times(B), A @ B, atol=1e-12)
    assert_allclose(form.adjoint(R), A.T @ R, atol=1e-12)
    assert_array_equal(R, before)
    L = A.T if form.wide else A
    assert_allclose(np.vstack([tile for _, tile in form.tiles()]), L, atol=1e-12)
    assert_allclose(form.gram(), L.T @ L, atol=1e-12)
    assert form.short == min(shape)


@pytest.mark.parametrize("shape", [(40, 12), (12, 40)], ids=str)
def test_the_two_spectra_are_one(shape: Any) -> None:
    X, y, _ = make_data(n=shape[0], p=shape[1])
    form = StandardForm(prepare(X, y, l1_ratio=0.0))
    f, alphas = np.random.default_rng(0).standard_normal((form.short, 1)), np.array([0.1, 1.0])
    f = form.project(f) if form.wide else f
    by_gram, by_svd = ways.Spectrum.of(form, 0.1), ways.Spectrum.fine(form)
    S = form.gram()
    for way in (by_gram, by_svd, ways.Factors.of(form, alphas)):
        z = way.solve(f, alphas)
        assert_allclose(S @ z + alphas * z, np.repeat(f, 2, axis=1), atol=1e-11)
    assert_allclose(by_svd.values, by_gram.values[::-1], rtol=1e-10)


def test_x_is_not_copied_and_not_written_to() -> None:
    rng = np.random.default_rng(0)
    for shape, order in (((300, 20_000), "C"), ((300, 20_000), "F"), ((20_000, 300), "C"), ((20_000, 300), "F")):
        X = np.asarray(rng.standard_normal(shape) + 2, order=order)
        X.flags.writeable = False
        y = X[:, 0] - X[:, 1] + rng.standard_normal(shape[0])
        fit_path(X[:50], y[:50], l1_ratio=0, n_alphas=7)
        tracemalloc.start()
        path = fit_path(X, y, l1_ratio=0, n_alphas=7)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert path.gaps.max() < 1e-20
        assert peak < X.nbytes / 3, (shape, order, peak / X.nbytes)


# ---- the path

def test_l1_ratio_is_continuous_at_zero() -> None:
    X, y, w = sample((40, 15))
    for options in ({}, {"alphas": [1.0, 0.1, 0.01]}):
        at, near = (fit_path(X, y, l1_ratio=r, sample_weight=w, early_stop=False, tol=1e-13, **options)
                    for r in (0, 1e-6))  # fmt: skip
        assert_array_equal(at.alphas, near.alphas)
        assert_allclose(at.coefs.toarray(), near.coefs.toarray(), atol=1e-4 * abs(at.coefs).max())
        assert_allclose(at.deviance_ratio, near.deviance_ratio, atol=1e-4)
    assert alpha_max(X, y, l1_ratio=0) == alpha_max(X, y, l1_ratio=1e-6)


def test_a_path_ends_where_the_engine_would_end_it(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y, _ = make_data(n=50, p=8, seed=1)
    for response in (y, X @ np.arange(8.0)):  # flat, and saturated
        ours = fit_path(X, response, l1_ratio=0, eps=1e-8)
        with monkeypatch.context() as patch:
            patch.setattr(ridge, "applies", lambda problem: False)
            theirs = fit_path(X, response, l1_ratio=0, eps=1e-8, tol=1e-12)
        assert ours.path_status == theirs.path_status
        assert len(ours) == len(theirs) < 100
        assert_allclose(ours.deviance_ratio, theirs.deviance_ratio, atol=1e-10)
        assert_allclose(ours.coefs.toarray(), theirs.coefs.toarray(), atol=1e-9)
    assert len(fit_path(X, y, l1_ratio=0, early_stop=False)) == 100


def test_bounds_and_an_unpenalised_end_are_the_engine_s() -> None:
    X, y, _ = make_data(n=50, p=8, seed=1)
    held = fit_path(X, y, l1_ratio=0, alphas=[1.0, 0.1], bounds=(0, np.inf))
    assert held.coefs.min() >= 0
    assert held.gaps.max() <= 1e-7
    ends = fit_path(X, y, l1_ratio=0, alphas=[1.0, 0.0])
    assert ends.gap_kind == "kkt residual"
    assert_allclose(ends.coef_at(1.0), fit_path(X, y, l1_ratio=0, alphas=[1.0]).coef_at(1.0), atol=1e-6)


def test_progress_and_an_interrupt() -> None:
    X, y, _ = make_data(n=50, p=8, seed=1)
    told: list[tuple[int, int]] = []
    path = fit_path(X, y, l1_ratio=0, n_alphas=12, early_stop=False, progress=lambda *done: told.append(done))
    assert told == [(k + 1, 12) for k in range(12)]

    def tell(done: int, total: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        fit_path(X, y, l1_ratio=0, n_alphas=12, early_stop=False, progress=tell)
    partial: regfast.Path = vars(caught.value)["partial"]
    assert partial.path_status == "interrupted"
    assert_array_equal(partial.coefs.toarray(), path.coefs[:, :5].toarray())


@pytest.mark.parametrize("direct", [True, False])
def test_an_interrupt_within_the_work(direct: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ridge, "DIRECT", 10_000 if direct else 0)
    monkeypatch.setattr(StandardForm, "gram" if direct else "times", stop)
    X, y, _ = make_data(n=50, p=8, seed=1)
    with pytest.raises(KeyboardInterrupt) as caught:
        fit_path(X, y, l1_ratio=0)
    assert len(vars(caught.value)["partial"]) == 0


@every_shape
@pytest.mark.parametrize("storage", [np.asarray, sp.csr_array])
def test_a_raised_flag_stops_the_work(shape: Any, storage: Any) -> None:
    X, y, _ = sample(shape)
    form = StandardForm(prepare(storage(X), y, l1_ratio=0.0), np.ones(1, dtype=np.int32))
    for work in (lambda: form.times(np.ones((shape[1], 1))), lambda: form.adjoint(np.ones((shape[0], 1))),
                 lambda: list(form.tiles())):  # fmt: skip
        with pytest.raises(KeyboardInterrupt):
            work()


def test_cross_validation_is_that_of_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y, w = make_data(n=60, p=100, seed=2)
    a = fit_cv(X, y, cv=4, l1_ratio=0, sample_weight=w, n_alphas=20, eps=1e-6)
    monkeypatch.setattr(ridge, "applies", lambda problem: False)
    b = fit_cv(X, y, cv=4, l1_ratio=0, sample_weight=w, n_alphas=20, eps=1e-6, tol=1e-12)
    assert_allclose(a.scores, b.scores, rtol=1e-8)
    assert (a.alpha_min, a.alpha_1se) == (b.alpha_min, b.alpha_1se)


# ---- data as it comes

DEGENERATE = {
    "one row": (1, 4), "one row, one column": (1, 1), "one column": (30, 1), "two rows": (2, 5), "no column": (5, 0),
}  # fmt: skip


@pytest.mark.parametrize("shape", DEGENERATE.values(), ids=list(DEGENERATE))
@pytest.mark.parametrize("storage", [np.asarray, sp.csr_array, sp.csc_array])
@pytest.mark.parametrize("intercept", [True, False], ids=["intercept", "through zero"])
def test_small_data(shape: Any, storage: Any, intercept: bool) -> None:
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal(shape), rng.standard_normal(shape[0])
    alphas = np.geomspace(1e12, 1e-12, 9)
    path = fit_path(storage(X), y, l1_ratio=0, alphas=alphas, standardize=False, fit_intercept=intercept)
    assert path.gaps.max() <= 1e-7
    for k, alpha in enumerate(alphas):
        b, b0 = textbook(X, y, alpha, np.ones(len(y)), intercept=intercept, l2=np.ones(shape[1]))
        assert_allclose(path.predict(storage(X))[:, k], X @ b + b0, atol=1e-10)


@pytest.mark.parametrize("storage", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("alpha", [1e-12, 1e-6, 1.0, 1e6, 1e12])
def test_equal_columns_share_equally_and_constant_ones_get_nothing(storage: Any, alpha: float) -> None:
    rng = np.random.default_rng(0)
    for n in (30, 9):
        Z, y = rng.standard_normal((n, 6)), rng.standard_normal(n)
        X = np.hstack([Z, Z, np.full((n, 1), 3.0), np.zeros((n, 1))])
        model = regfast.Ridge(alpha).fit(storage(X), y)
        once = regfast.Ridge(alpha / 2).fit(storage(Z), y)  # ‖b‖² of two halves is half of ‖b‖²
        assert_allclose(model.coef_[:6], model.coef_[6:12], atol=1e-9 * abs(model.coef_).max())
        assert_array_equal(model.coef_[12:], 0)
        assert_allclose(model.predict(storage(X)), once.predict(storage(Z)), atol=1e-10)


@pytest.mark.parametrize("value", [0.0, 3.3, 1e8])
@every_shape
def test_a_constant_response(shape: Any, value: float) -> None:
    X, _, _ = sample(shape)
    path = fit_path(X, np.full(shape[0], value), l1_ratio=0)
    assert path.path_status == "constant"
    assert path.coefs.nnz == 0
    assert_array_equal(path.gaps, 0)
    model = regfast.Ridge().fit(X, np.full(shape[0], value))
    assert_allclose(model.predict(X), value, rtol=1e-14)


@pytest.mark.parametrize("shape", [(60, 20), (20, 60)], ids=str)
@pytest.mark.parametrize("alpha", [1e-6, 1.0])
def test_columns_far_from_zero(shape: Any, alpha: float) -> None:
    rng = np.random.default_rng(0)
    Z, y = np.round(rng.standard_normal(shape), 3), rng.standard_normal(shape[0])
    near, far = (regfast.Ridge(alpha).fit(X, y) for X in (Z, Z + 2.0**20))
    assert_allclose(far.coef_, near.coef_, atol=1e-8 * abs(near.coef_).max())


@pytest.mark.parametrize("power", [-120, 120])
def test_scales_do_not_matter(power: int) -> None:
    X, y, _ = make_data(n=40, p=12)
    one, other = (regfast.Ridge(alpha).fit(Z, y) for alpha, Z in ((1.0, X), (4.0**power, X * 2.0**power)))
    assert_array_equal(other.coef_, one.coef_ / 2.0**power)


def test_offsets_and_zero_weights() -> None:
    X, y, w = sample((40, 10))
    w[:15] = 0
    o = np.linspace(-3, 3, 40)
    a = fit_path(X, y, l1_ratio=0, alphas=[0.1], sample_weight=w, offset=o)
    b = fit_path(X[15:], y[15:] - o[15:], l1_ratio=0, alphas=[0.1], sample_weight=w[15:])
    assert_allclose(a.coef_at(0.1), b.coef_at(0.1), rtol=1e-10)


def test_not_a_number() -> None:
    X, y, _ = sample((40, 10))
    X[3, 4] = np.nan
    with pytest.raises(ValueError, match="X contains NaN"):
        fit_path(X, y, l1_ratio=0)


# ---- other likelihoods: Newton's steps on the same seams

@pytest.mark.parametrize("shape", [(80, 10), (30, 60)], ids=str)
@pytest.mark.parametrize("storage", [np.asarray, sp.csr_array])
def test_other_likelihoods(shape: Any, storage: Any) -> None:
    X, y, w = make_data(n=shape[0], p=shape[1], seed=5)
    eta, alpha = y / np.ptp(y), 0.02
    cases = {"binomial": ((eta > np.median(eta)).astype(float), LogisticRegression(C=1 / alpha / w.sum())),
             "poisson": (np.floor(3 * np.exp(eta)), PoissonRegressor(alpha=alpha)),
             "gamma": (np.exp(eta), GammaRegressor(alpha=alpha))}  # fmt: skip
    for family, (response, theirs) in cases.items():
        path = fit_path(storage(X), response, family=family, l1_ratio=0, alphas=[1.0, alpha], sample_weight=w,
                        standardize=False, tol=1e-13)  # fmt: skip
        assert path.gaps.max() <= 1e-13
        theirs.set_params(solver="newton-cholesky", tol=1e-10, max_iter=1000).fit(X, response, w)
        assert_allclose(path.coef_at(alpha), theirs.coef_.ravel(), atol=1e-6)
        near = fit_path(storage(X), response, family=family, l1_ratio=1e-6, alphas=[alpha], sample_weight=w,
                        standardize=False, tol=1e-13)  # fmt: skip
        assert_allclose(near.coef_at(alpha), path.coef_at(alpha), atol=1e-4)
