"""Decode legs with orjson and group them by one key: `python grouping.py KEY FIELD FILE`. It joins no links."""

import sys
from collections import defaultdict
from pathlib import Path

import orjson


def main() -> None:
    """Print the fields of each group as a line of JSON."""
    key, field, path = sys.argv[1:]
    groups = defaultdict(list)
    with Path(path).open("rb") as file:
        for line in file:
            record = orjson.loads(line)
            groups[record[key]].append(record[field])
    out = sys.stdout.buffer
    for name, found in groups.items():
        out.write(orjson.dumps({key: name, "legs": found}, option=orjson.OPT_APPEND_NEWLINE))


main()
