"""Newton's step by conjugate gradients: (X_A'WX_A + ridge) x = rhs, X_A centred, for sets too large to factorise.

Each iteration costs two readings of the columns, preconditioned by their curvatures. Hestenes & Stiefel (1952); Golub &
Van Loan (2013), section 11.5.
"""
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from regfast._design cimport Columns
from regfast._penalty cimport Penalty
from regfast._state cimport residual_t
from regfast._vec cimport axpy, dot, expect


cdef class Conjugate:
    def __dealloc__(self):
        free(self.work)

    cdef bint reserve(self, Py_ssize_t m, Py_ssize_t n) noexcept nogil:
        """Room for m columns of n rows; False when memory ends."""
        if m > self.room or n != self.n:
            free(self.work)
            self.room, self.n = m + m // 4, n
            self.work = <double *> malloc((4 * self.room + n) * sizeof(double))
            if self.work == NULL:
                self.room = 0
        return self.work != NULL

    cdef void product(self, residual_t *q, Columns X, Penalty pen, double alpha, const Py_ssize_t *ids, Py_ssize_t m,
                      const double *x, double *out) noexcept nogil:
        """out = (X_A'WX_A + ridge) x"""
        cdef Py_ssize_t i, k
        cdef double mean = 0, total = 0
        cdef double *u = self.work + 4 * self.room
        memset(u, 0, self.n * sizeof(double))
        for k in range(m):
            if k + 1 < m:
                expect(&X.line[X.slot[ids[k + 1]]])
            axpy(&X.line[X.slot[ids[k]]], x[k], u)
            mean += x[k] * q.mean[ids[k]]
            self.read += 2 * X.line[X.slot[ids[k]]].size
        for i in range(self.n):
            u[i] = q.w[i] * (u[i] - mean)
            total += u[i]
        for k in range(m):
            if k + 1 < m:
                expect(&X.line[X.slot[ids[k + 1]]])
            out[k] = dot(&X.line[X.slot[ids[k]]], u) - q.mean[ids[k]] * total + pen.ridge(alpha, ids[k]) * x[k]

    cdef bint solve(self, residual_t *q, Columns X, Penalty pen, double alpha, const Py_ssize_t *ids, Py_ssize_t m,
                    double *rhs, double *x, double tol, int most) noexcept nogil:
        """x (m,) to a relative residual of `tol`, or as near as `most` iterations come; False when memory ends.

        rhs becomes what the product with x is: that step's own gradient, so that a line search along it is exact.
        """
        cdef Py_ssize_t k
        cdef double *r
        cdef double *p
        cdef double *z
        cdef double *h
        cdef double rz = 0, new, t, aim
        if not self.reserve(m, q.n):
            return False
        r, p, z, h = self.work, self.work + self.room, self.work + 2 * self.room, self.work + 3 * self.room
        memcpy(r, rhs, m * sizeof(double))
        memset(x, 0, m * sizeof(double))
        for k in range(m):
            z[k] = r[k] / (q.h[ids[k]] + pen.ridge(alpha, ids[k]))
            p[k] = z[k]
            rz += r[k] * z[k]
        aim = tol * tol * rz
        for _ in range(most):
            if not rz > aim:
                break
            self.product(q, X, pen, alpha, ids, m, p, h)
            t = 0
            for k in range(m):
                t += p[k] * h[k]
            if not t > 0:
                break
            t = rz / t
            new = 0
            for k in range(m):
                x[k] += t * p[k]
                r[k] -= t * h[k]
                z[k] = r[k] / (q.h[ids[k]] + pen.ridge(alpha, ids[k]))
                new += r[k] * z[k]
            for k in range(m):
                p[k] = z[k] + new / rz * p[k]
            rz = new
        for k in range(m):
            rhs[k] -= r[k]
        return True
