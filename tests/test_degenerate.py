"""Designs that break solvers: twins, near-twins, constants, tiny shapes, wild scales. A proof or an honest status."""

import warnings
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from oracle import Array, check_path, make_data, objective
from sklearn.exceptions import ConvergenceWarning

import regfast
from regfast import fit_path, reference

STORAGES = {"C": np.ascontiguousarray, "F": np.asfortranarray, "CSR": sp.csr_array, "CSC": sp.csc_array}
every_storage = pytest.mark.parametrize("storage", STORAGES.values(), ids=list(STORAGES))


def honest(X: Array, y: Array, storage: Any = np.asarray, **options: Any) -> regfast.Path:
    """A fit that must be finite and proved; one that is not converged must say so, with its true gap."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        path = fit_path(storage(X), y, **({"n_alphas": 8, "max_iter": 3000} | options))
    problem = {name: x for name, x in options.items() if name not in ("alphas", "n_alphas", "eps", "tol", "max_iter")}
    check_path(path, X, y, **problem)
    assert set(path.status) <= {"converged", "max_iter", "rounding"}
    for status, gap in zip(path.status, path.gaps, strict=True):
        assert status != "converged" or gap <= path.tol
    assert np.isfinite(path.deviance_ratio).all()
    assert np.isfinite(path.predict(storage(X))).all()
    return path


# ---- designs drawn at random, built from parts that each break something


@st.composite
def designs(draw: st.DrawFn) -> dict[str, Any]:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n, p = draw(st.sampled_from([1, 2, 3, 5, 12, 30])), draw(st.sampled_from([0, 1, 2, 4, 9]))
    X = rng.standard_normal((n, p))
    if draw(st.booleans()):
        X = np.round(X)  # ties, zeros, equal rows
    for _ in range(draw(st.integers(0, 4)) if p else 0):
        x = X[:, rng.integers(X.shape[1])]
        part = draw(st.sampled_from(["twin", "negative", "near", "constant", "zero", "sum", "far", "unit"]))
        new = {
            "twin": x, "negative": -x, "near": x + 1e-9 * rng.standard_normal(n), "constant": np.full(n, 0.1),
            "zero": np.zeros(n), "sum": X.sum(axis=1), "far": 1e6 + x, "unit": np.eye(n)[rng.integers(n)],
        }[part]  # fmt: skip
        X = np.insert(X, rng.integers(X.shape[1] + 1), new, axis=1)
    if draw(st.booleans()):
        X = X * 10.0 ** rng.integers(-6, 7, X.shape[1])
    if draw(st.integers(0, 9)) == 0:
        X = np.repeat(X[:1], n, axis=0)
    y = draw(st.sampled_from(["noise", "exact", "constant", "zero", "far", "integers"]))
    y = {
        "noise": rng.standard_normal(n), "exact": X @ rng.standard_normal(X.shape[1]), "constant": np.full(n, 0.3),
        "zero": np.zeros(n), "far": 1e6 + rng.standard_normal(n), "integers": rng.integers(0, 3, n) * 1.0,
    }[y]  # fmt: skip
    w = None
    if draw(st.booleans()):
        w = rng.uniform(0.5, 2, n) * (rng.random(n) < 0.7)
        w[rng.integers(n)] = 1.0
    flags = {name: draw(st.booleans()) for name in ("fit_intercept", "standardize")}
    return {"X": X, "y": y, "sample_weight": w, "l1_ratio": draw(st.sampled_from([1.0, 1.0, 0.5, 0.0])), **flags}


@settings(max_examples=400)
@given(designs(), st.sampled_from(sorted(STORAGES)))
def test_any_design(design: dict[str, Any], storage: str) -> None:
    honest(**design, storage=STORAGES[storage], eps=1e-2)


@settings(max_examples=100)
@given(designs(), st.data())
def test_any_design_with_factors_and_bounds(design: dict[str, Any], data: st.DataObject) -> None:
    p = design["X"].shape[1]
    v = data.draw(st.lists(st.sampled_from([1.0, 0.5, 3.0, np.inf]), min_size=p, max_size=p))
    hi = data.draw(st.lists(st.sampled_from([np.inf, 0.5, 0.0]), min_size=p, max_size=p))
    lo = -np.inf if data.draw(st.booleans()) else 0.0
    honest(**design, penalty_factors=np.array(v), bounds=(lo, np.array(hi)), eps=1e-2)


@settings(max_examples=60)
@given(designs())
def test_any_design_agrees_with_plain_python(design: dict[str, Any]) -> None:
    path = honest(**design, n_alphas=3, eps=0.1)
    rest = {name: x for name, x in design.items() if name not in ("X", "y")}
    for k, alpha in enumerate(path.alphas.tolist() if design["X"].shape[1] else []):
        fit = reference.coordinate_descent(design["X"], design["y"], alpha=alpha, tol=1e-6, max_epochs=300, **rest)
        problem = objective(design["X"], design["y"], alpha=alpha, **rest)
        ours, theirs = problem.primal(path.coefs.toarray()[:, k]), problem.primal(np.array(fit.coef))
        floor = 1e-12 * problem.null + 1e-20 * float(problem.w @ (problem.t + problem.level) ** 2)
        assert ours <= theirs + path.gaps[k] * problem.null + floor
        assert theirs <= ours + fit.gap * problem.null * 1.001 + floor


# ---- twins


@every_storage
@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_of_equal_columns_the_first_enters(fit_intercept: bool, standardize: bool, storage: Any) -> None:
    X, y, w = make_data(p=10, density=0.8)
    order = np.random.default_rng(0).permutation(np.repeat(np.arange(10), 3))
    first = np.array([np.flatnonzero(order == order[j])[0] == j for j in range(30)])
    options = {"sample_weight": w, "standardize": standardize, "fit_intercept": fit_intercept, "tol": 1e-10}
    path = fit_path(storage(X[:, order]), y, **options)
    coefs = path.coefs.toarray()
    assert not coefs[~first].any()
    alone = fit_path(storage(X), y, alphas=path.alphas, **options)
    mine = np.zeros((10, len(path)))
    mine[order[first]] = coefs[first]
    assert_allclose(mine, alone.coefs.toarray(), atol=1e-4)
    check_path(path, X[:, order], y, **options)


def test_of_equal_columns_the_first_enters_even_with_stored_zeros() -> None:
    x = np.array([0.0, 1, 0, 2, 0, 0, 3, 0, 1, 0])
    data, rows = np.concatenate([x[x != 0], x]), np.concatenate([np.flatnonzero(x), np.arange(10)])
    X = sp.csc_array((data, rows, [0, 4, 14]), shape=(10, 2))
    y = x + np.cos(np.arange(10))
    for k in ([0, 1], [1, 0]):
        path = fit_path(sp.csc_array(X[:, k]), y, tol=1e-12)
        assert not path.coefs.toarray()[1].any()
        assert path.coefs.toarray()[0, -1] != 0


@every_storage
@pytest.mark.parametrize("l1_ratio", [0.5, 0.0])
def test_equal_columns_share_under_a_quadratic_penalty(l1_ratio: float, storage: Any) -> None:
    X, y, _ = make_data(p=5)
    path = fit_path(storage(X[:, [0, 1, 2, 3, 4, 4, 0]]), y, l1_ratio=l1_ratio, tol=1e-16, alphas=[0.05])
    b = path.coefs.toarray()[:, 0]
    assert_allclose(b[[0, 4]], b[[6, 5]], atol=1e-6)
    assert b[[0, 4]].all()


@every_storage
@pytest.mark.parametrize("l1_ratio", [1.0, 0.5, 0.0])
def test_columns_of_opposite_sign(l1_ratio: float, storage: Any) -> None:
    X, y, _ = make_data(p=6)
    path = honest(np.column_stack([X, -X]), y, storage, l1_ratio=l1_ratio, tol=1e-10, max_iter=100_000)
    assert (path.status == "converged").all()
    coefs = path.coefs.toarray()
    alone = fit_path(X, y, alphas=path.alphas, l1_ratio=l1_ratio, tol=1e-10)
    if l1_ratio == 1:
        assert_allclose(coefs[:6] - coefs[6:], alone.coefs.toarray(), atol=1e-4)
    assert (coefs[:6] * coefs[6:] <= 0).all()  # never against each other: that would only cost


@every_storage
@pytest.mark.parametrize("l1_ratio", [1.0, 0.5, 0.0])
def test_near_twins(l1_ratio: float, storage: Any) -> None:
    X, y, _ = make_data(p=5)
    noise = np.random.default_rng(1).standard_normal(X.shape)
    for size in (1e-3, 1e-6, 1e-9, 1e-12, 1e-15):
        path = honest(np.column_stack([X, X * (1 + size * noise)]), y, storage, l1_ratio=l1_ratio, max_iter=100_000)
        assert (path.status == "converged").all()


# ---- shapes and values at the edge


@every_storage
@pytest.mark.parametrize("l1_ratio", [1.0, 0.5, 0.0])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_tiny_shapes(fit_intercept: bool, l1_ratio: float, storage: Any) -> None:
    rng = np.random.default_rng(0)
    for n in (1, 2, 3):
        for p in (0, 1, 2, 5):
            X, y = rng.standard_normal((n, p)), rng.standard_normal(n)
            path = honest(X, y, storage, l1_ratio=l1_ratio, fit_intercept=fit_intercept)
            assert path.coefs.shape == (p, len(path))
            if n == 1 and fit_intercept:
                assert not path.coefs.nnz
                assert_allclose(path.intercepts, y[0], rtol=1e-15)
            if p == 0:
                assert_allclose(path.intercepts, y.mean() if fit_intercept else 0.0, atol=1e-15)


@every_storage
@pytest.mark.parametrize("value", [0.0, 1.0, 0.1, -1e9, 1e-9, 1e150])
def test_constant_y(value: float, storage: Any) -> None:
    X, _, w = make_data()
    for options in ({}, {"sample_weight": w}, {"l1_ratio": 0.5}, {"l1_ratio": 0.0}):
        path = fit_path(storage(X), np.full(60, value), **options)
        assert path.path_status == "constant"
        assert not path.coefs.nnz
        assert not path.gaps.any()
        assert_allclose(path.intercepts, value, rtol=1e-14)
        assert_array_equal(path.deviance_ratio, 0)
        named = fit_path(storage(X), np.full(60, value), alphas=[1.0, 0.1], **options)
        assert_array_equal(named.alphas, [1.0, 0.1])
        assert not named.coefs.nnz
        assert regfast.alpha_max(storage(X), np.full(60, value), **options) == 0


def test_all_rows_equal() -> None:
    path = honest(np.repeat([[1.0, 2.0, -3.0]], 10, axis=0), np.arange(10.0))
    assert not path.coefs.nnz
    assert path.intercepts[-1] == pytest.approx(4.5)


@every_storage
@pytest.mark.parametrize("standardize", [True, False])
def test_wild_scales(standardize: bool, storage: Any) -> None:
    X, y, _ = make_data(p=13)
    A = X * 10.0 ** np.arange(-6, 7)
    path = honest(A, y, storage, standardize=standardize, n_alphas=30, tol=1e-9, max_iter=100_000)
    assert (path.status == "converged").all()
    for unit in (1e-150, 1e-100, 1e100, 1e150):
        for a, b in ((X * unit, y), (X, y / abs(y).max() * unit)):
            far = fit_path(storage(a), b, standardize=standardize, n_alphas=20, early_stop=False)
            assert (far.status == "converged").all()
            assert far.deviance_ratio[-1] > 0.9
            assert far.path_status == "complete"


@every_storage
@pytest.mark.parametrize("far", [1e3, 1e6, 1e8, 1e10])
def test_means_far_from_zero(far: float, storage: Any) -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((80, 6)) + far
    y = (X - X.mean(axis=0)) @ np.array([1.0, -1, 0, 1, 0, 1]) + 0.1 * rng.standard_normal(80)
    if far > 1e7 and sp.issparse(storage(X)):  # the scalar that centres sparse columns cannot: said, never hidden
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            path = fit_path(storage(X), y, max_iter=1000)
        assert np.isfinite(path.coefs.toarray()).all()
        assert np.isfinite(path.intercepts).all()
        assert set(path.status) <= {"converged", "rounding", "max_iter"}
        assert (path.gaps[path.status == "converged"] <= path.tol).all()
        assert (path.gaps[path.status != "converged"] > path.tol).all()
        return
    path = honest(X, y, storage, max_iter=100_000)
    assert (path.status == "converged").all()
    centred = fit_path(X - X.mean(axis=0), y, alphas=path.alphas, tol=1e-7)
    assert_allclose(path.coefs.toarray(), centred.coefs.toarray(), atol=1e-3)


@every_storage
@pytest.mark.parametrize("far", [1e3, 1e6, 1e9])
def test_y_far_from_zero(far: float, storage: Any) -> None:
    X, y, _ = make_data()
    path, near = (honest(X, y + c, storage, eps=1e-3, early_stop=False, max_iter=100_000) for c in (far, 0.0))
    assert (path.status == "converged").all()
    assert_allclose(path.alphas, near.alphas, rtol=1e-15 * far)
    assert_allclose(path.coefs.toarray(), near.coefs.toarray(), atol=1e-3)
    assert_allclose(path.intercepts - far, near.intercepts, atol=1e-3)


@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_as_many_columns_as_rows(fit_intercept: bool, l1_ratio: float) -> None:
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((15, 60)), rng.standard_normal(15)
    options = {"l1_ratio": l1_ratio, "fit_intercept": fit_intercept}
    path = honest(X, y, eps=1e-6, n_alphas=30, early_stop=False, max_iter=100_000, **options)
    assert (path.status == "converged").all()
    assert path.deviance_ratio[-1] > 1 - 1e-5
    most = 15 - int(fit_intercept)
    assert l1_ratio < 1 or path.n_nonzero.max() == most  # the lasso never holds more columns than it has rows


def test_many_zero_columns() -> None:
    X, y, _ = make_data(n=40, p=8)
    A = np.zeros((40, 500))
    A[:, 7:500:70] = X
    for storage in STORAGES.values():
        path, alone = (fit_path(x, y, tol=1e-12, eps=1e-3) for x in (storage(A), X))
        assert_allclose(path.coefs.toarray()[7:500:70], alone.coefs.toarray(), atol=1e-6)
        assert set(path.coefs.indices) <= set(range(7, 500, 70))


def test_empty_sparse_matrix() -> None:
    for make in (sp.csr_array, sp.csc_array):
        path = fit_path(make((20, 5)), np.arange(20.0))
        assert not path.coefs.nnz
        assert path.intercepts[0] == pytest.approx(9.5)


# ---- where it ends without a proof


@pytest.mark.parametrize(("word", "arguments"), [("max_iter", {"max_iter": 1}), ("rounding", {"tol": 0.0})])
def test_not_converged_says_so_once_and_truthfully(word: str, arguments: dict[str, Any]) -> None:
    A, y, _ = make_data(n=40, p=300)
    with pytest.warns(ConvergenceWarning) as told:
        path = fit_path(A, y, alphas=[100.0, 0.5, 0.1, 0.05, 0.01, 1e-3], **({"tol": 1e-12} | arguments))
    assert len(told) == 1
    message, missed = str(told[0].message), np.flatnonzero(path.status != "converged")
    more = "Objective did not converge. You might want to increase the number of iterations. "
    count = f"{len(missed)} of 6 alphas did not reach tol={path.tol:g} (relative duality gap): "
    assert message.startswith(more + count if word == "max_iter" else count)
    for k in missed:
        assert path.status[k] == word
        assert f"alpha={path.alphas[k]:.6g}: {path.gaps[k]:.2g} ({word})" in message
    assert_array_equal(path.status == "converged", path.gaps <= path.tol)
    check_path(path, A, y)


@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
@pytest.mark.parametrize("tol", [0.0, 1e-18])
def test_where_float64_ends(tol: float, l1_ratio: float) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        path = fit_path(*make_data()[:2], alphas=[0.5, 0.01], tol=tol, l1_ratio=l1_ratio)
    assert set(path.status) <= {"converged", "rounding"}
    assert path.gaps.max() < 1e-14
