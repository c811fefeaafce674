"""Boxes and queues that a profile names: calls and figures know them, live and in an archive; options add to them."""

from __future__ import annotations

import csv
import io
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cdrctl import sandbox
from cdrctl.sandbox import Exchange
from tests.cli.archive_kit import configure
from tests.support.clock import HandClock
from tests.support.runner import Ran, Shell

NOW = datetime(2026, 11, 13, 12, 0, tzinfo=UTC)
WINDOW = ("--since", "2026-11-10", "--until", "2026-11-12")
SETTINGS = 'voicemail_numbers = ["3999"]\nqueues = ["3000"]\n'
STATS = ("stats", "-p", "portsip", *WINDOW, "--figures", "service_level", "-f", "csv")
pytestmark = pytest.mark.slow


def outcomes(ran: Ran) -> Counter[str]:
    return Counter(one["outcome"] for one in ran.ok().lines)


def figure(ran: Ran) -> dict[str, str]:
    (found,) = csv.DictReader(io.StringIO(ran.ok().out))
    return found


def test_a_profile_names_its_boxes_and_queues(tmp_path: Path) -> None:
    with sandbox.start(exchange=Exchange(1, volume=0.4), now=HandClock(NOW)) as providers:
        shell = Shell(tmp_path, HandClock(NOW))
        configure(shell, providers, "portsip")
        plain = shell.config.read_text(encoding="utf-8")
        sync = ("sync", "portsip", "--into", f"{tmp_path}/archive", "--since", "2026-11-10", "-q")
        shell.run(*sync).ok()
        calls = ("calls", "-p", "portsip", *WINDOW)
        archived = ("--from", f"{tmp_path}/archive")
        without = outcomes(shell.run(*calls))
        by_option = outcomes(shell.run(*calls, "--voicemail-number", "3999"))
        unnamed = figure(shell.run(*STATS))
        shell.config.write_text(plain.replace('provider = "portsip"\n', f'provider = "portsip"\n{SETTINGS}'))
        for more in ((), archived):
            assert outcomes(shell.run(*calls, *more)) == by_option != without
            named = figure(shell.run(*STATS, *more))
            assert int(named["denominator"]) > 0
            added = figure(shell.run(*STATS, *more, "--queue", "3001"))
            assert int(added["denominator"]) > int(named["denominator"])
        shown = shell.run("profile", "show", "portsip").ok().out
        environ = {"CDRCTL_PORTSIP_QUEUES": "3000,3001"}
        assert figure(shell.run(*STATS, *archived, **environ))["denominator"] == added["denominator"]
    assert unnamed["value"] == ""
    assert "voicemail_numbers" in shown
    assert "3999" in shown


def test_a_profile_of_another_provider_names_nothing_for_an_archive(tmp_path: Path) -> None:
    with sandbox.start(exchange=Exchange(1, volume=0.2), now=HandClock(NOW)) as providers:
        shell = Shell(tmp_path, HandClock(NOW))
        configure(shell, providers, "portsip")
        shell.run("sync", "portsip", "--into", f"{tmp_path}/archive", "--since", "2026-11-10", "-q").ok()
        calls = ("calls", "-p", "portsip", *WINDOW, "--from", f"{tmp_path}/archive")
        without = outcomes(shell.run(*calls))
        shell.config.write_text(f'[profiles.portsip]\nprovider = "webex"\naccess_token = "x"\n{SETTINGS}')
        assert outcomes(shell.run(*calls)) == without
