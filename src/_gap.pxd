# Floor 4. The proof that a solution is one.
from regfast._loss cimport Loss
from regfast._penalty cimport Penalty
from regfast._state cimport measure_t, residual_t

cdef measure_t certificate(Loss loss, Penalty pen, double alpha, const Py_ssize_t *ids, Py_ssize_t m,
                           const residual_t *q, const double *eta, const double *c) noexcept nogil

cdef double gap_at(Penalty pen, double alpha, double s, double loss, const Py_ssize_t *ids, Py_ssize_t m,
                   const double *b, const double *c) noexcept nogil
cdef double limit_joined(Penalty pen, double alpha, const Py_ssize_t *ids, Py_ssize_t m, const double *b,
                         const double *c) noexcept nogil
cdef double gap_joined(Penalty pen, double alpha, double s, double loss, const Py_ssize_t *ids, Py_ssize_t m,
                       const double *b, const double *c) noexcept nogil


cdef inline Py_ssize_t at(const Py_ssize_t *ids, Py_ssize_t k) noexcept nogil:
    """ids[k]; NULL stands for all columns"""
    return k if ids == NULL else ids[k]
