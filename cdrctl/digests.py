"""Digests of secrets, slow enough that nobody finds a short secret by trying.

A profile's credential gets two digests in each run, and a run may have a thousand profiles.
"""

from __future__ import annotations

from collections.abc import Iterable

SLOW_ROUNDS = 20_000
"""Rounds of PBKDF2 for what might be a password: some milliseconds for each."""

UNGUESSABLE = 32
"""Characters from which on a secret is a token, which nobody finds by trying: 128 bits in hexadecimal digits."""


def rounds_for(secrets: Iterable[str]) -> int:
    """Return the rounds of PBKDF2 for one digest of secrets: 1 if each of them is empty or a token."""
    return 1 if all(not one or len(one) >= UNGUESSABLE for one in secrets) else SLOW_ROUNDS
