"""Exercises in backpropagation, as `mg.exercises`: graphs with friendly numbers, and what is wrong with an answer.

>>> import microgrannd as mg
>>> [one] = mg.exercises.generate(1, seed=4, size=3)
>>> print(one)
p = b + a
q = a × p
f = p × q
at b = -5, a = 2
>>> mg.exercises.check(one, one.gradients).right
True
>>> wrong = one.gradients | {"a": -21.0}
>>> print(mg.exercises.check(one, wrong))
A sign. ∂f/∂a: the size is right. What about the sign of what arrives from q?

`sheet`, `page` and `notebook` make of them a sheet to print, a page to play, and cells to fill in.
"""

from microgrannd.app.exercises.cells import notebook
from microgrannd.app.exercises.graphs import Exercise, generate
from microgrannd.app.exercises.mistakes import MISTAKES, Finding, check
from microgrannd.app.exercises.sheets import Sheet, page, sheet

__all__ = ["MISTAKES", "Exercise", "Finding", "Sheet", "check", "generate", "notebook", "page", "sheet"]
