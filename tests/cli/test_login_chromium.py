"""Sign in with a real browser: cdrctl opens it, the user presses a button, and the exports that follow work.

These tests are skipped where the system has no Chromium or no driver for it.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("selenium", reason="selenium is not installed: pip install -e '.[dev]'")

from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.by import By
from selenium.webdriver.support import expected_conditions
from selenium.webdriver.support.wait import WebDriverWait

from tests.support.host import PATIENCE, ended, heard, hearing
from tests.support.signing import Office, a_browser, an_office

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")

pytestmark = [
    pytest.mark.process,
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None or DRIVER is None, reason="there is no chromium with its chromedriver here"),
]


@pytest.fixture(name="office")
def _office(tmp_path: Path) -> Iterator[Office]:
    with an_office(tmp_path) as office, hearing():
        yield office


@pytest.fixture(name="browser", scope="module")
def _browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """Return a headless browser with a temporary profile. It downloads nothing."""
    home = tmp_path_factory.mktemp("chromium")
    options = ChromeOptions()
    assert CHROMIUM is not None
    assert DRIVER is not None
    options.binary_location = CHROMIUM
    for word in (
        *("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--no-first-run"),
        *("--disable-background-networking", "--disable-component-update", "--no-proxy-server"),
        f"--user-data-dir={home}",
    ):
        options.add_argument(word)
    environ = {"PATH": "/usr/bin:/bin", "HOME": str(home), "LANG": "C.UTF-8"}
    service = ChromeService(executable_path=DRIVER, env=environ, log_output=subprocess.DEVNULL)
    with Chrome(options=options, service=service) as browser:
        browser.set_page_load_timeout(PATIENCE)
        yield browser


def press(browser: Chrome, page: str, button: str) -> str:
    """Open a page, press a button, and return the heading of the page that follows."""
    browser.get(page)
    wait = WebDriverWait(browser, PATIENCE)
    assert "spark-admin:calling_cdr_read" in browser.page_source
    wait.until(expected_conditions.element_to_be_clickable((By.ID, button))).click()
    wait.until(expected_conditions.title_contains("cdrctl"))
    return browser.find_element(By.TAG_NAME, "h1").text


def test_exports_work_after_the_user_accepts_in_the_browser(office: Office, browser: Chrome, tmp_path: Path) -> None:
    with a_browser(office, tmp_path) as told, ended(office.login()) as running:
        assert press(browser, told(), "accept") == "Continue in the terminal"
        out, err = running.communicate(timeout=PATIENCE)
    assert running.returncode == 0, err
    assert out.startswith(b"acme (Webex): signed in")
    shown = browser.page_source
    for secret in office.secrets():
        assert secret not in shown
    assert "You can close this page" in shown
    exported = office.export()
    assert exported.returncode == 0, exported.stderr
    assert exported.stdout.count(b"\n") > 10


def test_the_sign_in_fails_if_the_user_denies(office: Office, browser: Chrome, tmp_path: Path) -> None:
    with a_browser(office, tmp_path) as told, ended(office.login()) as running:
        assert press(browser, told(), "deny") == "Not signed in"
        _, err = running.communicate(timeout=PATIENCE)
    assert running.returncode == 4
    assert b"denied in the browser" in err
    assert not office.tokens.exists()


def test_a_page_in_the_same_browser_cannot_end_the_sign_in(office: Office, browser: Chrome, tmp_path: Path) -> None:
    with a_browser(office, tmp_path) as told, ended(office.login()) as running:
        page = told()
        browser.get(f"{office.uri}?error=access_denied")
        assert browser.find_element(By.TAG_NAME, "h1").text == "Another sign-in"
        heard(running, b"still waiting")
        assert press(browser, page, "accept") == "Continue in the terminal"
        running.communicate(timeout=PATIENCE)
    assert running.returncode == 0
