"""What set-up needs of X, in one read where columns are stored and in two where rows are."""
from regfast._design cimport ColumnDesign, Design, RowDesign

import numpy as np

cdef extern from "Python.h":
    int PyErr_CheckSignals() except -1

cdef enum:
    MANY = 8          # vectors that one read of X may serve
    SLICE = 16777216  # entries of X between two looks for Ctrl-C


def products(Design X, const double[:, ::1] v, double[:, ::1] out, const double[::1] shift=None):
    """out (k, p) = v X for a few vectors v (k, n), in one read of X; a dense X is read less `shift` (p,)."""
    cdef const double *from_[MANY]
    cdef double *to[MANY]
    cdef int i, k = v.shape[0]
    if X.p:
        for i in range(k):
            from_[i], to[i] = &v[i, 0], &out[i, 0]
        pass_over(X, k, from_, &shift[0] if shift is not None else NULL, to)


cdef Py_ssize_t slice_of(Design X, Py_ssize_t steps):
    """So many of the steps of a pass hold SLICE entries: somebody looks for Ctrl-C after each slice."""
    return max(1, steps * SLICE // max(X.entries, 1))


cdef pass_over(Design X, int k, const double **v, const double *shift, double **out):
    """X'v_i for k vectors, cut so that Ctrl-C is heard."""
    cdef Py_ssize_t start = 0, stop
    while start < X.steps:
        stop = min(start + slice_of(X, X.steps), X.steps)
        with nogil:
            X.scan(start, stop, k, v, shift, out)
        PyErr_CheckSignals()
        start = stop


def moments(Design X, const double[::1] w, const double[::1] u, double[::1] mean, double[::1] var, double[::1] mark):
    """Fill (p,) mean Σwx, variance Σw(x − mean)² and a mark; w sums to 1.

    Never E[x²] − mean². Equal columns have bit-equal moments and marks; with random u others do not. A constant column
    comes out as zero, however long it is. Columns are read once, rows twice.
    """
    cdef Py_ssize_t j
    if X.p and isinstance(X, ColumnDesign):
        by_columns(X, w, u, mean, var, mark)
    elif X.p:
        by_rows(X, w, u, mean, var, mark)
    for j in range(X.p):
        var[j] = 0 if var[j] < 0 else var[j]


cdef by_columns(ColumnDesign X, const double[::1] w, const double[::1] u, double[::1] mean, double[::1] var,
                double[::1] mark):
    """In one read; `base` is the first row that has weight."""
    cdef Py_ssize_t base = 0, start = 0, stop
    while w[base] == 0:
        base += 1
    while start < X.p:
        stop = min(start + slice_of(X, X.p), X.p)
        with nogil:
            X.gauges(start, stop, base, &w[0], &u[0], &mean[0], &var[0], &mark[0])
        PyErr_CheckSignals()
        start = stop


cdef by_rows(RowDesign X, const double[::1] w, const double[::1] u, double[::1] mean, double[::1] var,
             double[::1] mark):
    """In two; taking off the square of what the mean was wrong by makes constant columns zero."""
    cdef double[::1] first = np.zeros(X.p)
    cdef double[::1] weight = np.zeros(X.p)
    cdef Py_ssize_t j, start = 0, stop
    cdef double rest, off
    cdef const double *v[2]
    cdef double *out[2]
    v[0], v[1], out[0], out[1] = &w[0], &u[0], &mean[0], &mark[0]
    pass_over(X, 2, v, NULL, out)
    var[:] = 0
    while start < X.steps:
        stop = min(start + slice_of(X, X.steps), X.steps)
        with nogil:
            X.spreads(start, stop, &w[0], &mean[0], &first[0], &var[0], &weight[0])
        PyErr_CheckSignals()
        start = stop
    for j in range(X.p):
        rest = 0 if weight[j] > 1 - 1e-12 else 1 - weight[j]  # the rows that a sparse column does not store
        off = first[j] - rest * mean[j]
        var[j] += rest * mean[j] * mean[j] - off * off
        mean[j] += off
