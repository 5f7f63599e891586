"""What set-up needs of X, in one read where columns are stored and in two where rows are."""
from regfast._design cimport Design

import numpy as np

cdef extern from "Python.h":
    int PyErr_CheckSignals() except -1

cdef enum:
    MANY = 8  # vectors that one read of X may serve


def products(Design X, const double[:, ::1] v, double[:, ::1] out, const double[::1] shift=None):
    """out (k, p) = v X for a few vectors v (k, n), in one read of X; a dense X is read less `shift` (p,)."""
    cdef const double *from_[MANY]
    cdef double *to[MANY]
    cdef Py_ssize_t start = 0, stop
    cdef int i, k = v.shape[0]
    cdef const double *off = &shift[0] if shift is not None and X.p else NULL
    if X.p == 0:
        return
    for i in range(k):
        from_[i], to[i] = &v[i, 0], &out[i, 0]
    while start < X.steps:
        stop = min(start + max(1, X.steps * 2 ** 24 // max(X.entries, 1)), X.steps)
        with nogil:
            X.scan(start, stop, k, from_, off, to)
        PyErr_CheckSignals()
        start = stop


def moments(Design X, const double[::1] w, const double[::1] u, double[::1] mean, double[::1] var, double[::1] mark):
    """Fill (p,) mean Σwx, variance Σw(x − mean)² and mark Σux; w sums to 1.

    Never E[x²] − mean². Equal columns have bit-equal moments and marks; with random u others do not.
    Taking off the square of what the mean was wrong by makes a constant column come out as zero, however long it is.
    Columns are read once, while they are in cache; rows twice.
    """
    cdef double[::1] first = np.zeros(X.p)
    cdef double[::1] weight = np.zeros(X.p)
    cdef Py_ssize_t j, start, stop, slice = max(1, X.steps * (2 ** 24 if X.sweeps else 2 ** 15) // max(X.entries, 1))
    cdef int second
    cdef double rest, off, square
    cdef const double *v[2]
    cdef double *out[2]
    if X.p == 0:
        return
    v[0], v[1], out[0], out[1] = &w[0], &u[0], &mean[0], &mark[0]
    var[:] = 0
    for second in range(1 + X.sweeps):
        start = 0
        while start < X.steps:
            stop = min(start + slice, X.steps)
            with nogil:
                if second == 0:
                    X.scan(start, stop, 2, v, NULL, out)
                if second == X.sweeps:
                    X.spreads(start, stop, &w[0], &mean[0], &first[0], &var[0], &weight[0])
            PyErr_CheckSignals()
            start = stop
    for j in range(X.p):
        rest = 0 if weight[j] > 1 - 1e-12 else 1 - weight[j]  # the rows that a sparse column does not store
        off = first[j] - rest * mean[j]
        square = var[j] + rest * mean[j] * mean[j] - off * off
        mean[j] += off
        var[j] = 0 if square < 0 else square
