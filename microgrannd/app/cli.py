"""The `microgrannd` program: results go to standard output, progress and one-line errors to standard error."""

from __future__ import annotations

import argparse
import os
import re
import sys
import warnings
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias
from unicodedata import normalize

from microgrannd import __version__, engine
from microgrannd.engine import Constant, Value, topological_order
from microgrannd.ground.errors import MicrogranndError
from microgrannd.ground.files import open_in_browser
from microgrannd.ground.terminal import clickable, table, tell
from microgrannd.nodes.notation import in_words
from microgrannd.operations import div

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def main(arguments: Sequence[str] | None = None) -> int:
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] != ["exercises"]:  # which takes no expression
        given = list(map(_positional, given))
    parsed = _parser().parse_args(given)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("always", message="The training diverged")
            warnings.showwarning = lambda message, *_: tell(f"microgrannd: {message}")
            parsed.run(parsed)
        if sys.stdout is not None:  # it was closed when we began
            sys.stdout.flush()
    except KeyboardInterrupt:
        tell("interrupted")
        return 130
    except BrokenPipeError:  # whoever was reading our output has stopped
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (MicrogranndError, ValueError, TypeError, OSError, ModuleNotFoundError) as error:
        tell(f"microgrannd: {_without_number(error)}")
        return 2
    return 0


def _without_number(error: Exception) -> str:
    """What an error says, less the system's number of it."""
    return re.sub(r"^\[Errno \d+\] ", "", str(error))


def _positional(argument: str) -> str:
    """An expression that starts with a minus gets a blank before it, by which argparse knows that it is no option."""
    option = re.fullmatch(r"-|--|-[oh]|-o.*|-\d+|--[a-z][a-z-]*(=.*)?", argument, re.DOTALL)
    return f" {argument}" if argument.startswith("-") and not option else argument


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="microgrannd",
        description="A scalar autodiff engine: train, draw and step through backpropagation.",
        epilog="Exit codes: 0 all went well, 2 something given is wrong or cannot be written, 130 interrupted.",
    )
    build = "pure Python" if engine.__file__.endswith(".py") else "compiled"
    parser.add_argument("--version", action="version", version=f"microgrannd {__version__} ({build})")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for add in (_add_iris, _add_draw_step_and_source, _add_prove, _add_mnist_and_predict, _add_exercises, _add_play):
        add(commands)
    return parser


def _add_iris(commands: Commands) -> None:
    iris = commands.add_parser(
        "iris",
        help="train the 2-2-1 network on Fisher's iris data",
        description="Train a small network on Fisher's iris data by full-batch gradient descent, print the "
        "confusion matrix before and after, and write its graph, the steps of backpropagation and plots.",
    )
    iris.add_argument("--epochs", type=int, metavar="N", help="how many (default: 1000; with --one-hot 4000)")
    iris.add_argument("--eta", type=float, default=0.1, metavar="RATE", help="the learning rate (default: 0.1)")
    iris.add_argument("--seed", type=int, default=0, metavar="N", help="for the initial weights (default: 0)")
    iris.add_argument("--hidden", type=int, default=2, metavar="N", help="neurons in the hidden layer (default: 2)")
    iris.add_argument(
        "--init", type=_initialisation, metavar="HOW", help="initial weights: a number h for -h to h, xavier or he "
        "(default: 0.00005, biases 0, as in the book)",
    )  # fmt: skip
    iris.add_argument("--one-hot", action="store_true", help="two outputs, one for each class")
    iris.add_argument("--out", type=Path, default=Path("out"), metavar="DIR", help="where to write (default: out)")
    iris.add_argument("--data", type=Path, metavar="FILE", help="an iris.csv in place of the one that is included")
    iris.add_argument("--quiet", action="store_true", help="print the result only")
    iris.set_defaults(run=_program("iris_program", "run"))


def _initialisation(text: str) -> float | str:
    if text in ("xavier", "he"):
        return text
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"a number, xavier or he, got {text!r}") from None


def _add_draw_step_and_source(commands: Commands) -> None:
    draw = commands.add_parser("draw", help="draw an expression's graph as SVG", description=_draw.__doc__)
    _add_expression(draw, "circuit.svg")
    draw.add_argument("--backward", action="store_true", help="draw the backward pass beside it")
    draw.add_argument("--rules", action="store_true", help="write the local gradient on each edge")
    draw.add_argument("--fold", choices=["auto", "none", "all"], default="auto", help="fold repeated structure")
    draw.add_argument("--depth", type=int, metavar="N", help="fold the scopes below this depth")
    draw.set_defaults(run=_draw)

    step = commands.add_parser("step", help="step through backpropagation in a page", description=_step.__doc__)
    _add_expression(step, "steps.html")
    step.set_defaults(run=_step)

    source = commands.add_parser("source", help="print an expression's compiled program", description=_source.__doc__)
    _add_inputs(source)
    form = source.add_mutually_exclusive_group()
    form.add_argument("--c", action="store_true", help="as a C99 file rather than Python")
    form.add_argument("--llvm", action="store_true", help="as LLVM's assembly (with the native extra)")
    source.set_defaults(run=_source)


