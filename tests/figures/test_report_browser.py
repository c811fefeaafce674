"""A report in a real browser: it requests nothing, is read by a screen reader, fits narrow screens, and prints."""

from __future__ import annotations

import base64
import json
import os
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.figures.test_figures import ROWS, row
from tests.figures.test_report import HOSTILE, reported
from tests.support.browser import browser as a_chromium, needs_browser

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

pytestmark = [pytest.mark.slow, needs_browser]

AXE = os.environ.get("AXE_CORE")
NAMES = (
    HOSTILE,
    "\u202egnp.exe\u202c",
    "x" * 10_000,
    "👩‍👩‍👧 Ωmega",
    "<img src=x onerror=document.title='run'>",
    "עברית",
)
WINDOW = ("--since", "2026-11-01", "--until", "2026-11-15")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """Return a browser that shows a report with hostile names."""
    folder = tmp_path_factory.mktemp("report")
    rows = [
        row("14:00:00", "14:00:20", "no_answer", from_name=name, from_number=f"{name}{at}", queue=name)
        for at, name in enumerate(NAMES)
    ]
    page = folder / "report.html"
    page.write_bytes(reported(folder, [*ROWS, *rows], *WINDOW, "--title", "Calls of <b>Acme</b>").ok().written)
    with a_chromium(folder / "home") as opened:
        opened.get(page.as_uri())
        yield opened


def show(browser: Chrome, *, mode: str = "light", width: int = 1280, media: str = "screen") -> None:
    """Show the page in light or dark mode, on a screen of this width or on paper."""
    features = [{"name": "prefers-color-scheme", "value": mode}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def test_it_requests_nothing_and_runs_nothing(browser: Chrome) -> None:
    log: Any = browser.get_log
    events = [json.loads(one["message"])["message"] for one in log("performance")]
    sent = [one["params"] for one in events if one["method"] == "Network.requestWillBeSent"]
    requested = {one["request"]["url"] for one in sent if not one["documentURL"].startswith("chrome:")}
    assert requested == {browser.current_url}
    assert browser.title == "Calls of <b>Acme</b>"
    assert browser.execute_script("return document.querySelectorAll('img, script, b').length") == 0
    policy = "const one = document.createElement('img'); one.src = 'data:,'; document.body.append(one);"
    listen = "window.refused = []; addEventListener('securitypolicyviolation', e => refused.push(e.blockedURI));"
    browser.execute_script(listen + policy)
    refused = browser.execute_async_script("setTimeout(() => arguments[0](window.refused), 50)")
    browser.execute_script("document.querySelector('img').remove()")
    assert refused == ["data"], "the page's policy would stop an image, had one come in"


def test_a_screen_reader_reads_charts_and_tables(browser: Chrome) -> None:
    show(browser)
    nodes = browser.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    found = [(_value(one, "role"), _value(one, "name"), _value(one, "description")) for one in nodes]
    charts = [(name, about) for role, name, about in found if role in {"image", "img"}]
    assert len(charts) == 3
    for name, about in charts:
        assert name
        assert re.search("[Hh]ighest|darkest", about), about
    summaries = [name for role, name, _ in found if role == "DisclosureTriangle"]
    assert {f"The numbers: {name}" for name, _ in charts} == set(summaries)
    roles = {role for role, _, _ in found}
    assert {"main", "banner", "contentinfo", "columnheader", "rowheader"} <= roles
    assert [name for role, name, _ in found if role == "heading"][:3] == [
        "Calls of <b>Acme</b>",
        "What is known",
        "At a glance",
    ]
    assert all(name for role, name, _ in found if role in {"table", "region"})
    focused = [one for one in nodes if any(it["name"] == "focusable" for it in one.get("properties", []))]
    assert all(_value(one, "name") for one in focused)


def _value(node: Any, what: str) -> str:
    return str(node.get(what, {}).get("value", ""))


def test_the_keyboard_reaches_everything_in_the_order_of_the_page(browser: Chrome) -> None:
    show(browser)
    places = browser.execute_script("""
        const all = [...document.querySelectorAll('summary, [tabindex]')].filter(one => one.checkVisibility());
        return all.map(one => {
            one.focus();
            const style = getComputedStyle(one);
            return [document.activeElement === one, one.tabIndex, one.getBoundingClientRect().top];
        });
    """)
    assert len(places) > 8
    assert all(focused and index == 0 for focused, index, _ in places)
    (before, after) = browser.execute_script("""
        const summary = document.querySelector('summary');
        summary.focus();
        const before = summary.parentElement.open;
        summary.click();
        const after = summary.parentElement.open;
        summary.click();
        return [before, after];
    """)
    assert (before, after) == (False, True)


@pytest.mark.parametrize(("width", "zoom"), [(320, 1), (640, 2), (1280, 2)])
def test_narrow_screens_and_zoom_need_no_scrolling_to_the_side(browser: Chrome, width: int, zoom: int) -> None:
    show(browser, width=width // zoom)
    wide = browser.execute_script("return document.documentElement.scrollWidth")
    assert wide <= width // zoom
    assert (
        browser.execute_script(
            "return [...document.querySelectorAll('h1, h2, p, dd, dt, summary, li')]"
            ".filter(one => one.checkVisibility() && one.getBoundingClientRect().right > innerWidth + 1).length"
        )
        == 0
    )


def test_it_prints_dark_on_light_with_whole_charts(browser: Chrome) -> None:
    show(browser, mode="dark", width=640, media="print")
    colors = browser.execute_script(
        "const style = getComputedStyle(document.body); return [style.color, style.backgroundColor]"
    )
    assert colors == ["rgb(27, 31, 36)", "rgb(255, 255, 255)"]
    clipped = browser.execute_script(
        "return [...document.querySelectorAll('svg')].filter(one => "
        "one.getBoundingClientRect().right > innerWidth + 1 || getComputedStyle(one.closest('figure')).breakInside !== "
        "'avoid').length"
    )
    assert clipped == 0
    sizes = {"paperWidth": 8.27, "paperHeight": 11.69, "printBackground": False}
    pdf = base64.b64decode(browser.execute_cdp_cmd("Page.printToPDF", sizes)["data"])
    assert 2 <= len(re.findall(rb"/Type\s*/Page\b", pdf)) <= 8
    text = b"".join(zlib.decompress(one) for one in re.findall(rb"stream\r?\n(x.*?)\r?\nendstream", pdf, re.DOTALL))
    greens = re.findall(rb"\.1\d* \.49\d* \.21\d* rg", text)
    assert len(greens) >= 2, "the colour of answered calls is in the chart and in its legend"


@pytest.mark.skipif(AXE is None, reason="AXE_CORE does not name axe.min.js: .ci/axe FOLDER fetches it")
@pytest.mark.parametrize("mode", ["light", "dark"])
def test_axe_finds_nothing(browser: Chrome, mode: str) -> None:
    show(browser, mode=mode)
    browser.execute_script("document.querySelectorAll('details').forEach(one => { one.open = true })")
    browser.execute_script(Path(AXE or "").read_text(encoding="utf-8"))
    found = browser.execute_async_script("axe.run().then(arguments[0])")
    browser.execute_script("document.querySelectorAll('details').forEach(one => { one.open = false })")
    assert [(one["id"], [node["html"] for node in one["nodes"]][:3]) for one in found["violations"]] == []
    assert len(found["passes"]) > 15
