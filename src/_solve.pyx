"""One α: choose a working set, solve on it, prove the solution over all columns; repeat until the proof holds.

Where the active columns are independent the solve is exact (`_active`); dependent ones that refuse it, and supports too
large for it, are left to coordinate descent (`_cd`). This file chooses between the two; neither knows the other.
"""
from libc.math cimport fmax, sqrt
from libc.stdlib cimport free
from libc.string cimport memset

import numpy as np

from regfast._active cimport Active
from regfast._cd cimport correlate, energy, move, settle, sweep
from regfast._design cimport Columns, Design
from regfast._factor cimport wider
from regfast._loss cimport Loss
from regfast._penalty cimport Penalty
from regfast._screen cimport admit, certificate
from regfast._state cimport (ACTIVE, FREE, INTERRUPTED, MAX_ITER, NO_MEMORY, OK, OUTSIDE, ROUNDING, UNFIT, WORKING, measure_t,
                             status_t)
from regfast._vec cimport axpy

cdef extern from "Python.h":
    int PyErr_CheckSignals() except -1

cdef enum:
    SLICE = 16777216  # multiply-adds between two looks for Ctrl-C, about 10 ms
    BLOCK = 10        # epochs between two looks at the gap of the working set
    LEAST = 100       # columns that a round may always add to the working set
    MOST = 6000       # active columns that the exact solve may hold: its triangles take 16 bytes per pair
    BATCH = 128       # columns that enter the active set between two looks for Ctrl-C
    REFINE = 3        # exact solves from a fresh residual before descent by coordinates takes over


