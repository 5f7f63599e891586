"""Likelihoods other than squared error, judged by `Truth`: objective, dual point, conjugates by formulas of its own."""

import itertools
import warnings
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import scipy.special as ss
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from oracle import Array, Long, dense, objective
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import GammaRegressor, LogisticRegression, PoissonRegressor, TweedieRegressor
from sklearn.metrics import log_loss, mean_tweedie_deviance

import regfast
from regfast import families, fit_path

Options = dict[str, Any]
POWER = {"gaussian": 0.0, "poisson": 1.0, "gamma": 2.0, "tweedie(1.1)": 1.1, "tweedie(1.5)": 1.5, "tweedie(1.9)": 1.9}
LOSSES, FITTED = ["binomial", *POWER], ["binomial", "poisson", "gamma", "tweedie(1.5)"]
STORAGES: dict[str, Any] = {"C": np.ascontiguousarray, "F": np.asfortranarray, "CSR": sp.csr_array, "CSC": sp.csc_array}
SHORT: Options = {"n_alphas": 6, "eps": 1e-3, "early_stop": False}
W = np.where(np.arange(60) % 5 == 2, 0, np.random.default_rng(1).uniform(0.2, 3, 60))
every_family = pytest.mark.parametrize("family", FITTED)
every_ratio = pytest.mark.parametrize("l1_ratio", [1.0, 0.5, 0.0])
every_storage = pytest.mark.parametrize("storage", STORAGES)


def derivatives(family: str, y: Any, eta: Any) -> tuple[Any, Any, Any]:
    """ℓ, dℓ/dη, d²ℓ/dη²"""
    if family == "binomial":
        up, down = 1 / (1 + np.exp(-eta)), 1 / (1 + np.exp(eta))
        return y * np.logaddexp(0, -eta) + (1 - y) * np.logaddexp(0, eta), (1 - y) * up - y * down, up * down
    k = Long(POWER[family])
    if k == 0:
        return (eta - y) ** 2 / 2, eta - y, np.ones_like(eta)
    rise, fall = np.exp((2 - k) * eta), y * np.exp((1 - k) * eta)
    loss = rise - y * eta if k == 1 else fall + eta if k == 2 else rise / (2 - k) + fall / (k - 1)
    return loss, rise - fall, (2 - k) * rise + (k - 1) * fall


def conjugate(family: str, y: Array, u: Array) -> Any:
    """sup over η of u η − ℓ(η). At u = 0 that is minus the saturated loss."""
    k = Long(POWER.get(family, -1))
    if k in (-1, 1, 2):
        m, rest = y + u, 1 - u - (y if k == -1 else 0)
        first, second = (x * np.log(np.where(x > 0, x, 1)) for x in (m, rest))
        return first - m if k == 1 else second - rest * (np.log(y) + 1) if k == 2 else first + second
    eta = np.log(np.maximum(abs(u) + y ** (2 - k), 1e-300)) / (2 - k) + 1 if k > 0 else u + y
    for _ in range(100):  # Newton's steps to the slope u
        _, slope, bend = derivatives(family, y, eta)
        eta = eta - (step := np.where(bend > 1e-290, np.clip((slope - u) / np.maximum(bend, 1e-290), -1, 1), 0))
        if (abs(step) < 1e-12).all():
            break
    return u * eta - derivatives(family, y, eta)[0]


