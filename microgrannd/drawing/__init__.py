"""Seeing: any graph as SVG, by our own layout, without anything to install.

>>> from microgrannd import Value
>>> x = Value(3.0, label="x")
>>> y = x * x
>>> y.backward()
>>> drawing = draw(y)
>>> drawing.svg[:4]
'<svg'
"""

from microgrannd.drawing.drawing import Drawing, draw
from microgrannd.drawing.player.player import Player, step

__all__ = ["Drawing", "Player", "draw", "step"]
