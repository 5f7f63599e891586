# Floor 2. Likelihoods, through whole-vector methods; n terms cost one virtual call.
from regfast._state cimport residual_t


cdef class Loss:
    """Σ_i w_i ℓ(y_i, η_i), less its saturated value; η begins at the offset; w sums to 1."""
    cdef readonly Py_ssize_t n
    cdef readonly bint quadratic     # ℓ is its own quadratic model
    cdef const double[::1] _y, _w, _offset
    cdef double[::1] _scratch        # (n,)
    cdef bint valued                 # `worth` is the value at η as it stands
    cdef double worth
    cdef double at, missed           # the last s of `missing` at that η (1: none), and what it was
    cdef const double *y
    cdef const double *w
    cdef void begin(self, double *eta) noexcept nogil
    cdef double intercept(self, const double *eta, double b0, double *r, double *v) noexcept nogil
    cdef double slope(self, const double *eta, double b0, double *r, double *v, double *curvature) noexcept nogil
    cdef double value(self, const double *eta, const residual_t *q) noexcept nogil
    cdef void moved(self) noexcept nogil
    cdef double held(self, const double *eta, const residual_t *q) noexcept nogil
    cdef double missing(self, double s, const double *eta, const residual_t *q) noexcept nogil
    cdef double young(self, double s, const double *eta, const residual_t *q) noexcept nogil
