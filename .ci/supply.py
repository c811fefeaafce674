"""What .ci/licences and .ci/release know of the packages that cdrctl runs on, read from the lock and pyproject.toml.

* supply.py requirements: the locked runtime packages of every system, with hashes, for pip
* supply.py pins [NAME …]: the locked packages that cdrctl runs on without its extras, or these and what they need, with
  markers and hashes, for pip
* supply.py licences: docs/licences.md, from the metadata of those packages, which must be installed
* supply.py sbom VERSION: the CycloneDX bill of materials of that version, as above
"""

from __future__ import annotations

import json
import os
import re
import sys
import tomllib
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
ALWAYS = "always"
EXTRAS = ("keyring", "parquet", "xlsx", "duckdb", "store")

# Those that name no SPDX identifier in their metadata, or not one alone. Read in their licence files.
BY_HAND = {
    "colorama": "BSD-3-Clause",
    "python-dateutil": "Apache-2.0 OR BSD-3-Clause",  # older parts are under the latter alone
}
SPDX = {
    "Apache 2.0": "Apache-2.0",
    "Apache-2.0": "Apache-2.0",
    "BSD-2-Clause": "BSD-2-Clause",
    "BSD-3-Clause": "BSD-3-Clause",
    "ISC License": "ISC",
    "MIT": "MIT",
    "MIT License": "MIT",
    "MPL-2.0": "MPL-2.0",
    "PSF-2.0": "PSF-2.0",
}
CLASSIFIERS = {
    "License :: OSI Approved :: Apache Software License": "Apache-2.0",
    "License :: OSI Approved :: ISC License (ISCL)": "ISC",
    "License :: OSI Approved :: MIT License": "MIT",
    "License :: OSI Approved :: Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}


@dataclass(frozen=True, slots=True)
class Locked:
    """A package of the lock."""

    name: str
    version: str
    marker: str
    hashes: tuple[str, ...]
    via: frozenset[str]


def canonical(name: str) -> str:
    """Return the name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read_lock() -> list[Locked]:
    """Return what .ci/lock.txt pins; a package can come twice, for different Pythons."""
    text = (ROOT / ".ci/lock.txt").read_text(encoding="utf-8")
    found = []
    for entry in re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]:
        head = re.match(r"([a-z0-9.-]+)==([^\s;]+)(?: ; ([^\\]+?))? \\\n", entry)
        if head is None:
            raise SystemExit(f"the lock has a line that cannot be read: {entry.splitlines()[0]}")
        hashes = tuple(re.findall(r"--hash=sha256:([0-9a-f]{64})\b", entry))
        via = frozenset(re.findall(r"^    #(?: via |   )([a-z0-9.-]+)", entry, re.MULTILINE))
        found.append(Locked(head[1], head[2], head[3] or "", hashes, via))
    return found


def project() -> dict[str, Any]:
    """Return the table `project` of pyproject.toml."""
    table: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return table


def ranges() -> dict[str, dict[str, str]]:
    """Return the version ranges of pyproject.toml by part and package."""
    table = project()
    parts = {ALWAYS: table["dependencies"], **{extra: table["optional-dependencies"][extra] for extra in EXTRAS}}
    matches = {part: [re.match(r"([\w.-]+)(?:\[[^]]*\])?\s*([^;]*)", line) for line in parts[part]] for part in parts}
    return {part: {canonical(m[1]): m[2].strip() for m in found if m} for part, found in matches.items()}


def runtime() -> dict[str, list[Locked]]:
    """Return the locked packages that cdrctl runs on, and those that only its extras need."""
    lock = read_lock()
    parts: dict[str, list[Locked]] = {}
    names: set[str] = set()
    for part, roots in ranges().items():
        before = set(names)
        names |= set(roots)
        while more := {entry.name for entry in lock if entry.via & names} - names:
            names |= more
        parts[part] = [entry for entry in lock if entry.name in names - before]
    return parts


def licence_of(name: str) -> str:
    """Return the SPDX expression of an installed package, or end."""
    about = metadata.metadata(name)
    if "License-Expression" in about:
        return about["License-Expression"]
    if name in BY_HAND:
        return BY_HAND[name]
    if spdx := SPDX.get("".join(about.get_all("License", [])).strip()):
        return spdx
    named = {line for line in about.get_all("Classifier", []) if line.startswith("License ::")}
    if len(named) == 1 and (spdx := CLASSIFIERS.get(named.pop())):
        return spdx
    raise SystemExit(f"{name} names no licence that is known here: read its licence file, and add it to BY_HAND")


def uses() -> dict[str, str]:
    """Return what docs/design.md says each direct dependency is for."""
    section = (ROOT / "docs/design.md").read_text(encoding="utf-8").split("## Dependencies", 1)[1]
    rows = re.findall(r"^\| ([\w-]+)(?: \(extra\))? \| (.+) \|$", section, re.MULTILINE)
    return {canonical(name): why for name, why in rows}


def rows_of(part: str, entries: Iterable[Locked]) -> list[str]:
    """Return the rows of a table, one for each package."""
    wanted, why, known = ranges()[part], uses(), {entry.name for both in runtime().values() for entry in both}
    rows = ["| package | version range | licence | what for |", "|---|---|---|---|"]
    for name, found in sorted({entry.name: entry for entry in entries}.items()):
        reason = why[name] if name in wanted else "needed by " + ", ".join(sorted(found.via & known))
        version = f"`{wanted[name]}`" if wanted.get(name) else "any that those take"
        where = f" (only where `{found.marker}`)" if found.marker else ""
        rows.append(f"| {name} | {version} | {licence_of(name)} | {reason}{where} |")
    return rows


def licences() -> str:
    """Return docs/licences.md."""
    parts = runtime()
    lines = [
        "<!-- Made by .ci/licences from the packages' own metadata. Change that, not this. -->",
        "",
        "# Licences of what cdrctl runs on",
        "",
        "Everything that `pip install cdrctl` brings, on any system, and what each is for. The version ranges are",
        "those of `pyproject.toml`; the licences are SPDX expressions, as the versions in `.ci/lock.txt` name them.",
        "Nothing here has stronger copyleft than MPL-2.0, whose terms concern changes to the package's own files. A",
        "test holds this list against what is installed. [SECURITY.md](SECURITY.md) says how the packages are locked",
        "and audited.",
        "",
        *rows_of(ALWAYS, parts[ALWAYS]),
    ]
    for extra in EXTRAS:
        lines += ["", f"## With the extra `{extra}`", "", *rows_of(extra, parts[extra])]
    return "\n".join(lines) + "\n"


def requirements() -> str:
    """Return the runtime packages with their hashes and without markers."""
    entries = [entry for part in runtime().values() for entry in part]
    twice = {entry.name for entry in entries if sum(entry.name == other.name for other in entries) > 1}
    if twice:
        raise SystemExit(f"the lock has several versions of {', '.join(sorted(twice))}: list them here by Python")
    lines = (
        f"{entry.name}=={entry.version} " + " ".join(f"--hash=sha256:{digest}" for digest in entry.hashes)
        for entry in entries
    )
    return "\n".join(lines) + "\n"


def pins(*roots: str) -> str:
    """Return these packages and all that they need, with markers and hashes; of cdrctl itself where none is named."""
    lock = read_lock()
    names = set(roots) or set(ranges()[ALWAYS])
    if unknown := names - {entry.name for entry in lock}:
        raise SystemExit(f"the lock does not have {', '.join(sorted(unknown))}")
    while more := {entry.name for entry in lock if entry.via & names} - names:
        names |= more
    lines = (
        f"{entry.name}=={entry.version}"
        + (f" ; {entry.marker}" if entry.marker else "")
        + "".join(f" --hash=sha256:{digest}" for digest in entry.hashes)
        for entry in lock
        if entry.name in names
    )
    return "\n".join(lines) + "\n"


def component(entry: Locked, part: str) -> dict[str, Any]:
    """Return a package as CycloneDX has it."""
    purl = f"pkg:pypi/{entry.name}@{entry.version}"
    licence = licence_of(entry.name)
    one: dict[str, Any] = {"license": {"id": licence}} if " " not in licence else {"expression": licence}
    found: dict[str, Any] = {
        "type": "library",
        "bom-ref": purl,
        "name": entry.name,
        "version": entry.version,
        "purl": purl,
        "scope": "required" if part == ALWAYS else "optional",
        "licenses": [one],
        # One for each file of this version that an index may have: it is one of these that is installed.
        "hashes": [{"alg": "SHA-256", "content": digest} for digest in entry.hashes],
    }
    if entry.marker:
        found["properties"] = [{"name": "cdrctl:only-where", "value": entry.marker}]
    return found


def sbom(version: str) -> str:
    """Return the bill of materials; the same commit gives the same bytes."""
    parts = runtime()
    entries = [entry for part in parts.values() for entry in part]
    ours = f"pkg:pypi/cdrctl@{version}"
    direct = {name for names in ranges().values() for name in names}
    needs = {ours: [entry for entry in entries if entry.name in direct]}
    for entry in entries:
        needs[f"pkg:pypi/{entry.name}@{entry.version}"] = [other for other in entries if entry.name in other.via]
    when = datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), UTC)
    document: dict[str, Any] = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": when.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": {
                "type": "application",
                "bom-ref": ours,
                "name": "cdrctl",
                "version": version,
                "description": project()["description"],
                "purl": ours,
            },
        },
        "components": [component(entry, part) for part, both in parts.items() for entry in both],
        "dependencies": [
            {"ref": ref, "dependsOn": sorted(f"pkg:pypi/{other.name}@{other.version}" for other in others)}
            for ref, others in needs.items()
        ],
    }
    serial = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(document, sort_keys=True))
    return json.dumps({**document, "serialNumber": f"urn:uuid:{serial}"}, indent=2) + "\n"


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["requirements"]:
            sys.stdout.write(requirements())
        case ["pins", *names]:
            sys.stdout.write(pins(*names))
        case ["licences"]:
            sys.stdout.write(licences())
        case ["sbom", version]:
            sys.stdout.write(sbom(version))
        case _:
            raise SystemExit(__doc__)
