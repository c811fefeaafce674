"""Any text on the command line, in a header or in an address is read or refused."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, strategies as st

from cdrctl import windows
from cdrctl.errors import UsageError
from cdrctl.fetchers import callgear, kazoo, portsip, voicenter, webex
from cdrctl.http.messages import Answer
from cdrctl.http.retry import retry_after
from cdrctl.http.urls import host_of, same_origin, unambiguous
from tests.fuzz.anything import NOW, dumped, texts, values
from tests.support.examples import examples


def made_of(*parts: str, most: int = 7) -> st.SearchStrategy[str]:
    """Return texts that are made of these parts, with and without blanks."""
    return st.builds(
        str.join, st.sampled_from(("", " ", "", ", ")), st.lists(st.sampled_from(parts) | texts(), max_size=most)
    )


TIMES = made_of(
    *("now", "today", "monday", "mon", "next", "noon", "2026", "2026-11", "2026-11-19", "20261119", "0001", "9999"),
    *("1970", "2200-12-31", "11", "31", "00", "8", "8:00", "08:00:00", "24:00", "23:59:60", "00.1234567", "T", "Z"),
    *(
        "+01:00",
        "-05",
        "+24:00",
        "-99:99",
        "UTC",
        "UTC+3",
        "EST",
        "pm",
        "a.m.",
        "Nov",
        "19th",
        "of",
        "-",
        "/",
        ".",
        ",",
    ),
    *("7d", "24h", "999999999d", "99999999w", "10h", "36m", "28.5s", "inf", "nan", "1e5", "'26", "W47"),
)
ZONES = st.sampled_from(
    ("UTC", "Europe/Berlin", "Pacific/Apia", "Africa/Monrovia", "America/Scoresbysund", "Australia/Lord_Howe")
).map(ZoneInfo)


@examples(200)
@given(
    text=TIMES,
    other=TIMES,
    zone=ZONES,
    now=st.sampled_from((NOW, datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 12, 31, 23, 59, 59, tzinfo=UTC))),
)
def test_any_words_are_a_window_or_refused(text: str, other: str, zone: ZoneInfo, now: datetime) -> None:
    """Instants are in UTC and in a plausible year, and a window begins before it ends."""
    with suppress(UsageError):
        instant = windows.instant(text, zone=zone, now=now)
        assert instant.tzinfo is UTC
        assert abs(instant.year - 2085) < 118
    with suppress(UsageError):
        window = windows.window(text, other, zone=zone, now=now)
        assert window.since < window.until


@examples(150)
@given(number=st.integers(0, 10**10), unit=st.sampled_from("smhdwMy"), odd=texts())
def test_any_length_can_be_added_to_any_time_or_is_refused(number: int, unit: str, odd: str) -> None:
    for text in (f"{number}{unit}", odd, odd + unit):
        with suppress(UsageError):
            length = windows.duration(text)
            assert timedelta(0) <= NOW - length - datetime(1, 1, 1, tzinfo=UTC)
            assert NOW + length > datetime(1, 1, 1, tzinfo=UTC)


@pytest.mark.slow
@examples(100)
@given(
    name=made_of("Europe", "/", "Berlin", "..", ".", "right/", "posix", "UTC", "local", "tzdata.zi", "zone.tab", most=4)
)
def test_any_name_is_a_zone_or_refused(name: str) -> None:
    with suppress(UsageError):
        assert windows.zone(name).utcoffset(NOW.replace(tzinfo=None)) is not None


WHOM = (
    "direction",
    "cost",
    "id",
    "duration",
    "custom_channel_vars.a",
    "=",
    "<=",
    "~",
    "'",
    "''",
    "(",
    ")",
    "eq",
    "and",
)


@pytest.mark.slow
@examples(150)
@given(
    given_words=st.lists(made_of(*WHOM), min_size=1, max_size=2),
    rows=st.lists(st.dictionaries(st.sampled_from(WHOM), values(), max_size=4), max_size=2),
)
def test_any_filter_is_read_or_refused(given_words: list[str], rows: list[dict[str, Any]]) -> None:
    """A filter that was read can be applied to any row."""
    with suppress(UsageError):
        keep, _ = kazoo.filters.filters_of(given_words)
        for row in rows:
            assert keep is None or keep(row, {"account_id": "a", "currency": "USD", "user": ""}) in {True, False}
    for text in given_words:
        with suppress(UsageError):
            portsip.listing._check_brackets(text)
        with suppress(UsageError):
            portsip.cron.cron(text)
        with suppress(UsageError):
            voicenter.search.search_criteria(
                {name: [text] for name in ("phone", "extension", "type", "campaign", "queue")}
            )
    for kind in portsip.report_form.FILTERS:
        with suppress(UsageError):
            portsip.report_form.filter_for(kind, given_words)
    for fields in (callgear.fields.LEGS, callgear.fields.CALLS):
        with suppress(UsageError):
            callgear.filters.filter_tree(fields, given_words)
        with suppress(UsageError):
            callgear.filters.sorting(fields, given_words)


PARTS = ("field", "operator", "value", "filters", "condition", "direction", "duration", "=", "in", "and", "is_null")


@examples(150)
@given(tree=values(PARTS), kind=st.sampled_from(sorted(portsip.report_form.FILTERS)), data=st.data())
def test_any_json_is_a_filter_or_refused(tree: Any, kind: str, data: st.DataObject) -> None:
    leaf = {"field": data.draw(st.sampled_from(("direction", "id", "duration"))), "operator": "in", "value": tree}
    for one in (tree, leaf, {"filters": [tree], "condition": tree}, {"filters": [leaf, tree], "condition": "or"}):
        with suppress(UsageError):
            callgear.filters.filter_tree(callgear.fields.LEGS, [dumped(one).decode()])
    names = sorted(portsip.report_form.FILTERS[kind])
    with suppress(UsageError):
        portsip.report_form.filter_for(kind, [dumped({data.draw(st.sampled_from(names)): tree}).decode()])


DATES = made_of(
    *(
        "Fri,",
        "20",
        "Nov",
        "2026",
        "12:00:40",
        "GMT",
        "+0000",
        "-0000",
        "+9999",
        "-2359",
        "EST",
        "99:99:99",
        "1:2",
        "0",
    ),
    *("Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994", "9" * 30, "9999", "0001", "(", ")", ":", "²"),
)


@examples(200)
@given(asked=DATES, date=DATES)
def test_any_retry_after_is_a_wait_or_nothing(asked: str, date: str) -> None:
    wait = retry_after(Answer(429, {"retry-after": asked, "date": date}, None, "", ""), NOW)
    assert wait is None or wait >= 0


LINKS = made_of(
    "<", ">", ";", "rel", "=", '"', "'", "next", "prev", "https://a/b", "?totalCount=5", "<<", "\t", most=12
)


@examples(200)
@given(link=LINKS)
def test_any_link_header_has_a_next_page_or_none(link: str) -> None:
    url = webex.answers.next_link(Answer(200, {"link": link}, None, "", ""))
    assert url is None or url in link
    assert webex.answers.total_in(url) >= 0


ADDRESSES = made_of(
    *("http", "https", "HTTP", "://", "//", ":", "/", "?", "#", "@", "\\", "[", "]", "::1", "127.0.0.1", "host", ":80"),
    *(":443", ":99999", ":x", "%00", "é", "\u017f", "\u2100", "\uff0e", "user:pw", "[v1.x]", "[fe80::1%25en0]", "²"),
    most=9,
)


@examples(200)
@given(one=ADDRESSES, two=ADDRESSES)
def test_any_address_is_trusted_or_not(one: str, two: str) -> None:
    """An address that can be read in two ways is not trusted."""
    for url in (one, f"https://{one}"):
        for other in (two, url, "https://host/x"):
            assert same_origin(url, other) == same_origin(other, url)
            assert not same_origin(url, other) or (unambiguous(url) and unambiguous(other))
        assert "@" not in host_of(url)
        webex.sign_in.in_domain(url)
