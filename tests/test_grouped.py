"""Coefficients that enter together: certificates of our own, scikit-learn's solutions, identities between problems."""

import itertools
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray
from scipy.special import logsumexp, xlogy
from sklearn.datasets import load_diabetes, load_wine
from sklearn.linear_model import LinearRegression, MultiTaskElasticNet, MultiTaskLasso, MultiTaskLassoCV, enet_path
from sklearn.model_selection import KFold

import regfast
from regfast import families
from regfast.errors import ADVICE

Array = NDArray[Any]
STORAGES: dict[str, Any] = {"C": np.ascontiguousarray, "F": np.asfortranarray, "CSR": sp.csr_array, "CSC": sp.csc_array}
RNG = np.random.default_rng(0)
WINE, LABELS = load_wine(return_X_y=True)
WINE, LABELS = ((WINE - WINE.mean(0)) / WINE.std(0))[::2], LABELS[::2]
ONE_HOT = (LABELS[:, None] == np.arange(3)).astype(float)
X = np.hstack([load_diabetes().data[:80] * 20, np.zeros((80, 1)), np.ones((80, 1)), RNG.standard_normal((80, 4))])
X[:, 11 + 2] = X[:, 3]  # a twin
Y = X[:, :4] @ RNG.standard_normal((4, 3)) + RNG.standard_normal((80, 3)) + [5.0, 0.0, -100.0]
W = np.random.default_rng(0).integers(0, 4, 200).astype(float)
DATA: dict[str, tuple[Array, Array, Array]] = {"multigaussian": (X, Y, Y), "multinomial": (WINE, LABELS, ONE_HOT)}


def gap_of(path: regfast.Path, k: int, X: Array, Y: Array, *, w: Array, offset: Any = None) -> float:
    """(primal − dual) / P_null at the k-th α, from X, y (n, C) and the path's numbers alone, the dual point our own."""
    w = w / w.sum()
    shift = np.zeros_like(Y) if offset is None else offset
    B = np.array([part.toarray()[:, k] for part in path.coefs]).T
    mean = w @ X if path.fit_intercept else 0 * X[0]
    scale = np.sqrt(w @ (X - w @ X) ** 2) if path.standardize else np.ones(X.shape[1])
    scale[scale < 1e-12] = 0
    l1, l2 = path.alphas[k] * path.l1_ratio * scale, path.alphas[k] * (1 - path.l1_ratio) * scale**2
    size = np.linalg.norm(B, axis=1)
    eta = X @ B + path.intercepts[:, k] + shift
    squares = path.family == "multigaussian"
    mu = eta if squares else np.exp(eta - logsumexp(eta, axis=1)[:, None])
    saturated = w @ xlogy(Y, Y).sum(1) if not squares else 0.0
    loss = w @ ((Y - eta) ** 2).sum(1) / 2 if squares else w @ (logsumexp(eta, axis=1) - (Y * eta).sum(1)) + saturated
    primal = loss + l1 @ size + l2 @ size**2 / 2
    R = w[:, None] * (Y - mu)
    R -= w[:, None] * R.sum(0) * path.fit_intercept  # whatever the intercept has left
    best = -np.inf
    for joined in (False, True):  # without an L2 part both are the same point
        c = np.linalg.norm((X - mean).T @ R - (l2[:, None] * B if joined else 0), axis=1)
        live = scale > 0
        s = min(1.0, (l1[live] / np.maximum(c[live], 1e-300)).min()) if joined or path.l1_ratio == 1 else 1.0
        t = s * R / np.where(w > 0, w, 1)[:, None]
        if squares:
            dual = (w[:, None] * (t * (Y - shift) - t**2 / 2)).sum()
        else:
            assert (Y - t).min() > -1e-12
            m = np.maximum(Y - t, 0)  # probabilities, but for rounding
            dual = saturated - w @ xlogy(m, m).sum(1) - (s * R * shift).sum()
        if joined:
            dual -= s**2 * l2 @ size**2 / 2
        elif path.l1_ratio < 1:
            dual -= (np.maximum(c - l1, 0)[live] ** 2 / (2 * l2[live])).sum()
        best = max(best, dual)
    return float((primal - best) / (path.null_deviance / 2))


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("l1_ratio", [1.0, 0.5, 0.0])
@pytest.mark.parametrize("family", DATA)
def test_every_alpha_is_proved(family: str, l1_ratio: float, storage: str) -> None:
    X, y, Y = DATA[family]
    for weighted, intercept, standardize, dtype in itertools.product((False, True), (True, False), (False, True),
                                                                     ("f8", "f4")):
        x = X.astype(dtype)
        w = W[:len(X)] if weighted else np.ones(len(X))
        path = regfast.fit_path(STORAGES[storage](x), y, family=family, group_classes=True, l1_ratio=l1_ratio,
                                n_alphas=6, eps=1e-3, sample_weight=w if weighted else None, fit_intercept=intercept,
                                standardize=standardize, early_stop=False)
        assert (path.status == "converged").all()
        for k in range(len(path)):
            true = gap_of(path, k, x.astype(float), Y, w=w)
            assert true <= 1.01e-7
            assert true <= path.gaps[k] + 1e-11  # what is reported is a bound
        together = np.array([part.toarray() != 0 for part in path.coefs])
        assert (together == together[0]).all()
        assert_array_equal(path.n_nonzero, together[0].sum(axis=0))


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
def test_scikit_learn_agrees(l1_ratio: float, intercept: bool) -> None:
    x = np.delete(X, 13, axis=1)  # without the twin the solution is the only one
    for alpha in (1.0, 0.1, 0.01):
        path = regfast.fit_path(x, Y, family="multigaussian", l1_ratio=l1_ratio, alphas=[alpha], tol=1e-13,
                                standardize=False, fit_intercept=intercept)
        theirs = MultiTaskElasticNet(alpha, l1_ratio=l1_ratio, tol=1e-13, max_iter=100_000, fit_intercept=intercept)
        theirs.fit(x, Y)
        ours = regfast.MultiTaskElasticNet(alpha, l1_ratio=l1_ratio, fit_intercept=intercept).fit(x, Y)
        for coef, b0 in (path.coef_at(alpha), path.intercept_at(alpha)), (ours.coef_, ours.intercept_):
            assert_allclose(coef, theirs.coef_, atol=1e-6)
            assert_allclose(b0, theirs.intercept_, atol=1e-5)
        assert_allclose(ours.predict(x), theirs.predict(x), atol=1e-5)
        assert ours.sparse_coef_.shape == theirs.sparse_coef_.shape


