"""Every fault with every provider, over real sockets: no record is lost, no file is partial, and a message says why."""

from __future__ import annotations

import json
import os
import re
import textwrap
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.reliability.faults import BOUND_MIB, FAULTS, Fault
from tests.reliability.guarded import ALL, GUARDED, Guarded
from tests.reliability.page_faults import PAGE_FAULTS, Document, PageFault
from tests.reliability.proxy import Proxy, Reply, Wire, between, passed_on
from tests.reliability.way_faults import RECORD_FAULTS, WAY_FAULTS
from tests.support.bench import MONTH, SUBJECTS, Bench, Subject, bench, counted, evenly
from tests.support.products import for_each, thinned

SINCE, UNTIL = MONTH - timedelta(hours=3), MONTH - timedelta(hours=2)
PAGE, CALLS = 5, 15


def name_of(fault: Fault | PageFault | Guarded) -> str:
    """Return the name of a fault as the id of a test."""
    return fault.name.replace(" ", "-")


MAIN = [subject for subject in SUBJECTS if subject.call is subject.provider.calls[0]]
each_provider = pytest.mark.parametrize("subject", MAIN, ids=lambda subject: subject.provider.name)
QUICK, SLOW = ([fault for fault in FAULTS if fault.slow is slow] for slow in (False, True))
each_fault_of_each_provider = pytest.mark.parametrize(
    ("fault", "subject"), thinned(QUICK, MAIN, keep=2, ids=(name_of, lambda subject: subject.provider.name))
)


@contextmanager
def through(subject: Subject, tmp_path: Path, *, tls: Any = None, **settings: object) -> Iterator[tuple[Bench, Proxy]]:
    """Return a bench whose profile leads through a proxy."""
    with bench(subject, tmp_path, evenly(CALLS, SINCE, UNTIL), page_size=PAGE) as made:
        made.straight()
        with between(made.sandbox.url, tls=tls) as proxy:
            own = made.sandbox.credentials(subject.provider.name)
            led = {
                name: str(value).replace(made.sandbox.url, proxy.url)
                for name, value in own.items()
                if str(value).startswith(made.sandbox.url)
            }
            changes: dict[str, Any] = {"largest_page_mb": BOUND_MIB, **led, **settings}
            made.sign_in_by(**changes)
            yield made, proxy


def raw(made: Bench) -> Any:
    return made.run(SINCE, UNTIL, "--schema", "raw", "-f", "jsonl")


def check_passing(made: Bench, proxy: Proxy, fault: Fault, nth: int) -> None:
    """Check that every record comes, or that the run ends if the response is permanently wrong."""
    name, spoiled = made.provider.name, proxy.spoiled
    truth = counted(made.truth(SINCE, UNTIL))
    proxy.fault(fault.spoil, nth=nth, times=1 if fault.slow else 2)
    ran = raw(made)
    assert proxy.spoiled > spoiled, ran.err
    if fault.passes or fault.code(name) == 0:
        assert ran.code in {0, *({7} & {fault.code(name)})}, ran.err
    if ran.code == 0:
        assert counted(ran.lines) == truth
    else:
        assert counted(ran.lines) <= truth


def check_lasting(made: Bench, proxy: Proxy, fault: Fault, target: Path) -> None:
    """Check the exit code and the message, and that an existing file is unchanged."""
    name = made.provider.name
    target.parent.mkdir()
    target.write_text("as it was\n", encoding="utf-8")
    proxy.fault(fault.spoil, nth=2)
    ran = made.run(SINCE, UNTIL, "-o", str(target), "-vv")
    assert proxy.spoiled, ran.err
    assert ran.code == fault.code(name), ran.err
    assert fault.words(name) in ran.err
    assert "Traceback" not in ran.err
    assert all(wait <= 901 for wait in made.clock.waits)
    assert proxy.requests < 120  # Kazoo's listing is requested for three single seconds before each wait
    if ran.code:
        assert target.read_text(encoding="utf-8") == "as it was\n"
        assert "next: " in ran.err
    else:
        assert target.read_text(encoding="utf-8").count("\n") > CALLS
    assert [one.name for one in target.parent.iterdir()] == ["cdrs.csv"]


