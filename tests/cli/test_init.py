"""`cdrctl init`, as a user types it: from no configuration to a checked profile."""

from __future__ import annotations

import json
import re
import stat
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from cdrctl import sandbox
from cdrctl.cli import init
from cdrctl.fetchers import PROVIDERS, load
from tests.cli.host_kit import heeded_signals, host
from tests.support import program
from tests.support.conversation import Terminal, at_a_terminal
from tests.support.host import Host
from tests.support.runner import NOW, run

__all__ = ["heeded_signals", "host"]  # fixtures

KINDS = {
    ("webex", "token"): "access_token",
    ("webex", "refresh"): "refresh_token",
    ("kazoo", "key"): "api_key",
    ("kazoo", "password"): "password",
    ("kazoo", "token"): "auth_token",
    ("callgear", "key"): "access_token",
    ("callgear", "login"): "login",
    ("portsip", "password"): "password",
    ("portsip", "token"): "access_token",
    ("voicenter", "code"): "code",
    ("voicenter", "token"): "bearer",
}
"""By provider and way what the sandbox calls its credentials."""

UNPACED = ("--set", "requests_per_minute=0")


@pytest.fixture
def served() -> Iterator[sandbox.Sandbox]:
    with sandbox.start(now=program.now) as running:
        yield running


def written(host: Host) -> dict[str, Any]:
    """Return the profiles of the configuration file."""
    found: dict[str, Any] = tomllib.loads(host.config.read_text(encoding="utf-8"))["profiles"]
    return found


def converse(terminal: Terminal, answers: Mapping[str, str]) -> None:
    """Answer each question, found by its first word; with an empty line if no answer is given for it."""
    while (question := terminal.question()) is not None:
        terminal.type(answers.get(question.split(" ")[0], "") + "\n")


def test_every_method_is_tested_here() -> None:
    ways = {(name, way) for name in PROVIDERS for way in load(name).auth_methods}
    assert {pair for pair in ways if not init._needs_login(load(pair[0]), pair[1])} == set(KINDS)


def test_every_method_explains_where_to_find_its_credential() -> None:
    for name, way in KINDS:
        provider = load(name)
        console = provider.credential_help[way]
        assert console.title
        assert console.steps
        asked = [key for group in console.asks for key in group]
        assert set(asked) <= set(provider.settings.described())
        assert all(line.endswith(".") for line in (*console.steps, *([console.rights] if console.rights else [])))


@pytest.mark.process
@pytest.mark.parametrize("columns", [80, 40])
@pytest.mark.parametrize(("provider", "way"), KINDS, ids=str)
def test_init_creates_a_profile_that_works(
    host: Host, served: sandbox.Sandbox, provider: str, way: str, columns: int
) -> None:
    good = {key: str(value) for key, value in served.credentials(provider, KINDS[provider, way]).items()}
    number = str(list(PROVIDERS).index(provider) + 1)
    token_url = ("--set", f"token_url={good['token_url']}") if "token_url" in good else ()
    with at_a_terminal(host, "init", *UNPACED, *token_url, columns=columns) as terminal:
        terminal.answer(number, "acme")
        if len(load(provider).auth_methods) > 1:
            terminal.answer(way)
        converse(terminal, good)
        assert terminal.end() == 0, terminal.shown
    assert "It works" in terminal.shown
    secrets = [good[key] for key in load(provider).auth_methods[way] if key not in {"client_id", "username", "login"}]
    assert not [secret for secret in secrets if secret in terminal.shown]
    assert stat.S_IMODE(host.config.stat().st_mode) == 0o600
    assert list(written(host)) == ["acme"]
    commands = re.findall(r"^  (cdrctl .*)$", terminal.shown, re.MULTILINE)
    assert [command.split(" ")[1] for command in commands] == [provider, "sync"]
    assert host.run("doctor", "acme").returncode == 0
    for line in terminal.shown.splitlines():
        asked = re.search(r"^[a-z0-9_ ,]+( \[|: |\? )|^cdrctl: ", line)  # with what was answered
        whole = line.strip().startswith("cdrctl ") or len(line.split()) <= 1 or line.strip().startswith("-")
        assert len(line) < columns or asked or whole, line


