import polars as pl
import pytest

from opencoder_lib.errors import SchemaError
from opencoder_lib.files import new_files
from opencoder_lib.refine.edits import EDITS, SPANS, apply, count_edits


def frame(**texts: str | None) -> pl.DataFrame:
    """One file a text; a file without one was removed before."""
    return new_files(
        [
            {
                "doc_id": name,
                "path": f"{name}.py",
                "origin": "folder",
                "text": text,
                "removed_by": None if text is not None else "preprocess.binary",
            }
            for name, text in texts.items()
        ]
    )


def spans(*rows: tuple) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=SPANS, orient="row")


def texts(files: pl.DataFrame) -> list[str | None]:
    return files["text"].to_list()


def test_spans_are_replaced_in_any_order_and_every_other_byte_stays():
    files = frame(a="to x@y.z, q@r.s\r\n", b="untouched", c=None)
    found = apply(files, spans(("a", 10, 15, "<email>", "email"), ("a", 3, 8, "<email>", "email")), "personal_data")
    assert texts(found.files) == ["to <email>, <email>\r\n", "untouched", None]
    assert found.files.drop("text").equals(files.drop("text"))


def test_offsets_count_bytes_not_characters():
    # 'é ' are three bytes, so the digit is the fourth.
    assert texts(apply(frame(a="é 1 é"), spans(("a", 3, 4, "", "notice")), "copyright").files) == ["é  é"]


def test_what_was_changed_is_counted_by_file_and_kind_and_never_told():
    files = frame(a="secret, secret, 1.2.3.4", b="secret")
    found = apply(
        files,
        spans(
            ("a", 0, 6, "<key>", "key"),
            ("a", 8, 14, "<key>", "key"),
            ("a", 16, 23, "<ipv4>", "ipv4"),
            ("b", 0, 6, "<password>", "password"),
        ),
        "personal_data",
    )
    # 2 x (6 - 5), 7 - 6 and 6 - 10 bytes shorter.
    assert found.edits.rows() == [
        ("a", "personal_data", "ipv4", 1, 1),
        ("a", "personal_data", "key", 2, 2),
        ("b", "personal_data", "password", 1, -4),
    ]
    assert dict(found.edits.schema) == EDITS


def test_edits_are_summed_with_the_kind_in_most_files_first():
    edits = pl.DataFrame(
        [("a", "t", "one", 5, 10), ("a", "t", "two", 1, 2), ("b", "t", "two", 2, -1)], schema=EDITS, orient="row"
    )
    assert count_edits(edits).rows() == [("t", "two", 2, 3, 1), ("t", "one", 1, 5, 10)]


def test_no_spans_change_nothing():
    files = frame(a="text", b=None)
    found = apply(files, spans(), "copyright")
    assert found.files.equals(files)
    assert found.edits.is_empty()


@pytest.mark.parametrize(
    ("rows", "what"),
    [
        ([("a", 0, 3, "", "k"), ("a", 2, 4, "", "k")], "bytes 2 to 4 of doc_id 'a': they overlap"),
        ([("a", 3, 9, "", "k")], "outside its 6 bytes"),
        ([("a", 4, 3, "", "k")], "bytes 4 to 3"),
        # 'é' is the last character of 'texté', bytes 4 and 5.
        ([("a", 4, 5, "", "k")], "cuts a character of doc_id 'a' in two"),
        ([("c", 0, 1, "", "k")], "doc_id 'c', which is not in the corpus or has no text"),
        ([("z", 0, 1, "", "k")], "doc_id 'z', which is not in the corpus"),
    ],
    ids=["overlap", "outside", "backwards", "half a character", "removed", "unknown"],
)
def test_spans_that_cannot_be_meant_are_errors(rows, what):
    with pytest.raises(SchemaError, match=what):
        apply(frame(a="texté", c=None), spans(*rows), "copyright")
