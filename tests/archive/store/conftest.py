"""A store on this machine, behind a proxy that notes the requests."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cdrctl.archive.places import close_mirrors
from tests.archive.store.proxy import Proxy, proxy_to

BUCKET = "calls"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "hidden-secret", "AWS_REGION": "us-east-1"}
_NUMBERS = itertools.count(1)


@dataclass(frozen=True)
class Store:
    """A prefix of a bucket.

    Args:
        url: Its URL.
        endpoint: The address of the store.
        proxy: The proxy through which cdrctl reaches it.
        environ: The variables with which cdrctl finds it.
    """

    url: str
    endpoint: str
    proxy: Proxy
    environ: dict[str, str]

    def objects(self) -> dict[str, bytes]:
        """Return what is in the store, without the proxy."""
        import obstore

        store = self.client()
        names = [one["path"] for part in obstore.list(store) for one in part]
        return {name: bytes(obstore.get(store, name).bytes()) for name in sorted(names)}

    def put(self, name: str, content: bytes) -> None:
        """Write an object, as another program does."""
        import obstore

        obstore.put(self.client(), name, content)

    def remove(self, name: str) -> None:
        """Remove an object, as another program does."""
        import obstore

        obstore.delete(self.client(), name)

    def copy_to(self, folder: Path) -> Path:
        """Copy the objects to a folder."""
        for name, content in self.objects().items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return folder

    def copy_from(self, folder: Path) -> None:
        """Copy the files of a folder."""
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.suffix != ".lock":
                self.put(path.relative_to(folder).as_posix(), path.read_bytes())

    def client(self) -> Any:
        """Return a client that does not use the proxy."""
        from obstore.store import S3Store

        bucket, _, prefix = self.url.removeprefix("s3://").partition("/")
        return S3Store(
            bucket,
            prefix=prefix,
            endpoint=self.endpoint,
            access_key_id="key",
            secret_access_key="hidden-secret",
            region="us-east-1",
            client_options={"allow_http": True},
        )


@pytest.fixture(scope="session")
def endpoint() -> Iterator[str]:
    """The address of a store with an empty bucket."""
    pytest.importorskip("obstore", reason="pip install '.[store-test]'")
    server = pytest.importorskip("moto.server", reason="pip install '.[store-test]'")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in CREDENTIALS.items():
            patch.setenv(name, value)
        running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        running.start()
        host, port = running.get_host_and_port()
        import http.client

        connection = http.client.HTTPConnection(host, port)
        connection.request("PUT", f"/{BUCKET}")
        assert connection.getresponse().status == 200
        connection.close()
        yield f"http://{host}:{port}"
        running.stop()


@pytest.fixture
def store(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """An empty prefix."""
    with proxy_to(endpoint) as proxy:
        environ = {**CREDENTIALS, "AWS_ENDPOINT_URL": proxy.url, "AWS_ALLOW_HTTP": "true"}
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        yield Store(f"s3://{BUCKET}/{next(_NUMBERS)}", endpoint, proxy, environ)
        close_mirrors()
