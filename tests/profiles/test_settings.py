"""The settings of a profile: the environment, the file, and the refusal of wrong values."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest

from cdrctl.errors import ConfigurationError
from cdrctl.fetchers import PROVIDERS, load
from cdrctl.fetchers.settings import Checks, Secret, SettingsError
from cdrctl.masking import MASK as HIDDEN
from cdrctl.profiles.file import environment_name, read_profiles
from cdrctl.profiles.settings import read_settings
from tests.profiles.kit import (
    NUMBER,
    SECRET,
    Account,
    all_texts,
    api_key,
    expect_refusal,
    make_profile,
    read,
    write_config,
)
from tests.support.products import for_each


def test_each_setting_in_the_environment_has_precedence_over_the_file(tmp_path: Path) -> None:
    profile = make_profile(tmp_path, {"account_id": "file", "api_key": SECRET, "retries": 3}, "my-lab.1")
    assert environment_name("my-lab.1", "account_id") == "CDRCTL_MY_LAB_1_ACCOUNT_ID"
    account = read(profile, {"CDRCTL_MY_LAB_1_ACCOUNT_ID": "environment", "CDRCTL_MY_LAB_1_RETRIES": ""})
    assert (account.account_id, account.retries, api_key(account)) == ("environment", 3, SECRET)


def test_numbers_and_booleans_in_the_environment_are_parsed(tmp_path: Path) -> None:
    environ = {"CDRCTL_ACME_RETRIES": "4", "CDRCTL_ACME_VERBOSE": "true", "CDRCTL_ACME_TIMEOUT": "2.5"}
    account = read(make_profile(tmp_path, {"account_id": "a"}), environ)
    assert (account.retries, account.verbose, account.timeout) == (4, True, 2.5)


def test_a_missing_setting_is_named_with_its_key_and_its_variable(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    with expect_refusal(
        ConfigurationError,
        f"profile acme has no account_id: set account_id in {path} or CDRCTL_ACME_ACCOUNT_ID",
    ):
        read(make_profile(tmp_path, {"api_key": SECRET}))


def test_an_unknown_setting_is_refused_with_similar_names(tmp_path: Path) -> None:
    for raw in ({"acount_id": SECRET}, {"account_id": "a", "apikey": SECRET}):
        with expect_refusal(ConfigurationError, "did you mean", "not a setting of kazoo", str(tmp_path)):
            read(make_profile(tmp_path, raw))
    with expect_refusal(ConfigurationError, "base_url_command"):
        read(make_profile(tmp_path, {"account_id": "a", "base_url_command": "x"}))
    with expect_refusal(ConfigurationError, "CDRCTL_ACME_API_KEI", "did you mean api_key"):
        read(make_profile(tmp_path, {"account_id": "a"}), {"CDRCTL_ACME_API_KEI": SECRET})


def test_a_variable_of_a_profile_with_a_longer_name_is_not_unknown(tmp_path: Path) -> None:
    path = write_config(
        tmp_path,
        "[profiles.acme]\nprovider = 'kazoo'\naccount_id = 'a'\n[profiles.acme-lab]\nprovider = 'kazoo'\n",
    )
    environ = {"CDRCTL_ACME_LAB_ACCOUNT_ID": "lab", "CDRCTL_ACME_PROVIDER": "kazoo"}
    found, _ = read_profiles(path, environ)
    assert read(found["acme"], environ).account_id == "a"
    assert read(found["acme-lab"], environ).account_id == "lab"


def test_each_problem_is_one_sentence_without_the_value(tmp_path: Path) -> None:
    raw = {"account_id": "bad", "retries": SECRET, "timeout": 0}
    with pytest.raises(ConfigurationError) as caught:
        read(make_profile(tmp_path, raw), warn=lambda _warning: None)
    path = tmp_path / "config.toml"
    assert caught.value.message.split("; ") == [
        f"profile acme: timeout in {path} should be greater than 0 and at most 3600",
        f"profile acme: account_id in {path}: account_id is not one of ours",
        f"profile acme: retries in {path} should be a whole number",
    ]
    assert SECRET not in all_texts(caught.value)
    with expect_refusal(ConfigurationError, "profile acme: CDRCTL_ACME_RETRIES should be a whole number"):
        read(make_profile(tmp_path, {"account_id": "a"}), {"CDRCTL_ACME_RETRIES": SECRET})
    with expect_refusal(ConfigurationError, "profile acme: base_url in ", "it must begin with https://"):
        read(make_profile(tmp_path, {"account_id": "a", "base_url": "x"}))


def test_a_number_in_place_of_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"api_key in .* must be text: write it in quotes") as caught:
        read(make_profile(tmp_path, {"account_id": "a", "api_key": NUMBER}))
    assert str(NUMBER) not in all_texts(caught.value)


def test_a_secret_in_the_message_of_a_model_is_masked(tmp_path: Path) -> None:
    def shout(value: Secret) -> Secret:
        raise ValueError(f"{value.get_secret_value()} is not good")

    class Loud(Account, frozen=True, kw_only=True):
        checks: ClassVar[Checks] = {"api_key": shout}

    with expect_refusal(ConfigurationError, f"{HIDDEN} is not good"):
        read_settings(make_profile(tmp_path, {"account_id": "a", "api_key": SECRET}), Loud, {}, warn=print)


@for_each("value", ["", " ", f"{SECRET}\nsecond", f"{SECRET}\r", f"{SECRET}\0"])
def test_a_secret_is_one_line_and_not_empty(tmp_path: Path, value: str) -> None:
    """The error of an invalid header would show the header."""
    with expect_refusal(ConfigurationError, "api_key in"):
        read(make_profile(tmp_path, {"account_id": "a", "api_key": value}))


@for_each(
    "setting, value, said",
    [
        ("timezone", "Europe/Berlim", "write Europe/Berlin"),
        ("timezone", "", "write a name such as Europe/Paris"),
        ("max_wait", float("nan"), "write a duration from 0 to"),
        ("max_wait", float("inf"), "write a duration from 0 to"),
        ("requests_per_minute", 1e-9, "at least 0.001, or 0"),
        ("app_host", "http://[x", "its host has an unbalanced bracket"),
        ("app_host", "https://app.exa\nmple", "a control character"),
        ("redirect_uri", "http://127.0.0.1:99999/", "a port from 1 to 65535"),
        ("redirect_uri", "http://[x", "a host"),
    ],
)
def test_a_wrong_value_is_refused_by_the_profile_in_words_of_ours(setting: str, value: object, said: str) -> None:
    models = [provider.settings for provider in map(load, PROVIDERS) if setting in provider.settings.described()]
    assert models
    for model in models:
        with pytest.raises(SettingsError) as caught:
            model.of({setting: value})
        assert [said in one.said for one in caught.value.problems if one.name == setting] == [True]
