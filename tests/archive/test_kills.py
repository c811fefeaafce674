"""Two hundred kills of commands that write archives: no record is lost or doubled, and nothing is left over."""

from __future__ import annotations

import pytest

from tests.archive.kills import COMMANDS, run, table


@pytest.mark.process
@pytest.mark.full
def test_two_hundred_kills_lose_and_double_nothing_and_leave_nothing_over() -> None:
    found = run(kills=200, seed=2)
    sums = [sum(getattr(one, what) for one in found) for what in ("kills", "lost", "doubled", "litter")]
    assert sums == [200, 0, 0, 0], "\n".join([*table(found), *(note for one in found for note in one.notes)])
    assert [note for one in found for note in one.notes] == []
    assert all(sum(one.kills for one in found if one.command == name) >= 20 for name in COMMANDS)
