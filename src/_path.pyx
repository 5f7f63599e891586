"""Down the path: null model, working set, coordinate descent, certificate; α after α with warm starts.

The only kernel that talks to Python: it releases the GIL for every α, looks for Ctrl-C (or the shared stop flag) at
least every few hundredths of a second, and returns arrays. It never prints, warns or raises about the numbers: those
come with a status, which Python words.
"""
from libc.math cimport fmax, sqrt
from libc.stdint cimport int32_t
from libc.stdlib cimport free, realloc
from libc.string cimport memset

import numpy as np

from regfast._cd cimport correlate, energy, settle, sweep
from regfast._design cimport Columns, Design
from regfast._loss cimport Loss
from regfast._penalty cimport Penalty
from regfast._screen cimport admit, certificate
from regfast._state cimport INTERRUPTED, MAX_ITER, NO_MEMORY, OK, ROUNDING, measure_t, residual_t, status_t
from regfast._vec cimport axpy

cdef extern from "Python.h":
    int PyErr_CheckSignals() except -1

cdef enum:
    SLICE = 16777216  # multiply-adds between two looks for Ctrl-C, about 10 ms
    BLOCK = 10        # epochs between two looks at the gap of the working set
    LEAST = 100       # columns that a round may always add to the working set


cdef class Found:
    """Growing sparse columns: the coefficients of the α's solved so far."""
    cdef int32_t *at
    cdef double *x
    cdef Py_ssize_t count, room

    def __dealloc__(self):
        free(self.at)
        free(self.x)

    cdef bint push(self, int32_t j, double b) noexcept nogil:
        cdef Py_ssize_t room = 2 * self.room + 64
        cdef void *at
        cdef void *x
        if self.count == self.room:
            at = realloc(self.at, room * sizeof(int32_t))
            if at == NULL:
                return False
            self.at = <int32_t *> at
            x = realloc(self.x, room * sizeof(double))
            if x == NULL:
                return False
            self.x, self.room = <double *> x, room
        self.at[self.count], self.x[self.count] = j, b
        self.count += 1
        return True

    cdef arrays(self):
        cdef Py_ssize_t k
        cdef int32_t[::1] at = np.empty(self.count, dtype=np.int32)
        cdef double[::1] x = np.empty(self.count)
        for k in range(self.count):
            at[k], x[k] = self.at[k], self.x[k]
        return np.asarray(x), np.asarray(at)


