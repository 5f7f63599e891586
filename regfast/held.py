"""The rows that a fold holds out, by their moments: those of the training rows are all rows' less these.

For squared error with many rows and few columns. With m and S the mean and centred second moment of all rows, and
T = Σ w (x − m)(x − m)', t = Σ w (x − m), ω = Σ w over the rows held out, the training rows have weight 1 − ω and

    mean  m − t / (1 − ω),      second moment  (S − T) / (1 − ω) − tt' / (1 − ω)²

so that one pass over X serves all folds; what a fold's models lose on the rows held out is a quadratic in T.
"""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from ._tally import tally
from .blas import single_threaded
from .folds import Fold
from .gram import Sums, alike, pays, sums
from .problem import Measured, Problem, build
from .threads import side_by_side
from .validation import Float

LOST = 1e-4  # of a column's variance that the training rows must keep: less, and its digits have gone
FINE = 1e-5  # of the response's square that a loss must be, for the same reason


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


def hold_out(problem: Problem, folds: list[Fold], solves: int, workers: int) -> tuple[Problem, list[Held | None]]:
    """A problem built for no solve as one for so many, and the moments of the rows that each fold leaves out.

    Where its Gram pays, and each row is left out once, the Gram is the sum of what the folds leave out. Folds so many
    that their moments would outgrow X are None: each will read its rows.
    """
    data, w = problem.data, problem.w
    none: list[Held | None] = [None] * len(folds)
    if not (problem.family.quadratic and pays(data.design.n, data.design.p, solves)):
        return problem, none
    if len(folds) * data.design.p > data.design.n:
        return _rebuilt(problem, solves, None), none
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
    which = np.full(len(w), len(folds))
    for k, some in enumerate(rows):
        which[some] = k
    parts = _tally(problem, which, len(folds) + 1, workers)
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
        which = np.ones(len(problem.w))
        which[rows] = 0
        return _tally(problem, which, 1, 1)[0]
    w, X, m = problem.w[rows], problem.data.X[rows], problem.mean
    e = problem.y[rows] - float(problem.w @ problem.y)
    weight, total = float(w.sum()), float(w @ e)
    first, raw = np.asarray(w @ X), (X.T @ (sp.diags_array(w) @ X)).toarray()
    xx = raw - np.outer(first, m) - np.outer(m, first) + weight * np.outer(m, m)
    return Sums(weight, total, float(w @ (e * e)), first - weight * m, np.asarray((w * e) @ X) - total * m, xx)


def _tally(problem: Problem, which: NDArray[Any], count: int, workers: int) -> list[Sums]:
    """Those of each set of rows, `which` (n,) saying the number of its set, in one pass over a dense X.

    Threads share out the sets: each sees all of X, at the same time as the others and so out of their shared cache.
    """
    p, stop, which = problem.data.design.p, np.zeros(1, dtype=np.int32), which.astype(np.int32)
    e, root = problem.y - float(problem.w @ problem.y), np.sqrt(problem.w)
    out = np.zeros((count, p + 2, p + 2))

    def some(first: int, end: int) -> None:
        tally(problem.data.design, problem.mean, root, e, which, first, count, out[first:end], stop)

    bounds = np.linspace(0, count, min(workers, count) + 1).astype(int)
    with single_threaded():
        side_by_side([partial(some, *pair) for pair in pairwise(bounds)], workers, stop)
    return [sums(square) for square in out]
