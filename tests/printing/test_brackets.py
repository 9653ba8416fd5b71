"""Brackets stand exactly where they are needed: what is printed is read as the same tree, and no pair is idle."""

import ast
import math
import random
import re

import pytest

from microgrannd import operations as ops
from microgrannd.ground import ieee
from microgrannd.printing.arrays import ARRAYS, matrix_product, product, total, transposed, transposed_each
from microgrannd.printing.c import C
from microgrannd.printing.precedence import SUM
from microgrannd.printing.printer import Expression
from microgrannd.printing.python import PYTHON
from microgrannd.printing.words import Formula, formula, rules

NAMES = {"x": 1.25, "y": -3.7, "z": 1e16, "zero": -0.0, "big": math.inf}
ARITHMETIC = [ops.add, ops.sub, ops.mul, ops.div, ops.neg, ops.square, ops.dot, ops.maximum, ops.where, ops.sum]
COUNTS = {ops.neg: 1, ops.square: 1, ops.dot: 5, ops.where: 3, ops.sum: 3}


def random_tree(generator, depth):
    """A tree as what the dialect prints and what eager mode computes."""
    if depth == 0 or generator.random() < 0.1:
        if generator.random() < 0.6:
            name = generator.choice(list(NAMES))
            return Expression(name), NAMES[name]
        number = generator.choice([2.0, -2.0, 0.1, -0.0, 1e300, 1e15, math.inf, -math.inf])
        return PYTHON.number(number), number
    operation = generator.choice(ARITHMETIC)
    trees = [random_tree(generator, depth - 1) for _ in range(COUNTS.get(operation, 2))]
    written = PYTHON.expression(operation, [expression for expression, _ in trees])
    return written, operation.forward(*[number for _, number in trees])


def pairs(text):
    """Where each pair of brackets that is not a call's opens and closes."""
    opened = []
    for i, letter in enumerate(text):
        if letter == "(":
            opened.append(i)
        elif letter == ")":
            start = opened.pop()
            if not re.search(r"\w$", text[:start]):
                yield start, i


def test_python_computes_the_tree_bit_for_bit_and_no_pair_of_brackets_is_idle():
    functions = {name: getattr(ieee, name) for name in ("div", "dot", "maximum", "where")}
    generator, seen = random.Random(0), 0
    for _ in range(3000):
        expression, wanted = random_tree(generator, generator.randint(1, 4))
        text = expression.text()
        found = eval(text, {**functions, **NAMES, "inf": math.inf, "sum": ieee.sum})
        assert repr(float(found)) == repr(float(wanted)), text
        tree = ast.dump(ast.parse(text, mode="eval"))
        for start, end in pairs(text):
            without = text[:start] + text[start + 1 : end] + text[end + 1 :]
            two_signs = text[:start].endswith("-") and text[start + 1] == "-"  # kept: C reads `--` as something else
            assert two_signs or ast.dump(ast.parse(without, mode="eval")) != tree, text
            seen += 1
    assert seen > 1000


x, y, z = Expression("x"), Expression("y"), Expression("z")


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("x - (y + z)", PYTHON.expression(ops.sub, [x, PYTHON.expression(ops.add, [y, z])])),
        ("x - y + z", PYTHON.expression(ops.add, [PYTHON.expression(ops.sub, [x, y]), z])),
        ("-(-x)", C.expression(ops.neg, [C.expression(ops.neg, [x])])),
        ("-(-2.0)", C.expression(ops.neg, [C.number(-2.0)])),
        ("(double)(x < y) * z", C.expression(ops.mul, [C.expression(ops.less, [x, y]), z])),
        ("(x != 0 ? y : z) + x", C.expression(ops.add, [C.expression(ops.where, [x, y, z]), x])),
        ("x != 0 ? y : z != 0 ? x : y", C.expression(ops.where, [x, y, C.expression(ops.where, [z, x, y])])),
        ("x * y @ z.T", matrix_product(product([x, y]), transposed(z))),
        ("(x @ z) * y", product([matrix_product(x, z), y])),
        ("y - 2 * x - 3", total([(-2.0, x), (1.0, y)], ARRAYS.number(-3.0))),
        ("-x - 0.5 * y", total([(-1.0, x), (-0.5, y)], None)),
        ("x", transposed(transposed(x))),
        ("x", transposed_each(transposed_each(x))),
    ],
)
def test_each_dialect_has_the_brackets_that_it_needs(text, written):
    assert written.text() == text


def test_what_an_expression_is_of_is_named_when_it_is_printed():
    group = Expression("a group", of=("group", 3))
    doubled = product([Expression("2"), group])
    assert doubled.text(named={("group", 3): Expression("z1")}) == "2 * z1"
    assert doubled.text(named={("group", 3): Expression("{} + {}", SUM, ((x, SUM), (y, SUM)))}) == "2 * (x + y)"


def test_formulas_for_people_add_and_multiply_in_any_order_without_brackets():
    a, b, c = map(Formula, "abc")
    assert str(a + (b + c) - (a - b)) == "a + b + c - (a - b)"
    assert str((a * (b * c)) ** (-b)) == "(a * b * c) ** (-b)"
    assert str(abs(a - b) // (a % b)) == "|a - b| // (a % b)"
    assert str((a < b) == (b < c)) == "(a < b) == (b < c)"


def test_text_in_a_formula_is_not_taken_for_a_template():
    assert str(formula(ops.mul, "{0}", "{}")) == "{0} * {}"
    assert rules(ops.mul, "{0}", "{x") == ("{x", "{0}")


def test_a_users_own_operation_may_have_a_symbol_of_ours():
    own = ops.Operation("+", lambda x, y: x + y, lambda x, y, out: (1, 1))
    odd = ops.Operation("+", lambda x: x, lambda x, out: (1,))
    assert str(formula(own, "a", "b")) == "a + b"
    assert str(formula(odd, "a")) == "+(a)"
