"""`--where` and `--sort` write the same, whether the records were decoded by column or one by one."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import given, strategies as st

from cdrctl import writers
from cdrctl.conditions.language import read_condition
from cdrctl.export.rows import Tally
from cdrctl.export.selection import Selection, arrange, row_filter
from cdrctl.fetchers import Call
from cdrctl.records.batches import batches
from cdrctl.records.events import Page, Record
from cdrctl.records.schemas import native
from cdrctl.sorting import read_order
from tests.support.examples import examples
from tests.test_decoding import CALLS, CONTEXT, LOOK, read, reader_of, records_of

NOW = datetime(2026, 11, 20, tzinfo=UTC)


def _written(call: Call, pages: Sequence[Sequence[Record]], selection: Selection, form: str) -> bytes:
    schema = native(call.columns, selection.needed, lambda _: None, call.expected)
    keep = row_filter(selection, schema, zone=UTC, now=NOW, warn=lambda _: None, unseen=set())
    assert keep is not None
    parts = (part for page in pages for part in batches(page))
    kept = [keep(schema.rows(Page(part, CONTEXT))) for part in parts]
    columns, arranged = arrange(kept, selection, schema, Tally(), lambda *_: None)
    out = io.BytesIO()
    writers.load(form)(columns, arranged, out, LOOK)
    return out.getvalue()


@pytest.mark.thin
@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.columns[0].name + call.name)
@given(data=st.data())
@examples(30)
def test_selected_records_are_written_alike_whichever_way_they_were_decoded(call: Call, data: st.DataObject) -> None:
    names = [column.name for column in call.columns]
    one, two, three = (data.draw(st.sampled_from(names)) for _ in range(3))
    selection = Selection(
        fields=data.draw(st.sampled_from([None, (three, names[0])])) if three != names[0] else None,
        condition=read_condition(data.draw(st.sampled_from([f"{one} is null", f"not ({one} is null)", f"{one} ~ 2"]))),
        orders=data.draw(st.sampled_from([(), read_order(two), read_order(f"-{two}")])),
    )
    pages = data.draw(st.lists(records_of(call), min_size=1, max_size=3))
    reader = reader_of(call)
    found = [read(call, page, reader) for page in pages]
    decoded = [page if body is None else body["items"] for page, body in zip(pages, found, strict=True)]
    for form in ("csv", "json"):
        assert _written(call, decoded, selection, form) == _written(call, pages, selection, form)
