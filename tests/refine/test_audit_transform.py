"""What the transforms are said to have done: shares, cuts, proofs and rates, each against counts made by hand."""

import polars as pl

from opencoder_lib.corpora.sensitive import plant_sensitive
from opencoder_lib.files import CATEGORIES, new_files
from opencoder_lib.refine import audit_transform as audit
from opencoder_lib.refine.copyright import find_notices
from opencoder_lib.refine.edits import SPANS, apply
from opencoder_lib.refine.pii import find_personal_data

NOTICE = "# Copyright 2019 Lamp Works\n"
MIXED = "# Counts lamps.\n#\n# Copyright 2019 Lamp Works\n#\n# The counting is slow.\n"


def files(*texts, language="python", origin="folder", **more):
    rows = [
        {"path": f"{at}.py", "text": text, "language": language, "category": "code", "origin": origin} | more
        for at, text in enumerate(texts)
    ]
    return new_files(rows)


def spans(*rows):
    return pl.DataFrame(rows, schema=SPANS, orient="row")


def cut(before):
    found = find_notices(before)
    return found, *apply(before, found, "copyright")


# ---- notices ----


def test_the_share_of_files_with_a_notice_counts_real_code_that_is_still_in():
    shown = [files(NOTICE + "a = 1\n", "b = 2\n", "c = 3\n"), files(NOTICE + "x = 1\n", language="go")]
    others = [
        files(NOTICE + "d = 4\n", origin="planted"),
        files(NOTICE + "e = 5\n", repo="r", removed_by="exact.duplicate"),
        files(NOTICE + "f: 6\n", repo="s", language="yaml").with_columns(category=pl.lit("data", pl.Enum(CATEGORIES))),
    ]
    before = pl.concat(
        [frame.with_columns(doc_id=pl.format("{}-{}", pl.lit(k), "doc_id")) for k, frame in enumerate(shown + others)]
    )
    edits = pl.DataFrame({"doc_id": before["doc_id"], "n": 1, "bytes_cut": 28}).filter(
        before["text"].str.starts_with("# Copyright")
    )
    rows = audit.notices_by_language(before, edits).select("language", "files", "with_notice", "cut_in_kB").rows()
    assert rows == [(audit.ALL, 4, 2, 0.056), ("python", 3, 1, 0.028), ("go", 1, 1, 0.028)]


def test_notices_with_the_same_line_are_counted_together_and_addresses_in_it_are_replaced():
    by = "# Copyright 2019 Mira Holt <mira.holt@lamp-works.de>\n"
    before = files(by + "a = 1\n", "#!/bin/sh\n" + by + "# Licensed under MIT.\nb = 2\n", NOTICE + "c = 3\n", repo="r")
    found = find_notices(before)
    rows = audit.frequent_notices(before, found)
    assert rows["notice"].to_list() == ["Copyright 2019 Mira Holt <<email>>", "Copyright 2019 Lamp Works"]
    assert rows.select("files", "repos", "wordings").rows() == [(2, 1, 2), (1, 1, 1)]


def test_the_longest_notices_are_one_a_repository():
    long = NOTICE + "# Licensed under the MIT License, which is somewhere else.\n"
    before = pl.concat(
        [files(NOTICE + "a = 1\n", long + "b = 2\n", repo="big"), files(NOTICE + "c = 3\n", repo="small")]
    )
    rows = audit.longest_notices(before, find_notices(before)).select("repo", "size_in_B").rows()
    assert rows == [("big", len(long)), ("small", len(NOTICE))]


def test_a_cut_in_part_says_how_much_of_the_comment_stays():
    before = files(NOTICE + "a = 1\n", MIXED + "b = 2\n")
    found, after, _ = cut(before)
    whole, part = audit.extent_of_cuts(before, found).rows(named=True)
    assert (whole["cut"], whole["files"], whole["left_in_kB"]) == (audit.WHOLE, 1, 0)
    assert (part["cut"], part["files"]) == (audit.PART, 1)
    left = after["text"][1].removesuffix("b = 2\n")
    assert "The counting is slow." in left
    assert part["left_in_kB"] == len(left) / 1000


def test_two_cuts_in_one_comment_leave_its_rest_once():
    text = (
        "# A.\n#\n# Copyright 2019 Lamp Works\n#\n# B, which is long.\n#\n# Copyright 2020 Fog Works\n#\n# C.\nx = 1\n"
    )
    before = files(text)
    found, after, _ = cut(before)
    assert found.height == 2
    part = audit.extent_of_cuts(before, found).row(1, named=True)
    assert (part["files"], part["spans"]) == (1, 2)
    assert part["left_in_kB"] == len(after["text"][0].removesuffix("x = 1\n")) / 1000


def test_shown_files_are_quotable_free_of_addresses_and_one_a_language():
    notice = MIXED.replace("Works\n", "Works, which makes lamps, fog, and everything that is needed for lamps in fog\n")
    before = pl.concat([
        files(notice + "a = 1\n", repo="free", license="MIT"),
        files(notice + "b = 1\n", repo="closed", license="GPL-3.0-only"),
        files(notice + 'c = "mira.holt@lamp-works.de"\n', repo="personal", license="MIT"),
    ])  # fmt: skip
    found, after, _ = cut(before)
    shown = audit.before_and_after(before, after, found)
    assert shown["repo"].to_list() == ["free"]
    assert shown["cut"].to_list() == [audit.PART]
    assert "Copyright" not in shown["new_text"][0]


# ---- proofs ----


