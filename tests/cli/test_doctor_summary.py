"""`cdrctl doctor` as text: long lines wrap under their column, and each of many profiles has one finding."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

from cdrctl.cli.doctor_summary import MANY, summarize, summary
from cdrctl.cli.findings import Finding, finding_lines
from tests.support.products import for_each
from tests.support.runner import Ran, run

WIDTHS = (40, 80, 120)
LONG = Finding(
    "connection",
    "fail",
    "the server at 192.0.2.1 does not answer within the time that was allowed, " * 3,
    "look whether a firewall is between this machine and the server, and whether the port is the right one " * 2,
)


def columns(lines: Sequence[str]) -> set[int]:
    """Return the column in which each line begins."""
    return {len(line) - len(line.lstrip()) for line in lines}


@for_each("colors", [False, True])
@for_each("width", WIDTHS)
def test_long_lines_wrap_under_their_column(width: int, *, colors: bool) -> None:
    shown = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in finding_lines(LONG, width, colors=colors)]
    assert max(map(len, shown)) < width
    assert " ".join(" ".join(shown).split()) == " ".join(f"fail connection {LONG.what} next: {LONG.next}".split())
    step = next(at for at, line in enumerate(shown) if line.lstrip().startswith("next: "))
    column = shown[step].index("next: ")
    assert columns(shown[1:step]) == {column}
    assert columns(shown[step + 1 :]) == {column + len("next: ")}
    if width > 40:
        assert shown[0][column:].startswith("the server")


@for_each("width", WIDTHS)
def test_a_word_too_long_for_its_column_stays_whole(width: int) -> None:
    path = "/" + "x" * (width - 10)
    shown = [
        *finding_lines(Finding("permissions", "warn", f"{path} can be read by others", f"chmod 600 {path}"), width)
    ]
    assert max(map(len, shown)) < width
    assert sum(path in line for line in shown) == 2


@for_each("width", WIDTHS)
def test_a_name_too_long_for_its_column_has_its_own_line(width: int) -> None:
    name = "a-customer-with-a-long-name"
    shown = [*finding_lines(Finding(name, "ok", "11 checks ok"), width)]
    assert shown == [f"  ok      {name}", "    11 checks ok"]


def test_the_finding_shown_is_the_most_urgent_one() -> None:
    ok, warn = Finding("dns", "ok", "fine", profile="a"), Finding("clock", "warn", "late", "set it", profile="a")
    later = Finding("answer", "fail", "no answer", "wait", 5, "a")
    wrong = Finding("sign-in", "fail", "refused", "renew it", 4, "a")
    other = Finding("rights", "fail", "not allowed", "ask", 4, "a")
    found = summary([ok, warn, later, wrong, other])
    assert (found.check, found.result, found.next, found.exit_code) == ("a", "fail", "renew it", 4)
    assert found.what == "sign-in: refused (and 3 more)"
    assert summary([ok, warn]).what == "clock: late"
    good = summary([ok, Finding("tls", "skipped", "not now", profile="a"), ok])
    assert (good.result, good.what, good.next) == ("ok", "2 checks ok", None)


def test_profiles_of_one_provider_are_summarised_separately() -> None:
    findings = [Finding("proxy", "ok", "none")]
    findings += [Finding(check, "ok", "", profile=name) for name in ("a", "b") for check in ("dns", "tls")]
    assert [one.check for one in summarize(findings)] == ["proxy", "a", "b"]


def checked(folder: Path, count: int, *words: str, width: int = 80) -> Ran:
    config = folder / "config.toml"
    parts = [f'[profiles.p{at}]\nprovider = "webex"\naccess_token = "token-{at}-x"\n' for at in range(count - 1)]
    config.write_text("\n".join([*parts, '[profiles.broken]\nprovider = "webex"\n']), encoding="utf-8")
    config.chmod(0o600)
    folder.chmod(0o700)
    return run("doctor", "--offline", "--config", config, *words, width=width)


@for_each("width", WIDTHS)
def test_many_profiles_have_one_finding_each(tmp_path: Path, width: int) -> None:
    ran = checked(tmp_path, MANY + 1, "-f", "text", width=width)
    assert ran.code == 6
    head, _, body = ran.out.partition("\nprofiles\n")
    assert head.startswith("this machine\n")
    begun = [line.split() for line in body.splitlines() if re.match(r"  (ok|warn|fail) ", line)]
    assert [(words[0], words[1]) for words in begun] == [*(("ok", f"p{at}") for at in range(MANY)), ("fail", "broken")]
    assert body.count("next: ") == 1
    assert "[profiles.broken]" in body
    assert "cdrctl doctor -v" in body
    every = checked(tmp_path, MANY + 1, "-f", "text", "-v", width=width)
    assert every.code == 6
    assert all(f"\np{at} (Webex Calling)\n" in every.out for at in range(MANY))
    assert every.out.count("retention") >= MANY


def test_a_few_profiles_have_all_checks(tmp_path: Path) -> None:
    assert "\np0 (Webex Calling)\n" in checked(tmp_path, MANY, "-f", "text").out
    assert "\np0 (Webex Calling)\n" in checked(tmp_path, MANY + 1, "p0", "broken", "-f", "text").out


def test_jsonl_has_every_check_of_many_profiles(tmp_path: Path) -> None:
    few, many = checked(tmp_path, 1, "-f", "jsonl"), checked(tmp_path, MANY + 1, "-f", "jsonl")
    of_one = [line["check"] for line in few.lines if line["profile"] == "broken"]
    for name in ("broken", "p0", "p4"):
        assert [line["check"] for line in many.lines if line["profile"] == name] == of_one
    assert {tuple(json.loads(line)) for line in many.out.splitlines()} == {tuple(few.lines[0])}
