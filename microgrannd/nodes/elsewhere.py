"""What other libraries call it: names that a user of PyTorch, NumPy or JAX tries, each with what to write instead.

One table. An error says it where the name is asked for, and `docs/coming-from-pytorch.md` prints it.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from microgrannd.operations import TABLE

_NO_TENSOR: Final = "a Value is one number: shapes are those of your own lists, or of arrays of Values"
_ANY_DEVICE: Final = "numbers live in Python; mg.compile(f, backend=...) says where a program runs"
_ALWAYS_FLOAT: Final = "v.data, which is a float always"
_ONE_MODE: Final = "nothing: there is one mode; `with mg.no_grad():` is for evaluation"
_MARKS: Final = "marks in a dict keyed by Value, such as marks[v] = ..., because a Value has no attributes of your own"
_MLP: Final = "mg.nn.MLP(2, [16, 1]), or a subclass of mg.Module with an __init__ and a __call__"
_ACTIVATION: Final = 'MLP(2, [16, 1], activation="tanh"), or the operation itself, such as mg.relu(x)'
_LISTS: Final = "lists of Values, [Value(x) for x in numbers], or numpy.array of them"
_RANDOM: Final = "random.seed(0) before, or seed=0 where numbers are drawn: MLP(2, [16, 1], seed=0)"
_SCHEDULE: Final = "mg.fit(..., schedule=lambda epoch: 0.1 * 0.99**epoch), or set optimizer.lr"

# For each place the names that are not there, and what to write instead.
DEAD_ENDS: Final[dict[str, dict[str, str]]] = {
    "Value": {
        **dict.fromkeys(("item", "numpy", "tolist", "value"), "v.data"),
        "gradient": "v.grad",
        "zero_grad": "mg.zero_grad([v]), or v.grad = 0.0",
        **dict.fromkeys(
            ("requires_grad", "requires_grad_"), "Value(2.0), which has a gradient; a number is a constant"
        ),
        **dict.fromkeys(("retain_grad", "retains_grad"), "nothing: every node keeps its gradient"),
        "grad_fn": "v.op",
        "is_leaf": "v.op is None",
        "children": "v.parents",
        "name": "v.label",
        **dict.fromkeys(("clone", "copy"), "v itself, or v.detach() for a leaf with its number"),
        **dict.fromkeys(("float", "double", "half", "astype", "type"), _ALWAYS_FLOAT),
        **dict.fromkeys(("int", "long"), "int(v.data)"),
        **dict.fromkeys(("device", "cpu", "cuda", "to"), _ANY_DEVICE),
        **dict.fromkeys(("T", "shape", "size", "ndim", "dim", "view", "reshape", "squeeze", "unsqueeze"), _NO_TENSOR),
        **dict.fromkeys(("flatten", "matmul", "transpose", "numel"), _NO_TENSOR),
        **dict.fromkeys(("sum", "mean"), "mg.sum(values), mg.mean(values)"),
        **dict.fromkeys(("max", "min"), "mg.maximum(v, w), mg.minimum(v, w)"),
        "round": "mg.floor(v + 0.5), or round(v.data)",
        **dict.fromkeys(
            ("add_", "sub_", "mul_", "zero_", "fill_", "copy_"), "v.data = ..., which sets a leaf's number"
        ),
        "register_hook": "for step in v.backward_steps(): ..., which yields each contribution",
        # A class with slots has no place where any name that is set passes by, short of slowing every node down.
        **dict.fromkeys(("visited", "seen", "mark", "marked", "done", "id", "uid", "idx", "index", "key"), _MARKS),
        **dict.fromkeys(("tag", "color", "note", "meta", "info", "kind", "level", "depth", "rank", "pos"), _MARKS),
        **dict.fromkeys(("cache", "m", "v", "t", "velocity", "momentum", "exp_avg", "exp_avg_sq", "lr"), _MARKS),
        **dict.fromkeys(("history", "old", "prev", "children_", "frozen", "trainable", "mask", "weight_decay"), _MARKS),
    },
    "Module": {
        **dict.fromkeys(("train", "eval", "training"), _ONE_MODE),
        "forward": "model(x): what it computes is in its __call__",
        **dict.fromkeys(("predict", "fit"), "model(x) for one sample, mg.compile(model)(X) for many; mg.fit trains"),
        **dict.fromkeys(("save", "load", "load_state_dict"), "mg.save(model, path) and mg.load(path)"),
        "state_dict": "dict(model.named_parameters()), or mg.save(model, path)",
        "summary": "print(model), model.parameter_count, or mg.draw(model(x))",
        "apply": "for p in model.parameters(): ...",
        **dict.fromkeys(("children", "modules"), "its attributes, such as model.layers"),
        **dict.fromkeys(("cuda", "cpu", "to"), _ANY_DEVICE),
        **dict.fromkeys(("requires_grad_", "freeze"), "the parameters that shall learn alone in the optimizer's list"),
        "backward": "loss = ...; loss.backward()",
        "compile": "mg.compile(loss), and program.fit or mg.fit",
        "weight": "model.layers[0].neurons[0].w, a list of Values",
        "bias": "model.layers[0].neurons[0].b, a Value",
    },
    "microgrannd": {
        **dict.fromkeys(("tensor", "Tensor", "array", "asarray", "stack", "cat", "Variable", "Parameter"), _LISTS),
        **dict.fromkeys(("zeros", "ones", "arange", "linspace", "eye", "full"), _LISTS),
        **dict.fromkeys(("randn", "rand", "uniform", "normal", "random"), "Value(random.gauss(0, 1)), of Python"),
        **dict.fromkeys(("manual_seed", "seed", "PRNGKey"), _RANDOM),
        **dict.fromkeys(("jit", "pmap", "script", "function"), "mg.compile(f)"),
        "vmap": "mg.compile(f), which takes arrays with samples along the first axis",
        **dict.fromkeys(("jacfwd", "jacrev"), "mg.jacobian(f)"),
        "max": "mg.maximum(x, y), or max(values) for the one that is largest",
        "min": "mg.minimum(x, y), or min(values) for the one that is smallest",
        "log_softmax": "x - mg.logsumexp(xs) for each x, or mg.losses.softmax_cross_entropy(xs, label)",
        "cross_entropy": "mg.losses.softmax_cross_entropy(logits, label)",
        "mse_loss": "mg.losses.mean_squared_error(outputs, targets)",
        **dict.fromkeys(("matmul", "mm", "einsum", "outer"), "mg.dot(xs, ys), or W @ x on NumPy arrays of Values"),
        **dict.fromkeys(("autograd", "backward"), "y.backward(), or mg.gradients(y, xs) for gradients as Values"),
        **dict.fromkeys(("functional", "F"), "the package's own operations, mg.relu(x); losses are in mg.losses"),
        "numpy": "import numpy as np; np.exp(array_of_values) works",
        "gradcheck": "mg.check_gradients(f, *args)",
        **dict.fromkeys(("device", "cuda"), _ANY_DEVICE),
        **dict.fromkeys(("float32", "float64"), _ALWAYS_FLOAT),
        **dict.fromkeys(("Sequential", "Linear"), _MLP),
        "Adam": "mg.optim.Adam(model.parameters(), lr=0.001)",
        "SGD": "mg.optim.SGD(model.parameters(), lr=0.1)",
        "draw_dot": "mg.draw(y)",
        "stop_grad": "mg.stop_gradient(x), or x.detach()",
    },
    "microgrannd.nn": {
        **dict.fromkeys(("Linear", "Sequential", "ModuleList", "Parameter", "Dropout", "Conv2d"), _MLP),
        **dict.fromkeys(("ReLU", "Tanh", "Sigmoid", "GELU", "LeakyReLU", "Softmax", "Softplus"), _ACTIVATION),
        "CrossEntropyLoss": "mg.losses.softmax_cross_entropy(logits, label)",
        "BCELoss": "mg.losses.binary_cross_entropy(p, label)",
        "BCEWithLogitsLoss": "mg.losses.binary_cross_entropy_with_logits(logit, label)",
        "MSELoss": "mg.losses.mean_squared_error(outputs, targets)",
        "L1Loss": "mg.losses.mean_absolute_error(outputs, targets)",
        "functional": "the package's own operations, mg.relu(x); losses are in mg.losses",
        "init": 'MLP(2, [16, 1], init="xavier")',
    },
    "microgrannd.losses": {
        **dict.fromkeys(("mse", "mse_loss", "MSELoss"), "mg.losses.mean_squared_error(outputs, targets)"),
        **dict.fromkeys(("mae", "l1_loss"), "mg.losses.mean_absolute_error(outputs, targets)"),
        "cross_entropy": "mg.losses.softmax_cross_entropy(logits, label)",
        "bce": "mg.losses.binary_cross_entropy(p, label)",
        "nll_loss": "mg.losses.softmax_cross_entropy(logits, label), from the logits",
        "svm": "mg.losses.hinge(output, label)",
    },
    "microgrannd.optim": {
        **dict.fromkeys(("lr_scheduler", "StepLR", "ExponentialLR", "CosineAnnealingLR"), _SCHEDULE),
        "sgd": "mg.optim.SGD(model.parameters(), lr=0.1)",
        "adam": "mg.optim.Adam(model.parameters(), lr=0.001)",
    },
}


def no_name(place: str, name: str) -> AttributeError:
    """The error of asking a module for a name that it has not: with what to write instead, where that is known."""
    instead = DEAD_ENDS.get(place, {}).get(name)
    if place == "microgrannd" and instead is None:
        instead = next((f"mg.{row.name}" for row in TABLE.values() if row.numpy == name), None)
    told = f". Write instead: {instead}" if instead else ""
    return AttributeError(f"module {place!r} has no attribute {name!r}{told}", name=name)


def answers_of(place: str, names: Mapping[str, Any]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` of a module: the table's answers, and its own public names."""

    def missing(name: str) -> Any:
        raise no_name(place, name)

    def public() -> list[str]:
        return sorted([name for name, thing in names.items() if name[0] != "_" and _is_own(thing, name, place)])

    return missing, public


