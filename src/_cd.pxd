# Floor 4. Coordinate descent on a penalised quadratic, residual form.
from regfast._design cimport Columns
from regfast._penalty cimport Penalty
from regfast._state cimport residual_t

cdef double sweep(residual_t *q, Columns X, Penalty pen, double alpha, const Py_ssize_t *ids,
                  Py_ssize_t m) noexcept nogil
cdef void settle(residual_t *q, Columns X, const Py_ssize_t *ids, Py_ssize_t m, const double *root,
                 Py_ssize_t rank, double *step) noexcept nogil
