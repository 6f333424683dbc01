"""The contract of every stage, as one assertion, and random file frames to hold stages against.

@given(file_frames())
def test_keeps_the_stage_contract(files):
    assert_stage_contract(lambda frame: keep_source_files(frame), files)
"""

from collections.abc import Callable
from datetime import datetime

import polars as pl
from hypothesis import strategies as st

from opencoder_lib.files import JUDGEMENT, check, content_hash, new_files

Stage = Callable[[pl.DataFrame], pl.DataFrame]
NAMES = ["a.py", "b.py", "c.c", "README.md", "data.json", "picture.svg", "notes.xyz", "Makefile", "deep/er/d.js"]
TEXTS = [
    "",
    "x = 1\n",
    "x = 1",
    "def f(a):\n    return a\n" * 12,
    "one two three four five six\n",
    "\ufeffx",
    "\x00",
    "数据 表\n",
]


@st.composite
def file_frames(draw, max_size: int = 10) -> pl.DataFrame:
    """Frames of few names, texts, stars and dates, so that ties, duplicates and nulls are frequent."""
    rows = []
    for at in range(draw(st.integers(0, max_size))):
        removed_by = draw(st.sampled_from([None, None, None, "preprocess.binary", "exact.duplicate"]))
        text = draw(st.sampled_from(TEXTS))
        rows.append(
            {
                "doc_id": f"id{draw(st.integers(0, 10**6)):06d}-{at}",
                "path": draw(st.sampled_from(NAMES)),
                "repo": draw(st.sampled_from(["one", "two", None])),
                "origin": draw(st.sampled_from(["installed", "planted", "folder"])),
                "text": None if removed_by == "preprocess.binary" else text,
                "stars": draw(st.sampled_from([None, 0, 3, 3, 9])),
                "committed_at": draw(st.sampled_from([None, datetime(2020, 1, 1), datetime(2024, 1, 1)])),
                "removed_by": removed_by,
                "measured": 0.5 if removed_by else None,
                "extra": at,
            }
        )
    if not rows:
        return new_files([{"path": "a", "origin": "folder", "text": "", "extra": 0}]).clear()
    return new_files(rows)


def assert_stage_contract(stage: Stage, files: pl.DataFrame, *, transforms_text: bool = False) -> pl.DataFrame:
    """Assert what every stage owes its callers, and return its result.

    Same ids in the same order; rows removed before are returned as they came; columns of the user and, unless the
    stage `transforms_text`, the text of all rows are unchanged; the result is a valid file frame; running it again, on
    its own result or on the rows in another order, decides the same.
    """
    result = check(stage(files))
    assert result["doc_id"].to_list() == files["doc_id"].to_list(), "a stage must return the same ids in the same order"
    assert result.columns[: len(files.columns)] == files.columns, "a stage must keep the columns"
    gone = files["removed_by"].is_not_null()
    constant = [name for name in files.columns if name not in {*JUDGEMENT, "language", "category", "natural_language"}]
    if transforms_text:
        constant.remove("text")
        assert result.filter(gone)["text"].equals(files.filter(gone)["text"]), "a removed row's text was changed"
    assert result.select(constant).equals(files.select(constant)), "a stage changed what it must only read"
    assert result.filter(gone).select(JUDGEMENT).equals(files.filter(gone).select(JUDGEMENT)), (
        "a removed row was touched"
    )
    survivors = result.filter(pl.col("survivor").is_not_null())["survivor"]
    assert survivors.is_in(result["doc_id"].to_list()).all(), "a survivor is not in the frame"
    assert content_hash(stage(files)) == content_hash(result), "two runs differ"
    assert content_hash(stage(files.reverse())) == content_hash(result), "the order of the rows changed the result"
    assert content_hash(stage(result)) == content_hash(result), "a second pass did more"
    return result
