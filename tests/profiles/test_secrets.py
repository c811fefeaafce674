"""Secrets from commands, files and the keyring."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cdrctl import secret_files
from cdrctl.commands import run_in_shell
from cdrctl.errors import ConfigurationError
from cdrctl.masking import MASK as HIDDEN
from cdrctl.profiles.choosing import choose_profile
from cdrctl.profiles.file import environment_name, read_profiles
from cdrctl.profiles.settings import read_settings
from tests.profiles.kit import (
    POSIX,
    ROOT,
    SECRET,
    Account,
    api_key,
    end_children,
    expect_refusal,
    keyring_for_tests,
    make_profile,
    python_command,
    read,
)
from tests.support.products import for_each

if TYPE_CHECKING:
    from collections.abc import Mapping


@pytest.mark.process
def test_a_secret_is_read_from_a_command(tmp_path: Path) -> None:
    profile = make_profile(tmp_path, {"account_id": "a", "api_key_command": python_command(f"print('{SECRET}')")})
    assert api_key(read(profile, os.environ)) == SECRET


@pytest.mark.process
def test_a_command_sees_the_environment(tmp_path: Path) -> None:
    code = "import os; print(os.environ['CDRCTL_TEST_WORD'])"
    profile = make_profile(tmp_path, {"account_id": "a", "api_key_command": python_command(code)})
    assert api_key(read(profile, {**os.environ, "CDRCTL_TEST_WORD": SECRET})) == SECRET


@pytest.mark.process
def test_a_command_does_not_read_standard_input() -> None:
    command = python_command("import sys; print(sys.stdin.read())")
    code = f"import os; from cdrctl.commands import run_in_shell; print(run_in_shell({command!r}, os.environ))"
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, input=b"our own data", capture_output=True, check=True
    )
    assert b"returncode=0" in ended.stdout
    assert b"our own data" not in ended.stdout


@pytest.mark.process
@POSIX
def test_a_command_runs_in_the_shell_in_the_same_session(tmp_path: Path) -> None:
    ended = run_in_shell(python_command("import os; print(os.getsid(0), os.getpgrp())") + " | cat", os.environ)
    assert ended.stdout.split() == [b"%d" % os.getsid(0), b"%d" % os.getpgrp()]


@for_each(
    "code, words",
    [
        (f"import sys; print('{SECRET}'); print('locked', file=sys.stderr); sys.exit(3)", ["exit code 3 |", "-v"]),
        (f"import sys; print('{SECRET}', file=sys.stderr); sys.exit(1)", ["ended with exit code 1 |"]),
        ("import sys; sys.exit(2)", ["ended with exit code 2"]),
        (f"print('{SECRET}' * 10000)", ["printed more than 64 KiB"]),
        ("pass", ["printed nothing"]),
        ("print()", ["printed nothing"]),
        (f"import sys; sys.stdout.buffer.write(b'\\xff{SECRET}')", ["not UTF-8"]),
        (f"print('{SECRET}\\nuser: me')", ["more than one line", "head -n 1"]),
    ],
)
def test_a_command_without_a_secret_is_an_error(tmp_path: Path, code: str, words: list[str]) -> None:
    script = tmp_path / "script.py"
    script.write_text(code, encoding="utf-8")
    profile = make_profile(tmp_path, {"account_id": "a", "api_key_command": f'"{sys.executable}" "{script}"'})
    with expect_refusal(ConfigurationError, "profile acme: api_key_command in", *words):
        read(profile, os.environ)


@pytest.mark.process
def test_the_messages_of_a_command_are_details_without_its_output(tmp_path: Path) -> None:
    code = f"import sys; print('{SECRET}\\n'); print('+ {SECRET}\\n\\x1b[2Jboo', file=sys.stderr); sys.exit(1)"
    profile = make_profile(tmp_path, {"account_id": "a", "api_key_command": python_command(code)})
    details: list[str] = []
    concealed: list[str] = []
    with expect_refusal(ConfigurationError, "ended with exit code 1"):
        read_settings(
            profile, Account, os.environ, warn=details.append, conceal=concealed.extend, detail=details.append
        )  # fmt: skip
    assert [detail.partition("said: ")[2] for detail in details] == [f"+ {HIDDEN}", r"'\x1b[2Jboo'"]
    assert SECRET in concealed


def test_every_secret_is_registered_for_masking_before_any_message(tmp_path: Path) -> None:
    told: list[str] = []
    profile = make_profile(tmp_path, {"account_id": "a", "api_key": SECRET, "password_command": "x", "retry": 1})
    with expect_refusal(ConfigurationError, "retry"):
        read_settings(profile, Account, {}, warn=told.append, conceal=told.extend)
    assert told == [SECRET]


@POSIX
@pytest.mark.parametrize(
    "command",
    [
        "(sleep 30; echo late) & echo VALUE",
        "sleep 30 & echo VALUE",
        "echo noise >&2; (while sleep 0.01; do echo late; done) >&2 & echo VALUE",
        "yes >&2 & echo VALUE",
        "echo VALUE; exec >&- 2>&-; sleep 0.1",
    ],
)
def test_the_pipes_of_an_ended_command_are_not_waited_for(command: str) -> None:
    """Its background processes may keep them open."""
    with end_children():
        ran = run_in_shell(command, os.environ, seconds=20)
    assert ran.stdout == b"VALUE\n"
    assert ran.returncode == 0


@POSIX
def test_an_agent_started_by_a_command_keeps_running(tmp_path: Path) -> None:
    """It may write to the pipe of the command without being killed."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with end_children():
        ran = run_in_shell(f"(read go < '{fifo}'; echo late; echo alive > '{fifo}') & echo VALUE", os.environ, 20)
        assert ran.stdout == b"VALUE\n"
        fifo.write_text("go\n", encoding="utf-8")
        assert fifo.read_text(encoding="utf-8") == "alive\n"


