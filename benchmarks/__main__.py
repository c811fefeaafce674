"""`python -m benchmarks`: run cdrctl and its peers in turn, and print one Markdown table.

A server in its own process prepares the pages. The programs run in turn, equally often, so that other load on the
machine affects all of them. The ids that each program wrote are compared with those that were sent: a program that
failed has no figures.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from benchmarks import checks, groups as plan, report, stores
from benchmarks.groups import Group, Row, Server
from benchmarks.measure import ROOT, Measured, run
from benchmarks.server import HOURS
from benchmarks.wires import WIRES

PEERS = Path(__file__).parent / "peers"
PROGRAMS = ("bash", "curl", "jq")
PACKAGES = (
    "httpx",
    "pydantic",
    "typer",
    "orjson",
    "wxc-sdk",
    "dlt",
    "polars",
    "duckdb",
    "pyarrow",
    "xlsxwriter",
    "moto",
    "obstore",
)
VERSIONS = """\
import importlib.metadata, json, sys
found = {}
for name in sys.argv[1:]:
    try:
        found[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        pass
print(json.dumps(found))
"""


class FailedError(Exception):
    """A program failed, or its output is wrong."""


def log(text: str) -> None:
    """Print a line of progress on stderr."""
    print(text, file=sys.stderr, flush=True)


@dataclass(slots=True)
class Bench:
    """Where everything is, and what there is to compare.

    Args:
        folder: A temporary folder: home, configuration and output of every program.
        cdrctl: The words that start it.
        day: The day on which the calls began: one that every provider still has, whole.
        environ: The environment of every program.
        versions: Of the programs and packages that are there.
    """

    folder: Path
    cdrctl: list[str]
    day: date
    environ: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    _options: str | None = None
    _sent: dict[tuple[str, int, int], str] = field(default_factory=dict)
    _copied: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.environ = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.folder),
            "TMPDIR": str(self.folder),
            "LC_ALL": "C.UTF-8",
        }
        self.versions = json.loads(self.said(sys.executable, "-c", VERSIONS, *PACKAGES))
        for name in PROGRAMS:
            if shutil.which(name):
                version = re.search(r"\d[\d.]+", self.said(name, "--version"))
                self.versions[name] = version[0] if version else ""

    def said(self, *command: str) -> str:
        """Return the output of a helper program."""
        done = subprocess.run(command, cwd=ROOT, env=self.environ, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            raise FailedError(f"{shlex.join(command[:4])} … ended with {done.returncode}")
        return done.stdout.strip()

    def missing(self, row: Row) -> str | None:
        """Return the first missing requirement of a row, or None."""
        for name in row.needs:
            if name.startswith("--"):
                if self._options is None:
                    self._options = self.said(*self.cdrctl, "portsip", "cdrs", "--help")
                if name not in self._options:
                    return f"cdrctl has no {name} yet"
            elif name not in self.versions:
                return f"{name} is not installed"
        return None

    @contextmanager
    def serving(self, server: Server) -> Iterator[int]:
        """Run a server of made-up pages, and yield its port."""
        if server.call == "notifications":
            self._notifications(server)
            yield 0
            return
        command = [sys.executable, "-m", "benchmarks.server", *self._server_words(server)]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, cwd=ROOT, env=self.environ, stdin=pipe, stdout=pipe, text=True) as process:
            assert process.stdin  # noqa: S101 - it is a pipe
            assert process.stdout  # noqa: S101 - as above
            port = process.stdout.readline()
            if not port:
                raise FailedError("the server did not start")
            self._configure(server, int(port))
            yield int(port)
            process.stdin.close()

    @contextmanager
    def storing(self) -> Iterator[None]:
        """Run an empty object store, which every program finds."""
        command, pipe = [sys.executable, "-m", "benchmarks.stores", "serve"], subprocess.PIPE
        with subprocess.Popen(command, cwd=ROOT, env=self.environ, stdin=pipe, stdout=pipe, text=True) as process:
            assert process.stdin  # noqa: S101 - it is a pipe
            assert process.stdout  # noqa: S101 - as above
            self._copied.clear()
            self.environ |= {**stores.ENVIRON, "AWS_ENDPOINT_URL": process.stdout.readline().strip()}
            yield
            process.stdin.close()

    def _together(self, servers: Sequence[tuple[Server, int]]) -> None:
        """Write a configuration with a profile for each server, called after its provider, for the first port."""
        texts = (unlimited(server.provider, server, port) for server, port in servers)
        (self.folder / f"{servers[0][1]}.toml").write_text("".join(texts), encoding="utf-8")

    def window(self, server: Server) -> tuple[datetime, int]:
        """Return when the calls of a server begin, and how many hours of them there are."""
        if server.call == "stream":  # it has the last twelve hours only
            return datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=10), 1
        return datetime(self.day.year, self.day.month, self.day.day, tzinfo=UTC), HOURS

    def _server_words(self, server: Server) -> list[str]:
        since, hours = self.window(server)
        numbers = map(str, (server.count, server.size, server.latency))
        return [server.provider, server.call, *numbers, since.isoformat(), str(hours)]

    def _notifications(self, server: Server) -> None:
        """Write the file that replaces a server of notifications."""
        command = [sys.executable, "-m", "benchmarks.server", *self._server_words(server)]
        with self._pushed.open("wb") as out:
            subprocess.run(command, cwd=ROOT, env=self.environ, stdout=out, check=True)
        (self.folder / "0.toml").touch(0o600)

    @property
    def _pushed(self) -> Path:
        return self.folder / "notifications.jsonl"

    def _configure(self, server: Server, port: int) -> None:
        """Write cdrctl's configuration for a server."""
        config = self.folder / f"{port}.toml"
        config.write_text(profiles_of(server, port), encoding="utf-8")
        config.chmod(0o600)

    def sent(self, server: Server) -> str:
        """Return the number and the sum of the ids that a server sends."""
        key = (server.provider, server.count, server.size)
        if key not in self._sent:
            self._sent[key] = self.said(sys.executable, "-m", "benchmarks.checks", *map(str, key))
        return self._sent[key]

    def words(self, row: Row, server: Server, port: int, command: str = "") -> list[str]:
        """Return the words of a row's command, or of another one of the row."""
        known = self._known(row, server, port)
        found: list[str] = []
        for word in shlex.split(command or row.command):
            found += self.cdrctl if word == "{cdrctl}" else [word.format_map(known)]
        return found

    def _known(self, row: Row, server: Server, port: int) -> dict[str, str]:
        """Return the words that are in braces in commands and environment variables."""
        since, hours = self.window(server)
        return {
            "python": sys.executable,
            "peers": str(PEERS),
            "base": f"http://127.0.0.1:{port}{WIRES[server.provider].path}",
            "since": f"{since:%Y-%m-%dT%H:%M:%SZ}",
            "until": f"{since + timedelta(hours=hours):%Y-%m-%dT%H:%M:%SZ}",
            "day": str(self.day),
            "count": str(server.count),
            "size": str(server.size),
            "minutes": str(max(1, hours * 60 * 5_000 // max(server.count, 5_000))),
            "id": checks.identity(server.provider, "00000000", 0),
            "pushed": str(self._pushed),
            "out": str(self.folder / "out"),
            "folder": str(self.folder / "many"),
            "local": str(self.folder / "local.jsonl"),
            "made": str(self.folder / "made"),
            "archive": str(self._archive_path(row)),
            "store": f"s3://{stores.BUCKET}/{self._archive_path(row).name}",
            "kept": str(self.folder / "kept"),
        }

    def once(self, row: Row, server: Server, port: int) -> Measured:
        """Run a program once, check its output, and return its measurements."""
        output, errors, many = (self.folder / name for name in ("out", "err", "many"))
        for path in (output, many, self.folder / "made"):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        apart = "{out}" in row.command or "{folder}" in row.command
        into = Path(os.devnull) if row.discard else self.folder / "said" if apart else output
        known = self._known(row, server, port)
        own = {name: value.format_map(known) for name, value in row.environ.items()}
        environ = {**self.environ, **own, "CDRCTL_CONFIG": str(self.folder / f"{port}.toml")}
        for command in [*self._preparations(row), *filter(None, [row.before])]:
            self._check(run(self.words(row, server, port, command), environ, into, errors), errors)
        measured = run(self.words(row, server, port), environ, into, errors, first=row.first, terminal=row.terminal)
        self._check(measured, errors)
        self._look_at(row, server, output, many, errors)
        return measured

    def _archive_path(self, row: Row) -> Path:
        return self.folder / "kept" / (f"{row.kept.profiles}-{row.kept.days}" if row.kept else "none")

    def _preparations(self, row: Row) -> list[str]:
        """Return the commands that make the archive and the files of a row, if it needs some that are not there yet."""
        if "{store}" in row.command and self._archive_path(row).name not in self._copied:
            self._copied.add(self._archive_path(row).name)
            return [
                *self._preparations(replace(row, command="")),
                "{python} -m benchmarks.stores copy {archive} {store}",
            ]
        (self.folder / "kept").mkdir(exist_ok=True)
        missing = [command for name, command in row.prepared if not (self.folder / "kept" / name).exists()]
        if missing:
            return missing
        if row.kept is None or self._archive_path(row).exists():
            return []
        make = f"{{python}} -m benchmarks.archives {{archive}} {row.kept.profiles} {row.kept.days} {{day}}"
        names = " ".join(f"p{number:04}" for number in range(row.kept.profiles))
        return [make, f"{{cdrctl}} sync {names} --into {{archive}} --adopt"]

    def _check(self, measured: Measured, errors: Path) -> None:
        """Raise FailedError if a program failed."""
        if measured.code:
            told = errors.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            raise FailedError(f"exit code {measured.code}: {told[-1] if told else 'no message'}")

    def _look_at(self, row: Row, server: Server, output: Path, many: Path, errors: Path) -> None:
        """Raise FailedError if a program did not write the records that were sent."""
        if row.form:
            where = (str(many), row.form, row.files) if row.files else (str(output), row.form)
            came, wanted = self.said(sys.executable, "-m", "benchmarks.checks", *where), self.sent(server)
            if came != wanted:
                raise FailedError(f"{came.split()[0]} records, or wrong ones, of {wanted.split()[0]}")
        if row.says and row.says not in output.read_text(encoding="utf-8"):
            raise FailedError(f"its output has no {row.says!r}")
        if row.discard or row.counted:
            counted = re.search(r"(\d+) records?, ", errors.read_text(encoding="utf-8"))
            if not counted or int(counted[1]) != server.count:
                raise FailedError(f"it counted {counted and counted[1]} of {server.count}")

    def measure(self, group: Group, runs: int) -> dict[str, list[Measured] | str]:
        """Run the programs of a group in turn, and return the measurements of each run."""
        found: dict[str, list[Measured] | str] = {}
        for row in group.rows:
            lack = self.missing(row)
            found[row.name] = f"skipped: {lack}" if lack else []
        rounds = 1 if group.once or runs == 1 else runs * group.often
        warm = group.often > 1 and rounds > 1
        with ExitStack() as stack:
            port = stack.enter_context(self.serving(group.server))
            if group.others:
                others = [(server, stack.enter_context(self.serving(server))) for server in group.others]
                self._together([(group.server, port), *others])
            if any("{store}" in row.command and found[row.name] == [] for row in group.rows):
                stack.enter_context(self.storing())
            if any("{local}" in row.command and found[row.name] == [] for row in group.rows):
                self._local(group.server, port)
            for number in range(rounds + warm):
                log(f"{group.title}: round {number + 1} of {rounds + warm}")
                for row in group.rows:
                    self._turn(row, group, port, found, counts=not (warm and number == 0))
        if group.base == plan.WAITING:
            seconds = -(-group.server.count // group.server.size) * group.server.latency / 1000
            found[plan.WAITING] = [Measured(0, seconds, 0, 0, 0)]
        return found

    def _turn(self, row: Row, group: Group, port: int, found: dict[str, list[Measured] | str], *, counts: bool) -> None:
        """Run a program once, unless it is missing or has failed."""
        before = found[row.name]
        if isinstance(before, str):
            return
        try:
            if row.server is None:
                measured = self.once(row, group.server, port)
            else:
                with self.serving(row.server) as another:
                    measured = self.once(row, row.server, another)
        except FailedError as error:
            log(f"{row.name} failed: {error}")
            found[row.name] = f"failed: {error}".replace("|", "\\|")
            return
        log(f"  {row.name}: {measured.cpu:.3f} s CPU, {measured.wall:.3f} s, {measured.peak:.1f} MB")
        if counts:
            before.append(measured)

    def _local(self, server: Server, port: int) -> None:
        """Make the local file that some peers read."""
        script = Row("", f"{{python}} {{peers}}/script.py {plan.WINDOW} jsonl", "jsonl")
        self.once(script, server, port)
        (self.folder / "out").rename(self.folder / "local.jsonl")

    def about(self, runs: int) -> str:
        """Return a line about the machine and the versions of everything, without the machine's name."""
        model = platform.processor() or platform.machine()
        about = Path("/proc/cpuinfo")
        if about.is_file():
            named = re.search(r"^model name\s*: (.+)", about.read_text(encoding="utf-8"), re.MULTILINE)
            model = named[1] if named else model
        versions = {"Python": platform.python_version(), **self.versions}
        listed = ", ".join(f"{name} {version}" for name, version in versions.items())
        machine = f"{model}, {os.cpu_count()} cores, {platform.system()}"
        return f"{self.said(*self.cdrctl, '--version')} on {machine}; medians of {runs} runs; {listed}."


def profiles_of(server: Server, port: int) -> str:
    """Return cdrctl's configuration for a server: profiles without a rate limit, and one with the provider's."""
    if server.profiles:
        return "".join(unlimited(f"p{number:04}", server, port) for number in range(server.profiles))
    return unlimited("bench", server, port) + _profile("limited", server, port)


def unlimited(name: str, server: Server, port: int) -> str:
    """Return the lines of a profile without a rate limit."""
    return f"{_profile(name, server, port)}requests_per_minute = 0\n"


def _profile(name: str, server: Server, port: int) -> str:
    wire = WIRES[server.provider]
    settings = {"provider": server.provider, "base_url": f"http://127.0.0.1:{port}{wire.path}", **wire.settings}
    return "\n".join([f"[profiles.{name}]", *(f"{key} = {json.dumps(value)}" for key, value in settings.items()), ""])


def options(words: list[str] | None = None) -> argparse.Namespace:
    """Return the parsed arguments."""
    keys = [group.key for group in plan.groups(1)]
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.partition("\n")[0])
    parser.add_argument("--records", type=int, default=100_000, metavar="N", help="of each export (100000)")
    parser.add_argument(
        "--profiles",
        type=int,
        default=plan.PROFILES,
        metavar="N",
        help=f"of archives that grow ({plan.PROFILES})",
    )
    parser.add_argument("--days", type=int, default=plan.DAYS, metavar="N", help=f"of archives that grow ({plan.DAYS})")
    parser.add_argument("--runs", type=int, default=5, metavar="N", help="of each program, in turn (5)")
    parser.add_argument("--only", nargs="+", choices=keys, metavar="NAME", help=f"of {', '.join(keys)}")
    parser.add_argument(
        "--memory", action="store_true", help="growth too, which is slow; more than 1000000 --records join"
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="the table, in a file too")
    parser.add_argument("--cdrctl", metavar="COMMAND", help="command of another cdrctl than this checkout's")
    return parser.parse_args(words)


def main() -> int:
    """Measure, print the table, and return 1 if a program failed."""
    asked = options()
    cdrctl = shlex.split(asked.cdrctl) if asked.cdrctl else [sys.executable, "-m", "cdrctl"]
    day = datetime.now(UTC).date() - timedelta(days=1)
    failed = False
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder:
        bench = Bench(Path(folder), cdrctl, day)
        table = [report.HEADER]
        for group in plan.groups(asked.records, asked.profiles, asked.days):
            wanted = group.key in asked.only if asked.only else True
            if group.slow:
                wanted = asked.memory or bool(asked.only and wanted)
            if wanted:
                results = bench.measure(group, asked.runs)
                failed = failed or any(isinstance(one, str) and one.startswith("failed") for one in results.values())
                table += report.lines(group, results)
        text = "\n".join([*table, "", bench.about(asked.runs), ""])
    print(text, end="")
    if asked.output:
        asked.output.write_text(text, encoding="utf-8")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
