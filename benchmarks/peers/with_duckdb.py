"""DuckDB, from a local file of JSON lines to CSV: no network, all columns at once. `with_duckdb.py FILE OUTPUT`."""

from __future__ import annotations

import sys

import duckdb

source, output = (path.replace("'", "''") for path in sys.argv[1:])
duckdb.sql(f"COPY (FROM read_json('{source}', format = 'newline_delimited')) TO '{output}' (FORMAT csv, HEADER)")
