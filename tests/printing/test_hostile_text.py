"""What a user wrote (labels, scopes, keys, names of functions) changes no language's text but its names and literals.

The same program is written with a hostile text and with a plain one; what is left without the names, the comments and
the strings is the same. Some hundreds of texts by default, 10,000 in each language with --long.
"""

import ast
import json
import keyword
import random
import re
import subprocess
import xml.etree.ElementTree as ElementTree
from collections import Counter
from html.parser import HTMLParser
from shutil import which

import pytest

import microgrannd as mg
from microgrannd import Value
from microgrannd.printing.labels import LONGEST_IN_DOT, in_dot, in_picture

BREAKS = [*"\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029", "\r\n", "\\\n", "??/\n"]
UNSEEN = [
    *"\0\t \x1b\x7f\x9b\xa0\xad\u061c\u200b\u200e\u202a\u202e\u2066\u2069\u3000\ufeff\ufffe\ud800\udfff\U000e0001"
]
ENDS = [
    *("*/", "/*", "*", "/", "//", "#", "(*", "*)", "-->", "]]>", "</script>", "</title>", "<!--", "<script>alert(1)//"),
    *(
        '"',
        "'",
        '"""',
        "'''",
        "\\",
        "\\\\",
        '\\"',
        "`",
        "${x}",
        "{}",
        "{0}",
        "{{data}}",
        "%s",
        "%d",
        "&lt;",
        "&",
        "\\n",
    ),
    *(
        "; x = 1",
        "): pass",
        "*/ int evil(void) { return 42; } /*",
        "\nimport os\n",
        "__import__('os')",
        "!0",
        "@f",
        "%1",
    ),
    *('"]; n0 -> n1 [label="', 'onload="x"', "|", "<b>", "\\G", "\\N", "d_", "d_x", "v1", "t1", "g1"),
]
WORDS = [
    *(*keyword.kwlist, *keyword.softkwlist, *mg.TABLE, "print", "abs", "sum", "math", "inf", "nan", "value", "xp", "n"),
    *(
        "double",
        "int",
        "char",
        "void",
        "main",
        "exp",
        "NULL",
        "inputs",
        "restrict",
        "_Bool",
        "uint8_t",
        "define",
        "ptr",
    ),
    *(
        "function",
        "var",
        "const",
        "let",
        "undefined",
        "this",
        "constructor",
        "__proto__",
        "toString",
        "digraph",
        "node",
    ),
    *("ﬁ", "é", "e\u0301", "²", "௰", "1", "Σ", "漢", "\N{GRINNING FACE}", "x" * 300, "_", "__debug__", "v²", "d_v²"),
]
QUICK = 300


def texts(seed, count):
    draw = random.Random(seed)
    kinds = [BREAKS, UNSEEN, ENDS, WORDS]
    yield from [*BREAKS, *UNSEEN, *ENDS, *WORDS][:count]
    while True:
        parts = [draw.choice(draw.choice(kinds)) for _ in range(draw.randint(1, 4))]
        parts += [chr(draw.randrange(0x110000)) for _ in range(draw.choice([0, 0, 1, 5]))]
        draw.shuffle(parts)
        yield "".join(parts)


def program(text, backend):
    """Every place that a text may come from: a key, a parameter's label, a result's, a scope, the function's name."""
    w = Value(0.5, label=text)

    def f(row):
        with mg.scope(text):
            hidden = mg.sin(row[text] * w)
            hidden.label = text
        return hidden * w + row[text] * w

    f.__name__ = text
    return mg.compile(f, backend=backend).trace({text: 0.7})


def graph(text):
    w, x = Value(0.5, label=text), Value(0.7, label=text)
    with mg.scope(text):
        hidden = w * x
    y = mg.tanh(hidden) + x * 2.0
    y.label = text
    y.backward()
    return y


def code_of(source):
    """The function's own lines, after its docstring; whether a name is short says which of them stand on their own."""
    function = ast.parse(source).body[-1]
    assert ast.get_docstring(function)
    assert {type(line) for line in function.body[1:]} <= {ast.Assign, ast.Return}
    return [node for line in function.body[1:] for node in ast.walk(line)]


def python(text):
    made = program(text, "python")
    assert made({text: 0.25}) == mg.sin(0.125) * 0.5 + 0.125
    nodes = code_of(made.python_source)
    kinds = {type(node) for node in nodes} - {ast.Load, ast.Store}
    return kinds, Counter(node.func.id for node in nodes if isinstance(node, ast.Call))


def arrays(text):
    made = program(text, "numpy")
    assert made({text: 0.25}) == mg.sin(0.125) * 0.5 + 0.125
    assert all(shape.isprintable() for shape in made.shapes.values())
    return Counter((type(node).__name__, getattr(node, "attr", "")) for node in code_of(made.matrix_source))


def llvm(text):
    return program(text, "native").llvm_ir


def c(text):
    x, w = Value(0.7, label=text), Value(0.5, label=text)
    y = mg.sin(x * w) * w
    y.label = text
    made = mg.compile(graph=y, inputs=[x])
    made.to_c("written.c")
    with open("written.c", encoding="ascii", errors="surrogateescape") as body, open("written.h", "rb") as header:
        written = body.read() + header.read().decode("ascii", "surrogateescape")
    bare = re.sub(r"/\*.*?\*/", "", written)
    name = re.search(r"double (\w+)\(", bare)[1]
    return re.sub(rf"\b{name}(?=_parameters|_gradient|\()", "f", bare)


