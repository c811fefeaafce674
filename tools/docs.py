"""The generated parts of the documentation. `python -m tools.docs` writes them.

The pages of the providers hold generated parts between two comments, `<!-- made: errors webex -->` and
`<!-- end of made -->`, so they can be read without a build. A test compares them with the program. The pages under
`reference/` are written whole each time the documentation is built.
"""

from __future__ import annotations

import functools
import io
import json
import re
import shlex
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import typer.main

from cdrctl import PROVIDERS, errors, sandbox
from cdrctl.cli.app import app, loaded, main as run
from cdrctl.cli.fields import examples
from cdrctl.cli.outcomes import ANSWERED
from cdrctl.cli.process import Process
from cdrctl.errors import CdrctlError
from cdrctl.fetchers import Call, Provider, connect, load
from cdrctl.http import Clock, Request
from cdrctl.profiles.names import secret_names
from cdrctl.records.common import COMMON
from cdrctl.records.events import Value
from tools import outcomes

FOLDER = Path(__file__).parents[1] / "docs"
NOW = datetime(2026, 11, 20, 20, 0, tzinfo=UTC)
STILL = Clock(now=lambda: NOW, monotonic=lambda: 0.0, sleep=lambda _seconds: None)
"""The sandbox's present where it is asked: its records of the day before are the same on every day."""

SHORT = 90
"""Characters of an example; longer ones are cut."""

SAMPLE = 150
"""Records of the sandbox that the field map is found out with."""


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell(one) for one in line)} |" for line in lines)


def cell(text: str) -> str:
    """Return text as it may stand in a cell."""
    return " ".join(text.split()).replace("|", "\\|")


def code(text: str) -> str:
    """Return text as code."""
    return f"`{text}`" if "`" not in text else f"`` {text} ``"


