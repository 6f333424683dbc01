"""Fuzzy deduplication: the groups datasketch finds, the right survivor, exact similarities, the stage contract."""

import datasketch
import polars as pl
import pytest
from compared_texts import NEW, OLD, by_datasketch, files_of, named, near_corpus, words
from hypothesis import given, settings
from hypothesis import strategies as st
from stage_contract import assert_stage_contract, file_frames

from opencoder_lib.corpora import plant_defects
from opencoder_lib.errors import ConfigError, SchemaError
from opencoder_lib.files import funnel, remaining, removed_for, score
from opencoder_lib.refine import exact
from opencoder_lib.refine.detection import planted_pairs
from opencoder_lib.refine.fuzzy import NEAR, SAME, drop_near_duplicates
from opencoder_lib.refine.minhash import MinHash, signatures
from opencoder_lib.shingles import jaccard, shingles

PAPER = MinHash()
SMALL = MinHash(num_hashes=128, bands=16, rows=8)
WIDE = MinHash(num_hashes=128, bands=64, rows=2)


def judgements(files):
    return files.select("removed_by", "survivor", "measured").rows()


IN = (None, None, None)


# What is removed, for whom, and the value that decided


def test_survivor_has_most_stars_then_newest_commit_and_measured_is_exact():
    start = words(5, 2000)
    copies = [" ".join([*start, f"tail{at}"]) for at in range(3)]  # 1,996 shingles in common, one of their own.
    files = files_of(
        {"doc_id": "fewer", "text": copies[0], "stars": 1, "committed_at": NEW},
        {"doc_id": "older", "text": copies[1], "stars": 8, "committed_at": OLD},
        {"doc_id": "kept", "text": copies[2], "stars": 8, "committed_at": NEW},
        {"doc_id": "other", "text": " ".join(words(6, 2000)), "stars": 0},
    )
    assert judgements(drop_near_duplicates(files)) == [
        (NEAR, "kept", 1996 / 1998),
        (NEAR, "kept", 1996 / 1998),
        IN,
        IN,
    ]


def test_columns_that_decide_who_stays_can_be_others():
    files = files_of(
        {"doc_id": "a", "text": "a b c d e", "stars": 9, "committed_at": OLD, "lines": 1},
        {"doc_id": "b", "text": "a b c d\re", "stars": 1, "committed_at": NEW, "lines": 2},
    )
    for keep, survivor in ((("stars",), "a"), (("committed_at", "stars"), "b"), ("lines", "b"), ((), "a")):
        after = drop_near_duplicates(files, keep=keep)
        assert after["survivor"].drop_nulls().to_list() == [survivor]
    with pytest.raises(ConfigError, match="Did you mean stars"):
        drop_near_duplicates(files, keep=("star",))


def test_files_that_differ_in_layout_only_have_a_reason_of_their_own_and_similarity_one():
    files = named(a="def f(a):\n  return a + 1", b="def f( a ):\r  return a+1", c="def f(a):\n  return a + 2")
    assert judgements(drop_near_duplicates(files)) == [IN, (SAME, "a", 1.0), IN]


@pytest.mark.parametrize(
    ("stars", "expected"),
    [
        # b has the shingles of a, and c all but one of them: 46 in common, 48 in all.
        ({"a": 9}, [IN, (SAME, "a", 1.0), (NEAR, "a", 46 / 48)]),
        ({"b": 9}, [(SAME, "b", 1.0), IN, (NEAR, "b", 46 / 48)]),
        ({"c": 9}, [(NEAR, "c", 46 / 48), (NEAR, "c", 46 / 48), IN]),
    ],
    ids=["a stays", "b stays", "c stays"],
)
def test_one_file_of_a_set_speaks_for_all_of_them_whoever_stays(stars, expected):
    text = words(5, 50)
    texts = {"a": " ".join([*text, "end"]), "b": "\n".join([*text, "end"]), "c": " ".join([*text, "END"])}
    files = files_of(*({"doc_id": name, "text": text, "stars": stars.get(name)} for name, text in texts.items()))
    assert judgements(drop_near_duplicates(files, SMALL)) == expected


def test_files_without_tokens_are_never_near_duplicates():
    after = drop_near_duplicates(files_of(*({"text": text} for text in ("", "()", "中文", "текст", "\n", ""))))
    assert after["removed_by"].null_count() == 6


def test_one_changed_word_in_a_short_file_escapes_and_in_a_long_file_does_not():
    short, long = words(7, 60), words(8, 6000)
    pairs = [" ".join([*text[:at], f"new{at}", *text[at + 1 :]]) for text in (short, long) for at in (30, 31)]
    after = drop_near_duplicates(files_of(*({"text": text} for text in pairs)))
    assert after["removed_by"].is_not_null().sum() == 1
    assert after["removed_by"].to_list()[:2] == [None, None]


