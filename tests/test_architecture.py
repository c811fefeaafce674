"""The layout of the code: which rooms may import each other, and how long files, classes and functions may be."""

from __future__ import annotations

import ast
import functools
import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

import cdrctl
from cdrctl import errors
from cdrctl.errors import CdrctlError
from tests.support.products import for_each

ROOT = Path(cdrctl.__file__).parent
FILES = sorted(path for path in ROOT.rglob("*.py"))

# The rooms that each room may import, besides itself.
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
    "digests": set(),
    "profile_changes": {"errors", "fetchers", "profiles"},
    "profiles": {"errors", "tags", "commands", "masking", "private", "digests", "secret_files", "fetchers"},
    "export": {
        *("errors", "threads", "windows", "records", "duplicates", "contents", "conditions", "sorting", "fetchers"),
        *("mending", "writers"),
    },
    "archive": {
        *("errors", "windows", "threads", "digests", "records", "fetchers", "writers", "export", "calls", "figures"),
    },
    "calls": {"errors", "windows", "records", "sorting", "fetchers", "export"},
    "figures": {"errors", "records", "conditions", "calls", "writers"},
    "sandbox": set(),
    "connecting": {"errors", "fetchers", "http", "profiles", "sandbox"},
    "units": {
        *("archive", "connecting", "digests", "errors", "export", "fetchers", "http", "masking", "profiles", "records"),
        *("threads", "windows"),
    },
    "cli": {
        *("errors", "windows", "records", "http", "fetchers", "writers", "profiles", "export", "archive"),
        *("conditions", "sorting", "sandbox", "zones", "masking", "private", "threads", "profile_changes"),
        *("connecting", "calls", "figures", "units"),
    },
    "api": {
        *("connecting", "errors", "export", "fetchers", "http", "masking", "profiles", "records", "windows"),
        "writers",
    },
    "__main__": {"cli"},
    "__init__": {"api"},
}


DOORS: dict[str, set[str]] = {"archive/__init__.py": {"units"}}
"""Files that show a part of the library at its public name, and load it on first use."""


