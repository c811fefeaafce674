"""`cdrctl doctor`: whether exports can work, checked from this machine to the last right, with what to do where not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Annotated

import typer

from cdrctl import PROVIDERS
from cdrctl.cli.doctor_checks import examined
from cdrctl.cli.findings import Finding, as_text, cleaned, worst, wrapped
from cdrctl.cli.options import in_session
from cdrctl.cli.run import Session, read_profiles
from cdrctl.errors import ConfigurationError, UsageError

commands = typer.Typer(rich_markup_mode=None)


@commands.command(
    epilog="cdrctl doctor sandbox\ncdrctl doctor sandbox -f jsonl | jq -r 'select(.result == \"fail\") | .next'"
)
@in_session
def doctor(
    opened: Session,
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME", help="Which profiles. Default: all.", show_default=False),
    ] = None,
    *,
    chosen: Annotated[
        list[str] | None,
        typer.Option("-p", "--profile", help="The same, as an option.", metavar="NAME", show_default=False),
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Check what can be checked without the network.")] = False,
    form: Annotated[
        str | None,
        typer.Option(
            "-f",
            "--format",
            help="text, or csv, tsv, jsonl, json, table. Default: text on a terminal, jsonl in a pipe.",
            metavar="FORMAT",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Check all that exports need, from the settings to the rights, and say what to do.

    At most a few small requests are made for each profile, within the provider's limit. The exit code is that of the
    worst check that failed; warnings do not change it. Of more than five profiles, text has one finding each: -v shows
    all checks.
    """
    form = form or ("text" if opened.process.stdout_is_terminal else "jsonl")
    if form != "text":
        _check_form(opened, form)
    given = [*(names or ()), *(chosen or ())]
    tally = dict.fromkeys(("ok", "warn", "fail", "skipped"), 0)
    codes: set[int] = set()

    def counted() -> Iterator[Finding]:
        for finding in cleaned(opened, examined(opened, given, offline=offline)):
            tally[finding.result] += 1
            codes.add(finding.code)
            yield finding

    if form == "text":
        print_as_text(opened, counted(), brief=not opened.reporter.verbose and _are_many(opened, given))
    else:
        _write(opened, form, counted())
    opened.reporter.summary({"checks_ok": tally["ok"], "warnings": tally["warn"], "failed": tally["fail"]})
    if code := worst(codes):
        raise typer.Exit(code)


def _are_many(opened: Session, names: Sequence[str]) -> bool:
    """Return whether so many profiles are to be checked that each gets one line."""
    from cdrctl.cli.doctor_summary import MANY  # it is made from this module

    with suppress(ConfigurationError):  # it becomes a finding
        return len(set(names) or read_profiles(opened)[0]) > MANY
    return False


def print_as_text(opened: Session, findings: Iterable[Finding], *, brief: bool = False) -> None:
    """Print findings for people, each when it is there; in brief, one for each profile."""
    from cdrctl.cli.output_options import colored
    from cdrctl.cli.profile import put

    colors = colored(opened)
    if brief:
        _print_in_brief(opened, findings, colors=colors)
        return
    titles = {name: title.partition(":")[0] for name, title in PROVIDERS.items()}
    shown: tuple[str | None, str | None] | None = None
    for finding in _gathered(findings):
        if shown != (finding.profile, finding.provider):
            if shown is not None:
                put(opened, "")
            shown = finding.profile, finding.provider
            of = f" ({titles[finding.provider]})" if finding.provider in titles else ""
            put(opened, f"{finding.profile}{of}" if finding.profile else "this machine")
        for line in as_text(finding, opened.process.width, colors=colors):
            put(opened, line)


def _print_in_brief(opened: Session, findings: Iterable[Finding], *, colors: bool) -> None:
    from cdrctl.cli.doctor_summary import summarized  # it is made from this module
    from cdrctl.cli.profile import put

    shown = ""
    for finding in summarized(findings):
        title = "profiles" if finding.profile else "this machine"
        if title != shown:
            put(opened, f"\n{title}" if shown else title)
            shown = title
        for line in as_text(finding, opened.process.width, colors=colors):
            put(opened, line)
    more = "cdrctl doctor -v shows all checks, cdrctl doctor NAME those of one profile"
    put(opened, "\n" + "\n".join(wrapped(more, opened.process.width)))


def _gathered(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Yield findings as they come, those that were skipped one after the other for one reason as one."""
    waiting: list[Finding] = []

    def together() -> Iterator[Finding]:
        names = ", ".join(one.check for one in waiting)
        if len(waiting) > 1:
            yield replace(waiting[0], check="", what=f"{names}: {waiting[0].what}")
        else:
            yield from waiting
        waiting.clear()

    for finding in findings:
        if waiting and replace(waiting[0], check=finding.check) != finding:
            yield from together()
        if finding.result == "skipped":
            waiting.append(finding)
        else:
            yield finding
    yield from together()


def _check_form(opened: Session, form: str) -> None:
    """Refuse a format that what is found cannot be written in, before anything is looked at."""
    from cdrctl import writers
    from cdrctl.cli.output_options import check_place

    if form != writers.TEMPLATE and writers.is_database(form):
        raise UsageError(
            f"what the doctor finds is not written into a database: {form}",
            hint="use -f csv, jsonl or another format that is a stream",
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
    if form == "table":  # its first page says how wide its columns are
        pages = [[row for page in pages for row in page]]
    with output(None, standard_output(opened, None)) as out:
        write(Schema(columns, lambda _page: []), pages, out, look)
