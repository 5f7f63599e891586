"""What each row does to a fit: leverages, degrees of freedom, approximate leave-one-out; and refits without a penalty.

The active coefficients and intercepts move, when row i leaves, by one step of Newton's method on the objective without
that row, at the same α and with the column scales that are left (docs/objective.md has the formulas).
Rad & Maleki (2020), JRSS-B 82(4); Stephenson & Broderick (2020), AISTATS.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse as sp
from numpy.typing import NDArray

from . import families
from .blas import single_threaded
from .information import Criteria, intercepts
from .path import MAX_ITER, fit_path, prepare, solve
from .pieces import only
from .problem import EPS, Problem
from .result import Path
from .validation import Float, blocks

BLOCK = 2**21
"""Entries of the dense blocks that rows are handled in."""

ALONE = 1e-9
"""A row of leverage above 1 − ALONE determines a coefficient by itself: without it there is no prediction."""


def criteria(path: Path, X: Any, y: Any, *, sample_weight: Any = None, offset: Any = None,
             rule: str | None = None) -> Criteria:
    """`Path.criteria`."""
    if path.dropout:
        raise ValueError(f"rules that go back to the data are not derived for dropout; the path has {path.dropout:g}")
    problem = same_problem(path, X, y, sample_weight, offset)
    found, refits = np.full((len(path), 2), np.nan), np.full(len(path), np.nan)
    refit = rule is not None and rule.startswith("refitted")
    if not refit:
        with single_threaded():
            found[:] = [leave_one_out(problem, path, k) for k in range(len(path))]
    if refit or rule is None:
        refits = refitted(path, problem, y, sample_weight, offset)
    return Criteria(found[:, 0], found[:, 1], refits)


def same_problem(path: Path, X: Any, y: Any, sample_weight: Any, offset: Any) -> Problem:
    """The problem that a path solved, from its data.

    Raises
    ------
    ValueError
        X, y, weights or offset are not those of the fit.
    """
    if X is None or y is None:
        raise ValueError("X and y must both be given: the data of the fit")
    if path.has_offset != (offset is not None):
        raise ValueError(f"offset must be {'that of the fit' if path.has_offset else 'None, as in the fit'}; got "
                         f"{'None' if offset is None else 'one'}")
    problem = prepare(X, y, family=path.family, l1_ratio=path.l1_ratio, sample_weight=sample_weight, offset=offset,
                      fit_intercept=path.fit_intercept, standardize=path.standardize, bounds=path.bounds,
                      penalty_factors=path.penalty_factors, group_classes=path.grouped)
    path._check_columns(problem.data.design.p, problem.data.names)
    if problem.size != path.n_samples or not np.allclose(problem.sd, path.scales, rtol=1e-6, atol=0):
        raise ValueError("X, y and sample_weight must be those of the fit: got "
                         f"{problem.size} observations or columns of another spread; the fit had {path.n_samples}")
    return problem


def leave_one_out(problem: Problem, path: Path, k: int) -> tuple[float, float]:
    """(degrees of freedom, approximate leave-one-out deviance) of the model at position k."""
    alpha, several = float(path.alphas[k]), problem.y.ndim > 1
    coef = np.atleast_2d(path.coef_at(alpha))
    eta = np.atleast_2d(path.linear(problem.data.X, alpha).T)  # (C, n)
    total = eta if problem.offset is None else eta + problem.offset
    r, omega = slopes(problem, total)
    active = [Active(problem, coef, c, alpha) for c in range(len(coef))]
    size = [part.size + problem.intercept for part in active]
    ends = np.cumsum([0, *size])
    rows = list(blocks(len(problem.w), max(1, BLOCK // max(1, ends[-1]))))
    M = np.zeros((ends[-1], ends[-1]))
    for at in rows:
        F = [part.features(at) for part in active]
        for c, left in enumerate(F):
            for d, right in enumerate(F):
                M[ends[c]:ends[c + 1], ends[d]:ends[d + 1]] += (left.T * omega[c, d, at]) @ right
    pen = penalty_curvature(problem, coef, active, ends, alpha)
    R = inverse_root(M + pen)
    df = R.shape[1] - float(np.einsum("ij,ik,kj->", R, pen, R, optimize=True)) if pen.any() else float(R.shape[1])
    R = inverse_root(M + (1 - float(problem.w @ problem.w)) * pen) if pen.any() else R
    moved = np.empty_like(total)
    for at in rows:
        T = np.stack([part.features(at) @ R[a:b] for part, a, b in zip(active, ends, ends[1:], strict=False)])
        D = sum(part.shifts(at, R[b - part.size:b]) for part, b in zip(active, ends[1:], strict=True))
        H = np.einsum("cir,dir->icd", T, T)
        step = np.einsum("cir,ir->ic", T, D) - np.einsum("icd,di->ic", H, r[:, at])
        left = np.eye(len(coef)) - np.einsum("icd,dei->ice", H, omega[:, :, at])
        alone = np.abs(np.linalg.det(left)) <= ALONE
        if (alone & (problem.w[at] > 0)).any():
            return df, np.inf
        left[alone] = np.eye(len(coef))
        moved[:, at] = total[:, at] + np.linalg.solve(left, step[:, :, None])[:, :, 0].T
    with np.errstate(over="ignore"):
        loss = problem.family.deviance(problem.y, moved.T if several else moved[0], problem.w)
    return df, float(loss) if np.isfinite(loss) else np.inf


def slopes(problem: Problem, eta: Float) -> tuple[Float, Float]:
    """r = −w ∂ℓ/∂η, (C, n), and w ∂²ℓ/∂η², (C, C, n), at the linear predictors (C, n)."""
    loss = problem.family.joint(problem.y, problem.w, None)
    product, unit = loss.curvature(eta), np.eye(len(eta))
    return loss.residual(eta), np.stack([product(np.repeat(e[:, None], eta.shape[1], axis=1)) for e in unit], axis=1)


class Active:
    """The columns of one linear predictor that may move, and what the penalty pulls them with.

    More of them than rows are seen through their kernel: the same model in as many coordinates as rows, with α b² / 2
    for a penalty.
    """

    def __init__(self, problem: Problem, coef: Float, c: int, alpha: float) -> None:
        b, pen = coef[c], problem.penalties
        used = coef.any(axis=0) if pen.grouped else b != 0
        self.ids = np.flatnonzero(used & (b != pen.lo) & (b != pen.hi))
        self.problem, self.alpha, self.b = problem, alpha, b[self.ids]
        self.scale, factors = problem.scale[self.ids], pen.factors[self.ids]
        length = np.linalg.norm(coef[:, self.ids], axis=0) if pen.grouped else np.abs(self.b)
        self.kink = alpha * pen.l1_ratio * factors * self.b / length
        self.spring = alpha * (1 - pen.l1_ratio) * factors
        n, X = len(problem.w), problem.data.X
        self.X, self.at = (X[:, self.ids], np.arange(len(self.ids))) if sp.issparse(X) else (X, self.ids)
        self.centre = problem.mean[self.ids]
        if not problem.intercept:
            for some in blocks(len(self.ids), max(1, BLOCK // n)):
                self.centre[some] = problem.w @ self.columns(slice(None), some)
        self.kernel = len(self.ids) > n and not pen.grouped and bool((self.spring > 0).all())
        self.size = len(self.ids)
        if self.kernel:
            self._reduce(n)

    def _reduce(self, n: int) -> None:
        root = self.scale * np.sqrt(self.spring / self.alpha)
        K, N = np.zeros((n, n)), np.zeros((n, n))
        for some in blocks(len(self.ids), max(1, BLOCK // n)):
            G = self.columns(slice(None), some) / root[some]
            K += G @ G.T
            N += (self._shifts(slice(None), some) / root[some]) @ G.T
        values, U = np.linalg.eigh(K)
        kept = values > n * EPS * values[-1]
        size = np.sqrt(values[kept])
        self.seen, self.shifted = U[:, kept] * size, N @ (U[:, kept] / size)
        self.size = len(size)

    def columns(self, rows: slice, some: slice) -> Float:
        """Entries about the mean where an intercept is fitted, as they are otherwise; float64."""
        X = self.X[rows][:, self.at[some]]
        dense = np.asarray(X.toarray() if sp.issparse(X) else X, dtype=np.float64)
        return dense - self.centre[some] if self.problem.intercept else dense

    def features(self, rows: slice) -> Float:
        """What the coefficients multiply, the intercept's 1 first."""
        F = self.seen[rows] if self.kernel else self.columns(rows, slice(None))
        return np.column_stack([np.ones(len(F)), F]) if self.problem.intercept else F

    def shifts(self, rows: slice, R: Float) -> Float:
        """By how much each row's leaving lessens the slope of the penalty at every coefficient, times R."""
        if self.kernel:
            return np.asarray(self.shifted[rows] @ R)
        if not self.problem.standardize:  # (of rank one)
            s = self.scale
            return np.outer(self.problem.w[rows], (self.kink * s + self.spring * self.b * s * s) @ R)
        return np.asarray(self._shifts(rows, slice(None)) @ R)

    def _shifts(self, rows: slice, some: slice) -> Float:
        w = self.problem.w[rows, None]
        kink, spring, s = self.kink[some], (self.spring * self.b)[some], self.scale[some]
        left = np.broadcast_to(s, (len(w), len(s)))
        if self.problem.standardize:
            z = self.columns(rows, some) + (0 if self.problem.intercept else -self.centre[some])
            rest = np.maximum(1 - w, EPS)
            left = np.sqrt(np.maximum(s * s - w * z * z / rest, 0) / rest)
        return np.asarray(kink * s + spring * s * s - (1 - w) * (kink * left + spring * left * left))


