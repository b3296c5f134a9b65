"""Every page in a real browser with the network off, as on a desk and as on a phone."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.comparing.compare import compare_runs
from bench.report.history_page import History, write_history
from bench.report.page import write_report
from bench.report.recommendation_page import write_page
from tests.comparing.test_recommendation import answer, fits
from tests.report.conftest import Opened
from tests.report.test_changes import version
from tests.report.test_history_page import run
from tests.simulated import HOSTILE, asked, simulate, simulate_many

FIGURES = ("backends", "which-model", "groups", "omega", "error", "divergences", "rates", "times", "ess", "intervals")
PAGES = ("run", "many", "versions", "history", "recommendation")
REFERENCE = {
    name: Path(__file__).parents[2] / "reports" / "reference" / name / page
    for name, page in {
        "thread": "index.html",
        "families": "index.html",
        "hierarchical": "index.html",
        "posteriordb": "index.html",
        "versions": "versions.html",
    }.items()
}
MAX_BYTES = 3_000_000
PROGRAM = f"# {HOSTILE}\nprint(1)\n"
SLOW = pytest.mark.slow
CONTRAST = """() => {
  const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) =>
    [r, g, b]
      .map((v) => v / 255)
      .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
      .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const paper = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const found = parts(getComputedStyle(at).backgroundColor);
      if (found.length === 3 || found[3] > 0) return found;
    }
    return [255, 255, 255];
  };
  const bad = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!own || element.matches("script, style, .faint *, #tip") || !element.checkVisibility()) continue;
    const style = getComputedStyle(element);
    const ink = parts(element.closest("svg") ? style.fill : style.color);
    const below = paper(element);
    const tile = element.parentElement.querySelector(":scope > .tile");
    const over = tile ? parts(getComputedStyle(tile).fill) : [];
    const mixed = over.length ? below.map((v, i) => v + ((over[3] ?? 1) * (over[i] - v))) : below;
    const [a, b] = [light(ink), light(mixed)].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) bad.push(`${element.textContent.trim().slice(0, 40)} ${ink} on ${mixed}`);
  }
  return bad;
}"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    versions = (("x==1 (A) to x==2 (B)", compare_runs(version("a", 1.0), version("b", 1.3))),)
    found = answer(
        fits("centered", "stanli", 2000.0, dataset=HOSTILE) + fits("noncentered", "stanli", 300.0, dataset=HOSTILE)
    )
    both, over = [version("a", 1.0), version("b", 1.3)], [run(i) for i in range(30)]
    return {
        "run": write_report(folder / "run", list(simulate(hostile=True)), asked(hostile=True)),
        "many": write_report(folder / "many", list(simulate_many(60)), asked()),
        "versions": write_history(
            folder, History.of("Versions", both, ["wall_seconds"], "version", comparisons=versions), "versions"
        ),
        "history": write_history(folder, History.of("History", over, ["wall_seconds", "ess_per_second"], "date")),
        "recommendation": write_page(folder, replace(found, programs={"fit_stan.py": PROGRAM})),
        **{f"{name} committed": page for name, page in REFERENCE.items()},
    }


@pytest.fixture
def page(desk: Opened, pages: dict[str, Path]) -> Iterator[Any]:
    with desk(pages["run"]) as page:
        yield page


def rows(page: Any, table: str) -> Any:
    """Open a table and return its rows."""
    page.locator(f"#table-{table} > summary").click()
    page.locator(f"#table-{table} .tools").wait_for()
    return page.locator(f"#table-{table} tbody tr")


@pytest.mark.parametrize("name", [*PAGES, *(pytest.param(f"{name} committed", marks=SLOW) for name in REFERENCE)])
def test_the_first_screen_holds_the_answer_its_picture_and_how_sure(
    name: str, opened: Opened, pages: dict[str, Path]
) -> None:
    with opened(pages[name]) as page:
        height = page.evaluate("innerHeight")
        for part in (".sentence", ".soft"):
            box = page.locator(f".finding {part}").first.bounding_box()
            assert box["y"] + box["height"] < height
        box = page.locator(".finding .panels svg").first.bounding_box()
        assert box["y"] + min(200, box["height"]) < height
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert page.evaluate(CONTRAST) == []
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        dark = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
        assert (sum(map(int, re.findall(r"\d+", paper)[:3])) < 200) == dark
        assert "NaN" not in page.content()
        assert page.locator("img").count() == 0
        assert page.title() != "owned"


