import hashlib

import polars as pl
import pytest

from opencoder_lib.ablations import filtering, pools, stars
from opencoder_lib.errors import ConfigError, InputError
from opencoder_lib.files import new_files
from opencoder_lib.train.arms import Setting, prepare
from opencoder_lib.train.model import Shape

SHAPE = Shape(vocab=300, hidden=32, layers=1, heads=2, kv_heads=2, ffn=64, context=32, tied=True)
SETTING = Setting(SHAPE, num_steps=300, batch_size=2, evaluate_every=300)
SEEDS = (0, 1)
PACKAGES = ("boto3", "certifi", "click", "idna", "numpy", "packaging", "requests", "rich", "setuptools", "urllib3")


def program(name: str, lines: int) -> str:
    return "".join(f"def {name}_{number}(value):\n    return value * {number}\n" for number in range(lines))


def corpus_files(removed_by: str = "filter.code.many_digits") -> pl.DataFrame:
    """Ten repositories, each with two files that a rule keeps and one, a third of the bytes or so, that it removes."""
    rows = [
        {
            "origin": "installed",
            "repo": repo,
            "path": f"{repo}/{number}.py",
            "language": "python",
            "removed_by": removed_by if number == 2 else None,
            "text": program(f"{repo}_{number}", 150),
        }
        for repo in PACKAGES
        for number in range(3)
    ]
    rows += [rows[0] | {"path": "copy.py", "removed_by": "exact.duplicate", "text": program("copied", 200)}]
    rows += [rows[0] | {"path": "planted.py", "origin": "planted", "text": program("planted", 200)}]
    return new_files(rows)


@pytest.fixture(scope="module")
def corpus():
    return pools.divide(corpus_files(), SHAPE.vocab, num_held_out=3)


@pytest.fixture(scope="module")
def design(corpus):
    return filtering.design(corpus, SETTING, SEEDS)


def test_copies_and_planted_files_are_in_no_part(corpus):
    texts = "".join(pl.concat([corpus.kept, corpus.removed, corpus.held_out_kept, corpus.held_out_removed])["text"])
    assert all(f"def {repo}_" in texts for repo in PACKAGES)
    assert "def copied_" not in texts
    assert "def planted_" not in texts


def test_the_unfiltered_arm_holds_removed_files_at_their_share_of_bytes(corpus, design):
    kept, removed = (int(part["n_bytes"].sum()) for part in (corpus.kept, corpus.removed))
    assert design.arms["unfiltered"]["removed by a rule"] == pytest.approx(removed / (kept + removed))
    assert sum(design.arms["unfiltered"].values()) == pytest.approx(1)
    assert set(design.sources["removed by a rule"][0]) <= set(corpus.removed["text"])
    assert set(design.sources["refined"][0]) <= set(corpus.kept["text"])


def test_all_arms_of_a_seed_share_the_clean_text(design):
    for seed in SEEDS:
        clean = design.sources["clean share of unfiltered"][seed]
        # The control and the unfiltered arm read this; the refined arm reads it and more.
        assert design.sources["refined"][seed][: len(clean)] == clean
        assert len(design.sources["refined"][seed]) > len(clean)
    assert design.arms["fewer clean tokens"] == {"clean share of unfiltered": 1.0}
    assert design.sources["refined"][0] != design.sources["refined"][1]


def test_the_control_reads_as_many_distinct_clean_tokens_as_the_unfiltered_arm(design, tmp_path):
    bench = prepare(tmp_path, design.setting, design.tokenizer, design.sources, design.arms, design.held_out)
    windows = SETTING.tokens // SHAPE.context
    for seed in SEEDS:
        counts = {arm: bench.data(arm, seed).counts(windows) for arm in bench.arms}
        assert {sum(count.values()) for count in counts.values()} == {windows}
        distinct = bench.source("clean share of unfiltered", seed).num_tokens // SHAPE.context
        of_unfiltered = counts["unfiltered"]["clean share of unfiltered"]
        assert of_unfiltered == pytest.approx(distinct, rel=0.15)
        assert windows / distinct > 1.2  # the rest of the control's windows are read again


