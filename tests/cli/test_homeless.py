"""A user without a home directory: no HOME, and a uid that is in no passwd file, as in many containers."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.support.host import PATIENCE, ROOT
from tests.support.users import as_user, needs_root

pytestmark = [pytest.mark.process, needs_root]

LAB = {"CDRCTL_LAB_PROVIDER": "webex", "CDRCTL_LAB_ACCESS_TOKEN": "t0ken-of-lab"}
AN_HOUR = ("--since", "3h", "--until", "2h")


@pytest.fixture
def folder() -> Iterator[Path]:
    with TemporaryDirectory() as made:
        Path(made).chmod(0o777)
        yield Path(made)


def run(folder: Path, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the program with only the path of the program and of its libraries in the environment."""
    known = {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", **environ}
    return subprocess.run(
        [*as_user(), sys.executable, "-m", "cdrctl", *words],
        env=known,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


@pytest.mark.parametrize(
    "words",
    [
        ("webex", "cdrs", "-p", "sandbox", *AN_HOUR),
        ("webex", "cdrs", *AN_HOUR, "--dry-run"),
        ("profile", "list"),
        ("profile", "show", "lab"),
        ("doctor", "lab", "--offline"),
        ("sync", "sandbox", "--into", "archive", "--since", "3h"),
    ],
    ids=" ".join,
)
def test_the_sandbox_and_profiles_in_the_environment_work(words: tuple[str, ...], folder: Path) -> None:
    ran = run(folder, *words, **LAB)
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("profile", "path"),
        ("profile", "add", "acme", "--provider", "webex", "--set", "access_token_file=x"),
        ("webex", "cdrs", *AN_HOUR, "-p", "renewed"),
        ("--install-completion", "bash"),
    ],
    ids=" ".join,
)
def test_without_a_home_the_next_step_names_a_variable(words: tuple[str, ...], folder: Path) -> None:
    renewed = {"PROVIDER": "webex", "CLIENT_ID": "id", "CLIENT_SECRET": "s3cret", "REFRESH_TOKEN": "refresh"}
    environ = {f"CDRCTL_RENEWED_{name}": value for name, value in renewed.items()}
    ran = run(folder, *words, **LAB, **environ)
    assert ran.returncode == 6, ran.stderr
    assert "set HOME" in ran.stderr
    assert list(folder.iterdir()) == []


def test_a_named_configuration_needs_no_home(folder: Path) -> None:
    ran = run(folder, "profile", "path", CDRCTL_CONFIG="work.toml")
    assert (ran.returncode, ran.stdout) == (0, "work.toml\n")


def test_completion_of_profiles_works(folder: Path) -> None:
    line = {"_CDRCTL_COMPLETE": "ask_bash", "_CDRCTL_LINE": "cdrctl webex cdrs -p sand"}
    ran = run(folder, **line)
    assert ran.returncode == 0, ran.stderr
    assert "box" in ran.stdout
    assert list(folder.iterdir()) == []
