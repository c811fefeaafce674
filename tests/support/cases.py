"""Products of parameters, of which the fast tests run a part."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest


def thinned(*axes: Sequence[Any], keep: int = 1, ids: Iterable[Any] = ()) -> list[Any]:
    """Return every combination as a parameter; all but a part of them carry the marker `slow`.

    The part is that in which the sum of the positions is less than `keep`, modulo the length of the last axis. Of three
    axes, each pair of values is in it, as long as the last axis is not the longest. Of two, each value is in it, with
    `keep` values of the last axis.

    Args:
        axes: The values of each parameter.
        keep: How many values of the last axis go with each combination of the others.
        ids: For each axis, a function from its values to text; `str` where there is none.
    """
    names = [*ids, *itertools.repeat(str, len(axes))]
    params = []
    for found in itertools.product(*map(enumerate, axes)):
        fast = sum(at for at, _ in found) % len(axes[-1]) < keep
        params.append(
            pytest.param(
                *(value for _, value in found),
                id="-".join(name(value) for name, (_, value) in zip(names, found, strict=False)),
                marks=() if fast else pytest.mark.slow,
            )
        )
    return params


@contextmanager
def naming(case: object) -> Iterator[None]:
    """Name the case of a loop in whatever fails within."""
    try:
        yield
    except BaseException as error:
        error.add_note(f"in the case {case}")
        raise
