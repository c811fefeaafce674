"""`cdrctl doctor`: check everything that an export needs, and name the next step for each problem."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress

from msgspec.structs import replace

from cdrctl import PROVIDERS
from cdrctl.cli.commands import command
from cdrctl.cli.doctor_checks import check_profiles
from cdrctl.cli.findings import Finding, clean_findings, finding_lines, worst_exit_code, wrap
from cdrctl.cli.options import Argument, option
from cdrctl.cli.run import Session, read_profiles
from cdrctl.errors import ConfigurationError, UsageError


@command(
    Argument("names", "Profiles to check. Default: all.", metavar="NAME", repeat=True),
    option("-p", "--profile", about="Same as NAME.", metavar="NAME", repeat=True),
    option("--offline", about="Skip the checks that need the network.", kind="flag"),
    option(
        "-f",
        "--format",
        name="form",
        about="text, or csv, tsv, jsonl, json, table. Default: text on a terminal, jsonl in a pipe.",
        metavar="FORMAT",
    ),
    examples=(
        "cdrctl doctor sandbox",
        "cdrctl doctor sandbox -f jsonl | jq -r 'select(.result == \"fail\") | .next'",
    ),
)
def doctor(opened: Session, *, names: list[str], profile: list[str], offline: bool, form: str | None) -> int:
    """Check everything an export needs, from settings to permissions, and say how to fix it.

    At most a few small requests are sent for each profile, within the provider's rate limit. The exit code is that of
    the worst check that failed; warnings do not change it. For more than five profiles, text shows one finding for
    each; -v shows all checks.
    """
    form = form or ("text" if opened.process.stdout_is_terminal else "jsonl")
    if form != "text":
        _refuse_format(opened, form)
    given = [*names, *profile]
    counts = dict.fromkeys(("ok", "warn", "fail", "skipped"), 0)
    exit_codes: set[int] = set()

    def count() -> Iterator[Finding]:
        for finding in clean_findings(opened, check_profiles(opened, given, offline=offline)):
            counts[finding.result] += 1
            exit_codes.add(finding.exit_code)
            yield finding

    if form == "text":
        _print_text(opened, count(), brief=not opened.reporter.verbose and _are_many(opened, given))
    else:
        _write(opened, form, count())
    opened.reporter.summary({"checks_ok": counts["ok"], "warnings": counts["warn"], "failed": counts["fail"]})
    return worst_exit_code(exit_codes)


COMMANDS = {"doctor": doctor}


def _are_many(opened: Session, names: Sequence[str]) -> bool:
    """Return whether there are too many profiles to show all checks of each."""
    from cdrctl.cli.doctor_summary import MANY

    with suppress(ConfigurationError):  # it becomes a finding
        return len(set(names) or read_profiles(opened)[0]) > MANY
    return False


def _print_text(opened: Session, findings: Iterable[Finding], *, brief: bool) -> None:
    """Print each finding as text as soon as it is known; in brief, one for each profile."""
    from cdrctl.cli.output_options import colored
    from cdrctl.cli.profile import put

    colors = colored(opened)
    if brief:
        _print_in_brief(opened, findings, colors=colors)
        return
    shown: tuple[str | None, str | None] | None = None
    for finding in _join_skipped(findings):
        if shown != (finding.profile, finding.provider):
            if shown is not None:
                put(opened, "")
            shown = finding.profile, finding.provider
            put(opened, _heading(finding))
        for line in finding_lines(finding, opened.process.width, colors=colors):
            put(opened, line)


def _heading(finding: Finding) -> str:
    """Return the line above the findings of a profile, or of the machine."""
    if not finding.profile:
        return "this machine"
    product = PROVIDERS.get(finding.provider or "", "").partition(":")[0]
    return f"{finding.profile} ({product})" if product else finding.profile


def _print_in_brief(opened: Session, findings: Iterable[Finding], *, colors: bool) -> None:
    from cdrctl.cli.doctor_summary import summarize
    from cdrctl.cli.profile import put

    shown = ""
    for finding in summarize(findings):
        title = "profiles" if finding.profile else "this machine"
        if title != shown:
            put(opened, f"\n{title}" if shown else title)
            shown = title
        for line in finding_lines(finding, opened.process.width, colors=colors):
            put(opened, line)
    more = "cdrctl doctor -v shows all checks; cdrctl doctor NAME shows those of one profile"
    put(opened, "\n" + "\n".join(wrap(more, opened.process.width)))


def _join_skipped(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Yield findings as they come; consecutive ones that were skipped for the same reason become one."""
    waiting: list[Finding] = []

    def join() -> Iterator[Finding]:
        names = ", ".join(one.check for one in waiting)
        if len(waiting) > 1:
            yield replace(waiting[0], check="", what=f"{names}: {waiting[0].what}")
        else:
            yield from waiting
        waiting.clear()

    for finding in findings:
        if waiting and replace(waiting[0], check=finding.check) != finding:
            yield from join()
        if finding.result == "skipped":
            waiting.append(finding)
        else:
            yield finding
    yield from join()


def _refuse_format(opened: Session, form: str) -> None:
    """Refuse a format that findings cannot be written in, before any check starts.

    Raises:
        UsageError: It is unknown, or a database.
    """
    from cdrctl import writers
    from cdrctl.cli.output_options import check_place

    if form != writers.TEMPLATE and writers.is_database(form):
        raise UsageError(
            f"doctor cannot write its findings to a database ({form})",
            hint="use -f csv, jsonl or another stream format",
        )
    check_place(opened, form, None)


def _write(opened: Session, form: str, findings: Iterator[Finding]) -> None:
    from cdrctl import windows, writers
    from cdrctl.cli.output_options import colored, standard_output
    from cdrctl.records.columns import Column
    from cdrctl.records.schemas import Schema
    from cdrctl.writers.output import output

    names = ("profile", "provider", "check", "result", "what", "next")
    columns = tuple(Column(name, "", "text") for name in names)
    write = writers.load(form)
    look = writers.RenderOptions(
        opened.process.width, windows.zone("UTC"), colored(opened), whole=("check", "result"), more="-f text"
    )
    pages: Iterable[list[list[str]]] = ([[getattr(finding, name) for name in names]] for finding in findings)
    if form == "table":  # the first page determines the widths of the columns
        pages = [[row for page in pages for row in page]]
    with output(None, standard_output(opened, None)) as out:
        write(Schema(columns, lambda _page: []), pages, out, look)
