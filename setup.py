"""The optional compiled build; all else is declared in setup.cfg.

`MICROGRANND_COMPILED=1 pip install .` compiles the files below with Cython: the files that people read,
no others. The `.pxd` beside two of them declares C types and nothing else. Where there is no C compiler,
the build is the pure one. `microgrannd --version` says which one runs.
"""

import os
import sys

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

MODULES = ("ieee", "operations", "engine", "modules", "nn", "optim")
# MICROGRANND_MYPYC is the first name of the switch: mypyc was tried before Cython.
WANTED = any(os.environ.get(name, "0") not in ("", "0") for name in ("MICROGRANND_COMPILED", "MICROGRANND_MYPYC"))


class OptionalBuild(build_ext):
    """Compiles all of the modules, or none of them and says why."""

    def run(self) -> None:
        """Compile, and on any error leave the pure build."""
        try:
            from Cython.Build import cythonize

            in_c = cythonize(
                self.extensions,
                build_dir=self.build_temp,
                # An annotation has Python's meaning, in which a float may be an int.
                compiler_directives={"language_level": 3, "annotation_typing": False},
            )
            for extension, translated in zip(self.extensions, in_c, strict=True):
                extension.sources = translated.sources
            super().run()
        except Exception as error:
            print(f"microgrannd: not compiled, the pure build is installed: {error}", file=sys.stderr)
            for path in self.get_outputs():
                if os.path.exists(path):
                    os.remove(path)
            self.extensions = []


setup(
    ext_modules=[
        # No fused multiply-add, so that every build gives the same numbers to the last bit.
        Extension(f"microgrannd.{name}", [f"microgrannd/{name}.py"], extra_compile_args=["-O3", "-ffp-contract=off"])
        for name in MODULES
        if WANTED
    ],
    setup_requires=["cython>=3.1"] if WANTED else [],
    cmdclass={"build_ext": OptionalBuild},
)
