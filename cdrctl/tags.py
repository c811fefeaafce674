"""Tags: the words by which profiles are selected."""

from __future__ import annotations

from typing import Any


def split_tags(given: Any) -> Any:
    """Return the tags of a profile; commas separate them in one text, as a variable of the environment has it."""
    return [one.strip() for one in given.split(",") if one.strip()] if isinstance(given, str) else given
