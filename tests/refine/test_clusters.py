"""Groups, survivors and components: the same for any order of the rows."""

import random
from datetime import datetime

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opencoder_lib.errors import ConfigError
from opencoder_lib.files import mark_removed, new_files
from opencoder_lib.refine.clusters import (
    beside_survivor,
    choose_survivors,
    connected_components,
    only_of,
    removed_groups,
    survivor_columns,
)

OLD, NEW = datetime(2015, 1, 1), datetime(2023, 11, 1)


def members(*rows):
    names = {"doc_id": pl.String, "group": pl.String, "stars": pl.Int32, "committed_at": pl.Datetime("us")}
    return pl.DataFrame(rows, schema=names, orient="row")


def links(*pairs):
    return pl.DataFrame(pairs, schema={"doc_id": pl.String, "group": pl.String}, orient="row")


def survivor_of(frame, **settings):
    chosen = choose_survivors(frame, **settings)["survivor"].unique()
    assert len(chosen) == 1
    return chosen[0]


def test_survivor_has_most_stars_then_newest_commit():
    group = [("a", "g", 3, NEW), ("b", "g", 90, OLD), ("c", "g", 90, NEW), ("d", "g", None, NEW)]
    for seed in range(10):
        assert survivor_of(members(*random.Random(seed).sample(group, 4))) == "c"


def test_unknown_stars_lose_to_no_stars_and_unknown_dates_to_old_ones():
    assert survivor_of(members(("a", "g", None, NEW), ("b", "g", 0, OLD))) == "b"
    assert survivor_of(members(("a", "g", 5, None), ("b", "g", 5, OLD))) == "b"


def test_smallest_id_decides_between_equals():
    assert survivor_of(members(("c", "g", 5, OLD), ("a", "g", 5, OLD), ("b", "g", 5, OLD))) == "a"
    assert survivor_of(members(("b", "g", None, None), ("a", "g", None, None))) == "a"


def test_order_of_keep_is_the_order_of_importance():
    group = members(("a", "g", 90, OLD), ("b", "g", 3, NEW))
    assert survivor_of(group) == "a"
    assert survivor_of(group, keep=("committed_at", "stars")) == "b"
    assert survivor_of(group, keep=()) == "a"


@pytest.mark.parametrize(
    ("keep", "said"),
    [
        (("star",), "keep names 'star', which the files do not have. Did you mean stars?"),
        (("stars", "stars"), "must name each column once"),
        (("doc_id",), "never doc_id: it always decides last"),
    ],
)
def test_a_wrong_keep_says_what_is_wrong(keep, said):
    with pytest.raises(ConfigError, match="keep") as raised:
        survivor_columns(members(), keep)
    assert said in str(raised.value)


def test_components_of_a_chain_a_star_and_a_pair():
    found = connected_components(links(("c", "b"), ("d", "c"), ("b", "a"), ("y", "x"), ("q", "m"), ("n", "m")))
    assert found.rows() == [
        ("a", "a"),
        ("b", "a"),
        ("c", "a"),
        ("d", "a"),
        ("m", "m"),
        ("n", "m"),
        ("q", "m"),
        ("x", "x"),
        ("y", "x"),
    ]


def test_no_links_no_components():
    assert connected_components(links()).rows() == []


def test_a_chain_of_a_hundred_thousand_links_is_one_component():
    names = [f"{at:06d}" for at in range(100_001)]
    found = connected_components(links(*zip(names[1:], names, strict=False)))
    assert found.height == 100_001
    assert found["group"].unique().to_list() == ["000000"]


def test_a_star_of_a_hundred_thousand_and_as_many_pairs_are_told_apart():
    names = [f"{at:06d}" for at in range(300_001)]
    star = [(name, names[0]) for name in names[1:100_001]]
    pairs = list(zip(names[100_001::2], names[100_002::2], strict=True))
    found = connected_components(links(*star, *pairs))
    assert found["doc_id"].to_list() == names
    assert found["group"].to_list() == [names[0]] * 100_001 + [first for first, _ in pairs for _ in range(2)]


def test_a_file_linked_to_itself_or_twice_is_in_one_component_once():
    assert connected_components(links(("b", "b"))).rows() == [("b", "b")]
    assert connected_components(links(("b", "a"), ("b", "a"), ("a", "b"))).rows() == [("a", "a"), ("b", "a")]


def test_the_smallest_id_is_the_smallest_string_whatever_the_script():
    found = connected_components(links(("中", "é"), ("\U0001f40d", "中"), ("b", "B"), ("10", "9")))
    assert dict(found.rows()) == {"10": "10", "9": "10", "B": "B", "b": "B", "é": "é", "中": "é", "\U0001f40d": "é"}
    assert found["doc_id"].to_list() == sorted(["10", "9", "B", "b", "é", "中", "\U0001f40d"])


ids = st.sampled_from(["0", "1", "10", "2", "a", "B", "é", "中", "\uffff", "\U0001f40d", "x" * 40, ""])
pairs_of_ids = st.lists(st.tuples(ids, ids), max_size=25)