def test_a_chain_joins_files_whose_measured_similarity_is_low():
    text = words(9, 400)
    steps = [text]
    for at in range(1, 12):
        steps.append([*steps[-1][:-1][1:], f"step{at}", f"more{at}"])
    texts = [" ".join(step) for step in steps]
    after = drop_near_duplicates(
        files_of(*({"text": text, "doc_id": f"{at:02d}"} for at, text in enumerate(texts))),
        MinHash(num_hashes=2048, bands=256, rows=8),
    )
    gone = after.filter(pl.col("removed_by") == NEAR)
    assert gone["survivor"].unique().to_list() == ["00"]
    expected = [jaccard(shingles(texts[0]), shingles(text)) for text in texts[1:]]
    assert gone["measured"].to_list() == expected
    assert expected[-1] < 0.96 < expected[0]


def test_planted_near_duplicates_are_caught_as_often_as_the_formula_says():
    planted = plant_defects().filter(pl.col("repo") == "planted/fuzzy.near_duplicate")
    after = drop_near_duplicates(planted)
    pairs = planted_pairs(after, PAPER)
    spread = (pairs["expected"] * (1 - pairs["expected"])).sum() ** 0.5
    assert abs(pairs["caught"].sum() - pairs["expected"].sum()) < 3 * spread
    gone = after.filter(removed_for("fuzzy"))
    assert gone.height > 0
    assert gone["survivor"].to_list() == gone["planted_source"].to_list()
    # Who planted them counted the shingles of both texts; this stage hashed them.
    assert gone["measured"].to_list() == gone["planted_jaccard"].to_list()
    assert score(after, "fuzzy")["precision"] == 1.0


def test_both_reasons_are_one_stage_in_the_funnel_and_the_score():
    text = words(1, 300)
    texts = [" ".join(text), "\n".join(text), " ".join([*text[:-1], "x"])]
    rows = [{"text": text, "doc_id": str(at), "stars": -at} for at, text in enumerate(texts)]
    after = drop_near_duplicates(files_of(*rows), SMALL)
    assert after["removed_by"].to_list() == [None, SAME, NEAR]
    assert funnel(after, ["fuzzy"]).row(0)[:4] == ("fuzzy", 3, 2, 1)
    truth = [{"truth": "clean"}, {"truth": "fuzzy.near_duplicate"}, {"truth": "fuzzy.near_duplicate"}]
    scored = files_of(*(row | about | {"origin": "planted"} for row, about in zip(rows, truth, strict=True)))
    assert score(drop_near_duplicates(scored, SMALL), "fuzzy")["recall"] == 1.0


# What a shingle is, is a setting


def test_files_with_fewer_shingles_than_asked_for_are_never_near_duplicates():
    files = named(a2="a b c d e f", b2="a b c d e\nf", a3="t u v w x y z", b3="t u v w x y\nz")
    for least, gone in ((1, [None, SAME, None, SAME]), (2, [None, SAME, None, SAME]), (3, [None, None, None, SAME])):
        minhash = MinHash(num_hashes=128, bands=16, rows=8, min_shingles=least)
        after = drop_near_duplicates(files, minhash)
        assert after["removed_by"].to_list() == gone
        assert drop_near_duplicates(files, minhash, signatures(files, SMALL)).equals(after)
    none_left = MinHash(num_hashes=128, bands=16, rows=8, min_shingles=4)
    assert drop_near_duplicates(files, none_left).equals(files)


@pytest.mark.parametrize(
    ("setting", "gone"),
    [
        ({"unit": "word"}, ["layout", "marks", "script"]),
        ({"unit": "word", "fold_case": True}, ["case", "layout", "marks", "script"]),
        ({"unit": "any_script"}, ["layout", "marks"]),
        ({"unit": "space"}, ["layout"]),
        ({"unit": "space", "fold_case": True}, ["case", "layout"]),
        ({"unit": "character"}, []),
        ({"unit": "character", "fold_case": True}, ["case"]),
    ],
    ids=str,
)
@pytest.mark.parametrize("shingle_hash", ["fast", "sha1"])
def test_unit_and_case_say_which_differences_count(setting, gone, shingle_hash):
    # As "a" it survives all of them; the words are so few that any difference that counts tells them apart.
    files = named(
        a="one (two) three four five six",
        case="one (TWO) three four five six",
        layout="one  (two) three\tfour\r\nfive six",
        marks="one [two] three four five six",
        script="one (two) three four five 中 six",
    )
    after = drop_near_duplicates(files, MinHash(shingle_hash=shingle_hash, **setting))
    removed = after.filter(removed_for("fuzzy"))
    assert removed["doc_id"].to_list() == gone
    assert set(removed["survivor"]) <= {"a"}
    assert set(removed["removed_by"]) <= {SAME}


# The stage contract, datasketch's partition, and the formula


def partition_by_datasketch(files, minhash):
    """Groups found by datasketch used directly: insert everything, ask for each file, follow the answers."""
    index = datasketch.MinHashLSH(num_perm=minhash.num_hashes, params=(minhash.bands, minhash.rows))
    sketches = {}
    for doc_id, text in files.select("doc_id", "text").iter_rows():
        sketches[doc_id] = by_datasketch(text, minhash)
        index.insert(doc_id, sketches[doc_id])
    groups, seen = [], set()
    for start in sketches:
        if start not in seen:
            group, todo = {start}, [start]
            while todo:
                todo.extend(new := set(index.query(sketches[todo.pop()])) - group)
                group |= new
            seen |= group
            groups.append(sorted(group))
    return sorted(groups)