cdef class Solver:
    """One problem and the workspace to solve it; X is shared, everything else here belongs to the call."""

    def __init__(self, Design X, Penalty pen, Loss loss, const double[::1] w, const double[::1] mean,
                 const double[::1] h, bint intercept, const Py_ssize_t[::1] block, const double[:, ::1] inverse,
                 const Py_ssize_t[::1] loose, bint by_kkt, const int32_t[::1] stop):
        """`block`: free columns, solved exactly by `inverse`; `loose`: free columns with bounds, left to descent."""
        cdef Py_ssize_t p = max(X.p, 1)
        self.X, self.pen, self.loss, self.profile, self.by_kkt = X, pen, loss, intercept, by_kkt
        self._w, self._mean, self._h = w, mean, h
        self._block, self._inverse, self._loose, self._stop = block, inverse, loose, stop
        self.cols = Columns(X.p)
        self.active = Active()
        self._b, self._c = np.zeros(p), np.zeros(p)
        self._r, self._eta, self._step = np.zeros(X.n), np.zeros(X.n), np.empty(max(block.shape[0], 1))
        self._inside = np.zeros(p, dtype=np.int8)
        self.q.n, self.q.rsum = X.n, 0
        self.q.w, self.q.mean, self.q.h = &w[0], &mean[0], &h[0]
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

    cdef double objective(self, double alpha) noexcept nogil:
        """½ Σ w (residual)² + α Σ pen_j(b_j)"""
        cdef Py_ssize_t j
        cdef double total = 0.5 * energy(&self.q)
        for j in range(self.X.p):
            if self.q.b[j] != 0:
                total += self.pen.value(alpha, self.q.b[j], j)
        return total

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
            status = self.epoch(alpha, self.ids, self.size, &worst)
            moved[0] = moved[0] or worst > still
            m = 0
            for k in range(self.size):
                if self.q.b[self.ids[k]] != 0:
                    self.picked[m] = self.ids[k]
                    m += 1
            for _ in range(1, BLOCK):
                if status != OK or worst <= still or self.used >= max_iter:
                    break
                status = self.epoch(alpha, self.picked, m, &worst)
            if status != OK:
                return status
            correlate(&self.q, self.cols, self.ids, self.size, &self._c[0])
            if self.due(self.size * (self.X.entries // max(self.X.p, 1) + 1)):
                return INTERRUPTED
            if worst <= still or self.measured(certificate(self.pen, alpha, self.ids, self.size, self.q.b,
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

    cdef status_t enter(self, double alpha, Py_ssize_t k, Py_ssize_t *ids, Py_ssize_t *refused) noexcept nogil:
        """Columns ids[0..k) join the active set, a batch at a time so that Ctrl-C is heard; the refused come first."""
        cdef Py_ssize_t start = 0, m, i, count, each = self.X.entries // max(self.X.p, 1) + 1
        cdef status_t status
        refused[0] = 0
        if self.active.m + k > MOST:
            return UNFIT
        while start < k:
            m = min(BATCH, k - start)
            status = self.active.add(&self.q, self.cols, self.pen, alpha, m, ids + start, &self._c[0], &self._inside[0],
                                     &count)
            if status != OK:
                return status
            for i in range(count):
                ids[refused[0] + i] = ids[start + i]
            refused[0] += count
            start += m
            if self.due(m * (self.q.n + self.active.m * (each + self.active.m // 8))):
                return INTERRUPTED
        return OK

    cdef status_t match(self, double alpha) noexcept nogil:
        """The active set anew: the block, and what is neither zero nor at a bound, dependent columns exchanged."""
        cdef Py_ssize_t k, j, m = 0, refused
        cdef status_t status
        self.active.clear()
        for k in range(self._block.shape[0]):
            self.picked[k] = self._block[k]
        status = self.enter(alpha, self._block.shape[0], self.picked, &refused)
        if status != OK:  # (a dependent free column is left to the block step)
            return status
        for k in range(self.size):
            j = self.ids[k]
            self._inside[j] = WORKING
            if self.q.b[j] != 0 and self.pen.low(j) < self.q.b[j] < self.pen.high(j):
                self.picked[m] = j
                m += 1
        status = self.enter(alpha, m, self.picked, &refused)
        for k in range(refused):
            if status == OK:
                status = self.exchange(alpha, self.picked[k])
        if status == OK:
            self.matched = True
            if refused:
                self.recorrelate()
        return status

    cdef status_t admit_violators(self, double alpha, Py_ssize_t *entered, Py_ssize_t *refused) noexcept nogil:
        """Working columns that break their optimality condition become active; the worst dependent one is `refused`."""
        cdef Py_ssize_t k, j, m = 0, count
        cdef status_t status
        cdef double over, worst = 0, noise = 4e-15 * sqrt(energy(&self.q))
        for k in range(self.size):
            j = self.ids[k]
            if self._inside[j] < ACTIVE and self.excess(alpha, j, noise, 1) > 0:
                self.picked[m] = j
                m += 1
        status = self.enter(alpha, m, self.picked, &count)
        entered[0], refused[0] = m - count, -1
        for k in range(count):  # below ten times the rounding a dependent column is a tie
            j = self.picked[k]
            over = self.excess(alpha, j, noise, 10) / sqrt(self.q.h[j])
            if over > worst:
                worst, refused[0] = over, j
        return status

    cdef double excess(self, double alpha, Py_ssize_t j, double noise, double slack) noexcept nogil:
        """By how much column j breaks its optimality condition, less `slack` times what rounding can do."""
        return self.pen.distance(alpha, self.q.b[j], self._c[j], j) \
            - slack * (1e-13 * self.pen.kink(alpha, j) + noise * sqrt(self.q.h[j]))

    cdef void recorrelate(self) noexcept nogil:
        """c on the working set and the block, from the residual as it stands."""
        correlate(&self.q, self.cols, self.ids, self.size, &self._c[0])
        if self._block.shape[0]:
            correlate(&self.q, self.cols, &self._block[0], self._block.shape[0], &self._c[0])

    cdef status_t exchange(self, double alpha, Py_ssize_t j) noexcept nogil:
        """A dependent column enters, an active one leaves."""
        if self.due(self.active.m * (self.X.entries // max(self.X.p, 1) + self.active.m)):
            return INTERRUPTED
        return self.active.exchange(&self.q, self.cols, self.pen, alpha, j, &self._c[0], &self._inside[0])

    cdef status_t exact(self, double alpha, bint *moved) noexcept nogil:
        """Solve on the working set: Newton on the active columns, violators enter, until there are none.

        Needs c exact on the working set; leaves it so. UNFIT: dependent columns want in, or the search did not end.
        """
        cdef Py_ssize_t k, j, m, entered, refused
        cdef int count
        cdef status_t status
        moved[0] = False
        if self.matched and (self.pen.lasso is not None or self.active.factor.dropped > 50 + self.active.m // 2):
            self.matched = self.active.refactor(self.pen, alpha)
        status = OK if self.matched else self.match(alpha)
        for _ in range(200):
            if status == OK:
                status = self.admit_violators(alpha, &entered, &refused)
            if status == OK and moved[0] and entered == 0:
                if refused < 0:
                    return OK
                status = self.exchange(alpha, refused)
                self.recorrelate()
            if status != OK:
                self.matched = False
                return status
            m = self.active.m
            for k in range(m):
                j = self.active.id[k]
                self.picked[k], self.old[k] = j, self.q.b[j]
            count = self.active.descend(&self.q, self.pen, alpha, &self._c[0], &self._inside[0])
            for k in range(m):
                j = self.picked[k]
                if self.q.b[j] != self.old[k]:
                    move(&self.q, &self.cols.line[self.cols.slot[j]], j, self.q.b[j] - self.old[k])
            if count == 0:
                self.matched = False
                return UNFIT
            moved[0] = True
            self.used += count
            self.recorrelate()
            if self.due((self.size + m) * (self.X.entries // max(self.X.p, 1) + 1) + m * m):
                return INTERRUPTED
        self.matched = False
        return UNFIT

    cdef status_t forget(self) noexcept nogil:
        """Back to the null model. UNFIT, so that descent by coordinates goes on."""
        cdef Py_ssize_t j
        for j in range(self.X.p):
            self.q.b[j] = 0
        self.matched = False
        self.refresh()
        self.unbind()
        return UNFIT

    cdef status_t solve(self, double alpha, double bar, double tol, long max_iter, measure_t *out) noexcept nogil:
        """Working set → descent → certificate, until the certificate holds. `bar`: see _screen.admit."""
        cdef double aim = 0.5 * tol, before
        cdef Py_ssize_t added
        cdef bint moved, spent, hopeless = False
        cdef int tries = 0
        cdef status_t status
        self.used = 0
        self.keep_active()
        status = self.enlarge(alpha, fmax(bar, 0.05 * alpha), &added)
        while status == OK:
            before = self.objective(alpha)
            status = UNFIT
            if not hopeless and tries % (REFINE + 1) < REFINE and self.used < max_iter:
                status = self.exact(alpha, &moved)
            tries += 1
            if (status == OK or status == UNFIT) and not self.objective(alpha) <= before + 1e-9 * self.scale:
                status = self.forget()  # a near-dependence has blown up: begin again, without the exact solve
                hopeless = True
            if status == UNFIT:  # descend by coordinates for a while, longer each time, then try again
                self.matched = False
                status = self.polish(alpha, aim, min(max_iter, self.used + (BLOCK << min(tries, 20))), &moved)
                if status == MAX_ITER and self.used < max_iter:
                    status = OK
            spent = status == MAX_ITER
            if status == OK or spent:
                status = self.proof(alpha, out)
            if status != OK or self.measured(out[0]) <= tol:
                return status
            if spent:
                return MAX_ITER
            status = self.enlarge(alpha, alpha, &added)
            if added == 0 and tries > REFINE:  # the fresh residual asks for more digits than the drifted one
                if not moved or aim < 1e-17:
                    return ROUNDING
                aim *= 0.1
        return status
