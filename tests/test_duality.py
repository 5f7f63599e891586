"""certify for several linear predictors, held against proximal gradient descent written out in NumPy."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.optimize
import scipy.sparse as sp
from numpy.testing import assert_array_equal
from numpy.typing import NDArray
from oracle import EPS, make_data
from scipy.special import logsumexp, softmax, xlogy

from regfast import certify, fit_path

Array = NDArray[Any]
N, P, C = 60, 8, 3
X, TARGET, W = make_data(n=N, p=P)
RNG = np.random.default_rng(0)
X[:, 5] = 2.0  # a constant column
LABELS = np.array(["red", "green", "blue"])[np.digitize(TARGET + RNG.normal(size=N), np.quantile(TARGET, [0.3, 0.7]))]
RESPONSES = X[:, :3] @ RNG.normal(size=(3, C)) + RNG.normal(size=(N, C)) + 5
OFFSET = RNG.normal(size=(N, C))


@dataclass
class Task:
    """The objective of (C, p) coefficients, term by term, and a plain way to its minimum."""

    X: Array
    Y: Array  # (n, C) shares or responses
    shares: bool
    w: Array
    shift: Array
    l1: Array  # OUT: excluded
    l2: Array
    lo: Array
    hi: Array
    intercept: bool
    group: bool

    def loss(self, eta: Array) -> float:
        if self.shares:
            each = logsumexp(eta, axis=1) - (self.Y * eta).sum(1) + xlogy(self.Y, self.Y).sum(1)
        else:
            each = ((self.Y - eta) ** 2).sum(1) / 2
        return float(self.w @ each)

    def eta(self, b: Array, b0: Array) -> Array:
        return self.X @ b.T + b0 + self.shift

    def primal(self, b: Array, b0: Array) -> float:
        size = np.linalg.norm(b, axis=0) if self.group else abs(b).sum(axis=0)
        return self.loss(self.eta(b, b0)) + float((self.l1 * size + self.l2 / 2 * (b**2).sum(axis=0)).sum())

    def slope(self, eta: Array) -> Array:
        return self.w[:, None] * (self.Y - (softmax(eta, axis=1) if self.shares else eta))

    def prox(self, z: Array, t: float) -> Array:
        size = np.linalg.norm(z, axis=0) if self.group else abs(z)
        shrunk = z * np.maximum(1 - t * self.l1 / np.maximum(size, 1e-300), 0) / (1 + t * self.l2)
        return np.clip(shrunk, self.lo, self.hi)

    def kkt(self, b: Array) -> float:
        """Largest distance of a correlation from the subdifferential over √h_j, at the best intercept."""
        means = self.w @ self.X * self.intercept
        A, eta = self.X - means, self.X @ b.T + self.shift
        b0 = np.zeros(self.Y.shape[1])
        if self.intercept and self.shares:
            found = scipy.optimize.minimize(lambda level: self.loss(eta + level), b0, method="BFGS",
                                            jac=lambda level: -self.slope(eta + level).sum(0), options={"gtol": 1e-13})
            rest = found.x[:-1] - found.x[-1]  # only differences matter
            b0 = np.append(scipy.optimize.root(lambda level: self.slope(eta + np.append(level, 0)).sum(0)[:-1], rest,
                                               tol=1e-15).x, 0)
        elif self.intercept:
            b0 = self.w @ (self.Y - eta)
        c = (self.slope(eta + b0).T @ A) - self.l2 * b
        if self.group:
            size = np.linalg.norm(b, axis=0)
            far = np.where(size > 0, np.linalg.norm(c - self.l1 * b / np.maximum(size, 1e-300), axis=0),
                           np.maximum(np.linalg.norm(c, axis=0) - self.l1, 0))
        else:
            up = np.where(b < self.hi, np.maximum(c - np.where(b < 0, -self.l1, self.l1), 0), 0)
            down = np.where(b > self.lo, np.maximum(np.where(b > 0, self.l1, -self.l1) - c, 0), 0)
            far = np.maximum(up, down)
        h = self.w @ A**2
        used = (self.l1 < OUT) & (h > 1e-20)
        return float((far / np.sqrt(np.where(used, h, 1)))[..., used].max())

    def solve(self) -> tuple[Array, Array]:
        """Accelerated proximal gradient, restarted where it stops to fall, on centred columns."""
        means = self.w @ self.X * self.intercept
        A = self.X - means
        step = 1 / (np.linalg.eigvalsh((A * self.w[:, None]).T @ A)[-1] + 1)
        b = v = np.zeros((self.Y.shape[1], self.X.shape[1]))
        b0 = v0 = np.zeros(self.Y.shape[1])
        t = 1.0
        for _ in range(20_000):
            r = self.slope(A @ v.T + v0 + self.shift)
            new, new0 = self.prox(v + step * (r.T @ A), step), v0 + step * r.sum(0) * self.intercept
            if ((v - new) * (new - b)).sum() + ((v0 - new0) * (new0 - b0)).sum() > 0:
                t = 1.0
            after = (1 + np.sqrt(1 + 4 * t * t)) / 2
            if max(abs(new - v).max(), abs(new0 - v0).max()) < 1e-15:
                break
            v, v0 = new + (t - 1) / after * (new - b), new0 + (t - 1) / after * (new0 - b0)
            b, b0, t = new, new0, after
        return b, b0 - means @ b.T


OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "raw": {"standardize": False},
    "origin": {"fit_intercept": False},
    "weights": {"sample_weight": W},
    "offset": {"offset": OFFSET},
    "factors": {"penalty_factors": np.array([1, 0.5, 2, 1, 1, 1, np.inf, 1])},
    "bounds": {"bounds": (-0.2, 0.3)},
    "positive": {"bounds": (0, np.inf)},
}
FAMILIES: dict[str, tuple[str, Any]] = {"multinomial": ("multinomial", LABELS),
                                        "responses": ("multigaussian", RESPONSES)}
OUT = 1e100
ALPHA = {"multinomial": 0.1, "responses": 1.0}
CASES = {f"{name} {kind}": (name, l1_ratio, group) for name in FAMILIES for kind, l1_ratio, group in (
    ("lasso", 1.0, False), ("elastic", 0.4, False), ("ridge", 0.0, False), ("group", 1.0, True),
    ("group elastic", 0.4, True), ("group ridge", 0.0, True)) if group or name != "responses"}


def task(name: str, alpha: float, l1_ratio: float, group: bool, A: Array = X, *, standardize: bool = True,
         fit_intercept: bool = True, sample_weight: Any = None, offset: Any = None, penalty_factors: Any = None,
         bounds: Any = (-np.inf, np.inf)) -> Task:
    w = np.ones(N) if sample_weight is None else sample_weight
    w = w / w.sum()
    v = np.ones(A.shape[1]) if penalty_factors is None else penalty_factors
    sd = np.sqrt(w @ (A - w @ A) ** 2)
    s = np.where(sd > 8 * EPS * abs(w @ A), sd, 1.0) if standardize else np.ones(A.shape[1])
    Y = RESPONSES if name == "responses" else (LABELS[:, None] == np.unique(LABELS)).astype(float)
    l1 = np.where(np.isinf(v), OUT, alpha * np.where(np.isinf(v), 0, v) * s * l1_ratio)
    l2 = alpha * np.where(np.isinf(v), 0, v) * s**2 * (1 - l1_ratio)
    lo, hi = (np.broadcast_to(np.asarray(side, dtype=float), A.shape[1]) for side in bounds)
    return Task(A, Y, name != "responses", w, np.zeros((N, C)) if offset is None else offset, l1, l2, lo, hi,
                fit_intercept, group)


@pytest.mark.parametrize("case", list(CASES.values()), ids=list(CASES))
@pytest.mark.parametrize("options", list(OPTIONS.values()), ids=list(OPTIONS))
def test_what_proximal_gradient_finds_is_certified_and_nothing_else_is(options: dict[str, Any], case: Any) -> None:
    name, l1_ratio, group = case
    if group and "bounds" in options:
        options = {"sample_weight": W, "offset": OFFSET, "standardize": False}
    family, y = FAMILIES[name]
    problem = task(name, ALPHA[name], l1_ratio, group, **options)
    known: dict[str, Any] = {"alpha": ALPHA[name], "l1_ratio": l1_ratio, "group_classes": group, "family": family}
    b, b0 = problem.solve()
    least, null = problem.primal(b, b0), problem.primal(*task(name, 1e6, 1.0, group, **options).solve())
    proof = certify(X, y, b, b0, **known, **options)
    assert proof.kind == "duality gap"
    assert 0 <= proof.gap <= 1e-12
    assert proof.kkt <= 1e-12
    assert proof.primal == pytest.approx(least, rel=1e-13)
    assert proof.dual <= least * (1 + 1e-14)
    rng = np.random.default_rng(1)
    for size in (1e-8, 1e-4, 1e-2, 1.0, 100.0):
        off = b + size * rng.normal(size=b.shape) * (rng.random(b.shape) < 0.5)
        off = np.where(problem.l1 == OUT, 0, np.clip(off, problem.lo, problem.hi))
        off0 = b0 + size * rng.normal(size=C) * problem.intercept
        rough = certify(X, y, off, off0, **known, **options)
        assert rough.primal == pytest.approx(problem.primal(off, off0), rel=1e-12)
        assert rough.dual <= least * (1 + 1e-13)  # no point escapes: nothing is lower than any dual
        assert rough.gap == pytest.approx((rough.primal - rough.dual) / null, rel=1e-6, abs=1e-13)
        assert rough.kkt == pytest.approx(problem.kkt(off) / np.sqrt(2 * null), rel=1e-6, abs=1e-12)
        for claim in (proof, rough):
            assert not (abs(b) > 1e-12)[:, claim.zero].any()
            assert b[:, claim.nonzero].any(axis=0).all()
            assert_array_equal(np.sort(np.concatenate([claim.zero, claim.nonzero, claim.undecided])), np.arange(P))
    if l1_ratio == 1:
        assert_array_equal(proof.zero, np.flatnonzero(~b.any(axis=0)))


def test_the_gap_of_a_path_is_found_again() -> None:
    frame = pd.DataFrame(X, columns=list("abcdefgh"))
    wide = sp.csr_array(X)
    wide.indices, wide.indptr = wide.indices.astype(np.int64), wide.indptr.astype(np.int64)
    frozen = X.copy()
    frozen.flags.writeable = False
    for A in (np.asfortranarray(X), X.astype(np.float32), sp.csc_array(X), wide, frozen, frame):
        for l1_ratio in (1.0, 0.3):
            options: dict[str, Any] = {"family": "multinomial", "l1_ratio": l1_ratio, "offset": OFFSET,
                                       "sample_weight": W}
            path = fit_path(A, LABELS, n_alphas=4, eps=0.01, tol=1e-3, **options)
            for k, alpha in enumerate(path.alphas):
                proof = certify(A, LABELS, path.coef_at(alpha), path.intercept_at(alpha), alpha=alpha, **options)
                assert proof.gap == pytest.approx(path.gaps[k], rel=1e-6, abs=1e-12)
                assert proof.gap <= 1e-3


def test_bounds_and_the_intercept_of_a_path() -> None:
    options: dict[str, Any] = {"family": "multinomial", "bounds": (-0.1, np.inf), "tol": 1e-12}
    path = fit_path(X, LABELS, alphas=[0.1, 0.02], **options)
    del options["tol"]
    for alpha in path.alphas:
        b, b0 = path.coef_at(alpha), path.intercept_at(alpha)
        assert certify(X, LABELS, b, b0, alpha=alpha, **options).gap <= 1e-12
        assert certify(X, LABELS, b, b0 + 7.0, alpha=alpha, **options).gap <= 1e-12  # the same for every class
        assert certify(X, LABELS, b, b0 + np.array([0, 0, 1e-3]), alpha=alpha, **options).gap > 1e-9


def test_free_columns() -> None:
    """They leave no finite dual point but a KKT residual."""
    v = np.where(np.arange(P) < 2, 0.0, 1.0)
    known: dict[str, Any] = {"penalty_factors": v, "family": "multigaussian"}
    together = fit_path(X, RESPONSES, alphas=[0.05], tol=1e-12, **known)
    b, b0 = together.coef_at(0.05), together.intercept_at(0.05)
    proof = certify(X, RESPONSES, b, b0, alpha=0.05, **known)
    assert proof.kind == together.gap_kind == "kkt residual"
    assert proof.gap == proof.kkt <= 1e-12
    b[:, 0] += 0.1
    assert certify(X, RESPONSES, b, b0, alpha=0.05, **known).gap > 1e-3
    path = fit_path(X, LABELS, family="multinomial", alphas=[0.05], penalty_factors=v, tol=1e-10)
    classes = certify(X, LABELS, path.coef_at(0.05), path.intercept_at(0.05), alpha=0.05, penalty_factors=v,
                      family="multinomial")
    assert classes.kind == path.gap_kind == "kkt residual"
    assert classes.gap == classes.kkt <= 1e-9


@pytest.mark.parametrize("group", [False, True])
def test_identical_columns_may_share(group: bool) -> None:
    A = np.column_stack([X, X[:, 2]])
    b, b0 = task("multinomial", 0.1, 1.0, group).solve()
    shared = np.column_stack([b, 0.7 * b[:, 2]])
    shared[:, 2] *= 0.3
    proof = certify(A, LABELS, shared, b0, alpha=0.1, family="multinomial", group_classes=group)
    assert proof.gap <= 1e-12
    assert [tie.tolist() for tie in proof.ties] == [[2, 8]]
    against = shared + np.outer(np.ones(C), np.eye(9)[2] - np.eye(9)[8])  # the fit stays, the penalty does not
    lost = task("multinomial", 0.1, 1.0, group, A)
    worse = certify(A, LABELS, against, b0, alpha=0.1, family="multinomial", group_classes=group)
    assert worse.primal - proof.primal == pytest.approx(lost.primal(against, b0) - lost.primal(shared, b0), rel=1e-9)
    assert worse.primal - worse.dual == pytest.approx(worse.primal - proof.primal, rel=1e-9)


def test_the_gap_does_not_depend_on_units_nor_level() -> None:
    b, b0 = task("responses", 1.0, 0.4, True).solve()
    b = b * 1.01
    known: dict[str, Any] = {"l1_ratio": 0.4, "family": "multigaussian"}
    a = certify(X, RESPONSES, b, b0, alpha=1.0, **known)
    assert 1e-6 < a.gap < 1e-2
    for power in (-60, 60):
        c = certify(X, np.ldexp(RESPONSES, power), np.ldexp(b, power), np.ldexp(b0, power), alpha=np.ldexp(1.0, power),
                    **known | {"l1_ratio": 1.0})
        assert c.gap == certify(X, RESPONSES, b, b0, alpha=1.0, **known | {"l1_ratio": 1.0}).gap
    far = certify(X + 2.0**20, RESPONSES + 2.0**20, b, b0 + 2.0**20 - 2.0**20 * b.sum(axis=1), alpha=1.0, **known)
    assert far.gap == pytest.approx(a.gap, rel=1e-5)


def test_little_data() -> None:
    one = certify(np.ones((2, 1)), ["a", "b"], np.zeros((2, 1)), alpha=1.0, family="multinomial")
    assert (one.gap, one.zero.tolist()) == (0.0, [0])
    none = certify(np.empty((3, 0)), ["a", "b", "c"], np.empty((3, 0)), alpha=1.0, family="multinomial")
    assert none.gap <= 1e-15
    assert none.primal == pytest.approx(np.log(3), rel=1e-15)
    flat = certify(X, np.full((N, C), 2.5), np.zeros((C, P)), np.full(C, 2.5), alpha=1.0,
                   family="multigaussian")
    assert (flat.gap, flat.primal) == (0.0, 0.0)


def test_predictors_beyond_all_exponentials() -> None:
    """The best intercept lies thousands away, where every probability is 0 or 1."""
    b = 1e4 * np.random.default_rng(0).normal(size=(C, P))
    problem = task("multinomial", 0.1, 1.0, False)
    for group in (False, True):
        proof = certify(X, LABELS, b, np.zeros(C), alpha=0.1, family="multinomial", group_classes=group)
        assert np.isfinite([proof.gap, proof.kkt, proof.primal, proof.dual]).all()
        assert proof.dual <= problem.primal(*problem.solve())
        assert not proof.zero.size - (5 in proof.zero)


def test_what_is_refused() -> None:
    b = np.zeros((C, P))
    for coef, options, message in (
        (b[0], {}, r"coef must be \(3, 8\), a row for each linear predictor; got shape \(8,\)"),
        (b.T, {}, r"coef must be \(3, 8\)"),
        (np.where(np.arange(P) == 1, np.nan, b), {}, r"Input coef\[0\] contains NaN"),
        (b, {"intercept": np.zeros(2)}, "intercept must have 3 entries; got 2"),
        (b, {"intercept": [0, 1, 0], "fit_intercept": False}, "intercept must be 0 with fit_intercept=False"),
        (b + 1, {"bounds": (-1, 0.5)}, r"coef\[0\]=1 is outside bounds"),
        (b, {"bounds": (-1, 0.5), "group_classes": True}, "bounds must be None where"),
    ):
        with pytest.raises(ValueError, match=message):
            certify(X, LABELS, coef, alpha=1.0, family="multinomial", **options)
    with pytest.raises(ValueError, match="group_classes needs a family of several predictors; got 'gaussian'"):
        certify(X, TARGET, b[0], alpha=1.0, group_classes=True)
