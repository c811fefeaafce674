"""The names of archives: folders, and URLs of stores."""

from __future__ import annotations

from pathlib import Path

import pytest

from cdrctl.archive.objects import checked_url
from cdrctl.archive.places import StoredPath, place_of
from cdrctl.errors import UsageError
from tests.support.products import for_each
from tests.support.runner import run


@for_each("name", ["archive", "s3:", "s3:/bucket", "C:\\x", "./s3://x", "./http://host/x", "/x/gs:/x"])
def test_other_names_are_folders(name: str) -> None:
    place = place_of(name)
    assert place == Path(name)
    assert not isinstance(place, StoredPath)


@pytest.mark.parametrize("name", ["http://host/x", "gcs://bucket/x", "FILE:///tmp/x", "wasb+s://x"])
def test_another_url_is_not_the_name_of_a_new_folder(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError):
        place_of(name)
    Path(name).mkdir(parents=True)  # one that an earlier version made
    assert place_of(name) == Path(name)


@for_each("name", ["s3://bucket/a/b", "S3://bucket/a/b/", "s3://bucket/a/b//"])
def test_a_url_has_one_spelling(name: str) -> None:
    assert checked_url(name) == "s3://bucket/a/b"


@for_each("name", ["s3://", "s3:///x", "gs://bucket/../x", "az://bucket/a//b"])
def test_a_url_names_a_bucket_and_a_prefix(name: str) -> None:
    with pytest.raises(UsageError):
        checked_url(name)


@for_each("name", ["s3://key:hidden@b/x", "s3://hidden@b", "s3://b/x?token=hidden", "s3://b#hidden"])
@for_each("words", ["coverage --into", "sync sandbox --into", "webex cdrs --from"])
def test_a_credential_in_a_url_is_refused_and_not_repeated(name: str, words: str) -> None:
    ran = run(*words.split(), name, "-vv")
    assert ran.code == 2
    assert "hidden" not in ran.err + ran.out
    assert "must not contain a credential" in ran.err
