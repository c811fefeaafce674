"""A client that we did not write reads the same sandbox, and finds the same records as cdrctl.

wxc_sdk is a client of Webex Calling by Cisco's engineers. It builds the address of call history itself, so its session
sends requests for that address to the sandbox; everything else is unchanged.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if find_spec("wxc_sdk") is None:
    pytest.skip("wxc-sdk is not installed: pip install -e '.[dev]'", allow_module_level=True)

import requests
from requests.adapters import HTTPAdapter

from cdrctl.sandbox import Exchange, Sandbox, start, straddlers
from tests.support.clock import HandClock
from tests.support.runner import Shell

if TYPE_CHECKING:
    from wxc_sdk import WebexSimpleApi

pytestmark = pytest.mark.slow  # the import alone takes seconds: only the fixture does it

SERVICE = "https://analytics-calling.webexapis.com/"
NOW = datetime(2026, 12, 1, 7, tzinfo=UTC)
SINCE, UNTIL = NOW - timedelta(hours=11), NOW - timedelta(hours=2)

FIELDS = {
    "report_id": "report_id",
    "correlation_id": "correlation_id",
    "direction": "direction",
    "answered": "answered",
    "start_time": "start_time",
    "answer_time": "answer_time",
    "release_time": "release_time",
    "duration": "duration",
    "ring_duration": "ring_duration",
    "hold_duration": "hold_duration",
    "calling_number": "calling_number",
    "called_number": "called_number",
    "user": "user",
    "location": "location",
    "call_type": "call_type",
    "call_outcome_reason": "call_outcome_reason",
    "site_timezone": "site_timezone",
    "local_call_id": "local_call_id",
}
"""Our columns, and the attributes of wxc_sdk for the same keys of the API."""


class Mount(HTTPAdapter):
    """An adapter that sends requests for the service's address to the sandbox."""

    def __init__(self, sandbox: Sandbox) -> None:
        super().__init__()
        self.base = sandbox.base_urls["webex"]

    def send(self, request: requests.PreparedRequest, **rest: Any) -> requests.Response:  # type: ignore[override]
        """Send a request to the sandbox."""
        assert request.url is not None
        request.url = request.url.replace(f"{SERVICE}v1", self.base, 1)
        return super().send(request, **rest)


@pytest.fixture
def clock() -> HandClock:
    return HandClock(NOW)


@pytest.fixture
def sandbox(clock: HandClock) -> Iterator[Sandbox]:
    month = datetime(2026, 12, 1, tzinfo=UTC)
    calls = Exchange(11).calls(SINCE - timedelta(hours=2), NOW)
    exchange = Exchange(calls=[*calls, *straddlers(month)])
    with start(now=clock, exchange=exchange, providers=["webex"], switches={"webex": {"max_floor": "1"}}) as running:
        yield running


@pytest.fixture
def peer(sandbox: Sandbox) -> Iterator[WebexSimpleApi]:
    with warnings.catch_warnings():
        # Some fields of wxc_sdk's classes hide those of pydantic's BaseModel, which causes warnings.
        warnings.filterwarnings("ignore", category=UserWarning, module=r"pydantic\b.*")
        warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"(wxc_sdk|pydantic)\b.*")
        from wxc_sdk import WebexSimpleApi
    token = str(sandbox.credentials("webex")["access_token"])
    with WebexSimpleApi(tokens=token) as api:
        api.session.trust_env = False  # no proxy
        api.session.mount(SERVICE, Mount(sandbox))
        yield api


@pytest.fixture
def shell(sandbox: Sandbox, clock: HandClock, tmp_path: Path) -> Shell:
    made = Shell(tmp_path, clock)
    made.profile("acme", "webex", sandbox.credentials("webex"))
    return made


def theirs(peer: WebexSimpleApi, since: datetime, until: datetime, **more: Any) -> list[Any]:
    """Return the records that wxc_sdk finds."""
    return list(peer.cdr.get_cdr_history(start_time=since, end_time=until, **more))


def ours(shell: Shell, call: str, since: datetime, until: datetime, *more: str) -> list[dict[str, Any]]:
    """Return the records that cdrctl finds."""
    window = ["--since", since.isoformat(), "--until", until.isoformat()]
    return shell.run("webex", call, "-p", "acme", *window, "-f", "jsonl", *more).ok().lines


def plain(value: Any) -> Any:
    """Return a value of wxc_sdk as cdrctl writes it: times and enumerations as text."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    value = getattr(value, "value", value)
    return None if value in {"", "NA", "na"} else value


@pytest.mark.parametrize("size", [7, 50, 5000])
def test_both_clients_find_the_same_records(peer: WebexSimpleApi, shell: Shell, size: int) -> None:
    """Each record comes once, whatever the page size."""
    found = theirs(peer, SINCE, UNTIL, max=size)
    mine = ours(shell, "cdrs", SINCE, UNTIL, "--page-size", str(size))
    assert len(mine) > 100
    assert Counter(one.report_id for one in found) == Counter(one["report_id"] for one in mine)


def test_both_clients_read_the_same_values(peer: WebexSimpleApi, shell: Shell) -> None:
    mine = {one["report_id"]: one for one in ours(shell, "cdrs", SINCE, UNTIL)}
    for one in theirs(peer, SINCE, UNTIL):
        record = mine[one.report_id]
        for column, attribute in FIELDS.items():
            value = plain(getattr(one, attribute))
            expected = record[column]
            if column == "site_timezone" and value is not None:
                value = int(value)
            assert value == expected, (column, value, expected)


def test_both_clients_find_the_same_records_of_a_location(peer: WebexSimpleApi, shell: Shell) -> None:
    found = theirs(peer, SINCE, UNTIL, locations=["London Office"])
    mine = ours(shell, "cdrs", SINCE, UNTIL, "--location", "London Office")
    assert mine
    assert {one.location for one in found} == {"London Office"}
    assert Counter(one.report_id for one in found) == Counter(one["report_id"] for one in mine)


def test_both_clients_find_the_same_records_of_the_stream(peer: WebexSimpleApi, shell: Shell, sandbox: Sandbox) -> None:
    """Windows of the stream select by arrival; of wxc_sdk's records, those of calls that began in the window count."""
    sandbox.switch("webex", "empty", "200")
    found: list[Any] = []
    at = SINCE
    while at < NOW - timedelta(minutes=2):
        until = min(at + timedelta(hours=2), NOW - timedelta(minutes=2))
        found += theirs(peer, at, until, stream=True)
        at = until
    mine = ours(shell, "stream", SINCE, UNTIL)
    began = [one for one in found if SINCE <= one.start_time < UNTIL]
    assert len(mine) > 100
    assert Counter(one.report_id for one in began) == Counter(one["report_id"] for one in mine)


def test_empty_window_is_an_error_in_wxc_sdk_only(peer: WebexSimpleApi, shell: Shell) -> None:
    """The service answers 404 if there are no records, and wxc_sdk raises an error for that."""
    from wxc_sdk.rest import RestError

    since = NOW - timedelta(days=20)
    with pytest.raises(RestError, match="404"):
        theirs(peer, since, since + timedelta(hours=1))
    assert ours(shell, "cdrs", since, since + timedelta(hours=1)) == []


def test_wxc_sdk_cannot_reach_other_hosts(peer: WebexSimpleApi) -> None:
    """Its session has no adapter for other addresses."""
    with pytest.raises(requests.ConnectionError):
        peer.session.get("https://webexapis.com/v1/people/me")
