"""Voicenter from end to end, with a sandbox made from its documents: no record is lost."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings as tried, strategies as st

from cdrctl.connecting import Connected
from cdrctl.errors import DriftError, ProviderError, SignInError
from cdrctl.export.rows import Tally, rows
from cdrctl.fetchers import Query, check_access, connect
from cdrctl.fetchers.voicenter import PROVIDER
from cdrctl.fetchers.voicenter.settings import VoicenterSettings
from cdrctl.fetchers.voicenter.zone import start as start_of
from cdrctl.http import Client, Clock
from cdrctl.records.events import Page
from cdrctl.records.schemas import common, native, raw
from cdrctl.sandbox import Exchange, Sandbox, start, uniform
from cdrctl.windows import Window
from tests.support.products import for_each

from .voicenter_kit import OPTIONS

NOW = datetime(2026, 11, 20, 23, tzinfo=UTC)
NIGHT = NOW - timedelta(hours=30)
EVENING = NOW - timedelta(hours=2)
EXCHANGE = Exchange(1)
BEARER = "bearer"
"""The sandbox's name for a profile with an access token."""
CDRS = PROVIDER.call("cdrs")


class Process:
    """A sandbox and a profile on one clock, which moves only while the client waits."""

    def __init__(self, sandbox: Sandbox, settings: VoicenterSettings, client: Client, told: list[str]) -> None:
        self.sandbox = sandbox
        self.settings = settings
        self.client = client
        self.told = told
        self.tally = Tally()

    def records(
        self, since: datetime, until: datetime, *, strict: bool = False, **options: Any
    ) -> list[dict[str, Any]]:
        """Return the raw records of an export."""
        window = Window(since, until)
        pieces = CDRS.fetch(Query(self.client, self.settings, window, {**OPTIONS, **options}, strict=strict))
        pages = rows(pieces, CDRS, raw(), window, self.tally, lambda _level, text: self.told.append(text))
        return [dict(one) for page in pages for one in page]

    def truth(self, since: datetime, until: datetime) -> list[dict[str, Any]]:
        return self.sandbox.truth("voicenter", "cdrs", since, until)


@contextmanager
def world(
    switches: Mapping[str, str] | None = None,
    *,
    kind: str = "code",
    exchange: Exchange = EXCHANGE,
    paced: bool = False,
) -> Iterator[Process]:
    moment = [NOW]
    told: list[str] = []

    def sleep(seconds: float) -> None:
        moment[0] += timedelta(seconds=seconds)

    def monotonic() -> float:
        return (moment[0] - NOW).total_seconds()

    clock = Clock(now=lambda: moment[0], monotonic=monotonic, sleep=sleep)
    given_switches = {"voicenter": dict(switches or {})}
    with start(
        now=clock.now, providers=["voicenter"], switches=given_switches, exchange=exchange, limits=paced
    ) as sandbox:
        settings = VoicenterSettings.of(
            sandbox.credentials("voicenter", kind) | ({"requests_per_minute": None} if paced else {})
        )
        client = connect(
            PROVIDER,
            settings,
            clock=clock,
            log=lambda _level, text: told.append(text),
            conceal=lambda _secrets: None,
        )
        with closing(client):
            yield Process(sandbox, settings, client, told)


def counted(records: Sequence[Mapping[str, Any]]) -> Counter[str]:
    return Counter(json.dumps(record, sort_keys=True) for record in records)


SWITCHES: list[dict[str, str]] = [
    {},
    {"cap": "5", "keys": "lower"},
    {"cap": "5", "keys": "mixed", "numbers": "text"},
    {"cap": "5", "over_cap": "error3", "http_errors": "real"},
    {"cap": "4", "bounds": "half_open"},
    {"cap": "4", "bounds": "half_open", "over_cap": "error3", "counters": "off_by_one"},
    {"cap": "7", "generation": "seed", "types": "seed"},
    {"cap": "7", "generation": "seed", "bounds": "half_open", "date": "blank", "numbers": "text"},
    {"cap": "7", "precision": "minute"},
    {"generation": "seed", "unknown_field": "error"},
    {"unknown_field": "error", "max_days": "1"},
    {"counters": "off_by_one", "empty": "null", "date": "no_zone", "gzip": "on"},
    {"html": "on_format", "queue_duration": "with_wait", "http_errors": "real"},
]


