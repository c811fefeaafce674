"""The least that a command of Typer and httpx does before it can write a first record: `first_record.py URL`."""

import sys

import httpx
import typer  # noqa: F401 - what is measured is that it is loaded

sys.stdout.buffer.write(httpx.Client().get(sys.argv[1]).content)
