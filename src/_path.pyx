"""Down the path: null model, then α after α with warm starts.

The kernels that talk to Python are this one and the interrupt check of `_solve`: the GIL is released for every α,
Ctrl-C (or the shared stop flag) is looked for at least every few hundredths of a second. Nothing here prints, warns or
raises about the numbers: those come with a status, which Python words.
"""
from libc.math cimport INFINITY, fabs, fmax, fmin, sqrt
from libc.stdint cimport int32_t
from libc.stdlib cimport free, realloc

import numpy as np

from regfast._gap cimport at as nth, certificate, gap_at, gap_joined, limit_joined
from regfast._newton cimport Newton
from regfast._state cimport (ACTIVE, EVERY, INTERRUPTED, LIVE, NO_MEMORY, NULLS, OK, OUTSIDE, UNHELD, WORKING,
                             measure_t, status_t)


cdef double STRIDE = 0.6  # of the strength last solved for: an α further down is approached in such steps
cdef double NEAR = 0.8    # of it, or more: the active set and its factor follow

cdef enum:
    FEW = 64  # columns, or fewer, that all work all the time: to rule them out costs more than to read them


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
        """(data, indices); what they were copied from is given back at once."""
        cdef Py_ssize_t k
        cdef int32_t[::1] at = np.empty(self.count, dtype=np.int32)
        for k in range(self.count):
            at[k] = self.at[k]
        free(self.at)
        self.at = NULL
        cdef double[::1] x = np.empty(self.count)
        for k in range(self.count):
            x[k] = self.x[k]
        return np.asarray(x), np.asarray(at)


