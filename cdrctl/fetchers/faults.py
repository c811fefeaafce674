"""What is wrong with the value of a setting, in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import inspect

Form = inspect.Type


def fault_of(kind: Any, given: object) -> tuple[str, str]:
    """Return why a value is not of a type: the kind of the fault, and a sentence.

    The kind is `text` if the value must be text, and `form` otherwise.

    Args:
        kind: The type, with limits.
        given: The value, which the sentence does not repeat.
    """
    forms = [*_forms(inspect.type_info(kind))]
    for form in forms:
        match form:
            case inspect.StrType() | inspect.CustomType() if not isinstance(given, str):
                return "text", "should be text"
            case inspect.StrType(pattern=pattern) if pattern is not None:
                return "form", f"should match {pattern}"
            case inspect.LiteralType(values=values):
                return "form", f"should be {' or '.join(map(str, values))}"
            case inspect.IntType() | inspect.FloatType():
                return "form", f"should be {_number(form, given)}"
            case inspect.BoolType():
                return "form", "should be true or false"
            case inspect.ListType():
                return "form", "should be a list of texts"
            case _:
                continue
    return "form", "should be a duration, such as 15m"


def _forms(form: Form) -> Iterator[Form]:
    """Yield the form of a type, or the forms of a union but null, without what is written beside them."""
    if isinstance(form, inspect.Metadata):
        yield from _forms(form.type)
    elif isinstance(form, inspect.UnionType):
        for one in form.types:
            yield from _forms(one)
    elif not isinstance(form, inspect.NoneType):
        yield form


def _number(form: inspect.IntType | inspect.FloatType, given: object) -> str:
    """Return which number is expected: its limits if the value is a number, else only that it must be one."""
    whole = isinstance(form, inspect.IntType)
    try:
        number = float(given) if isinstance(given, str | int | float) and not isinstance(given, bool) else None
    except (ValueError, OverflowError):
        number = None
    if number is None or (whole and not number.is_integer()):
        return "a whole number" if whole else "a number"
    limits = {"greater than": form.gt, "at least": form.ge, "less than": form.lt, "at most": form.le}
    return " and ".join(f"{word} {limit:g}" for word, limit in limits.items() if limit is not None) or "a number"
