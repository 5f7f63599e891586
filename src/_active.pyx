"""Exact minimisation over the active set: feature-sign search with a Cholesky factor that follows the set.

On columns of fixed sign the penalised quadratic is a linear system. Newton's step solves it; where a coefficient would
cross zero or a bound, an exact line search along the step stops or bends, the set changes, and the factor with it:
every round lowers the objective, so the search ends. Lee, Battle, Raina & Ng (2007), NIPS 19; Golub & Van Loan (2013),
section 6.5, for the up- and down-dates.
"""
from libc.math cimport INFINITY, fabs, fmax, fmin, hypot, sqrt
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memmove

from scipy.linalg.cython_lapack cimport dpotrf

from regfast._cd cimport move
from regfast._design cimport Columns
from regfast._penalty cimport Penalty
from regfast._state cimport ACTIVE, NO_MEMORY, OK, REFUSED, UNFIT, WORKING, residual_t, status_t
from regfast._vec cimport dot, line_t, regfast_axpy_f64, regfast_dot_f64, waxpy

cdef double PIVOT = 1e-10  # a column whose part orthogonal to the active ones is smaller than this is dependent
cdef double DUST = 1e-7    # weights in such a dependence that are only rounding


cdef class Active:
    def __dealloc__(self):
        free(self.gram)
        free(self.chol)
        free(self.id)
        free(self.sign)
        free(self.rhs)
        free(self.step)
        free(self.cosine)
        free(self.sine)
        free(self.column)

    cdef bint grow(self, Py_ssize_t n) noexcept nogil:
        """Room for one more column; the triangles double, so that growing costs no more than filling."""
        cdef Py_ssize_t room = 2 * self.room if self.room else 32
        cdef Py_ssize_t i, size = room * sizeof(double)
        cdef double *gram
        cdef double *chol
        if self.column == NULL:
            self.column = <double *> malloc(n * sizeof(double))
            if self.column == NULL:
                return False
        if self.m < self.room:
            return True
        gram = <double *> malloc(room * size)
        chol = <double *> malloc(room * size)
        if gram == NULL or chol == NULL:
            free(gram)
            free(chol)
            return False
        for i in range(self.m):
            memcpy(gram + i * room, self.gram + i * self.room, (i + 1) * sizeof(double))
            memcpy(chol + i * room, self.chol + i * self.room, (i + 1) * sizeof(double))
        free(self.gram)
        free(self.chol)
        self.gram, self.chol, self.room = gram, chol, room
        return (wider(<void **> &self.id, self.m, room) and wider(<void **> &self.sign, self.m, room)
                and wider(<void **> &self.rhs, 0, room) and wider(<void **> &self.step, 0, room)
                and wider(<void **> &self.cosine, 0, room) and wider(<void **> &self.sine, 0, room))

    cdef status_t add(self, residual_t *q, Columns X, Penalty pen, double alpha, Py_ssize_t j,
                      double side) noexcept nogil:
        """Column j enters; REFUSED where it depends on those that are there."""
        cdef Py_ssize_t i, m = self.m
        cdef double total = 0, d
        cdef double *g
        cdef double *row
        cdef const line_t *x = &X.line[X.slot[j]]
        if not self.grow(q.n):
            return NO_MEMORY
        for i in range(q.n):
            self.column[i] = -q.mean[j] * q.w[i]
        waxpy(x, 1, q.w, self.column)
        for i in range(q.n):
            total += self.column[i]
        g, row = self.gram + m * self.room, self.chol + m * self.room
        for i in range(m):
            g[i] = dot(&X.line[X.slot[self.id[i]]], self.column) - q.mean[self.id[i]] * total
        g[m] = q.h[j]
        for i in range(m):
            row[i] = (g[i] - regfast_dot_f64(self.chol + i * self.room, row, i)) / self.chol[i * self.room + i]
        d = q.h[j] + pen.ridge(alpha, j) - regfast_dot_f64(row, row, m)
        if d <= PIVOT * q.h[j]:
            return REFUSED
        row[m] = sqrt(d)
        self.id[m], self.sign[m] = j, side
        self.m += 1
        return OK

    cdef status_t exchange(self, residual_t *q, Columns X, Penalty pen, double alpha, Py_ssize_t j, double side,
                           signed char *inside) noexcept nogil:
        """Column j, refused by `add` because x_j = X_A a, and an active one: one of them leaves.

        Along b_j += t, b_A −= t·a the fit stays and the penalty is linear: go where it falls, until a coefficient is
        zero or at a bound. The residual follows. UNFIT where none stops, or rounding has the last word.
        """
        cdef Py_ssize_t i, out = -1, m = self.m
        cdef double *a = self.step
        cdef double *row = self.chol + m * self.room
        cdef double stop, d, t, slope = pen.pull(alpha, q.b[j], side, j)
        for i in range(m):
            a[i] = row[i]
        for i in range(m - 1, -1, -1):
            a[i] /= self.chol[i * self.room + i]
            regfast_axpy_f64(self.chol + i * self.room, -a[i], a, i)
        for i in range(m):
            if fabs(a[i]) * sqrt(q.h[self.id[i]]) <= DUST * sqrt(q.h[j]):
                a[i] = 0
            slope -= a[i] * pen.pull(alpha, q.b[self.id[i]], self.sign[i], self.id[i])
        side = -1 if slope > 0 else 1
        t = stop_at(q.b[j], side, pen.kink(alpha, j), pen.low(j), pen.high(j))
        for i in range(m):
            d = -side * a[i]
            stop = stop_at(q.b[self.id[i]], d, pen.kink(alpha, self.id[i]), pen.low(self.id[i]), pen.high(self.id[i]))
            if stop < t:
                t, out = stop, i
        if t == INFINITY:
            return UNFIT
        for i in range(m):
            d = -t * side * a[i]
            if i == out:
                d = (0 if q.b[self.id[i]] * d <= 0 and pen.kink(alpha, self.id[i]) > 0
                     else pen.high(self.id[i]) if d > 0 else pen.low(self.id[i])) - q.b[self.id[i]]
            q.b[self.id[i]] += d
            move(q, &X.line[X.slot[self.id[i]]], self.id[i], d)
        q.b[j] += t * side
        move(q, &X.line[X.slot[j]], j, t * side)
        if out < 0:  # j itself stopped
            q.b[j] = 0 if fabs(q.b[j]) <= 4e-16 * t else q.b[j]
            return OK
        inside[self.id[out]] = WORKING
        self.remove(out)
        if self.add(q, X, pen, alpha, j, 1 if q.b[j] > 0 else -1) != OK:
            return UNFIT
        inside[j] = ACTIVE
        return OK

    cdef void remove(self, Py_ssize_t k) noexcept nogil:
        """The k-th active column leaves; rotations, row by row, make the factor triangular again."""
        cdef Py_ssize_t i, t, last = self.m - 1
        cdef double a, b, r
        cdef double *row
        cdef double *to
        for i in range(k, last):
            row, to = self.gram + (i + 1) * self.room, self.gram + i * self.room
            memcpy(to, row, k * sizeof(double))
            memmove(to + k, row + k + 1, (i + 1 - k) * sizeof(double))
            row, to = self.chol + (i + 1) * self.room, self.chol + i * self.room
            for t in range(k, i):  # the rotations found in the rows above
                a, b = row[t], row[t + 1]
                row[t] = self.cosine[t] * a + self.sine[t] * b
                row[t + 1] = self.cosine[t] * b - self.sine[t] * a
            r = hypot(row[i], row[i + 1])
            self.cosine[i], self.sine[i] = row[i] / r, row[i + 1] / r
            row[i] = r
            memcpy(to, row, (i + 1) * sizeof(double))
            self.id[i], self.sign[i] = self.id[i + 1], self.sign[i + 1]
        self.m = last
        self.removals += 1

    cdef bint refactor(self, Penalty pen, double alpha) noexcept nogil:
        """L anew from the Gram: when the ridge changes with α, or enough down-dates have left their rounding."""
        cdef Py_ssize_t i
        cdef int m = <int> self.m, room = <int> self.room, info = 0
        for i in range(self.m):
            memcpy(self.chol + i * self.room, self.gram + i * self.room, (i + 1) * sizeof(double))
            self.chol[i * self.room + i] += pen.ridge(alpha, self.id[i])
        if m:
            dpotrf(b"U", &m, self.chol, &room, &info)  # the lower triangle by rows is the upper one by columns
        self.removals = 0
        return info == 0

    cdef void solve(self) noexcept nogil:
        """step = (L L')⁻¹ rhs"""
        cdef Py_ssize_t i
        for i in range(self.m):
            self.step[i] = (self.rhs[i] - regfast_dot_f64(self.chol + i * self.room, self.step, i)) \
                / self.chol[i * self.room + i]
        for i in range(self.m - 1, -1, -1):
            self.step[i] /= self.chol[i * self.room + i]
            regfast_axpy_f64(self.chol + i * self.room, -self.step[i], self.step, i)

    cdef bint descend(self, residual_t *q, Penalty pen, double alpha, double *c, signed char *inside) noexcept nogil:
        """Newton and line search until every active sign holds; b and c (on the set) follow, the residual does not.

        Needs c exact on the active columns. Columns that leave are marked WORKING in `inside`. False where the search
        does not end: rounding has the last word, and descent by coordinates takes over.
        """
        cdef Py_ssize_t i, j, left
        cdef double t, slope
        for _ in range(3 * self.m + 20):
            slope = 0
            for i in range(self.m):
                self.rhs[i] = c[self.id[i]] - pen.pull(alpha, q.b[self.id[i]], self.sign[i], self.id[i])
            self.solve()
            left = self.m
            for i in range(self.m - 1, -1, -1):  # newly come, and wrong: it leaves before it moves
                j = self.id[i]
                slope += self.rhs[i] * self.step[i]
                if q.b[j] == 0 and self.sign[i] * self.step[i] <= 0 and pen.kink(alpha, j) > 0:
                    inside[j] = WORKING
                    self.remove(i)
            if self.m < left:
                continue
            t = search(self, q, pen, alpha, slope)
            if t < 0:
                return False
            if self.take(q, pen, alpha, c, t, inside):
                return True
        return False

    cdef bint take(self, residual_t *q, Penalty pen, double alpha, double *c, double t,
                   signed char *inside) noexcept nogil:
        """b += t·step; what crossed zero changes side, what stopped at zero or a bound leaves. True when done."""
        cdef Py_ssize_t i, j
        cdef double to, stop
        cdef bint done = t == 1
        for i in range(self.m - 1, -1, -1):
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
                self.remove(i)
        return done


