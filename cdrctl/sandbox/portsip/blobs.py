"""Files that need no token: recordings and completed call reports, below `/api/blobs`."""

from __future__ import annotations

from cdrctl.sandbox.portsip.answers import error, file_reply, wrong_method
from cdrctl.sandbox.portsip.completed_reports import file_name
from cdrctl.sandbox.portsip.ids import blob_name
from cdrctl.sandbox.portsip.state import PBX
from cdrctl.sandbox.wire import Reply, Request

SILENCE = (
    b"RIFF\x34\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00@\x1f\x00\x00\x80>\x00\x00\x02\x00\x10\x00"
    b"data\x10\x00\x00\x00" + bytes(16)
)
"""The content of every recording: a WAV file."""


def recording_url(number: int) -> str:
    """Return the address of a recording."""
    return f"/api/blobs/{blob_name('recording', number)}r{number}"


def send_blob(pbx: PBX, request: Request, name: str) -> Reply:
    """Answer a file to every client that knows its address: the PBX asks for no token."""
    refused = wrong_method(pbx, "GET", request)
    if refused is not None:
        return refused
    done = next((one for one in pbx.reports.completed.values() if one.blob == name), None)
    if done is not None:
        return file_reply(file_name(pbx, done), done.content)
    secret, _, number = name.partition("r")
    if number.isdecimal() and secret == blob_name("recording", int(number)):
        return file_reply("recording.wav", SILENCE)
    return error(pbx, 404)
