"""The next page is fetched in a thread. An export that fails stops this thread before it closes connections."""

from __future__ import annotations

import io
import json
import threading
from pathlib import Path

import httpx
import pytest

from cdrctl.cli.app import main
from cdrctl.cli.process import Process
from tests.support.clock import HandClock
from tests.support.runner import NOW


class Full(io.BytesIO):
    """Output that cannot be written."""

    def write(self, _data: object) -> int:
        raise OSError(28, "No space left on device")


class Endless(httpx.MockTransport):
    """A PBX with endless pages. It records the fetching threads that still run when the client is closed."""

    def __init__(self) -> None:
        super().__init__(self.answer)
        self.late: list[str] = []
        self.closed = False

    def answer(self, request: httpx.Request) -> httpx.Response:
        skip = int(request.url.params["skip"])
        items = [{"id": f"{skip + n}", "started_at": "2026-11-19T10:00:00Z"} for n in range(100)]
        return httpx.Response(200, json={"count": 10_000, "items": items})

    def close(self) -> None:
        self.closed = True
        self.late = [thread.name for thread in threading.enumerate() if thread.name == "cdrctl-fetch"]


@pytest.mark.parametrize("jobs", ["1", "4"])
def test_fetching_threads_end_before_the_connections_are_closed(jobs: str, tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    settings = {"provider": "portsip", "base_url": "http://127.0.0.1:9/api", "access_token": "sesame-sesame"}
    lines = "".join(f"{name} = {json.dumps(value)}\n" for name, value in settings.items())
    config.write_text(f"[profiles.acme]\n{lines}requests_per_minute = 0\n", encoding="utf-8")
    config.chmod(0o600)
    transport = Endless()
    err = io.StringIO()
    world = Process(
        environ={"CDRCTL_CONFIG": str(config)},
        stdin=io.StringIO(),
        stdout=Full(),
        stderr=err,
        stdin_is_terminal=False,
        stdout_is_terminal=False,
        stderr_is_terminal=False,
        width=80,
        clock=HandClock(NOW).clock,
        transport=transport,
    )
    words = ["portsip", "cdrs", "--since", "2026-11-19", "--until", "2026-11-20", "-f", "jsonl", "--jobs", jobs]
    assert main(words, world) == 8, err.getvalue()
    assert transport.closed
    assert transport.late == []
