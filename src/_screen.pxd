# Floor 6. Which columns to work on, and the proof that the others can stay out.
from regfast._bounds cimport Bounds
from regfast._state cimport level_t, measure_t, status_t
from regfast._work cimport Workspace


cdef class Screen(Workspace):
    cdef Bounds bounds
    cdef Py_ssize_t *fresh          # (room,) columns about to join the working set
    cdef Py_ssize_t *near           # (m_near,) columns outside that the bounds did not rule out, at the last look
    cdef Py_ssize_t near_room, m_near   # m_near < 0: all of them
    cdef double share               # of X that may be read before all of it is
    cdef bint few                   # there are so few columns that all of them work
    cdef double[::1] _ahead         # (p,) correlations of the residual's direction
    cdef double[::1] audit          # (p,) scratch of the audit; None: bounds are believed
    cdef status_t proof(self, double alpha, measure_t *out) noexcept nogil
    cdef status_t proof_by_all(self, double alpha, measure_t *out) noexcept nogil
    cdef Py_ssize_t looked_at(self, const Py_ssize_t **ids) noexcept nogil
    cdef measure_t judge(self, double alpha) noexcept nogil
    cdef status_t survey(self, double alpha) noexcept nogil
    cdef bint audited(self, double alpha) noexcept nogil
    cdef status_t foresee(self, double alpha, Py_ssize_t *added) noexcept nogil
    cdef void look(self, double alpha) noexcept nogil
    cdef status_t fetch(self, double alpha, Py_ssize_t *ids, Py_ssize_t m, Py_ssize_t room) noexcept nogil
    cdef status_t whole(self, double alpha) noexcept nogil
    cdef status_t enlarge(self, double alpha, Py_ssize_t *added) noexcept nogil
    cdef status_t widen(self, Py_ssize_t more) noexcept nogil
    cdef status_t gather(self, double alpha, Py_ssize_t m) noexcept nogil
    cdef status_t take_stock(self, level_t level) noexcept nogil
    cdef bint belongs(self, Py_ssize_t j, level_t level) noexcept nogil
    cdef void shrink(self) noexcept nogil
