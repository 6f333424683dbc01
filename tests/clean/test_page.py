"""report.html: one file that loads nothing, holds what report.json holds, and shows every name as text."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest
from cleaning import cleaned, edited, module, tree
from reports import HOSTILE, hostile_report, whole_report

from opencoder_lib.clean.page import page

LOADING = {"script", "link", "img", "iframe", "object", "embed", "video", "audio", "source", "base", "form", "input"}


class Seen(HTMLParser):
    """Tags, ids, links and the text of each section, by its heading's id."""

    def __init__(self, html: str):
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.sections: dict[str, str] = {}
        self.head = ""
        self._section = self._skipping = None
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.tags.append((tag, attributes))
        if tag == "section":
            self._section = attributes["aria-labelledby"]
            self.sections[self._section] = ""
        self._skipping = tag == "style"

    def handle_endtag(self, tag):
        self._skipping = False
        if tag == "section":
            self._section = None
        elif tag in ("th", "td", "caption", "h2", "p", "dd", "dt"):
            self.handle_data("\n")

    def handle_data(self, data):
        if self._skipping:
            return
        data = data.replace("\xa0", " ")
        if self._section is None:
            self.head += data
        else:
            self.sections[self._section] += data

    def all_of(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]


def test_the_page_loads_nothing_and_forbids_loading():
    html = page(whole_report())
    seen = Seen(html)
    assert not {tag for tag, _ in seen.tags} & LOADING
    assert not [about for _, about in seen.tags if {"src", "style", "srcset"} & set(about)]
    assert all(link["href"].startswith("#") for link in seen.all_of("a"))
    assert not re.search(r"url\(|@import|https?:", html)
    (policy,) = [about["content"] for about in seen.all_of("meta") if about.get("http-equiv")]
    assert policy.startswith("default-src 'none';")
    style = html[html.index("<style>") + len("<style>") : html.index("</style>")]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}';" in policy
    assert "unsafe" not in policy


def test_the_page_says_what_it_is_to_machines_and_readers():
    html = page(whole_report(), "my corpus")
    seen = Seen(html)
    assert html.startswith("<!DOCTYPE html>")
    assert seen.all_of("html") == [{"lang": "en"}]
    assert len(seen.all_of("h1")) == len(seen.all_of("main")) == len(seen.all_of("title")) == 1
    assert "<title>Cleaned code: my corpus</title>" in html
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in seen.all_of("meta")
    assert "@media print" in html
    assert "prefers-color-scheme: dark" in html


def test_every_link_leads_to_a_part_and_every_id_is_one():
    seen = Seen(page(whole_report()))
    ids = [about["id"] for _, about in seen.tags if "id" in about]
    assert len(ids) == len(set(ids)) == 11
    assert {link["href"].removeprefix("#") for link in seen.all_of("a")} == set(ids)


def test_the_headline_says_what_is_left():
    head = Seen(page(whole_report())).head
    for number in (
        "400\n40.0 % of 1,000",
        "8.00 MB\n20.0 % of 40.0 MB",
        "3\nof 4 read",
        "185\nin texts",
        "20 s\n2.0 MB/s",
    ):
        assert number in head
    assert "What opencoder clean made of clones, stars.csv." in head


def test_the_page_holds_every_part_of_the_report():
    seen = Seen(page(whole_report())).sections
    for part, words in {
        "funnel": ["400 of 1,000 files left", "transform"],
        "languages": ["python", "html"],
        "rules": ["filter.python.mostly_pass", "preprocess.too_large"],
        "duplicates": ["65-128", "300 files gone from 40 groups"],
        "transforms": ["copyright", "email"],
        "licences": ["GPL-3.0-only", "no licence known"],
        "sampling": ["(not reached)"],
        "unread": [
            *("repository without commits", "symbolic link", "line 7: not JSON; line 9: no text", "a.jsonl"),
            "2 opt-out entries left out 5 files. 1 matched nothing: nobody/nothing.",
        ],
        "times": ["read", "12.0"],
        "settings": ["minhash.bands", "f" * 64, "2.1.0"],
        "files": ["kept/000000-000.parquet", "d" * 64, "2 files of 2.12 MB"],
    }.items():
        for word in words:
            assert word in seen[part], part


def test_names_that_try_to_be_markup_are_text():
    html = page(hostile_report(), HOSTILE)
    seen, clean = Seen(html), Seen(page(whole_report(), "x"))
    # The same tags as with harmless names: nothing was added.
    assert {tag for tag, _ in seen.tags} == {tag for tag, _ in clean.tags}
    assert not [about for _, about in seen.tags if any(name.startswith("on") for name in about)]
    assert "\x1b" not in html
    assert '<script>alert("x")</script> | `a` & *b*' in seen.head
    assert all(
        '<script>alert("x")</script>' in seen.sections[part] for part in ("funnel", "unread", "files", "settings")
    )


def test_a_report_that_holds_nothing_is_a_page_that_says_so():
    seen = Seen(page({}))
    assert seen.sections["licences"].strip().endswith("This report does not say.")
    assert seen.sections["unread"].strip().endswith("Everything was read; nothing was left out.")
    assert "table" not in {tag for tag, _ in seen.tags}


@pytest.mark.parametrize("key", whole_report())
def test_no_part_of_a_report_is_needed(key):
    report = whole_report()
    del report[key]
    assert "</html>" in page(report)


@pytest.mark.parametrize("key", ["funnel", "languages", "removed_by", "dedup", "licences", "files", "notes", "about"])
def test_a_part_may_be_empty(key):
    report = whole_report()
    report[key] = type(report[key])()
    assert "</html>" in page(report)


def test_long_lists_are_cut_and_say_so():
    report = whole_report()
    report["files"] = [{"path": f"kept/{at:06d}.parquet", "rows": 1, "bytes": 10, "sha256": "0"} for at in range(60)]
    report["unreadable_lines"] = {f"f{at}": {"n": at, "examples": []} for at in range(1, 61)}
    seen = Seen(page(report)).sections
    assert "The first 50 are shown; report.json has them all." in seen["files"]
    assert "kept/000049.parquet" in seen["files"]
    assert "kept/000050.parquet" not in seen["files"]
    # The fifty largest are 11 to 60.
    assert f"10 further files\n{sum(range(1, 11))}\nsee report.json" in seen["unread"]


def test_the_page_of_a_real_run(tmp_path):
    word = module("word")
    source = tree(tmp_path / "in", {"r/a.py": word, "r/b.py": word, "r/c.py": edited(word), "r/d.bin": b"\0\1"})
    report = cleaned(tmp_path / "out", source)
    assert report == json.loads((tmp_path / "out" / "report.json").read_text())
    seen = Seen(page(report))
    kept = report["funnel"][-1]["files_after"]
    assert f"{kept} of 4 files left" in seen.sections["funnel"]
    assert "exact.duplicate" in seen.sections["rules"]


def test_the_same_report_gives_the_same_page():
    assert page(whole_report()) == page(json.loads(json.dumps(whole_report(), sort_keys=True)))
