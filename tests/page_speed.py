"""How quick a page with very many cases is: its size, and the time from a typed word until the table shows its rows.

Run it by hand: `python -m tests.page_speed --cases 10000`. It needs Playwright and Chromium.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from bench.report.page import write_report
from tests.report.conftest import CHROMIUM, FLAGS
from tests.simulated import asked, simulate_many

BACKENDS = ("stanli", "nutpie")
WORDS = ("healthy", "nutpie", "model1", "")
TYPED = """async (word) => {
    const input = document.querySelector("#table-cases input[type=search]");
    const began = performance.now();
    input.value = word;
    input.dispatchEvent(new Event("input", { bubbles: true }));
    await new Promise((shown) => requestAnimationFrame(() => setTimeout(shown)));
    return performance.now() - began;
}"""


def main() -> None:
    """Measure, and print a line for each figure."""
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--times", type=int, default=10)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        records = list(simulate_many(options.cases // len(BACKENDS), BACKENDS, 1))
        page = write_report(Path(folder), records, asked())
        print(f"{len(records):,} cases: a page of {page.stat().st_size / 1e6:.1f} MB")
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        shown = browser.new_page(viewport={"width": 1400, "height": 900})
        began = time.perf_counter()
        shown.goto(page.as_uri())
        print(f"opened in {time.perf_counter() - began:.1f} s")
        shown.locator("#table-cases > summary").click()
        shown.locator("#table-cases .tools").wait_for()
        for word in WORDS:
            took = [shown.evaluate(TYPED, word) for _ in range(options.times)]
            rows = shown.locator("#table-cases tbody tr").count()
            print(f"{word or 'nothing'!r}: {np.median(took):.0f} ms (up to {max(took):.0f}), {rows:,} rows drawn")
        browser.close()


if __name__ == "__main__":
    main()
