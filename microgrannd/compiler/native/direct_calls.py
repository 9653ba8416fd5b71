"""A kernel as a function that Python calls directly: ctypes takes longer to pass numbers than the numbers take.

Native code takes floats out of the arguments and builds the result in Python's C interface; anything else it hands to
an ordinary function. It relies on CPython's layout of objects, which is probed first.
"""

import ctypes
import functools
import sys
import sysconfig
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from microgrannd.compiler.llvm.machine import MachineCode
from microgrannd.compiler.native.kernel_source import Assembly, kernel, module
from microgrannd.compiler.tape.tape import Tape
from microgrannd.engine import Value, number_of
from microgrannd.ground.nests import Shape

_MOST_NUMBERS: Final = 200  # inputs and parameters; beyond them the call costs little beside the work
_FASTCALL: Final = 0x80 | 0x02  # METH_FASTCALL | METH_KEYWORDS of Python's C interface


class _MethodDefinition(ctypes.Structure):
    _fields_ = (("name", ctypes.c_char_p), ("call", ctypes.c_void_p), ("flags", ctypes.c_int), ("doc", ctypes.c_char_p))


class ObjectLayout(NamedTuple):
    """Where CPython keeps what an object holds, in bytes from its start."""

    type: int
    number: int
    size: int
    list_items: int
    tuple_items: int
    value: int  # of the float in a Value


# A definition must outlive its function, which the garbage collector may free after all else: they stay.
_definitions: Final[list[Any]] = []


def fast_function(
    tape: Tape, shapes: Sequence[Shape], result: Shape, parameters: Sequence[Value], otherwise: Callable[..., Any],
    *, checked: bool,
) -> tuple[Callable[..., Any], MachineCode] | None:  # fmt: skip
    """`otherwise` for arguments of these shapes, only sooner, and the code to be kept; None where there can be none.

    `result` is the shape of the outputs. If they are `checked`, `otherwise` has the last word where one of them after
    the first, a gradient or its bound, is NaN, since the tape may lack guards.
    """
    layout = _layout()
    plain = all(_is_plain(shape) for shape in (*shapes, result))
    if layout is None or not plain or tape.leaves > _MOST_NUMBERS or len(tape.outputs) > _MOST_NUMBERS:
        return None
    caller = _Caller(tape, layout).text(shapes, result, parameters, checked=checked)
    # One sample's straight line: LLVM's higher levels take half as long again and gain nothing.
    code = MachineCode(module(kernel(tape, "one"), Assembly(_DECLARED, (caller,))), 1)
    definition = _MethodDefinition(b"program", code.address("call"), _FASTCALL, None)
    _definitions.append(definition)
    make = ctypes.pythonapi.PyCFunction_NewEx
    make.restype = ctypes.py_object
    make.argtypes = [ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p]
    return make(ctypes.addressof(definition), otherwise, None), code


_DECLARED: Final = frozenset([
    "declare ptr @PyFloat_FromDouble(double)", "declare ptr @PyObject_Vectorcall(ptr, ptr, i64, ptr)",
    *[f"declare ptr @Py{nest}_New(i64)" for nest in ("List", "Tuple")],
    *[f"declare i32 @Py{nest}_SetItem(ptr, i64, ptr)" for nest in ("List", "Tuple")],
])  # fmt: skip