@pytest.mark.process
def test_the_suggested_commands_work(host: Host, served: sandbox.Sandbox) -> None:
    good = served.credentials("portsip")
    with at_a_terminal(host, "init", "--provider", "portsip", "--name", "the.pbx-1", *UNPACED) as terminal:
        converse(terminal, {key: str(value) for key, value in good.items()} | {"1": ""})
        assert terminal.end() == 0, terminal.shown
    for command in re.findall(r"^  (cdrctl .*)$", terminal.shown, re.MULTILINE):
        ran = host.shell(command)
        assert ran.returncode in {0, 3}, ran.stderr  # 3: the provider does not have the newest calls yet
    assert (host.folder / "yesterday.csv").read_text(encoding="utf-8").count("\n") > 1
    assert list((host.folder / "archive").rglob("cdrs.*"))


@pytest.mark.process
def test_without_an_account_init_suggests_the_sandbox(host: Host) -> None:
    with at_a_terminal(host, "init") as terminal:
        terminal.answer("6")
        assert terminal.end() == 0
    [command, _] = re.findall(r"^  (cdrctl .*)$", terminal.shown, re.MULTILINE)
    assert host.shell(command).returncode == 0
    assert not host.config.exists()


WEBEX = ("init", "--provider", "webex", "--name", "acme", "--with", "token")


@pytest.mark.process
def test_a_wrong_answer_is_asked_for_again(host: Host, served: sandbox.Sandbox) -> None:
    host.configure({"webex": {"provider": "webex", "access_token": "x"}})
    good = served.credentials("webex")
    with at_a_terminal(host, "init", *UNPACED) as terminal:
        terminal.answer("0", "7", "hush", "webex")
        terminal.answer("", "we bex", "webex", "sandbox", "acme")
        terminal.answer("9", "1")
        terminal.answer("gopher://x", "5", "1", "", "1", "hush")  # the wrong one is only known after the last answer
        terminal.answer(str(good["base_url"]), "2", str(good["access_token"]), "maybe", "yes")
        assert terminal.end() == 0, terminal.shown
    said = " ".join(terminal.shown.split())
    for words in (
        "that is not one of the options",
        "there is a profile webex",
        "cannot be a profile's name",
        "sandbox is the name of the built-in profile",
        "access_token is empty",
        "it must begin with https://",
        "answer yes or no",
    ):
        assert words in said
    assert written(host)["acme"]["base_url"] == good["base_url"]


@pytest.mark.process
@pytest.mark.parametrize("end", ["\x03", "\x04"], ids=["ctrl-c", "ctrl-d"])
@pytest.mark.parametrize("after", range(9))
def test_ending_the_dialogue_early_writes_nothing(host: Host, served: sandbox.Sandbox, after: int, end: str) -> None:
    good = served.credentials("kazoo")
    answers = [*("kazoo", "acme", "key"), str(good["base_url"]), str(good["account_id"]), "1", str(good["api_key"])]
    with at_a_terminal(host, "init", *UNPACED) as terminal:
        terminal.answer(*answers[:after])
        assert terminal.question() is not None
        if after >= len(answers) + 1:
            terminal.type("maybe\n")
            terminal.question()
        terminal.type(end)
        assert terminal.end() == 130, terminal.shown
    assert "nothing was written" in terminal.shown
    assert str(good["api_key"]) not in terminal.shown
    assert not host.config.parent.exists()


@pytest.mark.process
def test_answering_no_at_the_end_writes_nothing(host: Host) -> None:
    with at_a_terminal(host, *WEBEX) as terminal:
        terminal.answer("", "1", "hush-hush-hush", "no")
        assert terminal.end() == 0
    assert "Nothing was written" in terminal.shown
    assert not host.config.exists()


# Where secrets are stored


