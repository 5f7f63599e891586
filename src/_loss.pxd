# Floor 2. Likelihoods, through whole-vector methods; n terms cost one virtual call.


cdef class Loss:
    """Σ_i w_i ℓ(y_i, o_i + η_i), less its saturated value; w sums to 1."""
    cdef readonly Py_ssize_t n
    cdef const double[::1] _y, _w
    cdef const double *y
    cdef const double *w
    cdef double intercept(self, const double *eta) noexcept nogil       # argmin_b0 of value(η + b0)
    cdef double slope(self, const double *eta, double *r) noexcept nogil  # r = −w ∂ℓ/∂η; returns Σ r
    cdef double value(self, const double *eta) noexcept nogil
