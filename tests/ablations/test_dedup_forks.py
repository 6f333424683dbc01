"""Forks have the truth they claim: copies of what they name, different in comments only, as many as asked for."""

import ast
import re
from collections import Counter

import numpy as np
import polars as pl
import pytest

from opencoder_lib.ablations.forks import (
    EXACT,
    HEADER,
    REMARK,
    Forks,
    edited,
    judge,
    make_forks,
    score_forks,
)
from opencoder_lib.corpora.generated import python_module
from opencoder_lib.errors import ConfigError
from opencoder_lib.files import new_files
from opencoder_lib.refine.levels import CHUNK, FILE, REPO
from opencoder_lib.seeds import rng


def originals(num_files: int = 24, per_repo: int = 3) -> pl.DataFrame:
    return new_files(
        [
            {
                "origin": "installed",
                "repo": f"project{at // per_repo}",
                "path": f"part{at}.py",
                "text": python_module(rng(5, "file", at), 3),
                "language": "python",
                "stars": 7,
            }
            for at in range(num_files)
        ]
    )


def n_bytes(files: pl.DataFrame) -> int:
    return int(files["text"].str.len_bytes().sum())


def copies_of(forked: pl.DataFrame, level: str) -> pl.DataFrame:
    return forked.filter(pl.col("level") == level)


def test_a_copy_differs_from_its_original_in_comments_only():
    files = originals()
    forked = make_forks(files, 0, Forks(frac_remark=0.4, frac_header=0.4))
    text_of = dict(files.select("doc_id", "text").iter_rows())
    copies = forked.filter(pl.col("level").is_in([FILE, REPO]))
    assert set(copies["edit"]) == {EXACT, REMARK, HEADER}
    for text, edit, family in copies.select("text", "edit", "family").iter_rows():
        assert ast.dump(ast.parse(text)) == ast.dump(ast.parse(text_of[family]))
        assert (text == text_of[family]) == (edit == EXACT)


def test_a_header_stands_behind_the_lines_that_only_count_at_the_top_and_a_remark_at_the_end():
    text = "#!/usr/bin/env python\n# -*- coding: utf-8 -*-\nx = 1"
    header = edited(text, HEADER, "calm_fork", rng(0, "year")).splitlines()
    assert header[:2] == text.splitlines()[:2]
    assert re.fullmatch(r"# Copyright \(c\) 20\d\d the authors of calm_fork", header[2])
    assert header[3:] == ["# SPDX-License-Identifier: MIT", "x = 1"]
    assert edited(text, REMARK, "calm_fork", rng(0, "year")) == text + "\n# Kept by calm_fork.\n"


def test_a_bundle_is_two_originals_one_after_the_other():
    files = originals()
    text_of = dict(files.select("doc_id", "text").iter_rows())
    bundles = copies_of(make_forks(files, 0, Forks(chunk=0.5)), CHUNK)
    assert bundles.height > 2
    for text, family in bundles.select("text", "family").iter_rows():
        first, second = (text_of[name] for name in family.split("+"))
        assert text.split() == first.split() + second.split()


@pytest.mark.parametrize("times", [0.5, 3.0])
def test_copies_of_files_weigh_what_was_asked_give_or_take_the_last(times):
    files = originals()
    copies = copies_of(make_forks(files, 1, Forks(file=times, frac_remark=0, frac_header=0)), FILE)
    assert n_bytes(copies.head(copies.height - 1)) < times * n_bytes(files) <= n_bytes(copies)


def test_a_level_that_is_not_asked_for_has_no_copies():
    forked = make_forks(originals(), 1, Forks(file=0, chunk=0))
    assert set(forked["level"].drop_nulls()) == {REPO}


def test_a_fork_of_a_repository_has_every_file_of_it_and_treats_them_alike():
    files = originals()
    forks = copies_of(make_forks(files, 2), REPO)
    paths_of = dict(files.group_by("repo").agg(pl.col("path").sort()).iter_rows())
    assert forks["repo"].n_unique() > 4
    for (_,), fork in forks.group_by("repo"):
        assert fork["path"].sort().to_list() == paths_of[fork["repo_family"][0]]
        assert fork["edit"].n_unique() == fork["repo_family"].n_unique() == 1


