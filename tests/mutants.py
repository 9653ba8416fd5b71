"""Every rule and every form of the operations table, made wrong in each small way: do the tests notice?

    python -m tests.mutants            all rows
    python -m tests.mutants tanh pow   some

A mutant is put in the row's place in memory and the tests of the table are run on it, until one fails. What none
notices is printed; those in `EQUIVALENT` are right to survive, and why is said there. It exits with 1 for any other.
"""

import ast
import copy
import sys
from collections.abc import Iterator
from pathlib import Path

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
SYMMETRIC = {"equal", "not_equal", "maximum", "minimum", "hypot"}

# Mutants that compute the same, or differ where nobody promised anything: by row and text, and why.
CLAMP = (
    "greater_equal(x, low) * less_equal(x, high)",
    "less(x, low) * less_equal(low, high)",
    "greater(maximum(x, low), high)",
)
NORM = "lambda xs: where(sum([equal(abs(x), math.inf) for x in xs]), math.inf, (top := reduce(maximum, [abs(x) for x in xs], 0.0)) * sqrt(sum([square(div(x, where(top, top, 2.0))) for x in xs])))"  # noqa: E501
EQUIVALENT = {
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


def mutants(original: ast.Lambda) -> Iterator[ast.Lambda]:
    """The lambda with one thing changed."""
    for position, node in enumerate(ast.walk(original)):
        for change in changes(node, [argument.arg for argument in original.args.args]):
            mutant = copy.deepcopy(original)
            changed = list(ast.walk(mutant))[position]
            change(changed)
            yield ast.fix_missing_locations(mutant)


def changes(node: ast.AST, inputs: list[str]) -> Iterator:
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


def main(names: list[str]) -> int:
    made, survivors = 0, []
    for name, kind, original in lambdas():
        if names and name not in names:
            continue
        operation = TABLE[name]
        whole = (operation.local_gradients, operation.on_floats, operation.form)
        for mutant in mutants(original):
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
    unexplained = [survivor for survivor in survivors if survivor not in EQUIVALENT]
    print(f"{made} mutants, {made - len(survivors)} noticed, {len(survivors) - len(unexplained)} equivalent, "
          f"{len(unexplained)} not noticed")  # fmt: skip
    return 1 if unexplained else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
