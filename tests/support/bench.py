"""A bench for one provider's call: a sandbox on loopback, a clock set by hand, and two ways to export."""

from __future__ import annotations

import functools
import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import parse_qsl
from zlib import crc32

import pytest

from cdrctl import windows
from cdrctl.export.availability import reachable
from cdrctl.export.rows import Tally, rows
from cdrctl.fetchers import PROVIDERS, Call, Provider, Query, connect, load
from cdrctl.fetchers.settings import Secret
from cdrctl.http import Client
from cdrctl.records.schemas import raw
from cdrctl.sandbox import Exchange, Received, Sandbox, known_switches, start, straddlers, uniform
from tests.support.clock import HandClock
from tests.support.facts import FACTS, Case, Facts
from tests.support.runner import Ran, Record, Shell

NOW = datetime(2026, 12, 1, 7, 0, 30, tzinfo=UTC)
"""Early on the first of a month, so that the records around it are of two months."""

MONTH = datetime(2026, 12, 1, tzinfo=UTC)
PROFILE = "acme"


ODD = frozenset({"damage"})
"""Switches under which records differ from the exchange's calls; they have their own tests."""


@dataclass(frozen=True, eq=False)
class Subject:
    """A provider's call with a window, the subject of a test."""

    provider: Provider
    call: Call

    def __str__(self) -> str:
        return f"{self.provider.name}-{self.call.name}"

    @property
    def facts(self) -> Facts:
        """The facts about the provider that tests need."""
        return FACTS.get(self.provider.name, Facts())

    @property
    def back(self) -> timedelta:
        """How far back windows of the tests may begin."""
        return self.facts.back.get(self.call.name, timedelta(days=1, hours=18))

    @property
    def has_page_size(self) -> bool:
        """Whether the page size can be set."""
        return any(option.name == "page_size" for option in self.call.options)

    @property
    def refuses(self) -> Mapping[str, int]:
        """The switches under which this call refuses to export, and their exit codes."""
        names = {call.name for call in self.provider.calls}
        found = {}
        for text, code in self.facts.refuses.items():
            call, _, switch = text.rpartition(" ")
            assert not call or call in names
            if call in {"", self.call.name}:
                found[switch] = code
        return found

    def cases(self) -> list[Case]:
        """Return the ways a provider may behave under which an export must be complete."""
        words = [
            Case((f"{name}={word}", *self.facts.beside.get(f"{name}={word}", ())))
            for name, switch in known_switches(self.provider.name).items()
            for word in switch.words
            if word != switch.default
            and f"{name}={word}" not in self.refuses
            and name not in self.facts.elsewhere
            and name not in ODD
        ]
        cases = [Case(()), *words, *self.facts.cases]
        return [case for case in cases if not case.calls or self.call.name in case.calls]


SUBJECTS = [Subject(provider, call) for provider in map(load, PROVIDERS) for call in provider.calls if call.windowed]


def switched(suits: Callable[[Case], bool] = lambda _case: True) -> list[Any]:
    """Return each call with each behaviour of its provider, as parameters.

    For each behaviour one call of the provider is fast, and the others carry the marker `slow`.
    """
    calls: dict[tuple[str, str], list[Subject]] = {}
    for subject in SUBJECTS:
        for case in filter(suits, subject.cases()):
            calls.setdefault((subject.provider.name, str(case)), []).append(subject)
    params = []
    for subject in SUBJECTS:
        for case in filter(suits, subject.cases()):
            same = calls[subject.provider.name, str(case)]
            fast = not case.switches or same[crc32(str(case).encode()) % len(same)] is subject
            params.append(pytest.param(subject, case, id=f"{subject}-{case}", marks=() if fast else pytest.mark.slow))
    return params


def secret_names(provider: Provider) -> list[str]:
    """Return the settings that are secrets."""
    return [name for name, one in provider.settings.described().items() if Secret in one.types]


