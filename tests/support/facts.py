"""Facts that the contract suite cannot learn from a provider's own values: at most one entry for each provider.

For a provider without an entry, each switch of the sandbox is tested alone, with each of its named values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any


@dataclass(frozen=True, slots=True)
class Case:
    """A way a provider may behave.

    Args:
        switches: Of the sandbox, as `name=value`.
        options: Of the command, as they are typed.
        calls: The calls that it concerns; empty for all.
        said: Whether records may be missing if the export reports it.
    """

    switches: tuple[str, ...]
    options: tuple[str, ...] = ()
    calls: tuple[str, ...] = ()
    said: bool = False

    def __str__(self) -> str:
        return " ".join((*self.switches, *self.options)) or "default"


@dataclass(frozen=True, slots=True)
class Facts:
    """What is peculiar to a provider.

    Args:
        always: Switches for every test, so that small exports have many pages.
        refuses: Values of switches under which an export is refused, as `name=value`, and the exit code of each;
            for one call only, as `call name=value`.
        cases: Behaviour in addition to the switches' named values: numbers, and combinations of switches.
        back: By call, how far back the provider has records if that is less than two days.
        elsewhere: Switches that concern only calls without a window.
        beside: For a value of a switch, as `name=value`, the other switches without which no record would come.
        kinds: By authentication method, the sandbox's name for its credentials if that is not one of its settings.
        within: The keys that lead from a response to the object with the list of records.
        asks: The method of requests for records, and a text that only their bodies have.
        proofs: The keys of credentials in bodies.
        statuses: Switches under which the HTTP status shows a refusal, if it does not always.
        repeats: The keys that a response repeats from its request.
        complaint: The body of an error, with `{}` in the place of the message.
        straight: Switches under which no request but a sign-in comes before the first page.
        knowing: Settings of a profile that save the requests before the first page.
        paged_by: The option for the length of a requested window, if there are no pages.
        roomy: Switches under which such a response has all records of its window.
        pace: Switches under which a short export reaches the published rate limit.
        lasting: Exit codes of lasting faults other than 5.
        circles: Exit codes when the same page is sent for ever.
        soon: The number of requests within which that must be noticed.
        redirect: The body of redirects; None if it is that of the provider's errors.
        told_by_next: Whether pages have a link or key to the next one.
        untold: Values of switches under which a record does not have the time and the length of the answer.
        rings_late: Whether the ringing is measured from its own start, and not from the start of the call.
    """

    always: tuple[str, ...] = ()
    refuses: Mapping[str, int] = field(default_factory=dict)
    cases: tuple[Case, ...] = ()
    back: Mapping[str, timedelta] = field(default_factory=dict)
    elsewhere: frozenset[str] = frozenset()
    beside: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    kinds: Mapping[str, str] = field(default_factory=dict)
    within: tuple[str, ...] = ()
    asks: tuple[str, bytes] = ("GET", b"")
    proofs: frozenset[str] = frozenset()
    statuses: tuple[str, ...] = ()
    repeats: tuple[str, ...] = ()
    complaint: Mapping[str, Any] = field(default_factory=dict)
    straight: tuple[str, ...] = ()
    knowing: Mapping[str, str] = field(default_factory=dict)
    paged_by: str = ""
    roomy: tuple[str, ...] = ()
    pace: tuple[str, ...] = ("limits=on",)
    lasting: Mapping[str, int] = field(default_factory=dict)
    circles: frozenset[int] = frozenset({7})
    soon: int = 100
    redirect: str | None = None
    told_by_next: bool = True
    untold: frozenset[str] = frozenset()
    rings_late: bool = False


FACTS: Mapping[str, Facts] = {
    "webex": Facts(
        always=("max_floor=1",),
        proofs=frozenset({"client_secret", "refresh_token"}),
        refuses={"region=451_please_use": 6, "region=451_url": 6, "scope=missing": 4},
        cases=(
            Case(("late=0.3",)),
            Case(("late=1", "filter=end")),
            Case(("filter=end", "bounds=closed", "order=shuffled", "page_overlap=on", "link=doc")),
            Case(("filter=end", "empty_page=items", "empty=200")),
            Case(("empty_page=no_items", "page_overlap=on", "keys=doc_case")),
            Case(("limits=on", "retry_after=none"), calls=("cdrs",)),
            Case(("limits=on", "retry_after=http_date", "shared_limit=off"), calls=("cdrs",)),
            Case(("filter=end",), ("--longest-call", "10h"), ("cdrs",)),
            Case(("filter=start",), ("--longest-call", "0s"), ("cdrs",)),
        ),
        back={"stream": timedelta(hours=7, minutes=50)},
    ),
    "kazoo": Facts(
        refuses={"account=expired": 4, "fail_chunk=1": 5},
        proofs=frozenset({"api_key", "credentials"}),
        cases=(
            *(Case((f"version={version}", "same_second=19")) for version in ("5.0", "5.x", "4.2", "4.0", "3.22")),
            *(Case((f"version={version}", "strip_empty=on")) for version in ("5.0", "4.2", "4.0")),
            Case(("version=5.x", "straddle=found", "month_cursor=right")),
            Case(("month_cursor=right", "straddle=found")),
            Case(("max_range=60000",), calls=("cdrs",)),
            Case(("max_range=60000", "version=5.x", "same_second=3"), calls=("cdrs",)),
            Case(("max_range=70000",), ("--longest-call", "570m"), ("interactions",)),
            Case(("max_range=9000",), said=True),
            Case(("memory_limit=12",), said=True),
            Case(("late_save=120",)),
            Case(("late_save=7200", "version=4.3")),
            Case(("fail_chunk=2",), ("--page-size", "120")),
            Case(("fail_chunk=2", "version=5.x"), ("--page-size", "90")),
            Case(("cut_body=1",)),
            Case(("cut_body=4",)),
            Case(("limits=on", "token_ttl=1")),
            Case(("archived=202612",)),
        ),
    ),
    # JSON-RPC over one URL; pages by offset; whether the HTTP status shows errors is not published.
    "callgear": Facts(
        refuses={
            "ip=unlisted": 4,
            "account=inactive": 4,
            "refuse=forbidden": 6,  # the account's time zone, which may be in the profile
            "refuse=access_token_blocked": 4,
            "refuse=internal_error": 5,
        },
        within=("result",),
        asks=("POST", b'"get.'),
        proofs=frozenset({"access_token", "password"}),
        statuses=("http_errors=real",),
        repeats=("id",),
        complaint={
            "jsonrpc": "2.0",
            "id": None,
            "error": {"code": -32602, "message": "{}", "data": {"mnemonic": "{}", "field": "{}", "value": "{}"}},
        },
        # The account's time zone is requested, and fields that not all documents have are refused once.
        straight=("no_wav=off", "utm_referrer=known"),
        untold=frozenset({"talk_times=null", "talk_times=absent"}),
        redirect="",  # an error in a body overrides the status, and no redirect has one
        knowing={"timezone": "Europe/Berlin"},
        pace=("limits=on", "minute_limit=10", "http_errors=real"),
        circles=frozenset({3, 7}),
        told_by_next=False,
        cases=(
            Case(("window_on=finish", "bounds=half_open")),
            Case(("window_on=finish", "bounds=open")),
            Case(("bounds=open_low", "zone=Europe/Moscow")),
            Case(("window_on=finish", "zone=America/New_York", "double_hour=second")),
            Case(("short_page=2",)),
            Case(("grow=1",)),
            Case(("ties=moving",), said=True),
            Case(("names_field=off", "http_errors=real", "error_data=full"), calls=("legs",)),
            Case(("limits=on", "minute_limit=10"), calls=("legs",)),
            Case(("lag=120",), calls=("calls",)),
            Case(("window_on=finish",), ("--longest-call", "10h"), ("legs",)),
            Case(("window_on=start_time",), ("--longest-call", "0s"), ("legs",)),
        ),
    ),
    # Pages by offset.
    "portsip": Facts(
        refuses={"two_factor=on": 4, "calllogs version=16": 7},
        elsewhere=frozenset({"report", "report_delay", "report_after", "file_name", "file_url"}),
        proofs=frozenset({"password", "access_token", "refresh_token"}),
        circles=frozenset({3, 7}),
        told_by_next=False,
        rings_late=True,
        cases=(
            Case(("skip=1", "count=absent")),
            Case(("query=ignored", "skip=1")),
            Case(("query=ignored", "count=absent")),
            Case(("version=22.0", "errors=empty", "login_body=empty")),
            Case(("limits=on", "access_limit=30", "throttle=503"), calls=("cdrs",)),
            Case(("token_ttl=60", "rotate=off"), calls=("cdrs",)),
            Case(("top_max=1000",), ("--window", "5h"), ("calllogs",)),
        ),
    ),
    # A window is one response; a full one is requested again in halves.
    "voicenter": Facts(
        always=("cap=12",),
        refuses={"html=always": 7, "ip=unlisted": 4},
        elsewhere=frozenset({"notification", "repeats", "bearer"}),
        beside={"over_cap=silent": ("cap=10000",)},
        kinds={"token": "bearer"},
        asks=("POST", b""),
        proofs=frozenset({"code"}),
        complaint={"ERROR_NUMBER": 2, "ERROR_DESCRIPTION": "{}"},
        paged_by="longest_window",
        roomy=("cap=10000",),
        lasting={"html": 7},
        circles=frozenset({3}),
        soon=200,  # an hour is halved down to minutes
        told_by_next=False,
        cases=(
            Case(("precision=minute", "bounds=half_open")),
            Case(("precision=minute", "over_cap=error3")),
            Case(("generation=seed", "keys=lower", "empty=null")),
            Case(("max_days=1",)),
            Case(("lag=5",)),
            Case(("limits=on",)),
            *(
                Case((f"window_on={on}", f"bounds={bounds}", "date=blank", "epoch=off", f"date_zone={zone}"))
                for on, bounds, zone in (
                    ("end", "open", "israel"),
                    ("saved", "open_low", "israel"),
                    ("end", "open", "utc"),
                )
            ),
            Case(("date=no_zone", "numbers=text", "counters=off_by_one")),
        ),
    ),
}
