"""Draws a flame graph of an export of 100,000 Webex records to CSV: `python -m benchmarks.flame FILE.svg`.

py-spy samples the running export 500 times a second. It needs permission to trace its child process.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks import groups as plan
from benchmarks.__main__ import Bench
from benchmarks.measure import ROOT


def main() -> None:
    """Run the export and draw the graph."""
    picture = Path(sys.argv[1]).resolve()
    group = next(group for group in plan.groups(100_000) if group.key == "webex-csv")
    row = next(row for row in group.rows if row.name.startswith("cdrctl"))
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder:
        bench = Bench(Path(folder), [sys.executable, "-m", "cdrctl"], datetime.now(UTC).date() - timedelta(days=1))
        with bench.serving(group.server) as port, (bench.folder / "out").open("wb") as out:
            environ = {**bench.environ, "CDRCTL_CONFIG": str(bench.folder / f"{port}.toml")}
            watch = ["py-spy", "record", "--rate", "500", "--format", "flamegraph", "--output", str(picture), "--"]
            subprocess.run(
                [*watch, *bench.words(row, group.server, port)], cwd=ROOT, env=environ, stdout=out, check=True
            )
    text = picture.read_text(encoding="utf-8")
    text = re.sub(r"(?<=>)[^<>]*py-spy[^<>]*(?=</text>)", "cdrctl webex cdrs -f csv", text)
    picture.write_text(re.sub(r"(?<![\w/])/[\w./-]*/(?=[\w-]+\.(py|so))", "", text), encoding="utf-8")


if __name__ == "__main__":
    main()
