"""The fetchers of Kazoo: the listings of each account, month by month."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from cdrctl.errors import ConfigurationError, ProviderError, SignInError, UsageError
from cdrctl.fetchers import Query
from cdrctl.fetchers.kazoo.answers import error_unless_whole, next_key, records_in
from cdrctl.fetchers.kazoo.columns import start
from cdrctl.fetchers.kazoo.filters import filters_of
from cdrctl.fetchers.kazoo.ranges import LATEST, probe_edge, read_stretch
from cdrctl.fetchers.kazoo.settings import TITLE, KazooSettings
from cdrctl.fetchers.kazoo.state import Run, doubts_lengths, gregorian_second, month_after, path_segment
from cdrctl.http import Answer, Client, by_key
from cdrctl.records.events import Event, Gap, Note, Page, check_records
from cdrctl.windows import Window, month_starts, months

SETTLED = timedelta(minutes=5)
"""A leg is saved just after the hang-up; a repeated save may be minutes late."""


def cdrs(query: Query[KazooSettings]) -> Iterator[Event]:
    """Yield the legs of `/cdrs` for legs that started in the window, and some around it."""
    return _listing(query, by_interaction=False)


def interactions(query: Query[KazooSettings]) -> Iterator[Event]:
    """Yield the earliest leg of each interaction of `/cdrs/interaction` that started in the window, and some around."""
    return _listing(query, by_interaction=True)


def _listing(query: Query[KazooSettings], *, by_interaction: bool) -> Iterator[Event]:
    client, window, options = query.client, query.window, query.options
    now = client.clock.now()
    newest = now - SETTLED if window.until <= now - SETTLED else now
    account = options["account"] or query.settings.account_id
    if options["page_size"] < 1:
        raise UsageError("--page-size must be at least 1", hint=f"{TITLE} advises 50")
    if options["descendants"] and options["user"]:
        raise UsageError(
            "--user and --descendants cannot be combined: a user belongs to one account",
            hint="name the user's account with --account",
        )
    keep, server_side = filters_of(options["filter"])
    if server_side:
        names = ", ".join(name for name, _ in server_side)
        yield Note(f"the listing has no column for {names}: the server filters by the document")
    params = [(f"filter_{name}", value) for name, value in server_side]
    if options["utc_offset"] is not None:
        params.append(("utc_offset", str(options["utc_offset"])))
    below = _descendants(client, account) if options["descendants"] else ()
    for one in dict.fromkeys([account, *below]):
        listing = Run(
            client=client,
            path=listing_path(one, options["user"], by_interaction=by_interaction),
            params=params,
            context={"account_id": one, "currency": query.settings.currency, "user": options["user"] or ""},
            keep=keep,
            by_interaction=by_interaction,
            longest_call=int(options["longest_call"].total_seconds()),
            page_size=options["page_size"],
            once=query.once,
        )
        try:
            yield from _account(listing, window, newest)
        except (SignInError, ProviderError, ConfigurationError) as error:
            # Forbidden, gone or locked concerns one account; an expired token concerns all of them.
            if not options["descendants"] or error.status not in {403, 404, 423}:
                raise
            yield Gap(f"account {one} could not be read: {error.message}", error.hint, error.said)


def listing_path(account: str, user: str | None, *, by_interaction: bool) -> str:
    """Return the path of a listing: of an account or one of its users, of legs or of interactions."""
    of = f"/accounts/{path_segment(account)}" + (f"/users/{path_segment(user)}" if user is not None else "")
    return f"{of}/cdrs/interaction" if by_interaction else f"{of}/cdrs"


def _descendants(client: Client, account: str) -> Iterator[str]:
    for answer in _pages_of(client, f"/accounts/{path_segment(account)}/descendants"):
        for row in records_in(answer):
            if not isinstance(row.get("id"), str) or not row["id"].strip(" ."):
                raise ProviderError(
                    f"{TITLE} sent an unknown response: a descendant has no id",
                    hint="the API may have changed: update cdrctl, or report it",
                )
            yield row["id"]


def _pages_of(client: Client, path: str) -> Iterator[Answer]:
    def ask(key: str | None) -> Answer:
        return client.get(path, [("start_key", key)] if key is not None else [], whole=error_unless_whole)

    return by_key(ask, next_key)


def _account(listing: Run, window: Window, newest: datetime) -> Iterator[Event]:
    """Yield the events of one account, newest month first, as the API lists its rows.

    Legs are listed by the moment of saving, so the range ends the longest call after the window. Interactions are
    listed by their start, and the first leg may start later (a user's first much later), so the range starts the
    longest call before the window.
    """
    longest = listing.longest_call
    since, latest = gregorian_second(window.since), gregorian_second(newest)
    end = min(gregorian_second(window.until, up=True) + longest, latest)
    begin = window.since - timedelta(seconds=longest)
    # A call in progress at a month's start may have begun before the window and one of its legs may lie in it.
    edges = [edge for edge in map(gregorian_second, month_starts(begin, newest)) if since - longest < edge <= end + 1]
    for month in reversed(list(months(Window(begin if listing.by_interaction else window.since, window.until)))):
        following = gregorian_second(month_after(month.since))
        while edges and edges[-1] >= following:
            yield from probe_edge(listing, edges.pop(), latest)
        yield from read_stretch(listing, gregorian_second(month.since), min(following - 1, end))
    while edges:
        yield from probe_edge(listing, edges.pop(), latest)


def legs(query: Query[KazooSettings]) -> Iterator[Event]:
    """Yield all legs of one interaction as full documents, oldest first.

    The server sends the page with the newest legs first, and in each page the oldest leg first
    (`normalize_leg_view_results` in cb_cdrs.erl).
    """
    account, wanted = query.options["account"] or query.settings.account_id, query.options["id"]
    path = f"/accounts/{path_segment(account)}/cdrs/legs/{path_segment(wanted)}"
    pages = [records_in(answer) for answer in _pages_of(query.client, path)]
    found = [leg for page in reversed(pages) for leg in page]
    if len(pages) > 1:
        found.sort(key=lambda leg: start(leg) or LATEST)
    doubts_lengths(query.client, found)
    yield Page(found, {"account_id": account, "currency": query.settings.currency})
    if not found:
        yield Note(f"{TITLE} has no interaction {wanted}; an id looks like 63814294800-b1c2d3 or 202611-…")


def cdr(query: Query[KazooSettings]) -> Iterator[Event]:
    """Yield one leg as a full document."""
    account = query.options["account"] or query.settings.account_id
    path = f"/accounts/{path_segment(account)}/cdrs/{path_segment(query.options['id'])}"
    answer = query.client.get(path, whole=error_unless_whole)
    documents = check_records([answer.body.get("data")], "data", TITLE)
    doubts_lengths(query.client, documents)
    yield Page(documents, {"account_id": account, "currency": query.settings.currency})
