"""Figures as people read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cdrctl.figures.engine import Measured


def shown(one: Measured) -> str | None:
    """Return the value of a figure as people read it, or None if there is none."""
    if one.value is None:
        return None
    if one.unit == "ratio":
        return f"{float(one.value) * 100:.1f} %"
    if one.unit == "seconds":
        return clock(float(one.value))
    if one.unit in {"count", "erlang"}:
        return one.value
    cents = "0" if one.value[-2:-1] == "." else ""  # 0.7 is written as 0.70
    return f"{one.value}{cents} {one.unit}"


def clock(seconds: float) -> str:
    """Return seconds as `3:02` or `1:03:02`."""
    whole = round(seconds)
    minutes = f"{whole % 3600 // 60:02d}" if whole >= 3600 else str(whole // 60)
    return f"{whole // 3600}:{minutes}:{whole % 60:02d}" if whole >= 3600 else f"{minutes}:{whole % 60:02d}"


def made_of(one: Measured) -> str | None:
    """Return the numerator and the denominator of a figure as text; None if it is no quotient."""
    if one.denominator is None or one.numerator is None:
        return None
    if one.unit == "erlang":
        return f"{float(one.numerator):.2f} / {float(one.denominator):g}"
    return f"{one.numerator} of {one.denominator}" if one.unit == "ratio" else f"{one.numerator} / {one.denominator}"
