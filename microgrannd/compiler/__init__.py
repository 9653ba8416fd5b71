"""From a function of scalars to the straight-line program a person would have derived; README.md has the way."""

from microgrannd.compiler.fitting import for_training
from microgrannd.compiler.program import Program, compile
from microgrannd.compiler.tape.tape import Tape

__all__ = ["Program", "Tape", "compile", "for_training"]


def __getattr__(name: str) -> object:
    if name == "ProgramProfile":  # whose room is loaded when a program is profiled
        from microgrannd.compiler.profiles import ProgramProfile

        return ProgramProfile
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
