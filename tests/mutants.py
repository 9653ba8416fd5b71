"""Code made wrong in small ways, one at a time: do the tests notice?

    python -m tests.mutants                        every rule and form of the operations table, in each way
    python -m tests.mutants tanh pow               some
    python -m tests.mutants code                   200 places of the engine, the passes and the simplifier
    python -m tests.mutants microgrannd/engine.py  those of them that are in a file

A mutant is put in its place in memory and the tests of that are run on it, until one fails. What none notices is
printed; those in `EQUIVALENT` are right to survive, and why is said there. It exits with 1 for any other.
"""

import ast
import copy
import gc
import os
import resource
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType, FunctionType
from zlib import crc32

import pytest

from microgrannd import operations
from microgrannd.operations import TABLE, Operation
from tests.heart import test_norms, test_operations, test_special, test_table

SWAPPED_OPERATORS = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Pow: ast.Mult}
SWAPPED_NAMES = {
    **{"greater": "greater_equal", "greater_equal": "greater", "less": "less_equal", "less_equal": "less"},
    **{"equal": "not_equal", "not_equal": "equal", "maximum": "minimum", "minimum": "maximum"},
    **{"sin": "cos", "cos": "sin", "sinh": "cosh", "cosh": "sinh", "exp": "expm1", "log": "log1p", "abs": "neg"},
    **{"contribution": "mul", "div": "mul", "_over": "div", "digamma": "lgamma", "erfc": "erf"},
}
SWAPPED_COMPARISONS = {ast.Eq: ast.NotEq, ast.Is: ast.IsNot, ast.In: ast.NotIn, ast.Lt: ast.LtE, ast.Gt: ast.GtE}
SWAPPED_COMPARISONS |= {to: of for of, to in SWAPPED_COMPARISONS.items()}
SYMMETRIC = {"equal", "not_equal", "maximum", "minimum", "hypot"}

# Mutants that compute the same, or differ where nobody promised anything: by row and text, and why.
CLAMP = (
    "greater_equal(x, low) * less_equal(x, high)",
    "less(x, low) * less_equal(low, high)",
    "greater(maximum(x, low), high)",
)
NORM = "lambda xs: where(sum([equal(abs(x), math.inf) for x in xs]), math.inf, (top := reduce(maximum, [abs(x) for x in xs], 0.0)) * sqrt(sum([square(div(x, where(top, top, 2.0))) for x in xs])))"  # noqa: E501
EQUIVALENT = {
    (
        "expanded",
        "given = {x.__class__ for operation, operands in tape.instructions if operation in foreign for x in operands} -> "  # noqa: E501
        "given = {x.__class__ for operation, operands in tape.instructions for x in operands}",
    ): "more is simplified, and that computes the same",
    ("_sub", "return None -> pass"): "a function ends so without saying it",
    (
        "_curvature_at_the_tip",
        "rates = [rate for rate in gradients(slope, same) if rate.op is not None or number_of(rate)] -> "
        "rates = [rate for rate in gradients(slope, same)]",
    ): "a rate that is the number 0 adds nothing",
    ("_mul", "if _is(x, -1.0): -> if _is(-1.0, x):"): "no variable is the number -1",
    ("norm", NORM): "all are 0 there",
    ("relu", "lambda x, out: (greater(out, 0.0),)"): "out is positive where x is",
    ("share", "lambda x, y: where(equal(x, y), 0.5, greater_equal(x, y))"): "equal ones are dealt with before",
    ("sigmoid", "lambda x: where(greater(x, 0.0), 1.0, (e := exp(-abs(x)))) / (1 + e)"): "at 0 both are a half",
    **{
        (
            "clamp",
            f"lambda x, low, high, out: ({', '.join([*CLAMP[:i], changed, *CLAMP[i + 1 :]])})",
        ): "out is high there"
        for i, changed in enumerate(rule.replace("high)", "out)") for rule in CLAMP)
    },
}


