"""`--filter` and `--sort`, as the service takes them."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from cdrctl.errors import UsageError
from cdrctl.fetchers.callgear.fields import Field, Wire
from cdrctl.fetchers.callgear.local_time import LOCAL_TIME
from cdrctl.fetchers.callgear.settings import TITLE

_COMPARED: Mapping[Wire, tuple[str, ...]] = {
    "number": ("=", "!=", "<", ">", "<=", ">=", "in"),
    "string": ("=", "!=", "like", "regexp", "in"),
    "enum": ("=", "!=", "in"),
    "boolean": ("=", "!="),
    "iso8601": ("=", "!=", "<", ">", "<=", ">="),
    "array": ("jsquery",),
}
"""The operators for each type of field ("Filters")."""

_ONLY_COMAGIC = frozenset(
    {"ilike", "not_like", "not_ilike", "not_in", "overlap", "not_overlap", "is_null", "is_not_null"}
)
"""Operators that another brand of the service has for some methods (comagic.github.io, "Filters"): not checked here."""

_EXPRESSION = re.compile(r"\s*([^\s<>=!~]+)\s*(<=|>=|!=|=|<|>|~)(.*)", re.DOTALL)
_NUMBER = re.compile(r"[+-]?[0-9]{1,18}(\.[0-9]{1,18})?")
_FILTER_HINT = "write --filter direction=in, 'duration>=60', 'action_name~%sales%', or a JSON object"
DEEPEST_FILTER = 20


def filter_tree(fields: Sequence[Field], texts: Sequence[str]) -> dict[str, Any] | None:
    """Return one filter that joins all expressions with `and`, or None without expressions.

    Raises:
        UsageError: An expression cannot be read, or the service would refuse it.
    """
    trees = [_tree(fields, text) if text.lstrip().startswith("{") else _simple(fields, text) for text in texts]
    if len(trees) > 1:
        return {"filters": trees, "condition": "and"}
    return trees[0] if trees else None


def _tree(fields: Sequence[Field], text: str) -> dict[str, Any]:
    try:
        tree = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"--filter is not valid JSON: {error}", hint=_FILTER_HINT) from None
    _check_tree(fields, tree, 0)
    checked: dict[str, Any] = tree
    return checked


def _check_tree(fields: Sequence[Field], tree: Any, depth: int) -> None:
    if not isinstance(tree, dict) or depth > DEEPEST_FILTER:
        raise UsageError(f"--filter: {json.dumps(tree)[:60]} is not a filter", hint=_FILTER_HINT)
    if "filters" in tree:
        parts = tree["filters"]
        if tree.get("condition") not in ("and", "or") or not isinstance(parts, list) or not parts:
            raise UsageError(
                'a combined filter has a list of filters and a condition, "and" or "or"',
                hint='{"filters":[{"field":"direction","operator":"=","value":"in"}],"condition":"and"}',
            )
        _check_keys(tree, {"filters", "condition"})
        for part in parts:
            _check_tree(fields, part, depth + 1)
        return
    _check_keys(tree, {"field", "operator", "value"})
    name, operator = tree.get("field"), tree.get("operator")
    if not isinstance(name, str) or not isinstance(operator, str):
        raise UsageError(
            "a filter has a field, an operator and a value",
            hint='{"field":"direction","operator":"=","value":"in"}',
        )
    found = _usable_field(fields, name, "F", "--filter")
    if operator not in _ONLY_COMAGIC:
        _check_operator(found, operator)
        if "value" in tree:
            _check_value(found, operator, tree["value"])


def _check_keys(tree: Mapping[str, Any], known: set[str]) -> None:
    for key in tree:
        if key not in known:
            raise UsageError(
                f"--filter: {key!r} is not a key of a filter", hint=f"its keys are {', '.join(sorted(known))}"
            )


def _check_operator(found: Field, operator: str) -> None:
    usable = _COMPARED[found.wire]
    if operator not in usable:
        raise UsageError(
            f"{found.name} cannot be compared with {operator!r}: it is of type {found.wire}",
            hint=f"operators for this type: {' '.join(usable)}",
        )


_TYPES: Mapping[Wire, type | tuple[type, ...]] = {"number": (int, float), "boolean": bool}


def _check_value(found: Field, operator: str, value: Any) -> None:
    for one in value if operator == "in" and isinstance(value, list) else [value]:
        fits = isinstance(one, _TYPES.get(found.wire, str)) and (found.wire == "boolean" or not isinstance(one, bool))
        if not (one is None or fits or operator == "jsquery"):
            raise UsageError(
                f"--filter: {json.dumps(one)[:60]} is not a value of {found.name}, which is a {found.wire}",
                hint="write numbers, true and false without quotes, and everything else in quotes",
            )


def _simple(fields: Sequence[Field], text: str) -> dict[str, Any]:
    match = _EXPRESSION.fullmatch(text)
    if not match:
        raise UsageError(f"--filter {text!r} cannot be read", hint=_FILTER_HINT)
    found = _usable_field(fields, match[1], "F", "--filter")
    operator, word = "like" if match[2] == "~" else match[2], match[3].strip()
    if found.wire == "array":
        raise UsageError(
            f"{found.name} is a list, which only jsquery can filter on",
            hint=f'write it as JSON: {{"field":"{found.name}","operator":"jsquery","value":"…"}}',
        )
    _check_operator(found, operator)
    if not word:
        return {"field": found.name, "operator": operator}  # the API's form of an empty value
    return {"field": found.name, "operator": operator, "value": _typed_value(found, operator, word)}


def _typed_value(found: Field, operator: str, word: str) -> Any:
    """Return a word as a value of the field's type; the word `null` stands for null."""
    if word == "null" and operator in {"=", "!="}:
        return None
    if found.wire == "number":
        if not _NUMBER.fullmatch(word):
            raise UsageError(f"--filter: {word!r} is not a number, but {found.name} is one", hint=_FILTER_HINT)
        return float(word) if "." in word else int(word)
    if found.wire == "boolean":
        if word.casefold() not in {"true", "false"}:
            raise UsageError(f"--filter: {found.name} is true or false, not {word!r}", hint=f"{found.name}=true")
        return word.casefold() == "true"
    if found.wire == "iso8601" and not LOCAL_TIME.fullmatch(word):
        raise UsageError(
            f"--filter: {word!r} is not a time in {TITLE}'s format",
            hint="write YYYY-MM-DD hh:mm:ss, in the account's own zone",
        )
    return word