def test_copies_of_single_files_stand_in_repositories_of_their_own_kind():
    copies = copies_of(make_forks(originals(), 2, Forks(files_per_repo=4)), FILE)
    assert copies["repo"].to_list() == copies["repo_family"].to_list()
    assert set(copies["repo"]).isdisjoint(originals()["repo"])
    assert max(Counter(copies["repo"]).values()) == 4


def test_originals_are_drawn_by_the_law_of_zipf():
    files = originals(num_files=8, per_repo=1).with_columns(text=pl.lit("x = 1\n" * 20))
    copies = copies_of(make_forks(files, 0, Forks(file=250, repository=0, chunk=0, skew=1.5)), FILE)
    shares = np.sort(copies["family"].value_counts()["count"].to_numpy())[::-1] / copies.height
    by_rank = np.arange(1, 9) ** -1.5
    # 2,000 draws: a share scatters by at most 0.011.
    assert np.allclose(shares, by_rank / by_rank.sum(), atol=0.035)


def test_without_skew_every_original_is_drawn_as_often():
    files = originals(num_files=8, per_repo=1).with_columns(text=pl.lit("x = 1\n" * 20))
    copies = copies_of(make_forks(files, 0, Forks(file=250, repository=0, chunk=0, skew=0)), FILE)
    assert np.allclose(copies["family"].value_counts()["count"] / copies.height, 1 / 8, atol=0.03)


def test_the_same_seed_gives_the_same_forks_whatever_the_order_of_the_files_and_another_seed_others():
    files = originals()
    assert make_forks(files, 3).equals(make_forks(files.reverse(), 3))
    one, other = (copies_of(make_forks(files, seed), FILE)["family"].to_list() for seed in (3, 4))
    assert one != other


def test_an_original_outranks_its_copies_when_one_of_a_family_must_stay():
    files = originals().with_columns(stars=pl.lit(None, pl.Int32))
    forked = make_forks(files, 0)
    assert forked.filter(pl.col("level").is_null())["stars"].to_list() == [0] * files.height
    assert copies_of(forked, FILE)["stars"].null_count() == copies_of(forked, FILE).height


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"file": -1}, "file=-1"),
        ({"frac_remark": 0.7, "frac_header": 0.6}, "add up to more than 1"),
        ({"files_per_repo": 0}, "files_per_repo=0"),
    ],
)
def test_forks_that_cannot_be_made_are_refused(wrong, message):
    with pytest.raises(ConfigError, match=message):
        Forks(**wrong)


def test_files_without_a_repository_cannot_be_forked():
    with pytest.raises(ConfigError, match="24 have none"):
        make_forks(originals().with_columns(repo=pl.lit(None, pl.String)), 0)


def judged_frame() -> pl.DataFrame:
    """Original a with three copies, original b with one; the dedup took two copies of a, and b for a."""
    rows = [
        # doc_id, level, edit, family, removed_by, survivor
        ("a", None, None, "a", None, None),
        ("a1", FILE, EXACT, "a", "exact.duplicate", "a"),
        ("a2", FILE, EXACT, "a", "exact.duplicate", "a"),
        ("a3", FILE, HEADER, "a", None, None),
        ("b", None, None, "b", "fuzzy.near_duplicate", "a"),
        ("b1", REPO, HEADER, "b", None, None),
        ("ab", CHUNK, EXACT, "a+b", None, None),
    ]
    columns = ["doc_id", "level", "edit", "family", "removed_by", "survivor"]
    return pl.DataFrame(rows, schema=columns, orient="row").with_columns(repo_family=pl.col("family"))


def test_precision_counts_an_original_that_went_for_another_and_recall_the_copies_that_stayed():
    # Three went, one of them wrongly; of four copies of files and repositories two were found. The bundle counts not.
    found = score_forks(judged_frame())
    assert found == {"planted": 4, "found": 2, "removed": 3, "precision": pytest.approx(2 / 3), "recall": 0.5}
    assert score_forks(judged_frame(), "repo_family")["recall"] == 0


def test_each_kind_of_copy_is_judged_by_itself():
    table = judge(judged_frame()).select("level", "edit", "copies", "found", "wrong").rows()
    assert table == [(CHUNK, EXACT, 1, 0, 0), (FILE, EXACT, 2, 2, 0), (FILE, HEADER, 1, 0, 0), (REPO, HEADER, 1, 0, 0)]
