"""`mg.derive`: what a person would write, held against the textbook, against the engine and against mathematics."""

import math
import re
import xml.etree.ElementTree as ET
from random import Random

import mpmath as mp
import pytest

import microgrannd as mg
from microgrannd import Operation, Value
from microgrannd.calculus.derivations import leaf_derivations
from microgrannd.operations import TABLE
from tests import oracles
from tests.heart.test_table import inputs_of, node
from tests.oracles import example
from tests.random_graphs import smooth_graph

# Equations 10.4 to 10.8 of the book, with d = a2 − y written out: the chain, and its factors.
TEXTBOOK = {
    "w5": ("∂L/∂a2 · ∂a2/∂w5", "(a2 − y) · a1"),
    "w4": ("∂L/∂a2 · ∂a2/∂w4", "(a2 − y) · a0"),
    "b2": ("∂L/∂a2 · ∂a2/∂b2", "a2 − y"),
    "w3": ("∂L/∂a2 · ∂a2/∂a1 · ∂a1/∂z1 · ∂z1/∂w3", "(a2 − y) · w5 · a1 · (1 − a1) · x1"),
    "w1": ("∂L/∂a2 · ∂a2/∂a1 · ∂a1/∂z1 · ∂z1/∂w1", "(a2 − y) · w5 · a1 · (1 − a1) · x0"),
    "b1": ("∂L/∂a2 · ∂a2/∂a1 · ∂a1/∂z1 · ∂z1/∂b1", "(a2 − y) · w5 · a1 · (1 − a1)"),
    "w2": ("∂L/∂a2 · ∂a2/∂a0 · ∂a0/∂z0 · ∂z0/∂w2", "(a2 − y) · w4 · a0 · (1 − a0) · x1"),
    "w0": ("∂L/∂a2 · ∂a2/∂a0 · ∂a0/∂z0 · ∂z0/∂w0", "(a2 − y) · w4 · a0 · (1 − a0) · x0"),
    "b0": ("∂L/∂a2 · ∂a2/∂a0 · ∂a0/∂z0 · ∂z0/∂b0", "(a2 − y) · w4 · a0 · (1 − a0)"),
}


def labelled(value, label):
    value.label = label
    return value


def textbook_network():
    """The 2-2-1 network of K-03, as the book names it."""
    v = {name: Value(number, name) for name, number in example("K-03")["inputs"].items()}
    z0 = labelled(v["w0"] * v["x0"] + v["w2"] * v["x1"] + v["b0"], "z0")
    z1 = labelled(v["w1"] * v["x0"] + v["w3"] * v["x1"] + v["b1"], "z1")
    a0, a1 = labelled(mg.sigmoid(z0), "a0"), labelled(mg.sigmoid(z1), "a1")
    a2 = labelled(v["w4"] * a0 + v["w5"] * a1 + v["b2"], "a2")
    return labelled(0.5 * mg.square(a2 - v["y"]), "L"), v


def minus(x, digits):
    return mp.nstr(mp.mpf(x), digits).replace("-", "−")


@pytest.mark.parametrize("name", TEXTBOOK)
def test_the_nine_partial_derivatives_of_the_textbook(name):  # K-03
    loss, v = textbook_network()
    text = str(mg.derive(loss, v[name], precision=12))
    chain, letters, numbers, result = [line.partition("= ")[2] for line in text.splitlines()]
    assert (chain, letters) == TEXTBOOK[name]
    exact = example("K-03")["hp"]
    assert result == minus(exact["grads"][name], 12)
    read = numbers.replace("·", "*").replace("−", "-")  # what it says is true
    assert math.isclose(eval(read), float(exact["grads"][name]), rel_tol=1e-10)
    known = exact["inputs"] if "inputs" in exact else example("K-03")["inputs"]
    for letter, number in {**known, **{k: x["value"] for k, x in exact["intermediates"].items()}}.items():
        letters = letters.replace(letter, minus(number, 12) if float(number) >= 0 else f"({minus(number, 12)})")
    assert letters.replace(".0 ", " ").replace(".0)", ")").replace(" ", "").removesuffix(".0") == numbers.replace(
        " ", ""
    )


