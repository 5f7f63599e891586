# Floor 2. X as stored: read-only, never copied, centred or scaled.
from libc.stdint cimport int32_t, int64_t
from regfast._state cimport status_t
from regfast._vec cimport line_t


cdef class Columns:
    """The columns that one call works with: views into X, or extracted copies where X is stored by rows."""
    cdef line_t *line           # (count,)
    cdef int32_t *slot          # (p,) where column j stands in `line`, −1: not here
    cdef int32_t *height        # (p,) entries in each column of a sparse X stored by rows; NULL until one is extracted
    cdef Py_ssize_t count, room, chunks
    cdef const double *shift    # (p,) taken off dense columns as they are read; NULL: nothing
    cdef void **chunk           # the memory of extracted columns
    cdef bint reserve(self, Py_ssize_t more) noexcept nogil
    cdef void *allocate(self, size_t size) noexcept nogil


cdef class Design:
    """An n × p matrix, stored by columns or by rows, dense or sparse."""
    cdef readonly Py_ssize_t n, p
    cdef readonly Py_ssize_t steps      # a pass over X is steps [0, steps), cut anywhere, run in order
    cdef readonly Py_ssize_t entries    # what X stores
    cdef readonly int gauge_reads       # how often it is read for means and variances: columns once, rows twice
    cdef Py_ssize_t stride              # dense: bytes from one line to the next
    cdef Py_ssize_t span                # dense: entries in a line
    cdef int kind
    cdef bint sweeps                    # fetching one column costs a sweep over all of X
    cdef const char *x
    cdef const char *at
    cdef const int64_t *ptr             # sparse: where each line begins; NULL: dense
    cdef object owner                   # keeps the arrays alive
    cdef line_t stored(self, Py_ssize_t k) noexcept nogil
    cdef void scan(self, Py_ssize_t start, Py_ssize_t stop, int k, const double **v, const double *shift,
                   double **out) noexcept nogil
    cdef status_t fetch(self, const Py_ssize_t *ids, Py_ssize_t m, Columns into) noexcept nogil
    cdef Py_ssize_t toll(self, const Py_ssize_t *ids, Py_ssize_t m, Columns into) noexcept nogil
    cdef bint pack(self, const Py_ssize_t *ids, Py_ssize_t m, const double *mean, const double *root, double *out,
                   Py_ssize_t size, Py_ssize_t width) noexcept nogil


cdef class ColumnDesign(Design):
    cdef void gauges(self, Py_ssize_t start, Py_ssize_t stop, Py_ssize_t base, const double *w, const double *u,
                     double *mean, double *var, double *mark) noexcept nogil


cdef class RowDesign(Design):
    cdef line_t part(self, Py_ssize_t i, Py_ssize_t start, Py_ssize_t stop) noexcept nogil
    cdef void spreads(self, Py_ssize_t start, Py_ssize_t stop, const double *w, const double *mean, double *first,
                      double *square, double *weight) noexcept nogil