def penalty_curvature(problem: Problem, coef: Float, active: list[Active], ends: NDArray[np.intp],
                      alpha: float) -> Float:
    """∂² of the penalty at the coefficients that are not zero; intercepts have none."""
    pen, first = np.zeros((ends[-1], ends[-1])), int(problem.intercept)
    for part, a, b in zip(active, ends, ends[1:], strict=False):
        diagonal = np.full(part.size, alpha) if part.kernel else part.spring * part.scale**2
        pen[range(a + first, b), range(a + first, b)] = diagonal
    if problem.penalties.grouped and problem.penalties.l1_ratio > 0:
        ids = active[0].ids
        length = np.linalg.norm(coef[:, ids], axis=0)
        size = alpha * problem.penalties.l1_ratio * problem.penalties.factors[ids] * problem.scale[ids] / length
        u = coef[:, ids] / length
        for c, a in enumerate(ends[:-1]):
            for d, e in enumerate(ends[:-1]):
                at = np.arange(len(ids)) + first
                pen[a + at, e + at] += size * (float(c == d) - u[c] * u[d])
    return pen


def inverse_root(M: Float) -> Float:
    """(k, rank) R with RR' the inverse of M ≥ 0, or its pseudo-inverse where columns depend on each other."""
    h = np.sqrt(np.diagonal(M))
    h = np.where(h > 0, h, 1)
    S = M / h / h[:, None]
    try:
        L = scipy.linalg.cholesky(S, lower=True)
        if len(L) == 0 or np.diagonal(L).min() ** 2 > 1e3 * EPS * len(L):
            return np.asarray(scipy.linalg.solve_triangular(L, np.eye(len(L)), lower=True).T / h[:, None])
    except scipy.linalg.LinAlgError:
        pass
    values, V = np.linalg.eigh(S)
    kept = values > 1e3 * EPS * len(S) * values[-1]
    return np.asarray(V[:, kept] / np.sqrt(values[kept]) / h[:, None])


