"""Start-up time depends on imports: which modules each command must not load."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Collection
from pathlib import Path

import pytest

from cdrctl import PROVIDERS, __main__, __version__, sandbox
from cdrctl.cli import app
from cdrctl.cli.completion import answer
from cdrctl.cli.completion.files import FILE
from tests.support import forks
from tests.support.products import for_each
from tests.support.program import shared
from tools.completion import described

ROOT = Path(__file__).parents[1]

NEVER = {
    *("rich", "pygments", "markdown_it"),  # only for tables
    *("dateutil", "keyring", "tomlkit", "sqlite3", "platformdirs", "cdrctl.sandbox", "cdrctl.archive"),
    *("asyncio", "anyio._core", "anyio._backends", "multiprocessing", "concurrent.futures"),  # httpcore looks for anyio
}
"""Modules that none of these commands needs."""

ASKING = {"httpx", "httpcore", "h11", "ssl", "http.client", "http.cookiejar", "certifi", "email.utils"}
READING = {"pydantic", "cdrctl.fetchers", "cdrctl.records", "cdrctl.windows", "cdrctl.http"}
EXPORTING = {"cdrctl.cli.exporting", "cdrctl.export", "cdrctl.profiles", "cdrctl.writers", "filelock"}
OTHERS = {f"cdrctl.cli.{name}" for name in ("archive", "init", "doctor", "fields", "profile", "sandbox", "export")}
OTHER_PROVIDERS = {f"cdrctl.fetchers.{name}" for name in PROVIDERS if name != "webex"}
PARSING = {"typer", "pydantic_core", "inspect", "pathlib", "subprocess", "cdrctl.cli.app"}


def loaded(folder: Path, *words: str, program: str = "cdrctl", **environ: str) -> tuple[set[str], str]:
    """Return the modules that a command loaded, and its output. `program` is the module that is run."""
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "SYSTEMROOT", "PYTHONPATH"}}
    kept["PYTHONPATH"] = os.pathsep.join(filter(None, (str(ROOT), kept.get("PYTHONPATH", ""))))
    ran = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", program, *words],
        env={**kept, **shared(), "HOME": str(folder), **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    lines = [line for line in ran.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip() for line in lines}, ran.stdout


def completed(folder: Path, **environ: str) -> str:
    """Return what the program printed, in a fork, for these variables of a shell."""
    kept = {"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C", "PYTHONPATH": str(ROOT), **shared()}
    environ = {**kept, "PYTHONDONTWRITEBYTECODE": "1", **environ}
    words = forks.command(environ)
    ran = subprocess.run(words, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True)
    return ran.stdout


def among(modules: Collection[str], unwanted: Collection[str]) -> set[str]:
    """Return the loaded modules that are unwanted or in an unwanted package."""
    return {name for name in modules if any(name == one or name.startswith(f"{one}.") for one in unwanted)}


@pytest.mark.process
@pytest.mark.parametrize(
    ("words", "unwanted", "printed"),
    [
        (["--version"], PARSING | READING | ASKING | EXPORTING | OTHERS | {"json", "re", "cdrctl.cli"}, "cdrctl "),
        ([], PARSING | READING | ASKING | EXPORTING | OTHERS | {"json", "re", "textwrap"}, "cdrctl "),
        (["--help"], READING | ASKING | EXPORTING | OTHERS | {"pydantic_core"}, "Usage: "),
        (["webex", "--help"], ASKING | EXPORTING | OTHERS | OTHER_PROVIDERS, "Usage: "),
        (["webex", "cdrs", "--help"], ASKING | EXPORTING | OTHERS | OTHER_PROVIDERS, "Usage: "),
        (["init", "--help"], ASKING | EXPORTING | {"pydantic_core", "cdrctl.fetchers", "cdrctl.http"}, "Usage: "),
        (["doctor", "--help"], ASKING | EXPORTING | {"pydantic_core", "cdrctl.fetchers", "cdrctl.http"}, "Usage: "),
        (["profile", "--help"], READING | ASKING | EXPORTING | {"pydantic_core"}, "Usage: "),
        (["help", "times"], READING | ASKING | EXPORTING | OTHERS | {"pydantic_core"}, "How to write times"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_help_loads_only_what_it_needs(tmp_path: Path, words: list[str], unwanted: set[str], printed: str) -> None:
    modules, out = loaded(tmp_path, *words)
    assert out.startswith(printed)
    assert among(modules, NEVER | unwanted) == set()


@pytest.mark.process
@pytest.mark.parametrize("provider", ["portsip", "voicenter"])
def test_an_export_does_not_load_pydantic(tmp_path: Path, provider: str) -> None:
    """A list or an object that is not empty is written by it: the hour, by the tests' clock, has no such value."""
    words = (provider, "cdrs", "-p", "sandbox", "--since", "2h", "--until", "1h", "-f", "csv", "-q")
    modules, out = loaded(tmp_path, *words, program="tests.support.program")
    assert len(out.splitlines()) > 1
    assert among(modules, {"pydantic", "pydantic_core", "rich"}) == set()


