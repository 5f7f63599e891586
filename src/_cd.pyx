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


cdef void settle(residual_t *q, Columns X, const Py_ssize_t *ids, Py_ssize_t m, const double *root, Py_ssize_t rank,
                 double *step) noexcept nogil:
    """Exact minimisation over the block of free columns: b_F += root' root c_F, twice against rounding.

    root (rank, m), root' root = (X_F' W X_F)⁺, is applied as two factors: the product itself would drown the strong
    directions in the rounding of the weak ones. `step` is scratch of m + rank. Leaves r orthogonal to the block.
    """
    cdef Py_ssize_t i, k
    cdef double d
    cdef double *inner = step + m
    for _ in range(2):
        for k in range(m):
            step[k] = correlation(q, &X.line[X.slot[ids[k]]], ids[k])
        for i in range(rank):
            inner[i] = 0
            for k in range(m):
                inner[i] += root[i * m + k] * step[k]
        for k in range(m):
            d = 0
            for i in range(rank):
                d += root[i * m + k] * inner[i]
            q.b[ids[k]] += d
            move(q, &X.line[X.slot[ids[k]]], ids[k], d)
