"""What the arms of the dedup-level ablation may read: who is held out, what each level leaves, what controls are."""

import polars as pl
import pytest

from opencoder_lib.ablations.dedup_pools import (
    CHUNK,
    DISTINCT,
    FILE,
    LEVELS,
    NONE,
    ORIGINALS,
    REPEATED,
    REPO,
    REPO_CHUNK,
    Recipe,
    deduplicate,
    distinct_bytes_read,
    draw_originals,
    pools,
    project_of,
    replace_copies,
    split_projects,
    take_fewer,
)
from opencoder_lib.ablations.forks import Forks, make_forks
from opencoder_lib.corpora.generated import python_module
from opencoder_lib.errors import ConfigError
from opencoder_lib.files import new_files, remaining
from opencoder_lib.refine.minhash import MinHash
from opencoder_lib.seeds import rng

SMALL = Recipe(minhash=MinHash(num_hashes=256, bands=2, rows=128), chunk_tokens=64)


def corpus(num_files: int = 40, per_repo: int = 2, seed: int = 5) -> pl.DataFrame:
    rows = [
        {
            "origin": "installed",
            "repo": "abcdefghijklmnopqrstuvwxyz"[at // per_repo] * 4,
            "path": f"part{at}.py",
            "text": python_module(rng(seed, "file", at), 3),
            "language": "python",
        }
        for at in range(num_files)
    ]
    return new_files(rows)


def file(repo: str, path: str, text: str, **known) -> dict:
    return {"origin": "installed", "repo": repo, "path": path, "text": text, "language": "python"} | known


def n_bytes(files: pl.DataFrame) -> int:
    return int(files["text"].str.len_bytes().sum())


# The split


@pytest.mark.parametrize(
    ("repo", "project"),
    [
        ("httpx", "httpx"),
        ("httpx2", "httpx"),
        ("somebody/Django", "django"),
        ("sphinx-book-theme", "sphinx"),
        ("2to3", "2to3"),
    ],
)
def test_a_project_is_what_forks_and_companions_have_in_common(repo, project):
    assert project_of(repo) == project


def test_no_project_is_on_both_sides_of_the_split():
    files = corpus()
    companions = files.with_columns(repo=pl.col("repo") + "-extras", doc_id=None, text="# An extra.\n" + pl.col("text"))
    seen, unseen = split_projects(pl.concat([files, new_files(companions)]), 0, SMALL)
    assert {project_of(repo) for repo in seen["repo"]}.isdisjoint({project_of(repo) for repo in unseen["repo"]})
    # 30 % of 20 projects.
    assert unseen["repo"].map_elements(project_of, pl.String).n_unique() == 6


def test_what_other_projects_copied_from_the_training_side_is_not_scored():
    files, common = corpus(), python_module(rng(9, "common"), 4)
    everywhere = [file(repo, "vendored.py", common + f"# {repo}\n") for repo in files["repo"].unique()]
    _, unseen = split_projects(pl.concat([files, new_files(everywhere)]), 0, SMALL)
    assert "vendored.py" not in set(unseen["path"])
    assert unseen.height > 5


def test_what_is_learnt_from_occurs_once():
    files = corpus()
    twice = files.with_columns(repo=pl.col("repo") + "-fork", doc_id=None)
    seen, _ = split_projects(pl.concat([files, new_files(twice)]), 0, SMALL)
    assert seen["text"].n_unique() == seen.height > 20


def test_a_held_out_repository_stops_at_the_file_that_fills_its_share():
    recipe = Recipe(minhash=SMALL.minhash, held_out_bytes=3_000)
    _, unseen = split_projects(corpus(num_files=100, per_repo=5), 0, recipe)
    sizes = unseen.group_by("repo").agg(pl.col("n_bytes").sum())["n_bytes"]
    assert sizes.min() > 0
    assert sizes.max() < 2 * 3_000


def test_a_corpus_of_one_project_cannot_be_split():
    with pytest.raises(ConfigError, match="both sides need at least one"):
        split_projects(corpus(num_files=2, per_repo=2), 0, SMALL)


# What each level leaves


@pytest.fixture(scope="module")
def forked():
    return make_forks(corpus(), 0, Forks(frac_remark=0, frac_header=0))


def test_file_level_leaves_every_original_and_no_exact_copy(forked):
    left = remaining(deduplicate(forked, FILE, SMALL))
    assert left.filter(pl.col("level").is_null()).height == 40
    assert set(left["level"].drop_nulls()) == {CHUNK}


def test_repository_level_leaves_no_fork_of_a_repository_and_every_copy_of_a_file(forked):
    left, copies = remaining(deduplicate(forked, REPO, SMALL)), forked.filter(pl.col("level") == FILE)
    assert left.filter(pl.col("level") == FILE).height == copies.height
    assert left.filter(pl.col("level") == REPO).is_empty()


def test_without_deduplication_every_fork_stays(forked):
    assert deduplicate(forked, NONE, SMALL).equals(forked)


def test_a_chunk_that_occurs_twice_goes_once_and_its_neighbours_stay():
    # Chunks of 16 tokens; each file is 16 or 32 of them, so cuts fall on the borders of files.
    def words(name: str, count: int) -> str:
        return " ".join(f"{name}{at}" for at in range(count))

    one, twice, other = words("a", 16), words("b", 16), words("c", 32)
    texts = [one, twice, other, twice]
    files = new_files([file("repo", f"{at}.py", text) for at, text in enumerate(texts)])
    left = deduplicate(files, CHUNK, Recipe(chunk_tokens=16))
    assert sorted(text.strip() for text in left["text"]) == [one, twice, other]


def test_where_no_chunk_occurs_twice_the_files_are_as_they_were():
    files = corpus(num_files=6)
    left = deduplicate(files, CHUNK, SMALL)
    assert sorted(left["text"]) == sorted(files["text"])


def test_a_file_with_a_hole_becomes_the_stretches_on_both_sides():
    head, middle, tail = ([f"{name}{at}" for at in range(16)] for name in "hmt")
    files = new_files([file("repo", "a.py", " ".join(middle)), file("repo", "b.py", " ".join(head + middle + tail))])
    # With this seed the file of the middle alone comes first and stays.
    left = deduplicate(files, CHUNK, Recipe(chunk_tokens=16), seed=1)
    assert [text.split() for text in left.sort("path")["text"]] == [middle, head, tail]


def test_repository_and_chunk_level_cuts_what_repository_level_left():
    forked = make_forks(corpus(), 0, Forks(file=6, skew=2))
    after = deduplicate(forked, REPO_CHUNK, SMALL)
    kept, of_repos = n_bytes(remaining(after)), n_bytes(remaining(deduplicate(forked, REPO, SMALL)))
    assert kept < of_repos


def test_a_level_that_does_not_exist_is_refused_with_its_neighbour(forked):
    with pytest.raises(ConfigError, match="repository"):
        deduplicate(forked, "repo", SMALL)


# The controls


def test_the_control_has_as_many_bytes_no_text_twice_and_the_comments_of_the_copies():
    originals, spare = corpus(num_files=12), corpus(num_files=52, seed=6).tail(40)
    forked = make_forks(originals, 0, Forks(repository=0, chunk=0, frac_remark=1, frac_header=0, file=1.5))
    control = replace_copies(forked, spare, 0)
    largest = max(spare["text"].str.len_bytes()) + 100
    assert n_bytes(forked) <= n_bytes(control) < n_bytes(forked) + largest
    assert control["text"].n_unique() == control.height
    others = control.join(originals, on="doc_id", how="anti")
    text_of = dict(spare.select("doc_id", "text").iter_rows())
    names = set(forked.filter(pl.col("level") == FILE)["repo"])
    assert others.height > 5
    for doc_id, text in others.select("doc_id", "text").iter_rows():
        assert text.startswith(text_of[doc_id])
        assert text.removeprefix(text_of[doc_id]).removeprefix("# Kept by ").removesuffix(".\n") in names


def test_a_corpus_too_small_for_the_control_is_refused_with_both_sizes():
    forked = make_forks(corpus(num_files=12), 0, Forks(file=3))
    with pytest.raises(ConfigError, match=r"needs .* MB beside the originals; the corpus has 0\.00 MB"):
        replace_copies(forked, corpus().head(1), 0)


def test_distinct_text_read_follows_from_the_chance_to_miss_every_copy():
    # Of a, 100 bytes, three copies; of b, 200 bytes, one. Reading half of 500 bytes: 100 * 7/8 + 200 * 1/2.
    left = pl.DataFrame({"family": ["a", "a", "a", "b"], "text": ["x" * 100] * 3 + ["y" * 200], "level": [None] * 4})
    left = left.with_columns(pl.col("level").cast(pl.String))
    assert distinct_bytes_read(left, 250) == pytest.approx(187.5)
    assert distinct_bytes_read(left, 10_000) == pytest.approx(300)


def test_fewer_files_weigh_what_was_asked_give_or_take_the_last():
    files = corpus()
    taken = take_fewer(files, 9_000, 0)
    assert n_bytes(taken.head(taken.height - 1)) < 9_000 <= n_bytes(taken)


def test_originals_and_spare_files_are_the_corpus_and_have_none_in_common():
    files = corpus()
    originals, spare = draw_originals(files, 20_000, 0)
    assert sorted([*originals["doc_id"], *spare["doc_id"]]) == sorted(files["doc_id"])
    assert n_bytes(originals.head(originals.height - 1)) < 20_000 <= n_bytes(originals)
    assert draw_originals(files, 20_000, 1)[0]["doc_id"].to_list() != originals["doc_id"].to_list()


def test_too_few_files_for_the_originals_are_refused():
    with pytest.raises(ConfigError, match=r"originals need 1\.00"):
        draw_originals(corpus(), 1e6, 0)


def test_every_arm_of_a_seed_starts_from_the_same_originals():
    originals, spare = draw_originals(corpus(num_files=52), 25_000, 0)
    forked = make_forks(originals, 0, Forks(file=1, repository=0.3))
    after = {level: deduplicate(forked, level, SMALL) for level in LEVELS}
    made = pools(after, spare, [*LEVELS, ORIGINALS, DISTINCT, REPEATED], 10_000, 0)
    names = set(originals["doc_id"])
    assert all(names <= set(made[arm]["doc_id"]) for arm in (FILE, REPO, NONE, DISTINCT))
    assert set(made[ORIGINALS]["doc_id"]) == names
    assert set(made[REPEATED]["doc_id"]) < names
    assert set(made[DISTINCT]["doc_id"]) - names <= set(spare["doc_id"])


@pytest.mark.parametrize("wrong", [{"passes": 0}, {"passes": -1}])
def test_a_recipe_that_makes_no_pool_is_refused(wrong):
    with pytest.raises(ConfigError, match="above 0"):
        Recipe(**wrong)
