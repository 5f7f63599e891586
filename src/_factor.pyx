"""Cholesky factor of a Gram matrix whose rows come and go.

Rows enter in blocks through one triangular solve; few rows leave by rotations, many by factorising again from the first
of them on. Golub & Van Loan (2013), Matrix Computations, sections 4.2 and 6.5. One square holds both: L by rows in the
lower triangle (which LAPACK reads as the upper one by columns), the Gram in the strictly upper one.
"""
from libc.math cimport hypot, sqrt
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy, memmove

from scipy.linalg.cython_blas cimport dsyrk, dtrsm
from scipy.linalg.cython_lapack cimport dpotrf

from regfast._simd cimport regfast_axpy_f64, regfast_dot_f64, regfast_spin

cdef enum:
    SMALL = 1048576  # multiply-adds below which our own loops win; BLAS does ten times as many a second

cdef double PIVOT = 1e-14  # a row whose part orthogonal to the others is smaller than this depends on them


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
        free(self.square)
        free(self.diagonal)
        free(self.shift)
        free(self.cosine)
        free(self.sine)

    cdef bint reserve(self, Py_ssize_t more) noexcept nogil:
        """Room for `more` rows, by a sixteenth more at a time, in place: the square is never held twice."""
        cdef Py_ssize_t i, room = max(self.room + self.room // 16, self.m + more, 32)
        cdef double *square
        if self.m + more <= self.room:
            return True
        square = <double *> realloc(self.square, room * room * sizeof(double))
        if square == NULL:
            return False
        for i in range(self.m - 1, 0, -1):
            memmove(square + i * room, square + i * self.room, self.m * sizeof(double))
        self.square, self.room = square, room
        return (wider(<void **> &self.diagonal, self.m, room) and wider(<void **> &self.shift, self.m, room)
                and wider(<void **> &self.cosine, 0, room) and wider(<void **> &self.sine, 0, room))

    cdef double *row(self, Py_ssize_t i) noexcept nogil:
        """Where row i of the Gram is to be put, up to its diagonal, before `append`."""
        return self.square + i * self.room

    cdef double gram(self, Py_ssize_t i, Py_ssize_t j) noexcept nogil:
        """An entry of the Gram."""
        return self.diagonal[i] if i == j else self.square[min(i, j) * self.room + max(i, j)]

    cdef Py_ssize_t append(self, Py_ssize_t k, signed char *taken) noexcept nogil:
        """Rows m to m + k of the Gram join the factor, less those that depend on the ones before them.

        Marks in `taken` (k,) which did, and returns how many. A single refused row stays behind row m of the factor,
        for `dependence`.
        """
        cdef Py_ssize_t i, t, kept, first = self.m, room = self.room
        cdef double *row
        cdef double *gram
        for i in range(first, first + k):  # the Gram moves up, the factor is made where it lay
            row = self.square + i * room
            self.diagonal[i] = row[i]
            for t in range(i):
                self.square[t * room + i] = row[t]
        self.forward(first, k)
        for i in range(k):
            gram, kept = self.square + first + i, first  # column first + i
            for t in range(i):  # refused rows leave no entry
                if taken[t]:
                    gram[kept * room] = gram[(first + t) * room]
                    kept += 1
            row = self.square + self.m * room
            self.diagonal[kept], self.shift[kept] = self.diagonal[first + i], self.shift[first + i]
            if kept < first + i:
                memcpy(row, self.square + (first + i) * room, first * sizeof(double))
                for t in range(kept):
                    self.square[t * room + kept] = gram[t * room]
            for t in range(first, kept):
                row[t] = self.square[t * room + kept]
            self.substitute(self.m, first, kept)
            row[kept] = self.diagonal[kept] + self.shift[kept] - regfast_dot_f64(row, 0, row, kept)
            taken[i] = row[kept] > PIVOT * self.diagonal[kept]
            if taken[i]:
                row[kept] = sqrt(row[kept])
                self.m += 1
        return self.m - first

    cdef void lower(self, Py_ssize_t i, Py_ssize_t start, Py_ssize_t stop) noexcept nogil:
        """Entries start to stop of row i of the Gram, copied to where the factor is made."""
        cdef Py_ssize_t t
        for t in range(start, stop):
            self.square[i * self.room + t] = self.square[t * self.room + i]

    cdef void forward(self, Py_ssize_t first, Py_ssize_t k) noexcept nogil:
        """The first columns of rows first to first + k of the factor, from the Gram (in place) and the rows above."""
        cdef Py_ssize_t i
        cdef int m = <int> first, n = <int> k, room = <int> self.room
        cdef double one = 1
        if k * first * first < SMALL:
            for i in range(first, first + k):
                self.substitute(i, 0, first)
        else:
            dtrsm(b"L", b"U", b"T", b"N", &m, &n, &one, self.square, &room, self.square + first * self.room, &room)

    cdef void substitute(self, Py_ssize_t i, Py_ssize_t start, Py_ssize_t stop) noexcept nogil:
        """Entries start to stop of row i of the factor, in place of the Gram's."""
        cdef Py_ssize_t t
        cdef double *row = self.square + i * self.room
        for t in range(start, stop):
            row[t] = (row[t] - regfast_dot_f64(self.square + t * self.room, 0, row, t)) \
                / self.square[t * self.room + t]

    cdef bint refactor(self, Py_ssize_t start) noexcept nogil:
        """Rows from `start` on of the factor, anew from the Gram; False where it is not positive definite."""
        cdef Py_ssize_t i
        cdef int k = <int> (self.m - start), m = <int> start, room = <int> self.room, info = 0
        cdef double one = 1, minus = -1
        cdef double *corner = self.square + start * self.room + start
        cdef double *row
        if k == 0:
            return True
        for i in range(start, self.m):
            self.lower(i, 0, i)
            self.square[i * self.room + i] = self.diagonal[i] + self.shift[i]
        if start == 0:
            self.dropped = 0
        if self.m * self.m * k < SMALL:
            for i in range(start, self.m):
                row = self.square + i * self.room
                self.substitute(i, 0, i)
                row[i] -= regfast_dot_f64(row, 0, row, i)
                if not row[i] > 0:
                    return False
                row[i] = sqrt(row[i])
            return True
        if m:
            self.forward(start, k)
            dsyrk(b"U", b"T", &k, &m, &minus, self.square + start * self.room, &room, &one, corner, &room)
        dpotrf(b"U", &k, corner, &room, &info)
        return info == 0

    cdef bint drop(self, const signed char *gone) noexcept nogil:
        """Rows marked in `gone` (m,) leave, the way that costs less; False where factorising again fails."""
        cdef Py_ssize_t i, t, r, c = 0, first = self.m
        cdef double rotations = 0, rest
        for i in range(self.m):
            if gone[i]:
                first = min(first, i)
                rotations += 3.0 * (self.m - i) * (self.m - i)
        rest = self.m - first
        if 10 * rotations <= rest * first * (first + rest) + rest * rest * rest / 3:  # BLAS 3 is ten times as fast
            for i in range(self.m - 1, -1, -1):
                if gone[i]:
                    self.rotate_out(i)
            return True
        for t in range(self.m):
            if not gone[t]:
                r = c
                for i in range(t, self.m):
                    if not gone[i]:
                        if i > t:
                            self.square[c * self.room + r] = self.square[t * self.room + i]
                        r += 1
                self.diagonal[c], self.shift[c] = self.diagonal[t], self.shift[t]
                c += 1
        self.m = c
        return self.refactor(first)

    cdef void rotate_out(self, Py_ssize_t k) noexcept nogil:
        """Row k leaves; rotations make the factor triangular again, found row by row, applied to eight rows at once."""
        cdef Py_ssize_t i, g, t, block, last = self.m - 1, room = self.room
        cdef double r
        cdef double *row
        for i in range(k):  # the Gram closes up
            memmove(self.square + i * room + k, self.square + i * room + k + 1, (last - k) * sizeof(double))
        i = k
        while i < last:
            block = min(8, last - i)
            row = self.square + (i + 1) * room
            regfast_spin(row + k, room, <int> block, self.cosine + k, self.sine + k, i - k)
            for g in range(block):
                t = i + g
                regfast_spin(row + i, room, 1, self.cosine + i, self.sine + i, g)
                r = hypot(row[t], row[t + 1])
                self.cosine[t], self.sine[t] = row[t] / r, row[t + 1] / r
                row[t] = r
                memcpy(row - room, row, (t + 1) * sizeof(double))
                memcpy(row - room + t + 1, row + t + 2, (last - t - 1) * sizeof(double))
                self.diagonal[t], self.shift[t] = self.diagonal[t + 1], self.shift[t + 1]
                row += room
            i += block
        self.m = last
        self.dropped += 1

    cdef void solve(self, const double *rhs, double *x) noexcept nogil:
        """x = (L L')⁻¹ rhs"""
        cdef Py_ssize_t i
        for i in range(self.m):
            x[i] = (rhs[i] - regfast_dot_f64(self.square + i * self.room, 0, x, i)) / self.square[i * self.room + i]
        self.backward(x)

    cdef void backward(self, double *x) noexcept nogil:
        """x = L'⁻¹ x"""
        cdef Py_ssize_t i
        for i in range(self.m - 1, -1, -1):
            x[i] /= self.square[i * self.room + i]
            regfast_axpy_f64(self.square + i * self.room, 0, -x[i], x, i)

    cdef void dependence(self, double *a) noexcept nogil:
        """The combination of rows that a refused row is equal to: L' a = its row of the factor."""
        memcpy(a, self.square + self.m * self.room, self.m * sizeof(double))
        self.backward(a)
