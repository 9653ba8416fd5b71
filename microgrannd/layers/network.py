"""Backpropagation as the textbooks write it: layers with a forward and a backward, and lists of layers.

Inputs are lists or NumPy arrays, a sample or a batch in rows; a layer switches to arrays with the first that it meets.
"""

import random
from typing import Any, TypeAlias

from microgrannd import operations
from microgrannd.evaluation import one_hot
from microgrannd.ground.arguments import list_of, whole_number, wrong
from microgrannd.ground.nests import each, is_array, leaves
from microgrannd.layers.gates import Gate
from microgrannd.operations import Operation

Matrix: TypeAlias = Any  # a list of rows, or a NumPy array


class ActivationLayer(Gate):
    """An activation on each element: forward a = σ(z), backward σ'(z) ⊙ error. It has no parameters.

    `activation` is an operation or the name of one.

    >>> ActivationLayer("relu").forward([-1.0, 2.0])
    [0.0, 2.0]
    """

    def __init__(self, activation: Operation | str = "sigmoid") -> None:
        if isinstance(activation, str) and activation not in operations.TABLE:
            raise ValueError(f"{activation!r} is not an operation; sigmoid, tanh and relu are.")
        super().__init__(operations.TABLE[activation] if isinstance(activation, str) else activation)

    def backward(self, error: Any = 1.0) -> Any:
        """The gradient of the input, given that of the output."""
        return super().backward(error)[0]

    def step(self, eta: float) -> None:
        """Do nothing: there are no parameters."""


class Affine:
    """y = xW + b for a sample or a batch of samples in rows; `dW` and `db` are the gradients of the last batch.

    >>> layer = Affine([[1.0, 2.0], [3.0, 4.0]], [0.5, 0.5])
    >>> layer.forward([1.0, 1.0])
    [4.5, 6.5]
    >>> layer.backward([1.0, 0.0]), layer.dW, layer.db
    ([1.0, 3.0], [[1.0, 0.0], [1.0, 0.0]], [1.0, 0.0])
    """

    def __init__(self, W: Matrix, b: Matrix) -> None:
        self.W, self.b = (_as_array(W), _as_array(b)) if is_array(W) else (W, b)
        self.x: Matrix = None
        self.dW: Matrix = None
        self.db: Matrix = None

    def forward(self, x: Matrix) -> Matrix:
        """xW + b: a row or several, as x is."""
        if is_array(x) and not is_array(self.W):
            self.W, self.b = _as_array(self.W), _as_array(self.b)
        width, expected = len(_rows(x)[0]), len(self.W)
        if width != expected:
            raise ValueError(f"The layer expects {expected} inputs, got {width}.")
        self.x = x
        if is_array(self.W):
            return x @ self.W + self.b
        columns = _columns(self.W)
        rows = [[operations.dot(row, w, b) for w, b in zip(columns, self.b, strict=True)] for row in _rows(x)]
        return rows if _is_batch(x) else rows[0]

    def backward(self, dy: Matrix) -> Matrix:
        """dy Wᵀ, the gradient of x; keeps dW = xᵀ dy and db = the sum of dy over the batch."""
        if self.x is None:
            raise RuntimeError("The layer has no inputs yet: call forward before backward.")
        x, dy_rows = _rows(self.x), _rows(dy)
        if is_array(self.W):
            self.dW, self.db = _as_array(x).T @ dy_rows, _as_array(dy_rows).sum(axis=0)
            return dy @ self.W.T
        columns = _columns(dy_rows)
        self.dW = [[operations.dot(xi, dyj) for dyj in columns] for xi in _columns(x)]
        self.db = [operations.sum(dyj) for dyj in columns]
        rows = [[operations.dot(dyi, w) for w in self.W] for dyi in dy_rows]
        return rows if _is_batch(dy) else rows[0]


