"""Profiles: where they are read, which is chosen, how a secret is had, and that none is ever shown."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
import traceback
import types
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import pytest
from hypothesis import HealthCheck, example, given, settings as examples, strategies as st
from pydantic import Field, SecretStr, ValidationError, field_validator

from cdrctl import PROVIDERS, secret_files
from cdrctl.commands import run_in_shell
from cdrctl.errors import CdrctlError, ConfigurationError, TemporaryError, UsageError, code_of
from cdrctl.fetchers import load
from cdrctl.fetchers.settings import Settings
from cdrctl.masking import MASK as HIDDEN
from cdrctl.profiles import editing
from cdrctl.profiles.choosing import choose_profile
from cdrctl.profiles.document import equal_values
from cdrctl.profiles.editing import add_profile, check_name, remove_profile
from cdrctl.profiles.file import Profile, config_path, environment_name, open_to_others, read_profiles
from cdrctl.profiles.names import SECRETS, secret_names
from cdrctl.profiles.redaction import redact_settings
from cdrctl.profiles.secrets import Keyring, Run, for_commands, store_in_keyring
from cdrctl.profiles.settings import NOT_READ, read_settings, secret_values
from cdrctl.profiles.tokens import token_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


def redacted_texts(profile: Profile, model: type[Settings], environ: Mapping[str, str]) -> dict[str, str]:
    """Return the settings as `cdrctl profile show` prints them."""
    return {key: str(setting) for key, setting in redact_settings(profile, model, environ).items()}


ROOT = Path(__file__).parents[1]
SECRET = "hush-hush-4711"
NUMBER = 94711
POSIX = pytest.mark.skipif(os.name == "nt", reason="Windows has no file modes, umask or POSIX shell")


class Account(Settings):
    base_url: str = "https://api.example.net"
    account_id: str
    api_key: SecretStr | None = None
    password: Annotated[SecretStr, Field(min_length=3)] | None = None
    retries: int = 1
    verbose: bool = False

    @field_validator("account_id")
    @classmethod
    def _account(cls, value: str) -> str:
        if value == "bad":
            raise ValueError("account_id is not one of ours")
        return value


def written(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "config.toml"
    path.write_text(text, encoding="utf-8", newline="")
    path.chmod(mode)
    return path


def the(folder: Path, raw: Mapping[str, Any] | None = None, name: str = "acme") -> Profile:
    return Profile(name, "kazoo", dict(raw or {}), "file", folder / "config.toml")


def had(
    profile: Profile,
    environ: Mapping[str, str] | None = None,
    *,
    run: Run | None = None,
    keyring: Keyring | None = None,
    warn: Callable[[str], None] | None = None,
) -> Account:
    def loud(warning: str) -> None:
        raise AssertionError(warning)

    return read_settings(profile, Account, environ or {}, warn=warn or loud, run=run, keyring=keyring)


def key(account: Account) -> str | None:
    return None if account.api_key is None else account.api_key.get_secret_value()


def python(code: str) -> str:
    """Return a command line that runs some Python."""
    arguments = [sys.executable, "-c", code]
    if os.name == "nt":
        return subprocess.list2cmdline(arguments)
    import shlex

    return shlex.join(arguments)


@contextmanager
def children_ended() -> Iterator[None]:
    """End the processes that commands have left behind: only those that carry the mark of this test."""
    mark = f"CDRCTL_TEST_MARK={os.getpid()}-{time.monotonic_ns()}"
    name, _, value = mark.partition("=")
    os.environ[name] = value
    try:
        yield
    finally:
        del os.environ[name]
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if int(process.name) != os.getpid() and mark.encode() in (process / "environ").read_bytes().split(
                    b"\0"
                ):
                    os.kill(int(process.name), signal.SIGKILL)


def everything(error: BaseException) -> str:
    """Return all that anybody could print of an error, with what it was raised from or during."""
    texts = []
    pending: list[BaseException | None] = [error]
    while pending:
        each = pending.pop()
        if each is None:
            continue
        texts += [str(each), repr(each), repr(each.args), repr(vars(each))]
        texts += ["".join(traceback.format_exception(each))]
        texts += [repr(getattr(each, name, "")) for name in ("doc", "object", "output", "stdout", "stderr", "msg")]
        pending += [each.__cause__, each.__context__]
    return "\n".join(texts)


def hushed(error: CdrctlError) -> None:
    assert SECRET not in everything(error)


@contextmanager
def refused(kind: type[CdrctlError] = ConfigurationError, *words: str) -> Iterator[None]:
    """Expect one error of this kind that says these words, in its message or hint, and never the secret."""
    with pytest.raises(CdrctlError) as caught:
        yield
    error = caught.value
    assert type(error) is kind
    said = f"{error.message} | {error.hint}"
    for word in words:
        assert word in said
    assert "\n" not in said
    assert SECRET not in everything(error)


# Where the file is


def test_the_option_beats_the_variable_beats_the_platform() -> None:
    environ = {"CDRCTL_CONFIG": "variable.toml"}
    assert config_path(environ, "option.toml") == Path("option.toml")
    assert config_path(environ, None) == Path("variable.toml")
    usual = config_path({}, None)
    assert usual.parts[-2:] == ("cdrctl", "config.toml")
    assert config_path({"CDRCTL_CONFIG": ""}, None) == usual


def test_an_empty_option_is_refused() -> None:
    with refused(UsageError, "--config"):
        config_path({}, "")


def test_a_tilde_is_the_home_that_the_environment_names() -> None:
    assert config_path({"HOME": "/h", "CDRCTL_CONFIG": "~/c.toml"}, None) == Path("/h/c.toml")
    assert config_path({"HOME": "/h"}, "~name/c.toml") == Path("~name/c.toml")
    with refused(ConfigurationError, "HOME"):
        config_path({}, "~/c.toml")


@POSIX
def test_without_a_home_there_are_the_profiles_of_the_environment_and_nothing_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import platformdirs

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(platformdirs, "user_config_dir", lambda *_, **__: "~/.config/cdrctl")
    path = config_path({}, None)
    written_there = tmp_path / "~/.config/cdrctl"
    written_there.mkdir(parents=True)
    written(written_there, "[profiles.planted]\nprovider = 'webex'\n")
    found, _ = read_profiles(path, {"CDRCTL_ACME_PROVIDER": "webex"})
    assert list(found) == ["acme"]
    tokens = token_file(path, "new", "")
    with refused(ConfigurationError, "home"):
        add_profile(path, "new", "webex", {})
    with refused(ConfigurationError, "home"):
        tokens.save({})
    with refused(ConfigurationError, "home"), tokens.locked():
        pass
    tokens.path.parent.mkdir()
    tokens.path.write_text(f'{{"origin": "{tokens.origin}", "tokens": {{}}}}', encoding="utf-8")
    assert tokens.load() is None
    with refused(UsageError, "no profile"):
        remove_profile(path, "planted")


# Reading


def test_a_missing_file_has_no_profiles(tmp_path: Path) -> None:
    assert read_profiles(tmp_path / "none" / "config.toml", {}) == ({}, [])


def test_profiles_of_the_file_and_of_the_environment(tmp_path: Path) -> None:
    path = written(tmp_path, f'[profiles.acme]\nprovider = "webex"\naccess_token = "{SECRET}"\n')
    environ = {
        "CDRCTL_LAB_2_PROVIDER": "kazoo",
        "CDRCTL_NONE_PROVIDER": "",
        "CDRCTL_PROFILE": "acme",
        "CDRCTL_CONFIG": str(path),
        "CDRCTL_PROVIDER": "webex",
        "CDRCTL_LOG_FORMAT": "json",
        "PATH": "/bin",
    }
    found, warnings = read_profiles(path, environ)
    assert warnings == []
    assert list(found) == ["acme", "lab_2"]
    acme, lab = found.values()
    assert (acme.provider, acme.source, acme.path, acme.fault) == ("webex", "file", path, None)
    assert acme.raw == {"access_token": SECRET}
    assert (lab.provider, lab.source, lab.path, lab.raw) == ("kazoo", "environment", path, {})
    assert SECRET not in repr(found)


@POSIX
@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_a_file_that_others_may_read_is_warned_of(tmp_path: Path, mode: int) -> None:
    path = written(tmp_path, "", mode)
    _, (warning,) = read_profiles(path, {})
    assert f"chmod 600 {path}" in warning


@POSIX
def test_only_a_file_of_modes_is_warned_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not a device, and nothing on Windows."""
    device = os.stat_result((stat.S_IFCHR | 0o666, *range(9)))
    assert open_to_others(tmp_path, device) == []
    path = written(tmp_path, "", 0o644)
    status = path.stat()
    monkeypatch.setattr(os, "name", "nt")
    assert open_to_others(path, status) == []


