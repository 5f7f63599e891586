"""X as stored, behind a few verbs: ``scan`` (X'v), ``fetch`` (working columns), ``stored``.

Storage is two independent choices. What a line looks like (dense or sparse, float32 or float64, int32 or int64
positions) is the business of ``_vec``; whether the lines are the columns or the rows of X is the one thing that the two
classes here differ in. Nothing above this file knows either.
"""
from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memset

from regfast._state cimport NO_MEMORY, OK, status_t
from regfast._vec cimport (SINGLE, SPARSE, WIDE, add_rows, axpy, deviate, dot, dot2, gauge, index_t, line_t, position,
                           real_t, value)

cdef enum:
    TILE = 1024  # columns per tile of a row-major scan: 8 KB of output stay in the first cache
    GROUP = 64   # rows per tile: what one vector has read is in the second cache for the next

cdef double[TILE] NOTHING  # is 0: what is taken off each column where nothing is


cdef class Columns:
    def __cinit__(self, Py_ssize_t p):
        self.slot = <int32_t *> malloc(max(p, 1) * sizeof(int32_t))
        if self.slot == NULL:
            raise MemoryError
        memset(self.slot, 0xff, max(p, 1) * sizeof(int32_t))

    def __dealloc__(self):
        cdef Py_ssize_t k
        for k in range(self.chunks):
            free(self.chunk[k])
        free(self.chunk)
        free(self.line)
        free(self.slot)
        free(self.height)

    cdef bint reserve(self, Py_ssize_t more) noexcept nogil:
        """Room for `more` further lines; False when memory ends. Doubles, so that growing stays linear."""
        cdef Py_ssize_t room = max(2 * self.room, self.count + more)
        cdef line_t *line
        if self.count + more <= self.room:
            return True
        line = <line_t *> realloc(self.line, room * sizeof(line_t))
        if line == NULL:
            return False
        self.line, self.room = line, room
        return True

    cdef void *allocate(self, size_t size) noexcept nogil:
        """Memory that lives as long as this object; lines point into it, so it never moves."""
        cdef void **chunk = <void **> realloc(self.chunk, (self.chunks + 1) * sizeof(void *))
        if chunk == NULL:
            return NULL
        self.chunk = chunk
        chunk[self.chunks] = malloc(size if size else 1)
        if chunk[self.chunks] == NULL:
            return NULL
        self.chunks += 1
        return chunk[self.chunks - 1]


cdef class Design:
    cdef line_t stored(self, Py_ssize_t k) noexcept nogil:
        """The k-th line as it lies in memory."""
        cdef line_t a
        cdef Py_ssize_t width = 4 if self.kind & SINGLE else 8
        a.kind = self.kind
        a.shift = 0
        if self.ptr == NULL:
            a.x = self.x + k * self.stride
            a.at = NULL
            a.size = self.span
        else:
            a.x = self.x + self.ptr[k] * width
            a.at = self.at + self.ptr[k] * (8 if self.kind & WIDE else 4)
            a.size = self.ptr[k + 1] - self.ptr[k]
        return a

    cdef void scan(self, Py_ssize_t start, Py_ssize_t stop, int k, const double **v, const double *shift,
                   double **out) noexcept nogil:
        """out_i = X'v_i for k vectors, in steps start to stop of `steps`; the caller runs them in order, from 0.

        A dense X is read as if `shift` (p,), where there is one, had been taken off its rows: exact where a mean is far
        larger than what varies about it. A sparse one is not.
        """

    cdef status_t fetch(self, const Py_ssize_t *ids, Py_ssize_t m, Columns into) noexcept nogil:
        """Make columns `ids` (those not there yet) available in `into`."""

    cdef Py_ssize_t toll(self, const Py_ssize_t *ids, Py_ssize_t m, Columns into) noexcept nogil:
        """How many entries of X it takes to have columns `ids` and to read them once."""

    cdef bint pack(self, const Py_ssize_t *ids, Py_ssize_t m, const double *mean, const double *root, double *out,
                   Py_ssize_t size, Py_ssize_t width) noexcept nogil:
        """Rows `ids` of a dense X, less `mean` (p,) and times their `root` (m,), to an array of size × width.

        By columns, if it returns True; else by rows.
        """


