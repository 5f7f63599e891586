"""Coordinate descent with soft-thresholding:  min_b  ½ Σ w (t − b0 − Xb)² + α Σ pen_j(b_j),  b0 profiled out.

Friedman, Hastie & Tibshirani (2010), J. Stat. Softw. 33(1), with the intercept as one scalar: r drifts from its centred
form by rsum·w, and every correlation takes that off as mean_j·rsum. A sparse column costs its stored entries, never n.
"""
from libc.math cimport fmax

from regfast._design cimport Columns
from regfast._penalty cimport Penalty
from regfast._residual cimport correlation, move
from regfast._state cimport residual_t
from regfast._vec cimport line_t


cdef double sweep(residual_t *q, Columns X, Penalty pen, double alpha, const Py_ssize_t *ids,
                  Py_ssize_t m) noexcept nogil:
    """One exact update of every coordinate in `ids`; returns the largest h_j (Δb_j)², scale-free in X."""
    cdef Py_ssize_t k, j
    cdef double old, worst = 0
    cdef const line_t *x
    for k in range(m):
        j = ids[k]
        x = &X.line[X.slot[j]]
        old = q.b[j]
        q.b[j] = pen.prox(alpha, q.h[j] * old + correlation(q, x, j), q.h[j], j)
        if q.b[j] != old:
            move(q, x, j, q.b[j] - old)
            worst = fmax(worst, q.h[j] * (q.b[j] - old) * (q.b[j] - old))
    return worst


cdef void settle(residual_t *q, Columns X, const Py_ssize_t *ids, Py_ssize_t m, const double *inverse,
                 double *step) noexcept nogil:
    """Exact minimisation over the block of free columns: b_F += (X_F' W X_F)⁺ c_F, twice against rounding.

    `inverse` is that (m, m) pseudo-inverse, `step` is scratch of m. Leaves r orthogonal to the block.
    """
    cdef Py_ssize_t i, k
    cdef double d
    for _ in range(2):
        for k in range(m):
            step[k] = correlation(q, &X.line[X.slot[ids[k]]], ids[k])
        for i in range(m):
            d = 0
            for k in range(m):
                d += inverse[i * m + k] * step[k]
            q.b[ids[i]] += d
            move(q, &X.line[X.slot[ids[i]]], ids[i], d)
