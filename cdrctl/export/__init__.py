"""Exports: from a request and an open profile to rows, each record once, and to a writer."""
