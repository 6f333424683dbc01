from dataclasses import replace

import polars as pl
import pytest

from opencoder_lib.files import new_files
from opencoder_lib.languages import with_languages
from opencoder_lib.quality import apply_rules, audit, decide, load_rules, tuning
from opencoder_lib.quality.hits import hit_matrix
from opencoder_lib.quality.rules import Rulebook, RulebookError, Threshold
from opencoder_lib.seeds import hash_share

RELEASED = load_rules("released")
IMPORTS, PRINTS = RELEASED["python.mostly_imports"], RELEASED["python.mostly_prints"]
PARSES = RELEASED["python.does_not_parse"]
RULES = Rulebook("two", (IMPORTS, PRINTS))
# Thresholds are 0.3 and 0.4. Imports alone: b; prints alone: c; both: a; neither: d, e. p is planted.
SIGNALS = pl.DataFrame(
    {
        "doc_id": ["a", "b", "c", "d", "e", "p"],
        "frac_lines_import": [0.9, 0.35, 0.1, 0.0, 0.25, 0.9],
        "frac_lines_print": [0.5, 0.1, 0.5, None, 0.38, 0.5],
    }
)


def file(doc_id, n_bytes, **known):
    given = {"origin": "installed", "license": "MIT", "repo": "attrs 25.1"} | known
    return {"doc_id": doc_id, "path": f"{doc_id}.py", "text": "x" * n_bytes, **given}


FILES = with_languages(
    new_files([*(file(name, n) for name, n in zip("abcde", (10, 20, 30, 40, 50), strict=True)),
               file("p", 60, origin="planted")])
)  # fmt: skip
MATRIX = hit_matrix(FILES, SIGNALS, RULES)


def changes_of(changes, rule, change):
    (row,) = changes.filter(rule=pl.lit(rule), change=pl.lit(change)).rows()
    return row[3:]


def test_the_quantiles_of_a_signal_stand_beside_its_threshold():
    imports, prints = tuning.coarse(MATRIX).rows(named=True)
    # 0, 0.1, 0.25, 0.35, 0.9: the 95 % quantile lies 0.8 of the way from the fourth to the fifth value.
    assert (imports["drops_when"], imports["files"], imports["nulls"]) == ("> 0.3", 5, 0)
    assert (imports["p50"], imports["p95"]) == (0.25, pytest.approx(0.35 + 0.8 * 0.55))
    assert imports["frac_files_hit"] == 0.4
    assert (prints["files"], prints["nulls"], prints["frac_files_hit"]) == (4, 1, 0.5)


def test_a_rule_without_a_value_has_no_quantiles():
    nothing = SIGNALS.with_columns(frac_lines_import=pl.lit(None, pl.Float64))
    (row,) = tuning.coarse(hit_matrix(FILES, nothing, RULES), ["python.mostly_imports"]).rows(named=True)
    assert (row["files"], row["nulls"], row["p50"], row["frac_files_hit"]) == (0, 5, None, None)
    assert tuning.distribution(hit_matrix(FILES, nothing, RULES), "python.mostly_imports")["files"].sum() == 0


def test_distribution_counts_every_value_once_and_the_last_bin_is_open():
    bins = tuning.distribution(MATRIX, "python.mostly_imports", highest=0.4, num_bins=4)
    assert bins["files"].to_list() == [1, 1, 1, 2]
    assert bins["hits"].to_list() == [0, 0, 0, 2]
    assert bins["rule"].unique().to_list() == ["python.mostly_imports"]


def test_distribution_ends_beyond_the_threshold_and_nearly_all_values():
    # The 99 % quantile of the print shares 0.1, 0.38, 0.5, 0.5 is 0.5, which a quarter beyond 0.4 equals.
    assert tuning.distribution(MATRIX, "python.mostly_prints")["high"].max() == pytest.approx(0.5)
    assert tuning.distribution(MATRIX, "python.mostly_imports")["high"].max() == pytest.approx(0.35 + 0.96 * 0.55)


def test_what_if_moves_one_threshold_and_keeps_all_others():
    curve = tuning.what_if(MATRIX, "python.mostly_imports", [0.05, 0.3, 0.4])
    assert curve.select("threshold", "files", "hits", "exclusive", "bytes_exclusive", "is_current").rows() == [
        (0.05, 5, 4, 2, 70, False),
        (0.3, 5, 2, 1, 20, True),
        (0.4, 5, 1, 0, 0, False),
    ]


