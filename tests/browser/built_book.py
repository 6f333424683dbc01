"""The built book as a browser sees it: a local server, one visit per page and look, and what was found there."""

import functools
import os
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

ROOT = Path(__file__).resolve().parents[2]
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PROBE = (Path(__file__).parent / "probe.js").read_text(encoding="utf-8")


def html_folder() -> Path:
    """Where the pages lie; OPENCODER_BOOK_HTML names another edition."""
    return Path(os.environ.get("OPENCODER_BOOK_HTML", ROOT / "build" / "toy" / "html"))


def browser_path() -> str | None:
    """The Chromium to drive: the environment's CHROMIUM, else the first known name on the path."""
    names = [name for name in (os.environ.get("CHROMIUM"), *BROWSERS) if name]
    return next((found for name in names if (found := shutil.which(name))), None)


def why_not() -> str | None:
    """What is missing to run the browser tests and how to get it, or null when nothing is."""
    if browser_path() is None:
        return "Chromium is missing; install it: apt-get install chromium (or set CHROMIUM to its path)"
    if not (html_folder() / "index.html").is_file():
        return "the book is not built; build it: make book"
    return None


class _Links(HTMLParser):
    def __init__(self):
        super().__init__()
        self.links: list[str] = []
        self.redirect: str | None = None
        self.depth = 0

    def handle_starttag(self, tag, attributes):
        values = {name: value or "" for name, value in attributes}
        if tag == "meta" and values.get("http-equiv", "").lower() == "refresh":
            self.redirect = values["content"].split("url=", 1)[-1].strip()
        if tag == "nav" and (self.depth or "bd-links" in values.get("class", "")):
            self.depth += 1
        if tag == "a" and self.depth and "href" in values:
            self.links.append(values["href"])

    def handle_endtag(self, tag):
        if tag == "nav" and self.depth:
            self.depth -= 1


def pages() -> list[str]:
    """Paths of all pages in the table of contents of the built book, in its order, from the first page's sidebar."""
    if why_not():
        return []
    first = "index.html"
    reader = _read(first)
    if reader.redirect:
        first = unquote(reader.redirect)
        reader = _read(first)
    found = [first]
    for link in reader.links:
        path = unquote(urlsplit(urljoin("/" + first, link)).path).lstrip("/")
        if not urlsplit(link).netloc and path not in found:
            found.append(path)
    return found


def _read(page: str) -> _Links:
    reader = _Links()
    reader.feed((html_folder() / page).read_text(encoding="utf-8"))
    return reader


@dataclass
class Visit:
    """What one page did and showed: `seen` is what probe.js returns."""

    page: str
    complaints: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)
    seen: dict = field(default_factory=dict)


@dataclass
class Reader:
    """A browser that reads the book with one colour scheme and width and remembers every visit."""

    context: object
    base: str
    visits: dict[str, Visit] = field(default_factory=dict)

    def visit(self, page: str) -> Visit:
        """Open `page` once, wait until it is quiet, and note what happened."""
        if page not in self.visits:
            with self.opened(page) as (tab, visit):
                visit.seen = tab.evaluate(PROBE)
                self.visits[page] = visit
        return self.visits[page]

    @contextmanager
    def opened(self, page: str) -> Iterator[tuple]:
        """A tab that shows `page`, with a Visit that collects errors; requests to elsewhere are noted and refused."""
        visit = Visit(page)
        tab = self.context.new_page()

        def gate(route):
            if urlsplit(route.request.url).hostname == "127.0.0.1":
                route.continue_()
            else:
                visit.elsewhere.append(route.request.url)
                route.abort()

        def note_answer(answer):
            if answer.status >= 400:
                visit.complaints.append(f"{answer.status} {answer.url}")

        def note_message(message):
            if message.type in ("error", "warning"):
                visit.complaints.append(f"console {message.type}: {message.text}")

        tab.route(re.compile(r"^(https?|wss?):"), gate)
        tab.on("response", note_answer)
        tab.on("console", note_message)
        tab.on("pageerror", lambda error: visit.complaints.append(f"script error: {error}"))
        tab.on("requestfailed", lambda request: visit.complaints.append(f"failed: {request.url}"))
        tab.goto(self.base + page, wait_until="networkidle")
        try:
            yield tab, visit
        finally:
            tab.close()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The folder on a free port of this machine; yields the address, ending in a slash."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=folder))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
