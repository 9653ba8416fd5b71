"""Checkpoints: all that a training needs to go on after its process has died, in one file."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from microgrannd.engine import number_of
from microgrannd.ground.arguments import path_of, truth, whole_number
from microgrannd.ground.errors import ModelFileError
from microgrannd.ground.files import write_whole
from microgrannd.learning.history import History
from microgrannd.learning.optimizer import Optimizer
from microgrannd.learning.reached import Reached

if TYPE_CHECKING:
    from microgrannd.learning.epochs import Batches

CheckpointPath: TypeAlias = "str | os.PathLike[str] | None"

_FORMAT: Final = "microgrannd checkpoint"
_LOOKED_AT: Final = 64  # samples by which data is told from other data: all of a memory-mapped file would take long


class Checkpoint:
    """The state of a training between two epochs, and its file.

    Raises ModelFileError where the file is damaged or is that of another training, and then changes nothing.
    """

    def __init__(
        self, path: str | os.PathLike[str], every: int, resume: bool, loss: Any, batches: Batches, optimizer: Optimizer
    ) -> None:
        self.path, self.every = path_of("checkpoint", path), whole_number("every", every, 1)
        self.optimizer = optimizer
        reached = Reached(loss) if batches.seed is None else Reached(loss, batches.generator)
        if reached.iterators:
            raise TypeError(f"A checkpoint cannot keep how far {reached.iterators[0]} is, which is an iterator.")
        self.generators = [place for place, _ in reached.generators]
        self.history, self.ended, self.began = History(), False, optimizer.steps
        self.training = _training(batches, optimizer) | {"random generators": [place.path for place in self.generators]}
        if truth("resume", resume) and self.path.exists():
            self._restore(self._read())
        else:
            self.save(self.history)  # what cannot be written is known before an epoch has been computed

    def due(self, epochs: int) -> bool:
        """Whether there is something to write after so many epochs of all."""
        return len(self.history) == epochs or not len(self.history) % self.every

    def save(self, history: History, ended: bool = False) -> None:
        """Write the parameters and the optimizer as they stand after these epochs; whether a callback ended them."""
        state = {
            "training": self.training,
            "parameters": list(map(number_of, self.optimizer.parameters)),
            "optimizer": self.optimizer.state_dict() | {"began": self.began, "settings": _settings(self.optimizer)},
            "generators": [_encoded(place.read()) for place in self.generators],
            "history": asdict(history),
            "ended": ended,
        }
        content = {"format": _FORMAT, "version": 1, "digest": _digest(state), "state": state}
        write_whole(self.path, json.dumps(content) + "\n")

    def _read(self) -> dict[str, Any]:
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
            if content["format"] != _FORMAT or content["version"] != 1:
                raise ValueError
            state: dict[str, Any] = content["state"]
            whole = content["digest"] == _digest(state)
        except (ValueError, TypeError, KeyError, RecursionError):
            whole = False
        if not whole:
            remedy = "remove it to start anew, or name another file"
            raise ModelFileError(f"{self.path} is damaged or no checkpoint that this microgrannd reads: {remedy}.")
        now = json.loads(json.dumps(self.training))
        for name, before in state["training"].items():
            if now[name] != before:
                raise ModelFileError(
                    f"{self.path} is the checkpoint of another training: its {name} was {before}, and is {now[name]} "
                    "here. Resume with what it was started with, or name another file."
                )
        return state

    def _restore(self, state: dict[str, Any]) -> None:
        optimizer = self.optimizer
        for parameter, number in zip(optimizer.parameters, state["parameters"], strict=True):
            parameter.data = number
        optimizer.load_state_dict(state["optimizer"])
        for name, setting in state["optimizer"]["settings"].items():
            if name != "lr":
                setattr(optimizer, name, tuple(setting) if isinstance(setting, list) else setting)
        self.began = state["optimizer"]["began"]
        self.history, self.ended = History(**state["history"]), state["ended"]
        for place, saved in zip(self.generators, state["generators"], strict=True):
            place.write(_decoded(saved))


def checkpoint_of(
    path: CheckpointPath, every: int, resume: bool, loss: Any, batches: Batches, optimizer: Optimizer
) -> Checkpoint | None:
    """The checkpoint that `fit` was asked for."""
    if path is None:
        if resume or every != 1:
            raise ValueError("every and resume go with a checkpoint: name its file, such as checkpoint='run.json'.")
        return None
    return Checkpoint(path, every, resume, loss, batches, optimizer)


def _training(batches: Batches, optimizer: Optimizer) -> dict[str, Any]:
    """What makes a training this one and no other, as it was started."""
    step = max(1, batches.count // _LOOKED_AT)
    return {
        "number of parameters": len(optimizer.parameters),
        "digest of the parameters' labels": _digest([parameter.label for parameter in optimizer.parameters]),
        "optimizer": type(optimizer).__name__,
        "settings of the optimizer": _settings(optimizer),
        "settings of its groups": [[len(group.parameters), repr(group.settings)] for group in optimizer.groups],
        "number of samples": batches.count,
        "batch_size": batches.size,
        "replace": batches.replace,
        "seed": batches.seed,
        "digest of the data": _digest(batches.samples(range(0, batches.count, step))),
    }


def _settings(optimizer: Optimizer) -> dict[str, Any]:
    """All but what `state_dict` has; raises TypeError for what an optimizer of the user's keeps in its own way."""
    elsewhere = {"parameters", "groups", "memory", "steps"}
    settings = {name: value for name, value in vars(optimizer).items() if name not in elsewhere}
    for name, value in settings.items():
        if not isinstance(value, int | float | str | tuple):
            kind = type(optimizer).__name__
            remedy = "keep it in memory, with memory_names and an update()"
            raise TypeError(f"A checkpoint cannot keep {name} of {kind}, a {type(value).__name__}: {remedy}.")
    return settings


def _encoded(state: Any) -> Any:
    """A generator's state in JSON: tuples and arrays are marked, since they come back as they were."""
    if isinstance(state, dict):
        return {key: _encoded(x) for key, x in state.items()}
    if isinstance(state, tuple):
        return {"tuple": list(map(_encoded, state))}
    return {"array": state.tolist(), "dtype": str(state.dtype)} if hasattr(state, "dtype") else state


def _decoded(saved: Any) -> Any:
    if not isinstance(saved, dict):
        return saved
    if saved.keys() == {"tuple"}:
        return tuple(map(_decoded, saved["tuple"]))
    if saved.keys() == {"array", "dtype"}:
        import numpy

        return numpy.array(saved["array"], saved["dtype"])
    return {key: _decoded(x) for key, x in saved.items()}


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, default=repr).encode()).hexdigest()
