"""Ridge in standard form: min ½‖y − Aβ‖² + ½ α‖β‖², A = P W^½ X D, never made.

D takes the penalty's weights into the columns (b = Dβ), W^½ the rows' weights into the rows, and P takes out what is
not penalised, the intercept and free columns: P = I − QQ', Q an orthonormal basis of their weighted values. A long by
short matrix L, which is A or A', is what there is to factorise: its Gram L'L has min(n, p) rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.linalg.blas import dgemm, dsyrk

from .gram import pieces, sparse_gram
from .problem import Problem, block_root, columns
from .validation import Float

TILE = 2**18
"""Entries of X that are centred at a time: few enough to stay in the caches."""

SPAN = 2**31
"""Multiplications of BLAS between two looks for Ctrl-C; those of sparse entries count 16 times."""

LARGE = 2**23
"""Entries of X that are multiplied at a time where they need no centring."""

Stop = NDArray[np.int32] | None


class StandardForm:
    """A (n, p) as products, tiles and a Gram; `stop[0] != 0` gives any of them up with KeyboardInterrupt."""

    def __init__(self, problem: Problem, stop: Stop = None) -> None:
        self.problem, self.stop = problem, stop
        self.X = problem.data.X
        self.n, self.p = self.X.shape
        self.wide = self.n <= self.p
        self.root_w = np.sqrt(problem.w)
        live = np.isfinite(problem.l1) & (problem.l2 > 0)
        longest = float((problem.curvature[live] / problem.l2[live]).max(initial=0.0))
        self.unit = 2.0 ** np.round(np.log2(longest)) if longest > 0 else 1.0  # no column of A is much longer than 1
        self.scale = np.zeros(self.p)
        self.scale[live] = 1 / np.sqrt(problem.l2[live] * self.unit)
        self.block_root = block_root(problem)
        parts = [self.root_w[:, None]] if problem.intercept else []
        if problem.block.size:
            parts.append(columns(problem, problem.block) * self.root_w[:, None] @ self.block_root.T)
        self.Q = np.hstack([np.empty((self.n, 0)), *parts])
        self.reads = 0.0
        self.blur = 0.0  # what the Gram was centred by afterwards: its rounding is that of a matrix so much larger

    @property
    def short(self) -> int:
        return int(min(self.n, self.p))

    @property
    def entries(self) -> int:
        """Entries of X."""
        return int(self.problem.data.design.entries)

    def strengths(self, alphas: Float) -> Float:
        """What α comes to for A."""
        return alphas / self.unit

    def project(self, R: Float) -> Float:
        """R (n, k) without what the intercept and free columns explain; in place."""
        R -= self.Q @ (self.Q.T @ R)
        return R

    def response(self, Y: Float) -> Float:
        """(n, k) P W^½ Y; twice, for the sake of responses far from zero."""
        level = self.problem.w @ Y if self.problem.intercept else 0.0
        return self.project(self.project(self.root_w[:, None] * (Y - level)))

    def parts(self) -> Iterator[tuple[slice, Any]]:
        """X about its means, in blocks of rows (of columns where it is wide).

        As it is where `project` alone centres it without loss; a sparse X whole besides.
        """
        if sp.issparse(self.X):
            yield slice(None), self.X
            return
        for at in self.steps(max(self.n, self.p), LARGE if self.near else TILE):
            part = self.X[:, at] if self.wide else self.X[at]
            mean = self.problem.mean[at] if self.wide else self.problem.mean
            yield at, part if self.near else np.subtract(part, mean, dtype=np.float64)

    def products(self, k: int) -> Iterator[tuple[slice, Any, slice]]:
        """The parts with blocks of k columns to multiply: Ctrl-C and `stop` are heard between any two."""
        for at, part in self.parts():
            entries = 16 * part.nnz if sp.issparse(part) else part.size
            for cols in pieces(k, max(1, SPAN // max(entries, 1)), self.stop):
                yield at, part, cols

    @cached_property
    def near(self) -> bool:
        """Whether means are so small that they take no digits from the largest singular value."""
        weights = self.scale**2
        size = float(self.problem.var @ weights) / max(self.short, 1)  # (no more than its square)
        return self.X.dtype == np.float64 and float(self.problem.mean**2 @ weights) <= 4 * size

    def steps(self, count: int, size: int = TILE) -> Iterator[slice]:
        """Slices of `count` lines of L, about `size` entries each."""
        return pieces(count, max(128, size // max(self.short, 1)), self.stop)

    def times(self, B: Float) -> Float:
        """(n, k) AB."""
        self.reads += 1
        C = self.scale[:, None] * B
        out = np.zeros((self.n, B.shape[1]))
        for at, part, cols in self.products(B.shape[1]):
            if self.wide:
                out[:, cols] += part @ C[at, cols]
            else:
                out[at, cols] = part @ C[:, cols]
        out *= self.root_w[:, None]
        return self.project(out)

    def adjoint(self, R: Float) -> Float:
        """(p, k) A'R."""
        self.reads += 1
        weighted = self.root_w[:, None] * self.project(R.copy())
        out = np.zeros((self.p, R.shape[1]))
        for at, part, cols in self.products(R.shape[1]):
            if self.wide:  # (this way round BLAS reads the rows of X along)
                out[at, cols] = (weighted[:, cols].T @ part).T
            else:
                out[:, cols] += part.T @ weighted[at, cols]
        out *= self.scale[:, None]
        return out

    def tiles(self) -> Iterator[tuple[slice, Float]]:
        """L, some of its rows at a time, dense; where no free columns are, for A is centred then."""
        self.reads += 1
        even = bool(self.root_w.min() == self.root_w.max())
        for at in self.steps(max(self.n, self.p)):
            part = self.X[:, at] if self.wide else self.X[at]
            rows, cols = (slice(None), at) if self.wide else (at, slice(None))
            factor = self.scale[cols] * (self.root_w[0] if even else 1.0)
            if self.wide and not sp.issparse(part) and self.near:  # (`project_both` centres their Gram)
                tile = part * factor
            else:
                tile = np.subtract(part.toarray() if sp.issparse(part) else part, self.problem.mean[cols],
                                   dtype=np.float64)
                tile *= factor
            if not even:
                tile *= self.root_w[rows, None]
            if self.free_part.size:
                tile -= self.free_basis[rows] @ self.free_part[:, cols]
            yield at, tile.T if self.wide else tile

    @property
    def free_basis(self) -> Float:
        """(n, rank) the part of Q that free columns have."""
        return self.Q[:, int(self.problem.intercept):]

    @cached_property
    def free_part(self) -> Float:
        """(rank, p) Q'W^½XD, X centred, Q of the free columns."""
        out = np.zeros((self.free_basis.shape[1], self.p))
        if out.size:
            weighted = self.root_w[:, None] * self.free_basis
            for at, part in self.parts():
                if self.wide:
                    out[:, at] = (part.T @ weighted).T
                else:
                    out += (part.T @ weighted[at]).T
            out *= self.scale
        return out

    def gram(self) -> Float:
        """(short, short) L'L."""
        self.blur = float(self.scale @ (self.problem.mean**2 * self.scale))
        square = self.problem.square
        if square is None and sp.issparse(self.X):
            self.reads += 1
            if self.wide:
                return self.sparse_kernel()
            if self.X.format == "csr":
                square = sparse_gram(self.X, self.problem.w, self.problem.mean, self.stop)
        if square is not None and not self.wide:
            return np.asarray(square * self.scale * self.scale[:, None] - self.free_part.T @ self.free_part)
        self.blur = 0.0
        if sp.issparse(self.X):
            return self.gram_by_products()
        out = np.zeros((self.short, self.short), order="F")
        for _, tile in self.tiles():
            by_row = tile.flags.c_contiguous
            out = dsyrk(1.0, tile.T if by_row else tile, trans=int(not by_row), beta=1.0, c=out, overwrite_c=1)
        out = np.triu(out)
        out += np.triu(out, 1).T
        return self.project_both(out) if self.wide else np.asarray(out)

    def gram_by_products(self) -> Float:
        """A'A of a tall sparse X that is dense by its rows, stored by columns or far from zero."""
        out = np.empty((self.p, self.p))
        for at in pieces(self.p, max(16, LARGE // self.n), self.stop):
            unit = np.zeros((self.p, at.stop - at.start))
            unit[at] = np.eye(at.stop - at.start)
            out[:, at] = self.adjoint(self.times(unit))
        return np.asarray((out + out.T) / 2)

    def sparse_kernel(self) -> Float:
        """AA' of a wide sparse X, block of rows by block of rows; centred afterwards."""
        out = np.empty((self.n, self.n), order="F")
        square = sp.diags_array(self.scale**2)
        for rows in pieces(self.n, max(1, 2**20 * self.n // max(self.X.nnz, 1), self.n // 16), self.stop):
            out[:, rows] = (self.X @ (square @ self.X[rows].T)).toarray()
        out *= self.root_w
        out *= self.root_w[:, None]
        return self.project_both(out)

    def project_both(self, S: Float) -> Float:
        """PSP of a symmetric S (n, n) in Fortran order; in place."""
        if not self.Q.size:
            return S
        U = S @ self.Q
        left = np.hstack([self.Q, U - self.Q @ (self.Q.T @ U)])
        return np.asarray(dgemm(-1.0, left, np.hstack([U, self.Q]), trans_b=1, beta=1.0, c=S, overwrite_c=1))

    def coefficients(self, beta: Float, Y: Float) -> tuple[Float, Float]:
        """Coefficients (p, k) and intercepts (k,) on the scale of the data, of β (p, k) and responses Y (n, k or 1)."""
        coef = self.scale[:, None] * beta
        block, w = self.problem.block, self.problem.w
        if block.size:
            missed = self.free_basis.T @ (self.root_w[:, None] * Y) - self.free_part @ beta
            coef[block] = self.block_root.T @ missed
        level = w @ Y - self.problem.mean @ coef if self.problem.intercept else np.zeros(coef.shape[1])
        return coef, np.asarray(level)
