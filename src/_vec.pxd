# Floor 1. Verbs over one stored line (a row or a column) of X. The only file that knows element types.
#
# A line is dense (entry k sits at position k) or sparse (entry k sits at position at[k]); its values are float32 or
# float64 as the user stored them, all arithmetic is float64.
from libc.stdint cimport int32_t, int64_t

from regfast._simd cimport (regfast_axpy4_f32, regfast_axpy4_f64, regfast_axpy_f32, regfast_axpy_f64,
                            regfast_deviate_f32, regfast_deviate_f64, regfast_dot2_f32, regfast_dot2_f64,
                            regfast_dot4_f32, regfast_dot4_f64, regfast_dot_f32, regfast_dot_f64,
                            regfast_gauge_f32, regfast_gauge_f64, regfast_prefetch,
                            regfast_rows_f32, regfast_rows_f64, regfast_spread_f32, regfast_spread_f64,
                            regfast_waxpy4_f32, regfast_waxpy4_f64, regfast_waxpy_f32, regfast_waxpy_f64)

ctypedef fused real_t:
    float
    double

ctypedef fused index_t:
    int32_t
    int64_t

cdef enum kind_t:  # how a line is stored; SINGLE and WIDE are bits so that a design can compose its kind
    DOUBLE = 0
    SINGLE = 1   # values are float32
    SPARSE = 2   # positions are int32
    WIDE = 4     # positions are int64 (with SPARSE)

ctypedef struct line_t:
    const char *x     # values, float32 or float64
    const char *at    # positions, int32 or int64; unused when dense
    Py_ssize_t size   # stored entries
    double shift      # taken off every entry of a dense line; 0 for a sparse one
    int kind

# ---- sparse leaves: gathers do not vectorise profitably (measured), four partial sums hide the latency

cdef inline double _dot(const real_t *x, const index_t *at, Py_ssize_t size, const double *v) noexcept nogil:
    cdef double s0 = 0, s1 = 0, s2 = 0, s3 = 0
    cdef Py_ssize_t k = 0
    while k + 4 <= size:
        s0 += x[k] * v[at[k]]
        s1 += x[k + 1] * v[at[k + 1]]
        s2 += x[k + 2] * v[at[k + 2]]
        s3 += x[k + 3] * v[at[k + 3]]
        k += 4
    while k < size:
        s0 += x[k] * v[at[k]]
        k += 1
    return (s0 + s2) + (s1 + s3)


cdef inline void _axpy(const real_t *x, const index_t *at, Py_ssize_t size, double a, double *v) noexcept nogil:
    cdef Py_ssize_t k
    for k in range(size):
        v[at[k]] += a * x[k]


cdef inline void _waxpy(const real_t *x, const index_t *at, Py_ssize_t size, double a, const double *w,
                        double *v) noexcept nogil:
    cdef Py_ssize_t k
    for k in range(size):
        v[at[k]] += a * (x[k] * w[at[k]])


cdef inline void _meet(const real_t *x, const index_t *at, Py_ssize_t size, const Py_ssize_t *start,
                       const Py_ssize_t *whose, const double *held, double *out) noexcept nogil:
    cdef Py_ssize_t k, t
    for k in range(size):
        for t in range(start[at[k]], start[at[k] + 1]):
            out[whose[t]] += x[k] * held[t]


# ---- the verbs: one branch on the kind per line, nothing above this file knows how X is stored

cdef inline double dot(const line_t *a, const double *v) noexcept nogil:
    """Σ_k (x_k − shift) v[at_k]"""
    if a.kind == DOUBLE:
        return regfast_dot_f64(<const double *> a.x, a.shift, v, a.size)
    if a.kind == SPARSE:
        return _dot(<const double *> a.x, <const int32_t *> a.at, a.size, v)
    if a.kind == SINGLE:
        return regfast_dot_f32(<const float *> a.x, a.shift, v, a.size)
    if a.kind == SPARSE | SINGLE:
        return _dot(<const float *> a.x, <const int32_t *> a.at, a.size, v)
    if a.kind == SPARSE | WIDE:
        return _dot(<const double *> a.x, <const int64_t *> a.at, a.size, v)
    return _dot(<const float *> a.x, <const int64_t *> a.at, a.size, v)


cdef inline void expect(const line_t *a) noexcept nogil:
    """This line comes next: what the hardware cannot foresee, as lines picked from all over X are not neighbours."""
    if not a.kind & SPARSE:
        regfast_prefetch(a.x, min(a.size * (4 if a.kind & SINGLE else 8), 8192))


