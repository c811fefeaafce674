"""The pages under `reference/`: commands, exit codes, the common CDR, switches of the sandbox, and help topics."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from cdrctl import PROVIDERS, errors, sandbox
from cdrctl.cli.app import TOP
from cdrctl.cli.commands import Command, Group, walk
from cdrctl.cli.fields import examples
from cdrctl.cli.helptext import help_page
from cdrctl.cli.options import HELP, Argument
from cdrctl.errors import CdrctlError
from cdrctl.fetchers import load
from cdrctl.records.common import COMMON
from tools.docs.markdown import code, plain, table
from tools.docs.providers import sources

ROOT = Path(__file__).parents[2]

SHORT = 90
"""The longest example, in characters."""


def page_of_commands(within: str) -> str:
    """Return the page of a top-level command and its commands."""
    parts = [f"# {within}"]
    for words, place in walk(TOP, (TOP.name,)):
        path = " ".join(words)
        if path != within and (within == TOP.name or not path.startswith(f"{within} ")):
            continue
        page = help_page(place, words)
        if path != within:
            parts.append(f"## {path}")
        parts.append("\n\n".join(map(plain, page.about)))
        parts.append("```text\n" + " ".join([path, *page.pieces]) + "\n```")
        if isinstance(place, Command) or place is TOP:
            parts += _parameters(place)
            parts.append("```text\n" + "\n".join(place.examples) + "\n```")
    return "\n\n".join(parts) + "\n"


def _parameters(place: Command | Group) -> list[str]:
    """Return the tables of a command's arguments and options."""
    arguments, options = [], []
    for one in (*place.parameters, HELP):
        if isinstance(one, Argument):
            arguments.append([code(f"{one.label}{'...' if one.repeat else ''}"), plain(one.about)])
        else:
            names = ", ".join(one.all_names)
            options.append([code(f"{names} {one.metavar}" if one.takes_value else names), plain(one.about)])
    parts = [table(("argument", ""), arguments)] if arguments else []
    return [*parts, table(("option", ""), options)]


def page_of_exit_codes() -> str:
    """Return the page of exit codes, from the error classes."""
    found = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, CdrctlError)]
    about = {
        0: "Done, also when there were no records.",
        1: "A bug in cdrctl.",
        130: "Interrupted: Ctrl-C, or SIGTERM.",
    }
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
    """Return the page of the common CDR: its columns and their sources at each provider."""
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
    """Return the page of help topics, or None if there are none."""
    if find_spec("cdrctl.cli.topics") is None:
        return None
    topics: Mapping[str, Any] = import_module("cdrctl.cli.topics").TOPICS
    parts = ["# Topics", "The topics of `cdrctl help`."]
    for name, topic in topics.items():
        parts += [f"## {name}", plain(topic.about)]
        for part in topic.all_parts():
            rows = part if not isinstance(part, str) else ()
            parts.append(table(("", ""), [[code(word), plain(about)] for word, about in rows]) if rows else plain(part))
        parts.append("```text\n" + "\n".join(topic.examples) + "\n```")
    return "\n\n".join(parts) + "\n"


OF_THE_ROOT = {"CONTRIBUTING.md": "contributing", "README.md": "readme"}
"""The names of the pages made from files in the repository's root."""


def page_of_the_root(name: str) -> str:
    """Return a file of the repository's root as a page, with its links adapted."""
    text = (ROOT / name).read_text(encoding="utf-8").replace("](docs/", "](../")
    for file, page in OF_THE_ROOT.items():
        text = text.replace(f"]({file}", f"]({page}.md")
    return text


def pages() -> dict[str, str]:
    """Return the pages under `reference/` by name."""
    tops = [" ".join(words) for words, _ in walk(TOP, (TOP.name,)) if len(words) <= 2]
    made = {f"{name.replace(' ', '-')}": page_of_commands(name) for name in tops}
    topics = page_of_topics()
    about = {"topics": topics} if topics else {}
    listed = "\n".join(made)
    first = "\n".join([*about, "exit-codes", "common-cdr", "switches"])
    index = (
        "# Reference\n\nThese pages are generated from the program.\n\n"
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
    """Write the pages of the reference that have changed, and delete those that no longer exist."""
    made = pages()
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.md"):
        if old.stem not in made:
            old.unlink()
    for name, text in made.items():
        path = folder / f"{name}.md"
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