def dot(text):
    written = mg.draw(graph(text)).dot
    strings = re.findall(r'"(?:[^"\\]|\\.)*"', written)
    assert all(len(string.encode("utf-8")) < 16_000 for string in strings)
    assert not any(re.search("[\0-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]", string) for string in strings)
    bare = re.sub(r'"(?:[^"\\]|\\.)*"', "S", written)
    return re.sub(r"(width|height)=[\d.]+", "", bare)


def svg(text):
    written = mg.draw(graph(text), rules=True).svg
    root = ElementTree.fromstring(written)
    assert not any(re.search("[\x7f-\x9f\u2028-\u202e]", element.text or "") for element in root.iter())
    return [(element.tag, sorted(element.attrib)) for element in root.iter()]


class Tags(HTMLParser):
    def __init__(self, html):
        super().__init__()
        self.found, self.data = [], ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, sorted(name for name, _ in attributes)))

    def handle_data(self, text):
        if self.found and self.found[-1] == ("script", ["id", "type"]):
            self.data += text


def html(text):
    return Tags(mg.draw(graph(text)).html).found


def player(text):
    made = mg.step(graph(text))
    page = Tags(made.html)
    assert "<" not in page.data
    recorded = json.loads(page.data)
    assert recorded["nodes"][0]["name"] in (in_picture(text)[:80], in_picture(text)[:79] + "…", "v0")
    assert all(node["name"] for node in recorded["nodes"])
    assert len(re.findall(r'<g id="n\d+" class="node[^>]*><title>[^<]', made.html)) == len(recorded["nodes"])
    return page.found, Tags(made._repr_html_()).found


def words(text):
    """Messages and texts for a terminal: as many lines as ever, and nothing that a terminal would obey."""
    y = graph(text)
    told = [str(program(text, "python").tape), "\n".join(map(str, y.backward_steps())), repr(y), str(mg.draw(y))]
    told += [str(mg.step(y)), str(mg.profile(y))]
    with mg.detect_anomaly(), pytest.raises(mg.AnomalyError) as error:
        mg.log(Value(0.0, label=text))
    lines = "\n".join([*told, str(error.value)]).split("\n")
    assert not any(re.search("[\0-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]", line) for line in lines), lines
    return len(lines)


DIALECTS = [python, arrays, llvm, c, dot, svg, html, player, words]


def check(dialect, drawn):
    plain = {}
    for text in drawn:
        blank = not in_picture(text)
        if blank not in plain:
            plain[blank] = dialect(" " if blank else "q")
        assert dialect(text) == plain[blank], repr(text)


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_hostile_text_is_a_name_or_a_literal(dialect, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "1000")  # a table of times wraps or not, as they happen to be
    draw = texts(0, QUICK)
    check(dialect, [next(draw) for _ in range(QUICK)])


@pytest.mark.long
@pytest.mark.parametrize("dialect", DIALECTS)
def test_ten_thousand_hostile_texts_are_names_or_literals(dialect, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "1000")  # a table of times wraps or not, as they happen to be
    draw = texts(1, 1_000)
    check(dialect, [next(draw) for _ in range(10_000)])


NAMES = ["exp", "sin", "sum", "lambda", "print", "math", "inf", "xp", "n", "double", "d_x", "v1"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("backend", ["python", "numpy", "native"])
def test_a_name_of_the_language_is_made_apart(name, backend):
    x, w = Value(0.75, label=name), Value(0.5, label=name)
    y = mg.exp(mg.sin(x) * w) + mg.sum([x, w, 0.25])
    y.label = name
    if backend != "python":
        pytest.importorskip("numpy" if backend == "numpy" else "llvmlite")
    assert mg.compile(graph=y, inputs=[x], backend=backend)(0.75) == pytest.approx(y.data, rel=1e-15)


@pytest.mark.parametrize("name", [name for name in mg.TABLE if name.isidentifier() and not mg.TABLE[name].vectors])
def test_a_function_and_its_arguments_may_be_called_as_an_operation_is(name):
    row = mg.TABLE[name]
    names = [name, *(f"{name}_{i}" for i in range(1, len(row.inputs)))]
    scope = {"row": row}
    exec(f"def {name}({', '.join(names)}): return row({', '.join(names)}) * 2.0", scope)
    inputs = [0.5, 0.25, 0.75][: len(names)]
    expected = row(*map(Value, inputs)).data * 2.0
    found = mg.compile(scope[name], backend="python")(*inputs)
    assert found == expected or expected != expected != found


@pytest.mark.parametrize("part", ["x", "\\", '"&', "\N{GRINNING FACE}", "\n"])
def test_a_string_of_dot_is_shorter_than_graphviz_takes(part):
    text = part * 20_000
    assert len(in_dot(text, text, text).encode()) < 16_384
    assert len(in_dot("x" * 20_000)) == LONGEST_IN_DOT + 2
    for string in re.findall(r'"(?:[^"\\]|\\.)*"', mg.draw(graph(text)).dot):
        assert len(string.encode()) < 16_384


@pytest.mark.skipif(which("dot") is None, reason="Graphviz's dot is not installed")
def test_graphviz_reads_a_long_label():
    written = mg.draw(graph("\\&" * 50_000)).dot
    subprocess.run(["dot", "-Tsvg"], input=written.encode(), check=True, capture_output=True)


@pytest.mark.parametrize("label", [" ", "\t", "\n", "\u2028", "\N{NO-BREAK SPACE}", " \r\n\t"])
def test_a_blank_label_is_as_none_in_the_player(label):
    x = Value(2.0, label=label)
    y = x * x
    y.label = label
    page = mg.step(y).html
    nodes = re.findall(r'<g id="n\d+" class="node[^>]*>(?:<title>([^<]*)</title>)?', page)
    assert nodes == ["v0", "v0 * v0"]