def plain(text: str) -> str:
    """Return a sentence of the program in which Markdown finds nothing to work on but code."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(part if at % 2 else re.sub(r"([*<>\[\]])", r"\\\1", part) for at, part in enumerate(parts))


def lasting(length: timedelta) -> str:
    """Return a length of time in the largest unit that it is a whole number of."""
    seconds = length.total_seconds()
    if length.days > 2 * 365:
        return f"{length.days // 365} years"
    for unit, size in (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1)):
        if seconds >= size and seconds % size == 0:
            many = int(seconds // size)
            if unit == "day" and many == 1:
                return "24 hours"
            return f"{many} {unit}{'' if many == 1 else 's'}"
    return f"{seconds:g} seconds"


# What a provider is


def words(call: Call) -> str:
    """Return a call's command after the provider's name."""
    return " ".join(filter(None, (call.group, call.name)))


def limits(provider: Provider) -> str:
    """Return how far each call reaches, and how fast the provider may be asked."""
    rows = []
    for call in provider.calls:
        if not call.takes_window:
            continue
        rows.append(
            [
                code(f"{provider.name} {words(call)}"),
                lasting(call.retention) if call.retention else "not published",
                lasting(call.longest) if call.longest else "no limit known",
                lasting(call.lag),
                lasting(call.lookback),
                code(call.default_since),
            ]
        )
    head = (
        "command",
        "the provider keeps a call for",
        "one request asks for at most",
        "a call is there after its end by",
        "`sync` reads again for",
        "without `--since`",
    )
    budgets = [f"{_kind(kind)}: {_budget(budget)}" for kind, budget in provider.retry_policy.budgets.items()]
    kept = "; ".join(budgets) if budgets else "what the answers themselves say is left"
    return f"{table(head, rows)}\n\nPace that is kept: {kept}."


def _kind(kind: str) -> str:
    return {"*": "all requests together", "window": "first page of a window", "page": "page of records"}.get(kind, kind)


def _budget(budget: Any) -> str:
    span = f"in any {budget.seconds:g} seconds" if budget.seconds != 1 else "a second"
    return f"at most {budget.requests} {span}"


def settings(provider: Provider) -> str:
    """Return the settings of a profile, and the ways to sign in."""
    secrets = secret_names(provider.settings)
    common = set(load("webex").settings.model_fields) & set(load("kazoo").settings.model_fields)
    rows = []
    for name, one in provider.settings.model_fields.items():
        if name in common - {"base_url"}:
            continue
        about = one.description or ""
        default = "must be set" if one.is_required() else code(str(one.default)) if one.default is not None else ""
        rows.append([code(name), "secret" if name in secrets else "", default, plain(about)])
    ways = "; ".join(
        f"{code(f'--with {name}')} asks for {', '.join(map(code, needs))}"
        for name, needs in provider.auth_methods.items()
    )
    return f"{table(('setting', '', 'if it is left out', 'what it is'), rows)}\n\nWays to sign in: {ways}."


# The field map


def sources(provider: str, calls: Sequence[Call]) -> dict[str, list[str]]:
    """Return the native columns that each column of the common CDR is made from, found by trying, for some calls."""
    found: dict[str, list[str]] = {column.name: [] for column in COMMON}
    for call in calls:
        for common, names in _sources(provider, call).items():
            found[common] += [name for name in names if name not in found[common]]
    return found


def _sources(provider: str, call: Call) -> dict[str, list[str]]:
    """Return the same for one call.

    A column matters to another if that changes when it is not there, when it alone is there, or when it has the value
    of another record.
    """
    shown = examples(provider)
    empty: dict[str, Value] = {column.name: None for column in call.columns}
    full: dict[str, Value] = {column.name: shown.get(column.name) for column in call.columns}
    found: dict[str, set[str]] = {column.name: set() for column in COMMON}

    def compare(record: dict[str, Value], name: str, value: Value, before: Mapping[str, Value]) -> None:
        after = _common(call, {**record, name: value})
        for common, names in found.items():
            if after.get(common) != before.get(common):
                names.add(name)

    bare = _common(call, empty)
    for name, value in full.items():
        compare(empty, name, value, bare)
    records = [full, *({name: one.get(name) for name in empty} for one in sandboxed(provider, words(call)))]
    for record, other in zip(records, [*records[1:], full], strict=True):
        before = _common(call, record)
        for name, value in record.items():
            if value is not None:
                compare(record, name, None, before)
            if other[name] != value:
                compare(record, name, other[name], before)
    order = list(empty)
    return {common: sorted(names, key=order.index) for common, names in found.items()}


@functools.cache
def sandboxed(provider: str, command: str) -> list[dict[str, Value]]:
    """Return typed native records of the sandbox; none for a call that it cannot be asked for without knowing more."""
    call = next(one for one in load(provider).calls if words(one) == command)
    if call.offline or "|" in call.examples[0]:
        return []
    line = shlex.split(call.examples[0])[1:]  # without the program's name; later options win
    for option in {"-o", "--schema"} & {*line}:
        at = line.index(option)
        del line[at : at + 2]
    line += ["-p", "sandbox", "-f", "jsonl", "--limit", str(SAMPLE)]
    out = io.BytesIO()
    world = Process(
        environ={},
        stdin=io.StringIO(),
        stdout=out,
        stderr=io.StringIO(),
        stdin_is_terminal=False,
        stdout_is_terminal=False,
        stderr_is_terminal=False,
        width=80,
        clock=STILL,
    )
    run(line, world)
    return [json.loads(one) for one in out.getvalue().splitlines()]


def _common(call: Call, values: dict[str, Value]) -> Mapping[str, Value]:
    if call.common is not None:
        with suppress(TypeError, ValueError, AttributeError):
            return call.common(dict(values))
    return {}


def mapped(provider: Provider) -> str:
    """Return what the columns of the common CDR are made from, call by call."""
    groups: dict[Any, list[Call]] = {}
    for call in provider.calls:
        if call.common is not None:
            groups.setdefault(call.common, []).append(call)
    made = [(calls, sources(provider.name, calls)) for calls in groups.values()]
    rows = []
    for column in COMMON[2:]:  # provider and profile are not the record's
        cells = [", ".join(map(code, found[column.name])) or _fixed(column.name, calls[0]) for calls, found in made]
        rows.append([code(column.name), *cells])
    return table(["common", *(", ".join(code(words(one)) for one in calls) for calls, _ in made)], rows)


def _fixed(name: str, call: Call) -> str:
    """Return what a column always has, or that there is nothing for it."""
    value = _common(call, {column.name: None for column in call.columns}).get(name)
    return f"always {code(str(value))}" if value is not None and value is not False and value != "unknown" else ""


def columns(provider: Provider) -> str:
    """Return the columns of every call with the provider's own keys, their types and what is made of them."""
    parts = []
    seen: dict[tuple[Any, ...], list[Call]] = {}
    for call in provider.calls:
        seen.setdefault(call.columns, []).append(call)
    for described, calls in seen.items():
        into: dict[str, list[str]] = {}
        if calls[0].common is not None:
            for common, names in sources(provider.name, calls).items():
                for name in names:
                    into.setdefault(name, []).append(common)
        head = ["column", "key", "type", "meaning", *(["common"] if into else [])]
        rows = [
            [
                code(column.name),
                code(column.key) if column.key else "",
                column.kind,
                plain(column.meaning),
                *([", ".join(map(code, into.get(column.name, [])))] if into else []),
            ]
            for column in described
        ]
        title = ", ".join(code(f"{provider.name} {words(call)}") for call in calls)
        parts.append(f"### {title}\n\n{table(head, rows)}")
    return "\n\n".join(parts)


