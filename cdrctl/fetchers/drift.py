"""New fields of a provider, for calls whose requests name the fields they want.

A request with a list of fields never shows a new one. So `doctor` and `--strict` ask once without the list.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cdrctl.errors import DriftError
from cdrctl.records.columns import Column


def new_fields(records: Iterable[Mapping[str, Any]], columns: Sequence[Column]) -> list[str]:
    """Return the names of fields in the records that no column is read from, in alphabetical order."""
    known = {column.key.partition(".")[0].casefold() for column in columns}
    return sorted({name for record in records for name in record if name.casefold() not in known})


def new_fields_warning(title: str, call: str, names: Sequence[str]) -> str:
    """Return the warning that names the new fields of a call."""
    return (
        f"{title} has new fields for {call} that this version of cdrctl does not request: {', '.join(names)}; "
        "update cdrctl"
    )


def new_fields_error(title: str, provider: str, call: str, names: Sequence[str]) -> DriftError:
    """Return the error that ends a strict export of a call with new fields."""
    return DriftError(
        f"the records do not match the known columns: {title} has fields for {call} that this version does not "
        f"request: {', '.join(names)}",
        hint=f"cdrctl fields {provider} {call} lists the columns; without --strict these fields are left out",
    )
