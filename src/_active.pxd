# Floor 4. The active set: columns, the side of zero that each is on, and Newton's step on them.
from regfast._design cimport Columns
from regfast._factor cimport Factor
from regfast._gram cimport Gram
from regfast._penalty cimport Penalty
from regfast._state cimport residual_t, status_t


cdef class Active:
    cdef Factor factor
    cdef Gram gram
    cdef Py_ssize_t m, room
    cdef double alpha             # the strength that the factor's ridge belongs to
    cdef Py_ssize_t *id           # (m,) columns in the order of entry
    cdef double *sign             # (m,) side of zero that each is on
    cdef double *rhs              # (m,) scratch, as the next three
    cdef double *step
    cdef double *stop
    cdef double *bend
    cdef signed char *mark        # (m,) scratch
    cdef Py_ssize_t *hit          # (hits,) places of the columns that Newton's step takes across zero or a bound
    cdef Py_ssize_t hits
    cdef bint reserve(self, Py_ssize_t more) noexcept nogil
    cdef status_t add(self, residual_t *q, Columns X, Penalty pen, double alpha, Py_ssize_t k, Py_ssize_t *ids,
                      const double *c, signed char *inside, Py_ssize_t *refused) noexcept nogil
    cdef bint widen(self, Py_ssize_t more) noexcept nogil
    cdef void clear(self) noexcept nogil
    cdef bint refactor(self, Penalty pen, double alpha) noexcept nogil
    cdef status_t exchange(self, residual_t *q, Columns X, Penalty pen, double alpha, Py_ssize_t j, const double *c,
                           signed char *inside) noexcept nogil
    cdef bint leave(self, const signed char *inside) noexcept nogil
    cdef double overshoot(self, residual_t *q, Penalty pen, double alpha) noexcept nogil
    cdef void halt(self, residual_t *q, Penalty pen, double alpha, double *c, signed char *inside) noexcept nogil
    cdef void tangent(self, Penalty pen, double alpha, const double *b) noexcept nogil
    cdef bint take(self, residual_t *q, Penalty pen, double alpha, double *c, double t,
                   signed char *inside) noexcept nogil
    cdef int descend(self, residual_t *q, Penalty pen, double alpha, double *c, signed char *inside) noexcept nogil


cdef double search(Active A, residual_t *q, Penalty pen, double alpha, double slope, double *gain) noexcept nogil
