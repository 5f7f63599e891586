"""The rows that a fold holds out, by their moments: those of the training rows are all rows' less these.

For squared error with many rows and few columns. With m and S the mean and centred second moment of all rows, and
T = Σ w (x − m)(x − m)', t = Σ w (x − m), ω = Σ w over the rows held out, the training rows have weight 1 − ω and

    mean  m − t / (1 − ω),      second moment  (S − T) / (1 − ω) − tt' / (1 − ω)²

so that one pass over X serves all folds; what a fold's models lose on the rows held out is a quadratic in T.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.linalg.blas import dsyrk

from .blas import single_threaded
from .folds import Fold
from .gram import alike, pays
from .problem import Measured, Problem, build
from .validation import Float, blocks

LOST = 1e-4  # of a column's variance that the training rows must keep: less, and its digits have gone
BLOCK = 2**19  # entries of X that are sorted at a time
SOME = 64  # rows of each set among them, or so
FINE = 1e-5  # of the response's square that a loss must be, for the same reason


class Sums(NamedTuple):
    """Σ over some rows, with x about the means and e = y − mean: w, w e, w e², w x, w e x, w xx'."""

    weight: float
    e: float
    ee: float
    x: Float
    xe: Float
    xx: Float


class Held:
    """Moments of some rows of a problem that has its Gram, about the means of all."""

    def __init__(self, problem: Problem, rows: NDArray[np.intp], sums: Sums) -> None:
        self.problem, self.rows = problem, rows  # ascending
        self.level = float(problem.w @ problem.y)
        self.weight, self.e, self.ee, self.x, self.xe, self.xx = sums

    def others(self) -> Measured | None:
        """Moments of the training rows; None where too little is left of a column for the difference to tell."""
        problem, W = self.problem, 1 - self.weight
        assert problem.square is not None
        assert problem.pull is not None
        off, below = self.x / W, self.e / W
        square = (problem.square - self.xx) / W - np.outer(off, off)
        var = np.diagonal(square).copy()
        if (var < LOST * problem.var).any():
            return None
        pull = (problem.pull - self.xe) / W - off * below
        return problem.mean - off, var, alike(problem.data.X, square), square, pull

    def losses(self, coefs: sp.csc_array, intercepts: Float) -> Float | None:
        """(k,) mean squared errors on the rows of coefficients (p, k); None where rounding would show."""
        used = np.unique(coefs.indices)
        b, x, xe = coefs.tocsr()[used].toarray(), self.x[used], self.xe[used]
        level = intercepts + self.problem.mean[used] @ b - self.level
        out = self.ee - 2 * xe @ b + np.einsum("jk,jk->k", b, self.xx[np.ix_(used, used)] @ b) \
            + level * (level * self.weight - 2 * (self.e - x @ b))
        return None if not (out > FINE * self.ee).all() else np.asarray(out / self.weight)


def hold_out(problem: Problem, folds: list[Fold], solves: int) -> tuple[Problem, list[Held | None]]:
    """A problem built for no solve as one for so many, and the moments of the rows that each fold leaves out.

    Where its Gram pays, and each row is left out once, the Gram is the sum of what the folds leave out.
    """
    data, w = problem.data, problem.w
    none: list[Held | None] = [None] * len(folds)
    if not (problem.family.quadratic and pays(data.design.n, data.design.p, solves)):
        return problem, none
    left = np.ones((len(folds), len(w)), dtype=bool)
    for out, (train, _) in zip(left, folds, strict=True):
        out[train] = False
    rows = [np.flatnonzero(out) for out in left]
    several = problem.y.ndim > 1
    if sp.issparse(data.X) or not problem.intercept or several or (left.sum(axis=0) > 1).any():
        whole = _rebuilt(problem, solves, None)
        if whole.square is None or not whole.intercept or several:
            return whole, none
        return whole, [Held(whole, some, _sums(whole, some)) for some in rows]
    which = np.full(len(w), len(folds), dtype=np.int16 if len(folds) < 2**15 else np.intp)  # (short ones sort faster)
    for k, some in enumerate(rows):
        which[some] = k
    with single_threaded():
        parts = _tally(problem, which, len(folds) + 1)
    off, pull = np.sum([part.x for part in parts], axis=0), np.sum([part.xe for part in parts], axis=0)
    square = np.sum([part.xx for part in parts], axis=0) - np.outer(off, off)
    var = np.maximum(np.diagonal(square), 0.0)
    whole = _rebuilt(problem, solves, (problem.mean + off, var, alike(data.X, square), square, pull))
    return whole, [Held(whole, some, part) for some, part in zip(rows, parts, strict=False)]


