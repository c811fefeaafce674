"""How to come from one page to the next. Each has its own stop rule; there is no general one."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from cdrctl.errors import ProviderError
from cdrctl.http.wire import Answer


def by_link(
    first: Callable[[], Answer], follow: Callable[[str], Answer], link: Callable[[Answer], str | None]
) -> Iterator[Answer]:
    """Yield answers until one has no next link. An empty page does not end it.

    Raises:
        ProviderError: A link came that was followed before: the provider is walking in circles.
    """
    seen: set[str] = set()
    answer = first()
    while True:
        yield answer
        url = link(answer)
        if url is None:
            return
        if url in seen:
            raise ProviderError(
                "the provider sent a link to a next page that was read before: the pages go in circles",
                hint="run it again; if it stays, ask the provider's support",
            )
        seen.add(url)
        answer = follow(url)


class RepeatedKeyError(ProviderError):
    """A key to the next page came that was used before."""


def by_key(ask: Callable[[str | None], Answer], key: Callable[[Answer], str | None]) -> Iterator[Answer]:
    """Yield answers until one has no key to the next, however short its page.

    Raises:
        RepeatedKeyError: A key came that was used before: the provider is walking in circles.
    """
    seen: set[str] = set()
    answer = ask(None)
    while True:
        yield answer
        at = key(answer)
        if at is None:
            return
        if at in seen:
            raise RepeatedKeyError(
                "the provider sent a key to a next page that was used before: the pages go in circles",
                hint="run it again; if it stays, ask the provider's support",
            )
        seen.add(at)
        answer = ask(at)
