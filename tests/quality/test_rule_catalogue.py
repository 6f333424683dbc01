from dataclasses import replace
from pathlib import Path

import polars as pl

from opencoder_lib.paper import fact
from opencoder_lib.quality import load_rules
from opencoder_lib.quality.catalogue import catalogue_page
from opencoder_lib.quality.rules import Rulebook, Threshold

RULES = load_rules("released")
PASS = RULES["python.mostly_pass"]
# One of everything that a reader of the page might take for markup or for the end of a line.
WILD = "</pre><script>alert(1)</script>\r\r# no heading\n\n\x0b\x0c\x85\u2028{ref}`x` $y$ <!-- & \0"
HITS = pl.DataFrame(
    [("python.mostly_pass", "python", "frac_lines_pass", 4000, 123, 45, 67, 0.03, 9)],
    schema=["rule", "scope", "signal", "files", "hits", "exclusive", "removed", "frac_files_hit", "bytes_exclusive"],
    orient="row",
)


def removed(path="lib/a.py", excerpt="def f():\n    pass\n", others=0):
    row = {"doc_id": "1", "rule": PASS.id, "repo": "attrs 25.1", "path": path, "license": "MIT", "others": others}
    return pl.DataFrame([row | {"excerpt": excerpt}])


def one_rule(**changes):
    return Rulebook("one", (replace(PASS, **changes),))


def test_every_rule_has_its_row_its_heading_and_two_folded_documents():
    page = catalogue_page()
    for rule in RULES:
        assert page.count(f"### `{rule.id}`\n") == 1
        assert page.count(f">{rule.id}</a></th>") == 1
    assert page.count("<details") == page.count("</details>") == 2 * len(RULES)


def test_a_row_links_to_the_entry_of_its_rule():
    page = catalogue_page(rules=one_rule())
    assert '<a href="#rule-python-mostly-pass">python.mostly_pass</a>' in page
    assert "(rule-python-mostly-pass)=\n### `python.mostly_pass`" in page


def test_a_row_shows_sets_threshold_reason_source_and_hits():
    page = catalogue_page(HITS, one_rule(why="Says `pass` & little.", source="App. A"))
    assert (
        '<th scope="col" class="number">Hits</th><th scope="col" class="number">Alone</th><th scope="col">Why' in page
    )
    (row,) = [line for line in page.splitlines() if line.startswith("<tr><th scope") and "mostly_pass" in line]
    assert "<td>&gt; 0.05</td><td>python</td>" in row
    assert '<td class="number">123</td><td class="number">45</td>' in row
    assert row.endswith("<td>Says <code>pass</code> &amp; little.</td><td>App. A</td></tr>")


def test_sets_are_named_or_for_nearly_all_code_those_left_out():
    everywhere = dict.fromkeys(RULES["code.few_letters"].live_sets, Threshold("drop_above", 1.0))
    most = {name: threshold for name, threshold in everywhere.items() if name not in ("sql", "html")}
    assert "<td>all code and data</td>" in catalogue_page(rules=one_rule(signal="num_lines", thresholds=everywhere))
    assert "<td>all code and data but sql, html</td>" in catalogue_page(
        rules=one_rule(signal="num_lines", thresholds=most)
    )


def test_the_search_box_is_hidden_until_its_script_runs_and_has_a_label():
    page = catalogue_page()
    assert '<div class="cookbook-search" hidden>' in page
    assert page.count('for="rule-search"') == page.count('id="rule-search"') == 1


def test_hits_of_the_run_are_printed_when_there_are_any():
    page = catalogue_page(HITS)
    assert "123 of 4,000 files it judges, 45 of them by no other rule; first to claim 67" in page
    assert "not run" in page


def test_a_file_the_rule_removed_is_shown_with_its_origin_and_licence():
    page = catalogue_page(HITS, one_rule(), removed(others=2))
    said = "Removed in this run: attrs 25.1 · lib/a.py · MIT · 2 other rules hold too"
    assert f"<summary>{said}</summary>" in page
    assert "def f():&#10;    pass" in page


def test_whatever_a_document_holds_it_stays_on_its_line_as_text():
    page = catalogue_page(HITS, one_rule(drops=WILD, keeps=WILD), removed(path="a\r\n\n<b>.py", excerpt=WILD))
    folded = [line for line in page.split("\n") if line.startswith("<details")]
    assert len(folded) == 3
    for line in folded:
        assert line.endswith("</pre></details>")
        assert len(line.splitlines()) == 1
        assert "<script" not in line
        assert "<!--" not in line
        assert "&lt;/pre&gt;&lt;script&gt;" in line
    assert "a␍  &lt;b&gt;.py" in folded[2]
    assert "\r" not in page
    assert "\0" not in page


def test_the_counts_say_what_is_counted_in_the_rulebook_the_release_and_the_paper():
    # Two rules: one threshold in two sets, one signal with two thresholds in three sets.
    above, below = Threshold("drop_above", 0.5), Threshold("drop_below", 0.1)
    two = (
        replace(RULES["code.few_letters"], thresholds={"c": below, "cpp": below}, group="general code"),
        replace(RULES["code.many_digits"], thresholds={"c": above, "cpp": above, "sql": below}, group="general code"),
    )
    page = catalogue_page(rules=Rulebook("two", two))
    assert "**2 rules**, live as **5 pairs** of rule and set of files" in page
    assert "<td>different pairs of signal and threshold</td><td>3</td><td>this rulebook</td>" in page
    assert "<td>different pairs of signal and threshold</td><td>107</td><td>official release</td>" in page
    assert "The paper says over 130, the README of the release over 100." in page
    assert '<td>general code</td><td class="number">2</td><td class="number">2</td><td class="number">5</td>' in page
    assert '<td>cpp</td><td class="number">2</td>' in page
    assert "445 of the release's 450 live pairs are not in this rulebook." in page


def test_the_counts_of_the_release_follow_from_its_table_of_thresholds():
    table = pl.read_csv(Path(__file__).with_name("released_thresholds.csv"), infer_schema=False)
    assert table.columns == ["doc_type", "signal", "drop_if"]
    live = table.drop_nulls("drop_if")
    assert live.height == fact("filter.num_pairs").value
    assert live["signal"].n_unique() == fact("filter.num_live_signals").value
    assert live.select("signal", "drop_if").n_unique() == fact("filter.num_thresholds").value
    assert table.select("signal", "drop_if").n_unique() == fact("filter.num_settings").value


def test_a_second_rulebook_is_shown_where_it_differs_with_the_quirk_it_mends():
    stricter = replace(PASS, thresholds={"python": Threshold("drop_above", 0.2)}, why="Counts `password` too.")
    page = catalogue_page(rules=one_rule(), corrected=Rulebook("mended", (stricter,)))
    assert "Rules of `mended` that differ from `one`: 1." in page
    cells = ["frac_lines_pass &gt; 0.05", "frac_lines_pass &gt; 0.2", "Counts <code>password</code> too."]
    assert "".join(f"<td>{cell}</td>" for cell in cells) in page
    unchanged = catalogue_page(rules=one_rule(), corrected=Rulebook("same", (PASS,)))
    assert "Rules of `same` that differ from `one`: 0." in unchanged