@each_fault_of_each_provider
def test_temporary_fault_loses_no_record(subject: Subject, fault: Fault, tmp_path: Path) -> None:
    """Every record comes, or the run ends with an exit code if the response is permanently wrong."""
    with through(subject, tmp_path, timeout=20.0) as (made, proxy):
        for nth in (1, 2):
            check_passing(made, proxy, fault, nth)


@each_fault_of_each_provider
def test_lasting_fault_exits_with_its_code(subject: Subject, fault: Fault, tmp_path: Path) -> None:
    """The message says why, and an existing file is unchanged."""
    with through(subject, tmp_path, timeout=20.0) as (made, proxy):
        check_lasting(made, proxy, fault, tmp_path / "out" / "cdrs.csv")


@pytest.mark.slow
@pytest.mark.parametrize("fault", SLOW, ids=name_of)
def test_slow_fault_loses_no_record_or_exits_with_its_code(fault: Fault, tmp_path: Path) -> None:
    """These faults take real time, so the providers are tested in parallel."""

    def passes(subject: Subject, nth: int, folder: Path) -> None:
        with through(subject, folder, timeout=0.4) as (made, proxy):
            check_passing(made, proxy, fault, nth)

    def lasts(subject: Subject, _nth: int, folder: Path) -> None:
        with through(subject, folder, timeout=0.08, max_wait="3s") as (made, proxy):
            check_lasting(made, proxy, fault, folder / "out" / "cdrs.csv")

    with ThreadPoolExecutor(3 * len(MAIN)) as pool:
        under_way = {}
        for subject in MAIN:
            for nth, check in enumerate((lasts, passes, passes)):
                folder = tmp_path / f"{subject.provider.name}-{nth}"
                folder.mkdir()
                under_way[folder.name] = pool.submit(check, subject, nth, folder)
    for name, checked in under_way.items():
        if error := checked.exception():
            error.add_note(f"in the case {name}: 0 is a fault that lasts, 1 and 2 the request that it hits once")
            raise error


def paging(made: Bench, proxy: Proxy, fault: PageFault) -> None:
    """Let the provider send wrong pages, from its second page on."""
    pages: list[Document] = []
    left = fault.times

    def spoil(wire: Wire, reply: Reply) -> None:
        nonlocal left
        try:
            page = Document(json.loads(reply.body), reply.headers, made.subject.facts.within)
        except ValueError:
            passed_on(wire, reply)
            return
        hit = page.container or (fault.empty_too and pages)
        if not isinstance(page.value, dict) or not hit or made.provider.name not in fault.about:
            passed_on(wire, reply)
            return
        sent = fault.change(page, pages) if pages and left > 0 else page
        left -= bool(pages)
        pages.append(sent)
        passed_on(wire, replace(reply, headers=sent.headers, body=json.dumps(sent.value).encode()))

    proxy.fault(spoil)


@each_provider
@pytest.mark.parametrize("fault", PAGE_FAULTS, ids=name_of)
def test_wrong_page_exits_with_its_code(subject: Subject, fault: PageFault, tmp_path: Path) -> None:
    """The exit code shows missing records wherever the API has something that reveals them."""
    name = subject.provider.name
    with through(subject, tmp_path) as (made, proxy):
        truth = counted(made.truth(SINCE, UNTIL))
        pace = made.paging(PAGE, CALLS, UNTIL - SINCE)
        paging(made, proxy, fault)
        ran = made.run(SINCE, UNTIL, "--schema", "raw", "-f", "jsonl", *pace)
        got = counted(ran.lines)
        assert got <= truth
        if name in fault.codes:
            assert ran.code == fault.codes[name], ran.err
            assert got == truth or ran.code
        elif name in fault.warned:
            assert ": warning: " in ran.err
        elif name not in fault.unseen:
            assert got == truth, "this provider has no such thing"
            assert ran.code == 0


PROVIDERS = [subject.provider.name for subject in MAIN]
DOCUMENT = Path(__file__).parents[2] / "docs" / "reliability.md"


