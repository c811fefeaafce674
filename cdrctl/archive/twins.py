"""Keys for records that have the same id but different content, the same keys in every reading.

A provider may give two records the same id. The first keeps the key made from the id; the others get numbered keys.
Which record is which does not depend on their order in a response: a record keeps the key that the archive has for the
same line; the others are matched by their start, and new ones are numbered in the order of their lines. Without this,
the second record would replace the first in every reading.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from cdrctl.archive.index import Entry


def numbered_key(key: bytes, number: int) -> bytes:
    """Return the key of the record with this number, from 1, among those with the same id."""
    if number == 1:
        return key
    return hashlib.blake2b(key + b"#%d" % number, digest_size=len(key)).digest()


def assign_family_keys(key: bytes, members: Sequence[Entry], had: Mapping[bytes, Entry]) -> list[Entry]:
    """Return the records with the same id, with the keys that the archive has for them, or new ones."""
    family = 1  # how many records with this id the archive has
    while numbered_key(key, family + 1) in had:
        family += 1
    keys = [numbered_key(key, number) for number in range(1, family + len(members) + 1)]
    left, found = sorted(members, key=lambda entry: entry.line), []
    for fits in (_same_line, _same_start, _nothing_there):
        for entry in [*left]:
            fitting = next((one for one in keys if fits(had.get(one), entry)), None)
            if fitting is not None:
                keys.remove(fitting)
                left.remove(entry)
                found.append(entry._replace(key=fitting))
    return found


def _same_line(before: Entry | None, entry: Entry) -> bool:
    return before is not None and before.line == entry.line


def _same_start(before: Entry | None, entry: Entry) -> bool:
    return before is not None and before.start == entry.start


def _nothing_there(before: Entry | None, _entry: Entry) -> bool:
    return before is None