def test_a_byte_order_mark_is_not_content(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(b"\xef\xbb\xbf[profiles.a]\nprovider = 'webex'\n")
    path.chmod(0o600)
    assert list(read_profiles(path, {})[0]) == ["a"]
    add_profile(path, "b", "webex", {})
    assert list(read_profiles(path, {})[0]) == ["a", "b"]


def test_another_word_at_the_top_is_warned_of(tmp_path: Path) -> None:
    _, warnings = read_profiles(written(tmp_path, "[profile.acme]\nprovider = 'webex'\n"), {})
    assert code_of(warnings[0]) == "unknown_key"
    assert "profile at the top" in warnings[0]
    assert "did you mean profiles?" in warnings[0]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (f"[profiles.a]\napi_key = '{SECRET}\n".encode(), ["line 2", "not TOML"]),
        (f"[profiles.a]\napi_key = {SECRET}\n".encode(), ["line 2", "not TOML"]),
        (f"a = '''{SECRET}".encode(), ["line 1", "not TOML"]),
        (b"[profiles.a]\napi_key = '\xff" + SECRET.encode() + b"'\n", ["not UTF-8"]),
        (SECRET.encode("utf-16"), ["not UTF-8"]),
        (b"profiles = 3\n", ["profiles is not a table", "[profiles.NAME]"]),
        (b"[[profiles]]\n", ["profiles is not a table"]),
        (b"# one\n\na = '" + SECRET.encode() + b"\n" + b"b = 1\n" * 9, ["line 3", "not TOML"]),
        (b"a = " + b"[" * 20_000, ["line 1", "not TOML"]),
        (b"b = 1\na = " + b"9" * 20_000, ["line 2", "not TOML"]),
    ],
)
def test_a_file_that_cannot_be_used_as_a_whole(tmp_path: Path, content: bytes, words: list[str]) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(content)
    with refused(ConfigurationError, str(path), *words):
        read_profiles(path, {})
    with refused(ConfigurationError, str(path), *words):
        add_profile(path, "new", "webex", {})
    with refused(ConfigurationError, str(path), *words):
        remove_profile(path, "new")
    assert path.read_bytes() == content


def test_a_folder_or_an_impossible_path_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with refused(ConfigurationError, str(tmp_path), "cannot be read", "profile path"):
        read_profiles(tmp_path, {})
    with refused(ConfigurationError, "cannot be read"):
        read_profiles(Path("a\0b"), {})

    def closed(*_: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "open", closed)
    with refused(ConfigurationError, "cannot be read", os.strerror(errno.EACCES)):
        read_profiles(tmp_path / "config.toml", {})


@pytest.mark.parametrize(
    ("table", "name", "words"),
    [
        ("x = 3", "x", ["not a table", "[profiles.x]"]),
        ("x = []", "x", ["not a table"]),
        ("x = {}", "x", ["names no provider", "webex"]),
        ("x = {provider = 3}", "x", ["not text", "webex"]),
        ("x = {provider = []}", "x", ["not text", "webex"]),
        ("x = {provider = 'wbex'}", "x", ["no provider wbex", "did you mean webex?"]),
        ("sandbox = {provider = 'webex'}", "sandbox", ["built-in", "rename"]),
        ("Sandbox = {provider = 'webex'}", "Sandbox", ["built-in", "rename"]),
        ("'../x' = {provider = 'webex'}", "../x", ["letters", "rename"]),
        ('"a\\nb" = {provider = "webex"}', "a\nb", ["letters", "rename"]),
        ("go_od = {provider = 'webex'}", "go_od", ["go-od", "CDRCTL_GO_OD_", "rename"]),
    ],
)
def test_one_broken_profile_leaves_the_others_usable(tmp_path: Path, table: str, name: str, words: list[str]) -> None:
    path = written(tmp_path, f"[profiles]\ngo-od = {{provider = 'webex'}}\n{table}\n")
    found, _ = read_profiles(path, {})
    assert list(found) == ["go-od", name]
    assert choose_profile(found, "webex", "go-od", {}).name == "go-od"
    with refused(ConfigurationError, str(path), repr(name) if "\n" in name else name, *words):
        choose_profile(found, "webex", name, {})
    with refused(ConfigurationError, *words):
        had(found[name])


def test_broken_profiles_of_the_environment() -> None:
    environ = {
        "CDRCTL_LAB_PROVIDER": "kazo",
        "CDRCTL__X_PROVIDER": "kazoo",
        "CDRCTL_SANDBOX_PROVIDER": "kazoo",
        "CDRCTL_GOOD_PROVIDER": "kazoo",
    }
    found, _ = read_profiles(Path("none.toml"), environ)
    assert choose_profile(found, "kazoo", "good", {}).name == "good"
    for name, words in {"lab": "did you mean kazoo?", "_x": "letters", "sandbox": "built-in"}.items():
        with refused(ConfigurationError, words, f"CDRCTL_{name.upper()}_PROVIDER"):
            choose_profile(found, "kazoo", name, {})


def test_the_environment_may_name_the_provider_of_a_profile_of_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, "[profiles.a-b]\naccount_id = 'x'\n[profiles.c]\nprovider = 'webex'\n")
    found, _ = read_profiles(path, {"CDRCTL_A_B_PROVIDER": "kazoo", "CDRCTL_C_PROVIDER": "webex"})
    assert [(each.name, each.provider, each.fault) for each in found.values()] == [
        ("a-b", "kazoo", None),
        ("c", "webex", None),
    ]
    found, _ = read_profiles(path, {"CDRCTL_C_PROVIDER": "kazoo"})
    with refused(ConfigurationError, "different providers", "CDRCTL_C_PROVIDER", str(path)):
        choose_profile(found, None, "c", {})


def test_a_thousand_profiles_are_no_problem(tmp_path: Path) -> None:
    text = "".join(f"[profiles.p{n}]\nprovider = 'webex'\n" for n in range(1024))
    path = written(tmp_path, text)
    add_profile(path, "last", "kazoo", {})
    remove_profile(path, "p7")
    found, _ = read_profiles(path, {f"CDRCTL_E{n}_PROVIDER": "kazoo" for n in range(1024)})
    assert len(found) == 2048
    with refused(ConfigurationError, "1023 profiles of webex", "and 1003 more"):
        choose_profile(found, "webex", None, {})


# Choosing

MANY = {
    name: Profile(name, provider, {}, "file", Path("config.toml"))
    for name, provider in {"acme": "webex", "lab": "kazoo", "home": "kazoo"}.items()
}


def test_the_name_beats_the_variable_beats_the_only_one() -> None:
    assert choose_profile(MANY, "kazoo", "lab", {"CDRCTL_PROFILE": "acme"}).name == "lab"
    assert choose_profile(MANY, "kazoo", None, {"CDRCTL_PROFILE": "home"}).name == "home"
    assert choose_profile(MANY, None, None, {"CDRCTL_PROFILE": "home"}).name == "home"
    assert choose_profile(MANY, "webex", None, {"CDRCTL_PROFILE": ""}).name == "acme"
    assert choose_profile({"lab": MANY["lab"]}, None, None, {}).name == "lab"