def test_path_functions_agree_with_scikit_learn() -> None:
    x, y = X[:, :10] - X[:, :10].mean(0), Y - Y.mean(0)
    alphas, coefs, gaps = regfast.enet_path(x, y, l1_ratio=0.7, alphas=12, eps=1e-2, tol=1e-12)
    a, theirs, _ = enet_path(x, y, l1_ratio=0.7, alphas=12, eps=1e-2, tol=1e-12, max_iter=100_000)
    assert_allclose(alphas, a, rtol=1e-12)
    assert coefs.shape == theirs.shape == (3, 10, 12)
    assert_allclose(coefs, theirs, atol=1e-7)
    assert gaps.max() <= 1e-12 * (y**2).sum()
    again = regfast.enet_path(x, y, l1_ratio=0.7, alphas=alphas[-1:], coef_init=coefs[..., -1], tol=1e-12)
    assert_allclose(again[1][..., 0], coefs[..., -1], atol=1e-9)
    with pytest.raises(ValueError, match="positive must be False"):
        regfast.lasso_path(x, y, positive=True)
    with pytest.raises(ValueError, match="coef_init must be"):
        regfast.lasso_path(x, y, coef_init=np.zeros((2, 10)))


@pytest.mark.parametrize("l1_ratio", [1.0, 0.3, 0.0])
def test_one_response_is_an_ordinary_path(l1_ratio: float) -> None:
    options: dict[str, Any] = {"l1_ratio": l1_ratio, "n_alphas": 8, "early_stop": False, "tol": 1e-12,
                               "sample_weight": W[:80] + 1, "penalty_factors": np.where(np.arange(16) == 2, 3.0, 1.0)}
    one = regfast.fit_path(X, Y[:, 0], **options)
    many = regfast.fit_path(X, Y[:, :1], family="multigaussian", **options)
    assert_allclose(many.alphas, one.alphas, rtol=1e-12)
    assert_allclose(many.coefs[0].toarray(), one.coefs.toarray(), atol=1e-7)
    assert_allclose(many.deviance_ratio, one.deviance_ratio, atol=1e-10)
    assert many.null_deviance == pytest.approx(one.null_deviance)


