"""The board's pages in a real headless Chromium: quiet, in both themes, on a telephone."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, sync_playwright

from epochmark.records.bundle import encode_bundle
from tests.board.conftest import NewDatabase
from tests.board.records import native, torch
from tests.board.running import Board, operate

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")

LONG = "A processor whose name goes on and on without_a_single_place_to_break_it_" + "x" * 80


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        yield running
        running.close()


@pytest.fixture(scope="module")
def filled(new_database: NewDatabase, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    """A board with results of several chips, with its address."""
    folder = tmp_path_factory.mktemp("filled")
    database = new_database("sqlite")
    records = [
        *(torch(number, step_s=0.02 + number / 2000) for number in range(1, 7)),
        *(torch(number, step_s=0.02, version="2.13.0") for number in range(7, 9)),
        *(native(20 + number, step_s=0.018 + number / 3000) for number in range(4)),
        torch(30, gpu="NVIDIA GeForce RTX 4090", step_s=0.004),
        torch(31, gpu="NVIDIA GeForce RTX 3060", step_s=0.009),
        native(32, cpu=LONG, step_s=0.03),
        *(native(33 + number, cpu=name) for number, name in enumerate(("Chip 5-5", "Chip 5 5"))),
    ]
    bundle = folder / "bundle.json"
    bundle.write_bytes(encode_bundle(records))
    done = operate(database, "import", str(bundle))
    assert done.exit_code == 0, done.stderr
    assert operate(database, "import", "--first").exit_code == 0
    operate(database, "hide", records[-4].id, "--reason", "its owner asked for it")
    board = Board(folder, database)
    yield board
    board.stop()


def paths_of(board: Board) -> list[str]:
    """Every kind of page, empty ones and errors too."""
    newest = board.get("/api/1/results?limit=100").json["results"]
    (long,) = (row for row in newest if LONG[-80:] in row["hardware"])
    ids = [row["id"] for row in newest]
    return [
        "/", "/?device=gpu", "/?way=%3Cscript%3E", f"/chip/{newest[-1]['chip']}",
        f"/chip/{newest[0]['chip']}", f"/result/{newest[0]['id']}", f"/result/{newest[-1]['id']}",
        f"/chip/{long['chip']}", f"/group/{long['cell']}?run={long['id']}", "/chip/chip-5-5",
        f"/group/{newest[-1]['cell']}", "/compare", f"/compare?id={long['id']}",
        "/compare?" + "&".join(f"id={result_id}" for result_id in (long["id"], *ids[-5:])),
        "/latest", "/latest?limit=2", f"/latest?cell={long['cell']}", "/log", "/how", "/nothing",
        "/published",
    ]  # fmt: skip


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_pages_are_quiet_and_fit(browser: Browser, filled: Board, width: int, dark: bool) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light"
    )
    page = context.new_page()
    said: list[str] = []
    hosts: set[str] = set()
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
    for path in paths_of(filled):
        page.goto(filled.origin + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        assert page.locator("h1").count() == 1, path
        assert page.locator("script").count() == 0, path
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == ("rgb(20, 23, 26)" if dark else "rgb(255, 255, 255)")
    assert [line for line in said if "404" not in line] == []
    assert hosts - {""} == {filled.address}
    assert context.cookies() == []
    context.close()


def test_the_keyboard_reaches_everything_and_the_form_works(
    browser: Browser, filled: Board
) -> None:
    page = browser.new_page()
    page.goto(filled.origin)
    page.keyboard.press("Tab")
    assert page.locator(":focus").inner_text() == "Skip to the content"
    reached = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.getAttribute('href')"))
    links = page.locator("main a").evaluate_all("all => all.map(a => a.getAttribute('href'))")
    assert {*links} <= reached
    page.get_by_label("Device").select_option("gpu")
    page.get_by_role("button", name="Show").click()
    assert page.locator(".machines li").first.inner_text().startswith("RTX 4090")
    page.close()


def test_machines_are_ranked_with_one_way_to_train_and_the_yardstick_beside(
    browser: Browser, filled: Board
) -> None:
    page = browser.new_page()
    page.goto(filled.origin)
    assert page.locator("h2").first.inner_text() == "torch stock, float32"
    (line,) = page.locator(".machines li").all()
    assert "AMD EPYC, 2 usable cores" in line.inner_text()
    assert "8 owners, 8 runs, 100% valid" in line.inner_text()
    assert "native" in line.inner_text()
    page.get_by_role("link", name="native kernels 1 stock, float32").click()
    assert page.locator(".machines li").count() == 4
    page.close()


def test_a_chip_shows_where_each_run_lies(browser: Browser, filled: Board) -> None:
    page = browser.new_page()
    page.goto(f"{filled.origin}/chip/amd-epyc")
    torch_cell = page.locator("section.card").filter(has_text="torch stock")
    assert torch_cell.locator("circle").count() == 8
    versions = torch_cell.locator(".versions li").all_inner_texts()
    assert [text.split()[1] for text in versions] == ["2.12.1", "2.13.0"]
    assert versions[1].endswith("median of 2 runs")
    own = filled.get("/api/1/results?chip=amd-epyc&limit=100").json["results"]
    assert page.locator("tbody tr").count() == len(own) > 12
    page.locator("tbody a").first.click()
    assert "seconds per epoch" in page.locator(".answer").inner_text()
    page.close()


def test_chips_that_share_an_address_have_pages_of_their_own(
    browser: Browser, filled: Board
) -> None:
    page = browser.new_page()
    page.goto(f"{filled.origin}/chip/chip-5-5")
    assert page.locator("main li").all_inner_texts() == ["Chip 5 5", "Chip 5-5"]
    page.get_by_role("link", name="Chip 5-5").click()
    assert page.locator("h1").inner_text() == "Chip 5-5"
    assert page.locator("tbody tr").count() == 1
    assert "Chip 5-5, 2 usable cores" in page.locator("tbody").inner_text()
    page.close()


def test_a_group_shows_its_owners_and_marks_a_run(browser: Browser, filled: Board) -> None:
    rows = filled.get("/api/1/results?chip=amd-epyc&engine=torch").json["results"]
    own = sorted(rows, key=lambda row: float(row["steady_epoch_s"]))[2]
    page = browser.new_page()
    page.goto(f"{filled.origin}/group/{own['cell']}?run={own['id']}")
    owners = page.locator(".owners li")
    assert owners.count() == 8
    assert owners.nth(2).inner_text().startswith("3 imported")
    assert "this one" in owners.nth(2).inner_text()
    assert page.locator("path.mark").count() == 1
    assert "faster than 71% of 7 other owners" in page.locator("section.card").inner_text()
    page.get_by_role("link", name="mnist-cnn v1, native kernels 1 stock, float32").click()
    assert page.locator(".owners li").count() == 4 + len(_first_of_epyc(filled))
    page.close()


def _first_of_epyc(board: Board) -> list[object]:
    """Runs of the package's own that are of the same hardware as the tests'."""
    rows = board.get("/api/1/results?chip=amd-epyc&engine=native&limit=100").json["results"]
    alike = [row for row in rows if row["hardware"] == "AMD EPYC, 2 usable cores, virtual machine"]
    return alike[4:]


def test_results_chosen_in_a_list_are_compared(browser: Browser, filled: Board) -> None:
    page = browser.new_page()
    page.goto(f"{filled.origin}/chip/amd-epyc")
    boxes = page.locator("tbody tr").filter(has_text="torch").get_by_role("checkbox")
    for number in (0, 3):
        boxes.nth(number).check()
    page.locator("tbody tr").filter(has_text="native").get_by_role("checkbox").first.check()
    page.get_by_role("button", name="Compare the chosen ones").click()
    assert page.locator(".machines li").count() == 3
    ratio, apart = page.locator("section.card").all()
    assert ratio.locator("h2").inner_text().startswith(("B is ", "C is ", "no clear difference"))
    assert [text.partition(" are")[0] for text in apart.locator("li").all_inner_texts()] == [
        "A and B",
        "A and C",
    ]
    page.close()


def test_too_few_and_too_many_results_are_answered(filled: Board) -> None:
    ids = [row["id"] for row in filled.get("/api/1/results").json["results"]][:7]
    many = filled.get("/compare?" + "&".join(f"id={result_id}" for result_id in ids))
    assert (many.status, "too many to compare" in many.text) == (400, True)
    assert filled.get(f"/compare?id={ids[0]}&id={ids[0]}").text.count("<section") == 0
    for wrong in ("0" * 12, "x", "../y"):
        assert filled.get(f"/compare?id={ids[0]}&id={wrong}").status == 404
    for path in ("/group/0000000000000000", "/group/x", "/chip/amd-epyc?name=x"):
        assert filled.get(path).status == 404, path


def test_new_pages_have_an_etag(filled: Board) -> None:
    lists = ("/api/1/log", "/api/1/published", "/api/1/standing?chip=AMD%20EPYC")
    for path in (*paths_of(filled), *lists):
        answer = filled.get(path)
        if answer.status == 200:
            again = filled.get(path, **{"If-None-Match": answer.headers["etag"]})
            assert (again.status, again.body) == (304, b""), path
