"""The steps of the walkthrough: what the user wants, what she types, and what each program asks her."""

from __future__ import annotations

from dataclasses import dataclass

WRONG_KEY = "35afc2edd857ddb43dc74369e3d105cedbe16cb7d3fff0188c27a87e594ead96"
KEY = "35afc2edd857ddb43dc74369e3d105cedbe16cb7d3fff0188c27a87e594ead95"
ACCOUNT = "007079a8b416fd18eeba776111587abf"
"""The sandbox's own, which are no secrets."""

NIGHT = """\
env -i HOME="$HOME" LOGNAME=dana SHELL=/bin/sh PATH=/usr/bin:/bin \
/bin/sh -c '"$HOME/.local/bin/cdrctl" sync --all --into "$HOME/archive" -q'"""
"""The line of the crontab, with the environment that cron gives it."""

CRONTAB = """\
<!-- after: mkdir -p ~/.local/bin; ln -s "$(command -v cdrctl)" ~/.local/bin/cdrctl -->
```crontab
MAILTO=dana@example.com
0 3 * * * "$HOME/.local/bin/cdrctl" sync --all --into "$HOME/archive" -q
```"""


@dataclass(frozen=True, slots=True)
class Line:
    """What is typed at the shell's prompt.

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
    """One thing that somebody wants.

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
        "Install it",
        "Dana has a Python and an empty home, and wants the program for herself alone.",
        (
            Line("python3 -m venv ~/.local/share/cdrctl"),
            Line("~/.local/share/cdrctl/bin/pip install --quiet cdrctl"),
            Line("ln -s ~/.local/share/cdrctl/bin/cdrctl ~/.local/bin/"),
            Line("cdrctl --version"),
        ),
        so="[Other ways](install.md) are pipx, uv, one file, a container.",
    ),
    Step(
        "What now?",
        "She types the name alone, to see what it is.",
        (Line("cdrctl"),),
    ),
    Step(
        "A profile",
        "The calls are on a Kazoo server. `cdrctl init` asks for what it needs. The first key was mistyped: the check "
        "says so, and it is corrected on the spot.",
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
        "Is everything right?",
        "Before she relies on it she wants to know that this machine, the network, the key and its rights will do.",
        (Line("cdrctl doctor"),),
        "walk-doctor",
    ),
    Step(
        "Yesterday's calls",
        "She wants to see calls.",
        (Line("cdrctl kazoo interactions --since yesterday --until today --limit 16"),),
        "walk-table",
        "A row is a call. Green was answered, yellow missed, red refused or failed.",
    ),
    Step(
        "Only some of them",
        "Who called and was not answered, and which calls were the longest?",
        (
            Line(
                "cdrctl kazoo interactions --since yesterday --until today --schema common "
                "--where 'direction=inbound and not answered' --sort start_time "
                "--fields start_time,from_number,to_number,outcome"
            ),
            Line(
                "cdrctl kazoo interactions --since yesterday --until today --schema common --sort=-talk_seconds "
                "--limit 3 --template '{talk_seconds:>6} s  {from_number} to {to_number}' -q"
            ),
        ),
        so="More of these are in the [recipes](recipes.md).",
    ),
    Step(
        "How are times written?",
        "Is `monday` the last one or the next? The program explains itself.",
        (Line("cdrctl help times | head -n 26"),),
    ),
    Step(
        "Tab",
        "She does not want to learn options by heart.",
        (
            Line("cdrctl --install-completion bash"),
            Line(". ~/.bashrc"),
            Line("cdrctl kazoo interactions --s", tab=True),
        ),
        so="The last line is what the Tab key, pressed twice, shows. It completes profiles, columns and times as well.",
    ),
    Step(
        "What would it send?",
        "Before a large export she wants to see what is asked of the server, without asking it.",
        (Line("cdrctl kazoo cdrs --since yesterday --until today --dry-run"),),
        so="The key is not in it.",
    ),
    Step(
        "A month into a file",
        "Thirty days for the billing department. While it runs, a line says how far it is.",
        (
            Line("cdrctl kazoo cdrs --since 30d --until today -o month.csv", passing=r"^\d+ records, .*%"),
            Line("wc -l month.csv"),
        ),
    ),
    Step(
        "Into a database",
        "She wants to ask questions in SQL, and not to think about what is in it already: the same export twice.",
        (
            Line("cdrctl kazoo cdrs --since yesterday --until today -o calls.db"),
            Line("cdrctl kazoo cdrs --since yesterday --until today -o calls.db"),
            Line("sqlite3 calls.db .tables"),
            Line("sqlite3 -box calls.db 'SELECT direction, count(*) FROM kazoo_cdrs GROUP BY 1'"),
        ),
        so="The second export replaced what the first had written.",
    ),
    Step(
        "An archive",
        "From now on every day's calls are to be kept, and last week's too.",
        (Line("cdrctl sync --all --into archive --since 7d"), Line("cdrctl coverage --into archive")),
        "walk-archive",
    ),
    Step(
        "Every night",
        "The line for the crontab. cron gives a command hardly any environment; so does she, to see whether it works.",
        (Line(NIGHT),),
        above=CRONTAB,
        so="It printed nothing, so cron will mail nothing.",
    ),
    Step(
        "Three in the morning",
        "The provider is away. This is what cron mails:",
        (Line(NIGHT, code=5),),
        away=True,
        so="Exit code 5: temporary. It tried for a while before it gave up, and the archive is as it was.",
    ),
    Step(
        "What is it?",
        "She reads the mail at breakfast, and asks the doctor.",
        (Line("cdrctl doctor", code=5),),
        "walk-away",
        away=True,
        so="Settings, secret and address are right; nobody listens there. Nothing is to be done on this machine.",
    ),
    Step(
        "The next night mends it",
        "The provider is back. Nobody does anything: the next run reads what the one before could not.",
        (Line(NIGHT), Line("cdrctl coverage --into archive"), Line("cdrctl verify --into archive")),
        so="Here minutes had passed; after a real night it reads that night's calls too. [Every night](cron.md) has "
        "the rest: systemd, what each exit code asks for, restoring.",
    ),
)
