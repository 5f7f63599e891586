"""Likelihoods. A further one is one more class with `slope`, `value` and `young`, convex in η.

    r = −w ∂ℓ/∂η,   v = w ∂²ℓ/∂η²

`young` is what the loss adds to the duality gap when s·r is the dual point: the Fenchel–Young term ℓ(η) + ℓ*(u) − u η
at u = s ∂ℓ/∂η. For a mean μ and m = (1 − s) y + s μ that is half the deviance of m from μ; it cannot cancel.
McCullagh & Nelder (1989), Generalized Linear Models; Jørgensen (1987), JRSS-B 49, for Tweedie's.
"""
from libc.math cimport INFINITY, exp, fabs, fmax, fmin, log
from libc.string cimport memcpy, memset

from regfast._simd cimport regfast_energy, regfast_exp, regfast_log1p
from regfast._state cimport residual_t

import numpy as np
from scipy.special import xlogy

cdef double LEAP = 3.0    # no step of the intercept is longer: e^η would run away
cdef int STEPS = 100      # Newton's steps for one number, bisection included


cdef class Loss:
    def __init__(self, const double[::1] y, const double[::1] w, const double[::1] offset=None):
        self.n, self._y, self._w, self._offset = y.shape[0], y, w, offset
        self.y, self.w = &y[0], &w[0]
        self._scratch = np.empty(3 * self.n)

    def deviance(self, const double[::1] eta):
        """Σ w ℓ, less its saturated value, at given η (n,): half the mean deviance."""
        return self.value(&eta[0], NULL)

    def gradient(self, const double[::1] eta):
        """(r, v) at given η (n,)"""
        cdef double[::1] r = np.empty(self.n), v = np.empty(self.n)
        cdef double total
        self.slope(&eta[0], 0, &r[0], &v[0], &total)
        return np.asarray(r), np.asarray(v)

    def constant(self, const double[::1] eta, double guess):
        """The best intercept for η (n,)"""
        cdef double[:, ::1] scratch = np.empty((2, self.n))
        return self.intercept(&eta[0], guess, &scratch[0, 0], &scratch[1, 0])

    cdef void begin(self, double *eta) noexcept nogil:
        """η of the model without columns and intercept: the offset"""
        if self._offset is None:
            memset(eta, 0, self.n * sizeof(double))
        else:
            memcpy(eta, &self._offset[0], self.n * sizeof(double))

    cdef double intercept(self, const double *eta, double b0, double *r, double *v) noexcept nogil:
        """argmin_b0 of the value at η + b0, from a guess; r and v are scratch. Newton's method between brackets."""
        cdef double lo = -INFINITY, hi = INFINITY, pull, step, curvature
        for _ in range(STEPS):
            pull = self.slope(eta, b0, r, v, &curvature)
            if pull > 0:
                lo = b0
            else:
                hi = b0
            step = pull / curvature if curvature > 0 else (LEAP if pull > 0 else -LEAP)
            step = fmin(fmax(step, -LEAP), LEAP)
            if not lo < b0 + step < hi and pull != 0 and fabs(step) > 1e-15 * (1 + fabs(b0)):
                step = 0.5 * (lo + hi) - b0
            b0 += step
            if fabs(step) <= 1e-8 * (1 + fabs(b0)):  # what is left is the square of that
                break
        return b0

    cdef double slope(self, const double *eta, double b0, double *r, double *v, double *curvature) noexcept nogil:
        """r and v at η + b0; returns Σ r, `curvature` gets Σ v"""

    cdef double value(self, const double *eta, const residual_t *q) noexcept nogil:
        """Σ w ℓ, less its saturated value"""

    # ---- one certificate often follows another: what η alone decides is found once, until `moved` says that η is new

    cdef void moved(self) noexcept nogil:
        self.valued, self.at = False, 1

    cdef double held(self, const double *eta, const residual_t *q) noexcept nogil:
        """`value`"""
        if not self.valued or self.quadratic:
            self.valued, self.worth = True, self.value(eta, q)
        return self.worth

    cdef double missing(self, double s, const double *eta, const residual_t *q) noexcept nogil:
        """What the loss adds to the gap at the dual point s·r: nothing where r itself is feasible."""
        if s < 1 and (s != self.at or self.quadratic):
            self.at, self.missed = s, self.young(s, eta, q)
        return self.missed if s < 1 else 0

    cdef double young(self, double s, const double *eta, const residual_t *q) noexcept nogil:
        """Σ w [ℓ(η) + ℓ*(u) − u η] at u = s ∂ℓ/∂η, s < 1"""