cdef bint wider(void **x, Py_ssize_t keep, Py_ssize_t room) noexcept nogil:
    """*x moves to memory for `room` eight-byte numbers, with its first `keep`."""
    cdef void *to = malloc(room * 8)
    if to == NULL:
        return False
    if keep:
        memcpy(to, x[0], keep * 8)
    free(x[0])
    x[0] = to
    return True


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


cdef double search(Active A, residual_t *q, Penalty pen, double alpha, double slope) noexcept nogil:
    """The t in (0, 1] that minimises the objective along the step.

    Its derivative there is (t − 1)·slope plus the kinks passed, each |step|·kink; it only rises, so walk the
    breakpoints upwards until it is no longer negative. A bound ends the walk. −1: rounding has made the slope useless.
    """
    cdef Py_ssize_t i, k, count = 0
    cdef double end = 1, passed = 0, t, stop
    if slope < 0 or slope != slope:
        return -1
    for i in range(A.m):
        end = fmin(end, wall(q.b[A.id[i]], A.step[i], pen.low(A.id[i]), pen.high(A.id[i])))
        stop = breakpoint(q.b[A.id[i]], A.step[i], pen.kink(alpha, A.id[i]))
        if stop < 1:  # insertion sort: there are few
            k = count
            while k > 0 and A.cosine[k - 1] > stop:
                A.cosine[k], A.sine[k] = A.cosine[k - 1], A.sine[k - 1]
                k -= 1
            A.cosine[k], A.sine[k] = stop, fabs(A.step[i]) * pen.kink(alpha, A.id[i])
            count += 1
    for k in range(count):
        stop = A.cosine[k]
        t = 1 - passed / slope if slope > 0 else 0
        if t <= stop:
            return fmin(end, fmax(t, 0)) if t > 0 else -1
        if stop >= end:
            return end
        passed += A.sine[k]
        if (stop - 1) * slope + passed >= 0:
            return stop
    return fmin(end, 1 - passed / slope if slope > 0 else 1)
