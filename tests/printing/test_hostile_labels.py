"""Whatever a label says, in a source it is a name or it is in a comment: ten thousand of the worst, in each dialect."""

import ast
import random
import re
import subprocess
from shutil import which

import pytest

from microgrannd import operations as ops
from microgrannd.compiler.tape.tape import Instruction, Tape
from microgrannd.compiler.text.c_source import c_source
from microgrannd.compiler.text.python_source import python_source
from microgrannd.printing.c import c_name
from microgrannd.printing.labels import Names

FRAGMENTS = [
    *("\n", "\r", "\x0c", "\x00", "\u2028", "\u202e", "\ud800", "\t", " ", "", "\N{NO-BREAK SPACE}"),
    *(
        '"""',
        "'''",
        '"',
        "'",
        "\\",
        "\\\n",
        "*/",
        "/*",
        "*",
        "/",
        "(*",
        "*)",
        "//",
        "#",
        "??/",
        "-->",
        "`",
        "{}",
        "{0}",
        "%s",
    ),
    *(
        "\nimport os\n",
        "*/ int evil(void) { return 42; } /*",
        '"""\n    raise SystemExit\n',
        "__import__('os')",
        "; x =",
    ),
    *(
        "lambda",
        "class",
        "None",
        "exp",
        "tanh",
        "sum",
        "print",
        "div",
        "math",
        "inf",
        "nan",
        "value",
        "t1",
        "g1",
        "d_x",
    ),
    *("double", "int", "main", "log", "gamma", "NULL", "inputs", "v1", "mg_mod", "_Bool", "__FILE__", "__debug__", "_"),
    *("ﬁ", "fi", "é", "e\u0301", "²", "௰", "1", "Σ", "漢", "\N{GRINNING FACE}", "x" * 300),
]
INSTRUCTIONS = 30


def label(generator):
    return "".join(generator.choices(FRAGMENTS, k=generator.randint(1, 4)))


def tape_of(label):
    """A program of a hundred labels, all of them in its source; the last of its gradients are sums."""
    inputs, parameters = [tuple(label() for _ in range(20)) for _ in range(2)]
    labels, instructions = {}, []
    for v in range(40, 40 + 2 * INSTRUCTIONS):
        backward = v >= 40 + INSTRUCTIONS
        operation = ops.add if backward or v % 3 else ops.mul
        instructions.append(Instruction(operation, (v - 40, v - 1)))
        labels[v] = f"d_{label()}" if backward else label()
    outputs = (39 + INSTRUCTIONS, *range(40 + INSTRUCTIONS, 40 + 2 * INSTRUCTIONS))
    return Tape(inputs, parameters, tuple(instructions), outputs, INSTRUCTIONS, labels)


NUMBERS = [0.5 + i / 64 for i in range(40)]


@pytest.mark.parametrize("seed", range(100))
def test_python_with_a_hundred_labels_is_the_program_and_nothing_else(seed):
    generator = random.Random(seed)
    tape, name = tape_of(lambda: label(generator)), label(generator)
    source = python_source(name, tape, f"The value of {name}.", [1, INSTRUCTIONS], range(INSTRUCTIONS))
    function = ast.parse(str(source)).body[-1]
    assert isinstance(function, ast.FunctionDef)
    assert len(function.args.args) == 40
    kinds = {type(statement) for statement in function.body[1:]}
    assert kinds == {ast.Assign, ast.Return}
    assert ast.get_docstring(function).startswith("The value of ")
    calls = [node for node in ast.walk(function) if isinstance(node, ast.Call | ast.Attribute)]
    assert not calls
    value, gradients = source.compiled()(*NUMBERS)
    assert [value, *gradients] == tape.run(NUMBERS[:20], NUMBERS[20:])


def without_comments(text):
    return re.sub(r"/\*.*?\*/", "", text)


@pytest.mark.parametrize("seed", range(100))
def test_c_with_a_hundred_labels_is_the_program_and_nothing_else(seed, tmp_path):
    generator = random.Random(seed)
    tape, name = tape_of(lambda: label(generator)), label(generator)
    found = c_source(name, tape, None, NUMBERS[20:], "program.h")
    plain = c_source("f", tape_of(lambda: "x"), None, NUMBERS[20:], "program.h")
    for text, wanted in zip(found, plain, strict=True):
        named = re.sub(rf"\b{re.escape(c_name(name))}(?=_parameters|\()", "f", without_comments(text))
        assert named == without_comments(wanted)
        assert text.isascii() or all(line.startswith("/* ") for line in text.split("\n") if not line.isascii())
    if seed % 5 == 0 and which("cc"):
        (tmp_path / "program.h").write_text(found.header, encoding="utf-8")
        (tmp_path / "program.c").write_text(found.body, encoding="utf-8")
        command = ["cc", "-std=c99", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", str(tmp_path / "program.c")]
        subprocess.run(command, check=True)


def test_names_differ_where_python_would_take_letters_for_the_same():
    names = Names(())
    assert [names.identifier(label) for label in ("fi", "ﬁ", "é", "e\u0301")] == ["fi", "fi_", "é", "é_"]


def test_ten_thousand_of_one_label_are_named_at_once():
    names = Names(())
    assert len({names.identifier("w") for _ in range(10_000)}) == 10_000
    assert names.identifier("w") == "w_10001"


@pytest.mark.skipif(which("cc") is None, reason="there is no C compiler")
@pytest.mark.parametrize("standard", ["c99", "gnu17"])
def test_a_function_in_c_may_be_called_what_the_library_calls_its_own(standard, tmp_path):
    taken = (
        "exp expf main double gamma y0 isnan NAN M_PI linux printf strlen index _Bool 2 mg_mod inputs restrict class"
    )
    tape = Tape(("x",), (), (Instruction(ops.mod, (0, 2.0)),), (1,), 1)
    for name in taken.split():
        source = c_source(name, tape, None, [], "program.h")
        (tmp_path / "program.h").write_text(source.header)
        (tmp_path / "program.c").write_text(source.body)
        command = [
            "cc",
            f"-std={standard}",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-fsyntax-only",
            str(tmp_path / "program.c"),
        ]
        subprocess.run(command, check=True)


@pytest.mark.parametrize("header", ['a".h', "a\n.h"])
def test_a_header_that_c_cannot_include_is_named(header):
    with pytest.raises(ValueError, match="no way to include"):
        c_source("f", Tape((), (), (), (1.0,)), None, [], header)
