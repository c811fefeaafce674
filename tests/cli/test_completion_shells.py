"""Completion in real shells: what a user types, what becomes of the line, and what the screen shows."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.shells import TAB, Terminal, machine, missing, terminal

pytestmark = pytest.mark.process

SHELLS = ("bash", "zsh", "fish")

ODD = (
    "$(touch ran)",
    "`touch ran`",
    "; touch ran;",
    'it\'s: "a" !b \\c',
    "x&touch ran|y>z<w",
    "*?[a]{b,c}~#%=é",
    " blank ",
)
"""Names that a file may have, and a profile may not: to remove one, its name must be typed."""

QUOTES = 'it\'s: "a" !b \\c'

UNSEEN = ("a\nb", "a\x1b[2Jb", "a\tb", "\u202eab", "-q")
"""Names that cannot be shown, or would be options."""

CONFIG = """[profiles.acme]
provider = "webex"
access_token_command = "touch ran"
[profiles.lab]
provider = "kazoo"
"""


@pytest.fixture(scope="module", params=SHELLS)
def shell(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    """Return one shell for all tests. Each line begins empty."""
    if why := missing(request.param):
        pytest.skip(why)
    folder = tmp_path_factory.mktemp(request.param)
    (folder / ".config" / "cdrctl").mkdir(parents=True)
    (folder / "out dir").mkdir()
    (folder / "notes.csv").touch()
    environ = machine(folder, CDRCTL_CONFIG=str(folder / "config.toml"))
    configure(folder, CONFIG)
    with terminal(request.param, folder, environ) as opened:
        yield opened
    assert not (folder / "ran").exists()


def configure(folder: Path, text: str) -> None:
    (folder / "config.toml").write_text(text, encoding="utf-8")


def test_lines_are_completed(shell: Terminal) -> None:
    """One test for many lines, because a shell takes longer to start than to complete a line."""
    comma = "" if shell.shell in {"bash", "zsh"} else " "  # fish adds a space after each word
    for begun, whole in (
        ("cdrctl web", "cdrctl webex "),
        ("cdrctl webex cdrs --fo", "cdrctl webex cdrs --format "),
        ("cdrctl webex cdrs -p a", "cdrctl webex cdrs -p acme "),
        ("cdrctl kazoo cdrs --profile=l", "cdrctl kazoo cdrs --profile=lab "),
        ("cdrctl webex cdrs -f c", "cdrctl webex cdrs -f csv "),
        ("cdrctl webex cdrs --format=c", "cdrctl webex cdrs --format=csv "),
        ("cdrctl webex cdrs -fc", "cdrctl webex cdrs -fcsv "),
        ("cdrctl webex cdrs --tz Europe/Berl", "cdrctl webex cdrs --tz Europe/Berlin "),
        ("cdrctl webex cdrs --tz=Europe/Berl", "cdrctl webex cdrs --tz=Europe/Berlin "),
        ("cdrctl webex cdrs --since yes", "cdrctl webex cdrs --since yesterday "),
        ("cdrctl webex cdrs --since 2026-11-19T08:0", "cdrctl webex cdrs --since 2026-11-19T08:0"),
        ("cdrctl webex cdrs --fields start_time,answer_t", f"cdrctl webex cdrs --fields start_time,answer_time{comma}"),
        ("cdrctl webex cdrs --schema common --fields=q", f"cdrctl webex cdrs --schema common --fields=queue{comma}"),
        ("cdrctl callgear legs --orderby duration:", "cdrctl callgear legs --orderby duration:desc "),
        ("cdrctl portsip reports create --type=NOR", "cdrctl portsip reports create --type=NORMAL "),
        ("cdrctl sandbox serve --switch webex.lin", "cdrctl sandbox serve --switch webex.link="),
        ("cdrctl sandbox serve --switch webex.link=do", "cdrctl sandbox serve --switch webex.link=doc "),
        ("cdrctl voicenter cdrs --type Inc", "cdrctl voicenter cdrs --type Incoming\\ Call "),
        ("cdrctl voicenter cdrs --type 'Inc", "cdrctl voicenter cdrs --type 'Incoming Call' "),
        ('cdrctl voicenter cdrs --type "Inc', 'cdrctl voicenter cdrs --type "Incoming Call" '),
        ("cdrctl fields portsip reports lis", "cdrctl fields portsip reports list "),
        ("cdrctl webex cdrs -o no", "cdrctl webex cdrs -o notes.csv "),
        ("cdrctl webex cdrs --output=no", "cdrctl webex cdrs --output=notes.csv "),
        ("cdrctl voicenter notifications no", "cdrctl voicenter notifications notes.csv "),
        ("cdrctl sync --into ou", "cdrctl sync --into out\\ dir/"),
        ("cdrctl webex cdrs > no", "cdrctl webex cdrs > notes.csv "),
        ("cdrctl webex cdrs --location no", "cdrctl webex cdrs --location no"),
        ("CDRCTL_PROFILE=x cdrctl web", "CDRCTL_PROFILE=x cdrctl webex "),
        ("./bin/cdrctl web", "./bin/cdrctl webex "),
        ("~/bin/cdrctl web", "~/bin/cdrctl webex "),
    ):
        assert shell.line(begun + TAB) == whole


def test_a_word_that_begins_with_a_quote_is_completed(shell: Terminal) -> None:
    """Each shell closes quotes in its own way, or leaves that to the user."""
    for begun in ("--fields 'start_time,", '--fields "start_time,', "'--fields=start_time,", "--fields=start\\_time,"):
        line = shell.line(f"cdrctl webex 'cdrs' {begun}answer_t{TAB}")
        assert line.rstrip("\"' ").replace("\\", "").endswith("start_time,answer_time")


def test_zsh_and_fish_show_descriptions(shell: Terminal) -> None:
    shell.line("cdrctl webex cdrs --fields answer" + TAB + TAB)
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shell.shown)
    assert "answer_indicator" in shown
    assert ("time of the answer" in shown) == (shell.shell != "bash")


def test_completed_names_are_quoted_for_the_shell(shell: Terminal) -> None:
    try:
        for odd in ODD:
            configure(shell.folder, f"[profiles.{json.dumps(odd)}]\n")
            line = shell.line("cdrctl profile remove " + TAB)
            assert read(shell, line) == ["profile", "remove", odd], line
        configure(shell.folder, f"[profiles.{json.dumps(QUOTES)}]\n")
        for begun in ("", "it", "'", "'it", '"it', "it\\'s"):
            line = shell.line(f"cdrctl profile remove {begun}{TAB}")
            if shell.shell == "zsh" and '"' in begun:  # interactive zsh itself takes \\! for ! within these
                line = line.replace("\\!", "!")
            assert read(shell, line) == ["profile", "remove", QUOTES], line
    finally:
        configure(shell.folder, CONFIG)


def read(shell: Terminal, line: str) -> list[str]:
    """Return the words of a line as the shell passes them to a command."""
    define = {
        "fish": "function cdrctl; printf '%s\\0' $argv; end\n",
        "zsh": "cdrctl() { printf '%s\\0' \"$@\" }\n",
        "bash": "cdrctl() { printf '%s\\0' \"$@\"; }\n",
    }
    ran = subprocess.run(
        [shell.shell, "--no-config" if shell.shell == "fish" else "-f", "-c", define[shell.shell] + line],
        cwd=shell.folder,
        env={"HOME": str(shell.folder), "PATH": os.environ["PATH"], "LANG": "C.UTF-8"},
        capture_output=True,
        check=True,
        text=True,
        timeout=60,
    )
    return ran.stdout.split("\0")[:-1]


def test_names_with_control_characters_are_not_offered(shell: Terminal) -> None:
    text = "".join(f"[profiles.{json.dumps(name)}]\n" for name in UNSEEN)
    configure(shell.folder, text)
    try:
        assert shell.line("cdrctl profile remove " + TAB) == "cdrctl profile remove "
        assert "[2J" not in shell.shown.replace("\x1b[2J", "", 0 if shell.shell == "bash" else 1)
        configure(shell.folder, text + "[profiles.fine]\n")
        assert shell.line("cdrctl profile remove " + TAB) == "cdrctl profile remove fine "
    finally:
        configure(shell.folder, CONFIG)


@pytest.mark.parametrize("broken", ["[profiles", "profiles = 1", "\x00"])
def test_a_broken_configuration_prints_no_error(shell: Terminal, broken: str) -> None:
    configure(shell.folder, broken)
    try:
        assert shell.line("cdrctl webex cdrs -p acm" + TAB) == "cdrctl webex cdrs -p acm"
        assert not re.search("Traceback|Error|TOML", shell.shown)
    finally:
        configure(shell.folder, CONFIG)


def test_a_wrapper_that_clears_the_environment_runs_no_command(shell: Terminal) -> None:
    """Without the variables of completion the program gets no words, and so shows its help."""
    wrapper = shell.folder / "lost" / "cdrctl"
    wrapper.parent.mkdir(exist_ok=True)
    given = shell.folder / "given"
    wrapper.write_text(f'#!/bin/sh\necho "$#" >> {shlex.quote(str(given))}\n', encoding="utf-8")
    wrapper.chmod(0o755)
    given.unlink(missing_ok=True)
    shell.line("./lost/cdrctl profile remove " + TAB)
    assert set(given.read_text(encoding="utf-8").split()) == {"0"}


@pytest.mark.skipif(missing("fish") is not None, reason=str(missing("fish")))
def test_fish_lists_candidates_with_descriptions(tmp_path: Path) -> None:
    environ = machine(tmp_path)
    told = f"source {tmp_path}/completions/cdrctl.fish; complete -C 'cdrctl webex cdrs --schema '"
    ran = subprocess.run(
        ["fish", "--no-config", "-c", told], env=environ, capture_output=True, check=True, text=True, timeout=60
    )
    lines = ran.stdout.splitlines()
    assert [line.split("\t")[0] for line in lines] == ["native", "common", "raw"]
    assert lines[1].split("\t")[1] == "one CDR for all providers"