@pytest.mark.process
def test_a_secret_from_a_command(host: Host, served: sandbox.Sandbox) -> None:
    good = served.credentials("webex")
    (host.folder / "store").write_text(f"{good['access_token']}\n")
    with at_a_terminal(host, *WEBEX, *UNPACED) as terminal:
        terminal.answer(str(good["base_url"]), "2", f"cat {host.folder}/store", "")
        assert terminal.end() == 0, terminal.shown
    assert "pass show cdrctl/acme" in terminal.shown
    assert written(host)["acme"]["access_token_command"] == f"cat {host.folder}/store"
    assert str(good["access_token"]) not in host.config.read_text(encoding="utf-8")


@pytest.mark.process
def test_a_secret_from_a_file(host: Host, served: sandbox.Sandbox) -> None:
    good = served.credentials("webex")
    with at_a_terminal(host, *WEBEX, *UNPACED) as terminal:
        terminal.answer(str(good["base_url"]), "4", "not-there")
        assert terminal.question() is not None
        assert "there is no such file" in terminal.shown
        (host.folder / "token").write_text(f"{good['access_token']}\n")
        (host.folder / "token").chmod(0o600)
        terminal.type("file\n")
        terminal.answer("token", "")
        assert terminal.end() == 0, terminal.shown
    assert written(host)["acme"]["access_token_file"] == str(host.folder / "token")


KEYS = """
import json, pathlib
held = pathlib.Path(__file__).with_name("held.json")
def get_password(service, user):
    return json.loads(held.read_text())[f"{service} {user}"]
def set_password(service, user, password):
    held.write_text(json.dumps({f"{service} {user}": password}))
"""


@pytest.mark.process
def test_a_secret_in_the_keyring(host: Host, served: sandbox.Sandbox) -> None:
    good = served.credentials("webex")
    host.meddle("")
    (host.folder / "meddling" / "keyring.py").write_text(KEYS)
    with at_a_terminal(host, *WEBEX, *UNPACED) as terminal:
        terminal.answer(str(good["base_url"]), "3", str(good["access_token"]), "")
        assert terminal.end() == 0, terminal.shown
    held = json.loads((host.folder / "meddling" / "held.json").read_text())
    assert held == {"cdrctl acme/access_token": good["access_token"]}
    assert written(host)["acme"]["access_token_keyring"] is True
    assert str(good["access_token"]) not in host.config.read_text(encoding="utf-8") + terminal.shown


@pytest.mark.process
def test_a_failing_keyring_loses_no_answers(host: Host, served: sandbox.Sandbox) -> None:
    good = served.credentials("webex")
    host.meddle("")
    (host.folder / "meddling" / "keyring.py").write_text("def set_password(*given):\n    raise RuntimeError(given)\n")
    with at_a_terminal(host, *WEBEX, *UNPACED) as terminal:
        terminal.answer(str(good["base_url"]), "3", str(good["access_token"]), "")
        terminal.answer("", "2", str(good["access_token"]), "")  # now the second choice: the first keeps the answer
        assert terminal.end() == 0, terminal.shown
    assert "the keyring cannot store it (RuntimeError)" in terminal.shown
    assert written(host)["acme"]["access_token"] == good["access_token"]
    assert str(good["access_token"]) not in terminal.shown


@pytest.mark.process
def test_without_the_keyring_package_its_installation_is_named(host: Host) -> None:
    host.meddle("import sys; sys.modules['keyring'] = None")
    with at_a_terminal(host, *WEBEX) as terminal:
        terminal.answer("", "3")
        assert terminal.question() is not None
        terminal.type("\x03")
        assert terminal.end() == 130
    assert "pip install 'cdrctl[keyring]'" in terminal.shown


# Failing profiles


@pytest.mark.process
def test_a_failing_profile_can_be_corrected(host: Host, served: sandbox.Sandbox) -> None:
    good = served.credentials("webex")
    with at_a_terminal(host, *WEBEX, *UNPACED) as terminal:
        terminal.answer(str(good["base_url"]), "1", "a-wrong-token", "")
        terminal.answer("correct")
        before = host.config.read_text(encoding="utf-8")
        terminal.answer("", "type", "another-wrong-one", "")
        assert terminal.question() is not None
        assert "another-wrong-one" in host.config.read_text(encoding="utf-8")
        terminal.answer("1", "", "type")
        terminal.answer(str(good["access_token"]), "")
        assert terminal.end() == 0, terminal.shown
    assert "a-wrong-token" in before
    said = " ".join(terminal.shown.split())
    assert "the token has expired and could not be renewed" in said
    assert "next: get a new access token" in said
    assert written(host) == {
        "acme": {
            "provider": "webex",
            "requests_per_minute": "0",
            "base_url": good["base_url"],
            "access_token": good["access_token"],
        }
    }
    assert host.left_over() == []


