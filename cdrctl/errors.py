"""The errors that end a run, and the exit code of each, which scripts and cron jobs read.

  CdrctlError                1  a bug in cdrctl
    UsageError               2  wrong command-line arguments
    IncompleteError          3  part of the window could not be fetched
    SignInError              4  sign-in or permission
      RightsError            4  the credential is valid but lacks a permission
      AddressError           4  the address of this machine is not in the provider's allow-list
    TemporaryError           5  rate limit, network, or 5xx after all retries: retry later
    ConfigurationError       6  the profile or the configuration file
    ProviderError            7  the provider refused the request, or sent an unknown response
      DriftError             7  records do not match the known columns, and --strict was given
    OutputError              8  the output cannot be written
      StoreError         4 5 6  the object store of an archive: permission, busy or out of reach, settings
    NoRecordsError           9  no records, and --fail-if-empty was given
    LockedError             11  another run holds the lock
      ConflictError         11  another run wrote the same object of a store at the same time

An interrupted run exits with 130 and has no class here: it is KeyboardInterrupt.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence


class CdrctlError(Exception):
    """What happened, in the user's words; what the provider said; the next step.

    Args:
        message: One sentence about what happened.
        said: The provider's own message, untranslated, or None.
        hint: The next step to take, or None.
        status: The HTTP status of the response, or None.
        code: A word that tells the program which error of its class this is, such as `web_page`.
    """

    exit_code = 1

    def __init__(
        self,
        message: str,
        *,
        said: str | None = None,
        hint: str | None = None,
        status: int | None = None,
        code: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.said = said
        self.hint = hint
        self.status = status
        self.code = code

    def name_profile(self, name: str) -> None:
        """Replace the placeholder NAME in the hint with the name of a profile."""
        self.hint = self.hint and for_profile(self.hint, name)


def for_profile(hint: str, name: str) -> str:
    """Return a hint with the placeholder NAME replaced by the name of a profile."""
    return re.sub(r"\bNAME\b", lambda _: name, hint)


class UsageError(CdrctlError):
    """The command-line arguments make no sense."""

    exit_code = 2


class IncompleteError(CdrctlError):
    """Part of the window could not be fetched."""

    exit_code = 3


class SignInError(CdrctlError):
    """The provider does not accept the credential, or the credential lacks a permission."""

    exit_code = 4


class RightsError(SignInError):
    """The credential is valid but lacks a permission: a scope, a role or a licence."""


class AddressError(SignInError):
    """The provider accepts requests only from its allow-list, which does not include the address of this machine."""


class TemporaryError(CdrctlError):
    """Rate limit, network, or 5xx after all retries: retry later.

    `wait` is the number of seconds to wait before the next request, where the provider states it outside `Retry-After`.
    """

    exit_code = 5
    wait: float | None = None


class ConfigurationError(CdrctlError):
    """The profile or the configuration file is invalid."""

    exit_code = 6


class ProviderError(CdrctlError):
    """The provider refused the request, or sent an unknown response."""

    exit_code = 7


class DriftError(ProviderError):
    """Records do not match the known columns, and --strict was given."""


class OutputError(CdrctlError):
    """The output cannot be written."""

    exit_code = 8


class StoreError(OutputError):
    """The object store of an archive cannot be used; the exit code is that of the same failure of a provider."""

    def __init__(self, message: str, *, exit_code: int, said: str | None = None, hint: str | None = None) -> None:
        super().__init__(message, said=said, hint=hint)
        self.exit_code = exit_code


class NoRecordsError(CdrctlError):
    """There are no records, and --fail-if-empty was given."""

    exit_code = 9


class LockedError(CdrctlError):
    """Another run holds the lock."""

    exit_code = 11


class ConflictError(LockedError):
    """Another run wrote the same object of a store at the same time."""


URGENCY = (6, 4, 7, 8, 2, 11, 3, 5)
"""Exit codes, the one that most needs a person first; temporary failures come last."""


def most_urgent(codes: Iterable[int]) -> int:
    """Return the exit code that most needs a person; codes that are not in `URGENCY` come first."""
    return min(codes, key=urgency)


def urgency(code: int) -> int:
    """Return the rank of an exit code, the lowest for the one that most needs a person."""
    return URGENCY.index(code) if code in URGENCY else -1


class Message(str):
    """A message of two parts with a code, so that the program never parses its own text.

    Args:
        what: What happened.
        then: The consequence, or the next step.
        between: The separator of the two parts.
        code: A word that tells the program which message this is, such as `clock`.
    """

    __slots__ = ("code", "then", "what")
    what: str
    then: str
    code: str

    def __new__(cls, what: str, then: str = "", *, between: str = "; ", code: str = "") -> Message:  # noqa: PYI034
        """Return the message; as text it is both parts."""
        self = super().__new__(cls, f"{what}{between}{then}" if then else what)
        self.what, self.then, self.code = what, then, code
        return self


def code_of(text: str) -> str:
    """Return the code of a message; empty for plain text."""
    return text.code if isinstance(text, Message) else ""


MARGIN_OF_BEST = 0.1
"""`did_you_mean` names every match whose similarity (0 to 1) is less than this below that of the best match."""

LEAST_SIMILARITY = 0.45
"""`similar_names` returns no name below this similarity (0 to 1)."""


def alternatives(words: Sequence[str]) -> str:
    """Return `a`, `a or b` or `a, b or c`."""
    return " or ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def did_you_mean(word: str, names: Iterable[str]) -> str:
    """Return `did you mean x? `, the start of a hint, or an empty string when no name is similar to the word."""
    from difflib import SequenceMatcher, get_close_matches

    known = {name.casefold(): name for name in names}
    found = get_close_matches(word.casefold(), known)
    likeness = [SequenceMatcher(None, one, word.casefold()).ratio() for one in found]
    close = [known[one] for one, like in zip(found, likeness, strict=True) if like > likeness[0] - MARGIN_OF_BEST]
    return f"did you mean {' or '.join(close)}? " if close else ""


def similar_names(word: str, names: Iterable[str]) -> list[str]:
    """Return up to three names similar to a word as a whole or in one of their parts, the most similar first."""
    from difflib import SequenceMatcher

    folded = word.casefold()

    def likeness(name: str) -> float:
        other = name.casefold()
        whole = SequenceMatcher(None, other, folded).ratio()
        parts = [SequenceMatcher(None, part, folded).ratio() for part in re.split(r"[_.]", other)]
        return max(whole, max(parts) - 0.1)

    found = sorted(((likeness(name), name) for name in names), key=lambda one: -one[0])
    return [name for like, name in found[:3] if like >= LEAST_SIMILARITY]
