"""The settings that all providers share, and how settings are declared and read."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Any, ClassVar, NamedTuple, Self, get_args

import msgspec
from msgspec import Meta, Struct, structs

from cdrctl.errors import UsageError
from cdrctl.http.addresses import address, in_clear, is_loopback
from cdrctl.tags import split_tags
from cdrctl.windows import LONGEST_LENGTH, duration, zone

Checks = Mapping[str, Callable[[Any], Any]]
"""Functions by setting, each from a value that was given to the value to keep; they may raise ValueError."""

AllowHttp = Annotated[bool, Meta(description="true to send the credential without encryption to a base_url of http://")]
"""The setting of providers whose servers are often in closed networks without TLS."""


class Secret:
    """A text that is never shown: not in a message, a log or a traceback."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def get_secret_value(self) -> str:
        """Return the text."""
        return self._text

    def __repr__(self) -> str:
        return "Secret('********')"

    def __str__(self) -> str:
        return "********"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)


class Problem(NamedTuple):
    """What is wrong with a setting.

    Args:
        name: The setting; empty if several do not fit together.
        kind: `missing`, `text` for a value that must be text, `form` for another value of the wrong form, or `check`.
        said: What is wrong, without the value.
    """

    name: str
    kind: str
    said: str


class SettingsError(ValueError):
    """Settings that are missing or not valid.

    Args:
        problems: What is wrong.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(f"{one.name} {one.said}".strip() for one in problems))
        self.problems = problems


class Described(NamedTuple):
    """A setting as it is declared.

    Args:
        kind: Its type, with limits.
        description: Its meaning.
        default: The value of a profile that does not set it.
        required: Whether every profile must set it.
        read: Returns a value of its type for a value as it is written, such as a duration for text; None if the type
            says it all. It may raise ValueError.
    """

    kind: Any
    description: str
    default: Any
    required: bool
    read: Callable[[Any], Any] | None

    @property
    def types(self) -> frozenset[Any]:
        """The types that a value may have, lists as `list`."""
        return frozenset(_types(self.kind))


def _types(kind: Any) -> Sequence[Any]:
    """Return a type, or the types that a union consists of, without limits."""
    if hasattr(kind, "__metadata__"):
        return _types(kind.__origin__)
    if getattr(kind, "__origin__", None) is list:
        return [list]
    return [one for part in get_args(kind) for one in _types(part)] or [kind]


def _zone(name: str | None) -> str | None:
    """Return the name of a zone, or None.

    Raises:
        ValueError: There is no such zone.
    """
    try:
        if name is not None:
            zone(name)
    except UsageError as error:
        raise ValueError(f"there is no such time zone: {error.hint}") from None
    return name


LOWEST_RATE = 0.001
"""The lowest `requests_per_minute`: a request in about 17 hours."""


def _rate(given: float | None) -> float | None:
    """Return a number of requests per minute.

    Raises:
        ValueError: It is so low that no second request would be sent.
    """
    if given is not None and 0 < given < LOWEST_RATE:
        raise ValueError(f"it should be at least {LOWEST_RATE:g}, or 0 for no limit")
    return given


def _length(given: Any) -> Any:
    """Return a duration from text such as `15m`, or from seconds, as `timeout` takes.

    Raises:
        ValueError: It is neither, or not one of 0 to LONGEST_LENGTH.
    """
    try:
        if isinstance(given, str) and not given.strip().isdecimal():
            given = duration(given.strip())
        elif isinstance(given, str | int | float) and not isinstance(given, bool):
            given = timedelta(seconds=float(given))
    except UsageError as error:
        raise ValueError(f"write a duration: {error.hint}") from None
    except (OverflowError, ValueError):  # infinity, or no number
        given = timedelta.max
    if isinstance(given, timedelta) and not timedelta(0) <= given <= LONGEST_LENGTH:
        raise ValueError(f"write a duration from 0 to {LONGEST_LENGTH.days} days")
    return given


def _words(given: Any) -> Any:
    """Return words from a list, or from text with commas between them."""
    found = split_tags(given)
    return [one.strip() if isinstance(one, str) else one for one in found] if isinstance(found, list) else found


class Settings(Struct, frozen=True, kw_only=True):
    """The settings that every provider's profile has; a provider adds its own.

    A setting of type Secret is a secret: it may also be given as `x_command`, `x_file` or `x_keyring`, it is hidden
    when typed and never shown.
    """

    base_url: Annotated[str, Meta(description="address of the API")]
    ca_file: Annotated[
        str | None, Meta(description="PEM file of the authority that signed the server's certificate")
    ] = None
    timeout: Annotated[float, Meta(gt=0, le=3600, description="seconds to wait for the next bytes of a response")] = (
        60.0
    )
    max_wait: Annotated[
        timedelta,
        Meta(
            description="how long one request may wait for retries in total: 15m; 0 for no retries",
            extra={"read": _length},
        ),
    ] = timedelta(minutes=15)
    largest_page_mb: Annotated[
        int,
        Meta(ge=1, le=65536, description="largest response in MiB, after decompression; larger ones are refused"),
    ] = 256
    tags: Annotated[
        list[str],
        Meta(description="words by which `--tag` selects profiles, such as nightly", extra={"read": _words}),
    ] = []
    voicemail_numbers: Annotated[
        list[str],
        Meta(description="numbers of voicemail boxes, as `cdrctl calls --voicemail-number`", extra={"read": _words}),
    ] = []
    queues: Annotated[
        list[str],
        Meta(description="names or numbers of queues, as `cdrctl calls --queue`", extra={"read": _words}),
    ] = []
    timezone: Annotated[str | None, Meta(description="zone of times without an offset, when --tz is not given")] = None
    requests_per_minute: Annotated[
        Annotated[float, Meta(ge=0)] | None,
        Meta(description="a limit lower than the published one; 0 for none, only if the API is on this machine"),
    ] = None

    checks: ClassVar[Checks] = {"base_url": address, "timezone": _zone, "requests_per_minute": _rate}
    """The checks of this class. A subclass adds its own, which get what those above it return."""

    @classmethod
    def described(cls) -> Mapping[str, Described]:
        """Return the settings by name, in order."""
        return _described(cls)

    @classmethod
    def of(cls, values: Mapping[str, object]) -> Self:
        """Return settings from values as the profile file, the environment and commands give them.

        Text may stand for a number, a truth or a list, because variables of the environment are text.

        Raises:
            SettingsError: Values are missing, not known or not valid.
        """
        described = cls.described()
        problems = [Problem(name, "form", "is not a setting") for name in values if name not in described]
        found: dict[str, Any] = {}
        for name, one in described.items():
            if name in values:
                read = _read(cls, name, one, values[name])
                if isinstance(read, Problem):
                    problems.append(read)
                else:
                    found[name] = read
            elif one.required:
                problems.append(Problem(name, "missing", "is missing"))
        if problems:
            raise SettingsError(problems)
        made = cls(**found)
        try:
            made.check()
        except ValueError as error:
            problems.append(Problem("", "check", str(error)))
        if problems:  # outside the handler: nothing of the values is left in the error's context
            raise SettingsError(problems)
        return made

    def check(self) -> None:
        """Check what settings have to do with each other.

        Raises:
            ValueError: They do not fit together.
        """
        if in_clear(self.base_url) and not getattr(self, "allow_http", False):
            way_out = ", or set allow_http = true" if "allow_http" in self.described() else ""
            raise ValueError(
                "base_url begins with http://, so others can read the credential and the calls in transit: use "
                f"https://{way_out}"
            )
        if self.requests_per_minute == 0 and not is_loopback(self.base_url):
            raise ValueError("requests_per_minute = 0 is accepted only if base_url is on this machine")

    def derived_secrets(self) -> list[str]:
        """Return the secrets derived from settings, such as a digest; none by default."""
        return []


@functools.cache
def _described(model: type[Settings]) -> Mapping[str, Described]:
    found = {}
    for one in structs.fields(model):
        metas = [meta for meta in getattr(one.type, "__metadata__", ()) if isinstance(meta, Meta)]
        description = next((meta.description for meta in metas if meta.description), "")
        read = next((meta.extra["read"] for meta in metas if meta.extra and "read" in meta.extra), None)
        default = one.default_factory() if callable(one.default_factory) else one.default
        found[one.name] = Described(one.type, description, None if one.required else default, one.required, read)
    return found


def _read(model: type[Settings], name: str, one: Described, given: object) -> Any:
    """Return the value of a setting from one as it is written, or what is wrong with it."""
    if isinstance(given, str):
        given = given.strip()
        if bool in one.types:
            given = _TRUTH.get(given.lower(), given)
    try:
        value = given if one.read is None else one.read(given)
        value = msgspec.convert(value, one.kind, strict=False, dec_hook=_secret)
        for above in reversed(model.__mro__):
            if name in vars(above).get("checks", {}):
                value = vars(above)["checks"][name](value)
    except msgspec.ValidationError:
        pass
    except ValueError as error:
        return Problem(name, "check", str(error))
    else:
        return value
    from cdrctl.fetchers.faults import fault_of  # loaded where something is wrong only

    kind, said = fault_of(one.kind, given)
    return Problem(name, kind, said)


def _secret(kind: type, given: object) -> Secret:
    """Return a secret.

    Raises:
        msgspec.ValidationError: It is not text.
    """
    if kind is Secret and isinstance(given, Secret):
        return given
    if kind is not Secret or not isinstance(given, str):
        raise msgspec.ValidationError
    return Secret(given)


_TRUTH = {
    **dict.fromkeys(("1", "true", "t", "yes", "y", "on"), True),
    **dict.fromkeys(("0", "false", "f", "no", "n", "off"), False),
}
