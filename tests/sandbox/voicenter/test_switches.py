"""The switches of the imitated Voicenter."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import httpx
import pytest

from cdrctl.sandbox import Exchange, Sandbox, known_switches, start, uniform
from cdrctl.sandbox.voicenter import CURRENT_FIELDS, SEED_FIELDS
from tests.sandbox.clients import DATA, at, sample
from tests.sandbox.conftest import Starter
from tests.sandbox.hard import records
from tests.support.clock import HandClock

from .client import DAY, KNOWN, MONTH, NOON, ONE, SEED_STATUSES, VoicenterClient, full, in_order, keys, number

LOWER = sample("voicenter/constructed_cdr_lowercase_keys.json")


OLDER = sample("voicenter/constructed_seed_reply_without_counters.json")


SEED_TYPES = (
    *("Incoming Call", "CC", "Extension Outgoing", "Queue", "Click2Call leg1", "Click2Call leg2", "VoiceMail"),
    *("Callference", "XferCDR", "ProductiveCall Leg1", "ProductiveCall Leg2", "Scrubber", "Click 2 IVR"),
    *("Click 2 IVR Incoming", "Click 2 Queue Incoming", "FaxCdr", "Attended CDR leg1", "Attended CDR leg2"),
    "Auto forward",
)


# Switches


def test_switch_http_errors(run: Starter) -> None:
    with VoicenterClient(run(switches={"voicenter": {"http_errors": "real"}})) as client:
        assert client.ask(*DAY).status_code == 200
        page = client.ask(ONE, NOON)
        assert (page.status_code, page.json()) == (404, sample("voicenter/constructed_error_5.json"))
        client.code = "wrong"
        page = client.ask(*DAY)
        assert (page.status_code, page.json()) == (403, sample("voicenter/constructed_error_2.json"))


def test_switch_keys(run: Starter) -> None:
    sandbox = run()
    with VoicenterClient(sandbox) as client:
        sandbox.switch("voicenter", "keys", "lower")
        answer = client.ask(*DAY).json()
        assert list(answer) == list(LOWER)
        assert keys(answer["CDR_LIST"]) == {tuple(name.lower() for name in CURRENT_FIELDS)}
        assert set(LOWER["CDR_LIST"][0]) <= set(answer["CDR_LIST"][0])
        assert any((one["customdata"] or {}).get("AiExists") for one in answer["CDR_LIST"])
        sandbox.switch("voicenter", "keys", "mixed")
        answer = client.ask(*DAY).json()
        assert list(answer) == [name.lower() for name in KNOWN]
        assert len(keys(answer["cdr_list"])) == 2
        names = {name for one in answer["cdr_list"] for name in one}
        assert {"Targetextension", "Callerextension", "targetextension", "CallerNumber"} <= names
        assert "TargetExtension" not in names


def test_switch_generation(run: Starter) -> None:
    """Version 0.1: no counters, its own fields, error 3 over the cap, minutes, HTML on request."""
    sandbox = run(
        exchange=full(60), switches={"voicenter": {"generation": "seed", "date": "no_zone", "numbers": "text"}}
    )
    with VoicenterClient(sandbox) as client:
        answer = client.ask(NOON, ONE).json()
        assert list(answer) == list(OLDER)
        assert keys(answer["CDR_LIST"]) == {SEED_FIELDS}
        known = OLDER["CDR_LIST"][0]
        assert in_order(list(known), list(SEED_FIELDS))
        assert {name: type(answer["CDR_LIST"][0][name]) for name in known} == dict.fromkeys(known, str)
        assert len(answer["CDR_LIST"][0]["Date"]) == len(known["Date"])
        assert len(client.records(NOON + timedelta(seconds=59), NOON + timedelta(seconds=60))) == 2
        assert "<table>" in client.ask(NOON, ONE, format="HTML").text
        sandbox.switch("voicenter", "cap", "50")
        answer = client.ask(NOON, ONE).json()
        assert list(answer) == list(OLDER)
        assert (int(answer["ERROR_NUMBER"]), answer["CDR_LIST"]) == (3, [])
        sandbox.switch("voicenter", "numbers", "json")
        assert len(client.all(NOON, ONE, floor=60)) == 60
        assert len(client.records(NOON, NOON + timedelta(minutes=9), {"cdrTypes": [1]}, sort=[{"field": "date"}])) == 10


def test_statuses_of_version_0_1_are_in_its_table(run: Starter) -> None:
    sandbox = run(switches={"voicenter": {"generation": "seed"}})
    records = sandbox.truth("voicenter", "cdrs", *MONTH)
    assert {one["DialStatus"] for one in records} <= set(SEED_STATUSES)
    legs = [one for one in records if one["Type"] == "Click2Call leg1"]
    assert {one["DialStatus2"] for one in legs} >= {"ANSWER", "NOTCALLED"}
    assert {one["DialStatus2"] for one in records if "leg" not in one["Type"].lower()} <= {
        "",
        "NOTCALLED",
        *SEED_STATUSES,
    }


@pytest.mark.parametrize(
    ("way", "counted", "error"), [("counters", (60, 50), 0), ("error3", (None, None), 3), ("silent", (None, None), 0)]
)
def test_switch_over_cap(run: Starter, way: str, counted: tuple[int | None, ...], error: int) -> None:
    sandbox = run(exchange=full(60), switches={"voicenter": {"cap": "50", "over_cap": way}})
    with VoicenterClient(sandbox) as client:
        answer = client.ask(NOON, ONE).json()
        assert answer["ERROR_NUMBER"] == error
        assert (answer.get("TOTAL_HITS"), answer.get("RETURN_HITS")) == counted
        assert answer["CDR_LIST"] == ([] if error else sandbox.truth("voicenter", "cdrs", NOON, ONE)[:50])
        sandbox.switch("voicenter", "cap", "60")
        assert number(client.ask(NOON, ONE)) == 0
        if error:
            assert answer == sample("voicenter/constructed_error_3.json")


@pytest.mark.slow
def test_switch_cap(run: Starter) -> None:
    sandbox = run(exchange=full(10_500))
    known = sample("voicenter/constructed_truncated.json")
    with VoicenterClient(sandbox) as client:
        answer = client.ask(NOON, ONE).json()
        assert len(answer["CDR_LIST"]) == 10_000
        assert {name: answer[name] for name in list(known)[:-1]} == {name: known[name] for name in list(known)[:-1]}
        sandbox.switch("voicenter", "cap", "7")
        answer = client.ask(NOON, ONE).json()
        assert (answer["TOTAL_HITS"], answer["RETURN_HITS"], len(answer["CDR_LIST"])) == (10_500, 7, 7)


@pytest.mark.parametrize(("value", "many"), [("closed", 2), ("half_open", 1)])
def test_switch_bounds(run: Starter, value: str, many: int) -> None:
    exchange = Exchange(calls=uniform(2, NOON, NOON + timedelta(seconds=20)))
    with VoicenterClient(run(exchange=exchange, switches={"voicenter": {"bounds": value}})) as client:
        assert len(client.records(NOON, NOON + timedelta(seconds=10))) == many
        assert len(client.records(NOON + timedelta(seconds=1), NOON + timedelta(seconds=10))) == many - 1
        assert len(client.records(NOON, NOON + timedelta(seconds=11))) == 2


@pytest.mark.parametrize(("value", "many"), [("second", 3), ("minute", 7)])
def test_switch_precision(run: Starter, value: str, many: int) -> None:
    """Calls start every ten seconds. A host that counts in minutes reads :35 to 1:59 as :00 to 1:00."""
    exchange = Exchange(calls=uniform(30, NOON, NOON + timedelta(seconds=300)))
    with VoicenterClient(run(exchange=exchange, switches={"voicenter": {"precision": value}})) as client:
        lo, hi = NOON + timedelta(seconds=35), NOON + timedelta(seconds=60)
        assert len(client.records(lo, hi)) == many
        assert len(client.records(lo, hi + timedelta(seconds=59))) == (8 if value == "second" else 7)


def test_switch_max_days(run: Starter) -> None:
    with VoicenterClient(run(switches={"voicenter": {"max_days": "7"}})) as client:
        until = at("2026-11-18")
        assert number(client.ask(until - timedelta(days=7), until)) == 0
        assert number(client.ask(until - timedelta(days=7, seconds=1), until)) == 5


def test_switch_numbers(run: Starter) -> None:
    sandbox = run(switches={"voicenter": {"numbers": "text", "ip": "unlisted"}})
    known = sample("voicenter/constructed_error_number_as_string.json")
    with VoicenterClient(sandbox) as client:
        answer = client.ask(*DAY).json()
        assert answer | known | {"CDR_LIST": []} == answer | {"ERROR_DESCRIPTION": known["ERROR_DESCRIPTION"]}
        sandbox.switch("voicenter", "ip", "listed")
        answer = client.ask(*DAY).json()
    assert answer["ERROR_NUMBER"] == "0"
    assert answer["TOTAL_HITS"] == str(len(answer["CDR_LIST"]))
    for record in answer["CDR_LIST"]:
        assert not [value for value in record.values() if isinstance(value, int | float)]
        assert record["Duration"].isdigit()
    assert all(isinstance(one["time"], str) for one in sandbox.truth("voicenter", "notifications", *DAY))


@pytest.mark.parametrize(
    ("value", "text"),
    [("z", "2026-11-18T12:00:00Z"), ("blank", "2026-11-18 12:00:00"), ("no_zone", "2026-11-18T12:00:00")],
)
def test_switch_date(run: Starter, value: str, text: str) -> None:
    with VoicenterClient(run(exchange=full(1), switches={"voicenter": {"date": value}})) as client:
        (record,) = client.records(NOON, ONE)
        assert record["Date"] == text


def test_switch_unknown_field(run: Starter) -> None:
    sandbox = run()
    names = ["Date", "DialStatus2", "Type"]
    with VoicenterClient(sandbox) as client:
        assert keys(client.records(*DAY, fields=names)) == {("Date", "Type")}
        sandbox.switch("voicenter", "unknown_field", "error")
        answer = client.ask(*DAY, fields=names).json()
        assert (answer["ERROR_NUMBER"], answer["CDR_LIST"]) == (6, [])
        assert "DialStatus2" in answer["ERROR_DESCRIPTION"]
        assert number(client.ask(*DAY, fields=["Date", "CdrType"])) == 0
        sandbox.switch("voicenter", "generation", "seed")
        assert number(client.ask(*DAY, fields=names)) == 0
        assert number(client.ask(*DAY, fields=["Date", "CdrType"])) == 6


def test_switch_extension(run: Starter) -> None:
    sandbox = run()
    with VoicenterClient(sandbox) as client:
        query = f"code={client.code}&fromdate=2026-11-18T00:00&todate=2026-11-19T00:00&extension=SIPSIP1"
        some = client.get(query).json()["TOTAL_HITS"]
        assert some == client.get(query.replace("extension", "extensions")).json()["TOTAL_HITS"]
        both = client.get(f"{query}&extensions=SIPSIP2").json()["TOTAL_HITS"]
        assert both > max(
            some, client.get(query.replace("extension=SIPSIP1", "extensions=SIPSIP2")).json()["TOTAL_HITS"]
        )
        sandbox.switch("voicenter", "extension", "ignored")
        assert 0 < some < client.get(query).json()["TOTAL_HITS"]


def test_switch_html(run: Starter) -> None:
    sandbox = run(exchange=full(1))
    page_text = (DATA / "voicenter" / "constructed_reply.html").read_text(encoding="utf-8")
    known = re.sub(r"<td>.*?</td>", "<td></td>", page_text.strip())
    with VoicenterClient(sandbox) as client:

        def page(form: str) -> httpx.Response:
            return client.ask(NOON, ONE, fields=["Date", "Type"], format=form)

        assert page("HTML").json()["TOTAL_HITS"] == 1
        sandbox.switch("voicenter", "html", "on_format")
        assert page("JSON").json()["TOTAL_HITS"] == 1
        answer = page("HTML")
        assert answer.headers["Content-Type"].startswith("text/html")
        assert re.sub(r"<td>.*?</td>", "<td></td>", answer.text) == known
        sandbox.switch("voicenter", "html", "always")
        assert page("JSON").text == answer.text
        client.code = "wrong"
        refused = page("JSON")
        assert refused.headers["Content-Type"].startswith("text/html")
        assert "Authorization failed." in refused.text


def test_switch_types(run: Starter) -> None:
    sandbox = run(switches={"voicenter": {"types": "seed"}})
    spelled = {name.replace("Click2Call leg", "Click2Callleg") for name in SEED_TYPES}
    assert {one["Type"] for one in sandbox.truth("voicenter", "cdrs", *MONTH)} == spelled
    assert {one["type"] for one in sandbox.truth("voicenter", "notifications", *MONTH)} == spelled


def test_switch_queue_duration(run: Starter) -> None:
    sandbox = run()
    talk = sandbox.truth("voicenter", "cdrs", *DAY)
    waits = {
        one["ivruniqueid"]: one.get("seconds_waiting_in_queue", 0)
        for one in sandbox.truth("voicenter", "notifications", *DAY)
    }
    sandbox.switch("voicenter", "queue_duration", "with_wait")
    waited = sandbox.truth("voicenter", "cdrs", *DAY)
    assert [one["Duration"] + (waits[one["CallID"]] if one["CdrType"] == 8 else 0) for one in talk] == [
        one["Duration"] for one in waited
    ]
    assert any(one["Duration"] > 0 and one["DialStatus"] == "ABANDONE" for one in waited)


def test_switch_counters(run: Starter) -> None:
    sandbox = run(exchange=full(1), switches={"voicenter": {"counters": "off_by_one"}})
    with VoicenterClient(sandbox) as client:
        answer = client.ask(NOON, ONE).json()
        hits = answer["TOTAL_HITS"], answer["RETURN_HITS"], len(answer["CDR_LIST"])
        assert hits == (KNOWN["TOTAL_HITS"], KNOWN["RETURN_HITS"], len(KNOWN["CDR_LIST"]))


def test_switch_empty(run: Starter) -> None:
    with VoicenterClient(run(exchange=full(0), switches={"voicenter": {"empty": "null"}})) as client:
        answer = client.ask(NOON, ONE).json()
        assert list(answer) == list(KNOWN)
        assert answer["CDR_LIST"] is None


def test_switch_lag(run: Starter, clock: HandClock) -> None:
    sandbox = run(exchange=full(1), switches={"voicenter": {"lag": "10"}})
    with VoicenterClient(sandbox) as client:
        clock.time = NOON + timedelta(seconds=62, minutes=10) - timedelta(seconds=1)
        assert client.records(NOON, ONE) == sandbox.truth("voicenter", "cdrs", NOON, ONE) == []
        clock.move(1)
        assert client.records(NOON, ONE) == sandbox.truth("voicenter", "cdrs", NOON, ONE) != []
        clock.move(-600)
        sandbox.switch("voicenter", "lag", "0")
        assert len(client.records(NOON, ONE)) == 1
        clock.move(-1)
        assert client.records(NOON, ONE) == []


def test_switch_ip(run: Starter) -> None:
    sandbox = run(switches={"voicenter": {"ip": "unlisted"}})
    known = sample("voicenter/constructed_error_4.json")
    with VoicenterClient(sandbox) as client, VoicenterClient(sandbox, "bearer") as bearer:
        answer = client.ask(*DAY).json()
        assert answer == known | {"ERROR_DESCRIPTION": "IP address 127.0.0.1 is not trusted."}
        assert number(bearer.ask(*DAY)) == 0


def test_switch_bearer(run: Starter) -> None:
    sandbox = run(switches={"voicenter": {"bearer": "refused"}})
    with VoicenterClient(sandbox) as client, VoicenterClient(sandbox, "bearer") as bearer:
        assert number(bearer.ask(*DAY)) == 2
        assert number(client.ask(*DAY)) == 0


def test_switch_limits(run: Starter, clock: HandClock) -> None:
    """Thirty requests in any 60 seconds; refused requests are not counted."""
    sandbox = run(exchange=full(1), limits=True)
    with VoicenterClient(sandbox) as client:
        numbers = []
        for _ in range(32):
            page = client.ask(NOON, ONE)
            numbers.append(number(page))
            clock.move(1)
        assert numbers == [0] * 30 + [1] * 2
        assert (page.status_code, page.json()) == (200, sample("voicenter/constructed_error_1.json"))
        clock.move(27)
        assert number(client.ask(NOON, ONE)) == 1
        clock.move(1)
        assert number(client.ask(NOON, ONE)) == 0
        assert number(client.ask(NOON, ONE)) == 1
        sandbox.switch("voicenter", "limits", "off")
        assert number(client.ask(NOON, ONE)) == 0


@pytest.mark.parametrize(("window_on", "minute"), [("start", 0), ("end", 10), ("saved", 14)])
def test_switch_window_on(run: Starter, window_on: str, minute: int) -> None:
    """The window selects records by the start or end of the call, or by the time of saving."""
    exchange = Exchange(calls=uniform(1, NOON, NOON + timedelta(minutes=1), talk_seconds=600))
    with VoicenterClient(
        run(exchange=exchange, switches={"voicenter": {"window_on": window_on, "lag": "4"}})
    ) as client:
        minutes = [NOON + timedelta(minutes=n) for n in range(20)]
        found = [n for n, at in enumerate(minutes) if client.records(at, at + timedelta(seconds=59))]
        assert len(found) == 1
        assert abs(found[0] - minute) <= 1, "the call rings before it is answered"


def test_switch_date_zone(run: Starter) -> None:
    switches = {"date": "blank"}
    with (
        VoicenterClient(run(exchange=full(1), switches={"voicenter": switches})) as utc,
        VoicenterClient(run(exchange=full(1), switches={"voicenter": switches | {"date_zone": "israel"}})) as israel,
    ):
        [one], [other] = utc.records(NOON, ONE), israel.records(NOON, ONE)
        shift = datetime.fromisoformat(other["Date"]) - datetime.fromisoformat(one["Date"])
        assert shift == timedelta(hours=2), "in November"
        assert {**one, "Date": ""} == {**other, "Date": ""}


def test_switch_request_zone(run: Starter) -> None:
    with VoicenterClient(run(exchange=full(1), switches={"voicenter": {"request_zone": "israel"}})) as client:
        assert client.records(NOON, ONE) == []
        assert len(client.records(NOON + timedelta(hours=2), ONE + timedelta(hours=2))) == 1


def test_switch_epoch(run: Starter) -> None:
    with VoicenterClient(run(switches={"voicenter": {"epoch": "off"}})) as client:
        records = client.records(*DAY)
        assert records
        assert not any("DateEpoch" in record for record in records)


def test_switch_call_id(run: Starter) -> None:
    with VoicenterClient(run(switches={"voicenter": {"call_id": "off"}})) as client:
        records = client.records(*DAY)
        assert records
        assert not any("CallID" in record for record in records)


def test_switch_new_field(run: Starter) -> None:
    with VoicenterClient(run(switches={"voicenter": {"new_field": "on"}})) as client:
        assert all("ServiceLevel" in record for record in client.records(*DAY))
        assert not any("ServiceLevel" in record for record in client.records(*DAY, fields=["CallID", "Date"]))


def test_switch_order(run: Starter) -> None:
    with VoicenterClient(run()) as oldest, VoicenterClient(run(switches={"voicenter": {"order": "newest"}})) as newest:
        records = oldest.records(*DAY)
        assert [one["Date"] for one in records] == sorted(one["Date"] for one in records)
        assert [one["Date"] for one in newest.records(*DAY)] == [one["Date"] for one in records][::-1]


def test_switch_slash(run: Starter) -> None:
    for value, status in (("either", 200), ("required", 404)):
        with VoicenterClient(run(switches={"voicenter": {"slash": value}})) as client:
            assert client.ask(NOON, ONE).status_code == 200
            client.base_url = client.base_url.rstrip("/")
            assert client.ask(NOON, ONE).status_code == status


def test_invalid_switch_value_is_refused(sandbox: Sandbox) -> None:
    assert known_switches("voicenter")["cap"].default == "10000"
    for name, value in (("cap", "0"), ("max_days", "none"), ("keys", "upper"), ("lag", "-1")):
        with pytest.raises(ValueError, match="cannot be"):
            sandbox.switch("voicenter", name, value)


# Determinism


def test_responses_are_the_same_in_every_run(clock: HandClock) -> None:
    bodies = []
    for _ in range(2):
        with start(now=clock, seed="x") as sandbox, VoicenterClient(sandbox) as client:
            bodies.append(client.ask(*DAY).content)
    assert bodies[0] == bodies[1]


@pytest.mark.slow
def test_responses_do_not_depend_on_earlier_requests(run: Starter) -> None:
    sandbox = run(exchange=Exchange(1))
    fresh = run(exchange=Exchange(1))
    sandbox.truth("voicenter", "cdrs", *MONTH)
    assert sandbox.truth("voicenter", "cdrs", *DAY) == fresh.truth("voicenter", "cdrs", *DAY)


def _originals(switches: dict[str, str]) -> set[tuple[str, str]]:
    """Return the ids of the records of hard calls, each with the id that it names."""
    found = ((one["CallID"], (one.get("CustomData") or {}).get("OriginalIvrUniqueID")) for one in records(switches))
    return {(own, named) for own, named in found if named}


def test_switch_original() -> None:
    first, chain = _originals({}), _originals({"original": "chain"})
    assert {own for own, _ in first} == {own for own, _ in chain}
    assert not {named for _, named in first} & {own for own, _ in first}  # they name no record that names another
    assert {named for _, named in chain} & {own for own, _ in chain}


def test_switch_parked() -> None:
    kinds = [[one["CdrType"] for one in records(switches)] for switches in ({}, {"parked": "transfer"})]
    assert len(kinds[0]) == len(kinds[1])
    changed = {pair for pair in zip(*kinds, strict=True) if pair[0] != pair[1]}
    assert len(changed) == 1
