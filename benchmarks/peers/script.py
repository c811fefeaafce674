"""The shortest script that exports with the fastest libraries, without any checks: to standard output.

`script.py BASE CALL SINCE UNTIL csv|jsonl`, where CALL is such as `webex.cdrs`; `script.py FILE voicenter.notifications
SINCE UNTIL csv|jsonl`. `voicenter.cdrs:MINUTES` has the length of a request's window,
`callgear.legs:SIZE` the size of a page, `webex.legs:ID` the id of a leg.
"""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import orjson

base, call, since, until, form = sys.argv[1:]
provider, name, wanted = re.findall(r"(\w+)\.(\w+):?(.*)", call)[0]
client = httpx.Client()


def webex() -> Iterator[Any]:
    """Yield pages by their next links."""
    url = f"{base}/cdr_{'stream' if name == 'stream' else 'feed'}?startTime={since}&endTime={until}&max=5000"
    while url:
        answer = client.get(url)
        items = orjson.loads(answer.content)["items"]
        yield [item for item in items if wanted in item.values()] if wanted else items
        url = answer.links.get("next", {}).get("url", "")


def portsip() -> Iterator[Any]:
    """Yield pages by offset."""
    skip, count = 0, 1
    while skip < count:
        answer = orjson.loads(client.get(f"{base}/{name}?top=100&skip={skip}&count=true").content)
        yield answer["items"]
        skip, count = skip + 100, answer["count"]


def kazoo() -> Iterator[Any]:
    """Yield pages by their next keys."""
    of = f"{base}/accounts/{'0' * 32}/cdrs"
    lo, hi = (int(datetime.fromisoformat(at).timestamp()) + 62167219200 for at in (since, until))
    window = f"page_size=50&created_from={lo}&created_to={hi}"
    url = {"cdrs": f"{of}?{window}", "interactions": f"{of}/interaction?{window}", "legs": f"{of}/legs/1-a?"}[name]
    key: str | None = ""
    while key is not None:
        answer = orjson.loads(client.get(f"{url}&start_key={key}" if key else url).content)
        yield answer["data"]
        key = answer.get("next_start_key")


def callgear() -> Iterator[Any]:
    """Yield pages by offset, of JSON-RPC."""
    method = {"legs": "call_legs", "calls": "calls", "costs": "financial_call_legs"}[name]
    offset, count, size = 0, 1, int(wanted)
    window = {"date_from": since[:-1].replace("T", " "), "date_till": until[:-1].replace("T", " ")}
    while offset < count:
        params = {"access_token": "t", **window, "limit": size, "offset": offset}
        request = {"jsonrpc": "2.0", "id": 1, "method": f"get.{method}_report", "params": params}
        result = orjson.loads(client.post(base, json=request).content)["result"]
        yield result["data"]
        offset, count = offset + size, result["metadata"]["total_items"]


def voicenter() -> Iterator[Any]:
    """Yield the records of each window."""
    at, end = datetime.fromisoformat(since), datetime.fromisoformat(until)
    step = timedelta(minutes=int(wanted))
    while at < end:
        window = {
            "fromdate": f"{at:%Y-%m-%dT%H:%M:%S}",
            "todate": f"{at + step - timedelta(seconds=1):%Y-%m-%dT%H:%M:%S}",
        }
        request = {"code": "c", "format": "JSON", "search": window}
        yield orjson.loads(client.post(base, json=request).content)["CDR_LIST"]
        at += step


def notifications() -> Iterator[Any]:
    """Yield the lines of a file."""
    with Path(base).open("rb") as file:
        yield [orjson.loads(line) for line in file]


def pages() -> Iterator[Any]:
    """Yield the pages of the call."""
    return (notifications if name == "notifications" else globals()[provider])()


if __name__ == "__main__":
    keys: list[str] = []
    writer = csv.writer(sys.stdout)
    for items in pages():
        if form == "jsonl":
            sys.stdout.buffer.write(b"\n".join(map(orjson.dumps, items)) + b"\n")
            continue
        if items and not keys:
            keys = list(items[0])
            writer.writerow(keys)
        writer.writerows([[item[key] for key in keys] for item in items])
