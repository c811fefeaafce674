"""The tables of docs/figures.md, from the definitions of the figures."""

from __future__ import annotations

from cdrctl.fetchers import PROVIDERS, default_joins, load
from cdrctl.figures.definitions import NAMES, REFUSED, figure
from tools.docs.outcomes import Rows


def definitions() -> Rows:
    """Return each figure with its unit, definition and source."""
    rows = [[f"`{one.name}`", one.unit, one.definition, one.source] for one in map(figure, NAMES)]
    return ("figure", "unit", "definition", "source"), rows


def given() -> Rows:
    """Return which provider gives each figure that not all of them give, and why the others do not."""
    rows = []
    for one in map(figure, NAMES):
        if not one.needs:
            continue
        cells = [default_joins(name).lacks.get(one.needs, "yes") for name in PROVIDERS]
        if any(cell != "yes" for cell in cells):
            rows.append([f"`{one.name}`", *cells])
    return ("figure", *(load(name).title for name in PROVIDERS)), rows


def refused() -> Rows:
    """Return the figures that records cannot give, with the reason."""
    return ("figure", "why there is none"), [[f"`{name}`", why] for name, why in REFUSED.items()]
