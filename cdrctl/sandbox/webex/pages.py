"""The pages of a window, and the links from one to the next."""

from __future__ import annotations

import random
import re
from bisect import bisect_left
from datetime import datetime
from urllib.parse import quote

from cdrctl.sandbox.exchange.clock import SECOND, milliseconds
from cdrctl.sandbox.webex.answers import answer, failure
from cdrctl.sandbox.webex.records import Record, time_text, wire_record
from cdrctl.sandbox.webex.state import ORG, Entry, State
from cdrctl.sandbox.webex.windows import BadWindowError, entries_in, location_names, read_window
from cdrctl.sandbox.wire import Reply, Request, dump

_EMPTY_WINDOW = "No CDRs for requested time range and filters"
_LARGEST_PAGE = 5000
_MOST_LOCATIONS = 10
_BLANK_PAGE = 99_999


def page(state: State, request: Request) -> Reply:
    """Answer one page of a window."""
    asked = request.values
    call = "stream" if request.path == "/cdr_stream" else "cdrs"
    try:
        window = read_window(state, asked, call)
    except BadWindowError as error:
        return failure(state, 400, str(error))
    size = asked.get("max", str(_LARGEST_PAGE))
    if not re.fullmatch(r"-?\d+", size):
        return failure(state, 400, "Bad request: max must be a number")
    floor = int(state.switched["max_floor"])
    limit = max(min(int(size), _LARGEST_PAGE), min(floor, _LARGEST_PAGE))
    places = location_names(asked.get("locations", ""))
    if len(places) > _MOST_LOCATIONS:
        return failure(state, 400, "Bad request: at most 10 locations")
    entries = entries_in(state, call, *window, places)
    cursor = asked.get("startTimeForNextFetch", "")
    if not entries and not cursor and state.switched["empty"] != "200":
        return failure(state, 404, _EMPTY_WINDOW) if state.switched["empty"] == "404" else answer(state, 204, b"")
    return _page_at(state, request, entries, cursor, limit)


def _page_at(state: State, request: Request, entries: list[Entry], cursor: str, limit: int) -> Reply:
    """Return the page that begins at a cursor; the first page without one."""
    keys = [one.key for one in entries]
    first, blank = 0, False
    if cursor:
        read = re.fullmatch(r"(.{19}\.\d{3})(\d{5})?Z", cursor)
        if not read:
            return failure(state, 400, "Bad request: startTimeForNextFetch")
        issued, life = state.links.get(request.query), state.switched["next_ttl"]
        if life != "none" and (issued is None or issued + int(life) * SECOND < state.unix_now):
            return failure(state, 400, "Bad request: the next link has expired")
        skip = int(read[2] or 0)
        blank = skip >= _BLANK_PAGE // 2
        at = milliseconds(datetime.fromisoformat(read[1] + "+00:00"))
        first = bisect_left(keys, at) + (_BLANK_PAGE - skip if blank else skip)
    if blank:
        return _linked_page(state, request, entries, (first, limit), [])
    chosen = entries[first : first + limit]
    after = first + len(chosen)
    if after >= len(entries):
        return answer(state, 200, dump({"items": _records(state, chosen)}))
    if state.switched["page_overlap"] == "on":
        again = bisect_left(keys, chosen[-1].key)
        after = again if again > first else after
    return _linked_page(state, request, entries, (after, limit), chosen)


def _linked_page(
    state: State, request: Request, entries: list[Entry], follows: tuple[int, int], chosen: list[Entry]
) -> Reply:
    """Return a page that is not the last: `follows` says where the next begins and how long it may be.

    The service's cursor is a time. The sandbox adds digits that distinguish records of one millisecond, so that a page
    can end between them. Clients must follow the link byte for byte.
    """
    asked = request.values
    after, limit = follows
    key = entries[after].key
    skip = after - next(n for n in range(after, -1, -1) if n == 0 or entries[n - 1].key != key)
    if chosen and state.switched["empty_page"] != "off":
        skip = _BLANK_PAGE - skip
    cursor = f"{time_text(key)[:-1]}{f'{skip:05d}' if skip else ''}Z"
    parts = [f"endTime={asked['endTime']}", f"startTime={asked['startTime']}"]
    if "locations" in asked:
        parts.append(f"locations={quote(asked['locations'])}")
    parts += [
        f"startTimeForNextFetch={cursor}",
        f"totalCount={asked.get('totalCount', len(entries))}",
        f"max={limit}",
        f"orgId={ORG}",
    ]
    query = "&".join(parts)
    state.links[query] = state.unix_now
    link = _link(state.switched["link"], f"{request.base_url}{request.path}", query)
    without = not chosen and state.switched["empty_page"] == "no_items"
    return answer(state, 200, dump({} if without else {"items": _records(state, chosen)}), {"Link": link})


def _link(form: str, page_url: str, query: str) -> str:
    """Return the Link header to the next page, as documented or in a form that RFC 8288 and RFC 3986 allow."""
    _, _, rest = page_url.partition("://")
    url = f"{page_url}?{query}"
    match form:
        case "doc":
            return f'<<{url}>;rel="next">'
        case "absolute_path":
            url = f"/{rest.partition('/')[2]}?{query}"
        case "relative_path":
            url = f"{rest.rpartition('/')[2]}?{query}"
        case "query":
            url = f"?{query}"
        case "network_path":
            url = f"//{rest}?{query}"
        case "with_others":
            return f'<{page_url}>; rel="first"; title="page 1, of <many>", <{url}>; REL=NEXT; title="go; on"'
    return f'<{url}>; rel="next"'


def _records(state: State, chosen: list[Entry]) -> list[Record]:
    """Return the records of a page, in the order of the switch `order`."""
    records = [wire_record(state, one.leg) for one in chosen]
    if state.switched["order"] == "descending":
        records.reverse()
    elif state.switched["order"] == "shuffled":
        random.Random(len(records)).shuffle(records)  # noqa: S311 - the same on every run
    return records
