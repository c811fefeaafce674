"""The file of a report: its name and its content."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from urllib.parse import urlsplit

from cdrctl.errors import ProviderError, TemporaryError
from cdrctl.fetchers.portsip.settings import TITLE, PortsipSettings
from cdrctl.http import Client, Request, same_origin
from cdrctl.records.events import File, Record, pick

_BLOB = re.compile(r"/api/blobs/(?!\.{1,2}\Z)[A-Za-z0-9._~:=+@-]{1,512}(\?[A-Za-z0-9._~:=+@&%-]{0,1024})?", re.ASCII)


def report_file(client: Client, settings: PortsipSettings, record: Record) -> File:
    """Return the file of a finished report.

    OpenAPI file of v22.2, "Download file blobs": it needs no token, so its URL is a secret, which is sent to no host
    but the PBX and printed in no message.
    """
    url, size = pick(record, "file_url"), pick(record, "file_size")
    parts = urlsplit(settings.base_url)
    whole = f"{parts.scheme}://{parts.netloc}{url}"
    if not isinstance(url, str) or not _BLOB.fullmatch(url) or not same_origin(settings.base_url, whole):
        raise ProviderError(
            f"the address of this report's file is not one of {TITLE}'s own; it was not followed",
            hint="its own addresses begin with /api/blobs/; download the file in the web portal",
        )

    def content() -> Iterator[bytes]:
        received = 0
        for piece in client.download(Request("GET", whole, headers={"Accept": "*/*"}, signed=False)):
            received += len(piece)
            yield piece
        if isinstance(size, int) and received < size:
            raise TemporaryError(f"the file broke off after {received} of {size} bytes", hint="run the command again")

    words = (pick(record, name) for name in ("file_name", "name", "id", "format"))
    shown = {key: value for key, value in record.items() if key.casefold() != "file_url"}  # a secret
    return File(safe_name(*(word if isinstance(word, str) else "" for word in words)), content(), shown)


# A name that any file system takes (Microsoft, "Naming Files, Paths, and Namespaces"; POSIX.1-2017, 3.170).
_FORBIDDEN = re.compile(r'[<>:"/\\|?*]')
_RESERVED = re.compile(
    r"(con|prn|aux|nul|clock\$|conin\$|conout\$|(com|lpt)[0-9\u00b9\u00b2\u00b3])\s*(\..*)?", re.IGNORECASE
)
_ENDINGS = {"CSV": (".csv",), "HTML": (".html", ".htm")}
LONGEST_NAME = 150
"""Bytes: every file system allows 255, and a temporary name takes some."""


def safe_name(given: str, name: str, key: str, form: str) -> str:
    """Return the PBX's name of a file if it is safe on every system, else a name of our own."""
    endings = _ENDINGS.get(form.upper(), ())
    harmless = (
        len(given.encode("utf-8", "replace")) <= LONGEST_NAME
        and given == given.strip()
        and not given.startswith((".", "-", "~"))
        and given.lower().endswith(tuple(endings))
        and not _FORBIDDEN.search(given)
        and not _RESERVED.fullmatch(given)
        # C: control and bidirectional characters, surrogates; Z: spaces other than U+0020.
        and not any(char != " " and unicodedata.category(char)[0] in "CZ" for char in given)
    )
    if endings and harmless:
        return given
    stem = "-".join(filter(None, ("report", _ascii_words(name, 80), _ascii_words(key, 40))))
    return stem + (endings[0] if endings else ".bin")


def _ascii_words(text: str, longest: int) -> str:
    """Return text in ASCII letters, digits and dashes."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9]+", "-", plain).strip("-")[:longest].strip("-")