def sorting(fields: Sequence[Field], texts: Sequence[str]) -> list[dict[str, str]]:
    """Return the sort order to request, which ends with the start so that pages do not overlap.

    Raises:
        UsageError: It names a field that is unknown or cannot be sorted by.
    """
    order = []
    for text in texts:
        name, _, direction = text.strip().partition(":")
        if direction not in {"", "asc", "desc"}:
            raise UsageError(
                f"--orderby {text!r} cannot be read", hint="write --orderby duration or --orderby duration:desc"
            )
        order.append({"field": _usable_field(fields, name, "S", "--orderby").name, "order": direction or "asc"})
    last = next((one.name for one in (*_named(fields, "start_time"), *_named(fields, "customer_id"))), None)
    if last is not None and not any(one["field"] == last for one in order):
        order.append({"field": last, "order": "asc"})
    return order


def _named(fields: Sequence[Field], name: str) -> list[Field]:
    return [one for one in fields if one.name == name]


def _usable_field(fields: Sequence[Field], name: str, mark: str, option: str) -> Field:
    """Return the field of this name if the service accepts it there; else raise UsageError with similar names."""
    usable = [one.name for one in fields if mark in one.marks]
    found = _named(fields, name)
    if found and mark in found[0].marks:
        return found[0]
    verb = {"F": "filtered on", "S": "sorted by"}[mark]
    near = difflib.get_close_matches(name, usable, n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else f"these can be {verb}: {', '.join(usable)}"
    if found and name == "start_time":
        hint = "use --since and --until"
    what = f"{name} cannot be {verb}" if found else f"there is no field {name!r}"
    raise UsageError(f"{option}: {what}", hint=hint)
