"""logfmt: one line of key=value pairs for each record, without those that are null."""

import json

from cdrctl.writers.values import columns_of, text_of, utf8


def write(schema, pages, out, look):
    """Write a line for each record, a page at a time."""
    names = [column.name for column in columns_of(schema)]
    for page in pages:
        for row in page:
            pairs = zip(names, map(text_of, row), strict=True)
            line = " ".join(f"{name}={json.dumps(text, ensure_ascii=False)}" for name, text in pairs if text)
            out.write(utf8(line + "\n"))
