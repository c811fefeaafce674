"""Permissions and links of output files, devices and pipes."""

import gzip
import os
import stat
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from cdrctl.errors import OutputError
from cdrctl.writers.output import output
from tests.writers.output_kit import NO_STDOUT, names, run


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0o027)
    yield
    os.umask(before)


# Permissions and links


@pytest.mark.usefixtures("umask")
def test_a_new_file_has_the_mode_of_the_umask(tmp_path: Path) -> None:
    with output(str(tmp_path / "calls.csv"), NO_STDOUT):
        pass
    assert stat.S_IMODE((tmp_path / "calls.csv").stat().st_mode) == 0o640


@pytest.mark.usefixtures("umask")
@pytest.mark.parametrize("mode", [0o600, 0o644, 0o666, 0o755])
def test_an_existing_file_keeps_its_mode(mode: int, tmp_path: Path) -> None:
    path = tmp_path / "calls.csv"
    path.touch()
    path.chmod(mode)
    with output(str(path), NO_STDOUT) as out:
        out.write(b"new")
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert path.read_bytes() == b"new"


def test_the_replacement_of_a_private_file_is_never_open_to_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modes: list[int] = []
    opened = os.open

    def recorded(path: str, flags: int, mode: int = 0o777) -> int:
        number = opened(path, flags, mode)
        modes.append(stat.S_IMODE(os.fstat(number).st_mode))
        return number

    path = tmp_path / "calls.csv"
    path.touch()
    path.chmod(0o600)
    monkeypatch.setattr(os, "open", recorded)
    with output(str(path), NO_STDOUT):
        pass
    assert modes[0] == 0o600


def test_the_target_of_a_symlink_is_replaced_and_not_the_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "calls.csv").write_bytes(b"old")
    link = tmp_path / "latest.csv"
    link.symlink_to(Path("real") / "calls.csv")
    with output(str(link), NO_STDOUT) as out:
        out.write(b"new")
        assert len(names(tmp_path / "real")) == 2  # the temporary file is beside the target
    assert link.is_symlink()
    assert (tmp_path / "real" / "calls.csv").read_bytes() == b"new"


def test_a_symlink_to_a_missing_file_creates_the_file(tmp_path: Path) -> None:
    (tmp_path / "latest.csv").symlink_to("calls.csv")
    with output(str(tmp_path / "latest.csv"), NO_STDOUT) as out:
        out.write(b"new")
    assert (tmp_path / "latest.csv").is_symlink()
    assert (tmp_path / "calls.csv").read_bytes() == b"new"


# Devices and pipes


def test_a_device_is_written_directly() -> None:
    """On our own terminal device: if /dev/null were replaced by mistake, the whole machine would suffer."""
    ours, theirs = os.openpty()
    with output(os.ttyname(theirs), NO_STDOUT) as out:
        out.write(b"a")
        assert os.read(ours, 10) == b"a"
    os.close(theirs)
    os.close(ours)


@pytest.mark.parametrize("name", ["pipe", "pipe.gz"])
def test_a_fifo_is_written_directly_and_at_once(name: str, tmp_path: Path) -> None:
    fifo = tmp_path / name
    os.mkfifo(fifo)
    got: list[bytes] = []
    some = threading.Event()

    def read() -> None:
        with fifo.open("rb", buffering=0) as file:
            while data := file.read(100_000):
                got.append(data)
                some.set()

    reader = threading.Thread(target=read)
    reader.start()
    with output(str(fifo), NO_STDOUT) as out:
        out.write(b"a\n" * 10)
        if name == "pipe":
            assert some.wait(10)
        out.write(b"b\n")
    reader.join(10)
    data = b"".join(got)
    assert (gzip.decompress(data) if name == "pipe.gz" else data) == b"a\n" * 10 + b"b\n"
    assert names(tmp_path) == [name]
    assert stat.S_ISFIFO(fifo.stat().st_mode)


def test_a_fifo_whose_reader_has_gone_is_an_output_error(tmp_path: Path) -> None:
    """It is not standard output, so the export was not ended by `| head`."""
    fifo = tmp_path / "pipe"
    os.mkfifo(fifo)
    reading = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    with pytest.raises(OutputError) as caught, output(str(fifo), NO_STDOUT) as out:  # noqa: PT012
        os.close(reading)
        out.write(b"a")
    assert caught.value.message == f"cannot write {fifo}: its reader has closed it"


@pytest.mark.process
@pytest.mark.parametrize("path", ["/dev/stdout", "/dev/fd/1"])
def test_dev_stdout_is_standard_output_when_it_is_a_pipe(path: str) -> None:
    code = "with output(sys.argv[1], sys.stdout.buffer) as out: out.write(b'a')"
    assert run(code, path, stdout=subprocess.PIPE).stdout == b"a"


@pytest.mark.process
def test_dev_stdout_is_standard_output_when_it_is_a_file(tmp_path: Path) -> None:
    """The file that the shell opened is appended to, not replaced."""
    code = "with output('/dev/stdout', sys.stdout.buffer) as out: out.write(b'a')"
    with (tmp_path / "log").open("wb") as log:
        log.write(b"before ")
        log.flush()
        run(code, stdout=log)
        log.write(b" after")
    assert (tmp_path / "log").read_bytes() == b"before  after"[:7] + b"a" + b" after"
    assert names(tmp_path) == ["log"]