cdef class Gaussian(Loss):
    """ℓ = ½ (y − η)². Its offset is taken off y at the door; value and gap are read off the residual."""

    def __init__(self, const double[::1] y, const double[::1] w):
        Loss.__init__(self, y, w)
        self.quadratic = True

    def deviance(self, const double[::1] eta):
        return 0.5 * np.asarray(self._w) @ (np.asarray(self._y) - np.asarray(eta)) ** 2

    cdef double intercept(self, const double *eta, double b0, double *r, double *v) noexcept nogil:
        cdef Py_ssize_t i
        b0 = 0
        for i in range(self.n):
            b0 += self.w[i] * (self.y[i] - eta[i])
        return b0

    cdef double slope(self, const double *eta, double b0, double *r, double *v, double *curvature) noexcept nogil:
        cdef Py_ssize_t i
        cdef double total = 0
        curvature[0] = 1
        for i in range(self.n):
            v[i] = self.w[i]
            r[i] = self.w[i] * (self.y[i] - eta[i] - b0)
            total += r[i]
        return total

    cdef double value(self, const double *eta, const residual_t *q) noexcept nogil:
        return 0.5 * regfast_energy(q.r, q.rsum, q.w, q.over, q.n)

    cdef double young(self, double s, const double *eta, const residual_t *q) noexcept nogil:
        return 0.5 * (1 - s) * (1 - s) * regfast_energy(q.r, q.rsum, q.w, q.over, q.n)


cdef inline double drift(double y, double mu, double s) noexcept nogil:
    """m / μ − 1 for m = (1 − s) y + s μ: exact where s is near 1; kept off −1, where m log m is 0 (fmax is a call)"""
    mu = (1 - s) * (y - mu) / mu
    return mu if mu > -1 + 1e-16 else -1 + 1e-16


cdef class Binomial(Loss):
    """ℓ = log(1 + e^η) − y η, y in [0, 1]."""
    cdef double saturated

    def __init__(self, const double[::1] y, const double[::1] w, const double[::1] offset=None):
        Loss.__init__(self, y, w, offset)
        self.saturated = -sum(np.asarray(w) @ xlogy(part, part) for part in (np.asarray(y), 1 - np.asarray(y)))

    cdef double slope(self, const double *eta, double b0, double *r, double *v, double *curvature) noexcept nogil:
        cdef Py_ssize_t i
        cdef double total = 0, small, large
        for i in range(self.n):
            v[i] = -fabs(eta[i] + b0)
        regfast_exp(v, 0, v, self.n)
        curvature[0] = 0
        for i in range(self.n):
            large = 1 / (1 + v[i])
            small = v[i] * large
            v[i] = self.w[i] * small * large
            if eta[i] + b0 < 0:  # then μ is the small one
                small, large = large, small
            r[i] = self.w[i] * (self.y[i] * small - (1 - self.y[i]) * large)
            total += r[i]
            curvature[0] += v[i]
        return total

    cdef double value(self, const double *eta, const residual_t *q) noexcept nogil:
        cdef Py_ssize_t i
        cdef double total = 0
        cdef double *up = &self._scratch[0]
        for i in range(self.n):
            up[i] = -fabs(eta[i])
        regfast_exp(up, 0, up, self.n)
        regfast_log1p(up, self.n)
        for i in range(self.n):  # y log(1 + e^−η) + (1 − y) log(1 + e^η): nothing cancels
            total += self.w[i] * (up[i] + (self.y[i] * fmax(-eta[i], 0) + (1 - self.y[i]) * fmax(eta[i], 0)))
        return fmax(total - self.saturated, 0)

    cdef double young(self, double s, const double *eta, const residual_t *q) noexcept nogil:
        cdef Py_ssize_t i
        cdef double total = 0, small, large
        cdef double *up = &self._scratch[0]
        cdef double *down = &self._scratch[self.n]
        cdef double *mean = &self._scratch[2 * self.n]
        for i in range(self.n):
            down[i] = -fmin(fabs(eta[i]), 700)
        regfast_exp(down, 0, down, self.n)
        for i in range(self.n):
            large = 1 / (1 + down[i])
            small = down[i] * large
            mean[i], small = (large, small) if eta[i] > 0 else (small, large)
            up[i] = drift(self.y[i], mean[i], s)
            down[i] = drift(1 - self.y[i], small, s)
        regfast_log1p(up, 2 * self.n)
        for i in range(self.n):
            small = (1 - s) * self.y[i] + s * mean[i]
            total += self.w[i] * (small * up[i] + (1 - small) * down[i])
        return fmax(total, 0)


