"""A token is renewed early, once, and stored before it is used."""

from __future__ import annotations

import threading
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest

from cdrctl.errors import ConfigurationError, SignInError
from cdrctl.http import Answer, Client, Request, Token, said
from cdrctl.profiles.tokens import TokenFile, token_file
from tests.support.clock import NOON, HandClock
from tests.support.products import for_each
from tests.support.wires import client


@dataclass
class Provider:
    """Issues tokens for refresh tokens that work once, and accepts only the newest token."""

    life: int | None = 3600
    refresh: str = "r0"
    issued: int = 0
    deaf: bool = False
    seen: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        with self.lock:
            if request.url.path == "/token":
                used = parse_qs(request.read().decode())["refresh_token"][0]
                self.seen.append(f"renew {used}")
                if used != self.refresh:
                    return httpx.Response(400, json={"error_description": "that one was used"})
                self.issued += 1
                self.refresh = f"r{self.issued}"
                body = {"token": f"t{self.issued}", "expires_in": self.life, "refresh": self.refresh}
                return httpx.Response(200, json=body)
            token = request.headers.get("authorization", "").removeprefix("Bearer ")
            self.seen.append(f"{request.url.path} {token}")
            if self.deaf or token != f"t{self.issued}":
                return httpx.Response(401, json={"message": "token is no good"})
            return httpx.Response(200, json={})


def sign_in(ended: Token | None, now: datetime) -> Generator[Request, Answer, Token]:
    refresh = ended.refresh_token if ended is not None and ended.refresh_token else "r0"
    answer = yield Request("POST", "http://cdr.example/token", form={"refresh_token": refresh}, kind="sign-in")
    if not answer.good:
        raise SignInError("the refresh token was not accepted", said=said(answer))
    seconds = answer.body["expires_in"]
    expires = None if seconds is None else now + timedelta(seconds=seconds)
    return Token({"Authorization": f"Bearer {answer.body['token']}"}, expires, answer.body["refresh"])


def acme(provider: Provider, clock: HandClock | None = None, **given: Any) -> Client:
    return client(clock=clock, transport=httpx.MockTransport(provider), sign_in=sign_in, **given)


def shelf(folder: Path) -> TokenFile:
    return token_file(folder / "profiles.toml", "acme", "r0")


def test_a_token_is_renewed_shortly_before_it_expires() -> None:
    provider, clock = Provider(), HandClock()
    one = acme(provider, clock)
    for clock.seconds in (0, 3539, 3540, 3541):
        one.get("/x")
    assert provider.seen == ["renew r0", "/v1/x t1", "/v1/x t1", "renew r1", "/v1/x t2", "/v1/x t2"]


def test_a_refused_token_is_renewed_once_and_the_request_repeated() -> None:
    provider = Provider(life=None)
    one = acme(provider)
    one.get("/a")
    provider.issued, provider.refresh = 7, "r1"
    one.get("/b")
    assert provider.seen == ["renew r0", "/v1/a t1", "/v1/b t1", "renew r1", "/v1/b t8"]


def test_a_second_refusal_quotes_the_provider() -> None:
    provider = Provider(deaf=True)
    with pytest.raises(SignInError) as caught:
        acme(provider).get("/x")
    assert caught.value.said == "token is no good"
    assert provider.seen == ["renew r0", "/v1/x t1", "renew r1", "/v1/x t2"]


def test_an_error_of_a_renewal_quotes_the_refusal() -> None:
    def once(ended: Token | None, now: datetime) -> Generator[Request, Answer, Token]:
        yield from ()
        if ended is not None:
            raise SignInError("it cannot be renewed")
        return Token({})

    with pytest.raises(SignInError, match="cannot be renewed") as caught:
        client(transport=httpx.MockTransport(Provider()), sign_in=once).get("/x")
    assert caught.value.said == "token is no good"


def test_an_error_of_a_renewal_with_its_own_quotation_keeps_it() -> None:
    provider = Provider(life=None)
    one = acme(provider)
    one.get("/x")
    provider.issued, provider.refresh = 7, "another"
    with pytest.raises(SignInError) as caught:
        one.get("/x")
    assert caught.value.said == "that one was used"


def test_a_refused_request_without_a_token_renews_none() -> None:
    provider = Provider()
    with pytest.raises(SignInError):
        acme(provider).ask(Request("GET", "http://cdr.example/v1/public", signed=False))
    assert provider.seen == ["renew r0", "/v1/public "]


@for_each("life", [None, 0, -5, 1, 30, 61, 10**8])
def test_a_token_of_any_lifetime_serves_several_requests(life: int | None) -> None:
    provider = Provider(life=life)
    one = acme(provider)
    for _ in range(3):
        one.get("/x")
    assert provider.seen == ["renew r0", *["/v1/x t1"] * 3]


