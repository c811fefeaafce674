"""An imitation of Google Cloud Storage: as much of its XML API as obstore uses, by Google's documents of it.

No package of an index has it: `gcp-storage-emulator` ignores the condition of a PUT, and `fake-gcs-server` refuses PUT.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit
from xml.sax.saxutils import escape

CONDITION = "x-goog-if-generation-match"
"""The header with the generation that must be there; 0 if none must."""
_TIME = "2026-11-20T20:00:00.000Z"


class Answer(NamedTuple):
    """What the store answers."""

    status: int
    headers: Mapping[str, str]
    content: bytes


class Held(NamedTuple):
    """An object: its content, and the generation that Google counts up with every write."""

    content: bytes
    generation: int

    def tag(self, quote: str = '"') -> str:
        """Return the tag of the content."""
        return f"{quote}{hashlib.md5(self.content, usedforsecurity=False).hexdigest()}{quote}"

    def headers(self) -> dict[str, str]:
        """Return the headers that tell its version."""
        modified = "Fri, 20 Nov 2026 20:00:00 GMT"
        return {"ETag": self.tag(), "x-goog-generation": str(self.generation), "Last-Modified": modified}


@dataclass(slots=True)
class Bucket:
    """The objects of a bucket.

    Args:
        quote: What is around the tags in a listing: nothing at Azure.
        objects: The objects by their keys.
    """

    quote: str
    objects: dict[str, Held] = field(default_factory=dict)

    def answer(self, method: str, key: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Answer a request for an object."""
        held = self.objects.get(key)
        there = held.generation if held else 0
        if int(headers.get(CONDITION, there)) != there:
            return _error(412, "PreconditionFailed")
        if method == "PUT":
            self.objects[key] = held = Held(body, (there or 1000) + 1)
            return Answer(200, held.headers(), b"")
        if held is None:
            return _error(404, "NoSuchKey")
        if method == "DELETE":
            del self.objects[key]
            return Answer(204, {}, b"")
        if headers.get("if-match", held.tag()) != held.tag():
            return _error(412, "PreconditionFailed")
        return Answer(200, held.headers(), held.content)

    def listing(self, asked: Mapping[str, str]) -> Answer:
        """Answer a request for a page of the keys with a prefix."""
        prefix, delimiter, most = asked.get("prefix", ""), asked.get("delimiter"), int(asked.get("max-keys", 1000))
        found: dict[str, str] = {}
        for key in sorted(self.objects):
            rest = key.removeprefix(prefix)
            if key.startswith(prefix) and key > asked.get("continuation-token", "") and len(found) <= most:
                if delimiter and delimiter in rest:
                    folder = prefix + rest.partition(delimiter)[0] + delimiter
                    found[folder] = f"<CommonPrefixes><Prefix>{escape(folder)}</Prefix></CommonPrefixes>"
                else:
                    found[key] = self._entry(key)
        shown = list(found)[:most]
        more = f"<NextContinuationToken>{escape(shown[-1])}</NextContinuationToken>" if len(found) > most else ""
        text = "".join(found[key] for key in shown)
        return Answer(200, {}, f"<ListBucketResult>{text}{more}</ListBucketResult>".encode())

    def _entry(self, key: str) -> str:
        held = self.objects[key]
        about = f"<ETag>{held.tag(self.quote)}</ETag><Size>{len(held.content)}</Size>"
        return f"<Contents><Key>{escape(key)}</Key><LastModified>{_TIME}</LastModified>{about}</Contents>"


def variables(address: str) -> dict[str, str]:
    """Return the variables with which obstore finds the imitation, without a sign-in."""
    key = {"gcs_base_url": address, "disable_oauth": True, "client_email": "", "private_key": "", "private_key_id": ""}
    return {"GOOGLE_SERVICE_ACCOUNT_KEY": json.dumps(key), "GOOGLE_ALLOW_HTTP": "true"}


@contextmanager
def serve(quote: str = '"') -> Iterator[str]:
    """Run a store with an empty bucket, and yield its address.

    Args:
        quote: What is around the tags in a listing: nothing at Azure.
    """
    bucket, lock = Bucket(quote), threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def handle_any(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(headers.get("content-length", 0)))
            parts = urlsplit(self.path)
            key = unquote(parts.path).lstrip("/").partition("/")[2]
            with lock:
                listing = dict(parse_qsl(parts.query))
                answer = bucket.answer(self.command, key, headers, body) if key else bucket.listing(listing)
            self.send_response_only(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if answer.status != 204:
                self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.content)

        do_GET = do_PUT = do_HEAD = do_DELETE = handle_any  # noqa: N815 - the names that http.server looks for

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that http.server uses
            """Write nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _error(status: int, code: str) -> Answer:
    return Answer(status, {}, f"<Error><Code>{code}</Code></Error>".encode())