class FullyConnectedLayer(Affine):
    """An affine layer that learns: `delta_w` and `delta_b` add up over passes, `step` uses their mean.

    Weights and biases start uniform in [-½, ½), drawn from a generator with the seed.

    >>> layer = FullyConnectedLayer(2, 1, seed=0)
    >>> layer.backward([1.0]) if layer.forward([1.0, 2.0]) else None
    [0.3444218515250481, 0.2579544029403025]
    >>> layer.delta_w, layer.delta_b, layer.passes
    ([[1.0], [2.0]], [1.0], 1)
    """

    def __init__(self, inputs: int, outputs: int, *, seed: int | random.Random | None = None) -> None:
        inputs, outputs = whole_number("inputs", inputs, 1), whole_number("outputs", outputs, 1)
        draw = seed if isinstance(seed, random.Random) else _generator(seed)
        weights = [[draw.random() - 0.5 for _ in range(outputs)] for _ in range(inputs)]
        super().__init__(weights, [draw.random() - 0.5 for _ in range(outputs)])
        self.clear()

    def clear(self) -> None:
        """Forget the gradients of the passes so far."""
        self.delta_w = each(lambda w: w * 0.0, self.W)
        self.delta_b = each(lambda b: b * 0.0, self.b)
        self.passes = 0

    def backward(self, dy: Matrix) -> Matrix:
        """The gradient of the input; those of the parameters are added to `delta_w` and `delta_b`."""
        dx = super().backward(dy)
        if is_array(self.dW) and not self.passes:
            self.clear()  # the layer may have switched to arrays
        self.delta_w = each(operations.add, self.delta_w, self.dW)
        self.delta_b = each(operations.add, self.delta_b, self.db)
        self.passes += len(_rows(dy))
        return dx

    def step(self, eta: float) -> None:
        """Move the parameters by -`eta` times the mean gradient, and begin anew."""
        if not self.passes:
            raise RuntimeError("No backward pass since the last step: there is nothing to learn from.")
        rate = operations.as_float(eta) / self.passes
        _move(self.W, self.delta_w, rate)
        _move(self.b, self.delta_b, rate)
        self.clear()


class SoftmaxWithLoss:
    """Softmax and cross-entropy in one: the mean of −ln y[label] over the batch; backward gives (y − t) / batch.

    Targets are one-hot rows, or the numbers of the classes.

    >>> layer = SoftmaxWithLoss()
    >>> round(layer.forward([[0.0, 0.0], [0.0, 0.0]], [0, 1]), 6)
    0.693147
    >>> layer.backward()
    [[-0.25, 0.25], [0.25, -0.25]]
    """

    def __init__(self) -> None:
        self.y: Matrix = None
        self.t: Matrix = None

    def forward(self, a: Matrix, t: Any) -> float:
        """The loss of the scores a for the targets t."""
        rows = _rows(a)
        targets = list_of("t", t, "a target for each sample") if _is_batch(a) else [t]
        if len(targets) != len(rows):
            raise ValueError(f"Each sample has one target: got {len(rows)} samples and {len(targets)} targets.")
        self.t = [
            list(map(operations.as_float, target))
            if getattr(target, "shape", hasattr(target, "__iter__"))
            else one_hot(target, len(rows[0]))
            for target in targets
        ]
        if {len(target) for target in self.t} != {len(rows[0])}:
            raise ValueError(f"A target is the number of a class, or a share for each of {len(rows[0])} scores.")
        if is_array(a):
            exponentials = operations.exp(a - a.max(axis=-1, keepdims=True))
            self.y, self.t = exponentials / exponentials.sum(axis=-1, keepdims=True), _as_array(self.t).reshape(a.shape)
        else:
            self.y = [operations.softmax(row) for row in rows]
            if not _is_batch(a):
                [self.y], [self.t] = self.y, self.t
        # -ln y as ln Σ exp a - a, which is right also where y is 0.
        pairs = zip(rows, _rows(self.t), strict=True)
        return float(operations.sum(operations.logsumexp(row) - operations.dot(row, t) for row, t in pairs) / len(rows))

    def backward(self, upstream: float = 1.0) -> Matrix:
        """The gradient of the scores."""
        if self.y is None:
            raise RuntimeError("The layer has no scores yet: call forward before backward.")
        batch, upstream = len(_rows(self.y)), operations.as_float(upstream)
        return each(lambda y, t: (y - t) / batch * upstream, self.y, self.t)