def _add_prove(commands: Commands) -> None:
    prove = commands.add_parser(
        "prove",
        help="prove that gradients are right, with Coq",
        description="Print an expression's program as real functions in the proof assistant Coq, and have it check the "
        "theorems that the lines for the gradients are the derivatives of the value, for all numbers.",
    )
    prove.add_argument("expression", nargs="?", help='such as "(x + y) * z"')
    prove.add_argument("--iris", action="store_true", help="the loss of the 2-2-1 iris network, by its 9 parameters")
    prove.add_argument(
        "--of", choices=["gradients", "hessian", "jvp"], default="gradients", help="of what (default: gradients)"
    )
    prove.add_argument("--timeout", type=float, default=600.0, metavar="SECONDS", help="for Coq (default: 600)")
    prove.add_argument("-o", "--output", type=Path, metavar="FILE", help="write the Coq file there, too")
    prove.set_defaults(run=_program("proof_program", "prove"))


def _add_mnist_and_predict(commands: Commands) -> None:
    mnist = commands.add_parser(
        "mnist",
        help="train a network on MNIST's handwritten digits",
        description="Train a network that is built of scalar neurons on MNIST, by the matrix program that the "
        "compiler finds in it, and print the confusion matrix and the accuracy.",
    )
    mnist.add_argument("--network", choices=["book", "saito"], default="book", help="196-100-50-10 or 784-50-10")
    mnist.add_argument(
        "--data", type=Path, metavar="DIR", help="the folder of the four IDX files (default: downloaded)"
    )
    mnist.add_argument("--minibatches", type=int, metavar="N", help="how many (default: 40,000; saito 10,000)")
    mnist.add_argument("--eta", type=float, metavar="RATE", help="the learning rate (default: 1.0; saito 0.1)")
    mnist.add_argument("--seed", type=int, default=0, metavar="N", help="for weights and batches (default: 0)")
    mnist.add_argument("--save", type=Path, metavar="FILE", help="write the trained model there, as JSON")
    mnist.add_argument("--quiet", action="store_true", help="print the result only")
    mnist.set_defaults(run=_program("mnist_program", "run"))

    predict = commands.add_parser(
        "predict",
        help="recognise the digit in an image",
        description="Recognise the handwritten digit in an image and print the three likeliest.",
    )
    predict.add_argument("model", type=Path, help="a model that `microgrannd mnist --save` wrote")
    predict.add_argument("image", type=Path, help="a PNG of one digit, of any size, dark on light or light on dark")
    predict.set_defaults(run=_program("mnist_program", "predict"))


def _add_exercises(commands: Commands) -> None:
    exercises = commands.add_parser(
        "exercises",
        help="write exercises in backpropagation: a sheet, a page to play, a notebook",
        description="Write exercises in backpropagation, the same for the same seed: .html and .svg are sheets to "
        "print, with the answers on another page; .ipynb is a notebook whose cells check what is filled in.",
    )
    exercises.add_argument("-n", type=int, default=12, metavar="N", help="how many (default: 12)")
    exercises.add_argument("--seed", type=int, default=0, metavar="N", help="which ones (default: 0)")
    exercises.add_argument("--size", type=int, default=5, metavar="N", help="operations in each, 2 to 11 (default: 5)")
    exercises.add_argument("--difficulty", type=int, default=2, metavar="N", help="1, 2 or 3 (default: 2)")
    exercises.add_argument(
        "--play", action="store_true", help="a page that asks and keeps the score, in place of a sheet"
    )
    exercises.add_argument(
        "--for", dest="grader", default="plain", metavar="GRADER", help="nbgrader or otter: notebooks"
    )
    exercises.add_argument(
        "-o", "--output", type=Path, default=Path("sheet.html"), metavar="FILE", help="default: %(default)s"
    )
    exercises.set_defaults(run=_program("exercises_program", "run"))


