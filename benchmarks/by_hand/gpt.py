"""The character model's training step as a person derives it, in NumPy."""

from __future__ import annotations

import numpy as np


def normed(x):
    """The rows by their root mean square; with it the factors, which the way back needs."""
    scale = (np.mean(x * x, -1, keepdims=True) + 1e-5) ** -0.5
    return x * scale, scale


def through_norm(d, y, scale):
    return scale * (d - y * np.mean(d * y, -1, keepdims=True))


def numpy_by_hand(numbers, tokens, heads, rate):
    w = {name: np.array(matrix) for name, matrix in numbers.items()}
    inputs, targets = np.array(tokens[:-1]), np.array(tokens[1:])
    count, width = len(inputs), w["letters"].shape[1]
    later = np.triu(np.full((count, count), -np.inf), 1)
    factor = (width // heads) ** -0.5

    def by_head(x):
        return x.reshape(count, heads, -1).transpose(1, 0, 2)

    def joined(x):
        return x.transpose(1, 0, 2).reshape(count, width)

    def softmax(x):
        e = np.exp(x - x.max(-1, keepdims=True))
        return e / e.sum(-1, keepdims=True)

    def step():
        before, scale0 = normed(w["letters"][inputs] + w["places"][:count])
        x, scale1 = normed(before)
        query, key, value = (by_head(x @ w[name].T) for name in ("query", "key", "value"))
        shares = softmax(query @ key.transpose(0, 2, 1) * factor + later)
        heard = joined(shares @ value)
        middle = heard @ w["join"].T + before
        n, scale2 = normed(middle)
        wide = np.maximum(n @ w["widen"].T, 0.0)
        last = wide @ w["narrow"].T + middle
        found = softmax(last @ w["scores"].T)
        loss = -np.mean(np.log(found[np.arange(count), targets]))

        g = {}
        d = found / count
        d[np.arange(count), targets] -= 1 / count
        g["scores"] = d.T @ last
        d_last = d @ w["scores"]
        g["narrow"] = d_last.T @ wide
        d_wide = (d_last @ w["narrow"]) * (wide > 0)
        g["widen"] = d_wide.T @ n
        d_middle = d_last + through_norm(d_wide @ w["widen"], n, scale2)
        g["join"] = d_middle.T @ heard
        d_heard = by_head(d_middle @ w["join"])
        d_shares = d_heard @ value.transpose(0, 2, 1)
        d_scores = shares * (d_shares - np.sum(d_shares * shares, -1, keepdims=True)) * factor
        parts = {
            "query": joined(d_scores @ key),
            "key": joined(d_scores.transpose(0, 2, 1) @ query),
            "value": joined(shares.transpose(0, 2, 1) @ d_heard),
        }
        g |= {name: part.T @ x for name, part in parts.items()}
        d_x = sum(part @ w[name] for name, part in parts.items())
        d_before = through_norm(d_middle + through_norm(d_x, x, scale1), before, scale0)
        for name, slope in g.items():
            w[name] -= rate * slope
        np.subtract.at(w["letters"], inputs, rate * d_before)
        w["places"][:count] -= rate * d_before
        return loss

    return step