cdef double log_mean(Py_ssize_t n, const double *eta, double sign, const double *w, double *scratch) noexcept nogil:
    """log Σ w e^{sign·η}, whatever the size of η"""
    cdef Py_ssize_t i
    cdef double top = -INFINITY, total = 0
    for i in range(n):
        scratch[i] = sign * eta[i]
        if w[i] > 0:
            top = fmax(top, scratch[i])
    regfast_exp(scratch, -top, scratch, n)
    for i in range(n):
        total += w[i] * scratch[i]
    return top + log(total)


cdef double divergence(Loss loss, const double *y, const double *mu, double s, double *scratch) noexcept nogil:
    """Σ w [m log(m/μ) − m + μ] for m = (1 − s) y + s μ, half the Poisson deviance of m from μ; y = NULL: all 1"""
    cdef Py_ssize_t i
    cdef double total = 0, target = 1
    for i in range(loss.n):
        target = target if y == NULL else y[i]
        scratch[i] = drift(target, mu[i], s)
    regfast_log1p(scratch, loss.n)
    for i in range(loss.n):
        target = target if y == NULL else y[i]
        total += loss.w[i] * (((1 - s) * target + s * mu[i]) * scratch[i] - (1 - s) * (target - mu[i]))
    return fmax(total, 0)


cdef class Poisson(Loss):
    """ℓ = e^η − y η, y ≥ 0."""
    cdef double level

    def __init__(self, const double[::1] y, const double[::1] w, const double[::1] offset=None):
        Loss.__init__(self, y, w, offset)
        self.level = log(np.asarray(w) @ np.asarray(y))

    cdef double intercept(self, const double *eta, double b0, double *r, double *v) noexcept nogil:
        return self.level - log_mean(self.n, eta, 1, self.w, v)

    cdef double slope(self, const double *eta, double b0, double *r, double *v, double *curvature) noexcept nogil:
        cdef Py_ssize_t i
        cdef double total = 0
        regfast_exp(eta, b0, v, self.n)
        curvature[0] = 0
        for i in range(self.n):
            v[i] *= self.w[i]
            r[i] = self.w[i] * self.y[i] - v[i]
            total += r[i]
            curvature[0] += v[i]
        return total

    cdef double value(self, const double *eta, const residual_t *q) noexcept nogil:
        return self.young(0, eta, q)  # half the deviance, term by term: large counts do not cancel

    cdef double young(self, double s, const double *eta, const residual_t *q) noexcept nogil:
        cdef double *mu = &self._scratch[0]
        regfast_exp(eta, 0, mu, self.n)
        return divergence(self, self.y, mu, s, mu + self.n)


