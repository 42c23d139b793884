"""The report in a real headless Chromium: quiet, sortable, in both themes, on a telephone."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

import epochmark
from epochmark.analysis.comparing.references import load_references
from epochmark.records.findings import FindingCode
from epochmark.records.record import Record
from epochmark.report.page import report_page
from epochmark.report.page._contents import TABLE_HEADER
from epochmark.report.subject import subject_of
from tests.report.samples import failed, machine, mixed_records, sample

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
]

HOSTILE = "</script></svg><img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        yield running
        running.close()


class Opened:
    """A page with all it said and all it asked for."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.sentence: list[str] = []
        self.requested: list[str] = []
        page.on("console", lambda message: self.sentence.append(message.text))
        page.on("pageerror", lambda error: self.sentence.append(str(error)))
        page.on("request", lambda request: self.requested.append(request.url))


@cache
def page_of(case: str) -> str:
    """The report of a case's records, made once."""
    return report_page(subject_of(CASES[case](), load_references(), machine()))


def opened(
    browser: Browser,
    folder: Path,
    case: str,
    *,
    width: int = 1280,
    dark: bool = False,
) -> Opened:
    """The report of a case, opened from its file."""
    file = folder / "report.html"
    file.write_text(page_of(case), "utf-8")
    context = browser.new_context(
        viewport={"width": width, "height": 800},
        color_scheme="dark" if dark else "light",
        offline=True,
    )
    report = Opened(context.new_page())
    report.page.goto(file.as_uri())
    return report


def several() -> list[Record]:
    return [
        sample(1),
        sample(2, engine="torch", step_s=0.05),
        sample(3, findings=[FindingCode.FOREIGN_LOAD]),
        sample(4, findings=[FindingCode.STEPS_LIMITED]),
        sample(5, findings=[FindingCode.PARITY_FAILED]),
        sample(6, on=machine("Another")),
        failed(7),
    ]


CASES: dict[str, Callable[[], list[Record]]] = {
    "none": list,
    "one": lambda: [sample(1)],
    "failed": lambda: [failed(1)],
    "several": several,
    "html": lambda: [sample(1, label=HOSTILE), sample(2, on=machine(HOSTILE))],
    "long": lambda: [sample(1, label="x" * 300), sample(2, on=machine("y" * 300))],
    "500": lambda: mixed_records(500),
}


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("case", CASES)
def test_it_loads_quietly_and_fits_the_screen(
    browser: Browser, tmp_path: Path, case: str, width: int
) -> None:
    report = opened(browser, tmp_path, case, width=width)
    assert report.sentence == []
    assert report.requested == [(tmp_path / "report.html").as_uri()]
    assert report.page.evaluate("document.documentElement.scrollWidth") <= width
    shown = "narrow" if width < 500 else "wide"
    for figure in report.page.locator("figure").all():
        assert figure.locator(f".{shown}").is_visible()
        assert figure.locator("svg:visible").count() == 1
        assert figure.locator("svg:visible").get_attribute("aria-label")
    report.page.context.close()


def column(page: Page, number: int) -> list[str]:
    return [
        text.strip()
        for text in page.locator(f"#table td:nth-child({number + 1})").all_inner_texts()
    ]


def test_a_click_on_a_heading_sorts_and_another_turns_it_round(
    browser: Browser, tmp_path: Path
) -> None:
    page = opened(browser, tmp_path, "several").page
    seconds, accuracy = TABLE_HEADER.index("s/epoch"), TABLE_HEADER.index("accuracy")
    heading = page.locator("#table th").nth(seconds)
    heading.get_by_role("button").click()
    figures = [float(text) for text in column(page, seconds) if text]
    assert figures == sorted(figures)
    assert heading.get_attribute("aria-sort") == "ascending"
    heading.get_by_role("button").focus()
    page.keyboard.press("Enter")
    figures = [float(text) for text in column(page, seconds) if text]
    assert figures == sorted(figures, reverse=True)
    assert heading.get_attribute("aria-sort") == "descending"
    page.locator("#table th").nth(accuracy).get_by_role("button").click()
    texts = column(page, accuracy)
    assert texts[-1] == ""
    assert texts == sorted(texts, key=lambda text: (text == "", text))
    page.context.close()