def _rebuilt(problem: Problem, solves: int, measured: Measured | None) -> Problem:
    return build(problem.data, problem.y, problem.w, intercept=problem.intercept, standardize=problem.standardize,
                 penalties=problem.penalties, family=problem.family, offset=problem.offset, classes=problem.classes,
                 trials=problem.trials, n_alphas=solves, measured=measured)


def _sums(problem: Problem, rows: NDArray[np.intp]) -> Sums:
    """Those of one set of rows."""
    if not sp.issparse(problem.data.X):
        which = np.ones(len(problem.w), dtype=np.intp)
        which[rows] = 0
        with single_threaded():
            return _tally(problem, which, 1)[0]
    w, X, m = problem.w[rows], problem.data.X[rows], problem.mean
    e = problem.y[rows] - float(problem.w @ problem.y)
    weight, total = float(w.sum()), float(w @ e)
    first, raw = np.asarray(w @ X), (X.T @ (sp.diags_array(w) @ X)).toarray()
    xx = raw - np.outer(first, m) - np.outer(m, first) + weight * np.outer(m, m)
    return Sums(weight, total, float(w @ (e * e)), first - weight * m, np.asarray((w * e) @ X) - total * m, xx)


def _tally(problem: Problem, which: NDArray[Any], count: int) -> list[Sums]:
    """Those of each set of rows, `which` (n,) saying the number of its set, in one pass over a dense X.

    A block of rows at a time is sorted by set: rows of one set are far apart, and reading them alone would read all.
    """
    X, w, m = problem.data.X, problem.w, problem.mean
    n, p = X.shape
    e = problem.y - float(w @ problem.y)
    by_column, even = not X.flags.c_contiguous, w.min() == w.max()
    unit = float(w[0]) if even else 1.0
    xx = [np.zeros((p, p), order="F") for _ in range(count)]
    first = np.zeros((count, 2, p))
    for rows in blocks(n, max(SOME * count, BLOCK // p)):
        part, at = X[rows.start:rows.stop], which[rows.start:rows.stop]
        order = np.argsort(at, kind="stable")
        ends = np.cumsum(np.bincount(at, minlength=count))[:count]
        Z = np.take(part.T, order, axis=1).T if by_column else np.take(part, order, axis=0)
        Z = Z.astype(np.float64, copy=False)
        Z -= m
        v = w[rows.start:rows.stop][order]
        both = np.stack([v, v * e[rows.start:rows.stop][order]])
        for k, (a, b) in enumerate(zip([0, *ends[:-1]], ends, strict=True)):
            if a == b:
                continue
            first[k] += both[:, a:b] @ Z[a:b]
            if not even:
                Z[a:b] *= np.sqrt(v[a:b])[:, None]
            xx[k] = dsyrk(unit, Z[a:b] if by_column else Z[a:b].T, trans=int(by_column), beta=1.0, c=xx[k],
                          overwrite_c=1)
    out = []
    for k in range(count):
        mine = which == k
        v, u = w[mine], e[mine]
        upper = np.triu(xx[k])
        x, xe = first[k]
        out.append(Sums(float(v.sum()), float(v @ u), float(v @ (u * u)), x, xe, upper + np.triu(upper, 1).T))
    return out