class Truth:
    """What `fit_path` minimises under these arguments, for a response that is numbers already."""

    def __init__(self, X: Any, y: Any, family: str, offset: Any = None, **options: Any) -> None:
        self.family, self.y = family, np.asarray(y, dtype=Long)
        self.frame = objective(X, np.zeros(len(y)), **options)  # penalties, bounds, weights; nothing of the loss
        self.X, self.w = dense(X), self.frame.w
        self.o = np.zeros_like(self.y) if offset is None else np.asarray(offset, dtype=Long)
        self.null = self.value(self.o + self.best_intercept(self.o))  # P_null where no column is free

    def best_intercept(self, eta: Array, b0: Any = 0.0) -> Any:
        b0 = Long(b0)
        for _ in range(200 if self.frame.intercept else 0):
            _, slope, bend = derivatives(self.family, self.y, eta + b0)
            b0 -= (step := np.clip((self.w @ slope) / max(self.w @ bend, Long(1e-300)), -1, 1))
            if abs(step) < 1e-15 * (1 + abs(b0)):
                break
        return b0

    def value(self, eta: Array) -> Any:
        return self.w @ (derivatives(self.family, self.y, eta)[0] + conjugate(self.family, self.y, 0 * self.y))

    def pull(self, b: Array) -> tuple[Array, Array]:
        """θ = −dℓ/dη with the best intercept, and X'Wθ; b (p + 1,), the intercept last, must be feasible."""
        f, eta, free = self.frame, self.o + self.X @ b[:-1], b[:-1] != 0
        assert np.isfinite(b).all()
        assert ((f.lo <= b[:-1]) & (b[:-1] <= f.hi) & ~(free & np.isinf(f.v))).all()
        theta = -derivatives(self.family, self.y, eta + self.best_intercept(eta, b[-1]))[1]
        return theta, f.X.T @ (self.w * theta)

    def gap(self, alpha: float, b: Array) -> float:
        """(P − D)/P_null; D the best of θ scaled feasible and of the same with the L2 part as further rows."""
        f, (theta, c), value, tops = self.frame, self.pull(b), self.value(self.o + self.X @ b[:-1] + b[-1]), []
        b, l1 = b[:-1].astype(Long), alpha * f.l1
        start, wide = conjugate(self.family, self.y, 0 * self.y), np.isinf([f.lo, f.hi]).all()
        for joined, narrow in itertools.product({False, bool(f.l2.any())}, {bool(wide), True}):
            ridge, rest = (0 * f.l2, alpha * f.l2) if joined else (alpha * f.l2, 0 * f.l2)
            u = c - rest * b
            room = np.where(u > 0, f.hi, -f.lo)
            held = f.used & (ridge == 0) & (abs(u) > l1) & (room > 0 if narrow else np.isinf(room))
            s = min([Long(1), *(l1[held] / abs(u[held]))])
            excess = np.where(f.used, np.maximum(s * abs(u) - l1 * (1 + 4 * np.finfo(Long).eps), 0), 0)
            z = np.minimum(room, np.where(ridge > 0, excess / np.where(ridge > 0, ridge, 1), 1e300)) * (excess > 0)
            rows = conjugate(self.family, self.y, -s * theta) - start + s * theta * self.o
            tops.append(-self.w @ rows - s**2 * rest @ b**2 / 2 - (excess * z - ridge * z**2 / 2).sum())
        penalty = np.where(b != 0, l1, 0) @ abs(b) + alpha * f.l2 @ b**2 / 2
        return float((value + penalty - max(tops)) / self.null)

    def kkt(self, alpha: float, b: Array) -> float:
        f, c, b = self.frame, self.pull(b)[1], b[:-1]
        g, l1 = c - alpha * f.l2 * b, alpha * np.where(f.used, f.l1, 0)
        least, most = np.where(b > 0, l1, -l1), np.where(b < 0, -l1, l1)
        off = np.maximum(np.where(b > f.lo, least - g, 0), np.where(b < f.hi, g - most, 0))[f.used]
        return float(max(off / np.sqrt(f.h[f.used]), default=0.0))

    def faults(self, path: regfast.Path) -> list[str]:
        """Solutions whose gap is not what the path says, or whose status denies it."""
        found, by_kkt, (*first, b0) = [], path.gap_kind == "kkt residual", coefs_of(path)[0]
        null = self.value(self.o + self.X @ first + b0)  # (a path with free columns begins there)
        for alpha, b, gap, word in zip(path.alphas.tolist(), coefs_of(path), path.gaps, path.status, strict=True):
            true = self.kkt(alpha, b) / float(np.sqrt(2 * null)) if by_kkt else self.gap(alpha, b)
            if (word == "converged") != (gap <= path.tol) or not gap / 4 - 1e-9 <= true <= 2 * gap + 1e-9:
                found.append(f"α={alpha:.3g}: {word}, says {gap:.3g}, is {true:.3g}")
        return found


