"""A run of sync that a signal ends is reported like any other."""

from __future__ import annotations

import json
import signal

import pytest

from cdrctl.fetchers import PROVIDERS
from tests.cli.host_kit import INT, SOON, TERM, heeded_signals, host, provider
from tests.support.checks import checks
from tests.support.host import Host, Stalling, ended

__all__ = ["heeded_signals", "host", "provider"]  # fixtures

pytestmark = pytest.mark.process


@pytest.mark.parametrize("number", [INT, TERM])
def test_status_metrics_and_ping_say_that_it_was_interrupted(
    host: Host, provider: Stalling, number: signal.Signals
) -> None:
    host.configure({name: provider.settings(name) for name in PROVIDERS})
    provider.stall(*PROVIDERS, nth=2)
    with checks() as service:
        started = host.start(
            *("sync", "--all", "--into", "archive", "--ping", service.url),
            *("--status", "run.json", "--metrics", "run.prom"),
        )
        with ended(started) as running:
            provider.wait(len(PROVIDERS))
            running.send_signal(number)
            assert running.wait(SOON) == 130
        assert service.paths == ["/start", "/fail"]
    found = json.loads((host.folder / "run.json").read_bytes())
    assert found["exit_code"] == found["error"]["code"] == 130
    assert {call["exit_code"] for call in found["calls"]} == {130}
    assert "cdrctl_run_exit_code{" in (host.folder / "run.prom").read_text()
