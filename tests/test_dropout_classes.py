"""Dropout of several classes: against its own formula, two classes, every way to drop, and the fit without."""

import itertools
import threading
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.exceptions import ConvergenceWarning

import regfast
from regfast import certify, dropped_classes, fit_cv, fit_path
from regfast.dropped_classes import Bent, DroppedPairs
from regfast.dropped_leaps import bent
from regfast.path import prepare

Array = NDArray[Any]
Long = np.longdouble
RNG = np.random.default_rng(0)
N, P, C = 80, 6, 3
X = RNG.standard_normal((N, P)) * (RNG.random((N, P)) < 0.7) + 0.2
X[:, 3] = 0
Y = (X @ RNG.standard_normal((P, C)) + RNG.gumbel(size=(N, C))).argmax(axis=1)
WEIGHT, OFFSET, UNLABELED = RNG.uniform(0.5, 2, N), RNG.normal(size=(N, C)) / 3, RNG.standard_normal((25, P))
WEIGHT[:4] = 0


def fitted(X: Any, y: Any, **same: Any) -> tuple[regfast.Path, Array, Array]:
    """The last solution of a path: (path, b (p, C), b0 (C,))."""
    path: Any = fit_path(X, y, family="multinomial", **same)
    return path, np.array([part.toarray()[:, -1] for part in path.coefs]).T, path.intercepts[:, -1]


