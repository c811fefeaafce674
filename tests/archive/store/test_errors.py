"""What commands say, and how they exit, if a store cannot be used."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from cdrctl.archive.objects import MAX_WAIT
from tests.archive.store.conftest import BUCKET, CREDENTIALS, Store
from tests.support.clock import HandClock
from tests.support.runner import NOW, Ran, Shell

STATUS = ("archive", "status", "--into")


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.setenv(MAX_WAIT, "0")
    return Shell(tmp_path, HandClock(NOW))


def told(ran: Ran) -> str:
    """Return what a command said; it must not have said a secret."""
    assert CREDENTIALS["AWS_SECRET_ACCESS_KEY"] not in ran.err + ran.out
    assert "Traceback" not in ran.err
    return ran.err


@pytest.mark.thin
@pytest.mark.parametrize("words", [STATUS, ("sync", "sandbox", "-vv", "--into"), ("sql", "SELECT 1", "--from")])
@pytest.mark.parametrize(
    ("status", "code", "text"),
    [
        (403, 4, "refuses the credential, or the credential lacks a permission"),
        (503, 5, "is busy, or failed"),
        (400, 6, "refused the request"),
    ],
)
def test_an_answer_ends_the_command_with_its_code(
    store: Store, shell: Shell, words: tuple[str, ...], status: int, code: int, text: str
) -> None:
    store.proxy.fault = lambda _asked: status
    ran = shell.run(*words, store.url)
    assert (ran.code, text in told(ran)) == (code, True), ran.err


def test_a_store_out_of_reach_is_temporary(store: Store, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    ran = shell.run(*STATUS, store.url)
    assert (ran.code, "cannot be reached" in told(ran)) == (5, True)


def test_a_bucket_that_is_not_there_is_named(store: Store, shell: Shell) -> None:
    ran = shell.run(*STATUS, f"s3://no-{BUCKET}/x")
    assert (ran.code, "the store has no such bucket" in told(ran)) == (6, True)


def test_an_endpoint_without_tls_must_be_accepted(store: Store, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ALLOW_HTTP")
    ran = shell.run(*STATUS, store.url)
    assert (ran.code, "AWS_ALLOW_HTTP" in told(ran)) == (6, True)
    assert not store.proxy.requests


@pytest.mark.usefixtures("store")
def test_a_number_of_seconds_is_checked(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MAX_WAIT, "long")
    assert shell.run(*STATUS, "s3://bucket/x").code == 6


def test_the_missing_package_is_named(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obstore.store", None)
    ran = shell.run(*STATUS, "s3://bucket/x")
    assert (ran.code, "pip install 'cdrctl[store]'" in ran.err) == (6, True)


def test_a_profile_needs_a_package(shell: Shell, monkeypatch: pytest.MonkeyPatch, store: Store) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_PROFILE", "acme")
    monkeypatch.setitem(sys.modules, "boto3", None)
    ran = shell.run(*STATUS, store.url)
    assert (ran.code, "AWS_PROFILE" in told(ran)) == (6, True)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no limits of files")
def test_a_full_disk_ends_a_command_that_reads(store: Store, shell: Shell) -> None:
    import resource

    store.put("archive.toml", b'layout = 2\nzone = "UTC"\nformat = "jsonl"\n')
    store.put("_cdrctl/ledger/acme/cdrs.json", b" " * 10_000)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        ran = shell.run(*STATUS, store.url)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert ran.code == 8, ran.err
