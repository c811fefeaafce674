"""Imitations of the providers on loopback, made from their documents: `start()` returns a running `Sandbox`."""

from cdrctl.sandbox.exchange import STORIES, Exchange, straddlers
from cdrctl.sandbox.exchange.calls import uniform
from cdrctl.sandbox.exchange.parties import Call, Leg, Party, Site
from cdrctl.sandbox.server import PROVIDERS, Received, Sandbox, known_switches, parse_switches, start

__all__ = [
    "PROVIDERS",
    "STORIES",
    "Call",
    "Exchange",
    "Leg",
    "Party",
    "Received",
    "Sandbox",
    "Site",
    "known_switches",
    "parse_switches",
    "start",
    "straddlers",
    "uniform",
]
