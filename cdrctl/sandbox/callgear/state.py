"""The state of the imitated CallGear: the clock, the switches and the customers."""

from __future__ import annotations

from dataclasses import dataclass

from cdrctl.sandbox.callgear.fields import Record
from cdrctl.sandbox.callgear.local_time import LocalTime
from cdrctl.sandbox.callgear.switches import SWITCHES
from cdrctl.sandbox.exchange import Exchange
from cdrctl.sandbox.exchange.clock import milliseconds
from cdrctl.sandbox.wire import Clock


@dataclass(frozen=True, slots=True)
class Customer:
    """An account with its users and its own calls. `id` is its number in the partner's books."""

    id: int
    app_id: int
    name: str
    users: tuple[Record, ...]
    exchange: Exchange


class State:
    """The clock, the values of the switches, and the partner's two customers."""

    def __init__(self, exchange: Exchange, now: Clock, *, limits: bool) -> None:
        self.now = now
        self.switched: dict[str, str] = {name: switch.default for name, switch in SWITCHES.items()}
        self.switched["limits"] = "on" if limits else "off"
        self.customers = _customers(exchange)
        self.local_time = LocalTime(self.switched)

    @property
    def time(self) -> int:
        """The time by the clock, in Unix milliseconds."""
        return milliseconds(self.now())

    @property
    def users(self) -> list[Record]:
        """The users of all customers."""
        return [user for customer in self.customers for user in customer.users]

    def customer(self, user_id: int) -> Customer | None:
        """Find the customer that a user belongs to."""
        return next((one for one in self.customers if any(user["id"] == user_id for user in one.users)), None)


def make_user(number: int, name: str, customer: int, description: str | None = None) -> Record:
    """Make a user of a customer, as `get.customer_users` lists one."""
    login = f"user{number}@example.com"
    return {"id": number, "name": name, "description": description, "login": login, "customer_id": customer}


def _customers(exchange: Exchange) -> tuple[Customer, Customer]:
    acme = (
        make_user(2_000, "Person One", 100_000),
        make_user(2_001, "Person Two", 100_000, "Reads reports, only"),
    )
    north = (make_user(2_002, 'Person "Three"', 100_001),)
    return (
        Customer(100_000, 1_103, "Acme Telecom", acme, exchange),
        Customer(100_001, 1_104, "North, Ltd", north, exchange.sibling("North, Ltd")),
    )
