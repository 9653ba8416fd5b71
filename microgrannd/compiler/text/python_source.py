"""Python source: the tape as one function that a person could have derived by hand.

It gives bit for bit what eager mode gives and needs the standard library alone. A guard against an
infinite input times a gradient of zero is left out where only infinite inputs could need it. This room
may import the tape and the operations; the definitions that a source needs are copied out of `ieee`.
"""

from __future__ import annotations

import ast
import builtins
import functools
import keyword
import math
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from microgrannd import operations as ops
from microgrannd.compiler.tape.tape import Instruction, Operand, Tape
from microgrannd.ground import ieee
from microgrannd.operations import FusedOperation, Operation

WIDTH: Final = 100
_ATOM, _SIGN, _PRODUCT, _SUM = 3, 2, 1, 0
_INFIX: Final = {ops.add: ("+", _SUM), ops.sub: ("-", _SUM), ops.mul: ("*", _PRODUCT)}
# Python 3.12's sum() of floats carries the rounding errors along; a chain of + does not.
_SUM_IS_A_CHAIN: Final = sum([1.0, 1e100, 1.0, -1e100]) == 0.0
_IN_MATH: Final = {
    operation: name for name, operation in ops.TABLE.items() if operation.forward is getattr(math, name, None)
}


class Source(NamedTuple):
    """A function as text, with the definitions that it needs; `foreign` are operations of the user's own."""

    name: str
    header: str
    function: str
    foreign: dict[str, Operation]

    def __str__(self) -> str:
        return f"{self.header}\n\n{self.function}" if self.header else self.function

    def compiled(self, namespace: dict[str, Any] | None = None) -> Callable[..., Any]:
        """The function. A namespace, such as NumPy's functions, takes the place of the header."""
        names: dict[str, Any] = {name: operation.forward for name, operation in self.foreign.items()}
        if namespace is None:
            exec(compile(self.header, f"<{self.name}>", "exec"), names)
        else:
            names.update(namespace)
        exec(compile(self.function, f"<{self.name}>", "exec"), names)
        return names[self.name]  # type: ignore[no-any-return]


def python_source(name: str, tape: Tape, docstring: str, groups: Sequence[int], of: Sequence[int] = ()) -> Source:
    """The tape as a function of its inputs and parameters.

    It returns the outputs in groups of the given sizes: the first as it is where it is a single one, the
    others as tuples. `of` are the leaves whose gradients the outputs from the second on are.

    >>> from microgrannd.compiler.tape.tape import Instruction
    >>> tape = Tape(("x",), ("w",), (Instruction(ops.mul, (0, 1)), Instruction(ops.tanh, (2,))), (3,), 2)
    >>> print(python_source("neuron", tape, "tanh of w x.", [1]).function)
    def neuron(x, w):
        \"\"\"tanh of w x.\"\"\"
        return tanh(x * w)
    """
    return _Writer(name, tape, of).source(docstring, groups)


class _Text(NamedTuple):
    text: str
    precedence: int = _ATOM

    def within(self, precedence: int) -> str:
        return self.text if self.precedence >= precedence else f"({self.text})"


