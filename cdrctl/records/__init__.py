"""Records on their way to a writer: pages, columns, the three schemas and the common CDR.

A provider describes its columns as data. Here they become a function from a page of raw records to rows whose values
a writer can print without thinking: text, whole numbers, true or false, and strings for instants
(`2026-11-19T08:00:00.123Z`) and money (`0.0100`). Nothing that came is lost: a value that a column cannot read passes
through as it came, with one warning per column, and a field that no column names is kept in `extra`.
"""
