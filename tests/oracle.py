"""An independent second opinion for the tests: the objective, its dual and its KKT conditions in plain NumPy.

Everything is computed the direct way, on a dense, centred, extended-precision copy: P and D themselves and their
difference, not the Fenchel–Young terms that the engine sums. Slow, wasteful, and nothing shared with the package.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse as sp
from numpy.typing import NDArray

Array = NDArray[Any]
Long = np.longdouble
EPS = float(np.finfo(float).eps)


def dense(X: Any) -> Array:
    """X as a dense extended-precision array, whatever it was."""
    return np.asarray(X.toarray() if sp.issparse(X) else X).astype(Long)


@dataclass
class Objective:
    """½ Σ w (t − b0 − Xb)² + Σ l1|b| + l2 b²/2 within bounds: `fit_path`'s problem at one α."""

    X: Array  # (n, p) extended precision; centred if there is an intercept
    t: Array  # (n,) y − offset; centred likewise
    w: Array  # (n,) weights, sum 1
    means: Array  # (p,) what was taken off X
    level: Any  # what was taken off y
    l1: Array  # (p,) α v l1_ratio s
    l2: Array  # (p,) α v (1 − l1_ratio) s²
    lo: Array
    hi: Array
    v: Array
    s: Array
    intercept: bool

    @property
    def used(self) -> Array:
        """Columns that may be non-zero: neither excluded nor without spread."""
        return np.isfinite(self.v) & (self.h > 0)

    @property
    def h(self) -> Array:
        """(p,) Σ w x²; rounding of a constant column counts as zero."""
        h = self.w @ self.X**2
        return np.where(h > (8 * EPS) ** 2 * (h + self.means**2), h, 0)

    @property
    def free(self) -> Array:
        """Columns without a penalty."""
        return self.used & (self.v == 0)

    def _residual(self, b: Array, b0: float | None = None) -> Array:
        """t − Xb − b0; b0=None is the best intercept."""
        r = self.t - self.X @ np.asarray(b, dtype=Long)
        if b0 is None:
            return r - (self.w @ r if self.intercept else 0)
        return r - (Long(b0) - self.level + self.means @ np.asarray(b, dtype=Long)) if self.intercept else r

    def primal(self, b: Array, b0: float | None = None) -> Any:
        """P(b0, b), extended precision; ∞ outside the bounds."""
        b = np.asarray(b, dtype=Long)
        assert np.isfinite(np.asarray(b, dtype=float)).all()
        if (b < self.lo).any() or (b > self.hi).any() or (b[np.isinf(self.v)] != 0).any():
            return Long(np.inf)
        on = b != 0
        penalty = self.l1[on] @ abs(b[on]) + self.l2[on] @ b[on] ** 2 / 2
        return self.w @ self._residual(b, b0) ** 2 / 2 + penalty

    @property
    def null_coef(self) -> Array:
        """(p,) the model of intercept and free columns only (minimum norm)."""
        b, f = np.zeros(self.X.shape[1]), np.flatnonzero(self.free & (self.hi > self.lo))
        if f.size:
            size = np.sqrt(self.h[f]).astype(float)
            A = (self.X[:, f] * np.sqrt(self.w)[:, None]).astype(float) / size
            t = (self.t * np.sqrt(self.w)).astype(float)
            lo, hi = self.lo[f] * size, self.hi[f] * size
            if np.isfinite(lo).any() or np.isfinite(hi).any():
                b[f] = scipy.optimize.lsq_linear(A, t, (lo, hi), method="bvls", tol=1e-15).x / size
            else:
                b[f] = np.linalg.lstsq(A, t, rcond=1e-12)[0] / size
        return b

    @property
    def null(self) -> float:
        """P_null, what gaps are relative to."""
        return float(max(self.w @ self._residual(self.null_coef) ** 2 / 2, 1e-300))

    @property
    def unit_alpha_max(self) -> float:
        """max |x_j·r| / (v_j s_j) at the null model: α_max · l1_ratio. A bound at 0 closes its side."""
        c = (self.X.T @ (self.w * self._residual(self.null_coef))).astype(float)
        open_side = np.where(c > 0, self.hi > 0, self.lo < 0)
        on = self.used & (self.v > 0) & open_side
        return float(max(abs(c[on]) / (self.v * self.s)[on].astype(float), default=0.0))

    def _conjugate(self, u: Array, l2: Array) -> Array:
        """sup over lo ≤ b ≤ hi of u b − l1|b| − l2 b²/2, term by term."""
        size = np.sqrt(self.h * (self.w @ self.t**2))
        rounding = 4 * EPS * np.where(self.free, size, self.l1) + 64 * np.finfo(Long).eps * size
        excess = np.maximum(abs(u) - self.l1 - rounding, 0)  # what was scaled onto l1, or projected, is feasible
        room = np.where(u > 0, self.hi, -self.lo)
        with np.errstate(divide="ignore", invalid="ignore"):
            z = np.minimum(np.where(l2 > 0, excess / l2, np.inf), room)
            top = np.where(excess * room > 0, excess * z - np.where(l2 > 0, l2 * z**2 / 2, 0), 0)
        return np.where(self.used, top, 0)

    def dual(self, theta: Array, extra: Array | None = None) -> Any:
        """D(θ), and with `extra` θ's continuation on the rows √l2_j (dual A)."""
        if self.intercept:
            theta = theta - self.w @ theta
        u, l2 = self.X.T @ (self.w * theta), self.l2
        value = (self.w @ self.t**2 - self.w @ (self.t - theta) ** 2) / 2
        if extra is not None:
            u, l2, value = u + np.sqrt(self.l2) * extra, np.zeros_like(l2), value - extra @ extra / 2
        return value - self._conjugate(u, l2).sum()

    def gap(self, b: Array, b0: float | None = None) -> float:
        """(P − D)/P_null, D the best of: the residual scaled feasible; the same with the L2 part as rows; zero."""
        theta = self._residual(b)
        if self.free.any():  # nothing holds a free column: θ must be orthogonal to it
            A = self.X[:, self.free] * np.sqrt(self.w)[:, None]
            Q, d, _ = np.linalg.svd((A / np.sqrt(self.h[self.free])).astype(float), full_matrices=False)
            Q = Q[:, d > 1e-10 * d[0]].astype(Long)
            root = np.where(self.w > 0, np.sqrt(self.w), 1)
            for _ in range(3):
                theta = theta - Q @ (Q.T @ (np.sqrt(self.w) * theta)) / root
        tops = [self.dual(0 * theta)]
        for extra in (None, -np.sqrt(self.l2) * np.asarray(b, dtype=Long)):
            u = self.X.T @ (self.w * theta) + (0 if extra is None else np.sqrt(self.l2) * extra)
            room = np.where(u > 0, self.hi, -self.lo)
            held = self.used & ~self.free & np.isinf(room) & (u != 0)
            held &= (self.l2 == 0) | (extra is not None)
            scale = min([Long(1), *(self.l1[held] / abs(u[held]))])
            tops.append(self.dual(scale * theta, None if extra is None else scale * extra))
        return float((self.primal(b, b0) - max(tops)) / self.null)

    def rounding(self, b: Array) -> float:
        """How much of a gap, relative, may be due to a residual that is right to 4 EPS of what it is computed from."""
        largest = abs(self.X).max(axis=0, initial=0.0) + abs(self.means)
        error = 4 * EPS * (abs(self.t).max() + abs(self.level) + abs(b) @ largest)
        room = np.where(np.isfinite(self.lo), abs(self.lo), 0) + np.where(np.isfinite(self.hi), self.hi, 0)
        reach = np.sqrt(self.w @ self.t**2) + (abs(b) + room) @ np.sqrt(self.h)
        return float(error * reach / self.null)

    def kkt(self, b: Array) -> float:
        """Largest distance of a correlation from the subdifferential, as a correlation (no units)."""
        b = np.asarray(b, dtype=Long)
        g = self.X.T @ (self.w * self._residual(b)) - np.where(b != 0, self.l2 * b, 0)
        with np.errstate(invalid="ignore"):
            least, most = np.where(b > 0, self.l1, -self.l1), np.where(b < 0, -self.l1, self.l1)
        most, least = np.where(b >= self.hi, np.inf, most), np.where(b <= self.lo, -np.inf, least)
        off = np.maximum(np.maximum(least - g, g - most), 0)[self.used]
        return float(max(off / np.sqrt(self.h[self.used]), default=0.0) / np.sqrt(2 * self.null))


