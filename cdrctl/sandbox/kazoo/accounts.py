"""The accounts of the imitated cluster, and the users and devices of the exchange's people."""

from __future__ import annotations

from dataclasses import dataclass

from cdrctl.sandbox.exchange import Exchange
from cdrctl.sandbox.exchange.clock import digest
from cdrctl.sandbox.exchange.parties import PEOPLE

_DESCENDANTS = (("North, Ltd", "north.acme.example"), ("Südwerk", "sued.acme.example"))

USERS_AND_DEVICES = {party.id: (digest("owner", party.id), digest("device", party.id)) for party in PEOPLE}
"""The user id and the device id of every party with a telephone, by the id of the party."""

OWNER_IDS = {party.name: USERS_AND_DEVICES[party.id][0] for party in PEOPLE}
"""User ids of the persons of the exchange, by name."""


@dataclass(frozen=True, slots=True)
class Account:
    """An account of the imitated cluster; ids have 32 hexadecimal digits."""

    id: str
    name: str
    realm: str
    exchange: Exchange
    parent: str = ""


def cluster_accounts(exchange: Exchange) -> tuple[Account, ...]:
    """Return the reseller, which has the calls of the exchange, and its descendants, which have calls of their own."""
    top = digest("account", 0)
    return (
        Account(top, "Acme Telecom", "acme.example", exchange),
        *(
            Account(digest("account", n), name, realm, exchange.sibling(name), top)
            for n, (name, realm) in enumerate(_DESCENDANTS, 1)
        ),
    )