@pytest.mark.process
@pytest.mark.parametrize(("then", "kept"), [("keep", True), ("2", True), ("remove", False), ("\x03", True)])
def test_a_failing_profile_can_be_kept_or_removed(
    host: Host, served: sandbox.Sandbox, then: str, *, kept: bool
) -> None:
    with at_a_terminal(host, *WEBEX, *UNPACED) as terminal:
        terminal.answer(str(served.credentials("webex")["base_url"]), "1", "a-wrong-token", "")
        assert terminal.question() is not None
        terminal.type(then if then == "\x03" else f"{then}\n")
        assert terminal.end() == (130 if then == "\x03" else 4), terminal.shown
    assert ("acme" in host.config.read_text(encoding="utf-8")) is kept
    said = " ".join(terminal.shown.split())
    assert f"profile acme is {'in' if kept else 'removed from'} {host.config}" in said.replace("Profile", "profile")


@pytest.mark.process
def test_a_renewed_token_survives_a_correction(host: Host, served: sandbox.Sandbox) -> None:
    """When the missing permission shows, the typed refresh token is already used up."""
    good = served.credentials("webex", "refresh_token")
    served.switch("webex", "scope", "missing")
    words = ("init", "--provider", "webex", "--name", "acme", "--with", "refresh", *UNPACED)
    with at_a_terminal(host, *words, "--set", f"token_url={good['token_url']}") as terminal:
        terminal.answer(str(good["base_url"]), str(good["client_id"]), "1", str(good["client_secret"]))
        terminal.answer("1", str(good["refresh_token"]), "")
        assert terminal.question() is not None
        served.switch("webex", "scope", "ok")
        converse(terminal, {})
        assert terminal.end() == 0, terminal.shown
    assert "the token may not read call history" in terminal.shown
    assert "It works" in terminal.shown


@pytest.mark.process
@pytest.mark.parametrize("provider", [name for name in PROVIDERS if getattr(load(name), "login", None)])
def test_a_browser_method_names_login_as_the_next_step(host: Host, provider: str) -> None:
    [way] = [way for way in load(provider).auth_methods if init._needs_login(load(provider), way)]
    with at_a_terminal(host, "init", "--provider", provider, "--name", "acme", "--with", way) as terminal:
        converse(terminal, {"client_id": "C123", "client_secret": "hush-hush-hush"})
        assert terminal.end() == 0, terminal.shown
    assert "  cdrctl profile login acme\n" in terminal.shown
    assert "hush-hush-hush" not in terminal.shown


# Without a terminal