class _Writer:
    """Writes the lines of one function: single-use expressions stand where they are used."""

    def __init__(self, name: str, tape: Tape, of: Sequence[int]) -> None:
        self.name = name
        self.of = of
        self.aliases: dict[int, str] = {}
        self.tape = tape
        self.uses = tape.uses()
        # The outputs' variables; -1 for a constant, since 3 == 3.0 but variable 3 is not the number 3.
        self.places = [x if isinstance(x, int) else -1 for x in tape.outputs]
        self.needed: set[str] = set()
        self.foreign: dict[str, Operation] = {}
        self.taken = {*keyword.kwlist, *dir(builtins), *ops.TABLE, *dir(ieee), "math", name}
        self.texts: list[_Text] = [_Text(self._fresh(leaf)) for leaf in (*tape.inputs, *tape.parameters)]
        self.temporaries = {"t": 0, "g": 0}

    def source(self, docstring: str, groups: Sequence[int]) -> Source:
        tape = self.tape
        lines = [f'"""{docstring}"""']
        outputs = set(self.places)
        consumer = self._single_consumers()
        for k, instruction in enumerate(tape.instructions):
            v = tape.leaves + k
            if k == tape.forward and k > 0:
                lines += ["", "# backward"]
            text = self._expression(instruction)
            used = consumer.get(v)
            if v in outputs:
                used = None if tape.forward < len(tape.instructions) or self.uses[v] > 1 else -1
            here = used == -1 or (used is not None and (used < tape.forward) == (k < tape.forward))
            if here and v not in tape.labels and len(text.text) < 60:
                self.texts.append(text)
                continue
            name = self._variable(v, k < tape.forward)
            lines += _wrapped(f"{name} = ", text.text, self._comment(v, k))
            self.texts.append(_Text(name))
            lines += self._aliases(v, name)
        gap = [""] if len(lines) > 1 else []
        lines += [*gap, *_wrapped("return ", self._returned(groups))]
        parameters = ", ".join(text.text for text in self.texts[: tape.leaves])
        head = _wrapped(f"def {self.name}", f"({parameters})")
        head[-1] += ":"
        body = [f"    {line}" if line else "" for line in lines]
        return Source(self.name, self._header(), "\n".join([*head, *body]) + "\n", self.foreign)

    def _aliases(self, v: int, name: str) -> list[str]:
        """Where the gradient of a leaf is that of something else too, such as d_b = d_z: a line that says so."""
        tape, lines = self.tape, []
        if len(tape.outputs) != 1 + len(self.of):
            return []
        for i, leaf in enumerate(self.of, 1):
            if self.places[i] == v and name != f"d_{self.texts[leaf].text}":
                self.aliases[i] = self._fresh(f"d_{self.texts[leaf].text}")
                lines.append(f"{self.aliases[i]} = {name}")
        return lines

    def _single_consumers(self) -> dict[int, int]:
        """For each variable that is read once, by an instruction: which one."""
        found = {}
        for k, (operation, operands) in enumerate(self.tape.instructions):
            for x in operands:
                if isinstance(x, int) and self.uses[x] == 1 and operation is not ops.square:
                    found[x] = k
        return found

    def _expression(self, instruction: Instruction) -> _Text:
        operation, operands = instruction
        texts = [self._operand(x) for x in operands]
        if operation in _INFIX:
            symbol, precedence = _INFIX[operation]
            # The right side of the same precedence keeps its brackets: floats are not associative.
            return _Text(f"{texts[0].within(precedence)} {symbol} {texts[1].within(precedence + 1)}", precedence)
        if operation is ops.div and isinstance(operands[1], float) and operands[1]:
            return _Text(f"{texts[0].within(_PRODUCT)} / {texts[1].within(_SIGN)}", _PRODUCT)
        if operation is ops.neg:
            return _Text(f"-{texts[0].within(_ATOM)}", _SIGN)
        if operation is ops.square:
            return _Text(f"{texts[0].within(_PRODUCT)} * {texts[0].within(_SIGN)}", _PRODUCT)
        if operation is ops.dot and len(operands) % 2 and len(operands) <= (17 if _SUM_IS_A_CHAIN else 3):
            size = len(operands) // 2
            products = [
                f"{x.within(_PRODUCT)} * {y.within(_SIGN)}" for x, y in zip(texts[:size], texts[size:], strict=False)
            ]
            return _Text(" + ".join([texts[-1].within(_SUM), *products]), _SUM)
        arguments = [self._exact(x) for x in operands]
        return _Text(f"{self._function(operation)}({self._arguments(operation, arguments)})")

    def _exact(self, x: Operand) -> str:
        """An operand that may come out as it is: a float stays one."""
        return repr(x) if isinstance(x, float) and math.isfinite(x) else self._operand(x).text

    def _operand(self, x: Operand) -> _Text:
        if isinstance(x, int):
            return self.texts[x]
        if not math.isfinite(x):
            self.needed.add("nan" if x != x else "inf")
            return _Text("nan" if x != x else "inf") if x != x or x > 0 else _Text("-inf", _SIGN)
        text = repr(x).removesuffix(".0") if abs(x) < 1e15 and x else repr(x)
        return _Text(text, _SIGN if text.startswith("-") else _ATOM)

    def _function(self, operation: Operation) -> str:
        if ops.TABLE.get(operation.name) is not operation:
            name = next((name for name, known in self.foreign.items() if known is operation), "")
            name = name or self._fresh(operation.name)
            self.foreign[name] = operation
            return name
        self.needed.add(operation.name)
        return operation.name

    def _arguments(self, operation: Operation, texts: list[str]) -> str:
        if not isinstance(operation, FusedOperation) or operation.name not in ops.TABLE:
            return ", ".join(texts)
        size = len(texts) // operation.vectors
        lists = [texts[i * size : (i + 1) * size] for i in range(operation.vectors)]
        return ", ".join([*(f"[{', '.join(vector)}]" for vector in lists), *texts[operation.vectors * size :]])

    def _variable(self, v: int, forward: bool) -> str:
        label = self.tape.labels.get(v)
        if label:
            return self._fresh(label)
        letter = "t" if forward else "g"
        if forward and v == self.places[0]:
            return self._fresh("value")
        self.temporaries[letter] += 1
        return self._fresh(f"{letter}{self.temporaries[letter]}")

    def _fresh(self, label: str) -> str:
        """The label as a Python name that is not taken yet."""
        name = re.sub(r"\W", "_", label)
        if not name.isidentifier():
            name = f"_{name}"
        while name in self.taken:
            name += "_"
        self.taken.add(name)
        return name

    def _comment(self, v: int, k: int) -> str:
        label = self.tape.labels.get(v, "")
        if k < self.tape.forward or not label.startswith("d_") or self.tape.instructions[k].operation is not ops.add:
            return ""
        return f"  # {label.removeprefix('d_')} is used {self._terms(v)} times: the contributions add up"

    def _terms(self, v: Operand) -> int:
        """How many contributions were added up in a gradient."""
        count, waiting = 0, [v]
        while waiting:
            x = waiting.pop()
            k = int(x) - self.tape.leaves if isinstance(x, int) else -1
            chained = k >= self.tape.forward and self.tape.instructions[k].operation is ops.add
            if chained and (x == v or x not in self.tape.labels):
                waiting += self.tape.instructions[k].operands
            else:
                count += 1
        return count

    def _returned(self, groups: Sequence[int]) -> str:
        parts, start = [], 0
        for size in groups:
            places = range(start, start + size)
            texts = [self.aliases.get(i) or self._exact(self.tape.outputs[i]) for i in places]
            parts.append(texts[0] if size == 1 and start == 0 else _tuple(texts))
            start += size
        return ", ".join(parts) if len(parts) > 1 else parts[0]

    def _header(self) -> str:
        """The imports and definitions that the function uses, copied from the package."""
        imported = sorted(name for name in self.needed if ops.TABLE.get(name) in _IN_MATH)
        chosen = _definitions(self.needed - set(imported) - {"sum", "abs"})
        text = "\n\n".join(chosen)
        imported += [name for name in ("inf", "nan") if re.search(rf"\b{name}\b", text) or name in self.needed]
        lines = [f"import {module}" for module in ("math", "operator") if re.search(rf"\b{module}\.", text)]
        lines += [f"from math import {', '.join(imported)}"] if imported else []
        lines += [f"# {name} is an operation of your own" for name in self.foreign]
        return "\n".join(lines) + (f"\n\n{text}" if text else "") if lines or text else ""


