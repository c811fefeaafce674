"""Ids and other names that the PBX makes up: of records, reports, SIP dialogues and blobs."""

from __future__ import annotations

import base64
import re

from cdrctl.sandbox.exchange.clock import digest, milliseconds
from cdrctl.sandbox.portsip.records import EPOCH, LOW_BITS
from cdrctl.sandbox.portsip.state import PBX


def write_id(pbx: PBX, number: int) -> str:
    """Return an id as it stands on the wire."""
    text = str(number)
    return base64.b64encode(text.encode()).decode() if pbx.switched["ids"] == "base64" else text


def read_id(pbx: PBX, text: str) -> int:
    """Return the number of an id; 0, which no record has, for a text that cannot be an id."""
    if pbx.switched["ids"] == "base64":
        try:
            text = base64.b64decode(text, validate=True).decode("ascii")
        except ValueError:
            return 0
    return int(text) if re.fullmatch(r"[1-9]\d{0,18}", text, re.ASCII) else 0


def new_report_id(pbx: PBX) -> int:
    """Return the next id of a report or of a completed report."""
    pbx.reports.given += 1
    return (milliseconds(pbx.now()) - EPOCH) << LOW_BITS | pbx.reports.given


def sip_id(name: str) -> str:
    """Return the SIP Call-ID of a call or leg."""
    raw = base64.urlsafe_b64encode(bytes.fromhex(digest("sip", name))).decode()
    return f"{raw.rstrip('=').replace('_', 'x').replace('-', 'y')}.."


def blob_name(*parts: object) -> str:
    """Return the name of a blob, which nobody can guess from its parts; it has no `r`."""
    raw = base64.urlsafe_b64encode(bytes.fromhex(digest("blob", *parts))).decode().rstrip("=")
    return raw.replace("_", "x").replace("-", "y").replace("r", "q") + "AAAEu00WcK"
