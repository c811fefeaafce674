"""The page about several machines and the files beside it: commands exist, and validators accept manifests."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from benchmarks import fleet
from cdrctl import sandbox
from cdrctl.archive import SyncJob, sync_unit
from cdrctl.cli.archive import COMMANDS
from cdrctl.cli.options import Option
from cdrctl.errors import TemporaryError
from tests.docs.blocks import ROOT
from tests.support.products import for_each

FILES = ROOT / "docs" / "scale"
PAGE = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")
TEMPORARY = {5, 11}
"""The exit codes after which a run is started again."""


def options_of(command: str) -> set[str]:
    """Return the options of a command, with those of every command."""
    options = [one for one in COMMANDS[command].parameters if isinstance(one, Option)]
    return {name for one in options for name in one.all_names} | {"--log-format"}


def sync_words(text: str) -> list[str]:
    """Return the words of the one command in a file that is cdrctl's sync."""
    (found,) = (line for line in text.splitlines() if re.search(r"(cdrctl |\[\")sync\W", line))
    return [*map(str, re.findall(r"[^\s\",\[\]]+", re.split(r"\bsync\b", found, maxsplit=1)[1]))]


@for_each("name", ["kubernetes.yaml", "cdrctl-sync@.service", "cdrctl.nomad.hcl"])
def test_a_manifest_has_a_shard_and_only_options_that_exist(name: str) -> None:
    text = (FILES / name).read_text(encoding="utf-8")
    words = sync_words(text)
    assert {word for word in words if word.startswith("--")} <= options_of("sync")
    index = words[words.index("--shard") + 1]
    assert re.fullmatch(r"(\$JOB_COMPLETION_INDEX|%i|\$\{NOMAD_ALLOC_INDEX\})/8", index)


def test_the_shards_of_kubernetes_are_all_and_only_temporary_ends_are_tried_again() -> None:
    yaml = pytest.importorskip("yaml")
    job = yaml.safe_load((FILES / "kubernetes.yaml").read_text(encoding="utf-8"))["spec"]["jobTemplate"]["spec"]
    assert (job["completionMode"], job["completions"], job["parallelism"]) == ("Indexed", 8, 8)
    final = next(one["onExitCodes"] for one in job["podFailurePolicy"]["rules"] if "onExitCodes" in one)
    assert set(final["values"]) == set(range(1, 9)) - {TemporaryError.exit_code}
    (one,) = job["template"]["spec"]["containers"]
    assert one["name"] == final["containerName"]
    subprocess.run(["/bin/sh", "-n", "-c", one["args"][0]], check=True)


def test_systemd_tries_only_temporary_ends_again() -> None:
    found = re.search(r"RestartPreventExitStatus=(.*)", (FILES / "cdrctl-sync@.service").read_text(encoding="utf-8"))
    assert found
    assert {*map(int, found[1].split())} == set(range(1, 9)) - TEMPORARY


@pytest.mark.process
@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here")
@pytest.mark.parametrize("kind", ["service", "timer"])
def test_systemd_accepts_the_units(tmp_path: Path, kind: str) -> None:
    for each in ("service", "timer"):
        text = (FILES / f"cdrctl-sync@.{each}").read_text(encoding="utf-8")
        (tmp_path / f"cdrctl-sync@3.{each}").write_text(text.replace("/usr/local/bin/cdrctl", "/bin/true"))
    ran = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / f"cdrctl-sync@3.{kind}")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.process
@pytest.mark.skipif(find_spec("kubernetes_validate") is None, reason="kubernetes-validate is not installed")
def test_kubernetes_accepts_the_manifest() -> None:
    subprocess.run(
        [sys.executable, "-m", "kubernetes_validate", "--strict", str(FILES / "kubernetes.yaml")], check=True
    )


@for_each("path", sorted(FILES.glob("*.py")))
def test_an_example_of_an_orchestrator_takes_both_kinds_of_exit_codes_apart(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    compile(text, path.name, "exec")
    assert "exit_code in {5, 11}" in text
    assert set(re.findall(r"SyncJob\((.*?)\)", text)) <= {
        "archive=ARCHIVE, profile=profile",
        "archive=ARCHIVE, profile=context.partition_key",
    }


@pytest.mark.process
@pytest.mark.slow
@pytest.mark.skipif(find_spec("dagster") is None, reason="dagster is not installed")
def test_dagster_syncs_a_profile_and_fails_for_one_that_is_unknown(tmp_path: Path) -> None:
    with sandbox.start() as providers:
        given = providers.credentials("webex")
        config, archive = tmp_path / "config.toml", tmp_path / "archive"
        lines = ["[profiles.acme]", 'provider = "webex"']
        config.write_text("\n".join([*lines, *(f"{key} = {json.dumps(value)}" for key, value in given.items())]))
        config.chmod(0o600)
        environ = {**os.environ, "CDRCTL_CONFIG": str(config), "CDR_ARCHIVE": str(archive), "DAGSTER_HOME": ""}
        job = SyncJob(archive=str(archive), profile="sandbox", provider="webex", create=True, format="jsonl")
        assert sync_unit(job, environ={"CDRCTL_CONFIG": str(config)}).exit_code == 0
        code = (
            "import sys, dagster, dagster_assets\n"
            "for name in ('acme', 'initech'):\n"
            "    ran = dagster.materialize([dagster_assets.call_records], partition_key=name, raise_on_error=False)\n"
            "    print(name, ran.success)\n"
        )
        ran = subprocess.run(
            [sys.executable, "-c", code],
            env={**environ, "PYTHONPATH": f"{FILES}{os.pathsep}{ROOT}"},
            capture_output=True,
            text=True,
            check=True,
        )
    assert ran.stdout.split("\n")[:2] == ["acme True", "initech False"], ran.stderr
    assert [*(archive / "profile=acme").rglob("cdrs.jsonl")]


def test_the_page_has_the_table_of_the_simulation() -> None:
    """The table takes seconds to make, so only its head is compared; `tests/test_fleet.py` tests the simulation."""
    for name in fleet.SHARES:
        need = fleet.need_of(name)
        assert f"| {name} | {need.days} | {need.windows} | {need.seconds:.0f} |" in PAGE


def test_the_arithmetic_of_webex_is_that_of_the_plan() -> None:
    need = fleet.need_of("webex")
    assert (need.days, need.windows, need.seconds) == (3, 8, 427)
    assert "7 \N{MULTIPLICATION SIGN} 61 s = **427 s for each profile and night**" in PAGE
    assert f"a token with {24 * 3600 // 427} profiles a whole day" in PAGE
    assert f"10 profiles needs {10 * 427 // 60} minutes" in PAGE


def test_the_commands_on_the_page_have_only_options_that_exist() -> None:
    lines = [line.strip() for line in PAGE.splitlines() if line.startswith("cdrctl ")]
    assert lines
    for line in lines:
        words = shlex.split(line)
        assert {word for word in words if word.startswith("--")} <= options_of(words[1])
