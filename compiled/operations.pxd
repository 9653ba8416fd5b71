"""C types for `operations.py`."""

cdef class Operation:
    cdef public object symbol, name, forward, local_gradients, form, on_floats, defaults
    cdef public bint routes
    cdef public Py_ssize_t vectors

    cpdef tuple split(self, tuple inputs)


cdef class FusedOperation(Operation):
    pass
