# Floor 3. Which columns to work on, and the proof that the others can stay out.
from regfast._penalty cimport Penalty
from regfast._state cimport measure_t

cdef measure_t certificate(Penalty pen, double alpha, const Py_ssize_t *ids, Py_ssize_t m, const double *b,
                           const double *c, const double *h, double energy) noexcept nogil
cdef Py_ssize_t admit(Penalty pen, double alpha, double bar, const double *c, const double *h, Py_ssize_t p,
                      Py_ssize_t cap, signed char *inside) noexcept nogil
