"""Records on their way to a writer: pages, columns, the three schemas and the common CDR.

A provider describes its columns as data. This package turns them into a function from a page of raw records to rows of
values that every writer can print: text, integers, booleans, and strings for instants (`2026-11-19T08:00:00.123Z`) and
money (`0.0100`). Nothing is lost: a value that a column cannot parse stays as it is, with one warning per column, and a
field without a column is kept in `extra`.
"""