def objective(
    X: Any, y: Any, *, alpha: float = 1.0, l1_ratio: float = 1.0, sample_weight: Any = None, offset: Any = None,
    fit_intercept: bool = True, standardize: bool = True, penalty_factors: Any = None, bounds: Any = None, **_: Any,
) -> Objective:  # fmt: skip
    """The problem that `fit_path` solves under these arguments, at one α; the rest of its arguments is ignored."""
    X, y = dense(X), np.asarray(y, dtype=Long).ravel()
    n, p = X.shape
    w = np.ones(n, dtype=Long) if sample_weight is None else np.asarray(sample_weight, dtype=Long)
    w = w / w.sum()
    t = y if offset is None else y - np.asarray(offset, dtype=Long)
    v = np.ones(p) if penalty_factors is None else np.asarray(penalty_factors, dtype=float)
    low, high = (-np.inf, np.inf) if bounds is None else bounds
    lo, hi = np.broadcast_to(np.asarray(low, dtype=float), p), np.broadcast_to(np.asarray(high, dtype=float), p)
    means = w @ X
    sd = np.sqrt(w @ (X - means) ** 2)
    s = np.where(sd > 8 * EPS * abs(means), sd, 1) if standardize else np.ones(p, dtype=Long)
    with np.errstate(invalid="ignore"):
        l1 = np.where(np.isinf(v), np.inf, alpha * v * l1_ratio * s)
        l2 = np.where(np.isinf(v), 0, alpha * np.where(np.isinf(v), 0, v) * (1 - l1_ratio) * s**2)
    if not fit_intercept:
        means = np.zeros_like(means)
    level = w @ t if fit_intercept else Long(0)
    return Objective(X - means, t - level, w, means, level, l1, l2, lo, hi, v, s, fit_intercept)