def test_what_several_derivatives_share_is_worked_out_once():  # K-03
    loss, v = textbook_network()
    text = str(mg.derive(loss, [v[name] for name in TEXTBOOK]))
    blocks = {block.partition(" =")[0]: block.splitlines() for block in text.split("\n\n")}
    assert list(blocks) == ["δ₁", "δ₂", "δ₃", *(f"∂L/∂{name}" for name in TEXTBOOK)]
    said = {left: [line.partition("= ")[2] for line in lines] for left, lines in blocks.items()}
    assert said["δ₁"] == ["∂L/∂a2", "a2 − y", "0.3651 − 1", "−0.6349"]
    assert said["δ₂"][:3] == ["∂L/∂z0", "∂L/∂a2 · ∂a2/∂a0 · ∂a0/∂z0", "δ₁ · w4 · a0 · (1 − a0)"]
    assert said["∂L/∂w3"] == ["∂L/∂z1 · ∂z1/∂w3", "δ₃ · x1", "−0.1762 · (−2)", "0.3524"]
    assert said["∂L/∂b1"] == ["∂L/∂z1 · ∂z1/∂b1", "δ₃", "−0.1762"]


def test_every_path_has_its_line():
    loss, v = textbook_network()
    assert str(mg.derive(loss, v["x0"])).splitlines()[5:] == [
        "∂L/∂x0 = ∂L/∂a2 · ∂a2/∂a0 · ∂a0/∂z0 · ∂z0/∂x0",
        "       + ∂L/∂a2 · ∂a2/∂a1 · ∂a1/∂z1 · ∂z1/∂x0",
        "       = δ₁ · w4 · a0 · (1 − a0) · w0",
        "       + δ₁ · w5 · a1 · (1 − a1) · w1",
        "       = −0.6349 · (−1) · 0.3775 · (1 − 0.3775) · 0.5",
        "       + (−0.6349 · 1.5 · 0.2451 · (1 − 0.2451) · (−0.25))",
        "       = 0.1187",
    ]


def test_the_same_in_latex():
    loss, v = textbook_network()
    assert mg.derive(loss, v["w5"]).latex == (
        "\\begin{aligned}\n"
        "\\frac{\\partial L}{\\partial w_{5}} &= "
        "\\frac{\\partial L}{\\partial a_{2}} \\cdot \\frac{\\partial a_{2}}{\\partial w_{5}} \\\\\n"
        " &= \\left(a_{2} - y\\right) \\cdot a_{1} \\\\\n"
        " &= \\left(0.3651 - 1\\right) \\cdot 0.2451 \\\\\n"
        " &= -0.1556\n"
        "\\end{aligned}"
    )


def markup(derivation):
    return ET.fromstring(derivation.html.replace("&nbsp;", " "))


