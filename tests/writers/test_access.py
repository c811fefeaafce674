"""The replacement of a file keeps its owner, group and permissions, or is readable by fewer users."""

from __future__ import annotations

import io
import os
import stat
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from cdrctl.archive.store import replace_file
from cdrctl.writers.output import destination, output
from tests.support.users import STRANGER, as_user, needs_root

OTHER = 12346
POSIX = pytest.mark.skipif(os.name == "nt", reason="Windows has no owners, groups and modes")


def access(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)


def by_stream(path: Path) -> None:
    with output(str(path), io.BytesIO()) as out:
        out.write(b"new")


def by_database(path: Path) -> None:
    path.write_bytes(b"")
    with destination(str(path), io.BytesIO(), database=True) as made:
        assert isinstance(made, Path)
        made.write_bytes(b"new")


def by_archive(path: Path) -> None:
    replace_file(path, b"new")


each_way = pytest.mark.parametrize("write", [by_stream, by_database, by_archive])


@pytest.mark.process
@needs_root
@each_way
@pytest.mark.parametrize("mode", [0o640, 0o600, 0o664, 0o604, 0o444])
def test_owner_group_and_permissions_are_kept(write: Callable[[Path], None], mode: int, tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_bytes(b"old")
    os.chown(path, STRANGER, OTHER)
    path.chmod(mode)
    write(path)
    assert path.read_bytes() == b"new"
    assert access(path) == (STRANGER, OTHER, mode)


@POSIX
@each_way
def test_the_new_file_is_private_until_it_has_the_permissions_of_the_old_one(
    write: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "r.csv"
    path.write_bytes(b"old")
    path.chmod(0o664)
    seen: list[int] = []
    for name in ("fchown", "fchmod"):
        real = getattr(os, name)

        def look(descriptor: int, *rest: int, real: Callable[..., None] = real) -> None:
            seen.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
            real(descriptor, *rest)

        monkeypatch.setattr(os, name, look)
    write(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o664
    if write is not by_database:  # it is in a private folder
        assert seen == [0o600] * len(seen) != []


@pytest.fixture
def folder() -> Iterator[Path]:
    """Return a folder that every user can reach; those of pytest are private."""
    with TemporaryDirectory() as made:
        yield Path(made)


WRITE = """
import io, sys
from cdrctl.writers.output import output
with output(sys.argv[1], io.BytesIO(), print) as out:
    out.write(b"new")
"""


@pytest.mark.process
@needs_root
@pytest.mark.parametrize(
    ("owner", "group", "mode", "groups", "expected"),
    [
        (STRANGER, OTHER, 0o640, [OTHER], (STRANGER, OTHER, 0o640)),
        (STRANGER, OTHER, 0o640, [], (STRANGER, STRANGER, 0o600)),
        (STRANGER, OTHER, 0o664, [], (STRANGER, STRANGER, 0o644)),
        (STRANGER, OTHER, 0o604, [], (STRANGER, STRANGER, 0o600)),
        (STRANGER, OTHER, 0o2666, [], (STRANGER, STRANGER, 0o666)),
        (OTHER, STRANGER, 0o660, [], (STRANGER, STRANGER, 0o660)),
        (OTHER, OTHER, 0o666, [], (STRANGER, STRANGER, 0o666)),
    ],
)
def test_a_file_gets_no_new_readers_if_its_owner_or_group_cannot_be_kept(
    owner: int, group: int, mode: int, groups: list[int], expected: tuple[int, int, int], folder: Path
) -> None:
    os.chown(folder, STRANGER, STRANGER)
    path = folder / "r.csv"
    path.write_bytes(b"old")
    os.chown(path, owner, group)
    path.chmod(mode)
    words = [*as_user(groups=groups), sys.executable, "-c", WRITE, str(path)]
    ran = subprocess.run(words, check=False, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert ran.returncode == 0, ran.stderr
    assert path.read_bytes() == b"new"
    assert access(path) == expected
    assert ("could not keep its" in ran.stdout) == (expected[:2] != (owner, group))


ACL = "system.posix_acl_access"
NOBODY = 2**32 - 1
ENTRIES = [(1, 6, NOBODY), (2, 4, OTHER), (4, 0, NOBODY), (16, 4, NOBODY), (32, 0, NOBODY)]
NAMED = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in ENTRIES)
"""Owner reads and writes, one other user reads, the group does nothing (acl(5), linux/posix_acl_xattr.h)."""


def with_attribute(path: Path, name: str, value: bytes) -> None:
    if not hasattr(os, "setxattr"):
        pytest.skip("this system has no extended attributes")
    try:
        os.setxattr(path, name, value)
    except OSError:
        pytest.skip("this file system has none of these")


def test_an_access_control_list_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_bytes(b"old")
    with_attribute(path, ACL, NAMED)
    by_stream(path)
    assert path.read_bytes() == b"new"
    assert os.getxattr(path, ACL) == NAMED


def test_the_default_access_list_of_a_folder_does_not_open_a_file_without_one(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_bytes(b"old")
    path.chmod(0o640)
    with_attribute(tmp_path, "system.posix_acl_default", NAMED)
    by_stream(path)
    assert ACL not in os.listxattr(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_other_attributes_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_bytes(b"old")
    with_attribute(path, "user.origin", b"billing")
    by_stream(path)
    assert os.getxattr(path, "user.origin") == b"billing"