# What goes wrong


@dataclass(frozen=True, slots=True)
class Case:
    """An answer that is none of the good ones, and what is behind it."""

    why: str
    status: int
    body: Any = None
    path: str = ""
    cure: str = ""
    signing: bool = False


def _rpc(mnemonic: str, code: int = -32602, **data: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "error": {"code": code, "message": "", "data": {"mnemonic": mnemonic, **data}}}


def _voicenter(number: int, words: str) -> dict[str, Any]:
    return {"ERROR_NUMBER": number, "ERROR_DESCRIPTION": words}


def _kazoo(status: int, message: str) -> dict[str, Any]:
    return {"status": "error", "error": str(status), "message": message, "data": {}}


ACCOUNT = "/accounts/0123/cdrs"
CASES: Mapping[str, tuple[Case, ...]] = {
    "webex": (
        Case("The access token has ended (a personal one after 12 hours) or was cut off when it was copied.", 401),
        Case("The token lacks the scope, or its user the role.", 403),
        Case(
            "The organisation is at home in another region. Where `base_url` is one of Webex's own, the run goes on "
            "there by itself and this is a note.",
            451,
            {"message": "Please use analytics-calling-eu.webexapis.com"},
        ),
        Case("As above, and the answer does not say which.", 451, {"message": "wrong region"}),
        Case("`base_url` has another path or host.", 404, {"message": "Not Found"}),
        Case("Another program asks with the same token. It is waited for first.", 429),
        Case("Webex itself fails. It is tried again first.", 503),
    ),
    "kazoo": (
        Case("A misspelt key, or another server's.", 404, _kazoo(404, "bad identifier"), signing=True),
        Case("A key or user that may not read this.", 401, _kazoo(401, "invalid_credentials"), ACCOUNT),
        Case("The account is not the key's own and not below it.", 403, _kazoo(403, "forbidden"), ACCOUNT),
        Case("A misspelt account or user.", 404, _kazoo(404, "bad_identifier"), ACCOUNT),
        Case(
            "A misspelt id, or the id of an interaction given to `cdr`.",
            404,
            _kazoo(404, "could not find cdr with supplied id"),
            f"{ACCOUNT}/202611-abc",
        ),
        Case(
            "A page size or an offset that Crossbar does not take.",
            404,
            _kazoo(404, "faulty_request"),
            ACCOUNT,
            cure="leave out `--page-size` and `--utc-offset`",
        ),
        Case("The operator has disabled the account, or it has run out.", 423, _kazoo(423, "locked"), ACCOUNT),
        Case("Too many requests: 100, of which 10 come back each second.", 429, _kazoo(429, "too_many_requests")),
        Case("The database behind Crossbar is slow or away.", 503, _kazoo(503, "datastore_fault"), ACCOUNT),
    ),
    "callgear": (
        Case(
            "The key's end date has passed, or it was misspelt or deleted, or it is another brand's.",
            200,
            _rpc("access_token_expired", -32001),
        ),
        Case("Somebody has blocked the key.", 200, _rpc("access_token_blocked", -32001)),
        Case("A misspelt login or password.", 200, _rpc("auth_error", -32001)),
        Case(
            "The Data API is closed to every address until it is listed.",
            200,
            _rpc("ip_not_whitelisted", -32003, params={"ip": "192.0.2.7"}),
        ),
        Case("The user lacks a right of the web cabinet.", 200, _rpc("forbidden", -32003)),
        Case(
            "The contract lacks a part.",
            200,
            _rpc("method_component_disabled", -32008, params={"components": ["Data API Basic set"]}),
        ),
        Case("The account is closed or has not paid.", 200, _rpc("account_inactive", -32009)),
        Case("A partner's key, and no `user_id`.", 200, _rpc("required_parameter_missed", field="user_id")),
        Case("A `--filter` on something that cannot be filtered on.", 200, _rpc("filter_prohibited", field="comment")),
        Case(
            "The points of the day are spent, by whichever program.",
            200,
            _rpc(
                "limit_exceeded",
                -32029,
                params={"limit_type": "day", "limit_max_value": 3000},
                metadata={"limits": {"day_reset": 25_200}},
            ),
        ),
        Case(
            "The points of the minute are spent. It is waited for first.",
            200,
            _rpc("limit_exceeded", -32029, params={"limit_type": "minute"}),
        ),
        Case("`base_url` leads elsewhere.", 404),
    ),
    "portsip": (
        Case(
            "A misspelt user, password or domain.",
            400,
            {"errors": [{"code": "UNAUTHORIZED", "message": "Login failed, authentication error"}]},
            signing=True,
        ),
        Case("The sign-in has ended, and signing in again did not help.", 401, path="/cdrs"),
        Case("The user's role may read its own calls only.", 403, path="/cdrs"),
        Case("The same, for reports.", 403, path="/call_reports"),
        Case("The PBX is older than its call logs.", 404, path="/calllogs"),
        Case("A misspelt id.", 404, path="/cdrs/123"),
        Case("The gateway of the PBX throttles. It is waited for first.", 429, path="/cdrs"),
        Case("The database of the PBX is slow. Smaller windows are tried first.", 504, path="/cdrs"),
    ),
    "voicenter": (
        Case("A misspelt code, or a token that has ended.", 200, _voicenter(2, "Authorization failed.")),
        Case(
            "A code counts from listed addresses only.",
            200,
            _voicenter(4, "IP address 192.0.2.7 is not trusted."),
        ),
        Case(
            "30 requests a minute, by all programs that use the code. It is waited for first.",
            200,
            _voicenter(1, "Request limit exceeded. Please try again later."),
        ),
        Case(
            "The window lies too far back. It is halved once first.",
            200,
            _voicenter(5, "Date range invalid"),
            cure="try a later `--since`, or a shorter `--longest-window`; how far back calls are kept is not published",
        ),
        Case(
            "More calls than one answer holds. The window is halved first.",
            200,
            _voicenter(3, "CDR limit exceeded."),
            cure="ask for parts of them with `--type`, `--extension`, `--phone` or `--queue`",
        ),
        Case(
            "A number of a new error.",
            200,
            _voicenter(17, "Something new"),
            cure="report it, with what `-v` adds",
        ),
        Case("Something else than the Call Log answers at `base_url`.", 200, {"hello": "world"}),
    ),
}
"""Answers that are not good ones, by provider; what the program says to them is in no page but by asking it."""

