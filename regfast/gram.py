"""Cross products of all columns, where there are few of them and many rows: then X is read once and never again.

X'WX costs n p² flops at the speed of BLAS 3, which is that of p/64 reads of X or so; an α on a path costs about a fifth
of one read and what its active columns' own products cost.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.linalg.blas import dsyrk

from ._tally import tally
from .validation import Data, Float, blocks

Stop = NDArray[np.int32] | None

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


class Sums(NamedTuple):
    """Σ over some rows, with x about means and e about a level: w, w e, w e², w x, w x e, w xx'."""

    weight: float
    e: float
    ee: float
    x: Float
    xe: Float
    xx: Float


def sums(square: Float) -> Sums:
    """Σ zz' below its diagonal, z = √w (x, e, 1), by name."""
    p = len(square) - 2
    xx = np.tril(square[:p, :p])
    e, one = square[p], square[p + 1]
    return Sums(float(one[-1]), float(one[p]), float(e[p]), one[:p], e[:p], xx + np.tril(xx, -1).T)


def centred_gram(data: Data, w: Float, mean: Float, e: Float, pull: Float,
                 centred: bool, stop: Stop = None) -> tuple[Float, Float, Float] | None:
    """(p,) means, (p, p) X̃'WX̃, (p,) X'We; None for sparse data that it would not pay for or not be exact for.

    `mean` (p,) may be off by its rounding, pull (p,) is X'We; `centred`: Σ w e is 0, but for its rounding.
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
        out = product(X, n, stop) - np.outer(mean, mean)
        near = bool((mean**2 <= NEAR**2 * np.diagonal(out)).all())
    if not near:
        found = np.zeros((1, len(mean) + 2, len(mean) + 2))
        tally(data.design, mean, np.sqrt(w), e, np.zeros(n, dtype=np.int32), 0, 1, found, stop)
        about = sums(found[0])
        pull = about.xe if centred else about.xe + mean * about.e
        out, mean = about.xx - np.outer(about.x, about.x), mean + about.x
    return mean, out, pull


def pieces(n: int, size: int, stop: Stop) -> Iterator[slice]:
    """Blocks of rows, between which somebody looks at `stop`."""
    for rows in blocks(n, size):
        if stop is not None and stop[0]:
            raise KeyboardInterrupt
        yield rows


def product(X: Float, n: int, stop: Stop) -> Float:
    """X'X/n, from X as it lies, in row blocks short enough to hear Ctrl-C between them."""
    out = np.zeros((X.shape[1],) * 2, order="F")
    by_column = not X.flags.c_contiguous
    for rows in pieces(n, max(1, 2**33 // X.shape[1] ** 2), stop):
        part = X[rows.start:rows.stop]
        out = dsyrk(1 / n, part if by_column else part.T, trans=int(by_column), beta=1.0, c=out, overwrite_c=1)
    above = np.triu(out)
    return np.asarray(above + np.triu(out, 1).T)


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
