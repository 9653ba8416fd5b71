"""Array libraries as the namespace `xp` that printed array code calls; what one lacks of NumPy's is added here."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial, reduce
from operator import mul
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

import numpy as np

from microgrannd.compiler.matrix.matrix_program import WRITTEN
from microgrannd.operations import TABLE, Operation
from microgrannd.printing.printer import ARITHMETIC

LIBRARIES = ("numpy", "jax", "torch")


def _scan(
    step: Callable[[Any, Any], Any], carry: Any, series: dict[Any, Any], steps: int, *, reverse: bool = False
) -> Any:
    """What is carried after the steps, and a dict of what each has given, stacked; like JAX's."""
    given: list[dict[Any, Any]] = []
    for i in reversed(range(steps)) if reverse else range(steps):
        carry, found = step(carry, {k: rows[i] for k, rows in series.items()})
        given.append(found)
    if reverse:
        given.reverse()
    return carry, {k: _stacked([found[k] for found in given]) for k in given[0]}


def _stacked(rows: Sequence[Any]) -> Any:
    if isinstance(rows[0], np.ndarray):
        return np.stack(rows)
    import torch

    return torch.stack(tuple(rows))


def _with_added(array: Any, places: Any, rows: Any) -> Any:
    """The array, changed: the rows added at these places, of which some may be the same."""
    if isinstance(array, np.ndarray):
        np.add.at(array, places, rows)
        return array
    import torch

    return array.index_add_(0, torch.from_numpy(places), rows)


class Library(NamedTuple):
    """`xp` is the namespace, `names` the functions that it lacks, and `known` the operations that need no form.

    `array`, `positions` and `rows` (one a sample) make its arrays, `numbers` NumPy's of them; `mode` holds while code
    runs. `runs_operations` says that a user's own operations can be called with its arrays.
    """

    xp: Any
    names: dict[str, Any]
    known: Known
    array: Callable[[Any], Any]
    rows: Callable[[Any], Any]
    mode: Callable[[], AbstractContextManager[Any]]
    positions: Callable[[Any], Any] = np.asarray
    numbers: Callable[[Any], Any] = np.asarray
    compiled: Callable[[Any], Any] = lambda function: function
    in_place: bool = True
    runs_operations: bool = False
    scan: Callable[..., Any] = _scan
    with_added: Callable[[Any, Any, Any], Any] = _with_added


def library(name: str, *, float32: bool = False) -> Library:
    if name not in LIBRARIES:
        raise ValueError(f"An array library is one of {', '.join(LIBRARIES)}; got {name!r}.")
    return {"numpy": _numpy, "jax": _jax, "torch": _torch}[name](float32)


def _numpy(float32: bool) -> Library:
    dtype = np.float32 if float32 else np.float64

    def array(thing: Any) -> Any:
        return np.asarray(thing, dtype=dtype)

    erf, erfc = (np.vectorize(f, otypes=[dtype]) for f in (math.erf, math.erfc))
    xp = SimpleNamespace(**vars(np))
    xp.sum, xp.max = np.add.reduce, np.maximum.reduce  # the same for an axis, without their wrappers' microseconds
    names, mode = functions_of(xp, erf, erfc), partial(np.errstate, all="ignore")
    return Library(xp, names, Known(dir(xp)), array, array, mode, runs_operations=True)


def _jax(float32: bool) -> Library:
    try:
        import jax
    except ModuleNotFoundError:
        raise ModuleNotFoundError("backend='jax' needs JAX: pip install jax") from None
    xp = jax.numpy
    dtype = xp.float32 if float32 else xp.float64

    anything = cast(Any, jax)
    enable = anything.enable_x64 if hasattr(jax, "enable_x64") else anything.experimental.enable_x64

    def precise() -> AbstractContextManager[Any]:
        return nullcontext() if float32 else enable(True)

    devices, sharding = jax.devices(), cast(Any, jax.sharding)
    mesh = sharding.Mesh(np.array(devices), ("samples",))
    split, whole = (sharding.NamedSharding(mesh, sharding.PartitionSpec(*axes)) for axes in (["samples"], []))

    def placed(thing: Any, where: Any) -> Any:
        with precise():
            return jax.device_put(np.asarray(thing, dtype), where if len(devices) > 1 else None)

    def array(thing: Any) -> Any:
        return placed(thing, whole)

    def rows(thing: Any) -> Any:
        """The samples shared out among all devices where their number allows it; one device takes them as they are."""
        if len(devices) == 1:
            return np.asarray(thing, dtype)
        return placed(thing, whole if len(thing) % len(devices) else split)

    def compiled(function: Any) -> Any:
        return jax.jit(function, static_argnums=0)

    def scan(step: Any, carry: Any, series: Any, steps: int, *, reverse: bool = False) -> Any:
        return jax.lax.scan(step, carry, series, length=steps, reverse=reverse)

    def with_added(array: Any, places: Any, rows: Any) -> Any:
        return array.at[places].add(rows)

    names = functions_of(xp, jax.scipy.special.erf, jax.scipy.special.erfc)
    return Library(
        xp, names, Known(dir(xp)), array, rows, precise,
        compiled=compiled, in_place=False, scan=scan, with_added=with_added,
    )  # fmt: skip


