"""Faults on the way to a provider and in single records, as data: the test of each, and what the user gets."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WayFault:
    """A fault on the way to the provider, or of this machine.

    Args:
        name: What happens.
        test: The test that shows it, in `tests/reliability/test_ways.py`.
        code: The exit code.
        outcome: What the user gets.
    """

    name: str
    test: str
    code: int
    outcome: str


WAY_FAULTS: tuple[WayFault, ...] = (
    WayFault("nothing listens at the address", "test_nobody_listens", 5, "no connection to HOST: Connection refused"),
    WayFault(
        "no response to a connection attempt",
        "test_nobody_takes_the_call",
        5,
        "no connection to HOST: timed out",
    ),
    WayFault("the host name does not exist", "test_a_name_that_is_not_found", 5, "no connection to HOST: …"),
    WayFault(
        "the name server does not respond",
        "test_a_name_server_that_does_not_answer",
        5,
        "not complete after ten times `timeout`; Ctrl-C is heard at once",
    ),
    WayFault(
        "a certificate for another name",
        "test_certificates",
        6,
        "the certificate of HOST cannot be verified: …; `ca_file` is named",
    ),
    WayFault("a certificate that has expired", "test_certificates", 6, "the same"),
    WayFault("a self-signed certificate", "test_certificates", 6, "the same"),
    WayFault("a certificate of an internal authority, with `ca_file`", "test_certificates", 0, "everything comes"),
    WayFault(
        "https to a server that speaks http",
        "test_https_to_a_server_of_http",
        5,
        "the connection to HOST broke, or none was made",
    ),
    WayFault("http to a server that speaks https", "test_http_to_a_server_of_https", 5, "the connection to HOST broke"),
    WayFault(
        "a clock that is hours ahead or behind",
        "test_a_wrong_clock_is_said",
        0,
        "a warning with the difference, found out from `Date`; where Webex refuses a window in its future, 7 after it",
    ),
    WayFault("a proxy that is down", "test_a_proxy_that_is_down", 6, "the proxy HOST:PORT … does not connect"),
    WayFault(
        "a proxy that requires a password",
        "test_a_proxy_that_wants_a_password",
        6,
        "the proxy HOST:PORT requires a user name and a password (HTTP 407)",
    ),
    WayFault(
        "a clock that is hours ahead, and a window that ends after the provider's present",
        "test_a_window_after_the_providers_present_is_incomplete",
        3,
        "incomplete: by the clock of PROVIDER it is …; Webex refuses it (7)",
    ),
)

_MENDED = "test_invalid_unicode_is_replaced_with_one_warning"
_LOST = "test_unreadable_record_is_a_gap_with_its_id"
RECORD_FAULTS: tuple[WayFault, ...] = (
    WayFault("bytes in a record that are not UTF-8", _MENDED, 0, "U+FFFD, and a warning with the record's id"),
    WayFault("a character in a record that is cut in two", _MENDED, 0, "the same"),
    WayFault("half of a surrogate pair in a record", _MENDED, 0, "the same; untouched in `raw`"),
    WayFault("an integer of 5000 digits in a record", _LOST, 3, "incomplete: record ID cannot be read: …"),
    WayFault("a record nested deeper than 200 levels", _LOST, 3, "the same"),
    WayFault("503 for ten minutes", "test_maintenance_is_waited_out", 0, "everything comes once it is over"),
)
"""What is wrong with single records, or for a while; the tests are in `tests/contract/test_damaged_records.py`."""
