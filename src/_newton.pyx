"""One α of a likelihood that is not quadratic: Newton's steps, each the exact solution of a penalised least squares.

A step goes to the minimum of a model (`_model`), whose factor is kept for as long as the steps shrink fast without a
new one. A step that does not lower the true objective is halved. Residual, screening and certificate are those of the
likelihood itself: no model is believed. Lee, Sun & Saunders (2014), SIAM J. Optim. 24; Yuan, Ho & Lin (2012), JMLR 13.
"""
from libc.math cimport INFINITY, fabs, fmax, fmin, log, sqrt
from libc.string cimport memcpy

import numpy as np

from regfast._gap cimport certificate
from regfast._residual cimport correlate, energy, move
from regfast._model cimport UNASKED, Model
from regfast._screen cimport Screen
from regfast._solve cimport Solver
from regfast._state cimport (ACTIVE, INTERRUPTED, MAX_ITER, NO_MEMORY, OK, ROUNDING, SEPARATED, UNFIT, WORKING, level_t,
                             measure_t, status_t)
from regfast._work cimport Workspace

cdef enum:
    HALVINGS = 50
    IDLE = 10         # steps that may pass without a better measure
    SWEEPS = 6        # epochs by which coordinates descend on a model that the exact solve does not fit
    WORTH = 40        # sweeps that a factor may cost
    LONG = 1000000
    STEP = 128        # active columns whose products with each other cost as much as a step
    BLAS = 16         # how many multiply-adds of a factorisation cost one of a sweep

cdef double AWAY = 20      # from where the intercept alone puts it: a row that fits without penalty seldom goes so far
cdef double MOVING = 0.01  # by which Newton's steps still move a row where there is no minimum
cdef double CREEPING = 0.2  # as much nearer where coordinates descend: gap and error are of one size then
cdef double SLIGHT = 1e12  # times rounding, a tenth of α: what two that tie may differ by until steps are exact
cdef double NOISE = 1.4e-14  # of P_null, times √n: what a sum of n may seem to rise by when only rounding is left
cdef double LOOSE = 0.3, TIGHT = 0.1  # of the model's gradient: the most and the least that conjugate gradients leave
cdef double WITHIN = 0.5   # of tol: what the working set is solved to before the other columns are looked at


