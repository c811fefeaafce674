"""An archive knows whose records it holds: another account under the same profile name is refused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from cdrctl import sandbox
from cdrctl.archive.owner import NAMES, Account, Owner, is_same_account, owner_of, write_owner
from cdrctl.archive.settings import Settings
from cdrctl.archive.store import FIRST_LAYOUT, Archive
from cdrctl.digests import SLOW_ROUNDS
from cdrctl.errors import ConfigurationError, IncompleteError
from cdrctl.fetchers import PROVIDERS, load
from cdrctl.records.columns import Column
from cdrctl.records.events import Gap
from cdrctl.sandbox import Exchange, Sandbox
from cdrctl.units.account import account_of
from tests.archive.sync_kit import Bench, bench, bench1, call, without_ours
from tests.support.clock import HandClock
from tests.support.products import for_each
from tests.support.runner import Ran, Shell

__all__ = ["bench", "bench1"]

NOW = datetime(2026, 11, 12, 5, 0, tzinfo=UTC)
LONG = "0123456789abcdef" * 2
INTO = ("--into", "archive")
SECRETS = {"access_token", "api_key", "password", "code", "username"}


@pytest.fixture
def providers() -> Iterator[Sandbox]:
    with sandbox.start(now=lambda: NOW, exchange=Exchange(volume=0.3)) as running:
        yield running


@pytest.fixture
def others() -> Iterator[Sandbox]:
    """Start the providers with other customers' calls."""
    with sandbox.start(now=lambda: NOW, exchange=Exchange(2, volume=0.3)) as running:
        yield running


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.chdir(tmp_path)
    return Shell(tmp_path, HandClock(NOW))


def sync(shell: Shell, name: str, provider: Sandbox, *more: str, **settings: Any) -> Ran:
    """Run a sync of the profile `acme`, which points to a provider as these settings say."""
    shell.profile("acme", name, {**provider.credentials(name), "requests_per_minute": 0, **settings})
    return shell.run("sync", "acme", *INTO, "-f", "jsonl", *more)


def files(shell: Shell) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in shell.folder.glob("archive/profile=acme/*/date=*/cdrs.jsonl")}


def records(content: bytes) -> set[str]:
    """Return the records of a file, without the archive's own columns."""
    return {json.dumps(without_ours(line)) for line in content.decode().splitlines()}


@pytest.mark.slow
@pytest.mark.thin
@pytest.mark.parametrize("name", PROVIDERS)
def test_another_account_is_refused_and_nothing_is_touched(
    shell: Shell, providers: Sandbox, others: Sandbox, name: str
) -> None:
    sync(shell, name, providers).ok()
    before = files(shell)
    assert any(before.values())
    ran = sync(shell, name, others)
    assert ran.code == 6, ran.err
    assert "--adopt" in ran.err
    assert files(shell) == before
    sync(shell, name, providers).ok()
    assert files(shell) == before
    assert sync(shell, name, others, "--adopt").code == 3, "the records of the first account are gone at the second"
    after = files(shell)
    for path, content in before.items():
        assert records(content) <= records(after[path])


@pytest.mark.thin
@pytest.mark.parametrize("name", PROVIDERS)
def test_the_same_account_is_not_refused(shell: Shell, providers: Sandbox, name: str) -> None:
    """Its server is restarted at another port, its key is renewed, the profile is removed and added again."""
    sync(shell, name, providers).ok()
    before = files(shell)
    written = (shell.folder / "archive/profile=acme/_account.json").read_bytes()
    with sandbox.start(now=lambda: NOW, exchange=Exchange(volume=0.3)) as again:
        if name == "callgear":
            ran = sync(shell, name, again, **again.credentials(name, "login"))
        elif name == "voicenter":
            ran = sync(shell, name, again, **again.credentials(name, "bearer"))
        else:
            ran = sync(shell, name, again)
        assert ran.ok().code == 0
        assert files(shell) == before
        asked = len(again.requests)
        shell.run("sync", "acme", *INTO, "-f", "jsonl").ok()
        assert len(again.requests) - asked <= asked, "what was found out is written down"
    secrets = {str(value) for key, value in providers.credentials(name).items() if key in SECRETS}
    assert secrets
    assert not any(secret.encode() in written for secret in secrets)