HOSTS = {
    "webex": "https://analytics-calling.webexapis.com/v1/cdr_feed",
    "kazoo": "https://kazoo.example.net:8443/v2",
    "callgear": "https://dataapi.callgear.com/v2.0",
    "portsip": "https://pbx.example.net:8887/api",
    "voicenter": "https://api.voicenter.com/hub/cdr/",
}


def faults(provider: Provider) -> str:
    """Return what is said of answers that are not good ones, with exit code, reason and next step."""
    rows = []
    for case in CASES[provider.name]:
        error = explained(provider, case)
        rows.append([plain(error.message), str(error.exit_code), plain(case.why), plain(case.cure or error.hint or "")])
    return table(("what cdrctl says", "exit", "why", "what to do"), rows)


def explained(provider: Provider, case: Case) -> CdrctlError:
    """Return the error that an answer ends a run with, where every try gets it."""
    url = HOSTS[provider.name]
    needs = dict.fromkeys(next(iter(provider.auth_methods.values())), "somebody")
    required = {"account_id": "0123"} if "account_id" in provider.settings.model_fields else {}
    settings = provider.settings.model_validate({"base_url": url, **required, **needs})

    def answer(request: httpx.Request) -> httpx.Response:
        signing = re.search("/(api_auth|auth/sign_in)$", request.url.path) is not None
        if signing and not case.signing:
            return httpx.Response(201, json=SIGNED)
        return httpx.Response(case.status, json=case.body if case.body is not None else {})

    client = connect(
        provider,
        settings,
        clock=STILL,
        log=lambda _level, _text: None,
        conceal=lambda _secrets: None,
        transport=httpx.MockTransport(answer),
    )
    try:
        client.ask(Request("POST", url + case.path, json={"params": {}}))
    except CdrctlError as error:
        return error
    raise ValueError(f"{provider.name} does not mind {case}")


SIGNED = {"status": "success", "auth_token": "a", "data": {}, "access_token": "a", "expires_in": 3600}
"""What a sign-in is answered with where it is not the sign-in that goes wrong."""

