"""C types for `operations.py`."""

cdef class Operation:
    cdef public bint routes
    cdef public Py_ssize_t vectors

    cpdef tuple split(self, tuple inputs)


cdef class FusedOperation(Operation):
    cdef public object on_paper
    cdef public object on_vectors