@pytest.mark.thin
@pytest.mark.parametrize("switches", SWITCHES, ids=str)
def test_every_record_of_a_window_comes_once(switches: dict[str, str]) -> None:
    """The service behaves in all the ways that its documents allow."""
    with world(switches) as made:
        found = made.records(NIGHT, EVENING)
        assert counted(found) == counted(made.truth(NIGHT, EVENING))
        assert len(found) > 100
        assert made.tally.gaps == []


@pytest.mark.parametrize("kind", ["code", BEARER])
def test_export_works_with_both_authentication_methods(kind: str) -> None:
    with world(kind=kind) as made:
        assert made.records(NIGHT, EVENING)
        assert " between " in check_access(PROVIDER, made.client, made.settings)
        assert all("?" not in request.path for request in made.sandbox.requests)


@pytest.mark.thin
@pytest.mark.parametrize("keys", ["pascal", "lower", "mixed", "by_fields"])
@pytest.mark.parametrize("order", ["oldest", "newest"])
def test_keys_and_order_may_be_any(order: str, keys: str) -> None:
    """Keys follow the requested names, or are in lower case; the newest record may come first."""
    with world({"keys": keys, "order": order, "cap": "9"}) as made:
        found = made.records(NIGHT, EVENING)
        assert counted(found) == counted(made.truth(NIGHT, EVENING))
        assert " between " in check_access(PROVIDER, made.client, made.settings)
        assert [text for text in made.told if "does not request" in text] == []


@pytest.mark.slow
def test_new_field_is_named_by_check_and_strict() -> None:
    """The check of a profile and --strict find it; other exports make no request for it."""
    with world({"new_field": "on"}) as made:
        assert made.records(EVENING - timedelta(hours=1), EVENING)
        asked = len(made.sandbox.requests)
        check_access(PROVIDER, made.client, made.settings)
        assert len(made.sandbox.requests) == asked + 1
        assert [text for text in made.told if "ServiceLevel" in text]
        with pytest.raises(DriftError, match="ServiceLevel"):
            made.records(EVENING - timedelta(hours=1), EVENING, strict=True)
    with world({"cap": "3", "over_cap": "error3"}) as made:
        found = made.records(NIGHT, EVENING, strict=True)
        assert counted(found) == counted(made.truth(NIGHT, EVENING))


@pytest.mark.parametrize("http_errors", ["200", "real"])
def test_refused_credential_or_address_is_a_sign_in_error(http_errors: str) -> None:
    """A code needs a listed address, a bearer token does not. A refused credential is named."""
    with (
        world({"ip": "unlisted", "http_errors": http_errors}) as made,
        pytest.raises(SignInError, match=r"127\.0\.0\.1"),
    ):
        made.records(NIGHT, EVENING)
    with world({"ip": "unlisted", "http_errors": http_errors}, kind=BEARER) as made:
        assert made.records(NIGHT, EVENING)
    with (
        world({"bearer": "refused", "http_errors": http_errors}, kind=BEARER) as made,
        pytest.raises(SignInError),
    ):
        made.records(NIGHT, EVENING)
    with world({"html": "always"}) as made, pytest.raises(ProviderError):
        made.records(NIGHT, EVENING)


@pytest.mark.slow
def test_published_rate_limit_is_kept() -> None:
    """The service refuses no request. If another program sends requests too, its refusals are waited out."""
    with world({"limits": "on", "cap": "5"}, paced=True) as made:
        assert counted(made.records(NIGHT, EVENING)) == counted(made.truth(NIGHT, EVENING))
        assert len(made.sandbox.requests) > 60
        assert not [text for text in made.told if "rate limit of 30 requests" in text]
    with world({"limits": "on", "cap": "5"}) as made:
        assert counted(made.records(NIGHT, EVENING)) == counted(made.truth(NIGHT, EVENING))
        assert [text for text in made.told if "rate limit of 30 requests a minute" in text]
    with world({"limits": "five_seconds", "cap": "40", "slash": "required"}) as made:
        assert counted(made.records(NIGHT, EVENING)) == counted(made.truth(NIGHT, EVENING))
        assert len([text for text in made.told if "rate limit of 30 requests" in text]) == 1


