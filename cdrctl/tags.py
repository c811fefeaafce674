"""Tags of profiles, by which several profiles are selected."""

from __future__ import annotations

from typing import Any


def split_tags(given: Any) -> Any:
    """Return the tags of a profile; an environment variable has them as one text with commas."""
    return [one.strip() for one in given.split(",") if one.strip()] if isinstance(given, str) else given
