"""Arbitrary files, names, values and variables are accepted or refused, and no secret is shown."""

from __future__ import annotations

import os
import sys
import tempfile
import tomllib
from pathlib import Path

import pytest
from hypothesis import example, given, strategies as st

from cdrctl.errors import ConfigurationError, UsageError
from cdrctl.profiles.choosing import choose_profile
from cdrctl.profiles.document import equal_values
from cdrctl.profiles.editing import add_profile, remove_profile
from cdrctl.profiles.file import Profile, read_profiles
from cdrctl.profiles.secrets import for_commands
from cdrctl.profiles.tokens import token_file
from tests.profiles.kit import (
    SECRET,
    Account,
    all_texts,
    assert_no_secret,
    keyring_for_tests,
    make_profile,
    read,
    redacted_texts,
)
from tests.support.products import for_each

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
            assert_no_secret(error)
            return
        said += [repr(found), *warnings]
        for name, profile in found.items():
            try:
                shown = redacted_texts(profile, Account, {})
                said += [text for setting, text in shown.items() if setting not in {"retries", "timeout"}]
                said += [repr(read(choose_profile(found, None, name, {}), keyring=keyring_for_tests))]
            except ConfigurationError as error:
                said.append(all_texts(error))
            before = tomllib.loads(content.decode("utf-8-sig"), parse_float=str)
            try:
                remove_profile(path, name)
                del before["profiles"][name]
                after = tomllib.loads(path.read_text("utf-8"), parse_float=str)
                assert {"profiles": {}, **after} == {"profiles": {}, **before}
            except ConfigurationError as error:
                said.append(all_texts(error))
            path.write_bytes(content)
            path.chmod(0o600)
        try:
            add_profile(path, "new", "webex", {"access_token": SECRET})
        except ConfigurationError as error:
            said.append(all_texts(error))
        else:
            assert path.read_bytes().startswith(content.removeprefix(b"\xef\xbb\xbf")) or b"profiles =" in content
        assert SECRET not in "\n".join(said)


@given(name=st.one_of(st.text(max_size=70), st.from_regex(r"[A-Za-z0-9_.-]{1,66}", fullmatch=True)))
def test_any_name_is_added_or_refused(name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.toml"
        try:
            add_profile(path, name, "webex", {"access_token": SECRET})
        except UsageError as error:
            assert_no_secret(error)
            assert os.listdir(folder) == []  # noqa: PTH208
            return
        found, warnings = read_profiles(path, {})
        assert (list(found), warnings) == ([name], [])
        assert choose_profile(found, "webex", None, {}).raw == {"access_token": SECRET}
        assert token_file(path, name, "").path.parent == path.parent / "tokens"
        remove_profile(path, name)
        assert read_profiles(path, {})[0] == {}


@given(
    value=st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
    key=st.sampled_from(["account_id", "api_key", "api_key_command", "timeout"]),
)
def test_any_added_text_can_be_read_back(value: str, key: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.toml"
        add_profile(path, "a", "kazoo", {key: value})
        add_profile(path, "b", "kazoo", {})
        assert read_profiles(path, {})[0]["a"].raw == {key: value}


@given(
    values=st.dictionaries(
        st.sampled_from(["ACCOUNT_ID", "API_KEY", "TIMEOUT", "API_KEY_KEYRING", "BASE_URL", "VERBOSE", "ODD"]),
        st.one_of(st.text(max_size=10), st.just(SECRET)),
    )
)
def test_any_environment_is_used_or_refused_and_never_shows_a_secret(values: dict[str, str]) -> None:
    environ = {f"CDRCTL_ACME_{name}": value for name, value in values.items()}
    try:
        account = read(make_profile(Path("nowhere")), environ, keyring=keyring_for_tests, warn=lambda _warning: None)
    except ConfigurationError as error:
        assert_no_secret(error)
    else:
        assert SECRET not in repr(account).replace(f"account_id='{SECRET}'", "")


def test_a_secret_in_the_context_of_an_error_is_found() -> None:
    """A test of the tests: the first error shows the value, and `all_texts` finds it in the context."""
    with pytest.raises(ConfigurationError) as caught:  # noqa: PT012
        try:
            float(SECRET)
        except ValueError:
            raise ConfigurationError("hidden") from None
    assert SECRET in all_texts(caught.value)


def test_a_command_gets_no_secret_of_other_profiles(tmp_path: Path) -> None:
    """CDRCTL_ACME_LAB_… begins like a variable of acme, and belongs to acme-lab."""
    prefixes = ("CDRCTL_ACME_", "CDRCTL_ACME_LAB_", "CDRCTL_OTHER_")
    acme = Profile("acme", "kazoo", {}, "file", tmp_path / "config.toml", prefixes=prefixes)
    kept = {"PATH": "/bin", "CDRCTL_CONFIG": "c.toml", "CDRCTL_ACME_BASE_URL": "http://acme.example"}
    others = {"CDRCTL_ACME_PASSWORD": "hush", "CDRCTL_ACME_LAB_BASE_URL": "x", "CDRCTL_OTHER_BASE_URL": "y"}
    assert for_commands(acme, frozenset({"api_key", "password"}), {**kept, **others}) == kept


def test_the_environment_for_commands_is_not_compared_with_every_profile(tmp_path: Path) -> None:
    prefixes = tuple(f"CDRCTL_P{number:04}_" for number in range(1000))
    acme = Profile("acme", "kazoo", {}, "file", tmp_path / "config.toml", prefixes=prefixes)
    environ, compared = {f"VARIABLE_{number}": "x" for number in range(40)}, 0

    def count(_frame: object, event: str, function: object) -> None:
        nonlocal compared
        compared += event == "c_call" and getattr(function, "__name__", "") == "startswith"

    sys.setprofile(count)
    try:
        kept = for_commands(acme, frozenset({"api_key"}), environ)
    finally:
        sys.setprofile(None)
    assert kept == environ
    assert compared <= 80


@for_each("one, other", [(1, True), (1, 1.0), (0, False), ({"a": [1]}, {"a": [True]}), ([], {})])
def test_values_of_different_toml_types_differ(one: object, other: object) -> None:
    assert not equal_values(one, other)
    assert equal_values(one, one)
