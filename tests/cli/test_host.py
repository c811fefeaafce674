"""A difficult host: closed pipes, full disks, no home, odd locales and narrow terminals."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import resource
import select
import struct
import termios
from pathlib import Path

import pytest
from rich.cells import cell_len

from tests.cli.host_kit import REPORT, SOME, heeded_signals, host, provider
from tests.support.host import A_DAY, PATIENCE, Host, Stalling, ended

__all__ = ["heeded_signals", "host", "provider"]  # fixtures

pytestmark = pytest.mark.process

# Pipes and streams

TALKATIVE = [
    "--help",
    "--version",
    "webex cdrs --help",
    "help times",
    "profile list",
    "fields webex cdrs",
    "sandbox switches",
    f"-q webex cdrs {' '.join(SOME)} -f table",
    f"-q export {' '.join(SOME)} -f csv",
    "plan sandbox",
]


@pytest.mark.parametrize("words", TALKATIVE)
def test_a_closed_pipe_is_not_an_error(host: Host, words: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    ran = host.run(*words.split(), stdout=writing)
    os.close(writing)
    assert (ran.returncode, ran.stderr) == (0, b"")


@pytest.mark.parametrize("words", [*TALKATIVE[:7], "plan sandbox"])
def test_a_full_disk_gives_the_exit_code_of_output(host: Host, words: str) -> None:
    with Path("/dev/full").open("wb") as full:
        ran = host.run(*words.split(), stdout=full)
    assert ran.returncode == 8, ran.stderr
    assert b"Traceback" not in ran.stderr


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (f"cdrctl webex cdrs {' '.join(SOME)} -o new.csv <&-", 0),
        (f"cdrctl webex cdrs {' '.join(SOME)} -o new.csv <&- >&- 2>&-", 0),
        (f"cdrctl webex cdrs {' '.join(SOME)} <&- >&- 2>&-", 8),
        ("cdrctl sync sandbox --into archive <&- >&- 2>&-", 0),
        ("cdrctl profile add acme --provider webex <&-", 2),
        ("cdrctl voicenter notifications - -o new.csv <&-", 0),
        ("cdrctl --help >&-", 0),
        ("cdrctl profile list >&-", 8),
        ("cdrctl fields webex cdrs >&-", 8),
    ],
)
def test_closed_streams_never_end_in_a_traceback(host: Host, line: str, code: int) -> None:
    ran = host.shell(line, itself=True)
    assert ran.returncode == code, ran.stderr
    assert b"Traceback" not in ran.stderr
    assert host.left_over() == []


# Disks and folders


def small_files() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, resource.RLIM_INFINITY))


@pytest.mark.parametrize("words", ["webex cdrs -f csv", "export -f jsonl", "kazoo cdrs -f json"])
def test_a_full_disk_keeps_the_old_file(host: Host, words: str) -> None:
    (host.folder / "old").write_text("old", encoding="utf-8")
    ran = host.run(*words.split(), *SOME, "-o", "old", preexec_fn=small_files)
    assert ran.returncode == 8, ran.stderr
    assert (host.folder / "old").read_text(encoding="utf-8") == "old"
    assert host.left_over() == []


def test_a_full_disk_keeps_the_old_report(host: Host, provider: Stalling) -> None:
    host.configure({"portsip": provider.settings("portsip")})
    provider.sandbox.switch("portsip", "report_delay", "0")
    (host.folder / "old").write_text("old", encoding="utf-8")
    ran = host.run(*REPORT.split(), "-o", "old", preexec_fn=small_files)
    assert ran.returncode == 8, ran.stderr
    assert (host.folder / "old").read_text(encoding="utf-8") == "old"
    assert host.left_over() == []


def test_a_full_disk_keeps_the_old_configuration(host: Host) -> None:
    host.configure({"one": {"provider": "voicenter", "code": "12345678"}})
    before = host.config.read_bytes()
    ran = host.run("profile", "add", "two", "--provider", "webex", input=b"token\nabcdefgh\n", preexec_fn=small_files)
    assert ran.returncode == 6, ran.stderr
    assert host.config.read_bytes() == before
    assert host.left_over() == []


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (f"webex cdrs {' '.join(SOME)} -o file/new.csv", 8),
        (f"webex cdrs {' '.join(SOME)} -o /sys/new.csv", 8),
        ("sync sandbox --into file/archive", 8),
        ("sync sandbox --into /sys/archive", 8),
        ("profile add acme --provider webex --with token --config file/config.toml", 6),
        ("profile add acme --provider webex --with token --config /sys/config.toml", 6),
    ],
)
def test_a_folder_that_cannot_be_written_is_reported_everywhere(host: Host, words: str, code: int) -> None:
    (host.folder / "file").touch()
    ran = host.run(*words.split(), input=b"abcdefgh\n")
    assert ran.returncode == code, ran.stderr
    assert b"Traceback" not in ran.stderr
    assert b"next: " in ran.stderr


# Homes

HOMES = {"missing": "{}/missing", "no folder": "/dev/null", "a file": "{}/file"}


@pytest.mark.parametrize("home", HOMES.values(), ids=HOMES)
def test_a_profile_in_the_environment_needs_no_home(host: Host, provider: Stalling, home: str) -> None:
    (host.folder / "file").touch()
    settings = provider.settings("voicenter")
    host.environ |= {f"CDRCTL_ACME_{key.upper()}": str(value) for key, value in settings.items()}
    host.environ["HOME"] = home.format(host.folder)
    ran = host.run("voicenter", "cdrs", *A_DAY)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.count(b"\n") > 10
    assert b"acme" in host.run("profile", "list").stdout


@pytest.mark.parametrize("home", HOMES.values(), ids=HOMES)
def test_the_sandbox_writes_nothing_into_the_home(host: Host, home: str) -> None:
    (host.folder / "file").touch()
    host.environ["HOME"] = home.format(host.folder)
    assert host.run("export", *SOME).returncode == 0
    assert [one.name for one in host.folder.iterdir()] == ["file"]


def test_a_token_that_could_not_be_stored_is_not_renewed(host: Host, provider: Stalling) -> None:
    settings = provider.settings("webex", "refresh_token")
    host.environ |= {f"CDRCTL_ACME_{key.upper()}": str(value) for key, value in settings.items()}
    host.environ["HOME"] = "/dev/null"
    ran = host.run("webex", "cdrs", *A_DAY)
    assert ran.returncode == 6, ran.stderr
    assert b"/dev/null/.config/cdrctl/tokens" in ran.stderr
    assert provider.sandbox.requests == []


# Locales and zones

LOCALES = {
    "C": {"LC_ALL": "C"},
    "no such": {"LC_ALL": "xx_YY"},
    "ASCII": {"PYTHONIOENCODING": "ascii"},
    "Latin-1": {"PYTHONIOENCODING": "latin-1"},
    "strict POSIX": {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
}
NAME = "שלום 🎉 Zoë"


@pytest.mark.parametrize(
    ("form", "locale"),
    [*(("csv", one) for one in LOCALES.values()), ("jsonl", LOCALES["ASCII"]), ("table", LOCALES["ASCII"])],
    ids=[*LOCALES, "ASCII-jsonl", "ASCII-table"],
)
def test_names_are_utf_8_whatever_the_locale(host: Host, form: str, locale: dict[str, str]) -> None:
    host.environ |= locale
    call = {"caller": "0720000001", "ivruniqueid": "1", "time": 1795000000, "representative_name": NAME}
    (host.folder / "captured.json").write_text(json.dumps(call, ensure_ascii=False), encoding="utf-8")
    words = ("voicenter", "notifications", "captured.json", "-f", form, "--fields", "representative_name")
    piped = host.run(*words)
    assert piped.returncode == 0, piped.stderr
    assert NAME in piped.stdout.decode()
    saved = host.run(*words, "-o", NAME)
    assert saved.returncode == 0, saved.stderr
    assert (host.folder / NAME).read_bytes() == piped.stdout


@pytest.mark.parametrize("locale", LOCALES.values(), ids=LOCALES)
@pytest.mark.parametrize(
    ("words", "code"),
    [(["-p", NAME, *A_DAY], 6), ([*SOME, "-o", f"{NAME}/x"], 8), (["--help"], 0), ([f"--{NAME}"], 2)],
    ids=["profile", "folder", "help", "option"],
)
def test_no_locale_breaks_a_message(host: Host, words: list[str], code: int, locale: dict[str, str]) -> None:
    ran = host.run("webex", "cdrs", *words, environ=locale)
    assert ran.returncode == code, ran.stderr
    assert b"Traceback" not in ran.stderr


@pytest.mark.parametrize("zone", ["Nonsense/Zone", "UTC-99", "🎉"])
def test_the_zone_of_the_machine_affects_only_the_times_in_tables(host: Host, zone: str) -> None:
    words = ("webex", "cdrs", "-p", "sandbox", "--since", "yesterday", "--until", "today")
    assert host.run(*words, environ={"TZ": zone}).stdout == host.run(*words, environ={"TZ": "UTC"}).stdout
    table = host.run(*words, "-f", "table", environ={"TZ": zone})
    assert table.returncode == 0
    assert table.stdout.count(b"\n") > 300


# Terminals


def on_a_terminal(host: Host, *words: str, columns: int = 40, stdout: int | None = None, **environ: str) -> str:
    """Return what a command shows on a terminal: all output, or only its messages if stdout goes elsewhere."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 20, columns, 0, 0))
    everywhere = theirs if stdout is None else stdout
    streams = {"stdin": theirs, "stdout": everywhere, "stderr": theirs}
    with ended(host.start(*words, itself=False, terminal="other", environ=environ, **streams)) as running:
        os.close(theirs)
        shown = b""
        while select.select([ours], [], [], PATIENCE)[0]:
            try:
                shown += os.read(ours, 65_536)
            except OSError:  # the other end is closed
                break
        running.wait(PATIENCE)
    os.close(ours)
    return shown.decode()