def test_a_short_secret_gives_a_warning(tmp_path: Path) -> None:
    warnings: list[str] = []
    read(make_profile(tmp_path, {"account_id": "a", "password": "abc"}), warn=warnings.append)
    assert len(warnings) == 1
    assert "fewer than 4 characters" in warnings[0]
    assert "abc" not in warnings[0]
    read(make_profile(tmp_path, {"account_id": "a", "password": "abcd"}))


def test_a_missing_program_is_reported(tmp_path: Path) -> None:
    profile = make_profile(tmp_path, {"account_id": "a", "api_key_command": "no-such-program-4711"})
    with expect_refusal(ConfigurationError, "api_key_command", "installed"):
        read(profile, os.environ)


@pytest.mark.process
def test_a_command_that_cannot_be_started_is_an_error(tmp_path: Path) -> None:
    def missing(command: str, environ: Mapping[str, str]) -> subprocess.CompletedProcess[bytes]:
        raise FileNotFoundError(errno.ENOENT, "no shell")

    with expect_refusal(ConfigurationError, "cannot be started: no shell"):
        read(make_profile(tmp_path, {"account_id": "a", "api_key_command": "x"}), run=missing)
    with expect_refusal(ConfigurationError, "cannot be started"):
        read(make_profile(tmp_path, {"account_id": "a", "api_key_command": "x\0y"}), os.environ)


@pytest.mark.process
def test_a_command_that_takes_too_long_is_killed(tmp_path: Path) -> None:
    def slow(command: str, environ: Mapping[str, str]) -> subprocess.CompletedProcess[bytes]:
        raise subprocess.TimeoutExpired(command, 60, SECRET.encode(), SECRET.encode())

    with expect_refusal(ConfigurationError, "did not finish within 60 seconds"):
        read(make_profile(tmp_path, {"account_id": "a", "api_key_command": "x"}), run=slow)


