"""The keys that identify records: within one run, in archives and in databases."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence

from cdrctl.fetchers import Call, Provider, identities
from cdrctl.records.batches import RowBatch
from cdrctl.records.events import Page, Row, fingerprint
from cdrctl.records.schemas import KEY_COLUMN, Schema

DIGEST_BYTES = 15
"""The length of a digest (BLAKE2b): two of a billion records share one with a probability of 4e-19."""


def run_keys(context: Mapping[str, str], found: Sequence[str]) -> Sequence[str]:
    """Return the keys of records within one run: no two of different contexts are equal, and none is long.

    Most identities stay as they came, because digests take ten times as long. Archives keep `stable_keys`.
    """
    if found and (max(map(len, found)) > LONGEST_IDENTITY or min(found) < "\1"):
        found = [_DIGEST + _key(b"", one).hex() if len(one) > LONGEST_IDENTITY or one < "\1" else one for one in found]
    if not context:
        return found
    within = "\0" + "".join(f"{len(value)}:{value}" for value in context.values()) + ";"
    return [within + one for one in found]


LONGEST_IDENTITY = 100
"""The longest identity that stays as it is, in characters; longer ones become digests."""

_DIGEST = "\0#"


def _within(context: Mapping[str, str]) -> bytes:
    """Return a page's context as bytes that no other context, whatever follows it, begins with."""
    values = [value.encode("utf-8", "surrogatepass") for value in context.values()]
    return b"%d;" % len(values) + b"".join(b"%d:%s" % (len(value), value) for value in values)


def _key(within: bytes, identity: str) -> bytes:
    whole = within + identity.encode("utf-8", "surrogatepass")
    return hashlib.blake2b(whole, digest_size=DIGEST_BYTES).digest()


def stable_keys(context: Mapping[str, str], found: Sequence[str]) -> list[bytes]:
    """Return the keys of records from run to run: digests of identities within the context of their page.

    Archives keep them in their indexes, so they must stay the same in later versions. `run_keys` may change.
    """
    within, digest, size = _within(context), hashlib.blake2b, DIGEST_BYTES
    return [digest(within + one.encode("utf-8", "surrogatepass"), digest_size=size).digest() for one in found]


def origin_of(provider: Provider, call: Call, profile: str) -> dict[str, str]:
    """Return what tells the records of a call of a profile from all others, as context of their keys."""
    kind = next(one for one in provider.calls if (one.columns, one.identity) == (call.columns, call.identity))
    return {"provider": provider.name, "kind": f"{kind.group} {kind.name}", "profile": profile}


def with_record_key(schema: Schema, provider: Provider, call: Call, profile: str) -> Schema:
    """Return a schema whose first column is the key of a record, which tells it apart from those of other profiles.

    Records of two calls may have one key where these calls give the same records: their columns and identity are the
    same. Two profiles may have records with the same ids, and their keys differ.
    """
    origin = origin_of(provider, call, profile)

    def keys_of(page: Page) -> list[str]:
        context = {**origin, **{f"@{name}": value for name, value in page.context.items()}}
        return [key.hex() for key in stable_keys(context, identities(page.records, call.identity))]

    return with_keys(schema, keys_of)


def with_keys(schema: Schema, keys_of: Callable[[Page], list[str]]) -> Schema:
    """Return a schema whose first column is the key of a record.

    A record with the identity of an earlier one and other content has a key that depends on its content too.

    Args:
        schema: The schema of the other columns.
        keys_of: From a page to the keys of its records.
    """

    def rows(page: Page) -> Sequence[Row]:
        keys = keys_of(page)
        for at in page.later:
            keys[at] = _key(keys[at].encode(), fingerprint(page.records[at])).hex()
        found = schema.rows(page)
        if isinstance(found, RowBatch):
            return RowBatch([keys, *found.columns], [True, *found.texts], len(found))
        return [[key, *row] for key, row in zip(keys, found, strict=True)]

    return Schema((KEY_COLUMN, *(schema.columns or ())), rows, schema.unfold)
