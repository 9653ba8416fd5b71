"""Mathematics for people: plain text, LaTeX and MathML, three dialects with the signs of a blackboard."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from microgrannd import operations as ops
from microgrannd.operations import Operation
from microgrannd.printing.labels import in_latex, in_markup, in_message
from microgrannd.printing.precedence import ANY, ATOM, CHOICE, COMPARISON, MATRIX, POWER, PRODUCT, SIGN, SUM
from microgrannd.printing.printer import COMPARISONS, Dialect, Expression, Pattern

_INDEXED: Final = re.compile(r"([^\W\d_]+)_?(\d+)")  # a label such as w5 or x_1
_RAISED: Final = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
_LOWERED: Final = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_GREEK: Final = {"δ": r"\delta", "σ": r"\sigma"}
_SIGNS: Final = {"<=": "≤", ">=": "≥", "==": "=", "!=": "≠"}
_TEX_SIGNS: Final = {"<=": r"\le", ">=": r"\ge", "==": "=", "!=": r"\ne"}
BARE: Final = (ops.log, ops.sin, ops.cos, ops.tan, ops.sinh, ops.cosh, ops.tanh)  # log x, without brackets
_BY_NAME: Final = {ops.maximum: "max", ops.minimum: "min", ops.sigmoid: "σ"}


@dataclass(frozen=True)
class Fenced(Pattern):
    """A pattern whose operands have brackets of its language's own where they bind less tightly."""

    fence: str = "({})"

    def __call__(self, *operands: Expression) -> Expression:
        return super().__call__(*[_held(x, least, self.fence) for x, least in zip(operands, self.least, strict=True)])


def _held(x: Expression, least: int, fence: str) -> Expression:
    return x if x.precedence >= least else Expression(fence, ATOM, ((x, ANY),))


class Notation(NamedTuple):
    """A dialect of mathematics, with the names of nodes and fractions of differentials."""

    dialect: Dialect
    name: Callable[[str, str, str], Expression]  # a letter or label, what is above it, what is below
    derivative: Callable[[Expression, Expression, bool], Expression]  # of y by x, and whether it is the total one
    number: Callable[[float, int], Expression]  # in so many digits
    signs: tuple[str, str, str]  # of equality, of addition, of subtraction, at the start of a line
    omission: str  # what stands for terms that are left out
    fence: str  # brackets

    def apply(self, operation: Operation, *operands: Expression) -> Expression:
        return self.dialect.expression(operation, operands)

    def product(self, factors: Sequence[Expression]) -> Expression:
        """Factors side by side; a negative number has brackets but for the first."""
        first, *others = factors
        if not others:
            return first
        negative = first.precedence == SUM and isinstance(first.of, float)
        total = first._replace(precedence=PRODUCT) if negative else first
        for factor in others:
            total = self.apply(ops.mul, total, factor)
        return total._replace(precedence=SUM) if negative else total

    def term(self, x: Expression, *, first: bool) -> Expression:
        """An expression as one of several terms."""
        return _held(x, SUM if first else MATRIX, self.fence)

    def more(self, count: int) -> Expression:
        """What stands for so many terms that are left out."""
        return Expression(self.omission.format(count))

    def power(self, x: Expression, n: int) -> Expression:
        return x if n == 1 else self.apply(ops.pow, x, self.dialect.number(n))


def digits_of(x: float, precision: int) -> tuple[str, str]:
    """The digits of a number and the power of ten that they are times, "" for none.

    >>> digits_of(-0.000123456, 3), digits_of(1e21, 3), digits_of(2.5, 3)
    (('−0.000123', ''), ('1', '21'), ('2.5', ''))
    """
    if not math.isfinite(x):
        return {math.inf: "∞", -math.inf: "−∞"}.get(x, "NaN"), ""
    digits, _, exponent = f"{x:.{precision}g}".replace("-", "−").partition("e")
    return digits, str(int(exponent.replace("−", "-"))).replace("-", "−") if exponent else ""


def _number(x: float, precision: int, times: str) -> Expression:
    digits, exponent = digits_of(x, precision)
    text = times.format(digits, exponent) if exponent else digits
    negative = text.startswith("−")
    return Expression(text, SUM if negative else PRODUCT if exponent else ATOM, of=float(x))


def number_in_text(x: float, precision: int = 6) -> Expression:
    return _number(x, precision, "{}e{}")


def number_in_latex(x: float, precision: int = 6) -> Expression:
    found = _number(x, precision, r"{} \cdot 10^{{{}}}")
    return found._replace(
        template=found.template.replace("−", "-").replace("∞", r"\infty").replace("NaN", r"\text{NaN}")
    )


