"""`cdrctl help`: the help of a command, or of a topic."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence

from cdrctl.cli.commands import Command, Group, load_entry
from cdrctl.cli.helptext import WIDEST, continue_lines, help_page, list_lines, show as put, text, wrap
from cdrctl.cli.options import Argument
from cdrctl.cli.run import Invocation
from cdrctl.cli.topics import TOPICS
from cdrctl.errors import UsageError, did_you_mean


def show(invocation: Invocation) -> int:
    """Show the help of a command, or of a topic such as times or exit-codes.

    The topics are: exit-codes, times, windows, schemas, outcomes, where, formats, profiles,
    environment.
    """
    words, width = invocation.values["what"], invocation.process.width
    if len(words) == 1 and words[0] in TOPICS:
        put("\n".join(topic_lines(words[0], width)) + "\n")
    else:
        put(text(help_page(*find_command(words)), width))
    return 0


COMMANDS = {
    "help": Command(
        "help",
        inspect.cleandoc(show.__doc__ or ""),
        show,
        (Argument("what", "A topic, or a command as it is typed. Default: all commands.", repeat=True),),
        ("cdrctl help times", "cdrctl help webex cdrs"),
    )
}


def find_command(words: Sequence[str]) -> tuple[Command | Group, tuple[str, ...]]:
    """Return the command that words name, and its path.

    Raises:
        UsageError: There is no such command or topic.
    """
    from cdrctl.cli.app import TOP

    place: Command | Group = TOP
    path: tuple[str, ...] = (TOP.name,)
    for at, word in enumerate(words):
        there = place.commands if isinstance(place, Group) else {}
        if word not in there:
            topics = [] if at else list(TOPICS)
            lists = f"the topics are: {', '.join(topics)}; " if topics else ""
            typed = " ".join(path)
            raise UsageError(
                f"there is no command or topic {word!r}" if topics else f"{typed} has no command {word!r}",
                hint=f"{did_you_mean(word, [*there, *topics])}{lists}{typed} --help lists the commands",
            )
        place, path = load_entry(there[word]), (*path, word)
    return place, path


def topic_lines(name: str, width: int) -> Iterator[str]:
    """Yield the lines of a topic for a terminal of `width` columns."""
    topic, width = TOPICS[name], min(width, WIDEST)
    yield from wrap(topic.about, width)
    yield from ("", "Examples:")
    for example in topic.examples:
        yield from continue_lines(example, width)
    for part in topic.all_parts():
        yield ""
        if isinstance(part, str):
            yield from wrap(part, width)
        else:
            yield from list_lines(part, width, min(max(len(word) for word, _ in part), width // 3))