def lambdas() -> Iterator[tuple[str, str, ast.Lambda]]:
    """The rule of each row, and its form where that is written out: (row, "rule" or "form", lambda)."""
    tree = ast.parse(Path(operations.__file__).read_text(encoding="utf-8"))
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Call):
            [target], call = statement.targets, statement.value
            if isinstance(target, ast.Name) and target.id in TABLE:
                yield target.id, "rule", call.args[2]
                yield from ((target.id, k.arg, k.value) for k in call.keywords if isinstance(k.value, ast.Lambda))


def mutants(original: ast.Lambda | ast.FunctionDef, changes: Callable) -> Iterator:
    """The function with one thing changed."""
    for position, node in enumerate(ast.walk(original)):
        for change in changes(node, [argument.arg for argument in original.args.args]):
            mutant = copy.deepcopy(original)
            changed = list(ast.walk(mutant))[position]
            change(changed)
            yield ast.fix_missing_locations(mutant)


def changes_of_rules(node: ast.AST, inputs: list[str]) -> Iterator:
    if isinstance(node, ast.Tuple):
        for i, element in enumerate(node.elts):
            if isinstance(element, ast.Starred) or (isinstance(element, ast.Constant) and element.value == 0):
                continue  # a zero is as well negated or doubled; what is inside of a vector is changed there
            yield lambda node, i=i: node.elts.__setitem__(i, ast.UnaryOp(ast.USub(), node.elts[i]))
            yield lambda node, i=i: node.elts.__setitem__(i, ast.BinOp(ast.Constant(2), ast.Mult(), node.elts[i]))
            yield lambda node, i=i: node.elts.__setitem__(i, ast.Constant(0))
        for i in range(len(node.elts) - 1):
            yield lambda node, i=i: node.elts.insert(i, node.elts.pop(i + 1))
    if isinstance(node, ast.BinOp):
        yield lambda node: setattr(node, "op", SWAPPED_OPERATORS[type(node.op)]())
        if isinstance(node.op, ast.Sub | ast.Div | ast.Pow):
            yield lambda node: vars(node).update(left=node.right, right=node.left)
    if isinstance(node, ast.UnaryOp):
        yield lambda node: setattr(node, "op", ast.UAdd())
    if isinstance(node, ast.Call):
        if len(node.args) == 2 and not (isinstance(node.func, ast.Name) and node.func.id in SYMMETRIC):
            yield lambda node: node.args.reverse()
        if len(node.args) == 3:
            yield lambda node: node.args.insert(1, node.args.pop(2))
        if isinstance(node.func, ast.Name) and node.func.id in SWAPPED_NAMES:
            yield lambda node: setattr(node.func, "id", SWAPPED_NAMES[node.func.id])
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        yield lambda node: setattr(node, "value", node.value + 1)
    if isinstance(node, ast.Name) and node.id in inputs and len(inputs) > 1:
        other = inputs[(inputs.index(node.id) + 1) % len(inputs)]
        yield lambda node: setattr(node, "id", other)


def is_noticed(operation: Operation, kind: str) -> bool:
    """Whether one of the table's tests fails."""
    try:
        for run, *arguments in tests_of(operation, kind):
            run(*arguments)
    except KeyboardInterrupt:
        raise
    except BaseException:  # pytest's failures are no Exceptions
        return True
    return False


def tests_of(operation: Operation, kind: str) -> Iterator[tuple]:
    name = operation.name
    if kind == "form":
        yield test_table.test_a_form_is_the_forward_bit_for_bit, name
        test = test_special.test_values_at_poles_zeros_infinities_and_ties
        yield from ((test, *row) for row in test_special.SPECIAL if row[0] == name)
        return
    for table, test in (
        (test_operations.KINKS, test_operations.test_local_gradients_at_kinks_poles_and_ties),
        (test_special.SLOPES, test_special.test_slopes_at_poles_zeros_infinities_and_ties),
    ):
        yield from ((test, *row) for row in table if row[0] == name)
    naive = test_table.test_derivatives_where_a_naive_rule_goes_wrong
    yield from ((naive, *row) for row in naive.pytestmark[0].args[1] if row[0] == name)
    if name not in test_table.DECREED:
        yield test_table.test_an_operation_and_its_derivatives_at_awkward_points, name
    yield test_table.test_an_operation_and_its_derivatives_at_random_points, name
    yield test_operations.test_a_row_is_polymorphic_and_closes_over_nothing, operation
    if operation in operations.NORMS:
        yield test_norms.test_the_gradient_at_the_tip_is_zero, test_norms.NORMS[name]
        yield (
            test_norms.test_the_hessian_of_an_even_function_at_the_tip,
            test_norms.NORMS[name],
            *test_norms.EVEN["h**2"],
        )


