"""Count calls by day with DuckDB: `python group_by.py FILE`."""

import sys

import duckdb

print(duckdb.sql(f"SELECT start_time::DATE, count(*) FROM '{sys.argv[1]}' GROUP BY 1 ORDER BY 1").fetchall())  # noqa: S608