def number_in_markup(x: float, precision: int = 6) -> Expression:
    found = _number(x, precision, "{}e{}")
    return found._replace(template=f"<mn>{found.template}</mn>")


def _infix(sign: str, precedence: int, left: int, right: int, fence: str) -> Pattern:
    return Fenced(f"{{}}{sign}{{}}", precedence, (left, right), fence)


def _arithmetic(plus: str, minus: str, times: str, negative: str, fence: str) -> dict[Operation, Pattern]:
    return {
        ops.add: _infix(plus, SUM, SUM, MATRIX, fence),
        ops.sub: _infix(minus, SUM, SUM, MATRIX, fence),
        ops.mul: _infix(times, PRODUCT, PRODUCT, SIGN, fence),
        ops.neg: Fenced(negative + "{}", SUM, (PRODUCT,), fence),
    }


def _comparisons(signs: dict[str, str], sign: str, fence: str) -> dict[Operation, Pattern]:
    return {
        row: _infix(sign.format(signs.get(row.symbol, row.symbol)), COMPARISON, SUM, SUM, fence) for row in COMPARISONS
    }


def _bare(pattern: str) -> dict[Operation, Callable[[Expression], Expression | None]]:
    """Functions that need no brackets around a letter."""

    def bare(row: Operation) -> Callable[[Expression], Expression | None]:
        written = Pattern(pattern.format(row.name), SIGN, (ATOM,))
        return lambda x: written(x) if x.precedence == ATOM and not x.holes else None

    return {row: bare(row) for row in BARE}


def _name_of(operation: Operation) -> str:
    return _BY_NAME.get(operation, operation.name)


def _power_in_text(x: Expression, n: Expression) -> Expression:
    if n.template.isdigit():
        return Fenced("{}" + n.template.translate(_RAISED), POWER, (ATOM,))(x)
    return Fenced("{}**{}", POWER, (ATOM, ATOM))(x, n)


def _call_in_text(name: str, operation: Operation, operands: Sequence[Expression]) -> Expression:
    return _listed(f"{in_message(_name_of(operation))}(", ", ", ")", operands)


def _call_in_latex(name: str, operation: Operation, operands: Sequence[Expression]) -> Expression:
    known = _GREEK.get(_name_of(operation)) or rf"\operatorname{{{in_latex(_name_of(operation))}}}"
    return _listed(rf"{known}\left(", ", ", r"\right)", operands)


def _call_in_markup(name: str, operation: Operation, operands: Sequence[Expression]) -> Expression:
    start = f"<mrow><mi>{in_markup(_name_of(operation))}</mi><mo>&#x2061;</mo><mo>(</mo>"
    return _listed(start, "<mo>,</mo>", "<mo>)</mo></mrow>", operands)


def _listed(start: str, comma: str, end: str, operands: Sequence[Expression]) -> Expression:
    start, end = (text.replace("{", "{{").replace("}", "}}") for text in (start, end))
    return Expression(start + comma.join(["{}"] * len(operands)) + end, ATOM, tuple((x, ANY) for x in operands))


def _name_in_text(letter: str, above: str, below: str) -> Expression:
    return Expression(in_message(letter) + above.translate(_RAISED) + below.translate(_LOWERED))


def _name_in_latex(letter: str, above: str, below: str) -> Expression:
    if not (above or below) and (indexed := _INDEXED.fullmatch(letter)):
        letter, below = indexed.groups()
    text = in_latex(letter)
    text = _GREEK.get(letter) or (text if len(letter) == 1 else rf"\mathrm{{{text}}}")
    return Expression(text + (f"^{{{above}}}" if above else "") + (f"_{{{below}}}" if below else ""))


def _name_in_markup(letter: str, above: str, below: str) -> Expression:
    if not (above or below) and (indexed := _INDEXED.fullmatch(letter)):
        letter, below = indexed.groups()
    parts = [f"<mi>{in_markup(letter)}</mi>"] + [f"<mn>{part}</mn>" for part in (below, above) if part]
    tag = "msubsup" if above and below else "msup" if above else "msub" if below else ""
    return Expression(f"<{tag}>{''.join(parts)}</{tag}>" if tag else parts[0])


def _derivative(partial: str, total: str, template: str) -> Callable[[Expression, Expression, bool], Expression]:
    """How a fraction of differentials is written: two times the sign of one, before y and before x."""

    def derivative(y: Expression, x: Expression, of_all_paths: bool) -> Expression:
        sign = total if of_all_paths else partial
        return Expression(template.replace("∂", sign), ATOM, ((y, ATOM), (x, ATOM)))

    return derivative


