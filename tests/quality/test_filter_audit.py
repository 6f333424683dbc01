from dataclasses import replace

import polars as pl
import pytest

from opencoder_lib.files import new_files
from opencoder_lib.languages import with_languages
from opencoder_lib.quality import apply_rules, audit, decide, load_rules
from opencoder_lib.quality.hits import hit_matrix
from opencoder_lib.quality.rules import Rulebook
from opencoder_lib.seeds import hash_share

RELEASED = load_rules("released")
IMPORTS, PRINTS = RELEASED["python.mostly_imports"], RELEASED["python.mostly_prints"]
RULES = Rulebook("two", (IMPORTS, PRINTS))
# Four real files and a planted one: both rules, imports alone, prints alone, none, both. Thresholds are 0.3 and 0.4.
SIGNALS = pl.DataFrame(
    {
        "doc_id": ["a", "b", "c", "d", "p"],
        "frac_lines_import": [0.9, 0.35, 0.1, 0.0, 0.9],
        "frac_lines_print": [0.5, 0.1, 0.5, None, 0.5],
    }
)


def file(doc_id, n_bytes, **known):
    given = {"origin": "installed", "license": "MIT", "repo": "attrs 25.1"} | known
    return {"doc_id": doc_id, "path": f"{doc_id}.py", "text": "x" * n_bytes, **given}


FILES = with_languages(
    new_files([file("a", 10), file("b", 20), file("c", 30), file("d", 40), file("p", 50, origin="planted")])
)
MATRIX = hit_matrix(FILES, SIGNALS, RULES)


def test_the_matrix_has_a_row_per_file_and_a_column_per_rule():
    assert MATRIX.holds_NR.tolist() == [[True, True], [True, False], [False, True], [False, False], [True, True]]
    assert MATRIX.real.joined["doc_id"].to_list() == ["a", "b", "c", "d"]


def test_a_rule_with_a_coin_holds_for_all_its_hits_and_acts_on_its_share():
    matrix = hit_matrix(FILES, SIGNALS, Rulebook("coin", (replace(IMPORTS, drop_share=0.5),)))
    falls = [hash_share("python.mostly_imports", doc_id) < 0.5 for doc_id in "abp"]
    assert matrix.holds_NR[:, 0].tolist() == [True, True, False, False, True]
    assert matrix.acts_NR[:, 0].tolist() == [falls[0], falls[1], False, False, falls[2]]


def test_a_rule_judges_the_files_of_its_sets_only():
    files = with_languages(new_files([file("a", 1, path="a.md"), file("b", 1)]))
    signals = SIGNALS.filter(pl.col("doc_id").is_in(["a", "b"]))
    assert hit_matrix(files, signals, RULES).holds_NR.tolist() == [[False, False], [True, False]]


def test_hits_exclusive_hits_and_first_claims_count_real_files_only():
    imports, prints = audit.hits_by_rule(MATRIX).rows(named=True)
    assert (imports["files"], imports["hits"], imports["exclusive"], imports["removed"]) == (4, 2, 1, 2)
    assert (prints["files"], prints["hits"], prints["exclusive"], prints["removed"]) == (4, 2, 1, 1)
    assert (imports["bytes_exclusive"], prints["bytes_exclusive"]) == (20, 30)
    assert imports["frac_files_hit"] == 0.5


def test_first_claims_are_those_that_the_decisions_record():
    decided = decide(FILES, SIGNALS, RULES).filter(pl.col("doc_id") != "p")["removed_by"]
    counted = audit.hits_by_rule(MATRIX)
    for rule, removed in counted.select("rule", "removed").iter_rows():
        assert removed == (decided == f"filter.{rule}").sum()


def test_a_rule_that_judges_no_file_has_no_share():
    html = RELEASED["text.few_letters"]
    (row,) = audit.hits_by_rule(
        hit_matrix(FILES, SIGNALS.with_columns(frac_chars_alphabet=0.9), Rulebook("text", (html,)))
    ).rows(named=True)
    assert (row["files"], row["hits"], row["frac_files_hit"]) == (0, 0, None)