@pytest.mark.process
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
@pytest.mark.parametrize(
    ("words", "expected"),
    [("cdrctl we", "webex"), ("cdrctl portsip reports ", "list"), ("cdrctl webex cdrs -q --fo", "--format")],
)
def test_completion_loads_nothing_but_its_file(tmp_path: Path, shell: str, words: str, expected: str) -> None:
    modules, out = loaded(tmp_path, **asked(shell, words))
    assert expected in out
    assert among(modules, NEVER | PARSING | READING | ASKING | EXPORTING | OTHERS) == set()


@pytest.mark.process
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
@pytest.mark.parametrize(
    ("words", "expected", "needed"),
    [
        ("cdrctl we", "webex", set()),
        ("cdrctl webex cdrs --for", "--format", set()),
        ("cdrctl webex cdrs -f js", "jsonl", set()),
        ("cdrctl webex cdrs --fields start_time,answer_t", "answer_time", set()),
        ("cdrctl portsip reports create --type NOR", "NORMAL", set()),
        ("cdrctl sandbox serve --switch webex.li", "webex.link=", set()),
        ("cdrctl webex cdrs --tz Europe/Berl", "Europe/Berlin", {"zoneinfo"}),
        ("cdrctl webex cdrs -p sand", "sandbox", {"tomllib", "platformdirs", "pathlib"}),
        ("cdrctl webex cdrs --config none -p sand", "sandbox", {"tomllib"}),
    ],
)
def test_completion_of_values_loads_only_what_it_needs(
    tmp_path: Path, shell: str, words: str, expected: str, needed: set[str]
) -> None:
    line = words if shell == "bash" else words.replace(" ", "\x1f")
    modules, out = loaded(tmp_path, _CDRCTL_COMPLETE=f"ask_{shell}", _CDRCTL_LINE=line)
    begun = words.rpartition(" ")[2].rpartition(",")[2]
    assert f"+{expected.removeprefix(begun)}\n" in out if shell == "bash" else expected in out
    everything = NEVER | PARSING | READING | ASKING | EXPORTING | OTHERS | {"zoneinfo", "tomllib", "dataclasses"}
    assert among(modules, everything - needed) == set()
    assert needed <= modules


def asked(shell: str, words: str) -> dict[str, str]:
    """Return the environment variables with which a shell asks for completion."""
    if shell == "bash":
        return {
            "_CDRCTL_COMPLETE": "complete_bash",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split(" ")) - 1),
        }
    return {
        "_CDRCTL_COMPLETE": f"complete_{shell}",
        "_TYPER_COMPLETE_ARGS": words,
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }


def test_completion_file_is_up_to_date() -> None:
    assert Path(FILE).read_text(encoding="utf-8") == described(), "run: python -m tools.completion"


@pytest.mark.process
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
@pytest.mark.parametrize(
    "words",
    [
        *("cdrctl ", "cdrctl p", "cdrctl -", "cdrctl x", "cdrctl nope ", "cdrctl -vq we", "cdrctl --config f we"),
        *("cdrctl webex ", "cdrctl webex cdrs ", "cdrctl webex cdrs -", "cdrctl webex cdrs --since ", "cdrctl"),
        *("cdrctl webex cdrs --since 24h -q --", "cdrctl portsip cdrs -vv -", "cdrctl webex cdrs --since --"),
        *("cdrctl webex cdrs -- -", "cdrctl webex cdrs --format=csv --f", "cdrctl sync a 'b c' --call x --c"),
        *("cdrctl -q --log-format json profile check x --p", "cdrctl webex cdrs --help -", "cdrctl -fcsv -"),
        *("cdrctl -q webex cdrs --q", "cdrctl export -p a -q --"),
    ],
)
def test_the_file_answers_as_typer_does(tmp_path: Path, shell: str, words: str) -> None:
    """The words and descriptions are equal, but Typer has the two names of `--help` in any order."""
    environ = {**asked(shell, words), "TERMINAL_WIDTH": "1000"}  # Typer wraps descriptions to this width
    from_file, code = answer(environ) or (completed(tmp_path, **environ), 0)  # Typer completes other words
    assert code == 0
    for name in {"COMP_WORDS", "_TYPER_COMPLETE_ARGS"} & set(environ):
        environ[name] = environ[name].replace("cdrctl", '"cdrctl"', 1)  # quotes are parsed by Typer
    by_typer = completed(tmp_path, **environ)
    one, other = re.compile(r'("?--help\b.*)\n("?-h\b.*?)(\)\)\'|)$'), r"\2\n\1\3"
    assert one.sub(other, from_file) == one.sub(other, by_typer)


