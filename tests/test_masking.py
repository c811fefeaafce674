"""Every spelling of a secret is masked in a text, and a text without a secret is unchanged."""

from __future__ import annotations

import base64
import html
import json
import re
import shlex
from collections.abc import Callable
from urllib.parse import quote, quote_plus, unquote

import pytest
from hypothesis import given, strategies as st

from cdrctl import masking
from cdrctl.masking import MASK, SHORTEST, mask
from tests.support.examples import examples
from tests.support.products import for_each

Spelling = Callable[[str], str]
SPELLINGS: dict[str, Spelling] = {
    "as it is": str,
    "JSON": lambda text: json.dumps(text)[1:-1],
    "JSON with other characters": lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    "JSON with slashes escaped": lambda text: json.dumps(text)[1:-1].replace("/", "\\/"),
    "JSON in JSON": lambda text: json.dumps(json.dumps(text)[1:-1])[1:-1],
    "Python": lambda text: repr(text)[1:-1],
    "bytes": lambda text: repr(text.encode())[2:-1],
    "URL": lambda text: quote(text, safe=""),
    "URL path": quote,
    "URL in lower case": lambda text: "".join(f"%{byte:02x}" for byte in text.encode()),
    "URL in a URL": lambda text: quote(quote(text, safe=""), safe=""),
    "form": quote_plus,
    "HTML": html.escape,
    "HTML in JSON": lambda text: json.dumps(html.escape(text))[1:-1],
    "HTML numbers": lambda text: "".join(f"&#{ord(char)};" for char in text),
    "HTML digits": lambda text: "".join(f"&#x{ord(char):X};" for char in text),
    "HTML in HTML": lambda text: html.escape(html.escape(text)),
    "hexadecimal": lambda text: text.encode().hex(),
    "HEXADECIMAL": lambda text: text.encode().hex().upper(),
    "shell": lambda text: shlex.quote(text)[1:-1] if shlex.quote(text) != text else text,
}
SECRETS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=SHORTEST, max_size=30).filter(
    lambda text: text == text.strip() and MASK not in text and "*" not in text
)
AROUND = st.sampled_from(["", " ", "x", '"', "<b>", "a=", "&", "\\", "%"])


@for_each("spelt", SPELLINGS.values())
def test_every_spelling_is_masked(spelt: Spelling) -> None:
    secret = "cAnArY-\"q'\\b%41+/=&<>~ ü日😀_100%25"
    assert mask(f"before {spelt(secret)} after", [secret]) == f"before {MASK} after"


@examples(60)
@given(secret=SECRETS, before=AROUND, after=AROUND, spelt=st.sampled_from(list(SPELLINGS)))
def test_any_secret_is_masked_in_any_spelling(secret: str, before: str, after: str, spelt: str) -> None:
    text = SPELLINGS[spelt](secret)
    left = mask(before + text + after, [secret])
    assert MASK in left
    assert text not in left
    assert secret not in left


@examples(60)
@given(secret=SECRETS, cut=st.integers(1, 30), spelt=st.sampled_from([*SPELLINGS, "base64"]), around=AROUND)
def test_the_fast_check_gives_the_same_result_as_the_pattern(secret: str, cut: int, spelt: str, around: str) -> None:
    text = (SPELLINGS[spelt](secret) if spelt in SPELLINGS else base64.b64encode(secret.encode()).decode())[:cut]
    left = mask(f"{around}{text} or {text[1:]}", [secret])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(masking, "_ESCAPES", re.compile(""))
        assert mask(f"{around}{text} or {text[1:]}", [secret]) == left


def test_an_ordinary_line_compiles_no_pattern() -> None:
    before = masking._beginnings.cache_info().misses
    assert mask("294 records, 3 pages, 0.1 seconds: calls.csv", ["a-secret-of-this-test"]).startswith("294")
    assert masking._beginnings.cache_info().misses == before


@pytest.mark.slow
@examples(60)
@given(secret=SECRETS, before=st.binary(max_size=8), after=st.binary(max_size=8))
def test_base64_is_masked_at_any_offset(secret: str, before: bytes, after: bytes) -> None:
    for encode in (
        base64.b64encode,
        base64.urlsafe_b64encode,
        lambda raw: quote(base64.b64encode(raw), safe="").encode(),
    ):
        left = mask(encode(before + secret.encode() + after).decode(), [secret])
        assert MASK in left
        # At each end at most five bits of the secret are left: those in one digit with the neighbouring byte.
        first, last = (unquote(part).rstrip("=") for part in (left.split(MASK)[0], left.split(MASK)[-1]))
        assert len(first) * 6 - len(before) * 8 < 10  # plus zero bits that pad the last digit
        assert len(last) * 6 - len(after) * 8 < 10  # plus zero bits that pad the last digit


@examples(60)
@given(secret=st.text("aZ09-_.+/é日", min_size=12, max_size=30), cut=st.integers(8, 11))
def test_a_truncated_secret_is_masked_too(secret: str, cut: int) -> None:
    assert mask(f"said: {secret[:cut]}", [secret]) == f"said: {MASK}"


def test_the_parts_of_a_token_are_masked() -> None:
    token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
    _, claims, signature = token.split(".")
    assert mask(f"{claims} and {signature}", [token]) == f"{MASK} and {MASK}"


def test_longer_secrets_are_masked_first_and_short_ones_are_not_masked() -> None:
    text = "a bad pass and a passphrase"
    assert mask(text, ["a", "bad", "pass", "passphrase"]) == f"a bad {MASK} and a {MASK}"


@examples(60)
@given(text=st.text("abcdefgh-:/ ", max_size=200), secret=st.text("XYZ", min_size=SHORTEST, max_size=12))
def test_a_text_without_a_secret_is_unchanged(text: str, secret: str) -> None:
    assert mask(text, [secret]) == text


def test_a_very_long_secret_is_masked_quickly() -> None:
    """A pattern of thousands of characters would take seconds to compile."""
    secret = "eyJ" + "aB3_" * 5000
    assert mask(f"x {secret} {secret[:4000]}", [secret]) == f"x {MASK} {MASK}"
