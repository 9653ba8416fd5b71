"""Array libraries as the namespace `xp` that printed array code calls; what one lacks of NumPy's is added here."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from functools import partial, reduce
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

import numpy as np

from microgrannd.compiler.matrix.matrix_program import WRITTEN
from microgrannd.operations import Operation

LIBRARIES = ("numpy", "jax", "torch")


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

    names = functions_of(xp, jax.scipy.special.erf, jax.scipy.special.erfc)
    return Library(xp, names, Known(dir(xp)), array, rows, precise, compiled=compiled, in_place=False)


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