def test_what_is_written_down_has_no_secret(shell: Shell, providers: Sandbox) -> None:
    sync(shell, "voicenter", providers).ok()
    path = shell.folder / "archive/profile=acme/_account.json"
    assert str(providers.credentials("voicenter")["code"]) not in path.read_text()
    assert path.stat().st_mode & 0o077 == 0
    first = path.read_bytes()
    shell.run("sync", "acme", *INTO, "-f", "jsonl").ok()
    assert path.read_bytes() == first


@pytest.mark.thin
@pytest.mark.parametrize("name", PROVIDERS)
def test_an_archive_of_an_older_version_takes_the_account_unless_its_records_are_of_another(
    shell: Shell, providers: Sandbox, others: Sandbox, name: str
) -> None:
    sync(shell, name, providers).ok()
    path = shell.folder / "archive/profile=acme/_account.json"
    path.unlink()
    before = files(shell)
    assert sync(shell, name, others).code == 6
    assert files(shell) == before
    assert not path.exists()
    sync(shell, name, providers).ok()
    assert path.exists()


@pytest.mark.slow
def test_the_built_in_sandbox_is_one_account_on_every_run(shell: Shell) -> None:
    for _ in range(2):
        shell.run("sync", "sandbox", *INTO, "--call", "cdrs").ok()
    assert json.loads((shell.folder / "archive/profile=sandbox-webex/_account.json").read_bytes())["host"] == "sandbox"


def test_a_kazoo_account_is_told_by_its_id(shell: Shell, providers: Sandbox) -> None:
    sync(shell, "kazoo", providers).ok()
    asked = len(providers.requests)
    ran = sync(shell, "kazoo", providers, account_id="f" * 32)
    assert ran.code == 6
    assert "f" * 32 in ran.err
    assert len(providers.requests) == asked, "the settings tell"


def test_a_damaged_description_is_refused_until_it_is_said_that_the_profile_is_right(
    shell: Shell, providers: Sandbox
) -> None:
    sync(shell, "webex", providers).ok()
    path = shell.folder / "archive/profile=acme/_account.json"
    for content in (b"", b"[]", b'{"provider": "webex", "host": 7, "account": {}}', b"[" * 5000, b"\xff"):
        path.write_bytes(content)
        ran = sync(shell, "webex", providers)
        assert ran.code == 6
        assert "_account.json" in ran.err
    sync(shell, "webex", providers, "--adopt").ok()
    sync(shell, "webex", providers).ok()


SPELLINGS = [
    ("https://Kazoo.Example.net/v2", True),
    ("https://kazoo.example.net./v2/", True),
    ("https://kazoo.example.net:443/v2", True),
    ("http://kazoo.example.net/v2", True),
    ("https://kazoo.example.net:8443/v2", False),
    ("https://kazoo2.example.net/v2", False),
]


def account(provider: str, **settings: Any) -> Account:
    found = load(provider)
    return account_of(found, found.settings.of(settings))


@for_each("url, same", SPELLINGS)
def test_one_address_has_many_spellings(tmp_path: Path, url: str, same: bool) -> None:  # noqa: FBT001
    first = account("kazoo", base_url="https://kazoo.example.net/v2", account_id="a" * 32, auth_token="x")
    settings = {"account_id": "A" * 32, "auth_token": "y", "allow_http": url.startswith("http:")}
    now = account("kazoo", base_url=url, **settings)
    assert is_same(tmp_path, first, now) is same


