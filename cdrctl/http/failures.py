"""The errors for failures of the network, and for settings of a profile that cause them."""

from __future__ import annotations

from cdrctl.errors import ConfigurationError


class BrokenExchangeError(Exception):
    """The exchange failed in a way that a retry may mend; the text says how.

    `answered` says that the response had begun: the server was reached, and its response broke off. `proxy` is the host
    and port of the proxy that failed, or None if the failure is not the proxy's.
    """

    def __init__(self, text: str, *, answered: bool = False, proxy: str | None = None) -> None:
        super().__init__(text)
        self.answered = answered
        self.proxy = proxy


def unwritable(host: str) -> ConfigurationError:
    """Return the error of a request with characters that cannot be sent."""
    return ConfigurationError(
        f"a request to {host} cannot be sent: the address or a credential contains characters that are not allowed",
        hint="look for stray spaces, line breaks or quotes in the profile's settings",
    )


def bad_certificate(host: str, why: str) -> ConfigurationError:
    """Return the error of a server whose certificate failed verification."""
    return ConfigurationError(
        f"the certificate of {host} cannot be verified: {why}",
        hint="if the server is yours and signs its own certificate, set ca_file in the profile to that "
        "certificate; if not, the connection may be intercepted",
    )
