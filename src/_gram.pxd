# Floor 3. Products of columns with many others: rows of a Gram matrix.
from regfast._design cimport Columns
from regfast._state cimport residual_t
from regfast._vec cimport line_t


cdef class Gram:
    cdef double *panel          # scratch
    cdef Py_ssize_t size        # numbers that it holds
    cdef Py_ssize_t read        # entries of X read so far
    cdef bint room(self, Py_ssize_t size) noexcept nogil
    cdef bint rows(self, residual_t *q, Columns X, const Py_ssize_t *ids, Py_ssize_t first, Py_ssize_t k, double *out,
                   Py_ssize_t stride) noexcept nogil
    cdef bint one(self, residual_t *q, Columns X, const Py_ssize_t *ids, Py_ssize_t i, double *out) noexcept nogil
    cdef bint packed(self, residual_t *q, Columns X, const Py_ssize_t *ids, Py_ssize_t first, Py_ssize_t k, double *out,
                     Py_ssize_t stride) noexcept nogil
    cdef bint met(self, residual_t *q, Columns X, const Py_ssize_t *ids, Py_ssize_t first, Py_ssize_t k, double *out,
                  Py_ssize_t stride) noexcept nogil
