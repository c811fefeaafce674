"""dlt, which loads from APIs into warehouses, here into CSV files: `with_dlt.py BASE SINCE UNTIL FOLDER`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import dlt
from dlt.sources.helpers.rest_client import RESTClient
from dlt.sources.helpers.rest_client.paginators import HeaderLinkPaginator

base, since, until, folder = sys.argv[1:]


def cdrs() -> Iterator[Any]:
    """Yield the pages of the window."""
    client = RESTClient(base, paginator=HeaderLinkPaginator(), data_selector="items")
    yield from client.paginate("/cdr_feed", params={"startTime": since, "endTime": until, "max": 5000})


dlt.pipeline(
    "bench",
    destination=dlt.destinations.filesystem(f"file://{folder}"),
    dataset_name="loaded",
    pipelines_dir=f"{folder}/state",
).run(dlt.resource(cdrs, name="cdrs"), loader_file_format="csv")
