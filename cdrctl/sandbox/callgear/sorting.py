"""The parameter `sort`, and the sorting of rows by it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cmp_to_key
from typing import Any

from cdrctl.sandbox.callgear.errors import RefusedError, unexpected
from cdrctl.sandbox.callgear.fields import Field

Order = tuple[tuple[str, bool], ...]
"""The fields to sort by, each with whether it is descending."""


def read_order(switched: Mapping[str, str], given: list[Any], known: Mapping[str, Field]) -> Order:
    """Read the parameter `sort`."""
    order = []
    for one in given:
        if not isinstance(one, dict) or not isinstance(one.get("field"), str):
            raise RefusedError("data_type_error", field="sort", value=one)
        for name in set(one) - {"field", "order"}:
            raise unexpected(switched, name, one[name])
        if one["field"] not in known:
            raise unexpected(switched, one["field"], one["field"])
        if not known[one["field"]].sort:
            raise RefusedError("sort_prohibited", field=one["field"], value=one["field"])
        direction = one.get("order", "asc")
        if direction not in ("asc", "desc"):
            raise RefusedError("invalid_parameter_value", field="sort.order", value=direction)
        order.append((one["field"], direction == "desc"))
    return tuple(order)


def sort_rows(rows: list[Any], order: Order, read: Callable[[Any, str], Any]) -> list[Any]:
    """Sort rows; null comes last in ascending order and first in descending order."""

    def compare(one: tuple[Any, ...], other: tuple[Any, ...]) -> int:
        for (_, down), left, right in zip(order, one[0], other[0], strict=True):
            if left == right:
                continue
            sign = -1 if down else 1
            if left is None or right is None:
                return sign if left is None else -sign
            return sign if left > right else -sign
        return 0

    if not order:
        return rows
    keyed = [(tuple(read(row, name) for name, _ in order), row) for row in rows]
    return [row for _, row in sorted(keyed, key=cmp_to_key(compare))]
