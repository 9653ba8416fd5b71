"""C types for `nn.py`."""

cimport cython
from microgrannd.engine cimport Value, neuron
from microgrannd.operations cimport Operation


@cython.locals(plain=bint, outputs=list, numbers=tuple)
cdef list _outputs(neurons, list inputs)
