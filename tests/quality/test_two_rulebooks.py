from dataclasses import replace

import polars as pl

from opencoder_lib.files import new_files
from opencoder_lib.languages import with_languages
from opencoder_lib.quality import compare, load_rules
from opencoder_lib.quality.rules import Rulebook, Threshold

RELEASED = load_rules("released")
IMPORTS, PRINTS = RELEASED["python.mostly_imports"], RELEASED["python.mostly_prints"]
ASSERTS = RELEASED["code.mostly_asserts"]
# The second book asks for half of the lines to be imports (0.3 before), has no rule on prints and one on assertions.
LOOSER = replace(IMPORTS, thresholds={"python": Threshold("drop_above", 0.5)}, why="Counts `importance` too.")
BEFORE = Rulebook("before", (IMPORTS, PRINTS))
AFTER = Rulebook("after", (LOOSER, ASSERTS))
SIGNALS = pl.DataFrame(
    {
        "doc_id": ["a", "b", "c", "d", "e", "p"],
        "frac_lines_import": [0.9, 0.4, 0.4, 0.0, 0.1, 0.4],
        "frac_lines_print": [0.1, 0.1, 0.5, 0.0, 0.1, 0.1],
        "frac_lines_assert": [0.0, 0.0, 0.0, 0.9, 0.0, 0.0],
    }
)


def file(doc_id, origin="installed", license="MIT"):
    return {"doc_id": doc_id, "path": f"{doc_id}.py", "text": doc_id * 10, "origin": origin, "license": license}


FILES = with_languages(new_files([*map(file, "abcde"), file("p", "planted")]))


def test_rules_that_are_replaced_left_out_or_new_are_listed_with_what_they_mend():
    assert compare.changed_rules(BEFORE, AFTER).rows() == [
        ("python.mostly_imports", "frac_lines_import > 0.3", "frac_lines_import > 0.5", "Counts `importance` too."),
        ("python.mostly_prints", "frac_lines_print > 0.4", None, None),
        ("code.mostly_asserts", None, "frac_lines_assert > 0.4", ASSERTS.why),
    ]
    assert compare.changed_rules(BEFORE, BEFORE).height == 0


def test_a_new_text_of_a_rule_is_no_change():
    reworded = Rulebook("reworded", (replace(IMPORTS, why="Other words."), PRINTS))
    assert compare.changed_rules(BEFORE, reworded).height == 0


def test_decisions_of_real_files_are_counted_before_and_after():
    found = compare.changed_decisions(FILES, SIGNALS, BEFORE, AFTER)
    assert found.counts.rows() == [
        ("drop", "drop", 1, 10),
        ("drop", "keep", 2, 20),
        ("keep", "drop", 1, 10),
        ("keep", "keep", 1, 10),
    ]


def test_each_changed_file_names_the_rules_whose_verdict_differs():
    found = compare.changed_decisions(FILES, SIGNALS, BEFORE, AFTER)
    assert found.files.select("doc_id", "only_before", "only_after").rows() == [
        ("b", ["python.mostly_imports"], []),
        ("c", ["python.mostly_imports", "python.mostly_prints"], []),
        ("d", [], ["code.mostly_asserts"]),
    ]
    assert found.by_rule.rows() == [
        ("python.mostly_imports", "only before", 2, 1),
        ("code.mostly_asserts", "only after", 1, 1),
        ("python.mostly_prints", "only before", 1, 0),
    ]


def test_the_same_rulebook_changes_nothing():
    found = compare.changed_decisions(FILES, SIGNALS, BEFORE, BEFORE)
    assert found.files.height == found.by_rule.height == 0
    assert found.counts.rows() == [("drop", "drop", 3, 30), ("keep", "keep", 2, 20)]


def test_a_decision_that_only_a_coin_makes_is_another_decision():
    coin = Rulebook("coin", (replace(IMPORTS, drop_share=0.8),))
    found = compare.changed_decisions(FILES, SIGNALS, Rulebook("one", (IMPORTS,)), coin)
    assert found.counts.rows() == [("drop", "drop_p0.8", 3, 30), ("keep", "keep", 2, 20)]
    assert found.by_rule.height == 0


def test_files_of_every_cause_are_shown_once_and_only_where_the_licence_permits():
    changed = compare.changed_decisions(FILES, SIGNALS, BEFORE, AFTER).files
    assert compare.changed_examples(FILES, changed).select("doc_id", "reason").rows() == [
        ("b", "drop → keep: python.mostly_imports"),
        ("d", "keep → drop: code.mostly_asserts"),
    ]
    assert compare.changed_examples(FILES, changed, each=2)["doc_id"].to_list() == ["b", "c", "d"]
    closed = FILES.with_columns(license=pl.lit("GPL-3.0"))
    assert compare.changed_examples(closed, changed).height == 0
