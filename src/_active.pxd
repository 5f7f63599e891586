# Floor 2. The exact solution on the active set: its Gram, a Cholesky factor that follows it, and Newton's step.
from regfast._design cimport Columns
from regfast._penalty cimport Penalty
from regfast._state cimport residual_t, status_t


cdef class Active:
    cdef Py_ssize_t m, room       # active columns; leading dimension
    cdef Py_ssize_t removals      # since the factor was last made from the Gram
    cdef double *gram             # (m, m) lower triangle of X_A' W X_A, by rows
    cdef double *chol             # (m, m) lower triangle L, L L' = gram + ridge
    cdef Py_ssize_t *id           # (m,) columns in the order of entry
    cdef double *sign             # (m,) side of zero that each is on
    cdef double *rhs              # (m,) scratch, as the next three
    cdef double *step
    cdef double *cosine
    cdef double *sine
    cdef double *column           # (n,) scratch: w ∘ (x_j − mean_j)
    cdef bint grow(self, Py_ssize_t n) noexcept nogil
    cdef status_t add(self, residual_t *q, Columns X, Penalty pen, double alpha, Py_ssize_t j,
                      double side) noexcept nogil
    cdef status_t exchange(self, residual_t *q, Columns X, Penalty pen, double alpha, Py_ssize_t j, double side,
                           signed char *inside) noexcept nogil
    cdef void remove(self, Py_ssize_t k) noexcept nogil
    cdef bint refactor(self, Penalty pen, double alpha) noexcept nogil
    cdef void solve(self) noexcept nogil
    cdef bint take(self, residual_t *q, Penalty pen, double alpha, double *c, double t,
                   signed char *inside) noexcept nogil
    cdef bint descend(self, residual_t *q, Penalty pen, double alpha, double *c, signed char *inside) noexcept nogil
