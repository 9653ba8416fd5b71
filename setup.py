"""The optional compiled build; all else is declared in setup.cfg.

`MICROGRANND_COMPILED=1 pip install .` compiles the engine's own files with Cython: the files that people read, as
`compiled/sources.py` hands them over. Where there is no C compiler, the build is the pure one.
`microgrannd --version` says which one runs.
"""

import os
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

HERE = Path(__file__).parent
MODULES = (
    "ground.ieee",
    "operations",
    "engine",
    "nodes.freeing",
    "nodes.rows",
    "learning.modules",
    "learning.optimizer",
    "nn",
    "optim",
)
WANTED = os.environ.get("MICROGRANND_COMPILED", "0") not in ("", "0")


class OptionalBuild(build_ext):
    """Compiles all of the modules, or none of them and says why."""

    def run(self) -> None:
        """Compile, and on any error leave the pure build."""
        try:
            self.translate()
            super().run()
        except Exception as error:
            print(f"microgrannd: not compiled, the pure build is installed: {error}", file=sys.stderr)
            for path in self.get_outputs():
                if os.path.exists(path):
                    os.remove(path)
            self.extensions = []

    def translate(self) -> None:
        """From Python to C, in the folder of the build."""
        from Cython.Build import cythonize
        from Cython.Compiler.Options import directive_scopes

        sys.path.insert(0, str(HERE))
        from compiled import sources

        folder = Path(self.build_temp) / "sources"
        sources.write(folder)
        for extension in self.extensions:
            path = folder / extension.name.replace(".", "/")
            [source] = [path.with_suffix(kind) for kind in (".py", ".pyx") if path.with_suffix(kind).exists()]
            extension.sources = [str(source)]
        directive_scopes["no_gc"] = ("cclass", "class")  # in a .py file, too
        in_c = cythonize(
            self.extensions,
            include_path=[str(folder)],
            # An annotation has Python's meaning, in which a float may be an int.
            compiler_directives={"language_level": 3, "annotation_typing": False},
        )
        for extension, translated in zip(self.extensions, in_c, strict=True):
            extension.sources = translated.sources


setup(
    ext_modules=[
        # No fused multiply-add, so that every build gives the same numbers to the last bit.
        Extension(f"microgrannd.{name}", [], extra_compile_args=["-O3", "-ffp-contract=off"])
        for name in MODULES
        if WANTED
    ],
    setup_requires=["cython>=3.1"] if WANTED else [],
    cmdclass={"build_ext": OptionalBuild},
)
