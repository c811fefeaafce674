"""Figures over whole calls: each definition is a statement of SQL in a file of its own, run by DuckDB."""
