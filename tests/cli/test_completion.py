"""Completion: called as the shells call it, and answered from files and from this machine's zones and packages."""

from __future__ import annotations

import os
import shutil
import string
import subprocess
import sys
import zoneinfo
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings, strategies as st

from cdrctl import PROVIDERS
from cdrctl.cli.completion import VARIABLE, answer, line as completion_line
from cdrctl.cli.completion.files import FILE, KNOWN, read_json
from cdrctl.cli.completion.line import LINE, complete_line
from cdrctl.cli.completion.shells import SEPARATOR, _quote, bash_line
from cdrctl.cli.completion.values import values_for
from cdrctl.cli.completion.words import Answer, Line
from cdrctl.errors import ConfigurationError
from cdrctl.fetchers import load
from cdrctl.profiles.file import environment_name, read_profiles
from cdrctl.records.common import COMMON
from cdrctl.writers import FORMATS
from tests.support.products import for_each
from tools.completion import known

COMPLETIONS = Path(__file__).parents[2] / "completions"

CDRS = "webex cdrs"
WEBEX = [column.name for column in load("webex").call("cdrs").columns]


def at(text: str, environ: Mapping[str, str] | None = None) -> Answer:
    """Return the completions at the end of a line whose words are separated by single spaces."""
    return complete_line(["cdrctl", *text.split(" ")], {"CDRCTL_CONFIG": os.devnull + "/none", **(environ or {})})


def words(text: str, environ: Mapping[str, str] | None = None) -> list[str]:
    return [word for word, _ in at(text, environ).items]


def configured(folder: Path, text: str) -> dict[str, str]:
    """Return an environment whose configuration file has this text."""
    path = folder / "config.toml"
    path.write_text(text, encoding="utf-8")
    return {"CDRCTL_CONFIG": str(path)}


def asked(shell: str, line: str, environ: Mapping[str, str] | None = None) -> str:
    """Return what the program prints for a shell."""
    said = answer({VARIABLE: f"ask_{shell}", LINE: line, **(environ or {})})
    assert said is not None
    assert said[1] == 0
    return said[0]


def test_the_files_of_known_values_are_up_to_date() -> None:
    made = {path.stem: path.read_text(encoding="utf-8") for path in Path(KNOWN).glob("*.json")}
    assert made == known(), "run: python -m tools.completion"


@for_each(
    "text, some, others",
    [
        ("", {"webex", "profile", "export"}, {"--quiet", "cdrs"}),
        ("-", {"--quiet", "-q", "--config"}, {"webex", "--since"}),
        ("webex ", {"cdrs", "stream", "legs"}, {"calllogs"}),
        (f"{CDRS} --f", {"--format", "--fields"}, {"-p2"}),
        (f"{CDRS} ", {"--format", "-p"}, {"cdrs"}),
        (f"{CDRS} -q --format csv -", {"--since"}, {"-q", "--quiet", "--format", "-f"}),
        (f"{CDRS} -qfcsv -", {"--since", "-v"}, {"-q", "-f"}),
        (f"{CDRS} --location x --", {"--location"}, set()),
        (f"{CDRS} -- ", set(), {"--format"}),
        ("nope ", set(), {"cdrs"}),
        (f"{CDRS} --log-format ", {"text", "json"}, {"csv"}),
        ("--log-format ", {"text", "json"}, set()),
        (f"{CDRS} -f ", set(FORMATS), set()),
        (f"{CDRS} --schema raw -f ", {"json", "jsonl"}, {"csv", "table"}),
        ("sync -f ", {"jsonl.gz", "csv"}, {"table"}),
        (f"{CDRS} --schema ", {"native", "common", "raw"}, set()),
        ("callgear users --schema ", {"native", "raw"}, {"common"}),
        ("export --schema ", {"common"}, {"native"}),
        ("fields webex --schema ", {"native", "common"}, {"raw"}),
        (f"{CDRS} --since ", {"now", "today", "yesterday", "monday", "24h", "7d"}, set()),
        (f"{CDRS} --until ", {"now", "today"}, set()),
        ("portsip reports create --type ", {"NORMAL", "QUEUE_PERFORMANCE"}, set()),
        ("portsip reports create --range ", {"YESTERDAY", "CUSTOM"}, set()),
        ("portsip reports create --file-format ", {"CSV", "HTML"}, set()),
        ("portsip reports create --filter ", {"answer_state="}, set()),
        ("portsip reports show ", set(), {"list", "--format"}),
        ("portsip cdrs --orderby ", {"caller", "started_at"}, set()),
        ("voicenter cdrs --type ", {"Incoming Call"}, set()),
        ("voicenter cdrs --identity ", {"Account", "User"}, set()),
        ("kazoo cdrs --filter ", {"direction=", "owner_id="}, {"direction"}),
        ("callgear legs --orderby ", {"start_time", "start_time:desc"}, set()),
        ("callgear legs --filter ", {"direction="}, {"start_time="}),
        ("profile add x --provider ", set(PROVIDERS), {"sandbox"}),
        ("profile add x --provider kazoo --with ", {"key", "password", "token"}, {"login", "code"}),
        ("profile add x --with ", {"key", "code", "refresh"}, set()),
        ("profile add x --provider kazoo --set ", {"account_id=", "api_key_command="}, {"api_key=", "password="}),
        ("profile add ", set(), {"webex"}),
        ("fields ", set(PROVIDERS), set()),
        ("fields portsip ", {"cdrs", "reports"}, set()),
        ("fields portsip reports ", {"list", "create"}, {"cdrs"}),
        ("fields nope ", set(), {"cdrs"}),
        ("sandbox serve --switch ", {"webex.link="}, set()),
        ("sandbox serve --switch webex.link=", {"plain", "doc"}, set()),
        ("sync sandbox --call ", {"cdrs", "calls"}, {"users", "list"}),
    ],
)
def test_each_place_completes_its_own_words(text: str, some: set[str], others: set[str]) -> None:
    found = words(text)
    assert some <= set(found)
    assert not others & set(found)
    assert len(found) == len(set(found))
    if not some:
        assert found == []


