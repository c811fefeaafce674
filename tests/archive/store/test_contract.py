"""The tests of what an archive keeps, over a store: they are those of a folder, with another archive."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from cdrctl.archive.mirror import Mirror, open_mirror
from cdrctl.archive.places import StoredPath
from tests.archive import test_kept, test_sweep, test_sync
from tests.archive.store.conftest import Store
from tests.archive.sync_kit import Bench, new_bench


class Changed(StoredPath):
    """A path in a store that a test writes, as another program does."""

    def write_bytes(self, data: Any) -> int:
        mirror, key = self.place
        assert isinstance(mirror, Mirror)
        mirror.objects.put(key, bytes(data), mirror.listed.version(key))
        mirror.renew(key)
        return len(data)

    def write_text(self, data: str, *_rest: Any, **_options: Any) -> int:
        return self.write_bytes(data.encode())


pytestmark = [pytest.mark.slow, pytest.mark.full]


@pytest.fixture(params=["store"])
def bench(store: Store) -> Iterator[Bench]:
    made = new_bench(Changed(open_mirror(store.url)))
    yield made
    made.ledger.close()


def _tests(*modules: Any) -> Iterator[tuple[str, Any]]:
    for module in modules:
        for name, value in vars(module).items():
            if name.startswith("test_") and "bench" in getattr(value, "__code__", _tests.__code__).co_varnames:
                yield name, value


globals().update(_tests(test_sync, test_kept, test_sweep))
