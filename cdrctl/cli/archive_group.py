"""`cdrctl archive`: the commands about an archive as a whole."""

from __future__ import annotations

from cdrctl.cli.archive_convert import convert
from cdrctl.cli.archive_copies import pseudonymise
from cdrctl.cli.archive_erase import erase
from cdrctl.cli.archive_profiles import adopt, forget
from cdrctl.cli.archive_retain import retain
from cdrctl.cli.archive_status import status
from cdrctl.cli.commands import group

COMMANDS = {
    "archive": group(
        "archive",
        "Monitor, convert and clean up an archive.",
        status,
        convert,
        retain,
        erase,
        pseudonymise,
        adopt,
        forget,
    )
}
