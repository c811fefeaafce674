"""`cdrctl archive pseudonymise`: a copy of an archive without the numbers and names in it."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from cdrctl.archive.places import place_of
from cdrctl.cli.calendar import write_text
from cdrctl.cli.commands import command
from cdrctl.cli.connecting import refuse_dry_run
from cdrctl.cli.options import Argument, option
from cdrctl.cli.output_options import standard_output
from cdrctl.cli.run import Session
from cdrctl.errors import IncompleteError, OutputError, UsageError


@command(
    Argument("folder", "Folder of the archive, or its URL (s3://…).", metavar="DIR", required=True),
    Argument("copy", "Folder of the copy: a new or an empty one.", required=True),
    option(
        "--key-file",
        about="File with the key of the pseudonyms, created if it is missing. Default: the key is not kept.",
        metavar="FILE",
    ),
    examples=(
        "cdrctl sync sandbox --into archive && cdrctl archive pseudonymise archive for-tests",
        "cdrctl sync sandbox --into archive && cdrctl archive pseudonymise archive for-tests --key-file pseudonyms.key",
    ),
)
def pseudonymise(opened: Session, *, folder: str, copy: str, key_file: str | None) -> None:
    """Copy an archive with pseudonyms in place of numbers and names.

    The same number gets the same pseudonym in every spelling; its country and area stay. Names get other words of the
    same length. Links, such as those of recordings, are left out. Times, durations, costs and ids stay as they are.

    sync refuses to write into the copy. Each file that could not be copied is a line on standard output.
    """
    from cdrctl.archive.pseudonymise import pseudonymise as copy_archive
    from cdrctl.archive.pseudonyms import KEY_BYTES

    refuse_dry_run(opened)
    key = secrets.token_bytes(KEY_BYTES) if key_file is None else _key(Path(key_file), KEY_BYTES)
    opened.reporter.data_elsewhere = True
    opened.reporter.left_behind = f"{copy} is incomplete: run the command again"
    done = copy_archive(place_of(folder), place_of(copy), key, lambda text: opened.reporter.log("result", text))
    clean = opened.reporter.clean
    write_text(standard_output(opened, None), "".join(f"{clean(one.path)}\t{one.what}\n" for one in done.left))
    opened.reporter.summary({"calls": done.calls, "days": done.days, "records": done.records, "left": len(done.left)})
    if done.left:
        raise IncompleteError(
            f"{len(done.left)} files are not in {copy}",
            hint="run cdrctl verify and sync on the archive, then make a new copy",
        )


def _key(path: Path, size: int) -> bytes:
    """Return the key in a file, which is created if it is missing.

    Raises:
        UsageError: The file has something else.
        OutputError: It cannot be read or written.
    """
    try:
        with (
            suppress(FileExistsError),
            os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file,
        ):
            file.write(secrets.token_hex(size) + "\n")
        text = path.read_text(encoding="ascii").strip()
        key = bytes.fromhex(text)
    except OSError as error:
        raise OutputError(f"{path} cannot be used: {error.strerror}", hint="correct its permissions") from error
    except ValueError:
        key = b""
    if len(key) != size:
        raise UsageError(f"{path} does not have a key of pseudonyms", hint="name a file that does not exist")
    return key