@for_each(
    "text, kept",
    [
        (f"{CDRS} --format=cs", "--format="),
        (f"{CDRS} -fcs", "-f"),
        (f"{CDRS} -qfcs", "-qf"),
        (f"{CDRS} --fields=start_time,an", "--fields=start_time,"),
        ("sandbox serve --switch=webex.link=d", "--switch=webex.link="),
    ],
)
def test_text_before_a_value_in_the_same_word_is_kept(text: str, kept: str) -> None:
    found = at(text)
    assert found.kept == kept
    assert found.items


def test_columns_are_those_of_the_call_and_schema() -> None:
    assert words(f"{CDRS} --fields ") == [*WEBEX, "extra"]
    assert words(f"{CDRS} --schema common --fields ") == [column.name for column in COMMON]
    assert words(f"{CDRS} --schema=common --fields=") == [column.name for column in COMMON]
    assert words("export --fields ") == [column.name for column in COMMON]
    assert words(f"{CDRS} --schema raw --fields ") == []
    assert words("portsip reports list --fields ")[:2] == ["id", "name"]
    meanings = dict(at(f"{CDRS} --fields ").items)
    assert all(meanings[column.name] == column.meaning for column in load("webex").call("cdrs").columns)


def test_chosen_columns_are_not_offered_again() -> None:
    found = at(f"{CDRS} --fields {WEBEX[0]},{WEBEX[2]},")
    assert found.kept == f"{WEBEX[0]},{WEBEX[2]},"
    assert [word for word, _ in found.items] == [WEBEX[1], *WEBEX[3:], "extra"]
    assert found.goes_on


def line_with(option: str, value: Any, columns: str) -> Line:
    """Return a line that ends at the value of an option that no command has yet."""
    line = Line({"options": [], "columns": columns, "commands": {}, "arguments": [], "goes_on": False})
    line.due = {"names": [option], "value": value}
    return line


def test_an_unknown_kind_has_no_values() -> None:
    line = line_with("--new", "kind of tomorrow", CDRS)
    assert values_for({}, line, line.due["value"], "", "", {}) == Answer()


@for_each("begun, expected", [("", True), ("talk", True), ("talk_seconds > ", False), ("a=b", False)])
def test_the_first_word_of_a_condition_is_a_column(begun: str, expected: bool) -> None:  # noqa: FBT001
    line = line_with("--where", "first column", "common")
    found = values_for({}, line, "first column", begun, "", {})
    assert [word for word, _ in found.items] == ([column.name for column in COMMON] if expected else [])
    assert found.goes_on