@pytest.mark.process
@POSIX
def test_a_background_process_does_not_delay_the_timeout(tmp_path: Path) -> None:
    """`cat` outlives its shell, and keeps the pipe open until a process writes to the FIFO."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with pytest.raises(subprocess.TimeoutExpired):
        run_in_shell(f"cat '{fifo}'; true", os.environ, seconds=0.2)
    # Non-blocking: if cat has ended with its shell, the FIFO has no reader.
    try:
        os.close(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK))
    except OSError as error:
        assert error.errno == errno.ENXIO  # noqa: PT017


@for_each("value", [3, "", " ", True, []])
@for_each("form", ["api_key_command", "api_key_file"])
def test_a_command_or_a_file_name_must_be_text(tmp_path: Path, form: str, value: object) -> None:
    with expect_refusal(ConfigurationError, f"{form} in", "must be text"):
        read(make_profile(tmp_path, {"account_id": "a", form: value}))


@pytest.mark.process
def test_a_secret_file_is_beside_the_configuration_or_under_home(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_bytes(f"\ufeff{SECRET}\r\n".encode())
    file.chmod(0o600)
    assert api_key(read(make_profile(tmp_path, {"account_id": "a", "api_key_file": "key"}))) == SECRET
    assert api_key(read(make_profile(tmp_path, {"account_id": "a", "api_key_file": str(file)}))) == SECRET
    elsewhere = make_profile(tmp_path / "x", {"account_id": "a", "api_key_file": "~/key"})
    assert api_key(read(elsewhere, {"HOME": str(tmp_path)})) == SECRET
    with expect_refusal(ConfigurationError, "HOME"):
        read(elsewhere)


@POSIX
def test_a_secret_may_come_through_a_pipe(tmp_path: Path) -> None:
    """As in `CDRCTL_ACME_API_KEY_FILE=<(pass show acme)`."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo, 0o600)
    writer = threading.Thread(target=lambda: fifo.write_text(f"{SECRET}\n", encoding="utf-8"))
    writer.start()
    assert api_key(read(make_profile(tmp_path, {"account_id": "a", "api_key_file": "fifo"}))) == SECRET
    writer.join()
    with pytest.raises(TimeoutError):
        secret_files.read(fifo, seconds=0.05)


@POSIX
@pytest.mark.parametrize(("path", "words"), [("/dev/zero", "a device"), ("/dev/null", "a device"), ("/", "a folder")])
def test_a_secret_file_must_be_a_file_or_a_pipe(tmp_path: Path, path: str, words: str) -> None:
    with expect_refusal(ConfigurationError, "api_key_file", path, words):
        read(make_profile(tmp_path, {"account_id": "a", "api_key_file": path}))