def install(operation: Operation, kind: str, function) -> None:
    if kind == "form":
        operation.form = function
        return
    operation.on_floats = function
    operation.local_gradients = function
    if operation.vectors:
        operation.local_gradients = lambda *inputs: function(*operation.split(inputs[:-1]), inputs[-1])


# Where code is mutated, and the tests of it, those that notice most first.
TAPE = ("tests/compiler/test_compiler_simplify.py", "tests/compiler/test_compiler_against_eager.py")
CODE = {
    "microgrannd/engine.py": (
        *("microgrannd/engine.py", "tests/heart/test_engine.py", "tests/heart/test_norms.py"),
        *("tests/heart/test_nn.py", "tests/compiler/test_compiler_tracing.py"),
    ),
    "microgrannd/calculus/passes.py": (
        *("microgrannd/calculus/passes.py", "tests/calculus/test_calculus.py", "tests/heart/test_norms.py"),
        *("tests/calculus/test_dependence.py", "tests/compiler/test_compiler_against_eager.py"),
    ),
    "microgrannd/compiler/tape/simplify.py": TAPE,
    "microgrannd/compiler/tape/tape.py": ("microgrannd/compiler/tape/tape.py", *TAPE),
    "microgrannd/compiler/tape/expand.py": (*TAPE, "tests/heart/test_rows.py"),
}
QUICK = "not million and not small_stack"
PLACES = 200
SECONDS = 60  # of a processor, for the tests of one mutant


def functions(tree: ast.Module | ast.ClassDef, within: str = "") -> Iterator[tuple[str, ast.FunctionDef]]:
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            yield from functions(node, f"{within}{node.name}.")
        if isinstance(node, ast.FunctionDef):
            yield within + node.name, node