def test_the_regions_of_webex_are_one_host(tmp_path: Path) -> None:
    first = account("webex", access_token="x")
    for region in ("analytics-calling-eu", "analytics-calling-gov"):
        assert is_same(
            tmp_path, first, account("webex", base_url=f"https://{region}.webexapis.com/v1", access_token="y")
        )
    assert not is_same(tmp_path, first, account("webex", base_url="https://proxy.example.net/v1", access_token="y"))


@for_each(
    "provider, first, now, found",
    [
        ("portsip", {"domain": "a.example", "username": "u"}, {"domain": "b.example", "username": "u"}, False),
        ("portsip", {"domain": "a.example", "username": "u"}, {"domain": "A.example", "username": "u"}, True),
        ("portsip", {"domain": "a.example", "username": "u"}, {"domain": "a.example", "username": "v"}, None),
        ("portsip", {"domain": "a.example", "username": "u"}, {"access_token": "t"}, None),
        ("callgear", {"access_token": "t", "user_id": 1}, {"access_token": "t", "user_id": 2}, False),
        ("callgear", {"access_token": "t"}, {"access_token": "t", "user_id": 2}, None),
        ("callgear", {"access_token": "t"}, {"access_token": "u"}, None),
        ("voicenter", {"code": "c"}, {"code": "d"}, None),
        ("webex", {"client_id": "c"}, {"client_id": "d"}, None),
        ("webex", {"access_token": "c"}, {"access_token": "d"}, True),
        ("voicenter", {"code": LONG}, {"code": LONG}, True),
        ("voicenter", {"code": LONG}, {"code": LONG.upper()}, None),
        ("voicenter", {"code": LONG}, {"code": "d"}, None),
        ("voicenter", {"code": "c"}, {"code": LONG}, None),
    ],
)
def test_what_the_settings_tell(
    tmp_path: Path,
    provider: str,
    first: dict[str, Any],
    now: dict[str, Any],
    found: bool | None,  # noqa: FBT001
) -> None:
    base = {"base_url": "https://pbx.example.net:8887/api"} if provider == "portsip" else {}
    accounts = [
        account(provider, **base, **({"password": "p"} if "username" in one else {}), **one) for one in (first, now)
    ]
    assert is_same(tmp_path, *accounts) is found


@for_each("code, rounds", [("c" * 31, SLOW_ROUNDS), (LONG, 1)])
def test_the_digest_of_what_might_be_a_password_is_slow(tmp_path: Path, code: str, rounds: int) -> None:
    one = account("voicenter", code=code)
    archive = Archive(tmp_path, Settings("UTC", "jsonl", FIRST_LAYOUT))
    write_owner(archive, "acme", one)
    owner = owner_of(archive, "acme")
    assert owner is not None
    key, found = owner.key.split(":")[:2]
    text = json.dumps([code, ""]).encode()
    assert found == hashlib.pbkdf2_hmac("sha256", text, bytes.fromhex(key), rounds, 8).hex()


@for_each("rounds", ["0", "x", "-1", "99999", "9" * 5000])
def test_an_account_with_damaged_rounds_is_not_certainly_the_same(rounds: str) -> None:
    owner = Owner("test", "host", {}, f"00:0000000000000000:{rounds}")
    assert not is_same_account(owner, Account("test", "host", {}, LONG, 1), "acme")


def test_a_slow_digest_of_a_token_is_accepted_and_written_anew(bench: Bench) -> None:
    """An earlier version wrote it, of every setting."""
    bench.account = Account("test", "host", {}, LONG)
    bench.sync()
    slow = owner_of(bench.archive, "acme")
    bench.account = Account("test", "host", {}, LONG, 1)
    assert slow is not None
    assert is_same_account(slow, bench.account, "acme")
    bench.sync()
    quick = owner_of(bench.archive, "acme")
    assert quick is not None
    assert is_same_account(quick, bench.account, "acme")
    assert (slow.key.count(":"), quick.key.count(":")) == (1, 2)


