from itertools import pairwise

import numpy as np
import polars as pl
import pytest

from opencoder_lib.ablations import diversity, pools, stars
from opencoder_lib.errors import ConfigError, InputError
from opencoder_lib.files import new_files
from opencoder_lib.train.arms import Setting, prepare
from opencoder_lib.train.model import Shape

SHAPE = Shape(vocab=300, hidden=32, layers=1, heads=2, kv_heads=2, ffn=64, context=32, tied=True)
SETTING = Setting(SHAPE, num_steps=20, batch_size=2, evaluate_every=10)
SEEDS = (0, 1)
PACKAGES = ("boto3", "certifi", "click", "idna", "numpy", "packaging", "requests", "rich", "setuptools", "urllib3")


def program(name: str, lines: int) -> str:
    return "".join(
        f"def {name}_{number}(value):\n    return value * {number} + {len(name)}\n" for number in range(lines)
    )


def corpus_files(origin: str = "installed", stars_of=lambda place: None) -> pl.DataFrame:
    """Ten repositories of known rank and ten unknown ones, each with one large and two small files."""
    names = [*PACKAGES, *(f"nobody-knows-{place}" for place in range(10))]
    rows = [
        {
            "origin": origin,
            "repo": name,
            "path": f"{name}/{number}.py",
            "language": "python",
            "stars": stars_of(place),
            "text": program(f"{name.replace('-', '_')}_{number}", lines),
        }
        for place, name in enumerate(names)
        for number, lines in enumerate((90, 10, 10 + place))
    ]
    return new_files(rows)


@pytest.fixture(scope="module")
def files():
    return corpus_files()


@pytest.fixture(scope="module")
def corpus(files):
    return pools.divide(files, SHAPE.vocab, num_held_out=4)


@pytest.fixture(scope="module")
def design(files, corpus):
    ranked = stars.popularity(files)
    return stars.design(corpus, ranked, SETTING, SEEDS, shares=(0.25, 0.1))


def ranked_repos(**of: int | None) -> pl.DataFrame:
    rows = [(name, value, 1, 100) for name, value in of.items()]
    return pl.DataFrame(rows, schema=["repo", "popularity", "files", "n_bytes"], orient="row")


def test_without_stars_the_download_rank_stands_in_and_says_so(files):
    found = stars.popularity(files)
    assert found["measure"].unique().to_list() == ["download rank, a stand-in for stars"]
    # The most downloaded of the 15,000 ranked is boto3; packaging and urllib3 follow.
    assert found.head(3).select("repo", "popularity").rows() == [
        ("boto3", 15_000),
        ("packaging", 14_999),
        ("urllib3", 14_998),
    ]
    assert found.tail(10)["popularity"].to_list() == [None] * 10


def test_real_stars_are_used_alone_where_a_corpus_has_any():
    found = stars.popularity(corpus_files("git", lambda place: 7 * place if place % 2 else None))
    assert found["measure"].unique().to_list() == ["stars"]
    assert found.row(0, named=True)["popularity"] == 7 * 19
    # boto3 is the most downloaded package, but ranks and stars are no one scale.
    assert found.filter(pl.col("repo") == "boto3")["popularity"].to_list() == [None]


def test_a_clone_is_ranked_by_the_name_after_its_owner():
    files = new_files([{"origin": "git", "repo": "psf/requests", "path": "a.py", "text": "x = 1\n"}])
    assert stars.popularity(files)["popularity"].to_list() == [14_995]


def test_a_corpus_of_unknown_projects_is_refused_with_the_way_out():
    files = new_files([{"origin": "folder", "repo": "nobody-knows-me", "path": "a.py", "text": "x = 1\n"}])
    with pytest.raises(InputError, match=r"--stars FILE\.csv"):
        stars.popularity(files)


def test_a_cut_off_takes_the_most_popular_and_of_equals_the_first_by_name():
    ranked = ranked_repos(c=5, a=1, d=5, b=9)
    assert stars.top(ranked, 0.5) == ["b", "c"]
    assert stars.top(ranked, 0.01) == ["b"]


def test_cut_offs_are_nested(files):
    known = stars.popularity(files).filter(pl.col("popularity").is_not_null())
    chosen = [set(stars.top(known, share)) for share in (0.1, 0.3, 0.5, 0.9)]
    assert [len(repos) for repos in chosen] == [1, 3, 5, 9]
    assert all(small < large for small, large in pairwise(chosen))


def test_an_unknown_popularity_is_never_counted_as_fame():
    with pytest.raises(ConfigError, match="popularity of 1 of them is unknown"):
        stars.top(ranked_repos(a=None, b=3, c=None, d=4), 0.75)


