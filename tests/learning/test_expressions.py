"""Expressions as text: what they mean, what they refuse, and where the error points."""

import math
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microgrannd import Operation, Value, operations
from microgrannd.engine import topological_order
from microgrannd.expressions import evaluate
from microgrannd.ground.errors import ExpressionError, MicrogranndError
from tests.oracles import agrees, example


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("x + y * z", 14.0),
        ("(x + y) * z", 20.0),
        ("x - y - z", -5.0),
        ("z / x / x", 1.0),
        ("-x ** 2", -4.0),
        ("x ** y ** 2", 512.0),
        ("z % y", 1.0),
        ("z // y", 1.0),
        ("+x", 2.0),
        ("1_000 * x", 2000.0),
        (".5e1 * x", 10.0),
        ("max(x, y) + min(x, y)", 5.0),
        ("maximum(x, z)", 4.0),
        ("hypot(y, z)", 5.0),
        ("sum(x, y, z)", 9.0),
        ("mean(x, y, z)", 3.0),
        ("dot(x, y, z, z)", 20.0),
        ("dot(x, y, z, z, 1)", 21.0),
        ("clamp(z, 0, 1)", 1.0),
        ("leaky_relu(-x)", -0.02),
        ("where(x > y, 1, z)", 4.0),
        ("(x <= 2) + (y != 3) + (z == 4)", 2.0),
        ("  sqrt(\n z )  ", 2.0),
        ("2 * 3", 6.0),
        ("cos(pi) + log(e)", 0.0),
    ],
)
def test_an_expression_means_what_it_means_in_python(expression, expected):
    y = evaluate(expression, {"x": 2, "y": 3, "z": 4})
    assert isinstance(y, Value)
    assert y.data == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize(
    ("name", "expression"),
    [
        ("C-01", "(x + y) * z"),
        ("C-04", "2 * (x * y + max(z, w))"),
        ("B-10", "x1 * x2 + exp(x1 * x2) - sin(x2)"),
        ("S-02", "(apple * apple_num + orange * orange_num) * tax"),
    ],
)
def test_values_and_gradients_of_worked_examples(name, expression):
    worked = example(name)
    y = evaluate(expression, worked["inputs"])
    y.backward()
    leaves = {node.label: node for node in topological_order(y) if node.label}
    assert agrees(y.data, worked["value"], 1e-12)
    for leaf, gradient in worked["grads"].items():
        assert agrees(leaves[leaf].grad, gradient, 1e-12)


def test_a_name_is_one_leaf_wherever_it_stands():
    y = evaluate("x * x", {"x": 3})
    assert y.parents[0] is y.parents[1]
    assert y.parents[0].label == "x"


def test_names_given_go_before_constants():
    assert evaluate("e * 1", {"e": 5}).data == 5.0


def test_names_are_compared_in_the_form_that_python_reads():
    assert evaluate("ﬁ + ψ", {"ﬁ": 1, "ψ": 2}).data == 3.0


@pytest.mark.parametrize(
    ("expression", "column", "message"),
    [
        ("x + q", 4, r"'q' has no number, such as q=1\.5; given are x, y"),
        ("x + tahn(y)", 4, "'tahn' is not an operation; try tan, tanh, atan"),
        ("x * (y", 4, "not an expression"),
        ("x +", 3, "not an expression"),
        ("x y", 2, "not an expression"),
        ("é * ψ", 0, "'é' has no number"),
        ("2 * x + sin(x, y)", 8, r"sin takes 1 input \(x\), got 2"),
        ("hypot(x)", 0, r"hypot takes 2 inputs \(x, y\), got 1"),
        ("elu()", 0, r"elu takes 1 to 2 inputs \(x, alpha\), got 0"),
        ("  clamp(x, y, 1, 2)", 2, "clamp takes 1 to 3 inputs"),
        ("x.data", 0, "not understood"),
        ("x[0]", 0, "not understood"),
        ("'x' * 2", 0, "not understood"),
        ("x if y else 1", 0, "not understood"),
        ("x < y < 2", 0, "not understood"),
        ("x and y", 0, "not understood"),
        ("~x", 0, "not understood"),
        ("x @ y", 0, "not understood"),
        ("lambda: x", 0, "not understood"),
        ("[x for x in y]", 0, "not understood"),
        ("True", 0, "not understood"),
        ("1j", 0, "not understood"),
        ("sin(x=1)", 0, "takes its inputs by position"),
        ("sin(*x)", 4, "not understood"),
        ("x.sin()", 0, "'This' is not an operation"),
        ("x := 1", 2, "not an expression"),
        ("x\x00", 1, "not an expression"),
        ("", 0, "empty"),
        (" \t ", 0, "empty"),
    ],
)
def test_an_error_points_at_the_column(expression, column, message):
    with pytest.raises(ExpressionError, match=message) as caught:
        evaluate(expression, {"x": 1, "y": 2})
    assert caught.value.column == column
    *_, shown, caret = str(caught.value).split("\n")
    assert len(caret) - 1 == column + 2
    assert shown.strip() == " ".join(expression.replace("\x00", "\ufffd").split("\t")).strip()


