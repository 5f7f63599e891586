"""The duality gap.

Dual points of the elastic net: the residual itself, whose
conjugate is finite where there is a quadratic part, and the residual of the augmented rows (the quadratic part joined
to the loss) scaled until it is feasible; the better one counts.
"""
from libc.math cimport fmax, fmin, sqrt

from regfast._loss cimport Loss
from regfast._penalty cimport Penalty
from regfast._state cimport measure_t, residual_t


cdef double gap_at(Penalty pen, double alpha, double s, double loss, const Py_ssize_t *ids, Py_ssize_t m,
                   const double *b, const double *c) noexcept nogil:
    """P(b) − D(s·r) as a sum of non-negative Fenchel–Young terms, so that nothing cancels (docs/objective.md)."""
    cdef Py_ssize_t k, j
    cdef double total = loss
    for k in range(m):
        j = at(ids, k)
        total += pen.young(alpha, b[j], s * c[j], j)
    return total


cdef double limit_joined(Penalty pen, double alpha, const Py_ssize_t *ids, Py_ssize_t m, const double *b,
                         const double *c) noexcept nogil:
    """The largest s for the augmented rows: correlations lose the quadratic part's pull."""
    cdef Py_ssize_t k, j
    cdef double s = 1
    for k in range(m):
        j = at(ids, k)
        s = fmin(s, pen.lasso.limit(alpha, c[j] - (pen.ridge(alpha, j) * b[j] if b[j] != 0 else 0), j))
    return s


cdef double gap_joined(Penalty pen, double alpha, double s, double loss, const Py_ssize_t *ids, Py_ssize_t m,
                       const double *b, const double *c) noexcept nogil:
    """The same gap on the augmented rows: the loss gains the quadratic part's value."""
    cdef Py_ssize_t k, j
    cdef double total = loss, energy = 0, pull
    for k in range(m):
        j = at(ids, k)
        pull = pen.ridge(alpha, j) * b[j] if b[j] != 0 else 0
        energy += pull * b[j]
        total += pen.lasso.young(alpha, b[j], s * (c[j] - pull), j)
    return total + 0.5 * (1 - s) * (1 - s) * energy


cdef measure_t certificate(Loss loss, Penalty pen, double alpha, const Py_ssize_t *ids, Py_ssize_t m,
                           const residual_t *q, const double *eta, const double *c) noexcept nogil:
    """Duality gap and KKT residual from exact correlations c, over `ids` (NULL: all p = m columns)."""
    cdef measure_t out
    cdef Py_ssize_t k, j
    cdef double d, other, s = 1
    out.scale, out.kkt = 1, 0
    for k in range(m):
        j = at(ids, k)
        out.scale = fmin(out.scale, pen.limit(alpha, c[j], j))
        s = fmin(s, pen.strict(alpha, c[j], j))
        d = pen.distance(alpha, q.b[j], c[j], j)
        if d > 0:
            out.kkt = fmax(out.kkt, d / sqrt(q.h[j]))
    out.gap = gap_at(pen, alpha, out.scale, loss.missing(out.scale, eta, q), ids, m, q.b, c)
    if s < out.scale:  # wide bounds make a small violation dear: there the point inside them is the better one
        other = gap_at(pen, alpha, s, loss.missing(s, eta, q), ids, m, q.b, c)
        if other < out.gap:
            out.gap, out.scale = other, s
    if pen.lasso is not None:
        s = limit_joined(pen, alpha, ids, m, q.b, c)
        other = gap_joined(pen, alpha, s, loss.missing(s, eta, q), ids, m, q.b, c)
        if other < out.gap:
            out.gap, out.scale = other, s
    return out
