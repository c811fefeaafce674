"""What commands have in common, explained by `cdrctl help TOPIC`, in the manual and in the docs: texts as data.

Tests hold each of them against the code: the exit codes against the errors, the formats against the writers, and every
time that is given as an example is computed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Rows = tuple[tuple[str, str], ...]
"""Words and what is said of each."""


@dataclass(frozen=True, slots=True)
class Topic:
    """What is said of one subject.

    Args:
        about: One line about it.
        examples: Two command lines that work as they stand.
        parts: Paragraphs and tables, in order.
        computed: Returns further ones, which are computed only when the topic is shown.
    """

    about: str
    examples: tuple[str, str]
    parts: tuple[str | Rows, ...] = ()
    computed: Callable[[], tuple[str | Rows, ...]] = tuple

    def all_parts(self) -> tuple[str | Rows, ...]:
        """Return all paragraphs and tables, in order."""
        return (*self.parts, *self.computed())


def _outcomes() -> tuple[str | Rows, ...]:
    from cdrctl.cli.outcomes import paragraphs

    return paragraphs()


EXIT_CODES: Rows = (
    ("0", "done, also when there were no records"),
    ("1", "a bug of ours"),
    ("2", "usage"),
    ("3", "incomplete: some of the window could not be had (`--allow-partial` makes it 0)"),
    ("4", "sign-in or permission"),
    ("5", "temporary: rate limit, network, 5xx after all retries; run it again"),
    ("6", "configuration"),
    ("7", "the provider refused, or answered in a shape we do not know"),
    ("8", "the output cannot be written"),
    ("9", "no records, and `--fail-if-empty` was given"),
    ("11", "another run holds the lock"),
    ("130", "interrupted"),
)

FORMATS: Rows = (
    ("csv", "UTF-8 with commas, RFC 4180 quoting, one header even for no records (.csv)"),
    ("tsv", r"the same with tabs and no quotes: a value's own tabs, line ends and \ are \t, \n, \r and \\ (.tsv)"),
    ("jsonl", "one JSON object a line, in the order of the columns (.jsonl, .ndjson)"),
    ("json", "one JSON array (.json)"),
    ("table", "for people: fits the terminal, shows local times and names their zone (.txt)"),
    ("parquet", "typed columns for data tools; pip install 'cdrctl[parquet]' (.parquet)"),
    ("xlsx", "a workbook for spreadsheets; pip install 'cdrctl[xlsx]' (.xlsx)"),
    (
        "sqlite",
        "a table where each record is once, however often it is exported (.db, .sqlite, .sqlite3)",
    ),
    ("duckdb", "the same in DuckDB; pip install 'cdrctl[duckdb]' (.duckdb)"),
)

SCHEMAS: Rows = (
    ("native", "the default: the provider's own fields, with snake_case names and types"),
    ("common", "the same 27 columns for every provider: one form of CDR, version 1"),
    ("raw", "the records as the provider sent them, untouched; for jsonl and json only"),
)

OPERATORS: Rows = (
    ("=, !=", "the same, or not; numbers as numbers, times as instants; of a list, one element is enough"),
    ("<, <=, >, >=", "less and more; text as text, but numbers where the value is one"),
    ("~, !~", "a regular expression (as in Python) is found in it, or is not"),
    ("in (a, b), not in (a, b)", "one of these, or none"),
    ("is null, is not null", "there is no value, or there is one"),
    ("answered, not answered", "a field of true and false needs no operator"),
)

TIMES: Rows = (
    ("now", "2026-11-20T20:00:00Z"),
    ("today", "2026-11-20T00:00:00Z"),
    ("yesterday", "2026-11-19T00:00:00Z"),
    ("monday", "2026-11-16T00:00:00Z"),
    ("last friday", "2026-11-13T00:00:00Z"),
    ("last week", "2026-11-09T00:00:00Z"),
    ("this month", "2026-11-01T00:00:00Z"),
    ("last year", "2025-01-01T00:00:00Z"),
    ("90m", "2026-11-20T18:30:00Z"),
    ("1.5h", "2026-11-20T18:30:00Z"),
    ("24h", "2026-11-19T20:00:00Z"),
    ("7d", "2026-11-13T20:00:00Z"),
    ("2w", "2026-11-06T20:00:00Z"),
    ("3mo", "2026-08-20T20:00:00Z"),
    ("1y", "2025-11-20T20:00:00Z"),
    ("2026-11-19", "2026-11-19T00:00:00Z"),
    ("2026-11", "2026-11-01T00:00:00Z"),
    ("2026-11-19T08:00", "2026-11-19T08:00:00Z"),
    ("2026-11-19 08:00:30", "2026-11-19T08:00:30Z"),
    ("2026-11-19T08:00+01:00", "2026-11-19T07:00:00Z"),
    ("19 Nov 2026", "2026-11-19T00:00:00Z"),
)
"""What is written, and the instant that it means at 20:00 UTC of Friday, 20 November 2026."""

TIMES_IN_BERLIN: Rows = (
    ("yesterday", "2026-11-18T23:00:00Z"),
    ("2026-11-19T08:00", "2026-11-19T07:00:00Z"),
    ("2026-11-19T08:00Z", "2026-11-19T08:00:00Z"),
    ("24h", "2026-11-19T20:00:00Z"),
)
"""The same with `--tz Europe/Berlin`."""

TIMES_REFUSED: Rows = (
    ("02/03/26", "the day or the month may come first"),
    ("10:30", "it does not say which day"),
    ("2026-11-19 08:00 CET", "names of zones are not the same everywhere; offsets are"),
)
"""What can be read in more than one way."""

ENVIRONMENT: Rows = (
    ("CDRCTL_PROFILE", "the profile to use where -p names none"),
    ("CDRCTL_CONFIG", "the configuration file where --config names none"),
    ("CDRCTL_LOG_FORMAT", "`text` or `json`, where --log-format says nothing"),
    (
        "CDRCTL_DRY_RUN",
        "`1`: nothing is sent, as with --dry-run; a command that would ask and has no --dry-run is refused",
    ),
    (
        "CDRCTL_<OPTION>",
        (
            "any other option by its long name, such as CDRCTL_SINCE=24h, CDRCTL_PAGE_SIZE=100 or, for one without a "
            "value, CDRCTL_QUIET=1; of one that may be repeated each line is a value"
        ),
    ),
    (
        "CDRCTL_<PROFILE>_<SETTING>",
        "a setting of a profile, such as CDRCTL_ACME_ACCESS_TOKEN; it wins over the file",
    ),
    ("CDRCTL_<PROFILE>_PROVIDER", "makes a profile that is in no file"),
    ("CDRCTL_PAGER, PAGER", "the pager for what does not fit on the terminal; else less; empty or `cat` for none"),
    ("FORCE_COLOR, CLICOLOR_FORCE", "colours in a table that goes into a pipe, if it is neither empty nor 0"),
    ("NO_COLOR", "no colours in a table, if it is not empty; TERM=dumb does the same"),
    ("COLUMNS", "the width to fit help and tables to"),
    ("TZ", "the zone that --tz local means"),
    ("HTTPS_PROXY, HTTP_PROXY, NO_PROXY", "proxies, in either case, as for other programs"),
)

TOPICS = {
    "exit-codes": Topic(
        "What each exit code means, and what to do about it.",
        (
            "cdrctl webex cdrs -p sandbox --since 24h -q -o calls.csv; echo $?",
            "cdrctl webex cdrs -p sandbox --since 24h -o calls.csv || [ $? -eq 3 ]",
        ),
        (
            "A script can rely on these; they do not change.",
            EXIT_CODES,
            (
                "5 and 11 pass: run the same command again, later. 3 means that the output is there and not whole: "
                "the message on stderr says what is missing; where a provider has the newest calls only after some "
                "minutes, run it again then. After 4 and 6, `cdrctl profile check NAME` says what is wrong with a "
                "profile. 7 is the provider's, and its own words are in the message."
            ),
            (
                "With several profiles, each one that failed gets a line with its cause and its next step, also with "
                "-q. The exit code is that of the failure which most needs a person: 6, 4, 7, 8, then 3, then 5."
            ),
            (
                "A reader that leaves, as `head` does, is no error: the exit code is 0. With --log-format json the "
                "last line on stderr is an object that holds the exit code of an error."
            ),
        ),
    ),
    "times": Topic(
        "How times, days and zones are written in --since and --until.",
        (
            "cdrctl webex cdrs -p sandbox --since yesterday --until today -o day.csv",
            "cdrctl kazoo cdrs -p sandbox --since 24h --until 90m --tz Europe/Berlin -f table",
        ),
        (
            "On Friday, 20 November 2026, at 20:00 UTC, these mean:",
            TIMES,
            (
                "A day, week, month or year means its first instant, for --until as well: `--since 2026-10 --until "
                "2026-11` is all of October, and `--since 'last week' --until 'this week'` is the seven days from "
                "Monday to Sunday. `monday` is the latest Monday, today included; `last monday` is before today. 90m, "
                "24h, 7d and 2w are that long ago, where a day is always 24 hours; 3mo and 1y are the same day and "
                "time of day of an earlier month or year."
            ),
            (
                "Times without an offset, and days, are in the zone of --tz, else in the profile's `timezone`, else "
                "in UTC. A zone is a name such as Europe/Berlin, an offset such as +02:00 or UTC+2, `utc`, or `local` "
                "for this machine's. Abbreviations such as PST are refused, because they do not mean one zone. A local "
                "day has 23 or 25 hours when the clocks change. With --tz Europe/Berlin, at the same moment:"
            ),
            TIMES_IN_BERLIN,
            (
                "Files have times in UTC, such as 2026-11-19T08:00:00.000Z. `--times local` writes them with the "
                "offset of --tz, such as 2026-11-19T09:00:00.000+01:00, or of the profile's `timezone`. Tables show "
                "local times."
            ),
            "Other dates are read where they have one meaning only. What could mean two things is refused:",
            TIMES_REFUSED,
            "A duration, as for --longest-call, is a number and a unit: 90s, 90m, 1.5h, 24h, 7d or 2w.",
        ),
    ),
    "windows": Topic(
        "Which calls are between --since and --until, and why windows fit together.",
        (
            "cdrctl portsip cdrs -p sandbox --since yesterday --until today -o day.csv",
            "cdrctl portsip cdrs -p sandbox --since 48h --until 24h --jobs 4 -o day.csv.gz",
        ),
        (
            (
                "A window is half-open: a call is in it when it started at --since or later, and before --until. It "
                "is the start of the call that counts, whatever the provider itself selects by. The default is the "
                "last 24 hours, or what the provider keeps where that is less."
            ),
            (
                "Windows tile: exporting [a,b) and then [b,c) gives exactly the records of [a,c), none twice and none "
                "missing. To that end more is asked for than the window, and cut here."
            ),
            (
                "A provider has a call some minutes after it has ended. A window that reaches to now has every call "
                "that the provider has by now, and a note says from when on calls may be missing. Webex refuses the "
                "last minutes: there the window ends earlier. A window that is over, and whose last minutes may not "
                "be there yet, is incomplete: exit code 3. Calls still in progress are not included: overlap the "
                "next export and drop duplicates by `record_id`, or use `cdrctl sync`."
            ),
            "What the provider no longer keeps is refused before anything is asked.",
        ),
    ),
    "schemas": Topic(
        "Which columns records have: native, common or raw.",
        (
            "cdrctl fields webex cdrs -f table",
            "cdrctl kazoo cdrs -p sandbox --since 24h --schema common -o calls.csv",
        ),
        (
            SCHEMAS,
            (
                "`cdrctl fields PROVIDER CALL` lists the columns of a call, each with its type, its meaning, an "
                "example and the provider's own key; with --schema common those of the common CDR. The columns of a "
                "call are the same on every run, whatever came; --fields a,b,c chooses some of them, in this order."
            ),
            (
                "What the provider sends beside the columns known is kept: as further keys in JSON, in a last column "
                "`extra` in csv and tsv, and a warning names it. With --strict it ends the export with exit code 7."
            ),
            (
                "What a provider does not give is null, never 0. In the common CDR `direction` is inbound, outbound, "
                "internal or unknown, and `outcome` is answered, no_answer, busy, cancelled, rejected, failed, "
                "voicemail, abandoned or unknown; `cdrctl help outcomes` says which of them each provider gives. "
                "`call_id` joins the legs of one call."
            ),
        ),
    ),
    "outcomes": Topic(
        "Which outcomes, directions and common columns each provider can give.",
        (
            "cdrctl kazoo cdrs -p sandbox --since 24h --schema common --where outcome=busy -o busy.csv",
            "cdrctl voicenter cdrs -p sandbox --since 24h --schema common --where outcome=voicemail -f table",
        ),
        computed=_outcomes,
    ),
    "where": Topic(
        "Which records: --where with conditions, --sort and --limit.",
        (
            "cdrctl webex cdrs -p sandbox --since 24h --schema common --where 'talk_seconds>60 and direction=inbound'",
            "cdrctl kazoo cdrs -p sandbox --since 24h --sort=-billing_seconds,timestamp --limit 10 -f table",
        ),
        (
            (
                "A condition compares fields of the schema with values: `talk_seconds > 60 and (direction = inbound "
                "or to_number ~ '^\\+49')`. It joins comparisons by `and`, `or` and `not`, with brackets where needed."
            ),
            OPERATORS,
            (
                "A value is a word, or anything in quotes. For a length it is seconds, 2m or 1:30; for a time all that "
                "--since takes (cdrctl help times). A field with blanks, as raw records have them, stands in "
                "backquotes; a dot reaches into an object, and `extra.KEY` is a field that this version does not know."
            ),
            (
                "Nothing is equal to null but null, and no other comparison with it holds: `cost < 1` leaves out what "
                "has no cost, `not cost < 1` keeps it. What a provider sent as something else than the column's kind "
                "equals nothing, and a warning says so. A note says if the provider never gives the `outcome`, "
                "`direction` or column of the common CDR that is looked for (cdrctl help outcomes)."
            ),
            (
                "Every record of the window is still asked for; the closing line counts those that were left out. "
                "--sort a,-b sorts by a and then by b backwards, null last, whatever the size; --limit N then gives "
                "the first N of the whole."
            ),
        ),
    ),
    "formats": Topic(
        "How records are written: csv, tsv, jsonl, json, table, parquet, xlsx, sqlite, duckdb.",
        (
            "cdrctl webex cdrs -p sandbox --since 24h -o calls.csv.gz",
            "cdrctl webex cdrs -p sandbox --since 24h | jq -r .calling_number",
        ),
        (
            FORMATS,
            (
                "Without -f the ending of -o FILE decides, else a terminal gets a table and a pipe gets jsonl. A file "
                "is written under another name and renamed when it is whole; .gz after the ending compresses it; `-o "
                "-` is stdout. Only data goes to stdout."
            ),
            (
                "Values are the same everywhere: times are 2026-11-19T08:00:00.123Z, durations are whole seconds, "
                "money is a decimal text, ids are text, never numbers. What is not there is null in JSON and empty in "
                "csv and tsv. For a file that a spreadsheet opens, --spreadsheet-safe puts an apostrophe before what "
                "it would run."
            ),
            (
                "--template '{start_time} {from_number:>16}' is a format of your own: a line for each record, with the "
                "values as in csv, `{field:>16}` for a width and `{field:.8}` for the beginning, \\t for a tab and {{ "
                "}} for braces. --no-header leaves out the line with the names in csv, tsv and table."
            ),
            "A package adds a format by an entry point of the group `cdrctl.writers`.",
        ),
    ),
    "profiles": Topic(
        "Where credentials are kept, and which profile a command uses.",
        (
            "cdrctl profile add acme --provider webex --set access_token_command='pass show webex'",
            "CDRCTL_LAB_PROVIDER=kazoo cdrctl profile list",
        ),
        (
            (
                "A profile is a name, a provider and the settings to sign in with, in one TOML file that only you may "
                "read: `cdrctl profile path` says where it is. `cdrctl profile add NAME` asks for what is needed and "
                "hides secrets while you type; `cdrctl profile check NAME` makes one small request with it."
            ),
            (
                "A command uses the profile that -p names, else CDRCTL_PROFILE, else the only one of its provider. `-p "
                "sandbox` is built in and needs no account."
            ),
            "Any secret `x` may be given otherwise than by itself:",
            (
                ("x_command", "a command whose standard output is the secret, such as `pass show kazoo/lab`"),
                ("x_file", "a file whose content is the secret"),
                ("x_keyring", "`true`: the system's keyring has it (pip install 'cdrctl[keyring]')"),
                ("CDRCTL_<PROFILE>_X", "a variable of the environment, which wins over the file"),
            ),
            "No secret is taken from the command line, printed, logged, or sent to another host than the profile's.",
        ),
    ),
    "environment": Topic(
        "Which variables of the environment are read.",
        (
            "CDRCTL_PROFILE=sandbox cdrctl webex cdrs --since 24h -o calls.csv",
            "CDRCTL_ACME_PROVIDER=webex CDRCTL_ACME_ACCESS_TOKEN_FILE=token cdrctl profile show acme",
        ),
        (
            ENVIRONMENT,
            (
                "In a variable's name the profile's is in capitals, with _ for every character that is no letter or "
                "digit. An option of the command line wins over a variable, and a variable over the configuration "
                "file."
            ),
        ),
    ),
}
"""The topics by name, in the order of the list."""
