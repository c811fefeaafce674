"""Helpers that sign in with a browser."""

from __future__ import annotations

import subprocess

from tests.support.host import PATIENCE, ended, heard
from tests.support.signing import Office, decided, page_in, visited


def finished(running: subprocess.Popen[bytes]) -> tuple[int, bytes, bytes]:
    out, err = running.communicate(timeout=PATIENCE)
    return running.returncode, out, err


def signed_in(office: Office, *words: str) -> tuple[bytes, bytes]:
    """Sign in, and return the output."""
    with ended(office.login("--no-browser", *words)) as running:
        said = heard(running, b"Ctrl-C ends it")
        assert visited(decided(page_in(said))).status_code == 200
        code, out, err = finished(running)
    assert code == 0, err
    return out, said + err


def finished_with(running: subprocess.Popen[bytes], line: str) -> tuple[int, bytes, bytes]:
    out, err = running.communicate(line.encode() + b"\n", timeout=PATIENCE)
    return running.returncode, out, err


def office_paste(office: Office, line: str, *words: str) -> tuple[int, bytes, bytes]:
    with ended(office.login("--paste", *words, stdin=subprocess.PIPE)) as running:
        return finished_with(running, line)
