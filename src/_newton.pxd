# Floor 9. One α of a likelihood that is not quadratic.
from libc.stdint cimport int32_t
from regfast._model cimport Model
from regfast._state cimport status_t


cdef class Newton(Model):
    cdef bint current                  # η, r and c on the working set are those of b: nothing has moved since
    cdef int32_t[::1] tied             # (p,) the model under which a column was found to tie with active ones
    cdef double crept, crawl           # multiply-adds of descent at this α, and at the last one that had any
    cdef double[::1] _base             # (n,) linear predictor, less intercept, where a step began
    cdef status_t follow(self, double alpha, double aim, long max_iter, int steps) noexcept nogil
    cdef bint quiet(self, double alpha) noexcept nogil
    cdef bint tie(self, double alpha, Py_ssize_t j) noexcept nogil
    cdef bint stale(self, double now, double before, double aim) noexcept nogil
    cdef status_t step_on_model(self, double a, double leave) noexcept nogil
    cdef void step_back(self) noexcept nogil
    cdef double distance(self) noexcept nogil
    cdef status_t trade(self, double a, Py_ssize_t m) noexcept nogil
    cdef status_t creep(self, double a, double leave) noexcept nogil
    cdef bint pays(self) noexcept nogil
    cdef bint land(self, double alpha, double *value, bint *shortened) noexcept nogil