@for_each(
    "text, kind, kept",
    [
        (f"{CDRS} -o ", "files", ""),
        (f"{CDRS} --output=a", "files", "--output="),
        (f"{CDRS} -oa", "files", "-o"),
        ("--config ", "files", ""),
        ("voicenter notifications ", "files", ""),
        ("sync --into ", "folders", ""),
        ("verify --into=x", "folders", "--into="),
        ("profile add x --set api_key_file=", "files", "api_key_file="),
    ],
)
def test_files_are_left_to_the_shell(text: str, kind: str, kept: str) -> None:
    assert at(text) == Answer(kept=kept, files=kind)


def test_help_completes_commands_and_topics() -> None:
    """`cdrctl help` is tested elsewhere; here only its completion."""
    read = read_json(FILE)
    line = Line({})
    first = values_for({**read, "topics": ["times"]}, line, "command", "", "", {})
    assert {"webex", "profile", "times"} <= {word for word, _ in first.items}
    line.given = ["portsip", "reports"]
    assert ("list", "Call reports that run or are scheduled.") in values_for(
        {**read, "topics": ["times"]}, line, "command", "", "", {}
    ).items
    line.given = ["nope"]
    assert values_for(read, line, "command", "", "", {}).items == []


# Zones and formats of this machine


def test_zones_are_those_of_this_machine() -> None:
    there = zoneinfo.available_timezones() - {"localtime", "Factory"}
    assert set(words(f"{CDRS} --tz ")) - {"Factory"} == {"local"} | there


def test_zones_come_from_tzdata_if_the_system_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tzdata").mkdir()
    (tmp_path / "tzdata" / "zones").write_text("Europe/Berlin\nUTC\n", encoding="utf-8")
    monkeypatch.setattr(zoneinfo, "TZPATH", (str(tmp_path / "none"),))
    monkeypatch.setattr(sys, "path", [str(tmp_path / "none"), str(tmp_path)])
    assert words(f"{CDRS} --tz ") == ["local", "Europe/Berlin", "UTC"]


def test_installed_formats_are_offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in {
        "cdrctl_parquet": "[console_scripts]\nx = y\n\n[cdrctl.writers]\nparquet = cdrctl_parquet.writer\n\n[a]\nb=c\n",
        "other": "[cdrctl.other]\nxml = z\n",
        "broken": "\udcff",
    }.items():
        (tmp_path / f"{name}-1.dist-info").mkdir()
        path = tmp_path / f"{name}-1.dist-info" / "entry_points.txt"
        path.write_text(text, encoding="utf-8", errors="surrogateescape")
    (tmp_path / "empty-1.dist-info").mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path), str(tmp_path), str(tmp_path / "none")])
    assert words(f"{CDRS} -f ") == [*FORMATS, "parquet"]
    assert words(f"{CDRS} --schema raw -f ") == ["jsonl", "json"]


# Profiles

TWO = '[profiles.acme]\nprovider = "webex"\naccess_token = "hush"\n[profiles.lab]\nprovider = "kazoo"\n'
"""A configuration of two profiles."""


def test_only_profiles_of_the_commands_provider_are_offered(tmp_path: Path) -> None:
    there = configured(tmp_path, TWO)
    assert words(f"{CDRS} -p ", there) == ["acme", "sandbox"]
    assert words("kazoo cdrs --profile=", there) == ["lab", "sandbox"]
    assert words("callgear legs -p ", there) == ["sandbox"]
    assert words("export -p lab -p ", there) == ["acme", "sandbox"]
    assert words("sync acme ", there) == ["lab", "sandbox"]
    assert words("plan ", there) == ["acme", "lab", "sandbox"]
    assert words("profile show ", there) == ["acme", "lab", "sandbox"]
    assert words("profile check ", there) == ["acme", "lab", "sandbox"]
    assert words("profile remove ", there) == ["acme", "lab"]
    assert words("sync acme --call ", there) == ["cdrs", "stream"]


def test_a_profile_named_like_an_option_is_completed_after_the_dashes(tmp_path: Path) -> None:
    there = configured(tmp_path, "[profiles.-q]\n[profiles.acme]\n")
    assert words("profile remove ", there) == ["acme"]
    assert words("profile remove -- ", there) == ["-q", "acme"]


def test_the_configuration_is_the_one_that_the_command_would_use(tmp_path: Path) -> None:
    configured(tmp_path, TWO)
    path = tmp_path / "config.toml"
    assert words(f"{CDRS} --config {path} -p ") == ["acme", "sandbox"]
    assert words(f"--config={path} {CDRS} -p ") == ["acme", "sandbox"]
    assert words(f"{CDRS} --config ~/config.toml -p ", {"HOME": str(tmp_path)}) == ["acme", "sandbox"]
    assert words(f"{CDRS} --config {path}.none -p ") == ["sandbox"]


