"""Calls of the public functions with arguments of awkward kinds, for `tests/test_misuse.py`.

Each argument is drawn either from what its name promises or from the awkward kinds, so that a call often comes past the
first checks. The names come from the package as it is: what is added to it is called from then on.
"""

import importlib
import inspect
import random
import re
import signal
import traceback
from contextlib import contextmanager
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import microgrannd as mg
from microgrannd.ground.arguments import shown

PACKAGE = str(Path(mg.__file__).parent)
MODULES = "nn optim losses datasets evaluation plots expressions layers calculus compiler training".split()
# Of these a call is no misuse: errors, the tuples and tables of results, the protocol of operations.
NOT_CALLED = {
    *("Operation", "FusedOperation", "Tape", "record", "Step", "Program", "GradientCheck", "ProgramProfile", "History"),
    *("tables", "for_training", "update", "moved", "split", "check_count"),
}
# What a call may raise when it is wrong, and never because of what it got.
INTERNAL = (
    *(AttributeError, LookupError, ZeroDivisionError, RecursionError, AssertionError, NameError, StopIteration),
    *(UnicodeError, MemoryError, EOFError),
)


class OutOfTime(BaseException):
    """The call took too long: what it got was no misuse, but much work."""


def square(x, *others):
    return x * x


def model():
    return mg.MLP(2, [2, 1], activation="tanh", seed=0)


def node():
    x, y = mg.Value(2.0, label="x"), mg.Value(3.0, label="y")
    return mg.tanh(x * y) + x


def network_loss():
    return square(model()([0.5, -0.5]) - 1.0)


def of_one(x):
    return mg.sin(x) * x


def of_two(x, y):
    return mg.sin(x) * y * y


def pair_loss():
    a_model = model()
    return lambda x, y: square(a_model(x) - y)


def history():
    return mg.History([0.5, 0.25], [0.1, 0.1], [0.0, 0.1])


def endless():
    nest = []
    nest.append(nest)
    return nest


def deep(levels=2_000):
    nest = []
    for _ in range(levels):
        nest = [nest]
    return nest


def numpy():
    return importlib.import_module("numpy")


def samples():
    return [[0.1, 0.2], [0.3, -0.4], [-0.5, 0.6]], [1.0, 0.0, 1.0]


def perceptron():
    network = mg.layers.Network()
    network.add(trained(mg.layers.FullyConnectedLayer(2, 1, seed=0), [1.0, 2.0]))
    return network


def wired():
    graph = mg.layers.ComputationalGraph()
    graph.add("q", mg.mul, "x", "y")
    graph.forward(x=1.0, y=2.0)
    return graph


def trained(layer, *inputs):
    layer.forward(*inputs)
    layer.backward([1.0])
    return layer


def gate():
    made = mg.layers.Gate(mg.mul)
    made.forward(2.0, 3.0)
    return made


def scored():
    layer = mg.layers.SoftmaxWithLoss()
    layer.forward([1.0, 2.0], 1)
    return layer


def confusion():
    return mg.ConfusionMatrix([0, 1, 1], [0, 1, 0])


def sgd():
    return mg.optim.SGD(model().parameters(), lr=0.1)


def program(f=of_two, **options):
    return mg.compile(f, backend="python", **options)