def test_an_unknown_name_is_answered_with_near_ones_and_the_list() -> None:
    with refused(ConfigurationError, "no profile ACMA", "did you mean acme?", "acme, lab, home"):
        choose_profile(MANY, "webex", "ACMA", {})
    with refused(ConfigurationError, "no profile x (CDRCTL_PROFILE)", "acme, lab, home"):
        choose_profile(MANY, "webex", None, {"CDRCTL_PROFILE": "x"})
    with refused(ConfigurationError, "no profile x", "cdrctl profile add NAME --provider webex"):
        choose_profile({}, "webex", "x", {})


def test_a_profile_of_another_provider_says_whose_it_is_and_what_to_do() -> None:
    with refused(ConfigurationError, "acme is for webex, not for kazoo", "`cdrctl webex", "lab, home"):
        choose_profile(MANY, "kazoo", "acme", {})
    with refused(ConfigurationError, "is for kazoo", "profile add NAME --provider webex"):
        choose_profile({"lab": MANY["lab"]}, "webex", "lab", {})


def test_none_of_a_provider_says_how_to_begin() -> None:
    with refused(ConfigurationError, "no profile of webex", "add NAME --provider webex", "-p sandbox"):
        choose_profile({"lab": MANY["lab"]}, "webex", None, {})
    with refused(ConfigurationError, "no profile", "profile add NAME", "-p sandbox"):
        choose_profile({}, None, None, {})


def test_none_of_a_provider_names_a_broken_one(tmp_path: Path) -> None:
    found, _ = read_profiles(written(tmp_path, "[profiles.acme]\n"), {})
    with refused(ConfigurationError, "no profile of webex", "acme cannot be used"):
        choose_profile(found, "webex", None, {})


def test_several_are_listed() -> None:
    with refused(ConfigurationError, "2 profiles of kazoo: lab, home", "-p NAME"):
        choose_profile(MANY, "kazoo", None, {})
    with refused(ConfigurationError, "3 profiles: acme, lab, home"):
        choose_profile(MANY, None, None, {})


def test_the_sandbox_is_had_by_its_name_only() -> None:
    sandbox = {**MANY, "sandbox": Profile("sandbox", "webex", {}, "environment", Path("config.toml"))}
    assert choose_profile(sandbox, "webex", None, {}).name == "acme"
    assert choose_profile(sandbox, "webex", "sandbox", {}).name == "sandbox"


# Settings


def test_the_environment_beats_the_file_setting_by_setting(tmp_path: Path) -> None:
    profile = the(tmp_path, {"account_id": "file", "api_key": SECRET, "retries": 3}, "my-lab.1")
    assert environment_name("my-lab.1", "account_id") == "CDRCTL_MY_LAB_1_ACCOUNT_ID"
    account = had(profile, {"CDRCTL_MY_LAB_1_ACCOUNT_ID": "environment", "CDRCTL_MY_LAB_1_RETRIES": ""})
    assert (account.account_id, account.retries, key(account)) == ("environment", 3, SECRET)


def test_numbers_and_booleans_come_as_text_from_the_environment(tmp_path: Path) -> None:
    environ = {"CDRCTL_ACME_RETRIES": "4", "CDRCTL_ACME_VERBOSE": "true", "CDRCTL_ACME_TIMEOUT": "2.5"}
    account = had(the(tmp_path, {"account_id": "a"}), environ)
    assert (account.retries, account.verbose, account.timeout) == (4, True, 2.5)


def test_a_missing_setting_is_named_with_its_key_and_its_variable(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    with refused(
        ConfigurationError,
        f"profile acme has no account_id: set account_id in {path} or CDRCTL_ACME_ACCOUNT_ID",
    ):
        had(the(tmp_path, {"api_key": SECRET}))


def test_an_unknown_setting_is_refused_with_near_names(tmp_path: Path) -> None:
    for raw in ({"acount_id": SECRET}, {"account_id": "a", "apikey": SECRET}):
        with refused(ConfigurationError, "did you mean", "not a setting of kazoo", str(tmp_path)):
            had(the(tmp_path, raw))
    with refused(ConfigurationError, "base_url_command"):
        had(the(tmp_path, {"account_id": "a", "base_url_command": "x"}))
    with refused(ConfigurationError, "CDRCTL_ACME_API_KEI", "did you mean api_key"):
        had(the(tmp_path, {"account_id": "a"}), {"CDRCTL_ACME_API_KEI": SECRET})


def test_a_variable_of_a_profile_with_a_longer_name_is_not_unknown(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "[profiles.acme]\nprovider = 'kazoo'\naccount_id = 'a'\n[profiles.acme-lab]\nprovider = 'kazoo'\n",
    )
    environ = {"CDRCTL_ACME_LAB_ACCOUNT_ID": "lab", "CDRCTL_ACME_PROVIDER": "kazoo"}
    found, _ = read_profiles(path, environ)
    assert had(found["acme"], environ).account_id == "a"
    assert had(found["acme-lab"], environ).account_id == "lab"


def test_each_problem_is_a_sentence_and_no_value_is_shown(tmp_path: Path) -> None:
    raw = {"account_id": "bad", "retries": SECRET, "password": SECRET[:2], "timeout": 0}
    with pytest.raises(ConfigurationError) as caught:
        had(the(tmp_path, raw), warn=lambda _warning: None)
    path = tmp_path / "config.toml"
    assert caught.value.message.split("; ") == [
        f"profile acme: timeout in {path} should be greater than 0",
        f"profile acme: account_id in {path}: account_id is not one of ours",
        f"profile acme: password in {path}: Value should have at least 3 items after validation, not 2",
        f"profile acme: retries in {path} should be a valid integer, unable to parse string as an integer",
    ]
    assert SECRET not in everything(caught.value)
    with refused(ConfigurationError, "profile acme: CDRCTL_ACME_RETRIES should be a valid integer"):
        had(the(tmp_path, {"account_id": "a"}), {"CDRCTL_ACME_RETRIES": SECRET})
    with refused(ConfigurationError, "profile acme: base_url in ", "it must begin with https://"):
        had(the(tmp_path, {"account_id": "a", "base_url": "x"}))


def test_a_number_where_text_belongs_wants_quotes(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"api_key in .* must be text: write it in quotes") as caught:
        had(the(tmp_path, {"account_id": "a", "api_key": NUMBER}))
    assert str(NUMBER) not in everything(caught.value)


def test_a_secret_that_a_model_says_is_not_shown(tmp_path: Path) -> None:
    class Loud(Account):
        @field_validator("api_key")
        @classmethod
        def _shout(cls, value: SecretStr) -> SecretStr:
            raise ValueError(f"{value.get_secret_value()} is not good")

    with refused(ConfigurationError, f"{HIDDEN} is not good"):
        read_settings(the(tmp_path, {"account_id": "a", "api_key": SECRET}), Loud, {}, warn=print)


@pytest.mark.parametrize("value", ["", " ", f"{SECRET}\nsecond", f"{SECRET}\r", f"{SECRET}\0"])
def test_a_secret_is_one_line_and_not_empty(tmp_path: Path, value: str) -> None:
    """For an error about a broken header would show the header."""
    with refused(ConfigurationError, "api_key in"):
        had(the(tmp_path, {"account_id": "a", "api_key": value}))


# Secrets from elsewhere


@pytest.mark.process
def test_a_secret_from_a_command(tmp_path: Path) -> None:
    profile = the(tmp_path, {"account_id": "a", "api_key_command": python(f"print('{SECRET}')")})
    assert key(had(profile, os.environ)) == SECRET


@pytest.mark.process
def test_a_command_sees_the_environment(tmp_path: Path) -> None:
    code = "import os; print(os.environ['CDRCTL_TEST_WORD'])"
    profile = the(tmp_path, {"account_id": "a", "api_key_command": python(code)})
    assert key(had(profile, {**os.environ, "CDRCTL_TEST_WORD": SECRET})) == SECRET


@pytest.mark.process
def test_a_command_does_not_eat_our_input() -> None:
    command = python("import sys; print(sys.stdin.read())")
    code = f"import os; from cdrctl.commands import run_in_shell; print(run_in_shell({command!r}, os.environ))"
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, input=b"our own data", capture_output=True, check=True
    )
    assert b"returncode=0" in ended.stdout
    assert b"our own data" not in ended.stdout


