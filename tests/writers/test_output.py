import errno
import gzip
import io
import os
import resource
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from cdrctl.errors import OutputError
from cdrctl.writers.output import check, output

NO_STDOUT = io.BytesIO()


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0o027)
    yield
    os.umask(before)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def run(code: str, *arguments: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
    program = f"import sys\nfrom cdrctl.writers.output import check, output\n{code}"
    return subprocess.run([sys.executable, "-c", program, *arguments], check=False, stderr=subprocess.PIPE, **options)


# Standard output


@pytest.mark.parametrize("path", [None, "-"])
def test_no_path_and_a_dash_are_standard_output(path: str | None) -> None:
    stdout = io.BytesIO()
    with output(path, stdout) as out:
        assert out.write(b"a\n") == 2
        out.write(b"b\n")
    assert stdout.getvalue() == b"a\nb\n"
    assert not stdout.closed


def test_every_write_to_standard_output_is_seen_at_once(tmp_path: Path) -> None:
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
    """`| head -1` is no error: the command line ends quietly."""
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
    assert caught.value.message == "cannot write standard output: the disk is full"
    assert caught.value.hint == "free disk space, or name another place with -o"


# A file: whole or not at all


def test_a_file_is_there_when_the_block_has_ended_and_not_before(tmp_path: Path) -> None:
    with output(str(tmp_path / "calls.csv"), NO_STDOUT) as out:
        out.write(b"a\n")
        assert not (tmp_path / "calls.csv").exists()
        out.write(b"b\n")
    assert (tmp_path / "calls.csv").read_bytes() == b"a\nb\n"
    assert names(tmp_path) == ["calls.csv"]


def test_the_temporary_is_hidden_beside_it_and_tells_nothing(tmp_path: Path) -> None:
    with output(str(tmp_path / "acme.csv"), NO_STDOUT):
        (name,) = names(tmp_path)
        assert name.startswith(".")
        assert "acme" not in name


def test_a_name_may_be_as_long_as_the_file_system_allows(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 255)
    with output(str(path), NO_STDOUT) as out:
        out.write(b"a")
    assert path.read_bytes() == b"a"


def test_a_file_in_the_current_folder_needs_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with output("calls.csv", NO_STDOUT) as out:
        out.write(b"a")
    assert names(tmp_path) == ["calls.csv"]


class StoppedError(Exception):
    pass


@pytest.mark.parametrize("kind", [StoppedError, KeyboardInterrupt, SystemExit, ConnectionResetError, BrokenPipeError])
@pytest.mark.parametrize("name", ["calls.csv", "calls.csv.gz", "new.csv"])
def test_an_exception_leaves_the_old_file_and_no_temporary(
    kind: type[BaseException], name: str, tmp_path: Path
) -> None:
    """And it passes unchanged: an OSError of the fetcher is no error of the file."""
    for old in ("calls.csv", "calls.csv.gz"):
        (tmp_path / old).write_bytes(b"old")
    with pytest.raises(kind), output(str(tmp_path / name), NO_STDOUT) as out:  # noqa: PT012 - after half a file
        out.write(b"new" * 100_000)
        raise kind
    assert names(tmp_path) == ["calls.csv", "calls.csv.gz"]
    assert {path.read_bytes() for path in tmp_path.iterdir()} == {b"old"}


def test_a_stream_that_is_let_go_leaves_the_old_file_and_no_temporary(tmp_path: Path) -> None:
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
def test_an_os_error_of_the_block_passes_where_no_file_is_replaced(name: str | None, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reading = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    path = None if name is None else str(tmp_path / name)
    with pytest.raises(ConnectionResetError), output(path, io.BytesIO()) as out:  # noqa: PT012
        out.write(b"x")
        raise ConnectionResetError
    os.close(reading)


def test_a_file_is_on_the_disk_before_it_gets_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_a_system_that_cannot_sync_folders_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_gz_is_compressed_and_the_same_bytes_every_time(tmp_path: Path) -> None:
    paths = [tmp_path / "a.csv.gz", tmp_path / "another.csv.GZ"]
    for path in paths:
        with output(str(path), NO_STDOUT) as out:
            assert out.write(b"a,b\n" * 10_000) == 40_000
            out.write(b"end\n")
    first, second = (path.read_bytes() for path in paths)
    assert gzip.decompress(first) == b"a,b\n" * 10_000 + b"end\n"
    assert first == second
    assert len(first) < 1_000
    assert first[:8] == b"\x1f\x8b\x08\x00\x00\x00\x00\x00"  # no flags, so no name; no time


def test_gz_of_nothing_is_an_empty_gzip_file(tmp_path: Path) -> None:
    with output(str(tmp_path / "calls.csv.gz"), NO_STDOUT):
        pass
    assert gzip.decompress((tmp_path / "calls.csv.gz").read_bytes()) == b""


# Permissions and links


@pytest.mark.usefixtures("umask")
def test_a_new_file_gets_what_the_umask_leaves(tmp_path: Path) -> None:
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


def test_what_replaces_a_private_file_was_never_open_to_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_a_symlink_stays_and_what_it_points_to_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "calls.csv").write_bytes(b"old")
    link = tmp_path / "latest.csv"
    link.symlink_to(Path("real") / "calls.csv")
    with output(str(link), NO_STDOUT) as out:
        out.write(b"new")
        assert len(names(tmp_path / "real")) == 2  # the temporary is beside what is replaced
    assert link.is_symlink()
    assert (tmp_path / "real" / "calls.csv").read_bytes() == b"new"


def test_a_symlink_to_nothing_yet_creates_what_it_points_to(tmp_path: Path) -> None:
    (tmp_path / "latest.csv").symlink_to("calls.csv")
    with output(str(tmp_path / "latest.csv"), NO_STDOUT) as out:
        out.write(b"new")
    assert (tmp_path / "latest.csv").is_symlink()
    assert (tmp_path / "calls.csv").read_bytes() == b"new"


# What is no file


def test_a_device_is_written_directly() -> None:
    """Tried on a terminal of our own: were /dev/null renamed over by mistake, the whole machine would suffer."""
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
    """It is not standard output: nobody ended it with `| head`."""
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
    """What the shell opened is appended to, not replaced."""
    code = "with output('/dev/stdout', sys.stdout.buffer) as out: out.write(b'a')"
    with (tmp_path / "log").open("wb") as log:
        log.write(b"before ")
        log.flush()
        run(code, stdout=log)
        log.write(b" after")
    assert (tmp_path / "log").read_bytes() == b"before  after"[:7] + b"a" + b" after"
    assert names(tmp_path) == ["log"]


# What cannot be written


def refused(path: str, data: bytes = b"x") -> OutputError:
    with pytest.raises(OutputError) as caught, output(path, NO_STDOUT) as out:
        out.write(data)
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.hint
    return caught.value


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    path = str(tmp_path / "missing" / "calls.csv")
    assert refused(path).message == f"cannot write {path}: its folder does not exist"


def test_it_is_refused_before_the_block_begins(tmp_path: Path) -> None:
    """Not after an hour of requests."""
    begun: list[BinaryIO] = []
    with pytest.raises(OutputError), output(str(tmp_path / "missing" / "calls.csv"), NO_STDOUT) as out:
        begun.append(out)
    assert begun == []


@pytest.mark.parametrize("ending", ["", "/"])
def test_a_folder_is_not_replaced(ending: str, tmp_path: Path) -> None:
    path = f"{tmp_path}{ending}"
    assert refused(path).message == f"cannot write {path}: it is a folder"
    assert names(tmp_path) == []


def test_a_name_that_ends_like_a_folder_is_one(tmp_path: Path) -> None:
    path = f"{tmp_path}/missing/"
    assert refused(path).message == f"cannot write {path}: it is a folder"
    assert names(tmp_path) == []


def test_a_file_in_the_place_of_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    path = str(tmp_path / "file" / "calls.csv")
    assert refused(path).message == f"cannot write {path}: its folder is a file"


def test_what_we_have_no_words_for_is_said_in_those_of_the_system(tmp_path: Path) -> None:
    path = tmp_path / "calls.csv"
    path.symlink_to(path)
    assert refused(str(path)).message == f"cannot write {path}: {os.strerror(errno.ELOOP)}"


def test_a_name_that_is_too_long_is_refused(tmp_path: Path) -> None:
    assert refused(str(tmp_path / ("x" * 300))).message.endswith("the name is too long")


def test_a_folder_that_may_not_be_written_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    if os.access(tmp_path, os.W_OK):
        pytest.skip("this user, root perhaps, writes everywhere")
    assert refused(str(tmp_path / "calls.csv")).message.endswith("no permission")
    tmp_path.chmod(0o700)


def test_a_file_that_may_not_be_written_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Renaming over it would not ask."""
    path = tmp_path / "calls.csv"
    path.write_bytes(b"old")
    path.chmod(0o400)
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)  # what a user gets, also where root tests
    assert refused(str(path)).message == f"cannot write {path}: no permission"
    assert path.read_bytes() == b"old"


@pytest.mark.parametrize("step", ["fsync", "replace", "fchmod"])
def test_an_error_of_the_last_steps_leaves_the_old_file_and_no_temporary(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "calls.csv"
    path.write_bytes(b"old")
    path.chmod(0o666)  # more than the umask leaves

    def broken(*_: Any) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(Path if step == "replace" else os, step, broken)
    assert refused(str(path)).message == f"cannot write {path}: the disk reports an error"
    assert names(tmp_path) == ["calls.csv"]
    assert path.read_bytes() == b"old"


@pytest.mark.process
@pytest.mark.usefixtures("no_half_bytecode")
@pytest.mark.parametrize("name", ["calls.csv", "calls.csv.gz"])
@pytest.mark.parametrize("size", [5_000, 50_000])
def test_a_file_that_may_not_grow_leaves_the_old_one_and_no_temporary(size: int, name: str, tmp_path: Path) -> None:
    """A disk that is full says so at a write, or only when the last buffer is written at the end."""
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


def test_what_cannot_be_written_can_be_known_beforehand(tmp_path: Path) -> None:
    check(str(tmp_path / "new.csv"))
    for path in (tmp_path / "nowhere" / "new.csv", tmp_path):
        with pytest.raises(OutputError):
            check(str(path))
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_somebody_guessed_is_not_written_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "urandom", bytes)
    (tmp_path / "theirs").write_bytes(b"theirs")
    (tmp_path / f".cdrctl-{bytes(8).hex()}.part").symlink_to("theirs")
    with pytest.raises(OutputError), output(str(tmp_path / "calls.csv"), NO_STDOUT) as out:
        out.write(b"ours")
    assert (tmp_path / "theirs").read_bytes() == b"theirs"


@pytest.mark.parametrize(("name", "why"), [("no/calls.csv", "its folder does not exist"), ("", "it is a folder")])
def test_a_path_is_checked_before_anything_is_begun(tmp_path: Path, name: str, why: str) -> None:
    with pytest.raises(OutputError, match=why):
        check(str(tmp_path / name))
    check(str(tmp_path / "calls.csv"))
    assert names(tmp_path) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no full device here")
def test_a_full_device_is_said_and_said_once() -> None:
    """What could not be written is still in the file's buffer when it is closed."""
    with pytest.raises(OutputError, match="the disk is full"), output("/dev/full", NO_STDOUT) as out:
        out.write(b"a")


def test_what_was_written_to_a_pipe_before_comes_before() -> None:
    reading, writing = os.pipe()
    with open(reading, "rb") as pipe:  # noqa: PTH123 - a descriptor has no path
        with open(writing, "wb") as stdout:  # noqa: PTH123 - as above
            stdout.write(b"before\n")
            with output(None, stdout) as out:
                out.write(b"after\n")
        assert pipe.read() == b"before\nafter\n"


def test_a_standard_output_that_is_closed_is_no_file(tmp_path: Path) -> None:
    stdout = (tmp_path / "stdout").open("wb")
    stdout.close()
    (tmp_path / "calls.csv").write_bytes(b"old")
    with output(str(tmp_path / "calls.csv"), stdout) as out:
        out.write(b"new")
    assert (tmp_path / "calls.csv").read_bytes() == b"new"