def test_two_classes_are_a_binomial_fit() -> None:
    """b_2 = −b_1, so that α ‖b_j·‖ = α √2 |b_1j| = (α/√2) |b_1j − b_2j|."""
    y = LABELS > 0
    two = regfast.fit_path(WINE, y, family="multinomial", group_classes=True, alphas=[0.1, 0.01], tol=1e-12)
    one = regfast.fit_path(WINE, y, family="binomial", alphas=np.array([0.1, 0.01]) / np.sqrt(2), tol=1e-12)
    assert_allclose((two.coefs[1] - two.coefs[0]).toarray(), one.coefs.toarray(), atol=1e-6)
    assert_allclose((two.coefs[1] + two.coefs[0]).toarray(), 0, atol=1e-7)


@pytest.mark.parametrize("family", DATA)
def test_derivatives_by_finite_differences(family: str) -> None:
    """r = −w ∂ℓ/∂η, `curvature` its second derivative's products, `stiffness` their sum, `bound` above them."""
    rng, step = np.random.default_rng(0), 1e-5
    Y = DATA[family][2][:12].T
    w = rng.dirichlet(np.ones(12))
    loss = families.get(family).joint(np.ascontiguousarray(Y), w, None)
    eta, u = rng.standard_normal((2, 3, 12))
    ahead, behind = eta + step * u, eta - step * u
    slope = (loss.value(ahead) - loss.value(behind)) / (2 * step)
    assert slope == pytest.approx(-(loss.residual(eta) * u).sum(), rel=1e-8)
    bent = loss.curvature(eta)(u)
    assert_allclose(bent, (loss.residual(behind) - loss.residual(ahead)) / (2 * step), atol=1e-9)
    assert (bent * u).sum() <= (loss.bound(eta) * (u**2).sum(axis=0)).sum()
    whole = [loss.curvature(eta)(np.outer(one, np.ones(12))).sum(axis=1) for one in np.eye(3)]
    assert_allclose(loss.stiffness(eta), whole, rtol=1e-12, atol=1e-15)
    b0 = loss.intercepts(eta, np.zeros(3))
    assert_allclose(loss.residual(eta + b0[:, None]).sum(axis=1), 0, atol=1e-12)
    for s in (0.0, 0.3, 1.0):  # ℓ(η) + ℓ*(u) − u·η, u = s ∂ℓ/∂η, has its least value, 0, where s is 1
        assert loss.young(s, eta) >= -1e-15
    assert loss.young(0.0, eta) == pytest.approx(loss.value(eta), rel=1e-12)


@pytest.mark.parametrize("family", DATA)
def test_weights_are_repeats(family: str) -> None:
    X, y, _ = DATA[family]
    w = W[:len(X)]
    many = np.repeat(np.arange(len(w)), w.astype(int))
    options: dict[str, Any] = {"family": family, "group_classes": True, "alphas": [0.05], "tol": 1e-12}
    weighted = regfast.fit_path(X, y, sample_weight=w, **options)
    repeated = regfast.fit_path(X[many], y[many], **options)
    assert_allclose(weighted.coef_at(0.05), repeated.coef_at(0.05), atol=1e-7)
    assert_allclose(weighted.intercept_at(0.05), repeated.intercept_at(0.05), atol=1e-6)


