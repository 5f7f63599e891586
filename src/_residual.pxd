# Floor 3. The weighted residual of a quadratic, and what it says about columns. (residual_t: _state.pxd)
from regfast._design cimport Columns
from regfast._simd cimport regfast_energy
from regfast._state cimport residual_t
from regfast._vec cimport dot, expect, line_t, waxpy


cdef inline void move(residual_t *q, const line_t *x, Py_ssize_t j, double d) noexcept nogil:
    """The residual after b_j += d."""
    waxpy(x, -d, q.w, q.r)
    q.rsum -= d * q.mean[j]


cdef inline double correlation(residual_t *q, const line_t *x, Py_ssize_t j) noexcept nogil:
    """c_j = Σ_i r_i (x_ij − mean_j), r centred"""
    return dot(x, q.r) - q.mean[j] * q.rsum


cdef inline Py_ssize_t correlate(residual_t *q, Columns X, const Py_ssize_t *ids, Py_ssize_t m,
                                 double *c) noexcept nogil:
    """c_j for every j in `ids`; returns how many entries of X that read."""
    cdef Py_ssize_t k, read = 0
    cdef line_t *x
    for k in range(m):
        x = &X.line[X.slot[ids[k]]]
        if k + 1 < m:
            expect(&X.line[X.slot[ids[k + 1]]])
        c[ids[k]] = correlation(q, x, ids[k])
        read += x.size
    return read


cdef inline double energy(residual_t *q) noexcept nogil:
    """Σ w (t − b0 − Xb)², read off the residual; rows of weight zero have none."""
    return regfast_energy(q.r, q.rsum, q.w, q.over, q.n)
