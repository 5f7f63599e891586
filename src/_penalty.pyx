"""The elastic net with per-coefficient weights and bounds; lasso, ridge, non-negativity and free columns are its cases.

    α pen_j(b) = α (l1_j |b| + ½ l2_j b²) + ½ d_j b²   for lo_j ≤ b ≤ hi_j,   lo_j ≤ 0 ≤ hi_j

l1_j = ∞ excludes the column; d is a ridge that does not go with α: dropout's.
A further penalty is one more class with these methods; nothing else changes.
"""
from libc.math cimport INFINITY, fabs, fmax, fmin

import numpy as np

cdef double TIE = 1 + 32 * 2.220446049250313e-16  # |z| within rounding of the threshold counts as on it


cdef class Penalty:
    cdef double value(self, double alpha, double b, Py_ssize_t j) noexcept nogil:
        """α pen_j(b)"""

    cdef double prox(self, double alpha, double z, double h, Py_ssize_t j) noexcept nogil:
        """argmin_b  ½ h b² − z b + α pen_j(b)"""

    cdef double distance(self, double alpha, double b, double c, Py_ssize_t j) noexcept nogil:
        """dist(c, α ∂pen_j(b)): zero exactly where b is optimal for the correlation c"""

    cdef double young(self, double alpha, double b, double z, Py_ssize_t j) noexcept nogil:
        """α pen_j(b) + (α pen_j)*(z) − b z ≥ 0: what coordinate j adds to the duality gap; ∞ if z is infeasible"""

    cdef double limit(self, double alpha, double z, Py_ssize_t j) noexcept nogil:
        """The largest s with (α pen_j)*(s z) finite"""

    cdef double strict(self, double alpha, double z, Py_ssize_t j) noexcept nogil:
        """The largest s at which s z no longer pulls b_j off zero, whatever the bounds"""

    cdef double hold(self, double side, Py_ssize_t j) noexcept nogil:
        """The c at α = 1, of the sign of `side`, up to which b_j stays at zero; ∞: any"""

    cdef double least_hold(self, Py_ssize_t j) noexcept nogil:
        """The same, of whichever sign gives way first"""
        return fmin(self.hold(1, j), self.hold(-1, j))

    cdef double ridge(self, double alpha, Py_ssize_t j) noexcept nogil:
        """The curvature of the quadratic part of α pen_j, where it has one"""

    cdef double pull(self, double alpha, double b, double side, Py_ssize_t j) noexcept nogil:
        """d/db α pen_j(b), on the given side where b is 0"""

    cdef double kink(self, double alpha, Py_ssize_t j) noexcept nogil:
        """How much that derivative jumps at 0"""

    cdef double low(self, Py_ssize_t j) noexcept nogil:
        """The lower bound"""

    cdef double high(self, Py_ssize_t j) noexcept nogil:
        """The upper bound"""


cdef double conjugate_young(double l1, double l2, double lo, double hi, double b, double z) noexcept nogil:
    """l1|b| + ½ l2 b² + max_{lo≤u≤hi} (z u − l1|u| − ½ l2 u²) − b z, without cancellation where it can be avoided."""
    cdef double over = fabs(z) - l1
    cdef double side = hi if z > 0 else -lo  # how far the maximiser may go, away from zero
    cdef double top = 0
    if fabs(z) > l1 * TIE and side > 0:  # a scaled dual point may stick out by its rounding
        if l2 > 0 and over <= l2 * side:
            top = over * over / (2 * l2)
        elif side < INFINITY:
            top = side * (over - 0.5 * l2 * side)
        else:
            return INFINITY
    if b == 0:
        return top
    return fmax(0, fabs(b) * (l1 - (z if b > 0 else -z)) + 0.5 * l2 * b * b + top)


cdef class ElasticNet(Penalty):
    def __init__(self, const double[:] l1, const double[:] l2, const double[:] lo, const double[:] hi,
                 const double[:] d=None):
        self.l1, self.l2, self.lo, self.hi, self.unit = l1, l2, lo, hi, 1
        self.d = np.broadcast_to(0.0, l1.shape[0]) if d is None else d
        if np.any(l2) or d is not None:
            self.lasso = ElasticNet(l1, np.broadcast_to(0.0, l2.shape[0]), lo, hi)

    cdef double value(self, double alpha, double b, Py_ssize_t j) noexcept nogil:
        if b == 0 or self.l1[j] == INFINITY:  # the block of free columns stands outside the penalty
            return 0
        return alpha * self.l1[j] * fabs(b) + 0.5 * self.ridge(alpha, j) * b * b

    cdef double prox(self, double alpha, double z, double h, Py_ssize_t j) noexcept nogil:
        cdef double threshold = alpha * self.l1[j]
        cdef double b
        if fabs(z) <= threshold * TIE:
            return 0
        b = (z - threshold if z > 0 else z + threshold) / (h + self.ridge(alpha, j))
        return fmin(fmax(b, self.lo[j]), self.hi[j])

    cdef double distance(self, double alpha, double b, double c, Py_ssize_t j) noexcept nogil:
        cdef double l1 = alpha * self.l1[j]
        cdef double g = c - self.ridge(alpha, j) * b if b != 0 else c
        if l1 == INFINITY:
            return 0
        if b == 0:  # the side that a bound at zero closes does not count
            if g > l1:
                return g - l1 if self.hi[j] > 0 else 0
            return -l1 - g if g < -l1 and self.lo[j] < 0 else 0
        g -= l1 if b > 0 else -l1
        if b >= self.hi[j]:
            return fmax(0, -g)
        if b <= self.lo[j]:
            return fmax(0, g)
        return fabs(g)

    cdef double young(self, double alpha, double b, double z, Py_ssize_t j) noexcept nogil:
        if self.l1[j] == INFINITY:
            return 0
        return conjugate_young(alpha * self.l1[j], self.ridge(alpha, j), self.lo[j], self.hi[j], b, z)

    cdef double limit(self, double alpha, double z, Py_ssize_t j) noexcept nogil:
        if self.ridge(1, j) > 0 or (self.hi[j] if z > 0 else -self.lo[j]) < INFINITY:
            return INFINITY
        return self.strict(alpha, z, j)

    cdef double strict(self, double alpha, double z, Py_ssize_t j) noexcept nogil:
        if fabs(z) <= alpha * self.l1[j] or self.ridge(1, j) > 0 or (self.hi[j] if z > 0 else -self.lo[j]) == 0:
            return INFINITY
        return alpha * self.l1[j] / fabs(z)

    cdef double hold(self, double side, Py_ssize_t j) noexcept nogil:
        return INFINITY if (self.hi[j] if side > 0 else -self.lo[j]) == 0 else self.l1[j]

    cdef double ridge(self, double alpha, Py_ssize_t j) noexcept nogil:
        return alpha * self.l2[j] + self.unit * self.d[j]

    cdef double pull(self, double alpha, double b, double side, Py_ssize_t j) noexcept nogil:
        return 0 if self.l1[j] == INFINITY else alpha * self.l1[j] * side + self.ridge(alpha, j) * b

    cdef double kink(self, double alpha, Py_ssize_t j) noexcept nogil:
        return 0 if self.l1[j] == INFINITY else 2 * alpha * self.l1[j]

    cdef double low(self, Py_ssize_t j) noexcept nogil:
        return self.lo[j]

    cdef double high(self, Py_ssize_t j) noexcept nogil:
        return self.hi[j]
