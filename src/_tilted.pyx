"""A likelihood and a force on every row: what a term that has no likelihood of its own pulls with, where it stands."""
from regfast._loss cimport Loss
from regfast._state cimport residual_t


cdef class Tilted(Loss):
    """Σ_i [ w_i ℓ(y_i, η_i) − t_i η_i ], t (n,) held, and read anew each time; it has no dual point."""
    cdef Loss base
    cdef const double[::1] _tilt

    def __init__(self, Loss base, const double[::1] tilt):
        Loss.__init__(self, base._y, base._w, base._offset)
        self.base, self._tilt = base, tilt

    cdef double slope(self, const double *eta, double b0, double *r, double *v, double *curvature) noexcept nogil:
        cdef Py_ssize_t i
        cdef double total = self.base.slope(eta, b0, r, v, curvature)
        for i in range(self.n):
            r[i] += self._tilt[i]
            total += self._tilt[i]
        return total

    cdef double value(self, const double *eta, const residual_t *q) noexcept nogil:
        cdef Py_ssize_t i
        cdef double total = self.base.value(eta, q)
        for i in range(self.n):
            total -= self._tilt[i] * eta[i]
        return total

    cdef double young(self, double s, const double *eta, const residual_t *q) noexcept nogil:
        return 0
