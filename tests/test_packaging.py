"""The release: the wheel, the sdist, the container, the zipapp and the workflow that publishes them."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from cdrctl import __version__
from tests.support.products import for_each

ROOT = Path(__file__).parent.parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
CONTAINER = (ROOT / ".ci" / "Containerfile").read_text(encoding="utf-8")
ZIPAPP = (ROOT / ".ci" / "zipapp").read_text(encoding="utf-8")
LEFT_OUT = shutil.ignore_patterns(
    *(".git", ".venv", "dist", "build", "__pycache__", "*.pyc", ".*_cache", ".hypothesis", "*.egg-info")
)
posix = pytest.mark.skipif(os.name == "nt", reason="it is a shell script")


@dataclass(frozen=True, slots=True)
class Built:
    """A wheel and an sdist of this tree."""

    wheel: Path
    sdist: Path


def build(source: Path, target: str, folder: Path) -> Path:
    """Return what hatchling builds from a source, as `pip` and `build` call it."""
    words = [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", str(folder)]
    environ = {**os.environ, "SOURCE_DATE_EPOCH": "1700000000", "PYTHONPATH": ""}
    ran = subprocess.run(words, cwd=source, env=environ, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    (found,) = folder.glob("*.whl" if target == "wheel" else "*.tar.gz")
    return found


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    place = tmp_path_factory.mktemp("built")
    source = shutil.copytree(ROOT, place / "source", ignore=LEFT_OUT)
    return Built(build(source, "wheel", place / "wheel"), build(source, "sdist", place / "sdist"))


def names_in(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as opened:
        return set(opened.namelist())


@pytest.mark.process
@pytest.mark.slow
def test_the_wheel_has_only_the_package(built: Built) -> None:
    names = names_in(built.wheel)
    assert built.wheel.name == f"cdrctl-{__version__}-py3-none-any.whl"
    assert {"cdrctl/py.typed", "cdrctl/fetchers/examples.json", "cdrctl/cli/completion.json"} <= names
    assert {f"cdrctl/cli/known/cdrctl.{shell}" for shell in ("bash", "zsh", "fish")} <= names
    tree = {path.relative_to(ROOT).as_posix() for path in (ROOT / "cdrctl").rglob("*.py")}
    assert {name for name in names if name.endswith(".py")} == tree
    installed = f"cdrctl-{__version__}.data"
    assert {name.split("/")[0] for name in names} == {"cdrctl", installed, f"cdrctl-{__version__}.dist-info"}
    beside = {name.removeprefix(f"{installed}/data/share/") for name in names if name.startswith(installed)}
    manual = {f"man/man1/{path.name}" for path in (ROOT / "docs/man").iterdir()}
    assert beside == {
        *manual,
        "bash-completion/completions/cdrctl",
        "fish/vendor_completions.d/cdrctl.fish",
        "zsh/site-functions/_cdrctl",
    }


@pytest.mark.process
@pytest.mark.slow
def test_the_sdist_builds_the_same_wheel_and_has_its_tests(built: Built, tmp_path: Path) -> None:
    with tarfile.open(built.sdist) as opened:
        names = {name.partition("/")[2] for name in opened.getnames()}
        opened.extractall(tmp_path, filter="data")
    wanted = {
        "README.md",
        "docs/conf.py",
        "tools/docs/parts.py",
        "docs/providers/webex.md",
        "docs/pictures/table.svg",
        ".ci/lock.txt",
        ".ci/run",
    }
    assert wanted | {".ci/Containerfile", ".github/workflows/release.yml", "tests/test_packaging.py"} <= names
    assert not [name for name in names if name.startswith("docs/reference/")]
    (source,) = tmp_path.iterdir()
    again = build(source, "wheel", tmp_path / "again")
    assert again.read_bytes() == built.wheel.read_bytes()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """Return a new environment that sees the packages of this one, except cdrctl."""
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    (site,) = (tmp_path / "venv").glob("lib/python*/site-packages")
    here = dict.fromkeys(map(sysconfig.get_path, ("purelib", "platlib")))
    (site / "dependencies.pth").write_text("".join(f"{one}\n" for one in here), encoding="utf-8")
    yield tmp_path / "venv"
    shutil.rmtree(tmp_path / "venv")


@pytest.mark.process
@posix
@pytest.mark.slow
def test_the_installed_wheel_runs(built: Built, place: Path, tmp_path: Path) -> None:
    words = [str(place / "bin" / "pip"), "install", "--quiet", "--no-index", "--no-deps", "--ignore-installed"]
    subprocess.run([*words, str(built.wheel)], check=True, env={**os.environ, "PYTHONPATH": ""})
    runs(place / "bin" / "cdrctl", tmp_path)
    where = [str(place / "bin" / "python"), "-c", "import cdrctl; print(cdrctl.__file__)"]
    found = subprocess.run(where, capture_output=True, text=True, check=True, cwd=tmp_path, env=clean(tmp_path))
    assert Path(found.stdout.strip()).is_relative_to(place)


def clean(home: Path) -> dict[str, str]:
    """Return an environment without cdrctl's variables."""
    return {"PATH": "/usr/bin:/bin", "HOME": str(home), "LANG": "C.UTF-8"}


