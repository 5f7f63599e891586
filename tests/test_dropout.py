"""Dropout as a penalty, against the mean over every way to drop, against noise itself, and against its own conditions.

The oracle enumerates the 2^p masks of a few columns, or writes the second order out; gradients are differences of it.
"""

import importlib.util
import itertools
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.exceptions import ConvergenceWarning

import regfast
from regfast import certify, fit_cv, fit_path
from regfast.cli import main
from regfast.dropout import Dropped
from regfast.path import prepare

Array = NDArray[Any]
Long = np.longdouble
RNG = np.random.default_rng(0)
N, P = 60, 5
X = RNG.standard_normal((N, P)) * (RNG.random((N, P)) < 0.7) + 0.2
X[:, 3] = 0
UNLABELED = RNG.standard_normal((25, P))
WEIGHT, OFFSET = RNG.uniform(0.5, 2, N), RNG.normal(size=N) / 3
WEIGHT[:4] = 0
ETA = X @ [1.0, -1.0, 0.5, 0.0, 0.3]
Y: dict[str, Array] = {
    "gaussian": ETA + RNG.standard_normal(N) + 1,
    "binomial": (RNG.random(N) < expit(ETA)).astype(float),
    "poisson": RNG.poisson(np.exp(ETA / 2)).astype(float),
}
every_family = pytest.mark.parametrize("family", Y)
likelihoods = pytest.mark.parametrize("family", ["binomial", "poisson"])


def log_partition(family: str, eta: Array) -> Array:
    if family == "gaussian":
        return eta**2 / 2
    return np.logaddexp(0, eta) if family == "binomial" else np.exp(eta)


def added(family: str, rate: float, X: Array, b: Array, eta: Array) -> Array:
    """(n,) E A(η̃) − A(η) over every mask; the second order of it for "binomial"."""
    if family == "binomial":
        return rate / (1 - rate) / 2 * expit(eta) * expit(-eta) * ((X * b) ** 2).sum(axis=1)
    total = -log_partition(family, eta)
    for kept in itertools.product((0, 1), repeat=X.shape[1]):
        share = np.prod([1 - rate if one else rate for one in kept])
        total = total + share * log_partition(family, eta + (X * (np.array(kept) / (1 - rate) - 1)) @ b)
    return total


def objective(family: str, rate: float, b: Array, b0: Any, weight: Array, offset: Array, below: Array | None = None,
              count: float = 0.0) -> Any:
    """The mean loss, without what α adds; `below`: rows without a response, of weight `count` each."""
    w, b = weight / weight.sum(), np.asarray(b, dtype=Long)
    eta = X @ b + b0 + offset
    share = 0.0 if below is None else count * len(below) / (np.count_nonzero(weight) + count * len(below))
    total = w @ (log_partition(family, eta) - Y[family] * eta) + (1 - share) * w @ added(family, rate, X, b, eta)
    return total if below is None else total + share * added(family, rate, below, b, below @ b + b0).mean()


def slopes(f: Any, at: Array, step: float = 1e-5) -> Array:
    """Central differences of a function of many numbers."""
    unit = step * np.eye(len(at), dtype=Long)
    return np.array([(f(at + e) - f(at - e)) / (2 * step) for e in unit], dtype=float)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("case", ["plain", "weights", "offset", "no intercept", "unlabeled", "free", "bounds", "L2",
                                  "zero"])
