"""A provider sends the same page for ever, and no total says how many records there are."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.contract.test_faults import PAGE, SINCE, UNTIL, answering
from tests.support.bench import SUBJECTS, Subject, bench, evenly

BY_OFFSET = [subject for subject in SUBJECTS if subject.provider.name in {"callgear", "portsip"}]


@pytest.mark.parametrize("subject", BY_OFFSET, ids=str)
def test_endless_pages_without_a_total_are_a_gap(subject: Subject, tmp_path: Path) -> None:
    with bench(subject, tmp_path, evenly(15, SINCE, UNTIL), page_size=PAGE) as made:
        made.straight()
        if subject.provider.name == "portsip":
            made.switch(["count=absent"])
        provider: Any = made.sandbox.provider(subject.provider.name)
        reply = provider.reply
        first: list[Any] = []

        def again(request: Any) -> Any:
            if not made.asks(request):
                return reply(request)
            answer = first[0] if first else reply(request)
            if not first and made.is_page(answer.body):
                document = json.loads(answer.body)
                document.get("result", {}).get("metadata", {}).pop("total_items", None)
                first.append(replace(answer, body=json.dumps(document).encode()))
                answer = first[0]
            return answering(answer, request, subject.facts.repeats)

        provider.reply = again
        ran = made.run(SINCE, UNTIL)
        assert ran.code == 3
        assert "incomplete: " in ran.err
        assert len(made.sandbox.requests) < 20
