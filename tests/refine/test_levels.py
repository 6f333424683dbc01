"""Levels of deduplication: repositories as unions and as strings, chunks that lose no byte, and the table of both."""

import itertools
import math
import re
from datetime import datetime

import datasketch
import numpy as np
import polars as pl
import pytest
from compared_texts import files_of, words
from hypothesis import given, settings
from hypothesis import strategies as st
from stage_contract import assert_stage_contract, file_frames

from opencoder_lib.errors import ConfigError, SchemaError
from opencoder_lib.files import new_files, remaining
from opencoder_lib.paper import fact
from opencoder_lib.refine.levels import (
    PAPER_NAMES,
    REPOSITORY,
    add_forks,
    compare_levels,
    compare_levels_on_forks,
    count_tokens,
    drop_near_duplicate_repositories,
    join_repositories,
    make_chunks,
    rank_levels,
    repository_signatures,
    token_ends,
    with_reported,
)
from opencoder_lib.refine.minhash import MinHash, signatures
from opencoder_lib.refine.minhash_numpy import shingle_hash
from opencoder_lib.shingles import jaccard, shingles

SMALL = MinHash(num_hashes=128, bands=16, rows=8)
OLD, NEW = datetime(2015, 1, 1), datetime(2023, 11, 1)
BOTH = pytest.mark.parametrize("joined", [False, True], ids=["union", "joined"])
IN = (None, None, None)


def text_of(seed, count=60):
    return " ".join(words(seed, count))


def judgements(files):
    return files.select("removed_by", "survivor", "measured").rows()


# Repositories as the union of their files


def test_signature_of_a_repository_is_datasketchs_of_the_union_of_its_files_shingles():
    files = files_of(
        {"repo": "two", "text": text_of(3)},
        {"repo": "one", "text": text_of(1)},
        {"repo": "one", "text": text_of(2) + " " + text_of(1)},
        {"repo": None, "text": text_of(4)},
    )
    merged = repository_signatures(files, signatures(files, SMALL), SMALL)
    assert merged["repo"].to_list() == ["one", "two"]
    assert merged["num_shingles"].to_list() == [56 + 116, 56]
    for repo, signature in merged.select("repo", "signature").iter_rows():
        union = set().union(*(shingles(text) for text in files.filter(pl.col("repo") == repo)["text"]))
        sketch = datasketch.MinHash(num_perm=128, seed=1, hashfunc=shingle_hash)
        sketch.update_batch([run.encode().split() for run in union])
        assert (np.array(signature) == sketch.hashvalues).all()


def test_a_file_without_a_signature_is_an_error_and_not_a_smaller_repository():
    files = files_of({"repo": "one", "text": text_of(1)}, {"repo": "one", "text": text_of(2)})
    with pytest.raises(SchemaError, match="lack 1 of 2 files"):
        repository_signatures(files, signatures(files[:1], SMALL), SMALL)


def test_a_removed_file_is_not_part_of_its_repository():
    rows = [{"repo": "one", "text": text_of(1)}, {"repo": "one", "text": text_of(2), "removed_by": "exact.duplicate"}]
    files = files_of(*rows)
    alone = repository_signatures(files[:1], signatures(files[:1], SMALL), SMALL)
    assert repository_signatures(files, signatures(files, SMALL), SMALL).equals(alone)
    assert join_repositories(files)["text"].to_list() == [text_of(1)]


# Whole repositories go


@BOTH
def test_every_file_of_a_repeated_repository_goes_for_the_smallest_id_of_the_one_with_most_stars(joined):
    first, second, third = text_of(1), text_of(2), text_of(3)
    files = files_of(
        {"doc_id": "1", "repo": "fork", "path": "a", "text": first, "stars": 3},
        {"doc_id": "2", "repo": "fork", "path": "b", "text": second, "stars": 3},
        {"doc_id": "4", "repo": "main", "path": "a", "text": first, "stars": 3},
        {"doc_id": "3", "repo": "main", "path": "b", "text": second, "stars": 40},
        {"doc_id": "5", "repo": "other", "path": "a", "text": third, "stars": 3},
        {"doc_id": "6", "repo": None, "path": "a", "text": first, "stars": 3},
    )
    after = drop_near_duplicate_repositories(files, SMALL, joined=joined)
    gone = (REPOSITORY, "3", 1.0)
    assert judgements(after) == [gone, gone, IN, IN, IN, IN]


