"""Faults of networks, machines and single records, as data: the test of each, and what the user gets."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WayFault:
    """A fault of the network between cdrctl and the provider, or of the machine.

    Args:
        name: The fault.
        test: The test that shows it, in `tests/reliability/test_ways.py`.
        code: The exit code.
        outcome: What the user gets.
    """

    name: str
    test: str
    code: int
    outcome: str


WAY_FAULTS: tuple[WayFault, ...] = (
    WayFault(
        "nothing listens at the address",
        "test_address_without_a_server_exits_with_5",
        5,
        "no connection to HOST: Connection refused",
    ),
    WayFault(
        "no response to a connection attempt",
        "test_connection_attempt_without_a_response_exits_with_5",
        5,
        "no connection to HOST: timed out",
    ),
    WayFault("the host name does not exist", "test_unknown_host_name_exits_with_5", 5, "no connection to HOST: …"),
    WayFault(
        "the name server does not respond",
        "test_silent_name_server_ends_the_run_in_time",
        5,
        "not complete after ten times `timeout`; Ctrl-C works at once",
    ),
    WayFault(
        "a certificate for another name",
        "test_certificates_are_verified",
        6,
        "the certificate of HOST cannot be verified: …; `ca_file` is named",
    ),
    WayFault("a certificate that has expired", "test_certificates_are_verified", 6, "the same"),
    WayFault("a self-signed certificate", "test_certificates_are_verified", 6, "the same"),
    WayFault(
        "a certificate of an internal authority, with `ca_file`",
        "test_certificates_are_verified",
        0,
        "every record comes",
    ),
    WayFault(
        "https to a server that speaks http",
        "test_https_to_an_http_server_exits_with_5",
        5,
        "the connection to HOST broke, or none was made",
    ),
    WayFault(
        "http to a server that speaks https",
        "test_http_to_an_https_server_exits_with_5",
        5,
        "the connection to HOST broke",
    ),
    WayFault(
        "a clock that is hours ahead or behind",
        "test_wrong_clock_gets_one_warning",
        0,
        "a warning with the difference, from the header `Date`; 7 where Webex refuses a window in its future",
    ),
    WayFault(
        "a proxy that is down", "test_unreachable_proxy_exits_with_6", 6, "the proxy HOST:PORT … does not connect"
    ),
    WayFault(
        "a proxy that requires a password",
        "test_proxy_that_requires_a_password_exits_with_6",
        6,
        "the proxy HOST:PORT requires a user name and a password (HTTP 407)",
    ),
    WayFault(
        "a clock that is hours ahead, and a window that ends after the provider's present",
        "test_window_that_ends_in_the_providers_future_is_incomplete",
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
    WayFault("503 for ten minutes", "test_maintenance_is_waited_out", 0, "every record comes when it is over"),
)
"""Faults of single records, and a maintenance; their tests are in `tests/contract/test_damaged_records.py`."""
