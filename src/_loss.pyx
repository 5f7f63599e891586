"""Squared error. A further likelihood is one more class with these three methods."""


cdef class Loss:
    def __init__(self, const double[::1] y, const double[::1] w):
        self.n, self._y, self._w = y.shape[0], y, w
        self.y, self.w = &y[0], &w[0]

    cdef double intercept(self, const double *eta) noexcept nogil:
        """argmin_b0 of value(η + b0)"""

    cdef double slope(self, const double *eta, double *r) noexcept nogil:
        """r = −w ∂ℓ/∂η; returns Σ r"""

    cdef double value(self, const double *eta) noexcept nogil:
        """Σ w ℓ(y, η), less its saturated value"""


cdef class Gaussian(Loss):
    """ℓ = ½(y − η)². The offset is taken off y at the door."""

    cdef double intercept(self, const double *eta) noexcept nogil:
        cdef Py_ssize_t i
        cdef double b0 = 0
        for i in range(self.n):
            b0 += self.w[i] * (self.y[i] - eta[i])
        return b0

    cdef double slope(self, const double *eta, double *r) noexcept nogil:
        cdef Py_ssize_t i
        cdef double total = 0
        for i in range(self.n):
            r[i] = self.w[i] * (self.y[i] - eta[i])
            total += r[i]
        return total

    cdef double value(self, const double *eta) noexcept nogil:
        cdef Py_ssize_t i
        cdef double total = 0
        for i in range(self.n):
            total += self.w[i] * (self.y[i] - eta[i]) * (self.y[i] - eta[i])
        return 0.5 * total