@pytest.mark.slow
@tried(max_examples=15, deadline=None)
@given(
    cuts=st.lists(st.integers(0, 7_200_000), min_size=3, max_size=3, unique=True),
    bounds=st.sampled_from(["closed", "half_open"]),
    generation=st.sampled_from(["current", "seed"]),
)
def test_windows_tile_at_any_cut(cuts: list[int], bounds: str, generation: str) -> None:
    calls = Exchange(calls=uniform(40, NOW - timedelta(hours=6), NOW - timedelta(hours=4)))
    a, b, c = (NOW - timedelta(hours=6) + timedelta(milliseconds=cut) for cut in sorted(cuts))
    with world({"cap": "6", "bounds": bounds, "generation": generation}, exchange=calls) as made:
        found = made.records(a, b) + made.records(b, c)
        whole = [one for one in made.truth(NOW - timedelta(hours=7), NOW) if a <= (start_of(one) or NOW) < c]
        assert counted(found) == counted(whole)
        assert made.tally.gaps == []


@for_each("count", [0, 1, 9, 10, 11, 55])
@for_each("over_cap", ["counters", "error3"])
def test_every_record_comes_around_the_most_of_a_response(count: int, over_cap: str) -> None:
    since, until = NOW - timedelta(hours=6), NOW - timedelta(hours=4)
    with world({"cap": "10", "over_cap": over_cap}, exchange=Exchange(calls=uniform(count, since, until))) as made:
        assert len(made.records(since, until)) == count
        assert made.tally.gaps == []


@pytest.mark.slow
def test_missing_records_are_within_gaps() -> None:
    """Each missing record started within a gap."""
    with world({"cap": "1", "generation": "seed"}) as made:
        found = counted(made.records(NIGHT, EVENING))
        missing = counted(made.truth(NIGHT, EVENING)) - found
        assert not found - counted(made.truth(NIGHT, EVENING))
        assert missing
        told = " ".join(gap.what for gap in made.tally.gaps)
        for text in missing:
            began = start_of(json.loads(text))
            assert began is not None
            assert f"from {began:%Y-%m-%dT%H:%M}:00.000Z" in told


@pytest.mark.parametrize("generation", ["current", "seed"])
def test_common_cdrs_are_consistent(generation: str) -> None:
    with world({"generation": generation}) as made:
        found = made.records(NIGHT, EVENING)
        assert CDRS.common is not None
        told: list[str] = []
        schema = common(CDRS.columns, CDRS.common, None, told.append, provider="voicenter", profile="acme")
        assert schema.columns is not None
        names = [column.name for column in schema.columns]
        cdrs = [dict(zip(names, row, strict=True)) for row in schema.rows(Page(found))]
        assert len({cdr["record_id"] for cdr in cdrs}) == len(cdrs)
        assert {cdr["direction"] for cdr in cdrs} >= {"inbound", "outbound"}
        for cdr in cdrs:
            assert (cdr["outcome"] in {"answered", "voicemail"}) is cdr["answered"]
            assert (cdr["answer_time"] is not None) is cdr["answered"]
            if cdr["answered"]:
                assert cdr["ring_seconds"] + cdr["talk_seconds"] == cdr["total_seconds"]
        assert [list(row)[-1] for row in native(CDRS.columns, None, told.append).rows(Page(found))] == [None] * len(
            found
        )
        assert told == []


@pytest.mark.parametrize("form", ["seed", "current"])
def test_notifications_of_the_sandbox_are_read(form: str) -> None:
    """There is no warning, and repeated ones are dropped."""
    with world({"notification": form}) as made:
        pushed = made.sandbox.truth("voicenter", "notifications", NIGHT, EVENING)
        call = PROVIDER.call("notifications")
        lines = (json.dumps(one).encode() + b"\n" for one in [*pushed, *pushed[::5]])
        told: list[str] = []
        assert call.common is not None
        schema = common(call.columns, call.common, None, told.append, provider="voicenter", profile="acme")
        tally = Tally()
        pages = rows(
            call.fetch(Connected("", None, None).query({"file": lines})),
            call,
            schema,
            None,
            tally,
            lambda _l, text: told.append(text),
        )
        assert sum(map(len, pages)) == len(pushed) > 100
        assert tally.duplicates == len(pushed[::5])
        assert [text for text in told if "records, " not in text] == []
        extras = [list(row)[-1] for row in native(call.columns, None, told.append).rows(Page(pushed))]
        assert extras == [None] * len(pushed)
