"""Cross products of all columns, where there are few of them and many rows: then X is read once and never again.

X'WX costs n p² flops at the speed of BLAS 3, which is that of p/64 reads of X or so; an α on a path costs about a fifth
of one read and what its active columns' own products cost.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.linalg.blas import dsyrk

from .validation import Data, Float, blocks

Stop = NDArray[np.int32] | None

TILE = 65536
"""Entries of X that are centred and multiplied at a time: they stay in the second cache."""

SMALL = 65536
"""Entries of X below which condensing costs more than it spares."""

NEAR = 10.0
"""|mean|/sd up to which the Gram may be centred afterwards: two digits of sixteen are lost at most."""

SAMPLE = 200
"""Rows that tell how far means are from zero, before all are read."""

ALIKE = 1e-12
"""Relative distance below which two columns are compared entry by entry."""


def pays(n: int, p: int, n_alphas: int) -> bool:
    """Whether the products of p columns cost less than the reads of X that they spare, for so many solves."""
    return n >= 2 * p > 0 and n * p >= SMALL and n_alphas > 0 and p <= 64 + 10 * n_alphas


def centred_gram(data: Data, w: Float, mean: Float, target: Float, pull: Float,
                 centred: bool, stop: Stop = None) -> tuple[Float, Float, Float] | None:
    """(p,) means, (p, p) X̃'WX̃, (p,) X'target; None for sparse data that it would not pay for or not be exact for.

    `mean` (p,) may be off by its rounding, pull (p,) is X'target; `centred`: target sums to 0, but for its rounding.
    Constant columns come out as zero (see `_moments`). Given up with KeyboardInterrupt once `stop[0]` is not 0.
    """
    if sp.issparse(data.X):
        square = sparse_gram(data.X, w, mean, stop)
        return None if square is None else (mean, square, pull)
    X, n = data.X, len(w)
    some = np.asarray(X[:: max(1, n // SAMPLE)], dtype=np.float64)
    near = X.dtype == np.float64 and w.min() == w.max() and bool(
        (np.abs(some.mean(0)) <= 0.5 * NEAR * some.std(0)).all())
    if near:
        out = upper(X, n, stop) - np.outer(mean, mean)
        near = bool((mean**2 <= NEAR**2 * np.diagonal(out)).all())
    if not near:
        out, off, pull = tiles(X, w, mean, target, stop)
        if not centred:
            pull = pull + mean * target.sum()
        out, mean = out - np.outer(off, off), mean + off
    out = np.triu(out)
    return mean, np.asarray(out + np.triu(out, 1).T), pull


def pieces(n: int, size: int, stop: Stop) -> Iterator[slice]:
    """Blocks of rows, between which somebody looks at `stop`."""
    for rows in blocks(n, size):
        if stop is not None and stop[0]:
            raise KeyboardInterrupt
        yield rows


def upper(X: Float, n: int, stop: Stop) -> Float:
    """X'X/n above the diagonal, from X as it lies, in row blocks short enough to hear Ctrl-C between them."""
    out = np.zeros((X.shape[1],) * 2, order="F")
    by_column = not X.flags.c_contiguous
    for rows in pieces(n, max(1, 2**33 // X.shape[1] ** 2), stop):
        part = X[rows.start:rows.stop]
        out = dsyrk(1 / n, part if by_column else part.T, trans=int(by_column), beta=1.0, c=out, overwrite_c=1)
    return np.asarray(out)


def tiles(X: NDArray[Any], w: Float, mean: Float, target: Float, stop: Stop) -> tuple[Float, Float, Float]:
    """The same of centred, weighted copies of a few rows at a time; what is left of the means; X̃'target."""
    p = X.shape[1]
    off, pull = np.zeros(p), np.zeros(p)
    by_column = not X.flags.c_contiguous
    out = np.zeros((p, p), order="F")
    root = np.sqrt(w)[:, None]
    for rows in pieces(len(w), max(16, TILE // p), stop):
        tile = np.empty((rows.stop - rows.start, p), order="F" if by_column else "C")
        np.subtract(X[rows.start:rows.stop], mean, out=tile)
        off += w[rows.start:rows.stop] @ tile
        pull += target[rows.start:rows.stop] @ tile
        tile *= root[rows.start:rows.stop]
        out = dsyrk(1.0, tile if by_column else tile.T, trans=int(by_column), beta=1.0, c=out, overwrite_c=1)
    return np.asarray(out), off, pull


def sparse_gram(X: Any, w: Float, mean: Float, stop: Stop) -> Float | None:
    """The same from the rows of a CSR matrix: Σ_i nnz_i² products, centred afterwards."""
    n, p = X.shape
    counts = np.diff(X.indptr).astype(np.float64)
    if X.format != "csr" or counts @ counts > n * p * p / 50:
        return None
    out = np.zeros((p, p))
    for rows in pieces(n, max(1, 2**20 * n // max(X.nnz, 1)), stop):
        part = X[rows.start:rows.stop]
        out += (part.T @ (sp.diags_array(w[rows.start:rows.stop]) @ part)).toarray()
    out -= np.outer(mean, mean)
    return None if (mean**2 > NEAR**2 * np.diagonal(out)).any() else out


def alike(X: Any, G: Float) -> NDArray[Any]:
    """(p,) the lowest index of a column equal to this one: the Gram says which pairs to compare."""
    out = np.arange(len(G))
    size = np.diagonal(G)
    close = (np.abs(G - size) <= ALIKE * size) & (size > 0)
    for j, k in np.argwhere(np.triu(close & close.T, 1)):
        if out[j] == j and out[k] == k:
            pair = X[:, [j, k]]
            a, b = (pair.toarray() if sp.issparse(pair) else pair).T
            if np.array_equal(a, b):
                out[k] = j
    return out
