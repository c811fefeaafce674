"""Renew the generated parts of all pages: python -m tools.docs."""

from __future__ import annotations

from tools.docs.parts import pages, renew

for path in pages():
    path.write_text(renew(path.read_text(encoding="utf-8")), encoding="utf-8")
