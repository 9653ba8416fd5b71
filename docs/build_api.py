"""`docs/api.md` from the package: every public name, its signature and its docstring."""

import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import microgrannd

# The page's parts: a title, the module, and its public names in the order of a first reading.
ROOMS = {
    "Values": ("engine", "Value Constant Step topological_order zero_grad"),
    "Operations": ("operations", "Operation FusedOperation softmax"),
    "Tables": ("nodes.interpolation", "interp"),
    "Modes": ("modes", "no_grad detect_anomaly scope source_lines"),
    "Calculus": ("calculus", "grad value_and_grad jacobian hessian hvp jvp vjp gradients gradient_graph"),
    "Derivations": ("calculus.derivations", "derive Derivation"),
    "Checking gradients": ("checks", "check_gradients GradientCheck"),
    "Networks": ("nn", "MLP Layer Neuron"),
    "Modules": ("modules", "Module"),
    "The layer view": ("layers.views", "layer_view LayerView"),
    "The textbooks' layers": ("layers", "*"),
    "Losses": ("losses", "*"),
    "Optimizers": ("optim", "SGD Adam AdamW RMSprop Adagrad LBFGS Optimizer ParameterGroup"),
    "Training": ("training", "fit History clip_grad_norm clip_grad_value"),
    "Evaluation": ("evaluation", "accuracy ConfusionMatrix argmax threshold one_hot"),
    "Plots": ("plots", "*"),
    "Models on disk": ("persistence", "save load"),
    "Data": ("datasets", "*"),
    "Seeing": ("drawing", "draw Drawing step Player"),
    "Exercises": ("app.exercises", "generate check Exercise Finding sheet Sheet page notebook"),
    "Compiling": ("compiler", "compile Program ProgramProfile Tape"),
    "Where time goes": ("calculus.profiling", "profile Profile"),
    "Errors": ("ground.errors", "*"),
}

HEAD = """\
# The public names

Written by `python -m docs.build api` from the package itself. The examples are doctests, run with the tests.
`mg` is `import microgrannd as mg`. The operations have [a page of their own](operations.md).
"""


def page() -> str:
    """The whole page as Markdown."""
    parts = [HEAD]
    for title, (module, names) in ROOMS.items():
        try:
            room = import_module(f"microgrannd.{module}")
        except ModuleNotFoundError:  # a room that this version does not have
            continue
        found = [name for name in _names(room, names) if hasattr(room, name)]
        parts.append(f"\n## {title}\n")
        parts += [entry(name, module, getattr(room, name)) for name in found]
    return "\n".join(parts)


def entry(name: str, module: str, thing: Any) -> str:
    """A name with its signature and its docstring; for a class, the same of its public methods."""
    signature = _signature(_path(name, module), thing)
    lines = [f"### {name}\n", f"```text\n{signature}\n```\n", *_paragraphs(inspect.getdoc(thing) or "")]
    if inspect.isclass(thing) and not issubclass(thing, Exception):
        lines += [f"- {text}" for text in _members(thing)]
        lines.append("")
    return "\n".join(lines)


def _path(name: str, module: str) -> str:
    """How the name is reached."""
    if name in microgrannd.__all__ or name == "compile":
        return f"mg.{name}"
    return f"{'mg' if module in microgrannd.__all__ else 'microgrannd'}.{module}.{name}"


def _names(room: Any, names: str) -> list[str]:
    if names != "*":
        return names.split()
    return list(getattr(room, "__all__", None) or _defined(room))


def _defined(room: Any) -> Iterator[str]:
    for name, thing in vars(room).items():
        if not name.startswith("_") and getattr(thing, "__module__", "") == room.__name__ and callable(thing):
            yield name


def _signature(name: str, thing: Any) -> str:
    try:
        signature = inspect.signature(thing)
    except (TypeError, ValueError):
        return name
    if inspect.isclass(thing) and issubclass(thing, Exception):
        return f"{name}({', '.join(base.__name__ for base in thing.__bases__)})"
    text = f"{name}{_plain(signature)}"
    if len(text) <= 100:
        return text
    arguments = ",\n    ".join(_arguments(signature))
    return f"{name}(\n    {arguments}\n)"


def _arguments(signature: inspect.Signature) -> Iterator[str]:
    starred = False
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and not starred:
            yield "*"
        starred = starred or parameter.kind in (parameter.KEYWORD_ONLY, parameter.VAR_POSITIONAL)
        yield _plain(parameter)


def _plain(thing: Any) -> str:
    """Without the quotes and module names of annotations, and without addresses."""
    text = re.sub(r"ForwardRef\('(.*?)'\)", r"\1", str(thing))
    text = re.sub(r"(: |-> )(['\"])(.*?)\2", lambda match: match[1] + match[3].replace("'", ""), text)
    text = re.sub(r"\b(?:[a-z_]\w*\.)+(?=[A-Z])", "", text)
    return re.sub(r"<(?:function|object) (\w+)[^>]*>", r"\1", text)


def _paragraphs(text: str) -> Iterator[str]:
    """The docstring as Markdown: its examples in blocks."""
    for block in re.split(r"\n\s*\n", text):
        example = block.lstrip().startswith(">>>")
        before, mark, code = ("", ">>>", block) if example else block.partition("\n>>>")
        if before:
            yield before + "\n"
        if mark:
            yield f"```python-console\n{inspect.cleandoc(code if example else '>>>' + code)}\n```\n"


def _members(kind: type) -> Iterator[str]:
    for name, member in vars(kind).items():
        if name.startswith("_"):
            continue
        if isinstance(member, property) or type(member).__name__ == "cached_property":
            head = f"`{name}`"
        elif inspect.isfunction(member) or isinstance(member, classmethod):
            bare = member.__func__ if isinstance(member, classmethod) else member
            head = f"`{name}{_plain(_without_self(bare))}`"
        else:
            continue
        first = (member.__doc__ or "").partition("\n\n")[0]
        if first:  # what has none is an operation, and has its row in the table
            yield f"{head}: {' '.join(first.split())}"


def _without_self(function: Any) -> inspect.Signature:
    signature = inspect.signature(function)
    return signature.replace(parameters=list(signature.parameters.values())[1:])
