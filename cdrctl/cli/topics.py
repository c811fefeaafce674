"""The help topics, as data: `cdrctl help TOPIC`, the manual and the docs show them.

Tests compare them with the code: the exit codes with the errors, the formats with the writers, and each example of a
time with the time that is computed.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

Rows = tuple[tuple[str, str], ...]
"""Words, each with its explanation."""


class Topic(Struct, frozen=True):
    """A help topic.

    Args:
        about: Its first line.
        examples: Two command lines that work as they stand.
        parts: Paragraphs and tables, in order.
        computed: Returns more of them, which are computed only when the topic is shown.
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
    ("0", "success, also when there were no records"),
    ("1", "a bug in cdrctl"),
    ("2", "wrong usage"),
    ("3", "incomplete: part of the window could not be fetched (`--allow-partial` makes it 0)"),
    ("4", "sign-in or permission"),
    ("5", "temporary: rate limit, network, or 5xx after all retries"),
    ("6", "configuration"),
    ("7", "the provider refused the request, or sent an unknown response"),
    ("8", "the output cannot be written"),
    ("9", "no records, and `--fail-if-empty` was given"),
    ("11", "another run holds the lock"),
    ("130", "interrupted"),
)

FORMATS: Rows = (
    ("csv", "UTF-8 with commas and RFC 4180 quoting; always has a header (.csv)"),
    ("tsv", r"the same with tabs and no quotes; tabs, line ends and \ in a value become \t, \n, \r and \\ (.tsv)"),
    ("jsonl", "one JSON object per line, with keys in the order of the columns (.jsonl, .ndjson)"),
    ("json", "one JSON array (.json)"),
    ("table", "for people: fits the terminal, shows local times and names their zone (.txt)"),
    ("parquet", "typed columns for data tools; pip install 'cdrctl[parquet]' (.parquet)"),
    ("xlsx", "a workbook for spreadsheets; pip install 'cdrctl[xlsx]' (.xlsx)"),
    ("sqlite", "a table with each record once, however often you export it (.db, .sqlite, .sqlite3)"),
    ("duckdb", "the same in DuckDB; pip install 'cdrctl[duckdb]' (.duckdb)"),
)

SCHEMAS: Rows = (
    ("native", "the default: the provider's own fields, typed, with snake_case names"),
    ("common", "the same 27 columns for every provider: the common CDR, version 1"),
    ("raw", "the records as the provider sent them, unchanged; jsonl and json only"),
)

