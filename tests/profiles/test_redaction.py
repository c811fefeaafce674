"""Settings as they are shown, and the secrets to mask."""

from __future__ import annotations

from pathlib import Path

from cdrctl import PROVIDERS
from cdrctl.fetchers import load
from cdrctl.masking import MASK as HIDDEN
from cdrctl.profiles.names import SECRETS, secret_names
from cdrctl.profiles.settings import secret_values
from tests.profiles.kit import (
    SECRET,
    Account,
    make_profile,
    redacted_texts,
)


def test_secret_values_are_sorted_longest_first() -> None:
    account = Account.of({"account_id": "a", "api_key": "a b/c", "password": "longer than that"})
    values = secret_values(account)
    assert set(values) >= {"a b/c", "longer than that", "a%20b%2Fc", "a+b%2Fc"}
    assert values == sorted(values, key=len, reverse=True)
    assert secret_values(Account.of({"account_id": "a", "api_key": "xyz"})) == ["xyz"]
    assert secret_values(Account.of({"account_id": "a", "api_key": ""})) == []


def test_the_secrets_of_all_providers_are_known_without_loading_them() -> None:
    assert set().union(*(secret_names(load(name).settings) for name in PROVIDERS)) == SECRETS


def test_secrets_are_the_settings_of_type_secretstr() -> None:
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
    shown = redacted_texts(make_profile(tmp_path, raw), Account, environ)
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
    assert redacted_texts(make_profile(tmp_path, {**twice, SECRET: 1}), Account, {}) == {
        "account_id": HIDDEN,
        "api_key_file": "key",
        "ca_file": f"/{HIDDEN}.pem",
        "password_command": f"echo {HIDDEN}",
        HIDDEN: f"{HIDDEN} (not a setting of kazoo)",
    }
    short = redacted_texts(make_profile(tmp_path, {"api_key": "x"}), Account, {"CDRCTL_ACME_API_KEY_FILE": "key"})
    assert short == {"api_key_file": "key (CDRCTL_ACME_API_KEY_FILE)"}
    assert redacted_texts(make_profile(tmp_path, {"api_key": "x"}), Account, {}) == {"api_key": HIDDEN}
