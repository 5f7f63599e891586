# Floor 0. The loops that are worth spelling out for the compiler. The only file that knows SIMD.
#
# Dense loops keep a fixed number of partial sums and add them in a fixed order: that needs neither -ffast-math nor
# fused multiply-add, so the bits are the same on every x86-64 level that the loader picks at run time.
from libc.stdint cimport int32_t, int64_t

cdef extern from *:
    """
    #include <stdint.h>
    #if defined(__x86_64__) && defined(__gnu_linux__) && defined(__has_attribute)
    #  if __has_attribute(target_clones)
    #    define REGFAST_SIMD __attribute__((target_clones("default", "avx2", "avx512f")))
    #  endif
    #endif
    #ifndef REGFAST_SIMD
    #  define REGFAST_SIMD
    #endif
    /* Where one loop keeps several sums, compilers leave it scalar: eight lanes are spelled out (GCC and Clang). */
    typedef double regfast_v8 __attribute__((vector_size(64), aligned(8), may_alias));
    typedef float regfast_f8 __attribute__((vector_size(32), aligned(4), may_alias));
    #define REGFAST_LOAD_f64(p) (*(const regfast_v8 *)(p))
    #define REGFAST_LOAD_f32(p) __builtin_convertvector(*(const regfast_f8 *)(p), regfast_v8)
    #define REGFAST_SUM(s) (((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7])))
    #define REGFAST_DENSE(T, S) \\
    REGFAST_SIMD static double regfast_dot_##S(const T *x, double m, const double *v, Py_ssize_t n) { \\
        double s[16] = {0}; \\
        Py_ssize_t i = 0; \\
        int k; \\
        for (; i + 16 <= n; i += 16) \\
            for (k = 0; k < 16; k++) s[k] += ((double)x[i + k] - m) * v[i + k]; \\
        for (k = 0; i < n; i++, k++) s[k] += ((double)x[i] - m) * v[i]; \\
        for (k = 0; k < 8; k++) s[k] += s[k + 8]; \\
        for (k = 0; k < 4; k++) s[k] += s[k + 4]; \\
        return (s[0] + s[2]) + (s[1] + s[3]); \\
    } \\
    REGFAST_SIMD static void regfast_dot2_##S(const T *x, double m, const double *v, const double *w, Py_ssize_t n, \\
                                              double *out) { \\
        regfast_v8 s0 = {0}, s1 = {0}, t0 = {0}, t1 = {0}; \\
        double s = 0, t = 0; \\
        Py_ssize_t i = 0; \\
        for (; i + 16 <= n; i += 16) { \\
            regfast_v8 d = REGFAST_LOAD_##S(x + i) - m, e = REGFAST_LOAD_##S(x + i + 8) - m; \\
            s0 += d * REGFAST_LOAD_f64(v + i); s1 += e * REGFAST_LOAD_f64(v + i + 8); \\
            t0 += d * REGFAST_LOAD_f64(w + i); t1 += e * REGFAST_LOAD_f64(w + i + 8); } \\
        for (; i < n; i++) { double d = (double)x[i] - m; s += d * v[i]; t += d * w[i]; } \\
        s0 += s1; t0 += t1; \\
        out[0] = REGFAST_SUM(s0) + s; \\
        out[1] = REGFAST_SUM(t0) + t; \\
    } \\
    REGFAST_SIMD static void regfast_dot4_##S(const char *const *x, const double *m, const double *v, Py_ssize_t n, \\
                                              double *out) { \\
        const T *x0 = (const T *)x[0], *x1 = (const T *)x[1], *x2 = (const T *)x[2], *x3 = (const T *)x[3]; \\
        regfast_v8 s0 = {0}, s1 = {0}, s2 = {0}, s3 = {0}, t0 = {0}, t1 = {0}, t2 = {0}, t3 = {0}; \\
        Py_ssize_t i = 0; \\
        for (; i + 16 <= n; i += 16) { \\
            regfast_v8 a = REGFAST_LOAD_f64(v + i), b = REGFAST_LOAD_f64(v + i + 8); \\
            s0 += (REGFAST_LOAD_##S(x0 + i) - m[0]) * a; t0 += (REGFAST_LOAD_##S(x0 + i + 8) - m[0]) * b; \\
            s1 += (REGFAST_LOAD_##S(x1 + i) - m[1]) * a; t1 += (REGFAST_LOAD_##S(x1 + i + 8) - m[1]) * b; \\
            s2 += (REGFAST_LOAD_##S(x2 + i) - m[2]) * a; t2 += (REGFAST_LOAD_##S(x2 + i + 8) - m[2]) * b; \\
            s3 += (REGFAST_LOAD_##S(x3 + i) - m[3]) * a; t3 += (REGFAST_LOAD_##S(x3 + i + 8) - m[3]) * b; } \\
        for (int k = 0; i < n; i++, k++) { \\
            double a = ((double)x0[i] - m[0]) * v[i], b = ((double)x1[i] - m[1]) * v[i]; \\
            double c = ((double)x2[i] - m[2]) * v[i], d = ((double)x3[i] - m[3]) * v[i]; \\
            if (k < 8) { s0[k] += a; s1[k] += b; s2[k] += c; s3[k] += d; } \\
            else { t0[k - 8] += a; t1[k - 8] += b; t2[k - 8] += c; t3[k - 8] += d; } } \\
        s0 += t0; s1 += t1; s2 += t2; s3 += t3; \\
        out[0] = REGFAST_SUM(s0); out[1] = REGFAST_SUM(s1); out[2] = REGFAST_SUM(s2); out[3] = REGFAST_SUM(s3); \\
    } \\
    REGFAST_SIMD static void regfast_axpy4_##S(const char *const *x, const double *m, const double *a, \\
                                               double *restrict v, Py_ssize_t n) { \\
        const T *x0 = (const T *)x[0], *x1 = (const T *)x[1], *x2 = (const T *)x[2], *x3 = (const T *)x[3]; \\
        const double a0 = a[0], a1 = a[1], a2 = a[2], a3 = a[3], m0 = m[0], m1 = m[1], m2 = m[2], m3 = m[3]; \\
        for (Py_ssize_t i = 0; i < n; i++) { \\
            double s = v[i] + a0 * ((double)x0[i] - m0); \\
            s += a1 * ((double)x1[i] - m1); \\
            s += a2 * ((double)x2[i] - m2); \\
            v[i] = s + a3 * ((double)x3[i] - m3); } \\
    } \\
    REGFAST_SIMD static void regfast_waxpy4_##S(const char *const *x, const double *m, const double *a, \\
                                                const double *w, double *restrict v, Py_ssize_t n) { \\
        const T *x0 = (const T *)x[0], *x1 = (const T *)x[1], *x2 = (const T *)x[2], *x3 = (const T *)x[3]; \\
        const double a0 = a[0], a1 = a[1], a2 = a[2], a3 = a[3], m0 = m[0], m1 = m[1], m2 = m[2], m3 = m[3]; \\
        for (Py_ssize_t i = 0; i < n; i++) { \\
            double s = v[i] + a0 * (((double)x0[i] - m0) * w[i]); \\
            s += a1 * (((double)x1[i] - m1) * w[i]); \\
            s += a2 * (((double)x2[i] - m2) * w[i]); \\
            v[i] = s + a3 * (((double)x3[i] - m3) * w[i]); } \\
    } \\
    REGFAST_SIMD static void regfast_gauge_##S(const T *x, double m, const double *w, const double *u, Py_ssize_t n, \\
                                               double *out) { \\
        regfast_v8 s0 = {0}, s1 = {0}, t0 = {0}, t1 = {0}, r0 = {0}, r1 = {0}; \\
        double s = 0, t = 0, r = 0; \\
        Py_ssize_t i = 0; \\
        for (; i + 16 <= n; i += 16) { \\
            regfast_v8 d = REGFAST_LOAD_##S(x + i) - m, e = REGFAST_LOAD_##S(x + i + 8) - m; \\
            regfast_v8 a = d * REGFAST_LOAD_f64(w + i), b = e * REGFAST_LOAD_f64(w + i + 8); \\
            s0 += a; t0 += a * d; r0 += d * REGFAST_LOAD_f64(u + i); \\
            s1 += b; t1 += b * e; r1 += e * REGFAST_LOAD_f64(u + i + 8); } \\
        for (; i < n; i++) { double d = (double)x[i] - m, a = w[i] * d; s += a; t += a * d; r += u[i] * d; } \\
        s0 += s1; t0 += t1; r0 += r1; \\
        out[0] = REGFAST_SUM(s0) + s; \\
        out[1] = REGFAST_SUM(t0) + t; \\
        out[2] = REGFAST_SUM(r0) + r; \\
    } \\
    REGFAST_SIMD static void regfast_axpy_##S(const T *x, double m, double a, double *restrict v, Py_ssize_t n) { \\
        for (Py_ssize_t i = 0; i < n; i++) v[i] += a * ((double)x[i] - m); \\
    } \\
    REGFAST_SIMD static void regfast_rows_##S(const char *x, Py_ssize_t stride, Py_ssize_t rows, const double *m, \\
                                              const double *a, double *restrict v, Py_ssize_t n) { \\
        Py_ssize_t i, r = 0; \\
        for (; r + 4 <= rows; r += 4, x += 4 * stride) { \\
            const T *x0 = (const T *)x, *x1 = (const T *)(x + stride); \\
            const T *x2 = (const T *)(x + 2 * stride), *x3 = (const T *)(x + 3 * stride); \\
            const double a0 = a[r], a1 = a[r + 1], a2 = a[r + 2], a3 = a[r + 3]; \\
            for (i = 0; i < n; i++) { \\
                double s = v[i] + a0 * ((double)x0[i] - m[i]); \\
                s += a1 * ((double)x1[i] - m[i]); \\
                s += a2 * ((double)x2[i] - m[i]); \\
                v[i] = s + a3 * ((double)x3[i] - m[i]); } \\
        } \\
        for (; r < rows; r++, x += stride) \\
            for (i = 0; i < n; i++) v[i] += a[r] * ((double)((const T *)x)[i] - m[i]); \\
    } \\
    REGFAST_SIMD static void regfast_waxpy_##S(const T *x, double m, double a, const double *w, double *restrict v, \\
                                               Py_ssize_t n) { \\
        for (Py_ssize_t i = 0; i < n; i++) v[i] += a * (((double)x[i] - m) * w[i]); \\
    } \\
    REGFAST_SIMD static void regfast_spread_##S(const T *x, double m, const double *w, Py_ssize_t n, double *out) { \\
        double s[8] = {0}, t[8] = {0}; \\
        Py_ssize_t i = 0; \\
        int k; \\
        for (; i + 8 <= n; i += 8) \\
            for (k = 0; k < 8; k++) { double d = (double)x[i + k] - m, u = w[i + k] * d; s[k] += u; t[k] += u * d; } \\
        for (k = 0; i < n; i++, k++) { double d = (double)x[i] - m, u = w[i] * d; s[k] += u; t[k] += u * d; } \\
        out[0] = out[1] = 0; \\
        for (k = 0; k < 8; k++) { out[0] += s[k]; out[1] += t[k]; } \\
    } \\
    REGFAST_SIMD static void regfast_deviate_##S(const T *x, double w, const double *m, Py_ssize_t n, \\
                                                 double *restrict first, double *restrict square) { \\
        for (Py_ssize_t i = 0; i < n; i++) { \\
            double d = (double)x[i] - m[i], u = w * d; first[i] += u; square[i] += u * d; } \\
    }
    REGFAST_DENSE(double, f64)
    REGFAST_DENSE(float, f32)
    static void regfast_spin(double *row, Py_ssize_t stride, int m, const double *c, const double *s, Py_ssize_t n) {
        for (; m >= 4; m -= 4, row += 4 * stride) {
            double *p = row, *q = p + stride, *u = q + stride, *v = u + stride;
            double a = p[0], b = q[0], d = u[0], e = v[0], y, z;
            for (Py_ssize_t t = 0; t < n; t++) {
                y = c[t]; z = s[t];
                double pa = p[t + 1], qa = q[t + 1], ua = u[t + 1], va = v[t + 1];
                p[t] = y * a + z * pa; a = y * pa - z * a;
                q[t] = y * b + z * qa; b = y * qa - z * b;
                u[t] = y * d + z * ua; d = y * ua - z * d;
                v[t] = y * e + z * va; e = y * va - z * e;
            }
            p[n] = a; q[n] = b; u[n] = d; v[n] = e;
        }
        for (; m > 0; m--, row += stride) {
            double a = row[0];
            for (Py_ssize_t t = 0; t < n; t++) {
                double b = row[t + 1];
                row[t] = c[t] * a + s[t] * b; a = c[t] * b - s[t] * a;
            }
            row[n] = a;
        }
    }
    static inline void regfast_prefetch(const char *x, Py_ssize_t size) {
        for (Py_ssize_t i = 0; i < size; i += 64) __builtin_prefetch(x + i, 0, 2);
    }
    REGFAST_SIMD static double regfast_energy(const double *r, double a, const double *w, const double *over,
                                              Py_ssize_t n) {
        double s[16] = {0};
        Py_ssize_t i = 0;
        int k;
        for (; i + 16 <= n; i += 16)
            for (k = 0; k < 16; k++) { double d = r[i + k] - a * w[i + k]; s[k] += d * d * over[i + k]; }
        for (k = 0; i < n; i++, k++) { double d = r[i] - a * w[i]; s[k] += d * d * over[i]; }
        for (k = 0; k < 8; k++) s[k] += s[k + 8];
        for (k = 0; k < 4; k++) s[k] += s[k + 4];
        return (s[0] + s[2]) + (s[1] + s[3]);
    }
    REGFAST_SIMD static void regfast_rotate(double *restrict x, double *restrict y, double c, double s, Py_ssize_t n) {
        for (Py_ssize_t i = 0; i < n; i++) { double a = x[i], b = y[i]; x[i] = c * a + s * b; y[i] = c * b - s * a; }
    }
    REGFAST_SIMD static void regfast_reach(double *restrict z, const signed char *both, const double *rest, double d,
                                           Py_ssize_t n) {
        for (Py_ssize_t i = 0; i < n; i++) {
            double other = -z[i] * both[i];
            z[i] = (z[i] > other ? z[i] : other) + rest[i] * d; }
    }
    /* e^(x + b): x + b = k log 2 + f with |f| <= log 2 / 2, Taylor's polynomial of e^f to 4e-18, k into the exponent.
       Adding 1.5 * 2^52 rounds to an integer and leaves it in the low bits. Beyond e^±708 it stays there. */
    REGFAST_SIMD static void regfast_exp(const double *x, double b, double *out, Py_ssize_t n) {
        const double shift = 6755399441055744.0;
        for (Py_ssize_t i = 0; i < n; i++) {
            double z = x[i] + b, t, k, f, p, s;
            int64_t bits;
            z = z < -708 ? -708 : z;
            z = z > 708 ? 708 : z;
            t = z * 1.4426950408889634 + shift;
            k = t - shift;
            f = (z - k * 6.93147180369123816490e-01) - k * 1.90821492927058770002e-10;
            p = 1.6059043836821613e-10;
            p = p * f + 2.08767569878681e-09;
            p = p * f + 2.505210838544172e-08;
            p = p * f + 2.755731922398589e-07;
            p = p * f + 2.7557319223985893e-06;
            p = p * f + 2.48015873015873e-05;
            p = p * f + 1.984126984126984e-04;
            p = p * f + 1.388888888888889e-03;
            p = p * f + 8.333333333333333e-03;
            p = p * f + 4.1666666666666664e-02;
            p = p * f + 1.6666666666666666e-01;
            p = p * f + 0.5;
            p = p * f + 1;
            p = p * f + 1;
            __builtin_memcpy(&bits, &t, 8);
            bits = (int64_t)(((uint64_t)bits + 1023) << 52);
            __builtin_memcpy(&s, &bits, 8);
            out[i] = p * s;
        }
    }
    /* log(1 + x) in place, x > -1: 1 + x = 2^k m with m in [sqrt(1/2), sqrt(2)), log m = 2 artanh z with
       z = (m - 1) / (m + 1), whose series in z^2 <= 0.0295 ends at 1e-17; what 1 + x has lost by rounding is added. */
    REGFAST_SIMD static void regfast_log1p(double *x, Py_ssize_t n) {
        for (Py_ssize_t i = 0; i < n; i++) {
            double u = 1 + x[i], lost = (x[i] - (u - 1)) / u, k, m, z, y, p;
            int64_t bits, top;
            __builtin_memcpy(&bits, &u, 8);
            top = (bits - 0x3fe6a09e667f3bcd) >> 52;
            bits -= (int64_t)((uint64_t)top << 52);
            __builtin_memcpy(&m, &bits, 8);
            k = (double)(int32_t)top;
            z = (m - 1) / (m + 1);
            y = z * z;
            p = 1. / 21;
            p = p * y + 1. / 19; p = p * y + 1. / 17; p = p * y + 1. / 15; p = p * y + 1. / 13;
            p = p * y + 1. / 11; p = p * y + 1. / 9; p = p * y + 1. / 7; p = p * y + 1. / 5; p = p * y + 1. / 3;
            p = 2 * z * (y * p) + (k * 1.90821492927058770002e-10 + lost);
            x[i] = (k * 6.93147180369123816490e-01 + 2 * z) + p;
        }
    }
    """
    void regfast_log1p(double *x, Py_ssize_t n) noexcept nogil
    void regfast_exp(const double *x, double b, double *out, Py_ssize_t n) noexcept nogil
    void regfast_spin(double *row, Py_ssize_t stride, int m, const double *c, const double *s,
                      Py_ssize_t n) noexcept nogil
    void regfast_prefetch(const char *x, Py_ssize_t size) noexcept nogil
    double regfast_energy(const double *r, double a, const double *w, const double *over, Py_ssize_t n) noexcept nogil
    void regfast_rotate(double *x, double *y, double c, double s, Py_ssize_t n) noexcept nogil
    void regfast_reach(double *z, const signed char *both, const double *rest, double d, Py_ssize_t n) noexcept nogil
    double regfast_dot_f64(const double *x, double m, const double *v, Py_ssize_t n) noexcept nogil
    double regfast_dot_f32(const float *x, double m, const double *v, Py_ssize_t n) noexcept nogil
    void regfast_dot2_f64(const double *x, double m, const double *v, const double *w, Py_ssize_t n,
                          double *out) noexcept nogil
    void regfast_dot2_f32(const float *x, double m, const double *v, const double *w, Py_ssize_t n,
                          double *out) noexcept nogil
    void regfast_dot4_f64(const char **x, const double *m, const double *v, Py_ssize_t n, double *out) noexcept nogil
    void regfast_axpy4_f64(const char **x, const double *m, const double *a, double *v, Py_ssize_t n) noexcept nogil
    void regfast_waxpy4_f64(const char **x, const double *m, const double *a, const double *w, double *v,
                            Py_ssize_t n) noexcept nogil
    void regfast_gauge_f64(const double *x, double m, const double *w, const double *u, Py_ssize_t n,
                           double *out) noexcept nogil
    void regfast_dot4_f32(const char **x, const double *m, const double *v, Py_ssize_t n, double *out) noexcept nogil
    void regfast_axpy4_f32(const char **x, const double *m, const double *a, double *v, Py_ssize_t n) noexcept nogil
    void regfast_waxpy4_f32(const char **x, const double *m, const double *a, const double *w, double *v,
                            Py_ssize_t n) noexcept nogil
    void regfast_gauge_f32(const float *x, double m, const double *w, const double *u, Py_ssize_t n,
                           double *out) noexcept nogil
    void regfast_rows_f64(const char *x, Py_ssize_t stride, Py_ssize_t rows, const double *m, const double *a,
                          double *v, Py_ssize_t n) noexcept nogil
    void regfast_axpy_f64(const double *x, double m, double a, double *v, Py_ssize_t n) noexcept nogil
    void regfast_rows_f32(const char *x, Py_ssize_t stride, Py_ssize_t rows, const double *m, const double *a,
                          double *v, Py_ssize_t n) noexcept nogil
    void regfast_axpy_f32(const float *x, double m, double a, double *v, Py_ssize_t n) noexcept nogil
    void regfast_waxpy_f64(const double *x, double m, double a, const double *w, double *v,
                           Py_ssize_t n) noexcept nogil
    void regfast_waxpy_f32(const float *x, double m, double a, const double *w, double *v,
                           Py_ssize_t n) noexcept nogil
    void regfast_spread_f64(const double *x, double m, const double *w, Py_ssize_t n, double *out) noexcept nogil
    void regfast_spread_f32(const float *x, double m, const double *w, Py_ssize_t n, double *out) noexcept nogil
    void regfast_deviate_f64(const double *x, double w, const double *m, Py_ssize_t n, double *first,
                             double *square) noexcept nogil
    void regfast_deviate_f32(const float *x, double w, const double *m, Py_ssize_t n, double *first,
                             double *square) noexcept nogil
