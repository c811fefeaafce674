"""The picture of a report on the pages: `python -m tools.report_picture`.

The report is of the sandbox, by the tests' clock, and a headless Chromium takes the picture. It is the same at each run
but for the fonts of the machine.
"""

from __future__ import annotations

import base64
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "pictures" / "report.png"
COMMAND = 'cdrctl report -p sandbox --since "last week" --until "this week" --title "Calls of last week" -o report.html'
"""What the page shows above the picture."""

WIDTH, HEIGHT = 900, 960
"""The part of the page that is shown, from its top."""


def written(folder: Path) -> Path:
    """Return a report that has been written into a folder."""
    words = [sys.executable, "-m", "tests.support.program", *shlex.split(COMMAND)[1:], "-q"]
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"}
    subprocess.run(words, cwd=folder, env=environ, check=True)
    return folder / "report.html"


def taken(page: Path, folder: Path) -> bytes:
    """Return the top of a page as PNG, in light mode."""
    from tests.support.browser import browser

    with browser(folder / "browser") as opened:
        size = {"width": WIDTH, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": False}
        opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        light = [{"name": "prefers-color-scheme", "value": "light"}]
        opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": light})
        opened.get(page.as_uri())
        opened.execute_script("document.documentElement.style.overflow = 'hidden'")
        return base64.b64decode(opened.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})["data"])


def main() -> int:
    """Write the picture."""
    with tempfile.TemporaryDirectory(prefix="cdrctl-report-", ignore_cleanup_errors=True) as folder:
        PICTURE.write_bytes(taken(written(Path(folder)), Path(folder)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
