import pytest
from hypothesis import given
from stage_contract import assert_stage_contract, file_frames

from opencoder_lib.corpora import plant_defects
from opencoder_lib.errors import ConfigError
from opencoder_lib.files import new_files, score
from opencoder_lib.refine.preprocess import count_reasons, keep_source_files


@given(file_frames())
def test_preprocessing_keeps_the_stage_contract(files):
    assert_stage_contract(keep_source_files, files)


def test_each_file_gets_the_first_reason_that_holds():
    rows = [
        {"path": "fine.py", "text": "x = 1\n"},
        {"path": "empty.py", "text": ""},
        {"path": "huge.csv", "text": "\x00" * 11},
        {"path": "nul.csv", "text": "a\x00b"},
        {"path": "table.csv", "text": "a,b"},
        {"path": "strange.xyz", "text": "a"},
        {"path": "latin.py", "text": None, "removed_by": "preprocess.undecodable"},
    ]
    files = keep_source_files(new_files([row | {"origin": "folder"} for row in rows]), max_bytes=10)
    assert files["removed_by"].to_list() == [
        None,
        None,
        "preprocess.too_large",
        "preprocess.binary",
        "preprocess.excluded_type",
        "preprocess.unknown_type",
        "preprocess.undecodable",
    ]
    assert files["measured"].to_list() == [None, None, 11.0, None, None, None, None]


def test_a_file_of_exactly_the_limit_stays_and_one_byte_more_goes():
    rows = [{"path": f"{size}.py", "text": "x", "n_bytes": size, "origin": "folder"} for size in (8_000_000, 8_000_001)]
    assert keep_source_files(new_files(rows))["removed_by"].to_list() == [None, "preprocess.too_large"]


def test_a_size_limit_of_nothing_is_refused():
    with pytest.raises(ConfigError, match="max_bytes must be positive"):
        keep_source_files(new_files([{"path": "a.py", "origin": "folder", "text": "x"}]), max_bytes=0)


def test_every_planted_defect_is_removed_for_its_own_reason_and_no_near_miss():
    files = keep_source_files(plant_defects(0))
    assert score(files, "preprocess") == {"planted": 25, "removed": 25, "hits": 25, "precision": 1.0, "recall": 1.0}
    planted = files.filter(files["truth"].str.starts_with("preprocess."))
    assert planted["removed_by"].equals(planted["truth"])


def test_reasons_are_counted_with_their_extensions():
    names = ["a.svg", "b.svg", "c.csv", "d.xyz"]
    files = keep_source_files(new_files([{"path": name, "origin": "folder", "text": "xy"} for name in names]))
    assert count_reasons(files).rows() == [
        ("preprocess.excluded_type", 3, 6, ".svg .csv"),
        ("preprocess.unknown_type", 1, 2, ".xyz"),
    ]