@POSIX
def test_a_secret_file_that_others_may_read_gives_a_warning(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(SECRET, encoding="utf-8")
    file.chmod(0o644)
    warnings: list[str] = []
    assert (
        api_key(read(make_profile(tmp_path, {"account_id": "a", "api_key_file": "key"}), warn=warnings.append))
        == SECRET
    )
    assert len(warnings) == 1
    assert f"chmod 600 {file}" in warnings[0]


@for_each(
    "content, words",
    [
        (None, "cannot be read"),
        (b"", "key is empty"),
        (b"\n", "key is empty"),
        (b"\xff" + SECRET.encode(), "UTF-8"),
        (b"x" * 70_000, "short"),
        (f"{SECRET}\nmore\n".encode(), "more than one line"),
    ],
)
def test_a_file_without_a_secret_is_an_error(tmp_path: Path, content: bytes | None, words: str) -> None:
    if content is not None:
        (tmp_path / "key").write_bytes(content)
        (tmp_path / "key").chmod(0o600)
    with pytest.raises(ConfigurationError) as caught:
        read(make_profile(tmp_path, {"account_id": "a", "api_key_file": "key"}))
    assert caught.value.message.startswith("profile acme: api_key_file in")
    assert words in caught.value.message
    assert caught.value.hint


def test_a_secret_is_read_from_the_keyring(tmp_path: Path) -> None:
    profile = make_profile(tmp_path, {"account_id": "a", "api_key_keyring": True})
    assert api_key(read(profile, keyring=keyring_for_tests)) == SECRET
    with expect_refusal(ConfigurationError, "keyring set cdrctl acme/api_key"):
        read(profile, keyring=lambda service, user: None)


def test_the_keyring_package_is_optional(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    profile = make_profile(tmp_path, {"account_id": "a", "api_key_keyring": True})
    monkeypatch.setitem(sys.modules, "keyring", None)
    with expect_refusal(ConfigurationError, "api_key_keyring", "pip install 'cdrctl[keyring]'"):
        read(profile)
    module: Any = types.ModuleType("keyring")
    module.get_password = keyring_for_tests
    monkeypatch.setitem(sys.modules, "keyring", module)
    assert api_key(read(profile)) == SECRET

    def broken(service: str, user: str) -> str | None:
        raise RuntimeError(SECRET)

    module.get_password = broken
    with expect_refusal(ConfigurationError, "RuntimeError"):
        read(profile)


def test_a_keyring_set_to_false_is_not_read(tmp_path: Path) -> None:
    def asked(service: str, user: str) -> str | None:
        raise AssertionError

    raw = {"account_id": "a", "api_key_keyring": True}
    assert api_key(read(make_profile(tmp_path, {**raw, "api_key_keyring": False}), keyring=asked)) is None
    assert api_key(read(make_profile(tmp_path, raw), {"CDRCTL_ACME_API_KEY_KEYRING": "false"}, keyring=asked)) is None
    assert (
        api_key(read(make_profile(tmp_path, {**raw, "api_key": SECRET, "api_key_keyring": False}), keyring=asked))
        == SECRET
    )
    environ = {"CDRCTL_ACME_API_KEY_KEYRING": "Yes"}
    assert api_key(read(make_profile(tmp_path, {"account_id": "a"}), environ, keyring=keyring_for_tests)) == SECRET
    for value in ("maybe", 1):
        with expect_refusal(ConfigurationError, "api_key_keyring in", "true or false"):
            read(make_profile(tmp_path, {**raw, "api_key_keyring": value}), keyring=asked)


@pytest.mark.process
@pytest.mark.parametrize("above", ["api_key", "api_key_command", "api_key_file", "api_key_keyring"])
@pytest.mark.parametrize("below", ["api_key", "api_key_command", "api_key_file", "api_key_keyring"])
def test_any_form_in_the_environment_has_precedence_over_the_file(tmp_path: Path, above: str, below: str) -> None:
    (tmp_path / "key").write_text("by-file", encoding="utf-8")
    (tmp_path / "key").chmod(0o600)
    forms = {
        "api_key": "plain",
        "api_key_command": python_command("print('by-command')"),
        "api_key_file": "key",
        "api_key_keyring": "true",
    }
    want = {
        "api_key": "plain",
        "api_key_command": "by-command",
        "api_key_file": "by-file",
        "api_key_keyring": "by-keyring",
    }
    raw = {"account_id": "a", below: True if below == "api_key_keyring" else "/nowhere"}
    environ = {**os.environ, environment_name("acme", above): forms[above]}
    assert api_key(read(make_profile(tmp_path, raw), environ, keyring=lambda *_: "by-keyring")) == want[above]


def test_two_forms_on_the_same_level_are_refused(tmp_path: Path) -> None:
    with expect_refusal(ConfigurationError, "api_key and api_key_file", str(tmp_path)):
        read(make_profile(tmp_path, {"account_id": "a", "api_key": SECRET, "api_key_file": "x"}))
    environ = {"CDRCTL_ACME_API_KEY": SECRET, "CDRCTL_ACME_API_KEY_COMMAND": "x"}
    with expect_refusal(ConfigurationError, "CDRCTL_ACME_API_KEY and CDRCTL_ACME_API_KEY_COMMAND in the environment"):
        read(make_profile(tmp_path, {"account_id": "a"}), environ)


def test_a_profile_may_be_in_the_environment_only(tmp_path: Path) -> None:
    environ = {
        "CDRCTL_LAB_PROVIDER": "kazoo",
        "CDRCTL_LAB_ACCOUNT_ID": "a",
        "CDRCTL_LAB_API_KEY": SECRET,
        "CDRCTL_PROFILE": "lab",
    }
    found, _ = read_profiles(tmp_path / "none.toml", environ)
    account = read(choose_profile(found, "kazoo", None, environ), environ)
    assert (account.account_id, api_key(account)) == ("a", SECRET)
    assert SECRET not in repr(account)
