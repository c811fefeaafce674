"""The generated parts of a provider's page: limits, settings, columns, and the map to the common CDR."""

from __future__ import annotations

import functools
import io
import json
import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from cdrctl.cli.app import main as run
from cdrctl.cli.fields import examples
from cdrctl.cli.process import Process
from cdrctl.fetchers import Call, Provider, load
from cdrctl.http import Clock
from cdrctl.profiles.names import secret_names
from cdrctl.records.common import COMMON
from cdrctl.records.events import Value
from tools.docs.markdown import code, length, plain, table

NOW = datetime(2026, 11, 20, 20, 0, tzinfo=UTC)
STILL = Clock(now=lambda: NOW, monotonic=lambda: 0.0, sleep=lambda _seconds: None)
"""A clock that stands still, so that the sandbox generates the same records every day."""

SAMPLE = 150
"""The number of sandbox records from which the field map is computed."""


def words(call: Call) -> str:
    """Return the command of a call without the provider's name."""
    return " ".join(filter(None, (call.group, call.name)))


def limits(provider: Provider) -> str:
    """Return the retention, the window and the delay of each call, and the rate limits."""
    rows = []
    for call in provider.calls:
        if not call.takes_window:
            continue
        rows.append(
            [
                code(f"{provider.name} {words(call)}"),
                length(call.timing.retention) if call.timing.retention else "not published",
                length(call.timing.longest) if call.timing.longest else "no limit known",
                length(call.timing.lag),
                length(call.timing.lookback),
                code(call.timing.default_since),
            ]
        )
    head = (
        "command",
        "retention",
        "longest request",
        "delay after a call",
        "`sync` re-reads for",
        "default `--since`",
    )
    budgets = [f"{_kind(kind)}: {_budget(budget)}" for kind, budget in provider.retry_policy.budgets.items()]
    kept = "; ".join(budgets) if budgets else "what the responses say is left"
    return f"{table(head, rows)}\n\nRate limit: {kept}."


def _kind(kind: str) -> str:
    return {"*": "all requests together", "window": "first page of a window", "page": "page of records"}.get(kind, kind)


def _budget(budget: Any) -> str:
    span = f"in any {budget.seconds:g} seconds" if budget.seconds != 1 else "a second"
    return f"at most {budget.requests} {span}"


def settings(provider: Provider) -> str:
    """Return the settings of a profile and the authentication methods."""
    secrets = secret_names(provider.settings)
    common = set(load("webex").settings.described()) & set(load("kazoo").settings.described())
    rows = []
    for name, one in provider.settings.described().items():
        if name in common - {"base_url"}:
            continue
        about = one.description or ""
        default = "required" if one.required else code(str(one.default)) if one.default is not None else ""
        rows.append([code(name), "secret" if name in secrets else "", default, plain(about)])
    ways = "; ".join(
        f"{code(f'--with {name}')} asks for {', '.join(map(code, needs))}"
        for name, needs in provider.auth_methods.items()
    )
    return f"{table(('setting', '', 'default', 'meaning'), rows)}\n\nAuthentication: {ways}."


def sources(provider: str, calls: Sequence[Call]) -> dict[str, list[str]]:
    """Return the native columns behind each column of the common CDR, for some calls, found by experiment."""
    found: dict[str, list[str]] = {column.name: [] for column in COMMON}
    for call in calls:
        for common, names in _sources(provider, call).items():
            found[common] += [name for name in names if name not in found[common]]
    return found


def _sources(provider: str, call: Call) -> dict[str, list[str]]:
    """Return the native columns behind each column of the common CDR, for one call.

    A native column counts if the common column changes when the native one is removed, when it is alone, or when it
    has the value of another record.
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
    """Return typed native records of the sandbox, or none if the call needs an argument that is not known."""
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


def common_fields(provider: Provider) -> str:
    """Return a table of the native columns behind each column of the common CDR, for each call."""
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
    """Return the constant value of a column, or an empty text."""
    value = _common(call, {column.name: None for column in call.columns}).get(name)
    return f"always {code(str(value))}" if value is not None and value is not False and value != "unknown" else ""


def columns(provider: Provider) -> str:
    """Return the columns of every call, with the provider's keys, types and the common columns made from them."""
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