@settings(max_examples=60, deadline=None)
@given(pairs=pairs_of_ids, cut=st.integers(0, 25), order=st.randoms(use_true_random=False))
def test_components_do_not_depend_on_order_or_on_how_parts_were_merged(pairs, cut, order):
    whole = connected_components(links(*pairs))
    shuffled = [pair if order.random() < 0.5 else pair[::-1] for pair in order.sample(pairs, len(pairs))]
    parts = [connected_components(links(*part)) for part in (shuffled[:cut], shuffled[cut:])]
    assert connected_components(pl.concat(parts)).equals(whole)
    assert whole.rows() == _components_by_search(pairs)


def _components_by_search(pairs):
    neighbours = {}
    for one, other in pairs:
        neighbours.setdefault(one, set()).add(other)
        neighbours.setdefault(other, set()).add(one)
    rows = []
    for start in neighbours:
        seen, todo = {start}, [start]
        while todo:
            todo.extend(new := neighbours[todo.pop()] - seen)
            seen |= new
        rows.append((start, min(seen)))
    return sorted(rows)


def judged_files():
    rows = [
        {"doc_id": "1", "path": "a.py", "repo": "one", "text": "x = 1"},
        {"doc_id": "2", "path": "b.py", "repo": "two", "text": "x = 1"},
        {"doc_id": "3", "path": "c.py", "repo": "two", "text": "x = 1"},
        {"doc_id": "4", "path": "d.py", "repo": "two", "text": "y = 22"},
        {"doc_id": "5", "path": "e.py", "repo": None, "text": "y = 22"},
        {"doc_id": "6", "path": "f.py", "repo": "six", "text": "z"},
    ]
    hits = [("2", "exact.duplicate", "1"), ("3", "exact.duplicate", "1"), ("5", "exact.duplicate", "4")]
    files = new_files([row | {"origin": "folder"} for row in rows])
    return mark_removed(files, pl.DataFrame(hits, schema=["doc_id", "removed_by", "survivor"], orient="row"))


def test_removed_groups_count_files_repositories_and_bytes():
    groups = removed_groups(judged_files(), "exact.duplicate")
    assert groups.select("survivor", "path", "files", "repos", "bytes_removed").rows() == [
        ("1", "a.py", 3, 2, 10),
        ("4", "d.py", 2, 1, 6),
    ]
    assert removed_groups(judged_files(), "fuzzy.near_duplicate").height == 0


def test_each_removed_file_stands_beside_its_survivor():
    beside = beside_survivor(judged_files(), "exact.duplicate")
    assert beside.select("doc_id", "kept_path", "kept_repo", "kept_text").rows() == [
        ("2", "a.py", "one", "x = 1"),
        ("3", "a.py", "one", "x = 1"),
        ("5", "d.py", "two", "y = 22"),
    ]


def fuzzy_files():
    rows = [
        {"doc_id": name, "path": f"{name}.py", "repo": repo, "text": name * 3}
        for name, repo in zip("abcdef", "uvwuuv", strict=True)
    ]
    hits = [
        ("b", "fuzzy.near_duplicate", "a", 0.98),
        ("c", "fuzzy.same_shingles", "a", 1.0),
        ("e", "fuzzy.same_shingles", "d", 1.0),
        ("f", "exact.duplicate", "d", None),
    ]
    files = new_files([row | {"origin": "folder"} for row in rows])
    return mark_removed(
        files, pl.DataFrame(hits, schema=["doc_id", "removed_by", "survivor", "measured"], orient="row")
    )


@pytest.mark.parametrize(
    ("reason", "groups"),
    [
        ("fuzzy", [("a", 3, 3, 6, 0.98), ("d", 2, 1, 3, 1.0)]),
        ("fuzzy.near_duplicate", [("a", 2, 2, 3, 0.98)]),
        ("fuzzy.same_shingles", [("a", 2, 2, 3, 1.0), ("d", 2, 1, 3, 1.0)]),
        ("exact", [("d", 2, 2, 3, None)]),
        ("fuz", []),
    ],
)
def test_groups_are_those_of_a_whole_stage_or_of_one_reason(reason, groups):
    found = removed_groups(fuzzy_files(), reason)
    assert found.select("survivor", "files", "repos", "bytes_removed", "lowest_measured").rows() == groups


@pytest.mark.parametrize(
    ("reason", "pairs"),
    [
        ("fuzzy", [("b", "aaa"), ("c", "aaa"), ("e", "ddd")]),
        ("fuzzy.near_duplicate", [("b", "aaa")]),
        ("fuzzy.same_shingles", [("c", "aaa"), ("e", "ddd")]),
        ("fuz", []),
    ],
)
def test_files_stand_beside_their_survivors_for_a_whole_stage_or_for_one_reason(reason, pairs):
    assert beside_survivor(fuzzy_files(), reason).select("doc_id", "kept_text").rows() == pairs


def test_only_decisions_about_files_still_in_the_shard_are_kept():
    decisions = pl.DataFrame({"doc_id": ["1", "2", "99"]})
    assert only_of(judged_files(), decisions)["doc_id"].to_list() == ["1"]