AWKWARD = [
    *(lambda: None, lambda: True, lambda: 0, lambda: 1, lambda: -1, lambda: 2, lambda: 7, lambda: 0.0, lambda: 0.5),
    *(lambda: -2.5, lambda: float("nan"), lambda: float("inf"), lambda: 1j, lambda: Fraction(1, 3), lambda: Decimal(2)),
    *(lambda: 10**400, lambda: "", lambda: " ", lambda: "x", lambda: "relu", lambda: "\n\x00", lambda: "\ud800"),
    *(lambda: b"x", lambda: bytearray(b"x"), lambda: object(), lambda: int, lambda: Ellipsis, lambda: NotImplemented),
    *(lambda: [], lambda: (), lambda: {}, lambda: set(), lambda: [1.0], lambda: [None], lambda: [[1.0, 2.0], [3.0]]),
    *(lambda: (1, 2, 3), lambda: {"x": 1.0}, lambda: {1: mg.Value(1.0)}, lambda: {"x": None}, lambda: range(3)),
    *(lambda: iter([1.0, 2.0]), lambda: (x for x in ()), lambda: slice(3), lambda: endless(), lambda: deep()),
    *(lambda: mg.Value(0.0), lambda: mg.Value(float("nan")), lambda: node(), lambda: [node(), 1.0], lambda: [node()]),
    *(lambda: mg.Constant(2.0), lambda: mg.sin, lambda: mg.dot, lambda: model(), lambda: mg.MLP, lambda: mg.Value),
    *(lambda: sgd(), lambda: history(), lambda: program(), lambda: mg.draw(node()), lambda: mg, lambda: print),
    *(lambda: square, lambda: lambda: 1.0, lambda: lambda x: None, lambda: lambda x: "text", lambda: lambda *x: x),
    *(lambda: lambda x: [x, x], lambda: lambda x, y=2: x * y, lambda: lambda *x: 1.0, lambda: Path(), lambda: "a.svg"),
    *(lambda: numpy().zeros(()), lambda: numpy().zeros(0), lambda: numpy().ones(3), lambda: numpy().ones((2, 2, 2))),
    *(lambda: numpy().array(["a"]), lambda: numpy().array([None, 1.0], dtype=object), lambda: numpy().float32(2)),
    *(lambda: numpy().array([node(), node()]), lambda: numpy().bool_(True), lambda: ([[0.1, 0.2]], [1.0, 2.0])),
]
# What an argument of this name may well be, so that a call with one wrong argument comes as far as that.
PLAUSIBLE = {
    "f function": [lambda: of_one, lambda: of_two, lambda: square, lambda: lambda x: x[0] * x[1]],
    "y graph": [node, network_loss, lambda: [node(), node()]],
    "loss": [pair_loss, pair_loss, network_loss, lambda: "half_squared_error"],
    "ys roots": [node],
    "xs values": [lambda: [mg.Value(1.0), mg.Value(2.0)], lambda: [1.0, 2.0]],
    "model module": [model, lambda: mg.Neuron(2), lambda: mg.Layer(2, 1)],
    "data": [samples, lambda: ([[0.1, 0.2]], [1.0]), lambda: lambda: iter([samples()])],
    "optimizer": [sgd, lambda: mg.optim.Adam(model().parameters())],
    "parameters": [lambda: model().parameters(), lambda: [mg.Value(1.0)]],
    "args arguments inputs x batch": [lambda: 0.5, lambda: [0.5, 2.0], lambda: 2, lambda: {"x": 1.0, "y": 2.0}],
    "labels predictions targets probabilities label": [lambda: [0, 1, 1], lambda: [1, 1, 0], lambda: 1, lambda: 0],
    "scores logits outputs": [lambda: [0.1, 2.0, -1.0], lambda: [mg.Value(0.1), mg.Value(0.2)]],
    "path folder into cache": [lambda: "written.svg", lambda: None, lambda: "missing/written.svg"],
    "epochs batch_size repeats steps resolution samples rows n classes precision": [lambda: 1, lambda: 2, lambda: 3],
    "threads": [lambda: 1, lambda: 1, lambda: 0],
    "argnums depth sample seed": [lambda: 0, lambda: 1, lambda: (0, 1), lambda: -1],
    "lr noise tolerance step eta learning_rate upstream at margin momentum dampening": [
        lambda: 0.1,
        lambda: 0,
        lambda: 1,
    ],
    "columns": [lambda: ("sepal_length", "petal_width")],
    "schedule": [lambda: lambda epoch: 0.1],
    "callbacks": [lambda: (), lambda: [print_nothing]],
    "backend": [lambda: "python", lambda: "auto", lambda: "native"],
    "layout": [lambda: "layered"],
    "rankdir": [lambda: "LR", lambda: "TB"],
    "fold": [lambda: "auto", lambda: "all", lambda: "none"],
    "init": [lambda: "xavier", lambda: 1.0, lambda: (1.0, 0.5), lambda: lambda random, inputs, outputs: 0.5],
    "activation output": [lambda: "tanh", lambda: mg.relu, lambda: mg.sin],
    "sizes": [lambda: [2, 1], lambda: [1]],
    "decide": [lambda: lambda point: 0.5],
    "expression": [lambda: "x + y", lambda: "sin(x) * 2", lambda: "(x"],
    "name": [lambda: "x", lambda: "hinge"],
    "operation": [lambda: mg.mul, lambda: mg.sin, lambda: mg.dot],
    "betas": [lambda: (0.9, 0.99)],
    "state": [lambda: sgd().state_dict()],
    "W": [lambda: [[1.0, 2.0], [3.0, 4.0]], lambda: numpy().ones((2, 2))],
    "b dy error a t": [lambda: [1.0, 2.0], lambda: [[1.0, 2.0]], lambda: [0, 1]],
    "x_train": [lambda: samples()[0]],
    "y_train": [lambda: [[1.0], [0.0], [1.0]]],
    "minibatches": [lambda: 2],
    "layer": [lambda: mg.layers.FullyConnectedLayer(2, 1, seed=0)],
    "counts": [lambda: [[1, 2], [3, 4]]],
    "download": [lambda: False],
}
# The same, of one function alone.
OF_FUNCTION = {
    "MLP.inputs Layer.inputs Neuron.inputs FullyConnectedLayer.inputs": [lambda: 2],
    "Layer.outputs FullyConnectedLayer.outputs": [lambda: 2, lambda: 1],
    "MLP.x Layer.x Neuron.x predict.x": [lambda: [0.1, 0.2], lambda: numpy().ones(2)],
    "Affine.b": [lambda: [1.0, 2.0]],
    "loss.x backward.x": [lambda: samples()[0]],
    "loss.y": [lambda: [[1.0], [0.0], [1.0]]],
    "backward.batch": [lambda: [0.5, 0.25], lambda: numpy().ones(2)],
    "decision_boundary.x": [lambda: samples()[0]],
    "decision_boundary.y": [lambda: [0, 1, 1]],
    "decision_boundary.names decision_boundary.classes": [lambda: ("a", "b")],
    "accuracy.labels accuracy.predictions ConfusionMatrix.labels ConfusionMatrix.predictions": [lambda: [0, 1, 1]],
    "ConfusionMatrix.classes from_counts.classes": [lambda: [0, 1]],
    "hinge.scores hinge.labels": [lambda: [1, -1]],
    "evaluate.inputs": [lambda: {"x": 1.0, "y": 2.0}],
    "layer_view.loss": [network_loss],
    "Drawing.picture": [lambda: mg.draw(node()).picture],
    "Player.recording": [lambda: mg.step(node()).recording],
    "Player.order": [lambda: mg.topological_order(node())],
    "named.scope named.label scope.name": [lambda: "layer0", lambda: "w"],
    "shares.rows": [lambda: []],
}
OF_NAME = {
    name: kinds for group in (PLAUSIBLE, OF_FUNCTION) for names, kinds in group.items() for name in names.split()
}


