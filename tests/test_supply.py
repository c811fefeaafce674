"""The supply chain: the requirements of pyproject.toml, the locks, the installed packages, and the docs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.support.products import for_each

ROOT = Path(__file__).parent.parent
PYPROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
LOCKS = {name: (ROOT / ".ci" / name).read_text(encoding="utf-8") for name in ("lock.txt", "tools.txt")}
LICENCES = (ROOT / "docs/licences.md").read_text(encoding="utf-8")
SECURITY = (ROOT / "docs/SECURITY.md").read_text(encoding="utf-8")

# No copyleft, or copyleft that is limited to the package's own files.
WELCOME = {"0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MIT-0", "MPL-2.0", "PSF-2.0"}
CLASSIFIED = {
    "Apache Software License": {"Apache-2.0"},
    "BSD License": {"BSD-2-Clause", "BSD-3-Clause"},
    "ISC License (ISCL)": {"ISC"},
    "MIT License": {"MIT"},
    "Mozilla Public License 2.0 (MPL 2.0)": {"MPL-2.0"},
    "Python Software Foundation License": {"PSF-2.0"},
}
EXTRAS = ("keyring", "parquet", "xlsx", "duckdb", "store")
BOUNDS = {"<", "<=", "==", "===", "~="}


def required() -> dict[str, list[Requirement]]:
    """Return every requirement of pyproject.toml, by the list it is in."""
    document = tomllib.loads(PYPROJECT)
    parts = {"always": document["project"]["dependencies"], "build": document["build-system"]["requires"]}
    parts |= document["project"]["optional-dependencies"]
    return {part: [Requirement(line) for line in lines] for part, lines in parts.items()}


REQUIRED = [one for part in required().values() for one in part]
LOCKED = [one for part, lines in required().items() if part != "bench" for one in lines]  # pyproject.toml says why


def pinned(lock: str) -> dict[str, list[tuple[Version, int]]]:
    """Return the pinned versions of each package in a lock, each with its number of hashes."""
    found: dict[str, list[tuple[Version, int]]] = {}
    for entry in re.split(r"^(?=[A-Za-z0-9])", LOCKS[lock], flags=re.MULTILINE)[1:]:
        head = re.match(r"([\w.-]+)==([^\s;]+)", entry)
        assert head, f"no pin: {entry.splitlines()[0]}"
        hashes = re.findall(r"--hash=sha256:[0-9a-f]{64}(?=\s)", entry)
        found.setdefault(canonicalize_name(head[1]), []).append((Version(head[2]), len(hashes)))
    return found


QUOTED = re.compile(r'\s*(?:[\w-]+ = \[)?"([A-Za-z][\w.-]*(?:\[[^]]*\])?\s*[<>=~!;][^"]*)"\]?,?\s*(?:#\s*(.*))?')


def unexplained(text: str) -> list[str]:
    """Return the quoted requirements with an upper bound and no comment beside them."""
    matches = [match for line in text.splitlines() if (match := QUOTED.fullmatch(line)) and not match[2]]
    return [match[1] for match in matches if any(one.operator in BOUNDS for one in Requirement(match[1]).specifier)]


def listed() -> dict[str, tuple[str, str]]:
    """Return the version range and the licence of each package in docs/licences.md."""
    rows = re.findall(r"^\| ([a-z0-9-]+) \| ([^|]+) \| ([^|]+) \| [^|]+ \|$", LICENCES, re.MULTILINE)
    return {name: (version.strip("`"), licence) for name, version, licence in rows if name != "package"}


def installed_runtime() -> set[str]:
    """Return the direct and indirect dependencies of the installed cdrctl on this system, from their metadata."""
    found: set[str] = set()
    waiting = [("cdrctl", frozenset[str]())]
    seen = set(waiting)
    while waiting:
        name, extras = waiting.pop()
        for line in metadata.requires(name) or ():
            one = Requirement(line)
            if one.marker and not any(one.marker.evaluate({"extra": extra}) for extra in (extras or {""})):
                continue
            step = (canonicalize_name(one.name), frozenset(one.extras))
            found.add(step[0])
            if step not in seen:
                seen.add(step)
                waiting.append(step)
    return found


def test_an_upper_bound_has_a_comment_with_its_reason() -> None:
    table = PYPROJECT.split("[project.scripts]", maxsplit=1)[0]
    assert not unexplained(table)
    seen = {str(Requirement(match[1])) for line in table.splitlines() if (match := QUOTED.fullmatch(line))}
    assert seen == {str(one) for one in REQUIRED}, "a requirement is written in a way that this test does not see"


@for_each(
    "line, told",
    [
        ('    "rich>=13.7",', False),
        ('    "rich>=13.7,<16",', True),
        ('    "rich~=13.7",', True),
        ('    "rich==13.7",  #', True),
        ('    "rich>=13.7,<16",  # 16 measures emoji differently', False),
        ('requires = ["hatchling<2"]', True),
        ("    \"tzdata<=2024.1; sys_platform == 'win32'\",", True),
    ],
)
def test_an_upper_bound_without_a_reason_is_detected(line: str, told: bool) -> None:  # noqa: FBT001
    assert bool(unexplained(line)) is told


@for_each("one", LOCKED)
def test_the_lock_satisfies_pyproject(one: Requirement) -> None:
    versions = pinned("lock.txt").get(canonicalize_name(one.name), [])
    assert versions
    assert all(version in one.specifier for version, _ in versions), f"the lock is older than pyproject.toml: {one}"


@pytest.mark.parametrize("lock", LOCKS)
def test_every_line_of_a_lock_is_pinned_with_hashes_and_has_no_local_path(lock: str) -> None:
    assert all(hashes for versions in pinned(lock).values() for _, hashes in versions)
    assert re.match(r"# This file was .+\n#    uv pip compile --universal --generate-hashes ", LOCKS[lock])
    assert not re.search(r"https?:|file:|index-url|find-links|trusted-host|(?<![\w.-])[/~]\w", LOCKS[lock])


def test_the_locks_agree() -> None:
    tests, tools = pinned("lock.txt"), pinned("tools.txt")
    assert {name: tools[name] for name in tools if name in tests} == {
        name: tests[name] for name in tools if name in tests
    }


@pytest.mark.parametrize(("names", "lock"), [("build.in", "lock.txt"), ("tools.in", "tools.txt")])
def test_requirements_of_ci_are_locked_too(names: str, lock: str) -> None:
    lines = (ROOT / ".ci" / names).read_text(encoding="utf-8").splitlines()
    wanted = [Requirement(line) for line in lines if line and not line.startswith("#")]
    locked = pinned(lock)
    assert all(version in one.specifier for one in wanted for version, _ in locked[canonicalize_name(one.name)])
    if names == "build.in":
        assert {str(one) for one in required()["build"]} <= {str(one) for one in wanted}


def test_every_installed_dependency_is_listed() -> None:
    assert installed_runtime() <= set(listed())


def test_the_extra_all_has_every_extra_for_users() -> None:
    parts = required()
    assert {str(one) for one in parts["all"]} == {str(one) for extra in EXTRAS for one in parts[extra]}


def test_every_dependency_of_pyproject_is_listed_with_its_range() -> None:
    direct = {canonicalize_name(one.name): one for part in ("always", *EXTRAS) for one in required()[part]}
    assert {name: listed()[name][0] for name in direct} == {name: str(one.specifier) for name, one in direct.items()}


def test_no_listed_licence_has_more_copyleft_than_the_mpl() -> None:
    for name, (_, licence) in listed().items():
        assert set(re.findall(r"[\w.+-]+", licence)) - {"AND", "OR"} <= WELCOME, f"{name}: {licence}"


@pytest.mark.parametrize("name", sorted(installed_runtime()))
def test_listed_licences_are_those_that_the_packages_declare(name: str) -> None:
    about = metadata.metadata(name)
    if Version(about["Version"]) not in {version for version, _ in pinned("lock.txt")[name]}:
        pytest.skip(f"{name} is installed in another version than the locked one")
    licence = listed()[name][1]
    if "License-Expression" in about:
        assert about["License-Expression"] == licence
        return
    families = [line.split(" :: ")[-1] for line in about.get_all("Classifier", []) if line.startswith("License ::")]
    parts = set(re.findall(r"[\w.+-]+", licence)) - {"AND", "OR"}
    assert families or about["License"] == licence
    assert all(CLASSIFIED[family] & parts for family in families)
    assert not families or parts <= {one for family in families for one in CLASSIFIED[family]}


def test_the_documents_link_to_each_other() -> None:
    for named in (
        *("lock.txt", "tools.txt", "build.in", "tools.in"),
        *("run", "audit", "licences", "release", "zipapp", "Containerfile"),
    ):
        assert f".ci/{named}`" in SECURITY
        assert (ROOT / ".ci" / named).is_file()
    for document, names in {
        "README.md": ("(docs/SECURITY.md)", "(docs/licences.md)"),
        "docs/design.md": ("(SECURITY.md)", "(licences.md)"),
        "docs/licences.md": ("(SECURITY.md)", ".ci/lock.txt", ".ci/licences"),
        "docs/SECURITY.md": ("(licences.md)", "(design.md)", "tests/test_supply.py", ".github/workflows/release.yml"),
        ".ci/run": (".ci/lock.txt", ".ci/audit"),
        ".ci/audit": (".ci/lock.txt", ".ci/tools.txt"),
        ".ci/release": (".ci/lock.txt", ".ci/tools.txt", ".ci/audit"),
    }.items():
        text = (ROOT / document).read_text(encoding="utf-8")
        assert not [name for name in names if name not in text], document


# A replacement of python3 for the audit: an environment whose pip installs nothing, or fails, and whose pip-audit
# ends in one of the ways in which the real one ends.
STAND_IN = """#!/bin/sh
[ "$1 $2" = "-m venv" ] || exit 9
mkdir -p "$3/bin"
ln -s '{python}' "$3/bin/python"
printf '#!/bin/sh\\n{install}\\n' > "$3/bin/pip"
cat > "$3/bin/pip-audit" <<'END'
#!{python}
import json, sys
from pathlib import Path
given = dict(zip(sys.argv, sys.argv[1:]))
names = [line.split("==") for line in Path(given["-r"]).read_text().split()]
vulns = lambda name: [dict(id="PYSEC-0-0", fix_versions=["9"])] if {vulnerable!r} == name else []
known = lambda name: {known!r} in ("all", name)
if {known!r} == "unreachable":
    sys.exit("no route to host")
