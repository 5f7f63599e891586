# Floor 2. A Gram matrix that gains and loses rows, and its Cholesky factor that follows.


cdef class Factor:
    cdef Py_ssize_t m, room      # rows; leading dimension
    cdef Py_ssize_t dropped      # rows rotated out since the factor was last made from the Gram
    cdef double *square          # L by rows below, L L' = gram + diag(shift); the Gram above the diagonal
    cdef double *diagonal        # (m,) of the Gram
    cdef double *shift           # (m,)
    cdef double *cosine          # (m,) scratch
    cdef double *sine            # (m,) scratch
    cdef bint reserve(self, Py_ssize_t more) noexcept nogil
    cdef double *row(self, Py_ssize_t i) noexcept nogil
    cdef double gram(self, Py_ssize_t i, Py_ssize_t j) noexcept nogil
    cdef Py_ssize_t append(self, Py_ssize_t k, signed char *taken) noexcept nogil
    cdef void lower(self, Py_ssize_t i, Py_ssize_t start, Py_ssize_t stop) noexcept nogil
    cdef void substitute(self, Py_ssize_t i, Py_ssize_t start, Py_ssize_t stop) noexcept nogil
    cdef void forward(self, Py_ssize_t first, Py_ssize_t k) noexcept nogil
    cdef bint refactor(self, Py_ssize_t start) noexcept nogil
    cdef bint drop(self, const signed char *gone) noexcept nogil
    cdef void rotate_out(self, Py_ssize_t k) noexcept nogil
    cdef void solve(self, const double *rhs, double *x) noexcept nogil
    cdef void backward(self, double *x) noexcept nogil
    cdef void dependence(self, double *a) noexcept nogil

cdef bint wider(void **x, Py_ssize_t keep, Py_ssize_t room) noexcept nogil
