"""Pseudonyms: the same for the same, never the same for two numbers, and of the same form."""

from __future__ import annotations

import json
import re
from typing import Any

from hypothesis import given, strategies as st

from cdrctl.archive.numbers import is_same, number_of
from cdrctl.archive.pseudonyms import Pseudonyms, kind_of, record_pseudonymiser
from cdrctl.fetchers import PROVIDERS, load
from tests.support.examples import examples
from tests.support.products import for_each

NAMES = Pseudonyms(b"k" * 32)
SPELLINGS = ("+49 30 1234567", "0049301234567", "030/1234567", "tel:+49-30-1234567", "sip:+49301234567@pbx.example.com")
DIGITS = st.text("0123456789", min_size=2, max_size=15)


@given(one=DIGITS, other=DIGITS)
@examples(200)
def test_two_numbers_never_get_the_same_pseudonym(one: str, other: str) -> None:
    assert (NAMES.digits(one) == NAMES.digits(other)) == (one == other)
    assert len(NAMES.digits(one)) == len(one)
    assert one[: len(one) - len(one.lstrip("0"))] == re.match("0*", NAMES.digits(one))[0] or len(one) >= 7  # type: ignore[index]


def test_short_numbers_are_permuted() -> None:
    every = [f"{number:03}" for number in range(100, 1000)]
    assert sorted(NAMES.digits(one) for one in every) == every


@for_each("text", SPELLINGS)
def test_every_spelling_of_a_number_has_one_pseudonym_and_its_form(text: str) -> None:
    found = NAMES.value("caller_number", text)
    assert found != text
    assert re.sub("[0-9]", "9", found.partition("@")[0]) == re.sub("[0-9]", "9", text.partition("@")[0])
    assert is_same(number_of(found), number_of(NAMES.value("caller_number", SPELLINGS[0])))
    assert number_of(NAMES.value("caller_number", SPELLINGS[0])).startswith("4930")


def test_names_become_other_words_of_the_same_form() -> None:
    assert NAMES.value("user_name", "Anna Smith") == NAMES.value("caller_id_name", "Anna Smith")
    found = NAMES.value("user_name", "Anna O'Neil-Smith")
    assert re.fullmatch(r"[A-Z][a-z]{3} [A-Z]'[A-Z][a-z]{3}-[A-Z][a-z]{4}", found)
    assert not {"Anna", "Smith", "Neil"} & set(re.findall("[A-Za-z]+", found))
    assert re.fullmatch(r"[a-z]{4}\.[a-z]{5}@[a-z]{7}\.com", NAMES.value("user", "anna.smith@example.com"))


def test_other_keys_give_other_pseudonyms() -> None:
    other = Pseudonyms(b"x" * 32)
    for name, text in (("caller_number", SPELLINGS[0]), ("user_name", "Anna Smith")):
        assert NAMES.value(name, text) != other.value(name, text)
    assert NAMES.record_key(b"k" * 15) != other.record_key(b"k" * 15) != b"k" * 15


def test_what_is_within_lists_and_further_fields_is_replaced_too() -> None:
    fields = {
        "further": {"name": "Anna", "numbers": [301234567, "+49 30 1234567"], "at": "2026-11-19 08:00:00", "n": 12}
    }
    found = json.dumps(NAMES.value("extra", fields))
    assert not re.search("Anna|1234567", found)
    assert "2026-11-19 08:00:00" in found
    assert '"n": 12' in found
    assert NAMES.value("record_url", "anything") is None
    assert NAMES.value("whatever", "https://example.com/1234567") is None


@for_each("provider", PROVIDERS)
def test_numbers_and_names_of_each_provider_are_replaced(provider: str) -> None:
    for call in load(provider).calls:
        change = record_pseudonymiser(call, NAMES)
        texts: dict[str, Any] = {c.name: "Anna 1234" for c in call.columns if c.kind == "text" and not c.values}
        found = change(texts)
        for name in texts:
            assert (found[name] == "Anna 1234") == (kind_of(name) == "other"), name
            if re.search(r"(caller|callee|calling|called)_(phone_)?number$|user_name$|full_name$|display_name$", name):
                assert "Anna" not in found[name]
