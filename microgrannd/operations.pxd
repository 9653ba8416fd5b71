"""C types for the optional compiled build; the Python file beside it is the source, here and there."""

cdef class Operation:
    cdef public object symbol, name, forward, local_gradients, on_floats, defaults
    cdef public bint routes
    cdef public Py_ssize_t vectors

    cpdef tuple _split(self, tuple inputs)


cdef class FusedOperation(Operation):
    pass
