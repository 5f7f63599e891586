"""Which columns to work on, and the proof that the others can stay out, with as little of X read as that takes.

A column outside the working set is read only where `_bounds` cannot rule it out; where that is too much of X, a whole
pass renews the references, together with the direction that the residual takes from here as α falls: one read for both.
"""
from libc.math cimport INFINITY, sqrt
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

import os

import numpy as np

from regfast._bounds cimport Bounds
from regfast._factor cimport wider
from regfast._gap cimport at, certificate
from regfast._penalty cimport Penalty
from regfast._residual cimport correlate, energy
from regfast._state cimport (ACTIVE, EVERY, FREE, INTERRUPTED, LIVE, NO_MEMORY, OK, OUTSIDE, UNHELD, WORKING, level_t,
                             measure_t, status_t)
from regfast._work cimport Workspace

cdef enum:
    LEAST = 100  # columns that a round may always add to the working set

cdef double SHARE = 0.1  # of X: where bounds leave more than this to be read, a whole pass also renews them
cdef double SPARSE = 2   # times as much where rows are sparse: extracted columns are read faster than rows are


cdef double largest(double *x, Py_ssize_t m, Py_ssize_t k) noexcept nogil:
    """The k-th largest of x[0..m), which is reordered (quickselect, Hoare 1961)."""
    cdef Py_ssize_t lo = 0, hi = m - 1, i, j
    cdef double pivot
    while lo < hi:
        pivot = x[(lo + hi) // 2]
        i, j = lo, hi
        while i <= j:
            while x[i] > pivot:
                i += 1
            while x[j] < pivot:
                j -= 1
            if i <= j:
                x[i], x[j] = x[j], x[i]
                i += 1
                j -= 1
        if k - 1 <= j:
            hi = j
        elif k - 1 >= i:
            lo = i
        else:
            break
    return x[k - 1]


cdef Py_ssize_t admit(Penalty pen, double alpha, const Py_ssize_t *ids, Py_ssize_t m, const double *c, const double *h,
                      Py_ssize_t cap, signed char *inside, Py_ssize_t *out) noexcept nogil:
    """Let in, of the columns `ids` (NULL: all m), those that would move from zero at α, the `cap` most eager at most.

    Marks them in `inside`, lists them in `out` and returns how many; −1 when memory ends.
    """
    cdef Py_ssize_t k, j, count = 0, added = 0
    cdef double least = 0
    cdef double *score
    for k in range(m):
        j = at(ids, k)
        count += inside[j] == OUTSIDE and h[j] > 0 and pen.prox(alpha, c[j], h[j], j) != 0
    if count > cap:
        score = <double *> malloc(count * sizeof(double))
        if score == NULL:
            return -1
        count = 0
        for k in range(m):
            j = at(ids, k)
            if inside[j] == OUTSIDE and h[j] > 0 and pen.prox(alpha, c[j], h[j], j) != 0:
                score[count] = pen.distance(alpha, 0, c[j], j) / sqrt(h[j])
                count += 1
        least = largest(score, count, cap)
        free(score)
    for k in range(m):
        j = at(ids, k)
        if inside[j] == OUTSIDE and h[j] > 0 and pen.prox(alpha, c[j], h[j], j) != 0:
            if added < cap and pen.distance(alpha, 0, c[j], j) / sqrt(h[j]) >= least:
                inside[j] = WORKING
                out[added] = j
                added += 1
    return added


cdef class Screen(Workspace):
    """A workspace that knows what it need not read."""

    def __init__(self, *args):
        Workspace.__init__(self, *args)
        self.bounds = Bounds(self.pen, self._w, self._over, self._h,
                             self._mean if self.cols.shift == NULL else self._zero, self.X.p)
        self.share = SPARSE * SHARE if self.X.sweeps else SHARE
        self.near_room = <Py_ssize_t> (SHARE * self.bounds.live) + LEAST
        self._ahead = np.zeros(max(self.X.p, 1))
        self.audit = np.empty(max(self.X.p, 1)) if os.environ.get("REGFAST_DEBUG_AUDIT") else None

    def __dealloc__(self):
        free(self.fresh)
        free(self.near)

    cdef status_t whole(self, double alpha) noexcept nogil:
        """c everywhere; the references learn it, and where the residual goes from here as α falls."""
        cdef status_t status
        cdef int k = 1
        cdef const double *v[2]
        cdef double *c[2]
        v[0], c[0] = self.q.r, &self._c[0]
        if self.matched and self.active.m:
            v[1], c[1] = &self._ray[0], &self._ahead[0]
            self.tangent(alpha, &self._ray[0])
            k = 2
        status = self.correlations(k, v, c)
        if status == OK and k == 2:
            self.bounds.remember(v[1], c[1])
        if status == OK:
            self.bounds.remember(v[0], c[0])
        return status

    cdef void look(self, double alpha) noexcept nogil:
        """The columns that the bounds cannot rule out at α; m_near = −1 where they are too many to list."""
        self.bounds.look(self.q.r)
        self.m_near = self.bounds.reach(alpha, self.bounds.doubt(), &self._inside[0], self.near, self.near_room)
        if self.m_near > self.near_room:
            self.m_near = -1
        self.bounds.name(self.near, self.m_near, NULL)

    cdef status_t survey(self, double alpha) noexcept nogil:
        """c wherever it can matter at α: on the working set, and on what the bounds cannot rule out."""
        cdef status_t status
        cdef Py_ssize_t read
        if self.few:
            self.m_near = 0
            self.recorrelate()
            return INTERRUPTED if self.due(self.X.entries) else OK
        if self.bounds.count:
            self.look(alpha)
            if self.m_near >= 0 and self.X.sweeps:  # one sweep for these spares many passes later
                status = self.fetch(alpha, self.near, self.m_near, self.m_near + self.room)
                if status != OK:
                    return status
            if self.m_near >= 0 and self.X.toll(self.near, self.m_near, self.cols) <= self.share * self.X.entries:
                status = self.X.fetch(self.near, self.m_near, self.cols)
                if status != OK:
                    return status
                self.recorrelate()
                read = correlate(&self.q, self.cols, self.near, self.m_near, &self._c[0])
                self.reads += read
                self.checked += read
                return INTERRUPTED if self.due(read) or not self.audited(alpha) else OK
        status = self.whole(alpha)
        if status == OK:
            self.look(alpha)
        return status

    cdef bint audited(self, double alpha) noexcept nogil:
        """With REGFAST_DEBUG_AUDIT set: whether a whole pass agrees with what the bounds have ruled out."""
        cdef Py_ssize_t j, k
        cdef double checked = self.checked, reads = self.reads
        cdef const double *v
        cdef double *c
        if self.audit is None:
            return True
        v, c = self.q.r, &self.audit[0]
        if self.correlations(1, &v, &c) != OK:
            return False
        self.checked, self.reads = checked, reads
        for k in range(self.m_near):
            self.audit[self.near[k]] = 0
        for j in range(self.X.p):
            if self._inside[j] == OUTSIDE and self.q.h[j] > 0 \
                    and self.pen.distance(alpha, 0, self.audit[j], j) \
                    > 1e-12 * sqrt((self.q.h[j] + self.q.mean[j] * self.q.mean[j]) * energy(&self.q)):
                with gil:
                    self.error = AssertionError(f"audit: column {j} was ruled out at alpha={alpha!r}, but its "
                                                f"correlation is {self.audit[j]!r}")
                return False
        return True

    cdef status_t proof(self, double alpha, measure_t *out) noexcept nogil:
        """The certificate: fresh residual, exact free block, correlations wherever they can matter."""
        cdef status_t status
        self.renew()
        status = self.survey(alpha)
        if status == OK:
            out[0] = self.judge(alpha)
        return status

    cdef status_t proof_by_all(self, double alpha, measure_t *out) noexcept nogil:
        """The same from all correlations, for those who want to read them."""
        cdef status_t status
        self.renew()
        self.m_near = -1
        status = self.whole(alpha)
        if status == OK:
            out[0] = self.judge(alpha)
        return status

    cdef measure_t judge(self, double alpha) noexcept nogil:
        """The certificate from the correlations as they stand."""
        cdef const Py_ssize_t *ids
        cdef Py_ssize_t m = self.looked_at(&ids)
        return certificate(self.loss, self.pen, alpha, ids, m, &self.q, &self._eta[0], &self._c[0])

    cdef Py_ssize_t looked_at(self, const Py_ssize_t **ids) noexcept nogil:
        """How many columns have their correlation; `ids` lists them, or is NULL where all have."""
        ids[0] = NULL
        if self.m_near < 0:
            return self.X.p
        # every other column has b = 0 and |c| below its threshold: it adds nothing to a gap
        memcpy(self.near + self.m_near, self.ids, self.size * sizeof(Py_ssize_t))
        ids[0] = self.near
        return self.m_near + self.size

    # ---- the working set

    cdef status_t foresee(self, double alpha, Py_ssize_t *added) noexcept nogil:
        """Columns that, as the references have it, pass their threshold at α join the working set: no read of X."""
        cdef status_t status
        added[0] = 0
        if self.bounds.count == 0 or self.few:
            return OK
        self.recentre()
        self.bounds.look(self.q.r)
        self.m_near = self.bounds.reach(alpha, 0, &self._inside[0], self.near, self.near_room)
        if self.m_near > self.near_room:
            self.near_room = self.m_near
            if not wider(<void **> &self.near, 0, self.near_room + self.room):
                return NO_MEMORY
            self.bounds.reach(alpha, 0, &self._inside[0], self.near, self.near_room)
        self.bounds.name(self.near, self.m_near, &self._c[0])
        status = self.enlarge(alpha, added)
        if status == OK:
            self.reads += correlate(&self.q, self.cols, self.fresh, added[0], &self._c[0])
        return status

    cdef status_t enlarge(self, double alpha, Py_ssize_t *added) noexcept nogil:
        """Columns last looked at that want to move at α join the working set: at most as many as it has, or LEAST."""
        cdef Py_ssize_t cap = max(LEAST, self.size)
        cdef status_t status = self.widen(cap)
        if status == OK:
            added[0] = admit(self.pen, alpha, NULL if self.m_near < 0 else self.near,
                             self.X.p if self.m_near < 0 else self.m_near, &self._c[0], self.q.h, cap, &self._inside[0],
                             self.fresh)
            if added[0] < 0:
                return NO_MEMORY
            status = self.gather(alpha, added[0])
        return status

    cdef status_t widen(self, Py_ssize_t more) noexcept nogil:
        """Room for so many more columns in the working set."""
        cdef Py_ssize_t need = self.size + more + self._block.shape[0]
        if need <= self.room and self.near != NULL:
            return OK
        self.room = need + need // 4 + LEAST
        if not (wider(<void **> &self.ids, self.size, self.room) and wider(<void **> &self.picked, 0, self.room)
                and wider(<void **> &self.old, 0, self.room) and wider(<void **> &self.fresh, 0, self.room)
                and wider(<void **> &self.near, max(self.m_near, 0), self.near_room + self.room)):
            return NO_MEMORY
        return OK

    cdef status_t gather(self, double alpha, Py_ssize_t m) noexcept nogil:
        """The m columns of `fresh` join `ids`, both ascending (so that of two equal ones the first enters)."""
        cdef Py_ssize_t i = self.size - 1, k = m - 1, to
        cdef status_t status = self.fetch(alpha, self.fresh, m, self.room)
        self.size += m
        for to in range(self.size - 1, -1, -1):
            if k < 0:
                break
            if i < 0 or self.fresh[k] > self.ids[i]:
                self.ids[to] = self.fresh[k]
                k -= 1
            else:
                self.ids[to] = self.ids[i]
                i -= 1
        return status

    cdef status_t fetch(self, double alpha, Py_ssize_t *ids, Py_ssize_t m, Py_ssize_t room) noexcept nogil:
        """Columns ids[0..m); where a sweep over X brings as many as one likes, also those that may soon be asked for.

        The list has room for so many; what is behind the m is overwritten.
        """
        cdef Py_ssize_t k, missing = 0, more = 0
        cdef double part = 0.5
        for k in range(m):
            missing += self.cols.slot[ids[k]] < 0
        if missing and self.X.sweeps and self.bounds.count:
            while part < 1:
                more = self.bounds.reach(part * alpha, 0, &self._inside[0], ids + m, room - m)
                if more <= room - m:
                    break
                part += 0.1
                more = 0
            self.bounds.name(ids + m, more, NULL)
        return self.X.fetch(ids, m + more, self.cols)

    cdef status_t take_stock(self, level_t level) noexcept nogil:
        """The working set anew, from nothing but the coefficients; no active set."""
        cdef Py_ssize_t j, m = 0
        cdef status_t status
        self.matched = False
        self.active.clear()
        for j in range(self.X.p):
            self._inside[j] = OUTSIDE
        for j in range(self._block.shape[0]):
            self._inside[self._block[j]] = FREE
        self.size, self.m_near = 0, -1
        for j in range(self.X.p):
            m += self.belongs(j, level)
        status = self.widen(m)
        m = 0
        for j in range(self.X.p):
            if status == OK and self.belongs(j, level):
                self._inside[j] = WORKING
                self.fresh[m] = j
                m += 1
        return self.gather(INFINITY, m) if status == OK else status

    cdef bint belongs(self, Py_ssize_t j, level_t level) noexcept nogil:
        """Whether column j is in a working set of that level."""
        cdef double least
        if self._inside[j] == FREE or self.q.h[j] == 0:
            return self._inside[j] != FREE and level == EVERY
        least = self.pen.least_hold(j)
        return level == EVERY or self.q.b[j] != 0 or level == LIVE and least < INFINITY \
            or least == 0 and (level == UNHELD or self.pen.ridge(1, j) == self.pen.ridge(0, j))

    cdef void shrink(self) noexcept nogil:
        """Columns at zero leave the working set, unless they are active or no threshold keeps them there."""
        cdef Py_ssize_t k, j, size = 0
        if self.few:
            return
        for k in range(self.size):
            j = self.ids[k]
            if self.q.b[j] != 0 or self._inside[j] == ACTIVE or self.pen.least_hold(j) == 0:
                self.ids[size] = j
                size += 1
            else:
                self._inside[j] = OUTSIDE
        self.size = size
