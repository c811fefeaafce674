"""Start keys of listings: Erlang's external term format of a list, in base64url without padding."""

from __future__ import annotations

import base64
import binascii

from cdrctl.sandbox.kazoo.releases import PLAIN_KEYS

Key = tuple[int, int, str]
"""A view key `[seconds, id]`: the seconds, the kind of the second part (0 absent, 1 text, 2 an object), and its text.

Text alone, which comes before all numbers, has -1 seconds.
"""

OBJECT = b"h\x01j"
"""An empty object, which comes after every text."""

_MAGIC, _LIST, _SMALL_BIG, _BINARY, _NIL = 0x83, b"l", b"n", b"m", b"j"


def integer(value: int) -> bytes:
    """Return an integer as an element of a list."""
    size = (value.bit_length() + 7) // 8
    return _SMALL_BIG + bytes((size, 0)) + value.to_bytes(size, "little")


def binary(text: str) -> bytes:
    """Return text as an element of a list."""
    raw = text.encode()
    return _BINARY + len(raw).to_bytes(4, "big") + raw


def pack(*elements: bytes) -> str:
    """Return the opaque key of a list of elements."""
    return _term(_LIST + len(elements).to_bytes(4, "big") + b"".join(elements) + _NIL)


def _term(data: bytes) -> str:
    return base64.urlsafe_b64encode(bytes((_MAGIC,)) + data).rstrip(b"=").decode()


def unpack(text: str, owner: str = "") -> Key:
    """Return the view key that an opaque start key stands for; anything else is text, as in `decode_start_key`.

    Views sort text before every list: newest first no row follows such a key, oldest first every row does.
    """
    match _elements(text), owner:
        case ([int(seconds)], "") | ([str(), int(seconds)], _):
            return (seconds, 1, "")
        case ([int(seconds), str(name)], "") | ([str(), int(seconds), str(name)], _):
            return (seconds, 1, name)
        case ([int(seconds), None], "") | ([str(), int(seconds), None], _):
            return (seconds, 2, "")
    return (-1, 0, text)


def start_key(key: Key, owner: str, version: str) -> str:
    """Return a view key as the server writes it; those of a user's listing begin with the id of the user."""
    if version in PLAIN_KEYS:
        return str(key[0])
    if key[0] < 0:
        return _term(binary(key[2]))
    user = [binary(owner)] if owner else []
    if key[1] == 0 or (key[1] == 1 and not key[2]):
        return pack(*user, integer(key[0]))
    return pack(*user, integer(key[0]), binary(key[2]) if key[1] == 1 else OBJECT)


def _elements(text: str) -> list[int | str | None]:
    """Return the elements of a list in Erlang's external format, None for an object; no elements of anything else."""
    found: list[int | str | None] = []
    try:
        term = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        rest = term[6:]
        while rest[:1] not in {_NIL, b""}:
            if rest.startswith(OBJECT):
                found.append(None)
                size = len(OBJECT)
            elif rest[:1] == _SMALL_BIG:
                size = 3 + rest[1]
                found.append(int.from_bytes(rest[3:size], "little"))
            elif rest[:1] == _BINARY:
                size = 5 + int.from_bytes(rest[1:5], "big")
                found.append(rest[5:size].decode("utf-8", "replace"))
            else:
                return []
            rest = rest[size:]
    except (binascii.Error, IndexError, ValueError):
        return []
    return found if term[:2] == bytes((_MAGIC,)) + _LIST else []