@BOTH
@pytest.mark.parametrize(
    ("left", "right", "stays"),
    [
        ({"stars": 5, "committed_at": OLD}, {"stars": 4, "committed_at": NEW}, "left"),
        ({"stars": 5, "committed_at": OLD}, {"stars": 5, "committed_at": NEW}, "right"),
        ({"stars": None, "committed_at": NEW}, {"stars": 0, "committed_at": OLD}, "right"),
        ({"stars": 5, "committed_at": OLD}, {"stars": 5, "committed_at": OLD}, "left"),
    ],
    ids=["stars", "commit", "known", "name"],
)
def test_repository_that_stays_has_most_stars_then_newest_commit_then_smallest_name(left, right, stays, joined):
    text = text_of(1)
    files = files_of({"repo": "left", "text": text} | left, {"repo": "right", "text": text} | right)
    after = drop_near_duplicate_repositories(files, SMALL, joined=joined)
    assert remaining(after)["repo"].to_list() == [stays]


def test_measured_is_the_jaccard_similarity_of_the_unions_or_of_the_joined_strings():
    first, second = text_of(1, 104), text_of(2, 104)  # 100 shingles each.
    files = files_of(
        {"doc_id": "a", "repo": "one", "path": "1", "text": first},
        {"doc_id": "b", "repo": "one", "path": "2", "text": second},
        {"doc_id": "c", "repo": "two", "path": "2", "text": second},
        {"doc_id": "d", "repo": "two", "path": "3", "text": first},
        {"doc_id": "e", "repo": "two", "path": "4", "text": text_of(3, 9)},  # 5 shingles.
    )
    sensitive = MinHash(num_hashes=128, bands=64, rows=2)
    union = drop_near_duplicate_repositories(files, sensitive)
    assert judgements(union)[3] == (REPOSITORY, "a", 200 / 205)
    # Joined in the order of their paths, each border adds four shingles: first|second in one, and in the other
    # second|first and first|third, none of them in both.
    joined = drop_near_duplicate_repositories(files, sensitive, joined=True)
    assert judgements(joined)[3] == (REPOSITORY, "a", 200 / (205 + 4 + 8))
    strings = [shingles(text) for text in join_repositories(files)["text"]]
    assert jaccard(*strings) == 200 / 217


def test_a_shingle_in_two_files_of_a_repository_counts_once_in_the_union():
    files = files_of(
        {"doc_id": "a", "repo": "one", "text": text_of(1, 104)},  # 100 shingles.
        {"doc_id": "b", "repo": "one", "text": text_of(1, 104) + "\n"},
        {"doc_id": "c", "repo": "two", "text": text_of(1, 104)},
        {"doc_id": "d", "repo": "two", "text": text_of(2, 9)},  # 5 shingles.
    )
    after = drop_near_duplicate_repositories(files, MinHash(num_hashes=128, bands=64, rows=2))
    assert judgements(after) == [IN, IN, (REPOSITORY, "a", 100 / 105), (REPOSITORY, "a", 100 / 105)]


def test_repositories_that_share_files_but_not_enough_stay_whole():
    shared = text_of(1)
    files = files_of(
        {"repo": "one", "text": shared},
        {"repo": "two", "text": shared},
        {"repo": "two", "text": text_of(2)},
    )
    assert drop_near_duplicate_repositories(files)["removed_by"].to_list() == [None] * 3


def test_repositories_without_a_shingle_or_with_too_few_resemble_nothing():
    files = files_of(
        {"repo": "one", "text": "+"}, {"repo": "two", "text": ""}, *({"repo": name, "text": "a b"} for name in "xy")
    )
    assert remaining(drop_near_duplicate_repositories(files, SMALL))["repo"].to_list() == ["one", "two", "x"]
    least = MinHash(num_hashes=128, bands=16, rows=8, min_shingles=2)
    for joined in (False, True):
        assert drop_near_duplicate_repositories(files, least, joined=joined)["removed_by"].null_count() == 4


def test_signatures_made_before_give_the_same_answer_and_unknown_columns_are_refused():
    files = files_of(*({"repo": repo, "text": text_of(at % 3), "stars": at} for at, repo in enumerate("aabbccdd")))
    signed = signatures(files, SMALL)
    assert drop_near_duplicate_repositories(files, SMALL, signed).equals(drop_near_duplicate_repositories(files, SMALL))
    with pytest.raises(ConfigError, match="Did you mean stars"):
        drop_near_duplicate_repositories(files, SMALL, keep=["star"])


@BOTH
@given(files=file_frames())
@settings(max_examples=30, deadline=None)
def test_dropping_repositories_keeps_the_stage_contract(joined, files):
    assert_stage_contract(lambda frame: drop_near_duplicate_repositories(frame, SMALL, joined=joined), files)


# Tokens and chunks


def test_a_token_is_a_run_of_letters_digits_and_underscore_or_another_character():
    text = "a_1 = é(中文)\n"  # a_1 | = | é | ( | 中 | 文 | )
    data = np.frombuffer(text.encode(), np.uint8)
    assert [text.encode()[:end].decode() for end in token_ends(data)] == [
        "a_1",
        "a_1 =",
        "a_1 = é",
        "a_1 = é(",
        "a_1 = é(中",
        "a_1 = é(中文",
        "a_1 = é(中文)",
    ]
    assert count_tokens([text, "", " \n", "x"]).to_list() == [7, 0, 0, 1]


