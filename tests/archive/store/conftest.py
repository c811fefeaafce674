"""A store on this machine, behind a proxy that notes the requests."""

from __future__ import annotations

import itertools
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from cdrctl.archive.places import close_mirrors
from tests.archive.store import google
from tests.archive.store.proxy import Proxy, proxy_to

BUCKET = "calls"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "hidden-secret", "AWS_REGION": "us-east-1"}
AZURITE = {
    "AZURE_STORAGE_ACCOUNT_NAME": "devstoreaccount1",
    "AZURE_STORAGE_ACCOUNT_KEY": "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq"
    "/K1SZFPTOtr/KBHBeksoGMGw==",
    "AZURE_ALLOW_HTTP": "true",
}
"""The account of every Azurite, which its documents name."""
SCHEME = os.environ.get("TESTS_STORE", "s3")
"""The kind of store. `gs` is an imitation, `az` the Azurite at TESTS_AZURITE, which has an empty container `calls`."""
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
        stores: Any = import_module("obstore.store")
        options = {name.lower(): value for name, value in variables(self.url, self.endpoint).items()}
        options = {name: value for name, value in options.items() if not name.endswith("allow_http")}
        return stores.from_url(self.url, config=options, client_options={"allow_http": True})


def variables(url: str, address: str) -> dict[str, str]:
    """Return the variables with which cdrctl finds a store at an address of this machine."""
    if url.startswith("gs:"):
        return google.variables(address)
    if url.startswith("az:"):
        return {**AZURITE, "AZURE_STORAGE_ENDPOINT": f"{address}/{AZURITE['AZURE_STORAGE_ACCOUNT_NAME']}"}
    return {**CREDENTIALS, "AWS_ENDPOINT_URL": address, "AWS_ALLOW_HTTP": "true"}


@contextmanager
def prefix_of(scheme: str, endpoint: str) -> Iterator[Store]:
    """Make an empty prefix in a store, for which the environment has the variables."""
    url = f"{scheme}://{BUCKET}/{next(_NUMBERS)}"
    with proxy_to(endpoint) as proxy, pytest.MonkeyPatch.context() as patch:
        environ = variables(url, proxy.url)
        for name, value in environ.items():
            patch.setenv(name, value)
        yield Store(url, endpoint, proxy, environ)
        close_mirrors()


@pytest.fixture(scope="session")
def endpoint() -> Iterator[str]:
    """The address of a store with an empty bucket."""
    pytest.importorskip("obstore", reason="pip install '.[store-test]'")
    if SCHEME == "gs":
        with google.serve() as address:
            yield address
        return
    if SCHEME == "az":
        yield os.environ["TESTS_AZURITE"]
        return
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
def store(endpoint: str) -> Iterator[Store]:
    """An empty prefix."""
    with prefix_of(SCHEME, endpoint) as made:
        yield made