@pytest.mark.process
def test_the_default_configuration_is_the_platforms(tmp_path: Path) -> None:
    (tmp_path / "cdrctl").mkdir()
    configured(tmp_path / "cdrctl", TWO)
    environ = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    environ |= {"PYTHONPATH": str(Path(__file__).parents[2]), VARIABLE: "ask_bash", LINE: "cdrctl webex cdrs -p "}
    ran = subprocess.run([sys.executable, "-m", "cdrctl"], env=environ, capture_output=True, check=True, timeout=60)
    assert ran.stdout.split() == [b"words", *([b"+acme"] if sys.platform == "linux" else []), b"+sandbox"]
    assert ran.stderr == b""


def test_profiles_may_exist_in_the_environment_alone(tmp_path: Path) -> None:
    there = {**configured(tmp_path, TWO), "CDRCTL_OPS_PROVIDER": "webex", "CDRCTL_NONE_PROVIDER": ""}
    assert words(f"{CDRS} -p ", there) == ["acme", "ops", "sandbox"]


@for_each("text", ["[profiles.acme", "profiles = 3", "\x00", "a = " + "[" * 100_000, TWO + "\udcff"])
def test_a_broken_configuration_offers_no_profiles(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.toml"
    path.write_text(text, encoding="utf-8", errors="surrogateescape")
    there = {"CDRCTL_CONFIG": str(path), "CDRCTL_OPS_PROVIDER": "webex"}
    assert asked("bash", "cdrctl webex cdrs -p ", there) == "words\n+sandbox\n"
    assert asked("bash", "cdrctl profile remove ", there) == "words\n"


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["pipe", "folder"])
def test_a_configuration_that_is_not_a_regular_file_does_not_block(tmp_path: Path, make: Any) -> None:
    make(tmp_path / "config.toml")
    there = {"CDRCTL_CONFIG": str(tmp_path / "config.toml"), "CDRCTL_OPS_PROVIDER": "webex"}
    assert words(f"{CDRS} -p ", there) == ["sandbox"]


def test_no_secret_is_read_and_no_command_is_run(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    text = f'[profiles.acme]\nprovider = "webex"\naccess_token_command = "touch {ran}"\nrefresh_token = "hush"\n'
    there = {**configured(tmp_path, text), "CDRCTL_ACME_CLIENT_SECRET": "hush"}
    for line in ("webex cdrs -p ", "profile show ", "profile remove ", "sync ", "profile add x --set "):
        said = "".join(asked(shell, f"cdrctl {line}".replace(" ", SEPARATOR), there) for shell in ("zsh", "fish"))
        assert "hush" not in said + asked("bash", f"cdrctl {line}", there)
    assert not ran.exists()


NAMES = st.sampled_from(["acme", "a-b", "a_b", "A.B", "sandbox", "-x", "", "a b", "é", "x" * 65, "ops"])
VALUES = st.sampled_from(["webex", "kazoo", "nope", ""])


@pytest.mark.slow
@given(st.dictionaries(NAMES, st.one_of(VALUES, st.none(), st.just(3))), st.dictionaries(NAMES, VALUES))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_only_usable_profiles_are_offered(tmp_path: Path, file: dict[str, Any], environ: dict[str, str]) -> None:
    text = "".join(
        f'[profiles."{name}"]\n' + ("" if value is None else f"provider = {value!r}\n") for name, value in file.items()
    )
    there = configured(tmp_path, text)
    there |= {environment_name(name, "provider"): value for name, value in environ.items()}
    try:
        found = read_profiles(Path(there["CDRCTL_CONFIG"]), there)[0]
    except ConfigurationError:
        found = {}
    usable = [name for name, profile in found.items() if profile.fault is None]
    assert words("sync ", there) == [*usable, "sandbox"]


# The protocol of each shell


@for_each(
    "line, words_read, quote",
    [
        ("cdrctl a b", ["cdrctl", "a", "b"], ""),
        ("cdrctl a ", ["cdrctl", "a", ""], ""),
        ("cdrctl  'a b' c", ["cdrctl", "a b", "c"], ""),
        ("cdrctl 'a b", ["cdrctl", "a b"], "'"),
        ('cdrctl "a \\"b', ["cdrctl", 'a "b'], '"'),
        ('cdrctl "a\\b', ["cdrctl", "a\\b"], '"'),
        ("cdrctl a\\ b", ["cdrctl", "a b"], ""),
        ("cdrctl '' ", ["cdrctl", "", ""], ""),
        ("cdrctl > f a", ["cdrctl", "a"], ""),
        ("cdrctl 2>f a", ["cdrctl", "a"], ""),
        ("cdrctl a 2>&1 b", ["cdrctl", "a", "b"], ""),
        ("cdrctl a>f", ["cdrctl", "a", "f"], ""),
        ("cdrctl '>' a", ["cdrctl", ">", "a"], ""),
    ],
)
def test_a_line_is_split_as_bash_splits_it(line: str, words_read: list[str], quote: str) -> None:
    found = bash_line(line)
    assert (list(found.words), found.quote) == (words_read, quote)


@for_each("line", ["cdrctl webex cdrs > ", "cdrctl webex cdrs 2>x", "cdrctl webex cdrs -p a < f"])
def test_a_redirection_completes_files(line: str) -> None:
    assert asked("bash", line) == "files\n"


@pytest.mark.process
@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=12), st.sampled_from(["", "'", '"']))
@example('$(x)`y`"z" !\\ ;&|<>(){}[]*?~#\'', "")
@example('$(x)`y`"z" !\\ ;&|<>(){}[]*?~#\'', "'")
@example('$(x)`y`"z" !\\ ;&|<>(){}[]*?~#\'', '"')
@settings(max_examples=30, deadline=None)
@pytest.mark.skipif(not shutil.which("bash"), reason="bash is not installed")
def test_bash_reads_a_quoted_word_as_the_original(text: str, quote: str) -> None:
    typed = f"printf %s {quote}x{_quote(text, quote)}{quote}"
    ran = subprocess.run(["bash", "-c", typed], capture_output=True, check=True, env={"LANG": "C.UTF-8"}, timeout=60)
    assert ran.stdout.decode() == "x" + text


