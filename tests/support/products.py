"""Products of parameters, of which the fast tests run a part, and loops over cases."""

from __future__ import annotations

import functools
import inspect
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import combinations, product
from typing import Any

import pytest


def pairwise_product(**values: Sequence[Any]) -> pytest.MarkDecorator:
    """Parametrize a test with every combination of the values, by name of the parameter.

    Combinations that are not needed to have every pair of values are marked `slow`.
    """
    cover = pairwise_cover([len(one) for one in values.values()])
    cases = []
    for places in product(*(range(len(one)) for one in values.values())):
        case = [one[place] for one, place in zip(values.values(), places, strict=True)]
        marks = () if places in cover else (pytest.mark.slow,)
        cases.append(pytest.param(*case, marks=marks, id="-".join(map(str, case))))
    return pytest.mark.parametrize(tuple(values), cases)


def pairwise_cover(sizes: Sequence[int]) -> set[tuple[int, ...]]:
    """Return combinations of positions in lists of these sizes that have every pair of positions of two lists."""
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


def thinned(*axes: Sequence[Any], keep: int = 1, ids: Iterable[Any] = ()) -> list[Any]:
    """Return every combination as a parameter; all but a part of them carry the marker `slow`.

    For products with too many pairs: the fast tests run each value, but not each pair. They run the combinations in
    which the sum of the positions is less than `keep`, modulo the length of the last axis. With two axes, they run each
    value of the first with `keep` values of the last.

    Args:
        axes: The values of each parameter.
        keep: How many values of the last axis go with each combination of the others.
        ids: For each axis, a function that makes a text from a value; `str` by default.
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
    """Name the case of a loop in every failure within."""
    try:
        yield
    except BaseException as error:
        error.add_note(f"in the case {case}")
        raise


def for_each(names: str, cases: Iterable[Any], ids: Iterable[object] = ()) -> Callable[[Callable[..., None]], Any]:
    """Run a test with every case, in one test. A failure names its case, and the other cases run all the same.

    A test takes five milliseconds beside what it does: use this where a case takes little more. Each case has its own
    `tmp_path`, `monkeypatch` and `capsys`; it may not change another fixture, because all share it. If a case skips,
    the test is shown as skipped, but only after the other cases have passed.

    Args:
        names: The names of the parameters, with commas.
        cases: The value of each case, or a tuple with the value of each parameter; or what `pytest.param` returns.
        ids: The name of each case; its values by default.
    """
    parameters = [name.strip() for name in names.split(",")]
    table: list[tuple[str, dict[str, Any]]] = []
    for case, name in itertools.zip_longest(cases, ids):
        given = case if _is_param(case) else pytest.param(*(case if len(parameters) > 1 else [case]))
        assert not given.marks
        values = dict(zip(parameters, given.values, strict=True))
        told = ", ".join(f"{key}={value!r}" for key, value in values.items())
        table.append((str(given.id or name or told), values))
    assert table

    def looped(test: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(test)
        def every(*fixtures: Any, **more: Any) -> None:
            failures: list[BaseException] = []
            skipped: list[BaseException] = []
            for number, (name, values) in enumerate(table):
                try:
                    with naming(name), _own(number, more) as own:
                        test(*fixtures, **own, **values)
                except pytest.skip.Exception as skip:
                    skipped.append(skip)
                except (Exception, pytest.fail.Exception) as error:  # noqa: BLE001 - whatever it is, the next case runs
                    failures.append(error)
            if len(failures) > 1:
                raise BaseExceptionGroup(f"{len(failures)} of {len(table)} cases", failures)
            for one in failures or skipped:
                raise one

        shape = inspect.signature(test)
        rest = [one for name, one in shape.parameters.items() if name not in parameters]
        assert len(rest) == len(shape.parameters) - len(parameters)
        every.__signature__ = shape.replace(parameters=rest)  # type: ignore[attr-defined] # pytest reads it
        return every

    return looped


@contextmanager
def _own(number: int, fixtures: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Return the fixtures of one case of a loop."""
    own = dict(fixtures)
    if "tmp_path" in own:
        own["tmp_path"] = own["tmp_path"] / str(number)
        own["tmp_path"].mkdir()
    if "capsys" in own:
        own["capsys"].readouterr()
    with pytest.MonkeyPatch.context() as patch:
        if "monkeypatch" in own:
            own["monkeypatch"] = patch
        yield own


def _is_param(case: Any) -> bool:
    return isinstance(case, tuple) and hasattr(case, "marks")
