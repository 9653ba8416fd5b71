"""What runs a reader's code in the browser: cells that share their names, and tell what happens as it happens.

A session sends dicts to the page: `text` as it is printed, `show` what the last line gives, `error`. It knows nothing
of browsers, so that it runs, and is tested, in any Python.
"""

import ast
import builtins
import io
import linecache
import random
import sys
import traceback
from base64 import b64encode
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from types import ModuleType
from typing import Any

# What the package or its book can use, and a browser's Python need not have.
LIBRARIES = ("numpy", "scipy", "matplotlib", "llvmlite", "torch", "jax", "tqdm", "graphviz", "IPython")
MOST = 100_000  # characters that a cell may print: a page with more is slow to read and to lay out

Event = dict[str, Any]


class MissingLibraryError(ModuleNotFoundError):
    """The code needs a library that this Python does not have."""

    def __init__(self, library: str) -> None:
        super().__init__(f"This needs {library}, which the browser's Python does not have.", name=library)


class Missing:
    """Stands for what a missing library would have given: whatever is done with it names the library."""

    def __init__(self, library: str) -> None:
        object.__setattr__(self, "library", library)

    def __getattribute__(self, name: str) -> Any:
        raise MissingLibraryError(object.__getattribute__(self, "library"))


def _refuses(self: Missing, *_: Any, **__: Any) -> Any:
    raise MissingLibraryError(object.__getattribute__(self, "library"))


for _name in (
    "call iter len getitem setitem bool str repr format float int index contains enter exit eq lt gt le ge hash "
    "add radd sub rsub mul rmul truediv rtruediv pow rpow matmul rmatmul neg abs"
).split():
    setattr(Missing, f"__{_name}__", _refuses)


class Session:
    """Runs cells one after the other; `send` is told of all that happens."""

    def __init__(self, send: Callable[[Event], None]) -> None:
        self.send = send
        self.restart()

    def restart(self) -> None:
        """Forget all names."""
        module = ModuleType("__main__")  # so that classes that a reader defines know where they are from
        module.__dict__["__builtins__"] = builtins
        self.module, self.names, self.cells = module, module.__dict__, set[str]()

    def run(self, code: str, cell: str = "program") -> bool:
        """Run a cell; whether it came to its end. What the last line gives is shown, as in a notebook."""
        code = "".join(_plain_python(line) for line in code.splitlines(keepends=True))
        self.cells.add(cell)
        linecache.cache[cell] = (len(code), None, code.splitlines(keepends=True), cell)
        output = Printed(self.send)
        kept = sys.stdout, sys.stderr, builtins.input, sys.modules.get("__main__")
        sys.stdout, sys.stderr = output.stream("out"), output.stream("err")
        builtins.input, sys.modules["__main__"] = _no_input, self.module
        try:
            self._statements(ast.parse(code, cell).body, cell)
        except BaseException as error:  # an exit and an interruption are told as any other end
            output.end()
            self._tell(error)
            return False
        finally:
            sys.stdout, sys.stderr, builtins.input = kept[:3]
            sys.modules["__main__"] = kept[3] or self.module
        output.end()
        return True

    def _statements(self, body: list[ast.stmt], cell: str) -> None:
        for i, statement in enumerate(body):
            try:
                self._statement(statement, cell, last=i + 1 == len(body))
            except BaseException as error:
                if library := missing_library(error):  # what this cell was to make is missing, too
                    self.names.update(dict.fromkeys(_names_bound(body[i:]), Missing(library)))
                raise
        for figure in _open_figures():
            self.send({"kind": "show", **figure})

    def _statement(self, statement: ast.stmt, cell: str, *, last: bool) -> None:
        if isinstance(statement, ast.Import | ast.ImportFrom) and (library := _absent(statement)):
            self.names.update(dict.fromkeys(_names_bound([statement]), Missing(library)))
        elif last and isinstance(statement, ast.Expr):
            thing = eval(compile(ast.Expression(statement.value), cell, "eval"), self.names)
            if thing is not None:
                self.send({"kind": "show", **bundle(thing)})
        else:
            exec(compile(ast.Module([statement], []), cell, "exec"), self.names)

    def _tell(self, error: BaseException) -> None:
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename in self.cells]
        place = (frames[-1].filename, frames[-1].lineno) if frames else ("", None)
        if isinstance(error, SyntaxError) and error.filename in self.cells:
            place = (error.filename, error.lineno)
        trace = error.__traceback__
        while trace and trace.tb_frame.f_code.co_filename not in self.cells:
            trace = trace.tb_next
        *_, said = traceback.format_exception_only(error)
        whole = "".join(traceback.format_exception(type(error), error, trace))
        library = missing_library(error)
        self.send(
            {
                "kind": "error",
                "name": type(error).__name__,
                "text": said.strip().removeprefix(f"{type(error).__module__}."),
                "trace": whole,
                "cell": place[0],
                "line": place[1],
                "library": library,
            }
        )