@pytest.mark.parametrize("share", [0, 1, -0.2, 3])
def test_a_share_is_a_part(share):
    with pytest.raises(ConfigError, match="between 0 and 1"):
        stars.top(ranked_repos(a=1, b=2), share)


def test_the_control_has_as_many_repositories_and_the_nearest_bytes():
    sizes = {f"r{place}": 2**place for place in range(10)}
    ranked = pl.DataFrame({"repo": sizes.keys(), "n_bytes": sizes.values(), "popularity": range(10)})
    for seed in range(5):
        found = stars.random_like(ranked, ["r9", "r8"], seed, num_draws=500)
        assert len(set(found)) == 2
        assert sum(sizes[name] for name in found) == 512 + 256  # only these two add up to it


def test_a_control_is_drawn_anew_for_each_seed_and_can_be_drawn_again():
    ranked = pl.DataFrame({"repo": [f"r{place}" for place in range(30)], "n_bytes": 10, "popularity": range(30)})
    chosen = [f"r{place}" for place in range(24, 30)]
    draws = [stars.random_like(ranked, chosen, seed) for seed in (0, 1, 0)]
    assert draws[0] == draws[2] != draws[1]
    assert all(len(draw) == 6 for draw in draws)


def test_no_repository_is_on_both_sides(corpus):
    held_out = {*corpus.held_out_kept["repo"], *corpus.held_out_removed["repo"]}
    assert len(held_out) == 4
    assert held_out.isdisjoint({*corpus.kept["repo"], *corpus.removed["repo"]})


def test_a_fork_is_not_held_out():
    rows = [
        {"origin": "folder", "repo": name, "path": "a.py", "language": "python", "text": program(text, 90)}
        for name, text in {f"own{place}": f"unlike_any_other_{place}" for place in range(4)}.items()
    ]
    rows += [rows[0] | {"repo": "fork", "text": rows[0]["text"] + "# a remark\n"}]
    files = new_files(rows)
    found = {
        tuple(pools.divide(files, 300, num_held_out=2, seed=seed).held_out_kept["repo"].unique()) for seed in range(8)
    }
    assert {repo for pair in found for repo in pair} == {"own1", "own2", "own3"}


def test_a_held_out_piece_that_training_text_repeats_is_left_out():
    row = {"piece_id": "", "doc_id": "", "n_bytes": 0}
    lines = [f"an_own_line_of_this_project_number_{at} = {at}" for at in range(20)]
    copied = [f"a_line_that_both_projects_have_number_{at} = {at}" for at in range(20)]
    held_out = pl.DataFrame([
        row | {"piece_id": "own", "repo": "a", "text": "\n".join(lines)},
        row | {"piece_id": "copy", "repo": "a", "text": "\n".join([*copied[:10], *lines[:10]])},
        row | {"piece_id": "short lines", "repo": "a", "text": "x = 1\n" * 9},
    ])  # fmt: skip
    training = pl.DataFrame([row | {"repo": "b", "text": "\n".join(copied)}])
    assert pools._unlike(held_out, training)["piece_id"].to_list() == ["own", "short lines"]


def test_pieces_put_together_are_the_file_and_end_with_a_line():
    text = "first line\nsecond\n" + "x" * 50 + "\nlast, without an end"
    files = new_files([{"origin": "folder", "repo": "r", "path": "a.py", "text": text}])
    found = pools.pieces(files, most_chars=20)["text"].to_list()
    assert "".join(found) == text
    assert found[0] == "first line\nsecond\n"
    assert max(map(len, found)) <= 20


def test_a_draw_ends_with_the_piece_that_fills_it(corpus):
    whole = pools.draw(corpus.kept, 10**9, corpus.tokenizer, "key")
    part = pools.draw(corpus.kept, 1_000, corpus.tokenizer, "key")
    assert sorted(whole["piece_id"]) == sorted(corpus.kept["piece_id"])
    assert part["piece_id"].to_list() == whole["piece_id"].to_list()[: part.height]
    assert part["tokens"].sum() >= 1_000 > part["tokens"][:-1].sum()


def test_pieces_that_two_pools_share_are_drawn_in_the_same_order(corpus):
    small = corpus.kept.filter(pl.col("repo").is_in(sorted(set(corpus.kept["repo"]))[:5]))
    order = pools.draw(corpus.kept, 10**9, corpus.tokenizer, "draw 0")["piece_id"].to_list()
    of_small = pools.draw(small, 10**9, corpus.tokenizer, "draw 0")["piece_id"].to_list()
    assert of_small == [piece for piece in order if piece in set(of_small)]


