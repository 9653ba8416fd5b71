"""Scripts written for other small engines run here with another import: the same losses, the same end."""

import math
import random

import pytest

from microgrannd import datasets
from microgrannd.engine import Value
from microgrannd.nn import MLP
from tests.oracles import agrees


@pytest.mark.slow
def test_micrograds_two_moons_demo_reaches_all_points():
    """Its notebook, word for word but for the data's source and the printing."""
    np = pytest.importorskip("numpy")
    random.seed(1337)
    X, y = map(np.array, datasets.moons(100, noise=0.1, seed=1))
    y = y * 2 - 1  # make y be -1 or 1

    model = MLP(2, [16, 16, 1])  # 2-layer neural network
    assert len(model.parameters()) == 337

    def loss(batch_size=None):
        if batch_size is None:
            Xb, yb = X, y
        else:
            ri = np.random.permutation(X.shape[0])[:batch_size]
            Xb, yb = X[ri], y[ri]
        inputs = [list(map(Value, xrow)) for xrow in Xb]
        scores = list(map(model, inputs))
        losses = [(1 + -yi * scorei).relu() for yi, scorei in zip(yb, scores, strict=True)]
        data_loss = sum(losses) * (1.0 / len(losses))
        alpha = 1e-4
        reg_loss = alpha * sum(p * p for p in model.parameters())
        total_loss = data_loss + reg_loss
        accuracy = [(yi > 0) == (scorei.data > 0) for yi, scorei in zip(yb, scores, strict=True)]
        return total_loss, sum(accuracy) / len(accuracy)

    for k in range(100):
        total_loss, acc = loss()
        model.zero_grad()
        total_loss.backward()
        learning_rate = 1.0 - 0.9 * k / 100
        for p in model.parameters():
            p.data -= learning_rate * p.grad
    assert acc == 1.0
    assert total_loss.data < 0.05

    assert loss(batch_size=10)[1] == 1.0


class TinyValue:
    """The `Value` of the tiny GPTs that go round, in forty lines: the oracle of the test below."""

    __slots__ = ("_children", "_local_grads", "data", "grad")

    def __init__(self, data, children=(), local_grads=()):
        self.data, self.grad = data, 0
        self._children, self._local_grads = children, local_grads

    def __add__(self, other):
        other = other if isinstance(other, TinyValue) else TinyValue(other)
        return TinyValue(self.data + other.data, (self, other), (1, 1))

    def __mul__(self, other):
        other = other if isinstance(other, TinyValue) else TinyValue(other)
        return TinyValue(self.data * other.data, (self, other), (other.data, self.data))

    def __pow__(self, other):
        return TinyValue(self.data**other, (self,), (other * self.data ** (other - 1),))

    def log(self):
        return TinyValue(math.log(self.data), (self,), (1 / self.data,))

    def exp(self):
        return TinyValue(math.exp(self.data), (self,), (math.exp(self.data),))

    def relu(self):
        return TinyValue(max(0, self.data), (self,), (float(self.data > 0),))

    def __neg__(self):
        return self * -1

    def __radd__(self, other):
        return self + other

    def __sub__(self, other):
        return self + (-other)

    def __rsub__(self, other):
        return other + (-self)

    def __rmul__(self, other):
        return self * other

    def __truediv__(self, other):
        return self * other**-1

    def __rtruediv__(self, other):
        return other * self**-1

    def backward(self):
        topo, visited = [], set()

        def build(v):
            if v not in visited:
                visited.add(v)
                for child in v._children:
                    build(child)
                topo.append(v)

        build(self)
        self.grad = 1
        for v in reversed(topo):
            for child, local_grad in zip(v._children, v._local_grads, strict=True):
                child.grad += local_grad * v.grad


def tiny_gpt(value, steps):
    """A transformer of one layer and one head that learns to spell; the loss of each step."""
    random.seed(42)
    words, letters = ["emma", "olivia", "ava", "mia"], "abcdefghijklmnopqrstuvwxyz"
    chars = [".", *sorted({c for word in words for c in word if c in letters})]
    n_embd, block_size = 4, 8

    def matrix(nout, nin, std=0.2):
        return [[value(random.gauss(0, std)) for _ in range(nin)] for _ in range(nout)]

    state = {"wte": matrix(len(chars), n_embd), "wpe": matrix(block_size, n_embd)}
    state |= {name: matrix(n_embd, n_embd) for name in ("wq", "wk", "wv", "wo")}
    state |= {"fc1": matrix(4 * n_embd, n_embd), "fc2": matrix(n_embd, 4 * n_embd), "head": matrix(len(chars), n_embd)}
    params = [p for mat in state.values() for row in mat for p in row]

    def linear(x, w):
        return [sum(wi * xi for wi, xi in zip(wo, x, strict=True)) for wo in w]

    def softmax(logits):
        max_val = max(val.data for val in logits)
        exps = [(val - max_val).exp() for val in logits]
        total = sum(exps)
        return [e / total for e in exps]

    def rmsnorm(x):
        ms = sum(xi * xi for xi in x) / len(x)
        scale = (ms + 1e-5) ** -0.5
        return [xi * scale for xi in x]

    def gpt(token_id, pos_id, keys, values):
        x = [t + p for t, p in zip(state["wte"][token_id], state["wpe"][pos_id], strict=True)]
        x_residual, x = x, rmsnorm(x)
        q = linear(x, state["wq"])
        keys.append(linear(x, state["wk"]))
        values.append(linear(x, state["wv"]))
        attn = softmax([sum(q[j] * k[j] for j in range(n_embd)) / n_embd**0.5 for k in keys])
        x = linear([sum(a * v[j] for a, v in zip(attn, values, strict=True)) for j in range(n_embd)], state["wo"])
        x = [a + b for a, b in zip(x, x_residual, strict=True)]
        x_residual, x = x, linear(rmsnorm(x), state["fc1"])
        x = linear([xi.relu() for xi in x], state["fc2"])
        return linear([a + b for a, b in zip(x, x_residual, strict=True)], state["head"])

    m, v, history = [0.0] * len(params), [0.0] * len(params), []
    for step in range(steps):
        tokens = [chars.index(c) for c in f".{words[step % len(words)]}."]
        keys, values, losses = [], [], []
        for pos_id in range(len(tokens) - 1):
            probs = softmax(gpt(tokens[pos_id], pos_id, keys, values))
            losses.append(-probs[tokens[pos_id + 1]].log())
        loss = (1 / len(losses)) * sum(losses)
        loss.backward()
        for i, p in enumerate(params):
            m[i] = 0.9 * m[i] + 0.1 * p.grad
            v[i] = 0.95 * v[i] + 0.05 * p.grad**2
            p.data -= 0.01 * (m[i] / (1 - 0.9 ** (step + 1))) / ((v[i] / (1 - 0.95 ** (step + 1))) ** 0.5 + 1e-8)
            p.grad = 0
        history.append(loss.data)
    return history


def test_a_tiny_gpt_has_the_same_losses():
    theirs = tiny_gpt(TinyValue, 12)
    assert agrees(tiny_gpt(Value, 12), theirs, 1e-9)
    assert theirs[8] < theirs[0]  # the same word, learnt