cdef class Gamma(Loss):
    """ℓ = y e^−η + η, y > 0: the gamma likelihood with a log link."""
    cdef double[::1] wy

    def __init__(self, const double[::1] y, const double[::1] w, const double[::1] offset=None):
        Loss.__init__(self, y, w, offset)
        self.wy = np.asarray(w) * np.asarray(y)

    cdef double intercept(self, const double *eta, double b0, double *r, double *v) noexcept nogil:
        return log_mean(self.n, eta, -1, &self.wy[0], v)

    cdef double slope(self, const double *eta, double b0, double *r, double *v, double *curvature) noexcept nogil:
        cdef Py_ssize_t i
        cdef double total = 0
        for i in range(self.n):
            v[i] = -eta[i] - b0
        regfast_exp(v, 0, v, self.n)
        curvature[0] = 0
        for i in range(self.n):
            v[i] *= self.w[i] * self.y[i]
            r[i] = v[i] - self.w[i]
            total += r[i]
            curvature[0] += v[i]
        return total

    cdef double value(self, const double *eta, const residual_t *q) noexcept nogil:
        return self.young(0, eta, q)

    cdef double young(self, double s, const double *eta, const residual_t *q) noexcept nogil:
        cdef Py_ssize_t i
        cdef double *ratio = &self._scratch[0]  # y/μ, whose best value is 1, takes the place of μ
        for i in range(self.n):
            ratio[i] = -eta[i]
        regfast_exp(ratio, 0, ratio, self.n)
        for i in range(self.n):
            ratio[i] = fmax(ratio[i] * self.y[i], 1e-300)
        return divergence(self, NULL, ratio, s, ratio + self.n)


cdef class Tweedie(Loss):
    """ℓ = y e^{(1−k)η} / (k − 1) + e^{(2−k)η} / (2 − k), y ≥ 0, log link, variance of power k, 1 < k < 2."""
    cdef double up, down, saturated

    def __init__(self, const double[::1] y, const double[::1] w, const double[::1] offset=None, double power=1.5):
        Loss.__init__(self, y, w, offset)
        self.up, self.down = 2 - power, power - 1
        self.saturated = np.asarray(w) @ np.asarray(y) ** self.up / (self.up * self.down)

    cdef double slope(self, const double *eta, double b0, double *r, double *v, double *curvature) noexcept nogil:
        cdef Py_ssize_t i
        cdef double total = 0, rise, fall
        curvature[0] = 0
        for i in range(self.n):
            r[i], v[i] = self.up * (eta[i] + b0), -self.down * (eta[i] + b0)
        regfast_exp(r, 0, r, self.n)
        regfast_exp(v, 0, v, self.n)
        for i in range(self.n):
            rise, fall = self.w[i] * r[i], self.w[i] * self.y[i] * v[i]
            r[i], v[i] = fall - rise, self.up * rise + self.down * fall
            total += r[i]
            curvature[0] += v[i]
        return total

    cdef double term(self, double y, double eta) noexcept nogil:
        return y * exp(-self.down * eta) / self.down + exp(self.up * eta) / self.up

    cdef double value(self, const double *eta, const residual_t *q) noexcept nogil:
        cdef Py_ssize_t i
        cdef double total = 0
        for i in range(self.n):
            total += self.w[i] * self.term(self.y[i], eta[i])
        return fmax(total - self.saturated, 0)

    cdef double young(self, double s, const double *eta, const residual_t *q) noexcept nogil:
        """The η whose slope is s times that at η has no closed form: Newton's method, row by row."""
        cdef Py_ssize_t i
        cdef double total = 0, slope, at, rise, fall, step
        for i in range(self.n):
            if self.w[i] == 0:
                continue
            at = eta[i]
            slope = s * (exp(self.up * at) - self.y[i] * exp(-self.down * at))
            if self.y[i] == 0:
                at += log(s) / self.up if s > 0 else -700
            else:
                for _ in range(STEPS):
                    rise, fall = exp(self.up * at), self.y[i] * exp(-self.down * at)
                    step = (slope - (rise - fall)) / (self.up * rise + self.down * fall)
                    step = fmin(fmax(step, -LEAP), LEAP)
                    at += step
                    if fabs(step) <= 1e-12:
                        break
            step = self.term(self.y[i], eta[i]) - self.term(self.y[i], at) - slope * (eta[i] - at)
            total += self.w[i] * fmax(step, 0)
        return fmax(total, 0)
