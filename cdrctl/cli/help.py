"""`cdrctl help`: the page of a command, or a topic that commands have in common."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import typer

from cdrctl.cli.helptext import WIDEST, continued, described, filled, listed, text
from cdrctl.cli.topics import TOPICS
from cdrctl.errors import UsageError, did_you_mean

commands = typer.Typer(rich_markup_mode=None)


@commands.command("help", epilog="cdrctl help times\ncdrctl help webex cdrs")
def show(
    ctx: typer.Context,
    what: Annotated[
        list[str] | None,
        typer.Argument(
            help="A topic, or a command as it is typed. Default: all commands.", metavar="WHAT", show_default=False
        ),
    ] = None,
) -> None:
    """Show the help of a command, or of a topic such as times or exit-codes.

    The topics are: exit-codes, times, windows, schemas, outcomes, where, formats, profiles,
    environment.
    """
    words, width = what or [], ctx.obj[0].width
    if len(words) == 1 and words[0] in TOPICS:
        typer.echo("\n".join(explained(words[0], width)))
        return
    command, place = named(words, ctx.find_root())
    typer.echo(text(described(command, place), width), nl=False)


def named(words: Sequence[str], place: Any) -> tuple[Any, Any]:
    """Return the command of these words, loaded, and the context in which it would run.

    Raises:
        UsageError: There is no such command, and no topic of this name.
    """
    from cdrctl.cli.app import loaded

    command = place.command
    for at, word in enumerate(words):
        there = command.list_commands(place) if hasattr(command, "commands") else []
        if word not in there:
            topics = [] if at else list(TOPICS)
            lists = f"the topics are: {', '.join(topics)}; " if topics else ""
            raise UsageError(
                f"there is no command or topic {word!r}" if topics else f"{place.command_path} has no command {word!r}",
                hint=f"{did_you_mean(word, [*there, *topics])}{lists}{place.command_path} --help lists the commands",
            )
        command = command.get_command(place, word) if at else loaded(word)
        place = type(place)(command, info_name=word, parent=place)
    return command, place


def explained(name: str, width: int) -> Iterator[str]:
    """Yield the lines of a topic, which fit a terminal of so many columns."""
    topic, width = TOPICS[name], min(width, WIDEST)
    yield from filled(topic.about, width)
    yield from ("", "Examples:")
    for example in topic.examples:
        yield from continued(example, width)
    for part in topic.all_parts():
        yield ""
        if isinstance(part, str):
            yield from filled(part, width)
        else:
            yield from listed(part, width, min(max(len(word) for word, _ in part), width // 3))