def test_without_a_terminal_answers_are_lines_of_standard_input(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    with sandbox.start(now=lambda: NOW) as served:
        good = {key: str(value) for key, value in served.credentials("kazoo", "realm").items()}
        lines = ["2", "lab", "password", good["base_url"], good["account_id"], good["username"], "", good["password"]]
        stdin = "\n".join([*lines, "", good["account_realm"], ""])
        ran = run("init", "--config", config, *UNPACED, stdin=stdin)
    assert ran.code == 0, ran.err
    assert ran.out == ""
    assert "It works" in ran.err
    assert good["password"] not in ran.err
    profile = tomllib.loads(config.read_text(encoding="utf-8"))["profiles"]["lab"]
    assert (profile["account_realm"], "account_name" in profile) == (good["account_realm"], False)


def test_every_answer_can_be_an_option(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    with sandbox.start(now=lambda: NOW) as served:
        good = served.credentials("voicenter")
        words = (
            *("init", "--provider", "voicenter", "--name", "acme", "--set", f"base_url={good['base_url']}"),
            *("--set", f"code_command=printf %s {good['code']}", "--config", config, *UNPACED),
        )
        ran = run(*words)
        assert ran.code == 0, ran.err
        assert f"--config {config}" in ran.err
        again = run(*words)
    assert again.code == 2
    assert "there is a profile acme" in again.err


@pytest.mark.parametrize(
    ("stdin", "code", "words"),
    [
        ("", 2, "there is no answer to: access_token"),
        ("9\n", 2, "that is not one of the options for: Which provider do you use?"),
        ("webex\n\ntoken\n\ntype\n", 2, "there is no answer to: access_token"),
        ("webex\n\ntoken\n\ntype\n\n", 2, "access_token is empty"),
        ("webex\n\ntoken\nhttp://there.example\ntype\nhush-hush\n", 6, "it must begin with https://"),
        ("webex\na b\n", 2, "cannot be a profile's name"),
        ("webex\n\ntoken\n\nfile\n/not/there\n", 2, "there is no such file"),
    ],
)
def test_without_a_terminal_a_wrong_answer_is_an_error(tmp_path: Path, stdin: str, code: int, words: str) -> None:
    ran = run("init", "--config", tmp_path / "config.toml", stdin=stdin)
    assert ran.code == code
    assert words in ran.err
    assert "hush-hush" not in ran.err
    assert list(tmp_path.iterdir()) == []


def test_without_a_terminal_an_error_names_the_question_and_not_its_list_of_answers(tmp_path: Path) -> None:
    ran = run("profile", "add", "acme", "--config", tmp_path / "config.toml", stdin="")
    assert ran.code == 2
    assert re.search(r"there is no answer to: [A-Z].*provider", ran.err)


def test_without_a_terminal_a_failing_profile_is_kept_and_reported(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    with sandbox.start(now=lambda: NOW) as served:
        stdin = f"{served.credentials('webex')['base_url']}\ntype\nhush-hush-hush\n"
        ran = run(*WEBEX, "--config", config, *UNPACED, stdin=stdin)
    assert ran.code == 4
    assert "does not work yet" in ran.err
    assert "acme" in config.read_text(encoding="utf-8")


def test_the_option_no_check_sends_no_request(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    with sandbox.start(now=lambda: NOW) as served:
        stdin = f"{served.credentials('webex')['base_url']}\ntype\nhush-hush-hush\n"
        ran = run(*WEBEX, "--no-check", "--config", config, stdin=stdin)
        assert served.requests == []
    assert ran.code == 0
    assert "cdrctl webex cdrs -p acme" in ran.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--set", "access_token=hush-hush-hush"), "access_token is a secret"),
        (("--set", "acces_token_file=x"), "webex has no setting"),
        (("--with", "magic"), "no such authentication method"),
        (("--name", "sandbox"), "is the name of the built-in profile"),
        (("--set", "x"), "--set is written SETTING=VALUE"),
    ],
)
def test_a_wrong_option_is_refused_before_any_question(tmp_path: Path, words: tuple[str, str], said: str) -> None:
    ran = run("init", "--provider", "webex", "--name", "acme", *words, "--config", tmp_path / "config.toml")
    assert ran.code == 2
    assert said in ran.err
    assert "hush-hush-hush" not in ran.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("answer", "code"), [("yes", 0), ("no", 6), ("maybe", 2)])
def test_plain_http_to_another_machine_needs_confirmation(tmp_path: Path, answer: str, code: int) -> None:
    config = tmp_path / "config.toml"
    words = ("init", "--provider", "kazoo", "--name", "lab", "--with", "key", "--no-check", "--config", config)
    stdin = f"http://pbx.example.net:8000/v2\n{'0' * 32}\n{answer}\ntype\n{'k' * 64}\n"
    ran = run(*words, stdin=stdin)
    assert ran.code == code, ran.err
    assert "others can read" in ran.err
    assert config.exists() == (code == 0)
    if code == 0:
        assert tomllib.loads(config.read_text(encoding="utf-8"))["profiles"]["lab"]["allow_http"] is True
