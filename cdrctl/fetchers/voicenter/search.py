"""The search criteria of the Call Log."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from cdrctl.errors import UsageError
from cdrctl.fetchers.voicenter.columns import fold
from cdrctl.fetchers.voicenter.common import TYPES

IDENTITIES = ("Account", "Hierarchical", "Department", "User")


def search_criteria(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the search criteria of the options that were given; older hosts do not know the later ones.

    Raises:
        UsageError: A value cannot match any call.
    """
    found: dict[str, Any] = {
        "phones": [_phone(text) for text in options.get("phone") or ()],
        "extensions": [_named("extension", text) for text in options.get("extension") or ()],
        "IdentityCriteria": _identity_criteria(options.get("identity")),
        "callID": _named("call-id", options["call_id"]) if options.get("call_id") is not None else None,
        "cdrTypes": [_type_number(text) for text in options.get("type") or ()],
        "campaignID": [_number("campaign", text) for text in options.get("campaign") or ()],
        "queueID": [_number("queue", text) for text in options.get("queue") or ()],
    }
    return {key: value for key, value in found.items() if value}


def _named(option: str, text: str) -> str:
    if not text.strip():
        raise UsageError(f"--{option} needs a value", hint="leave it out for all calls")
    return text.strip()


def _phone(text: str) -> str:
    digits = re.sub(r"[\s().+-]", "", text)
    if not (digits.isascii() and digits.isdigit()):
        raise UsageError(
            f"--phone {text!r} is not a telephone number",
            hint="write it with its country code, such as 972722776772; Israeli ones also as 0722776772",
        )
    return digits


def _identity_criteria(text: str | None) -> str | None:
    if text is None:
        return None
    for word in IDENTITIES:
        if fold(text) == fold(word):
            return word
    raise UsageError(f"--identity {text!r} is not known", hint=f"it is one of {', '.join(IDENTITIES)}")


_NUMBER = re.compile(r"\s*[0-9]{1,18}\s*", re.ASCII)


def _number(option: str, text: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise UsageError(f"--{option} {text!r} is not a number", hint=f"Voicenter identifies a {option} by its number")
    return int(text)


def _type_number(text: str) -> int:
    if _NUMBER.fullmatch(text):
        return int(text)
    numbers = {fold(name): number for number, name in TYPES.items()}
    if fold(text) not in numbers:
        known = ", ".join(f"{number} {name}" for number, name in TYPES.items())
        raise UsageError(f"--type {text!r} is not a type of call", hint=f"by number or name: {known}")
    return numbers[fold(text)]
