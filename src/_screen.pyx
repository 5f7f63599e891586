"""The working set and the duality gap.

Strong rule: Tibshirani et al. (2012), JRSS-B 74(2). Dual points of the elastic net: the residual itself, whose
conjugate is finite where there is a quadratic part, and the residual of the augmented rows (the quadratic part joined
to the loss) scaled until it is feasible; the better one counts.
"""
from libc.math cimport fmax, fmin, sqrt
from libc.stdlib cimport free, malloc

from regfast._penalty cimport Penalty
from regfast._state cimport OUTSIDE, WORKING, measure_t


cdef inline Py_ssize_t at(const Py_ssize_t *ids, Py_ssize_t k) noexcept nogil:
    """ids[k]; NULL stands for all columns"""
    return k if ids == NULL else ids[k]


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


cdef double largest(double *x, Py_ssize_t m, Py_ssize_t k) noexcept nogil:
    """The k-th largest of x[0..m), which is reordered (quickselect, Hoare 1961)."""
    cdef Py_ssize_t lo = 0, hi = m - 1, i, j
    cdef double pivot
    while lo < hi:
        pivot = x[(lo + hi) // 2]
        i, j = lo, hi
        while i <= j:
            while x[i] > pivot:
                i += 1
            while x[j] < pivot:
                j -= 1
            if i <= j:
                x[i], x[j] = x[j], x[i]
                i += 1
                j -= 1
        if k - 1 <= j:
            hi = j
        elif k - 1 >= i:
            lo = i
        else:
            break
    return x[k - 1]


cdef Py_ssize_t admit(Penalty pen, double alpha, double bar, const double *c, const double *h, Py_ssize_t p,
                      Py_ssize_t cap, signed char *inside) noexcept nogil:
    """Let into the working set the columns that would move at strength `bar`, the `cap` most eager of them at most.

    bar = alpha: the columns that violate the KKT conditions; bar = 2 alpha − alpha_before: the strong rule. Marks them
    in `inside` and returns how many; −1 when memory ends.
    """
    cdef Py_ssize_t j, count = 0, added = 0
    cdef double least = 0
    cdef double *score
    for j in range(p):
        count += inside[j] == OUTSIDE and h[j] > 0 and pen.prox(bar, c[j], h[j], j) != 0
    if count > cap:
        score = <double *> malloc(count * sizeof(double))
        if score == NULL:
            return -1
        count = 0
        for j in range(p):
            if inside[j] == OUTSIDE and h[j] > 0 and pen.prox(bar, c[j], h[j], j) != 0:
                score[count] = pen.distance(bar, 0, c[j], j) / sqrt(h[j])
                count += 1
        least = largest(score, count, cap)
        free(score)
    for j in range(p):
        if inside[j] == OUTSIDE and h[j] > 0 and pen.prox(bar, c[j], h[j], j) != 0:
            if pen.distance(bar, 0, c[j], j) / sqrt(h[j]) >= least:
                inside[j] = WORKING
                added += 1
    return added
