"""The `microgrannd` program: `iris` trains the 2-2-1 network, `draw` and `step` show an expression.

Each subcommand is a function of the parsed arguments. Results go to standard output, progress and errors
to standard error; an error is one line, and the exit status 2.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from microgrannd import __version__, engine
from microgrannd.engine import Constant, Value, topological_order
from microgrannd.errors import MicrogranndError
from microgrannd.terminal import table


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program and give its exit status."""
    parsed = _parser().parse_args(arguments)
    try:
        parsed.run(parsed)
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever read our output has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (MicrogranndError, ValueError, TypeError, OSError, ModuleNotFoundError) as error:
        print(f"microgrannd: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="microgrannd", description="A scalar autodiff engine: train, draw and step through backpropagation."
    )
    parser.add_argument("--version", action="version", version=f"microgrannd {__version__} ({_build()})")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    iris = commands.add_parser(
        "iris",
        help="train the 2-2-1 network on Fisher's iris data",
        description="Train a small network on Fisher's iris data by full-batch gradient descent, print the "
        "confusion matrix before and after, and write its graph, the steps of backpropagation and plots.",
    )
    iris.add_argument("--epochs", type=int, metavar="N", help="how many (default: 1000; with --one-hot 4000)")
    iris.add_argument("--eta", type=float, default=0.1, metavar="RATE", help="the learning rate (default: 0.1)")
    iris.add_argument("--seed", type=int, default=0, metavar="N", help="for the first weights (default: 0)")
    iris.add_argument("--hidden", type=int, default=2, metavar="N", help="neurons in the hidden layer (default: 2)")
    iris.add_argument("--one-hot", action="store_true", help="two outputs, one for each class")
    iris.add_argument("--out", type=Path, default=Path("out"), metavar="DIR", help="where to write (default: out)")
    iris.add_argument("--data", type=Path, metavar="FILE", help="another iris.csv than the one that comes along")
    iris.add_argument("--quiet", action="store_true", help="print the result only")
    iris.set_defaults(run=_iris)

    draw = commands.add_parser("draw", help="draw an expression's graph as SVG", description=_draw.__doc__)
    _add_expression(draw, "circuit.svg")
    draw.add_argument("--backward", action="store_true", help="draw the backward pass beside it")
    draw.add_argument("--rules", action="store_true", help="write the local gradient on each edge")
    draw.add_argument("--fold", choices=["auto", "none", "all"], default="auto", help="fold repeated structure")
    draw.set_defaults(run=_draw)

    step = commands.add_parser("step", help="step through backpropagation in a page", description=_step.__doc__)
    _add_expression(step, "steps.html")
    step.set_defaults(run=_step)
    return parser


def _build() -> str:
    """Whether the engine runs as it is written or compiled by setup.py."""
    return "pure Python" if engine.__file__.endswith(".py") else "compiled"


def _add_expression(command: argparse.ArgumentParser, output: str) -> None:
    command.add_argument("expression", help='such as "(x + y) * z" or "sigmoid(w0*x0 + w1)"')
    command.add_argument("inputs", nargs="*", metavar="NAME=NUMBER", help="the number of each name, such as x=-2")
    command.add_argument("-o", "--output", type=Path, default=Path(output), metavar="FILE", help=f"default: {output}")


def _iris(arguments: argparse.Namespace) -> None:
    from microgrannd.iris_program import run

    run(arguments)


def _draw(arguments: argparse.Namespace) -> None:
    """Evaluate an expression, run backward, print values and gradients, and draw the graph."""
    from microgrannd.drawing import draw

    y = _evaluated(arguments)
    y.backward()
    print(_values_and_gradients(y))
    drawing = draw(y, backward=arguments.backward, rules=arguments.rules, fold=arguments.fold)
    drawing.save(arguments.output)
    print(f"wrote {arguments.output}")


def _step(arguments: argparse.Namespace) -> None:
    """Evaluate an expression and write a page that plays its forward and backward pass, step by step."""
    from microgrannd.drawing import step

    y = _evaluated(arguments)
    player = step(y)
    print(_values_and_gradients(y))
    player.to_html(arguments.output)
    print(f"wrote {arguments.output}")


def _evaluated(arguments: argparse.Namespace) -> Value:
    from microgrannd.expressions import evaluate

    return evaluate(arguments.expression, _numbers(arguments.inputs))


def _numbers(assignments: Sequence[str]) -> dict[str, float]:
    numbers = {}
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        try:
            numbers[name.strip()] = float(text)
        except ValueError:
            equals = ""
        if not equals or not name.strip().isidentifier():
            raise ValueError(f"Inputs are written NAME=NUMBER, such as x=-2; got {assignment!r}.")
    return numbers


def _values_and_gradients(y: Value) -> str:
    """Each node with its number and its gradient, in the order of computation; constants are left out."""
    from microgrannd.notation import Formula, formula

    texts: dict[Value, Formula] = {}
    rows = []
    for node in topological_order(y):
        if node.op is None:
            texts[node] = Formula(node.label or f"{node.data:.6g}")
        else:
            texts[node] = formula(node.op, *[texts[parent] for parent in node.parents])
        if not isinstance(node, Constant):
            rows.append([str(texts[node]), f"{node.data:.6g}", f"{node.grad:.6g}"])
    return table(["node", "value", "gradient"], rows)
