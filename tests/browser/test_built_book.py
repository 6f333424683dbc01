"""Every page of the built book, in a real browser, with everything outside this machine refused."""

import json
import urllib.request
from urllib.parse import unquote, urlsplit

import pytest
import yaml
from built_book import ROOT, html_folder, pages

pytestmark = pytest.mark.browser


def test_every_chapter_has_a_page():
    chapters = {f"notebooks/{path.stem}.html" for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert chapters <= set(pages())


def test_page_makes_no_error_and_asks_nobody_else(desk, page):
    visit = desk.visit(page)
    assert visit.elsewhere == []
    assert visit.complaints == []


def test_page_has_one_title_and_a_language(desk, page):
    seen = desk.visit(page).seen
    assert len([heading for heading in seen["headings"] if heading]) == 1
    assert seen["title"]
    assert seen["language"] == "en"


def test_every_image_is_shown_and_described(desk, page):
    for image in desk.visit(page).seen["images"]:
        assert image["shown"], image["source"]
        # A mark beside its name in one link is decoration; described, a screen reader would say the name twice.
        assert image["alt"].strip() or (image["named_by_link"] and not image["in_article"]), image["source"]


def test_every_figure_has_a_caption_and_every_image_a_figure(desk, page):
    seen = desk.visit(page).seen
    assert all(seen["captions"]), seen["captions"]
    assert [image["source"] for image in seen["images"] if image["in_article"] and not image["in_figure"]] == []


def test_formulas_are_drawn(desk, page):
    seen = desk.visit(page).seen
    assert [formula["text"] for formula in seen["formulas"] if not formula["drawn"] or formula["broken"]] == []
    assert not seen["raw_tex"]


def test_some_page_has_formulas(desk):
    assert any(desk.visit(page).seen["formulas"] for page in pages())


def test_nothing_is_left_for_the_staging_step(page):
    html = (html_folder() / page).read_text(encoding="utf-8")
    assert "<!-- generated:" not in html
    # What Sphinx writes where a role or reference could not be resolved.
    assert 'class="problematic"' not in html
    assert 'class="system-message' not in html


def test_links_within_the_book_lead_somewhere(desk, page):
    for link in desk.visit(page).seen["links"]:
        if urlsplit(link).hostname != "127.0.0.1":
            continue
        target = unquote(urlsplit(link).path).lstrip("/") or "index.html"
        fragment = unquote(urlsplit(link).fragment)
        assert (html_folder() / target).is_file(), link
        if fragment and target in pages():
            assert fragment in desk.visit(target).seen["ids"], link


def test_wide_page_does_not_scroll_sideways(desk, page):
    assert desk.visit(page).seen["overflow"] <= 0


def test_phone_page_does_not_scroll_sideways(phone, page):
    assert phone.visit(page).seen["overflow"] <= 0


def test_dark_page_is_dark_and_makes_no_error(phone, page):
    visit = phone.visit(page)
    assert visit.elsewhere == []
    assert visit.complaints == []
    assert visit.seen["theme"] == "dark"
    assert visit.seen["ground"] < 0.1


def test_figures_have_no_light_box_in_the_dark(phone, page):
    images = phone.visit(page).seen["images"]
    assert [image["source"] for image in images if image["in_figure"] and image["light_box"]] == []


@pytest.mark.parametrize("look", ["desk", "phone"])
def test_text_stands_out_from_its_ground(look, page, request):
    # 4.5 is the contrast that the web's accessibility guidelines ask of running text.
    assert request.getfixturevalue(look).visit(page).seen["faint"] == []


def test_chapter_can_be_downloaded_as_a_clean_notebook(desk, chapter_page):
    notebooks = [link for link in desk.visit(chapter_page).seen["downloads"] if link.endswith(".ipynb")]
    assert notebooks
    with urllib.request.urlopen(notebooks[0]) as answer:
        notebook = json.load(answer)
    assert notebook["nbformat"] == 4
    assert "papermill" not in notebook["metadata"]


def test_chapter_shows_at_least_one_figure(desk, chapter_page):
    images = desk.visit(chapter_page).seen["images"]
    assert [image for image in images if image["in_article"] and image["in_figure"]]


def test_launch_buttons_appear_only_with_a_repository(desk, chapter_page):
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    has_repository = bool((config.get("repository") or {}).get("url"))
    assert bool(desk.visit(chapter_page).seen["launches"]) == has_repository


def test_search_finds_minhash(desk):
    with desk.opened("search.html?q=MinHash") as (tab, visit):
        tab.wait_for_selector("#search-results ul.search li", timeout=20_000)
        results = tab.locator("#search-results ul.search > li a").all_inner_texts()
    assert results
    assert visit.complaints == []
    assert visit.elsewhere == []


def test_book_opens_from_disk(chromium):
    tab = chromium.new_page()
    complaints = []
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.on("requestfailed", lambda request: complaints.append(request.url))
    tab.goto((html_folder() / pages()[0]).as_uri(), wait_until="load")
    assert tab.locator("h1").first.inner_text()
    assert complaints == []
    tab.close()