def test_the_same_in_mathml_where_numbers_say_which_they_are():
    loss, v = textbook_network()
    order = mg.topological_order(loss)
    table = markup(mg.derive(loss, v["w5"]))
    rows = ["".join(row.itertext()) for row in table.iter("tr")]
    assert rows == ["∂L∂w5=∂L∂a2·∂a2∂w5", "=(a2−y)·a1", "=(0.3651−1)·0.2451", "=−0.1556"]
    found = [(order[int(n.get("data-value"))].label, n.text) for n in table.iter("mn") if n.get("data-value")]
    assert found == [("a2", "0.3651"), ("y", "1"), ("a1", "0.2451")]
    [slope] = [n for n in table.iter("mn") if n.get("data-slope")]
    assert (order[int(slope.get("data-slope"))].label, slope.text) == ("w5", "−0.1556")


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda x, y: x**y, ["y · x**(y − 1)", "x**y · log x"]),
        (lambda x, y: x * y * x, ["2 · x · y", "x²"]),
        (lambda x, y: (x - y) ** 2 / 2, ["x − y", "−(x − y)"]),
        (lambda x, y: x / y, ["1 / y", "−L / y"]),
        (lambda x, y: 3 * x + y / 3, ["3", "1 / 3"]),
        (lambda x, y: mg.exp(-x * y), ["−L · y", "−L · x"]),
        (lambda x, y: mg.relu(x * y), ["(1 if x · y > 0, else 0) · y", "(1 if x · y > 0, else 0) · x"]),
        (lambda x, y: mg.where(mg.greater(x, y), x, y), ["1 if x > y, else 0", "0 if x > y, else 1"]),
        (lambda x, y: mg.sigmoid(x) + y, ["σ(x) · (1 − σ(x))", "1"]),
        (lambda x, y: mg.maximum(x, y), ["1 if x > y, else 0", "1 if y > x, else 0"]),
        (lambda x, y: mg.sqrt(x) + abs(y), ["1 / (2 · √x)", "sign(y)"]),
        (lambda x, y: mg.dot([x, y], [x, 3.0]), ["2 · x", "3"]),
    ],
)
def test_a_rule_reads_as_in_a_textbook(function, expected):
    x, y = Value(2.5, "x"), Value(1.5, "y")
    for by, letters in zip([x, y], expected, strict=True):
        line = next(line for line in str(mg.derive(function(x, y), by)).splitlines() if line.startswith("∂L/∂"))
        assert line == f"∂L/∂{by.label} = {letters}"


@pytest.mark.parametrize("name", [name for name in TABLE if name != "stop_gradient"])
def test_each_row_is_derived_as_the_engine_has_it(name):
    random = Random(name)
    for _ in range(20):
        values = [Value(x, f"x{i}") for i, x in enumerate(oracles.draw(name, random, inputs_of(name)))]
        y = node(name, values) * values[0] + mg.tanh(values[-1])
        holds(mg.derive(y, values), y, values)


@pytest.mark.slow
def test_random_graphs_are_derived_as_the_engine_has_it():
    random, names = (
        Random(15),
        tuple(name for name in TABLE if name not in ("clamp", "sinc")),
    )  # crossed bounds, and 0 / 0
    for _ in range(60):
        graph = smooth_graph(random, random.randint(3, 25), names)
        xs = [Value(x, f"x{i}") for i, x in enumerate(graph.inputs)]
        y = graph.run(xs)
        if isinstance(y, Value):
            holds(mg.derive(y, xs), y, xs)


def test_the_line_of_numbers_is_true_as_it_is_read():
    names = ("add", "sub", "mul", "div", "neg", "square", "where", "relu", "abs", "greater", "exp", "maximum", "pow")
    random, lines = Random(16), 0
    for _ in range(120):
        graph = smooth_graph(random, random.randint(3, 12), names)
        xs = [Value(x, f"x{i}") for i, x in enumerate(graph.inputs)]
        y = graph.run(xs)
        for x in xs if isinstance(y, Value) else []:
            text = re.sub(r"\n +[+−] ", lambda sign: sign[0].strip() + " ", str(mg.derive(y, x, precision=17)))
            said = re.findall("= ([^∂\\n]*)$", text.rpartition("\n\n")[2], re.MULTILINE)
            if len(said) > 1 and not re.search("[xu].", said[-2].replace("exp", "").replace("max", "")):
                lines += 1
                assert math.isclose(read(said[-2]), read(said[-1]), rel_tol=1e-3, abs_tol=1e-6), (
                    text
                )  # constants have 6 digits
    assert lines > 80  # to a thousandth, because constants have six digits


