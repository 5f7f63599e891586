"""The quadratic that a likelihood is near the solution: its weights, means, curvatures and units.

At η the loss is, to second order, ½ Σ v (z − b0 − Xb)² with v = w ∂²ℓ/∂η² and v (z − η) = r. With v scaled to sum 1,
and r and α with it, that is a problem as `_solve` knows it, on the same working and active set.
"""
from libc.math cimport fmax, fmin, log

import numpy as np

from regfast._solve cimport Solver
from regfast._state cimport residual_t
from regfast._vec cimport settle
from regfast._work cimport Workspace

cdef double FAINT = 1e-12  # of a row's weight: the least that saturation leaves of it in a model


cdef class Model(Solver):
    """A solver that sees the loss, or a model of it."""

    def __init__(self, *args):
        Solver.__init__(self, *args)
        cdef Py_ssize_t p = max(self.X.p, 1)
        if self.loss.quadratic:
            return
        self._v, self._over_v = np.zeros(self.X.n), np.zeros(self.X.n)
        self._mean_v, self._h_v, self._memo = (np.zeros(p) for _ in range(3))
        self.made, self.stamp = (np.zeros(p, dtype=np.int32) for _ in range(2))
        self.foretold = UNASKED
        self.truth = self.model = self.q
        self.model.w, self.model.over = &self._v[0], &self._over_v[0]
        self.model.mean, self.model.h = &self._mean_v[0], &self._h_v[0]

    cdef void face(self, const residual_t *q) noexcept nogil:
        """Weights, means, curvatures and units are those of the loss, or of its model."""
        self.q.w, self.q.over, self.q.mean, self.q.h = q.w, q.over, q.mean, q.h
        self.pen.unit = 1 if q == &self.truth else 1 / self.total

    cdef void linearise(self) noexcept nogil:
        """A new model, at η as it stands."""
        cdef Py_ssize_t i
        cdef double least
        self.total = 0
        for i in range(self.q.n):
            least = FAINT * self.truth.w[i]
            self._v[i] = self._bent[i] if self._bent[i] > least else least
            self.total += self._v[i]
        for i in range(self.q.n):
            self._v[i] /= self.total
            self._over_v[i] = 1 / self._v[i] if self._v[i] > 0 else 0
        self.models += 1
        self.matched = False

    cdef void weigh(self) noexcept nogil:
        """Mean and curvature, under the model's weights, of the working columns that do not have them yet."""
        cdef Py_ssize_t k, j
        cdef double out[3]
        for k in range(self.size):
            j = self.ids[k]
            if self.made[j] == self.models:
                continue
            settle(&self.cols.line[self.cols.slot[j]], &self._v[0], self._mean[j], out)
            self._mean_v[j], self._h_v[j] = 0, out[1] + out[0] * out[0]
            if self.profile:
                self._h_v[j] = out[1]
                self._mean_v[j] = out[0] - (self.cols.shift[j] if self.cols.shift != NULL else 0)
            self._h_v[j] = max(self._h_v[j], FAINT * self.truth.h[j])
            self.made[j] = self.models
            self.reads += self.cols.line[self.cols.slot[j]].size

    cdef void in_units(self) noexcept nogil:
        """r in those of the model"""
        cdef Py_ssize_t i
        for i in range(self.q.n):
            self.q.r[i] /= self.total

    cdef void tangent(self, double alpha, double *v) noexcept nogil:
        if self.loss.quadratic:
            Workspace.tangent(self, alpha, v)
        else:
            self.face(&self.model)
            Workspace.tangent(self, alpha / self.total, v)
            self.face(&self.truth)

    # ---- what a model that is kept from α to α falls short by: it changes little, and so can be made up for

    cdef void anticipate(self, double alpha) noexcept nogil:
        """After the first step at an α: go on by what that step fell short by at the last α, where α hops as far."""
        cdef Py_ssize_t k, j
        cdef double b, new, hop = log(self.last / alpha) if self.last > 0 else 0
        cdef double share = fmax(0, fmin(hop / self.hop, 1)) if self.hop != 0 else 0
        self.turn += 1
        self.foretold = self.models if self.matched else NOTHING  # (coordinates that crept foretell nothing)
        for k in range(self.active.m if self.matched else 0):
            j = self.active.id[k]
            b, new = self.q.b[j], self.q.b[j] + share * self._memo[j]
            if self.stamp[j] == 1 - self.turn and new * b > 0 and self.pen.low(j) < new < self.pen.high(j):
                self.q.b[j] = new
            self._memo[j], self.stamp[j] = b, self.turn

    cdef void learn(self, double alpha) noexcept nogil:
        """At the end of an α: what was that?"""
        cdef Py_ssize_t k, j
        self.hop = log(self.last / alpha) if self.last > 0 else 0
        self.last = alpha
        if self.foretold == self.models and self.matched:
            for k in range(self.active.m):
                j = self.active.id[k]
                if self.stamp[j] == self.turn:
                    self._memo[j], self.stamp[j] = self.q.b[j] - self._memo[j], -self.turn
        self.foretold = UNASKED