@pytest.mark.parametrize(
    "words",
    [
        "--help",
        "webex cdrs --help",
        "profile add --help",
        f"webex cdrs {' '.join(SOME)} --limit 20",
        f"export {' '.join(SOME)} --limit 20",
    ],
)
def test_text_for_people_fits_a_narrow_terminal(host: Host, words: str) -> None:
    shown = on_a_terminal(host, "-q", *words.split(), TERM="xterm")
    lines = re.sub(r"\x1b\[[0-9;]*[mK]", "", shown).splitlines()
    assert len(lines) > 10
    assert "\x1b" not in "".join(lines)
    assert max(map(cell_len, lines)) <= 40


def test_progress_fits_the_terminal_of_the_messages(host: Host) -> None:
    with Path(os.devnull).open("wb") as away:
        shown = on_a_terminal(host, "webex", "cdrs", *SOME, columns=8, stdout=away.fileno(), TERM="xterm")
    progress = re.findall(r"\r\x1b\[2K([^\r\n]*)(?=\r\x1b)", shown)
    assert progress
    assert {len(line) for line in progress} == {7}


@pytest.mark.parametrize("columns", ["40", "0", "-1", "wide", "٤٠"])
def test_the_width_is_that_of_columns_or_of_the_terminal(host: Host, columns: str) -> None:
    shown = on_a_terminal(host, "-q", "webex", "cdrs", *SOME, "--limit", "5", columns=40, COLUMNS=columns, TERM="xterm")
    assert max(map(cell_len, re.sub(r"\x1b\[[0-9;]*m", "", shown).splitlines())) <= 40