def test_every_arm_reads_its_own_pool_only(files, corpus, design):
    ranked = stars.in_training(corpus, stars.popularity(files))
    for share in (0.25, 0.1):
        famous = set(corpus.kept.filter(pl.col("repo").is_in(stars.top(ranked, share)))["text"])
        for seed in SEEDS:
            assert set(design.sources[f"top {100 * share:g} %"][seed]) <= famous
    known = set(corpus.kept["text"])
    assert all(set(texts) <= known for by_seed in design.sources.values() for texts in by_seed.values())


def test_arms_differ_in_data_alone_and_read_as_many_tokens(design, tmp_path):
    bench = prepare(tmp_path, design.setting, design.tokenizer, design.sources, design.arms, design.held_out)
    assert design.baseline == "refined"
    for arm in bench.arms:
        for seed in SEEDS:
            data = bench.data(arm, seed)
            windows = sum(data.counts(SETTING.tokens // SHAPE.context).values())
            assert windows * SHAPE.context == SETTING.tokens == 20 * 2 * 32
    assert len({bench.key(arm, seed) for arm in bench.arms for seed in SEEDS}) == len(bench.arms) * len(SEEDS)


def test_a_pool_that_is_read_twice_gets_a_control_with_as_few_bytes_of_all_projects(files, corpus):
    longer = Setting(SHAPE, num_steps=400, batch_size=4, evaluate_every=400)
    design = stars.design(corpus, stars.popularity(files), longer, (0,), shares=(0.1,))
    assert list(design.arms) == ["refined", "top 10 %", "random 10 %", "as few bytes as top 10 %"]
    table = {row["arm"]: row for row in design.about["pools"].iter_rows(named=True)}
    famous, few = table["top 10 %"], table["as few bytes as top 10 %"]
    assert famous["passes"] > 1
    assert famous["n_bytes"] <= few["n_bytes"] < famous["n_bytes"] + 4 * pools.PIECE_CHARS
    assert few["repositories"] > famous["repositories"]


def test_a_smaller_share_leaves_fewer_bytes(design):
    table = {row["arm"]: row["n_bytes"] for row in design.about["pools"].iter_rows(named=True)}
    assert table["refined"] > table["top 25 %"] > table["top 10 %"]


def test_dimensions_count_the_directions_of_equal_variance():
    corners = np.array([[1, 0, 0, 0], [-1, 0, 0, 0], [0, 1, 0, 0], [0, -1, 0, 0], [0, 0, 1, 0], [0, 0, -1, 0]], float)
    assert diversity.dimensions(corners) == pytest.approx(3)
    assert diversity.dimensions(corners + 17) == pytest.approx(3)
    assert diversity.dimensions(corners[:2]) == pytest.approx(1)


def test_distance_is_from_the_cloud_s_own_centre():
    assert diversity.distance(np.array([[5.0, 5], [5, 9], [8, 5], [8, 9]])) == pytest.approx(2.5)


def test_famous_projects_on_one_spot_are_narrower_than_any_random_draw():
    names = [f"r{place:02}" for place in range(20)]
    files = pl.DataFrame({"repo": [name for name in names for _ in range(20)]})
    ranked = pl.DataFrame({"repo": names, "popularity": range(20, 0, -1), "n_bytes": [100] * 20})
    vectors = np.random.default_rng(0).normal(size=(400, 8))
    vectors[:80] *= 0.01  # the first four repositories, which are the most popular fifth
    found = diversity.compare(files, vectors, ranked, 0.2, seed=0, num_draws=40)
    assert found.num_files == 40
    assert found.frac_narrower["distance"] == 0
    rows = {row["projects"]: row for row in found.table.iter_rows(named=True)}
    assert rows["famous"]["distance_high"] < rows["random"]["distance_low"] < rows["all"]["distance"]


def test_clouds_that_are_compared_have_equally_many_files():
    names = [f"r{place:02}" for place in range(20)]
    files = pl.DataFrame({"repo": [name for name in names for _ in range(20)]})
    ranked = pl.DataFrame({"repo": names, "popularity": range(20, 0, -1), "n_bytes": [100] * 20})
    vectors = np.random.default_rng(0).normal(size=(400, 8))
    found = diversity.compare(files, vectors, ranked, 0.2, seed=0, num_draws=40)
    # Of points drawn alike, more have more dimensions: of n in 8 directions about 8 / (1 + 8 / n).
    for row in found.table.iter_rows(named=True):
        assert row["dimensions"] == pytest.approx(8 / (1 + 8 / found.num_files), rel=0.04)


def test_a_sample_with_too_few_famous_files_is_refused():
    files = pl.DataFrame({"repo": ["a"] * 5 + ["b"] * 50})
    ranked = pl.DataFrame({"repo": ["a", "b"], "popularity": [2, 1], "n_bytes": [5, 50]})
    with pytest.raises(InputError, match="has 5 of the 1 most popular"):
        diversity.compare(files, np.zeros((55, 3)), ranked, 0.5, seed=0)
