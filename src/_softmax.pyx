"""Softmax of several predictors: probabilities, the loss, and what the loss adds to a duality gap.

Rows are taken a block at a time, so that what one sweep over classes leaves is still in the first cache at the next.
"""
from libc.math cimport log, log1p

import numpy as np

from regfast._simd cimport regfast_exp, regfast_log1p

cdef enum:
    BLOCK = 256  # rows


def shares(const double[:, ::1] eta, const double[::1] b0, const double[:, ::1] y, const double[::1] w,
           double[:, ::1] mu, double[::1] level):
    """mu (C, n) = softmax of η + b0, level (n,) = log Σ_c e^(η + b0); returns Σ w (level − Σ_c y_c (η_c + b0_c)).

    What is large is taken off before the difference is formed: no digits are lost where one class is nearly certain.
    """
    cdef Py_ssize_t C = eta.shape[0], n = eta.shape[1], c, i, k = 0, m
    cdef double total = 0, z
    cdef double[::1] room = np.empty(3 * BLOCK)
    cdef double *top = &room[0]
    cdef double *rest = &room[BLOCK]
    cdef double *hit = &room[2 * BLOCK]
    cdef double *p
    cdef const double *x
    with nogil:
        while k < n:
            m = BLOCK if n - k > BLOCK else n - k
            x = &eta[0, k]
            for i in range(m):
                top[i], rest[i], hit[i] = x[i] + b0[0], -1, 0
            for c in range(1, C):
                x = &eta[c, k]
                for i in range(m):
                    z = x[i] + b0[c]
                    top[i] = z if z > top[i] else top[i]
            for c in range(C):
                x, p = &eta[c, k], &mu[c, k]
                for i in range(m):
                    p[i] = x[i] + b0[c] - top[i]
                    hit[i] += y[c, k + i] * p[i]
                regfast_exp(p, 0, p, m)
                for i in range(m):
                    rest[i] += p[i]
            for c in range(C):
                p = &mu[c, k]
                for i in range(m):
                    p[i] /= 1 + rest[i]
            regfast_log1p(rest, m)
            for i in range(m):
                level[k + i] = top[i] + rest[i]
                total += w[k + i] * (rest[i] - hit[i])
            k += m
    return total


def young(double s, const double[:, ::1] eta, const double[:, ::1] y, const double[::1] w, const double[:, ::1] mu,
          const double[::1] level):
    """Σ w Σ_c [m log(m/μ) − m + μ] ≥ 0 at m = (1 − s) y + s μ, term by term; η and level as in `shares`, b0 in η."""
    cdef Py_ssize_t C = eta.shape[0], n = eta.shape[1], c, i
    cdef double total = 0, each, part, m
    each = (s * log1p(s - 1) if s > 0 else 0) - (s - 1)  # of a class that was not seen
    with nogil:
        for c in range(C):
            part = 0
            for i in range(n):
                if y[c, i] == 0:
                    part += w[i] * mu[c, i]
                else:
                    m = (1 - s) * y[c, i] + s * mu[c, i]
                    total += w[i] * (m * (log(m) - (eta[c, i] - level[i])) - m + mu[c, i])
            total += part * each
    return total