@pytest.mark.parametrize("split", [(128, 16, 8), (128, 64, 2), (2048, 16, 128), (2048, 128, 16)], ids=str)
@pytest.mark.parametrize("shingle_hash", ["fast", "sha1"])
def test_partition_equals_datasketch_used_directly(split, shingle_hash):
    num_hashes, bands, rows = split
    minhash = MinHash(num_hashes=num_hashes, bands=bands, rows=rows, shingle_hash=shingle_hash)
    files = remaining(exact.drop_exact_duplicates(near_corpus(longest=40 + num_hashes)))
    after = drop_near_duplicates(files, minhash)
    ours = after.with_columns(group=pl.coalesce("survivor", "doc_id")).group_by("group").agg("doc_id")["doc_id"]
    groups = sorted(sorted(group) for group in ours)
    assert groups == partition_by_datasketch(files, minhash)
    assert 1 < len(groups) < files.height
    assert set(after["removed_by"]) == {None, NEAR, SAME}


@settings(max_examples=40, deadline=None)
@given(files=file_frames(), verify=st.sampled_from([None, 0.5, 1.0]))
def test_fuzzy_deduplication_keeps_the_stage_contract(files, verify):
    minhash = MinHash(num_hashes=128, bands=16, rows=8, verify=verify)
    assert_stage_contract(lambda frame: drop_near_duplicates(frame, minhash), files)


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 999), minhash=st.sampled_from([SMALL, WIDE]))
def test_the_contract_holds_where_files_are_alike_and_what_is_measured_is_exact(seed, minhash):
    before = exact.drop_exact_duplicates(near_corpus(seed, groups=5))
    after = assert_stage_contract(lambda files: drop_near_duplicates(files, minhash), before)
    gone = after.filter(removed_for("fuzzy"))
    text_of = dict(after.select("doc_id", "text").iter_rows())
    assert set(gone["survivor"]) <= set(remaining(after)["doc_id"])
    for doc_id, reason, survivor, measured in gone.select("doc_id", "removed_by", "survivor", "measured").iter_rows():
        own, kept = shingles(text_of[doc_id]), shingles(text_of[survivor])
        assert measured == jaccard(own, kept)
        assert reason == (SAME if own == kept else NEAR)


# Signatures made before


@pytest.mark.parametrize("shingle_hash", ["fast", "sha1"])
def test_the_same_signatures_serve_another_split_and_another_check(shingle_hash):
    files = near_corpus(4)
    signed = signatures(files, MinHash(num_hashes=128, bands=16, rows=8, shingle_hash=shingle_hash))
    for setting in ({"bands": 64, "rows": 2}, {"bands": 2, "rows": 64, "min_shingles": 50}, {"bands": 8, "rows": 16}):
        for verify in (None, 0.8):
            minhash = MinHash(num_hashes=128, shingle_hash=shingle_hash, verify=verify, **setting)
            direct = drop_near_duplicates(files, minhash)
            assert drop_near_duplicates(files, minhash, signed).equals(direct)
            assert drop_near_duplicates(files, minhash, signed.reverse()).equals(direct)
            assert 0 < direct["removed_by"].is_not_null().sum() < files.height


def test_signatures_of_another_length_or_of_other_files_are_refused():
    files = near_corpus(5, groups=2)
    with pytest.raises(SchemaError, match="have 128 values, the setting says num_hashes=2,048"):
        drop_near_duplicates(files, PAPER, signatures(files, SMALL))
    with pytest.raises(SchemaError, match=r"lack 1 of \d+ files, the first is '0.py'"):
        drop_near_duplicates(files, SMALL, signatures(files[1:], SMALL))


def test_signatures_of_files_that_are_gone_meanwhile_change_nothing():
    rows = [{"text": "a b c d e f", "stars": 9}, {"text": "a b c d e\nf"}]
    files = files_of(rows[0] | {"removed_by": "exact.duplicate"}, rows[1])
    assert drop_near_duplicates(files, SMALL, signatures(files_of(*rows), SMALL)).equals(files)


@pytest.mark.parametrize("verify", [None, 0.8])
def test_a_frame_that_is_empty_or_has_nothing_alike_stays_as_it_is(verify):
    minhash = MinHash(verify=verify)
    nothing = files_of({"text": "a"}).clear()
    assert drop_near_duplicates(nothing, minhash).equals(nothing)
    assert drop_near_duplicates(nothing, minhash, signatures(nothing, minhash)).equals(nothing)
    apart = files_of({"text": "a"}, {"text": "b c d e f g h"}, {"text": ""})
    assert drop_near_duplicates(apart, minhash).equals(apart)
    gone = apart.with_columns(removed_by=pl.lit("exact.duplicate"))
    assert drop_near_duplicates(gone, minhash).equals(gone)
