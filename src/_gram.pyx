"""Rows of the weighted, centred Gram of some columns: G_jk = Σ w (x_j − mean_j)(x_k − mean_k).

New columns meet all the others at once, so that one read of a column serves many: packed and multiplied by BLAS where
they are dense, laid out by rows where they are sparse, so that only rows which two columns share cost anything.
"""
from libc.stdlib cimport free, malloc
from libc.string cimport memset

from scipy.linalg.cython_blas cimport dgemm

from regfast._design cimport Columns
from regfast._state cimport residual_t
from regfast._vec cimport SPARSE, dot, line_t, meet, position, unpack, value, waxpy

cdef enum:
    FEW = 4      # fewer columns than this come one by one
    TILE = 1024  # rows …
    PACK = 64    # … and columns that are packed at a time: half a megabyte, in the second cache


cdef class Gram:
    def __dealloc__(self):
        free(self.panel)

    cdef bint room(self, Py_ssize_t size) noexcept nogil:
        """Room for `size` numbers in the panel; False when memory ends."""
        if size > self.size:
            free(self.panel)
            self.panel = <double *> malloc(size * sizeof(double))
            self.size = size if self.panel != NULL else 0
        return self.panel != NULL

    cdef bint rows(self, residual_t *q, Columns X, const Py_ssize_t *ids, Py_ssize_t first, Py_ssize_t k, double *out,
                   Py_ssize_t stride) noexcept nogil:
        """Products of columns ids[first .. first + k) with those before them and themselves; False when memory ends.

        Row i goes to out + i·stride, up to its diagonal.
        """
        cdef Py_ssize_t i = first, m, end = first + k
        cdef bint sparse = k > 0 and X.line[X.slot[ids[first]]].kind & SPARSE
        while i < end:
            m = end - i
            if m < FEW:
                m = 1
                if not self.one(q, X, ids, i, out + i * stride):
                    return False
            elif sparse:
                if not self.met(q, X, ids, i, m, out + i * stride, stride):
                    return False
            elif not self.packed(q, X, ids, i, m, out + i * stride, stride):
                return False
            i += m
        for i in range(first, end):
            out[i * stride + i] = q.h[ids[i]]
        return True

    cdef bint one(self, residual_t *q, Columns X, const Py_ssize_t *ids, Py_ssize_t i, double *out) noexcept nogil:
        """One row, by a dot product for each column."""
        cdef Py_ssize_t a, k, j = ids[i]
        cdef double total = 0
        if not self.room(q.n):
            return False
        for k in range(q.n):
            self.panel[k] = -q.mean[j] * q.w[k]
        waxpy(&X.line[X.slot[j]], 1, q.w, self.panel)
        for k in range(q.n):
            total += self.panel[k]
        for a in range(i):
            out[a] = dot(&X.line[X.slot[ids[a]]], self.panel) - q.mean[ids[a]] * total
            self.read += X.line[X.slot[ids[a]]].size
        return True

    cdef bint packed(self, residual_t *q, Columns X, const Py_ssize_t *ids, Py_ssize_t first, Py_ssize_t k, double *out,
                     Py_ssize_t stride) noexcept nogil:
        """k rows of dense columns (centred as they are read): tiles are packed, BLAS multiplies them."""
        cdef Py_ssize_t start = 0, a, g, m, size
        cdef double *pack = NULL
        cdef double one = 1, keep = 0
        cdef int M, K = <int> k, N, T = TILE, ld = <int> stride
        if not self.room(TILE * (PACK + k)):
            return False
        pack = self.panel + TILE * k
        while start < q.n:
            size = min(TILE, q.n - start)
            for g in range(k):
                unpack(&X.line[X.slot[ids[first + g]]], start, size, q.w, self.panel + g * TILE)
            a = 0
            while a < first + k:
                m = min(PACK, first + k - a)
                for g in range(m):
                    unpack(&X.line[X.slot[ids[a + g]]], start, size, NULL, pack + g * TILE)
                    self.read += size
                M, N = <int> m, <int> size
                dgemm(b"T", b"N", &M, &K, &N, &one, pack, &T, self.panel, &T, &keep, out + a, &ld)
                a += PACK
            keep = 1
            start += TILE
        for g in range(k):  # what is left of the means
            for a in range(first + g):
                out[g * stride + a] -= q.mean[ids[first + g]] * q.mean[ids[a]]
        return True

    cdef bint met(self, residual_t *q, Columns X, const Py_ssize_t *ids, Py_ssize_t first, Py_ssize_t k, double *out,
                  Py_ssize_t stride) noexcept nogil:
        """k rows of sparse columns: their entries row by row of X, for those of every other column to meet."""
        cdef Py_ssize_t i, a, g, t, u, size = 0
        cdef double *found
        cdef double *held
        cdef Py_ssize_t *whose
        cdef Py_ssize_t *start
        cdef const line_t *x
        for g in range(k):
            size += X.line[X.slot[ids[first + g]]].size
        if not self.room(2 * size + k + q.n + 2):
            return False
        found, held, whose = self.panel, self.panel + k, <Py_ssize_t *> (self.panel + k + size)
        start = whose + size  # row i's are held[start[i] .. start[i + 1])
        memset(start, 0, (q.n + 2) * sizeof(Py_ssize_t))
        for g in range(k):
            x = &X.line[X.slot[ids[first + g]]]
            for t in range(x.size):
                start[position(x, t) + 2] += 1
        for i in range(q.n):
            start[i + 2] += start[i + 1]
        for g in range(k):
            x = &X.line[X.slot[ids[first + g]]]
            for t in range(x.size):
                i = position(x, t)
                u = start[i + 1]
                held[u], whose[u] = q.w[i] * value(x, t), g
                start[i + 1] = u + 1
        for a in range(first + k):
            memset(found, 0, k * sizeof(double))
            x = &X.line[X.slot[ids[a]]]
            meet(x, start, whose, held, found)
            self.read += x.size
            for g in range(max(0, a - first + 1), k):
                out[g * stride + a] = found[g] - q.mean[ids[first + g]] * q.mean[ids[a]]
        return True
