"""C types for the optional compiled build; the Python file beside it is the source, here and there."""

cimport cython
from microgrannd.engine cimport Constant, Value, _neuron
from microgrannd.operations cimport Operation


@cython.locals(
    plain=bint, outputs=list, numbers=tuple, value=Value, weight=Value, bias=Value, weights=list, w=tuple
)
cdef list _outputs(neurons, list inputs)
