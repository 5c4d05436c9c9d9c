"""The page as people see it: Debian's Chromium opens it, and what it says, shows and does is looked at."""

import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import optuna_dashboard
import pytest

from reports.comparison_page import write_comparison
from reports.dashboard.publish import publish
from reports.dashboard.server import ArtifactsUnderRoot, StudiesUnderRoot
from reports.facts.comparison import compare
from reports.facts.evidence import gather_evidence
from reports.facts.report_data import ReportData, gather
from reports.page import write_pages, write_report
from studies.store import Store

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")

OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SECTIONS = ("result", "search", "students", "limits", "reproduce")
LARGEST, LONGEST = 6_000_000, 20.0
"""Bytes of a page, and seconds that it may take to write."""

OVERFLOW = """() => [...document.querySelectorAll("h1, h2, h3, p, li, dd, figcaption, .card, .chart, table")]
  .filter((e) => e.offsetParent && !e.closest(".scroll") && e.getBoundingClientRect().right > innerWidth + 1)
  .map((e) => e.tagName + " " + e.textContent.slice(0, 60))"""
OVERLAP = """() => { const boxes = [...document.querySelectorAll("section > *, .two > *, .cards > *")]
    .filter((e) => e.offsetParent && e.offsetHeight);
  return boxes.flatMap((a, i) => boxes.slice(i + 1).filter((b) => !a.contains(b) && !b.contains(a)).filter((b) => {
    const [p, q] = [a.getBoundingClientRect(), b.getBoundingClientRect()];
    return p.left < q.right - 1 && q.left < p.right - 1 && p.top < q.bottom - 1 && q.top < p.bottom - 1;
  }).map((b) => a.outerHTML.slice(0, 80) + " | " + b.outerHTML.slice(0, 80))); }"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium, without a network."""
    api = pytest.importorskip("playwright.sync_api")
    with api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield started
        started.close()


