"""Output to standard output, and to files that are written whole or not at all."""

import errno
import gzip
import io
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from cdrctl.errors import OutputError
from cdrctl.writers.output import output
from tests.support.products import for_each
from tests.writers.output_kit import NO_STDOUT, names, run

# Standard output


@pytest.mark.parametrize("path", [None, "-"])
def test_no_path_and_a_dash_are_standard_output(path: str | None) -> None:
    stdout = io.BytesIO()
    with output(path, stdout) as out:
        assert out.write(b"a\n") == 2
        out.write(b"b\n")
    assert stdout.getvalue() == b"a\nb\n"
    assert not stdout.closed


def test_every_write_to_standard_output_is_flushed(tmp_path: Path) -> None:
    with (tmp_path / "stdout").open("wb") as stdout, output(None, stdout) as out:
        out.write(b"a\n")
        assert (tmp_path / "stdout").read_bytes() == b"a\n"


def test_standard_output_is_not_closed_with_the_stream() -> None:
    stdout = io.BytesIO()
    with output(None, stdout) as out:
        io.TextIOWrapper(out).close()
    assert not stdout.closed


@pytest.mark.process
@pytest.mark.parametrize("path", [None, "/dev/stdout"])
def test_a_closed_pipe_passes_unchanged(path: str | None) -> None:
    """`| head -1` is not an error: the command line ends quietly."""
    code = """
try:
    with output(eval(sys.argv[1]), sys.stdout.buffer) as out:
        while True:
            out.write(b"x" * 100_000)
except BrokenPipeError:
    sys.stdout = None
    sys.exit(42)
"""
    reading, writing = os.pipe()
    os.close(reading)
    done = run(code, repr(path), stdout=writing)
    os.close(writing)
    assert done.returncode == 42, done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_standard_output_on_a_full_disk_is_an_output_error() -> None:
    stdout = Path("/dev/full").open("wb")  # noqa: SIM115 - closing it fails as well
    with pytest.raises(OutputError) as caught, output(None, stdout) as out:
        out.write(b"a\n")
    with suppress(OSError):
        stdout.close()
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.__cause__.errno == errno.ENOSPC
    assert caught.value.hint


# Files: whole or not at all


def test_a_file_appears_when_the_block_has_ended(tmp_path: Path) -> None:
    with output(str(tmp_path / "calls.csv"), NO_STDOUT) as out:
        out.write(b"a\n")
        assert not (tmp_path / "calls.csv").exists()
        out.write(b"b\n")
    assert (tmp_path / "calls.csv").read_bytes() == b"a\nb\n"
    assert names(tmp_path) == ["calls.csv"]


def test_the_temporary_file_is_hidden_and_does_not_have_the_name_of_the_output(tmp_path: Path) -> None:
    with output(str(tmp_path / "acme.csv"), NO_STDOUT):
        (name,) = names(tmp_path)
        assert name.startswith(".")
        assert "acme" not in name


def test_a_name_may_be_as_long_as_the_file_system_allows(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 255)
    with output(str(path), NO_STDOUT) as out:
        out.write(b"a")
    assert path.read_bytes() == b"a"


def test_a_bare_file_name_is_in_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with output("calls.csv", NO_STDOUT) as out:
        out.write(b"a")
    assert names(tmp_path) == ["calls.csv"]


class StoppedError(Exception):
    pass


@for_each("kind", [StoppedError, KeyboardInterrupt, SystemExit, ConnectionResetError, BrokenPipeError])
@for_each("name", ["calls.csv", "calls.csv.gz", "new.csv"])
def test_an_exception_leaves_the_old_file_and_no_temporary_file(
    kind: type[BaseException], name: str, tmp_path: Path
) -> None:
    """It is raised unchanged: an OSError of the fetcher is not an error of the file."""
    for old in ("calls.csv", "calls.csv.gz"):
        (tmp_path / old).write_bytes(b"old")
    with pytest.raises(kind), output(str(tmp_path / name), NO_STDOUT) as out:  # noqa: PT012 - after half a file
        out.write(b"new" * 100_000)
        raise kind
    assert names(tmp_path) == ["calls.csv", "calls.csv.gz"]
    assert {path.read_bytes() for path in tmp_path.iterdir()} == {b"old"}


def test_an_abandoned_stream_leaves_the_old_file_and_no_temporary_file(tmp_path: Path) -> None:
    def half() -> Iterator[None]:
        with output(str(tmp_path / "calls.csv"), NO_STDOUT) as out:
            out.write(b"new")
            yield

    (tmp_path / "calls.csv").write_bytes(b"old")
    running = half()
    next(running)
    running.close()  # type: ignore[attr-defined]  # a generator has it: GeneratorExit
    assert names(tmp_path) == ["calls.csv"]
    assert (tmp_path / "calls.csv").read_bytes() == b"old"


@pytest.mark.parametrize("name", [None, "pipe"])
def test_an_os_error_of_the_block_is_raised_unchanged(name: str | None, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reading = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    path = None if name is None else str(tmp_path / name)
    with pytest.raises(ConnectionResetError), output(path, io.BytesIO()) as out:  # noqa: PT012
        out.write(b"x")
        raise ConnectionResetError
    os.close(reading)


def test_a_file_is_synced_before_it_is_renamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def recorded_fsync(number: int) -> None:
        found = os.fstat(number)
        events.append("folder" if stat.S_ISDIR(found.st_mode) else f"file of {found.st_size}")
        fsync(number)

    def recorded_replace(path: Path, target: Path) -> Path:
        events.append("rename")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", recorded_fsync)
    monkeypatch.setattr(Path, "replace", recorded_replace)
    with output(str(tmp_path / "calls.csv"), NO_STDOUT) as out:
        out.write(b"abc")
    assert events == ["file of 3", "rename", "folder"]


def test_a_system_that_cannot_sync_folders_is_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_folders(path: Path, flags: int, mode: int = 0o777) -> int:
        if Path(path).is_dir():
            raise PermissionError(errno.EACCES, "folders cannot be opened")
        return opened(path, flags, mode)

    opened = os.open
    monkeypatch.setattr(os, "open", no_folders)
    with output(str(tmp_path / "calls.csv"), NO_STDOUT) as out:
        out.write(b"abc")
    assert names(tmp_path) == ["calls.csv"]


# Compression


def test_gz_is_compressed_and_reproducible(tmp_path: Path) -> None:
    paths = [tmp_path / "a.csv.gz", tmp_path / "another.csv.GZ"]
    for path in paths:
        with output(str(path), NO_STDOUT) as out:
            assert out.write(b"a,b\n" * 10_000) == 40_000
            out.write(b"end\n")
    first, second = (path.read_bytes() for path in paths)
    assert gzip.decompress(first) == b"a,b\n" * 10_000 + b"end\n"
    assert first == second
    assert len(first) < 1_000
    assert first[:8] == b"\x1f\x8b\x08\x00\x00\x00\x00\x00"  # no flags, so no file name; no time


def test_gz_without_content_is_a_valid_empty_gzip_file(tmp_path: Path) -> None:
    with output(str(tmp_path / "calls.csv.gz"), NO_STDOUT):
        pass
    assert gzip.decompress((tmp_path / "calls.csv.gz").read_bytes()) == b""