cdef class ColumnDesign(Design):
    """Lines are columns: Fortran order, CSC."""

    cdef void scan(self, Py_ssize_t start, Py_ssize_t stop, int k, const double **v, const double *shift,
                   double **out) noexcept nogil:
        cdef Py_ssize_t j
        cdef int i
        cdef double both[2]
        cdef line_t a
        for j in range(start, stop):
            a = self.stored(j)
            if shift != NULL and self.ptr == NULL:
                a.shift = shift[j]
            for i in range(0, k - 1, 2):
                dot2(&a, v[i], v[i + 1], both)
                out[i][j], out[i + 1][j] = both[0], both[1]
            if k % 2:
                out[k - 1][j] = dot(&a, v[k - 1])

    cdef void gauges(self, Py_ssize_t start, Py_ssize_t stop, Py_ssize_t base, const double *w, const double *u,
                     double *mean, double *var, double *mark) noexcept nogil:
        """Means, variances and marks (see `gauge`) of columns start to stop."""
        cdef Py_ssize_t j
        cdef double out[3]
        cdef line_t a
        for j in range(start, stop):
            a = self.stored(j)
            gauge(&a, base, w, u, out)
            mean[j], var[j], mark[j] = out[0], out[1], out[2]

    cdef bint pack(self, const Py_ssize_t *ids, Py_ssize_t m, const double *mean, const double *root, double *out,
                   Py_ssize_t size, Py_ssize_t width) noexcept nogil:
        cdef Py_ssize_t j, k
        cdef line_t a
        for j in range(self.p):
            a = self.stored(j)
            for k in range(m):
                out[j * size + k] = root[k] * (value(&a, ids[k]) - mean[j])
        return True

    cdef Py_ssize_t toll(self, const Py_ssize_t *ids, Py_ssize_t m, Columns into) noexcept nogil:
        cdef Py_ssize_t k, total = 0
        for k in range(m):
            total += self.stored(ids[k]).size
        return total

    cdef status_t fetch(self, const Py_ssize_t *ids, Py_ssize_t m, Columns into) noexcept nogil:
        cdef Py_ssize_t k
        if not into.reserve(m):
            return NO_MEMORY
        for k in range(m):
            if into.slot[ids[k]] < 0:
                into.line[into.count] = self.stored(ids[k])
                if into.shift != NULL:
                    into.line[into.count].shift = into.shift[ids[k]]
                into.slot[ids[k]] = into.count
                into.count += 1
        return OK


cdef class RowDesign(Design):
    """Lines are rows: C order, CSR. Streamed for X'v; only working columns are ever extracted."""

    cdef Py_ssize_t toll(self, const Py_ssize_t *ids, Py_ssize_t m, Columns into) noexcept nogil:
        cdef Py_ssize_t k, total = 0, missing = 0
        for k in range(m):
            if into.slot[ids[k]] < 0:
                missing += 1
            else:
                total += into.line[into.slot[ids[k]]].size
        if self.ptr == NULL:  # an entry of a column brings its whole cache line
            return total + 8 * self.n * missing
        return total + 2 * self.entries if missing else total

    cdef line_t part(self, Py_ssize_t i, Py_ssize_t start, Py_ssize_t stop) noexcept nogil:
        """Columns start to stop of a dense row."""
        cdef line_t a = self.stored(i)
        a.x += start * (4 if self.kind & SINGLE else 8)
        a.size = stop - start
        return a

    cdef void scan(self, Py_ssize_t start, Py_ssize_t stop, int k, const double **v, const double *shift,
                   double **out) noexcept nogil:
        cdef Py_ssize_t i, tile, size
        cdef int t
        cdef line_t a
        cdef const double *off = &NOTHING[0]
        for t in range(k):
            if self.ptr == NULL:  # steps are tiles of columns
                size = min(stop * TILE, self.p) - start * TILE
                memset(out[t] + start * TILE, 0, size * sizeof(double))
            elif start == 0:  # steps are rows
                memset(out[t], 0, self.p * sizeof(double))
        if self.ptr != NULL:
            for i in range(start, stop):
                a = self.stored(i)
                for t in range(k):
                    axpy(&a, v[t][i], out[t])
            return
        for tile in range(start, stop):
            if shift != NULL:
                off = shift + tile * TILE
            i = 0
            while i < self.n:
                a = self.part(i, tile * TILE, min((tile + 1) * TILE, self.p))
                for t in range(k):
                    add_rows(&a, self.stride, min(GROUP, self.n - i), off, v[t] + i, out[t] + tile * TILE)
                i += GROUP

    cdef bint pack(self, const Py_ssize_t *ids, Py_ssize_t m, const double *mean, const double *root, double *out,
                   Py_ssize_t size, Py_ssize_t width) noexcept nogil:
        cdef Py_ssize_t k
        cdef line_t a
        memset(out, 0, m * width * sizeof(double))
        for k in range(m):
            a = self.stored(ids[k])
            add_rows(&a, 0, 1, mean, root + k, out + k * width)
        return False

    cdef void spreads(self, Py_ssize_t start, Py_ssize_t stop, const double *w, const double *mean, double *first,
                      double *square, double *weight) noexcept nogil:
        """Per column Σw(x − mean), Σw(x − mean)² and Σw over the stored entries; sparse rows add, the caller zeroes."""
        cdef Py_ssize_t i, j, tile, end
        cdef line_t a
        if self.ptr != NULL:
            for i in range(start, stop):
                a = self.stored(i)
                deviate(&a, w[i], mean, first, square, weight)
            return
        for tile in range(start, stop):
            end = min((tile + 1) * TILE, self.p)
            j = tile * TILE
            for i in range(self.n):
                a = self.part(i, j, end)
                deviate(&a, w[i], mean + j, first + j, square + j, weight + j)
            while j < end:
                weight[j] = 1
                j += 1

    cdef status_t fetch(self, const Py_ssize_t *ids, Py_ssize_t m, Columns into) noexcept nogil:
        cdef Py_ssize_t k, fresh = into.count
        if not into.reserve(m):
            return NO_MEMORY
        for k in range(m):
            if into.slot[ids[k]] < 0:
                into.slot[ids[k]] = into.count
                into.line[into.count].at = NULL
                into.line[into.count].shift = 0 if into.shift == NULL else into.shift[ids[k]]
                into.line[into.count].size = ids[k] if self.ptr != NULL else self.n  # (a number, until `extract`)
                into.line[into.count].kind = self.kind & ~WIDE  # extracted positions are rows, and int32
                into.count += 1
        if into.count == fresh:
            return OK
        if self.kind & SINGLE:
            return extract(self, into, fresh, <float *> NULL)
        return extract(self, into, fresh, <double *> NULL)


