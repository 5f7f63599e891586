"""One α: choose a working set, solve on it, prove the solution over all columns; repeat until the proof holds.

Where the active columns are independent the solve is exact (`_active`); dependent ones that refuse it, and supports too
large for it, are left to coordinate descent (`_cd`). This file chooses between the two; neither knows the other.
"""
from libc.math cimport INFINITY, sqrt

from regfast._active cimport search
from regfast._conjugate cimport Conjugate
from regfast._gap cimport certificate
from regfast._residual cimport correlate, energy, move_all
from regfast._screen cimport Screen
from regfast._state cimport ACTIVE, INTERRUPTED, MAX_ITER, NO_MEMORY, OK, ROUNDING, UNFIT, WORKING, measure_t, status_t

cdef enum:
    BLOCK = 10        # epochs between two looks at the gap of the working set
    MOST = 16000      # active columns that the exact solve may hold: its square takes 8 bytes per pair, 2 GB
    BATCH = 128       # columns that enter the active set between two looks for Ctrl-C
    GRADIENTS = 100   # iterations that one step may take
    BLAS = 16         # how many multiply-adds of a factorisation cost one of a sweep
    WORTH = 200       # sweeps that a factor must cost for descent to be tried first
    REFINE = 3        # exact solves from a fresh residual before descent by coordinates takes over


cdef double HASTE = 0.1  # of the gradient: what a leap between epochs leaves


