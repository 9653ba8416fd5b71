"""Answers that do not come from the code under test: the worked examples, and closed forms in mpmath."""

import json
import math
from functools import cache
from pathlib import Path


@cache
def _examples():
    path = Path(__file__).parent / "data" / "examples.json"
    return {entry["id"]: entry for entry in json.loads(path.read_text(encoding="utf-8"))["examples"]}


def example(name):
    """The worked example of that id, as the project's copy of the collection has it."""
    return _examples()[name]


def agrees(got, want, tolerance):
    """Whether |got - want| <= tolerance * max(1, |want|) for every number of two equal nests."""
    if isinstance(want, (list, tuple)):
        return len(got) == len(want) and all(agrees(g, w, tolerance) for g, w in zip(got, want, strict=True))
    if math.isnan(want) or math.isinf(want):
        return got == want or (math.isnan(want) and math.isnan(got))
    return abs(got - want) <= tolerance * max(1.0, abs(want))