def test_what_if_agrees_with_applying_the_moved_rule(tmp_path):
    path = tmp_path / "moved.toml"
    path.write_text(
        'extends = "released"\n[[rule]]\nid = "python.mostly_imports"\nreplaces = true\ndrop_above = 0.05\n'
    )
    moved = Rulebook("moved", (load_rules(path)["python.mostly_imports"], PRINTS))
    curve = tuning.what_if(MATRIX, "python.mostly_imports", [0.05])
    applied = audit.hits_by_rule(hit_matrix(FILES, SIGNALS, moved))
    assert curve["hits"][0] == applied["hits"][0]
    assert curve["exclusive"][0] == applied["exclusive"][0]


def test_an_unknown_rule_cannot_be_moved():
    with pytest.raises(RulebookError, match=r"no rule 'python\.imports'"):
        tuning.what_if(MATRIX, "python.imports", [0.1])


@pytest.mark.parametrize(
    ("threshold", "stricter", "looser"),
    [
        (Threshold("drop_above", 0.4), 0.3, 0.5),
        (Threshold("drop_below", 40.0), 50.0, 30.0),
        (Threshold("drop_outside", (4.0, 80.0)), (5.0, 60.0), (3.0, 100.0)),
    ],
)
def test_a_stricter_threshold_drops_more_and_a_looser_one_less(threshold, stricter, looser):
    assert tuning.tightened(threshold, 0.25).value == pytest.approx(stricter)
    assert tuning.tightened(threshold, -0.25).value == pytest.approx(looser)
    assert tuning.tightened(Threshold("drop_if", 1.0), 0.25) is None


def test_switching_a_rule_off_brings_back_what_it_alone_removes():
    changes = tuning.what_if_all(MATRIX)
    assert changes_of(changes, "python.mostly_imports", "off") == (1, 20, 0, 0)
    assert changes_of(changes, "python.mostly_prints", "off") == (1, 30, 0, 0)


def test_every_rule_is_loosened_and_tightened_with_all_others_in_place():
    changes = tuning.what_if_all(MATRIX, shares=(0.1, 0.25))
    # At 0.375 b (0.35) comes back, at 0.33 not; at 0.225 e (0.25) goes, at 0.27 not; a and c are the other rule's too.
    assert changes_of(changes, "python.mostly_imports", "25 % looser") == (1, 20, 0, 0)
    assert changes_of(changes, "python.mostly_imports", "10 % looser") == (0, 0, 0, 0)
    assert changes_of(changes, "python.mostly_imports", "10 % stricter") == (0, 0, 0, 0)
    assert changes_of(changes, "python.mostly_imports", "25 % stricter") == (0, 0, 1, 50)
    assert changes_of(changes, "python.mostly_prints", "10 % stricter") == (0, 0, 1, 50)


def kept_by(rulebook):
    judged = apply_rules(FILES, SIGNALS, rulebook).filter(pl.col("removed_by").is_null(), pl.col("origin") != "planted")
    return set(judged["doc_id"])


def test_what_if_of_all_rules_agrees_with_applying_each_changed_rulebook():
    changes, before = tuning.what_if_all(MATRIX, shares=(0.3,)), kept_by(RULES)
    for place, rule in enumerate(RULES):
        for change, share in (("30 % looser", -0.3), ("30 % stricter", 0.3)):
            moved = {name: tuning.tightened(threshold, share) for name, threshold in rule.thresholds.items()}
            book = [replace(other, thresholds=moved) if at == place else other for at, other in enumerate(RULES)]
            after = kept_by(Rulebook("moved", tuple(book)))
            back, _, gone, _ = changes_of(changes, rule.id, change)
            assert (back, gone) == (len(after - before), len(before - after))


def test_a_rule_that_asks_for_one_value_can_only_be_switched_off():
    signals = SIGNALS.with_columns(cate_ast=pl.Series([1.0, 0.0, 1.0, 1.0, 1.0, 1.0])).rename(
        {"cate_ast": PARSES.signal}
    )
    changes = tuning.what_if_all(hit_matrix(FILES, signals, Rulebook("one", (PARSES,))))
    hits = int((signals[PARSES.signal] == PARSES.common_threshold.value).head(5).sum())
    assert changes_of(changes, PARSES.id, "off")[0] == hits
    assert changes_of(changes, PARSES.id, "25 % looser") == (None, None, None, None)


def test_a_file_that_its_coin_spared_neither_comes_back_nor_goes():
    coin = replace(IMPORTS, drop_share=0.5)
    falls = {name: hash_share(coin.id, name) < 0.5 for name in "abcde"}
    changes = tuning.what_if_all(hit_matrix(FILES, SIGNALS, Rulebook("coin", (coin,))), shares=(0.25,))
    assert changes_of(changes, coin.id, "off")[0] == falls["a"] + falls["b"]
    assert changes_of(changes, coin.id, "25 % stricter")[2] == falls["e"]


