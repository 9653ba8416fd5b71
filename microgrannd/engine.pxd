"""C types for the optional compiled build; the Python file beside it is the source, here and there."""

cimport cython
from microgrannd.operations cimport Operation

cdef extern from *:
    """
    /* What a Python class has and a C type must be told, just before it is made ready. A Value hashes by
       identity, as its class body says. A long chain is freed without recursion. And the cyclic collector
       need not walk the nodes: they refer to their parents only, so that they are part of no cycle. */
    static destructor plain_free;

    static void chain_free(PyObject *node) {
        PyObject_GC_UnTrack(node);
        Py_TRASHCAN_BEGIN(node, chain_free)
        plain_free(node);
        Py_TRASHCAN_END
    }

    static PyObject *untracked(PyTypeObject *type, Py_ssize_t items) {
        PyObject *node = PyObject_GC_New(PyObject, type);
        if (node) memset(node + 1, 0, type->tp_basicsize - sizeof(PyObject));
        return node;
    }

    static int ready(PyTypeObject *type) {
        int is_value = type->tp_richcompare != NULL;
        if (is_value || (type->tp_base && type->tp_base->tp_alloc == untracked)) {
            if (is_value) plain_free = type->tp_dealloc;
            else type->tp_richcompare = type->tp_base->tp_richcompare;
            type->tp_hash = PyBaseObject_Type.tp_hash;
            type->tp_alloc = untracked;
            type->tp_dealloc = chain_free;
        }
        return PyType_Ready(type);
    }
    #define PyType_Ready ready
    """


cdef class Value:
    cdef object __weakref__
    cdef public object label, _origin, _data, _x, _y
    cdef public Operation op
    cdef public Value _first, _second
    cdef public tuple _many
    cdef public double _grad

    @cython.locals(
        gradient=double, to_first=double, to_second=double, slope=double, routes=bint, parents=tuple,
        node=Value, first=Value, second=Value, parent=Value, operation=Operation
    )
    cpdef backward(self, upstream=*)

    @cython.locals(node=Value)
    cpdef list _start(self, upstream)


cdef class Constant(Value):
    pass


@cython.locals(node=Value)
cpdef Value _unary(Operation operation, Value first)

@cython.locals(first=Value, second=Value, node=Value)
cdef _binary(Operation operation, left, right)

@cython.locals(node=Value)
cpdef Value _node(Operation operation, data, tuple numbers, tuple parents)

cdef Value _operand(thing)

cdef _compared(Operation operation, holds, Value first, other)

@cython.locals(order=list, seen=set, node=Value, first=Value, second=Value, parents=tuple)
cdef list _ordered(list stack, bint leaves)
