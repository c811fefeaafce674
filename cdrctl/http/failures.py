"""What a failed exchange was: a broken connection, a wrong certificate, a time-out."""

from __future__ import annotations


class BrokenExchangeError(Exception):
    """The exchange failed in a way that another try may mend; the text says how.

    `answered` says that the answer had begun: the server was reached, and its answer broke off. `proxy` is the host and
    port of the proxy that failed, or None where the fault is not the proxy's.
    """

    def __init__(self, text: str, *, answered: bool = False, proxy: str | None = None) -> None:
        super().__init__(text)
        self.answered = answered
        self.proxy = proxy
