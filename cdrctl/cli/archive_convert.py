"""`cdrctl archive convert`: writes an archive again, with the current layout or in another format."""

from __future__ import annotations

import time

from cdrctl.archive.places import place_of
from cdrctl.cli.calendar import write_text
from cdrctl.cli.commands import command
from cdrctl.cli.connecting import refuse_dry_run
from cdrctl.cli.options import Argument, option
from cdrctl.cli.output_options import standard_output
from cdrctl.cli.run import Session
from cdrctl.errors import IncompleteError


@command(
    Argument("old", "Folder of the archive, or its URL (s3://…).", required=True),
    Argument("new", "Folder of the new archive: a new or an empty one.", required=True),
    option(
        "-f",
        "--format",
        name="form",
        about="parquet, jsonl, jsonl.gz, csv or csv.gz. Default: parquet if pyarrow is installed, else jsonl.gz.",
        metavar="FORMAT",
        panel="Output",
    ),
    examples=(
        "cdrctl sync sandbox --into archive && cdrctl archive convert archive archive2",
        "cdrctl sync sandbox --into archive && cdrctl archive convert archive as-csv -f csv.gz",
    ),
)
def convert(opened: Session, *, old: str, new: str, form: str | None) -> None:
    """Copy an archive into a new folder, with the current layout, or in another format.

    The old archive is only read. Each day is compared after it is written: records, keys and starts. The next sync into
    the new archive continues where the last one into the old archive ended. If the conversion is interrupted, run the
    command again.

    Each file that could not be carried over completely is a line on standard output: the file, a tab, and why.
    """
    from cdrctl.archive.convert import convert as convert_archive
    from cdrctl.archive.store import check_format

    started = time.monotonic()
    refuse_dry_run(opened)
    check_format(form)
    opened.reporter.data_elsewhere = True
    opened.reporter.left_behind = "finished days are kept; run the command again to continue"
    done = convert_archive(place_of(old), place_of(new), form, lambda text: opened.reporter.log("result", text))
    clean = opened.reporter.clean
    write_text(standard_output(opened, None), "".join(f"{clean(one.path)}\t{one.what}\n" for one in done.left))
    if done.already:
        opened.reporter.log("note", f"{new} is a complete conversion of {old} already; nothing was changed")
        return
    facts = {"calls": done.calls, "days": done.days, "records": done.records, "left": len(done.left)}
    opened.reporter.summary({**facts, "seconds": round(time.monotonic() - started, 1)})
    if done.left:
        raise IncompleteError(
            f"{len(done.left)} files of {old} are not in {new} as they were",
            hint="correct the permissions of these files or restore them, and run the command again; "
            "or accept the loss, and sync into the new archive: it reads missing days again",
        )
