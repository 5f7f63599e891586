"""Coordinate descent with soft-thresholding:  min_b  ½ Σ w (t − b0 − Xb)² + α Σ pen_j(b_j),  b0 profiled out.

Friedman, Hastie & Tibshirani (2010), J. Stat. Softw. 33(1), with the intercept as one scalar: r drifts from its centred
form by rsum·w, and every correlation takes that off as mean_j·rsum. A sparse column costs its stored entries, never n.
"""
from libc.math cimport fmax

from regfast._design cimport Columns
from regfast._penalty cimport Penalty
from regfast._state cimport residual_t
from regfast._vec cimport dot, line_t, waxpy


cdef void move(residual_t *q, const line_t *x, Py_ssize_t j, double d) noexcept nogil:
    """The residual after b_j += d."""
    waxpy(x, -d, q.w, q.r)
    q.rsum -= d * q.mean[j]


cdef inline double correlation(residual_t *q, const line_t *x, Py_ssize_t j) noexcept nogil:
    """c_j = Σ_i r_i (x_ij − mean_j), r centred"""
    return dot(x, q.r) - q.mean[j] * q.rsum


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


cdef void correlate(residual_t *q, Columns X, const Py_ssize_t *ids, Py_ssize_t m, double *c) noexcept nogil:
    """c_j for every j in `ids`."""
    cdef Py_ssize_t k
    for k in range(m):
        c[ids[k]] = correlation(q, &X.line[X.slot[ids[k]]], ids[k])


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


cdef double energy(residual_t *q) noexcept nogil:
    """Σ w (t − b0 − Xb)², read off the residual; rows of weight zero have none."""
    cdef Py_ssize_t i
    cdef double total = 0, r
    for i in range(q.n):
        if q.w[i] > 0:
            r = q.r[i] - q.rsum * q.w[i]
            total += r * r / q.w[i]
    return total
