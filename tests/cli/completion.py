"""The file that completion is answered from, made of the commands: python -m tests.cli.completion."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import typer.main

from cdrctl.cli.app import app, loaded
from cdrctl.cli.completion import FILE


def described() -> str:
    """Return the text of the file."""
    options: list[dict[str, Any]] = []

    def place(command: Any, about: str = "") -> dict[str, Any]:
        """Return what may stand after a command."""
        context = command.context_class(command, info_name="cdrctl", help_option_names=["-h", "--help"])
        here = []
        for one in command.get_params(context):
            if one.param_type_name != "option" or one.hidden:
                continue
            option = {
                "names": sorted([*one.opts, *one.secondary_opts], key=len),  # typer has those of the help in any order
                "about": " ".join((one.help or "").split()),
                "takes_value": not (one.is_flag or one.count),
                "repeats": one.multiple,
                "acts": one.callback is not None and "--help" not in one.opts,
            }
            if option not in options:
                options.append(option)
            here.append(options.index(option))
        inner = {name: command.get_command(context, name) for name in getattr(command, "commands", {})}
        if command.name == "cdrctl":
            listed = {name: command.get_command(context, name) for name in command.list_commands(context)}
            inner = {name: loaded(name) for name in listed}
        else:
            listed = inner
        commands = {name: place(one, listed[name].get_short_help_str()) for name, one in inner.items()}
        return {"about": about, "options": here, "commands": commands}

    top = place(typer.main.get_command(app))
    tops = ",\n".join(f"{json.dumps(name)}: {_line(one)}" for name, one in top["commands"].items())
    head = '{"options": [\n' + ",\n".join(map(_line, options)) + "\n],\n"
    return head + f'"top": {{"options": {top["options"]}, "commands": {{\n{tops}\n}}}}}}\n'


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


if __name__ == "__main__":
    Path(FILE).write_text(described(), encoding="utf-8")
