"""The workspace of one problem: residual, coefficients, and the sweeps and passes over X that keep them true.

Work is counted in multiply-adds, and every SLICE of it somebody looks for Ctrl-C.
"""
from libc.math cimport fabs, fmax
from libc.stdlib cimport free
from libc.string cimport memset

import numpy as np

from regfast._active cimport Active
from regfast._cd cimport settle, sweep
from regfast._design cimport Columns, Design
from regfast._loss cimport Loss
from regfast._penalty cimport Penalty
from regfast._residual cimport combine, correlate, move_all
from regfast._state cimport INTERRUPTED, OK, measure_t, residual_t, status_t

cdef extern from "Python.h":
    int PyErr_CheckSignals() except -1

cdef enum:
    SLICE = 16777216  # multiply-adds between two looks for Ctrl-C, about 10 ms

cdef double FINE = 1e-14  # of P_null: what residuals may sum up to
cdef double SHORT = 1e-7  # the longest step of an intercept whose square does not count


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
        self._over = np.divide(1.0, w, out=np.zeros(X.n), where=np.asarray(w) > 0)
        self._r, self._eta, self._ray, self._bent = (np.zeros(X.n) for _ in range(4))
        self._step = np.empty(2 * max(block.shape[0], 1))
        self._inside = np.zeros(p, dtype=np.int8)
        self.q.n, self.q.rsum = X.n, 0
        self.q.w, self.q.over, self.q.h = &w[0], &self._over[0], &h[0]
        self.q.mean = &mean[0] if self.cols.shift == NULL else &self._zero[0]
        self.q.b, self.q.r = &self._b[0], &self._r[0]

    def __dealloc__(self):
        free(self.ids)
        free(self.picked)
        free(self.old)

    @property
    def n_passes(self):
        """Entries of X read so far, in units of all that it stores."""
        return self.read_in_all()

    cdef double read_in_all(self) noexcept nogil:
        return (self.reads + self.active.gram.read) / max(self.X.entries, 1)

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

    cdef status_t correlations(self, int k, const double **v, double **c) noexcept nogil:
        """c_i = X'v_i for k centred vectors: one pass over X."""
        cdef Py_ssize_t start = 0, stop, each = self.X.entries // max(self.X.steps, 1) + 1
        cdef Py_ssize_t slice = max(1, SLICE // each)
        while start < self.X.steps:
            stop = min(start + slice, self.X.steps)
            self.X.scan(start, stop, k, v, self.cols.shift, c)
            if self.due((stop - start) * each):
                return INTERRUPTED
            start = stop
        self.reads += self.X.entries
        self.checked += self.X.entries
        return OK

    cdef void tangent(self, double alpha, double *v) noexcept nogil:
        """v = −∂r/∂α on the active columns as they stand, centred."""
        cdef residual_t t = self.q
        cdef Py_ssize_t i
        t.r, t.rsum = v, 0
        memset(v, 0, t.n * sizeof(double))
        self.active.tangent(self.pen, alpha, self.q.b)
        move_all(&t, self.cols, self.active.id, self.active.m, self.active.step)
        for i in range(self.active.m):
            self.reads += self.cols.line[self.cols.slot[self.active.id[i]]].size
        for i in range(t.n):
            v[i] -= t.rsum * t.w[i]

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
        cdef Py_ssize_t m = self.support()
        self.loss.begin(&self._eta[0])
        self.reads += combine(self.cols, self.picked, m, self.q.b, &self._eta[0])
        self.respond()

    cdef void respond(self) noexcept nogil:
        """Intercept, residual and curvature of the linear predictor, which comes without its intercept."""
        cdef Py_ssize_t i
        cdef double total
        self.b0 = self.loss.intercept(&self._eta[0], self.b0, self.q.r, &self._bent[0]) if self.profile else 0
        for i in range(self.q.n):
            self._eta[i] += self.b0
        self.q.rsum = self.loss.slope(&self._eta[0], 0, self.q.r, &self._bent[0], &total)
        if not self.profile:
            self.q.rsum = 0
        elif FINE * self.scale < fabs(self.q.rsum) < SHORT * total and not self.loss.quadratic:
            self.refine(self.q.rsum / total)
        self.loss.moved()
        self.lost = 0 if self.loss.quadratic else fabs(self.q.rsum)
        self.recentre()

    cdef void refine(self, double step) noexcept nogil:
        """A last step of the intercept, too short for its curvature to change: makes up for the rounding of sums."""
        cdef Py_ssize_t i
        self.b0 += step
        self.q.rsum = 0
        for i in range(self.q.n):
            self._eta[i] += step
            self.q.r[i] -= step * self._bent[i]
            self.q.rsum += self.q.r[i]

    cdef void renew(self) noexcept nogil:
        """A fresh residual, free columns at their best, centred."""
        self.refresh()
        self.unbind()
        self.recentre()

    cdef void recentre(self) noexcept nogil:
        """What r has drifted by goes to the intercept."""
        cdef Py_ssize_t i
        if self.q.rsum != 0:
            for i in range(self.q.n):
                self.q.r[i] -= self.q.rsum * self.q.w[i]
            if self.loss.quadratic:
                self.b0 += self.q.rsum
            self.q.rsum = 0

    cdef Py_ssize_t support(self) noexcept nogil:
        """The columns whose coefficients are not zero, ascending, in `picked`; returns how many."""
        cdef Py_ssize_t i = 0, k = 0, j, m = 0, block = self._block.shape[0]
        while i < self.size or k < block:
            if k == block or i < self.size and self.ids[i] < self._block[k]:
                j = self.ids[i]
                i += 1
            else:
                j = self._block[k]
                k += 1
            if self.q.b[j] != 0:
                self.picked[m] = j
                m += 1
        return m

    cdef double intercept(self) noexcept nogil:
        """The intercept on the scale of the data."""
        cdef Py_ssize_t k
        cdef double b0 = self.b0 + self.q.rsum
        if self.cols.shift != NULL:
            for k in range(self.support()):
                b0 -= self.q.b[self.picked[k]] * self.cols.shift[self.picked[k]]
        return b0

    cdef double measured(self, measure_t m) noexcept nogil:
        """The measure, relative; an intercept that could not be found is held against it."""
        if self.by_kkt:
            return (m.kkt + self.lost) / self.curvature
        return (m.gap + self.lost) / self.scale

    cdef double objective(self, double alpha) noexcept nogil:
        """Loss + α Σ pen_j(b_j)"""
        cdef Py_ssize_t k, j
        cdef double total = self.loss.held(&self._eta[0], &self.q)
        for k in range(self.size):
            j = self.ids[k]
            total += self.pen.value(alpha, self.q.b[j], j)
        return total

    cdef void recorrelate(self) noexcept nogil:
        """c on the working set and the block, from the residual as it stands."""
        self.reads += correlate(&self.q, self.cols, self.ids, self.size, &self._c[0])
        if self._block.shape[0]:
            self.reads += correlate(&self.q, self.cols, &self._block[0], self._block.shape[0], &self._c[0])
