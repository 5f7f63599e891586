"""Equal columns: which is the first of each group, and where it can stand for all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .validation import Float, blocks

if TYPE_CHECKING:
    from .problem import Penalties

CHUNK = 8192
"""Columns handled at a time where temporaries of p numbers would be the largest thing in memory."""


def twins(mean: Float, var: Float, mark: Float) -> NDArray[Any]:
    """(p,) the lowest index of a column equal to this one: equal columns have bit-equal moments and random marks."""
    p = len(mark)
    dtype = np.int32 if p < 2**31 else np.intp
    ascending = np.sort(mark)
    if (ascending[1:] > ascending[:-1]).all():
        return np.arange(p, dtype=dtype)
    del ascending
    order = np.argsort(mark, kind="stable").astype(dtype)
    first = np.ones(p, dtype=bool)
    for rows in blocks(p - 1, CHUNK):
        o = order[rows.start:rows.stop + 1]
        first[rows.start + 1:rows.stop + 1] = ~np.logical_and.reduce(
            [x[o[1:]] == x[o[:-1]] for x in (mark, mean, var)])
    starts = order[first]
    out = np.empty_like(order)
    for rows, before in ((r, np.count_nonzero(first[:r.start])) for r in blocks(p, CHUNK)):
        out[order[rows]] = starts[np.cumsum(first[rows]) + before - 1]
    return out


def exclude_twins(twin_of: NDArray[Any], l1: Float, l2: Float, penalties: Penalties) -> None:
    """l1 = ∞ for columns that an equal one before them can replace at no cost: the first of them enters, alone.

    Not with a quadratic part (equal columns then share), nor where a finite bound could fill the first one up.
    """
    lo, hi, v = penalties.lo, penalties.hi, penalties.factors
    for rows in blocks(len(twin_of), CHUNK):
        j = rows.start + np.flatnonzero(twin_of[rows] != np.arange(rows.start, rows.stop))
        if j.size:
            i = twin_of[j]
            alike = (l1[j] == l1[i]) & (l2[j] == 0) & (l2[i] == 0) & (lo[j] == lo[i]) & (hi[j] == hi[i])
            roomy = (np.isinf(lo[i]) | (lo[i] == 0)) & (np.isinf(hi[i]) | (hi[i] == 0))
            l1[j[alike & roomy & (v[j] > 0)]] = np.inf
