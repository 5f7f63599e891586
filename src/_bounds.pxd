# Floor 3. What is known of X'r without reading X: reference-correlation bounds.
from libc.stdint cimport int32_t

cdef enum:
    MEMORY = 3  # references; a fourth spares next to nothing (docs/architecture.md)


cdef class Bounds:
    cdef readonly Py_ssize_t live     # columns that a threshold keeps at zero
    cdef Py_ssize_t n, count
    cdef double far                   # the residual's distance from the span of the references, as last seen
    cdef double size                  # its norm
    cdef double blur                  # blur² of norms is what rounding hides of the references' correlations
    cdef const double *w
    cdef const double *over           # (n,) 1/w; 0 where w is
    cdef int32_t *column              # (live,) their numbers, ascending
    cdef double *width                # (live,) the strength at which |c_j| = 1 no longer moves b_j
    cdef double *norm                 # (live,) width² · h
    cdef double *loud                 # (live,) width² · (h + mean²): rounding in c is relative to its root
    cdef double *rest                 # (live,) width · norm of what the references do not see of x_j
    cdef signed char *both            # (live,) 1; 0: only a positive (or, width < 0, a negative) c_j moves b_j
    cdef double *known                # (MEMORY + 1, live) width · X'q_k
    cdef double *q                    # (MEMORY + 1, n) orthonormal references over w
    cdef double *off                  # (n,) scratch
    cdef double a[MEMORY + 1]
    cdef void look(self, const double *r) noexcept nogil
    cdef void remember(self, const double *r, const double *c) noexcept nogil
    cdef double doubt(self) noexcept nogil
    cdef Py_ssize_t reach(self, double alpha, double far, const signed char *inside, Py_ssize_t *out,
                          Py_ssize_t most) noexcept nogil
    cdef double estimate(self, Py_ssize_t j) noexcept nogil
    cdef double top(self, const signed char *inside) noexcept nogil
    cdef void name(self, Py_ssize_t *out, Py_ssize_t m, double *c) noexcept nogil
