"""The division of profiles into shards."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from cdrctl.errors import UsageError
from cdrctl.fetchers import PROVIDERS, load
from cdrctl.profiles.file import Profile
from cdrctl.profiles.shards import Shard, is_in_shard, read_shard
from tests.support.products import for_each

CONFIG = Path("config.toml")
COUNTS = st.integers(1, 40)
SECRETS = st.sampled_from(
    [{"access_token": "tok-4711"}, {"access_token_command": "pass show x"}, {"access_token_file": "token"}]
)


def profile(name: str, provider: str = "webex", **raw: object) -> Profile:
    return Profile(name, provider, raw, "file", CONFIG)


def shard_of(one: Profile, count: int, environ: dict[str, str] | None = None) -> int:
    """Return the index of the only shard that a profile is in."""
    model = load(one.provider).settings if one.provider else None
    (index,) = [n for n in range(count) if is_in_shard(one, model, environ or {}, Shard(n, count))]
    return index


@given(st.text("abc", min_size=1), st.sampled_from(sorted(PROVIDERS)), SECRETS, COUNTS)
def test_each_profile_is_in_one_shard_whatever_other_profiles_there_are(
    name: str, provider: str, secret: dict[str, str], count: int
) -> None:
    assert 0 <= shard_of(profile(name, provider, **secret), count) < count


@given(SECRETS, COUNTS)
def test_profiles_with_one_credential_are_in_one_shard(secret: dict[str, str], count: int) -> None:
    one, other = (profile(name, **secret) for name in ("one", "other"))
    more = profile("more", timeout=5, base_url="https://analytics-calling.webexapis.com/v1/", **secret)
    assert shard_of(one, count) == shard_of(other, count) == shard_of(more, count)


def test_profiles_with_other_credentials_are_divided() -> None:
    many = [profile(f"p{n}", access_token=f"tok-{n}") for n in range(200)]
    sizes = Counter(shard_of(one, 4) for one in many)
    assert sizes.keys() == {*range(4)}
    assert min(sizes.values()) > 25, sizes
    for named in ({"access_token_keyring": True}, {"unknown": 1, "access_token": "x"}):  # a name decides
        assert len({shard_of(profile(f"p{n}", **named), 4) for n in range(40)}) == 4
    hosts = [
        profile("p", "portsip", base_url=f"https://pbx{n}.example.net:8887/api", access_token="x") for n in range(40)
    ]
    assert len({shard_of(one, 4) for one in hosts}) == 4


def test_the_environment_has_precedence() -> None:
    plain, renewed = profile("acme", access_token="old"), profile("acme", access_token="new")
    for count in range(2, 20):
        assert shard_of(plain, count, {"CDRCTL_ACME_ACCESS_TOKEN": "new"}) == shard_of(renewed, count)


def test_a_profile_without_a_provider_is_in_one_shard() -> None:
    broken = Profile("acme", "", {}, "file", CONFIG, fault="it has no provider")
    assert 0 <= shard_of(broken, 8) < 8


def test_the_first_number_may_start_at_zero_or_at_one() -> None:
    assert [read_shard(f"{n}/3").index for n in range(3)] == [0, 1, 2]
    assert [read_shard(f"{n}/3").index for n in (1, 2, 3)] == [1, 2, 0]


@for_each("text", ["3", "1/0", "4/3", "-1/3", "1/3 ", "a/b", "1/3/5", "٣/٨", "1/1000000", "0/200000"])
def test_a_text_that_is_no_shard_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not a shard"):
        read_shard(text)
