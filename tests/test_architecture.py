"""The rooms and the one direction in which they know each other."""

from __future__ import annotations

import ast
import functools
import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

import cdrctl

ROOT = Path(cdrctl.__file__).parent
FILES = sorted(path for path in ROOT.rglob("*.py"))

# What each room may know of the others, besides itself.
KNOWS: dict[str, set[str]] = {
    "errors": set(),
    "zones": {"errors"},
    "windows": {"errors", "zones"},
    "placeholders": set(),
    "damage": set(),
    "records": {"errors", "windows", "placeholders", "damage"},
    "mending": {"damage", "records"},
    "duplicates": set(),
    "contents": {"records"},
    "conditions": {"errors", "windows", "records"},
    "sorting": {"errors", "records", "conditions"},
    "http": {"errors", "threads", "windows", "records", "damage"},
    "fetchers": {"errors", "tags", "windows", "placeholders", "records", "duplicates", "contents", "http"},
    "writers": {"errors", "windows", "zones", "records", "conditions"},
    "masking": set(),
    "tags": set(),
    "threads": {"errors"},
    "commands": set(),
    "secret_files": {"commands"},
    "private": {"errors"},
    "profile_changes": {"errors", "fetchers", "profiles"},
    "profiles": {"errors", "tags", "commands", "masking", "private", "secret_files", "fetchers"},
    "export": {
        *("errors", "threads", "windows", "records", "duplicates", "contents", "conditions", "sorting", "fetchers"),
        *("mending", "writers"),
    },
    "archive": {"errors", "windows", "records", "fetchers", "writers", "export"},
    "sandbox": set(),
    "connecting": {"errors", "fetchers", "http", "profiles", "sandbox"},
    "cli": {
        *("errors", "windows", "records", "http", "fetchers", "writers", "profiles", "export", "archive"),
        *("conditions", "sorting", "sandbox", "zones", "masking", "private", "threads", "profile_changes"),
        "connecting",
    },
    "api": {
        *("connecting", "errors", "export", "fetchers", "http", "masking", "profiles", "records", "windows"),
        "writers",
    },
    "__main__": {"cli"},
    "__init__": {"api"},
}


@functools.cache
def tree(path: Path) -> ast.Module:
    """Return a file as Python reads it."""
    return ast.parse(path.read_text(encoding="utf-8"))


def room(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported(path: Path) -> Iterator[str]:
    """Yield the full names of modules that a file imports, anywhere in it."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: relative imports hide who knows whom"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def rooms_known(path: Path) -> set[str]:
    names = [name.split(".") for name in imported(path)]
    return {parts[1] for parts in names if parts[0] == "cdrctl" and len(parts) > 1} - {"__version__", "PROVIDERS"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_room_knows_only_the_rooms_below_it(path: Path) -> None:
    assert rooms_known(path) <= KNOWS[room(path)] | {room(path)}


@pytest.mark.parametrize("provider", cdrctl.PROVIDERS)
def test_a_provider_knows_no_other_provider(provider: str) -> None:
    others = {f"cdrctl.fetchers.{name}" for name in cdrctl.PROVIDERS if name != provider}
    for path in (ROOT / "fetchers" / provider).rglob("*.py"):
        assert not {name for name in imported(path) if ".".join(name.split(".")[:3]) in others}


def test_the_shared_parts_of_fetchers_know_no_provider() -> None:
    for path in (ROOT / "fetchers").glob("*.py"):
        assert not {name for name in imported(path) if name.split(".")[2:3] and name.split(".")[2] in cdrctl.PROVIDERS}


HTTPX = {"httpx", "httpcore", "h11", "anyio"}
PRIVATE_NAMES_OF_HTTPX = ("httpx._main",)
"""The first would load rich and pygments: see `cdrctl.http.transport.load_httpx`."""


def test_one_module_imports_httpx() -> None:
    users = {
        path.relative_to(ROOT).as_posix() for path in FILES if HTTPX & {name.split(".")[0] for name in imported(path)}
    }
    assert users == {"http/transport.py"}


def test_httpx_is_imported_with_the_first_client_and_not_before() -> None:
    nodes = tree(ROOT / "http/transport.py").body
    at_once = [node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]
    assert not HTTPX & {name for node in at_once for name in _names(node)}


@pytest.mark.parametrize("name", PRIVATE_NAMES_OF_HTTPX)
def test_the_private_names_of_httpx_that_are_used_still_exist(name: str) -> None:
    assert importlib.util.find_spec(name) is not None, f"{name} is gone: remove what uses it in http/transport.py"


def _names(node: ast.Import | ast.ImportFrom) -> set[str]:
    if isinstance(node, ast.ImportFrom):
        return {(node.module or "").split(".")[0]}
    return {alias.name.split(".")[0] for alias in node.names}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_the_command_line_prints(path: Path) -> None:
    if room(path) in {"cli", "__main__"}:
        return
    calls = [node for node in ast.walk(tree(path)) if isinstance(node, ast.Call)]
    assert not [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "print"]


LONGEST = {"file": 500, "class": 250, "function": 50}
"""Lines. A longer one is harder to read than the parts it can be divided into."""

TOO_LONG = {"fetchers/kazoo/answers.py:error_for"}
"""What is still to be divided. Nothing may be added."""


def longer(path: Path) -> Iterator[str]:
    """Yield the names of a file, its classes and its functions that are longer than they may be."""
    text, name = path.read_text(encoding="utf-8"), path.relative_to(ROOT).as_posix()
    if text.count("\n") > LONGEST["file"]:
        yield name
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            kind = "class" if isinstance(node, ast.ClassDef) else "function"
            if (node.end_lineno or 0) - node.lineno + 1 > LONGEST[kind]:
                yield f"{name}:{node.name}"


def test_nothing_is_too_long_but_what_is_listed() -> None:
    assert {one for path in FILES for one in longer(path)} <= TOO_LONG


TAKES_TEXT_TO_PIECES = {
    *("startswith", "endswith", "removeprefix", "removesuffix", "partition", "rpartition", "split", "replace"),
    *("find", "index", "search", "match", "fullmatch", "findall"),
}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_message_of_an_error_is_taken_to_pieces(path: Path) -> None:
    """Errors and messages carry a code, or their parts: see `cdrctl.errors`."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            looked_at = [node.func.value, *node.args] if node.func.attr in TAKES_TEXT_TO_PIECES else []
        elif isinstance(node, ast.Compare) and not isinstance(node.ops[0], ast.Is | ast.IsNot):
            looked_at = [node.left, *node.comparators]
        else:
            continue
        words = {one.attr for one in looked_at if isinstance(one, ast.Attribute)}
        assert not words & {"message", "said", "hint"}, f"{path}:{node.lineno}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_the_adapter_imports_typer_by_its_public_names(path: Path) -> None:
    """Names such as `typer.Typer`, not its modules, and not Click, which it no longer uses."""
    names = {name for name in imported(path) if name.split(".")[0] in {"typer", "click"}}
    assert names <= ({"typer"} if path.relative_to(ROOT).as_posix() == "cli/typer_adapter.py" else set())
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "typer":
            assert node.attr in {"Argument", "Context", "Option", "Typer"}
