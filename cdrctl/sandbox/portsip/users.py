"""The users of the imitated tenant, and the profile settings that sign them in."""

from __future__ import annotations

from dataclasses import dataclass

from cdrctl.sandbox.exchange.parties import PEOPLE
from cdrctl.sandbox.wire import Setting

DOMAIN = "acme.example"
USERNAME = "cdr.reader"
PASSWORD = "EXAMPLE-PORTSIP-PASSWORD"
STANDARD_USERNAME = "avery.brooks"
STANDARD_PASSWORD = "EXAMPLE-PORTSIP-USER"
ACCESS_TOKEN = "EXAMPLE-PORTSIP-ACCESS"


@dataclass(frozen=True, slots=True)
class User:
    """A user with a built-in role; the calls of `extension` are the user's own."""

    username: str
    password: str
    domain: str
    role: str
    extension: str = ""


USERS = (
    User(USERNAME, PASSWORD, DOMAIN, "Admin"),
    User(STANDARD_USERNAME, STANDARD_PASSWORD, DOMAIN, "StandardUser", PEOPLE[0].extension),
    User("queue.manager", "EXAMPLE-PORTSIP-QUEUES", DOMAIN, "QueueManager"),
    User("admin", "EXAMPLE-PORTSIP-SYSTEM", "", "SystemAdmin"),
)
READS_ALL = {"Admin", "QueueManager"}
"""The roles that may read the calls of every user."""


def profile_settings(kind: str, base_url: str) -> dict[str, Setting]:
    """Return the settings of a profile that signs in by `password` (default), `access_token` or `standard_user`."""
    own: dict[str, dict[str, Setting]] = {
        "password": {"username": USERNAME, "password": PASSWORD, "domain": DOMAIN},
        "access_token": {"access_token": ACCESS_TOKEN},
        "standard_user": {"username": STANDARD_USERNAME, "password": STANDARD_PASSWORD, "domain": DOMAIN},
    }
    kind = kind or "password"
    if kind not in own:
        raise ValueError(f"portsip signs in by {', '.join(own)}, not by {kind}")
    return {"base_url": base_url, **own[kind], "requests_per_minute": 0}
