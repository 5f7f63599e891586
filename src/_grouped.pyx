"""Several responses whose coefficients of a column enter together: pen_j = l1_j ‖b_j·‖₂ + ½ l2_j ‖b_j·‖².

What numpy cannot do without a copy of X: products of working columns, wherever they lie, with many residuals; and the
sweep of block coordinate descent on their Gram. Simon, Friedman & Hastie (2013), arXiv:1311.6529.
"""
from libc.math cimport sqrt
from libc.stdint cimport int32_t

import numpy as np

from regfast._design cimport Columns, Design
from regfast._gram cimport Gram
from regfast._state cimport NO_MEMORY, residual_t
from regfast._vec cimport axpy, dot, line_t, settle

cdef extern from "Python.h":
    int PyErr_CheckSignals() except -1

cdef enum:
    SLICE = 16777216  # multiply-adds between two looks for Ctrl-C

cdef double TIE = 1 + 32 * 2.220446049250313e-16  # ‖z‖ within rounding of the threshold counts as on it


cdef class Working:
    """The columns that are worked with, and their moments under weights that may change."""
    cdef Design X
    cdef Columns cols
    cdef Gram products
    cdef residual_t q
    cdef const double[::1] _shift           # (p,) means, which dense columns are read less
    cdef const double[::1] _base            # (p,) what centring takes off sparse columns; 0 for dense ones
    cdef const int32_t[::1] _stop
    cdef double[::1] _mean, _h, _over
    cdef const double[::1] _w
    cdef readonly double reads              # entries of X

    def __init__(self, Design X, const double[::1] mean, bint intercept, const int32_t[::1] stop):
        cdef Py_ssize_t p = max(X.p, 1)
        self.X, self._base, self._shift, self._stop = X, mean, mean, stop
        self.cols, self.products = Columns(X.p), Gram()
        if intercept and X.ptr == NULL and X.p:
            self.cols.shift = &mean[0]
            self._base = np.zeros(p)
        self._mean, self._h = np.zeros(p), np.zeros(p)
        self.q.n, self.q.mean, self.q.h = X.n, &self._mean[0], &self._h[0]

    cdef object heard(self):
        """Raise KeyboardInterrupt where somebody asks to stop."""
        PyErr_CheckSignals()
        if self._stop[0]:
            raise KeyboardInterrupt

    def fetch(self, const Py_ssize_t[::1] ids):
        """Have these columns at hand."""
        cdef Py_ssize_t m = ids.shape[0]
        if m and self.X.fetch(&ids[0], m, self.cols) == NO_MEMORY:
            raise MemoryError

    def weigh(self, const Py_ssize_t[::1] ids, const double[::1] w, bint centred):
        """Moments of fetched columns under weights w (n,) of sum 1: means where `centred`, and Σ w (x − mean)²."""
        cdef Py_ssize_t k, j
        cdef double out[3]
        cdef double guess
        self._w, self.q.w = w, &w[0]
        with nogil:
            for k in range(ids.shape[0]):
                j = ids[k]
                guess = self._base[j] if self.cols.shift == NULL else self.cols.shift[j]
                settle(&self.cols.line[self.cols.slot[j]], &w[0], guess, out)
                self._mean[j], self._h[j] = 0, out[1] + out[0] * out[0]
                if centred:
                    self._h[j] = out[1]
                    self._mean[j] = out[0] - (self.cols.shift[j] if self.cols.shift != NULL else 0)
                self.reads += self.cols.line[self.cols.slot[j]].size
        self.heard()

    def means(self, const Py_ssize_t[::1] ids):
        """(m,) what `weigh` found them to be, less what is taken off as columns are read."""
        return np.asarray(self._mean)[np.asarray(ids)]

    def gram(self, const Py_ssize_t[::1] ids, Py_ssize_t first, double[:, ::1] out):
        """Rows `first` and on, up to the diagonal, of the Gram of columns `ids` under the weights of `weigh`."""
        cdef Py_ssize_t m = ids.shape[0], start = first, k, each
        cdef bint enough = True
        while start < m and enough:
            each = (start + 1) * (self.X.entries // max(self.X.p, 1) + 1)
            k = min(m - start, max(8, 4 * SLICE // each))
            with nogil:
                enough = self.products.rows(&self.q, self.cols, &ids[0], start, k, &out[0, 0], out.shape[1])
            start += k
            self.heard()
        if not enough:
            raise MemoryError

    def spread(self, const Py_ssize_t[::1] ids, const double[:, ::1] b, double[:, ::1] eta):
        """eta (C, n) += (X_A − shift) b for b (m, C)"""
        cdef Py_ssize_t k, C = eta.shape[0], since = 0
        cdef int c
        cdef line_t *x
        for k in range(ids.shape[0]):
            with nogil:
                x = &self.cols.line[self.cols.slot[ids[k]]]
                for c in range(C):
                    if b[k, c] != 0:
                        axpy(x, b[k, c], &eta[c, 0])
                self.reads += x.size
            since += C * x.size
            if since > SLICE:
                since = 0
                self.heard()

    def correlate(self, const Py_ssize_t[::1] ids, const double[:, ::1] r, double[:, ::1] out):
        """out (m, C) = X_A'r_c about the columns' means, for residuals r (C, n)"""
        cdef Py_ssize_t k, C = r.shape[0], since = 0
        cdef int c
        cdef line_t *x
        cdef double[::1] total = np.sum(r, axis=1)
        for k in range(ids.shape[0]):
            with nogil:
                x = &self.cols.line[self.cols.slot[ids[k]]]
                for c in range(C):
                    out[k, c] = dot(x, &r[c, 0]) - self._base[ids[k]] * total[c]
                self.reads += x.size
            since += C * x.size
            if since > SLICE:
                since = 0
                self.heard()


cdef double shrink(const double *z, Py_ssize_t C, double threshold, double curvature, double *out) noexcept nogil:
    """out (C,) = argmin_b ½ h‖b‖² − z·b + threshold ‖b‖ with h the curvature; returns ‖out‖"""
    cdef Py_ssize_t c
    cdef double norm = 0, factor
    for c in range(C):
        norm += z[c] * z[c]
    norm = sqrt(norm)
    factor = 0 if norm <= threshold * TIE else (1 - threshold / norm) / curvature
    for c in range(C):
        out[c] = factor * z[c]
    return factor * norm


def sweep(const double[:, ::1] H, double[:, ::1] b, double[:, ::1] c, const double[::1] l1, const double[::1] l2,
          double tol, Py_ssize_t most):
    """Exact updates of every row of b (m, C), in order, `most` times or until none moves by more than `tol`.

    c = X'r (m, C) follows. Returns the largest h_j ‖Δb_j‖² of the last time.
    """
    cdef Py_ssize_t j, k, i, m = b.shape[0], C = b.shape[1]
    cdef double worst = 0, size
    cdef double[::1] room = np.empty(2 * C)
    cdef double *z = &room[0]
    cdef double *d = &room[C]
    with nogil:
        for _ in range(most):
            worst = 0
            for j in range(m):
                if not H[j, j] > 0:
                    continue
                for i in range(C):
                    z[i] = c[j, i] + H[j, j] * b[j, i]
                shrink(z, C, l1[j], H[j, j] + l2[j], d)
                size = 0
                for i in range(C):
                    d[i] -= b[j, i]
                    size += d[i] * d[i]
                if size == 0:
                    continue
                for i in range(C):
                    b[j, i] += d[i]
                for k in range(m):
                    for i in range(C):
                        c[k, i] -= H[j, k] * d[i]
                worst = max(worst, H[j, j] * size)
            if worst <= tol:
                break
    return worst
