# Floor 2. Coordinate descent on a penalised quadratic, residual form.
from regfast._design cimport Columns
from regfast._penalty cimport Penalty
from regfast._state cimport residual_t
from regfast._vec cimport line_t

cdef void move(residual_t *q, const line_t *x, Py_ssize_t j, double d) noexcept nogil
cdef double sweep(residual_t *q, Columns X, Penalty pen, double alpha, const Py_ssize_t *ids,
                  Py_ssize_t m) noexcept nogil
cdef void correlate(residual_t *q, Columns X, const Py_ssize_t *ids, Py_ssize_t m, double *c) noexcept nogil
cdef void settle(residual_t *q, Columns X, const Py_ssize_t *ids, Py_ssize_t m, const double *inverse,
                 double *step) noexcept nogil
cdef double energy(residual_t *q) noexcept nogil