def test_overlap_is_the_share_of_one_rules_hits_that_the_other_hits_too():
    # Files: both rules hit a; imports hit b alone, and e and f as well.
    signals = pl.concat([SIGNALS, SIGNALS.filter(doc_id="b").with_columns(doc_id=pl.lit("e"))])
    files = pl.concat([FILES, with_languages(new_files([file("e", 5)]))])
    pairs = audit.overlap(hit_matrix(files, signals, RULES))
    assert pairs.rows() == [
        ("python.mostly_imports", 3, "python.mostly_imports", 3, 1.0),
        ("python.mostly_imports", 3, "python.mostly_prints", 1, pytest.approx(1 / 3)),
        ("python.mostly_prints", 2, "python.mostly_imports", 1, 0.5),
        ("python.mostly_prints", 2, "python.mostly_prints", 2, 1.0),
    ]
    assert audit.overlap(hit_matrix(files, signals, RULES), top=1)["rule"].to_list() == ["python.mostly_imports"]


def test_composition_counts_what_reached_the_filter_and_what_it_left():
    files = apply_rules(FILES, SIGNALS, RULES)
    assert audit.composition(files).rows() == [("python", 4, 1, 100, 40, 0.4)]
    assert audit.with_reported(audit.composition(files))["frac_reported"][0] == 0.55


def test_files_that_one_rule_alone_removed_are_shown_with_the_reason():
    files, decisions = apply_rules(FILES, SIGNALS, RULES), decide(FILES, SIGNALS, RULES)
    shown = audit.removed_alone(files, decisions, RULES, ["python.mostly_prints", "python.mostly_imports"], each=2)
    assert shown["doc_id"].to_list() == ["c", "b"]
    assert shown["reason"][1] == "python.mostly_imports: frac_lines_import = 0.35, dropped when > 0.3"


# Two defects of one kind, of which one is found; a near miss of it that is removed, one that is not; a file planted for
# another stage; a file that an earlier stage removed and that has no signals.
PLANTED = with_languages(
    new_files(
        [
            file("a", 1, origin="planted", repo="planted/filter.import_only", truth="filter.import_only"),
            file("d", 1, origin="planted", repo="planted/filter.import_only", truth="filter.import_only"),
            file("b", 1, origin="planted", repo="planted/filter.import_only", truth="clean"),
            file("c", 1, origin="planted", repo="planted/filter.print_only", truth="filter.print_only"),
            file("p", 1, origin="planted", repo="planted/exact.duplicate", truth="clean"),
            file("x", 1, origin="planted", repo="planted/filter.print_only", truth="filter.print_only"),
        ]
    )
)


def test_planted_defects_have_recall_and_with_their_near_misses_precision():
    found = audit.by_defect(hit_matrix(PLANTED, SIGNALS, RULES))
    assert found.rows() == [
        ("import_only", 2, 1, 0.5, 1, 1, 0.5, ["python.mostly_imports"]),
        ("print_only", 1, 1, 1.0, 0, 0, 1.0, ["python.mostly_prints"]),
        ("other", 0, 0, None, 1, 1, 0.0, []),
    ]


def test_each_rule_has_its_precision_on_planted_files_and_its_recall_on_the_kind_it_hits_most():
    found = audit.by_rule_on_planted(hit_matrix(PLANTED, SIGNALS, RULES))
    # Imports hold for a (a defect), b and p (clean); prints for a and c (defects of two kinds) and p.
    assert found.rows() == [
        ("python.mostly_imports", 1, 2, pytest.approx(1 / 3), "import_only", 0.5),
        ("python.mostly_prints", 2, 1, pytest.approx(2 / 3), "import_only", 0.5),
    ]


def test_without_planted_files_there_is_nothing_to_score():
    assert audit.by_defect(MATRIX.real).height == audit.by_rule_on_planted(MATRIX.real).height == 0


def test_removed_examples_take_files_that_may_be_quoted_those_of_one_rule_first():
    files = FILES.with_columns(license=pl.when(doc_id=pl.lit("c")).then(pl.lit("GPL-3.0")).otherwise("license"))
    removed, decisions = apply_rules(files, SIGNALS, RULES), decide(files, SIGNALS, RULES)
    found = audit.removed_examples(removed, decisions, each=2)
    assert found.select("rule", "doc_id", "others").rows() == [
        ("python.mostly_imports", "b", 0),
        ("python.mostly_imports", "a", 1),
        ("python.mostly_prints", "a", 1),
    ]
    assert found.row(0, named=True)["excerpt"] == "x" * 20
    assert audit.removed_examples(removed, decisions, each=1).height == 2


def test_an_excerpt_has_at_most_twelve_lines_of_a_hundred_characters():
    files = FILES.with_columns(text=pl.lit("y" * 300 + "\n" + "z\n" * 50))
    found = audit.removed_examples(apply_rules(files, SIGNALS, RULES), decide(files, SIGNALS, RULES))
    assert found["excerpt"][0] == "y" * 100 + "\nz" * 11
