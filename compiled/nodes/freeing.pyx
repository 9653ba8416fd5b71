"""How the compiled build frees a graph: node after node, without recursion, however long a chain is."""

from cpython.object cimport Py_TPFLAGS_HEAPTYPE, PyObject, PyTypeObject, destructor
from microgrannd.engine cimport Constant, Value

cdef destructor free_one = (<PyTypeObject *>Value).tp_dealloc
cdef PyObject *waiting = NULL
cdef bint freeing = False


cdef void free(PyObject *node) noexcept:
    """Free a node and all that only it referred to; meanwhile these wait, each with the next one in its `_pass`."""
    global freeing, waiting
    if node.ob_type.tp_flags & Py_TPFLAGS_HEAPTYPE:  # of a subclass in Python, which goes on when this is done
        free_one(node)
    elif freeing:
        (<Value>node)._pass = <Py_ssize_t>waiting
        waiting = node
    else:
        freeing = True
        free_one(node)
        while waiting is not NULL:
            node = waiting
            waiting = <PyObject *>(<Value>node)._pass
            free_one(node)
        freeing = False


(<PyTypeObject *>Value).tp_dealloc = (<PyTypeObject *>Constant).tp_dealloc = free
