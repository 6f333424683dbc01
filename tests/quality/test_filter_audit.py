import polars as pl
import pytest

from opencoder_lib.files import new_files
from opencoder_lib.languages import with_languages
from opencoder_lib.quality import apply_rules, audit, decide, load_rules
from opencoder_lib.quality.rules import Rulebook, RulebookError

RELEASED = load_rules("released")
RULES = Rulebook("two", (RELEASED["python.mostly_imports"], RELEASED["python.mostly_prints"]))
# Four real files and a planted one: both rules, imports alone, prints alone, none, both.
SIGNALS = pl.DataFrame(
    {
        "doc_id": ["a", "b", "c", "d", "p"],
        "frac_lines_import": [0.9, 0.35, 0.1, 0.0, 0.9],
        "frac_lines_print": [0.5, 0.1, 0.5, None, 0.5],
    }
)
FILES = with_languages(
    new_files(
        [
            {
                "doc_id": i,
                "path": f"{i}.py",
                "origin": "planted" if i == "p" else "installed",
                "text": "x" * n,
                "license": "MIT",
            }
            for i, n in zip("abcdp", (10, 20, 30, 40, 50), strict=True)
        ]
    )
)


def test_hits_exclusive_hits_and_first_claims_count_real_files_only():
    imports, prints = audit.hits_by_rule(FILES, SIGNALS, RULES).rows(named=True)
    assert (imports["files"], imports["hits"], imports["exclusive"], imports["removed"]) == (4, 2, 1, 2)
    assert (prints["files"], prints["hits"], prints["exclusive"], prints["removed"]) == (4, 2, 1, 1)
    assert (imports["bytes_exclusive"], prints["bytes_exclusive"]) == (20, 30)
    assert imports["frac_files_hit"] == 0.5


def test_what_if_moves_one_threshold_and_keeps_all_others():
    curve = audit.what_if(FILES, SIGNALS, RULES, "python.mostly_imports", [0.05, 0.4])
    assert curve.select("threshold", "hits", "exclusive", "bytes_exclusive", "is_current").rows() == [
        (0.05, 3, 1, 20, False),
        (0.3, 2, 1, 20, True),
        (0.4, 1, 0, 0, False),
    ]


def test_what_if_agrees_with_applying_the_moved_rule(tmp_path):
    path = tmp_path / "moved.toml"
    path.write_text(
        'extends = "released"\n[[rule]]\nid = "python.mostly_imports"\nreplaces = true\ndrop_above = 0.05\n'
    )
    moved = load_rules(path)["python.mostly_imports"]
    curve = audit.what_if(FILES, SIGNALS, RULES, "python.mostly_imports", [0.05])
    applied = audit.hits_by_rule(FILES, SIGNALS, Rulebook("moved", (moved, RULES["python.mostly_prints"])))
    assert curve["hits"][0] == applied["hits"][0]
    assert curve["exclusive"][0] == applied["exclusive"][0]


def test_composition_counts_what_reached_the_filter_and_what_it_left():
    files = apply_rules(FILES, SIGNALS, RULES)
    assert audit.composition(files).rows() == [("python", 4, 1, 100, 40, 0.4)]
    assert audit.with_reported(audit.composition(files))["frac_reported"][0] == 0.55


def test_distribution_counts_every_value_once_and_the_last_bin_is_open():
    bins = audit.distribution(FILES, SIGNALS, RULES, "python.mostly_imports", highest=0.4, num_bins=4)
    assert bins["files"].to_list() == [1, 1, 0, 2]
    assert bins["hits"].to_list() == [0, 0, 0, 2]


def test_files_that_one_rule_alone_removed_are_shown_with_the_reason():
    files, decisions = apply_rules(FILES, SIGNALS, RULES), decide(FILES, SIGNALS, RULES)
    shown = audit.removed_alone(files, decisions, RULES, ["python.mostly_prints", "python.mostly_imports"], each=2)
    assert shown["doc_id"].to_list() == ["c", "b"]
    assert shown["reason"][1] == "python.mostly_imports: frac_lines_import = 0.35, dropped when > 0.3"


def test_planted_defects_are_listed_with_the_rules_that_caught_them():
    files = apply_rules(FILES.with_columns(truth=pl.lit("filter.imports")), SIGNALS, RULES)
    assert audit.by_defect(files).rows() == [
        ("filter.imports", 5, 4, ["python.mostly_imports", "python.mostly_prints"]),
    ]


def test_an_unknown_rule_cannot_be_moved():
    with pytest.raises(RulebookError, match=r"no rule 'python\.imports'"):
        audit.what_if(FILES, SIGNALS, RULES, "python.imports", [0.1])