def test_held_out_are_kept_and_removed_files_of_repositories_that_no_arm_reads(corpus, design):
    assert set(design.held_out) == {"kept files", "removed files"}
    unseen = {repo for _, units in design.held_out.values() for repo in units}
    assert len(unseen) == 3
    assert unseen.isdisjoint(corpus.kept["repo"])
    assert unseen.isdisjoint(corpus.removed["repo"])
    assert design.metric == "kept files"


def test_a_held_out_repository_counts_with_a_few_thousand_bytes_only(corpus):
    of_each = corpus.held_out_kept.group_by("repo").agg(pl.col("n_bytes").sum())["n_bytes"]
    assert of_each.min() >= pools.UNIT_BYTES
    assert of_each.max() < pools.UNIT_BYTES + pools.UNSEEN_CHARS


def test_the_same_corpus_gives_the_same_design(corpus, design):
    again = filtering.design(pools.divide(corpus_files(), SHAPE.vocab, num_held_out=3), SETTING, SEEDS)
    assert (again.sources, again.arms, again.held_out) == (design.sources, design.arms, design.held_out)
    assert again.tokenizer.to_str() == design.tokenizer.to_str()


def test_both_experiments_in_one_grid_train_the_baseline_once(corpus, design):
    ranked = stars.popularity(corpus_files())
    of_stars = stars.design(corpus, ranked, SETTING, SEEDS, shares=(0.3,))
    both = pools.joined(of_stars, design)
    assert list(both.arms) == [*of_stars.arms, "unfiltered", "fewer clean tokens"]
    assert both.baseline == "refined"
    assert {"pools", "frac_removed"} <= both.about.keys()


def test_experiments_of_different_lengths_are_not_joined(corpus, design):
    longer = filtering.design(corpus, Setting(SHAPE, num_steps=320, batch_size=2), SEEDS)
    with pytest.raises(ConfigError, match="differ in setting"):
        pools.joined(design, longer)


def test_rules_that_removed_nothing_leave_nothing_to_compare():
    corpus = pools.divide(corpus_files(removed_by="sample.over_budget"), SHAPE.vocab, num_held_out=3)
    with pytest.raises(InputError, match="removed 0 of"):
        filtering.design(corpus, SETTING, SEEDS)


def test_too_few_repositories_are_told_with_their_number():
    with pytest.raises(InputError, match="6 repositories of python cannot be held out: the corpus has 10"):
        pools.divide(corpus_files(), SHAPE.vocab, num_held_out=6)


def test_what_the_rules_removed_is_counted_by_rule():
    found = filtering.by_rule(corpus_files())
    assert found.select("rule", "files", "frac_bytes_removed").rows() == [("code.many_digits", 10, 1.0)]


def word(*of: int) -> str:
    """A word of 12 letters, of which no two are alike."""
    digits = hashlib.sha256(str(of).encode()).hexdigest()[:12]
    return digits.translate(str.maketrans("0123456789", "ghijklmnop"))


class Starred:
    """A stored corpus of 44 starred repositories, with words enough for the tokenizer of the command."""

    def after(self, chapter: str) -> pl.DataFrame:
        assert chapter == "06-sampling"
        return new_files(
            {
                "origin": "git",
                "repo": f"owner/r{place}",
                "path": f"{number}.py",
                "language": "python",
                "stars": place,
                "removed_by": "filter.code.many_digits" if number == 2 else None,
                "text": "".join(f"{word(place, number, line)} = {line}\n" for line in range(150)),
            }
            for place in range(44)
            for number in range(3)
        )


def test_the_command_runs_all_cut_offs_and_the_filter_with_their_controls():
    of_stars, of_rules = (module.order(Starred(), (0,)) for module in (stars, filtering))
    assert {f"{kind} {share} %" for kind in ("top", "random") for share in (50, 20, 6)} < set(of_stars.arms)
    assert of_stars.control == "random 20 %"
    assert list(of_rules.arms) == ["refined", "unfiltered", "fewer clean tokens"]
    assert of_stars.about["popularity"]["measure"].unique().to_list() == ["stars"]
