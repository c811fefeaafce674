"""The steps of the walkthrough: what the user wants, what she types, and what each program asks her."""

from __future__ import annotations

from dataclasses import dataclass

WRONG_KEY = "35afc2edd857ddb43dc74369e3d105cedbe16cb7d3fff0188c27a87e594ead96"
KEY = "35afc2edd857ddb43dc74369e3d105cedbe16cb7d3fff0188c27a87e594ead95"
ACCOUNT = "007079a8b416fd18eeba776111587abf"
"""Credentials of the sandbox, which are not secret."""

NIGHT = """\
env -i HOME="$HOME" LOGNAME=dana SHELL=/bin/sh PATH=/usr/bin:/bin \
/bin/sh -c '"$HOME/.local/bin/cdrctl" sync --all --into "$HOME/archive" -q'"""
"""The crontab line, in the environment that cron gives it."""

CRONTAB = """\
<!-- after: mkdir -p ~/.local/bin; ln -s "$(command -v cdrctl)" ~/.local/bin/cdrctl -->
```crontab
MAILTO=dana@example.com
0 3 * * * "$HOME/.local/bin/cdrctl" sync --all --into "$HOME/archive" -q
```"""


@dataclass(frozen=True, slots=True)
class Line:
    """A line that is typed at the prompt.

    Args:
        typed: The line; PORT stands for the provider's.
        code: The exit code with which it must end.
        answers: What a program's last line looks like when it waits, and what is typed then.
        passing: What is on the screen for a moment only, and is recorded when it is seen.
        tab: Whether it is not sent: Tab is pressed twice, and then the line is taken back.
    """

    typed: str
    code: int = 0
    answers: tuple[tuple[str, str], ...] = ()
    passing: str = ""
    tab: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """A step of the walkthrough.

    Args:
        title: The heading.
        wants: What for, in a sentence or two.
        lines: What is typed.
        picture: The name of the picture of it; without one the screen stands there as text.
        so: What is to be learnt from what came.
        away: Whether the provider is away meanwhile.
        above: What stands above the screen.
    """

    title: str
    wants: str
    lines: tuple[Line, ...]
    picture: str = ""
    so: str = ""
    away: bool = False
    above: str = ""


