"""`opencoder diff`: what two runs were told, which files fare otherwise, whose text differs, and why."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from cleaning import LOOSE, cleaned, edited, module, table, tree
from reports import HOSTILE

from opencoder_lib.clean import difference
from opencoder_lib.clean.compare import compare, diff
from opencoder_lib.errors import InputError
from opencoder_lib.quality import load_rules

COLUMNS = {
    **dict.fromkeys(("doc_id", "text", "path", "repo", "language", "removed_by", "survivor"), pl.String),
    **{"n_bytes": pl.Int64, "measured": pl.Float64},
}
EDITS = {**dict.fromkeys(("doc_id", "transform", "kind"), pl.String), "n": pl.Int64, "bytes_cut": pl.Int64}


def row(name: str, gone: str | None = None, text: str = "x = 1\n", **more: Any) -> dict[str, Any]:
    """A file called `name`; gone: why it was removed."""
    about = {"doc_id": f"id-{name}", "path": f"{name}.py", "language": "python", "n_bytes": len(text)}
    return about | {"text": text, "removed_by": gone} | more


def output(
    folder: Path,
    rows: Sequence[Mapping[str, Any]],
    about: Mapping[str, Any] | None = None,
    edits: Sequence[tuple] | None = None,
    parts: int = 1,
) -> Path:
    """A folder as `opencoder clean` leaves it. edits: rows of transforms.parquet; without them there is none."""
    frame = pl.DataFrame(list(rows), schema=COLUMNS)
    for name, here in (("kept", pl.col("removed_by").is_null()), ("removed", pl.col("removed_by").is_not_null())):
        (folder / name).mkdir(parents=True)
        found = frame.filter(here)
        for part in range(parts):
            found.gather_every(parts, part).write_parquet(folder / name / f"{part:06d}-000.parquet", row_group_size=2)
    if edits is not None:
        pl.DataFrame(edits, schema=EDITS, orient="row").write_parquet(folder / "transforms.parquet")
    kept = frame["removed_by"].null_count()
    report = {"about": dict(about or {}), "funnel": [{"files_before": frame.height, "files_after": kept}]}
    (folder / "report.json").write_text(json.dumps(report))
    return folder


def fates(found: difference.Difference) -> dict[tuple[str, str], tuple[int, int]]:
    return {(was, now): (n, size) for was, now, n, size, _ in found.fates.iter_rows()}


def said(capsys: pytest.CaptureFixture) -> list[str]:
    return capsys.readouterr().out.splitlines()


# What is compared


def test_nothing_differs_is_one_line(tmp_path, capsys):
    rows = [row("a"), row("b", "exact.duplicate", survivor="id-a"), row("c", text="y\n")]
    first, second = output(tmp_path / "one", rows), output(tmp_path / "two", rows[::-1], parts=2)
    assert diff(first, second).nothing
    assert said(capsys) == [
        f"{first} and {second} do not differ: the same 3 files with the same fates and texts, from the same settings, "
        "inputs and code."
    ]


def test_each_change_of_fate_is_counted_with_examples(tmp_path):
    first = output(
        tmp_path / "one",
        [row("a"), row("b", "fuzzy.near_duplicate"), row("c", "filter.code.few_words"), row("same"), row("lost")],
    )
    second = output(
        tmp_path / "two",
        [row("a", "fuzzy.near_duplicate"), row("b"), row("c"), row("same"), row("new", "exact.duplicate", "12")],
    )
    found = compare(first, second)
    assert found.files == {"first": 5, "second": 5, "both": 4}
    assert fates(found) == {
        ("kept", "fuzzy.near_duplicate"): (1, 6),
        ("fuzzy.near_duplicate", "kept"): (1, 6),
        ("filter.code.few_words", "kept"): (1, 6),
        ("kept", "absent"): (1, 6),
        ("absent", "exact.duplicate"): (1, 2),
    }
    examples = {was: paths for was, _, _, _, paths in found.fates.iter_rows()}
    assert examples["filter.code.few_words"] == [{"doc_id": "id-c", "path": "c.py", "repo": None}]
    assert [example["path"] for example in examples["absent"]] == ["new.py"]


def test_the_most_frequent_change_comes_first_with_three_examples_that_are_always_the_same(tmp_path):
    first = output(tmp_path / "one", [row(f"f{at}") for at in range(9)])
    changed = [row(f"f{at}", "exact.duplicate" if at < 6 else "fuzzy.near_duplicate") for at in range(9)]
    found = compare(first, output(tmp_path / "two", changed))
    again = compare(first, output(tmp_path / "three", changed[::-1], parts=3))
    assert found.fates["files"].to_list() == [6, 3]
    assert [len(examples) for examples in found.fates["examples"]] == [3, 3]
    assert found.fates.equals(again.fates)


def test_what_an_id_is_found_by_may_be_anything(tmp_path):
    ids = ["", "1", "01", "ab" * 16, HOSTILE, "é", "e\u0301"]
    first = output(tmp_path / "one", [row("a", doc_id=name) for name in ids])
    second = output(
        tmp_path / "two", [row("a", "exact.duplicate" if name == "01" else None, doc_id=name) for name in ids]
    )
    found = compare(first, second)
    assert found.files["both"] == 7
    assert found.fates["examples"][0].to_list() == [{"doc_id": "01", "path": "a.py", "repo": None}]


def test_many_rows_are_joined_a_part_after_the_other(tmp_path, monkeypatch):
    first = output(tmp_path / "one", [row(f"f{at}") for at in range(200)])
    changed = [row(f"f{at}", "exact.duplicate" if at % 3 == 0 else None) for at in range(100, 300)]
    second = output(tmp_path / "two", changed)
    whole = compare(first, second)
    monkeypatch.setattr(difference, "ROWS_AT_ONCE", 17)
    in_parts = compare(first, second)
    # 102, 105 ... 198 are multiples of three among 100 to 199, 201 ... 297 among 200 to 299.
    assert fates(in_parts) == {
        ("kept", "absent"): (100, 600),
        ("absent", "kept"): (67, 67 * 6),
        ("kept", "exact.duplicate"): (33, 33 * 6),
        ("absent", "exact.duplicate"): (33, 33 * 6),
    }
    assert in_parts.fates.equals(whole.fates)
    assert in_parts.files == whole.files == {"first": 200, "second": 200, "both": 100}


def test_another_survivor_is_told_although_the_reason_is_the_same(tmp_path, capsys):
    first = output(tmp_path / "one", [row("a"), row("b"), row("c", "exact.duplicate", survivor="id-a")])
    second = output(tmp_path / "two", [row("a"), row("b"), row("c", "exact.duplicate", survivor="id-b")])
    assert diff(first, second).survivors == 1
    assert "1 file went for the same reason, but another file stands for them." in said(capsys)


# Texts


def test_another_text_of_a_kept_file_is_laid_to_the_transform_that_differs(tmp_path):
    names = ("same", "notice", "mail", "both", "input", "unknown")
    old = [row(name, text="one\n") for name in names]
    new = [row("same", text="one\n"), *(row(name, text="two\n") for name in names[1:])]
    new[4] = row("input", text="longer\n")
    edits = [("id-same", "copyright", "notice", 1, 9), ("id-mail", "personal_data", "email", 1, 3)]
    first = output(tmp_path / "one", old, edits=edits)
    more = [
        edits[0],
        ("id-mail", "personal_data", "email", 2, 3),
        ("id-notice", "copyright", "notice", 1, 9),
        *(("id-both", "copyright", "notice", 1, 9), ("id-both", "personal_data", "ipv4", 1, 9)),
    ]
    found = compare(first, output(tmp_path / "two", new, edits=more))
    assert found.fates.is_empty()
    assert {because: (n, was, now) for because, n, was, now in found.texts.iter_rows()} == {
        "copyright": (1, 4, 4),
        "personal_data": (1, 4, 4),
        "copyright and personal_data": (1, 4, 4),
        "another text was read": (1, 4, 7),
        "not known: equal sizes and numbers": (1, 4, 4),
    }


def test_an_output_of_before_there_were_transforms_can_be_compared(tmp_path, capsys):
    first = output(tmp_path / "one", [row("a", text="# (c) me\nx\n"), row("b")])
    # The size as found stays; the text is shorter.
    second = output(
        tmp_path / "two", [row("a", text="x\n", n_bytes=11), row("b")], edits=[("id-a", "copyright", "notice", 1, 9)]
    )
    found = diff(first, second)
    assert found.texts.rows() == [("copyright", 1, 11, 2)]
    assert found.languages.rows() == [("python", 2, 2, 17, 8)]
    assert any(line.split() == ["copyright", "1", "file", "11", "bytes", "->", "2", "bytes"] for line in said(capsys))


def test_texts_of_removed_files_are_not_compared(tmp_path):
    first = output(tmp_path / "one", [row("a", "exact.duplicate", text="one\n")])
    second = output(tmp_path / "two", [row("a", "exact.duplicate", text="two\n")])
    assert compare(first, second).nothing


# Languages


def test_languages_are_told_where_what_was_kept_differs(tmp_path):
    rows = [row("a"), row("b", language="java", text="12345678"), row("c", language="go"), row("d", language=None)]
    first = output(tmp_path / "one", rows)
    second = output(
        tmp_path / "two", [rows[0], row("b", "exact.duplicate", language="java"), rows[2], row("e", text="1")]
    )
    # The largest change of bytes first: java loses 8, the unknown one 6, python gains 1.
    assert compare(first, second).languages.rows() == [
        ("java", 1, 0, 8, 0),
        ("unknown", 1, 0, 6, 0),
        ("python", 1, 2, 6, 7),
    ]


# Settings


def test_settings_that_differ_are_named_by_their_place(tmp_path, capsys):
    about = {
        "settings": {"minhash": {"bands": 16, "rows": 128}, "stages": ["exact", "fuzzy"], "max_bytes": 8},
        "inputs_fingerprint": "a" * 64,
        "versions": {"polars": "2.1.0", "numpy": "2.4.6"},
    }
    later = json.loads(json.dumps(about))
    later["settings"]["minhash"] |= {"bands": 128, "verify": None}
    later["versions"]["polars"] = "2.2.0"
    later["inputs_fingerprint"] = "b" * 64
    del later["settings"]["max_bytes"]
    first, second = output(tmp_path / "one", [row("a")], about), output(tmp_path / "two", [row("a")], later)
    assert diff(first, second).about.rows() == [
        ("inputs_fingerprint", "a" * 64, "b" * 64),
        ("max_bytes", "8", None),
        ("minhash.bands", "16", "128"),
        ("versions.polars", "2.1.0", "2.2.0"),
        ("minhash.verify", None, "none"),
    ]
    told = [line.split() for line in said(capsys)]
    assert ["minhash.bands", "16", "->", "128"] in told
    assert ["max_bytes", "8", "->", "(not", "noted)"] in told
    assert ["inputs_fingerprint", "aaaaaaaaaaaa…", "->", "bbbbbbbbbbbb…"] in told
    assert told[-1] == ["No", "file", "differs:", "the", "same", "fates", "and", "the", "same", "texts."]


def about_rules(name: str, sha256: str | None = None) -> dict[str, Any]:
    return {"settings": {"rulebook": name}, "rulebook_sha256": sha256 or load_rules(name).sha256}


def test_rules_that_differ_are_named_while_their_books_are_at_hand(tmp_path, capsys):
    first = output(tmp_path / "one", [row("a")], about_rules("released"))
    second = output(tmp_path / "two", [row("a")], about_rules("corrected"))
    found = diff(first, second)
    assert "python.mostly_pass" in found.rules["rule"].to_list()
    told = [line.split(maxsplit=1) for line in said(capsys)]
    assert ["python.mostly_pass", "frac_lines_pass > 0.05 -> frac_lines_pass_statements > 0.05"] in told


@pytest.mark.parametrize("second", [about_rules("released", "0" * 64), about_rules("/nowhere/mine.toml", "0" * 64)])
def test_rules_of_a_book_that_is_not_at_hand_are_not_guessed(tmp_path, capsys, second):
    one = output(tmp_path / "one", [row("a")], about_rules("released"))
    assert diff(one, output(tmp_path / "two", [row("a")], second)).rules is None
    assert "Rules differ. Which ones is not known: a rulebook is not at hand, or not as it was used." in said(capsys)


# Real runs


def test_two_real_runs(tmp_path, capsys):
    word = module("word")
    source = tree(tmp_path / "in", {"r/a.py": word, "r/b.py": word, "r/c.py": edited(word), "r/d.py": module("other")})
    cleaned(tmp_path / "one", source, stages="preprocess,exact")
    cleaned(tmp_path / "two", source, stages="preprocess,exact,fuzzy", minhash=LOOSE)
    found = diff(tmp_path / "one", tmp_path / "two")
    ((pair, (n, _)),) = fates(found).items()
    assert pair == ("kept", "fuzzy.near_duplicate")
    assert n == 1
    told = [line.split() for line in said(capsys)]
    assert ["stages", "preprocess,", "exact", "->", "preprocess,", "exact,", "fuzzy"] in told
    assert ["minhash.bands", "(not", "noted)", "->", "16"] in told
    assert compare(tmp_path / "one", tmp_path / "one").nothing


def test_an_output_that_kept_nothing(tmp_path):
    cleaned(tmp_path / "all", tree(tmp_path / "in", {"r/a.py": module("word")}))
    cleaned(tmp_path / "none", tree(tmp_path / "other", {"r/a.zzz": "x"}))
    found = compare(tmp_path / "all", tmp_path / "none")
    assert found.files == {"first": 1, "second": 1, "both": 0}
    assert {(was, now) for was, now in found.fates.select("was", "is").iter_rows()} == {
        ("kept", "absent"),
        ("absent", "preprocess.unknown_type"),
    }


def test_two_runs_of_one_corpus_do_not_differ(tmp_path):
    source = table(tmp_path / "in.parquet", [{"path": f"{at}.py", "text": module(str(at))} for at in range(4)])
    cleaned(tmp_path / "one", source, stages="preprocess")
    cleaned(tmp_path / "two", source, stages="preprocess")
    found = compare(tmp_path / "one", tmp_path / "two")
    assert found.files == {"first": 4, "second": 4, "both": 4}
    assert found.nothing


# All rows that differ


def test_every_row_that_differs_can_be_written(tmp_path, capsys):
    first = output(tmp_path / "one", [row("a"), row("b", text="old"), row("gone", "fuzzy.near_duplicate"), row("same")])
    second = output(tmp_path / "two", [row("a", "exact.duplicate"), row("b", text="newer"), row("new"), row("same")])
    diff(first, second, tmp_path / "rows.parquet")
    found = pl.read_parquet(tmp_path / "rows.parquet").sort("doc_id")
    assert found.schema == difference.CHANGES
    assert found.drop("path", "repo", "language").rows() == [
        ("id-a", "fate", "kept", "exact.duplicate", 6, 6),
        ("id-b", "text", "kept", "kept", 3, 5),
        ("id-gone", "only in the first", "fuzzy.near_duplicate", None, 6, None),
        ("id-new", "only in the second", None, "kept", None, 6),
    ]
    assert found["path"].to_list() == ["a.py", "b.py", "gone.py", "new.py"]
    assert said(capsys)[-1] == f"Written: {tmp_path / 'rows.parquet'}, 4 rows"


def test_no_row_that_differs_is_a_table_without_rows(tmp_path):
    first = output(tmp_path / "one", [row("a")])
    diff(first, first, tmp_path / "rows.parquet")
    found = pl.read_parquet(tmp_path / "rows.parquet")
    assert found.is_empty()
    assert found.schema == difference.CHANGES


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("rows.csv", r"a file that ends in \.parquet, not '.*rows\.csv'"),
        ("nowhere/rows.parquet", r"no folder '.*nowhere' to write 'rows\.parquet' into"),
        ("one/kept/rows.parquet", r"lies in an output that is compared"),
    ],
)
def test_rows_are_not_written_where_they_cannot_or_must_not_lie(tmp_path, place, message):
    first = output(tmp_path / "one", [row("a")])
    with pytest.raises(InputError, match=message):
        diff(first, first, tmp_path / place)
    assert not (tmp_path / place).exists()


# What is no output


def test_names_of_files_cannot_steer_the_terminal(tmp_path, capsys):
    first = output(tmp_path / "one", [row("a", path=HOSTILE, language=HOSTILE)])
    second = output(tmp_path / "two", [row("a", HOSTILE, path=HOSTILE, language=HOSTILE)])
    diff(first, second)
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "␊---␊␛[31m" in out
    assert "\n---" not in out


@pytest.mark.parametrize("missing", ["report.json", "kept", "removed"])
def test_a_folder_that_is_no_complete_output_is_an_error(tmp_path, missing):
    first, second = output(tmp_path / "one", [row("a")]), output(tmp_path / "two", [row("a")])
    (second / missing).rename(tmp_path / "elsewhere")
    for pair in ((first, second), (second, first), (first, tmp_path / "nowhere")):
        with pytest.raises(InputError, match=r"is not the output of a complete run of opencoder clean"):
            compare(*pair)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"funnel": []}', '{"funnel": 3}', '{"funnel": [7]}', "\x00"])
def test_a_report_that_is_not_ours_is_an_error(tmp_path, text):
    first = output(tmp_path / "one", [row("a")])
    (first / "report.json").write_text(text)
    with pytest.raises(InputError, match=r"report\.json of .*one' is not one of opencoder clean, or was damaged"):
        compare(first, first)


@pytest.mark.parametrize("name", ["kept", "removed"])
def test_an_output_with_a_lost_part_is_an_error_and_no_change(tmp_path, name):
    rows = [row("a"), row("b"), row("c", "exact.duplicate"), row("d", "exact.duplicate")]
    whole, damaged = output(tmp_path / "one", rows, parts=2), output(tmp_path / "two", rows, parts=2)
    (damaged / name / "000001-000.parquet").unlink()
    with pytest.raises(InputError, match=rf"two' was damaged: it {name} 2 files, and {name}/ holds 1\. Make it again"):
        compare(whole, damaged)


@pytest.mark.parametrize("place", ["kept/000000-000.parquet", "removed/000000-000.parquet", "transforms.parquet"])
@pytest.mark.parametrize("damage", ["cut", "overwritten"])
def test_a_damaged_file_is_an_error_that_names_it(tmp_path, place, damage):
    rows = [row(str(at), None if at % 2 else "exact.duplicate", module(f"w{at}")) for at in range(20)]
    edits = [(f"id-{at}", "copyright", "notice", at, 9) for at in range(20)]
    first = output(tmp_path / "one", rows, edits=edits)
    other = [one | ({"text": "z"} if one["removed_by"] is None else {}) for one in rows]
    second = output(tmp_path / "two", other, edits=edits)
    data = (second / place).read_bytes()
    (second / place).write_bytes(data[: len(data) // 2] if damage == "cut" else data[:4] + b"\xff" * 300 + data[304:])
    with pytest.raises(InputError, match=rf"two/{place}' cannot be read .*: it was damaged"):
        compare(first, second)


def test_a_table_without_a_column_is_an_error_that_names_it(tmp_path):
    first = output(tmp_path / "one", [row("a")])
    pl.read_parquet(first / "kept" / "000000-000.parquet").drop("text").write_parquet(
        first / "kept" / "000000-000.parquet"
    )
    with pytest.raises(InputError, match=r"000000-000\.parquet' has no column 'text'"):
        compare(first, first)
