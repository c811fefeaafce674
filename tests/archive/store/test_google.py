"""An archive in Google's dialect, and one in a store that lists tags as Azure does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.archive.store import google
from tests.archive.store.conftest import Store, prefix_of
from tests.archive.store.test_runs import (
    test_a_store_that_ignores_conditions_is_refused,
    test_an_unchanged_day_takes_two_requests_and_is_not_downloaded,
    test_the_records_of_two_runs_are_merged_without_asking_the_provider_again,
)

__all__ = [
    "test_a_store_that_ignores_conditions_is_refused",
    "test_an_unchanged_day_takes_two_requests_and_is_not_downloaded",
    "test_the_records_of_two_runs_are_merged_without_asking_the_provider_again",
]


@pytest.fixture(scope="module", params=['"', ""], ids=["google", "tags as Azure lists them"])
def address(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of an empty store."""
    pytest.importorskip("obstore", reason="pip install '.[store-test]'")
    with google.serve(request.param) as address:
        yield address


@pytest.fixture
def store(address: str) -> Iterator[Store]:
    """An empty prefix."""
    with prefix_of("gs", address) as made:
        yield made
