"""The generated parts of pages, each between `<!-- made: PART PROVIDER -->` and `<!-- end of made -->`."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

from cdrctl.cli.outcomes import ANSWERED
from cdrctl.fetchers import load
from tools.docs import figures, outcomes
from tools.docs.errors import errors_table
from tools.docs.markdown import table
from tools.docs.providers import columns, common_fields, limits, settings

FOLDER = Path(__file__).parents[2] / "docs"

PARTS = {
    "limits": limits,
    "settings": settings,
    "common": common_fields,
    "columns": columns,
    "errors": errors_table,
}
ALL = {
    **outcomes.TABLES,
    "figures": figures.definitions,
    "figures_given": figures.given,
    "figures_refused": figures.refused,
}
MARK = re.compile(r"(<!-- made: (\w+) (\w+) -->\n).*?(<!-- end of made -->)", re.DOTALL)


def renew(text: str) -> str:
    """Return a page with its generated parts renewed."""
    return MARK.sub(lambda found: f"{found[1]}\n{_part(found[2], found[3])}\n\n{found[4]}", text)


def _part(what: str, whose: str) -> str:
    """Return a generated part, of one provider or of all."""
    if whose != "all":
        return PARTS[what](load(whose))
    if what == "answered":
        return "\n".join(textwrap.wrap(ANSWERED, 120))
    return table(*ALL[what]())


def pages() -> list[Path]:
    """Return the pages with generated parts."""
    return [FOLDER / "outcomes.md", FOLDER / "figures.md", *sorted((FOLDER / "providers").glob("*.md"))]
