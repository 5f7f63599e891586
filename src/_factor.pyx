"""Cholesky factor of a Gram matrix whose rows come and go.

Rows enter in blocks through one triangular solve; few rows leave by rotations, many by factorising again from the first
of them on. Golub & Van Loan (2013), Matrix Computations, sections 4.2 and 6.5. Triangles are kept by rows, which LAPACK
reads as the upper triangle by columns.
"""
from libc.math cimport hypot, sqrt
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memmove

from scipy.linalg.cython_blas cimport dsyrk, dtrsm
from scipy.linalg.cython_lapack cimport dpotrf

from regfast._vec cimport regfast_axpy_f64, regfast_dot_f64

cdef double PIVOT = 1e-10  # a row whose part orthogonal to the others is smaller than this depends on them


cdef bint wider(void **x, Py_ssize_t keep, Py_ssize_t room) noexcept nogil:
    """*x moves to memory for `room` eight-byte numbers, with its first `keep`; False when memory ends."""
    cdef void *to = malloc(room * 8)
    if to == NULL:
        return False
    if keep:
        memcpy(to, x[0], keep * 8)
    free(x[0])
    x[0] = to
    return True


cdef class Factor:
    def __dealloc__(self):
        free(self.gram)
        free(self.chol)
        free(self.shift)
        free(self.cosine)
        free(self.sine)

    cdef bint reserve(self, Py_ssize_t more) noexcept nogil:
        """Room for `more` rows; the triangles double, so that growing costs no more than filling."""
        cdef Py_ssize_t i, room = max(2 * self.room, self.m + more, 32)
        cdef double *gram
        cdef double *chol
        if self.m + more <= self.room:
            return True
        gram = <double *> malloc(room * room * sizeof(double))
        chol = <double *> malloc(room * room * sizeof(double))
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
        return (wider(<void **> &self.shift, self.m, room) and wider(<void **> &self.cosine, 0, room)
                and wider(<void **> &self.sine, 0, room))

    cdef double *row(self, Py_ssize_t i) noexcept nogil:
        """Row i of the Gram, to be filled up to its diagonal before `append`."""
        return self.gram + i * self.room

    cdef Py_ssize_t append(self, Py_ssize_t k, signed char *taken) noexcept nogil:
        """Rows m to m + k of the Gram join the factor, less those that depend on the ones before them.

        Marks in `taken` (k,) which did, and returns how many. A single refused row stays behind row m of the factor,
        for `dependence`.
        """
        cdef Py_ssize_t i, t, kept, first = self.m
        cdef double *g
        cdef double *row
        cdef double d
        self.forward(first, k)
        for i in range(k):
            g, row, kept = self.gram + (first + i) * self.room, self.chol + (first + i) * self.room, 0
            for t in range(i):  # refused rows leave no column
                if taken[t]:
                    g[first + kept] = g[first + t]
                    kept += 1
            d = g[first + kept] = g[first + i]
            self.shift[self.m] = self.shift[first + i]
            if first + i > self.m:
                memcpy(self.gram + self.m * self.room, g, (self.m + 1) * sizeof(double))
                memcpy(self.chol + self.m * self.room, row, first * sizeof(double))
                g, row = self.gram + self.m * self.room, self.chol + self.m * self.room
            for t in range(first, self.m):
                row[t] = (g[t] - regfast_dot_f64(self.chol + t * self.room, row, t)) / self.chol[t * self.room + t]
            row[self.m] = d + self.shift[self.m] - regfast_dot_f64(row, row, self.m)
            taken[i] = row[self.m] > PIVOT * d
            if taken[i]:
                row[self.m] = sqrt(row[self.m])
                self.m += 1
        return self.m - first

    cdef void forward(self, Py_ssize_t first, Py_ssize_t k) noexcept nogil:
        """The first columns of rows first to first + k of the factor, from the Gram and the rows above."""
        cdef Py_ssize_t i
        cdef int m = <int> first, n = <int> k, room = <int> self.room
        cdef double one = 1
        for i in range(first, first + k):
            memcpy(self.chol + i * self.room, self.gram + i * self.room, first * sizeof(double))
        if m and n:
            dtrsm(b"L", b"U", b"T", b"N", &m, &n, &one, self.chol, &room, self.chol + first * self.room, &room)

    cdef bint refactor(self, Py_ssize_t start) noexcept nogil:
        """Rows from `start` on of the factor, anew from the Gram; False where it is not positive definite."""
        cdef Py_ssize_t i
        cdef int k = <int> (self.m - start), m = <int> start, room = <int> self.room, info = 0
        cdef double one = 1, minus = -1
        cdef double *corner = self.chol + start * self.room + start
        if k == 0:
            return True
        self.forward(start, k)
        for i in range(start, self.m):
            memcpy(self.chol + i * self.room + start, self.gram + i * self.room + start,
                   (i + 1 - start) * sizeof(double))
            self.chol[i * self.room + i] += self.shift[i]
        if m:
            dsyrk(b"U", b"T", &k, &m, &minus, self.chol + start * self.room, &room, &one, corner, &room)
        dpotrf(b"U", &k, corner, &room, &info)
        if start == 0:
            self.dropped = 0
        return info == 0

    cdef bint drop(self, const signed char *gone) noexcept nogil:
        """Rows marked in `gone` (m,) leave, the way that costs less; False where factorising again fails."""
        cdef Py_ssize_t i, t, r, c, first = self.m, count = 0
        cdef double rotations = 0, rest
        cdef double *to
        for i in range(self.m):
            if gone[i]:
                first = min(first, i)
                count += 1
                rotations += 3.0 * (self.m - i) * (self.m - i)
        rest = self.m - first
        if 10 * rotations <= rest * first * (first + rest) + rest * rest * rest / 3:  # BLAS 3 is ten times as fast
            for i in range(self.m - 1, -1, -1):
                if gone[i]:
                    self.rotate_out(i)
            return True
        r = first
        for i in range(first, self.m):
            if not gone[i]:
                to, c = self.gram + r * self.room, 0
                for t in range(i + 1):
                    if not gone[t]:
                        to[c] = self.gram[i * self.room + t]
                        c += 1
                self.shift[r] = self.shift[i]
                r += 1
        self.m = r
        return self.refactor(first)

    cdef void rotate_out(self, Py_ssize_t k) noexcept nogil:
        """Row k leaves; rotations, row by row, make the factor triangular again."""
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
            self.shift[i] = self.shift[i + 1]
        self.m = last
        self.dropped += 1

    cdef void solve(self, const double *rhs, double *x) noexcept nogil:
        """x = (L L')⁻¹ rhs"""
        cdef Py_ssize_t i
        for i in range(self.m):
            x[i] = (rhs[i] - regfast_dot_f64(self.chol + i * self.room, x, i)) / self.chol[i * self.room + i]
        self.backward(x)

    cdef void backward(self, double *x) noexcept nogil:
        """x = L'⁻¹ x"""
        cdef Py_ssize_t i
        for i in range(self.m - 1, -1, -1):
            x[i] /= self.chol[i * self.room + i]
            regfast_axpy_f64(self.chol + i * self.room, -x[i], x, i)

    cdef void dependence(self, double *a) noexcept nogil:
        """The combination of rows that a refused row is equal to: L' a = its row of the factor."""
        memcpy(a, self.chol + self.m * self.room, self.m * sizeof(double))
        self.backward(a)