cdef inline void dot2(const line_t *a, const double *v, const double *w, double *out) noexcept nogil:
    """out = Σ_k (x_k − shift) v[at_k], the same with w: a dense line comes from memory once for both"""
    if a.kind == DOUBLE:
        regfast_dot2_f64(<const double *> a.x, a.shift, v, w, a.size, out)
    elif a.kind == SINGLE:
        regfast_dot2_f32(<const float *> a.x, a.shift, v, w, a.size, out)
    else:
        out[0] = dot(a, v)
        out[1] = dot(a, w)


cdef inline void axpy(const line_t *a, double s, double *v) noexcept nogil:
    """v[at_k] += s (x_k − shift)"""
    if a.kind == DOUBLE:
        regfast_axpy_f64(<const double *> a.x, a.shift, s, v, a.size)
    elif a.kind == SPARSE:
        _axpy(<const double *> a.x, <const int32_t *> a.at, a.size, s, v)
    elif a.kind == SINGLE:
        regfast_axpy_f32(<const float *> a.x, a.shift, s, v, a.size)
    elif a.kind == SPARSE | SINGLE:
        _axpy(<const float *> a.x, <const int32_t *> a.at, a.size, s, v)
    elif a.kind == SPARSE | WIDE:
        _axpy(<const double *> a.x, <const int64_t *> a.at, a.size, s, v)
    else:
        _axpy(<const float *> a.x, <const int64_t *> a.at, a.size, s, v)


cdef inline void add_rows(const line_t *a, Py_ssize_t stride, Py_ssize_t count, const double *m, const double *s,
                          double *v) noexcept nogil:
    """v_k += Σ_i s_i (x_ik − m_k) over `count` dense rows, the first of which is `a`, `stride` bytes apart"""
    if a.kind == DOUBLE:
        regfast_rows_f64(a.x, stride, count, m, s, v, a.size)
    else:
        regfast_rows_f32(a.x, stride, count, m, s, v, a.size)


# ---- four dense columns at once: what they meet comes from its cache once for all; the bits are those of one by one

cdef struct four_t:
    const char *x[4]
    double shift[4]


cdef inline bint abreast(const line_t *a, four_t *out) noexcept nogil:
    """Whether four lines are dense and of one kind, as what the verbs below need."""
    cdef int k
    for k in range(4):
        if a[k].kind & SPARSE or a[k].kind != a[0].kind:
            return False
        out.x[k], out.shift[k] = a[k].x, a[k].shift
    return True


cdef inline bint dot4(const line_t *a, const double *v, double *out) noexcept nogil:
    """out_k = `dot` of a[k] and v; False: the four lines do not go together"""
    cdef four_t f
    if not abreast(a, &f):
        return False
    if a.kind == DOUBLE:
        regfast_dot4_f64(f.x, f.shift, v, a.size, out)
    else:
        regfast_dot4_f32(f.x, f.shift, v, a.size, out)
    return True


cdef inline bint axpy4(const line_t *a, const double *s, double *v) noexcept nogil:
    """`axpy` of s[k] and a[k]; False: the four lines do not go together"""
    cdef four_t f
    if not abreast(a, &f):
        return False
    if a.kind == DOUBLE:
        regfast_axpy4_f64(f.x, f.shift, s, v, a.size)
    else:
        regfast_axpy4_f32(f.x, f.shift, s, v, a.size)
    return True


cdef inline bint waxpy4(const line_t *a, const double *s, const double *w, double *v) noexcept nogil:
    """`waxpy` of s[k] and a[k]; False: the four lines do not go together"""
    cdef four_t f
    if not abreast(a, &f):
        return False
    if a.kind == DOUBLE:
        regfast_waxpy4_f64(f.x, f.shift, s, w, v, a.size)
    else:
        regfast_waxpy4_f32(f.x, f.shift, s, w, v, a.size)
    return True


cdef inline void waxpy(const line_t *a, double s, const double *w, double *v) noexcept nogil:
    """v[at_k] += s w[at_k] (x_k − shift)"""
    if a.kind == DOUBLE:
        regfast_waxpy_f64(<const double *> a.x, a.shift, s, w, v, a.size)
    elif a.kind == SPARSE:
        _waxpy(<const double *> a.x, <const int32_t *> a.at, a.size, s, w, v)
    elif a.kind == SINGLE:
        regfast_waxpy_f32(<const float *> a.x, a.shift, s, w, v, a.size)
    elif a.kind == SPARSE | SINGLE:
        _waxpy(<const float *> a.x, <const int32_t *> a.at, a.size, s, w, v)
    elif a.kind == SPARSE | WIDE:
        _waxpy(<const double *> a.x, <const int64_t *> a.at, a.size, s, w, v)
    else:
        _waxpy(<const float *> a.x, <const int64_t *> a.at, a.size, s, w, v)