def kind_of(sandbox: Sandbox, provider: Provider, way: str) -> str:
    """Return the sandbox's name for the credentials of an authentication method, which is one of its settings."""
    needed = provider.auth_methods[way]
    named = FACTS.get(provider.name, Facts()).kinds.get(way)
    for kind in reversed(needed) if named is None else (named,):
        try:
            found = sandbox.credentials(provider.name, kind)
        except ValueError:
            continue
        if set(needed) <= set(found):
            return kind
    raise AssertionError(f"the sandbox has no credentials for {provider.name}'s way {way}: {', '.join(needed)}")


def renews(provider: Provider, way: str) -> bool:
    """Return whether an authentication method can get a new token; a token alone cannot."""
    return provider.auth_methods[way] not in {("access_token",), ("auth_token",), ("code",)}


WAYS = [
    (provider, way)
    for provider in map(load, PROVIDERS)
    for way in provider.auth_methods
    if provider.login is None or way != provider.login.way  # it takes a person: tests/cli/test_login.py tests it
]


def counted(records: Iterable[Record]) -> Counter[str]:
    """Return the records as a multiset."""
    return Counter(json.dumps(record, sort_keys=True, ensure_ascii=False) for record in records)


def inside(document: Any, keys: Sequence[str], change: Callable[[dict[str, Any]], Any]) -> Any:
    """Return a document with a change to the object that these keys lead to; unchanged if there is none."""
    if not isinstance(document, dict):
        return document
    if not keys:
        return change(document)
    return {**document, keys[0]: inside(document[keys[0]], keys[1:], change)} if keys[0] in document else document


def container_of(document: dict[str, Any]) -> str | None:
    """Return the key of the list of records in a document, or None if it is not a page."""
    lists = [key for key, value in document.items() if isinstance(value, list) and value and isinstance(value[0], dict)]
    return lists[0] if lists else None


def proofs(value: Any, names: Collection[str]) -> Iterator[str]:
    """Yield the texts that have these keys, anywhere in a JSON document."""
    if isinstance(value, dict):
        yield from (inner for name, inner in value.items() if name in names and isinstance(inner, str) and inner)
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from proofs(inner, names)


def proofs_in(body: bytes, names: Collection[str]) -> list[str]:
    """Return the credentials in the body of a request, which is JSON or a form."""
    text = body.decode()
    if text.startswith("{"):
        return list(proofs(json.loads(text), names))
    return [value for name, value in parse_qsl(text) if name in names]


def said_time(instant: datetime) -> str:
    """Return an instant as it is typed on the command line, with all its digits."""
    return instant.isoformat()


