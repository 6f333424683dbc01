"""Fuzzy deduplication in parts: the same rows from any shards and buckets, boilerplate stays cheap, no compiler."""

import subprocess
import sys
import time
from collections import Counter

import polars as pl
import pytest
from compared_texts import named, near_corpus, words
from hypothesis import given, settings
from hypothesis import strategies as st

from opencoder_lib.files import content_hash, new_files, remaining
from opencoder_lib.refine import exact, fuzzy
from opencoder_lib.refine import minhash as minhash_module
from opencoder_lib.refine.clusters import connected_components
from opencoder_lib.refine.fuzzy import (
    MAX_LEADERS,
    NEAR,
    SAME,
    band_rows,
    candidates,
    decide,
    drop_near_duplicates,
    keys,
    mark,
    same_sets,
    shared_bands,
    star_links,
    verified_links,
)
from opencoder_lib.refine.minhash import MinHash
from opencoder_lib.refine.similarity import shingle_sets

PAPER = MinHash()
SMALL = MinHash(num_hashes=128, bands=16, rows=8)
WIDE = MinHash(num_hashes=128, bands=64, rows=2)


def judgements(files):
    return files.select("removed_by", "survivor", "measured").rows()


IN = (None, None, None)


# Shards and buckets


def parts_of(frame, key, number):
    """The rows as a shuffle by the hash of a column would share them out, in no order in particular."""
    place = pl.col(key).hash(seed=number) % number
    return [frame.filter(place == at).reverse() for at in range(number)]