STEPS = (
    Step(
        "Installation",
        "Dana has Python and an empty home, and installs the program for herself.",
        (
            Line("python3 -m venv ~/.local/share/cdrctl"),
            Line("~/.local/share/cdrctl/bin/pip install --quiet cdrctl"),
            Line("ln -s ~/.local/share/cdrctl/bin/cdrctl ~/.local/bin/"),
            Line("cdrctl --version"),
        ),
        so="[Other ways](install.md) are pipx, uv, a single file and a container.",
    ),
    Step(
        "First steps",
        "She types the name alone to see where to begin.",
        (Line("cdrctl"),),
    ),
    Step(
        "A profile",
        "The calls are on a Kazoo server. `cdrctl init` asks for the settings. She mistypes the key at first; the "
        "check fails, and she corrects it at once.",
        (
            Line(
                "cdrctl init",
                answers=(
                    (r"1 to 6 \[1\]:", "2"),
                    (r"name \[kazoo\]:", "acme"),
                    (r"1 to 3 \[1\]:", "1"),
                    (r"base_url:", "http://127.0.0.1:PORT/kazoo/v2"),
                    (r"account_id:", ACCOUNT),
                    (r"1 to 4 \[1\]:", "1"),
                    (r"not shown\):", WRONG_KEY),
                    (r"\[yes\]:", "yes"),
                    (r"1 to 3 \[1\]:", "1"),
                    (r"base_url \[.*\]:", ""),
                    (r"account_id \[.*\]:", ""),
                    (r"1 to 5 \[1\]:", "2"),
                    (r"not shown\):", KEY),
                    (r"\[yes\]:", "yes"),
                ),
            ),
        ),
        "walk-init",
    ),
    Step(
        "Check everything",
        "`cdrctl doctor` checks this machine, the network, the key and its permissions.",
        (Line("cdrctl doctor"),),
        "walk-doctor",
    ),
    Step(
        "Yesterday's calls",
        "She looks at the calls.",
        (Line("cdrctl kazoo interactions --since yesterday --until today --limit 16"),),
        "walk-table",
        "Each row is a call. Green means answered, yellow missed, red refused or failed.",
    ),
    Step(
        "Select calls",
        "Which inbound calls of the last week were not answered, and which calls of yesterday were the longest?",
        (
            Line(
                "cdrctl kazoo interactions --since 7d --until today --schema common "
                "--where 'direction=inbound and not answered' --sort start_time --limit 5 "
                "--fields start_time,from_number,to_number,outcome"
            ),
            Line(
                "cdrctl kazoo interactions --since yesterday --until today --schema common --sort=-talk_seconds "
                "--limit 3 --template '{talk_seconds:>6} s  {from_number} to {to_number}' -q"
            ),
        ),
        so="The [recipes](recipes.md) have more examples.",
    ),
    Step(
        "Help on times",
        "Is `monday` the last one or the next? `cdrctl help` explains.",
        (Line("cdrctl help times | head -n 26"),),
    ),
    Step(
        "Completion",
        "The Tab key completes options and values.",
        (
            Line("cdrctl --install-completion bash"),
            Line(". ~/.bashrc"),
            Line("cdrctl kazoo interactions --s", tab=True),
        ),
        so="The last screen shows the options, after two Tabs. Tab also completes profiles, columns and times.",
    ),
    Step(
        "Dry run",
        "Before a large export, she looks at the requests without sending them.",
        (Line("cdrctl kazoo cdrs --since yesterday --until today --dry-run"),),
        so="The key is masked.",
    ),
    Step(
        "A month into a file",
        "She exports thirty days for the billing department. A line shows the progress.",
        (
            Line("cdrctl kazoo cdrs --since 30d --until today -o month.csv", passing=r"^\d+ records, .*%"),
            Line("wc -l month.csv"),
        ),
    ),
    Step(
        "Into a database",
        "She wants to use SQL. She exports the same day twice.",
        (
            Line("cdrctl kazoo cdrs --since yesterday --until today -o calls.db"),
            Line("cdrctl kazoo cdrs --since yesterday --until today -o calls.db"),
            Line("sqlite3 calls.db .tables"),
            Line("sqlite3 -box calls.db 'SELECT direction, count(*) FROM kazoo_cdrs GROUP BY 1'"),
        ),
        so="The second export replaced the records of the first.",
    ),
    Step(
        "An archive",
        "She wants to keep the calls of every day, and those of the last week.",
        (Line("cdrctl sync --all --into archive --since 7d"), Line("cdrctl coverage --into archive")),
        "walk-archive",
    ),
    Step(
        "Every night",
        "This is the line for the crontab. cron sets few environment variables, so she tries the line with those only.",
        (Line(NIGHT),),
        above=CRONTAB,
        so="The line printed nothing, so cron will mail nothing.",
    ),
    Step(
        "Three in the morning",
        "The provider is not available. cron mails this:",
        (Line(NIGHT, code=5),),
        away=True,
        so="Exit code 5 is temporary. cdrctl retried for a while, and the archive is unchanged.",
    ),
    Step(
        "Find the cause",
        "She reads the mail in the morning and runs `cdrctl doctor`.",
        (Line("cdrctl doctor", code=5),),
        "walk-away",
        away=True,
        so="Settings, secret and address are correct, but nothing listens there. She has nothing to correct.",
    ),
    Step(
        "The next night",
        "The provider is available again. The next run fetches what the one before could not.",
        (Line(NIGHT), Line("cdrctl coverage --into archive"), Line("cdrctl verify --into archive")),
        so="Here only minutes had passed. After a real night, the run also fetches the calls of that night. "
        "[Scheduling](cron.md) explains systemd, exit codes and restoring.",
    ),
)