cdef status_t extract(RowDesign X, Columns into, Py_ssize_t fresh, real_t *x) noexcept nogil:
    """Copy the columns in slots fresh.. out of the rows, in one sweep."""
    cdef Py_ssize_t i, k, s, total = 0, rows = X.n
    cdef int32_t *at = NULL
    cdef line_t a
    cdef line_t *to
    if X.ptr != NULL and into.height == NULL:  # once: how long the columns are
        into.height = <int32_t *> calloc(max(X.p, 1), sizeof(int32_t))
        if into.height == NULL:
            return NO_MEMORY
        for i in range(rows):
            a = X.stored(i)
            for k in range(a.size):
                into.height[position(&a, k)] += 1
    for s in range(fresh, into.count):
        if X.ptr != NULL:
            into.line[s].size = into.height[into.line[s].size]
        total += into.line[s].size
    x = <real_t *> into.allocate(total * sizeof(real_t))
    if X.ptr != NULL:
        at = <int32_t *> into.allocate(total * sizeof(int32_t))
    if x == NULL or (X.ptr != NULL and at == NULL):
        return NO_MEMORY
    total = 0
    for s in range(fresh, into.count):
        to = &into.line[s]
        to.x = <const char *> (x + total)
        to.at = NULL if at == NULL else <const char *> (at + total)
        total += to.size
        to.size = 0 if X.ptr != NULL else to.size
    if X.ptr == NULL:
        columns_of_rows(X, into, fresh, x)
        return OK
    for i in range(rows):
        a = X.stored(i)
        for k in range(a.size):
            s = into.slot[position(&a, k)]
            if s >= fresh:
                to = &into.line[s]
                (<real_t *> to.x)[to.size] = <real_t> value(&a, k)
                (<int32_t *> to.at)[to.size] = <int32_t> i
                to.size += 1
    return OK


cdef void columns_of_rows(RowDesign X, Columns into, Py_ssize_t fresh, real_t *x) noexcept nogil:
    """The dense case of extract: the slots from `fresh` on, column by column within each row."""
    cdef Py_ssize_t i, j, s
    for j in range(X.p):
        s = into.slot[j] - fresh
        if s >= 0:
            for i in range(X.n):
                x[s * X.n + i] = (<const real_t *> (X.x + i * X.stride))[j]


cdef Design describe(Design X, Py_ssize_t n, Py_ssize_t p, int kind, object owner):
    X.n, X.p, X.kind, X.owner = n, p, kind, owner
    return X


def dense(const real_t[:, :] X):
    """The design of an (n, p) array whose rows or whose columns are contiguous; the memory is shared, not copied."""
    cdef bint by_column = X.strides[0] == sizeof(real_t) or X.shape[0] <= 1 and X.strides[1] != sizeof(real_t)
    cdef int kind = SINGLE if real_t is float else 0
    cdef Design out = describe(ColumnDesign() if by_column else RowDesign(), X.shape[0], X.shape[1], kind, X)
    out.x = <const char *> &X[0, 0] if X.shape[0] and X.shape[1] else NULL
    out.stride = X.strides[1] if by_column else X.strides[0]
    out.span = out.n if by_column else out.p
    out.entries = out.n * out.p
    out.gauge_reads = 1 if by_column else 2
    out.steps = out.p if by_column else (out.p + TILE - 1) // TILE
    return out


def sparse(const real_t[::1] data, const index_t[::1] indices, const int64_t[::1] indptr, Py_ssize_t n, Py_ssize_t p,
           bint by_column):
    """The design of a CSC (by_column) or CSR matrix; data and indices are shared, not copied."""
    cdef int kind = SPARSE | (SINGLE if real_t is float else 0) | (WIDE if index_t is int64_t else 0)
    cdef Design out = describe(ColumnDesign() if by_column else RowDesign(), n, p, kind, (data, indices, indptr))
    out.x = <const char *> &data[0] if data.shape[0] else NULL
    out.at = <const char *> &indices[0] if indices.shape[0] else NULL
    out.ptr = &indptr[0]
    out.entries = data.shape[0]
    out.gauge_reads = 1 if by_column else 2
    out.steps, out.sweeps = p if by_column else n, not by_column
    return out
