"""The compiler: a function of scalars becomes the straight-line program a person would have derived.

`function → trace → tape → simplify → Python source | native code | matrix program`. The gradients are ordinary
instructions, made by the passes over graphs; no derivative is known here.
"""

from microgrannd.compiler.fitting import for_training
from microgrannd.compiler.profiles import ProgramProfile
from microgrannd.compiler.program import Program, compile
from microgrannd.compiler.tape.tape import Tape

__all__ = ["Program", "ProgramProfile", "Tape", "compile", "for_training"]