def test_bytes_outside_the_cuts_are_told_from_bytes_that_were_lost():
    before = files("añb\n", "cd\n")
    places = spans((before["doc_id"][0], 1, 3, "n", "x"), (before["doc_id"][1], 0, 1, "", "x"))
    after = apply(before, places, "x").files
    assert after["text"].to_list() == ["anb\n", "d\n"]
    assert audit.bytes_outside(before, after, places).row(0)[1:] == (2, 2)
    worse = after.with_columns(text=pl.Series(["anb\n", "d"]))
    assert audit.bytes_outside(before, worse, places).row(0)[1:] == (2, 1)


def test_a_lost_line_of_python_is_noticed_and_a_lost_comment_is_not():
    before = files("# one\nx = 1\n", "# two\ny = 2\n", "z = (\n")
    after = before.with_columns(text=pl.Series(["x = 1\n", "# two\n", "z = (("]))
    tree, code = audit.same_programs(before, after, before["doc_id"]).rows()
    assert tree[1:] == (2, 1)
    assert code[1:] == (0, 0)


def test_values_of_constants_may_change_and_nothing_else_may():
    before = files('x = "mira@lamp-works.de"\n', 'y = "a"\n')
    after = before.with_columns(text=pl.Series(['x = "<email>"\n', "y = a\n"]))
    rows = audit.same_programs(before, after, before["doc_id"], constants=False).rows()
    assert [row[1:] for row in rows] == [(2, 1)]


def test_python_that_parses_no_more_counts_as_changed():
    before = files("x = 1\n", "y = 2\n")
    after = before.with_columns(text=pl.Series(["x = (", "y = 2\n"]))
    assert audit.same_programs(before, after, before["doc_id"]).row(0)[1:] == (2, 1)


def test_at_most_so_many_python_files_are_parsed_whatever_their_order():
    before = files(*[f"x = {at}\n" for at in range(30)])
    after = before.with_columns(text=pl.when(pl.int_range(pl.len()) < 15).then(pl.lit("x = (")).otherwise("text"))
    rows = [audit.same_programs(frame, after, frame["doc_id"], most=7).row(0)[1:] for frame in (before, before[::-1])]
    assert rows[0] == rows[1]
    assert rows[0][0] == 7
    assert 0 < rows[0][1] < 7


def test_other_programs_are_compared_by_their_code_between_comments():
    before = files("/* a */ int x;\n", "// b\nint y;\n", language="c")
    after = before.with_columns(text=pl.Series([" int x;\n", "// b\nint z;\n"]))
    assert audit.same_programs(before, after, before["doc_id"]).row(1)[1:] == (2, 1)


# ---- personal data ----


def test_every_match_of_a_pattern_was_replaced_or_refused_by_a_named_check():
    before = files('a = "mira.holt@lamp-works.de"\nb = "alice@example.com"\n', 'host = "127.0.0.1"\n')
    rows = audit.outcomes(before, find_personal_data(before)).select("kind", "check", "places", "files").rows()
    assert sorted(rows, key=str) == sorted(
        [
            ("email", None, 1, 1),
            ("email", "not_an_example_domain", 1, 1),
            ("ipv4", "public_ipv4", 1, 1),
        ],
        key=str,
    )


def test_places_are_counted_by_language_with_most_first():
    before = pl.concat([
        files("# mira.holt@lamp-works.de\n", "x = 1\n"),
        files("// a.holt@lamp-works.de b.holt@lamp-works.de\n", language="go", repo="r"),
    ])  # fmt: skip
    _, edits = apply(before, find_personal_data(before), "personal_data")
    rows = audit.places_by_language(before, edits).rows()
    assert rows == [("go", 1, 1, 2, 1.0), ("python", 2, 1, 1, 0.5)]


def test_rates_count_planted_values_that_were_not_found_and_finds_that_were_not_planted():
    planted = plant_sensitive(0).head(20)
    found = find_personal_data(planted)
    num_planted = planted["planted_kinds"].list.len().sum()
    assert audit.false_finds(planted, found) == (found.height - num_planted, planted["near_misses"].sum())
    blind = audit.rates(planted, found.filter(pl.col("kind") != "jwt")).filter(pl.col("what") == "planted and found")
    jwt = planted["planted_kinds"].explode().eq("jwt").sum()
    token = blind.row(by_predicate=pl.col("group") == "<token>", named=True)
    assert jwt > 0
    assert token["count"] - token["hits"] == jwt
    assert token["low"] < token["share"] < token["high"]


def test_a_placeholder_is_shown_in_a_line_that_holds_no_value():
    planted = plant_sensitive(1)
    after = apply(planted, find_personal_data(planted), "personal_data").files
    shown = audit.placeholders_in_context(planted, after)
    assert set(shown["placeholder"]) == {
        "<email>",
        "<ip>",
        "<key>",
        "<password>",
        "<private-key>",
        "<secret>",
        "<token>",
    }
    assert all(row["placeholder"] in row["line"] for row in shown.iter_rows(named=True))


def test_near_misses_are_short_lines_of_every_placeholder():
    rows = audit.near_misses(2)
    assert rows.group_by("would_become").len()["len"].max() == 2
    assert rows["stays"].str.len_chars().max() <= 64
    assert not rows["stays"].str.contains("\n").any()


def test_an_empty_corpus_gives_empty_tables():
    before = files("x = 1\n").head(0)
    nothing = spans()
    _, edits = apply(before, nothing, "copyright")
    assert audit.notices_by_language(before, edits).is_empty()
    assert audit.frequent_notices(before, nothing).is_empty()
    assert audit.longest_notices(before, nothing).is_empty()
    assert audit.extent_of_cuts(before, nothing)["files"].to_list() == [0, 0]
    assert audit.before_and_after(before, before, nothing).is_empty()
    assert audit.bytes_outside(before, before, nothing).row(0)[1:] == (0, 0)
    assert audit.outcomes(before, nothing).is_empty()
    assert audit.places_by_language(before, edits).is_empty()