_TEX_FENCE: Final = r"\left({}\right)"
_TEX_CASES: Final = r"\begin{{cases}}{1} & \text{{if }} {0} \\ {2} & \text{{otherwise}}\end{{cases}}"
_CASES: Final = "<mrow>{1}<mtext>&nbsp;if&nbsp;</mtext>{0}<mtext>, else&nbsp;</mtext>{2}</mrow>"
_FENCE: Final = "<mrow><mo>(</mo>{}<mo>)</mo></mrow>"

TEXT: Final = Notation(
    Dialect(
        number_in_text,
        {
            **_arithmetic(" + ", " − ", " · ", "−", "({})"),
            **_comparisons(_SIGNS, " {} ", "({})"),
            **_bare("{} {{}}"),
            ops.div: Fenced("{} / {}", PRODUCT, (PRODUCT, POWER)),
            ops.pow: _power_in_text,
            ops.sqrt: Fenced("√{}", POWER, (ATOM,)),
            ops.abs: Pattern("|{}|", ATOM, (ANY,)),
            ops.where: Pattern("{1} if {0}, else {2}", CHOICE, (COMPARISON, COMPARISON, CHOICE)),
        },
        _call_in_text,
    ),
    _name_in_text,
    _derivative("∂", "d", "∂{}/∂{}"),
    number_in_text,
    ("= ", "+ ", "− "),
    "… {} more …",
    "({})",
)

LATEX: Final = Notation(
    Dialect(
        number_in_latex,
        {
            **_arithmetic(" + ", " - ", r" \cdot ", "-", _TEX_FENCE),
            **_comparisons(_TEX_SIGNS, " {} ", _TEX_FENCE),
            **_bare(r"\{} {{}}"),
            ops.div: Fenced(r"\frac{{{}}}{{{}}}", SIGN, (ANY, ANY), _TEX_FENCE),
            ops.pow: Fenced("{}^{{{}}}", POWER, (ATOM, ANY), _TEX_FENCE),
            ops.exp: Fenced("e^{{{}}}", POWER, (ANY,), _TEX_FENCE),
            ops.sqrt: Pattern(r"\sqrt{{{}}}", ATOM, (ANY,)),
            ops.abs: Pattern(r"\left|{}\right|", ATOM, (ANY,)),
            ops.where: Pattern(_TEX_CASES, CHOICE, (ANY, ANY, ANY)),
        },
        _call_in_latex,
    ),
    _name_in_latex,
    _derivative(r"\partial ", "d", r"\frac{{∂{}}}{{∂{}}}"),
    number_in_latex,
    ("= ", "+ ", "- "),
    r"\cdots \text{{ {} more }} \cdots",
    _TEX_FENCE,
)

MATHML: Final = Notation(
    Dialect(
        number_in_markup,
        {
            **_arithmetic("<mo>+</mo>", "<mo>−</mo>", "<mo>·</mo>", "<mo>−</mo>", _FENCE),
            **_comparisons(_SIGNS, "<mo>{}</mo>", _FENCE),
            ops.less: _infix("<mo>&lt;</mo>", COMPARISON, SUM, SUM, _FENCE),
            ops.greater: _infix("<mo>&gt;</mo>", COMPARISON, SUM, SUM, _FENCE),
            **_bare("<mi>{}</mi><mo>&#x2061;</mo>{{}}"),
            ops.div: Fenced("<mfrac><mrow>{}</mrow><mrow>{}</mrow></mfrac>", SIGN, (ANY, ANY), _FENCE),
            ops.pow: Fenced("<msup><mrow>{}</mrow><mrow>{}</mrow></msup>", POWER, (ATOM, ANY), _FENCE),
            ops.exp: Fenced("<msup><mi>e</mi><mrow>{}</mrow></msup>", POWER, (ANY,), _FENCE),
            ops.sqrt: Pattern("<msqrt>{}</msqrt>", ATOM, (ANY,)),
            ops.abs: Pattern("<mrow><mo>|</mo>{}<mo>|</mo></mrow>", ATOM, (ANY,)),
            ops.where: Pattern(_CASES, CHOICE, (COMPARISON, COMPARISON, CHOICE)),
        },
        _call_in_markup,
    ),
    _name_in_markup,
    _derivative("<mo>∂</mo>", "<mi>d</mi>", "<mfrac><mrow>∂{}</mrow><mrow>∂{}</mrow></mfrac>"),
    number_in_markup,
    ('<mo form="infix">=</mo>', '<mo form="infix">+</mo>', '<mo form="infix">−</mo>'),
    "<mtext>… {} more …</mtext>",
    _FENCE,
)