def test_offset_and_free_columns() -> None:
    for family, (x, y, Z) in DATA.items():
        offset = 0.3 * x[:, :3]
        path = regfast.fit_path(x, y, family=family, group_classes=True, offset=offset, n_alphas=5, eps=0.05,
                                early_stop=False)
        assert max(gap_of(path, k, x, Z, w=np.ones(len(x)), offset=offset) for k in range(5)) <= 1e-7
        alpha = float(path.alphas[-1])
        eta = path.predict(x, alpha, offset=offset, kind="link")
        assert_allclose(eta, x @ path.coef_at(alpha).T + path.intercept_at(alpha) + offset, atol=1e-11)
        factors = np.where(np.arange(x.shape[1]) < 2, 0.0, 1.0)
        factors[4] = np.inf
        free = regfast.fit_path(x, y, family=family, group_classes=True, penalty_factors=factors, n_alphas=5, tol=1e-9)
        assert free.gap_kind == "kkt residual"
        assert (free.status == "converged").all()
        b = np.array([part.toarray() for part in free.coefs])
        assert (b[:, :2] != 0).all()
        assert not b[:, 4].any()
        assert not b[:, 2:, 0].any()
        P = free.predict(x)
        c = np.einsum("nj,nkc->kjc", (x - x.mean(0)) / len(x), Z[:, None] - P)  # correlations at every α
        assert np.abs(c[:, :2]).max() <= 1e-8 * np.abs(c).max() + 1e-9
        held = np.isfinite(factors) & (factors > 0) & (x.std(0) > 0)
        assert (np.linalg.norm(c, axis=2)[:, held] <= (free.alphas[:, None] * x.std(0)[held]) * (1 + 1e-6)).all()


def test_no_penalty_at_all() -> None:
    path = regfast.fit_path(X[:, :10], Y, family="multigaussian", alphas=[0.1, 0.0])
    theirs = LinearRegression().fit(X[:, :10], Y)
    assert_allclose(path.coef_at(0.0), theirs.coef_, rtol=1e-8)
    assert_allclose(path.intercept_at(0.0), theirs.intercept_, rtol=1e-8)
    assert path.status.tolist() == ["converged"] * 2
    assert regfast.fit_path(X, Y, family="multigaussian", alphas=[0.0]).status[0] == "not_unique"  # a twin
    with pytest.warns(UserWarning, match="LinearRegression"):
        assert_allclose(regfast.MultiTaskLasso(0).fit(X[:, :10], Y).coef_, theirs.coef_, rtol=1e-8)
    y = np.where(np.arange(len(LABELS)) % 5 == 0, 2 - LABELS, LABELS)
    options: dict[str, Any] = {"family": "multinomial", "alphas": [0.0], "tol": 1e-9}
    grouped = regfast.fit_path(WINE[:, :3], y, group_classes=True, **options)
    assert_allclose(grouped.predict(WINE[:, :3], 0.0), regfast.fit_path(WINE[:, :3], y, **options).predict(
        WINE[:, :3], 0.0), atol=1e-8)


@pytest.mark.parametrize("seed", range(40))
def test_degenerate_designs(seed: int) -> None:
    """Twins, near twins, dependent and constant columns, more columns than rows, weights of zero, wild scales."""
    rng = np.random.default_rng(seed)
    n, p, C = int(rng.integers(1, 12)), int(rng.integers(0, 20)), int(rng.integers(1, 5))
    x = rng.standard_normal((n, p)) * 10.0 ** rng.integers(-3, 4, p)
    for j in range(1, p):
        kind = rng.integers(6)
        if kind == 0:
            x[:, j] = x[:, j - 1] * rng.choice([1.0, -2.0])
        elif kind == 1:
            x[:, j] = x[:, j - 1] + 1e-9 * rng.standard_normal(n)
        elif kind == 2:
            x[:, j] = 7.0
    w = rng.integers(0, 3, n) + (np.arange(n) == 0)
    options: dict[str, Any] = {"group_classes": True, "n_alphas": 5, "eps": 1e-2, "l1_ratio": rng.choice([1.0, 0.5]),
                               "sample_weight": w.astype(float), "standardize": bool(seed % 2), "early_stop": False,
                               "fit_intercept": seed % 3 > 0}
    y = rng.standard_normal((n, C))
    path = regfast.fit_path(x, y, family="multigaussian", **options)
    used = x[w > 0]
    if path.path_status != "constant" and not np.ptp(used, axis=0).any():
        assert path.alpha_max == 0 or not options["fit_intercept"]
    for k in range(len(path)):
        assert path.status[k] == "converged", path.gaps[k]
        assert np.isfinite(path.intercepts[:, k]).all()
        assert all(np.isfinite(part.data).all() for part in path.coefs)
    if n > 3:
        labels = np.arange(n) % 2 + (rng.random(n) < 0.5)
        labels[np.flatnonzero(w)[:1]] = 0
        present = np.isin(labels, labels[w > 0])
        if len(np.unique(labels[present])) > 1:
            options["sample_weight"] = w[present].astype(float)
            classes = regfast.fit_path(x[present], labels[present], family="multinomial", **options)
            assert not set(classes.status.tolist()) & set(ADVICE), (classes.status, classes.gaps)


