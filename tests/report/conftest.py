"""A real browser with the network off; where there is none its tests are skipped, with the reason, but fail in CI."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
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


SCREENS = {"desk": (1400, 900, "light"), "phone": (390, 844, "dark")}


@pytest.fixture(params=SCREENS)
def opened(request: pytest.FixtureRequest, browser: Any) -> Opened:
    """Open a file as on a desk and as on a phone; nothing may be said on the console or asked of the network."""
    return partial(_open, browser, request.param)


@pytest.fixture
def desk(browser: Any) -> Opened:
    """Open a file as on a desk alone."""
    return partial(_open, browser, "desk")


@contextmanager
def _open(browser: Any, screen: str, path: Path) -> Iterator[Any]:
    width, height, scheme = SCREENS[screen]
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme, offline=True)
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda asked: said.append(asked.url) if not asked.url.startswith("file:") else None)
    page.goto(path.as_uri())
    yield page
    context.close()
    assert said == []