TEXT = st.text(alphabet="ab_9 \n\t\r(é中\U0001f40d\xa0", max_size=40)


@given(text=TEXT)
def test_tokens_are_those_of_the_regular_expression(text):
    expected = [len(text[: found.end()].encode()) for found in re.finditer(r"[A-Za-z0-9_]+|[^\t\n\v\f\r ]", text)]
    assert token_ends(np.frombuffer(text.encode(), np.uint8)).tolist() == expected


@given(texts=st.lists(TEXT, max_size=4), num_tokens=st.integers(1, 7), seed=st.integers(0, 3))
@settings(deadline=None)
def test_chunks_joined_are_the_texts_in_some_order_with_a_line_end_behind_each(texts, num_tokens, seed):
    files = files_of(*({"text": text} for text in texts)) if texts else files_of({"text": ""}).clear()
    chunks = make_chunks(files, num_tokens, seed)
    ended = [text + "\n" for text in texts]
    assert "".join(chunks["text"]) in {"".join(order) for order in itertools.permutations(ended)}
    counts = count_tokens(chunks["text"]).to_list()
    assert chunks["num_tokens"].to_list() == counts
    assert all(count == num_tokens for count in counts[:-1])
    assert sum(counts) == count_tokens(texts).sum()


def test_chunks_by_hand():
    files = files_of({"text": "  a b(c) "})  # a | b | ( | c | )
    assert make_chunks(files, 2)["text"].to_list() == ["  a b", "(c", ") \n"]
    assert make_chunks(files, 5)["text"].to_list() == ["  a b(c) \n"]
    assert make_chunks(files_of({"text": "\t"}), 5).select("text", "num_tokens").rows() == [("\t\n", 0)]
    with pytest.raises(ConfigError, match="at least one token, num_tokens is 0"):
        make_chunks(files, 0)


def test_order_of_the_files_in_chunks_depends_on_ids_and_seed_alone():
    files = files_of(*({"doc_id": f"id{at}", "text": text_of(at, 9)} for at in range(20)))
    chunks = make_chunks(files, 10, seed=1)
    assert make_chunks(files.reverse(), 10, seed=1).equals(chunks)
    assert not make_chunks(files, 10, seed=2)["text"].equals(chunks["text"])
    assert chunks["text"][0] != text_of(0, 9) + " " + text_of(1, 1), "the files are in the order of their ids"


def test_removed_files_are_in_no_chunk():
    files = files_of({"text": "a b"}, {"text": "c d", "removed_by": "exact.duplicate"})
    assert make_chunks(files, 10)["text"].to_list() == ["a b\n"]


# The comparison


def test_levels_by_hand():
    # Twelve files of 60 tokens: the fork repeats a whole repository, the copy two of three files, and nobody has the
    # rest. Four unlike files are left in `alone`.
    first, second, third = text_of(1), text_of(2), text_of(3)
    held = {
        "main": [first, second],
        "fork": [first, second],
        "copy": [first, second, text_of(4)],
        "alone": [third, text_of(5), text_of(6), text_of(7)],
    }
    rows = [
        {"repo": repo, "path": f"{at}.py", "text": text}
        for repo, texts in held.items()
        for at, text in enumerate(texts)
    ]
    files = files_of(*rows, {"repo": None, "path": "x.py", "text": text_of(8)})
    compared = compare_levels(files, MinHash(), num_tokens=60)
    found = {row["level"]: row for row in compared.iter_rows(named=True)}
    assert compared["level"].to_list() == [
        "file",
        "repository",
        "repository (union)",
        "chunk",
        "file + chunk",
        "repository + chunk",
    ]
    assert list(found["file"].values())[1:] == pytest.approx([12, 8, 8 / 12, 480, 480 / 720])
    # `fork` goes for `main`; the file without a repository stays.
    for level in ("repository", "repository (union)"):
        assert list(found[level].values())[1:] == pytest.approx([4, 3, 3 / 4, 600, 600 / 720])
    # Files and chunks have the same length, so each chunk is a file and chunk level repeats file level.
    assert list(found["chunk"].values())[1:] == pytest.approx([12, 8, 8 / 12, 480, 480 / 720])
    assert list(found["file + chunk"].values())[1:] == pytest.approx([12, 8, 8 / 12, 480, 480 / 720])
    assert list(found["repository + chunk"].values())[1:] == pytest.approx([12, 8, 8 / 12, 480, 480 / 720])


def test_file_level_begins_with_exact_copies_even_of_files_without_a_shingle():
    files = files_of({"text": "+"}, {"text": "+"}, {"text": "-"})
    assert compare_levels(files, SMALL, num_tokens=1)[0].row(0) == ("file", 3, 2, 2 / 3, 2, 2 / 3)


