"""Parametrize a test with a product of values: every pair of values always, every combination under `slow`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations, product
from typing import Any

import pytest


def pairwise_product(**values: Sequence[Any]) -> pytest.MarkDecorator:
    """Parametrize a test with every combination of the values, by name of the parameter.

    Those that are not needed for every pair of values to occur are marked `slow`.
    """
    cover = pairwise_cover([len(one) for one in values.values()])
    cases = []
    for places in product(*(range(len(one)) for one in values.values())):
        case = [one[place] for one, place in zip(values.values(), places, strict=True)]
        marks = () if places in cover else (pytest.mark.slow,)
        cases.append(pytest.param(*case, marks=marks, id="-".join(map(str, case))))
    return pytest.mark.parametrize(tuple(values), cases)


def pairwise_cover(sizes: Sequence[int]) -> set[tuple[int, ...]]:
    """Return combinations of places in lists of these sizes in which every pair of places of two lists occurs."""
    every = list(product(*(range(size) for size in sizes)))
    missing = {pair for case in every for pair in _pairs(case)}
    cover: set[tuple[int, ...]] = set()
    while missing:
        best = max(every, key=lambda case: len(missing.intersection(_pairs(case))))
        cover.add(best)
        missing.difference_update(_pairs(best))
    return cover


def _pairs(case: Sequence[int]) -> Iterable[tuple[tuple[int, int], ...]]:
    return combinations(enumerate(case), 2)
