"""Outputs that cannot be written are refused."""

import errno
import os
import resource
import subprocess
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from cdrctl.errors import OutputError
from cdrctl.writers.output import check, output
from tests.support.products import for_each
from tests.writers.output_kit import NO_STDOUT, names, run


def refused(path: str, data: bytes = b"x") -> OutputError:
    with pytest.raises(OutputError) as caught, output(path, NO_STDOUT) as out:
        out.write(data)
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.hint
    return caught.value


def errno_of(error: OutputError) -> int | None:
    return error.__cause__.errno if isinstance(error.__cause__, OSError) else None


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    path = str(tmp_path / "missing" / "calls.csv")
    assert refused(path).message == f"cannot write {path}: its folder does not exist"


def test_a_missing_folder_is_refused_before_the_block_begins(tmp_path: Path) -> None:
    """That is, before any request."""
    begun: list[BinaryIO] = []
    with pytest.raises(OutputError), output(str(tmp_path / "missing" / "calls.csv"), NO_STDOUT) as out:
        begun.append(out)
    assert begun == []


@pytest.mark.parametrize("ending", ["", "/"])
def test_a_folder_is_not_replaced(ending: str, tmp_path: Path) -> None:
    path = f"{tmp_path}{ending}"
    assert errno_of(refused(path)) == errno.EISDIR
    assert names(tmp_path) == []


def test_a_name_with_a_final_slash_is_refused_as_a_folder(tmp_path: Path) -> None:
    path = f"{tmp_path}/missing/"
    assert errno_of(refused(path)) == errno.EISDIR
    assert names(tmp_path) == []


def test_a_file_in_the_place_of_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    path = str(tmp_path / "file" / "calls.csv")
    assert refused(path).message == f"cannot write {path}: its folder is a file"


def test_an_unknown_error_has_the_system_message(tmp_path: Path) -> None:
    path = tmp_path / "calls.csv"
    path.symlink_to(path)
    assert refused(str(path)).message == f"cannot write {path}: {os.strerror(errno.ELOOP)}"


def test_a_name_that_is_too_long_is_refused(tmp_path: Path) -> None:
    assert errno_of(refused(str(tmp_path / ("x" * 300)))) == errno.ENAMETOOLONG


def test_a_folder_that_may_not_be_written_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    if os.access(tmp_path, os.W_OK):
        pytest.skip("this user, root perhaps, writes everywhere")
    assert errno_of(refused(str(tmp_path / "calls.csv"))) == errno.EACCES
    tmp_path.chmod(0o700)


def test_a_file_that_may_not_be_written_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rename would ignore the permissions of the file."""
    path = tmp_path / "calls.csv"
    path.write_bytes(b"old")
    path.chmod(0o400)
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)  # as a user, not as root
    assert errno_of(refused(str(path))) == errno.EACCES
    assert path.read_bytes() == b"old"


@for_each("step", ["fsync", "replace", "fchmod"])
def test_an_error_of_the_last_steps_leaves_the_old_file_and_no_temporary_file(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "calls.csv"
    path.write_bytes(b"old")
    path.chmod(0o666)  # wider than the umask allows

    def broken(*_: Any) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(Path if step == "replace" else os, step, broken)
    assert errno_of(refused(str(path))) == errno.EIO
    assert names(tmp_path) == ["calls.csv"]
    assert path.read_bytes() == b"old"


@pytest.mark.process
@pytest.mark.usefixtures("no_half_bytecode")
@pytest.mark.parametrize("name", ["calls.csv", "calls.csv.gz"])
@pytest.mark.parametrize("size", [5_000, 50_000])
def test_a_limit_on_file_sizes_leaves_the_old_file_and_no_temporary_file(size: int, name: str, tmp_path: Path) -> None:
    """A full disk shows at a write, or only when the last buffer is written at the end."""
    code = """
import os
from cdrctl.errors import OutputError
data = os.urandom(int(sys.argv[2]))
try:
    with output(sys.argv[1], sys.stdout.buffer) as out:
        out.write(data)
except OutputError as error:
    print(error.message)
"""
    path = tmp_path / name
    path.write_bytes(b"old")
    done = run(
        code,
        str(path),
        str(size),
        stdout=subprocess.PIPE,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4_000, 4_000)),
    )
    sentence = f"cannot write {path}: it exceeds the largest file size allowed\n"
    assert (done.stdout.decode(), done.stderr) == (sentence, b"")
    assert names(tmp_path) == [name]
    assert path.read_bytes() == b"old"


def test_an_unwritable_output_is_found_before_the_export(tmp_path: Path) -> None:
    check(str(tmp_path / "new.csv"))
    for path in (tmp_path / "nowhere" / "new.csv", tmp_path):
        with pytest.raises(OutputError):
            check(str(path))
    assert list(tmp_path.iterdir()) == []


def test_a_link_in_place_of_the_temporary_file_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "urandom", bytes)
    (tmp_path / "theirs").write_bytes(b"theirs")
    (tmp_path / f".cdrctl-{bytes(8).hex()}.part").symlink_to("theirs")
    with pytest.raises(OutputError), output(str(tmp_path / "calls.csv"), NO_STDOUT) as out:
        out.write(b"ours")
    assert (tmp_path / "theirs").read_bytes() == b"theirs"


@pytest.mark.parametrize(("name", "why"), [("no/calls.csv", "its folder does not exist"), ("", "it is a folder")])
def test_a_path_is_checked_before_the_export_begins(tmp_path: Path, name: str, why: str) -> None:
    with pytest.raises(OutputError, match=why):
        check(str(tmp_path / name))
    check(str(tmp_path / "calls.csv"))
    assert names(tmp_path) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no full device here")
def test_a_full_device_raises_one_error() -> None:
    """The rest of the data is still in the buffer of the file when it is closed, and fails again."""
    with pytest.raises(OutputError, match="the disk is full"), output("/dev/full", NO_STDOUT) as out:
        out.write(b"a")


def test_earlier_writes_to_a_pipe_come_first() -> None:
    reading, writing = os.pipe()
    with open(reading, "rb") as pipe:  # noqa: PTH123 - a descriptor has no path
        with open(writing, "wb") as stdout:  # noqa: PTH123 - as above
            stdout.write(b"before\n")
            with output(None, stdout) as out:
                out.write(b"after\n")
        assert pipe.read() == b"before\nafter\n"


def test_a_closed_standard_output_is_not_a_file(tmp_path: Path) -> None:
    stdout = (tmp_path / "stdout").open("wb")
    stdout.close()
    (tmp_path / "calls.csv").write_bytes(b"old")
    with output(str(tmp_path / "calls.csv"), stdout) as out:
        out.write(b"new")
    assert (tmp_path / "calls.csv").read_bytes() == b"new"
