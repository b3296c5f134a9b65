"""A real browser with the network off; where there is none its tests are skipped, with the reason, but fail in CI."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, NoReturn

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
Opened = Callable[[Path], AbstractContextManager[Any]]


def _missing(what: str) -> NoReturn:
    if os.environ.get("CI"):
        pytest.fail(what)
    pytest.skip(what)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        _missing("no playwright; type: pip install playwright")
    if CHROMIUM is None:
        _missing("no Chromium; type: apt-get install chromium")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(params=[(1400, 900, "light"), (390, 844, "dark")], ids=["desk", "phone"])
def opened(request: pytest.FixtureRequest, browser: Any) -> Opened:
    """Open a file as on a desk or on a phone; nothing may be said on the console or asked of the network."""
    width, height, scheme = request.param

    @contextmanager
    def open_file(path: Path) -> Iterator[Any]:
        viewport = {"width": width, "height": height}
        context = browser.new_context(viewport=viewport, color_scheme=scheme, offline=True)
        page = context.new_page()
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda asked: said.append(asked.url) if not asked.url.startswith("file:") else None)
        page.goto(path.as_uri())
        yield page
        context.close()
        assert said == []

    return open_file
