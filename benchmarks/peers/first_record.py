"""The least that a command with Typer and httpx does before its first record: `first_record.py URL`."""

import sys

import httpx
import typer  # noqa: F401 - the import is measured

sys.stdout.buffer.write(httpx.Client().get(sys.argv[1]).content)
