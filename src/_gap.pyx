"""The duality gap.

Dual points of the elastic net: the residual itself, whose
conjugate is finite where there is a quadratic part, and the residual of the augmented rows (the quadratic part joined
to the loss) scaled until it is feasible; the better one counts.
"""
from libc.math cimport fmax, fmin, sqrt

from regfast._penalty cimport Penalty
from regfast._state cimport measure_t


cdef double gap_at(Penalty pen, double alpha, double s, double energy, const Py_ssize_t *ids, Py_ssize_t m,
                   const double *b, const double *c) noexcept nogil:
    """P(b) − D(s·r) as a sum of non-negative Fenchel–Young terms, so that nothing cancels (docs/objective.md)."""
    cdef Py_ssize_t k, j
    cdef double total = 0.5 * (1 - s) * (1 - s) * energy
    for k in range(m):
        j = at(ids, k)
        total += pen.young(alpha, b[j], s * c[j], j)
    return total


cdef double gap_joined(Penalty pen, double alpha, double energy, const Py_ssize_t *ids, Py_ssize_t m,
                       const double *b, const double *c, double *scale) noexcept nogil:
    """The same on the augmented rows: correlations lose the quadratic part's pull, the loss gains its value."""
    cdef Py_ssize_t k, j
    cdef double s = 1, total = 0, ridge
    for k in range(m):
        j = at(ids, k)
        ridge = pen.ridge(alpha, j)
        if b[j] != 0:
            energy += ridge * b[j] * b[j]
        s = fmin(s, pen.lasso.limit(alpha, c[j] - (ridge * b[j] if b[j] != 0 else 0), j))
    for k in range(m):
        j = at(ids, k)
        total += pen.lasso.young(alpha, b[j], s * (c[j] - (pen.ridge(alpha, j) * b[j] if b[j] != 0 else 0)), j)
    scale[0] = s
    return total + 0.5 * (1 - s) * (1 - s) * energy


cdef measure_t certificate(Penalty pen, double alpha, const Py_ssize_t *ids, Py_ssize_t m, const double *b,
                           const double *c, const double *h, double energy) noexcept nogil:
    """Duality gap and KKT residual from exact correlations c, over `ids` (NULL: all p = m columns)."""
    cdef measure_t out
    cdef Py_ssize_t k, j
    cdef double d, other, s = 1
    out.scale, out.kkt = 1, 0
    for k in range(m):
        j = at(ids, k)
        out.scale = fmin(out.scale, pen.limit(alpha, c[j], j))
        s = fmin(s, pen.strict(alpha, c[j], j))
        d = pen.distance(alpha, b[j], c[j], j)
        if d > 0:
            out.kkt = fmax(out.kkt, d / sqrt(h[j]))
    out.gap = gap_at(pen, alpha, out.scale, energy, ids, m, b, c)
    if s < out.scale:  # wide bounds make a small violation dear: there the point inside them is the better one
        other = gap_at(pen, alpha, s, energy, ids, m, b, c)
        if other < out.gap:
            out.gap, out.scale = other, s
    if pen.lasso is not None:
        other = gap_joined(pen, alpha, energy, ids, m, b, c, &s)
        if other < out.gap:
            out.gap, out.scale = other, s
    return out
