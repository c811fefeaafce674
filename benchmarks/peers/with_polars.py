"""Polars, from a local file of JSON lines to CSV: no network, all columns at once. `with_polars.py FILE OUTPUT`."""

from __future__ import annotations

import sys

import polars as pl

pl.scan_ndjson(sys.argv[1], infer_schema_length=None).sink_csv(sys.argv[2])