class _Caller:
    def __init__(self, tape: Tape, layout: ObjectLayout) -> None:
        self.tape = tape
        self.layout = layout
        self.lines: list[str] = []
        self.count = 0
        self.place = 0

    def text(self, shapes: Sequence[Shape], result: Shape, parameters: Sequence[Value], *, checked: bool) -> str:
        for name, size in (("in", len(self.tape.inputs)), ("given", len(parameters)), ("out", len(self.tape.outputs))):
            self.lines.append(f"  %{name} = alloca [{max(size, 1)} x double]")
        self._unless("icmp eq ptr %keywords, null")
        self._unless("icmp eq i64 %n, " + str(len(shapes)))
        for i, shape in enumerate(shapes):
            self._read(self._load("ptr", "%arguments", 8 * i), shape)
        for i, parameter in enumerate(parameters):
            number = self._load("ptr", f"inttoptr (i64 {id(parameter)} to ptr)", self.layout.value)
            self._store(self._load("double", number, self.layout.number), "%given", 8 * i)
        self.lines.append("  call void @one(ptr %in, ptr %given, ptr %out)")
        self.place = 0
        for k in range(1, len(self.tape.outputs) if checked else 0):
            self._unless(f"fcmp ord double {self._load('double', '%out', 8 * k)}, 0.0")
        built = self._build(result)
        slow = "  %slow = call ptr @PyObject_Vectorcall(ptr %self, ptr %arguments, i64 %n, ptr %keywords)"
        self.lines += [f"  ret ptr {built}", "otherwise:", slow, "  ret ptr %slow", "}"]
        head = "define ptr @call(ptr %self, ptr %arguments, i64 %n, ptr %keywords) {"
        return "\n".join([head, "entry:", *self.lines])

    def _new(self, text: str) -> str:
        self.count += 1
        self.lines.append(f"  %c{self.count} = {text}")
        return f"%c{self.count}"

    def _at(self, pointer: str, offset: int) -> str:
        return self._new(f"getelementptr i8, ptr {pointer}, i64 {offset}")

    def _load(self, kind: str, pointer: str, offset: int) -> str:
        return self._new(f"load {kind}, ptr {self._at(pointer, offset)}, align 8")

    def _store(self, number: str, pointer: str, offset: int) -> None:
        self.lines.append(f"  store double {number}, ptr {self._at(pointer, offset)}, align 8")

    def _unless(self, holds: str) -> None:
        flag = self._new(holds)
        self.lines += [f"  br i1 {flag}, label %l{self.count}, label %otherwise", f"l{self.count}:"]

    def _is_a(self, thing: str, *kinds: type) -> None:
        own = self._load("ptr", thing, self.layout.type)
        *others, last = [f"icmp eq ptr {own}, inttoptr (i64 {id(kind)} to ptr)" for kind in kinds]
        for other in others:
            last = f"or i1 {self._new(other)}, {self._new(last)}"
        self._unless(last)

    def _read(self, thing: str, shape: Shape) -> None:
        if shape.kind is None:
            self._is_a(thing, *_floats(self.layout))
            self._store(self._load("double", thing, self.layout.number), "%in", 8 * self.place)
            self.place += 1
            return
        self._is_a(thing, shape.kind)
        self._unless(f"icmp eq i64 {self._load('i64', thing, self.layout.size)}, {len(shape.parts)}")
        if shape.kind is list:
            items, offset = self._load("ptr", thing, self.layout.list_items), 0
        else:
            items, offset = thing, self.layout.tuple_items
        for i, part in enumerate(shape.parts):
            self._read(self._load("ptr", items, offset + 8 * i), part)

    def _build(self, shape: Shape) -> str:
        if shape.kind is None:
            number = self._load("double", "%out", 8 * self.place)
            self.place += 1
            return self._new(f"call ptr @PyFloat_FromDouble(double {number})")
        kind = "List" if shape.kind is list else "Tuple"
        nest = self._new(f"call ptr @Py{kind}_New(i64 {len(shape.parts)})")
        for i, part in enumerate(shape.parts):
            self.lines.append(f"  call i32 @Py{kind}_SetItem(ptr {nest}, i64 {i}, ptr {self._build(part)})")
        return nest


def _floats(layout: ObjectLayout) -> list[type]:
    """Python's float and, if NumPy is there, its own, which holds its number in the same place."""
    numpy = sys.modules.get("numpy")
    if numpy is None or ctypes.c_double.from_address(id(x := numpy.float64(1234.5678)) + layout.number).value != x:
        return [float]
    return [float, numpy.float64]


def _is_plain(shape: Shape) -> bool:
    return shape.kind in (None, list, tuple) and all(map(_is_plain, shape.parts))


@functools.cache
def _layout() -> ObjectLayout | None:
    free_threaded = sysconfig.get_config_var("Py_GIL_DISABLED")
    if sys.implementation.name != "cpython" or free_threaded or ctypes.sizeof(ctypes.c_void_p) != 8:
        return None
    number = 1234.5678
    in_list, in_tuple, value = [number], (number, number), Value(number)
    if _word(number, 8) != id(float) or ctypes.c_double.from_address(id(number) + 16).value != number:
        return None
    if _word(in_list, 16) != 1 or _word(in_tuple, 16) != 2:
        return None
    if ctypes.c_void_p.from_address(_word(in_list, 24)).value != id(number):
        return None
    tuple_items = next((at for at in (24, 32) if _word(in_tuple, at) == _word(in_tuple, at + 8) == id(number)), None)
    of_value = next((at for at in range(16, value.__sizeof__(), 8) if _word(value, at) == id(number_of(value))), None)
    if tuple_items is None or of_value is None:
        return None
    return ObjectLayout(type=8, number=16, size=16, list_items=24, tuple_items=tuple_items, value=of_value)


def _word(thing: object, offset: int) -> int:
    return ctypes.c_void_p.from_address(id(thing) + offset).value or 0
