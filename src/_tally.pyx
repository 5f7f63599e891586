"""What a squared error needs to know of sets of rows: Σ zz' over each, with z = √w (x − m, e, 1).

A block of rows is packed set by set, less m, and BLAS squares the sets one by one: rows of one set may lie far apart,
and reading them alone would read all.
"""
from libc.stdint cimport int32_t

from scipy.linalg.cython_blas cimport dsyrk

from regfast._design cimport Design

import numpy as np

cdef extern from "Python.h":
    int PyErr_CheckSignals() except -1

cdef enum:
    BLOCK = 262144  # numbers that are packed at a time: 2 MB, or …
    SOME = 64       # … so many rows for each set


def tally(Design X, const double[::1] mean, const double[::1] root, const double[::1] e, const int32_t[::1] which,
          int first, int total, double[:, :, ::1] out, const int32_t[::1] stop=None):
    """out (sets, p + 2, p + 2), below the diagonals, += those sums of the rows with which[i] − first in [0, sets).

    X is dense; root (n,) = √w; `total` sets there are in all: blocks, and so the order of every sum, do not depend on
    how many of them are asked for. Once stop[0] is not 0, KeyboardInterrupt gives it up.
    """
    cdef Py_ssize_t i, j, k, m, a, start, p = X.p, sets = out.shape[0]
    cdef Py_ssize_t size = min(X.n, max(SOME * total, BLOCK // (p + 2)))
    cdef Py_ssize_t[::1] ids = np.empty(size, dtype=np.intp), end = np.empty(sets + 1, dtype=np.intp)
    cdef Py_ssize_t[::1] found = np.empty(size, dtype=np.intp)
    cdef double[::1] weight = np.empty(size), pack = np.empty(size * (p + 2))
    cdef bint by_column
    cdef int width = <int> (p + 2), rows, apart
    cdef double one = 1
    for start in range(0, X.n, size):
        if stop is not None and stop[0]:
            raise KeyboardInterrupt
        PyErr_CheckSignals()
        with nogil:
            end[:], m = 0, 0
            for i in range(start, min(start + size, X.n)):
                if 0 <= which[i] - first < sets:
                    found[m] = i
                    end[which[i] - first + 1] += 1
                    m += 1
            for k in range(1, sets + 1):  # where each set begins …
                end[k] += end[k - 1]
            for k in range(m):
                j = which[found[k]] - first
                ids[end[j]], weight[end[j]] = found[k], root[found[k]]
                end[j] += 1  # … and, once it is filled, ends
            by_column = X.pack(&ids[0], m, &mean[0], &weight[0], &pack[0], size, width)
            for k in range(m):
                a = p * size + k if by_column else k * width + p
                pack[a] = weight[k] * e[ids[k]]
                pack[a + size if by_column else a + 1] = weight[k]
            apart, a = <int> size if by_column else width, 0
            for k in range(sets):
                rows = <int> (end[k] - a)
                if rows:
                    dsyrk(b"U", b"T" if by_column else b"N", &width, &rows, &one,
                          &pack[a if by_column else a * width], &apart, &one, &out[k, 0, 0], &width)
                a = end[k]