@pytest.mark.slow
def test_every_picture_renders(page: Any) -> None:
    for name in FIGURES:
        charts = page.locator(f"#figure-{name}").first.locator(".panels svg")
        box = charts.first.bounding_box()
        assert box["width"] > 100
        assert box["height"] > 50
        assert charts.first.locator("[data-tip]").count() > 0


def test_tables_are_closed_and_open_sort_and_filter_by_keyboard(page: Any) -> None:
    table = page.locator("#table-cases")
    assert not table.locator("tbody tr").first.is_visible()
    table.locator("> summary").press("Enter")
    table.locator(".tools").wait_for()
    head = table.locator("thead th", has_text="min ESS/s")
    at = head.evaluate("head => head.cellIndex")

    def rates() -> list[float]:
        texts = table.locator("tbody tr").evaluate_all(f"rows => rows.map((row) => row.cells[{at}].textContent)")
        return [float(text.split(" ")[0].replace(",", "")) for text in texts if text[0].isdigit()]

    head.press("Enter")
    assert rates() == sorted(rates(), reverse=True)
    head.press(" ")
    assert rates() == sorted(rates())
    assert head.get_attribute("aria-sort") == "ascending"
    table.locator("input[type=search]").press_sequentially("unhealthy")
    assert 0 < table.locator("tbody tr").count() < 120


@pytest.mark.slow
def test_a_word_is_found_where_it_begins_and_in_the_column_that_is_asked(page: Any) -> None:
    found = rows(page, "cases")
    assert found.count() == 120
    words, count = page.locator("#table-cases input[type=search]"), page.locator("#table-cases output")
    assert count.inner_text() == "120 rows"
    words.fill("unhealthy")
    sick = found.count()
    words.fill("healthy")
    healthy = found.count()
    assert sick > 0
    assert healthy > 0
    assert sick + healthy <= 120
    words.fill("centered nutpie")
    assert found.count() == 15
    words.fill("nutpie")
    page.locator("#table-cases select").select_option(label="in model")
    assert found.count() == 0
    assert count.inner_text() == "0 of 120 rows"


@pytest.mark.slow
def test_columns_are_chosen_and_copied(page: Any) -> None:
    rows(page, "cases")
    table = page.locator("#table-cases")
    assert not table.locator("thead th", has_text="warm-up s").is_visible()
    table.get_by_role("button", name="Columns").click()
    table.get_by_label("warm-up s").check()
    table.get_by_label("95 % interval").uncheck()
    assert table.locator("thead th", has_text="warm-up s").is_visible()
    table.get_by_role("button", name="Copy as CSV").click()
    assert table.get_by_role("button", name="Copied").count() == 1
    table.locator("input[type=search]").press("Control+V")
    pasted = table.locator("input[type=search]").input_value()
    assert pasted.startswith("data,model,backend,min ESS/s,of best,wall s,warm-up s,")


@pytest.mark.slow
def test_backends_are_chosen_for_tables_and_pictures(page: Any) -> None:
    found = rows(page, "cases")
    page.locator("#filters input[value=pymc]").uncheck()
    assert found.count() == 90
    assert page.locator("#figure-groups svg[data-backend=pymc]:visible").count() == 0
    assert page.locator("#figure-backends g.faint[data-backend=pymc]").count() > 0