@dataclass(slots=True)
class Bench:
    """A call, its sandbox, its clock, and a shell with a profile of it."""

    subject: Subject
    sandbox: Sandbox
    clock: HandClock
    shell: Shell
    page_size: int | None = 7
    knowing: Mapping[str, str] = field(default_factory=dict)
    _client: Client | None = field(default=None)

    @property
    def provider(self) -> Provider:
        """The provider."""
        return self.subject.provider

    @property
    def call(self) -> Call:
        """The call."""
        return self.subject.call

    # the sandbox

    def switch(self, switches: Iterable[str]) -> None:
        """Set switches of the sandbox, as `name=value`."""
        for text in switches:
            name, _, value = text.partition("=")
            self.sandbox.switch(self.provider.name, name, value)

    def straight(self) -> None:
        """Make the sandbox need no request before the first page other than a sign-in."""
        self.switch(self.subject.facts.straight)
        self.knowing = self.subject.facts.knowing
        self.sign_in_by()

    def paging(self, page: int, calls: int, span: timedelta) -> tuple[str, ...]:
        """Return the options that give pages of this many calls, for providers without a page size."""
        name = self.subject.facts.paged_by
        self.switch(self.subject.facts.roomy)
        return (f"--{name.replace('_', '-')}", f"{span * page // calls // timedelta(minutes=1)}m") if name else ()

    def asks(self, request: Any) -> bool:
        """Return whether a request to the sandbox is for records."""
        method, text = self.subject.facts.asks
        return request.method == method and text in request.body

    def fail(self, action: int | str, **details: Any) -> None:
        """Make requests fail."""
        self.sandbox.fail(self.provider.name, action, **details)

    def truth(self, since: datetime, until: datetime) -> list[Record]:
        """Return the raw records of calls that started in a window; calls start on whole milliseconds."""
        return self.sandbox.truth(
            self.provider.name, self.call.name, _next_millisecond(since), _next_millisecond(until)
        )

    def truths(self, since: datetime, until: datetime) -> tuple[Counter[str], Counter[str]]:
        """Return the records that an export must have, and those it may have: the newest ones may be missing."""
        may = counted(self.truth(since, until))
        now = self.clock.time
        self.clock.time = now - self.call.timing.lag
        must = counted(self.truth(since, until))
        self.clock.time = now
        return must, may

    @property
    def listing_path(self) -> str:
        """The path of pages of records, after the provider's mount point."""
        return _listing_path(self.subject)

    def asked(self, what: Callable[[], object]) -> list[Received]:
        """Return the requests that a function caused."""
        before = len(self.sandbox.requests)
        what()
        return self.sandbox.requests[before:]

    def alter(self, change: Callable[[Any], Any]) -> None:
        """Change every JSON document that the provider sends from now on."""
        provider = self.sandbox.provider(self.provider.name)
        reply = provider.reply

        def changed(request: Any) -> Any:
            answer = reply(request)
            try:
                document = json.loads(answer.body)
            except ValueError:
                return answer
            return replace(answer, body=json.dumps(change(document)).encode())

        provider.reply = changed

    def alter_pages(self, change: Callable[[dict[str, Any]], Any]) -> None:
        """Change the object that contains the records, in every document that the provider sends from now on."""
        self.alter(lambda document: inside(document, self.subject.facts.within, change))

    def is_page(self, body: bytes) -> bool:
        """Return whether a response has records."""
        document = json.loads(body)
        for key in self.subject.facts.within:
            document = document.get(key, {})
        return container_of(document) is not None

    # exports on the command line

    def sign_in_by(self, kind: str = "", **changes: object) -> None:
        """Replace the profile by one with these credentials of the sandbox, changed."""
        settings = {**self.sandbox.credentials(self.provider.name, kind), **self.knowing, **changes}
        self.shell.profile(PROFILE, self.provider.name, settings)

    def words(self, since: datetime, until: datetime, *more: str) -> list[str]:
        """Return the command line of an export."""
        paging = ["--page-size", str(self.page_size)] if self.subject.has_page_size and self.page_size else []
        window = ["--since", said_time(since), "--until", said_time(until)]
        return [self.provider.name, self.call.name, "-p", PROFILE, *window, *paging, *more]

    def run(self, since: datetime, until: datetime, *more: str, **environ: str) -> Ran:
        """Export a window."""
        return self.shell.run(*self.words(since, until, *more), **environ)

    def raw(self, since: datetime, until: datetime, *more: str) -> list[Record]:
        """Return the raw records of a window; the export must be complete."""
        return self.run(since, until, "--schema", "raw", "-f", "jsonl", *more).ok().lines

    # exports with the library, many with the same client

    @property
    def settings(self) -> Any:
        """The settings of exports by the library."""
        given = {**self.sandbox.credentials(self.provider.name), **self.knowing}
        return self.provider.settings.of(given)

    @property
    def client(self) -> Client:
        """One client for all exports of a test."""
        if self._client is None:
            self._client = self.connect(self.settings)
        return self._client

    def connect(self, settings: Any) -> Client:
        """Return a client."""
        return connect(
            self.provider, settings, clock=self.clock.clock, log=_nobody_listens, conceal=lambda _secrets: None
        )

    def pages(
        self, since: datetime, until: datetime, tally: Tally, *options: str, limit: int | None = None
    ) -> Iterator[Sequence[Record]]:
        """Yield pages of raw records of a window."""
        provider, call = self.provider, self.call
        asked = windows.Window(since, until)
        window, rest = reachable(asked, call.timing.lag, self.clock.time, provider.title)
        assert window == asked
        assert rest == []
        fetched = call.fetch(Query(self.client, self.settings, window, self.options(options)))
        return rows(fetched, call, raw(), window, tally, _nobody_listens, limit)  # type: ignore[return-value]

    def options(self, words: Sequence[str] = ()) -> Mapping[str, Any]:
        """Return the call's own options as its fetcher gets them: defaults, the page size, and these words."""
        given = {
            word.removeprefix("--").replace("-", "_"): value for word, value in zip(*[iter(words)] * 2, strict=True)
        }
        if self.subject.has_page_size and self.page_size:
            given = {"page_size": str(self.page_size), **given}
        values: dict[str, Any] = {}
        for option in self.call.options:
            text = given.get(option.name, option.default)
            value: Any = text
            if option.repeat:
                value = ()
            elif option.kind == "flag":
                value = False
            elif text is not None and option.kind == "duration":
                value = windows.duration(text)
            elif text is not None and option.kind == "integer":
                value = int(text)
            values[option.name] = value
        return values

    def export(self, since: datetime, until: datetime, *options: str) -> tuple[Counter[str], Tally]:
        """Return the raw records of a window as a multiset, and the tally."""
        tally = Tally()
        found: Counter[str] = Counter()
        for page in self.pages(since, until, tally, *options):
            found.update(counted(page))
        return found, tally

    def close(self) -> None:
        """Close the client."""
        if self._client is not None:
            self._client.close()