cdef class Solver(Screen):
    """How one α is solved on a workspace."""

    def __init__(self, *args):
        Screen.__init__(self, *args)
        self.gradients = Conjugate()

    cdef status_t leap(self, double alpha, double tol) noexcept nogil:
        """One of Newton's steps on the working columns that can move, by conjugate gradients; r follows, c does not.

        What coordinates leave behind is smooth: all their signs are right and they approach the minimum slowly. Needs c
        on those columns.
        """
        cdef Py_ssize_t i, k, j, m = 0
        cdef double t, gain, slope = 0, read = self.gradients.read
        self.matched = False
        self.active.clear()
        if not self.active.widen(self.size):
            return NO_MEMORY
        for k in range(self.size):
            j = self.ids[k]
            if self.q.b[j] != 0 and self.pen.low(j) < self.q.b[j] < self.pen.high(j):
                self.active.id[m], self.active.sign[m] = j, 1 if self.q.b[j] > 0 else -1
                self.active.rhs[m] = self._c[j] - self.pen.pull(alpha, self.q.b[j], self.active.sign[m], j)
                m += 1
        self.active.m = m
        if not self.gradients.solve(&self.q, self.cols, self.pen, alpha, self.active.id, m, self.active.rhs,
                                    self.active.step, tol, GRADIENTS):
            return NO_MEMORY
        for i in range(m):
            slope += self.active.rhs[i] * self.active.step[i]
        t = search(self.active, &self.q, self.pen, alpha, slope, &gain)
        if t > 0:
            for i in range(m):
                self.active.bend[i] = self.q.b[self.active.id[i]]
            self.active.take(&self.q, self.pen, alpha, &self._c[0], t, &self._inside[0])
            for i in range(m):
                self.active.bend[i] = self.q.b[self.active.id[i]] - self.active.bend[i]
            move_all(&self.q, self.cols, self.active.id, m, self.active.bend)
        self.active.clear()
        self.reads += self.gradients.read - read
        return INTERRUPTED if self.due(<Py_ssize_t> (self.gradients.read - read)) else OK

    cdef status_t polish(self, double alpha, double aim, long max_iter, double *budget, bint *moved) noexcept nogil:
        """Descend on the working set until its own measure is at most `aim`; MAX_ITER also where the budget is spent.

        That is a number of multiply-adds, from which is taken what this has cost.
        """
        cdef Py_ssize_t k, m
        cdef double worst, each, read = self.gradients.read, still = 1e-32 * 2 * self.scale
        cdef status_t status
        moved[0] = False
        while True:
            budget[0] -= self.gradients.read - read
            read = self.gradients.read
            if self.used >= max_iter or budget[0] < 0:
                return MAX_ITER
            status = self.epoch(alpha, self.ids, self.size, &worst)
            moved[0] = moved[0] or worst > still
            m, each = 0, 0
            for k in range(self.size):
                if self.q.b[self.ids[k]] != 0:
                    self.picked[m] = self.ids[k]
                    each += self.cols.line[self.cols.slot[self.ids[k]]].size
                    m += 1
            for _ in range(1, BLOCK):
                if status != OK or worst <= still or self.used >= max_iter:
                    break
                status = self.epoch(alpha, self.picked, m, &worst)
                budget[0] -= each
            if status != OK:
                return status
            self.reads += correlate(&self.q, self.cols, self.ids, self.size, &self._c[0])
            if self.due(self.size * (self.X.entries // max(self.X.p, 1) + 1)):
                return INTERRUPTED
            if worst <= still or self.measured(certificate(self.loss, self.pen, alpha, self.ids, self.size,
                                                           &self.q, &self._eta[0], &self._c[0])) <= aim:
                return OK
            status = MAX_ITER if self.used >= max_iter else self.leap(alpha, HASTE)
            if status != OK:
                return status

    cdef double lighter(self) noexcept nogil:
        """Multiply-adds that descent may take before a factor is made anew, half of what that takes; 0: it may not try.

        Where the penalty has a ridge, or α is far from the last one, it will be, and where columns are sparse that is
        far dearer than they are. Each time that descent was too slow, it is tried half as often.
        """
        cdef Py_ssize_t k, m = 0
        cdef double each = 0, factor
        if self.pen.lasso is None and not self.far:
            return 0
        if self.pause > 0:
            self.pause -= 1
            return 0
        for k in range(self.size):
            if self.q.b[self.ids[k]] != 0:
                each += self.cols.line[self.cols.slot[self.ids[k]]].size
                m += 1
        factor = <double> m * m * m / 3 / BLAS
        return factor / 2 if factor > WORTH * each else 0

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
        """Working columns that break their optimality condition become active; the worst dependent one is `refused`.

        A few at a time: once these are solved for, many of the others no longer want to (and the factor stays small).
        """
        cdef Py_ssize_t k, j, m = 0, count, most = max(16, self.active.m // 8)
        cdef status_t status
        cdef double over, worst = 0, noise = 4e-15 * sqrt(energy(&self.q))
        for k in range(self.size):
            j = self.ids[k]
            if m == most:
                break
            if self._inside[j] < ACTIVE and self.excess(alpha, j, noise, 1) > 0:
                self.picked[m] = j
                m += 1
        status = self.enter(alpha, m, self.picked, &count)
        entered[0], refused[0], self.refusals = m - count, -1, count
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

    cdef status_t exchange(self, double alpha, Py_ssize_t j) noexcept nogil:
        """A dependent column enters, an active one leaves."""
        if self.due(self.active.m * (self.X.entries // max(self.X.p, 1) + self.active.m)):
            return INTERRUPTED
        return self.active.exchange(&self.q, self.cols, self.pen, alpha, j, &self._c[0], &self._inside[0])

    cdef status_t exact(self, double alpha, long max_iter, bint *moved) noexcept nogil:
        """Solve on the working set: Newton on the active columns, violators enter, until there are none.

        Needs c exact on the working set; leaves it so. UNFIT: dependent columns want in, or the search did not end.
        """
        cdef Py_ssize_t k, j, m, entered, refused
        cdef int count
        cdef status_t status
        moved[0] = False
        if self.matched and (self.pen.lasso is not None and self.active.alpha != alpha
                             or self.active.factor.dropped > 50 + self.active.m // 2):
            self.matched = self.active.refactor(self.pen, alpha)
        status = OK if self.matched else self.match(alpha)
        for _ in range(200):
            if status == OK:
                status = self.admit_violators(alpha, &entered, &refused)
            if status == OK and moved[0] and entered == 0 and refused < 0:
                return OK
            if self.used >= max_iter:
                return MAX_ITER
            if status == OK and moved[0] and entered == 0:
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
                self.old[k] = self.q.b[self.picked[k]] - self.old[k]
            move_all(&self.q, self.cols, self.picked, m, self.old)
            if count == 0:
                self.matched = False
                return UNFIT
            moved[0] = True
            self.used += 1
            m = 0
            for k in range(self.size):  # (c of the active columns has followed them)
                if self._inside[self.ids[k]] < ACTIVE:
                    self.picked[m] = self.ids[k]
                    m += 1
            self.reads += correlate(&self.q, self.cols, self.picked, m, &self._c[0])
            m = self.active.m
            if self.due((self.size + m) * (self.X.entries // max(self.X.p, 1) + 1) + m * m):
                return INTERRUPTED
        self.matched = False
        return UNFIT

    cdef status_t forget(self) noexcept nogil:
        """Back to the null model. UNFIT, so that descent by coordinates goes on."""
        cdef Py_ssize_t k
        for k in range(self.size):
            self.q.b[self.ids[k]] = 0
        for k in range(self._block.shape[0]):
            self.q.b[self._block[k]] = 0
        self.matched = False
        self.refresh()
        self.unbind()
        return UNFIT

    cdef status_t bare(self) noexcept nogil:
        """The null model's columns, on a working set of nothing else; MAX_ITER at worst."""
        cdef bint moved
        cdef double endless = INFINITY
        cdef status_t status = self.exact(1, 1000, &moved)
        return self.polish(1, 1e-13, 100000, &endless, &moved) if status == UNFIT or status == MAX_ITER else status

    cdef status_t solve(self, double alpha, double tol, long max_iter, measure_t *out) noexcept nogil:
        """The solution at α, or what rounding leaves of it: never worse than the null model."""
        cdef status_t status = self.attempt(alpha, tol, max_iter, out)
        if status != INTERRUPTED and status != NO_MEMORY and not self.objective(alpha) <= self.scale * (1 + 1e-9):
            self.forget()
            status = self.proof(alpha, out)
            return ROUNDING if status == OK and self.measured(out[0]) > tol else status
        return status

    cdef status_t attempt(self, double alpha, double tol, long max_iter, measure_t *out) noexcept nogil:
        """Working set → exact solve or descent → certificate, until the certificate holds.

        The first solve, on the columns of the last α, is followed by a look at where the references put the others.
        """
        cdef double aim = 0.5 * tol, before, light, endless = INFINITY
        cdef Py_ssize_t added
        cdef bint moved, spent, done, first = True, hopeless = False
        cdef int tries = 0
        cdef status_t status = OK
        self.used = 0
        self.shrink()
        light = self.lighter()
        while status == OK:
            before = self.objective(alpha)
            status = UNFIT
            if light > 0:
                self.matched = False
                status = self.polish(alpha, aim, max_iter, &light, &moved)
                if status == MAX_ITER and self.used < max_iter:  # a factor would have been made by now
                    self.pause = self.patience = 2 * self.patience + 1
                    status = UNFIT
            if status == UNFIT and not hopeless and tries % (REFINE + 1) < REFINE and self.used < max_iter:
                status = self.exact(alpha, max_iter, &moved)
            tries += 1
            if status != INTERRUPTED and status != NO_MEMORY \
                    and not self.objective(alpha) <= before + 1e-9 * self.scale:
                status = self.forget()  # a near-dependence has blown up: begin again, without the exact solve
                hopeless = True
            if first and (status == OK or status == UNFIT):
                first = False
                if self.foresee(alpha, &added) != OK:
                    return NO_MEMORY
                if added:
                    status, tries = OK, 0
                    continue
            if status == UNFIT:  # descend by coordinates for a while, longer each time, then try again
                self.matched = False
                status = self.polish(alpha, aim, min(max_iter, self.used + (BLOCK << min(tries, 20))), &endless, &moved)
                if status == MAX_ITER and self.used < max_iter:
                    status = OK
            spent = status == MAX_ITER
            if status == OK or spent:
                status = self.proof(alpha, out)
            if status != OK:
                return status
            done = self.measured(out[0]) <= tol
            if spent or done and not self.matched:
                return OK if done else MAX_ITER
            status = self.enlarge(alpha, &added)  # even a gap below tol is no reason to leave out what wants in
            if done and added == 0:
                return OK
            if added == 0 and tries > REFINE:  # the fresh residual asks for more digits than the drifted one
                if not moved or aim < 1e-17:
                    return ROUNDING
                aim *= 0.1
        return status
