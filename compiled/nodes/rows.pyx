"""Rows that come to the table later, or go, and micrograd's words: attributes of a class that Python may not change."""

from cpython.object cimport PyTypeObject
from cpython.type cimport PyType_Modified
from microgrannd.engine cimport Value
from microgrannd.nodes.arithmetic import Arithmetic
from microgrannd.nodes.elsewhere import NamesElsewhere
from microgrannd.nodes.micrograd import AsInMicrograd
from microgrannd.operations import TABLE

cdef dict attributes = <dict>(<PyTypeObject *>Value).tp_dict
cdef frozenset built = frozenset(attributes)
cdef dict others = {**vars(NamesElsewhere), **vars(AsInMicrograd)}


def follow(operation):
    """Give Value what Arithmetic has and the build did not know."""
    for name in attributes.keys() - built:
        del attributes[name]
    attributes.update({name: others[name] for name in others.keys() - built})
    attributes.update({name: vars(Arithmetic)[name] for name in vars(Arithmetic).keys() - built})
    PyType_Modified(Value)


follow(None)
TABLE.followers.append(follow)