@every_family
def test_solutions_are_stationary(family: str, case: str, rate: float) -> None:
    alpha, ratio = 0.0 if case == "zero" else 0.02, {"L2": 0.0, "plain": 1.0}.get(case, 0.7)
    weight = WEIGHT if case == "weights" else np.ones(N)
    offset = OFFSET if case == "offset" else np.zeros(N)
    below = UNLABELED if case == "unlabeled" else None
    v = np.array([0.0, 1, 1, 1, 2]) if case == "free" else np.ones(P)
    lo, hi = (-0.05, 0.2) if case == "bounds" else (-np.inf, np.inf)
    same: dict[str, Any] = {
        "family": family, "dropout": rate, "l1_ratio": ratio, "sample_weight": weight, "penalty_factors": v,
        "offset": offset if case == "offset" else None, "X_unlabeled": below, "unlabeled_weight": 0.5,
        "fit_intercept": case != "no intercept", "bounds": (lo, hi)}
    path = fit_path(X, Y[family], alphas=[alpha], tol=1e-15, **same)
    b, b0 = path.coefs.toarray()[:, 0], path.intercepts[0]
    assert path.status[0] == "converged"
    assert b[3] == 0
    g = -slopes(lambda z: objective(family, rate, z[:-1], z[-1], weight, offset, below, 0.5), np.append(b, b0))
    w = weight / weight.sum()
    s = np.sqrt(w @ (X - w @ X) ** 2)
    s[s == 0] = 1
    c, l1 = g[:-1] - alpha * v * (1 - ratio) * s**2 * b, alpha * v * ratio * s
    least = np.where(b <= lo, -np.inf, np.where(b > 0, l1, -l1))
    most = np.where(b >= hi, np.inf, np.where(b < 0, -l1, l1))
    assert np.maximum(np.maximum(least - c, c - most), 0).max() < 1e-7
    if case != "no intercept":
        assert abs(g[-1]) < 1e-7
    if alpha:
        proof = certify(X, Y[family], b, b0, alpha=alpha, **same)
        assert proof.kind == path.gap_kind
        assert proof.kkt < 1e-6
        assert proof.gap < 1e-9
        assert not certify(X, Y[family], 0 * b, b0, alpha=alpha, **same).gap < 1e-6


@pytest.mark.parametrize("alpha", [0.0, 0.05])
@pytest.mark.parametrize("family", ["gaussian", "poisson"])
def test_noise_itself_agrees(family: str, alpha: float) -> None:
    """The gradient of the loss on noisy copies is that of a solution, within four standard errors."""
    rate, copies = 0.4, 4000
    path = fit_path(X, Y[family], family=family, dropout=rate, alphas=[alpha], l1_ratio=0, tol=1e-12)
    b, b0 = path.coefs.toarray()[:, 0], path.intercepts[0]
    noisy = X * (np.random.default_rng(1).random((copies, N, P)) < 1 - rate) / (1 - rate)
    eta = noisy @ b + b0
    mean = eta if family == "gaussian" else np.exp(eta)
    each = np.einsum("mij,mi->mj", noisy, (Y[family] - mean) / N) - alpha * X.var(axis=0) * b
    spread = each.std(axis=0) / np.sqrt(copies)
    assert (abs(each.mean(axis=0)) <= 4 * spread).all()
    assert spread[0] > 0


def test_stacked_noise_gives_the_same_coefficients() -> None:
    """Squared error on stacked noisy copies tends to the closed form; its standard error is measured by replicates."""
    rate, copies, times = 0.5, 100, 20
    b = fit_path(X, Y["gaussian"], dropout=rate, alphas=[0.0]).coefs.toarray()[:, 0]
    found, rng = [], np.random.default_rng(2)
    for _ in range(times):
        noisy = np.vstack([X * (rng.random((N, P)) < 1 - rate) / (1 - rate) for _ in range(copies)])
        found.append(fit_path(noisy, np.tile(Y["gaussian"], copies), alphas=[0.0]).coefs.toarray()[:, 0])
    spread = np.std(found, axis=0, ddof=1) / np.sqrt(times)
    bias = 10 / (N * copies)  # of a ratio of means
    assert (abs(np.mean(found, axis=0) - b) <= 4 * spread + bias).all()


@pytest.mark.parametrize(("rate", "order"), [(0.3, 3), (0.5, 4)])
def test_second_order_is_of_that_order(rate: float, order: int) -> None:
    """The error of the quadratic form falls as ‖b‖³, and as ‖b‖⁴ where the noise has no skewness."""
    b, b0 = np.array([0.2, -0.15, 0.1, 0.0, 0.05], dtype=Long), Long(0.7)
    lost = []
    for t in (Long(1), Long(0.5), Long(0.25)):
        eta = X @ (t * b) + b0
        exact = -np.logaddexp(Long(0), eta)
        for kept in itertools.product((0, 1), repeat=P):
            share = np.prod([1 - rate if one else rate for one in kept])
            exact = exact + share * np.logaddexp(Long(0), eta + (X * (np.array(kept) / (1 - rate) - 1)) @ (t * b))
        model = Dropped(prepare(X, Y["binomial"], family="binomial", dropout=rate))
        model.put((t * b).astype(float), float(b0))
        lost.append(abs(float(exact.mean() - model.mean.penalty())))
    rates = np.log2(np.array(lost[:-1]) / lost[1:])
    assert_allclose(rates[-1], order, atol=0.4)