@functools.cache
def tree(path: Path) -> ast.Module:
    """Return the syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"))


@functools.cache
def nodes(path: Path) -> list[ast.AST]:
    """Return all nodes of the syntax tree of a file."""
    return list(ast.walk(tree(path)))


def name(path: Path) -> str:
    """Return the path of a file below the package."""
    return path.relative_to(ROOT).as_posix()


def room(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported(path: Path) -> Iterator[str]:
    """Yield the full names of modules that a file imports, anywhere in it."""
    for node in nodes(path):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: relative imports hide who knows whom"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def rooms_known(path: Path) -> set[str]:
    names = [one.split(".") for one in imported(path)]
    return {parts[1] for parts in names if parts[0] == "cdrctl" and len(parts) > 1} - {"__version__", "PROVIDERS"}


def known_to(path: Path) -> set[str]:
    """Return the rooms that a file may import."""
    return KNOWS[room(path)] | {room(path)} | DOORS.get(name(path), set())


@pytest.mark.slow
def test_a_room_imports_only_the_rooms_below_it() -> None:
    wrong = {name(path): rooms_known(path) - known_to(path) for path in FILES}
    assert not {path: rooms for path, rooms in wrong.items() if rooms}


@for_each("provider", cdrctl.PROVIDERS)
def test_a_provider_imports_no_other_provider(provider: str) -> None:
    others = {f"cdrctl.fetchers.{name}" for name in cdrctl.PROVIDERS if name != provider}
    for path in (ROOT / "fetchers" / provider).rglob("*.py"):
        assert not {one for one in imported(path) if ".".join(one.split(".")[:3]) in others}


def test_the_shared_parts_of_fetchers_import_no_provider() -> None:
    for path in (ROOT / "fetchers").glob("*.py"):
        assert not {one for one in imported(path) if one.split(".")[2:3] and one.split(".")[2] in cdrctl.PROVIDERS}


HTTPX = {"httpx", "httpcore", "h11", "anyio"}
PRIVATE_NAMES_OF_HTTPX = ("httpx._main",)
"""The first would load rich and pygments: see `cdrctl.http.transport.load_httpx`."""


def test_one_module_imports_httpx() -> None:
    named = [path for path in FILES if any(word in path.read_text(encoding="utf-8") for word in HTTPX)]
    users = {name(path) for path in named if HTTPX & {one.split(".")[0] for one in imported(path)}}
    assert users == {"http/transport.py"}


def test_httpx_is_imported_with_the_first_client_and_not_before() -> None:
    first = [node for node in tree(ROOT / "http/transport.py").body if isinstance(node, ast.Import | ast.ImportFrom)]
    assert not HTTPX & {one for node in first for one in _names(node)}


@pytest.mark.parametrize("private", PRIVATE_NAMES_OF_HTTPX)
def test_the_private_names_of_httpx_that_we_use_exist(private: str) -> None:
    assert importlib.util.find_spec(private) is not None, f"{private} is gone: remove what uses it in http/transport.py"


def _names(node: ast.Import | ast.ImportFrom) -> set[str]:
    if isinstance(node, ast.ImportFrom):
        return {(node.module or "").split(".")[0]}
    return {alias.name.split(".")[0] for alias in node.names}


def test_only_the_command_line_prints() -> None:
    assert not [
        f"{name(path)}:{node.lineno}"
        for path in FILES
        if room(path) not in {"cli", "__main__"}
        for node in nodes(path)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]


LONGEST = {"file": 500, "class": 250, "function": 50}
"""Lines. A longer one is harder to read than the parts it can be divided into."""


def has_too_many_lines(path: Path) -> bool:
    return path.read_text(encoding="utf-8").count("\n") > LONGEST["file"]


def longer(path: Path) -> Iterator[str]:
    """Yield the names of a file, its classes and its functions that exceed their limits."""
    if has_too_many_lines(path):
        yield name(path)
    for node in nodes(path):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            kind = "class" if isinstance(node, ast.ClassDef) else "function"
            if (node.end_lineno or 0) - node.lineno + 1 > LONGEST[kind]:
                yield f"{name(path)}:{node.name}"


def test_no_file_class_or_function_is_too_long() -> None:
    assert not [one for path in FILES for one in longer(path)]


def test_no_file_of_tests_tools_or_benchmarks_is_too_long() -> None:
    """Only files are limited: a test class or a table of parameters may be as long as its file."""
    folders = [Path(__file__).parents[1] / name for name in ("tests", "tools", "benchmarks")]
    paths = [path for folder in folders for path in sorted(folder.rglob("*.py"))]
    assert paths
    assert not [str(path) for path in paths if has_too_many_lines(path)]


TAKES_TEXT_TO_PIECES = {
    *("startswith", "endswith", "removeprefix", "removesuffix", "partition", "rpartition", "split", "replace"),
    *("find", "index", "search", "match", "fullmatch", "findall"),
}


def test_every_error_has_a_next_step() -> None:
    """The rest are quoted in the message of another error, which has the step."""
    kinds = {word for word, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, CdrctlError)}
    found = {
        name(path)
        for path in FILES
        if room(path) != "sandbox"
        for node in nodes(path)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in kinds
        if not {"hint", None} & {one.arg for one in node.keywords}
    }
    assert found <= {
        *("http/exchange.py", "fetchers/portsip/details.py", "cli/archive_status.py", "archive/sync.py"),
        *("archive/ledger.py", "archive/ledger2.py"),
    }


def test_the_program_never_parses_its_own_messages() -> None:
    """Errors and messages carry a code, or their parts: see `cdrctl.errors`."""
    assert not [f"{name(path)}:{line}" for path in FILES for line in parsed_messages(path)]


def parsed_messages(path: Path) -> Iterator[int]:
    """Yield the lines that compare or split the message, the quotation or the hint of an error."""
    for node in nodes(path):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            looked_at = [node.func.value, *node.args] if node.func.attr in TAKES_TEXT_TO_PIECES else []
        elif isinstance(node, ast.Compare) and not isinstance(node.ops[0], ast.Is | ast.IsNot):
            looked_at = [node.left, *node.comparators]
        else:
            continue
        if {one.attr for one in looked_at if isinstance(one, ast.Attribute)} & {"message", "said", "hint"}:
            yield node.lineno


def test_only_the_adapter_imports_typer_by_its_public_names() -> None:
    """Names such as `typer.Typer`, not its modules, and not Click, which it no longer uses."""
    names = {(name(path), one) for path in FILES for one in imported(path) if one.split(".")[0] in {"typer", "click"}}
    assert names == {("cli/typer_adapter.py", "typer")}
    used = {
        node.attr
        for node in nodes(ROOT / "cli/typer_adapter.py")
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "typer"
    }
    assert used <= {"Argument", "Context", "Option", "Typer"}