PLAIN = {"_CDRCTL_COMPLETE": "complete_bash", "COMP_WORDS": "cdrctl webex ", "COMP_CWORD": "2"}


def test_plain_words_are_completed_from_the_file() -> None:
    assert answer(PLAIN) == ("cdrs\nstream\nlegs\n", 0)


@for_each(
    "odd",
    [
        *({"COMP_WORDS": f"cdrctl webex {odd} "} for odd in ("é", "'x'", '"x"', "\\x", "--format=csv")),
        *({"COMP_CWORD": odd} for odd in ("", "x", "-1", "0", "²")),
        {"COMP_WORDS": ""},
        {"COMP_WORDS": "cdrctl nope webex ", "COMP_CWORD": "3"},
        {"COMP_WORDS": "cdrctl --install-completion ", "COMP_CWORD": "2"},
        {"COMP_WORDS": "cdrctl webex cdrs --since -", "COMP_CWORD": "4"},
        {"_CDRCTL_COMPLETE": "complete_powershell", "_TYPER_COMPLETE_ARGS": "cdrctl webex "},
        {"_CDRCTL_COMPLETE": "source_bash"},
        {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"},
    ],
)
def test_other_words_are_left_to_typer(odd: dict[str, str]) -> None:
    assert answer({**PLAIN, **odd}) is None


@for_each(
    "items, action, answered",
    [
        ("cdrctl webex ", "is-args", ("", 0)),
        ("cdrctl webex cdrs ", "is-args", ("", 1)),
        ("cdrctl webex cdrs ", "get-args", ("\n", 0)),
    ],
)
def test_fish_first_asks_whether_there_are_items(items: str, action: str, answered: tuple[str, int]) -> None:
    environ = {"_TYPER_COMPLETE_ARGS": items, "_TYPER_COMPLETE_FISH_ACTION": action}
    assert answer({"_CDRCTL_COMPLETE": "complete_fish", **environ}) == answered


@for_each("name", app.COMMANDS)
def test_the_list_of_commands_has_the_first_paragraph_of_each(name: str) -> None:
    listed, itself = app.TOP.commands[name], app.load_command(name)
    assert listed.name == itself.name == name
    assert listed.about == " ".join(itself.about.partition("\n\n")[0].split())


def test_the_program_may_run_in_another_thread(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["cdrctl", "--version"])
    ended: list[BaseException | None] = []

    def run() -> None:
        try:
            __main__.main()
            ended.append(None)
        except BaseException as error:  # noqa: BLE001 - whatever ends the thread
            ended.append(error)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
    finally:
        signal.signal(signal.SIGINT, before)
    assert ended == [None]
    assert capsys.readouterr().out == f"cdrctl {__version__}\n"


@pytest.mark.process
def test_listing_profiles_loads_no_provider(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[profiles.acme]\nprovider = "webex"\naccess_token = "hush"\n', encoding="utf-8")
    config.chmod(0o600)
    modules, out = loaded(tmp_path, "--config", str(config), "profile", "list")
    assert out.startswith("acme\twebex\t")
    unwanted = READING | ASKING | (OTHERS - {"cdrctl.cli.profile"}) | {"cdrctl.cli.exporting", "cdrctl.export"}
    assert among(modules, NEVER | unwanted) == set()


@pytest.mark.process
def test_an_export_into_a_pipe_loads_its_own_provider_alone(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    with sandbox.start() as running:
        settings = {"provider": "webex", **running.credentials("webex", "access_token"), "requests_per_minute": 0}
        lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
        config.write_text("\n".join(["[profiles.acme]", *lines, ""]), encoding="utf-8")
        config.chmod(0o600)
        words = ("--config", str(config), "webex", "cdrs", "-p", "acme", "--since", "26h", "--until", "2h")
        modules, out = loaded(tmp_path, *words, "--limit", "1", "-f", "jsonl")
    assert json.loads(out)["start_time"]
    writers = {f"cdrctl.writers.{name}" for name in ("csv", "tsv", "json", "table", "separated")}
    others = {"typer._adapters", "typer.rich_utils", "cdrctl.fetchers.webex.legs_of_call", "pickle"}
    assert among(modules, NEVER | OTHERS | OTHER_PROVIDERS | writers | others) == set()
