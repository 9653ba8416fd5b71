"""Modules that moved into a folder, under the paths that people import them by: `microgrannd.errors` is still there."""

from collections.abc import Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Final

MOVED: Final = {
    f"microgrannd.{path.rpartition('.')[2]}": f"microgrannd.{path}"
    for path in (
        *("ground.data", "ground.errors", "ground.ieee", "ground.modes", "ground.nests", "nodes.notation"),
        *("calculus.checks", "calculus.passes", "calculus.profiling", "layers.gates", "layers.views"),
        *("learning.epochs", "learning.initialisation", "learning.modules", "app.cli", "app.images"),
        *("app.iris_program", "app.mnist_program"),
    )
}


class Moved:
    """A finder and loader of modules by their former paths; each is the one module, not a second."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        return ModuleSpec(name, self) if name in MOVED else None  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return import_module(MOVED[spec.name])

    def exec_module(self, module: ModuleType) -> None:
        pass  # it has run
