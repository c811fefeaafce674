"""The choice of the profile that a command uses."""

from __future__ import annotations

from pathlib import Path

from cdrctl.errors import ConfigurationError
from cdrctl.profiles.choosing import choose_profile
from cdrctl.profiles.file import Profile, read_profiles
from tests.profiles.kit import (
    expect_refusal,
    write_config,
)

MANY = {
    name: Profile(name, provider, {}, "file", Path("config.toml"))
    for name, provider in {"acme": "webex", "lab": "kazoo", "home": "kazoo"}.items()
}


def test_the_name_has_precedence_over_the_variable_and_the_only_profile() -> None:
    assert choose_profile(MANY, "kazoo", "lab", {"CDRCTL_PROFILE": "acme"}).name == "lab"
    assert choose_profile(MANY, "kazoo", None, {"CDRCTL_PROFILE": "home"}).name == "home"
    assert choose_profile(MANY, None, None, {"CDRCTL_PROFILE": "home"}).name == "home"
    assert choose_profile(MANY, "webex", None, {"CDRCTL_PROFILE": ""}).name == "acme"
    assert choose_profile({"lab": MANY["lab"]}, None, None, {}).name == "lab"


def test_an_unknown_name_lists_similar_names_and_all_names() -> None:
    with expect_refusal(ConfigurationError, "no profile ACMA", "did you mean acme?", "acme, lab, home"):
        choose_profile(MANY, "webex", "ACMA", {})
    with expect_refusal(ConfigurationError, "no profile x (CDRCTL_PROFILE)", "acme, lab, home"):
        choose_profile(MANY, "webex", None, {"CDRCTL_PROFILE": "x"})
    with expect_refusal(ConfigurationError, "no profile x", "cdrctl profile add NAME --provider webex"):
        choose_profile({}, "webex", "x", {})


def test_a_profile_of_another_provider_is_refused_with_a_next_step() -> None:
    with expect_refusal(ConfigurationError, "acme is for webex, not for kazoo", "`cdrctl webex", "lab, home"):
        choose_profile(MANY, "kazoo", "acme", {})
    with expect_refusal(ConfigurationError, "is for kazoo", "profile add NAME --provider webex"):
        choose_profile({"lab": MANY["lab"]}, "webex", "lab", {})


def test_a_provider_without_profiles_gives_a_next_step() -> None:
    with expect_refusal(ConfigurationError, "no profile of webex", "add NAME --provider webex", "-p sandbox"):
        choose_profile({"lab": MANY["lab"]}, "webex", None, {})
    with expect_refusal(ConfigurationError, "no profile", "profile add NAME", "-p sandbox"):
        choose_profile({}, None, None, {})


def test_a_provider_with_only_a_broken_profile_names_it(tmp_path: Path) -> None:
    found, _ = read_profiles(write_config(tmp_path, "[profiles.acme]\n"), {})
    with expect_refusal(ConfigurationError, "no profile of webex", "acme cannot be used"):
        choose_profile(found, "webex", None, {})


def test_several_profiles_are_listed() -> None:
    with expect_refusal(ConfigurationError, "2 profiles of kazoo: lab, home", "-p NAME"):
        choose_profile(MANY, "kazoo", None, {})
    with expect_refusal(ConfigurationError, "3 profiles: acme, lab, home"):
        choose_profile(MANY, None, None, {})


def test_the_sandbox_is_chosen_by_its_name_only() -> None:
    sandbox = {**MANY, "sandbox": Profile("sandbox", "webex", {}, "environment", Path("config.toml"))}
    assert choose_profile(sandbox, "webex", None, {}).name == "acme"
    assert choose_profile(sandbox, "webex", "sandbox", {}).name == "sandbox"