def test_the_gap_of_poisson_bounds_what_is_left() -> None:
    """P(b) less the gap is below the least value, wherever b is: a true dual value."""
    same: dict[str, Any] = {"family": "poisson", "dropout": 0.5, "alpha": 0.05, "l1_ratio": 0.8}
    path = fit_path(X, Y["poisson"], alphas=[0.05], tol=1e-12, family="poisson", dropout=0.5, l1_ratio=0.8)
    b, b0 = path.coefs.toarray()[:, 0], path.intercepts[0]
    best = certify(X, Y["poisson"], b, b0, **same)
    assert best.primal - best.dual < 1e-10
    rng = np.random.default_rng(3)
    for size in (1e-6, 1e-4, 1e-2, 0.1, 1.0):
        other = certify(X, Y["poisson"], b + size * rng.standard_normal(P) * (X.any(axis=0)), b0 + size, **same)
        assert other.primal > best.primal - 1e-12
        assert other.dual <= best.primal + 1e-12
        assert other.gap < 1e6 * size or other.gap == np.inf


@every_family
def test_no_dropout_is_the_fit_without(family: str) -> None:
    plain = fit_path(X, Y[family], family=family, n_alphas=10, early_stop=False, tol=1e-10)
    zero = fit_path(X, Y[family], family=family, n_alphas=10, early_stop=False, tol=1e-10, dropout=0,
                    X_unlabeled=UNLABELED)
    assert_array_equal(plain.coefs.toarray(), zero.coefs.toarray())
    assert zero.dropout == 0
    assert not zero.has_unlabeled
    little = fit_path(X, Y[family], family=family, alphas=plain.alphas, tol=1e-10, dropout=1e-9)
    assert_allclose(little.coefs.toarray(), plain.coefs.toarray(), atol=1e-4)
    much = fit_path(X, Y[family], family=family, alphas=plain.alphas, tol=1e-10, dropout=1 - 1e-9)
    assert abs(much.coefs).max() < 1e-7


def test_squared_error_is_a_ridge_of_raw_moments() -> None:
    rate = 0.3
    D = rate / (1 - rate) * (X**2).mean(axis=0)
    A = X - X.mean(axis=0)
    used = X.any(axis=0)
    b = np.linalg.solve((A.T @ A / N + np.diag(D))[np.ix_(used, used)],
                        (A.T @ Y["gaussian"] / N)[used])
    path = fit_path(X, Y["gaussian"], dropout=rate, alphas=[0.0])
    assert_allclose(path.coefs.toarray()[used, 0], b, rtol=1e-9)


STORAGE: dict[str, Any] = {
    "C": np.ascontiguousarray, "F": np.asfortranarray, "csr": sp.csr_array, "csc": sp.csc_array,
    "frame": lambda x: pd.DataFrame(x, columns=list("abcde")),
    "int64": lambda x: sp.csr_array((sp.csr_array(x).data, sp.csr_array(x).indices.astype(np.int64),
                                     sp.csr_array(x).indptr.astype(np.int64)), shape=x.shape),
    "f32 csr": lambda x: sp.csr_array(x.astype(np.float32)),
}


@pytest.mark.parametrize("storage", STORAGE)
@every_family
def test_storage(family: str, storage: str) -> None:
    rounded, below = X.astype(np.float32).astype(float), UNLABELED.astype(np.float32).astype(float)
    same: dict[str, Any] = {"family": family, "dropout": 0.4, "alphas": [0.05, 0.01], "tol": 1e-11}
    want = fit_path(rounded, Y[family], X_unlabeled=below, **same)
    kept = STORAGE[storage](rounded)
    for other in (STORAGE[storage](below), below) if storage != "frame" else (STORAGE[storage](below),):
        got = fit_path(kept, Y[family], X_unlabeled=other, **same)
        assert_allclose(got.coefs.toarray(), want.coefs.toarray(), atol=1e-8)
        assert_allclose(got.intercepts, want.intercepts, atol=1e-8)


@every_family
def test_nothing_above_alpha_max(family: str) -> None:
    for v in (np.ones(P), np.array([0.0, 1, 1, 1, 1])):
        same: dict[str, Any] = {"family": family, "dropout": 0.5, "penalty_factors": v}
        top = regfast.alpha_max(X, Y[family], **same)
        path = fit_path(X, Y[family], alphas=[1.01 * top, 0.95 * top], tol=1e-10, **same)
        free = np.count_nonzero(v == 0)
        assert path.n_nonzero.tolist()[0] == free
        assert path.n_nonzero.tolist()[1] > free