@pytest.mark.process
@POSIX
def test_a_command_goes_through_the_shell_in_our_session(tmp_path: Path) -> None:
    ended = run_in_shell(python("import os; print(os.getsid(0), os.getpgrp())") + " | cat", os.environ)
    assert ended.stdout.split() == [b"%d" % os.getsid(0), b"%d" % os.getpgrp()]


@pytest.mark.parametrize(
    ("code", "words"),
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
def test_a_command_that_does_not_give_a_secret(tmp_path: Path, code: str, words: list[str]) -> None:
    script = tmp_path / "script.py"
    script.write_text(code, encoding="utf-8")
    profile = the(tmp_path, {"account_id": "a", "api_key_command": f'"{sys.executable}" "{script}"'})
    with refused(ConfigurationError, "profile acme: api_key_command in", *words):
        had(profile, os.environ)


@pytest.mark.process
def test_what_a_command_says_is_a_detail_without_what_it_printed(tmp_path: Path) -> None:
    code = f"import sys; print('{SECRET}\\n'); print('+ {SECRET}\\n\\x1b[2Jboo', file=sys.stderr); sys.exit(1)"
    profile = the(tmp_path, {"account_id": "a", "api_key_command": python(code)})
    details: list[str] = []
    concealed: list[str] = []
    with refused(ConfigurationError, "ended with exit code 1"):
        read_settings(
            profile, Account, os.environ, warn=details.append, conceal=concealed.extend, detail=details.append
        )  # fmt: skip
    assert [detail.partition("said: ")[2] for detail in details] == [f"+ {HIDDEN}", r"'\x1b[2Jboo'"]
    assert SECRET in concealed


def test_every_secret_is_told_before_anything_is_said(tmp_path: Path) -> None:
    told: list[str] = []
    profile = the(tmp_path, {"account_id": "a", "api_key": SECRET, "password_command": "x", "retry": 1})
    with refused(ConfigurationError, "retry"):
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
def test_a_command_is_not_waited_for_once_it_has_ended(command: str) -> None:
    """What it has left in the background holds its pipes open, and must not be waited for."""
    with children_ended():
        ran = run_in_shell(command, os.environ, seconds=20)
    assert ran.stdout == b"VALUE\n"
    assert ran.returncode == 0


@POSIX
def test_an_agent_that_a_command_starts_lives_on(tmp_path: Path) -> None:
    """It may write to the pipe that it has from the command, and must not be killed for that."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with children_ended():
        ran = run_in_shell(f"(read go < '{fifo}'; echo late; echo alive > '{fifo}') & echo VALUE", os.environ, 20)
        assert ran.stdout == b"VALUE\n"
        fifo.write_text("go\n", encoding="utf-8")
        assert fifo.read_text(encoding="utf-8") == "alive\n"


def test_a_short_secret_is_warned_of(tmp_path: Path) -> None:
    warnings: list[str] = []
    had(the(tmp_path, {"account_id": "a", "password": "abc"}), warn=warnings.append)
    assert len(warnings) == 1
    assert "fewer than 4 characters" in warnings[0]
    assert "abc" not in warnings[0]
    had(the(tmp_path, {"account_id": "a", "password": "abcd"}))


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    profile = the(tmp_path, {"account_id": "a", "api_key_command": "no-such-program-4711"})
    with refused(ConfigurationError, "api_key_command", "installed"):
        had(profile, os.environ)


@pytest.mark.process
def test_a_command_that_cannot_be_started(tmp_path: Path) -> None:
    def missing(command: str, environ: Mapping[str, str]) -> subprocess.CompletedProcess[bytes]:
        raise FileNotFoundError(errno.ENOENT, "no shell")

    with refused(ConfigurationError, "cannot be started: no shell"):
        had(the(tmp_path, {"account_id": "a", "api_key_command": "x"}), run=missing)
    with refused(ConfigurationError, "cannot be started"):
        had(the(tmp_path, {"account_id": "a", "api_key_command": "x\0y"}), os.environ)


@pytest.mark.process
def test_a_command_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    def slow(command: str, environ: Mapping[str, str]) -> subprocess.CompletedProcess[bytes]:
        raise subprocess.TimeoutExpired(command, 60, SECRET.encode(), SECRET.encode())

    with refused(ConfigurationError, "did not finish within 60 seconds"):
        had(the(tmp_path, {"account_id": "a", "api_key_command": "x"}), run=slow)


@pytest.mark.process
@POSIX
def test_what_the_shell_started_does_not_hold_us_up(tmp_path: Path) -> None:
    """`cat` outlives its shell and keeps the pipe open until somebody writes to the FIFO."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with pytest.raises(subprocess.TimeoutExpired):
        run_in_shell(f"cat '{fifo}'; true", os.environ, seconds=0.2)
    # Non-blocking: should cat have been ended with its shell, nobody reads.
    try:
        os.close(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK))
    except OSError as error:
        assert error.errno == errno.ENXIO  # noqa: PT017


@pytest.mark.parametrize("value", [3, "", " ", True, []])
@pytest.mark.parametrize("form", ["api_key_command", "api_key_file"])
def test_a_command_or_a_file_name_is_text(tmp_path: Path, form: str, value: object) -> None:
    with refused(ConfigurationError, f"{form} in", "must be text"):
        had(the(tmp_path, {"account_id": "a", form: value}))


