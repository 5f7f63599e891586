"""The rows that a fold holds out, by their moments: those of the training rows are all rows' less these.

For squared error with many rows and few columns. With m and S the mean and centred second moment of all rows, and
T = Σ w (x − m)(x − m)', t = Σ w (x − m), ω = Σ w over the rows held out, the training rows have weight 1 − ω and

    mean  m − t / (1 − ω),      second moment  (S − T) / (1 − ω) − tt' / (1 − ω)²

so that one pass over X serves all folds; what a fold's models lose on the rows held out is a quadratic in T.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.linalg.blas import dsyrk

from .blas import single_threaded
from .folds import Fold
from .gram import alike
from .problem import Measured, Problem
from .validation import Float

LOST = 1e-4  # of a column's variance that the training rows must keep: less, and its digits have gone
FINE = 1e-5  # of the response's square that a loss must be, for the same reason


class Held:
    """Moments of some rows of a problem that has its Gram, about the means of all."""

    def __init__(self, problem: Problem, rows: NDArray[np.intp]) -> None:
        self.problem, self.rows = problem, rows  # ascending
        w, X, m = problem.w[rows], problem.data.X[rows], problem.mean
        self.level = float(problem.w @ problem.y)
        e = problem.y[rows] - self.level
        self.weight, self.e, self.ee = float(w.sum()), float(w @ e), float(w @ (e * e))
        if sp.issparse(X):
            first, raw = np.asarray(w @ X), (X.T @ (sp.diags_array(w) @ X)).toarray()
            self.x, self.xe = first - self.weight * m, np.asarray((w * e) @ X) - self.e * m
            self.xx = raw - np.outer(first, m) - np.outer(m, first) + self.weight * np.outer(m, m)
            return
        Z = X.astype(np.float64, copy=False)  # (row numbers have made a copy)
        Z -= m
        self.x, self.xe = w @ Z, (w * e) @ Z
        Z *= np.sqrt(w)[:, None]
        with single_threaded():
            upper = np.triu(dsyrk(1.0, Z.T) if Z.flags.c_contiguous else dsyrk(1.0, Z, trans=1))
        self.xx = upper + np.triu(upper, 1).T

    @staticmethod
    def serves(problem: Problem) -> bool:
        """Whether a problem has what this needs."""
        return problem.square is not None and problem.intercept and problem.family.quadratic

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


def hold_out(problem: Problem, folds: list[Fold]) -> list[Held | None]:
    """The moments of the rows that each fold leaves out of its training, where a Gram of all rows is at hand."""
    if not Held.serves(problem):
        return [None] * len(folds)
    out = np.ones((len(folds), len(problem.w)), dtype=bool)
    for left, (train, _) in zip(out, folds, strict=True):
        left[train] = False
    return [Held(problem, np.flatnonzero(left)) for left in out]
