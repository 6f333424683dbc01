"""Sampling: the longest beginning that fits, in an order that no shard, size or repository moves."""

import hashlib
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stage_contract import assert_stage_contract, file_frames

from opencoder_lib.errors import ConfigError
from opencoder_lib.files import content_hash, new_files, remaining
from opencoder_lib.languages import with_languages
from opencoder_lib.refine.sampling import (
    BINS,
    REASON,
    cut_offs,
    downsample,
    keys,
    mark,
    paper_budgets,
    parse_budgets,
    parse_size,
    share_budgets,
)


def html_files(*sizes: int, **common) -> pl.DataFrame:
    rows = [{"doc_id": f"id{at}", "path": f"{at}.html", "text": "x" * size} for at, size in enumerate(sizes)]
    return new_files([{"origin": "folder", "language": "html"} | common | row for row in rows])


def rows_of(*rows: tuple[float, int], language: str = "java") -> pl.DataFrame:
    return pl.DataFrame(
        {"language": language, "place": [place for place, _ in rows], "n_bytes": [size for _, size in rows]},
        schema={"language": pl.String, "place": pl.Float64, "n_bytes": pl.Int64},
    )


def place_by_hand(key: str, name: str) -> float:
    digest = hashlib.sha256(f"{key}\x1f{name}".encode()).digest()
    return (int.from_bytes(digest[:8], "big") >> 12) / 2**52


def kept_by_hand(files: pl.DataFrame, budget: int, key: str = "sample") -> set[str]:
    """The definition, one file after the other."""
    queue = sorted(
        (place_by_hand(key, name), len(text.encode()), name) for name, text in files["doc_id", "text"].rows()
    )
    kept, used = set(), 0
    for _, size, name in queue:
        if used + size > budget:
            break
        used += size
        kept.add(name)
    return kept


def kept(files: pl.DataFrame) -> set[str]:
    return set(remaining(files)["doc_id"])


def cut(rows: pl.DataFrame | pl.LazyFrame, budget: int) -> tuple:
    """cut_off, files_after, bytes_after of java."""
    return cut_offs(rows, {"java": budget}).row(0)[2:3] + cut_offs(rows, {"java": budget}).row(0)[5:]


def test_the_files_before_the_first_that_does_not_fit_stay_and_the_others_tell_their_place():
    files = html_files(300, 500, 200, 400, 100)
    after = downsample(files, {"html": 800})
    assert kept(after) == kept_by_hand(files, 800)
    gone = after.filter(removed_by=REASON)
    assert gone.height == 5 - len(kept(after)) > 0
    assert gone["measured"].to_list() == [place_by_hand("sample", name) for name in gone["doc_id"]]
    assert gone["measured"].min() > max(place_by_hand("sample", name) for name in kept(after))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 60), max_size=40), st.integers(1, 900), st.sampled_from(["sample", "another"]))
def test_it_decides_as_the_definition_does_for_any_sizes_budget_and_key(sizes, budget, key):
    files = html_files(*sizes) if sizes else html_files(1).clear()
    assert kept(downsample(files, {"html": budget}, key)) == kept_by_hand(files, budget, key)


@settings(max_examples=40, deadline=None)
@given(file_frames(), st.integers(1, 200))
def test_keeps_the_stage_contract(files, budget):
    assert_stage_contract(lambda frame: downsample(with_languages(frame), {"python": budget, "c": 5}), files)


def test_shards_in_any_order_decide_as_the_whole():
    files = html_files(*range(1, 80))
    shards = [files.gather_every(3, start).reverse() for start in (2, 0, 1)]
    decided = cut_offs(pl.concat([keys(shard, {"html": 900}) for shard in shards]), {"html": 900})
    joined = pl.concat([mark(shard, decided) for shard in shards])
    assert content_hash(joined) == content_hash(downsample(files, {"html": 900}))


def test_a_smaller_budget_keeps_a_part_of_what_a_larger_one_keeps():
    files = html_files(*[70, 10, 300, 5, 40] * 10)
    found = [kept(downsample(files, {"html": budget})) for budget in (1, 100, 500, 2000, 10**6)]
    assert all(small <= large for small, large in pairwise(found))
    assert len(found[-1]) == 50 > len(found[2]) > 0


def test_another_key_keeps_other_files():
    files = html_files(*[10] * 60)
    budgets = {"html": 300}
    one, other = (kept(downsample(files, budgets, key)) for key in ("sample", "other"))
    assert len(one) == len(other) == 30
    assert one != other


def test_languages_without_a_budget_and_files_removed_before_are_left_alone():
    java = new_files([{"path": "a.java", "origin": "folder", "language": "java", "text": "x" * 50}])
    gone = html_files(900, removed_by="filter.short").with_columns(doc_id=pl.lit("gone"))
    after = downsample(pl.concat([java, gone, html_files(90)]), {"html": 100})
    assert after["removed_by"].to_list() == [None, "filter.short", None]


def test_a_budget_counts_the_text_as_it_is_now_in_bytes_and_not_as_it_was_found():
    files = html_files(0, 0).with_columns(text=pl.lit("数据"), n_bytes=pl.lit(10**9, dtype=pl.Int64))
    assert keys(files, {"html": 1})["n_bytes"].to_list() == [6, 6]
    assert len(kept(downsample(files, {"html": 12}))) == 2
    assert len(kept(downsample(files, {"html": 11}))) == 1


