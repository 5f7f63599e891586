# Floor 7. One α: working set, exact solve or descent, certificate.
from regfast._conjugate cimport Conjugate
from regfast._state cimport measure_t, status_t
from regfast._screen cimport Screen


cdef class Solver(Screen):
    cdef status_t attempt(self, double alpha, double tol, long max_iter, measure_t *out) noexcept nogil
    cdef status_t solve(self, double alpha, double tol, long max_iter, measure_t *out) noexcept nogil
    cdef status_t polish(self, double alpha, double aim, long max_iter, double *budget, bint *moved) noexcept nogil
    cdef double lighter(self) noexcept nogil
    cdef bint far                      # α is not near the last one
    cdef int pause, patience           # α's until descent is tried again where a factor is dear
    cdef Conjugate gradients
    cdef Py_ssize_t refusals           # columns, in `picked`, that were too dependent to become active
    cdef status_t leap(self, double alpha, double tol) noexcept nogil
    cdef status_t enter(self, double alpha, Py_ssize_t k, Py_ssize_t *ids, Py_ssize_t *refused) noexcept nogil
    cdef double excess(self, double alpha, Py_ssize_t j, double noise, double slack) noexcept nogil
    cdef status_t match(self, double alpha) noexcept nogil
    cdef status_t admit_violators(self, double alpha, Py_ssize_t *entered, Py_ssize_t *refused) noexcept nogil
    cdef status_t exchange(self, double alpha, Py_ssize_t j) noexcept nogil
    cdef status_t exact(self, double alpha, long max_iter, bint *moved) noexcept nogil
    cdef status_t forget(self) noexcept nogil
    cdef status_t bare(self) noexcept nogil