def is_same(folder: Path, first: Account, now: Account) -> bool | None:
    """Return whether two accounts are certainly the same, certainly not, or None where the settings do not tell."""
    archive = Archive(folder, Settings("UTC", "jsonl", FIRST_LAYOUT))
    write_owner(archive, "acme", first)
    owner = owner_of(archive, "acme")
    assert owner is not None
    try:
        return True if is_same_account(owner, now, "acme") else None
    except ConfigurationError:
        return False


def test_an_account_that_cannot_be_compared_any_more_is_not_taken(bench: Bench) -> None:
    first, now = (Account("test", "host", {}, key) for key in ("a", "b"))
    bench.account = first
    bench.sync()
    bench.account = now
    bench.call = replace(bench.call, timing=replace(bench.call.timing, retention=bench.call.timing.lookback))
    bench.now = bench.now.replace(month=12)
    with pytest.raises(ConfigurationError):
        bench.sync()
    bench.sync(adopt=True)
    bench.sync()


def test_an_answer_with_gaps_does_not_tell_which_account_it_is_of(bench: Bench) -> None:
    bench.account = Account("test", "host", {}, "first")
    bench.sync()
    had = bench.kept()
    theirs, bench.records = bench.records, []
    bench.account = Account("test", "host", {}, "second")
    bench.fault = lambda _window: Gap("a part is missing")
    with pytest.raises(IncompleteError):
        bench.sync()
    assert bench.kept() == had
    bench.records, bench.fault = theirs, lambda _window: None
    assert bench.sync().failed == {}


def test_an_archive_without_records_takes_any_key(bench: Bench) -> None:
    bench.records.clear()
    bench.account = Account("test", "host", {}, "a")
    bench.sync()
    bench.account = Account("test", "host", {}, "b")
    bench.records.append(call("x", "2026-11-12T02:00:00Z"))
    bench.sync()
    assert bench.kept()["2026-11-12"] == ["x"]


def test_records_that_name_another_account_are_refused_whatever_the_settings_say(bench1: Bench) -> None:
    """A token of another organisation looks like a renewed one."""
    bench1.account = Account("test", "host", {})
    bench1.call = replace(bench1.call, columns=(*bench1.call.columns, Column("org", "org")), account_column="org")
    ours = bench1.records = [{**one, "org": "A"} for one in bench1.records]
    bench1.sync()
    before = bench1.kept()
    bench1.records = [{**call("x", "2026-11-11T09:30:00Z"), "org": "B"}]
    outcome = bench1.sync()
    assert isinstance(outcome.error, ConfigurationError)
    assert bench1.kept() == before
    (bench1.archive.folder / "acme/account.json").unlink()
    bench1.records += ours
    assert isinstance(bench1.sync().error, ConfigurationError), "the records that are there tell, too"
    assert bench1.kept() == before
    bench1.records = ours
    assert bench1.sync().error is None


def test_one_day_without_its_records_does_not_make_it_another_account(bench: Bench) -> None:
    bench.account = Account("test", "host", {}, "a")
    bench.sync()
    bench.account = Account("test", "host", {}, "b")
    bench.records.pop()  # the only one of the newest day
    assert bench.sync().gone_on == {"2026-11-12": 1}


def test_a_filter_that_leaves_nothing_does_not_make_it_another_account(bench: Bench) -> None:
    """It cannot be told from the records then, so a renewed key has to be accepted; the message names the filter."""
    bench.account = Account("test", "host", {}, "a")
    bench.sync()
    before, bench.records, bench.options = bench.kept(), [], '{"filter": ["direction eq \'OUT\'"]}'
    assert bench.sync().error is None, "with the same key nothing is compared"
    bench.account = Account("test", "host", {}, "b")
    with pytest.raises(ConfigurationError, match="select other calls than before"):
        bench.sync()
    bench.sync(adopt=True)
    assert bench.kept() == before
    (bench.archive.profile_folder("acme") / NAMES[bench.archive.layout]).unlink()
    assert bench.sync().error is None, "no account is stored, and nothing speaks against this one"
    assert bench.kept() == before