def _is_own(thing: Any, name: str, place: str) -> bool:
    room = str(getattr(thing, "__module__", ""))
    return name.isupper() or room == place or (isinstance(thing, type) and room.startswith("microgrannd."))


class DeadEnd:
    """An attribute that is not there: to ask for it is an AttributeError that says what to write instead."""

    def __init__(self, kind: str, name: str, instead: str) -> None:
        self.kind, self.name, self.instead = kind, name, instead
        self.__doc__ = f"Not here. Write instead: {instead}."

    def __get__(self, thing: Any, owner: type) -> Any:
        if thing is None:
            return self
        raise AttributeError(f"A {self.kind} has no {self.name!r}. Write instead: {self.instead}")


class DeadSlot(DeadEnd):
    """The same of a class that takes no attributes but its own: to set it says so, too."""

    def __get__(self, thing: Any, owner: type) -> Any:
        own = getattr(thing, "__dict__", {})  # what a subclass keeps under this name
        return own[self.name] if self.name in own else super().__get__(thing, owner)

    def __set__(self, thing: Any, value: object) -> None:
        if not hasattr(thing, "__dict__"):
            raise AttributeError(f"A {self.kind} has no {self.name!r} to be set. Write instead: {self.instead}")
        thing.__dict__[self.name] = value


Class = TypeVar("Class", bound=type)


def answering(kind: str, end: type[DeadEnd] = DeadEnd) -> Callable[[Class], Class]:
    """Give a class the table's answers, and a `dir()` of public names."""

    def answered(cls: Class) -> Class:
        for name, instead in DEAD_ENDS[kind].items():
            setattr(cls, name, end(kind, name, instead))
        cls.__dir__ = _public_names  # type: ignore[method-assign, assignment]
        return cls

    return answered


def _public_names(thing: Any) -> list[str]:
    names = (name for name in object.__dir__(thing) if name[0] != "_")
    return [name for name in names if name != "dtype" and not isinstance(getattr(type(thing), name, None), DeadEnd)]


@answering("Value", DeadSlot)
class NamesElsewhere:
    """The last base of Value, so that an operation of the user's may have such a name."""

    __slots__ = ()
