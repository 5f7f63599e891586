# Floor 3. The weighted residual of a quadratic, and what it says about columns. (residual_t: _state.pxd)
from regfast._design cimport Columns
from regfast._simd cimport regfast_energy
from regfast._state cimport residual_t
from regfast._vec cimport axpy, axpy4, dot, dot4, expect, line_t, waxpy, waxpy4


cdef inline void move(residual_t *q, const line_t *x, Py_ssize_t j, double d) noexcept nogil:
    """The residual after b_j += d."""
    waxpy(x, -d, q.w, q.r)
    q.rsum -= d * q.mean[j]


cdef inline void move_all(residual_t *q, Columns X, const Py_ssize_t *ids, Py_ssize_t m,
                          const double *d) noexcept nogil:
    """The residual after b_j += d_k for the k-th column of `ids`; what has not moved is not read."""
    cdef Py_ssize_t k, j, g = 0
    cdef line_t four[4]
    cdef double s[4]
    for k in range(m):
        if d[k] != 0:
            j = ids[k]
            four[g], s[g] = X.line[X.slot[j]], -d[k]
            q.rsum -= d[k] * q.mean[j]
            g += 1
            if g == 4 and waxpy4(four, s, q.w, q.r):
                g = 0
        while g and (g == 4 or k == m - 1):
            g -= 1
            waxpy(&four[g], s[g], q.w, q.r)


cdef inline double correlation(residual_t *q, const line_t *x, Py_ssize_t j) noexcept nogil:
    """c_j = Σ_i r_i (x_ij − mean_j), r centred"""
    return dot(x, q.r) - q.mean[j] * q.rsum


cdef inline Py_ssize_t correlate(residual_t *q, Columns X, const Py_ssize_t *ids, Py_ssize_t m,
                                 double *c) noexcept nogil:
    """c_j for every j in `ids`; returns how many entries of X that read."""
    cdef Py_ssize_t k = 0, g, read = 0
    cdef line_t *x
    cdef line_t four[4]
    cdef double found[4]
    while k + 4 <= m:
        for g in range(4):
            four[g] = X.line[X.slot[ids[k + g]]]
            if k + 4 + g < m:
                expect(&X.line[X.slot[ids[k + 4 + g]]])
        if not dot4(four, q.r, found):
            break
        for g in range(4):
            c[ids[k + g]] = found[g] - q.mean[ids[k + g]] * q.rsum
            read += four[g].size
        k += 4
    while k < m:
        x = &X.line[X.slot[ids[k]]]
        if k + 1 < m:
            expect(&X.line[X.slot[ids[k + 1]]])
        c[ids[k]] = correlation(q, x, ids[k])
        read += x.size
        k += 1
    return read


cdef inline Py_ssize_t combine(Columns X, const Py_ssize_t *ids, Py_ssize_t m, const double *b,
                               double *eta) noexcept nogil:
    """η += Σ x_j b_j over `ids`; returns how many entries of X that read."""
    cdef Py_ssize_t k = 0, g, read = 0
    cdef line_t four[4]
    cdef double s[4]
    while k < m:
        for g in range(min(4, m - k)):
            four[g], s[g] = X.line[X.slot[ids[k + g]]], b[ids[k + g]]
            read += four[g].size
        if k + 4 > m or not axpy4(four, s, eta):
            for g in range(min(4, m - k)):
                axpy(&four[g], s[g], eta)
        k += 4
    return read


cdef inline double energy(residual_t *q) noexcept nogil:
    """Σ w (t − b0 − Xb)², read off the residual; rows of weight zero have none."""
    return regfast_energy(q.r, q.rsum, q.w, q.over, q.n)