def test_the_error_is_a_value_error_of_this_package():
    with pytest.raises(ValueError, match="empty") as caught:
        evaluate("")
    assert isinstance(caught.value, MicrogranndError)


def test_a_long_expression_is_shown_around_the_column():
    with pytest.raises(ExpressionError) as caught:
        evaluate(" + ".join(["x"] * 200) + " + q", {"x": 1})
    _, shown, caret = str(caught.value).split("\n")
    assert len(shown) < 80
    assert shown[len(caret) - 1] == "q"


@pytest.mark.parametrize("name", ["__import__", "eval", "open", "print", "getattr"])
def test_python_is_never_run(name):
    with pytest.raises(ExpressionError):
        evaluate(f"{name}('x')", {})


@pytest.mark.parametrize("expression", ["(" * 300 + "x" + ")" * 300, "-" * 5000 + "x", "sin(" * 150 + "x" + ")" * 150])
def test_deep_nesting_is_computed_or_refused(expression):
    with suppress(ExpressionError):  # how deep Python reads depends on its version
        assert math.isfinite(evaluate(expression, {"x": 1}).data)


def test_what_is_nested_as_deeply_as_python_reads_is_computed():
    y = evaluate(" + ".join(["x"] * 500), {"x": 1})
    assert y.data == 500.0


@pytest.mark.parametrize("text", [None, 3, b"x"])
def test_what_is_no_text_is_a_type_error(text):
    with pytest.raises(TypeError, match="An expression is a str"):
        evaluate(text)


def test_a_number_too_large_for_a_float_is_said_to_be():
    with pytest.raises(ExpressionError, match="too large"):
        evaluate("1" + "0" * 400)
    assert evaluate("1e999").data == math.inf


@given(st.text(alphabet="xy01.+-*/%()<>=,eE_ \t#\\'\"sinmax\u00e9\ud800", max_size=30))
@settings(max_examples=400, deadline=None)
def test_any_text_gives_a_value_or_points_at_a_column(text):
    try:
        y = evaluate(text, {"x": 2, "y": 3})
    except ExpressionError as error:
        caught = error
    else:
        assert isinstance(y, Value)
        return
    assert 0 <= caught.column <= len(text)
    assert str(caught).endswith("^")


@given(
    st.integers(-9, 9),
    st.integers(-9, 9),
    st.integers(1, 9),
    st.sampled_from("+-*"),
    st.sampled_from(["//", "%", "**"]),
)
def test_arithmetic_agrees_with_python(x, y, z, one, other):
    expression = f"x {one} (y {other} z) {one} -x"
    # The three numbers are the whole of what Python's own reading may see.
    assert evaluate(expression, {"x": x, "y": y, "z": z}).data == eval(
        expression, {"__builtins__": {}}, {"x": x, "y": y, "z": z}
    )


def test_a_row_whose_symbol_is_one_of_pythons_operators_is_written_between_its_inputs(monkeypatch):
    halfway = Operation("@", lambda x, y: (x + y) / 2, lambda x, y, out: (0.5, 0.5))
    monkeypatch.setitem(operations.TABLE, "halfway", halfway)
    y = evaluate("x @ 4 + 1", {"x": 1})
    assert y.data == 3.5
    assert y.parents[0].op is halfway