def proved(X: Any, y: Any, family: str, **options: Any) -> regfast.Path:
    """A path of which every solution has converged, by its word and by our own judgement."""
    path = fit_path(X, y, family=family, **({} if "alphas" in options else SHORT) | options)
    assert (path.status == "converged").all(), (path.status, path.gaps)
    assert not (found := Truth(X, y, family, **options).faults(path)), found
    return path


def data(family: str, n: int = 30, p: int = 8) -> tuple[Array, Array]:
    """X (n, p) of float32 numbers, unequal scales and means, half the columns two thirds zero; y."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, p)) * rng.uniform(0.3, 2, p) + rng.uniform(-1, 1, p)
    X = (X * np.where(np.arange(p) % 2, 1, rng.random((n, p)) < 1 / 3)).astype("f4").astype(float)
    eta = 0.7 * X[:, 0] - 0.8 * X[:, p // 2] + 0.3
    draws: Options = {"binomial": lambda: rng.random(n) < ss.expit(eta), "poisson": lambda: rng.poisson(np.exp(eta))}
    y = draws.get(family, lambda: rng.gamma(2, np.exp(eta) / 2))().astype(float)
    return X, y * (rng.random(n) < 0.7) if "tweedie" in family else y


def coefs_of(path: regfast.Path) -> Array:
    """(k, p + 1) the intercept last"""
    return np.column_stack([path.coefs.toarray().T, path.intercepts])


def coefs(X: Any, y: Any, **options: Any) -> Array:
    return coefs_of(fit_path(X, y, tol=1e-12, **options))


@pytest.mark.parametrize("family", LOSSES)
def test_derivatives(family: str) -> None:
    """By differences of the value, and of the slope; each also against its formula."""
    for y in (1.0, 0.25, 3.0) if family == "gamma" else (0.0, 1.0, 0.25) if family == "binomial" else (0.0, 1.0, 3.7):
        loss = families.get(family).loss(np.array([y]), np.ones(1), None)
        for eta in np.linspace(-30, 30, 41):
            (r,), (v,) = loss.gradient(np.array([eta]))
            at = [np.array([eta + k * 1e-3]) for k in (-2, -1, 1, 2)]
            value, slope = [loss.deviance(x) for x in at], [-float(loss.gradient(x)[0][0]) for x in at]
            size = 1 + max(value) + abs(float(conjugate(family, np.array([Long(y)]), np.zeros(1, dtype=Long))[0]))
            for got, f, scale in ((-r, value, size), (v, slope, abs(r) + v)):
                assert got == pytest.approx((8 * (f[2] - f[1]) - (f[3] - f[0])) / 12e-3, abs=1e-11 * scale), (y, eta)
            want = [float(x) for x in derivatives(family, Long(y), Long(eta))[1:]]
            assert_allclose([-r, v], want, rtol=1e-13, atol=1e-15 * (abs(r) + v))


@pytest.mark.parametrize("family", LOSSES)
def test_deviance(family: str) -> None:
    rng, likelihood, y = np.random.default_rng(0), families.get(family), data(family, 200)[1]
    w, share = rng.dirichlet(np.ones(200)), rng.random(200)
    for eta in (rng.standard_normal(200) * spread for spread in (0.1, 1.0, 5.0)):
        if family == "binomial":
            want = log_loss(y, ss.expit(eta), sample_weight=w)
            terms = -share * ss.log_expit(eta) - (1 - share) * ss.log_expit(-eta) - ss.entr(share) - ss.entr(1 - share)
            assert likelihood.loss(share, w, None).deviance(eta) == pytest.approx(w @ terms, rel=1e-12)
        else:
            mu = eta if family == "gaussian" else np.exp(eta)
            want = mean_tweedie_deviance(y, mu, sample_weight=w, power=POWER[family]) / 2
        assert likelihood.loss(y, w, None).deviance(eta) == pytest.approx(want, rel=1e-10)
        assert likelihood.deviance(y, eta, 7 * w) == pytest.approx(2 * want, rel=1e-10)


@every_ratio
@every_storage
@every_family
def test_certificates(family: str, storage: str, l1_ratio: float) -> None:
    (X, y), both, offset = data(family), (True, False), np.random.default_rng(2).standard_normal(30)
    for w, o, intercept, standardize, dtype in itertools.product((None, W[:30]), (None, offset), both, both, "fd"):
        path = proved(STORAGES[storage](X.astype(dtype)), y, family, l1_ratio=l1_ratio, sample_weight=w, offset=o,
                      fit_intercept=intercept, standardize=standardize)
        assert (len(path), path.gap_kind) == (6, "duality gap")
    truth, last = Truth(X, y, family, sample_weight=w, offset=o, fit_intercept=False), coefs_of(path)[-1]
    assert path.null_deviance == pytest.approx(float(2 * truth.null), rel=1e-10)
    value = float(truth.value(truth.o + X @ last[:-1]) / truth.null)
    assert path.deviance_ratio[-1] == pytest.approx(1 - value, abs=1e-10)


@every_ratio
@every_family
def test_storage_changes_nothing_and_weights_are_repeats(family: str, l1_ratio: float) -> None:
    (X, y), o, repeats = data(family), np.cos(np.arange(30)), np.random.default_rng(0).integers(0, 4, 30)
    options: Options = {"family": family, "alphas": [0.1, 0.01], "l1_ratio": l1_ratio}
    rows = np.repeat(np.arange(30), repeats)
    first = coefs(X[rows], y[rows], offset=o[rows], **options)
    for storage, dtype in itertools.product(STORAGES.values(), "fd"):
        again = coefs(storage(X.astype(dtype)), y, sample_weight=0.1 * repeats, offset=o, **options)
        assert_allclose(again, first, atol=1e-6)


@pytest.mark.parametrize("l1_ratio", [1.0, 0.0])
def test_labels_counts_and_fractions(l1_ratio: float) -> None:
    (X, y), counts = data("binomial"), np.random.default_rng(0).integers(0, 4, (30, 2))
    options: Options = {"family": "binomial", "alphas": [0.05, 0.005], "l1_ratio": l1_ratio}
    rows, labels = np.tile(np.arange(30), 2), np.repeat(["no", "yes"], 30)
    expanded = coefs(*(np.repeat(x, counts.T.ravel(), axis=0) for x in (X[rows], labels)), **options)
    assert_allclose(coefs(X, counts, **options), expanded, atol=1e-6)
    assert_allclose(coefs(X, counts / 2, sample_weight=np.full(30, 2), **options), expanded, atol=1e-6)
    share = counts[:, 1] / np.maximum(counts.sum(1), 1)
    assert_allclose(coefs_of(proved(X, share, sample_weight=counts.sum(1), tol=1e-12, **options)), expanded, atol=1e-6)
    for pair in ((False, True), (-1, 1), ("a", "b"), (2.5, 7.0), (b"x", b"y")):
        named = fit_path(X, np.where(y == 1, pair[1], pair[0]), tol=1e-12, **options)
        assert_array_equal(named.classes_, np.array(pair))
        assert_array_equal(coefs_of(named), coefs(X, y, **options))
    assert_allclose(coefs(X, 1 - y, offset=-X[:, 2], **options), -coefs(X, y, offset=X[:, 2], **options), atol=1e-6)


@pytest.mark.parametrize("family", LOSSES[2:])
def test_exposure_and_units_of_y(family: str) -> None:
    """With offset log e it is y/e under weights e^(2−k); y in other units moves the intercept, and α by c^(2−k)."""
    (X, y), k, alphas, last = data(family), POWER[family], np.array([0.1, 0.01]), np.eye(9)[8]
    e, options = np.random.default_rng(3).uniform(0.2, 5, 30), {"family": family, "l1_ratio": 0.9, "standardize": False}
    plain, per = coefs(X, y, alphas=alphas, offset=np.log(e), **options), e ** (2 - k)
    assert_allclose(coefs(X, y / e, alphas=alphas / per.mean(), sample_weight=per, **options), plain, atol=1e-6)
    assert_allclose(coefs(X, y, alphas=alphas, offset=np.log(e) - 7, **options) - 7 * last, plain, atol=1e-6)
    for unit in (1e-6, 1e6):
        other = coefs(X, y * unit, alphas=alphas * unit ** (2 - k), offset=np.log(e), **options)
        assert_allclose(other - np.log(unit) * last, plain, atol=1e-6)
    assert [families.Tweedie(k) for k in (0, 1, 2)] == [families.get(f) for f in ("gaussian", "poisson", "gamma")]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("family", ["binomial", *LOSSES[2:]])
def test_scikit_learn(family: str, fit_intercept: bool, weighted: bool) -> None:
    (X, y), w = data(family, 60, 5), W if weighted else np.ones(60)
    kind = {"poisson": PoissonRegressor, "gamma": GammaRegressor, "binomial": LogisticRegression}
    more: Options = {"power": POWER[family], "link": "log"} if "tweedie" in family else {}
    mixed = [(0.05, 1.0), (0.01, 1.0), (0.02, 0.5)] if family == "binomial" else []
    for alpha, l1_ratio in [(1.0, 0.0), (0.01, 0.0), (0.0, 0.0), *mixed]:
        solver = "liblinear" if l1_ratio == 1 and not fit_intercept else "saga" if l1_ratio else "newton-cholesky"
        if family == "binomial":
            more = {"C": 1 / (alpha * w.sum()) if alpha else np.inf, "l1_ratio": l1_ratio, "random_state": 0}
        model = kind.get(family, TweedieRegressor)(solver=solver, fit_intercept=fit_intercept, tol=1e-12,
                                                   max_iter=10**6, **({"alpha": alpha} if not mixed else {}) | more)
        model.fit(X, y, sample_weight=w)
        path = fit_path(X, y, family=family, alphas=[alpha], l1_ratio=l1_ratio, fit_intercept=fit_intercept, tol=1e-13,
                        sample_weight=w, standardize=False)
        assert (path.status[0], path.gap_kind) == ("converged", "duality gap" if alpha else "kkt residual")
        assert_allclose(coefs_of(path)[0], [*np.ravel(model.coef_), *np.atleast_1d(model.intercept_)], atol=2e-6)


@every_storage
@every_family
def test_bounds_and_factors(family: str, storage: str) -> None:
    (X, y), inf, odd = data(family), np.inf, np.arange(8) % 2
    X, bounds = STORAGES[storage](X), (np.where(np.arange(8) % 3, -inf, -0.05), np.where(odd, 0.1, inf))
    some, free = [1, 0.3, inf, 1, 3, 1, inf, 1], [0, 1, 1, inf, 1, 0, 2, 1]
    cases: list[Options] = [
        {"bounds": (0, inf)}, {"bounds": bounds}, {"penalty_factors": some}, {"penalty_factors": free},
        {"bounds": bounds, "penalty_factors": some, "l1_ratio": 0.5, "sample_weight": W[:30]},
        {"bounds": (-0.1, np.where(odd, 0.02, inf)), "penalty_factors": free, "offset": W[:30]}]  # fmt: skip
    for options in cases:
        path, truth = proved(X, y, family, **options), Truth(X, y, family, **options)
        assert path.gap_kind == ("kkt residual" if options.get("penalty_factors") is free else "duality gap")
        fine = 1e-9 if path.gap_kind == "kkt residual" else 1e-11
        exact = coefs_of(proved(X, y, family, alphas=path.alphas, tol=fine, **options))
        assert max(truth.kkt(a, b) for a, b in zip(path.alphas.tolist(), exact, strict=True)) <= 1e-4
    none = fit_path(X, y, family=family, alphas=[0.1, 0.0], bounds=(-0.2, 0.3))
    assert none.status.tolist() == ["converged"] * 2
    assert Truth(X, y, family, bounds=(-0.2, 0.3)).kkt(0.0, coefs_of(none)[1]) <= 1e-6


@every_family
def test_degenerate_columns_and_next_to_nothing(family: str) -> None:
    (X, y), link = data(family), ss.logit if family == "binomial" else np.log
    more = np.column_stack([X, X[:, :3], -X[:, 1], 1e-3 * X[:, 4], np.zeros(30), np.full(30, 0.1), np.ones(30)])
    for storage, l1_ratio in itertools.product(STORAGES.values(), (1.0, 0.5, 0.0)):
        assert not proved(storage(more), y, family, l1_ratio=l1_ratio).coefs[-3:].count_nonzero()
        proved(storage(more), y, family, l1_ratio=l1_ratio, alphas=[0.01], fit_intercept=False)
    none, few = proved(X[:, :0], y, family, sample_weight=W[:30]), [0, int(np.flatnonzero(y != y[0])[0])]
    assert_allclose(none.intercepts, link(np.average(y, weights=W[:30])), rtol=1e-10)
    proved(X[few], y[few], family)  # a row of each class
    one = fit_path(X[:1], [0.25], family=family)
    assert (one.path_status, one.coefs.count_nonzero()) == ("constant", 0)
    assert_allclose(one.intercepts, link(0.25), rtol=1e-10)


@every_storage
def test_separation(storage: str) -> None:
    X = data("binomial")[0]
    y = (X[:, 1] > np.median(X[:, 1])).astype(float)
    for wide in (X, np.hstack([X, np.random.default_rng(5).standard_normal((30, 60))])):
        for l1_ratio in (1.0, 0.5, 0.0):
            assert len(proved(STORAGES[storage](wide), y, "binomial", n_alphas=20, l1_ratio=l1_ratio, eps=1e-5)) == 20
    cases: list[Options] = [{"alphas": [0.1, 0.0]}, {"penalty_factors": np.where(np.arange(8) == 1, 0.0, 1.0)}]
    for options in cases:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            path = fit_path(STORAGES[storage](X), y, family="binomial", **options)
        assert [(w.category, "separated" in str(w.message)) for w in caught] == [(ConvergenceWarning, True)]
        assert np.isfinite([*coefs_of(path).ravel(), *path.gaps]).all()
        assert (path.path_status, path.status[-1]) == ("separated", "separated")


RAW: Options = {"standardize": False}
HARD: list[tuple[str, Any, Any, Options]] = [
    ("gamma", [[0], [0], [0], [1]], [1e3, 1e3, 1, 1], {}), ("gamma", [[0], [2]], [1e3, 1], {"alphas": [0.316]} | RAW),
    ("poisson", [[0, 0, 0], [1, -1, 3], [0, 1, 6]], [0, 1, 1], {"alphas": [6.3e-4]} | RAW),
    ("tweedie(1.5)", [[1, 0, 0, 1, 0], [1, 1, 0, -2, 0], [0, 1, 1, 0, 0], [0.3, 1, 0.3, 0.6, 1]], [1, 0, 1e3, 1],
     {"eps": 1e-4} | RAW), ("poisson", [[0, 1, 4], [1, -2, -2]], [1, 1], {"offset": [0, -3], "alphas": [0.1065]} | RAW),
    ("gamma", [[1, 1, 1], [1, 0.3, 0]], [1, 2], {"fit_intercept": False, "alphas": [4.85e-4]} | RAW),
    ("binomial", [[-2, 2, 0], [0, -2, -2], [-2, 0.3, -1.7]], [0, 1, 0], {"fit_intercept": False, "eps": 1e-4}),
]  # fmt: skip


@pytest.mark.parametrize("case", HARD)
def test_small_and_hard(case: tuple[str, Any, Any, Options]) -> None:
    proved(np.array(case[1], dtype=float), case[2], case[0], **case[3])


BAD: list[tuple[Any, Any, str]] = [
    ("binomial", [1, 1, 1, 1], "y must hold two classes.*got 1"), ("binomial", [1, 2, 3, 1], "y must .* classes.* 3"),
    ("binomial", ["a"] * 4, "y must hold two classes"), ("binomial", [[1, 0]] * 4, "y must hold both failures and suc"),
    ("binomial", [[1, -1]] * 4, "y must .* not negative"), ("binomial", [1, 0, 0, 0], "y must hold both classes"),
    ("binomial", [0, 1, 1, 1], "y must hold both classes"), ("binomial", [0, 1, np.nan, 0], "y contains NaN"),
    ("poisson", [1, 2, -3, 0], "y must not be negative.*poisson.*-3"), ("poisson", [1, 2, np.nan, 0], "y contains NaN"),
    ("poisson", [1, 0, 0, 0], "y must .* positive value.*poisson"), ("gamma", [1, 2, 0, 3], "y must be pos.*gamma"),
    ("gamma", [1, np.inf, 1, 3], "y contains inf"), ("tweedie(1.5)", [0, -1, 2, 1], "y must not be negative.*tweedie"),
    ("tweedie(1.5)", [0] * 4, "y must have a positive"), ("logistic", [0, 1, 0, 1], "family must be one of"),
    (1.5, [0, 1, 0, 1], "family must be"), ("tweedie(x)", [0, 1, 0, 1], "family must be")]  # fmt: skip


@pytest.mark.parametrize(("family", "y", "words"), BAD)
def test_bad_input(family: Any, y: Any, words: str) -> None:
    """The first row has no weight."""
    for call in (fit_path, regfast.alpha_max):
        with pytest.raises(ValueError, match=words):
            call(np.eye(4), y, family=family, sample_weight=[0, 1, 1, 1])
    powers: list[Any] = [-1, 0.5, 0.999, 2.001, np.nan, np.inf, "1.5", None, True]
    for power in powers:
        with pytest.raises((ValueError, TypeError), match="power must"):
            families.Tweedie(power)


def levels(rng: Any, n: int, k: int) -> Array:
    """(n, k) a column for each level, as tables are often encoded: they sum to 1."""
    return np.eye(k)[rng.integers(0, k, n)]


@every_family
def test_columns_that_tie_do_not_wait_for_rounding(family: str) -> None:
    """Of x and 1 − x one stays at zero with its correlation at the threshold; steps end when the gap is small."""
    rng = np.random.default_rng(3)
    X = np.hstack([levels(rng, 700, k) for k in (2, 2, 5, 9)] + [rng.standard_normal((700, 2))])
    eta = X @ rng.standard_normal(20) * 0.7 - 0.5
    draws: Options = {"binomial": lambda: rng.random(700) < ss.expit(eta), "poisson": lambda: rng.poisson(np.exp(eta))}
    y = draws.get(family, lambda: rng.gamma(2, np.exp(eta) / 2))().astype(float)
    path = proved(np.asfortranarray(X), y, family, n_alphas=40, eps=1e-3, early_stop=False, tol=1e-4)
    assert path.n_iter.max() <= 6, path.n_iter


@pytest.mark.parametrize(("n", "level"), [(2000, 1e6), (2000, 1e3), (200_000, 1e5), (200_000, 0.1)])
def test_sums_of_many_rows_and_large_counts_keep_their_digits(n: int, level: float) -> None:
    """The deviance is of the order of 1 where counts are a million: it is not a difference of sums of these."""
    rng = np.random.default_rng(5)
    X = rng.standard_normal((n, 3))
    y = rng.poisson(level * np.exp(0.3 * X[:, 0] / max(1, np.sqrt(level)))).astype(float)
    path = fit_path(X, y, family="poisson", n_alphas=20, eps=1e-3, early_stop=False, tol=1e-10)
    assert (path.status == "converged").all(), path.gaps
    truth = Truth(X, y, "poisson")
    for k in (7, 19):
        assert truth.gap(float(path.alphas[k]), coefs_of(path)[k]) <= 2e-10


@pytest.mark.parametrize("family", ["binomial", "poisson"])
def test_as_many_sparse_columns_as_rows_where_means_come_near_zero(family: str) -> None:
    """Weights of rows are orders apart: what sweeps over sparse columns do not finish, an exact solve does."""
    rng = np.random.default_rng(0)
    X = sp.random(500, 3000, 0.02, random_state=0, format="csr")
    X.data = np.abs(rng.standard_normal(X.nnz))
    b = np.zeros(3000)
    b[rng.choice(3000, 60)] = 3 * rng.standard_normal(60)
    y = (rng.random(500) < ss.expit(X @ b)).astype(float)
    path = fit_path(X, y, family=family, n_alphas=50, early_stop=False, tol=1e-6)
    assert (path.status == "converged").all(), path.gaps
    truth = Truth(X.toarray(), y, family)
    for k in (30, 49):
        assert truth.gap(float(path.alphas[k]), coefs_of(path)[k]) <= 1e-6


@st.composite
def designs(draw: st.DrawFn) -> tuple[str, Array, Array, Options]:
    """Few rows, columns that are equal, proportional, sums, constant, huge, tiny."""
    def some(k: int, *values: float) -> Array:
        return np.array(draw(st.lists(st.sampled_from(values), min_size=k, max_size=k)))

    family, n, p = draw(st.sampled_from(FITTED)), draw(st.integers(2, 8)), draw(st.integers(1, 7))
    X = some(n * p, -2.0, -1.0, 0.0, 0.3, 1.0, 2.0).reshape(n, p)
    for j in range(1, p):
        X[:, j] = draw(st.sampled_from([X[:, j], X[:, j], X[:, 0], -X[:, 0], 3 * X[:, 0], X[:, j - 1] + X[:, 0]]))
    X *= some(p, 1e-6, 1.0, 1e6) if draw(st.booleans()) else 1
    values = {"binomial": (0.0, 1.0, 0.5), "gamma": (1e-3, 0.5, 1.0, 1e3)}.get(family, (0.0, 1.0, 2.0, 1e3))
    options: Options = {name: draw(st.booleans()) for name in ("fit_intercept", "standardize")}
    options |= {"l1_ratio": draw(st.sampled_from([1.0, 1.0, 0.5, 0.0])), "offset": some(n, -3.0, 0.0, 0.0, 1.0)}
    options |= {"sample_weight": np.append(some(n - 2, 0.0, 1.0, 2.0, 1e-3), [1.0, 1.0])} if draw(st.booleans()) else {}
    return family, X, np.append(some(n - 2, *values), [1.0, 1.0 if family != "binomial" else 0.0]), options


@settings(max_examples=400)
@given(designs(), st.sampled_from([*STORAGES]))
def test_degenerate_designs(case: tuple[str, Array, Array, Options], storage: str) -> None:
    family, X, y, options = case
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        path = fit_path(STORAGES[storage](X), y, family=family, **SHORT | options)
    truth = Truth(X, y, family, **options)
    if path.path_status == "constant":
        assert (truth.null <= 1e-10, path.coefs.count_nonzero()) == (True, 0)
        return
    assert not (found := truth.faults(path)), found
    assert (path.gaps <= 1e-7).all() or (abs(X[X != 0]) > 100).any() or (abs(X[X != 0]) < 0.01).any(), path.gaps
