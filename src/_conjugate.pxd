# Floor 3. Linear systems with the Gram of many columns, of which only products are taken.
from regfast._design cimport Columns
from regfast._penalty cimport Penalty
from regfast._state cimport residual_t


cdef class Conjugate:
    cdef double *work           # 4 vectors of `room`, then one of n
    cdef Py_ssize_t room, n
    cdef readonly double read   # entries of X
    cdef bint reserve(self, Py_ssize_t m, Py_ssize_t n) noexcept nogil
    cdef void product(self, residual_t *q, Columns X, Penalty pen, double alpha, const Py_ssize_t *ids, Py_ssize_t m,
                      const double *x, double *out) noexcept nogil
    cdef bint solve(self, residual_t *q, Columns X, Penalty pen, double alpha, const Py_ssize_t *ids, Py_ssize_t m,
                    double *rhs, double *x, double tol, int most) noexcept nogil