class Printed:
    """What a cell prints, sent line by line as it comes; what is beyond `MOST` is counted only."""

    def __init__(self, send: Callable[[Event], None]) -> None:
        self.send, self.count, self.streams = send, 0, list[_Stream]()

    def stream(self, name: str) -> "_Stream":
        """A file to print to."""
        self.streams.append(_Stream(self, name))
        return self.streams[-1]

    def write(self, name: str, text: str) -> None:
        """Send it, or what of it there is still room for."""
        room = MOST - self.count
        self.count += len(text)
        if room > 0:
            self.send({"kind": "text", "stream": name, "text": text[:room]})

    def end(self) -> None:
        """Send what waits for the end of its line, and say how much was left out."""
        for stream in self.streams:
            stream.flush()
        if self.count > MOST:
            text = f"\n… and {self.count - MOST:,} characters more, which are not shown.\n"
            self.send({"kind": "text", "stream": "err", "text": text})


class _Stream(io.TextIOBase):
    """Waits for whole lines, as a terminal does, and for `flush`."""

    def __init__(self, printed: Printed, name: str) -> None:
        self.printed, self.stream_name, self.waiting = printed, name, ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() takes text, got {type(text).__name__}")
        self.waiting += text
        if "\n" in text or "\r" in text or len(self.waiting) > 1000:
            self.flush()
        return len(text)

    def flush(self) -> None:
        if self.waiting:
            text, self.waiting = self.waiting, ""
            self.printed.write(self.stream_name, text)


def bundle(thing: Any) -> dict[str, str]:
    """How a thing shows itself: `html` or `image` where it can, and always `plain`."""
    if image := _figure(thing):
        return image
    if hasattr(type(thing), "_repr_mimebundle_"):
        found = thing._repr_mimebundle_()
        found = found[0] if isinstance(found, tuple) else found
        if "text/html" in found:
            return {"html": found["text/html"], "plain": found.get("text/plain", "")}
    for way, key in (("_repr_html_", "html"), ("_repr_svg_", "svg")):
        if hasattr(type(thing), way) and (text := getattr(thing, way)()):
            return {"html": text, "plain": ""} if key == "html" else _picture(text)
    return {"plain": repr(thing)}


def missing_library(error: BaseException | None) -> str | None:
    """The library for want of which this was raised, in the error itself or in what led to it."""
    seen = set[int]()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, ModuleNotFoundError) and error.name and error.name.partition(".")[0] in LIBRARIES:
            return error.name.partition(".")[0]
        error = error.__cause__ or error.__context__
    return None


def imported_ahead() -> None:
    """Import and run once what programs use, so that a snapshot of this interpreter has it."""
    import microgrannd as mg

    mg.nn, mg.optim, mg.losses, mg.training, mg.datasets, mg.layers, mg.evaluation, mg.expressions  # noqa: B018
    x = mg.Value(1.0)
    mg.compile(mg.tanh)(0.5)
    mg.step(mg.tanh(x))._repr_mimebundle_()
    bundle(mg.draw(mg.tanh(x)))


def awake() -> None:
    """What an interpreter needs that was woken from a snapshot: dice of its own."""
    random.seed()


def _plain_python(line: str) -> str:
    """A line of a notebook without the magics that set up plots, which nothing here needs."""
    return line[len(line.rstrip("\r\n")) :] if line.startswith(("%matplotlib", "%config")) else line


def _absent(statement: ast.Import | ast.ImportFrom) -> str | None:
    """A library that the statement imports, if it is one of those known here and not installed."""
    modules = [alias.name for alias in statement.names] if isinstance(statement, ast.Import) else [statement.module]
    for module in modules:
        library = (module or "").partition(".")[0]
        if library in LIBRARIES and library not in sys.modules and find_spec(library) is None:
            return library
    return None


def _names_bound(statements: list[ast.stmt]) -> Iterator[str]:
    """The names that the statements would give a meaning, but for those inside functions and classes."""
    for statement in statements:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield statement.name
            continue
        if isinstance(statement, ast.Import | ast.ImportFrom):
            yield from ((alias.asname or alias.name.partition(".")[0]) for alias in statement.names)
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                yield node.id


def _no_input(prompt: object = "") -> str:
    raise EOFError("input() has nobody to ask here: write the value into the code.")


def _open_figures() -> Iterator[dict[str, str]]:
    """The figures that the cell has left open, as `pyplot.show()` would show them."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is None:
        return
    for number in pyplot.get_fignums():
        yield _figure(pyplot.figure(number)) or {}
    pyplot.close("all")


def _figure(thing: Any) -> dict[str, str] | None:
    figure = getattr(sys.modules.get("matplotlib.figure"), "Figure", None)
    if figure is None or not isinstance(thing, figure):
        return None
    file = io.StringIO()
    thing.savefig(file, format="svg")
    return _picture(file.getvalue())


def _picture(svg: str) -> dict[str, str]:
    return {"image": "data:image/svg+xml;base64," + b64encode(svg.encode()).decode(), "plain": ""}
