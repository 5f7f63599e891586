"""Which columns can be ruled out without reading them.

Let q_1 … q_m be orthonormal residuals whose correlations C = X'q are known, a = q'r and r⊥ = r − Qa. Then

    |x_j'r| ≤ |C_j·a| + ρ_j ‖r⊥‖,   ρ_j² = ‖x_j‖² − ‖C_j‖²

because what the references see of x_j takes no part in x_j'r⊥. Between two knots of the path r is affine in α, so that
two references span it. Inner products are those of the weighted residuals r = w∘e: r'W⁻¹r. The bound with one reference
and without the second term of ρ_j is known from Fujiwara et al. (2016), AAAI, and Ida et al. (2019), NeurIPS.
"""
from libc.math cimport INFINITY, fmax, hypot, sqrt
from libc.stdint cimport int32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from regfast._penalty cimport Penalty
from regfast._simd cimport (regfast_axpy_f64, regfast_dot_f64, regfast_energy, regfast_reach, regfast_rotate,
                            regfast_waxpy_f64)

cdef enum:
    TILE = 256            # columns at a time, so that they stay in the first cache

cdef double INNOVATION = 1e-6  # a residual nearer than this to the known ones would only add rounding
cdef double EPS = 2.220446049250313e-16


cdef class Bounds:
    def __cinit__(self, Penalty pen, const double[::1] w, const double[::1] over, const double[::1] h,
                  const double[::1] mean, Py_ssize_t p):
        """mean (p,): what is taken off correlations afterwards, and leaves its rounding in them; 0 for a dense X."""
        cdef Py_ssize_t j, k = 0
        cdef double up, down, least
        self.n, self.w, self.over = w.shape[0], &w[0], &over[0]
        for j in range(p):
            self.live += h[j] > 0 and 0 < pen.least_hold(j) < INFINITY
        self.column = <int32_t *> malloc(self.live * sizeof(int32_t) + 1)
        self.both = <signed char *> malloc(self.live + 1)
        self.width = <double *> malloc((4 + MEMORY + 1) * self.live * sizeof(double) + 1)
        self.q = <double *> malloc((MEMORY + 2) * self.n * sizeof(double))
        if self.column == NULL or self.both == NULL or self.width == NULL or self.q == NULL:
            raise MemoryError
        self.norm, self.rest = self.width + self.live, self.width + 2 * self.live
        self.loud = self.width + 3 * self.live
        self.known, self.off = self.width + 4 * self.live, self.q + (MEMORY + 1) * self.n
        for j in range(p):
            up, down, least = pen.hold(1, j), pen.hold(-1, j), pen.least_hold(j)
            if h[j] > 0 and 0 < least < INFINITY:
                self.column[k] = <int32_t> j
                self.both[k] = up < INFINITY and down < INFINITY
                self.width[k] = (1 if up < INFINITY else -1) / least
                self.norm[k] = self.width[k] * self.width[k] * h[j]
                self.loud[k] = self.norm[k] + self.width[k] * self.width[k] * mean[j] * mean[j]
                k += 1

    def __dealloc__(self):
        free(self.column)
        free(self.both)
        free(self.width)
        free(self.q)

    cdef void look(self, const double *r) noexcept nogil:
        """Split r into what the references span, coefficients a, and the rest, of norm `far`."""
        cdef int k
        memcpy(self.off, r, self.n * sizeof(double))
        for k in range(self.count):
            self.a[k] = regfast_dot_f64(self.q + k * self.n, 0, r, self.n)
        for k in range(self.count):
            regfast_waxpy_f64(self.q + k * self.n, 0, -self.a[k], self.w, self.off, self.n)
        self.far = sqrt(regfast_energy(self.off, 0, self.w, self.over, self.n))
        self.size = sqrt(regfast_energy(r, 0, self.w, self.over, self.n))

    cdef void remember(self, const double *r, const double *c) noexcept nogil:
        """r becomes the newest reference, from its exact c = X'r (p,); beyond MEMORY the oldest goes.

        Rotations from the last reference up make q_1 the direction of r and keep every span(q_1 … q_k) the newest k.
        """
        cdef double cosine[MEMORY + 1]
        cdef double sine[MEMORY + 1]
        cdef double a[MEMORY + 1]
        cdef double *x
        cdef double d
        cdef Py_ssize_t i, j, size, m = self.count
        cdef int k
        self.look(r)
        if not self.far > INNOVATION * self.size:
            return
        self.blur = fmax(self.blur, 8 * sqrt(EPS * self.size / self.far))
        d = self.far
        for k in range(m):
            a[k] = self.a[k]
        for i in range(self.n):
            self.q[m * self.n + i] = self.off[i] * self.over[i] / d
        x = self.known + m * self.live
        for j in range(self.live):
            x[j] = self.width[j] * c[self.column[j]] / d
        a[m] = d
        for k in range(m - 1, -1, -1):
            d = hypot(a[k], a[k + 1])
            cosine[k], sine[k], a[k] = a[k] / d, a[k + 1] / d, d
            regfast_rotate(self.q + k * self.n, self.q + (k + 1) * self.n, cosine[k], sine[k], self.n)
        self.count = min(m + 1, MEMORY)
        i = 0
        while i < self.live:
            size = min(TILE, self.live - i)
            for k in range(m):
                regfast_axpy_f64(self.known + k * self.live + i, 0, -self.a[k] / a[m], x + i, size)
            for k in range(m - 1, -1, -1):
                regfast_rotate(self.known + k * self.live + i, self.known + (k + 1) * self.live + i, cosine[k],
                               sine[k], size)
            for j in range(i, i + size):
                d = self.norm[j]
                for k in range(self.count):
                    d -= self.known[k * self.live + j] * self.known[k * self.live + j]
                self.rest[j] = sqrt((d if d > 0 else 0) + self.blur * self.blur * self.loud[j])
            i += TILE

    cdef double doubt(self) noexcept nogil:
        """How far the residual may be from the references, rounding included."""
        return hypot(self.far, self.blur * self.size)

    cdef Py_ssize_t reach(self, double alpha, double far, const signed char *inside, Py_ssize_t *out,
                          Py_ssize_t most) noexcept nogil:
        """Columns not `inside` whose correlation may reach its threshold at α; `most` are listed, all are counted.

        far: the residual's distance from the references; 0 takes the estimate for true. The list is for `name`.
        """
        cdef double u[TILE]
        cdef Py_ssize_t i = 0, j, size, found = 0
        cdef int k
        while i < self.live:
            size = min(TILE, self.live - i)
            memset(u, 0, size * sizeof(double))
            for k in range(self.count):
                regfast_axpy_f64(self.known + k * self.live + i, 0, self.a[k], u, size)
            regfast_reach(u, self.both + i, self.rest + i, far, size)
            for j in range(i, i + size):
                if u[j - i] >= alpha and not inside[self.column[j]]:
                    if found < most:
                        out[found] = j
                    found += 1
            i += TILE
        return found

    cdef double estimate(self, Py_ssize_t j) noexcept nogil:
        """width · correlation of the j-th live column, as the references have it"""
        cdef int k
        cdef double z = 0
        for k in range(self.count):
            z += self.a[k] * self.known[k * self.live + j]
        return z

    cdef double top(self, const signed char *inside) noexcept nogil:
        """The largest strength at which, by estimate, some column not `inside` still moves."""
        cdef Py_ssize_t j
        cdef double z, most = 0
        for j in range(self.live):
            if not inside[self.column[j]]:
                z = self.estimate(j)
                most = fmax(most, fmax(z, -z * self.both[j]))
        return most

    cdef void name(self, Py_ssize_t *out, Py_ssize_t m, double *c) noexcept nogil:
        """The m listed become column numbers; c (p,), unless NULL, gets their estimates."""
        cdef Py_ssize_t i, j
        for i in range(m):
            j, out[i] = out[i], self.column[out[i]]
            if c != NULL:
                c[out[i]] = self.estimate(j) / self.width[j]
