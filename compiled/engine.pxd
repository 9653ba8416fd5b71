"""C types for `engine.py` and, within it, `nodes/order.py`."""

cimport cython
from microgrannd.operations cimport Operation

cdef extern from "Python.h":
    Py_hash_t identity "PyBaseObject_Type.tp_hash" (object)

cdef list opened


cdef class Value:
    cdef object __weakref__
    cdef public Operation op
    cdef public Value _first, _second
    cdef public double _grad
    cdef public Py_ssize_t _pass

    @cython.locals(
        arrived=double, to_first=double, to_second=double, node=Value, first=Value, second=Value, operation=Operation
    )
    cpdef backward(self, upstream=*, retain_graph=*, gradient=*)

    @cython.final
    @cython.locals(node=Value)
    cdef Value _unary(self, Operation operation, origin=*)

    @cython.final
    @cython.locals(second=Value, node=Value)
    cdef _binary(self, Operation operation, other)

    @cython.final
    @cython.locals(first=Value)
    cdef _reflected(self, Operation operation, other)

    @cython.final
    cdef _compared(self, Operation operation, holds, other)

    @cython.locals(parents=tuple, inputs=tuple, node=Value, parent=Value)
    cpdef Value record(self, Operation operation, tuple arguments)


cdef class Constant(Value):
    pass


@cython.locals(w=tuple, node=Value, weight=Value)
cpdef Value neuron(list weights, list inputs, tuple numbers, Value bias, Operation activation, origin)

@cython.locals(node=Value)
cdef Value _fused(Operation operation, data, tuple arguments, tuple parents, origin=*)

@cython.locals(operation=Operation, parents=tuple, parent=Value, local=double)
cdef _distribute(Value node, double gradient)

cdef Value _operand(thing)

@cython.locals(
    this_pass=Py_ssize_t, order=list, unfinished=list, waiting=list, unseen=list, parents=tuple,
    node=Value, first=Value, following=Value, last=Value, parent=Value
)
cdef list started(Value root, double upstream)