def _add_play(commands: Commands) -> None:
    play = commands.add_parser(
        "play",
        help="open the playground in the browser",
        description="Serve the playground to this computer's browsers: programs that are edited and run in the page.",
    )
    play.add_argument("--folder", type=Path, metavar="DIR", help="where it was built (default: build/playground)")
    play.add_argument("--port", type=int, default=8765, metavar="N", help="0 is any that is free (default: 8765)")
    play.add_argument("--no-browser", action="store_true", help="serve only")
    play.set_defaults(run=_program("play_program", "run"))


def _add_inputs(command: argparse.ArgumentParser) -> None:
    command.add_argument("expression", help='such as "(x + y) * z" or "sigmoid(w0*x0 + w1)"')
    command.add_argument("inputs", nargs="*", metavar="NAME=NUMBER", help="the number of each name, such as x=-2")


def _add_expression(command: argparse.ArgumentParser, output: str) -> None:
    _add_inputs(command)
    command.add_argument("-o", "--output", type=Path, default=Path(output), metavar="FILE", help=f"default: {output}")
    command.add_argument("--open", action="store_true", help="open the file in the browser")


def _program(module: str, function: str) -> Callable[[argparse.Namespace], None]:
    """A program that is imported only when it runs."""
    return lambda arguments: getattr(import_module(f"microgrannd.app.{module}"), function)(arguments)


def _draw(arguments: argparse.Namespace) -> None:
    """Evaluate an expression, run backward, print values and gradients, and draw the graph."""
    from microgrannd.drawing import draw

    y = _evaluated(arguments)
    y.backward()
    _tell_values(y)
    drawing = draw(y, backward=arguments.backward, rules=arguments.rules, fold=arguments.fold, depth=arguments.depth)
    drawing.save(arguments.output)
    _tell_written(arguments)


def _step(arguments: argparse.Namespace) -> None:
    """Evaluate an expression and write a page that plays its forward and backward pass, step by step."""
    from microgrannd.drawing import step

    y = _evaluated(arguments)
    player = step(y)
    _tell_values(y)
    player.to_html(arguments.output)
    _tell_written(arguments)


def _source(arguments: argparse.Namespace) -> None:
    """Print the program that computes an expression and its derivatives, as a person would have derived it."""
    from microgrannd.compiler import compile

    y = _evaluated(arguments)
    names = [node for node in topological_order(y) if node.op is None and not isinstance(node, Constant)]
    program = compile(graph=y, inputs=names)
    if arguments.c:
        with TemporaryDirectory() as folder:
            file = Path(folder, "graph.c")
            program.to_c(file)
            header = file.with_suffix(".h").read_text(encoding="utf-8")
            print(file.read_text(encoding="utf-8").replace('#include "graph.h"\n', header))
    else:
        print(program.llvm_ir if arguments.llvm else program.python_source)


def _evaluated(arguments: argparse.Namespace) -> Value:
    from microgrannd.expressions import evaluate

    numbers: dict[str, float] = {}
    for assignment in arguments.inputs:
        name, equals, text = (part.strip() for part in assignment.partition("="))
        number = _number(text)
        if not equals or number is None or not name.isidentifier():
            raise ValueError(f"Inputs are written NAME=NUMBER, such as x=-2 or x=1/2; got {assignment!r}.")
        if name in numbers:
            raise ValueError(f"{name} is given twice, as {numbers[name]:g} and as {number:g}.")
        numbers[name] = number
    y = evaluate(arguments.expression, numbers)
    used = {normalize("NFKC", node.label) for node in topological_order(y)}
    if unused := [name for name in numbers if normalize("NFKC", name) not in used]:
        raise ValueError(f"The expression has no {', '.join(unused)}: {arguments.expression.strip()}")
    return y


def _number(text: str) -> float | None:
    """A number or a fraction such as 1/2."""
    top, slash, bottom = text.partition("/")
    try:
        return div(float(top), float(bottom)) if slash else float(top)
    except ValueError:
        return None


def _first_nan(y: Value) -> str:
    """Where the NaN of the result arises, in words; nothing if it is a number."""
    for node in topological_order(y) if y.data != y.data else ():
        if node.data != node.data and not any(x != x for x in node.inputs):
            return f"The NaN arises in {in_words(node)}." if node.op is not None else ""
    return ""


def _tell_values(y: Value) -> None:
    print(_values_and_gradients(y))
    if told := _first_nan(y):
        print(told)


def _tell_written(arguments: argparse.Namespace) -> None:
    print(f"wrote {clickable(arguments.output)}")
    if arguments.open:
        open_in_browser(arguments.output)


def _values_and_gradients(y: Value) -> str:
    from microgrannd.nodes.notation import Formula, formula

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
