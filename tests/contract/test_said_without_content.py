"""Messages about records never have their content, because names and numbers of callers are personal data."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.bench import MONTH, SUBJECTS, Bench, Subject, bench, container_of, evenly

SINCE, UNTIL = MONTH - timedelta(hours=3), MONTH - timedelta(hours=2)
MARK = "Zoë-Qx7Words"
PLAIN = "Qx7Words"
NUMBER = 918273645546372819
SHAPES = {"text": MARK, "list": [MARK], "object": {"said": [MARK]}, "number": NUMBER}
OUTPUTS = [
    "-f csv --schema native --strict -v",
    "-f table --schema common",
    "-f xlsx --schema common",
    "-f parquet --schema native",
    "-f parquet --schema common --strict",
    "-f jsonl --schema common --strict -v",
    "-f jsonl --schema native",
    "-f jsonl --schema raw -v",
]


def fill_fields(made: Bench, record: dict[str, Any], value: Any) -> dict[str, Any]:
    """Return a record with this value in every field that is neither part of its identity nor its start."""
    call, context = made.call, {"timezone": "UTC"}
    identity, start = call.identity(record), call.starts(record, context)
    found = dict(record)
    for key in record:
        changed = {**found, key: value}
        if call.identity(changed) == identity and call.starts(changed, context) == start:
            found = changed
    return found


@pytest.mark.thin
@pytest.mark.parametrize("subject", SUBJECTS, ids=str)
@pytest.mark.parametrize("shape", SHAPES)
def test_messages_do_not_have_the_content_of_records(subject: Subject, shape: str, tmp_path: Path) -> None:
    """Messages name columns, types and ids only."""
    with bench(subject, tmp_path, evenly(6, SINCE, UNTIL)) as made:

        def change(page: dict[str, Any]) -> dict[str, Any]:
            key = container_of(page)
            return {**page, key: [fill_fields(made, one, SHAPES[shape]) for one in page[key]]} if key else page

        made.alter_pages(change)
        said = ""
        for at, text in enumerate(OUTPUTS):
            if "common" in text and made.call.common is None:
                continue
            written = tmp_path / f"output{at}"
            ran = made.run(SINCE, UNTIL, *text.split(), "-o", str(written))
            assert PLAIN not in ran.err
            assert str(NUMBER)[:9] not in ran.err
            said += ran.err
        raw = written.read_text("utf-8")
        assert PLAIN in raw or str(NUMBER) in raw or made.call.name == "costs"
        assert "such values" in said or made.call.name == "costs"
