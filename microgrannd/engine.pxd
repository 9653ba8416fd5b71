"""C types for the optional compiled build; the Python file beside it is the source, here and there."""

cimport cython
from microgrannd.operations cimport Operation

cdef extern from *:
    """
    /* What a Python class has and a C type must be told, just before it is made ready. A Value hashes by
       identity, as its class body says. The cyclic collector need not know of it: nodes refer to their
       parents only, so that they are part of no cycle. And a long chain is freed without recursion: while a
       node is being freed, those that it was the last to refer to wait, linked where they had their count. */
    static destructor plain_free;
    static PyObject *waiting;
    static int freeing;

    static void chain_free(PyObject *node) {
        if (Py_TYPE(node)->tp_flags & Py_TPFLAGS_HEAPTYPE) plain_free(node);  /* of a user's subclass */
        else if (freeing) { memcpy(node, &waiting, sizeof waiting); waiting = node; }
        else {
            freeing = 1;
            plain_free(node);
            while ((node = waiting)) {
                memcpy(&waiting, node, sizeof waiting);
                memset(node, 0, sizeof waiting);
                plain_free(node);
            }
            freeing = 0;
        }
    }

    static int ready(PyTypeObject *type) {
        int is_value = type->tp_richcompare != NULL;
        if (is_value || (type->tp_base && type->tp_base->tp_dealloc == chain_free)) {
            if (is_value) plain_free = type->tp_dealloc;
            else type->tp_richcompare = type->tp_base->tp_richcompare;
            type->tp_hash = PyBaseObject_Type.tp_hash;
            type->tp_dealloc = chain_free;
            type->tp_flags &= ~Py_TPFLAGS_HAVE_GC;
            type->tp_traverse = NULL;
            type->tp_clear = NULL;
        }
        return PyType_Ready(type);
    }
    #define PyType_Ready ready
    #define PyObject_GC_UnTrack(o) (PyType_IS_GC(Py_TYPE(o)) ? PyObject_GC_UnTrack(o) : (void)0)
    """

cdef list opened


cdef class Value:
    cdef object __weakref__
    cdef public object _origin, _data, _x, _y
    cdef public Operation op
    cdef public Value _first, _second
    cdef public double _grad
    cdef public long _pass

    @cython.locals(
        gradient=double, to_first=double, to_second=double, node=Value, first=Value, second=Value, operation=Operation
    )
    cpdef backward(self, upstream=*)

    cpdef list _start(self, upstream)


cdef class Constant(Value):
    pass


@cython.locals(node=Value)
cpdef Value _unary(Operation operation, Value first)

@cython.locals(second=Value, node=Value)
cdef _binary(Operation operation, Value first, other)

cdef _reflected(Operation operation, number, Value second)

@cython.locals(node=Value)
cpdef Value _node(Operation operation, data, tuple arguments, tuple parents)

@cython.locals(node=Value, output=Value)
cpdef Value _neuron(z, tuple arguments, tuple parents, Operation activation, origin)

cdef Value _operand(thing)

cdef _compared(Operation operation, holds, Value first, other)

@cython.locals(order=list, seen=set, node=Value, first=Value, second=Value, parents=tuple)
cdef list _ordered(list stack, bint leaves)

@cython.locals(
    this_pass=long, order=list, unfinished=list, waiting=list, unseen=list, parents=tuple,
    first=Value, following=Value, last=Value, parent=Value
)
cpdef list _cleared(Value node)

@cython.locals(operation=Operation, parents=tuple, parent=Value, local=double)
cdef _distribute(Value node, double gradient)