def test_a_short_lived_token_is_renewed_in_its_second_half() -> None:
    provider, clock = Provider(life=30), HandClock()
    one = acme(provider, clock)
    for clock.seconds in (0, 14, 15):
        one.get("/x")
    assert provider.seen == ["renew r0", "/v1/x t1", "/v1/x t1", "renew r1", "/v1/x t2"]


def test_every_secret_is_registered_for_masking_before_any_message(tmp_path: Path) -> None:
    hidden: list[str] = []
    acme(Provider(), conceal=hidden.extend, token_store=shelf(tmp_path)).get("/x")
    assert hidden == ["t1", "r1"]
    hidden.clear()
    acme(Provider(issued=1), conceal=hidden.extend, token_store=shelf(tmp_path)).get("/x")
    assert hidden == ["t1", "r1"]
    assert "t1" not in repr(Token({"Authorization": "Bearer t1"}, None, "t1"))


# The token store


def test_a_stored_token_is_used_by_the_next_run(tmp_path: Path) -> None:
    provider = Provider()
    acme(provider, token_store=shelf(tmp_path)).get("/x")
    acme(provider, token_store=shelf(tmp_path)).get("/x")
    assert provider.seen == ["renew r0", "/v1/x t1", "/v1/x t1"]


def test_an_expired_stored_token_is_renewed_with_its_own_refresh_token(tmp_path: Path) -> None:
    provider = Provider()
    acme(provider, token_store=shelf(tmp_path)).get("/x")
    acme(provider, HandClock(seconds=3600), token_store=shelf(tmp_path)).get("/x")
    assert provider.seen == ["renew r0", "/v1/x t1", "renew r1", "/v1/x t2"]


def test_a_token_that_another_run_has_renewed_is_used(tmp_path: Path) -> None:
    provider = Provider()
    ours, theirs = (acme(provider, token_store=shelf(tmp_path)) for _ in range(2))
    ours.get("/ours")
    theirs.get("/theirs")
    provider.issued, provider.refresh = 1, "r1"
    provider.deaf = True
    with pytest.raises(SignInError):
        theirs.get("/theirs")  # renews
    provider.deaf = False
    provider.seen.clear()
    ours.get("/ours")
    assert provider.seen == ["/v1/ours t1", "/v1/ours t2"]


@dataclass
class Notebook:
    """A store that records its calls."""

    provider: Provider
    refuses: bool = False

    def locked(self) -> Any:
        self.provider.seen.append("lock")
        return nullcontext()

    def load(self) -> dict[str, Any] | None:
        self.provider.seen.append("load")
        return None

    def save(self, token: dict[str, Any]) -> None:
        self.provider.seen.append(f"save {token['refresh_token']}")
        if self.refuses:
            raise ConfigurationError("the disk is full")


def test_a_token_is_stored_before_it_is_used() -> None:
    provider = Provider()
    acme(provider, token_store=Notebook(provider)).get("/x")
    assert provider.seen == ["lock", "load", "renew r0", "save r1", "/v1/x t1"]


def test_a_token_without_a_refresh_token_is_not_stored() -> None:
    def without_refresh(ended: Token | None, now: datetime) -> Generator[Request, Answer, Token]:
        token = yield from sign_in(ended, now)
        return Token(token.headers, token.expires)

    provider = Provider()
    client(transport=httpx.MockTransport(provider), sign_in=without_refresh, token_store=Notebook(provider)).get("/x")
    assert provider.seen == ["lock", "load", "renew r0", "/v1/x t1"]


def test_a_token_that_cannot_be_stored_is_not_used() -> None:
    provider = Provider()
    one = acme(provider, token_store=Notebook(provider, refuses=True))
    with pytest.raises(ConfigurationError, match="disk is full"):
        one.get("/x")
    assert provider.seen == ["lock", "load", "renew r0", "save r1"]


def test_many_concurrent_runs_renew_once(tmp_path: Path) -> None:
    provider = Provider()
    runs = [acme(provider, token_store=shelf(tmp_path)) for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda run: run.get("/x"), runs))
    assert [line for line in provider.seen if line.startswith("renew")] == ["renew r0"]
    assert provider.seen.count("/v1/x t1") == 6


@pytest.mark.parametrize("expires", [None, NOON])
def test_a_token_can_be_read_back_from_its_plain_values(expires: datetime | None) -> None:
    token = Token({"X": "y"}, expires, "r")
    assert Token.from_plain(token.plain()) == token


@for_each(
    "kept",
    [
        {},
        {"headers": 5, "expires": None, "refresh_token": None},
        {"headers": {}, "expires": "soon", "refresh_token": None},
        {"headers": {}, "expires": 5, "refresh_token": None},
    ],
)
def test_a_damaged_stored_token_is_an_error(kept: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        Token.from_plain(kept)