@every_family
def test_weights_repeat_rows_and_folds_agree(family: str) -> None:
    times = np.arange(N) % 3
    same: dict[str, Any] = {"family": family, "dropout": 0.3, "alphas": [0.05], "tol": 1e-11}
    weighted = fit_path(X, Y[family], sample_weight=times, **same)
    repeated = fit_path(np.repeat(X, times, axis=0), np.repeat(Y[family], times), **same)
    assert_allclose(weighted.coefs.toarray(), repeated.coefs.toarray(), atol=1e-8)


@every_family
def test_degenerate(family: str) -> None:
    y = Y[family]
    twins = np.column_stack([X[:, 0], X[:, 0], X[:, 1], np.full(N, 7.0)])
    path = fit_path(twins, y, family=family, dropout=0.5, alphas=[0.01], tol=1e-10)
    b = path.coefs.toarray()[:, 0]
    assert_allclose(b[0], b[1], rtol=1e-6)  # equal columns share
    assert b[3] == 0
    for Z in (X[:, :1], X[:, :0], X * 1e6, X * 1e-6, X + 1e4):
        path = fit_path(Z, y, family=family, dropout=0.5, n_alphas=5, eps=1e-2)
        assert set(path.status) == {"converged"}
    if family != "binomial":
        assert fit_path(X[:1], y[:1], family=family, dropout=0.5).n_nonzero.max() == 0
        assert fit_path(X, np.ones(N), family=family, dropout=0.5).path_status == "constant"


@every_family
def test_more_columns_than_rows(family: str) -> None:
    rng = np.random.default_rng(5)
    wide = rng.standard_normal((40, 150))
    path = fit_path(wide, Y[family][:40], family=family, dropout=0.5, n_alphas=20)
    assert set(path.status) == {"converged"}
    assert path.gaps.max() <= 1e-7
    assert path.gap_kind == ("kkt residual" if family == "binomial" else "duality gap")


def test_what_is_not_convex_says_so() -> None:
    for family, below, convex in (("gaussian", UNLABELED, True), ("poisson", None, True), ("poisson", UNLABELED, False),
                                  ("binomial", None, False)):
        path = fit_path(X, Y[family], family=family, dropout=0.5, X_unlabeled=below, n_alphas=3)
        assert path.convex is convex
        assert ("not convex" in repr(path)) is not convex
        assert "dropout 0.5" in repr(path)
    proof = certify(X, Y["binomial"], np.zeros(P), alpha=1, family="binomial", dropout=0.5)
    assert proof.kind == "kkt residual"
    assert proof.dual == -np.inf
    assert not len(proof.nonzero)


def test_where_no_stationary_point_is_near_the_status_says_so() -> None:
    """The second order vanishes where rows are certain: on separable counts the solution runs away."""
    rng = np.random.default_rng(0)
    Z = rng.poisson(0.1, (60, 40)) * rng.integers(1, 30, (60, 40))
    y = (rng.random(60) < 0.5).astype(float)
    with pytest.warns(ConvergenceWarning, match="no stationary point is near"):
        path = fit_path(Z, y, family="binomial", dropout=0.5, alphas=[1e-7], standardize=False)
    assert path.status[0] == "not_convex"
    assert path.gaps[0] > path.tol


# Which of a few strengths is best is not what these are about.
at_the_edge = pytest.mark.filterwarnings("ignore:the best alpha")


@at_the_edge
@every_family
def test_cross_validation_over_dropout(family: str) -> None:
    same: dict[str, Any] = {"family": family, "n_alphas": 8, "eps": 1e-2, "cv": 3, "early_stop": False}
    both = fit_cv(X, Y[family], dropout=[0.0, 0.2, 0.6], l1_ratio=[1.0, 0.5], **same)
    assert_array_equal(both.dropouts, [0, 0.2, 0.6])
    assert len(both.l1_scores) == 2
    alone = [fit_cv(X, Y[family], dropout=rate, l1_ratio=[1.0, 0.5], **same) for rate in (0.0, 0.2, 0.6)]
    assert_allclose(both.dropout_scores, [cv.l1_scores.min() for cv in alone], rtol=1e-12)
    best = int(np.argmin([cv.score_mean.min() for cv in alone]))
    assert both.dropout_best == both.path.dropout == both.dropouts[best]
    assert_array_equal(both.scores, alone[best].scores)
    assert_array_equal(fit_cv(X, Y[family], dropout=[0.0, 0.2, 0.6], l1_ratio=[1.0, 0.5], n_jobs=2, **same).scores,
                       both.scores)


