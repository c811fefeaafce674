"""Files and folders that another user could have created or changed are refused, with a command that repairs them."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from cdrctl import private, profile_changes
from cdrctl.errors import ConfigurationError
from cdrctl.fetchers import load
from cdrctl.profiles.pace import pace_file
from cdrctl.profiles.tokens import token_file
from tests.support.host import Host, Stalling, a_host, stalling
from tests.support.users import STRANGER, as_user, needs_root

AN_HOUR = ("--since", "3h", "--until", "2h")
"""One request: a second one would wait for the published budget."""

POSIX = pytest.mark.skipif(os.name == "nt", reason="Windows has no owners and modes")


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return a_host(tmp_path)


@pytest.fixture
def running() -> Iterator[Stalling]:
    with stalling() as providers:
        yield providers


def refused(host: Host, *words: str) -> str:
    """Run a command that is refused, and return its hint."""
    ran = host.run(*(words or ("webex", "cdrs", *AN_HOUR)))
    assert ran.returncode == 6, ran.stderr
    assert ran.stdout == b""
    return ran.stderr.decode().partition("  next: ")[2].strip()


@pytest.fixture
def acme(host: Host, running: Stalling) -> Path:
    """Return the folder of a configuration whose profile renews tokens and shares a rate limit."""
    settings = running.settings("webex", "refresh_token")
    del settings["requests_per_minute"]  # the sandbox profile has no rate limit
    host.configure({"acme": settings})
    for name in ("tokens", "pace"):
        (host.config.parent / name).mkdir(mode=0o700)
    return host.config.parent


@pytest.mark.process
def test_both_folders_are_used_by_an_export(host: Host, acme: Path) -> None:
    assert host.run("webex", "cdrs", *AN_HOUR).returncode == 0
    assert (acme / "tokens" / "acme.json").exists()
    assert list((acme / "pace").glob("*.json"))


@pytest.mark.process
@POSIX
@pytest.mark.parametrize("name", ["tokens", "pace"])
@pytest.mark.parametrize("mode", [0o770, 0o702, 0o777, 0o1777])
def test_a_folder_that_others_can_write_is_refused(name: str, mode: int, host: Host, acme: Path) -> None:
    folder = acme / name
    folder.chmod(mode)
    assert refused(host) == f"chmod 700 {folder}"
    doctor = host.run("doctor", "acme", "--offline", "-f", "jsonl")
    assert doctor.returncode == 6
    assert f"chmod 700 {folder}".encode() in doctor.stdout
    folder.chmod(0o700)
    assert host.run("doctor", "acme", "--offline").returncode == 0


@pytest.mark.process
@POSIX
@pytest.mark.parametrize("name", ["tokens", "pace"])
def test_a_folder_that_is_a_link_is_refused(name: str, host: Host, acme: Path) -> None:
    elsewhere = host.folder / "elsewhere"
    (acme / name).rename(elsewhere)
    (acme / name).symlink_to(elsewhere)
    before = sorted(one.name for one in elsewhere.iterdir())
    assert refused(host).startswith(f"rm {acme / name}")
    assert sorted(one.name for one in elsewhere.iterdir()) == before


@pytest.mark.process
@needs_root
@pytest.mark.parametrize("name", ["tokens", "pace", "config.toml"])
def test_a_file_of_another_user_is_refused(name: str, host: Host, acme: Path) -> None:
    os.chown(acme / name, STRANGER, STRANGER)
    assert refused(host).startswith(f"chown 0 {acme / name}")


@pytest.mark.process
@needs_root
def test_another_users_link_to_the_configuration_is_refused(host: Host, acme: Path) -> None:
    host.config.rename(acme / "real.toml")
    host.config.symlink_to(acme / "real.toml")
    assert host.run("profile", "list").returncode == 0
    os.chown(host.config, STRANGER, STRANGER, follow_symlinks=False)
    assert refused(host, "profile", "list").startswith("chown 0 ")


@pytest.mark.process
@needs_root
def test_a_file_of_root_is_trusted(host: Host, acme: Path) -> None:
    acme.chmod(0o755)
    host.config.chmod(0o644)
    ran = host.run("profile", "list", before=as_user())
    assert ran.returncode == 0, ran.stderr
    assert b"acme" in ran.stdout


@pytest.mark.process
@needs_root
def test_a_link_to_another_users_configuration_is_refused(host: Host, acme: Path) -> None:
    host.config.rename(acme / "real.toml")
    host.config.symlink_to(acme / "real.toml")
    os.chown(acme / "real.toml", STRANGER, STRANGER)
    assert refused(host, "profile", "list").startswith("chown 0 ")


@pytest.mark.process
@needs_root
def test_a_folder_of_root_is_trusted_by_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: STRANGER)
    private.check_folder(tmp_path)
    os.chown(tmp_path, STRANGER + 1, STRANGER + 1)
    with pytest.raises(ConfigurationError):
        private.check_folder(tmp_path)


@POSIX
def test_a_device_of_nobody_is_not_another_users_configuration() -> None:
    """In some containers /dev/null belongs to an unknown user."""
    device = os.stat_result((stat.S_IFCHR | 0o666, 0, 0, 1, STRANGER, STRANGER, 0, 0, 0, 0))
    private.check_configuration(Path(os.devnull), device)


@pytest.mark.process
@POSIX
@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_configuration_that_others_can_write_is_refused(mode: int, host: Host, acme: Path) -> None:
    host.config.chmod(mode)
    for words in (("webex", "cdrs", *AN_HOUR), ("profile", "list"), ("profile", "remove", "acme")):
        assert refused(host, *words) == f"chmod 600 {host.config}"


@pytest.mark.process
@POSIX
def test_a_device_is_an_empty_configuration(host: Host) -> None:
    ran = host.run("profile", "list", environ={"CDRCTL_CONFIG": os.devnull})
    assert ran.returncode == 0, ran.stderr


@pytest.mark.process
@POSIX
@pytest.mark.parametrize("name", ["tokens/acme.json", "tokens/acme.lock", "pace/lock"])
def test_a_link_is_not_followed(name: str, host: Host, acme: Path) -> None:
    """Not even in a folder of our own: the link may be from a time when others could write there."""
    victim = host.folder / "victim"
    victim.write_bytes(b"precious")
    (acme / name).symlink_to(victim)
    ran = host.run("webex", "cdrs", *AN_HOUR)
    assert ran.returncode == (0 if name == "pace/lock" else 6), ran.stderr
    assert victim.read_bytes() == b"precious"


@pytest.mark.process
@POSIX
def test_a_link_in_place_of_the_shared_rate_limit_is_replaced(host: Host, running: Stalling, acme: Path) -> None:
    victim = host.folder / "victim"
    victim.write_bytes(b"{}")
    credentials = running.sandbox.credentials("webex", "refresh_token")
    pace = pace_file(host.config, "webex", load("webex").settings.of(credentials)).path
    pace.symlink_to(victim)
    assert host.run("webex", "cdrs", *AN_HOUR).returncode == 0
    assert victim.read_bytes() == b"{}"
    assert not pace.is_symlink()


@pytest.mark.process
@POSIX
def test_a_link_in_place_of_the_lock_of_the_configuration_is_not_followed(host: Host, acme: Path) -> None:
    victim = host.folder / "victim"
    victim.write_bytes(b"precious")
    lock = acme / ".config.toml.lock"
    lock.symlink_to(victim)
    assert host.run("profile", "remove", "acme").returncode == 6
    assert victim.read_bytes() == b"precious"


@POSIX
def test_the_target_of_a_link_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"of somebody else")
    (tmp_path / "tokens.json").symlink_to(tmp_path / "secret")
    with pytest.raises(OSError, match="link"):
        private.read(tmp_path / "tokens.json")


@POSIX
def test_a_pipe_in_place_of_a_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(OSError, match="not a file"):
        private.read(tmp_path / "fifo")


@pytest.mark.process
@needs_root
def test_an_unreadable_configuration_is_reported(host: Host, acme: Path) -> None:
    """Every command fails. The doctor reports it and continues."""
    nobody = ["setpriv", "--bounding-set", "-all", "--inh-caps", "-all"]  # root without privileges
    for what in (host.config, acme):
        mode = what.stat().st_mode
        what.chmod(0)
        for words in (["webex", "cdrs", *AN_HOUR], ["profile", "list"], ["doctor"], ["doctor", "acme", "--offline"]):
            ran = host.run(*words, before=nobody)
            assert ran.returncode == 6, ran.stderr
            assert b"a bug in cdrctl" not in ran.stderr + ran.stdout
        what.chmod(mode)


@POSIX
def test_a_path_in_a_next_step_is_quoted_for_the_shell(tmp_path: Path) -> None:
    folder = tmp_path / "my settings" / "tokens"
    folder.mkdir(parents=True, mode=0o700)
    folder.chmod(0o777)
    with pytest.raises(ConfigurationError) as caught:
        token_file(folder.parent / "config.toml", "acme", "x")
    assert caught.value.hint == f"chmod 700 '{folder}'"


@POSIX
def test_a_link_to_the_configuration_stays_when_the_whole_text_is_replaced(tmp_path: Path) -> None:
    real, link = tmp_path / "real.toml", tmp_path / "config.toml"
    real.write_text("# old\n", encoding="utf-8")
    real.chmod(0o600)
    link.symlink_to(real)
    profile_changes.replace_text(link, "# old\n", "# new\n")
    assert link.is_symlink()
    assert real.read_text(encoding="utf-8") == "# new\n"
