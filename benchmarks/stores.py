"""An object store on this machine: `python -m benchmarks.stores serve`, or `copy DIR URL` to fill a prefix of it.

`serve` prints the address of a store with an empty bucket, and ends when its standard input does.
"""

from __future__ import annotations

import http.client
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

BUCKET = "bench"
ENVIRON = {
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_REGION": "us-east-1",
    "AWS_ALLOW_HTTP": "true",
}


def serve() -> None:
    """Run a store until standard input ends."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    connection = http.client.HTTPConnection(host, port)
    connection.request("PUT", f"/{BUCKET}")
    connection.getresponse().read()
    print(f"http://{host}:{port}", flush=True)
    sys.stdin.read()
    server.stop()


def copy(folder: Path, url: str) -> None:
    """Copy an archive to a prefix, without its locks."""
    import obstore
    from obstore.store import from_url

    store = from_url(url)
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix != ".lock":
            obstore.put(store, path.relative_to(folder).as_posix(), path.read_bytes())


def main(words: Sequence[str]) -> None:
    """Do what the command line says."""
    if words[0] == "serve":
        serve()
    else:
        copy(Path(words[1]), words[2])


if __name__ == "__main__":
    main(sys.argv[1:])