def test_a_budget_larger_than_what_there_is_removes_nothing_and_says_so():
    assert cut_offs(keys(html_files(5, 6), {"html": 12, "java": 7}), {"html": 12, "java": 7}).rows() == [
        ("html", 12, 1.0, 2, 11, 2, 11),
        ("java", 7, 1.0, 0, 0, 0, 0),
    ]


def test_a_first_file_larger_than_the_budget_leaves_nothing():
    assert cut(rows_of((0.25, 101), (0.5, 1)), 100) == (0.25, 0, 0)
    assert kept(downsample(html_files(101), {"html": 100})) == set()


@pytest.mark.parametrize(
    ("budget", "expected"),
    [
        (9, (0.1, 0, 0)),
        (10, (0.3, 1, 10)),
        (39, (0.3, 1, 10)),
        (40, (0.9, 3, 40)),
        (45, (1.0, 5, 45)),
    ],
    ids=["one short", "exact", "one of two does not fit", "both fit", "all"],
)
def test_files_with_one_place_stay_or_go_together(budget, expected):
    rows = rows_of((0.9, 5), (0.3, 10), (0.1, 10), (0.3, 20), (0.9, 0))
    assert cut(rows, budget) == expected


def test_an_empty_file_behind_the_cut_goes_and_before_it_stays():
    assert cut(rows_of((0.1, 0), (0.2, 5), (0.3, 6), (0.4, 0)), 5) == (0.3, 2, 5)


def test_places_at_the_edges_of_the_bins_are_decided_like_all_others():
    edges = [number / BINS for number in range(BINS)]
    rows = rows_of(*((place, 1) for place in edges), *((place + 2**-52, 1) for place in edges))
    for budget in (1, 2, 3, 4, 4095, 4096, 4097, 8191):
        assert cut(rows, budget)[1:] == (budget, budget)


def test_a_scan_of_parts_decides_as_numpy_does_on_the_whole(tmp_path):
    draw = np.random.default_rng(0)
    place, size = draw.random(100_000), draw.integers(0, 5_000, 100_000)
    for part in range(4):
        rows_of(*zip(place[part::4].tolist(), size[part::4].tolist(), strict=True)).write_parquet(
            tmp_path / f"{part}.parquet"
        )
    order = np.argsort(place)
    sums = np.cumsum(size[order])
    for budget in (10**5, 10**7, 10**8):
        first = int(np.searchsorted(sums, budget, side="right"))
        assert cut(pl.scan_parquet(tmp_path / "*.parquet"), budget) == (
            place[order][first],
            first,
            int(sums[first - 1]),
        )


def test_no_budget_at_all_changes_nothing():
    files = html_files(5, 6)
    assert downsample(files, {}).equals(files)
    assert cut_offs(keys(files, {}), {}).height == 0


@pytest.mark.parametrize("budget", [0, -1, 1.5, True, "200GB", None, 2**63])
def test_a_budget_that_is_no_positive_whole_number_of_bytes_is_refused(budget):
    with pytest.raises(ConfigError, match=r"budget of 'html' must be a positive whole number of bytes"):
        downsample(html_files(5), {"html": budget})


def test_shares_become_bytes_of_what_each_language_has_now():
    files = pl.concat([html_files(60, 41), html_files(7, removed_by="filter.short").with_columns(doc_id=pl.lit("z"))])
    assert share_budgets(files, {"html": 0.5, "java": 0.5}) == {"html": 50}
    assert share_budgets(files, {"html": 1}) == {"html": 101}
    for share in (0, -0.1, 1.01, float("nan")):
        with pytest.raises(ConfigError, match="above 0 and at most 1"):
            share_budgets(files, {"html": share})


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("200GB", 200_000_000_000),
        (" 64 gb ", 64_000_000_000),
        ("1.5TB", 1_500_000_000_000),
        ("3kB", 3_000),
        ("3KB", 3_000),
        ("0.1 MB", 100_000),
        ("1000", 1_000),
        ("12B", 12),
        ("0.0015 kB", 1),
    ],
)
def test_sizes_are_decimal(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "GB", "-5GB", "5GiB", "5 G", "1e3", "1,000", "5 GB GB", "٥GB", "nan", ".5GB"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(ConfigError, match=r"is not a size.*200GB"):
        parse_size(text)


@pytest.mark.parametrize("text", ["0", "0GB", "0.5", "99999999TB"])
def test_a_size_of_nothing_or_beyond_64_bits_is_refused(text):
    with pytest.raises(ConfigError, match="at least a byte"):
        parse_size(text)


def test_the_papers_budgets_are_what_one_would_write():
    assert parse_budgets(["java=200GB", "html = 64 GB"]) == paper_budgets()
    assert parse_budgets(["gettext catalog=1", "html+erb=2"]) == {"gettext catalog": 1, "html+erb": 2}


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["Java=1GB"], r"no 'Java'.*java\?"),
        (["javascrit=1GB"], r"javascript"),
        (["py=1GB"], r"Did you mean python\?"),
        (["c++=1GB"], r"Did you mean cpp\?"),
        (["qqqqzz=1GB"], "lower-case"),
        (["=1GB"], "no ''"),
        (["unknown=1GB"], "no 'unknown'"),
        (["java"], r"LANGUAGE=SIZE, as in java=200GB"),
        (["java=1", "java=2"], "two budgets"),
    ],
)
def test_a_budget_of_no_known_language_is_refused_with_near_names(texts, message):
    with pytest.raises(ConfigError, match=message):
        parse_budgets(texts)