def _torch(float32: bool) -> Library:
    try:
        import torch
    except ModuleNotFoundError:
        raise ModuleNotFoundError("backend='torch' needs PyTorch: pip install torch") from None
    dtype = torch.float32 if float32 else torch.float64

    def array(thing: Any) -> Any:
        return torch.tensor(np.asarray(thing), dtype=dtype)

    def tensor(x: Any) -> Any:
        return x if torch.is_tensor(x) else torch.tensor(x, dtype=torch.bool if isinstance(x, bool) else dtype)

    def tensors(function: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *xs: function(*map(tensor, xs))

    xp = SimpleNamespace(**{name: getattr(torch, name) for name in dir(torch) if not name.startswith("_")})
    xp.sum = lambda x, axis=None, keepdims=False: torch.sum(x, dim=axis, keepdim=keepdims)
    xp.max = lambda x, axis, keepdims=False: torch.amax(x, dim=axis, keepdim=keepdims)
    xp.concatenate, xp.copy = torch.cat, torch.clone
    xp.cbrt = lambda x: torch.sign(x) * torch.abs(x) ** (1 / 3)
    for name in ("where", "maximum", "minimum", "arctan2", "hypot", "remainder", "floor_divide"):
        setattr(xp, name, tensors(getattr(torch, name)))
    xp.equal = tensors(torch.eq)
    xp.power = tensors(torch.pow)
    positions, numbers = torch.from_numpy, lambda x: x.numpy(force=True)
    return Library(
        xp, functions_of(xp, torch.erf, torch.erfc), Known(dir(xp)), array, array, torch.no_grad, positions, numbers
    )


class Known:
    def __init__(self, names: Iterable[str]) -> None:
        self.names = frozenset(names)

    def __contains__(self, operation: object) -> bool:
        return operation in WRITTEN or (isinstance(operation, Operation) and operation.numpy in self.names)


def functions_of(xp: Any, erf: Callable[[Any], Any], erfc: Callable[[Any], Any]) -> dict[str, Any]:
    """The functions without a name in NumPy; logsumexp along an axis and of several arrays, also of infinities."""

    def logsumexp(x: Any, keep: bool) -> Any:
        top = xp.max(x, -1, keepdims=True)
        top = xp.where(xp.isfinite(top), top, 0.0)
        found = top + xp.log(xp.sum(xp.exp(x - top), -1, keepdims=True))
        return found if keep else found[..., 0]

    def logsumexp_of(xs: Any) -> Any:
        top = reduce(xp.maximum, xs)
        top = xp.where(xp.isfinite(top), top, 0.0)
        return top + xp.log(sum(xp.exp(x - top) for x in xs))

    return {"erf": erf, "erfc": erfc, "logsumexp": logsumexp, "logsumexp_of": logsumexp_of}


def operations_of(library: Library) -> dict[str, Any]:
    """The operations that printed Python calls, as functions of the library's arrays."""
    xp = library.xp

    def flag(name: str) -> Callable[..., Any]:
        return lambda x, y: xp.where(getattr(xp, name)(x, y), 1.0, 0.0)  # true + true is 2

    named = {name: row for name, row in TABLE.items() if row.numpy and hasattr(xp, row.numpy)}
    functions = {name: flag(row.numpy) if row.flag else getattr(xp, row.numpy) for name, row in named.items()}
    return functions | {
        "sum": lambda xs: sum(xs, 0.0),
        "dot": lambda xs, ys, start=0.0: sum(map(mul, xs, ys), start),
        "logsumexp": library.names["logsumexp_of"],
        "where": lambda condition, x, y: xp.where(condition != 0, x, y),
        "contribution": lambda upstream, local: xp.where(upstream != 0, upstream * local, 0.0),
        **{name: library.names[name] for name in ("erf", "erfc")},
    }


def printable(library: Library) -> Collection[Operation]:
    """The operations for which there is one of these, or an operator."""
    return {*ARITHMETIC, *[TABLE[name] for name in operations_of(library)]}