def cell(code: int) -> str:
    return "all" if code == 0 else f"**{code}**"


def tables() -> str:
    """Return the tables of docs/reliability.md, with their counts."""
    lines = [
        "| fault | when it passes | " + " | ".join(PROVIDERS) + " | message if it lasts |",
        "|---|---|" + "---|" * (len(PROVIDERS) + 1),
    ]
    for fault in FAULTS:
        words = " / ".join(dict.fromkeys(filter(None, (fault.said, *fault.said_by.values())))) or "an unknown response"
        lines.append(
            f"| {fault.name} | {'all' if fault.passes else 'as if it lasted'} | "
            + " | ".join(cell(fault.code(name)) for name in PROVIDERS)
            + f" | {'nothing' if not fault.lasts else words} |"
        )
    lines += ["", "| fault | " + " | ".join(PROVIDERS) + " |", "|---|" + "---|" * len(PROVIDERS)]
    for paged in PAGE_FAULTS:
        cells = []
        for name in PROVIDERS:
            unseen = "undetectable" if name in paged.unseen else "warning" if name in paged.warned else "-"
            cells.append(cell(paged.codes[name]) if name in paged.codes else unseen)
        lines.append(f"| {paged.name} | " + " | ".join(cells) + " |")
    lines += ["", "| fault | exit code | result | test |", "|---|---|---|---|"]
    lines += [f"| {way.name} | {way.code} | {way.outcome} | `{way.test}` |" for way in (*WAY_FAULTS, *RECORD_FAULTS)]
    lines += [
        "",
        "| fault of records, windows or archives | providers | result | tests |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {one.name} | {one.providers} | {one.outcome} | {', '.join(f'`{test}`' for test in one.tests)} |"
        for one in GUARDED
    ]
    runs = len(PROVIDERS) * (3 * len(FAULTS) + len(PAGE_FAULTS))
    mended = sum(fault.passes for fault in FAULTS)
    summary = (
        f"These are {len(FAULTS)} faults of responses, {len(PAGE_FAULTS)} of pages and {len(WAY_FAULTS)} of networks "
        f"and machines, for {len(PROVIDERS)} providers: {runs} runs through the proxy, and those of networks and "
        f"machines. {mended} of the {len(FAULTS)} lose nothing if they pass. None of those that last left half a file "
        "or changed an old one. No record was lost silently, except where the table says *undetectable*."
    )
    return "\n".join([*lines, "", textwrap.fill(summary, 120)])


def test_reliability_document_has_the_tables() -> None:
    """The first lines of docs/reliability.md say how to renew them."""
    begin, end = "<!-- tables -->", "<!-- end of tables -->"
    text = DOCUMENT.read_text(encoding="utf-8")
    before, _, rest = text.partition(begin)
    _, _, after = rest.partition(end)
    made = f"{before}{begin}\n\n{tables()}\n\n{end}{after}"
    if os.environ.get("CDRCTL_WRITE_TABLES"):
        DOCUMENT.write_text(made, encoding="utf-8")
    assert text == made, "run: CDRCTL_WRITE_TABLES=1 pytest tests/reliability/test_table.py -k tables"
    ways = (Path(__file__).parent / "test_ways.py").read_text(encoding="utf-8")
    assert all(f"def {way.test}(" in ways for way in WAY_FAULTS)
    damaged = (Path(__file__).parents[1] / "contract" / "test_damaged_records.py").read_text(encoding="utf-8")
    assert all(f"def {fault.test}(" in damaged for fault in RECORD_FAULTS)


@for_each("fault", GUARDED)
def test_every_test_that_a_table_names_exists(fault: Guarded) -> None:
    assert fault.tests
    assert fault.providers == ALL or set(fault.providers.split(", ")) <= set(PROVIDERS)
    for test in fault.tests:
        file, _, name = test.partition("::")
        text = (Path(__file__).parents[1] / file).read_text(encoding="utf-8")
        assert re.search(rf"^def {name}\(", text, re.MULTILINE), test
