"""The workspace of one problem: residual, coefficients, working set, and the passes over X that keep them true.

Work is counted in multiply-adds, and every SLICE of it somebody looks for Ctrl-C.
"""
from libc.math cimport fmax
from libc.stdlib cimport free
from libc.string cimport memset

import numpy as np

from regfast._active cimport Active
from regfast._cd cimport settle, sweep
from regfast._design cimport Columns, Design
from regfast._factor cimport wider
from regfast._loss cimport Loss
from regfast._penalty cimport Penalty
from regfast._residual cimport correlate, energy
from regfast._screen cimport admit, certificate
from regfast._state cimport ACTIVE, FREE, INTERRUPTED, NO_MEMORY, OK, OUTSIDE, WORKING, measure_t, status_t
from regfast._vec cimport axpy

cdef extern from "Python.h":
    int PyErr_CheckSignals() except -1

cdef enum:
    SLICE = 16777216  # multiply-adds between two looks for Ctrl-C, about 10 ms
    LEAST = 100       # columns that a round may always add to the working set


cdef class Workspace:
    """One problem and what solving it needs; X is shared, everything else here belongs to the call."""

    def __init__(self, Design X, Penalty pen, Loss loss, const double[::1] w, const double[::1] mean,
                 const double[::1] h, bint intercept, const Py_ssize_t[::1] block, const double[:, ::1] root,
                 const Py_ssize_t[::1] loose, bint by_kkt, const int32_t[::1] stop):
        """`block`: free columns, solved by `root` (_cd.settle); `loose`: free columns with bounds, left to descent."""
        cdef Py_ssize_t p = max(X.p, 1)
        self.X, self.pen, self.loss, self.profile, self.by_kkt = X, pen, loss, intercept, by_kkt
        self._w, self._mean, self._h = w, mean, h
        self._block, self._root, self._loose, self._stop = block, root, loose, stop
        self.cols = Columns(X.p)
        if intercept and X.ptr == NULL and X.p:  # a dense X is centred as it is read, a sparse one by the scalar rsum
            self.cols.shift = &mean[0]
            self._zero = np.zeros(p)
        self.active = Active()
        self._b, self._c = np.zeros(p), np.zeros(p)
        self._r, self._eta, self._step = np.zeros(X.n), np.zeros(X.n), np.empty(2 * max(block.shape[0], 1))
        self._inside = np.zeros(p, dtype=np.int8)
        self.q.n, self.q.rsum = X.n, 0
        self.q.w, self.q.h = &w[0], &h[0]
        self.q.mean = &mean[0] if self.cols.shift == NULL else &self._zero[0]
        self.q.b, self.q.r = &self._b[0], &self._r[0]

    def __dealloc__(self):
        free(self.ids)
        free(self.picked)
        free(self.old)

    # ---- Ctrl-C

    cdef bint stopped(self) noexcept nogil:
        if self._stop[0]:
            return True
        with gil:
            try:
                PyErr_CheckSignals()
            except BaseException as raised:
                self.error = raised
                return True
        return False

    cdef bint due(self, Py_ssize_t more) noexcept nogil:
        """Count work; every SLICE of it, look whether to stop."""
        self.work += more
        if self.work < SLICE:
            return False
        self.work = 0
        return self.stopped()

    # ---- passes

    cdef status_t correlations(self) noexcept nogil:
        """c = X'r, centred: one pass over X."""
        cdef Py_ssize_t j, start = 0, stop, each = self.X.entries // max(self.X.steps, 1) + 1
        cdef Py_ssize_t slice = max(1, SLICE // each)
        while start < self.X.steps:
            stop = min(start + slice, self.X.steps)
            self.X.scan(start, stop, self.q.r, self.cols.shift, &self._c[0])
            if self.due((stop - start) * each):
                return INTERRUPTED
            start = stop
        for j in range(self.X.p):
            self._c[j] -= self.q.mean[j] * self.q.rsum
        self.n_passes += 1
        return OK

    cdef status_t epoch(self, double alpha, const Py_ssize_t *ids, Py_ssize_t m, double *worst) noexcept nogil:
        """One sweep over `ids`, cut so that Ctrl-C is heard, then the free block."""
        cdef Py_ssize_t start = 0, stop, each = self.X.entries // max(self.X.p, 1) + 1
        cdef Py_ssize_t slice = max(1, SLICE // each)
        worst[0] = 0
        while start < m:
            stop = min(start + slice, m)
            worst[0] = fmax(worst[0], sweep(&self.q, self.cols, self.pen, alpha, ids + start, stop - start))
            if self.due((stop - start) * each):
                return INTERRUPTED
            start = stop
        self.unbind()
        self.used += 1
        return OK

    cdef void unbind(self) noexcept nogil:
        """Exact step on the block of free columns."""
        if self._block.shape[0]:
            settle(&self.q, self.cols, &self._block[0], self._block.shape[0], &self._root[0, 0],
                   self._root.shape[0], &self._step[0])

    cdef void refresh(self) noexcept nogil:
        """Residual, intercept and linear predictor anew from the coefficients: no drift survives it."""
        cdef Py_ssize_t i, j
        memset(&self._eta[0], 0, self.q.n * sizeof(double))
        for j in range(self.X.p):
            if self.q.b[j] != 0:
                axpy(&self.cols.line[self.cols.slot[j]], self.q.b[j], &self._eta[0])
        self.b0 = self.loss.intercept(&self._eta[0]) if self.profile else 0
        for i in range(self.q.n):
            self._eta[i] += self.b0
        self.q.rsum = self.loss.slope(&self._eta[0], self.q.r)
        if not self.profile:
            self.q.rsum = 0
        for i in range(self.q.n):
            self.q.r[i] -= self.q.rsum * self.q.w[i]
        self.b0 += self.q.rsum
        self.q.rsum = 0

    cdef double intercept(self) noexcept nogil:
        """The intercept on the scale of the data."""
        cdef Py_ssize_t j
        cdef double b0 = self.b0 + self.q.rsum
        if self.cols.shift != NULL:
            for j in range(self.X.p):
                if self.q.b[j] != 0:
                    b0 -= self.q.b[j] * self.cols.shift[j]
        return b0

    cdef double measured(self, measure_t m) noexcept nogil:
        if self.by_kkt:
            return m.kkt / self.curvature
        return m.gap / self.scale

    cdef double objective(self, double alpha) noexcept nogil:
        """½ Σ w (residual)² + α Σ pen_j(b_j)"""
        cdef Py_ssize_t j
        cdef double total = 0.5 * energy(&self.q)
        for j in range(self.X.p):
            if self.q.b[j] != 0:
                total += self.pen.value(alpha, self.q.b[j], j)
        return total

    cdef void recorrelate(self) noexcept nogil:
        """c on the working set and the block, from the residual as it stands."""
        correlate(&self.q, self.cols, self.ids, self.size, &self._c[0])
        if self._block.shape[0]:
            correlate(&self.q, self.cols, &self._block[0], self._block.shape[0], &self._c[0])

    cdef status_t proof(self, double alpha, measure_t *out) noexcept nogil:
        """The certificate: fresh residual, exact free block, all correlations in one pass."""
        cdef status_t status
        self.refresh()
        self.unbind()
        status = self.correlations()
        if status == OK:
            out[0] = certificate(self.pen, alpha, NULL, self.X.p, self.q.b, &self._c[0], self.q.h, energy(&self.q))
        return status

    # ---- the working set

    cdef status_t enlarge(self, double alpha, double bar, Py_ssize_t *added) noexcept nogil:
        """More columns for the working set, from the last correlations: at most as many as it has, or LEAST."""
        added[0] = admit(self.pen, alpha, bar, &self._c[0], self.q.h, self.X.p, max(LEAST, self.size),
                         &self._inside[0])
        if added[0] < 0:
            return NO_MEMORY
        return self.gather()

    cdef status_t gather(self) noexcept nogil:
        """The marked columns as a list, in their order (so that of two equal ones the first enters), ready to use."""
        cdef Py_ssize_t j, size = 0, block = self._block.shape[0]
        self.size = 0
        for j in range(self.X.p):
            self.size += WORKING <= self._inside[j] <= ACTIVE
        if self.size + block > self.room:
            self.room = self.size + self.size // 4 + block + LEAST
            if not (wider(<void **> &self.ids, 0, self.room) and wider(<void **> &self.picked, 0, self.room)
                    and wider(<void **> &self.old, 0, self.room)):
                return NO_MEMORY
        for j in range(self.X.p):
            if WORKING <= self._inside[j] <= ACTIVE:
                self.ids[size] = j
                size += 1
        return self.X.fetch(self.ids, size, self.cols)

    cdef void keep_active(self) noexcept nogil:
        """Mark as the working set what is not zero; loose columns stay, the block is not part of it."""
        cdef Py_ssize_t j
        for j in range(self.X.p):
            self._inside[j] = WORKING if self.q.b[j] != 0 else OUTSIDE
        for j in range(self._loose.shape[0]):
            self._inside[self._loose[j]] = WORKING
        for j in range(self.active.m):
            self._inside[self.active.id[j]] = ACTIVE
        for j in range(self._block.shape[0]):
            self._inside[self._block[j]] = FREE