MADE = {
    "limits": limits,
    "settings": settings,
    "common": mapped,
    "columns": columns,
    "errors": faults,
}
MARK = re.compile(r"(<!-- made: (\w+) (\w+) -->\n).*?(<!-- end of made -->)", re.DOTALL)


def renewed(text: str) -> str:
    """Return a page with its made parts made anew."""
    return MARK.sub(lambda found: f"{found[1]}\n{_part(found[2], found[3])}\n\n{found[4]}", text)


def _part(what: str, whose: str) -> str:
    """Return one made part, of a provider or of all of them."""
    if whose != "all":
        return MADE[what](load(whose))
    return "\n".join(textwrap.wrap(ANSWERED, 120)) if what == "answered" else table(*outcomes.TABLES[what]())


def pages() -> list[Path]:
    """Return the pages that have made parts."""
    return [FOLDER / "outcomes.md", *sorted((FOLDER / "providers").glob("*.md"))]


# The reference


def commands() -> Iterator[tuple[str, Any, Any]]:
    """Yield every command with the words that name it and its context, in the order of the help."""

    def inside(command: Any, name: str, parent: Any) -> Iterator[tuple[str, Any, Any]]:
        context = command.context_class(
            command, info_name=name.rpartition(" ")[2], parent=parent, help_option_names=["-h", "--help"]
        )
        yield name, command, context
        for inner in command.list_commands(context) if hasattr(command, "commands") else ():
            yield from inside(command.get_command(context, inner), f"{name} {inner}", context)

    top = typer.main.get_command(app)
    context = top.context_class(top, info_name="cdrctl", help_option_names=["-h", "--help"])
    yield "cdrctl", top, context
    for name in top.list_commands(context):  # type: ignore[attr-defined]
        yield from inside(loaded(name), f"cdrctl {name}", context)


def page_of_commands(within: str) -> str:
    """Return the page of a top-level command and of all commands in it."""
    parts = [f"# {within}"]
    for name, command, context in commands():
        if name != within and (within == "cdrctl" or not name.startswith(f"{within} ")):
            continue
        if name != within:
            parts.append(f"## {name}")
        parts.append("\n\n".join(plain(" ".join(part.split())) for part in (command.help or "").split("\n\n")))
        parts.append("```text\n" + " ".join(command.get_usage(context).split()).removeprefix("Usage: ") + "\n```")
        if getattr(command, "commands", None) and name != "cdrctl":
            continue
        parts += _parameters(command, context)
        if command.epilog:
            about, _, example = command.epilog.partition(": ")
            parts.append(f"{about}:\n\n```text\n{example}\n```" if example else plain(command.epilog))
    return "\n\n".join(parts) + "\n"


def _parameters(command: Any, context: Any) -> list[str]:
    arguments, options = [], []
    for one in command.get_params(context):
        if getattr(one, "hidden", False):
            continue
        about = plain(" ".join((getattr(one, "help", "") or "").split()))
        if one.param_type_name == "argument":
            many = "..." if one.nargs == -1 else ""
            arguments.append([code(f"{one.metavar or one.name.upper()}{many}"), about])
        else:
            names = ", ".join(sorted([*one.opts, *one.secondary_opts], key=len))
            takes = not (one.is_flag or one.count)
            options.append([code(f"{names} {one.metavar or 'VALUE'}" if takes else names), about])
    parts = []
    if arguments:
        parts.append(table(("argument", ""), arguments))
    if options:
        parts.append(table(("option", ""), options))
    return parts


def page_of_exit_codes() -> str:
    """Return the page of exit codes, from the errors that have them."""
    found = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, CdrctlError)]
    about = {0: "Done, also when there were no records.", 1: "A bug of ours.", 130: "Interrupted: Ctrl-C, or SIGTERM."}
    for one in found:
        if one is not CdrctlError and one.exit_code not in about:
            about[one.exit_code] = (one.__doc__ or "").strip().partition("\n")[0]
    rows = [[str(number), plain(text)] for number, text in sorted(about.items())]
    return (
        "# Exit codes\n\nScripts may rely on these; [scheduling](../cron.md) says what to do about each.\n\n"
        f"{table(('code', 'meaning'), rows)}\n\n"
        "`--allow-partial` gives 0 where 3 would be given. A pipe whose reader leaves, as in `| head`, ends quietly.\n"
    )