class Network:
    """Layers in a row, trained by minibatches on half the squared error.

    >>> network = Network()
    >>> network.add(FullyConnectedLayer(2, 3, seed=0))
    >>> network.add(ActivationLayer("sigmoid"))
    >>> network.add(FullyConnectedLayer(3, 1, seed=1))
    >>> x, y = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], [[0.0], [1.0], [1.0], [0.0]]
    >>> before = network.loss(x, y)
    >>> network.fit(x, y, minibatches=200, learning_rate=0.5, batch_size=4)
    >>> network.loss(x, y) < before
    True
    """

    def __init__(self, verbose: bool = False) -> None:
        self.verbose = verbose
        self.layers: list[Any] = []

    def add(self, layer: Any) -> None:
        """Append a layer."""
        if isinstance(layer, type) or not all(hasattr(layer, name) for name in ("forward", "backward")):
            raise wrong("layer", "a layer, with forward and backward", layer)
        self.layers.append(layer)

    @property
    def parameters(self) -> dict[str, Matrix]:
        """The very matrices that the layers hold, as W1, b1, W2, b2 ..."""
        affine = [layer for layer in self.layers if isinstance(layer, Affine)]
        return {f"{name}{i}": getattr(layer, name) for i, layer in enumerate(affine, 1) for name in "Wb"}

    def predict(self, x: Matrix) -> Matrix:
        """The outputs for a sample or a batch."""
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, error: Matrix) -> Matrix:
        """The gradient of the inputs, given that of the outputs, through the layers in reverse."""
        for layer in reversed(self.layers):
            error = layer.backward(error)
        return error

    def step(self, eta: float) -> None:
        """Let every layer take a step."""
        for layer in self.layers:
            layer.step(eta)

    def loss(self, x: Matrix, y: Matrix) -> float:
        """The mean of ½ (prediction − y)² over samples and outputs: what `fit` reports."""
        return self._reported(self.predict(x), y)

    def fit(
        self, x_train: Matrix, y_train: Matrix, minibatches: int, learning_rate: float, batch_size: int = 64,
        *, seed: int | None = None,
    ) -> None:  # fmt: skip
        """Steps on minibatches, each a fresh random subset without replacement.

        The gradient of a sample is that of ½ Σ (prediction − y)² over its outputs, and a step uses the
        mean over the minibatch. With `verbose` every tenth minibatch prints its mean error.
        """
        count, size = len(_rows(x_train)), whole_number("batch_size", batch_size)
        if not 1 <= size <= count:
            raise ValueError(f"A minibatch has between 1 and {count} samples, all there are; got {size}.")
        if len(_rows(y_train)) != count:
            raise ValueError(f"Each sample has one target: got {count} samples and {len(_rows(y_train))} targets.")
        draw, minibatches = _generator(seed), whole_number("minibatches", minibatches, 0)
        for i in range(minibatches):
            chosen = draw.sample(range(count), size)
            x, y = _taken(x_train, chosen), _taken(y_train, chosen)
            predictions = self.predict(x)
            self.backward(each(lambda p, t: p - t, predictions, y))
            self.step(learning_rate)
            if self.verbose and i % 10 == 0:
                print(f"minibatch {i:5d}/{minibatches} error={self._reported(predictions, y):0.9f}")

    def _reported(self, predictions: Matrix, y: Matrix) -> float:
        _rows(y)  # which checks it
        errors = list(leaves(each(lambda p, t: 0.5 * (p - t) ** 2, predictions, y)))
        return float(operations.mean(errors))


def _generator(seed: int | None) -> random.Random:
    return random.Random(None if seed is None else whole_number("seed", seed))


def _is_batch(x: Matrix) -> bool:
    array = is_array(x) and x.size and x.ndim in (1, 2) and x.dtype.kind in "fiub"
    if not (array or (isinstance(x, list | tuple) and x)):
        raise wrong("What goes through a layer", "a row of numbers or several, as a list or an array", x)
    return x.ndim == 2 if array else isinstance(x[0], list | tuple) or is_array(x[0])


def _columns(rows: Matrix) -> list[Any]:
    lengths = {len(row) if hasattr(row, "__len__") else 0 for row in rows}
    if len(lengths) > 1:
        raise ValueError(f"The rows of a matrix have one length, got {' and '.join(map(str, sorted(lengths)))}.")
    return list(zip(*rows, strict=True))


def _rows(x: Matrix) -> Matrix:
    return x if _is_batch(x) else x[None] if is_array(x) else [x]


def _taken(matrix: Matrix, chosen: list[int]) -> Matrix:
    return matrix[chosen] if is_array(matrix) else [matrix[i] for i in chosen]


def _move(matrix: Matrix, gradient: Matrix, rate: float) -> None:
    """matrix −= rate · gradient, in place, because others may share the matrix."""
    if is_array(matrix):
        matrix -= rate * gradient
        return
    for row, slopes in zip(_rows(matrix), _rows(gradient), strict=True):
        row[:] = each(lambda w, slope: w - rate * slope, row, slopes)


def _as_array(matrix: Matrix) -> Any:
    import numpy

    try:
        return numpy.asarray(matrix, dtype=float)
    except (TypeError, ValueError):
        raise wrong("What a layer holds", "an array of numbers", matrix) from None