def runs(program: Path, folder: Path) -> None:
    """Check that a program is this version, and that it exports."""

    def printed(*words: str) -> str:
        ran = subprocess.run(
            [str(program), *words], capture_output=True, text=True, check=False, cwd=folder, env=clean(folder)
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    assert printed("--version") == f"cdrctl {__version__}\n"
    lines = printed(
        "webex", "cdrs", "-p", "sandbox", "--since", "3h", "--until", "2h", "-f", "csv", "--fields", "call_id"
    )
    assert lines.splitlines()[0] == "call_id"


INSTALLERS = {
    "uv": ("uv", "tool", "install", "--offline", "--no-index", "--python", sys.executable, "--find-links", "{wheels}"),
    "pipx": ("pipx", "install", "--python", sys.executable, "--pip-args=--no-index --find-links {wheels}"),
}


@pytest.mark.process
@posix
@pytest.mark.slow
@pytest.mark.parametrize("name", INSTALLERS)
def test_pipx_and_uv_install_the_program(name: str, built: Built, tmp_path: Path) -> None:
    """It needs the installer, and a folder with all packages, which .ci/run has."""
    wheels = os.environ.get("PIP_FIND_LINKS", "")
    if not Path(wheels or "/nowhere").is_dir() or shutil.which(name) is None:
        pytest.skip(f"there is no {name} here, or no folder with the packages that it would fetch")
    words = [word.format(wheels=wheels) for word in INSTALLERS[name]]
    places = {"UV_TOOL_DIR": "tools", "UV_TOOL_BIN_DIR": "bin", "PIPX_HOME": "pipx", "PIPX_BIN_DIR": "bin"}
    environ = {**clean(tmp_path), "PATH": os.environ["PATH"], **{key: str(tmp_path / at) for key, at in places.items()}}
    ran = subprocess.run([*words, str(built.wheel)], capture_output=True, text=True, check=False, env=environ)
    assert ran.returncode == 0, ran.stderr
    runs(tmp_path / "bin" / "cdrctl", tmp_path)


# The lock of the container and the zipapp


def pins(*names: str) -> dict[str, str]:
    words = [sys.executable, str(ROOT / ".ci" / "supply.py"), "pins", *names]
    lines = subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()
    assert all("==" in line and " --hash=sha256:" in line for line in lines)
    return {line.partition("==")[0]: line for line in lines}


def needed(name: str, seen: set[str]) -> set[str]:
    """Return the requirements of an installed package on this system, with the extras that it requests itself."""
    for line in metadata.requires(name) or ():
        one = Requirement(line)
        other = canonicalize_name(one.name)
        if other not in seen and (one.marker is None or one.marker.evaluate({"extra": ""})):
            seen.add(other)
            needed(other, seen)
    return seen


@pytest.mark.process
def test_the_pins_are_exactly_the_runtime_dependencies() -> None:
    found = pins()
    assert needed("cdrctl", set()) <= set(found)
    assert not {"pytest", "keyring", "ruff", "hatchling", "sphinx"} & set(found)
    assert "; sys_platform == 'win32' --hash=" in found["tzdata"]
    lock = (ROOT / ".ci" / "lock.txt").read_text(encoding="utf-8")
    for line in found.values():
        name, *hashes = re.split(r" (?:; [^-]*)?--hash=", line)
        assert name.partition(" ")[0] in lock
        assert all(f"--hash={digest}" in lock for digest in hashes)
    assert {"hatchling", "pathspec", "pluggy"} <= set(pins("hatchling"))
    assert "rich" not in pins("hatchling")
    words = [sys.executable, str(ROOT / ".ci" / "supply.py"), "pins", "no-such-package"]
    assert subprocess.run(words, capture_output=True, check=False).returncode == 1


def instructions() -> list[tuple[str, str]]:
    """Return the instructions of the Containerfile, each on one line."""
    text = re.sub(r"\\\n\s*", "", re.sub(r"^#.*\n", "", CONTAINER, flags=re.MULTILINE))
    return [(line.split(" ", 1)[0], line.split(" ", 1)[1]) for line in text.splitlines() if line]


def test_the_container_is_built_from_existing_files_and_locked_packages() -> None:
    for name, rest in instructions():
        if name in {"COPY", "ADD"} and not rest.startswith("--from=build /opt/cdrctl "):
            assert all((ROOT / source).exists() for source in rest.split()[:-1]), rest
    installs = [
        part for _, rest in instructions() for part in rest.split("&&") if re.search(r"\bpip\b.* install ", part)
    ]
    assert len(installs) == 3
    for command in installs:
        locked = "--require-hashes --only-binary :all:" in command
        assert locked != ("--no-index --no-deps" in command), command
    assert "pip wheel --no-deps --no-build-isolation" in CONTAINER


@pytest.mark.process
@pytest.mark.slow
def test_the_copied_files_are_enough_to_build_the_wheel(built: Built, tmp_path: Path) -> None:
    copied = itertools.takewhile(lambda one: not (one[0] == "RUN" and "pip wheel" in one[1]), instructions())
    for source, target in (rest.rsplit(" ", 1) for name, rest in copied if name == "COPY"):
        for one in source.split():
            place = tmp_path / target / ("" if not target.endswith("/") else Path(one).name)
            place.parent.mkdir(parents=True, exist_ok=True)
            (shutil.copytree if (ROOT / one).is_dir() else shutil.copy)(ROOT / one, place)
    assert names_in(build(tmp_path, "wheel", tmp_path / "dist")) == names_in(built.wheel)


def test_the_container_has_an_ordinary_user_and_no_build_tools() -> None:
    text = instructions()
    last = text[max(at for at, (name, _) in enumerate(text) if name == "FROM") :]
    said = dict(last)
    assert said["USER"] not in {"root", "0"}
    assert said["ENTRYPOINT"] == '["cdrctl"]'
    assert "CDRCTL_CONFIG=/config/config.toml" in said["ENV"]
    assert "/opt/cdrctl/bin" in said["ENV"]
    assert "pip uninstall --yes pip" in said["RUN"]
    assert "--without-pip /opt/cdrctl" in CONTAINER
    assert [rest for name, rest in last if name == "COPY"] == ["--from=build /opt/cdrctl /opt/cdrctl"]


@pytest.mark.process
@posix
def test_the_zipapp_refuses_another_python_version(tmp_path: Path) -> None:
    """Its first lines, made as .ci/zipapp makes them."""
    found = re.search(r"<<'PYTHON'\n(.*?)^PYTHON$", ZIPAPP, re.DOTALL | re.MULTILINE)
    assert found
    subprocess.run(["bash", "-n", str(ROOT / ".ci" / "zipapp")], check=True)
    made = subprocess.run([sys.executable, "-c", found[1]], capture_output=True, text=True, check=True).stdout
    here = tmp_path / "preamble.py"
    here.write_text(made, encoding="utf-8")
    assert subprocess.run([sys.executable, str(here)], check=False).returncode == 0
    here.write_text(made.replace(sys.implementation.cache_tag or "", "cpython-39"), encoding="utf-8")
    ran = subprocess.run([sys.executable, str(here)], capture_output=True, text=True, check=False)
    assert ran.returncode == 6
    assert ran.stderr.startswith("cdrctl: error: this file is for cpython-39 on ")


@for_each("name", ["audit", "licences", "release", "run", "zipapp"])
def test_scripts_are_executable(name: str) -> None:
    assert os.access(ROOT / ".ci" / name, os.X_OK)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_is_pinned_and_uses_no_secret(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    used = re.findall(r"^\s*(?:- )?uses: (.*)$", text, re.MULTILINE)
    assert used
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v[\d.]+", one) for one in used), used
    assert "secrets." not in text
    assert "password" not in text
    for named in re.findall(r"\.ci/(\w+)", text):
        assert (ROOT / ".ci" / named).is_file()
    yaml = pytest.importorskip("yaml")
    read: dict[str, Any] = yaml.safe_load(text)
    assert read["permissions"] == {"contents": "read"}


def test_only_the_publishing_job_has_an_identity_token() -> None:
    yaml = pytest.importorskip("yaml")
    jobs = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text(encoding="utf-8"))["jobs"]
    may = {name: job.get("permissions", {}) for name, job in jobs.items()}
    assert may == {"packages": {}, "zipapps": {}, "publish": {"id-token": "write"}, "files": {"contents": "write"}}
    assert jobs["publish"]["environment"] == "release"
    assert set(jobs["publish"]["needs"]) == {"packages", "zipapps"}
    assert not [step for step in jobs["publish"]["steps"] if "checkout" in step.get("uses", "")]