def print_nothing(epoch, history):
    pass


# What has methods, ready for them to be called.
OBJECTS = {
    "Value": [lambda: mg.Value(2.0, label="x"), node],
    "Program": [program, lambda: program(of_one).trace(0.5), lambda: mg.compile(of_two).trace(0.5, 0.5)],
    "Drawing": [lambda: mg.draw(node()), lambda: mg.draw(network_loss(), backward=True)],
    "Player": [lambda: mg.step(node())],
    "History": [history],
    "MLP": [model],
    "Layer": [lambda: mg.Layer(2, 2)],
    "Neuron": [lambda: mg.Neuron(2)],
    "SGD": [sgd],
    "Adam": [lambda: mg.optim.Adam(model().parameters())],
    "AdamW": [lambda: mg.optim.AdamW([mg.Value(1.0)])],
    "ConfusionMatrix": [confusion],
    "GradientCheck": [lambda: mg.check_gradients(of_one, 0.5)],
    "Profile": [lambda: mg.profile(node())],
    "ProgramProfile": [lambda: program().profile(0.5, 1.0)],
    "LayerView": [lambda: mg.layer_view(a := model(), a([0.5, 0.5]))],
    "Gate": [gate],
    "ActivationLayer": [lambda: mg.layers.ActivationLayer("relu")],
    "Affine": [lambda: mg.layers.Affine([[1.0], [2.0]], [0.5])],
    "FullyConnectedLayer": [lambda: trained(mg.layers.FullyConnectedLayer(2, 1, seed=0), [1.0, 2.0])],
    "SoftmaxWithLoss": [mg.layers.SoftmaxWithLoss, scored],
    "Network": [perceptron],
    "ComputationalGraph": [wired],
    "grad": [lambda: mg.grad(of_two), lambda: mg.grad(of_one)],
    "value_and_grad": [lambda: mg.value_and_grad(of_two)],
    "jacobian": [lambda: mg.jacobian(lambda x: [x * 2, x])],
    "hessian": [lambda: mg.hessian(of_two)],
    "hvp": [lambda: mg.hvp(of_one)],
    "jvp": [lambda: mg.jvp(of_one)],
    "vjp": [lambda: mg.vjp(of_one)],
}
OPERATORS = "__call__ __add__ __mul__ __pow__ __truediv__ __rsub__ __mod__ __eq__ __lt__ __round__ __getitem__".split()
SETTABLE = {"Value": ["data", "grad", "label"], "SGD": ["lr", "momentum"], "Adam": ["betas", "eps"]}


