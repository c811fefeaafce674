"""wxc_sdk, a Webex client by Cisco engineers: `with_wxc_sdk.py BASE SINCE UNTIL csv|jsonl`.

It builds the URL of the call history itself, so its session redirects that URL to the server.
"""

from __future__ import annotations

import csv
import sys
import warnings
from typing import Any

import requests
from requests.adapters import HTTPAdapter

warnings.simplefilter("ignore")
from wxc_sdk import WebexSimpleApi  # noqa: E402 - its classes warn when they are made

SERVICE = "https://analytics-calling.webexapis.com/"
base, since, until, form = sys.argv[1:]


class Mount(HTTPAdapter):
    """Redirects requests for the service's URL to the server."""

    def send(self, request: requests.PreparedRequest, **rest: Any) -> requests.Response:  # type: ignore[override]  # passed on as it came
        """Send a request to the server."""
        request.url = (request.url or "").replace(f"{SERVICE}v1", base, 1)
        return super().send(request, **rest)


with WebexSimpleApi(tokens="t") as api:
    api.session.mount(SERVICE, Mount())
    writer = None
    for record in api.cdr.get_cdr_history(start_time=since, end_time=until, max=5000):
        if form == "jsonl":
            print(record.model_dump_json())
            continue
        if writer is None:
            writer = csv.writer(sys.stdout)
            writer.writerow(type(record).model_fields)
        writer.writerow(record.__dict__.values())
