# Floor 2. Separable penalties α Σ_j pen_j(b_j); α is an argument, so that threads and folds can share one object.


cdef class Penalty:
    cdef double unit    # of what does not go with α: 1, or in a quadratic model what 1 is in units of it
    cdef Penalty lasso  # the same without its quadratic part; None when it has none
    cdef double value(self, double alpha, double b, Py_ssize_t j) noexcept nogil
    cdef double prox(self, double alpha, double z, double h, Py_ssize_t j) noexcept nogil
    cdef double distance(self, double alpha, double b, double c, Py_ssize_t j) noexcept nogil
    cdef double young(self, double alpha, double b, double z, Py_ssize_t j) noexcept nogil
    cdef double limit(self, double alpha, double z, Py_ssize_t j) noexcept nogil
    cdef double strict(self, double alpha, double z, Py_ssize_t j) noexcept nogil
    cdef double pull(self, double alpha, double b, double side, Py_ssize_t j) noexcept nogil
    cdef double hold(self, double side, Py_ssize_t j) noexcept nogil
    cdef double least_hold(self, Py_ssize_t j) noexcept nogil
    cdef double kink(self, double alpha, Py_ssize_t j) noexcept nogil
    cdef double low(self, Py_ssize_t j) noexcept nogil
    cdef double high(self, Py_ssize_t j) noexcept nogil
    cdef double ridge(self, double alpha, Py_ssize_t j) noexcept nogil


cdef class ElasticNet(Penalty):
    cdef const double[:] l1, l2, lo, hi, d  # strided: one number can stand for p equal ones