@pytest.mark.parametrize("width", [360, 1600])
def test_the_machine_stays_in_sight_when_the_table_is_moved_sideways(
    browser: Browser, tmp_path: Path, width: int
) -> None:
    page = opened(browser, tmp_path, "several", width=width).page
    frame = page.locator("#table .scroll")
    frame.evaluate("element => { element.scrollLeft = element.scrollWidth }")
    framed = frame.bounding_box()
    assert framed is not None
    for first in ("td", "th"):
        cell = page.locator(f"#table {first}").first.bounding_box()
        assert cell is not None
        assert framed["x"] <= cell["x"] < framed["x"] + 10
    assert framed["x"] >= 0
    assert framed["x"] + framed["width"] <= width
    frame.evaluate("element => { element.scrollTop = 300 }")
    (heading, *_) = boxes(page, "#table th")
    assert abs(heading[1] - boxes(page, "#table .scroll")[0][1]) < 3
    page.context.close()


def boxes(page: Page, selector: str) -> list[tuple[float, float, float, float]]:
    """Left, top, right and bottom of everything that is shown under the selector."""
    script = """elements => elements.filter((e) => e.checkVisibility()).map((e) => {
      const box = e.getBoundingClientRect();
      return [box.left, box.top, box.right, box.bottom];
    })"""
    return [tuple(box) for box in page.locator(selector).evaluate_all(script)]


@pytest.mark.parametrize("width", [390, 1280])
def test_no_line_goes_through_a_label(browser: Browser, tmp_path: Path, width: int) -> None:
    page = opened(browser, tmp_path, "several", width=width).page
    for chart in ("machines", "published", "engines"):
        lines = boxes(page, f"#{chart} .mark-rule line")
        texts = boxes(page, f"#{chart} .mark-text:not(.role-axis-label):not(.role-axis-title) text")
        assert len(lines) > 10
        assert len(texts) > 3
        for left, top, right, bottom in texts:
            through = [
                line
                for line in lines
                if line[0] < right - 1 and line[2] > left + 1 and line[1] < bottom and line[3] > top
            ]
            assert not through, chart
    page.context.close()


@pytest.mark.parametrize("width", [390, 1280])
def test_no_text_of_a_chart_is_cut(browser: Browser, tmp_path: Path, width: int) -> None:
    page = opened(browser, tmp_path, "several", width=width).page
    for chart in ("machines", "published", "engines", "speed", "clocks", "learning"):
        ((start, _, end, _),) = boxes(page, f"#{chart} figure svg")
        texts = boxes(page, f"#{chart} figure text")
        assert min(left for left, *_ in texts) >= start
        assert max(right for _, _, right, _ in texts) <= end
        assert "…" not in (page.locator(f"#{chart} figure").text_content() or "")
    page.context.close()


@pytest.mark.parametrize("dark", [False, True])
def test_the_first_screen_has_the_answer_the_place_and_what_held_it_back(
    browser: Browser, tmp_path: Path, dark: bool
) -> None:
    page = opened(browser, tmp_path, "several", dark=dark).page
    for part in ("answer", "place", "held-back"):
        box = page.locator(f"#{part}").bounding_box()
        assert box is not None
        assert box["y"] + box["height"] <= 900
    page.context.close()


def test_the_filter_leaves_the_rows_with_every_word(browser: Browser, tmp_path: Path) -> None:
    page = opened(browser, tmp_path, "several").page
    page.get_by_label("Show rows with").fill("torch 0002")
    shown = page.locator("#table tbody tr:visible")
    assert shown.count() == 1
    assert "torch" in shown.inner_text()
    assert page.locator("#filter output").inner_text().startswith("1 of ")
    page.context.close()