found = [
    dict(name=name, version=version, vulns=vulns(name)) if known(name) else dict(name=name, skip_reason="not found")
    for name, version in names
]
Path(given["--output"]).write_text(json.dumps(dict(dependencies=found)))
sys.exit(any(one.get("vulns") for one in found))
END
chmod +x "$3/bin/pip" "$3/bin/pip-audit"
"""


@pytest.mark.process
@pytest.mark.skipif(os.name == "nt", reason="the audit is a shell script")
@pytest.mark.parametrize(
    ("install", "known", "vulnerable", "code", "said"),
    [
        ("exit 0", "all", "", 0, "packages audited, no known vulnerabilities"),
        ("exit 0", "all", "rich", 1, "rich "),
        ("exit 0", "all", "colorama", 1, "PYSEC-0-0, fixed in 9"),
        ("exit 0", "rich", "rich", 1, "known vulnerabilities"),
        ("exit 0", "rich", "", 0, "AUDIT INCOMPLETE"),
        ("exit 0", "none", "", 0, "knew none of the locked packages"),
        (
            "exit 0",
            "unreachable",
            "",
            0,
            "AUDIT SKIPPED: no advisory service could be asked.\n** pypi: no route to host",
        ),
        ("echo no such index >&2; exit 1", "all", "rich", 0, "AUDIT SKIPPED: pip-audit could not be installed"),
    ],
)
def test_the_audit_reports_checks_that_it_could_not_make(
    tmp_path: Path, install: str, known: str, vulnerable: str, code: int, said: str
) -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("there is no bash")
    stand_in = tmp_path / "bin/python3"
    stand_in.parent.mkdir()
    text = STAND_IN.format(python=sys.executable, install=install, known=known, vulnerable=vulnerable)
    stand_in.write_text(text, encoding="utf-8")
    stand_in.chmod(0o755)
    environ = {**os.environ, "PATH": f"{stand_in.parent}{os.pathsep}{os.environ['PATH']}"}
    ran = subprocess.run([bash, ROOT / ".ci/audit"], capture_output=True, text=True, check=False, env=environ)
    assert (ran.returncode, said in ran.stdout + ran.stderr) == (code, True), ran.stdout + ran.stderr
    unanswered = (known != "all" and not vulnerable) or "exit 1" in install
    assert ("\n** AUDIT " in ran.stderr) == unanswered
    release = [bash, str(ROOT / ".ci/audit"), "--required"]
    ran = subprocess.run(release, capture_output=True, text=True, check=False, env=environ)
    assert (ran.returncode, said in ran.stdout + ran.stderr) == (1 if unanswered else code, True)


@pytest.mark.process
def test_the_audit_refuses_an_unknown_option() -> None:
    ran = subprocess.run([ROOT / ".ci/audit", "--require"], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (2, "usage: .ci/audit [--required]\n")


@pytest.mark.process
def test_a_release_requires_the_audit_before_anything_is_built(tmp_path: Path) -> None:
    """With a python3 that cannot install pip-audit, the release ends before any build."""
    stand_in = tmp_path / "bin" / "python3"
    stand_in.parent.mkdir()
    text = STAND_IN.format(python=sys.executable, install="exit 1", known="none", vulnerable="")
    stand_in.write_text(text, encoding="utf-8")
    stand_in.chmod(0o755)
    checkout = tmp_path / "checkout"
    shutil.copytree(ROOT / ".ci", checkout / ".ci")
    git = ["git", "-C", str(checkout), "-c", "user.name=t", "-c", "user.email=t@example.com"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "all"]):
        subprocess.run([*git, *words], check=True)
    environ = {**os.environ, "PATH": f"{stand_in.parent}{os.pathsep}{os.environ['PATH']}"}
    ran = subprocess.run([checkout / ".ci/release"], capture_output=True, text=True, check=False, env=environ)
    assert ran.returncode == 1
    assert "AUDIT SKIPPED" in ran.stderr
    assert not (checkout / "dist").exists()
