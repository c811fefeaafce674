"""The parameter `filter`: comparisons, joined by `and` and `or`, as tests of a record."""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

from cdrctl.sandbox.callgear.errors import RefusedError, unexpected
from cdrctl.sandbox.callgear.fields import Field, Record

Condition = Callable[[Record], bool]

_DEPTH = 3
_OPERATORS: dict[str, frozenset[str]] = {
    **dict.fromkeys(("=", "!="), frozenset({"number", "string", "boolean", "iso8601", "enum"})),
    **dict.fromkeys(("<", ">", "<=", ">="), frozenset({"number", "iso8601"})),
    **dict.fromkeys(("like", "regexp"), frozenset({"string"})),
    "jsquery": frozenset({"array", "object"}),
    "in": frozenset({"number", "string", "enum"}),
}
"""The types of fields that each operator takes."""

_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
    "=": operator.eq,
    "!=": operator.ne,
}
_JSQUERY = re.compile(
    r'\s*(?:[#*$%]\s*\.?\s*)?(?P<name>"?[A-Za-z_]\w*"?)?\s*(?P<order><=|>=|=|<|>)\s*'
    r'(?P<value>"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?|true|false|null)\s*'
)


def read_filter(switched: Mapping[str, str], node: Any, known: Mapping[str, Field], depth: int = 1) -> Condition:
    """Turn a filter, or a tree of filters, into a test of a record."""
    if not isinstance(node, dict):
        raise RefusedError("data_type_error", field="filter", value=node)
    if "filters" in node:
        return _read_group(switched, node, known, depth)
    for name in set(node) - {"field", "operator", "value"}:
        raise unexpected(switched, name, node[name])
    for name in ("field", "operator"):
        if name not in node:
            raise RefusedError("required_parameter_missed", field=f"filter.{name}")
        if not isinstance(node[name], str):
            raise RefusedError("data_type_error", field=f"filter.{name}", value=node[name])
    if node["field"] not in known:
        raise unexpected(switched, node["field"], node["field"])
    target = known[node["field"]]
    if not target.filter:
        raise RefusedError("filter_prohibited", field=target.name, value=target.name)
    return _compare_field(target, node["operator"], node.get("value"))


def _read_group(switched: Mapping[str, str], node: Record, known: Mapping[str, Field], depth: int) -> Condition:
    """Join the filters of a group by its condition, `and` or `or`."""
    for name in set(node) - {"filters", "condition"}:
        raise unexpected(switched, name, node[name])
    joined = node.get("condition", "and")
    if joined not in ("and", "or") or depth > _DEPTH:
        raise RefusedError("invalid_parameter_value", field="filter.condition", value=joined)
    if not isinstance(node["filters"], list) or not node["filters"]:
        raise RefusedError("data_type_error", field="filter.filters", value=node["filters"])
    parts = [read_filter(switched, one, known, depth + 1) for one in node["filters"]]
    joiner = all if joined == "and" else any
    return lambda record: joiner(part(record) for part in parts)


def _compare_field(target: Field, sign: str, value: Any) -> Condition:
    """Make the test of a simple filter: a comparison with null is false, except `=` and `!=` null."""
    name = target.name
    if target.type not in _OPERATORS.get(sign, ()):
        raise RefusedError("invalid_parameter_value", field="filter.operator", value=sign)
    if sign == "in":
        if not isinstance(value, list):
            raise RefusedError("data_type_error", field=name, value=value)
        for one in value:
            _check_type(target, one)
        return lambda record: record[name] is not None and record[name] in value
    if sign in {"=", "!="} and value is None:
        return lambda record: (record[name] is None) == (sign == "=")
    if sign == "jsquery":
        return _compare_elements(name, value)
    _check_type(target, value)
    if sign in {"like", "regexp"}:
        pattern = _pattern(name, sign, value)
        return lambda record: record[name] is not None and bool(pattern(record[name]))
    test = _COMPARISONS[sign]
    return lambda record: record[name] is not None and test(record[name], value)


def _check_type(target: Field, value: Any) -> None:
    """Refuse a value that does not have the field's type."""
    kinds: dict[str, tuple[type, ...]] = {"number": (int, float), "boolean": (bool,)}
    wanted = kinds.get(target.type, (str,))
    if not isinstance(value, wanted) or (isinstance(value, bool) and target.type != "boolean"):
        raise RefusedError("data_type_error", field=target.name, value=value)


def _pattern(name: str, sign: str, value: str) -> Callable[[str], object]:
    """Compile the value of `like` or `regexp`."""
    if sign == "regexp":
        try:
            return re.compile(value).search
        except re.error:
            raise RefusedError("invalid_parameter_value", field=name, value=value) from None
    wild = {"%": ".*", "_": "."}
    return re.compile("".join(wild.get(char) or re.escape(char) for char in value), re.DOTALL).fullmatch


def _compare_elements(name: str, value: Any) -> Condition:
    """Make the test of an array: jsquery compares its elements, or one member of each, with a constant."""
    read = _JSQUERY.fullmatch(value) if isinstance(value, str) else None
    if read is None:
        raise RefusedError("invalid_parameter_value", field=name, value=value)
    member = (read["name"] or "").strip('"')
    wanted = json.loads(read["value"])
    test = _COMPARISONS[read["order"]]

    def passes(record: Record) -> bool:
        found = [one.get(member) if member and isinstance(one, dict) else one for one in record[name]]
        return any(type(one) is type(wanted) and test(one, wanted) for one in found)

    return passes
