"""Exact minimisation over the active set: feature-sign search with a Cholesky factor that follows the set.

On columns of fixed sign the penalised quadratic is a linear system. Newton's step solves it; where a coefficient would
cross zero or a bound, an exact line search along the step stops or bends, the set changes, and the factor with it:
every round lowers the objective, so the search ends. Lee, Battle, Raina & Ng (2007), NIPS 19.
"""
from libc.math cimport INFINITY, fabs, fmax, fmin, sqrt
from libc.stdlib cimport free

from regfast._design cimport Columns
from regfast._factor cimport Factor, wider
from regfast._gram cimport Gram
from regfast._penalty cimport Penalty
from regfast._residual cimport move
from regfast._state cimport ACTIVE, FREE, NO_MEMORY, OK, UNFIT, WORKING, residual_t, status_t

cdef enum:
    CROWD = 512  # columns that may stop at once

cdef double DUST = 1e-7  # weights in a dependence that are only rounding


cdef class Active:
    def __cinit__(self):
        self.factor = Factor()
        self.gram = Gram()

    def __dealloc__(self):
        free(self.id)
        free(self.sign)
        free(self.rhs)
        free(self.step)
        free(self.stop)
        free(self.bend)
        free(self.mark)
        free(self.hit)

    cdef bint reserve(self, Py_ssize_t more) noexcept nogil:
        """Room for `more` columns; False when memory ends."""
        return self.factor.reserve(more) and self.widen(more)

    cdef bint widen(self, Py_ssize_t more) noexcept nogil:
        """The same, without the factor."""
        cdef Py_ssize_t room = max(2 * self.room, self.m + more, 32)
        if self.m + more <= self.room:
            return True
        self.room = room
        return (wider(<void **> &self.id, self.m, room) and wider(<void **> &self.sign, self.m, room)
                and wider(<void **> &self.rhs, 0, room) and wider(<void **> &self.step, 0, room)
                and wider(<void **> &self.stop, 0, room) and wider(<void **> &self.bend, 0, room)
                and wider(<void **> &self.mark, 0, room) and wider(<void **> &self.hit, 0, room))

    cdef void clear(self) noexcept nogil:
        """No active columns."""
        self.m = self.factor.m = self.factor.dropped = 0

    cdef bint refactor(self, Penalty pen, double alpha) noexcept nogil:
        """The factor anew: the ridge has changed with α, or rotations have left their rounding."""
        cdef Py_ssize_t i
        self.alpha = alpha
        for i in range(self.m):
            self.factor.shift[i] = pen.ridge(alpha, self.id[i])
        return self.factor.refactor(0)

    cdef status_t add(self, residual_t *q, Columns X, Penalty pen, double alpha, Py_ssize_t k, Py_ssize_t *ids,
                      const double *c, signed char *inside, Py_ssize_t *refused) noexcept nogil:
        """Columns ids[0..k) enter, on the side that they are on or that c pulls them to.

        Those that depend on the others stay out: they are moved to the front of `ids`, `refused` says how many.
        """
        cdef Py_ssize_t i, j, first = self.m
        if not self.reserve(k):
            return NO_MEMORY
        self.alpha = alpha
        for i in range(k):
            self.id[first + i] = ids[i]
            self.factor.shift[first + i] = pen.ridge(alpha, ids[i])
        if not self.gram.rows(q, X, self.id, first, k, self.factor.square, self.factor.room):
            return NO_MEMORY
        self.factor.append(k, self.mark)
        refused[0] = 0
        for i in range(k):
            j = ids[i]
            if self.mark[i]:
                self.id[self.m] = j
                self.sign[self.m] = 1 if (q.b[j] if q.b[j] != 0 else c[j]) > 0 else -1
                self.m += 1
                if inside[j] != FREE:
                    inside[j] = ACTIVE
            else:
                ids[refused[0]] = j
                refused[0] += 1
        return OK

    cdef status_t exchange(self, residual_t *q, Columns X, Penalty pen, double alpha, Py_ssize_t j, const double *c,
                           signed char *inside) noexcept nogil:
        """Column j wants to enter and may depend on the active ones, x_j = X_A a: then one of them all leaves.

        Along b_j += t, b_A −= t·a the fit stays and the penalty is linear: go where it falls, until a coefficient is
        zero or at a bound. The residual follows. UNFIT where none stops, or rounding has the last word.
        """
        cdef Py_ssize_t i, k, out = -1, refused
        cdef double *a = self.step
        cdef double stop, d, t, side, slope
        cdef status_t status = self.add(q, X, pen, alpha, 1, &j, c, inside, &refused)
        if status != OK or refused == 0:
            return status
        a = self.step
        self.factor.dependence(a)
        slope = pen.pull(alpha, q.b[j], 1 if (q.b[j] if q.b[j] != 0 else c[j]) > 0 else -1, j)
        for i in range(self.m):
            k = self.id[i]
            if fabs(a[i]) * sqrt(q.h[k]) <= DUST * sqrt(q.h[j]):
                a[i] = 0
            slope -= a[i] * pen.pull(alpha, q.b[k], self.sign[i], k)
        side = -1 if slope > 0 else 1
        t = stop_at(q.b[j], side, pen.kink(alpha, j), pen.low(j), pen.high(j))
        for i in range(self.m):
            k = self.id[i]
            stop = stop_at(q.b[k], -side * a[i], pen.kink(alpha, k), pen.low(k), pen.high(k))
            if stop < t:
                t, out = stop, i
        if t == INFINITY:
            return UNFIT
        for i in range(self.m):
            k = self.id[i]
            d = q.b[k]
            q.b[k] = fmin(fmax(d - t * side * a[i], pen.low(k)), pen.high(k))
            if i == out:
                q.b[k] = 0 if d * side * a[i] >= 0 and pen.kink(alpha, k) > 0 else pen.low(k) if side * a[i] > 0 \
                    else pen.high(k)
            move(q, &X.line[X.slot[k]], k, q.b[k] - d)
        d = q.b[j]
        q.b[j] = fmin(fmax(d + t * side, pen.low(j)), pen.high(j))
        move(q, &X.line[X.slot[j]], j, q.b[j] - d)
        if out < 0:  # j itself stopped
            q.b[j] = 0 if fabs(q.b[j]) <= 4e-16 * t else q.b[j]
            return OK
        inside[self.id[out]] = WORKING
        if not self.leave(inside):
            return UNFIT
        status = self.add(q, X, pen, alpha, 1, &j, c, inside, &refused)
        return UNFIT if refused else status

    cdef bint leave(self, const signed char *inside) noexcept nogil:
        """Columns that are no longer marked leave the set; False where the factor cannot follow."""
        cdef Py_ssize_t i, kept = 0
        for i in range(self.m):
            self.mark[i] = inside[self.id[i]] < ACTIVE
            if not self.mark[i]:
                self.id[kept], self.sign[kept] = self.id[i], self.sign[i]
                kept += 1
        if kept == self.m:
            return True
        self.m = kept
        return self.factor.drop(self.mark)

    cdef int descend(self, residual_t *q, Penalty pen, double alpha, double *c, signed char *inside) noexcept nogil:
        """Newton and line search until every active sign holds; b and c (on the set) follow, the residual does not.

        Needs c exact on the active columns. Columns that leave are marked WORKING in `inside`. Returns the number of
        linear systems solved; 0 where the search does not end: rounding has the last word.
        """
        cdef Py_ssize_t i, j, left
        cdef double t, slope, gain
        cdef int count = 0, limit = 3 * <int> self.m + 20
        while count < limit:
            count += 1
            slope, left = 0, 0
            for i in range(self.m):
                self.rhs[i] = c[self.id[i]] - pen.pull(alpha, q.b[self.id[i]], self.sign[i], self.id[i])
            self.factor.solve(self.rhs, self.step)
            for i in range(self.m):  # newly come, and wrong: it leaves before it moves
                j = self.id[i]
                slope += self.rhs[i] * self.step[i]
                if q.b[j] == 0 and self.sign[i] * self.step[i] <= 0 and pen.kink(alpha, j) > 0:
                    inside[j] = WORKING
                    left += 1
            if left:
                if not self.leave(inside):
                    return 0
                continue
            t = search(self, q, pen, alpha, slope, &gain)
            if t < 0:
                return 0
            if t < 1 and 0.5 * slope - self.overshoot(q, pen, alpha) > gain:
                self.halt(q, pen, alpha, c, inside)
            elif self.take(q, pen, alpha, c, t, inside):
                return count
            if not self.leave(inside):
                return 0
        return 0

    cdef double overshoot(self, residual_t *q, Penalty pen, double alpha) noexcept nogil:
        """What Newton's whole step loses of its gain if all that would cross zero or a bound stops there.

        With e what is taken off the step d, the objective falls by ½ d'Hd − ½ e'He: H d is the gradient, and e spares
        what it would have cost. Lists the columns in `hit`, where they stop in `stop`, e in `bend`; ∞ where they are
        too many to look at.
        """
        cdef Py_ssize_t i, k, j, count = 0
        cdef double total = 0, to
        for i in range(self.m):
            j = self.id[i]
            if breakpoint(q.b[j], self.step[i], pen.kink(alpha, j)) < 1:
                to = 0
            elif wall(q.b[j], self.step[i], pen.low(j), pen.high(j)) <= 1:
                to = pen.high(j) if self.step[i] > 0 else pen.low(j)
            else:
                continue
            self.hit[count], self.stop[count], self.bend[count] = i, to, to - q.b[j] - self.step[i]
            count += 1
        self.hits = count
        if count > CROWD:
            return INFINITY
        for i in range(count):
            total += 0.5 * self.bend[i] * self.bend[i] * (self.factor.gram(self.hit[i], self.hit[i])
                                                          + self.factor.shift[self.hit[i]])
            for k in range(i):
                total += self.bend[i] * self.bend[k] * self.factor.gram(self.hit[i], self.hit[k])
        return total

    cdef void halt(self, residual_t *q, Penalty pen, double alpha, double *c, signed char *inside) noexcept nogil:
        """b += step, but what `overshoot` found stops at zero or its bound and is to leave; c follows."""
        cdef Py_ssize_t i, k, j
        for i in range(self.m):
            j = self.id[i]
            c[j] -= self.rhs[i] - pen.ridge(alpha, j) * self.step[i]
            q.b[j] += self.step[i]
        for k in range(self.hits):
            i = self.hit[k]
            j = self.id[i]
            q.b[j] = self.stop[k]
            inside[j] = WORKING
            for j in range(self.m):
                c[self.id[j]] -= self.factor.gram(i, j) * self.bend[k]

    cdef void tangent(self, Penalty pen, double alpha, const double *b) noexcept nogil:
        """step = −∂b/∂α while the set and its signs hold."""
        cdef Py_ssize_t i, j
        for i in range(self.m):
            j = self.id[i]
            self.rhs[i] = (pen.pull(alpha, b[j], self.sign[i], j) - pen.pull(0, b[j], self.sign[i], j)) / alpha
        self.factor.solve(self.rhs, self.step)

    cdef bint take(self, residual_t *q, Penalty pen, double alpha, double *c, double t,
                   signed char *inside) noexcept nogil:
        """b += t·step; what crossed zero changes side, what stopped at zero or a bound is to leave. True when done."""
        cdef Py_ssize_t i, j
        cdef double to, stop
        cdef bint done = t == 1
        for i in range(self.m):
            j = self.id[i]
            c[j] -= t * (self.rhs[i] - pen.ridge(alpha, j) * self.step[i])
            stop = breakpoint(q.b[j], self.step[i], pen.kink(alpha, j))
            to = q.b[j] + t * self.step[i]
            if stop < t:
                self.sign[i] = -self.sign[i]
                done = False
            if wall(q.b[j], self.step[i], pen.low(j), pen.high(j)) <= t:
                to = pen.high(j) if self.step[i] > 0 else pen.low(j)
                stop = t
            elif stop == t:
                to = 0
            q.b[j] = to
            if stop == t:
                inside[j] = WORKING
                done = False
        return done