def _next_millisecond(instant: datetime) -> datetime:
    return instant + timedelta(microseconds=-instant.microsecond % 1000)


@functools.cache
def _listing_path(subject: Subject) -> str:
    """Return the path of the last request of an export."""
    since, until = MONTH - timedelta(hours=3), MONTH - timedelta(hours=2)
    with TemporaryDirectory() as folder, bench(subject, Path(folder), evenly(1, since, until)) as made:
        made.export(since, until)
        return made.sandbox.requests[-1].path.removeprefix(made.sandbox.provider(made.provider.name).mount)


def _nobody_listens(_level: str, _text: str) -> None:
    pass


@contextmanager
def bench(
    subject: Subject,
    folder: Path,
    exchange: Exchange,
    *,
    page_size: int | None = 7,
    theirs: Callable[[HandClock], Callable[[], datetime]] = lambda clock: clock,
) -> Iterator[Bench]:
    """Return a bench for a call, with a profile whose credentials are valid.

    `theirs` makes the provider's clock from the program's.
    """
    clock = HandClock(NOW)
    with start(now=theirs(clock), exchange=exchange, providers=[subject.provider.name], pause=clock.sleep) as sandbox:
        made = Bench(subject, sandbox, clock, Shell(folder, clock), page_size)
        made.switch(subject.facts.always)
        made.sign_in_by()
        try:
            yield made
        finally:
            made.close()


# Calls


@functools.cache
def evenly(n: int, since: datetime, until: datetime) -> Exchange:
    """Return an exchange with n calls of one leg, spread evenly over a window."""
    return Exchange(calls=uniform(n, since, until))


@functools.cache
def lively(since: datetime, until: datetime, volume: float = 0.12) -> Exchange:
    """Return an exchange with calls of every kind in and around a window; some last over the turn of the month."""
    drawn = Exchange(5, volume=volume).calls(since - timedelta(hours=14), until + timedelta(hours=14))
    dense = Exchange(6, volume=0.4).calls(MONTH - timedelta(hours=2), MONTH + timedelta(hours=2))
    over = straddlers(MONTH, 4)
    long = uniform(2, MONTH - timedelta(hours=6), MONTH - timedelta(hours=5), talk_seconds=9 * 3600, name="long")
    at_once = uniform(3, MONTH, MONTH + timedelta(microseconds=3), legs=3, talk_seconds=5, name="at-once")
    return Exchange(calls=[*drawn, *dense, *over, *long, *at_once])
