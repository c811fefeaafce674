"""What can go wrong, and the exit code of each: the contract that scripts and cron jobs read.

    CdrctlError                1  a bug of ours, when nothing better is known
      UsageError               2  the command line asks for something that makes no sense
      IncompleteError          3  some of the window could not be had
      SignInError              4  sign-in or permission
        RightsError            4  the credential is good, and may not read this
        AddressError           4  this machine's address is not in the provider's allow-list
      TemporaryError           5  rate limit, network, 5xx after all retries: run it again
      ConfigurationError       6  the profile or the configuration file
      ProviderError            7  the provider refused, or answered in a shape we do not know
        DriftError             7  records do not fit the columns known, and --strict was given
      OutputError              8  the output cannot be written
      NoRecordsError           9  no records, and --fail-if-empty was given
      LockedError             11  another run holds the lock

An interrupted run ends with 130 and needs no class: it is KeyboardInterrupt.
"""

from __future__ import annotations

import re
from collections.abc import Iterable


class CdrctlError(Exception):
    """What happened, in the user's words; what the provider said; the next step.

    Args:
        message: One sentence about what happened.
        said: The provider's own words, untranslated, or None.
        hint: The next step to take, or None.
        status: The HTTP status behind it, or None.
        code: A word by which the program tells this error from others of its class, such as `web_page`.
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
        """Put the name of a profile where the next step says NAME."""
        self.hint = self.hint and for_profile(self.hint, name)


def for_profile(hint: str, name: str) -> str:
    """Return a next step with the name of a profile in place of NAME."""
    return re.sub(r"\bNAME\b", lambda _: name, hint)


class UsageError(CdrctlError):
    """The command line asks for something that makes no sense."""

    exit_code = 2


class IncompleteError(CdrctlError):
    """Some of the window could not be had."""

    exit_code = 3


class SignInError(CdrctlError):
    """The provider does not accept the credential, or it may not read this."""

    exit_code = 4


class RightsError(SignInError):
    """The credential is good, and may not read this: a scope, a role or a licence is missing."""


class AddressError(SignInError):
    """The provider answers addresses in its allow-list only, and this machine's is not among them."""


class TemporaryError(CdrctlError):
    """Rate limit, network or 5xx after all retries: run it again.

    `wait` is how many seconds the provider wants to be left alone, where it says so in its own way.
    """

    exit_code = 5
    wait: float | None = None


class ConfigurationError(CdrctlError):
    """The profile or the configuration file is not usable as it stands."""

    exit_code = 6


class ProviderError(CdrctlError):
    """The provider refused, or answered in a shape we do not know."""

    exit_code = 7


class DriftError(ProviderError):
    """Records do not fit the columns known, and --strict was given."""


class OutputError(CdrctlError):
    """The output cannot be written."""

    exit_code = 8


class NoRecordsError(CdrctlError):
    """No records came and --fail-if-empty was given."""

    exit_code = 9


class LockedError(CdrctlError):
    """Another run holds the lock."""

    exit_code = 11


class Message(str):
    """A message of two parts and a code, so that no part of the program takes its text to pieces.

    Args:
        what: What happened.
        then: What follows from it, or what to do about it.
        between: What stands between the two.
        code: A word by which the program tells this message from others, such as `clock`.
    """

    __slots__ = ("code", "then", "what")
    what: str
    then: str
    code: str

    def __new__(cls, what: str, then: str = "", *, between: str = "; ", code: str = "") -> Message:  # noqa: PYI034
        """Return the message, which is the text of both parts."""
        self = super().__new__(cls, f"{what}{between}{then}" if then else what)
        self.what, self.then, self.code = what, then, code
        return self


def code_of(text: str) -> str:
    """Return the code of a message; empty for plain text."""
    return text.code if isinstance(text, Message) else ""


LIKE = 0.1
"""How much less like a word than the nearest one another may be, to be named as well: 1 would be all of it."""


ALIKE = 0.45
"""How alike two names must be, at least, for one to be proposed for the other; 1 is equal."""


def near(word: str, names: Iterable[str]) -> str:
    """Return `did you mean x? `, to stand before what else is known, or nothing where none is like this word."""
    from difflib import SequenceMatcher, get_close_matches

    known = {name.casefold(): name for name in names}
    found = get_close_matches(word.casefold(), known)
    likeness = [SequenceMatcher(None, one, word.casefold()).ratio() for one in found]
    close = [known[one] for one, like in zip(found, likeness, strict=True) if like > likeness[0] - LIKE]
    return f"did you mean {' or '.join(close)}? " if close else ""


def nearest(word: str, names: Iterable[str]) -> list[str]:
    """Return up to three names like a word: those that contain it or begin alike count as like it, too."""
    from difflib import SequenceMatcher

    folded = word.casefold()

    def likeness(name: str) -> float:
        other = name.casefold()
        whole = SequenceMatcher(None, other, folded).ratio()
        parts = [SequenceMatcher(None, part, folded).ratio() for part in re.split(r"[_.]", other)]
        return max(whole, max(parts) - 0.1)

    found = sorted(((likeness(name), name) for name in names), key=lambda one: -one[0])
    return [name for like, name in found[:3] if like >= ALIKE]
