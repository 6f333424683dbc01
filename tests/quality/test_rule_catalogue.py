import polars as pl

from opencoder_lib.quality import load_rules
from opencoder_lib.quality.catalogue import catalogue_page
from opencoder_lib.quality.rules import Rulebook

RULES = load_rules("released")


def test_every_rule_has_its_heading_reason_and_two_folded_documents():
    page = catalogue_page()
    for rule in RULES:
        assert page.count(f"### `{rule.id}`\n") == 1
    assert page.count("<details") == page.count("</details>") == 2 * len(RULES)
    assert "**67 rules**" in page
    assert "**419 pairs**" in page


def test_a_document_stays_on_one_line_so_that_no_blank_line_ends_its_html():
    for line in catalogue_page().splitlines():
        assert line.count("<pre") == line.count("</pre>")


def test_documents_and_names_are_escaped():
    rule = RULES["code.xml_start"]
    page = catalogue_page(rules=Rulebook("one", (rule,)))
    assert "&lt;?xml version=" in page
    folded = [line for line in page.splitlines() if line.startswith("<details")]
    assert len(folded) == 1
    assert "<?xml" not in folded[0]


def test_hits_of_the_run_are_printed_when_there_are_any():
    names = ["rule", "scope", "signal", "files", "hits", "exclusive", "removed", "frac_files_hit", "bytes_exclusive"]
    row = ("python.mostly_pass", "python", "frac_lines_pass", 4000, 123, 45, 67, 0.03, 9)
    hits = pl.DataFrame([row], schema=names, orient="row")
    page = catalogue_page(hits)
    assert "123 of 4,000 files it judges, 45 of them by no other rule; first to claim 67" in page
    assert "not run" in page
