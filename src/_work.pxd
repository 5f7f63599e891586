# Floor 5. The workspace of one problem.
from libc.stdint cimport int32_t
from regfast._active cimport Active
from regfast._design cimport Columns, Design
from regfast._loss cimport Loss
from regfast._penalty cimport Penalty
from regfast._state cimport measure_t, residual_t, status_t


cdef class Workspace:
    cdef Design X
    cdef Columns cols
    cdef Active active
    cdef bint matched                    # the active set holds exactly the coefficients that can move
    cdef Penalty pen
    cdef Loss loss
    cdef residual_t q
    cdef bint profile                    # an intercept is fitted
    cdef bint by_kkt                     # no finite dual point: the KKT residual is the measure
    cdef double b0
    cdef double lost                     # what is left of Σ r where the intercept of a likelihood could not be found
    cdef double scale                    # the measure is relative to this
    cdef double curvature                # √(2 P_null): makes the KKT residual a number without units
    cdef const double[::1] _w, _mean, _h
    cdef double[::1] _zero               # (p,) what is left of the means of a dense X
    cdef double[::1] _over               # (n,) 1/w, 0 where w is
    cdef double[::1] _b, _r, _eta, _c, _step
    cdef double[::1] _ray                # (n,) scratch: where the residual goes from here
    cdef double[::1] _bent               # (n,) w ∂²ℓ/∂η² of a likelihood that is not quadratic
    cdef Py_ssize_t *ids                 # (size,) the working set, in the order of the columns
    cdef Py_ssize_t *picked              # (size,) scratch: some of them
    cdef double *old                     # (size,) scratch
    cdef Py_ssize_t room
    cdef readonly double reads, checked  # entries of X read in all, and outside the working set
    cdef signed char[::1] _inside
    cdef const Py_ssize_t[::1] _block, _loose
    cdef const double[:, ::1] _root
    cdef const int32_t[::1] _stop
    cdef Py_ssize_t size, used, work
    cdef readonly long n_iter
    cdef readonly object error           # what a signal handler raised
    cdef double read_in_all(self) noexcept nogil
    cdef void renew(self) noexcept nogil
    cdef void recentre(self) noexcept nogil
    cdef void refresh(self) noexcept nogil
    cdef void respond(self) noexcept nogil
    cdef void refine(self, double step) noexcept nogil
    cdef Py_ssize_t support(self) noexcept nogil
    cdef bint stopped(self) noexcept nogil
    cdef double intercept(self) noexcept nogil
    cdef double measured(self, measure_t m) noexcept nogil
    cdef bint due(self, Py_ssize_t more) noexcept nogil
    cdef status_t correlations(self, int k, const double **v, double **c) noexcept nogil
    cdef void tangent(self, double alpha, double *v) noexcept nogil
    cdef status_t epoch(self, double alpha, const Py_ssize_t *ids, Py_ssize_t m, double *worst) noexcept nogil
    cdef void unbind(self) noexcept nogil
    cdef double objective(self, double alpha) noexcept nogil
    cdef void recorrelate(self) noexcept nogil