cdef class Fit(Newton):
    """What Python calls."""

    def start(self, double floor):
        """Fit the null model (intercept and free columns). Returns (status, value with intercept alone, P_null).

        Where P_null is at most `floor`, y is constant but for rounding; where free columns leave 1e-20 of the deviance,
        they fit it all. There is nothing to fit then, and P_null is 0.
        """
        cdef status_t status, outcome
        cdef double value, null
        cdef measure_t m
        with nogil:
            self.refresh()
            value = self.loss.held(&self._eta[0], &self.q)
            self.scale, self.curvature = fmax(value, 1e-300), sqrt(2 * fmax(value, 1e-300))
            status = OK
            if self._block.shape[0]:
                status = self.X.fetch(&self._block[0], self._block.shape[0], self.cols)
            if status == OK:
                status = self.take_stock(NULLS)
            if status == OK and self._loose.shape[0]:
                self.recorrelate()
                status = self.bare()
            if status < INTERRUPTED:
                outcome = self.proof_by_all(1, &m)
                status = outcome if outcome != OK else status
            null = self.objective(1)
            if null <= floor or (self._block.shape[0] or self._loose.shape[0]) and null <= 1e-20 * value:
                null = 0
            self.scale = null
            self.curvature = sqrt(2 * fmax(null, 1e-300))
        if status == NO_MEMORY:
            raise MemoryError
        self.used = 0
        return status, value, null

    def largest_pull(self, const double[:] factors, const double[:] scale, double noise):
        """max_j |c_j| / (v_j s_j) over the penalised columns, on the sides that bounds leave open.

        Correlations below `noise` times the root mean square of the column count as zero.
        """
        cdef Py_ssize_t j
        cdef double c, most = 0
        for j in range(self.X.p):
            c = self._c[j]
            if factors[j] > 0 and fabs(c) > noise * sqrt(self.q.h[j] + self._mean[j] * self._mean[j]) \
                    and (self.pen.high(j) > 0 if c > 0 else self.pen.low(j) < 0) and self.q.h[j] > 0:
                most = fmax(most, fabs(c) / (factors[j] * scale[j]))
        return most

    def correlation(self):
        """(p,) X'r at the current coefficients, centred."""
        return np.array(self._c[:self.X.p])

    def coef(self):
        """(p,) the current coefficients."""
        return np.array(self._b[:self.X.p])

    def at(self, const double[::1] coef, double alpha):
        """Certificate of given coefficients, free columns and intercept re-fitted: (gap, kkt, s, value, b0)."""
        cdef status_t status
        cdef measure_t out
        self._b[:self.X.p] = coef
        with nogil:
            status = self.take_stock(NULLS)
            if status == OK:
                status = self.proof_by_all(alpha, &out)
        if status == NO_MEMORY:
            raise MemoryError
        if status == INTERRUPTED:
            raise self.error or KeyboardInterrupt
        return out.gap, out.kkt, out.scale, self.loss.held(&self._eta[0], &self.q), self.intercept()

    def warm(self, const double[::1] coef):
        """Begin from these coefficients."""
        self.at(coef, 1)

    # ---- one of several linear predictors that share a likelihood: the others are in its offset

    def rescale(self, double null):
        """P_null of the whole likelihood: what measures are relative to."""
        self.scale, self.curvature = null, sqrt(2 * fmax(null, 1e-300))

    def begin(self):
        """The working set with which a path begins."""
        self.few = self.X.p <= FEW
        if self.take_stock(LIVE if self.few else UNHELD) != OK:
            raise MemoryError
        self.recorrelate()

    def resume(self, double alpha, double tol, long max_iter, bint look):
        """Solve at α after the offset has changed. Returns (status, what the working set lacked before).

        That is its gap, or how far its correlations are from feasible: what the others' coefficients make of it; where
        columns are free, no dual point is feasible, and the KKT residual says both. Where it lacks less than `tol`, the
        columns outside are only looked at with `look`.
        """
        cdef status_t status
        cdef measure_t out
        cdef double before, aim
        with nogil:
            self.current = False
            self.renew()
            self.recorrelate()
            out = certificate(self.loss, self.pen, alpha, self.ids, self.size, &self.q, &self._eta[0], &self._c[0])
            before = self.measured(out) if self.by_kkt else fmax(self.measured(out), 1 - out.scale)
            self.current = True
            # a gap of the order of that squared: of a class without coefficients it is
            aim = tol if self.by_kkt else fmax(tol * tol, 1e-20)
            status = self.solve(alpha, aim, max_iter, &out) if before > tol or look else OK
        self.n_iter += self.used
        if status == NO_MEMORY:
            raise MemoryError
        if status == INTERRUPTED:
            raise self.error or KeyboardInterrupt
        return status, before

    def reform(self):
        """The ridge of the columns has changed: a factor that has the old one in it serves no more."""
        self.active.alpha = -1

    def put(self, const double[::1] coef):
        """Stand at these coefficients (p,); `resume` comes next. Columns that are not 0 join the working set."""
        cdef Py_ssize_t k, j, m = 0
        for j in range(self.X.p):
            m += self._inside[j] == OUTSIDE and coef[j] != 0
        if self.widen(m) != OK:
            raise MemoryError
        m = 0
        for j in range(self.X.p):
            if self._inside[j] == OUTSIDE and coef[j] != 0:
                self._inside[j] = WORKING
                self.fresh[m] = j
                m += 1
        if m and self.gather(INFINITY, m) != OK:
            raise MemoryError
        for k in range(self.size):
            j = self.ids[k]
            self.q.b[j] = coef[j]
            if self._inside[j] == ACTIVE:
                self._inside[j] = WORKING
        self.matched = False

    def predictor(self):
        """(n,) offset + intercept + Xb, as they stand."""
        return np.array(self._eta)

    def profile_again(self):
        """The intercept after the offset has changed; returns by how much it moved."""
        cdef double b0 = self.b0
        with nogil:
            self.current = False
            self.renew()
        return fabs(self.b0 - b0)

    def reach(self, double alpha):
        """Correlations wherever they can matter at α.

        Returns the largest s that keeps s·r feasible, the same for the augmented rows, |Σ r| (see _gap), and the
        measure of this predictor, the others held.
        """
        cdef status_t status
        cdef double s = 1, joined = 1
        cdef Py_ssize_t k, m
        cdef const Py_ssize_t *ids
        with nogil:
            self.current = False
            self.renew()
            status = self.survey(alpha)
            if status == OK:
                m = self.looked_at(&ids)
                for k in range(m):
                    s = fmin(s, self.pen.limit(alpha, self._c[nth(ids, k)], nth(ids, k)))
                if self.pen.lasso is not None:
                    joined = limit_joined(self.pen, alpha, ids, m, self.q.b, &self._c[0])
        if status == NO_MEMORY:
            raise MemoryError
        if status == INTERRUPTED:
            raise self.error or KeyboardInterrupt
        return s, joined, self.lost, self.measured(self.judge(alpha))

    def shortfall(self, double alpha, double s, bint joined):
        """What these coefficients add to the duality gap at the dual point s·r, after `reach`."""
        cdef const Py_ssize_t *ids
        cdef Py_ssize_t m = self.looked_at(&ids)
        if joined:
            return gap_joined(self.pen, alpha, s, 0, ids, m, self.q.b, &self._c[0])
        return gap_at(self.pen, alpha, s, 0, ids, m, self.q.b, &self._c[0])

    def constant(self):
        """The intercept on the scale of the data."""
        return self.intercept()

    def descend(self, double alpha, long epochs):
        """Plain coordinate descent over every column, `epochs` sweeps: what benchmarks/ measures. Returns a status."""
        cdef double worst
        cdef status_t status
        with nogil:
            status = self.take_stock(EVERY)
            for _ in range(epochs):
                if status == OK:
                    status = self.epoch(alpha, self.ids, self.size, &worst)
        return status

    def run(self, const double[::1] alphas, double tol, long max_iter, bint early_stop, double total,
            report):
        """Solve for every α, descending.

        Returns (data, indices, indptr, intercepts, values, measures, epochs, passes, statuses), as many as were solved:
        fewer than asked where the path stopped early (no INTERRUPTED or NO_MEMORY among the statuses) or was cut off
        (one of them is last). `total` is the value that deviance is explained of, `report(k, measure)` is called for
        each α or None.
        """
        cdef Py_ssize_t i, k, done = 0, n_alphas = alphas.shape[0]
        cdef status_t status = OK
        cdef measure_t out
        cdef Found found = Found()
        cdef double alpha, reached, explained, earlier = 0
        cdef long used
        cdef double[:, ::1] scalars = np.empty((4, n_alphas))
        cdef long[:, ::1] counts = np.empty((2, n_alphas + 1), dtype=np.dtype("l"))
        cdef long[::1] indptr = np.zeros(n_alphas + 1, dtype=np.dtype("l"))
        self.begin()
        self.bounds.look(self.q.r)
        reached = 0 if self.few or self.support() > self._block.shape[0] else self.bounds.top(&self._inside[0])
        for k in range(n_alphas):
            alpha = alphas[k]
            with nogil:
                out.gap = out.kkt = 0
                used, status, self.far = 0, OK, alpha < NEAR * reached
                while status == OK and self.scale > 0 and STRIDE * reached > alpha and used < max_iter:
                    reached *= STRIDE
                    status = self.solve(reached, fmax(tol, 1e-3), min(1000, max_iter - used), &out)
                    status = status if status == INTERRUPTED or status == NO_MEMORY else OK
                    used += self.used
                reached = alpha
                if status != OK:
                    pass
                elif self.scale > 0:
                    status = self.solve(alpha, tol, max_iter - used, &out)
                    self.used += used
                elif self.stopped():
                    status = INTERRUPTED
                counts[1, k] = status
                if status != INTERRUPTED and status != NO_MEMORY:
                    for i in range(self.support()):
                        if not found.push(<int32_t> self.picked[i], self.q.b[self.picked[i]]):
                            status = counts[1, k] = NO_MEMORY
                            break
            if status == INTERRUPTED or status == NO_MEMORY:
                break
            scalars[0, k] = self.intercept()
            scalars[1, k] = self.loss.held(&self._eta[0], &self.q)
            scalars[2, k] = self.measured(out) if self.scale > 0 else 0
            scalars[3, k] = self.read_in_all()
            counts[0, k], indptr[k + 1] = self.used, found.count
            done = k + 1
            self.n_iter += self.used
            if report is not None:
                try:
                    report(k, scalars[2, k])
                except KeyboardInterrupt as raised:
                    self.error, status = raised, INTERRUPTED
                    counts[1, k + 1] = status
                    break
            explained = 1 - scalars[1, k] / total if total > 0 else 0
            if early_stop and k >= 4 and status == OK and (explained > 0.999 or explained - earlier < 1e-5 * explained):
                break
            earlier = explained
        data, indices = found.arrays()
        full = np.asarray(scalars)[:, :done]
        count = np.asarray(counts)
        return (data[:indptr[done]], indices[:indptr[done]], np.asarray(indptr)[:done + 1], full[0], full[1], full[2],
                count[0, :done], full[3], count[1, :done + 1 if status >= INTERRUPTED else done])
