# Floor 8. One α of a likelihood that is not quadratic.
from libc.stdint cimport int32_t
from regfast._solve cimport Solver
from regfast._state cimport residual_t, status_t


cdef class Newton(Solver):
    cdef double total                  # Σ w ∂²ℓ/∂η² where the model was made; 0: there is none yet
    cdef bint current                # η, r and c on the working set are those of b: nothing has moved since
    cdef residual_t truth, model       # what q is made of, in turn
    cdef double[::1] _v, _over_v       # (n,) the model's weights, sum 1, and 1 over them
    cdef double[::1] _mean_v, _h_v     # (p,) means (what is left of them, where X is dense) and curvatures
    cdef int32_t[::1] made             # (p,) the model that these belong to
    cdef readonly int32_t models
    cdef double[::1] _base             # (n,) linear predictor, less intercept, where a step began
    cdef void face(self, const residual_t *q) noexcept nogil
    cdef void linearise(self) noexcept nogil
    cdef void weigh(self) noexcept nogil
    cdef status_t follow(self, double alpha, double aim, long max_iter, int steps) noexcept nogil
    cdef bint quiet(self, double alpha) noexcept nogil
    cdef bint stale(self, double now, double before, double aim) noexcept nogil
    cdef status_t step_on_model(self, double a) noexcept nogil
    cdef void in_units(self) noexcept nogil
    cdef void step_back(self) noexcept nogil
    cdef double distance(self) noexcept nogil
    cdef status_t trade(self, double a, Py_ssize_t j) noexcept nogil
    cdef status_t creep(self, double a) noexcept nogil
    cdef bint pays(self) noexcept nogil
    cdef bint land(self, double alpha, double *value, bint *shortened) noexcept nogil