def _definitions(names: Iterable[str]) -> list[str]:
    """The statements of `ieee` that define these names, and those that they need in turn."""
    statements = _ieee_statements()
    chosen: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in statements and name not in chosen:
            chosen.add(name)
            waiting += statements[name][1]
    return [text for name, (text, _) in statements.items() if name in chosen]


@functools.cache
def _ieee_statements() -> dict[str, tuple[str, tuple[str, ...]]]:
    """By the name that it defines: each statement of `ieee` without its annotations, and the names it uses."""
    found = {}
    source = Path(ieee.__file__).with_name("ieee.py").read_text(encoding="utf-8")  # there in the compiled build too
    for statement in ast.parse(source).body:
        for node in ast.walk(statement):
            if isinstance(node, ast.FunctionDef):
                node.returns = None
            elif isinstance(node, ast.arg):
                node.annotation = None
        if isinstance(statement, ast.AnnAssign) and statement.value is not None:
            statement = ast.Assign([statement.target], statement.value, lineno=statement.lineno)
        if isinstance(statement, ast.FunctionDef):
            name = statement.name
        elif isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            name = statement.targets[0].id
        else:
            continue
        used = tuple(node.id for node in ast.walk(statement) if isinstance(node, ast.Name))
        found[name] = (ast.unparse(statement), used)
    return found


def _tuple(texts: list[str]) -> str:
    return f"({', '.join(texts)}{',' if len(texts) == 1 else ''})"


def _wrapped(start: str, expression: str, comment: str = "") -> list[str]:
    """One line, or several inside brackets; a comment that does not fit goes above."""
    above = []
    if comment and len(start) + len(expression) + len(comment) > WIDTH:
        above, comment = [comment.strip()], ""
    if len(start) + len(expression) <= WIDTH:
        return [*above, start + expression + comment]
    if not (expression.startswith("(") and start.startswith("def")):
        expression = f"({expression})"
    lines, line = [], start + "("
    for word in re.split(r"(?<=[,\[(]) | (?=[-+] )", expression[1:]):
        if len(line) + len(word) > WIDTH and line.strip():
            lines.append(line.rstrip())
            line = "    "
        line += word + " "
    return [*above, *lines, line.rstrip()]
