"""`microgrannd prove`: Coq says that the gradients of an expression, or of the iris network, are right."""

import re
from argparse import Namespace

from microgrannd.compiler import Program, compile
from microgrannd.engine import Constant, topological_order
from microgrannd.expressions import CONSTANTS, evaluate
from microgrannd.ground.terminal import heading
from microgrannd.losses import half_squared_error
from microgrannd.nn import MLP


def prove(arguments: Namespace) -> None:
    if arguments.iris == (arguments.expression is not None):
        raise ValueError('prove takes an expression, such as "(x + y) * z", or --iris.')
    program = _iris() if arguments.iris else _of_expression(arguments.expression)
    if arguments.output:
        program.to_coq(arguments.output, of=arguments.of)
        print(f"wrote {arguments.output}")
    proof = program.prove(of=arguments.of, timeout=arguments.timeout)
    for theorem in proof.theorems:
        print(theorem)
    for condition in proof.conditions:
        print(f"if {condition}")
    print(
        heading(
            f"{len(proof.theorems)} theorem{'s' * (len(proof.theorems) != 1)}, accepted by Coq in {proof.seconds:.1f} s"
        )
    )


def _iris() -> Program:
    model = MLP(2, [2, 1], activation="sigmoid", seed=0)
    return compile(lambda x, y: half_squared_error(model(x), y)).trace([0.5, 0.5], 1.0)


def _of_expression(expression: str) -> Program:
    """The program of an expression; a proof is for all numbers, so it does not matter which its names have."""
    names = [name for name in re.findall(r"[^\W\d]\w*\b(?!\s*\()", expression) if name not in CONSTANTS]
    y = evaluate(expression, dict.fromkeys(names, 1.0))
    leaves = [node for node in topological_order(y) if node.op is None and not isinstance(node, Constant)]
    return compile(graph=y, inputs=leaves)
