"""certify for several linear predictors, held against proximal gradient descent written out in NumPy."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray
from oracle import EPS, make_data
from scipy.special import logsumexp, softmax, xlogy

from regfast import _loss, certify, fit_path
from regfast.families import Family, Response

Array = NDArray[Any]
N, P, C = 60, 8, 3
X, TARGET, W = make_data(n=N, p=P)
RNG = np.random.default_rng(0)
X[:, 5] = 2.0  # a constant column
LABELS = np.array(["red", "green", "blue"])[np.digitize(TARGET + RNG.normal(size=N), np.quantile(TARGET, [0.3, 0.7]))]
RESPONSES = X[:, :3] @ RNG.normal(size=(3, C)) + RNG.normal(size=(N, C)) + 5
OFFSET = RNG.normal(size=(N, C))


@dataclass(frozen=True)
class Responses(Family):
    """Several responses under squared error: all that `certify` needs of such a family."""

    name = "responses"
    curvature = 1.0

    def response(self, y: Any, n: int) -> Response:
        return Response(np.ascontiguousarray(np.asarray(y).T))

    def shift(self, offset: Any, n: int, responses: int) -> Array:
        return np.ascontiguousarray(offset.T)

    def loss(self, y: Array, w: Array, offset: Array | None) -> _loss.Loss:
        return _loss.Gaussian(y, w)

    @property
    def quadratic(self) -> bool:
        return True


@dataclass
class Task:
    """The objective of (C, p) coefficients, term by term, and a plain way to its minimum."""

    X: Array
    Y: Array  # (n, C) shares or responses
    shares: bool
    w: Array
    shift: Array
    l1: Array
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
        used = (b != 0).any(axis=0)
        size = np.linalg.norm(b, axis=0) if self.group else abs(b).sum(axis=0)
        return self.loss(self.eta(b, b0)) + float((self.l1 * size + self.l2 / 2 * (b**2).sum(axis=0))[used].sum())

    def slope(self, eta: Array) -> Array:
        return self.w[:, None] * (self.Y - (softmax(eta, axis=1) if self.shares else eta))

    def prox(self, z: Array, t: float) -> Array:
        l1 = np.where(np.isfinite(self.l1), self.l1, 1e300)
        size = np.linalg.norm(z, axis=0) if self.group else abs(z)
        shrunk = z * np.maximum(1 - t * l1 / np.maximum(size, 1e-300), 0) / (1 + t * self.l2)
        return np.clip(shrunk, self.lo, self.hi)

    def solve(self, rounds: int) -> tuple[Array, Array]:
        """Accelerated proximal gradient, restarted where it stops to fall, on centred columns."""
        means = self.w @ self.X * self.intercept
        A = self.X - means
        step = 1 / (np.linalg.eigvalsh((A * self.w[:, None]).T @ A)[-1] + 1)
        b = v = np.zeros((self.Y.shape[1], self.X.shape[1]))
        b0 = v0 = np.zeros(self.Y.shape[1])
        t, before = 1.0, np.inf
        for _ in range(rounds):
            r = self.slope(A @ v.T + v0 + self.shift)
            new, new0 = self.prox(v + step * (r.T @ A), step), v0 + step * r.sum(0) * self.intercept
            if ((v - new) * (new - b)).sum() + ((v0 - new0) * (new0 - b0)).sum() > 0:
                t = 1.0
            after = (1 + np.sqrt(1 + 4 * t * t)) / 2
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
FAMILIES: dict[str, tuple[Any, Any]] = {"multinomial": ("multinomial", LABELS), "responses": (Responses(), RESPONSES)}
ALPHA = {"multinomial": 0.1, "responses": 1.0}
every_family = pytest.mark.parametrize("name", FAMILIES)
every_ratio = pytest.mark.parametrize("l1_ratio", [1.0, 0.4, 0.0])
both_penalties = pytest.mark.parametrize("group", [False, True], ids=["single", "grouped"])


def task(name: str, alpha: float, l1_ratio: float, group: bool, A: Array = X, *, standardize: bool = True,
         fit_intercept: bool = True, sample_weight: Any = None, offset: Any = None, penalty_factors: Any = None,
         bounds: Any = (-np.inf, np.inf)) -> Task:
    w = np.ones(N) if sample_weight is None else sample_weight
    w = w / w.sum()
    v = np.ones(A.shape[1]) if penalty_factors is None else penalty_factors
    sd = np.sqrt(w @ (A - w @ A) ** 2)
    s = np.where(sd > 8 * EPS * abs(w @ A), sd, 1.0) if standardize else np.ones(A.shape[1])
    Y = RESPONSES if name == "responses" else (LABELS[:, None] == np.unique(LABELS)).astype(float)
    l1 = alpha * v * s * l1_ratio if l1_ratio else np.where(np.isinf(v), np.inf, 0.0)
    l2 = alpha * np.where(np.isinf(v), 0.0, v) * s**2 * (1 - l1_ratio)
    lo, hi = (np.broadcast_to(np.asarray(side, dtype=float), A.shape[1]) for side in bounds)
    return Task(A, Y, name != "responses", w, np.zeros((N, C)) if offset is None else offset, l1, l2, lo, hi,
                fit_intercept, group)


@every_family
@every_ratio
@both_penalties
@pytest.mark.parametrize("options", list(OPTIONS.values()), ids=list(OPTIONS))
def test_what_proximal_gradient_finds_is_certified(options: dict[str, Any], group: bool, l1_ratio: float,
                                                   name: str) -> None:
    if group and "bounds" in options:
        options = {}
    family, y = FAMILIES[name]
    alpha = ALPHA[name]
    problem = task(name, alpha, l1_ratio, group, **options)
    b, b0 = problem.solve(4000)
    known: dict[str, Any] = {"alpha": alpha, "l1_ratio": l1_ratio, "group_classes": group, "family": family, **options}
    proof = certify(X, y, b, b0, **known)
    assert proof.kind == "duality gap"
    print(proof.gap, proof.kkt, proof.zero, proof.nonzero, proof.undecided)
    assert 0 <= proof.gap <= 1e-10