def penalty(b: Array, eta: Array, X: Array, rate: float) -> Array:
    """(n,) ½ κ Σ_j x_ij² [Σ_c p_c b_jc² − (Σ_c p_c b_jc)²], as it is written"""
    p = np.exp(eta - eta.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    return rate / (1 - rate) / 2 * (X**2 * (p @ (b**2).T - (p @ b.T) ** 2)).sum(axis=1)


def log_sum(eta: Array) -> Array:
    top = eta.max(axis=1)
    return top + np.log(np.exp(eta - top[:, None]).sum(axis=1))


def objective(b: Array, b0: Array, rate: float, X: Array = X, y: Array = Y, weight: Any = 1.0, offset: Any = 0.0,
              below: Array | None = None, count: float = 0.0) -> Any:
    """The mean loss with dropout's penalty; `below`: rows without a response, of weight `count` each."""
    w = np.broadcast_to(weight, len(y)) / np.broadcast_to(weight, len(y)).sum()
    eta = X.astype(Long) @ b + b0 + offset
    share = 0.0 if below is None else count * len(below) / (np.count_nonzero(w) + count * len(below))
    total = w @ (log_sum(eta) - eta[np.arange(len(y)), y]) + (1 - share) * w @ penalty(b, eta, X, rate)
    return total if below is None else total + share * penalty(b, below @ b + b0, below, rate).mean()


def slopes(f: Any, b: Array, b0: Array, step: float = 1e-5) -> tuple[Array, Array]:
    """Central differences in extended precision, in b and b0."""
    at = np.append(b.ravel(), b0).astype(Long)

    def value(z: Array) -> Any:
        return f(z[:b.size].reshape(b.shape), z[b.size:])

    unit = step * np.eye(len(at), dtype=Long)
    g = np.array([(value(at + e) - value(at - e)) / (2 * step) for e in unit], dtype=float)
    return g[:b.size].reshape(b.shape), g[b.size:]


@pytest.mark.parametrize("storage", [np.asfortranarray, sp.csr_array])
@pytest.mark.parametrize("below", [None, UNLABELED])
def test_gradient_and_curvature(storage: Any, below: Array | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of every coefficient at random ones: first differences of the formula, then of the gradient."""
    rate, rng = 0.4, np.random.default_rng(3)
    model = DroppedPairs(prepare(storage(X), Y, family="multinomial", dropout=rate, X_unlabeled=below,
                                 unlabeled_weight=0.5))
    model.start()
    b, b0 = rng.normal(size=(P, C)) * (X.any(axis=0)[:, None]), rng.normal(size=C)
    b[1, 2] = 0

    def f(b: Array, b0: Array) -> Any:
        return objective(b, b0, rate, below=below, count=0.5)

    def gradient(b: Array, b0: Array) -> tuple[Array, Array]:
        model.place(b, b0)
        model.look_at_all()
        return -(model.c.T + np.outer(X.mean(axis=0), model.left)), -model.left  # c: about the means

    got, got0 = gradient(b, b0)
    assert model.value_at == pytest.approx(float(f(b, b0)), rel=1e-13)
    want, want0 = slopes(f, b, b0)
    assert_allclose(got, want, atol=1e-9)
    assert_allclose(got0, want0, atol=1e-9)
    seen: list[Any] = []

    class Seen(Bent):
        def _reduced(self, *args: Any) -> Array:
            seen.append(args[1:])
            return np.eye(len(args[1]))

    on = np.ones((len(model.ids), C), dtype=bool)
    monkeypatch.setattr(dropped_classes, "FLAT", np.inf)  # (whether it is convex here is no question)
    seer = Seen(model, on)
    v, v0 = np.zeros((P, C)), rng.normal(size=C)
    v[seer.at, seer.of] = rng.normal(size=len(seer.at))
    mean = X.mean(axis=0) if storage is np.asfortranarray else np.zeros(P)  # what X is read less
    shift = mean @ v
    H, lean, own = seen[0]
    product = bent(model, model.ids, model._springs(model.ids), 1.0)(np.vstack([v[model.ids], v0]))
    ahead, behind = (gradient(b + t * v, b0 + t * (v0 - shift)) for t in (1e-5, -1e-5))
    change, change0 = ((x - y) / 2e-5 for x, y in zip(ahead, behind, strict=True))
    change -= np.outer(mean, change0)
    along = v[seer.at, seer.of]
    assert_allclose(H @ along + lean.T @ v0, change[seer.at, seer.of], atol=1e-8)
    assert_allclose(lean @ along + own @ v0, change0, atol=1e-8)
    assert_allclose(product, np.vstack([change[model.ids], change0]), atol=1e-8)


CASES = ["plain", "weights", "offset", "no intercept", "unlabeled", "free", "bounds", "zero", "csr"]


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("ratio", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("case", CASES)
def test_solutions_are_stationary(case: str, ratio: float, rate: float) -> None:
    alpha = 0.0 if case == "zero" else 0.02
    weight, offset = WEIGHT if case == "weights" else np.ones(N), OFFSET if case == "offset" else None
    below, v = UNLABELED if case == "unlabeled" else None, np.ones(P)
    v[0] = 0.0 if case == "free" else 1.0
    lo, hi = (-0.05, 0.2) if case == "bounds" else (-np.inf, np.inf)
    same: dict[str, Any] = {
        "dropout": rate, "l1_ratio": ratio, "sample_weight": weight, "penalty_factors": v, "offset": offset,
        "X_unlabeled": below, "unlabeled_weight": 0.5, "fit_intercept": case != "no intercept", "bounds": (lo, hi)}
    A = sp.csr_array(X) if case == "csr" else X
    path, b, b0 = fitted(A, Y, alphas=[alpha], tol=1e-10, **same)
    assert path.status[0] == "converged"
    assert path.gap_kind == "kkt residual"
    assert not b[3].any()
    g, g0 = slopes(lambda b, b0: objective(b, b0, rate, weight=weight, offset=0 if offset is None else offset,
                                           below=below, count=0.5), b, b0)
    w = weight / weight.sum()
    s = np.sqrt(w @ (X - w @ X) ** 2)[:, None]
    s[s == 0] = 1
    c, l1 = -g - alpha * v[:, None] * (1 - ratio) * s**2 * b, alpha * v[:, None] * ratio * s
    least = np.where(b <= lo, -np.inf, np.where(b > 0, l1, -l1))
    most = np.where(b >= hi, np.inf, np.where(b < 0, -l1, l1))
    lacks = np.maximum(np.maximum(least - c, c - most), 0)
    assert lacks[X.any(axis=0)].max() < 1e-7  # (a column that is constant where there are responses is left out)
    if case != "no intercept":
        assert abs(g0).max() < 1e-7
    if alpha:
        proof = certify(A, Y, b.T, b0, alpha=alpha, family="multinomial", **same)
        assert proof.kind == "kkt residual"
        assert proof.gap < 1e-9
        assert proof.dual == -np.inf
        off = (b0 + np.eye(C)[0]) * (case != "no intercept")
        for given in (b, 0 * b):  # the value is that of what is given, intercepts included
            proof = certify(A, Y, given.T, off, alpha=alpha, family="multinomial", **same)
            size = alpha * v[:, None] * (ratio * s * abs(given) + (1 - ratio) / 2 * s**2 * given**2)
            loss = objective(given, off, rate, weight=weight, offset=0 if offset is None else offset, below=below,
                             count=0.5)
            assert proof.primal == pytest.approx(float(loss + size.sum()), rel=1e-9)
        assert not proof.gap < 1e-6


@pytest.mark.parametrize("ratio", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("rate", [0.2, 0.6])
def test_two_classes_are_binomial(rate: float, ratio: float) -> None:
    """Loss and R see β = b_1 − b_0 alone, and R is that of one predictor β: Var_p b = p(1 − p)β².

    Of all b with this β, |b_0| + |b_1| is least, |β|, wherever 0 lies between them, and b_0² + b_1² where
    b_1 = −b_0 = β/2: β²/2. So α (l1, l2) of two classes is α (l1, l2/2) of one predictor.
    """
    y, alpha = (Y > 0).astype(int), 0.03
    half = alpha * (ratio + (1 - ratio) / 2)
    _, b, b0 = fitted(X, y, alphas=[alpha], dropout=rate, l1_ratio=ratio, tol=1e-10)
    one = fit_path(X, y, family="binomial", alphas=[half], dropout=rate, l1_ratio=alpha * ratio / half, tol=1e-10)
    assert_allclose(b[:, 1] - b[:, 0], one.coefs.toarray()[:, 0], atol=1e-8)
    assert b0[1] - b0[0] == pytest.approx(one.intercepts[0], abs=1e-8)


def test_two_classes_see_only_the_difference() -> None:
    """The penalty at (0, β), at (−β/2, β/2) and at (u, u + β) for any u."""
    rng = np.random.default_rng(2)
    beta, u = rng.normal(size=P), rng.normal(size=P)
    eta = np.column_stack([np.zeros(N), X @ beta])
    p = softmax(eta, axis=1)[:, 1]
    want = 0.3 / 0.7 / 2 * p * (1 - p) * (X**2 @ beta**2)
    for b in ((0 * beta, beta), (-beta / 2, beta / 2), (u, u + beta)):
        pairs = np.column_stack(b)
        assert_allclose(penalty(pairs, X @ pairs, X, 0.3), want, rtol=1e-9, atol=1e-12)
    model = DroppedPairs(prepare(X, (Y > 0).astype(int), family="multinomial", dropout=0.3, standardize=False))
    model.place(np.column_stack([u, u + beta]), np.zeros(2))
    assert model.added == pytest.approx(want.mean(), rel=1e-9)


@pytest.mark.parametrize(("rate", "order"), [(0.3, 3), (0.5, 4)])
def test_second_order_is_of_that_order(rate: float, order: int) -> None:
    """Against the mean over every mask, the error falls as ‖b‖³, and as ‖b‖⁴ where the noise has no skewness."""
    rng = np.random.default_rng(4)
    Z, b0 = rng.standard_normal((20, 5)), np.array([0.7, 0.0, -0.4])
    b = (rng.normal(size=(5, C)) / 10).astype(Long)
    lost = []
    for t in (Long(1), Long(0.5), Long(0.25)):
        eta = Z @ (t * b) + b0
        exact = -log_sum(eta)
        for kept in itertools.product((0, 1), repeat=5):
            share = np.prod([1 - rate if one else rate for one in kept])
            exact = exact + share * log_sum(eta + (Z * (np.array(kept) / (1 - rate) - 1)) @ (t * b))
        lost.append(float(abs(exact - penalty(t * b, eta, Z, rate)).sum()))
    for before, after in itertools.pairwise(lost):
        assert order - 0.4 < np.log2(before / after) < order + 0.4


def test_no_dropout_is_the_fit_without() -> None:
    same: dict[str, Any] = {"family": "multinomial", "n_alphas": 10, "early_stop": False, "tol": 1e-10}
    plain: Any = fit_path(X, Y, **same)
    zero: Any = fit_path(X, Y, dropout=0, X_unlabeled=UNLABELED, **same)
    for one, other in zip(plain.coefs, zero.coefs, strict=True):
        assert_array_equal(one.toarray(), other.toarray())
    assert_array_equal(plain.intercepts, zero.intercepts)
    assert zero.dropout == 0
    del same["n_alphas"]
    little: Any = fit_path(X, Y, alphas=plain.alphas, dropout=1e-9, **same)
    much: Any = fit_path(X, Y, alphas=plain.alphas, dropout=1 - 1e-9, **same)
    for one, other, none in zip(plain.coefs, little.coefs, much.coefs, strict=True):
        assert_allclose(other.toarray(), one.toarray(), atol=1e-4)
        assert abs(none).max() < 1e-7


STORAGE: dict[str, Any] = {
    "C": np.ascontiguousarray, "csr": sp.csr_array, "csc": sp.csc_array,
    "frame": lambda x: pd.DataFrame(x, columns=list("abcdef")), "f32": lambda x: np.asfortranarray(x, dtype=np.float32),
    "int64": lambda x: sp.csr_array((sp.csr_array(x).data, sp.csr_array(x).indices.astype(np.int64),
                                     sp.csr_array(x).indptr.astype(np.int64)), shape=x.shape),
}


@pytest.mark.parametrize("storage", STORAGE)
def test_storage(storage: str) -> None:
    rounded, below = X.astype(np.float32).astype(float), UNLABELED.astype(np.float32).astype(float)
    same: dict[str, Any] = {"dropout": 0.4, "alphas": [0.05, 0.01], "tol": 1e-10, "l1_ratio": 0.8}
    _, b, b0 = fitted(rounded, Y, X_unlabeled=below, **same)
    for A in (rounded, below):
        A.flags.writeable = False
    path, got, got0 = fitted(STORAGE[storage](rounded), Y, X_unlabeled=STORAGE[storage](below), **same)
    assert_allclose(got, b, atol=1e-8)
    assert_allclose(got0, b0, atol=1e-8)
    assert (path.feature_names_in_ is not None) == (storage == "frame")


def test_weights_repeat_rows_and_counts_are_labels() -> None:
    times = 1 + np.arange(N) % 3
    same: dict[str, Any] = {"dropout": 0.3, "alphas": [0.05], "tol": 1e-10, "l1_ratio": 0.9}
    _, b, b0 = fitted(X, Y, sample_weight=times, **same)
    for A, y in ((np.repeat(X, times, axis=0), np.repeat(Y, times)), (X, times[:, None] * np.eye(C)[Y])):
        _, got, got0 = fitted(A, y, **same)
        assert_allclose(got, b, atol=1e-8)
        assert_allclose(got0, b0, atol=1e-8)


def test_degenerate() -> None:
    twins = np.column_stack([X[:, 0], X[:, 0], X[:, 1], np.full(N, 7.0)])
    path, b, _ = fitted(twins, Y, dropout=0.5, alphas=[0.01], l1_ratio=0.5, tol=1e-10)
    assert path.status[0] == "converged"
    assert_allclose(b[0], b[1], rtol=1e-5)  # equal columns share
    assert not b[3].any()
    for Z in (X[:, :1], X[:, :0], X * 1e6, X * 1e-6, X + 1e4, twins):
        path = fit_path(Z, Y, family="multinomial", dropout=0.5, n_alphas=5, eps=1e-2)
        assert set(path.status) == {"converged"}
    wide = np.random.default_rng(5).standard_normal((40, 100))
    path = fit_path(wide, Y[:40], family="multinomial", dropout=0.5, n_alphas=10, eps=0.01)
    assert set(path.status) == {"converged"}


@pytest.mark.parametrize("ratio", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("sparse", [False, True])
def test_more_pairs_than_one_model_takes(sparse: bool, ratio: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps without a Hessian lead to the same."""
    A = sp.csr_array(X) if sparse else X
    same: dict[str, Any] = {"dropout": 0.5, "alphas": [0.02], "l1_ratio": ratio, "tol": 1e-8}
    _, b, _ = fitted(A, Y, **same)
    monkeypatch.setattr(dropped_classes, "FEW", 1)
    path, got, _ = fitted(A, Y, **same)
    assert path.status[0] == "converged"
    assert_allclose(got, b, atol=1e-6)


@pytest.mark.filterwarnings("ignore:.*did not reach tol:sklearn.exceptions.ConvergenceWarning")  # tol = 0: none can
@pytest.mark.parametrize("rate", [0.0, 0.5])
def test_no_tolerance_is_the_end_of_rounding(rate: float) -> None:
    path, *_ = fitted(X, Y, dropout=rate, alphas=[0.05, 0.01], tol=0)
    assert path.gaps.max() < 1e-14


def test_nothing_above_alpha_max() -> None:
    for v in (np.ones(P), np.array([0.0, 1, 1, 1, 1, 1])):
        same: dict[str, Any] = {"family": "multinomial", "dropout": 0.5, "penalty_factors": v}
        top = regfast.alpha_max(X, Y, **same)
        path = fit_path(X, Y, alphas=[1.01 * top, 0.95 * top], tol=1e-9, **same)
        free = np.count_nonzero(v == 0)
        assert path.n_nonzero.tolist()[0] == free
        assert path.n_nonzero.tolist()[1] > free


def test_where_no_stationary_point_is_near_the_status_says_so() -> None:
    """Labels that columns of large counts decide: the second order vanishes, and what is left may have no minimum."""
    words = []
    for seed, alpha in ((0, 1e-12), (5, 1e-9), (7, 1e-9)):
        rng = np.random.default_rng(seed)
        Z = rng.poisson(0.1, (60, 40)) * rng.integers(1, 30, (60, 40))
        y = rng.integers(0, 3, 60)
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            path = fit_path(Z, y, family="multinomial", dropout=0.5, alphas=[alpha], standardize=False)
        words.append(path.status[0])
        assert (path.status[0] == "not_convex") == (path.gaps[0] > path.tol)
        assert [one.category for one in told] == [ConvergenceWarning] * int(path.gaps[0] > path.tol)
        assert all("no stationary point is near" in str(one.message) for one in told)
    assert "not_convex" in words


def test_cross_validation_and_memory(tmp_path: Path) -> None:
    halves = [(np.arange(40), np.arange(40, N)), (np.arange(40, N), np.arange(40))]
    same: dict[str, Any] = {"family": "multinomial", "alphas": [0.1, 0.05], "tol": 1e-10, "X_unlabeled": UNLABELED}
    with pytest.warns(UserWarning, match="the best alpha"):
        cv = fit_cv(X, Y, dropout=[0.2, 0.5], cv=halves, keep_folds=True, n_jobs=2, **same)
    assert_array_equal(cv.dropouts, [0.2, 0.5])
    assert cv.folds is not None
    for train, _, fold in cv.folds:
        alone: Any = fit_path(X[train], Y[train], dropout=cv.dropout_best, **same)
        for one, other in zip(fold.coefs, alone.coefs, strict=True):
            assert_allclose(one.toarray(), other.toarray(), atol=1e-8)
    cv.save(tmp_path / "m.json")
    back = regfast.load(tmp_path / "m.json")
    assert isinstance(back, regfast.CVPath)
    assert back.dropout_best == cv.dropout_best
    assert not back.path.convex
    assert f"dropout {cv.dropout_best:g}, not convex" in repr(back.path)
    exact = cv.path.coef_at(0.07, exact=True, X=X, y=Y, X_unlabeled=UNLABELED)
    assert_allclose(exact, cv.path.coef_at(0.07), atol=0.1)
    assert abs(exact).max() > 0


@pytest.mark.parametrize(("arguments", "message"), [
    ({"group_classes": True}, "got 0.5 with group_classes=True"),
    ({"X_unlabeled": UNLABELED, "offset": OFFSET}, "X_unlabeled must be None with an offset"),
    ({"family": "multigaussian"}, "for 'multigaussian'"),
])
def test_refusals(arguments: dict[str, Any], message: str) -> None:
    y = np.eye(C)[Y] if "family" in arguments else Y
    with pytest.raises(ValueError, match=message):
        fit_path(X, y, **{"family": "multinomial", "dropout": 0.5, **arguments})


def test_interrupts_and_threads() -> None:
    def stop(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    same: dict[str, Any] = {"family": "multinomial", "dropout": 0.5, "n_alphas": 10}
    with pytest.raises(KeyboardInterrupt) as caught:
        fit_path(X, Y, progress=stop, **same)
    partial: Any = vars(caught.value)["partial"]
    assert isinstance(partial, regfast.Path)
    assert len(partial) >= 2
    found: list[Any] = [None] * 3

    def work(k: int) -> None:
        found[k] = fit_path(X, Y, **same)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for path in found[1:]:
        for one, other in zip(path.coefs, found[0].coefs, strict=True):
            assert_array_equal(one.toarray(), other.toarray())