def check_path(path: Any, X: Any, y: Any, *, tol: float | None = None, **options: Any) -> None:
    """Every solution of a path: feasible, with the gap that it claims, and within tol unless its status says why."""
    tol = path.tol if tol is None else tol
    coefs = path.coefs.toarray()
    assert np.isfinite(coefs).all()
    assert np.isfinite(path.intercepts).all()
    assert np.isfinite(path.gaps).all()
    for k, alpha in enumerate(path.alphas):
        if alpha == 0:
            continue
        problem = objective(X, y, alpha=float(alpha), **options)
        if path.status[k] == "converged" and path.path_status != "constant":
            assert path.gaps[k] <= tol
        if path.path_status == "constant":  # but for what free columns explain of it, all there is
            assert not coefs[~problem.free, k].any()
            assert path.gaps[k] == 0
            continue
        noise = 1e-5 * path.gaps[k] + 1e-12 + problem.rounding(coefs[:, k])
        if path.gap_kind == "kkt residual":
            assert problem.kkt(coefs[:, k]) == pytest.approx(path.gaps[k], rel=1e-6, abs=1e-13)
            continue
        true = problem.gap(coefs[:, k], path.intercepts[k] if path.fit_intercept else None)
        assert true <= path.gaps[k] + noise, (k, true, path.gaps[k])  # smaller: ours looks at more dual points


def make_data(n: int = 60, p: int = 20, seed: int = 0, density: float = 1.0) -> tuple[Array, Array, Array]:
    """X (n, p) of unequal scales and means, some columns correlated; y; weights, two of them zero.

    All numbers are float32 numbers, so that storing X in either precision changes nothing.
    """
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) * rng.uniform(0.2, 3.0, p) + rng.uniform(-2.0, 2.0, p)
    if p > 1:
        X[:, 1] += X[:, 0]
    X *= rng.random((n, p)) < density
    X = X.astype(np.float32).astype(np.float64)
    signal = np.zeros(p)
    signal[: min(3, p)] = [1.0, -2.0, 1.5][: min(3, p)]
    y = X @ signal + X[:, -1] / 2 + rng.standard_normal(n) + 7.0
    weights = rng.uniform(0.1, 2.0, n)
    weights[: min(2, n - 1)] = 0.0
    return X, y, weights
