"""The difference between a removed file and its survivor is shown as text, never as markup."""

from opencoder_lib.report import changes, edited

ROW = {
    "repo": "one",
    "path": "a.py",
    "license": "MIT",
    "origin": "installed",
    "text": "x = 1\nsame\n",
    "kept_repo": "two",
    "kept_path": "b.py",
    "kept_license": "BSD-3-Clause",
    "kept_origin": "installed",
    "kept_text": "x = 2\nsame\n",
}


def test_lines_of_the_removed_file_have_a_minus_and_of_the_kept_one_a_plus():
    shown = changes(ROW, note="J = 0.98")
    assert "-x = 1\n+x = 2\n same</pre>" in shown
    assert "removed: one · a.py · MIT<br>kept: two · b.py · BSD-3-Clause<div>J = 0.98</div>" in shown


def test_markup_in_text_path_and_note_is_escaped():
    hostile = ROW | {"text": "<script>alert(1)</script>", "path": "<img src=x>.py", "kept_text": "</pre>&\x00\x1b[31m"}
    shown = changes(hostile, note="<b>")
    assert "<script>" not in shown
    assert "<img" not in shown
    assert "<b>" not in shown
    assert shown.count("</pre>") == 1
    assert "&lt;/pre&gt;&amp;\N{SYMBOL FOR NULL}\N{SYMBOL FOR ESCAPE}[31m" in shown


def test_text_is_shown_only_where_both_licences_permit():
    for name in ("license", "kept_license"):
        for value in ("GPL-3.0-only", None):
            shown = changes(ROW | {name: value})
            assert "x = " not in shown
            assert "text not shown" in shown
    assert "+x = 2" in changes(ROW | {"origin": "planted", "license": None})


def test_differences_in_layout_only_long_lines_and_long_files_say_so():
    assert "the lines are equal" in changes(ROW | {"kept_text": "x = 1\r\nsame"})
    assert "a" * 119 + " …" in changes(ROW | {"text": "a" * 1_000_000})
    assert "… 10 more lines of difference" in changes(ROW | {"text": "", "kept_text": "n\n" * 19}, max_lines=10)
    assert "6,000 and 2 lines: too long to compare here" in changes(ROW | {"text": "n\n" * 6000})


def test_what_a_transform_changed_is_shown_under_a_permissive_licence_only():
    row = {
        "repo": "one",
        "path": "a.py",
        "license": "MIT",
        "origin": "installed",
        "text": "# c\nx\n",
        "new_text": "x\n",
    }
    assert "-# c\n x</pre>" in edited(row)
    assert "# c" not in edited(row | {"license": "GPL-3.0-only"})
    assert "text not shown" in edited(row | {"license": None})
