import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from stage_contract import assert_stage_contract, file_frames

from opencoder_lib.errors import SchemaError
from opencoder_lib.files import new_files, score
from opencoder_lib.quality import apply_rules, compute_signals, decide, load_rules
from opencoder_lib.quality.rules import Rulebook, Threshold
from opencoder_lib.seeds import hash_share

RELEASED = load_rules("released")


def only(*rule_ids: str) -> Rulebook:
    return Rulebook("some", tuple(RELEASED[rule_id] for rule_id in rule_ids))


def signal_frame(**columns) -> pl.DataFrame:
    size = len(next(iter(columns.values())))
    return pl.DataFrame({"doc_id": [str(i) for i in range(size)], **columns})


def files_like(signals: pl.DataFrame, path: str = "a.py") -> pl.DataFrame:
    return new_files([{"doc_id": i, "path": path, "origin": "folder", "text": ""} for i in signals["doc_id"]])


@settings(deadline=None, max_examples=20)
@given(file_frames())
def test_filter_keeps_the_stage_contract(files):
    assert_stage_contract(lambda frame: apply_rules(frame, compute_signals(frame), RELEASED), files)


@pytest.mark.parametrize(
    ("kind", "value", "fires"),
    [
        ("drop_above", 2, [False, False, True, False]),
        ("drop_below", 2, [True, False, False, False]),
        ("drop_outside", (1.5, 2), [True, False, True, False]),
        ("drop_if", 2, [False, True, False, False]),
    ],
)
def test_comparisons_are_strict_and_null_never_fires(kind, value, fires):
    assert Threshold(kind, value).fires(np.array([1, 2, 3, np.nan])).tolist() == fires


def test_the_first_rule_in_order_claims_a_file_and_all_that_hold_are_listed():
    signals = signal_frame(num_words=[10.0, 99.0, None], num_lines=[5.0, 5.0, 50.0])
    found = decide(files_like(signals), signals, only("code.few_words", "code.num_lines"))
    assert found["removed_by"].to_list() == ["filter.code.few_words", "filter.code.num_lines", None]
    assert found["measured"].to_list() == [10, 5, None]
    assert found["fired"].to_list() == [["code.few_words", "code.num_lines"], ["code.num_lines"], []]
    assert found["decision"].to_list() == ["drop", "drop", "keep"]


def test_a_coin_falls_by_rule_and_document_and_the_decision_stands_before_it():
    signals = signal_frame(score_lines_no_logic=[0.9] * 400)
    found = decide(files_like(signals), signals, only("python.no_logic"))
    expected = [hash_share("python.no_logic", i) < 0.8 for i in signals["doc_id"]]
    assert found["removed_by"].is_not_null().to_list() == expected
    assert 0.7 < sum(expected) / 400 < 0.9
    assert set(found["decision"]) == {"drop_p0.8"}
    assert found["fired"].to_list() == [["python.no_logic"]] * 400


def test_a_sure_rule_drops_what_a_lost_coin_would_have_spared():
    signals = signal_frame(score_lines_no_logic=[0.9] * 50, frac_lines_print=[0.9] * 50)
    found = decide(files_like(signals), signals, only("python.no_logic", "python.mostly_prints"))
    assert set(found["decision"]) == {"drop"}
    assert found["removed_by"].null_count() == 0
    assert set(found["removed_by"]) == {"filter.python.no_logic", "filter.python.mostly_prints"}


def test_an_override_holds_in_its_set_only():
    rows = [(path, "x") for path in ("a.py", "a.sql")]
    files = new_files([{"doc_id": path, "path": path, "origin": "folder", "text": text} for path, text in rows])
    signals = pl.DataFrame({"doc_id": ["a.py", "a.sql"], "frac_chars_digital": [0.25, 0.25]})
    found = decide(files, signals, only("code.many_digits"))
    assert found["rule_set"].to_list() == ["python", "sql"]
    assert found["decision"].to_list() == ["drop", "keep"]


@pytest.mark.parametrize(
    ("path", "natural_language", "rule_set"),
    [
        ("a.txt", "en", "text_en"),
        ("a.txt", "ja", "text_en"),
        ("a.txt", "zh", "text_zh"),
        ("a.json", "zh", "data"),
        ("a.rb", "en", "others"),
        ("a.h", "en", "c"),
        ("C.C", "en", "cpp"),
        ("a.sh", "en", "shell"),
        ("a.svg", "en", None),
        ("a.unheard_of", "en", None),
    ],
)
def test_the_set_follows_type_program_and_language(path, natural_language, rule_set):
    files = new_files([{"path": path, "origin": "folder", "text": "", "natural_language": natural_language}])
    assert decide(files, compute_signals(files), only("code.few_words"))["rule_set"][0] == rule_set


def test_types_without_a_set_are_dropped_with_a_reason_of_their_own():
    files = new_files([{"path": p, "origin": "folder", "text": "x"} for p in ("a.svg", "a.unheard_of")])
    found = decide(files, compute_signals(files), RELEASED)
    assert found["removed_by"].to_list() == ["filter.excluded_type", "filter.unknown_type"]
    assert found["decision"].to_list() == ["drop", "drop"]


def test_signals_of_other_files_and_missing_signals_are_refused():
    files = new_files([{"doc_id": "1", "path": "a.py", "origin": "folder", "text": "x"}])
    with pytest.raises(SchemaError, match="belong to no file"):
        decide(files, pl.DataFrame({"doc_id": ["2"], "num_words": [1.0]}), only("code.few_words"))
    with pytest.raises(SchemaError, match="no column 'num_words'"):
        decide(files, pl.DataFrame({"doc_id": ["1"]}), only("code.few_words"))


def test_planted_defects_are_all_removed_and_near_misses_stay():
    documents = {
        rule.id: (rule.drops, rule.keeps) for rule in RELEASED if rule.group == "python" and rule.drop_share == 1
    }
    rows = []
    for rule_id, (drops, keeps) in documents.items():
        rows.append({"path": f"{rule_id}.py", "origin": "planted", "text": drops, "truth": f"filter.{rule_id}"})
        rows.append({"path": f"{rule_id}-near.py", "origin": "planted", "text": keeps, "truth": "clean"})
    files = new_files(rows)
    assert score(apply_rules(files, compute_signals(files), RELEASED), "filter") == {
        "planted": 7,
        "removed": 7,
        "hits": 7,
        "precision": 1.0,
        "recall": 1.0,
    }
