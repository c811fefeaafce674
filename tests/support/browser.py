"""A headless Chromium, driven by selenium; tests that need one are skipped where there is none."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.host import PATIENCE

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
needs_browser = pytest.mark.skipif(
    CHROMIUM is None or DRIVER is None or find_spec("selenium") is None,
    reason="there is no chromium with its chromedriver here, or no selenium",
)


@contextmanager
def browser(home: Path) -> Iterator[Chrome]:
    """Open a headless browser with a temporary profile. It downloads nothing, and logs what pages request."""
    from selenium.webdriver import Chrome, ChromeOptions, ChromeService

    options = ChromeOptions()
    assert CHROMIUM is not None
    assert DRIVER is not None
    options.binary_location = CHROMIUM
    options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
    for word in (
        *("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--no-first-run"),
        *("--disable-background-networking", "--disable-component-update", "--no-proxy-server"),
        f"--user-data-dir={home}",
    ):
        options.add_argument(word)
    environ = {"PATH": "/usr/bin:/bin", "HOME": str(home), "LANG": "C.UTF-8"}
    service = ChromeService(executable_path=DRIVER, env=environ, log_output=subprocess.DEVNULL)
    with Chrome(options=options, service=service) as opened:
        opened.set_page_load_timeout(PATIENCE)
        yield opened