@at_the_edge
def test_folds_leave_their_rows_out_of_the_penalty() -> None:
    halves = [(np.arange(30), np.arange(30, N)), (np.arange(30, N), np.arange(30))]
    for family, y in Y.items():
        cv = fit_cv(X, y, family=family, dropout=0.5, alphas=[0.05], cv=halves, keep_folds=True, tol=1e-11,
                    X_unlabeled=UNLABELED)
        assert cv.folds is not None
        for train, _, fold in cv.folds:
            alone = fit_path(X[train], y[train], family=family, dropout=0.5, alphas=[0.05], tol=1e-11,
                             X_unlabeled=UNLABELED)
            assert_allclose(fold.coefs.toarray(), alone.coefs.toarray(), atol=1e-8)


@at_the_edge
def test_results_remember(tmp_path: Path) -> None:
    cv = fit_cv(X, Y["poisson"], family="poisson", dropout=[0.2, 0.5], n_alphas=5, cv=3)
    cv.save(tmp_path / "m.json")
    back = regfast.load(tmp_path / "m.json")
    assert isinstance(back, regfast.CVPath)
    assert back.dropout_best == cv.dropout_best
    assert_array_equal(back.dropout_scores, cv.dropout_scores)
    assert f"dropout={cv.dropout_best:g}" in repr(back)
    alpha = cv.alpha_min
    assert_allclose(cv.path.coef_at(alpha, exact=True, X=X, y=Y["poisson"]), cv.path.coef_at(alpha), atol=1e-3)
    assert "dropout" in str(cv.report())
    path = fit_path(X, Y["gaussian"], dropout=0.5, X_unlabeled=UNLABELED, n_alphas=5)
    with pytest.raises(ValueError, match="X_unlabeled="):
        path.coef_at(path.alphas[1], exact=True, X=X, y=Y["gaussian"])
    exact = path.coef_at(path.alphas[1], exact=True, X=X, y=Y["gaussian"], X_unlabeled=UNLABELED)
    assert_allclose(exact, path.coef_at(path.alphas[1]), atol=1e-9)
    with pytest.raises(ValueError, match="at_most"):
        path.at_most(2, X, Y["gaussian"])
    for rule in ("bic", "alo", "refitted bic"):
        with pytest.raises(ValueError, match="not derived for dropout"):
            path.select(rule, X, Y["gaussian"])
    with pytest.raises(ValueError, match="dropout needs the data"):
        path.select("bic")
    with pytest.raises(ValueError, match="criteria must be False with dropout"):
        fit_cv(X, Y["gaussian"], dropout=0.5, criteria=True)


@pytest.mark.parametrize(("arguments", "message"), [
    ({"dropout": 1}, "dropout must be below 1"),
    ({"dropout": -0.1}, r"dropout must lie in \[0, 1\]; got -0.1"),
    ({"dropout": "a"}, "dropout must be a number"),
    ({"dropout": 0.5, "family": "gamma"}, "got 0.5 for 'gamma'"),
    ({"dropout": 0.5, "family": "tweedie(1.5)"}, "for 'tweedie"),
    ({"dropout": 0.5, "X_unlabeled": np.ones((3, 2))}, "X_unlabeled must have the 5 columns of X; got 2"),
    ({"dropout": 0.5, "X_unlabeled": np.ones(3)}, "X_unlabeled: X must be 2-D"),
    ({"dropout": 0.5, "X_unlabeled": np.full((3, P), np.nan)}, "X_unlabeled: Input X contains NaN"),
    ({"dropout": 0.5, "X_unlabeled": UNLABELED, "unlabeled_weight": -1}, "unlabeled_weight must lie in"),
    ({"dropout": 0.5, "X_unlabeled": UNLABELED, "unlabeled_weight": np.inf}, "unlabeled_weight finite"),
])
def test_refusals(arguments: dict[str, Any], message: str) -> None:
    y = np.arange(N) % 3 + 1.0
    with pytest.raises((ValueError, TypeError), match=message):
        fit_path(X, y, **arguments)


def test_column_names_of_unlabeled_rows() -> None:
    frame = pd.DataFrame(X, columns=list("abcde"))
    with pytest.raises(ValueError, match="X_unlabeled must have the column names of X"):
        fit_path(frame, Y["gaussian"], dropout=0.5, X_unlabeled=pd.DataFrame(UNLABELED, columns=list("abcdf")))


