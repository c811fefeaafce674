"""Shared by the tests of this imitation: its client, samples and helpers."""

from __future__ import annotations

from typing import Any

from cdrctl.sandbox import Exchange, uniform
from tests.sandbox.clients import DATA, at, gregorian

RECORDED = "kazoo/recorded_crossbar50_"


WEEK = at("2026-11-09"), at("2026-11-16")


MONTH = 31 * 24 * 3600


def whole(since: Any, until: Any) -> tuple[int, int]:
    """The created range that includes every leg that began in a window."""
    return gregorian(since), gregorian(until) + 24 * 3600


def starts(rows: list[dict[str, Any]]) -> list[int]:
    return [int(row["unix_timestamp"]) for row in rows]


def few(n: int) -> Exchange:
    """An exchange with exactly n legs on a day in the middle of November."""
    return Exchange(calls=uniform(n, at("2026-11-10"), at("2026-11-11")))


def recorded(name: str) -> str:
    return (DATA / f"{RECORDED}{name}.json").read_text(encoding="utf-8").strip()


def shape_of(body: Any) -> Any:
    """Keys in order, values as types."""
    return {k: shape_of(v) for k, v in body.items()} if isinstance(body, dict) else type(body).__name__