def page_of_common() -> str:
    """Return the page of the common CDR: its columns, and what each provider has for them."""
    shown = examples("common")
    rows = [[code(one.name), one.kind, plain(one.meaning), _example(shown.get(one.name))] for one in COMMON]
    made = {name: sources(name, load(name).calls[:1]) for name in PROVIDERS}
    matrix = [
        [code(one.name), *(", ".join(map(code, made[name][one.name])) for name in PROVIDERS)] for one in COMMON[2:]
    ]
    heads = [f"[{name} {load(name).calls[0].name}](../providers/{name}.md)" for name in PROVIDERS]
    return (
        "# The common CDR\n\n`--schema common` has these columns for every provider, in this order. What a provider "
        "does not give is null, never 0.\n\n"
        f"{table(('column', 'type', 'meaning', 'example'), rows)}\n\n"
        "## What they are made from\n\nBy the main call of each provider; its own page has the others.\n\n"
        f"{table(('column', *heads), matrix)}\n\n"
        "[Outcomes, directions and columns](../outcomes.md) lists the values that each call can give.\n"
    )


def _example(value: Any) -> str:
    text = "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    return code(text[:SHORT] + ("…" if len(text) > SHORT else "")) if text else ""


def page_of_switches() -> str:
    """Return the page of the sandbox's switches."""
    about = (
        "`cdrctl sandbox serve --switch webex.link=doc` makes an imitated provider behave in a way that its documents "
        "leave open, or as it does on bad days."
    )
    parts = ["# Switches of the sandbox", about]
    for name in sandbox.PROVIDERS:
        rows = [
            [code(f"{name}.{switch}"), code(known.choices), plain(known.meaning)]
            for switch, known in sorted(sandbox.known_switches(name).items())
        ]
        parts += [f"## {name}", table(("switch", "can be", "what it does"), rows)]
    return "\n\n".join(parts) + "\n"


def page_of_topics() -> str | None:
    """Return the page of what `cdrctl help` explains, or None where there is no such command."""
    if find_spec("cdrctl.cli.topics") is None:
        return None
    topics: Mapping[str, Any] = import_module("cdrctl.cli.topics").TOPICS
    parts = ["# Topics", "What `cdrctl help` explains."]
    for name, topic in topics.items():
        parts += [f"## {name}", plain(topic.about)]
        for part in topic.all_parts():
            rows = part if not isinstance(part, str) else ()
            parts.append(table(("", ""), [[code(word), plain(about)] for word, about in rows]) if rows else plain(part))
        parts.append("```text\n" + "\n".join(topic.examples) + "\n```")
    return "\n\n".join(parts) + "\n"


OF_THE_ROOT = {"CONTRIBUTING.md": "contributing", "README.md": "readme"}
"""The files of the repository's root that are pages, with the names of the pages."""


def page_of_the_root(name: str) -> str:
    """Return a file of the repository's root as a page, with its links as they lead from there."""
    text = (FOLDER.parent / name).read_text(encoding="utf-8").replace("](docs/", "](../")
    for file, page in OF_THE_ROOT.items():
        text = text.replace(f"]({file}", f"]({page}.md")
    return text


def reference() -> dict[str, str]:
    """Return the pages under `reference/` by their name."""
    tops = [name for name, _, _ in commands() if name.count(" ") <= 1]
    made = {f"{name.replace(' ', '-')}": page_of_commands(name) for name in tops}
    topics = page_of_topics()
    about = {"topics": topics} if topics else {}
    listed = "\n".join(made)
    first = "\n".join([*about, "exit-codes", "common-cdr", "switches"])
    index = (
        "# Reference\n\nAll of this is made from the program when the documentation is built.\n\n"
        f"```{{toctree}}\n:maxdepth: 1\n\n{first}\n```\n\n"
        f"```{{toctree}}\n:caption: Commands\n:maxdepth: 1\n\n{listed}\n```\n"
    )
    return {
        "index": index,
        **{page: page_of_the_root(name) for name, page in OF_THE_ROOT.items()},
        "exit-codes": page_of_exit_codes(),
        "common-cdr": page_of_common(),
        "switches": page_of_switches(),
        **about,
        **made,
    }


def write_reference(folder: Path) -> None:
    """Write the pages of the reference, and leave alone those that are as they should be."""
    made = reference()
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.md"):
        if old.stem not in made:
            old.unlink()
    for name, text in made.items():
        path = folder / f"{name}.md"
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def main() -> int:
    """Make the made parts of all pages anew."""
    for path in pages():
        path.write_text(renewed(path.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