OPERATORS: Rows = (
    ("=, !=", "equal, or not; numbers and times are compared by value; a list matches if one element does"),
    ("<, <=, >, >=", "less or greater; text is compared as text, except where the value is a number"),
    ("~, !~", "matches a regular expression (as in Python) anywhere, or does not"),
    ("in (a, b), not in (a, b)", "one of these values, or none of them"),
    ("is null, is not null", "there is no value, or there is one"),
    ("answered, not answered", "a true-or-false field needs no operator"),
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
"""Times as they are typed, and the instants that they mean at 20:00 UTC of Friday, 20 November 2026."""

TIMES_IN_BERLIN: Rows = (
    ("yesterday", "2026-11-18T23:00:00Z"),
    ("2026-11-19T08:00", "2026-11-19T07:00:00Z"),
    ("2026-11-19T08:00Z", "2026-11-19T08:00:00Z"),
    ("24h", "2026-11-19T20:00:00Z"),
)
"""The same with `--tz Europe/Berlin`."""

TIMES_REFUSED: Rows = (
    ("02/03/26", "the day or the month may come first"),
    ("10:30", "the day is missing"),
    ("2026-11-19 08:00 CET", "abbreviations of zones are ambiguous; use an offset"),
)
"""Times with more than one meaning."""

ENVIRONMENT: Rows = (
    ("CDRCTL_PROFILE", "the profile to use without -p"),
    ("CDRCTL_CONFIG", "the configuration file to use without --config"),
    ("CDRCTL_LOG_FORMAT", "`text` or `json`, without --log-format"),
    (
        "CDRCTL_DRY_RUN",
        "`1` sends nothing, like --dry-run; commands that would send something without it refuse to run",
    ),
    (
        "CDRCTL_<OPTION>",
        (
            "any other option by its long name, such as CDRCTL_SINCE=24h, CDRCTL_PAGE_SIZE=100 or, for a flag, "
            "CDRCTL_QUIET=1; for an option that may be repeated, one value per line"
        ),
    ),
    (
        "CDRCTL_<PROFILE>_<SETTING>",
        "a setting of a profile, such as CDRCTL_ACME_ACCESS_TOKEN; overrides the configuration file",
    ),
    ("CDRCTL_<PROFILE>_PROVIDER", "defines a profile that is not in the configuration file"),
    ("AWS_…, GOOGLE_…, AZURE_…", "the credentials and settings of the object store of an archive (docs/archive.md)"),
    ("CDRCTL_STORE_MAX_WAIT", "for how many seconds a request to an object store is repeated; default 120"),
    ("CDRCTL_PAGER, PAGER", "the pager for output that does not fit the terminal; default less; empty or `cat`: none"),
    ("FORCE_COLOR, CLICOLOR_FORCE", "colour tables even in a pipe, unless empty or 0"),
    ("NO_COLOR", "no colours in tables, unless empty; TERM=dumb does the same"),
    ("COLUMNS", "the width of help and tables"),
    ("TZ", "the zone that --tz local means"),
    ("HTTPS_PROXY, HTTP_PROXY, NO_PROXY", "proxies, also in lower case, as for other programs"),
)

TOPICS = {
    "exit-codes": Topic(
        "What each exit code means, and what to do about it.",
        (
            "cdrctl webex cdrs -p sandbox --since 24h -q -o calls.csv; echo $?",
            "cdrctl webex cdrs -p sandbox --since 24h -o calls.csv || [ $? -eq 3 ]",
        ),
        (
            "Scripts can rely on these codes; they do not change.",
            EXIT_CODES,
            (
                "5 and 11 are temporary: retry later. 3 means that the output was written but is incomplete: the "
                "message on stderr says what is missing. Some providers have the newest calls only after some "
                "minutes; retry then. After 4 and 6, `cdrctl profile check NAME` says what is wrong with the profile. "
                "After 7, the message contains the provider's own words."
            ),
            (
                "With several profiles, each failed one gets a line with its cause and next step, even with -q. The "
                "exit code is the one that most needs a person: 6, 4, 7, 8, then 3, then 5."
            ),
            (
                "Closing the pipe early (as `head` does) is not an error: the exit code is 0. With --log-format json, "
                "the last line on stderr is an object with the exit code of the error."
            ),
        ),
    ),
    "times": Topic(
        "How to write times, days and zones in --since and --until.",
        (
            "cdrctl webex cdrs -p sandbox --since yesterday --until today -o day.csv",
            "cdrctl kazoo cdrs -p sandbox --since 24h --until 90m --tz Europe/Berlin -f table",
        ),
        (
            "On Friday, 20 November 2026, at 20:00 UTC, these mean:",
            TIMES,
            (
                "A day, week, month or year means its first instant, for --until too: `--since 2026-10 --until "
                "2026-11` is all of October, and `--since 'last week' --until 'this week'` is the seven days from "
                "Monday to Sunday. `monday` is the latest Monday, which may be today; `last monday` is before today. "
                "90m, 24h, 7d and 2w are that long ago, and a day is always 24 hours; 3mo and 1y are the same day and "
                "time of an earlier month or year."
            ),
            (
                "Days, and times without an offset, are in the zone of --tz, else in the profile's `timezone`, else "
                "in UTC. A zone is a name such as Europe/Berlin, an offset such as +02:00 or UTC+2, `utc`, or `local` "
                "for this machine's zone. Abbreviations such as PST are refused because they are ambiguous. A local "
                "day has 23 or 25 hours when the clocks change. With --tz Europe/Berlin, at the same moment:"
            ),
            TIMES_IN_BERLIN,
            (
                "Files have times in UTC, such as 2026-11-19T08:00:00.000Z. `--times local` writes them with the "
                "offset of --tz, or of the profile's `timezone`, such as 2026-11-19T09:00:00.000+01:00. Tables show "
                "local times."
            ),
            "Other formats are accepted if they have only one meaning. Ambiguous times are refused:",
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
                "A window is the time from --since to --until. A call is in it if it started at or after --since and "
                "before --until; only the start of the call counts, whatever the provider filters by. The default is "
                "the last 24 hours, or less if the provider keeps less."
            ),
            (
                "Windows fit together: exporting [a,b) and then [b,c) gives exactly the records of [a,c), none twice "
                "and none missing. To make this work, cdrctl queries past the window and drops what is outside it."
            ),
            (
                "Providers have a call only some minutes after it has ended. An export up to now has every call that "
                "the provider has, and a note says from when on calls may be missing. Webex refuses the last minutes, "
                "so there the window ends earlier. If the window has ended but its last minutes may still be missing, "
                "the export is incomplete: exit code 3. Calls still in progress are not included: overlap the next "
                "export and drop duplicates by `record_id`, or use `cdrctl sync`."
            ),
            "Times beyond the provider's retention are refused before any request is sent.",
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
                "`cdrctl fields PROVIDER CALL` lists the columns of a call with type, meaning, example and the "
                "provider's own key; with --schema common, those of the common CDR. The columns of a call are the same "
                "on every run; --fields a,b,c selects some of them, in this order."
            ),
            (
                "Fields that cdrctl does not know are kept, with a warning: as more keys in JSON, and in a last column "
                "`extra` in csv and tsv. With --strict they end the export with exit code 7."
            ),
            (
                "Values that the provider does not give are null, never 0. In the common CDR, `direction` is inbound, "
                "outbound, internal or unknown, and `outcome` is answered, no_answer, busy, cancelled, rejected, "
                "failed, voicemail, abandoned or unknown; `cdrctl help outcomes` lists those of each provider. "
                "`call_id` is the same for all legs (the separate connections) of one call."
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
        "How to select records: --where with conditions, --sort and --limit.",
        (
            "cdrctl webex cdrs -p sandbox --since 24h --schema common --where 'talk_seconds>60 and direction=inbound'",
            "cdrctl kazoo cdrs -p sandbox --since 24h --sort=-billing_seconds,timestamp --limit 10 -f table",
        ),
        (
            (
                "A condition compares fields of the schema with values: `talk_seconds > 60 and (direction = inbound "
                "or to_number ~ '^\\+49')`. Comparisons are joined by `and`, `or` and `not`, with parentheses where "
                "needed."
            ),
            OPERATORS,
            (
                "A value is a word, or any text in quotes. Durations are seconds, 2m or 1:30; times are written as for "
                "--since (cdrctl help times). Put a field name with spaces, as in raw records, in backquotes. A dot "
                "reaches into an object; `extra.KEY` is a field that this version does not know."
            ),
            (
                "Only null equals null, and no other comparison with null is true: `cost < 1` leaves out records "
                "without a cost, and `not cost < 1` keeps them. Values of the wrong type never match, and a warning "
                "says so. A note says if the provider never gives the `outcome`, `direction` or common column that you "
                "filter by (cdrctl help outcomes)."
            ),
            (
                "All records of the window are still fetched; the closing line counts those left out. --sort a,-b "
                "sorts by a and then by b in descending order, null last, whatever the size; --limit N then gives the "
                "first N of all records."
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
                "Without -f, the ending of -o FILE decides; without -o, a terminal gets a table and a pipe gets "
                "jsonl. A file is written under another name and renamed when it is complete; .gz after the extension "
                "compresses it; `-o -` is stdout. Only data goes to stdout."
            ),
            (
                "Values are the same in every format: times are 2026-11-19T08:00:00.123Z, durations are whole seconds, "
                "money is decimal text, and ids are text, never numbers. A missing value is null in JSON and empty in "
                "csv and tsv. For spreadsheets, --spreadsheet-safe puts an apostrophe before text that would run as a "
                "formula."
            ),
            (
                "--template '{start_time} {from_number:>16}' is a format of your own: one line per record, with values "
                "as in csv, `{field:>16}` for a width, `{field:.8}` for the first characters, \\t for a tab and "
                "{{ }} for braces. --no-header leaves out the line of names in csv, tsv and table."
            ),
            "A package can add a format by an entry point in the group `cdrctl.writers`.",
        ),
    ),
    "profiles": Topic(
        "Where credentials are stored, and which profile a command uses.",
        (
            "cdrctl profile add acme --provider webex --set access_token_command='pass show webex'",
            "CDRCTL_LAB_PROVIDER=kazoo cdrctl profile list",
        ),
        (
            (
                "A profile is a name, a provider and the settings to sign in with. All profiles are in one TOML file "
                "that only you can read; `cdrctl profile path` prints its path. `cdrctl profile add NAME` asks for "
                "what is needed and hides secrets while you type; `cdrctl profile check NAME` makes one small request "
                "with the profile."
            ),
            (
                "A command uses the profile that -p names, else CDRCTL_PROFILE, else the only one of its provider. `-p "
                "sandbox` is built in and needs no account."
            ),
            "Instead of a secret `x`, a profile may have:",
            (
                ("x_command", "a command that prints the secret, such as `pass show kazoo/lab`"),
                ("x_file", "a file that contains the secret"),
                ("x_keyring", "`true`: the secret is in the system's keyring (pip install 'cdrctl[keyring]')"),
                ("CDRCTL_<PROFILE>_X", "an environment variable, which overrides the file"),
            ),
            "Secrets are never taken from the command line, printed, logged, or sent to another host.",
        ),
    ),
    "environment": Topic(
        "Which environment variables cdrctl reads.",
        (
            "CDRCTL_PROFILE=sandbox cdrctl webex cdrs --since 24h -o calls.csv",
            "CDRCTL_ACME_PROVIDER=webex CDRCTL_ACME_ACCESS_TOKEN_FILE=token cdrctl profile show acme",
        ),
        (
            ENVIRONMENT,
            (
                "In the name of a variable, the profile's name is in capitals, with _ for every character that is "
                "not a letter or digit. Options override variables, and variables override the configuration file."
            ),
        ),
    ),
}
"""The topics by name, in the order of the list."""
