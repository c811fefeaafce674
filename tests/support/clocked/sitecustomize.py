"""Lets an installed program use the tests' clock: Python loads this file if its folder is in PYTHONPATH.

It must not import anything from the repository, whose `cdrctl` would take the place of the installed one.
"""

import runpy
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType


class _Finder:
    """Finds `cdrctl.cli.process`, and gives it the clock when it has been loaded."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, _target: ModuleType | None = None, /
    ) -> ModuleSpec | None:
        if name != "cdrctl.cli.process":
            return None
        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(name, path)
        if spec is None or spec.loader is None:
            return spec
        load = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            load(module)
            runpy.run_path(str(Path(__file__).parents[1] / "program.py"))["hand_over"](module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


sys.meta_path.insert(0, _Finder())