class Visit:
    """A page that was opened, and what went wrong on it."""

    def __init__(self, browser: Any, path: Path, width: int = 1400, scheme: str = "light") -> None:
        self.page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        self.wrong: list[str] = []
        self.page.on("console", lambda m: self.wrong.append(m.text) if m.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("requestfailed", lambda request: self.wrong.append(request.url))
        self.page.goto(path.as_uri())

    def look_through(self) -> None:
        """Open all there is to open and scroll to the end, until every figure is drawn."""
        self.page.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
        for chart in self.page.query_selector_all(".chart"):
            chart.scroll_into_view_if_needed()
        self.page.wait_for_function("document.querySelectorAll('.chart:not(.drawn)').length === 0", timeout=60_000)


@pytest.mark.parametrize(("width", "scheme"), [(1400, "light"), (1400, "dark"), (390, "light"), (390, "dark")])
def test_every_section_is_there_and_nothing_is_cut_or_covered(
    told: Store, browser: Any, width: int, scheme: str
) -> None:
    visit = Visit(browser, write_report(told), width, scheme)
    visit.look_through()
    for section in SECTIONS:
        assert visit.page.locator(f"section#{section}").is_visible()
    assert visit.wrong == []
    assert visit.page.evaluate("document.documentElement.scrollWidth") == width
    assert visit.page.evaluate(OVERFLOW) == []
    assert visit.page.evaluate(OVERLAP) == []
    if folder := os.environ.get("SCREENSHOTS"):
        visit.page.screenshot(path=f"{folder}/report-{width}-{scheme}.png", full_page=True)


def test_says_which_student_to_take_how_sure_that_is_and_what_to_do_next(told: Store, browser: Any) -> None:
    page = Visit(browser, write_report(told)).page
    take, sure, then = (card.inner_text() for card in page.locator(".card").all())
    best = gather(told).best
    assert best is not None
    assert best.architecture.digest in take and "99.38 ± 0.03 % (n = 3)" in take
    assert "3 seeds" in sure and "10,000 test samples" in sure
    assert "wunderkind " in then
    assert page.locator(".card .command code").inner_text().startswith("wunderkind ")


def test_shows_what_each_student_gets_wrong(told: Store, browser: Any) -> None:
    visit = Visit(browser, write_report(told))
    visit.look_through()
    for student in gather(told).students:
        part = visit.page.locator(f"#student-{student.architecture.digest}")
        for name in ("curves", "confusion", "calibration", "features"):
            assert part.locator(f".chart[data-figure={name}-{student.architecture.digest}] svg.main-svg").count() >= 1
        pictures = part.locator(".mistakes img").all()
        assert len(pictures) == 24
        assert all(picture.evaluate("image => image.naturalWidth") == 28 for picture in pictures)
        assert part.locator(".chart[data-figure=teacher-features]").count() == 1
        said = part.inner_text()
        assert "same answer for" in said and "Off by" in said and "confuses most" in said


def test_the_switch_and_the_tables_work_from_the_keyboard(told: Store, browser: Any) -> None:
    visit = Visit(browser, write_report(told))
    visit.look_through()
    page = visit.page
    title = "document.querySelector('.chart[data-figure=front]').layout.xaxis.title.text"
    first = (
        "[...document.querySelector('.chart[data-figure=front]').data.find((t) => t.mode === 'markers' && t.x[0]).x]"
    )
    assert page.evaluate(title) == "parameters"
    before = page.evaluate(first)
    page.locator("input[value=parameters]").focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function(f"{title}.startsWith('multiply-accumulates')")
    assert page.evaluate(first) != before
    column = page.locator("#search table.sortable th button", has_text="parameters").first
    column.focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    assert page.locator("#search table.sortable th[aria-sort=descending]").count() == 1
    cells = page.locator("#search table.sortable").first.locator("tbody tr td:nth-child(4)").all_inner_texts()
    numbers = [int(cell.replace(",", "")) for cell in cells]
    assert numbers == sorted(numbers, reverse=True) and len(numbers) > 1
    page.evaluate("scrollTo(0, 0)")
    page.locator("a.skip").focus()
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#result"
    assert visit.wrong == []


def test_every_picture_says_in_words_what_it_shows(told: Store, browser: Any) -> None:
    page = Visit(browser, write_report(told)).page
    assert page.locator(".chart:not([aria-label]), img:not([alt]), .chart[aria-label=''], img[alt='']").count() == 0
    assert page.locator("svg[role=img] title").count() == len(gather(told).students)


def test_studies_side_by_side(told: Store, browser: Any, tmp_path: Path) -> None:
    report = gather(told)
    page = write_comparison(compare([report, replace(report, name="other")]), tmp_path / "compare.html")
    for width, scheme in ((1400, "light"), (390, "dark")):
        visit = Visit(browser, page, width, scheme)
        visit.look_through()
        assert visit.wrong == []
        assert visit.page.evaluate(OVERFLOW) == []
        assert visit.page.locator(".chart svg.main-svg").count() >= 1
        assert "other – tiny" in visit.page.inner_text("#sizes")
        assert "Nothing." in visit.page.inner_text("#settings")


def test_the_dashboard_shows_drawing_and_layers_of_a_trial(told: Store, browser: Any) -> None:
    publish(told)
    directory = told.directory
    application = optuna_dashboard.wsgi(
        StudiesUnderRoot(directory.root), artifact_store=ArtifactsUnderRoot(directory.root)
    )
    with served(application) as address:
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        wrong: list[str] = []
        page.on("response", lambda response: wrong.append(response.url) if response.status >= 400 else None)
        page.goto(f"{address}/dashboard/studies/1/trials?numbers=0")
        page.wait_for_selector("text=layer", timeout=60_000)
        drawing = page.locator("img[alt*=' ']").first
        drawing.wait_for()
        assert drawing.evaluate("image => image.naturalWidth") > 100
        table = page.locator("table", has_text="MACs").first.bounding_box()
        assert table["x"] + table["width"] <= 1400
        page.goto(f"{address}/dashboard/studies/1/note")
        page.wait_for_selector("text=Full report", timeout=60_000)
        assert wrong == []
        page.close()


@contextmanager
def served(application: Any) -> Iterator[str]:
    """The address of an application that a thread serves on loopback."""

    class Quiet(WSGIRequestHandler):
        def log_message(self, format: str, *given: object) -> None:
            """Say nothing."""

    class Parallel(ThreadingMixIn, WSGIServer):
        """A browser asks for several files at once."""

        daemon_threads = True

    with make_server("127.0.0.1", 0, application, Parallel, Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_an_empty_study_has_a_page(empty: Store, browser: Any) -> None:
    page = write_report(empty)
    visit = Visit(browser, page, 390)
    assert visit.wrong == []
    assert "Nothing has been tried yet." in visit.page.inner_text("body")
    assert visit.page.evaluate(OVERFLOW) == []
    assert page.stat().st_size < 100_000


def test_a_thousand_trials_make_a_page_that_is_small_and_soon_there(
    told: Store, thousand: ReportData, browser: Any, tmp_path: Path
) -> None:
    began = time.process_time()
    page = write_pages(thousand, gather_evidence(told, thousand.students), tmp_path)
    assert time.process_time() - began < LONGEST
    assert page.stat().st_size < LARGEST
    visit = Visit(browser, page)
    visit.look_through()
    assert visit.wrong == []
    assert "1,000 trials" in visit.page.inner_text("#result")
    if folder := os.environ.get("SCREENSHOTS"):
        visit.page.screenshot(path=f"{folder}/thousand.png", full_page=True)
