"""Tests that loop over their cases try each of them, and name those that fail."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.support.products import for_each


def test_every_case_is_tried_and_those_that_fail_are_named() -> None:
    tried = []

    @for_each("number", [1, pytest.param(2, id="two"), 3])
    @for_each("word", ["a", "b"])
    def check(number: int, word: str) -> None:
        tried.append((number, word))
        assert (number, word) not in {(1, "b"), (2, "a"), (2, "b")}

    with pytest.raises(ExceptionGroup) as raised:
        check()
    assert tried == [(1, "a"), (1, "b"), (2, "a"), (2, "b"), (3, "a"), (3, "b")]
    first, second = raised.value.exceptions
    assert first.__notes__ == ["in the case word='b'", "in the case number=1"]
    assert isinstance(second, ExceptionGroup)
    assert second.__notes__ == ["in the case two"]


def test_a_case_that_raises_no_error_where_it_should_does_not_end_the_loop() -> None:
    tried = []

    @for_each("number", [1, 2])
    def check(number: int) -> None:
        tried.append(number)
        with pytest.raises(ValueError):  # noqa: PT011 - nothing is raised
            str(number)

    with pytest.raises(BaseExceptionGroup):
        check()
    assert tried == [1, 2]


def test_a_skipped_case_hides_no_failure() -> None:
    @for_each("number", [1, 2])
    def check(number: int) -> None:
        if number == 1:
            pytest.skip("the first")
        raise AssertionError

    with pytest.raises(AssertionError):
        check()


def test_a_test_whose_case_skips_is_skipped() -> None:
    tried = []

    @for_each("number", [1, 2])
    def check(number: int) -> None:
        tried.append(number)
        if number == 1:
            pytest.skip("the first")

    with pytest.raises(pytest.skip.Exception, match="the first"):
        check()
    assert tried == [1, 2]


@for_each("number", [1, 2])
@for_each("word", ["a", "b"])
def test_each_case_has_its_own_folder_environment_and_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: int, word: str
) -> None:
    sys.stdout.write(f"{number} {word}\n")
    assert not [*tmp_path.iterdir()]
    assert "TESTS_WORD" not in os.environ
    assert capsys.readouterr().out == f"{number} {word}\n"
    sys.stdout.write("left")
    (tmp_path / word).touch()
    monkeypatch.setenv("TESTS_WORD", word)