def read(text):
    """What a line says, by Python."""
    for shown, meant in {"·": "*", "−": "-", "²": "**2", "³": "**3", "⁴": "**4", "⁵": "**5", ", else": " else"}.items():
        text = text.replace(shown, meant)
    text = re.sub(r"log ([\d.]+)", r"log(\1)", re.sub(r"\|([^|]*)\|", r"abs(\1)", text))
    functions = {"exp": math.exp, "log": math.log, "max": max, "relu": lambda x: max(x, 0)}
    return eval(text, {**functions, "sign": lambda x: (x > 0) - (x < 0)})


def holds(derivation, y, xs):
    """Each derivative's paths add up to the engine's number, by the formulas where they hold; all three are written."""
    mg.zero_grad(xs)
    y.backward()
    graph, slopes = derivation.graph, dict.fromkeys([derivation.graph.y], 1.0)
    for equation in derivation.equations:
        total = 0.0
        for path in equation.paths:
            assert path[-1].below is equation.node
            product = slopes[path[0].above]
            for edge in path:
                assert edge.holds
                product *= edge.number
            total += product
        slopes[equation.node] = total
        assert math.isclose(total, graph.slopes.get(equation.node, 0.0), rel_tol=1e-9, abs_tol=1e-12)
    for x in xs:
        assert math.isclose(slopes[x], x.grad, rel_tol=1e-9, abs_tol=1e-12)
    assert str(derivation)
    assert derivation.latex.count("{") == derivation.latex.count("}")
    assert len(list(markup(derivation).iter("tr"))) == len(derivation.latex.splitlines()) - 2


def test_a_network_has_the_names_of_the_books():
    model = mg.MLP(2, [2, 1], activation="tanh", seed=0)
    loss = labelled(mg.losses.half_squared_error(model([1.0, 2.0]), 1.0), "loss")
    text = str(mg.derive(loss, model.layers[0].neurons[1].w[0]))
    blocks = text.split("\n\n")
    assert blocks[0].splitlines()[0] == "z⁰₁ = w⁰₁₀ · x₀ + w⁰₁₁ · x₁ + b⁰₁"
    assert blocks[1].splitlines()[0] == "a⁰₁ = tanh z⁰₁"
    assert [line.strip() for line in blocks[-1].splitlines()[:2]] == [
        "∂loss/∂w⁰₁₀ = ∂loss/∂z¹₀ · ∂z¹₀/∂a⁰₁ · ∂a⁰₁/∂z⁰₁ · ∂z⁰₁/∂w⁰₁₀",
        "= (z¹₀ − 1) · w¹₀₁ · (1 − a⁰₁²) · x₀",
    ]


def test_a_direct_path_beside_others_is_told_from_the_whole():
    x = Value(2.0, "x")
    u = labelled(x * x, "u")
    text = str(mg.derive(labelled(u * x, "y"), x))
    assert text.splitlines()[:2] == ["dy/dx = ∂y/∂u · ∂u/∂x", "      + ∂y/∂x"]
    assert text.splitlines()[-1] == "      = 12"


def test_where_the_engine_has_a_rule_of_its_own_it_is_said():
    x = Value(0.0, "x")
    assert str(mg.derive(mg.maximum(x, 0.0), x)).splitlines()[-3:] == [
        "∂L/∂x = 1 if x > 0, else 0",
        "      = 0.5",
        "At this point ∂L/∂x is 0.5, by the rule for awkward points, not by its formula.",
    ]
    assert "At this point" not in str(mg.derive(mg.relu(x), x))


def test_what_does_not_depend_and_what_is_itself():
    x, z = Value(2.0, "x"), Value(3.0, "z")
    assert str(mg.derive(labelled(x * x, "y"), z)) == "∂y/∂z = 0\ny does not depend on z."
    assert str(mg.derive(x, x)) == "∂x/∂x = 1"
    assert str(mg.derive(labelled(mg.floor(x), "y"), x)) == "∂y/∂x = 0\nEach path from y to x has a factor 0."
    assert str(mg.derive(x * 1e300 * 1e300, x)).splitlines()[-1] == "∂L/∂x = ∞"


