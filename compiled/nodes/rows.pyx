"""Rows that come to the table later, or go, and micrograd's words: attributes of a class that Python may not change."""

from cpython.object cimport PyTypeObject
from cpython.type cimport PyType_Modified
from microgrannd.engine cimport Value
from microgrannd.nodes.arithmetic import Arithmetic
from microgrannd.nodes.micrograd import AsInMicrograd
from microgrannd.operations import TABLE

cdef dict attributes = <dict>(<PyTypeObject *>Value).tp_dict
cdef frozenset built = frozenset(attributes)
cdef dict of_micrograd = {name: thing for name, thing in vars(AsInMicrograd).items() if name not in built}


def follow(operation):
    """Give Value what Arithmetic has and the build did not know."""
    for name in attributes.keys() - built:
        del attributes[name]
    attributes.update({name: vars(Arithmetic)[name] for name in vars(Arithmetic).keys() - built})
    attributes.update(of_micrograd)
    PyType_Modified(Value)


follow(None)
TABLE.followers.append(follow)