cdef inline void meet(const line_t *a, const Py_ssize_t *start, const Py_ssize_t *whose, const double *held,
                      double *out) noexcept nogil:
    """out[g] += Σ_k x_k · what row at_k holds of line g: held[t] of whose[t] = g, t in start[row] .. start[row + 1]"""
    if a.kind == SPARSE:
        _meet(<const double *> a.x, <const int32_t *> a.at, a.size, start, whose, held, out)
    elif a.kind == SPARSE | SINGLE:
        _meet(<const float *> a.x, <const int32_t *> a.at, a.size, start, whose, held, out)
    elif a.kind == SPARSE | WIDE:
        _meet(<const double *> a.x, <const int64_t *> a.at, a.size, start, whose, held, out)
    else:
        _meet(<const float *> a.x, <const int64_t *> a.at, a.size, start, whose, held, out)


# ---- entry by entry: for set-up passes and extraction, where the memory is the cost and not the arithmetic

cdef inline double value(const line_t *a, Py_ssize_t k) noexcept nogil:
    """x_k"""
    return (<const float *> a.x)[k] if a.kind & SINGLE else (<const double *> a.x)[k]


cdef inline Py_ssize_t position(const line_t *a, Py_ssize_t k) noexcept nogil:
    """at_k"""
    if not a.kind & SPARSE:
        return k
    return (<const int64_t *> a.at)[k] if a.kind & WIDE else (<const int32_t *> a.at)[k]


cdef inline void unpack(const line_t *a, Py_ssize_t start, Py_ssize_t size, const double *w,
                        double *out) noexcept nogil:
    """out_k = w_k (x_k − shift), for `size` entries of a dense line; w = NULL: all 1."""
    cdef Py_ssize_t k
    cdef const double *x = <const double *> a.x + start
    cdef const float *y = <const float *> a.x + start
    if a.kind & SINGLE:
        for k in range(size):
            out[k] = y[k] - a.shift
    else:
        for k in range(size):
            out[k] = x[k] - a.shift
    if w != NULL:
        for k in range(size):
            out[k] *= w[start + k]


cdef inline void spread(const line_t *a, double m, const double *w, double *out) noexcept nogil:
    """A column about m: out = Σ w (x − m), Σ w (x − m)², Σ w over its stored entries."""
    cdef Py_ssize_t k
    cdef double d, u
    out[2] = 1  # weights sum to 1, and a dense column stores every row
    if a.kind == DOUBLE:
        regfast_spread_f64(<const double *> a.x, m, w, a.size, out)
    elif a.kind == SINGLE:
        regfast_spread_f32(<const float *> a.x, m, w, a.size, out)
    else:
        out[0] = out[1] = out[2] = 0
        for k in range(a.size):
            u = w[position(a, k)]
            d = value(a, k) - m
            out[0] += u * d
            out[1] += u * d * d
            out[2] += u


cdef inline void gauge(const line_t *a, Py_ssize_t base, const double *w, const double *u, double *out) noexcept nogil:
    """A column: out = mean Σ w x, variance Σ w (x − mean)², mark; equal columns have bit-equal marks.

    A dense one is read once, about its entry `base`; where that is far from the mean, once more.
    """
    cdef double m
    if a.kind == DOUBLE:
        m = (<const double *> a.x)[base]
        regfast_gauge_f64(<const double *> a.x, m, w, u, a.size, out)
    elif a.kind == SINGLE:
        m = (<const float *> a.x)[base]
        regfast_gauge_f32(<const float *> a.x, m, w, u, a.size, out)
    else:
        m = dot(a, w)
        out[2] = dot(a, u)
        settle(a, w, m, out)
        return
    if out[0] * out[0] > 0.9 * out[1]:
        settle(a, w, m + out[0], out)
    else:
        out[1] -= out[0] * out[0]
        out[0] += m


cdef inline void settle(const line_t *a, const double *w, double m, double *out) noexcept nogil:
    """Mean and variance of a column whose mean is m but for rounding."""
    cdef double s[3]
    cdef double rest, off
    spread(a, m, w, s)
    rest = 0 if s[2] > 1 - 1e-12 else 1 - s[2]  # the rows that a sparse column does not store
    off = s[0] - rest * m
    out[0] = m + off
    out[1] = s[1] + rest * m * m - off * off


cdef inline void deviate(const line_t *a, double w, const double *m, double *first, double *square,
                         double *weight) noexcept nogil:
    """A row of weight w about the column means m: its share of what `spread` returns, added per column."""
    cdef Py_ssize_t k, j
    cdef double d
    if a.kind == DOUBLE:
        regfast_deviate_f64(<const double *> a.x, w, m, a.size, first, square)
    elif a.kind == SINGLE:
        regfast_deviate_f32(<const float *> a.x, w, m, a.size, first, square)
    else:
        for k in range(a.size):
            j = position(a, k)
            d = value(a, k) - m[j]
            first[j] += w * d
            square[j] += w * d * d
            weight[j] += w