def changes_of_code(node: ast.AST, _: list[str]) -> Iterator[Callable]:
    if isinstance(node, ast.BinOp) and type(node.op) in SWAPPED_OPERATORS:
        yield lambda node: setattr(node, "op", SWAPPED_OPERATORS[type(node.op)]())
    if isinstance(node, ast.Compare) and type(node.ops[0]) in SWAPPED_COMPARISONS:
        yield lambda node: node.ops.__setitem__(0, SWAPPED_COMPARISONS[type(node.ops[0])]())
    if isinstance(node, ast.BoolOp):
        yield lambda node: setattr(node, "op", ast.Or() if isinstance(node.op, ast.And) else ast.And())
    if isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield lambda node: setattr(node, "value", not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        yield lambda node: setattr(node, "value", node.value + 1)
    if isinstance(node, ast.If | ast.IfExp | ast.While):
        yield lambda node: setattr(node, "test", ast.UnaryOp(ast.Not(), node.test))
    if isinstance(node, ast.comprehension) and node.ifs:
        yield lambda node: node.ifs.pop()
    if isinstance(node, ast.Call) and len(node.args) > 1:
        yield lambda node: node.args.insert(0, node.args.pop(1))
    for i, statement in enumerate(body if isinstance(body := getattr(node, "body", None), list) else ()):
        if isinstance(statement, ast.Continue | ast.Break):
            other = ast.Break() if isinstance(statement, ast.Continue) else ast.Continue()
            yield lambda node, i=i, other=other: node.body.__setitem__(i, other)
        elif not isinstance(statement, ast.FunctionDef | ast.Pass) and not is_text(statement):
            yield lambda node, i=i: node.body.__setitem__(i, ast.Pass())


def is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def code_mutants(path: str) -> Iterator[tuple[str, str, CodeType]]:
    """(the function's name, what is changed in it, its code)."""
    for name, function in functions(ast.parse(Path(path).read_text(encoding="utf-8"))):
        inner = ast.FunctionDef(function.name, copy.deepcopy(function.args), function.body, [])
        inner.args.defaults, inner.args.kw_defaults = [], [None] * len(inner.args.kwonlyargs)  # they are not its code
        lines = ast.unparse(ast.fix_missing_locations(ast.copy_location(inner, function))).splitlines()
        for mutant in mutants(inner, changes_of_code):
            changed = ast.unparse(mutant).splitlines()
            i = next((i for i, (x, y) in enumerate(zip(lines, changed, strict=False)) if x != y), None)
            if i is not None:
                code = compile(ast.Module([mutant], []), path, "exec")
                [code] = [x for x in code.co_consts if isinstance(x, CodeType) and x.co_name == function.name]
                yield name, f"{lines[i].strip()} -> {changed[i].strip()}", code


class OnMutants:
    """A plugin of pytest's that runs the tests it has collected on each mutant, in a child process."""

    def __init__(self, path: str, chosen: list[tuple[str, str, CodeType]]) -> None:
        self.path = path
        self.chosen = [("", "", None), *chosen]  # first on what is right
        self.survivors: list[tuple[str, str]] = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        items = [item for item in session.items if not hasattr(getattr(item, "obj", None), "hypothesis")]
        for name, text, code in self.chosen:
            if not (child := os.fork()):
                os._exit(self.is_noticed(session, items, name, code))
            _, status = os.waitpid(child, 0)
            if code is None and status:
                pytest.exit(f"The tests of {self.path} fail as it is.", returncode=1)
            if code is not None and not status:
                self.survivors.append((name, text))
                print(f"{'equivalent' if (name, text) in EQUIVALENT else 'SURVIVES'}  {name}: {text}", flush=True)
        return True

    def is_noticed(self, session: pytest.Session, items: list, name: str, code: CodeType | None) -> bool:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        if code is not None:
            for function in [x for x in gc.get_objects() if isinstance(x, FunctionType)]:
                if (function.__code__.co_filename, function.__code__.co_qualname) == (
                    str(Path(self.path).resolve()),
                    name,
                ):
                    function.__code__ = code
        for item, following in zip(items, [*items[1:], None], strict=True):
            session.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if session.testsfailed:
                return True
        return False


def mutate_code(paths: list[str]) -> int:
    every = [(path, mutant) for path in CODE for mutant in code_mutants(path)]
    # By their texts: a change elsewhere leaves the choice as it is.
    chosen = sorted(every, key=lambda mutant: crc32(repr((mutant[0], *mutant[1][:2])).encode()))[:PLACES]
    survivors = []
    for path in paths:
        plugin = OnMutants(path, [mutant for where, mutant in chosen if where == path])
        if pytest.main(["-q", "-s", "--slow", "-p", "no:cacheprovider", "-k", QUICK, *CODE[path]], plugins=[plugin]):
            return 1
        survivors += plugin.survivors
    return told(sum(path in paths for path, _ in chosen), survivors)


def told(made: int, survivors: list[tuple[str, str]]) -> int:
    unexplained = [survivor for survivor in survivors if survivor not in EQUIVALENT]
    print(f"{made} mutants, {made - len(survivors)} noticed, {len(survivors) - len(unexplained)} equivalent, "
          f"{len(unexplained)} not noticed")  # fmt: skip
    return 1 if unexplained else 0


def main(names: list[str]) -> int:
    if names and (names == ["code"] or set(names) <= CODE.keys()):
        return mutate_code(list(CODE) if names == ["code"] else names)
    made, survivors = 0, []
    for name, kind, original in lambdas():
        if names and name not in names:
            continue
        operation = TABLE[name]
        whole = (operation.local_gradients, operation.on_floats, operation.form)
        for mutant in mutants(original, changes_of_rules):
            text = ast.unparse(mutant)
            if text == ast.unparse(original):
                continue
            made += 1
            install(operation, kind, eval(compile(ast.Expression(mutant), name, "eval"), vars(operations)))
            if not is_noticed(operation, kind):
                survivors.append((name, text))
                print(
                    f"{'equivalent' if (name, text) in EQUIVALENT else 'SURVIVES'}  {name} {kind}: {text}", flush=True
                )
            operation.local_gradients, operation.on_floats, operation.form = whole
    return told(made, survivors)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
