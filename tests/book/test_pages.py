"""Generated pages, staging and the HTML, with results written by hand instead of run."""

import json
import shutil

import fake_project as fake
import pytest
import yaml

from opencoder_lib.book import html, pages, staging
from opencoder_lib.book.project import PACKAGE, read_cards
from opencoder_lib.book.reference import api_page, as_prose, commands_page
from opencoder_lib.errors import ConfigError, InputError
from opencoder_lib.store import write_json

CLAIM = {
    "key": "exact.frac_removed",
    "what": "share of exact duplicates",
    "reported": 0.75,
    "measured": 0.113,
    "unit": "share",
    "section": "2.1.1",
    "status": "stated",
    "outcome": "not comparable at this size",
    "because": "packages | are *curated*",
    "seeds": 1,
}
RECORD = {
    "profile": "gpu",
    "device": "Big GPU",
    "date": "2026-11-21",
    "commit": "abcdef0123456789",
    "seconds": {"01-count": 4321.0},
    "claims": [],
}


@pytest.fixture
def project(tmp_path):
    """The two chapters with results as a run would leave them, and a book of three pages."""
    project = fake.make(tmp_path)
    for card in read_cards(tmp_path):
        record = {
            "chapter": card.name,
            "profile": "toy",
            "seed": 0,
            "parameters": {"seed": 0},
            "inputs": {"01-count/numbers": "f" * 64} if card.needs else {},
            "artifacts": {"numbers": "e" * 64},
            "versions": {"python": "3.11.7"},
            "commit": "0123456789abcdef",
            "device": "CPU, 2 cores",
            "claims": [CLAIM] if card.name == "01-count" else [],
        }
        write_json(project.build / "chapters" / f"{card.name}.json", record)
        run = {"seconds": 2.5, "peak_memory_mb": 1234, "cells": 4}
        write_json(project.build / "runs" / f"{card.name}.json", run)
        write_json(project.build / "executed" / f"{card.name}.ipynb", json.loads(card.path.read_text(encoding="utf-8")))
    book = tmp_path / "book"
    shutil.copytree(PACKAGE.parent / "book" / "_ext", book / "_ext", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(PACKAGE.parent / "book" / "_static", book / "_static")
    shutil.copyfile(PACKAGE.parent / "book" / "references.bib", book / "references.bib")
    shutil.copyfile(PACKAGE.parent / "_config.yml", tmp_path / "_config.yml")
    toc = {
        "format": "jb-book",
        "root": "index",
        "chapters": [
            {"file": page}
            for page in (
                "notebooks/01-count",
                "notebooks/02-double",
                "book/how-to-read",
                "book/scoreboard",
                "book/rule-catalogue",
                "book/status",
                "book/api",
                "book/commands",
            )
        ],
    }
    (book / "_toc.yml").write_text(yaml.safe_dump(toc), encoding="utf-8")
    (book / "index.md").write_text(
        "# Front\n\n[how](how-to-read.md) {measured}`exact.frac_removed`\n\n<!-- generated: headline -->\n", "utf-8"
    )
    (book / "how-to-read.md").write_text("# How\n\n$$a^2$$\n\nback to [the front](/index.md)\n", encoding="utf-8")
    (book / "records").mkdir()
    return project


@pytest.fixture
def cards(project):
    return read_cards(project.root)


@pytest.fixture
def records(project, cards):
    return pages.chapter_records(project, cards)


def test_the_scoreboard_sets_the_run_beside_the_paper(project, cards, records):
    page = pages.scoreboard(project, cards, records)
    assert "1 in all; 1 *not comparable at this size*" in page
    assert (
        "| share of exact duplicates | 75\N{NO-BREAK SPACE}\\% (2\\.1\\.1, stated) | 11\\.3\N{NO-BREAK SPACE}\\% |"
        in page
    )
    assert "[not comparable at this size]{.verdict .verdict-not-comparable-at-this-size}" in page
    assert r"packages \| are \*curated\*" in page


def test_recorded_runs_stand_beside_this_one(project, cards, records):
    claim = CLAIM | {"chapter": "01-count", "measured": 0.2, "seeds": 8}
    write_json(project.root / "book/records/gpu.json", RECORD | {"claims": [claim], "note": "a *cold* start"})
    page = pages.scoreboard(project, cards, records)
    assert "| Quantity | Paper | This run | Recorded runs | Verdict | Because |" in page
    assert "20\N{NO-BREAK SPACE}\\% (n = 8) (gpu, 2026\\-11\\-21: not comparable at this size)" in page
    assert r"| gpu | Big GPU | 2026\-11\-21 | abcdef012345 | 01: 4,321 | 1 |" in page
    assert r"a \*cold\* start" in page
    told = page[page.index("### gpu, 2026\\-11\\-21") :]
    assert r"| 01 | share of exact duplicates | 20" in told
    assert r"packages \| are \*curated\*" in told


def test_a_recorded_run_of_another_chapter_stands_beside_no_claim_of_this_one(project, cards, records):
    claim = CLAIM | {"chapter": "02-double", "measured": 0.2}
    write_json(project.root / "book/records/gpu.json", RECORD | {"claims": [claim]})
    page = pages.scoreboard(project, cards, records)
    assert "| Quantity | Paper | This run | Verdict | Because |" in page


def test_a_record_that_lacks_something_is_named(project, cards, records):
    claim = {name: value for name, value in CLAIM.items() if name != "because"} | {"chapter": "01-count"}
    write_json(project.root / "book/records/gpu.json", {"profile": "gpu", "claims": [claim]})
    with pytest.raises(InputError, match=r"gpu\.json lacks device, date, commit, seconds, claims\[0\]\.because"):
        pages.scoreboard(project, cards, records)


def test_a_new_record_reads_back(project, cards):
    write_json(project.root / "book/records/toy.json", pages.new_record(project, cards, "2026-11-21"))
    (found,) = pages.recorded_runs(project.root)
    assert (found["device"], found["claims"][0]["chapter"]) == ("CPU, 2 cores", "01-count")
    assert found["seconds"] == {"01-count": 2.5, "02-double": 2.5}


def test_a_record_of_half_a_run_is_refused(project, cards):
    (project.build / "runs" / "02-double.json").unlink()
    with pytest.raises(InputError, match="02-double has not run"):
        pages.new_record(project, cards, "2026-11-21")


def test_chapters_that_ran_can_be_recorded_without_the_others(project, cards):
    (project.build / "runs" / "02-double.json").unlink()
    record = pages.new_record(project, [card for card in cards if card.name == "01-count"], "2026-11-21")
    assert list(record["seconds"]) == ["01-count"]
    assert {claim["chapter"] for claim in record["claims"]} == {"01-count"}


def test_the_status_page_lists_cost_versions_inputs_and_results(project, cards, records):
    page = pages.status(project, cards, records)
    assert r"| [02-double](../notebooks/02-double.ipynb) | 2.5 | 1,234 | 4 | CPU, 2 cores | 0123456789ab |" in page
    assert r"| python | 3\.11\.7 |" in page
    assert "| read | 01-count | numbers | `ffffffffffff` |" in page
    assert "Parameters: `seed = 0`." in page


def test_the_landing_page_shows_the_first_claim_of_each_chapter(cards, records):
    assert pages.headline(cards, records).splitlines()[2].startswith("| [01](/notebooks/01-count.ipynb) | share of")


def test_docstrings_stay_text():
    assert as_prose("Not *bold*, `code`.\n\n    example = 1\n") == (
        "Not \\*bold\\*, `code`\\.\n\n```text\nexample = 1\n```\n"
    )


def test_the_api_page_lists_public_functions_without_importing_them(tmp_path):
    package = tmp_path / "pack"
    package.mkdir()
    (package / "__init__.py").write_text('"""A pack."""\n', encoding="utf-8")
    (package / "one.py").write_text(
        '"""One."""\nimport no\n\n\ndef shown(a: int, *, b=2) -> str:\n    """Says *a*."""\n\n\ndef _hidden(): ...\n',
        "utf-8",
    )
    page = api_page(package)
    assert "## one\n" in page
    assert "```python\ndef shown(a: int, *, b=2) -> str\n```\n\nSays \\*a\\*\\.\n" in page
    assert "_hidden" not in page


def test_the_command_page_shows_every_verb():
    page = commands_page()
    for verb in ("book", "run", "serve", "strip", "wipe", "models", "record"):
        assert f"## {verb}\n" in page
        assert f"Usage: opencoder {verb}" in page
    assert "\x1b" not in page


def test_a_chapter_missing_from_the_table_of_contents_is_named(cards):
    with pytest.raises(ConfigError, match="does not list notebooks/02-double"):
        staging.check_toc({"root": "index", "chapters": [{"file": "notebooks/01-count"}]}, cards)
    with pytest.raises(ConfigError, match=r"lists notebooks/02-doubel, which is no chapter\. Did you mean 02-double"):
        staging.check_toc({"root": "index", "parts": [{"chapters": [{"file": "notebooks/02-doubel"}]}]}, cards)


def test_launch_buttons_need_a_repository():
    launch = {"colab_url": "https://colab.example"}
    assert "launch_buttons" not in staging.staged_config({"repository": {"url": ""}, "launch_buttons": launch})
    address = {"repository": {"url": "https://git.example/a/b"}, "launch_buttons": launch}
    assert staging.staged_config(address) == address


def test_equal_content_is_staged_to_an_equal_hash(project, cards, monkeypatch):
    monkeypatch.setattr(staging.pages, "rule_catalogue", lambda project: "# Rules\n")
    first = staging.stage(project, cards)
    assert staging.stage(project, cards) == first
    (project.root / "book" / "how-to-read.md").write_text("# How else\n", encoding="utf-8")
    assert staging.stage(project, cards) != first
    landing = (project.build / "src" / "index.md").read_text(encoding="utf-8")
    assert r"[how](book/how-to-read.md) 11\.3 \%" in landing
    assert "title: 02 Doubling" in (project.build / "src" / "_toc.yml").read_text(encoding="utf-8")
    assert "| Chapter | Quantity |" in landing
    assert (project.build / "src" / "book" / "_static" / "tex-svg.js").stat().st_size > 1_000_000


def test_the_pages_build_strictly_offline_and_a_broken_link_keeps_the_old_ones(project, cards, monkeypatch):
    monkeypatch.setattr(staging.pages, "rule_catalogue", lambda project: "# Rules\n")
    staged = staging.stage(project, cards)
    said = []
    assert not html.up_to_date(project, staged)
    index = html.build_html(project, staged, said.append) / "index.html"
    assert html.up_to_date(project, staged)
    text = index.read_text(encoding="utf-8")
    assert "http-equiv" not in text.lower() or "refresh" not in text.lower()
    assert "thebe" not in text
    assert (index.parent / "notebooks" / "02-double.html").is_file()
    assert "tex-svg.js" in (index.parent / "book" / "how-to-read.html").read_text(encoding="utf-8")

    (project.root / "book" / "how-to-read.md").write_text("# How\n\n[gone](nowhere.md)\n", encoding="utf-8")
    with pytest.raises(html.PagesFailed, match=r"(?s)1 warnings.*book/how-to-read\.md.*nowhere\.md"):
        html.build_html(project, staging.stage(project, cards), said.append)
    assert index.read_text(encoding="utf-8") == text


def test_a_missing_page_and_a_script_from_elsewhere_are_found(tmp_path):
    (tmp_path / "index.html").write_text(
        '<a href="https://fine.example"><script src="https://cdn.example/x.js"></script>'
        '<link rel="stylesheet" href="//cdn.example/y.css"><link rel="canonical" href="https://fine.example">',
        encoding="utf-8",
    )
    assert html.check_pages(tmp_path, ["index", "notebooks/01"]) == [
        "notebooks/01.html is missing",
        "index.html loads <link> //cdn.example/y.css",
        "index.html loads <script> https://cdn.example/x.js",
        "searchindex.js is missing, so search would find nothing",
    ]
