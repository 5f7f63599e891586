"""Seeded problems of any size: correlated dense columns, and sparse ones as in text."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

Float = NDArray[np.float64]
RHO = 0.5
"""Correlation of neighbouring dense columns."""


def dense(n: int, p: int, order: str = "F", *, seed: int = 0) -> tuple[Float, Float]:
    """(n, p) standard normal columns with corr(x_i, x_j) = RHO^|i − j| (an AR(1) process), and a response."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((p, n)).T
    for j in range(1, p):
        X[:, j] = RHO * X[:, j - 1] + np.sqrt(1 - RHO**2) * X[:, j]
    X = np.asarray(X, order=order)
    return X, response(X, rng)


def text(n: int, p: int, nnz: int, *, seed: int = 0) -> tuple[sp.csr_array, Float]:
    """(n, p) CSR with exactly `nnz` ones, and a response.

    The r-th column is stored in about C/r rows (Zipf's law), at least one and at most half of them; the rows are drawn
    without replacement. So many columns have one entry that most of these have identical twins, as rare words do.
    """
    rng = np.random.default_rng(seed)
    sizes = zipf(n, p, nnz)
    rows = np.concatenate([rng.choice(n, size, replace=False, shuffle=False) for size in sizes])
    columns = np.repeat(rng.permutation(p), sizes)  # the order of columns says nothing about their size
    X = sp.csr_array((np.ones(nnz), (rows.astype(np.int32), columns.astype(np.int32))), shape=(n, p))
    return X, response(X, rng)


def zipf(n: int, p: int, nnz: int) -> NDArray[np.int64]:
    """(p,) whole numbers that sum to `nnz` and fall as 1/rank, within [1, n // 2]."""
    if not p <= nnz <= p * (n // 2):
        raise ValueError(f"nnz must be in [p, p·n/2] = [{p}, {p * (n // 2)}]; got {nnz}")
    low, high = 1.0, float(p * n)
    while high / low > 1 + 1e-12:
        middle = np.sqrt(low * high)
        sizes = np.clip((middle / np.arange(1, p + 1)).astype(np.int64), 1, n // 2)
        low, high = (middle, high) if sizes.sum() <= nnz else (low, middle)
    sizes = np.clip((low / np.arange(1, p + 1)).astype(np.int64), 1, n // 2)
    short = np.flatnonzero(sizes < n // 2)[: nnz - sizes.sum()]  # rounding down left a few over
    sizes[short] += 1
    return sizes


def response(X: Any, rng: np.random.Generator) -> Float:
    """(n,) a linear response to at most 50 columns, large and small; the noise has half its standard deviation."""
    n, p = X.shape
    order = np.argsort(-np.asarray(abs(X).sum(axis=0)).ravel(), kind="stable")
    chosen = order[np.unique(np.geomspace(1, p, min(50, p // 5 + 1)).astype(int) - 1)]
    signal = np.asarray(X[:, chosen] @ rng.choice([-1.0, 1.0], chosen.size))
    return 3 + signal + 0.5 * max(signal.std(), 1e-3) * rng.standard_normal(n)


def problem(name: str) -> tuple[Any, Float]:
    """The problem of a name such as "1000x1000 F" or "5000x20000 CSR"; CSR stores 10 entries a column on average."""
    size, storage = name.split()
    n, p = map(int, size.split("x"))
    return text(n, p, 10 * p) if storage == "CSR" else dense(n, p, storage)