def test_a_dumb_terminal_gets_no_escapes(host: Host) -> None:
    assert "\x1b" not in on_a_terminal(host, "webex", "cdrs", *SOME, "--limit", "5", TERM="dumb")
    with Path(os.devnull).open("wb") as away:
        shown = on_a_terminal(host, "webex", "cdrs", *SOME, stdout=away.fileno(), TERM="dumb")
    assert "records" in shown
    assert "\x1b" not in shown


def test_no_color_is_respected(host: Host) -> None:
    words = ("-q", "webex", "cdrs", *SOME, "--limit", "5")
    assert "\x1b[" in on_a_terminal(host, *words, TERM="xterm-256color")
    assert "\x1b" not in on_a_terminal(host, *words, TERM="xterm-256color", NO_COLOR="1")


# Many profiles

MANY = 1024


@pytest.fixture
def crowded(host: Host, provider: Stalling) -> Host:
    """A host with very many profiles, to notice work that is repeated for each profile."""
    host.configure({f"tenant-{n:04}": provider.settings("voicenter") for n in range(MANY)})
    return host


def test_one_of_many_profiles_is_used_changed_and_removed(crowded: Host) -> None:
    used = crowded.run("voicenter", "cdrs", "-p", "tenant-0512", *A_DAY)
    assert used.returncode == 0, used.stderr
    which = crowded.run("voicenter", "cdrs")
    assert (which.returncode, len(which.stderr) < 1000) == (6, True)
    assert crowded.run("profile", "remove", "tenant-0512").returncode == 0
    assert crowded.run("profile", "list").stdout.count(b"tenant-") == MANY - 1


def test_many_profiles_are_exported_in_parallel(crowded: Host) -> None:
    """Each profile has its own client. The file and the certificates are read once."""
    crowded.config.chmod(0o644)
    few = [word for n in range(200) for word in ("-p", f"tenant-{n:04}")]
    words = ("export", *few, "--since", "3h", "--until", "150m", "--limit", "1")
    with (
        (crowded.folder / "said").open("wb+") as said,
        ended(crowded.start(*words, itself=False, stderr=said)) as running,
    ):
        running.wait(PATIENCE)
        said.seek(0)
        messages = said.read()
    assert running.returncode == 0, messages
    assert messages.count(b"can be read or changed by others") == 1
