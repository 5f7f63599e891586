# Floor 8. The quadratic that a likelihood is near the solution.
from libc.stdint cimport int32_t
from regfast._solve cimport Solver
from regfast._state cimport residual_t

cdef enum:
    UNASKED = -1  # no step has been made at this α
    NOTHING = -2  # one that foretells nothing


cdef class Model(Solver):
    cdef double total                  # Σ w ∂²ℓ/∂η² where the model was made; 0: there is none yet
    cdef residual_t truth, model       # what q is made of, in turn
    cdef double[::1] _v, _over_v       # (n,) the model's weights, sum 1, and 1 over them
    cdef double[::1] _mean_v, _h_v     # (p,) means (what is left of them, where X is dense) and curvatures
    cdef int32_t[::1] made             # (p,) the model that these belong to
    cdef readonly int32_t models
    cdef int32_t turn, foretold        # α's so far; the model of the first step at this one
    cdef double[::1] _memo             # (p,) where that step put a coefficient, or what it fell short by at the last α
    cdef int32_t[::1] stamp            # (p,) `turn` of the one, −`turn` of the other
    cdef double last, hop              # the α before this one, and log of what it was of the one before it
    cdef void face(self, const residual_t *q) noexcept nogil
    cdef void linearise(self) noexcept nogil
    cdef void weigh(self) noexcept nogil
    cdef void in_units(self) noexcept nogil
    cdef void anticipate(self, double alpha) noexcept nogil
    cdef void learn(self, double alpha) noexcept nogil