@pytest.mark.slow
@given(st.text(string.printable, max_size=40))
@settings(deadline=None)
def test_every_line_gets_an_answer(text: str) -> None:
    for shell in ("bash", "zsh", "fish"):
        for begun in ("", "cdrctl webex cdrs ", "cdrctl webex cdrs --fields "):
            line = (begun + text).replace(" ", " " if shell == "bash" else SEPARATOR)
            said = asked(shell, line, {"CDRCTL_CONFIG": os.devnull})
            assert all(sign.isprintable() or sign in "\n\t" for sign in said)


@for_each("shell", ["bash", "zsh", "fish"])
def test_words_with_control_characters_are_not_offered(tmp_path: Path, shell: str) -> None:
    bad = ['"a\\u001b[2J"', '"a\\nb"', '"a\\tb"', '"a\\u0007"', '"a\\u202eb"', '"a\\u009b"', '""']
    there = configured(
        tmp_path, "".join(f'[profiles.{name}]\nprovider = "we\\u001bbex"\n' for name in [*bad, '"fine"'])
    )
    said = asked(shell, "cdrctl profile remove ".replace(" ", " " if shell == "bash" else SEPARATOR), there)
    assert "fine" in said
    assert len(said.splitlines()) == 2
    assert not set(said) & set("\x1b\x07\u202e\u009b")


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_a_word_with_a_line_break_is_not_completed(shell: str) -> None:
    line = SEPARATOR.join(["cdrctl", *CDRS.split(), "--fields", "a\n$(touch ran),"])
    assert len(asked(shell, line).splitlines()) == 1


@for_each("way", ["ask_", "ask_tcsh", "ask_bash", "ask"])
def test_an_unknown_shell_gets_an_empty_answer(way: str) -> None:
    assert answer({VARIABLE: way}) in {("", 0), ("words\n", 0)}


def test_a_bug_in_completion_prints_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(completion_line, "FILE", "/none")
    assert asked("bash", "cdrctl we") == ""


@pytest.mark.process
def test_installing_installs_our_scripts(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parents[2])}
    environ |= {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    for shell, place in (
        ("bash", ".bash_completions/cdrctl.sh"),
        ("zsh", ".zfunc/_cdrctl"),
        ("fish", ".config/fish/completions/cdrctl.fish"),
    ):
        asked_for = [sys.executable, "-m", "cdrctl", "--install-completion", shell]
        ran = subprocess.run(asked_for, env=environ, capture_output=True, check=True, text=True, timeout=60)
        assert str(tmp_path / place) in ran.stdout
        ours = (COMPLETIONS / f"cdrctl.{shell}").read_text(encoding="utf-8")
        assert (tmp_path / place).read_text(encoding="utf-8") == ours
