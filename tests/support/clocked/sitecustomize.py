"""Lets an installed program, too, run by the tests' clock: Python loads this file where its folder is in PYTHONPATH.

It must not import what is in the repository, whose `cdrctl` would stand before the one that is installed.
"""

import runpy
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType


class _Finder:
    """Finds `cdrctl.cli.process`, and hands it the clock when it is loaded."""

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