cdef class Newton(Model):
    """How one α is solved where the loss is not quadratic."""

    def __init__(self, *args):
        Model.__init__(self, *args)
        if not self.loss.quadratic:
            self._base, self.tied = np.zeros(self.X.n), np.zeros(max(self.X.p, 1), dtype=np.int32)

    cdef bint quiet(self, double alpha) noexcept nogil:
        """Whether no working column that is zero wants to be otherwise."""
        cdef Py_ssize_t k, j
        cdef double noise = 4e-15 * sqrt(energy(&self.q))
        if not self.matched:
            return True
        for k in range(self.size):
            j = self.ids[k]
            if self.q.b[j] == 0 and self.excess(alpha, j, noise, 1) > 0 and not self.tie(alpha, j):
                return False
        return True

    cdef bint tie(self, double alpha, Py_ssize_t j) noexcept nogil:
        """Whether column j depends on active ones that, at their best, leave it where it is (one of x and 1 − x)."""
        return self.tied[j] == self.models and self.excess(alpha, j, 0, SLIGHT) <= 0

    cdef bint stale(self, double now, double before, double aim) noexcept nogil:
        """Whether a new model costs less than the steps that it would save, at the rate of the last one."""
        if now >= before or not self.matched:
            return True
        return (log(now / aim) / log(before / now) - 1) * STEP > self.active.m

    cdef status_t follow(self, double alpha, double aim, long max_iter, int steps) noexcept nogil:
        """Newton's steps on the working set until its own measure is at most `aim`; UNFIT: not yet, after `steps`.

        Needs η, r and, on the working set, c as they are at b; leaves them so.
        """
        cdef double now, before = INFINITY, best = INFINITY, value = self.objective(alpha)
        cdef bint shortened = False
        cdef int idle = 0
        cdef Py_ssize_t most = 0  # columns in the factor: while more come in, there is more to gain
        cdef status_t status
        while True:
            now = self.measured(certificate(self.loss, self.pen, alpha, self.ids, self.size, &self.q, &self._eta[0],
                                            &self._c[0]))
            if now <= (aim if self.matched else CREEPING * aim) and (self.quiet(alpha) or now > 0.5 * before):
                return OK
            idle = 0 if now < 0.9 * best or self.active.m > most else idle + 1
            best, most = fmin(best, now), max(most, self.active.m)
            if idle > IDLE:
                return OK if now <= aim else ROUNDING
            if self.used >= max_iter:
                return MAX_ITER
            if steps == 0:
                return UNFIT
            if self.total == 0 or shortened or not self.matched or before < INFINITY and self.stale(now, before, aim):
                self.linearise()
            before, steps = now, steps - 1
            status = self.step_on_model(alpha / self.total, fmin(fmax(sqrt(sqrt(now)), TIGHT), LOOSE))
            if status != OK:
                return status
            if steps == 0 and self.foretold == UNASKED:
                self.anticipate(alpha)
            self.used += 1
            if not self.land(alpha, &value, &shortened):
                return ROUNDING
            self.recorrelate()
            self.current = not shortened
            if self.due((self.size + self.active.m) * (self.X.entries // max(self.X.p, 1) + 1)):
                return INTERRUPTED

    cdef status_t step_on_model(self, double a, double leave) noexcept nogil:
        """b moves to where the model, α and all in its units, has its minimum on the working set, or nearer to it."""
        cdef Py_ssize_t i, k, entered = 0, refused
        cdef status_t status = OK
        self.current, self.refusals = False, 0
        for i in range(self.q.n):
            self._base[i] = self._eta[i] - self.b0
        self.in_units()
        for k in range(self.size):
            self._c[self.ids[k]] /= self.total
            self.old[k] = self.q.b[self.ids[k]]
        self.weigh()
        self.face(&self.model)
        if self.matched and self.pen.lasso is not None and self.active.alpha != a \
                or self.active.factor.dropped > 50 + self.active.m // 2:
            self.matched = self.matched and self.active.refactor(self.pen, a)
        if not self.pays():
            status = UNFIT
        elif not self.matched:
            status = self.match(a)
        if status == OK:
            status = self.admit_violators(a, &entered, &refused)
        for k in range(self.size):  # (for `trade`)
            self._ahead[self.ids[k]] = self.q.b[self.ids[k]]
        if status == OK and not self.active.descend(&self.q, self.pen, a, &self._c[0], &self._inside[0]):
            status = UNFIT
        for k in range(self.refusals):
            if status == OK and entered == 0 and not self.tie(a, self.picked[k]):
                status = self.trade(a, self.refusals)
                break
        if status == UNFIT:  # dependent columns, or too many
            self.step_back()
            status = self.creep(a, leave)
        self.face(&self.truth)
        return status

    cdef void step_back(self) noexcept nogil:
        """b and r are again what they were when the step began; the active set is not."""
        cdef Py_ssize_t k
        self.matched = False
        for k in range(self.size):
            self.q.b[self.ids[k]] = self.old[k]
        self.face(&self.truth)
        memcpy(&self._eta[0], &self._base[0], self.q.n * sizeof(double))
        self.respond()
        self.in_units()
        self.face(&self.model)

    cdef status_t trade(self, double a, Py_ssize_t m) noexcept nogil:
        """m columns (`picked`) depend on active ones: where these, at their best, leave one eager, one of them goes."""
        cdef Py_ssize_t k, i, j = -1
        cdef double over, most = 0, noise = 4e-15 * sqrt(energy(&self.q))
        cdef status_t status
        for k in range(self.size):
            i = self.ids[k]
            if self.q.b[i] != self._ahead[i]:
                move(&self.q, &self.cols.line[self.cols.slot[i]], i, self.q.b[i] - self._ahead[i])
        self.reads += correlate(&self.q, self.cols, self.picked, m, &self._c[0])
        for k in range(m):
            i = self.picked[k]
            over = self.excess(a, i, noise, 10) / sqrt(self.q.h[i])
            self.tied[i] = 0 if over > 0 else self.models
            if over > most and self._inside[i] != ACTIVE:
                most, j = over, i
        if j < 0:
            return OK
        status = self.exchange(a, j)
        if status == UNFIT:
            self.matched = False
            return OK
        return status

    cdef status_t creep(self, double a, double leave) noexcept nogil:
        """Coordinates descend on the model, then conjugate gradients on what is not zero."""
        cdef Py_ssize_t k, m = 0
        cdef double first, worst, each = 0, read = self.gradients.read
        cdef status_t status = self.epoch(a, self.ids, self.size, &first)
        for k in range(self.size):
            if self.q.b[self.ids[k]] != 0:
                self.picked[m] = self.ids[k]
                each += self.cols.line[self.cols.slot[self.ids[k]]].size
                m += 1
        for _ in range(SWEEPS):
            if status == OK:
                status = self.epoch(a, self.picked, m, &worst)
                self.crept += each
                if worst < 0.01 * first:
                    break
        if status == OK:
            self.recorrelate()
            status = self.leap(a, leave)
        self.crept += self.gradients.read - read
        return status

    cdef bint pays(self) noexcept nogil:
        """Whether an exact solve, its factor included, costs less than sweeps over the columns that would be in it.

        Some sweeps, or as many as this α and the last one that did without a factor have taken.
        """
        cdef Py_ssize_t k, m = 0
        cdef double sweep = 0
        for k in range(self.size):
            if self.q.b[self.ids[k]] != 0:
                m += 1
                sweep += self.cols.line[self.cols.slot[self.ids[k]]].size
        return m * (<double> m * m / 3 + sweep) <= BLAS * fmax(WORTH * sweep, fmax(self.crept, self.crawl))

    cdef bint land(self, double alpha, double *value, bint *shortened) noexcept nogil:
        """The loss where the step has led; half as far, again and again, while the objective is not lower."""
        cdef Py_ssize_t i, k
        cdef double new, before = self.b0
        shortened[0] = False
        self.refresh()
        for _ in range(HALVINGS):
            new = self.objective(alpha)
            if new <= value[0] + NOISE * sqrt(self.q.n) * self.scale:
                value[0] = new
                return True
            shortened[0] = True
            self.matched = False
            for k in range(self.size):
                self.q.b[self.ids[k]] = 0.5 * (self.q.b[self.ids[k]] + self.old[k])
                if self._inside[self.ids[k]] == ACTIVE:
                    self._inside[self.ids[k]] = WORKING
            for i in range(self.q.n):
                self._eta[i] = 0.5 * (self._eta[i] - self.b0 + self._base[i])
            self.b0 = before
            self.respond()
        for k in range(self.size):
            self.q.b[self.ids[k]] = self.old[k]
        self.b0 = before
        self.refresh()
        return False

    cdef void renew(self) noexcept nogil:
        if not self.current:
            Workspace.renew(self)

    cdef void recorrelate(self) noexcept nogil:
        if not self.current:
            Workspace.recorrelate(self)

    cdef status_t take_stock(self, level_t level) noexcept nogil:
        self.current = False
        return Screen.take_stock(self, level)

    cdef status_t forget(self) noexcept nogil:
        self.current = False
        return Solver.forget(self)

    cdef status_t bare(self) noexcept nogil:
        if self.loss.quadratic:
            return Solver.bare(self)
        cdef status_t status
        memcpy(&self._ray[0], &self._eta[0], self.q.n * sizeof(double))
        status = self.follow(1, 1e-13, 1000, LONG)
        if self.distance() > AWAY and status < INTERRUPTED:  # from a minimum one more step leads nowhere
            memcpy(&self._ray[0], &self._eta[0], self.q.n * sizeof(double))
            self.linearise()
            status = self.step_on_model(1 / self.total, TIGHT)
            self.refresh()
            if status < INTERRUPTED:
                return SEPARATED if self.distance() > MOVING else OK
        return OK if status == ROUNDING else status

    cdef double distance(self) noexcept nogil:
        """The most that η differs by from what `bare` has kept of it."""
        cdef Py_ssize_t i
        cdef double most = 0
        for i in range(self.q.n):
            most = fmax(most, fabs(self._eta[i] - self._ray[i]))
        return most

    cdef status_t attempt(self, double alpha, double tol, long max_iter, measure_t *out) noexcept nogil:
        """Working set → Newton's steps → certificate, until the certificate holds."""
        if self.loss.quadratic:
            return Solver.attempt(self, alpha, tol, max_iter, out)
        cdef double aim = WITHIN * tol, now, best = INFINITY
        cdef Py_ssize_t added
        cdef int idle = 0
        cdef bint done, looked = False
        cdef status_t status, ended
        self.used = 0
        if self.crept > 0:
            self.crawl, self.crept = self.crept, 0
        self.shrink()
        ended = self.follow(alpha, aim, max_iter, 1)
        if ended == OK or ended == UNFIT:
            if self.foresee(alpha, &added) != OK:
                return NO_MEMORY
            ended = UNFIT if added else ended
        while True:
            if ended == UNFIT and (self.matched or looked):  # where coordinates descend, a look is cheaper than a step
                ended = self.follow(alpha, aim, max_iter, LONG if self.matched else 1)
            if ended == INTERRUPTED or ended == NO_MEMORY:
                return ended
            status = self.proof(alpha, out)
            if status != OK:
                return status
            now, looked, added = self.measured(out[0]), True, 0
            done = now <= tol
            if self.matched or not done:
                status = self.enlarge(alpha, &added)
            if status != OK:
                return status
            idle = 0 if added or self.matched or now < 0.9 * best else idle + 1
            best = fmin(best, now)
            if idle > IDLE:
                ended = ROUNDING
            if ended == MAX_ITER or added == 0 and (done or ended == ROUNDING):
                self.learn(alpha)
                return OK if done else ended
            if added == 0 and ended == OK:  # the working set is better than that: it was solved to `aim`
                aim *= 0.1
                if aim < 1e-18:
                    return ROUNDING
            ended = UNFIT