def test_offset_with_unlabeled_rows_is_refused_where_it_would_matter() -> None:
    fit_path(X, Y["gaussian"], dropout=0.5, X_unlabeled=UNLABELED, offset=OFFSET, n_alphas=3)
    with pytest.raises(ValueError, match="X_unlabeled must be None with an offset"):
        fit_path(X, Y["poisson"], family="poisson", dropout=0.5, X_unlabeled=UNLABELED, offset=OFFSET)


@at_the_edge
def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table, model = tmp_path / "t.csv", tmp_path / "m.json"
    pd.DataFrame(X, columns=list("abcde")).assign(y=Y["poisson"]).to_csv(table, index=False)
    command = ["fit", str(table), "--target", "y", "--family", "poisson", "--dropout", "0.2", "0.6", "--alphas", "8",
               "--cv", "3", "--model", str(model), "--report", str(tmp_path / "r.html")]
    assert main(command) == 0
    out = capsys.readouterr().out
    assert "averaged over dropout of 0.2, 0.6" in out
    back = regfast.load(model)
    want = fit_cv(X, Y["poisson"], family="poisson", dropout=[0.2, 0.6], n_alphas=8, cv=3)
    assert isinstance(back, regfast.CVPath)
    assert f"dropout: {want.dropout_best:g} predicts best" in out
    assert_allclose(back.scores, want.scores, rtol=1e-9)
    assert main([*command[:-4], "--rule", "bic"]) != 0
    assert "criteria must be False with dropout" in capsys.readouterr().err


def test_the_page_runs(tmp_path: Path) -> None:
    """docs/dropout.md: dropout predicts better than L2 alone, at its best α and at the one that the folds choose."""
    import matplotlib as mpl

    page = Path(__file__).resolve().parents[1] / "docs" / "dropout.md"
    spec = importlib.util.spec_from_file_location("page", page.with_name("page.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with mpl.rc_context({"backend": "agg"}):
        names = module.run(page, tmp_path)
    errors = names["errors"]
    assert errors[0.5].min() < errors[0.2].min() < errors[0].min()
    assert names["cv"].dropout_best > 0
    assert (tmp_path / "dropout.png").stat().st_size > 10_000


@likelihoods
def test_interrupts_keep_what_was_done(family: str) -> None:
    def stop(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        fit_path(X, Y[family], family=family, dropout=0.5, n_alphas=10, progress=stop)
    partial: Any = vars(caught.value)["partial"]
    assert type(partial) is regfast.Path
    assert len(partial) >= 2
    assert partial.coefs.shape == (P, len(partial))


@likelihoods
def test_two_threads(family: str) -> None:
    want = fit_path(X, Y[family], family=family, dropout=0.5, n_alphas=20)
    found: list[Any] = [None, None]

    def work(k: int) -> None:
        found[k] = fit_path(X, Y[family], family=family, dropout=0.5, n_alphas=20)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for path in found:
        assert_array_equal(path.coefs.toarray(), want.coefs.toarray())


def test_nothing_is_written_to() -> None:
    Z, below = X.copy(), UNLABELED.copy()
    Z.flags.writeable = below.flags.writeable = False
    for family, y in Y.items():
        fixed = y.copy()
        fixed.flags.writeable = False
        fit_path(Z, fixed, family=family, dropout=0.5, X_unlabeled=below, n_alphas=3)


def test_newton_has_the_curvature_of_the_objective() -> None:
    """`bent` against differences of the gradient, rows without a response included."""
    rng = np.random.default_rng(6)
    for family in ("binomial", "poisson"):
        model = Dropped(prepare(X, Y[family], family=family, dropout=0.4, X_unlabeled=UNLABELED))
        b = np.where(X.any(axis=0), rng.normal(size=P) / 2, 0.0)
        on, v = np.flatnonzero(b), rng.normal(size=P) * X.any(axis=0)

        def gradient(t: float, model: Dropped = model, b: Array = b, v: Array = v) -> Array:
            model.put(b + t * v, 0.3 + 0.7 * t)
            r = model.mean.residual()
            return np.append(-model.pull(r), -r.sum())

        change = (gradient(1e-5) - gradient(-1e-5)) / 2e-5
        model.put(b, 0.3)
        out, out0 = model.mean.bent()(v[on], 0.7)
        assert_allclose(np.append(out, out0), np.append(change[:-1][on], change[-1]), rtol=1e-6, atol=1e-8)