def functions():
    """Each public function by its name; classes among them."""
    found = {name: getattr(mg, name) for name in mg.__all__}
    for module in MODULES:
        home = importlib.import_module(f"microgrannd.{module}")
        for name in getattr(home, "__all__", None) or [name for name in vars(home) if name[0] != "_"]:
            thing = getattr(home, name)
            if getattr(thing, "__module__", "") == home.__name__ or hasattr(home, "__path__"):
                found[f"{module}.{name}"] = thing
    return {
        name: thing
        for name, thing in found.items()
        if callable(thing)
        and name.rpartition(".")[2] not in NOT_CALLED
        and not (inspect.isclass(thing) and issubclass(thing, Exception | tuple))
        and getattr(thing, "__module__", "microgrannd").startswith("microgrannd")
    }


def methods():
    """Each public method, property and attribute to be set, by its name, with what makes an object that has it."""
    for kind, makers in OBJECTS.items():
        classes = [base for base in type(makers[0]()).__mro__ if base.__module__.startswith("microgrannd")]
        defined = sorted({name for base in classes for name in vars(base)})
        names = [name for name in defined if (name[0] != "_" or name in OPERATORS) and name not in NOT_CALLED]
        names = names or ["__call__"]  # of a function that a transform gave
        if kind == "Value":
            names = [name for name in names if name not in mg.TABLE or name in ("sin", "dot", "where", "clamp", "pow")]
        for name in {**dict.fromkeys(names), **dict.fromkeys(SETTABLE.get(kind, ()))}:
            yield f"{kind}.{name}", makers, name, name in SETTABLE.get(kind, ())


