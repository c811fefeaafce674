"""A response of an unknown shape is an error, never an empty list of records."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.bench import MONTH, SUBJECTS, WAYS, Bench, Subject, bench, container_of, evenly, kind_of
from tests.support.products import thinned

SINCE, UNTIL = MONTH - timedelta(hours=3), MONTH - timedelta(hours=2)
ALWAYS = 1_000_000
PAGE = 5
BODIES = {
    "an-empty-object": "{}",
    "an-empty-list": "[]",
    "text": '"x"',
    "null": "null",
    "a-number": "7",
    "true": "true",
    "another-object": '{"message": "maintenance", "status": "ok"}',
    "a-list-of-text": '["x", "y"]',
    "html": "<!DOCTYPE html><html><body><h1>Welcome to your hotel</h1></body></html>",
    "nothing": "",
    "blanks": "  \n",
    "half": '{"items": [{"Report ID": "1"',
}
CONTAINERS: dict[str, Callable[[list[Any]], Any]] = {
    "an-empty-object": lambda _records: {},
    "an-object": lambda records: {"0": records[0]},
    "one-record": lambda records: records[0],
    "text": lambda _records: "x",
    "empty-text": lambda _records: "",
    "null": lambda _records: None,
    "zero": lambda _records: 0,
    "false": lambda _records: False,
    "a-list-of-numbers": lambda records: list(range(len(records))),
    "a-list-of-text": lambda _records: ["x"],
    "a-list-of-null": lambda _records: [None],
    "a-list-of-lists": lambda records: [records],
    "one-stray-among-records": lambda records: [*records, 3],
}
each_call = pytest.mark.parametrize("subject", SUBJECTS, ids=str)


def check_refused(made: Bench, codes: set[int], *, new: bool = False) -> None:
    """Check that an export fails and that its file does not exist, or has its old content."""
    folder = made.shell.folder / "out"
    folder.mkdir()
    path = folder / "cdrs.jsonl"
    if not new:
        path.write_text("as it was\n", encoding="utf-8")
    ran = made.run(SINCE, UNTIL, "-o", str(path))
    assert ran.code in codes, ran.err
    assert ran.out == ""
    assert ran.err.splitlines()[-1].startswith(("cdrctl: ", "  next: ", "  the provider said: "))
    assert [one.name for one in folder.iterdir()] == ([] if new else ["cdrs.jsonl"])
    assert new or path.read_text(encoding="utf-8") == "as it was\n"


@pytest.mark.parametrize(("subject", "name", "nth"), thinned(SUBJECTS, tuple(BODIES), (1, 2)))
def test_body_of_another_shape_is_an_error(subject: Subject, name: str, nth: int, tmp_path: Path) -> None:
    """The first page or a later one has status 200 and another body."""
    with bench(subject, tmp_path, evenly(3 * PAGE, SINCE, UNTIL), page_size=PAGE) as made:
        made.straight()
        made.fail(200, body=BODIES[name], path=made.listing_path, nth=nth, times=ALWAYS)
        check_refused(made, {5, 7}, new=nth == 2)


@pytest.mark.parametrize(("subject", "name", "first"), thinned(SUBJECTS, tuple(CONTAINERS), (1, 2)))
def test_list_of_records_of_another_type_is_an_error(subject: Subject, name: str, first: int, tmp_path: Path) -> None:
    """The list of records has another type, or one of its items is not a record."""
    with bench(subject, tmp_path, evenly(3 * PAGE, SINCE, UNTIL), page_size=PAGE) as made:
        pages = 0

        def changed(document: dict[str, Any]) -> Any:
            nonlocal pages
            key = container_of(document)
            if key is None:
                return document
            pages += 1
            return {**document, key: CONTAINERS[name](document[key])} if pages >= first else document

        made.straight()
        made.alter_pages(changed)
        check_refused(made, {5, 7})
        assert pages >= first


@each_call
@pytest.mark.parametrize("first", [1, 2])
def test_missing_list_of_records_is_an_error(subject: Subject, first: int, tmp_path: Path) -> None:
    """A missing list does not count as an empty one."""
    with bench(subject, tmp_path, evenly(3 * PAGE, SINCE, UNTIL), page_size=PAGE) as made:
        pages = 0

        def changed(document: dict[str, Any]) -> Any:
            nonlocal pages
            key = container_of(document)
            pages += key is not None
            return {name: value for name, value in document.items() if name != key} if pages >= first else document

        made.straight()
        made.alter_pages(changed)
        check_refused(made, {5, 7})


@each_call
@pytest.mark.parametrize("action", ["wrong_shape", "html", "not_json", "empty"])
def test_sandbox_responses_of_another_shape_are_errors(subject: Subject, action: str, tmp_path: Path) -> None:
    """The sandbox has its own switches for wrong responses; they apply from the first request."""
    with bench(subject, tmp_path, evenly(3 * PAGE, SINCE, UNTIL), page_size=PAGE) as made:
        made.fail(action, times=ALWAYS)
        check_refused(made, {4, 5, 7})


@pytest.mark.parametrize(("provider", "way"), WAYS, ids=[f"{provider.name}-{way}" for provider, way in WAYS])
@pytest.mark.parametrize("name", ["an-empty-object", "an-empty-list", "null", "another-object", "html", "nothing"])
def test_sign_in_response_without_a_token_is_an_error(provider: Any, way: str, name: str, tmp_path: Path) -> None:
    subject = next(one for one in SUBJECTS if one.provider is provider)
    with bench(subject, tmp_path, evenly(3, SINCE, UNTIL)) as made:
        made.sign_in_by(kind_of(made.sandbox, provider, way))
        made.fail(200, body=BODIES[name], times=ALWAYS)
        check_refused(made, {4, 5, 7})