def test_an_empty_corpus_has_levels_with_nothing():
    compared = compare_levels(files_of({"text": ""}).clear(), SMALL)
    assert compared["total_rows"].to_list() == [0] * 6
    assert compared["frac_tokens"].to_list() == [0] * 6


def test_ranking_tells_ties_from_order_and_leaves_out_what_the_paper_lacks():
    tokens = {"repository": 5, "file": 3, "chunk": 5, "repository (union)": 1}
    assert rank_levels(tokens) == "file < repository = chunk"


# Forks


def test_a_fork_lacks_a_share_of_files_and_more_where_more_are_missing():
    files = new_files(
        [
            {"repo": f"r{at % 7}", "path": f"{at}.py", "origin": "folder", "text": text_of(at, 6), "stars": 3}
            for at in range(1000)
        ]
    )
    forked = {share: add_forks(files, share, seed=1) for share in (0, 0.1, 0.3, 1)}
    copies = {share: frame[1000:] for share, frame in forked.items()}
    assert forked[0][:1000].equals(files)
    assert copies[0].height == 1000
    assert copies[1].height == 0
    # Four standard deviations of a binomial.
    assert abs(copies[0.1].height - 900) < 4 * math.sqrt(1000 * 0.1 * 0.9)
    assert set(copies[0.3]["doc_id"]) < set(copies[0.1]["doc_id"]) < set(copies[0]["doc_id"])
    assert copies[0].select("repo", "stars", "origin", "text").row(0) == ("r0 (fork)", None, "planted", text_of(0, 6))
    assert forked[0]["doc_id"].n_unique() == 2000


def test_a_file_without_a_repository_has_no_fork():
    assert add_forks(files_of({"text": "a"}, {"repo": "r", "text": "b"}), 0)["repo"].to_list() == [
        None,
        "r",
        "r (fork)",
    ]


def test_whole_forks_go_at_file_and_repository_level_and_smaller_ones_at_file_level_only():
    files = files_of(*({"repo": "r", "path": f"{at}", "text": text_of(at)} for at in range(30)))
    compared = compare_levels_on_forks(files, [0, 0.5], MinHash(), num_tokens=100, seed=1)
    left = {(row["frac_missing"], row["level"]): row["times_tokens"] for row in compared.iter_rows(named=True)}
    assert [left[share, "file"] for share in (0, 0.5)] == [1, 1]
    assert left[0, "repository"] == 1
    kept = add_forks(files, 0.5, seed=1).height / 30
    assert left[0.5, "repository"] == pytest.approx(kept)
    assert 1.2 < kept < 1.8


# Beside the paper


def test_shares_of_the_paper_are_computed_from_its_printed_counts():
    files = files_of({"repo": "r", "text": text_of(1)})
    reported = with_reported(compare_levels(files, SMALL, num_tokens=10))
    names = reported.select("level", "frac_rows_in_paper", "frac_tokens_in_paper")
    found = {level: (rows, tokens) for level, rows, tokens in names.iter_rows()}
    assert found["file"] == pytest.approx((30_488_834 / 485_817_123, 32.74 / 1364))
    assert found["repository"] == pytest.approx((7_480_488 / 11_037_352, 99.47 / 1364))
    assert found["chunk"] == pytest.approx((79_272_460 / 333_007_812, 324.7 / 1364))
    assert found["repository (union)"] == (None, None)


def test_what_is_derived_from_the_papers_tables_follows_from_them():
    printed = {name: fact(f"dedup_level.{name}_tokens").value for name in PAPER_NAMES.values()}
    assert (
        rank_levels({level: printed[name] for level, name in PAPER_NAMES.items()}) == fact("dedup_level.ranking").value
    )
    raw = fact("dedup_level.raw_tokens").value
    assert fact("dedup_level.file_share").value == pytest.approx(printed["file"] / raw, abs=5e-5)
    assert fact("dedup_level.repository_share").value == pytest.approx(printed["repository"] / raw, abs=5e-5)


def test_chunks_of_table_13_are_rounded_tokens_over_4096():
    tokens = {
        "chunk_total": 1364.00,
        "chunk_rows": fact("dedup_level.chunk_tokens").value,
        "repository_chunk_rows": fact("dedup_level.repository_chunk_tokens").value,
        "file_chunk_rows": fact("dedup_level.file_chunk_implied").value,
    }
    each = fact("dedup_level.chunk_tokens_each").value
    for name, billions in tokens.items():
        assert fact(f"dedup_level.{name}").value == math.floor(round(billions * 1e9) / each)
    printed = fact("dedup_level.file_chunk_tokens").value
    assert fact("dedup_level.file_chunk_rows").value != math.floor(round(printed * 1e9) / each)