def in_shards(files, minhash, num_shards, num_buckets, num_threads):
    """The same functions as a cluster runs them: on shards, on buckets of a set or a key, and on whole components."""
    shards = [files[at::num_shards] for at in range(num_shards)]
    known = [keys(shard, minhash, num_threads=num_threads) for shard in shards]
    same = pl.concat([same_sets(bucket) for bucket in parts_of(pl.concat(known), "shingle_set", num_buckets)])
    rows = pl.concat([band_rows(part, same) for part in known])
    shared = pl.concat([shared_bands(bucket) for bucket in parts_of(rows, "key", num_buckets)])
    found = candidates(shared, same)
    alike = [remaining(shard).join(shared, on="doc_id", how="semi") for shard in shards]
    sets = pl.concat([shingle_sets(part, minhash) for part in alike])
    members = pl.concat(known).drop("band_keys").join(found, on="doc_id", how="inner")
    decisions = []
    for part in parts_of(members, "cluster", num_buckets):
        linked = [links.join(part, on="doc_id", how="semi") for links in (shared, same, sets)]
        decisions.append(decide(part, *linked, minhash))
    return pl.concat([mark(shard, pl.concat(decisions)) for shard in shards])


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 999),
    num_shards=st.integers(1, 4),
    num_buckets=st.integers(1, 4),
    num_threads=st.integers(1, 3),
    minhash=st.sampled_from(
        [SMALL, WIDE, MinHash(num_hashes=128, bands=64, rows=2, verify=0.8, min_shingles=5, shingle_hash="sha1")]
    ),
    order=st.randoms(use_true_random=False),
)
def test_any_order_sharding_shuffle_and_number_of_threads_give_the_same_rows(
    seed, num_shards, num_buckets, num_threads, minhash, order
):
    before = exact.drop_exact_duplicates(near_corpus(seed, groups=5))
    after = drop_near_duplicates(before, minhash)
    shuffled = before[order.sample(range(before.height), before.height)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(minhash_module, "BLOCK_BYTES", 300)
        sharded = in_shards(shuffled, minhash, num_shards, num_buckets, num_threads)
    assert content_hash(sharded) == content_hash(after)


def test_links_of_buckets_are_the_links_of_the_whole():
    known = keys(near_corpus(3), WIDE)
    shared = shared_bands(band_rows(known, same_sets(known)))
    buckets = parts_of(shared, "key", 3)
    stars = pl.concat([star_links(bucket) for bucket in buckets]).unique().sort("doc_id", "group")
    assert stars.equals(star_links(shared))
    sets = shingle_sets(near_corpus(3), WIDE)
    verified = pl.concat([verified_links(bucket, sets, 0.7) for bucket in buckets]).unique().sort("doc_id", "group")
    assert verified.equals(verified_links(shared, sets, 0.7))
    assert 0 < verified.height < stars.height


def test_one_file_of_each_set_goes_into_the_bands_and_only_keys_that_repeat_come_back():
    text = words(1, 100)
    files = named(a=" ".join(text), b="\n".join(text), c=" ".join([*text, "x"]), d=" ".join(words(2, 100)))
    known = keys(files, SMALL)
    assert known.columns == ["doc_id", "stars", "committed_at", "num_shingles", "shingle_set", "band_keys"]
    assert known["num_shingles"].to_list() == [96, 96, 97, 96]
    same = same_sets(known)
    assert same.rows() == same_sets(known.reverse()).rows() == [("b", "a")]
    rows = band_rows(known, same)
    assert Counter(rows["doc_id"]) == {"a": 16, "c": 16, "d": 16}
    shared = shared_bands(rows)
    assert set(shared["doc_id"]) == {"a", "c"}
    equal = set(known["band_keys"][0]) & set(known["band_keys"][2])
    assert set(shared["key"]) == equal
    assert star_links(shared).rows() == [("c", "a")]
    assert candidates(shared, same).rows() == [("a", "a"), ("b", "a"), ("c", "a")]


def test_candidates_are_the_pairs_that_agree_in_a_band_and_no_others():
    # 200 pairs of J = 70 / 100, of which 16 bands of 8 rows find 1 - (1 - 0.7^8)^16 = 61 %.
    texts = {}
    for at in range(200):
        text = words(at, 104)
        texts[f"{at:03d} left"], texts[f"{at:03d} right"] = " ".join(text[:89]), " ".join(text[:74] + text[89:])
    known = keys(named(**texts), SMALL)
    bands = known["band_keys"].to_numpy()
    hit = (bands[0::2] == bands[1::2]).any(axis=1)
    found = candidates(shared_bands(band_rows(known, same_sets(known))), same_sets(known))
    expected = [
        (f"{at:03d} {side}", f"{at:03d} left") for at in hit.nonzero()[0].tolist() for side in ("left", "right")
    ]
    assert found.rows() == expected
    # Five standard errors of 200 throws.
    assert abs(hit.sum() - 200 * SMALL.probability(0.7)) < 5 * (200 * 0.61 * 0.39) ** 0.5


def test_decisions_name_reason_survivor_similarity_and_cluster():
    files = named(a="a b c d e f", b="a b c d e\nf", z="z").with_columns(stars=pl.Series([1, 2, 3], dtype=pl.Int32))
    known = keys(files, SMALL)
    same = same_sets(known)
    shared = shared_bands(band_rows(known, same))
    members = known.join(candidates(shared, same), on="doc_id", how="inner")
    found = decide(members, shared, same, shingle_sets(files.clear(), SMALL), SMALL)
    assert found.to_dicts() == [
        {"doc_id": "a", "removed_by": SAME, "survivor": "b", "measured": 1.0, "cluster": "a"},
    ]
    assert mark(files[1:], found).equals(files[1:])


# Boilerplate: what is everywhere costs no more than anything else


def at_once(number, text):
    """A file frame of `number` rows whose text is a Polars expression of `at`, their number."""
    about = {"doc_id": pl.format("id{}", pl.col("at") + 10**6), "path": pl.lit("a"), "origin": pl.lit("folder")}
    return new_files(pl.select(at=pl.int_range(number)).with_columns(text=text, **about).drop("at"))


class Counted:
    """jaccard_of_pairs, with the number of pairs that it was asked for."""

    def __init__(self, monkeypatch):
        self.pairs, self.ask = 0, fuzzy.jaccard_of_pairs
        monkeypatch.setattr(fuzzy, "jaccard_of_pairs", self)

    def __call__(self, sets, one, other):
        found = self.ask(sets, one, other)
        self.pairs += len(found)
        return found


def blanks(width):
    return pl.lit("").str.pad_start(width)


def test_a_hundred_thousand_files_that_differ_in_layout_only_are_so_many_links(monkeypatch):
    started, counted = time.monotonic(), Counted(monkeypatch)
    at = pl.col("at")
    files = at_once(100_000, pl.format("a{}b{}c d e f", blanks(1 + at // 317), blanks(1 + at % 317)))
    assert files["text"].n_unique() == 100_000
    known = keys(files, PAPER)
    same = same_sets(known)
    rows = band_rows(known, same)
    assert (same.height, rows.height, shared_bands(rows).height) == (99_999, 16, 0)
    after = drop_near_duplicates(files)
    assert after["removed_by"].value_counts(sort=True).rows() == [(SAME, 99_999), (None, 1)]
    assert after["survivor"].unique().drop_nulls().to_list() == ["id1000000"]
    assert counted.pairs == 0
    assert time.monotonic() - started < 60


NOTICE = pl.lit(" ".join(f"w{at}" for at in range(160)))


@pytest.mark.parametrize("verify", [None, 0.9])
def test_twenty_thousand_files_that_are_nearly_the_same_are_compared_with_one_of_a_band_only(monkeypatch, verify):
    started, counted = time.monotonic(), Counted(monkeypatch)
    minhash = MinHash(num_hashes=128, bands=16, rows=8, verify=verify)
    files = at_once(20_000, pl.format("{} by{}", NOTICE, "at"))  # 156 shingles in common and one of their own
    known = keys(files, minhash)
    shared = shared_bands(band_rows(known, same_sets(known)))
    assert shared.height <= 16 * 20_000
    assert star_links(shared).height < shared.height
    after = drop_near_duplicates(files, minhash)
    assert after["removed_by"].value_counts(sort=True).rows() == [(NEAR, 19_999), (None, 1)]
    assert after["measured"].drop_nulls().unique().to_list() == [156 / 158]
    # One question for what is reported, and one for each link that is verified.
    assert 19_999 <= counted.pairs <= 19_999 + shared.height
    assert time.monotonic() - started < 60


def test_files_that_are_not_alike_enough_cost_so_many_rounds_and_no_more(monkeypatch):
    started, counted = time.monotonic(), Counted(monkeypatch)
    minhash = MinHash(num_hashes=128, bands=16, rows=8, verify=1.0)
    files = at_once(3000, pl.format("{} by{}", NOTICE, "at"))
    known = keys(files, minhash)
    shared = shared_bands(band_rows(known, same_sets(known)))
    assert drop_near_duplicates(files, minhash).equals(files)
    assert 0 < counted.pairs <= MAX_LEADERS * shared.height
    assert time.monotonic() - started < 60


def test_a_bucket_of_files_that_are_not_alike_is_given_up_after_so_many_leaders(monkeypatch):
    started, counted = time.monotonic(), Counted(monkeypatch)
    names = [f"{at:05d}" for at in range(20_000)]
    shared = pl.DataFrame({"key": [7] * len(names), "doc_id": names}, schema={"key": pl.UInt64, "doc_id": pl.String})
    alone = [[at] for at in range(len(names))]
    alone[19_999] = alone[19_998]  # The last two are alike, and nobody gets as far as them.
    alone[31] = alone[40] = [9_000_000]  # The last leader asks for 40.
    sets = pl.DataFrame({"doc_id": names, "shingles": pl.Series(alone, dtype=pl.List(pl.UInt64))})
    assert verified_links(shared, sets, 0.5).rows() == [("00040", "00031")]
    # The first leader asks all others, the next one fewer, and so on 32 times.
    assert counted.pairs == sum(20_000 - leader for leader in range(1, MAX_LEADERS + 1))
    assert time.monotonic() - started < 60


# Candidates held against the texts


def test_candidates_under_the_threshold_are_let_go():
    start = words(5, 34)  # 30 shingles in common and ten of their own each: J = 30 / 50.
    files = named(**{name: " ".join(start + words(seed, 10)) for seed, name in enumerate("abc")})
    assert judgements(drop_near_duplicates(files, WIDE)) == [IN, (NEAR, "a", 0.6), (NEAR, "a", 0.6)]
    for verify, removed in ((0.599, 2), (0.6, 2), (0.601, 0), (1.0, 0)):
        minhash = MinHash(num_hashes=128, bands=64, rows=2, verify=verify)
        assert drop_near_duplicates(files, minhash)["removed_by"].is_not_null().sum() == removed


def test_the_same_shingles_stay_near_duplicates_whatever_is_asked():
    minhash = MinHash(num_hashes=128, bands=64, rows=2, verify=1.0)
    assert judgements(drop_near_duplicates(named(a="a b c d e", b="a b\nc d e"), minhash)) == [IN, (SAME, "a", 1.0)]


def test_two_files_that_are_alike_stay_linked_though_both_are_unlike_the_smallest_of_their_bucket():
    one, two = words(1, 40), words(2, 40)
    texts = {"a": one + two, "b": two + words(3, 40), "c": [*two, *words(3, 39), "end"], "d": one}
    sets = shingle_sets(named(**{name: " ".join(text) for name, text in texts.items()}), SMALL)
    shared = pl.DataFrame({"key": [1] * 4, "doc_id": list("dcba")}, schema={"key": pl.UInt64, "doc_id": pl.String})
    # a has half of b and of c, and half of a is all of d; b and c have 75 of 77 in common.
    assert verified_links(shared, sets, 0.9).rows() == [("c", "b")]
    assert verified_links(shared, sets, 0.4).rows() == [("c", "b"), ("d", "a")]
    assert verified_links(shared, sets, 0.3).rows() == [("b", "a"), ("c", "a"), ("d", "a")]


@pytest.mark.parametrize("first", ["a", "b", "c"])
def test_a_file_that_is_like_the_smallest_of_its_bucket_is_still_held_against_the_others(first):
    # Of 200 words, less one at one end and one more at the other: each end is like the middle, J = 195 / 197,
    # and the ends are 194 / 198 like each other. Whoever has the smallest id, the three stay together.
    middle = words(1, 200)
    texts = dict(zip("abc", (middle, [*middle[1:], "x"], ["y", *middle[:-1]]), strict=True))
    texts["0"] = texts.pop(first)
    names = sorted(texts)
    sets = shingle_sets(named(**{name: " ".join(text) for name, text in texts.items()}), SMALL)
    shared = pl.DataFrame({"key": [1] * 3, "doc_id": names}, schema={"key": pl.UInt64, "doc_id": pl.String})
    linked = connected_components(verified_links(shared, sets, 0.985))
    assert linked.rows() == [(name, "0") for name in names]


def test_verification_splits_a_component_into_those_that_are_alike():
    one, other = words(1, 60), words(2, 60)
    bridge = " ".join(one[:40] + other[:40])
    texts = {"a": bridge, "b": " ".join(one), "c": " ".join([*one[:-1], "x"])}
    texts |= {"d": " ".join(other), "e": " ".join([*other[:-1], "x"])}
    files = named(**texts)
    assert drop_near_duplicates(files, WIDE)["survivor"].to_list() == [None, "a", "a", "a", "a"]
    minhash = MinHash(num_hashes=128, bands=64, rows=2, verify=0.9)
    assert judgements(drop_near_duplicates(files, minhash)) == [IN, IN, (NEAR, "b", 55 / 57), IN, (NEAR, "d", 55 / 57)]


def test_without_any_shared_band_there_is_nothing_to_verify():
    nothing = pl.DataFrame(schema={"key": pl.UInt64, "doc_id": pl.String})
    found = verified_links(nothing, shingle_sets(named(a="a"), SMALL), 0.5)
    assert found.schema == {"doc_id": pl.String, "group": pl.String}
    assert found.is_empty()


# Without the compiler


SETTINGS = {
    "plain": SMALL,
    "verified": MinHash(num_hashes=128, bands=64, rows=2, verify=0.8),
    "sha1": MinHash(num_hashes=128, bands=64, rows=2, shingle_hash="sha1"),
    "characters": MinHash(num_hashes=128, bands=64, rows=2, unit="character", fold_case=True),
}
HIDE_NUMBA = {
    # As where it is not installed: no finder finds it.
    "not installed": """
class WithoutNumba:
    def __init__(self, finder): self.finder = finder
    def find_spec(self, name, *args):
        return None if name.partition(".")[0] == "numba" else self.finder.find_spec(name, *args)
sys.meta_path[:] = [WithoutNumba(finder) for finder in sys.meta_path]
""",
    "blocked": 'sys.modules["numba"] = None',
}


@pytest.mark.parametrize("way", HIDE_NUMBA)
def test_without_numba_the_same_rows_come_from_numpy(way, tmp_path):
    files = near_corpus(6, groups=8)
    files.write_parquet(tmp_path / "files.parquet")
    code = f"""
import sys
{HIDE_NUMBA[way]}
import polars as pl
from opencoder_lib.files import content_hash
from opencoder_lib.refine.fuzzy import drop_near_duplicates
from opencoder_lib.refine.minhash import MinHash, has_compiled_loops, signatures
files = pl.read_parquet({str(tmp_path / "files.parquet")!r})
print(has_compiled_loops(), bool(sys.modules.get("numba")))
for minhash in ({", ".join(map(repr, SETTINGS.values()))}):
    print(content_hash(drop_near_duplicates(files, minhash)))
    print(content_hash(drop_near_duplicates(files, minhash, signatures(files, minhash))))
nothing = files.clear()
print(drop_near_duplicates(nothing, minhash, signatures(nothing, minhash)).equals(nothing))
print("opencoder_lib.refine.minhash_kernels" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=300)
    assert done.stderr == ""
    expected = [content_hash(drop_near_duplicates(files, minhash)) for minhash in SETTINGS.values() for _ in range(2)]
    assert len(set(expected)) > 1
    assert done.stdout.split() == ["False", "False", *expected, "True", "False"]