@pytest.mark.parametrize("dark", [False, True])
def test_the_theme_follows_the_system_until_it_is_chosen(
    browser: Browser, tmp_path: Path, dark: bool
) -> None:
    page = opened(browser, tmp_path, "several", dark=dark).page

    def paper() -> int:
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(int(part) for part in colour[4:-1].split(","))

    def ink_of_charts() -> str:
        return str(page.evaluate("getComputedStyle(document.querySelector('.wide text')).fill"))

    theme = page.get_by_role("button", name="Theme")
    assert (paper() < 200) is dark
    theme.click()
    assert "light" in theme.inner_text()
    light = ink_of_charts()
    assert paper() > 700
    theme.click()
    assert "dark" in theme.inner_text()
    assert paper() < 200
    assert ink_of_charts() != light
    theme.click()
    assert (paper() < 200) is dark
    page.context.close()


CONTRAST = """() => {
  const luminance = (colour) => {
    const [r, g, b] = colour.match(/[\\d.]+/g).map(Number).map((c) => c / 255)
      .map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const paper = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const colour = getComputedStyle(e).backgroundColor;
      if (colour !== "rgba(0, 0, 0, 0)") return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const faint = [];
  for (const e of document.querySelectorAll("body *")) {
    const own = Array.from(e.childNodes).some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || !e.checkVisibility() || e.closest("script, style")) continue;
    const style = getComputedStyle(e);
    const [a, b] = [luminance(e.closest("svg") ? style.fill : style.color), luminance(paper(e))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) faint.push(`${ratio.toFixed(2)} ${e.tagName} ${e.textContent.slice(0, 40)}`);
  }
  return faint;
}"""


@pytest.mark.parametrize("dark", [False, True])
def test_all_text_has_the_contrast_of_wcag_aa(browser: Browser, tmp_path: Path, dark: bool) -> None:
    page = opened(browser, tmp_path, "several", dark=dark).page
    assert page.evaluate(CONTRAST) == []
    page.context.close()


def test_everything_can_be_reached_with_the_keyboard(browser: Browser, tmp_path: Path) -> None:
    page = opened(browser, tmp_path, "several").page
    reached = []
    for _ in range(30):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.outerHTML.slice(0, 300)"))
    everything = "".join(reached)
    for part in ("Skip to the answer", 'id="theme"', "search", "s/epoch", 'id="download"'):
        assert part in everything
    page.context.close()


def test_a_mark_says_what_it_stands_for(browser: Browser, tmp_path: Path) -> None:
    page = opened(browser, tmp_path, "several").page
    page.locator('#engines .wide [aria-label^="torch on cpu"]').first.hover()
    assert page.locator("#tip").inner_text().startswith("torch on cpu, stock, float32: ")
    page.context.close()


def test_the_download_is_a_bundle_that_can_be_checked(browser: Browser, tmp_path: Path) -> None:
    report = opened(browser, tmp_path, "one")
    with report.page.expect_download() as waiting:
        report.page.get_by_role("button", name="Download the records").click()
    file = tmp_path / "download.json"
    waiting.value.save_as(file)
    assert waiting.value.suggested_filename == "epochmark-records.json"
    assert [checked.problems for checked in epochmark.check(file)] == [()]
    assert json.loads(file.read_bytes())["epochmark_bundle"] == 1
    assert report.sentence == []
    report.page.context.close()


def test_without_scripts_it_says_the_same(browser: Browser, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text(page_of("several"), "utf-8")
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(file.as_uri())
    assert page.locator("#table tbody tr").count() == len(several()) + len(load_references())
    assert page.locator("figure svg:visible").count() > 3
    assert page.locator("#filter, #theme, #download").locator("visible=true").count() == 0
    context.close()