def arguments(function, draw):
    """Positional and keyword arguments as the signature has them, rarely too few or too many."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    if isinstance(function, type) and issubclass(function, mg.Module):
        parameters = list(inspect.signature(function.__init__).parameters.values())[1:]
    positional, named = [], {}
    wild = draw.choice([0.1, 0.3, 0.8])
    if isinstance(function, mg.Operation) and draw.random() < 0.8:
        kinds = OF_NAME["args"] if draw.random() < 0.4 else AWKWARD
        return [draw.choice(kinds)() for _ in function.inputs], named
    for parameter in parameters:
        name = parameter.name
        kinds = OF_NAME.get(f"{getattr(function, '__name__', '')}.{name}") or OF_NAME.get(name, [])
        if draw.random() < wild or not kinds:
            kinds = AWKWARD if draw.random() < 0.95 or not kinds else kinds
        if parameter.kind is parameter.VAR_POSITIONAL:
            positional += [
                draw.choice(kinds if draw.random() < 0.8 else AWKWARD)() for _ in range(draw.choice([0, 1, 1, 2, 2, 3]))
            ]
        elif parameter.kind is parameter.KEYWORD_ONLY:
            if draw.random() < 0.3:
                named[parameter.name] = draw.choice(kinds)()
        elif parameter.kind is not parameter.VAR_KEYWORD:
            if parameter.default is not parameter.empty and draw.random() < 0.5:
                break
            positional.append(draw.choice(kinds)())
    if draw.random() < 0.03:
        positional = positional[:-1] if draw.random() < 0.5 else [*positional, draw.choice(AWKWARD)()]
    return positional, named


def calls(seed):
    """Endless calls: what is called, in words, and a function that does it."""
    draw = random.Random(seed)
    plain, of_objects = list(functions().items()), list(methods())
    while True:
        if draw.random() < 0.5:
            name, function = draw.choice(plain)
            yield name, function, draw
            continue
        name, makers, attribute, settable = draw.choice(of_objects)
        thing = draw.choice(makers)()
        if settable and draw.random() < 0.7:
            yield f"{name} =", setter(thing, attribute), draw
        else:
            yield name, Method(thing, attribute), draw


def setter(thing, name):
    return lambda new: setattr(thing, name, new)


class Method:
    """A method by its name, so that a property is read inside the call."""

    def __init__(self, thing, name):
        self.thing, self.name = thing, name
        self.__name__ = type(thing).__name__ if name == "__call__" else name
        found = next((vars(kind)[name] for kind in type(thing).__mro__ if name in vars(kind)), None)
        if inspect.isfunction(found):
            self.__signature__ = inspect.signature(getattr(thing, name))

    def __call__(self, *positional, **named):
        found = getattr(self.thing, self.name)
        return found(*positional, **named) if hasattr(self, "__signature__") else found


def used(result):
    """Use what came back as a user would: show it, iterate it, call what is a function."""
    if isinstance(result, mg.Drawing):
        return result.svg, result.dot, str(result), result.html
    if isinstance(result, mg.Player):
        return result.html, result._repr_html_()
    if isinstance(result, mg.Program):
        return repr(result)
    if inspect.isgenerator(result):
        return list(zip(range(100), result, strict=False))
    return repr(result)


@contextmanager
def within(seconds):
    def stop(_, frame):
        # In a callback of the collector (Hypothesis and JAX have one) and where a node is freed it would be lost.
        if frame.f_code.co_name.endswith(("gc_callback", "__del__")):
            signal.setitimer(signal.ITIMER_REAL, 0.001)
        else:
            raise OutOfTime

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


# A function of the caller's does not take what it gets, or his things have no such operator: Python names them.
OF_THE_CALLER = re.compile(
    r"(square|of_one|of_two|print_nothing|[\w.<>]+\.<locals>\.<lambda>)\(\) (missing|takes|got)"
    r"|(unsupported|bad) operand type|operands could not be broadcast"
)


ENDS = ("()", ".__init__()")


def fault(error, names):
    """Why an error is not one for the caller, as text; "" where it is. `names` are of what the caller called."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if frame.filename.startswith(PACKAGE)]
    if not ours or (frames[-1].filename == __file__ and frames[-1].name != "__call__"):
        return ""  # Python's own binding of arguments, or a function of the caller's
    on_purpose = frames[-1].filename.startswith(PACKAGE) and (frames[-1].line or "").startswith("raise")
    if on_purpose and not isinstance(error, INTERNAL[1:]):
        return ""
    if isinstance(error, OSError | ModuleNotFoundError | OverflowError):
        return ""
    text = str(error)
    if isinstance(error, TypeError | ValueError) and (OF_THE_CALLER.match(text) or text.startswith(names)):
        return ""
    last = frames[-1]
    return f"{type(error).__name__}: {text[:150]!r} at {Path(last.filename).name}:{last.lineno}: {last.line}"


def tried(function, draw, seconds=1.0):
    """How one call ends: "right", "refused" in words of the caller's, "too long", or its fault."""
    positional, named = arguments(function, draw)
    try:
        with within(seconds):
            used(function(*positional, **named))
    except OutOfTime:
        return "too long"
    except Exception as error:
        given = (function, *positional, *named.values())
        called = [f"{thing.__name__}{end}" for thing in given if hasattr(thing, "__name__") for end in ENDS]
        called += [f"{type(thing).__name__}.__call__()" for thing in given]
        found = fault(error, tuple(called))
        return f"{found}\n    {shown(positional)} {shown(named)}" if found else "refused"
    return "right"
