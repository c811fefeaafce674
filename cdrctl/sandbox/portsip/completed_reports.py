"""The row of a completed call report, with the name and address of its file."""

from __future__ import annotations

from cdrctl.sandbox.portsip.answers import text_or_null
from cdrctl.sandbox.portsip.fields import Row
from cdrctl.sandbox.portsip.ids import write_id
from cdrctl.sandbox.portsip.state import PBX, CompletedReport
from cdrctl.sandbox.portsip.times import microseconds, write_time


def completed_row(pbx: PBX, done: CompletedReport) -> Row:
    """Return a completed report as it stands on the wire."""
    return {
        "id": write_id(pbx, done.number),
        "name": done.name,
        "type": done.type,
        "format": done.format,
        "completed_at": write_time(microseconds(done.at)),
        "file_name": text_or_null(pbx, file_name(pbx, done)),
        "file_size": len(done.content),
        "file_url": _file_url(pbx, done),
    }


def file_name(pbx: PBX, done: CompletedReport) -> str:
    """Return the name of the file, as a switch may have spoilt it."""
    plain = f"{done.type.lower()}_{done.at:%Y%m%d%H%M%S}.{done.format.lower()}"
    names = {
        "plain": plain,
        "traversal": f"../../{plain}",
        "absolute": f"/etc/cron.d/{plain}",
        "control": f"\x1b[2J\r\n\x00{plain}",
        "empty": "",
    }
    return names[pbx.switched["file_name"]]


def _file_url(pbx: PBX, done: CompletedReport) -> str:
    plain = f"/api/blobs/{done.blob}"
    urls = {
        "plain": plain,
        "absolute": f"https://files.elsewhere.example{plain}",
        "network_path": f"//files.elsewhere.example{plain}",
        "outside": "/api/cdrs",
        "traversal": "/api/blobs/../cdrs",
    }
    return urls[pbx.switched["file_url"]]