cdef class Fit:
    """One problem and the workspace to solve it; X is shared, everything else here belongs to the call."""
    cdef Design X
    cdef Columns cols
    cdef Penalty pen
    cdef Loss loss
    cdef residual_t q
    cdef bint profile                    # an intercept is fitted
    cdef bint by_kkt                     # no finite dual point: the KKT residual is the measure
    cdef double b0
    cdef double scale                    # the measure is relative to this
    cdef double curvature                # √(2 P_null): makes the KKT residual a number without units
    cdef const double[::1] _w, _mean, _h
    cdef double[::1] _b, _r, _eta, _c, _score, _step
    cdef Py_ssize_t[::1] _ids, _active, _added
    cdef signed char[::1] _inside
    cdef const Py_ssize_t[::1] _block, _loose
    cdef const double[:, ::1] _inverse
    cdef const int32_t[::1] _stop
    cdef Py_ssize_t size, used, work, k
    cdef readonly long n_iter, n_passes
    cdef readonly object error           # what a signal handler raised

    def __init__(self, Design X, Penalty pen, Loss loss, const double[::1] w, const double[::1] mean,
                 const double[::1] h, bint intercept, const Py_ssize_t[::1] block, const double[:, ::1] inverse,
                 const Py_ssize_t[::1] loose, bint by_kkt, const int32_t[::1] stop):
        """`block`: free columns, solved exactly by `inverse`; `loose`: free columns with bounds, left to descent."""
        cdef Py_ssize_t p = max(X.p, 1)
        self.X, self.pen, self.loss, self.profile, self.by_kkt = X, pen, loss, intercept, by_kkt
        self._w, self._mean, self._h = w, mean, h
        self._block, self._inverse, self._loose, self._stop = block, inverse, loose, stop
        self.cols = Columns(X.p)
        self._b, self._c, self._score = np.zeros(p), np.zeros(p), np.empty(p)
        self._r, self._eta, self._step = np.zeros(X.n), np.zeros(X.n), np.empty(max(block.shape[0], 1))
        self._ids, self._active = np.empty(p, dtype=np.intp), np.empty(p, dtype=np.intp)
        self._added, self._inside = np.zeros(1, dtype=np.intp), np.zeros(p, dtype=np.int8)
        self.q.n, self.q.rsum = X.n, 0
        self.q.w, self.q.mean, self.q.h = &w[0], &mean[0], &h[0]
        self.q.b, self.q.r = &self._b[0], &self._r[0]

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

    cdef status_t fetch(self, const Py_ssize_t *ids, Py_ssize_t m) noexcept nogil:
        return self.X.fetch(ids, m, self.cols)

    cdef status_t correlations(self) noexcept nogil:
        """c = X'r, centred: one pass over X."""
        cdef Py_ssize_t j, start = 0, stop, each = self.X.entries // max(self.X.steps, 1) + 1
        cdef Py_ssize_t slice = max(1, SLICE // each)
        while start < self.X.steps:
            stop = min(start + slice, self.X.steps)
            self.X.scan(start, stop, self.q.r, &self._c[0])
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
            settle(&self.q, self.cols, &self._block[0], self._block.shape[0], &self._inverse[0, 0], &self._step[0])

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

    cdef double measured(self, measure_t m) noexcept nogil:
        if self.by_kkt:
            return m.kkt / self.curvature
        return m.gap / self.scale

    # ---- one α

    cdef status_t polish(self, double alpha, double aim, long max_iter, bint *moved) noexcept nogil:
        """Descend on the working set until its own measure is at most `aim`."""
        cdef Py_ssize_t k, m
        cdef double worst, still = 1e-32 * 2 * self.scale
        cdef status_t status
        moved[0] = False
        while True:
            if self.used >= max_iter:
                return MAX_ITER
            status = self.epoch(alpha, &self._ids[0], self.size, &worst)
            moved[0] = moved[0] or worst > still
            m = 0
            for k in range(self.size):
                if self.q.b[self._ids[k]] != 0:
                    self._active[m] = self._ids[k]
                    m += 1
            for _ in range(1, BLOCK):
                if status != OK or worst <= still or self.used >= max_iter:
                    break
                status = self.epoch(alpha, &self._active[0], m, &worst)
            if status != OK:
                return status
            correlate(&self.q, self.cols, &self._ids[0], self.size, &self._c[0])
            if self.due(self.size * (self.X.entries // max(self.X.p, 1) + 1)):
                return INTERRUPTED
            if worst <= still or self.measured(certificate(self.pen, alpha, &self._ids[0], self.size, self.q.b,
                                                           &self._c[0], self.q.h, energy(&self.q))) <= aim:
                return OK

    cdef status_t proof(self, double alpha, measure_t *out) noexcept nogil:
        """The certificate: fresh residual, exact free block, all correlations in one pass."""
        cdef status_t status
        self.refresh()
        self.unbind()
        status = self.correlations()
        if status == OK:
            out[0] = certificate(self.pen, alpha, NULL, self.X.p, self.q.b, &self._c[0], self.q.h, energy(&self.q))
        return status

    cdef status_t enlarge(self, double alpha, double bar) noexcept nogil:
        """More columns for the working set, from the last correlations: at most as many as it has, or LEAST."""
        self.size = admit(self.pen, alpha, bar, self.q.b, &self._c[0], self.q.h, self.X.p, max(LEAST, self.size),
                          &self._inside[0], &self._score[0], &self._ids[0], &self._added[0])
        return self.fetch(&self._ids[0], self.size)

    cdef void keep_active(self) noexcept nogil:
        """The working set becomes what is not zero; loose columns stay, the block is not part of it."""
        cdef Py_ssize_t j
        self.size = 0
        for j in range(self.X.p):
            self._inside[j] = self.q.b[j] != 0
            self.size += self._inside[j]
        for j in range(self._loose.shape[0]):
            self._inside[self._loose[j]] = 1
        for j in range(self._block.shape[0]):
            self._inside[self._block[j]] = 0

    cdef status_t solve(self, double alpha, double bar, double tol, long max_iter, measure_t *out) noexcept nogil:
        """Working set → descent → certificate, until the certificate holds. `bar`: see _screen.admit."""
        cdef double aim = 0.5 * tol
        cdef bint moved, spent
        cdef status_t status
        self.used = 0
        self.keep_active()
        status = self.enlarge(alpha, fmax(bar, 0.05 * alpha))
        while status == OK:
            status = self.polish(alpha, aim, max_iter, &moved)
            spent = status == MAX_ITER
            if status == OK or spent:
                status = self.proof(alpha, out)
            if status != OK or self.measured(out[0]) <= tol:
                return status
            if spent:
                return MAX_ITER
            status = self.enlarge(alpha, alpha)
            if self._added[0] == 0:  # nothing to add: the fresh residual asks for more digits than the drifted one
                if not moved:
                    return ROUNDING
                aim *= 0.1
        return status

    # ---- what Python calls

    def start(self, double floor):
        """Fit the null model (intercept and free columns). Returns (status, value with intercept alone, P_null).

        Where P_null is at most `floor`, y is constant but for rounding and there is nothing to fit.
        """
        cdef status_t status
        cdef double value, null
        cdef measure_t m
        cdef bint moved
        with nogil:
            self.refresh()
            value = 0.5 * energy(&self.q)
            self.scale, self.curvature = fmax(value, 1e-300), sqrt(2 * fmax(value, 1e-300))
            status = OK
            if self._block.shape[0]:
                status = self.fetch(&self._block[0], self._block.shape[0])
            if status == OK and self._loose.shape[0]:
                status = self.fetch(&self._loose[0], self._loose.shape[0])
                self.keep_active()
                for k in range(self._loose.shape[0]):
                    self._ids[k] = self._loose[k]
                self.size = self._loose.shape[0]
                if status == OK:
                    status = self.polish(1, 1e-13, 100000, &moved)
            if status == OK or status == MAX_ITER:
                status = self.proof(1, &m)
            null = 0.5 * energy(&self.q)
            self.scale = null if null > floor else 0
            self.curvature = sqrt(2 * fmax(null, 1e-300))
        if status == NO_MEMORY:
            raise MemoryError
        self.used = 0
        return status, value, null

    def correlation(self):
        """(p,) X'r at the current coefficients, centred."""
        return np.array(self._c[:self.X.p])

    def coef(self):
        """(p,) the current coefficients."""
        return np.array(self._b[:self.X.p])

    def at(self, const double[::1] coef, double alpha):
        """Certificate of given coefficients, free columns and intercept re-fitted: (gap, kkt, s, value, b0)."""
        cdef Py_ssize_t j, m = 0
        cdef status_t status
        cdef measure_t out
        for j in range(self.X.p):
            self._b[j] = coef[j]
            if coef[j] != 0:
                self._active[m] = j
                m += 1
        with nogil:
            status = self.fetch(&self._active[0], m)
            if status == OK:
                status = self.proof(alpha, &out)
        if status == NO_MEMORY:
            raise MemoryError
        if status == INTERRUPTED:
            raise self.error or KeyboardInterrupt
        return out.gap, out.kkt, out.scale, 0.5 * energy(&self.q), self.b0 + self.q.rsum

    def warm(self, const double[::1] coef):
        """Begin from these coefficients."""
        self.at(coef, 1)

    def run(self, const double[::1] alphas, double before, double tol, long max_iter, bint early_stop, double total,
            report):
        """Solve for every α, descending; `before` is the strength that the current correlations belong to.

        Returns (data, indices, indptr, intercepts, values, measures, epochs, passes, statuses), as many as were solved:
        fewer than asked where the path stopped early (no INTERRUPTED or NO_MEMORY among the statuses) or was cut off
        (one of them is last). `total` is the value that deviance is explained of, `report(k, measure)` is called for
        each α or None.
        """
        cdef Py_ssize_t j, k, done = 0, n_alphas = alphas.shape[0]
        cdef status_t status = OK
        cdef measure_t out
        cdef Found found = Found()
        cdef double alpha, explained, earlier = 0
        cdef double[:, ::1] scalars = np.empty((3, n_alphas))
        cdef long[:, ::1] counts = np.empty((3, n_alphas), dtype=np.dtype("l"))
        cdef long[::1] indptr = np.zeros(n_alphas + 1, dtype=np.dtype("l"))
        for k in range(n_alphas):
            alpha = alphas[k]
            with nogil:
                out.gap = out.kkt = 0
                if self.scale > 0:
                    status = self.solve(alpha, 2 * alpha - before, tol, max_iter, &out)
                elif self.stopped():
                    status = INTERRUPTED
                before = alpha
                counts[2, k] = status
                if status != INTERRUPTED and status != NO_MEMORY:
                    for j in range(self.X.p):
                        if self.q.b[j] != 0 and not found.push(<int32_t> j, self.q.b[j]):
                            status = counts[2, k] = NO_MEMORY
                            break
            if status == INTERRUPTED or status == NO_MEMORY:
                break
            scalars[0, k] = self.b0 + self.q.rsum
            scalars[1, k] = 0.5 * energy(&self.q)
            scalars[2, k] = self.measured(out) if self.scale > 0 else 0
            counts[0, k], counts[1, k], indptr[k + 1] = self.used, self.n_passes, found.count
            done = k + 1
            self.n_iter += self.used
            if report is not None:
                report(k, scalars[2, k])
            explained = 1 - scalars[1, k] / total if total > 0 else 0
            if early_stop and k >= 4 and (explained > 0.999 or explained - earlier < 1e-5 * explained):
                break
            earlier = explained
        data, indices = found.arrays()
        full = np.asarray(scalars)[:, :done]
        count = np.asarray(counts)
        return (data[:indptr[done]], indices[:indptr[done]], np.asarray(indptr)[:done + 1], full[0], full[1], full[2],
                count[0, :done], count[1, :done], count[2, :min(done + 1, n_alphas) if status > ROUNDING else done])