@pytest.mark.slow
def test_many_models_are_chosen_by_kind_size_and_dimension(desk: Opened, pages: dict[str, Path]) -> None:
    with desk(pages["many"]) as page:
        found = rows(page, "cases")
        assert found.count() == 180
        for kind in ("regression", "time series"):
            page.locator(f"input[name=kind][value='{kind}']").uncheck()
        assert found.count() == 60
        assert page.locator("#figure-models g[data-kind=regression].faint").count() == 2
        page.locator("input[name=parameters][data-end=low]").fill("31")  # from model30
        assert found.count() == 30
        page.locator("input[name=size][data-end=high]").fill("400")  # to model39
        assert found.count() == 12


@pytest.mark.slow
def test_a_long_table_shows_its_first_rows(desk: Opened, tmp_path: Path) -> None:
    with desk(write_report(tmp_path, list(simulate_many(101, ("stanli", "nutpie"), 1)), asked())) as page:
        found = rows(page, "cases")
        assert found.count() == 200
        page.get_by_role("button", name="The first 200 are shown; show all").click()
        assert found.count() == 202


def test_one_dataset_is_chosen(page: Any) -> None:
    assert page.locator(".of-dataset:visible").count() == 1
    page.locator("#dataset").select_option(label=HOSTILE)
    assert page.locator(".of-dataset:visible h3.dataset").text_content() == HOSTILE


@pytest.mark.slow
def test_marks_tell_their_numbers_and_a_table_has_them_all(page: Any) -> None:
    figure = page.locator("#figure-groups")
    mark = figure.locator("[data-tip]").first
    mark.hover()
    assert page.locator("#tip").inner_text() == mark.get_attribute("data-tip")
    figure.locator(".numbers > summary").press("Enter")
    figure.locator(".numbers .tools").wait_for()
    assert figure.locator(".numbers tbody tr").count() == figure.locator("[data-tip]").count()


@pytest.mark.slow
def test_a_picture_is_enlarged_with_its_legend_and_heading(page: Any) -> None:
    page.locator("#figure-groups svg .title").first.click()
    assert page.locator("dialog[open] .panels svg").count() == 1
    page.keyboard.press("Escape")
    page.locator("#figure-backends button").first.press("Enter")
    assert page.locator("dialog[open] .panels svg").count() == 2
    assert page.locator("dialog[open] h3").inner_text() == "How many times as fast as cmdstan"
    assert "nutpie" in page.locator("dialog[open] .legend").inner_text()
    page.keyboard.press("Escape")
    assert page.locator("dialog[open]").count() == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["run", *(f"{name} committed" for name in REFERENCE)])
def test_it_is_small_short_on_paper_and_can_be_read_when_all_is_open(
    name: str, desk: Opened, pages: dict[str, Path]
) -> None:
    assert pages[name].stat().st_size < MAX_BYTES
    with desk(pages[name]) as page:
        pdf = page.pdf(prefer_css_page_size=True)
        assert 0 < len(re.findall(rb"/Type\s*/Page\b(?!s)", pdf)) < 10
        page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
        assert page.evaluate(CONTRAST) == []


def test_hostile_text_is_text(page: Any) -> None:
    assert page.locator("h3", has_text=HOSTILE).count() == 1
    assert HOSTILE in page.locator("#troubles").text_content()


def test_a_program_is_copied(desk: Opened, pages: dict[str, Path]) -> None:
    with desk(pages["recommendation"]) as page:
        assert page.locator("h1").inner_text().endswith(HOSTILE)
        assert page.locator("#programs pre").text_content() == PROGRAM
        page.locator("button.copy").click()
        assert page.locator("button.copy").inner_text() == "Copied"
        rows(page, "order")
        page.locator("#table-order th", has_text="min ESS/s").click()
        page.locator("#table-order input[type=search]").press("Control+V")
        assert page.locator("#table-order input[type=search]").input_value().startswith("# <script>")


def test_a_step_of_a_history_tells_its_version(desk: Opened, pages: dict[str, Path]) -> None:
    with desk(pages["history"]) as page:
        charts = page.locator("#figure-wall_seconds .panels svg")
        assert charts.count() == 2
        assert charts.first.locator(".step").count() == 1
        charts.first.locator("[data-tip]").last.hover()
        assert "cmdstan 2.39" in page.locator("#tip").inner_text()
