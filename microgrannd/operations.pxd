"""C types for the optional compiled build; the Python file beside it is the source, here and there."""

cdef class Operation:
    cdef public object symbol, name, forward, local_gradients, defaults
    cdef public bint routes


cdef class FusedOperation(Operation):
    cdef public Py_ssize_t vectors
