"""Any configuration file and environment: profiles and settings are read or refused."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, strategies as st

from cdrctl.errors import CdrctlError
from cdrctl.fetchers import PROVIDERS, load
from cdrctl.profiles.choosing import choose_profile
from cdrctl.profiles.editing import add_profile, remove_profile
from cdrctl.profiles.file import read_profiles
from cdrctl.profiles.redaction import redact_settings
from cdrctl.profiles.settings import read_settings
from tests.fuzz.anything import ODD_NUMBERS, texts
from tests.support.examples import examples

LINES = (
    *("[profiles.a]", "[profiles.b]", "[profiles.'a b']", "[profiles]", "[[profiles.a]]", "[profiles.a.b]", "x = ["),
    *("provider = 'webex'", "provider = 1", "provider = ['kazoo']", "base_url = 'http://['", "access_token = 't'"),
    *(
        "timeout = 1e400",
        "timeout = nan",
        "requests_per_minute = 0",
        "profiles = 1",
        "a.b.c = 1",
        "{",
        "'''",
        '"""',
        "=",
    ),
    *("x = 1979-05-27T07:32:00Z", 'x = "\\ud800"', "\x00", "\r", "\ufeff", "# c", "profiles.a.provider = 'webex'", "é"),
    *('[profiles.""]', '[profiles."\\n"]', "password = 5", "x = " + "[" * 3000, "user_id = 99999999999999999999"),
)
NAMES = ("base_url", "access_token", "timeout", "timezone", "ca_file", "account_id", "user_id", "app_host", "token_url")
ADDRESSES = (
    "http://[::1",
    "https://h/api",
    "//",
    "http://a b/api",
    "https://h:99999/api",
    "http://\u2100/api",
    "https://",
)
VALUES = st.one_of(
    texts(), st.sampled_from(ADDRESSES), st.sampled_from(ODD_NUMBERS).filter(lambda one: abs(one) < 10**20)
)


def profile_text(name: str, provider: str, given_values: dict[str, object]) -> str:
    """Return a profile as text of a configuration file."""
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in given_values.items()]
    return "\n".join([f"[profiles.{name}]", f"provider = {provider!r}", *lines])


FILES = st.one_of(
    st.builds("\n".join, st.lists(st.sampled_from(LINES), max_size=8)),
    st.builds(
        profile_text, st.just("a"), st.sampled_from(sorted(PROVIDERS)), st.dictionaries(st.sampled_from(NAMES), VALUES)
    ),
).map(lambda text: text.encode("utf-8", "surrogatepass"))

VARIABLES = st.dictionaries(
    st.sampled_from([f"CDRCTL_A_{name.upper()}" for name in NAMES] + ["CDRCTL_PROFILE", "CDRCTL_A_PROVIDER"]),
    st.sampled_from(ADDRESSES) | st.text(max_size=5),
    max_size=3,
)


@examples(150)
@given(content=FILES | st.binary(max_size=40), environ=VARIABLES)
def test_any_configuration_file_is_read_or_refused(content: bytes, environ: dict[str, str]) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "config.toml"
        path.write_bytes(content)
        try:
            found, _ = read_profiles(path, environ)
        except CdrctlError:
            return
        for name in (*found, None):
            with suppress(CdrctlError):
                profile = choose_profile(found, None, name, environ)
                provider = load(profile.provider)
                redact_settings(profile, provider.settings, environ)
                made = read_settings(profile, provider.settings, environ, warn=lambda _text: None)
                assert provider.allows_url(made, "https://another.example/") is False


@examples(80)
@given(content=FILES, name=st.sampled_from(("b", "é", "", "a b", "a")), secret=texts())
def test_profile_is_added_and_removed_or_refused(content: bytes, name: str, secret: str) -> None:
    """A refused change leaves the file unchanged."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "config.toml"
        path.write_bytes(content)
        try:
            add_profile(path, name, "webex", {"access_token": secret})
        except CdrctlError:
            assert path.read_bytes() == content
            return
        found, _ = read_profiles(path, {})
        assert name in found
        remove_profile(path, name)
        assert name not in read_profiles(path, {})[0]
