"""Browser tests run when Chromium and a built book are there; otherwise the run ends by saying what did not run."""

import os

import pytest
from built_book import Reader, browser_path, html_folder, pages, served, why_not

LEFT_OUT = pytest.StashKey[tuple[int, str]]()


def pytest_collection_modifyitems(config, items):
    browser = [item for item in items if item.get_closest_marker("browser")]
    reason = why_not()
    if not browser or reason is None:
        return
    if os.environ.get("CI_REQUIRE_BROWSER") == "1":
        raise pytest.UsageError(f"CI_REQUIRE_BROWSER=1, but the browser tests cannot run: {reason}")
    items[:] = [item for item in items if item not in browser]
    config.hook.pytest_deselected(items=browser)
    config.stash[LEFT_OUT] = (len(browser), reason)


def pytest_terminal_summary(terminalreporter, config):
    if LEFT_OUT in config.stash:
        count, reason = config.stash[LEFT_OUT]
        terminalreporter.section("did not run", sep="=", yellow=True)
        terminalreporter.line(f"browser tests ({count} or more) — {reason}")


def pytest_generate_tests(metafunc):
    if "page" in metafunc.fixturenames:
        metafunc.parametrize("page", pages())
    if "chapter_page" in metafunc.fixturenames:
        metafunc.parametrize("chapter_page", [page for page in pages() if page.startswith("notebooks/")])


@pytest.fixture(scope="session")
def address():
    with served(html_folder()) as base:
        yield base


@pytest.fixture(scope="session")
def chromium():
    from playwright.sync_api import sync_playwright

    # Chromium's sandbox refuses to start as root, which is what containers run as.
    arguments = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path(), args=arguments)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def desk(chromium, address):
    """A wide window in light mode."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900}, color_scheme="light")
    yield Reader(context, address)
    context.close()


@pytest.fixture(scope="session")
def phone(chromium, address):
    """A window of 400 pixels in dark mode."""
    context = chromium.new_context(viewport={"width": 400, "height": 800}, color_scheme="dark")
    yield Reader(context, address)
    context.close()