def test_the_table_has_the_growth_of_the_kept_corpus_and_no_rule_without_effect():
    changes = tuning.what_if_all(MATRIX, shares=(0.25,))
    assert tuning.what_if_table(changes).rows() == [
        ("python.mostly_imports", 1, 1, -1),
        ("python.mostly_prints", 1, 1, -1),  # c has exactly 0.5, and 0.4 loosened by a quarter is not exceeded
    ]
    in_bytes = tuning.what_if_table(changes, "bytes")
    assert in_bytes.columns == ["rule", "bytes off", "bytes 25 % looser", "bytes 25 % stricter"]
    assert in_bytes.row(0) == ("python.mostly_imports", 20, 20, -50)
    harmless = hit_matrix(FILES, SIGNALS.with_columns(frac_lines_print=0.0), Rulebook("one", (PRINTS,)))
    assert tuning.what_if_table(tuning.what_if_all(harmless)).height == 0


def test_a_file_changes_sides_at_the_nearest_threshold_that_moves_it():
    changing = tuning.changing_sides(MATRIX, "python.mostly_imports", [0.5, 0.4, 0.2, 0.24])
    assert changing.rows() == [
        ("e", "python", 0.25, 0.24, "goes", 50),
        ("b", "python", 0.35, 0.4, "comes back", 20),
    ]


def test_files_that_change_sides_are_read_with_their_value_and_the_threshold():
    changing = tuning.changing_sides(MATRIX, "python.mostly_imports", [0.2, 0.4])
    shown = tuning.to_read(FILES, changing, IMPORTS)
    assert shown.select("doc_id", "reason").rows() == [
        ("e", "goes when frac_lines_import is cut at 0.2: its value is 0.25"),
        ("b", "comes back when frac_lines_import is cut at 0.4: its value is 0.35"),
    ]
    secret = FILES.with_columns(license=pl.lit("GPL-3.0"))
    assert tuning.to_read(secret, changing, IMPORTS).height == 0


# Kept: d, e. Imports alone: b, f, g, h. Prints alone: c.
MORE_SIGNALS = pl.concat([SIGNALS, *(SIGNALS.filter(doc_id="b").with_columns(doc_id=pl.lit(name)) for name in "fgh")])
MORE = pl.concat([FILES, with_languages(new_files([file(name, 5) for name in "fgh"]))])
JUDGED, DECISIONS = apply_rules(MORE, MORE_SIGNALS, RULES), decide(MORE, MORE_SIGNALS, RULES)


def test_a_sample_to_inspect_has_kept_files_and_files_of_one_rule_each_rule_in_turn():
    sample = tuning.inspection_sample(JUDGED, DECISIONS, num_files=4)
    kept, removed = (sample.filter(side=pl.lit(side)) for side in ("kept", "removed by one rule"))
    assert set(kept["doc_id"]) == {"d", "e"}
    assert sorted(removed["rule"]) == ["python.mostly_imports", "python.mostly_prints"]
    assert tuning.inspection_sample(JUDGED, DECISIONS, num_files=40).height == 7


def test_the_sample_depends_on_the_seed_and_not_on_the_order_of_files():
    sample = tuning.inspection_sample(JUDGED, DECISIONS, 6)
    assert sample.equals(tuning.inspection_sample(JUDGED.reverse(), DECISIONS, 6))
    drawn = {tuning.inspection_sample(JUDGED, DECISIONS, 4, seed)["doc_id"].sort().str.join()[0] for seed in range(9)}
    assert len(drawn) > 1


SCORED = pl.DataFrame(
    {
        "doc_id": list("abcdefg"),
        "side": ["kept"] * 3 + ["removed by one rule"] * 4,
        "rule": [None, None, None, "r.x", "r.x", "r.y", "r.y"],
        "bits_per_byte": [1.0, 0.5, 2.0, 3.0, 0.25, float("nan"), 1.5],
    }
)


def test_the_files_of_lowest_and_highest_score_are_picked_on_either_side():
    read = tuning.lowest_and_highest(SCORED, each=1)
    assert read.select("doc_id", "end", "reason").rows() == [
        ("b", "lowest", "kept: 0.5 bits per byte, among the lowest"),
        ("c", "highest", "kept: 2.0 bits per byte, among the highest"),
        ("e", "lowest", "removed by one rule (r.x): 0.25 bits per byte, among the lowest"),
        ("d", "highest", "removed by one rule (r.x): 3.0 bits per byte, among the highest"),
    ]
    assert tuning.lowest_and_highest(SCORED, each=9)["doc_id"].n_unique() == 4


def test_scores_are_summed_up_by_the_rule_that_removed_the_file():
    assert tuning.score_by_rule(SCORED).rows() == [
        ("r.x", 2, 0.25, 1.625, 3.0),
        ("r.y", 1, 1.5, 1.5, 1.5),
        ("kept", 3, 0.5, 1.0, 2.0),
    ]