def test_sparse_columns_that_are_multiples_of_each_other() -> None:
    """Rows of coefficients may then give way to each other at no cost: Newton's steps have no length of their own."""
    rng = np.random.default_rng(0)
    x = sp.random(60, 900, 0.02, format="csr", random_state=rng)
    y = rng.standard_normal((60, 3)) + x[:, :5] @ np.ones((5, 3)) * 3
    path = regfast.fit_path(x, y, family="multigaussian", n_alphas=20, early_stop=False)
    assert (path.status == "converged").all()
    assert path.n_iter.max() < 1000
    assert max(gap_of(path, k, x.toarray(), y, w=np.ones(60)) for k in range(20)) <= 1.01e-7


def test_cross_validation_and_its_file(tmp_path: Any) -> None:
    alphas, folds = np.geomspace(1, 0.01, 12), list(KFold(4).split(X))
    cv = regfast.fit_cv(X, Y, family="multigaussian", cv=folds, alphas=alphas, standardize=False, tol=1e-11)
    theirs = MultiTaskLassoCV(alphas=alphas, cv=folds, tol=1e-11, max_iter=100_000).fit(X, Y)
    assert_allclose(cv.scores.T / 3, theirs.mse_path_, rtol=1e-7)
    assert cv.alpha_min == pytest.approx(theirs.alpha_)
    assert_allclose(cv.predict(X), theirs.predict(X), atol=1e-6)
    cv.save(tmp_path / "m.json")
    again = regfast.load(tmp_path / "m.json")
    assert_array_equal(again.predict(X), cv.predict(X))
    assert again.path.grouped
    exact = cv.path.coef_at(cv.alpha_min, exact=True, X=X, y=Y)
    assert_allclose(exact, cv.coef(), atol=1e-7)
    assert cv.path.select(4) == cv.path.alphas[cv.path.n_nonzero <= 4][-1]
    shares = regfast.fit_cv(WINE, LABELS, family="multinomial", group_classes=True, cv=4, n_alphas=8)
    assert shares.path.grouped


def test_what_is_refused() -> None:
    for y, message in ((Y[:, 0], "y must be"), (Y[:-1], r"y\[:, 0\] must"),
                       (np.where(np.arange(80)[:, None] == 3, np.nan, Y), "NaN")):
        with pytest.raises(ValueError, match=message):
            regfast.fit_path(X, y, family="multigaussian")
    with pytest.raises(ValueError, match="group_classes needs a family of several predictors; got 'gaussian'"):
        regfast.fit_path(X, Y[:, 0], group_classes=True)
    with pytest.raises(ValueError, match="bounds must be None"):
        regfast.fit_path(X, Y, family="multigaussian", bounds=(0, np.inf))
    with pytest.raises(ValueError, match="offset must be"):
        regfast.fit_path(X, Y, family="multigaussian", offset=Y[:, :2])
    with pytest.raises(ValueError, match="For mono-task outputs, use Lasso"):
        regfast.MultiTaskLasso().fit(X, Y[:, 0])


def test_estimators_hold_what_scikit_learns_hold() -> None:
    for ours, theirs in ((regfast.MultiTaskLasso(0.1), MultiTaskLasso(0.1)),
                         (regfast.MultiTaskElasticNet(0.1), MultiTaskElasticNet(0.1))):
        assert ours.get_params() == theirs.get_params()
        ours.fit(X, Y), theirs.fit(X, Y)
        known = {name for name in vars(theirs) if name.endswith("_")}
        assert known <= set(vars(ours)), known - set(vars(ours))
        assert ours.coef_.shape == theirs.coef_.shape
        assert ours.score(X, Y) == pytest.approx(theirs.score(X, Y), abs=1e-4)
    warm = regfast.MultiTaskLasso(0.1, warm_start=True).fit(X, Y)
    first = warm.n_iter_
    assert warm.fit(X, Y).n_iter_ <= first
    assert_allclose(warm.coef_, regfast.MultiTaskLasso(0.1).fit(X, Y).coef_, atol=1e-6)
