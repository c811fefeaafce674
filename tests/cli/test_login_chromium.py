"""Sign in with a real browser: cdrctl opens it, the user presses a button, and the exports that follow work.

These tests are skipped where the system has no Chromium or no driver for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.browser import browser as a_chromium, needs_browser
from tests.support.host import PATIENCE, ended, heard, hearing
from tests.support.signing import Office, a_browser, an_office

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

pytestmark = [pytest.mark.process, pytest.mark.slow, needs_browser]


@pytest.fixture(name="office")
def _office(tmp_path: Path) -> Iterator[Office]:
    with an_office(tmp_path) as office, hearing():
        yield office


@pytest.fixture(name="browser", scope="module")
def _browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    with a_chromium(tmp_path_factory.mktemp("chromium")) as opened:
        yield opened


def press(browser: Chrome, page: str, button: str) -> str:
    """Open a page, press a button, and return the heading of the page that follows."""
    from selenium.webdriver.support import expected_conditions
    from selenium.webdriver.support.wait import WebDriverWait

    browser.get(page)
    wait = WebDriverWait(browser, PATIENCE)
    assert "spark-admin:calling_cdr_read" in browser.page_source
    wait.until(expected_conditions.element_to_be_clickable(("id", button))).click()
    wait.until(expected_conditions.title_contains("cdrctl"))
    return browser.find_element("tag name", "h1").text


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
        assert browser.find_element("tag name", "h1").text == "Another sign-in"
        heard(running, b"still waiting")
        assert press(browser, page, "accept") == "Continue in the terminal"
        running.communicate(timeout=PATIENCE)
    assert running.returncode == 0