def test_values_without_labels_get_names_and_labels_that_repeat_are_told_apart():
    x = Value(2.0)
    assert str(mg.derive(x * x, x)).splitlines()[3] == "∂L/∂x = 2 · x"
    first, second = Value(2.0, "w"), Value(3.0, "w")
    assert "∂L/∂w[2] = w" in str(mg.derive(first * second, second))


def test_a_long_formula_is_named_in_parts():
    x = y = Value(0.5, "x")
    for _ in range(200):
        y = mg.tanh(y * 0.9 + 0.1)
    text = str(mg.derive(y, x))
    assert "∂u₂/∂u₁ · ∂u₁/∂x" in text
    for _ in range(12_000):
        y = mg.tanh(y)
    with pytest.raises(ValueError, match="up to 1,500 named nodes"):
        mg.derive(y, x)


def test_a_rule_that_is_no_formula_gives_its_number():
    kinked = Operation("kinked", lambda x: max(x, 0.0), lambda x, out: (1.0 if x > 0 else 0.0,))
    x = Value(2.0, "x")
    assert str(mg.derive(kinked(x) * 3, x)).splitlines()[-1] == "∂L/∂x = 3"


def test_a_leaf_that_was_set_since_is_derived_at_the_number_that_was_used():
    x = Value(2.0, "x")
    y = x * x
    x.data = 5.0
    assert str(mg.derive(y, x)).splitlines()[-1] == "      = 4"
    with pytest.raises(mg.GradientError, match=r"was 5\.0 for one node and 2\.0|was 2\.0 for one node and 5\.0"):
        mg.derive(y + x, x)


def test_what_is_wrong_is_named():
    x = Value(2.0, "x")
    for call, message in [
        (lambda: mg.derive(2.0, x), "y is a Value, got 2.0"),
        (lambda: mg.derive(x * x, 2.0), "x is a Value or a list of Values, got 2.0"),
        (lambda: mg.derive(x * x, [x, "w"]), "x is a Value or a list of Values"),
        (lambda: mg.derive(x * x, x, precision="4"), "precision"),
    ]:
        with pytest.raises(TypeError, match=message.replace(".", r"\.")):
            call()
    with pytest.raises(ValueError, match="empty"):
        mg.derive(x * x, [])


@pytest.mark.parametrize("label", ["<script>alert(1)</script>", r"\input{x}", "a_b^{c}", "$x$", "]]>", "a\nb", "{0}"])
def test_a_label_is_text(label):
    x = Value(2.0, label)
    derivation = mg.derive(x * x, x)
    shown = mg.derive(x * x, x)
    tags = {element.tag for element in markup(derivation).iter()}
    assert tags <= {"div", "table", "tr", "td", "math", "mrow", "mfrac", "mo", "mi", "mn", "msup", "msub"}
    assert "\\input" not in derivation.latex.replace("\\backslash input", "")
    assert str(shown).splitlines()[-1].strip() == "= 4"


def test_a_notebook_gets_all_three_forms():
    loss, v = textbook_network()
    bundle = mg.derive(loss, v["w5"])._repr_mimebundle_()
    assert set(bundle) == {"text/html", "text/latex", "text/plain"}
    assert "<math" in bundle["text/html"]
    assert bundle["text/latex"].startswith("$$\\begin{aligned}")
    assert repr(mg.derive(loss, v["w5"])) == "<Derivation of L by w5>"


def test_a_page_gets_the_derivations_of_all_leaves():
    loss, v = textbook_network()
    order = mg.topological_order(loss)
    found = leaf_derivations(order)
    assert {order[i].label for i in found} == set(v)
    assert found[next(i for i, node in enumerate(order) if node is v["w5"])] == mg.derive(loss, v["w5"]).html
    assert 0 < len(leaf_derivations(order, most=5000)) < len(found)
