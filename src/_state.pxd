# Floor 0. Plain structs and status codes that the kernels pass to each other.

cdef enum status_t:
    OK = 0            # converged: the certified measure is at most tol
    MAX_ITER = 1      # the epochs ran out
    ROUNDING = 2      # no coefficient moves any more, yet the measure is above tol: float64 ends here
    SEPARATED = 3     # columns without penalty fit y perfectly: there is no finite solution
    INTERRUPTED = 4   # a signal, or the shared stop flag
    NO_MEMORY = 5
    UNFIT = 6         # internal: the exact solve does not apply, descend by coordinates

ctypedef struct residual_t:
    # The quadratic that coordinate descent works on: ½ Σ w (t − b0 − Xb)², kept through its gradient.
    #   r = w ∘ (t − b0 − Xb)  up to a multiple of w: the true, centred r is  r − rsum·w
    # so that centring costs one scalar and never a sweep over the rows (docs/architecture.md).
    Py_ssize_t n
    const double *w      # (n,) weights, sum 1
    const double *over   # (n,) 1/w; 0 where w is
    double *r            # (n,)
    double rsum          # what Σ r has become since r was last centred; 0 without intercept
    double *b            # (p,) coefficients
    const double *mean   # (p,) weighted means; 0 without intercept
    const double *h      # (p,) curvature Σ w (x − mean)²

ctypedef struct measure_t:
    double gap    # primal − dual, not relative
    double kkt    # max_j dist(c_j, α ∂pen_j(b_j)) / √h_j
    double scale  # s: the dual point is s·r

cdef enum mark_t:     # where a column stands
    OUTSIDE = 0
    WORKING = 1       # in the working set
    ACTIVE = 2        # in the working set and the active set
    FREE = 3          # in the block of free columns

cdef enum level_t:    # what a working set made from nothing but the coefficients holds, beside those that are not zero
    NULLS = 0         # columns without penalty
    UNHELD = 1        # those that no threshold keeps at zero
    LIVE = 2          # all that can be other than zero
    EVERY = 3