cdef inline double stop_at(double b, double d, double kink, double lo, double hi) noexcept nogil:
    """How far b + t d goes before it is zero, where the penalty has a kink there, or at a bound."""
    if kink > 0 and b * d < 0:
        return fabs(b / d)
    if d == 0:
        return INFINITY
    return (hi - b) / d if d > 0 else (lo - b) / d


cdef inline double breakpoint(double b, double d, double kink) noexcept nogil:
    """Where b + t d crosses zero, if the penalty has a kink there; ∞: nowhere in (0, 1)."""
    if kink > 0 and b * d < 0 and fabs(d) > fabs(b):
        return -b / d
    return INFINITY


cdef inline double wall(double b, double d, double lo, double hi) noexcept nogil:
    """Where b + t d meets a bound; ∞: not in (0, 1]."""
    if b + d > hi:
        return fmax(0, (hi - b) / d)
    if b + d < lo:
        return fmax(0, (lo - b) / d)
    return INFINITY


cdef inline double fall(double slope, double passed, double start, double stop) noexcept nogil:
    """How far the objective falls between two points of the step, no breakpoint between them."""
    return (stop - start) * (slope * (1 - 0.5 * (start + stop)) - passed)


cdef double search(Active A, residual_t *q, Penalty pen, double alpha, double slope, double *gain) noexcept nogil:
    """The t in (0, 1] that minimises the objective along the step, and by how much that is less.

    Its derivative there is (t − 1)·slope plus the kinks passed, each |step|·kink; it only rises, so walk the
    breakpoints upwards until it is no longer negative. A bound ends the walk. −1: rounding has made the slope useless.
    """
    cdef Py_ssize_t i, k, count = 0
    cdef double end = 1, passed = 0, t, stop, last = 0
    gain[0] = 0
    if slope < 0 or slope != slope:
        return -1
    for i in range(A.m):
        end = fmin(end, wall(q.b[A.id[i]], A.step[i], pen.low(A.id[i]), pen.high(A.id[i])))
        stop = breakpoint(q.b[A.id[i]], A.step[i], pen.kink(alpha, A.id[i]))
        if stop < 1:  # insertion sort: there are few
            k = count
            while k > 0 and A.stop[k - 1] > stop:
                A.stop[k], A.bend[k] = A.stop[k - 1], A.bend[k - 1]
                k -= 1
            A.stop[k], A.bend[k] = stop, fabs(A.step[i]) * pen.kink(alpha, A.id[i])
            count += 1
    for k in range(count + 1):
        stop = A.stop[k] if k < count else INFINITY
        t = fmin(end, 1 - passed / slope if slope > 0 else 0 if k < count else 1)
        if t <= stop:  # the derivative ends before the next breakpoint
            if t <= 0:
                return -1
            gain[0] += fall(slope, passed, last, t)
            return t
        gain[0] += fall(slope, passed, last, stop)
        passed, last = passed + A.bend[k], stop
        if (stop - 1) * slope + passed >= 0:
            return stop
    return end
