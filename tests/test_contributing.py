"""The example provider of CONTRIBUTING.md works with the imitation shown beside it."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from cdrctl.errors import ProviderError, SignInError
from cdrctl.export.rows import Tally, rows
from cdrctl.fetchers import Provider, Query, check_access, connect
from cdrctl.fetchers.options import call_options, default_options
from cdrctl.http import Client
from cdrctl.records.schemas import raw
from cdrctl.sandbox import Exchange, Sandbox, server
from cdrctl.windows import Window
from tests.support.clock import HandClock

PAGE = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")
FETCHER, IMITATION = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
WINDOW = Window(NOW - timedelta(days=40), NOW - timedelta(hours=1))


def module(name: str, text: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return the module that a block of the page is."""
    made = ModuleType(name)
    monkeypatch.setitem(sys.modules, name, made)
    exec(compile(text, f"{name}.py", "exec"), made.__dict__)  # noqa: S102 - our own page
    return made


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Provider:
    found: Provider = module("cdrctl.fetchers.acme", FETCHER, monkeypatch).PROVIDER
    return found


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    imitation = module("cdrctl.sandbox.acme", IMITATION, monkeypatch)
    monkeypatch.setitem(server.PROVIDERS, "acme", imitation.Acme)
    with server.start(now=lambda: NOW, providers=["acme"], exchange=Exchange(5, volume=0.1)) as running:
        yield running


def client_of(provider: Provider, settings: Any) -> Client:
    return connect(provider, settings, clock=HandClock(NOW).clock, log=lambda *_: None, conceal=lambda _secrets: None)


def ids(provider: Provider, settings: Any, **options: Any) -> tuple[list[str], Tally]:
    """Return the ids that an export of the example's call has, and its messages."""
    call, tally = provider.calls[0], Tally()
    with closing(client_of(provider, settings)) as client:
        own = call_options(call, default_options(call), lambda _path: iter(())) | options
        events = call.fetch(Query(client, settings, WINDOW, own))
        pages = rows(events, call, raw(), WINDOW, tally, lambda *_: None)
        return [str(dict(one)["id"]) for page in pages for one in page], tally


@pytest.mark.parametrize("bounds", ["half_open", "closed", "open", "open_low"])
def test_the_example_returns_every_call_of_the_window_once(provider: Provider, sandbox: Sandbox, bounds: str) -> None:
    sandbox.switch("acme", "bounds", bounds)
    settings = provider.settings.of(sandbox.credentials("acme"))
    truth = [one["id"] for one in sandbox.truth("acme", "cdrs", WINDOW.since, WINDOW.until)]
    found, tally = ids(provider, settings, page_size=100)
    assert sorted(found) == sorted(truth)
    assert len(found) > 100
    assert tally.gaps == []


def test_the_defaults_sign_the_example_in_and_check_it(provider: Provider, sandbox: Sandbox) -> None:
    settings = provider.settings.of(sandbox.credentials("acme"))
    with closing(client_of(provider, settings)) as client:
        assert check_access(provider, client, settings).endswith(
            "between 2026-11-20T10:55:00.000Z and 2026-11-20T11:55:00.000Z"
        )
        sandbox.provider("acme").expire_tokens()
        with pytest.raises(SignInError):
            check_access(provider, client, settings)
    nobody = provider.settings.of({"base_url": settings.base_url})
    with closing(client_of(provider, nobody)) as client, pytest.raises(SignInError):
        check_access(provider, client, nobody)


def test_by_default_the_credential_goes_to_the_origin_of_base_url_only(provider: Provider) -> None:
    settings = provider.settings.of({})
    assert provider.allows_url(settings, "https://api.acme.example/other")
    for url in (
        *("http://api.acme.example/v1", "https://api.acme.example:444/v1", "https://acme.example/v1"),
        *("https://api.acme.example.evil.example/v1", "https://api.acme.example@evil.example/v1"),
    ):
        assert not provider.allows_url(settings, url)


def test_fewer_records_than_the_total_are_a_gap_and_repeated_pages_an_error(
    provider: Provider, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = provider.settings.of(sandbox.credentials("acme"))
    acme = sandbox.provider("acme")
    truth = acme.truth
    few = truth("cdrs", WINDOW.until - timedelta(days=5), WINDOW.until)[:8]
    monkeypatch.setattr(acme, "truth", lambda *_: few[:4] + few[:4])
    assert len(ids(provider, settings, page_size=3)[1].gaps) == 2  # in both windows
    monkeypatch.setattr(acme, "truth", lambda *_: few[:3] * 9)
    with pytest.raises(ProviderError):
        ids(provider, settings, page_size=3)
