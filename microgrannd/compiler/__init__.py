"""From a function of scalars to the straight-line program a person would have derived; README.md has the way."""

from microgrannd.compiler.fitting import for_training
from microgrannd.compiler.profiles import ProgramProfile
from microgrannd.compiler.program import Program, compile
from microgrannd.compiler.tape.tape import Tape

__all__ = ["Program", "ProgramProfile", "Tape", "compile", "for_training"]