@pytest.mark.process
def test_a_secret_from_a_file_beside_the_configuration_or_under_home(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_bytes(f"\ufeff{SECRET}\r\n".encode())
    file.chmod(0o600)
    assert key(had(the(tmp_path, {"account_id": "a", "api_key_file": "key"}))) == SECRET
    assert key(had(the(tmp_path, {"account_id": "a", "api_key_file": str(file)}))) == SECRET
    elsewhere = the(tmp_path / "x", {"account_id": "a", "api_key_file": "~/key"})
    assert key(had(elsewhere, {"HOME": str(tmp_path)})) == SECRET
    with refused(ConfigurationError, "HOME"):
        had(elsewhere)


@POSIX
def test_a_secret_may_come_through_a_pipe(tmp_path: Path) -> None:
    """As in `CDRCTL_ACME_API_KEY_FILE=<(pass show acme)`."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo, 0o600)
    writer = threading.Thread(target=lambda: fifo.write_text(f"{SECRET}\n", encoding="utf-8"))
    writer.start()
    assert key(had(the(tmp_path, {"account_id": "a", "api_key_file": "fifo"}))) == SECRET
    writer.join()
    with pytest.raises(TimeoutError):
        secret_files.read(fifo, seconds=0.05)


@POSIX
@pytest.mark.parametrize(("path", "words"), [("/dev/zero", "a device"), ("/dev/null", "a device"), ("/", "a folder")])
def test_what_is_no_file_holds_no_secret(tmp_path: Path, path: str, words: str) -> None:
    with refused(ConfigurationError, "api_key_file", path, words):
        had(the(tmp_path, {"account_id": "a", "api_key_file": path}))


@POSIX
def test_a_secret_file_that_others_may_read_is_warned_of(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(SECRET, encoding="utf-8")
    file.chmod(0o644)
    warnings: list[str] = []
    assert key(had(the(tmp_path, {"account_id": "a", "api_key_file": "key"}), warn=warnings.append)) == SECRET
    assert len(warnings) == 1
    assert f"chmod 600 {file}" in warnings[0]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read"),
        (b"", "key is empty"),
        (b"\n", "key is empty"),
        (b"\xff" + SECRET.encode(), "UTF-8"),
        (b"x" * 70_000, "short"),
        (f"{SECRET}\nmore\n".encode(), "more than one line"),
    ],
)
def test_a_file_that_does_not_give_a_secret(tmp_path: Path, content: bytes | None, words: str) -> None:
    if content is not None:
        (tmp_path / "key").write_bytes(content)
        (tmp_path / "key").chmod(0o600)
    with refused(ConfigurationError, "profile acme: api_key_file in", words):
        had(the(tmp_path, {"account_id": "a", "api_key_file": "key"}))


def test_a_secret_from_the_keyring(tmp_path: Path) -> None:
    profile = the(tmp_path, {"account_id": "a", "api_key_keyring": True})
    assert key(had(profile, keyring=_held_for)) == SECRET
    with refused(ConfigurationError, "keyring set cdrctl acme/api_key"):
        had(profile, keyring=lambda service, user: None)


def _held_for(service: str, user: str) -> str | None:
    return SECRET if (service, user) == ("cdrctl", "acme/api_key") else None


def test_the_keyring_package_is_optional(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    profile = the(tmp_path, {"account_id": "a", "api_key_keyring": True})
    monkeypatch.setitem(sys.modules, "keyring", None)
    with refused(ConfigurationError, "api_key_keyring", "pip install 'cdrctl[keyring]'"):
        had(profile)
    module: Any = types.ModuleType("keyring")
    module.get_password = _held_for
    monkeypatch.setitem(sys.modules, "keyring", module)
    assert key(had(profile)) == SECRET

    def broken(service: str, user: str) -> str | None:
        raise RuntimeError(SECRET)

    module.get_password = broken
    with refused(ConfigurationError, "RuntimeError"):
        had(profile)


def test_a_keyring_that_is_not_wanted_is_not_asked(tmp_path: Path) -> None:
    def asked(service: str, user: str) -> str | None:
        raise AssertionError

    raw = {"account_id": "a", "api_key_keyring": True}
    assert key(had(the(tmp_path, {**raw, "api_key_keyring": False}), keyring=asked)) is None
    assert key(had(the(tmp_path, raw), {"CDRCTL_ACME_API_KEY_KEYRING": "false"}, keyring=asked)) is None
    assert key(had(the(tmp_path, {**raw, "api_key": SECRET, "api_key_keyring": False}), keyring=asked)) == SECRET
    environ = {"CDRCTL_ACME_API_KEY_KEYRING": "Yes"}
    assert key(had(the(tmp_path, {"account_id": "a"}), environ, keyring=_held_for)) == SECRET
    for value in ("maybe", 1):
        with refused(ConfigurationError, "api_key_keyring in", "true or false"):
            had(the(tmp_path, {**raw, "api_key_keyring": value}), keyring=asked)


@pytest.mark.process
@pytest.mark.parametrize("above", ["api_key", "api_key_command", "api_key_file", "api_key_keyring"])
@pytest.mark.parametrize("below", ["api_key", "api_key_command", "api_key_file", "api_key_keyring"])
def test_any_form_in_the_environment_beats_any_form_in_the_file(tmp_path: Path, above: str, below: str) -> None:
    (tmp_path / "key").write_text("by-file", encoding="utf-8")
    (tmp_path / "key").chmod(0o600)
    forms = {
        "api_key": "plain",
        "api_key_command": python("print('by-command')"),
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
    assert key(had(the(tmp_path, raw), environ, keyring=lambda *_: "by-keyring")) == want[above]


def test_two_forms_on_the_same_level_are_refused(tmp_path: Path) -> None:
    with refused(ConfigurationError, "api_key and api_key_file", str(tmp_path)):
        had(the(tmp_path, {"account_id": "a", "api_key": SECRET, "api_key_file": "x"}))
    environ = {"CDRCTL_ACME_API_KEY": SECRET, "CDRCTL_ACME_API_KEY_COMMAND": "x"}
    with refused(ConfigurationError, "CDRCTL_ACME_API_KEY and CDRCTL_ACME_API_KEY_COMMAND in the environment"):
        had(the(tmp_path, {"account_id": "a"}), environ)


def test_a_profile_in_the_environment_alone_has_settings(tmp_path: Path) -> None:
    environ = {
        "CDRCTL_LAB_PROVIDER": "kazoo",
        "CDRCTL_LAB_ACCOUNT_ID": "a",
        "CDRCTL_LAB_API_KEY": SECRET,
        "CDRCTL_PROFILE": "lab",
    }
    found, _ = read_profiles(tmp_path / "none.toml", environ)
    account = had(choose_profile(found, "kazoo", None, environ), environ)
    assert (account.account_id, key(account)) == ("a", SECRET)
    assert SECRET not in repr(account)


# What is shown


def test_secret_values_are_all_that_must_be_redacted_the_longest_first() -> None:
    account = Account.model_validate({"account_id": "a", "api_key": "a b/c", "password": "longer than that"})
    values = secret_values(account)
    assert set(values) >= {"a b/c", "longer than that", "a%20b%2Fc", "a+b%2Fc"}
    assert values == sorted(values, key=len, reverse=True)
    assert secret_values(Account.model_validate({"account_id": "a", "api_key": "xyz"})) == ["xyz"]
    assert secret_values(Account.model_validate({"account_id": "a", "api_key": ""})) == []


def test_the_secrets_of_all_providers_are_known_without_loading_them() -> None:
    assert set().union(*(secret_names(load(name).settings) for name in PROVIDERS)) == SECRETS


def test_a_secret_is_a_setting_of_that_type() -> None:
    assert secret_names(Account) == {"api_key", "password"}


def test_a_profile_is_shown_without_its_secrets(tmp_path: Path) -> None:
    raw = {
        "account_id": "a",
        "api_key": SECRET,
        "password_command": "pass show x",
        "verbose": True,
        "base_url": f"https://user:{SECRET}/@host/",
        "acount": SECRET,
    }
    environ = {"CDRCTL_ACME_RETRIES": "4", "CDRCTL_ACME_ACCOUNT_ID": "b"}
    shown = redacted_texts(the(tmp_path, raw), Account, environ)
    assert shown == {
        "base_url": f"https://{HIDDEN}@host/",
        "account_id": "b (CDRCTL_ACME_ACCOUNT_ID)",
        "api_key": HIDDEN,
        "password_command": "pass show x",
        "retries": "4 (CDRCTL_ACME_RETRIES)",
        "verbose": "true",
        "acount": f"{HIDDEN} (not a setting of kazoo)",
    }
    (tmp_path / "key").write_text(f"{SECRET}\n", encoding="utf-8")
    twice = {
        "account_id": SECRET,
        "api_key_file": "key",
        "password_command": f"echo {SECRET}",
        "ca_file": f"/{SECRET}.pem",
    }
    assert redacted_texts(the(tmp_path, {**twice, SECRET: 1}), Account, {}) == {
        "account_id": HIDDEN,
        "api_key_file": "key",
        "ca_file": f"/{HIDDEN}.pem",
        "password_command": f"echo {HIDDEN}",
        HIDDEN: f"{HIDDEN} (not a setting of kazoo)",
    }
    short = redacted_texts(the(tmp_path, {"api_key": "x"}), Account, {"CDRCTL_ACME_API_KEY_FILE": "key"})
    assert short == {"api_key_file": "key (CDRCTL_ACME_API_KEY_FILE)"}
    assert redacted_texts(the(tmp_path, {"api_key": "x"}), Account, {}) == {"api_key": HIDDEN}


# Adding and removing

COMMENTED = """\
# my profiles
[profiles.acme]  # the big one
provider = "webex"
# renewed each year
access_token = "x"

# the lab
[profiles.lab]
provider = 'kazoo'
account_id = "1"

[profiles.last]
provider = "webex"
# the end
"""


def test_a_profile_is_added_after_what_stands_there(tmp_path: Path) -> None:
    path = written(tmp_path, COMMENTED)
    add_profile(
        path, "my.new", "kazoo", {"account_id": "1", "api_key": 'q"\\\n', "timeout": 2.5, "api_key_keyring": True}
    )
    text = path.read_text(encoding="utf-8")
    assert text.startswith(COMMENTED)
    assert list(tomllib.loads(text)["profiles"]["my.new"].items()) == [
        ("provider", "kazoo"),
        ("account_id", "1"),
        ("api_key", 'q"\\\n'),
        ("timeout", 2.5),
        ("api_key_keyring", True),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[profiles.a]\nprovider = 'webex'",
        "[profiles.a]\r\nprovider = 'webex'\r\n",
        "[profiles]\na.provider = 'webex' # dotted\n",
        "profiles.a.provider = 'webex' # dotted\n",
        "profiles = {a = {provider = 'webex'}} # inline\n",
        "profiles.a = {provider = 'webex'} # inline\n",
        "[profiles]\n# nothing yet\n",
        "[other]\nx = nan # kept\n[profiles.a]\nprovider = 'webex'\n[more]\n[profiles.b]\nprovider = 'webex'\n",
        "[profiles.a]\nprovider = 'webex'\n[profiles.a.deep]\nx = 1\n",
        "[profiles.a]\nprovider = 'webex'\nx = '''\n[profiles.b]\n'''\n",
    ],
)
def test_a_profile_can_be_added_however_the_others_are_written(tmp_path: Path, text: str) -> None:
    path = written(tmp_path, text)
    add_profile(path, "new", "kazoo", {"account_id": "1"})
    after = tomllib.loads(path.read_bytes().decode(), parse_float=str)
    assert after["profiles"].pop("new") == {"provider": "kazoo", "account_id": "1"}
    assert after == {"profiles": {}, **tomllib.loads(text, parse_float=str)}
    assert [line.count("#") for line in path.read_text("utf-8").splitlines()].count(1) == text.count("#")
    assert (b"\r\n" in path.read_bytes()) == ("\r\n" in text)
    assert path.read_bytes().count(b"\n") == path.read_bytes().count(b"\r\n") or "\r" not in text
    for name in tomllib.loads(text).get("profiles", {}):
        remove_profile(path, name)
    remove_profile(path, "new")
    assert tomllib.loads(path.read_bytes().decode()).get("profiles", {}) == {}


@pytest.mark.parametrize(
    "text",
    [
        COMMENTED,
        "[profiles.acme]\nprovider = 'webex'\naccess_token = 'x'",
        "[profiles]\nacme.provider = 'webex' # dotted\nacme.timeout = 3\n",
        "profiles = {acme = {provider = 'webex'}, other = {provider = 'kazoo'}}\n",
    ],
)
def test_a_profile_takes_the_place_of_another(tmp_path: Path, text: str) -> None:
    path = written(tmp_path, text)
    tokens = token_file(path, "acme", "origin")
    with tokens.locked():
        tokens.save({"access": SECRET})
    with refused(UsageError, "there is a profile acme"):
        add_profile(path, "acme", "kazoo", {"account_id": "1"})
    add_profile(path, "acme", "kazoo", {"account_id": "1"}, instead=True)
    after = tomllib.loads(path.read_text(encoding="utf-8"))["profiles"]
    before = tomllib.loads(text)["profiles"]
    assert after == {**before, "acme": {"provider": "kazoo", "account_id": "1"}}
    assert tokens.load() == {"access": SECRET}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 or os.name == "nt"
    add_profile(path, "other.one", "kazoo", {"account_id": "2"}, instead=True)
    assert "other.one" in tomllib.loads(path.read_text(encoding="utf-8"))["profiles"]
    with refused(UsageError, "same environment variables"):
        add_profile(path, "Acme", "kazoo", {"account_id": "2"}, instead=True)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("acme", "there is a profile acme"),
        ("ACME", "same environment variables"),
        ("a b", "cannot be a profile's name"),
    ],
)
def test_a_name_is_looked_at_before_anything_else_is_asked(tmp_path: Path, name: str, words: str) -> None:
    path = written(tmp_path, COMMENTED)
    with refused(UsageError, words):
        check_name(path, name)
    check_name(path, "another")
    check_name(tmp_path / "none" / "config.toml", "acme")
    assert not (tmp_path / "none").exists()


def test_settings_can_be_looked_at_without_asking_for_secrets(tmp_path: Path) -> None:
    def asked(*_: object) -> Any:
        raise AssertionError

    for form, value in (("command", "x"), ("file", "not there"), ("keyring", True)):
        profile = the(tmp_path, {"account_id": "a", f"api_key_{form}": value})
        found = read_settings(profile, Account, {}, warn=asked, run=asked, keyring=asked, read_secrets=False)
        assert key(found) == NOT_READ
        with refused(ConfigurationError, "retries"):
            profile = the(tmp_path, {"account_id": "a", f"api_key_{form}": value, "retries": "x"})
            read_settings(profile, Account, {}, warn=asked, run=asked, keyring=asked, read_secrets=False)


def test_a_secret_is_given_to_the_keyring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[tuple[str, str, str]] = []
    module: Any = types.ModuleType("keyring")
    module.set_password = lambda *given: held.append(given)
    monkeypatch.setitem(sys.modules, "keyring", module)
    store_in_keyring("cdrctl", "acme/api_key", SECRET)
    assert held == [("cdrctl", "acme/api_key", SECRET)]

    def broken(*given: str) -> None:
        raise RuntimeError(given)

    module.set_password = broken
    with refused(ConfigurationError, "cannot store it (RuntimeError)", "keyring diagnose"):
        store_in_keyring("cdrctl", "acme/api_key", SECRET)
    monkeypatch.setitem(sys.modules, "keyring", None)
    with refused(ConfigurationError, "pip install 'cdrctl[keyring]'"):
        store_in_keyring("cdrctl", "acme/api_key", SECRET)


def test_a_profile_is_removed_with_its_comments_and_no_others(tmp_path: Path) -> None:
    path = written(tmp_path, COMMENTED)
    remove_profile(path, "acme")
    assert path.read_text(encoding="utf-8") == (
        "# my profiles\n\n# the lab\n[profiles.lab]\nprovider = 'kazoo'\naccount_id = \"1\"\n\n"
        '[profiles.last]\nprovider = "webex"\n# the end\n'
    )
    remove_profile(path, "last")
    assert path.read_text(encoding="utf-8").endswith('account_id = "1"\n\n# the end\n')
    with refused(UsageError, "no profile labb", "did you mean lab?"):
        remove_profile(path, "labb")
    remove_profile(path, "lab")
    with refused(UsageError, "no profile lab", "no profiles"):
        remove_profile(path, "lab")


def test_a_file_that_no_edit_would_leave_as_it_was_is_not_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, COMMENTED)
    for candidate in ("", COMMENTED.replace("renewed", "x") + "[profiles.acme]", "[profiles.new]\n"):
        monkeypatch.setattr(editing, "add_tables", lambda *_, candidate=candidate: iter([candidate]))
        with refused(ConfigurationError, str(path), "editor"):
            add_profile(path, "new", "webex", {})
    assert path.read_text(encoding="utf-8") == COMMENTED


@pytest.mark.parametrize(
    "name", ["", "../x", "a/b", "a\nb", "a\n", ".a", "-a", "a b", "ü", "x" * 65, "sandbox", "SANDBOX", "a\\b"]
)
def test_names_that_cannot_be_a_profiles(tmp_path: Path, name: str) -> None:
    with refused(UsageError, "cannot be a profile's name"):
        add_profile(tmp_path / "config.toml", name, "webex", {})
    assert list(tmp_path.iterdir()) == []


def test_names_that_are_taken(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    add_profile(path, "a-b", "webex", {"access_token": SECRET})
    with refused(UsageError, "cdrctl profile remove a-b"):
        add_profile(path, "a-b", "webex", {})
    for name in ("a_b", "A-B", "a.b"):
        with refused(UsageError, "a-b", name, "CDRCTL_A_B_"):
            add_profile(path, name, "webex", {})
    add_profile(path, "x" * 64, "webex", {})


def test_what_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with refused(UsageError, "did you mean webex?"):
        add_profile(tmp_path / "config.toml", "a", "wexeb", {})
    with refused(UsageError, "api_key"):
        add_profile(tmp_path / "config.toml", "a", "webex", {"api_key": SECRET + "\udcff"})
    assert list(tmp_path.iterdir()) == []


@POSIX
@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_the_file_and_its_folders_are_its_owners_alone(tmp_path: Path, umask: int) -> None:
    path = tmp_path / "new" / "deep" / "config.toml"
    before = os.umask(umask)
    try:
        add_profile(path, "a", "webex", {})
        tokens = token_file(path, "a", "x")
        with tokens.locked():
            tokens.save({})
    finally:
        os.umask(before)
    for file in (path, tokens.path, tokens.lock, path.with_name(".config.toml.lock")):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    for folder in (path.parent, path.parent.parent, tokens.path.parent):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@POSIX
def test_the_file_is_its_owners_from_its_first_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    modes = []
    folders = []
    sync = os.fsync

    def look(descriptor: int) -> None:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            modes.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
        else:
            folders.append(os.fstat(descriptor).st_ino)
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", look)
    before = os.umask(0)
    try:
        add_profile(tmp_path / "config.toml", "a", "webex", {})
        token_file(tmp_path / "config.toml", "a", "x").save({})
    finally:
        os.umask(before)
    assert modes == [0o600, 0o600]
    assert folders == [tmp_path.stat().st_ino, (tmp_path / "tokens").stat().st_ino]


@POSIX
def test_a_linked_file_keeps_its_link(tmp_path: Path) -> None:
    (tmp_path / "dotfiles").mkdir()
    real = written(tmp_path / "dotfiles", COMMENTED, 0o644)
    link = tmp_path / "config.toml"
    link.symlink_to("dotfiles/config.toml")
    add_profile(link, "new", "webex", {})
    remove_profile(link, "lab")
    assert link.is_symlink()
    assert list(read_profiles(real, {})[0]) == ["acme", "last", "new"]
    assert stat.S_IMODE(real.stat().st_mode) == 0o600
    dangling = tmp_path / "dangling.toml"
    dangling.symlink_to("there/config.toml")
    add_profile(dangling, "new", "webex", {})
    assert (tmp_path / "there/config.toml").is_file()


@POSIX
def test_a_device_is_not_replaced(tmp_path: Path) -> None:
    fifo = tmp_path / "config.toml"
    os.mkfifo(fifo)
    with refused(ConfigurationError, "not a file"):
        add_profile(fifo, "a", "webex", {})
    assert fifo.is_fifo()


@pytest.mark.parametrize("failing", ["fsync", "replace", "mkstemp"])
def test_a_failed_write_leaves_everything_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    path = written(tmp_path, COMMENTED)
    tokens = token_file(path, "acme", "x")
    with tokens.locked():
        tokens.save({"refresh_token": "old"})

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        owner: Any = {"fsync": os, "replace": Path, "mkstemp": tempfile}[failing]
        patch.setattr(owner, failing, full)
        with refused(ConfigurationError, os.strerror(errno.ENOSPC)):
            add_profile(path, "new", "webex", {"access_token": SECRET})
        with refused(ConfigurationError, os.strerror(errno.ENOSPC)):
            remove_profile(path, "lab")
        with refused(ConfigurationError, os.strerror(errno.ENOSPC)):
            tokens.save({"refresh_token": SECRET})
    assert path.read_text(encoding="utf-8") == COMMENTED
    assert tokens.load() == {"refresh_token": "old"}
    assert sorted(each.name for each in tmp_path.iterdir()) == [".config.toml.lock", "config.toml", "tokens"]
    assert sorted(each.name for each in tokens.path.parent.iterdir()) == ["acme.json", "acme.lock"]


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    path = tmp_path / "file" / "config.toml"
    with refused(ConfigurationError, "cannot be written"):
        add_profile(path, "a", "webex", {})
    with refused(ConfigurationError, "cannot be written"), token_file(path, "a", "x").locked():
        pass
    with refused(ConfigurationError, "cannot be stored"):
        token_file(path, "a", "x").save({})


def test_a_folder_that_another_run_makes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make = Path.mkdir

    def late(folder: Path, *arguments: Any, **named: Any) -> None:
        if not folder.exists():
            make(folder, *arguments, **named)
        make(folder, *arguments, **named)

    monkeypatch.setattr(Path, "mkdir", late)
    add_profile(tmp_path / "a" / "b" / "config.toml", "new", "webex", {})


def test_a_filesystem_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import filelock

    def none(*_: object) -> None:
        raise NotImplementedError("no locks here")

    monkeypatch.setattr(filelock.FileLock, "acquire", none)
    with refused(ConfigurationError, "cannot be written: no locks here"):
        add_profile(tmp_path / "config.toml", "new", "webex", {})


@pytest.mark.process
def test_two_processes_adding_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "new" / "config.toml"
    code = (
        "import sys, pathlib\n"
        "from cdrctl.profiles.editing import add_profile\n"
        "print('ready', flush=True)\n"
        "sys.stdin.readline()\n"
        "for n in range(20): add_profile(pathlib.Path(sys.argv[1]), f'{sys.argv[2]}{n}', 'webex', {})\n"
    )
    both = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(path), name],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in "ab"
    ]
    for each in both:
        assert each.stdout is not None
        assert each.stdout.readline() == "ready\n"
    for each in both:
        assert each.stdin is not None
        each.stdin.write("go\n")
        each.stdin.flush()
    for each in both:
        each.communicate()
        assert each.returncode == 0
    assert set(read_profiles(path, {})[0]) == {f"{name}{n}" for name in "ab" for n in range(20)}


@contextmanager
def elsewhere(lock: Path) -> Iterator[None]:
    """Hold a lock in another process."""
    code = (
        "import sys, filelock\n"
        "with filelock.FileLock(sys.argv[1]):\n"
        "    print('held', flush=True)\n"
        "    sys.stdin.readline()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        yield
        other.communicate("go\n")


@pytest.mark.process
def test_a_held_lock_is_waited_for_and_then_said(tmp_path: Path) -> None:
    path = written(tmp_path, COMMENTED)
    with elsewhere(tmp_path / ".config.toml.lock"):
        with refused(TemporaryError, "another run is changing", "again"):
            add_profile(path, "new", "webex", {}, seconds=0)
        with refused(TemporaryError, "another run is changing"):
            remove_profile(path, "lab", seconds=0)
    tokens = token_file(path, "lab", "x")
    tokens.save({"refresh_token": "old"})
    with elsewhere(tokens.lock):
        with refused(TemporaryError, "another run is signing in"), tokens.locked(seconds=0):
            pass
        with refused(TemporaryError, "another run is signing in"):
            remove_profile(path, "lab", seconds=0)
    assert path.read_text(encoding="utf-8") == COMMENTED
    assert tokens.load() == {"refresh_token": "old"}
    with tokens.locked(seconds=0):
        pass
    with tokens.locked(seconds=0):
        pass


# Tokens


def test_tokens_are_kept_for_the_refresh_token_they_came_from(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    tokens = token_file(path, "acme", SECRET)
    assert tokens.path == tmp_path / "tokens" / "acme.json"
    assert tokens.load() is None
    with tokens.locked():
        tokens.save({"refresh_token": "second", "expires": 3})
        tokens.save({"refresh_token": "third"})
    assert token_file(path, "acme", SECRET).load() == {"refresh_token": "third"}
    assert token_file(path, "acme", "put in anew").load() is None
    assert token_file(path, "other", SECRET).load() is None
    assert SECRET not in tokens.path.read_text(encoding="utf-8")
    assert SECRET not in repr(tokens)
    assert token_file(path, "acme", "not UTF-8 \udcff").load() is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff" + SECRET.encode(),
        b'{"origin": 3, "tokens": {}}',
        b'{"origin": "x", "tokens": []}',
        b'{"origin": "x"}',
        f'{{"tokens": "{SECRET}'.encode(),
        b"[" * 100_000,
    ],
)
def test_damaged_tokens_are_not_taken_for_absent(tmp_path: Path, content: bytes) -> None:
    tokens = token_file(tmp_path / "config.toml", "acme", "x")
    tokens.path.parent.mkdir()
    tokens.path.write_bytes(content)
    with refused(ConfigurationError, "sign in again", f"delete {tokens.path}"):
        tokens.load()


def test_a_folder_in_place_of_the_tokens(tmp_path: Path) -> None:
    tokens = token_file(tmp_path / "config.toml", "acme", "x")
    tokens.path.mkdir(parents=True)
    with refused(ConfigurationError, "sign in again"):
        tokens.load()
    with refused(ConfigurationError, "is a folder"), tokens.locked():
        pass
    with refused(ConfigurationError, "cannot be stored"):
        tokens.save({})


def test_the_lock_is_not_had_when_nothing_could_be_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = token_file(tmp_path / "config.toml", "acme", "x")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with refused(ConfigurationError, os.strerror(errno.ENOSPC)), tokens.locked():
            pass
    assert [each.name for each in tokens.path.parent.iterdir()] == ["acme.lock"]
    with tokens.locked(seconds=0):
        assert [each.name for each in tokens.path.parent.iterdir()] == ["acme.lock"]


def test_an_error_while_the_lock_is_held_is_not_ours(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="of the caller"), token_file(tmp_path / "c.toml", "a", "x").locked():
        raise OSError("of the caller")


def test_tokens_go_with_their_profile(tmp_path: Path) -> None:
    path = written(tmp_path, COMMENTED)
    for name in ("acme", "lab"):
        token_file(path, name, "x").save({})
    remove_profile(path, "acme")
    assert not token_file(path, "acme", "x").path.exists()
    assert token_file(path, "lab", "x").load() == {}


@pytest.mark.parametrize("name", ["", "../x", "a/b", "a\n", ".."])
def test_tokens_never_leave_their_folder(tmp_path: Path, name: str) -> None:
    with refused(ConfigurationError, "name"):
        token_file(tmp_path / "config.toml", name, "x")


# Whatever comes

LINES = st.sampled_from(
    [
        "[profiles]", "[profiles.a]", "[profiles.a.b]", "[[profiles.a]]", "[profiles.'../x']", "[profiles.sandbox]",
        "[other]", "profiles = 1", "profiles = {a = {provider = 'kazoo'}}", "a = {provider = 'webex'}", "a = 1",
        "provider = 'kazoo'", "provider = 'nope'", "provider = 1", "provider = nan", "account_id = 'x'",
        "account_id = 1979-05-27", "timeout = nan", "timeout = 'x'", "retries = [1]", "api_key_file = 'x'",
        "api_key_keyring = 1", "api_key_keyring = true", f"api_key = '{SECRET}'", f"api_key = ['{SECRET}']",
        f"api_key = '{SECRET}", f"api_key = {{a = '{SECRET}'}}", f"password = '{SECRET}'", f"pasword = '{SECRET}'",
        f"retries = '{SECRET}'", f"timeout = '{SECRET}'", "# a comment", "", '"""', "'''", "x = [", "]", "\\", "=",
    ]
)  # fmt: skip
TEXTS = st.one_of(
    st.lists(LINES, max_size=12).map("\n".join),
    st.lists(st.one_of(LINES, st.text(max_size=8)), max_size=8).map("\n".join),
)
SLOWLY = examples(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@SLOWLY
@given(content=st.one_of(TEXTS.map(lambda text: text.encode("utf-8", "surrogatepass")), st.binary(max_size=40)))
@example(content=f"[profiles.a]\nprovider = 'kazoo'\naccount_id = 'x'\napi_key = '{SECRET}'".encode())
def test_any_file_is_read_or_refused_and_never_shows_a_secret(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.toml"
        path.write_bytes(content)
        path.chmod(0o600)
        said: list[str] = []
        try:
            found, warnings = read_profiles(path, {})
        except ConfigurationError as error:
            hushed(error)
            return
        said += [repr(found), *warnings]
        for name, profile in found.items():
            try:
                shown = redacted_texts(profile, Account, {})
                said += [text for setting, text in shown.items() if setting not in {"retries", "timeout"}]
                said += [repr(had(choose_profile(found, None, name, {}), keyring=_held_for))]
            except ConfigurationError as error:
                said.append(everything(error))
            before = tomllib.loads(content.decode("utf-8-sig"), parse_float=str)
            try:
                remove_profile(path, name)
                del before["profiles"][name]
                after = tomllib.loads(path.read_text("utf-8"), parse_float=str)
                assert {"profiles": {}, **after} == {"profiles": {}, **before}
            except ConfigurationError as error:
                said.append(everything(error))
            path.write_bytes(content)
            path.chmod(0o600)
        try:
            add_profile(path, "new", "webex", {"access_token": SECRET})
        except ConfigurationError as error:
            said.append(everything(error))
        else:
            assert path.read_bytes().startswith(content.removeprefix(b"\xef\xbb\xbf")) or b"profiles =" in content
        assert SECRET not in "\n".join(said)


@SLOWLY
@given(name=st.one_of(st.text(max_size=70), st.from_regex(r"[A-Za-z0-9_.-]{1,66}", fullmatch=True)))
def test_any_name_is_added_or_refused(name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.toml"
        try:
            add_profile(path, name, "webex", {"access_token": SECRET})
        except UsageError as error:
            hushed(error)
            assert os.listdir(folder) == []  # noqa: PTH208
            return
        found, warnings = read_profiles(path, {})
        assert (list(found), warnings) == ([name], [])
        assert choose_profile(found, "webex", None, {}).raw == {"access_token": SECRET}
        assert token_file(path, name, "").path.parent == path.parent / "tokens"
        remove_profile(path, name)
        assert read_profiles(path, {})[0] == {}


@SLOWLY
@given(
    value=st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
    key=st.sampled_from(["account_id", "api_key", "api_key_command", "timeout"]),
)
def test_any_text_comes_back_as_it_was_added(value: str, key: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.toml"
        add_profile(path, "a", "kazoo", {key: value})
        add_profile(path, "b", "kazoo", {})
        assert read_profiles(path, {})[0]["a"].raw == {key: value}


@SLOWLY
@given(
    values=st.dictionaries(
        st.sampled_from(["ACCOUNT_ID", "API_KEY", "TIMEOUT", "API_KEY_KEYRING", "BASE_URL", "VERBOSE", "ODD"]),
        st.one_of(st.text(max_size=10), st.just(SECRET)),
    )
)
def test_any_environment_is_used_or_refused_and_never_shows_a_secret(values: dict[str, str]) -> None:
    environ = {f"CDRCTL_ACME_{name}": value for name, value in values.items()}
    try:
        account = had(the(Path("nowhere")), environ, keyring=_held_for, warn=lambda _warning: None)
    except ConfigurationError as error:
        hushed(error)
    else:
        assert SECRET not in repr(account).replace(f"account_id='{SECRET}'", "")


def test_the_seed_would_be_seen() -> None:
    """The test of the tests: pydantic's own error shows the value, and `everything` finds it a cause away."""
    with pytest.raises(ConfigurationError) as caught:  # noqa: PT012
        try:
            Account.model_validate({"account_id": "a", "retries": SECRET})
        except ValidationError:
            raise ConfigurationError("hidden") from None
    assert SECRET in everything(caught.value)


def test_a_command_is_given_what_it_may_need_and_no_secret_of_others(tmp_path: Path) -> None:
    """CDRCTL_ACME_LAB_… begins as what is acme's, and is acme-lab's."""
    prefixes = ("CDRCTL_ACME_", "CDRCTL_ACME_LAB_", "CDRCTL_OTHER_")
    acme = Profile("acme", "kazoo", {}, "file", tmp_path / "config.toml", prefixes=prefixes)
    kept = {"PATH": "/bin", "CDRCTL_CONFIG": "c.toml", "CDRCTL_ACME_BASE_URL": "http://acme.example"}
    others = {"CDRCTL_ACME_PASSWORD": "hush", "CDRCTL_ACME_LAB_BASE_URL": "x", "CDRCTL_OTHER_BASE_URL": "y"}
    assert for_commands(acme, {"api_key", "password"}, {**kept, **others}) == kept


@pytest.mark.parametrize(("one", "other"), [(1, True), (1, 1.0), (0, False), ({"a": [1]}, {"a": [True]}), ([], {})])
def test_values_that_python_takes_for_each_other_are_not_the_same_in_a_file(one: object, other: object) -> None:
    assert not equal_values(one, other)
    assert equal_values(one, one)
