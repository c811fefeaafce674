"""`cdrctl` for a test, by a fork of a server that has loaded it: `python -I -S client.py ADDRESS TERMINAL WORDS`.

It hands over what a program gets from its parent process, and ends as the fork does. It runs the program itself if a
fork would differ: with other limits, with ignored signals, or at a terminal. With `own` for TERMINAL, however, the fork
has the terminal to itself, and with `other` it uses it like a file.

It is started for every command line, so it imports next to nothing: `signal` and `socket` would take twice as long as
everything else.
"""

import _signal as signal  # type: ignore[import-not-found]
import _socket as socket
import os
import resource
import sys

FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LIMITS = ("AS", "CORE", "CPU", "DATA", "FSIZE", "NOFILE", "NPROC", "STACK")
REFUSED = b"\xff\xff\xff\xff"
"""The server's answer if its forks would differ from this run."""


def limits() -> bytes:
    """Return the limits of this process."""
    return repr([resource.getrlimit(getattr(resource, f"RLIMIT_{name}")) for name in LIMITS]).encode()


def main() -> None:
    """Run a command line in a fork, or in this process."""
    address, terminal, *words = sys.argv[1:]
    with open("/proc/self/environ", "rb") as file:  # noqa: PTH123 - os.environ has what Python itself added
        environ = [one for one in file.read().split(b"\0") if one]
    at_a_terminal = not terminal and any(map(os.isatty, (0, 1, 2)))
    ignoring = any(signal.getsignal(number) == signal.SIG_IGN for number in FORWARDED)
    if not at_a_terminal and not ignoring:
        server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        status = asked(server, address, terminal, words, environ)
        server.close()
        if status is not None:
            end(status)
    variables = dict(one.split(b"=", 1) for one in environ)
    os.execve(sys.executable, [sys.executable, "-m", "tests.support.program", *words], variables)  # noqa: S606


def asked(server: socket.socket, address: str, terminal: str, words: list[str], environ: list[bytes]) -> "int | None":
    """Return how the fork ended, as `os.waitpid` does, or None if there is no fork."""
    try:
        server.connect(address)
        here = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return None

    def forward(number: int, _frame: object) -> None:
        try:  # noqa: SIM105 - contextlib takes long to load
            server.send(bytes([number]))
        except OSError:  # the fork has ended
            pass

    for number in FORWARDED:
        signal.signal(number, forward)
    mask = os.umask(0)
    os.umask(mask)
    given = [number for number in map(int, os.listdir("/proc/self/fd")) if inherited(number)]  # noqa: PTH208
    parts = [terminal.encode(), b"%d" % mask, limits(), b" ".join(b"%d" % number for number in given)]
    parts += [b"%d" % len(words), *map(os.fsencode, words), *environ]
    message = b"\0".join(parts)
    descriptors = b"".join(number.to_bytes(4, sys.byteorder) for number in (here, *given))
    size = len(message).to_bytes(4, sys.byteorder)
    server.sendmsg([size], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptors)])
    server.sendall(message)
    answer = server.recv(len(REFUSED), socket.MSG_WAITALL)
    if answer == REFUSED:
        return None
    if len(answer) < len(REFUSED):
        sys.exit("the server of forks has ended")
    return int.from_bytes(answer, sys.byteorder)


def inherited(number: int) -> bool:
    """Return whether a descriptor came from the parent process."""
    try:
        return os.get_inheritable(number)
    except OSError:  # the listing itself used a descriptor
        return False


def end(status: int) -> None:
    """End as the fork did."""
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        if -code not in {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


if __name__ == "__main__":
    main()
