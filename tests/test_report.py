"""Tables, documents and verdicts: what a page may show and what a run may conclude."""

import polars as pl
import pytest

from opencoder_lib.errors import ConfigError
from opencoder_lib.report import claim, document, format_cell, html_table, may_quote, num_runs

HOSTILE = '<script>alert("x")</script> & </pre>'


def test_document_text_never_becomes_markup():
    row = {"origin": "installed", "repo": "<b>repo</b>", "path": "a<i>.py", "license": "MIT", "text": HOSTILE}
    shown = document(row)
    assert "<script>" not in shown
    assert "<b>repo" not in shown
    assert "&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt; &amp; &lt;/pre&gt;" in shown


def test_document_hides_text_without_a_permissive_licence():
    row = {"origin": "installed", "repo": "r", "path": "a.py", "license": "GPL-3.0-only", "text": "secret = 1"}
    assert "secret" not in document(row)
    assert "secret" in document(row | {"license": "BSD-3-Clause"})
    assert "secret" in document(row | {"license": None, "origin": "planted"})


def test_document_says_how_much_it_cut():
    row = {"origin": "planted", "path": "a.py", "text": "line\n" * 20}
    assert "… 4 more lines" in document(row, max_lines=16)


def test_document_shows_control_characters_as_pictures():
    row = {"origin": "planted", "path": "a.bin", "text": "a\x00b\x1bc\td"}
    assert "a\u2400b\u241bc\td" in document(row)


def test_table_escapes_names_and_cells():
    shown = html_table(pl.DataFrame({"<name>": [HOSTILE]}), caption="<b>")
    assert "<script>" not in shown
    assert "<name>" not in shown
    assert "<caption>&lt;b&gt;</caption>" in shown


def test_table_marks_verdict_words_and_nothing_else():
    shown = html_table(pl.DataFrame({"verdict": ["direction only", "<b>direction only"]}))
    assert '<span class="verdict verdict-direction-only">direction only</span>' in shown
    assert "&lt;b&gt;direction only" in shown


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("frac_removed", 0.12345, "12.3 %"),
        ("n_bytes", 2_500_000, "2.50 MB"),
        ("files", 12345, "12,345"),
        ("measured", 0.98765, "0.988"),
        ("any", None, "-"),
        ("any", True, "yes"),
        ("any", ["a", "b"], "a, b"),
    ],
)
def test_cells_are_formatted_by_column_name(name, value, shown):
    assert format_cell(name, value) == shown


def test_a_share_is_never_headed_like_its_count():
    shown = html_table(pl.DataFrame({"files_removed": [1], "frac_files_removed": [0.5]}))
    assert ">files removed</th>" in shown
    assert ">share of files removed</th>" in shown


def test_licences_that_may_be_quoted():
    assert may_quote("Apache-2.0 OR BSD-2-Clause")
    assert not may_quote("GPL-2.0-or-later")
    assert not may_quote("MPL-2.0")
    assert not may_quote(None)


@pytest.mark.parametrize(
    ("measured", "how", "outcome"),
    [
        (0.74, {"tolerance": 0.05}, "reproduced"),
        (0.30, {"tolerance": 0.05}, "not reproduced"),
        (0.30, {"tolerance": 0.05, "same_direction": True}, "direction only"),
        (0.75, {"tolerance": 0.05, "comparable": False}, "not comparable at this size"),
        (0.30, {"same_direction": False}, "not reproduced"),
        (None, {"same_direction": True, "tolerance": 0.05}, "not comparable at this size"),
    ],
)
def test_verdict_follows_from_the_numbers(measured, how, outcome):
    # the paper's share of exact duplicates is 0.75, so 5 % of it is 0.0375
    assert claim("exact.frac_removed", measured, "why", **how).outcome == outcome


def test_verdict_without_a_reason_is_refused():
    with pytest.raises(ConfigError, match="needs a reason"):
        claim("exact.frac_removed", 0.5, "")


@pytest.mark.parametrize(
    ("measured", "seeds", "behind"),
    [
        (0.2, 8, " (n = 8)"),
        (0.2, 1, ""),
        (None, 8, " (n = 8)"),
        ("file > repository", 8, " (n = 8)"),
        ("+0.1 bits per byte (+0.0 to +0.2, 95 % t interval, n = 8 seeds)", 8, ""),
    ],
)
def test_the_number_of_runs_is_said_once(measured, seeds, behind):
    assert num_runs(measured, seeds) == behind
