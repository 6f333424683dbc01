"""Signals of HTML files, by hand."""

import pytest

from opencoder_lib.files import new_files
from opencoder_lib.quality import compute_signals


def measure(text: str) -> dict:
    row = {"path": "a.html", "origin": "folder", "text": text, "natural_language": "en"}
    return compute_signals(new_files([row])).row(0, named=True)


@pytest.mark.parametrize(
    ("text", "cate_ast", "frac_words_text", "num_chars_text"),
    [
        ("<p>tea</p>", 1, 0.3, 3),
        ("<p>&amp;\n\n</p>\n", 1, round(4 / 15, 8), 4),
        ("<p>a</p>  \n  <script>b</script>", 1, round(2 / 31, 8), 2),
        ("plain", 1, 1.0, 5),
        ("&nGt;", 1, 0.4, 2),
        ("<![CDATA[]]>", 1, round(1 / 12, 8), 1),
        ("<b></b>", 1, 0.0, 0),
        ("", 1, None, 0),
        ("text<![unknown]>", 0, None, None),
    ],
)
def test_signals_of_a_page(text, cate_ast, frac_words_text, num_chars_text):
    found = measure(text)
    assert found["cate_ast"] == cate_ast
    assert found["frac_words_text"] == frac_words_text
    assert found["num_chars_text"] == num_chars_text


def test_only_html_files_have_them():
    row = {"path": "a.rb", "origin": "folder", "text": "<p>tea</p>", "natural_language": "en"}
    assert compute_signals(new_files([row])).row(0, named=True)["num_chars_text"] is None
