"""The package of docs/example-writer, installed and used as its README says."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.program import COMMAND, shared

pytestmark = pytest.mark.process

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "docs/example-writer"


@pytest.fixture(name="installed", scope="module")
def _installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which pip installs it, without a network."""
    folder = tmp_path_factory.mktemp("example")
    shutil.copytree(EXAMPLE, folder / "source")  # a build leaves files beside the source
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "--isolated", "install"]
    alone = ["--no-index", "--no-build-isolation", "--no-deps", "--target", str(folder / "installed")]
    ran = subprocess.run([*pip, *alone, str(folder / "source")], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return folder / "installed"


def cdrctl(installed: Path, *words: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(installed), str(ROOT)])
    environ = {"PATH": os.environ["PATH"], "HOME": str(installed), "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    environ |= shared()
    window = ["-p", "sandbox", "--since", "26h", "--until", "2h", "--limit", "5"]
    command = [*COMMAND, "webex", "cdrs", *window, *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environ)


def test_the_format_works_like_a_built_in_one(installed: Path, tmp_path: Path) -> None:
    ran = cdrctl(installed, "-f", "logfmt", "--fields", "start_time,answered,duration")
    assert ran.returncode == 0, ran.stderr
    lines = [dict(pair.split("=", 1) for pair in shlex.split(line)) for line in ran.stdout.splitlines()]
    assert len(lines) == 5
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", line["start_time"]) for line in lines)
    same = [json.loads(line) for line in cdrctl(installed, "--fields", "answered").stdout.splitlines()]
    assert [line["answered"] == "true" for line in lines] == [one["answered"] for one in same]


def test_the_file_extension_selects_the_format(installed: Path, tmp_path: Path) -> None:
    assert cdrctl(installed, "-o", str(tmp_path / "calls.logfmt")).returncode == 0
    assert (tmp_path / "calls.logfmt").read_text(encoding="utf-8").count("\n") == 5


def test_the_list_of_formats_has_the_format(installed: Path) -> None:
    ran = cdrctl(installed, "-f", "nope")
    assert ran.returncode == 2
    assert "logfmt" in ran.stderr


def test_raw_records_are_refused(installed: Path) -> None:
    assert cdrctl(installed, "-f", "logfmt", "--schema", "raw").returncode == 2


def test_the_docs_show_the_code_of_the_package() -> None:
    text = (ROOT / "docs/writers.md").read_text(encoding="utf-8")
    source = (EXAMPLE / "cdrctl_logfmt.py").read_text(encoding="utf-8")
    assert source.partition("\n\n\n")[2].strip() in text
    assert '[project.entry-points."cdrctl.writers"]\nlogfmt = "cdrctl_logfmt"' in text