def refitted(path: Path, problem: Problem, y: Any, sample_weight: Any, offset: Any) -> Float:
    """(n_alphas,) deviance of the selected columns without a penalty; see `Criteria`."""
    out = np.full(len(path), np.inf)
    done: dict[bytes, float] = {}
    limits = problem.penalties
    used = supports(path)
    for k in range(len(path)):
        ids = np.flatnonzero(used[:, [k]].toarray())
        if len(ids) * len(path.outputs) + intercepts(path) >= path.n_samples * len(path.outputs):
            continue
        if ids.tobytes() not in done:
            part = prepare(problem.data.X[:, ids], y, family=families.get(path.family), sample_weight=sample_weight,
                           offset=offset, fit_intercept=path.fit_intercept, standardize=False,
                           bounds=None if path.bounds is None else (limits.lo[ids], limits.hi[ids]))
            fit = solve(part, np.zeros(1), tol=path.tol, max_iter=MAX_ITER, standardize=False,
                        has_offset=path.has_offset, keep=(False, False))
            finite = fit.status[0] != "separated"
            done[ids.tobytes()] = (1 - fit.deviance_ratio[0]) * fit.null_deviance if finite else np.inf
        out[k] = done[ids.tobytes()]
    return out


def supports(path: Path) -> sp.csc_array:
    """(p, n_alphas) which features a model uses, in any of its linear predictors."""
    parts = path.coefs if isinstance(path.coefs, list) else [path.coefs]
    return sp.csc_array(sum(abs(part) for part in parts[1:]) + abs(parts[0]) if len(parts) > 1 else abs(parts[0]))


def at_most(path: Path, k: int, X: Any, y: Any, *, sample_weight: Any = None, offset: Any = None) -> Path:
    """`Path.at_most`."""
    if path.has_unlabeled:
        raise ValueError("at_most solves anew, without the rows that had no response: give an alpha of the path")
    same_problem(path, X, y, sample_weight, offset)
    fits = np.flatnonzero(path.n_nonzero <= k)
    if not fits.size:
        raise ValueError(f"no alpha of the path has at most {k} features; the fewest are {path.n_nonzero.min()}")
    best, last = only(path, int(fits[-1])), int(fits[-1])
    low = float(path.alphas[last + 1]) if last + 1 < len(path) else float(path.alphas[last])
    more = {} if not path.grouped or path.family == "multigaussian" else {"group_classes": True}
    while best.alphas[0] - low > 1e-6 * best.alphas[0]:
        inner = fit_path(X, y, alphas=np.linspace(best.alphas[0], low, 18)[1:-1], family=path.family, tol=path.tol,
                         l1_ratio=path.l1_ratio, sample_weight=sample_weight, offset=offset, bounds=path.bounds,
                         fit_intercept=path.fit_intercept, standardize=path.standardize, dropout=path.dropout,
                         penalty_factors=path.penalty_factors, **more)
        fits = np.flatnonzero(inner.n_nonzero <= k)
        last = int(fits[-1]) if fits.size else -1
        low = float(inner.alphas[last + 1]) if last + 1 < len(inner) else low
        best = only(inner, last) if fits.size else best
    return best
