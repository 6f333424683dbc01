"""The star filter, graded: what happens when a model reads famous projects only.

A cut-off is a share of repositories, the most popular first, so that it means the same on any scale of popularity. Each
has a control that has as many repositories and about as many bytes, drawn at random: fewer projects, not famous ones.
Where a pool is so small that it is read more than once, a second control has as few bytes of all projects.
"""

from collections.abc import Collection, Sequence
from operator import truediv
from statistics import mean

import polars as pl

from opencoder_lib import seeds as streams
from opencoder_lib.ablations.experiment import Design
from opencoder_lib.ablations.filtering import REFINED
from opencoder_lib.ablations.pools import KEPT, STUDY_STEPS, Corpus, budget, divide, draw, first_bytes, setting
from opencoder_lib.corpora.installed import popularity as download_rank
from opencoder_lib.errors import ConfigError, InputError
from opencoder_lib.files import real
from opencoder_lib.train.arms import Setting
from opencoder_lib.train.model import find_shape

STARS, STAND_IN = "stars", "download rank, a stand-in for stars"
STUDY_SHARES = (0.2, 0.5, 0.06)
NUM_DRAWS = 200
# How far paired differences of the control scattered over the eight seeds of the study; the filter itself scatters less
# (0.02), since every seed has the same famous projects.
PAIRED_SD = 0.03


def popularity(files: pl.DataFrame) -> pl.DataFrame:
    """How popular each repository is: repo, popularity (null if unknown), measure, files, n_bytes; most popular first.

    The measure is stars where the corpus has any; else it is a stand-in for all of them, 15,001 minus the rank among
    the most downloaded packages of one day, looked up under the repository's name. The two are never mixed, since no
    number of stars is a rank. Raises InputError when nothing is known of any repository.
    """
    known = real(files).filter(pl.col("repo").is_not_null())
    # The installed distributions carry the stand-in in the column of stars.
    starred = known.filter((pl.col("origin") != "installed") & pl.col("stars").is_not_null())
    stars = starred.group_by("repo").agg(popularity=pl.col("stars").max().cast(pl.Int64))
    repos = known.group_by("repo").agg(files=pl.len(), n_bytes=pl.col("text").str.len_bytes().sum().cast(pl.Int64))
    if stars.height:
        ranked = repos.join(stars, on="repo", how="left").with_columns(measure=pl.lit(STARS))
    else:
        ranks = [download_rank(name.rpartition("/")[2]) for name in repos["repo"]]
        ranked = repos.with_columns(popularity=pl.Series(ranks, dtype=pl.Int64), measure=pl.lit(STAND_IN))
    if ranked["popularity"].is_null().all():
        raise InputError(
            f"Nothing is known of how popular the {ranked.height} repositories are: they have no stars, and their "
            "names are no packages of the download rank. Give the stars as a table: --stars FILE.csv."
        )
    ranked = ranked.sort(["popularity", "repo"], descending=[True, False], nulls_last=True)
    return ranked.select("repo", "popularity", "measure", "files", "n_bytes")


def top(ranked: pl.DataFrame, share: float) -> list[str]:
    """Names of the `share` of repositories that is most popular: at least one; of equals the first by name.

    ranked: as from `popularity`, or a part of it. A smaller share is always part of a larger one. Unknown popularity
    counts as the least. Raises ConfigError when the share would take in repositories of unknown popularity.
    """
    if not 0 < share < 1:
        raise ConfigError(f"share={share} is no part of the repositories; it must lie between 0 and 1.")
    count = max(1, round(share * ranked.height))
    ordered = ranked.sort(["popularity", "repo"], descending=[True, False], nulls_last=True).head(count)
    if unknown := ordered["popularity"].null_count():
        raise ConfigError(
            f"The top {share:.0%} of {ranked.height} repositories are {count}, and the popularity of {unknown} of them "
            "is unknown. Take a smaller share, or give more stars."
        )
    return ordered["repo"].to_list()


def random_like(ranked: pl.DataFrame, chosen: Sequence[str], seed: int, num_draws: int = NUM_DRAWS) -> list[str]:
    """As many repositories as `chosen` with about as many bytes, drawn at random from all of `ranked`, chosen included.

    Of `num_draws` draws it is the one whose bytes are nearest: repositories differ a thousandfold in size, and one draw
    of the same number would mostly differ in bytes too.
    """
    ordered = ranked.sort("repo")
    names, n_bytes = ordered["repo"].to_list(), ordered["n_bytes"].to_numpy()
    target = ranked.filter(pl.col("repo").is_in(list(chosen)))["n_bytes"].sum()
    random = streams.rng(seed, "random repositories", len(chosen))
    draws = [random.choice(len(names), len(chosen), replace=False) for _ in range(num_draws)]
    nearest = min(draws, key=lambda draw: abs(int(n_bytes[draw].sum()) - target))
    return sorted(names[place] for place in nearest)


def design(
    corpus: Corpus, ranked: pl.DataFrame, how: Setting, seeds: Sequence[int], shares: Sequence[float] = (0.2,)
) -> Design:
    """All refined files against those of the top `shares` of repositories, each with its controls, in equal tokens.

    ranked: as from `popularity`; shares are of its repositories that are not held out, and the control is that of the
    first. how: what trains each run. The pools of the controls are drawn anew for each seed, and so are the pieces that
    are read of every pool.
    """
    ranked, num_tokens = in_training(corpus, ranked), budget(how)
    pools = {REFINED: dict.fromkeys(seeds, corpus.kept)}
    for share in sorted(set(shares), reverse=True):
        pools |= _with_controls(corpus, ranked, seeds, share, num_tokens)
    drawn = {
        arm: {seed: draw(pool, num_tokens, corpus.tokenizer, f"draw {seed}") for seed, pool in by_seed.items()}
        for arm, by_seed in pools.items()
    }
    return Design(
        name="github-stars",
        question="Does a model get better by reading popular projects only?",
        setting=how,
        tokenizer=corpus.tokenizer,
        sources={arm: {seed: d["text"].to_list() for seed, d in by_seed.items()} for arm, by_seed in drawn.items()},
        arms={arm: {arm: 1.0} for arm in pools},
        baseline=REFINED,
        control=arm_name("random", shares[0]),
        controls={arm_name("top", share): _controls_of(share, pools) for share in shares},
        held_out=corpus.held_out,
        metric=KEPT,
        paired_sd=PAIRED_SD,
        about={"pools": _about(pools, drawn, how), "popularity": ranked, "parts": corpus.table()},
    )


def _controls_of(share: float, arms: Collection[str]) -> list[str]:
    return [name for kind in ("random", "as few bytes as top") if (name := arm_name(kind, share)) in arms]


def order(corpus, seeds: Sequence[int]) -> Design:
    """What `opencoder ablate github-stars` runs: every cut-off, on the Python files as chapter 06 left them."""
    files, shape = corpus.after("06-sampling"), find_shape("micro")
    return design(divide(files, shape.vocab), popularity(files), setting(shape, STUDY_STEPS), seeds, STUDY_SHARES)


def arm_name(kind: str, share: float) -> str:
    """'top 20 %' of the kind 'top' and the share 0.2."""
    return f"{kind} {100 * share:g} %"


def in_training(corpus: Corpus, ranked: pl.DataFrame) -> pl.DataFrame:
    """The part of `ranked` that training may read, with the files and bytes of it that are read."""
    sizes = corpus.kept.group_by("repo").agg(files=pl.col("doc_id").n_unique(), n_bytes=pl.col("n_bytes").sum())
    return ranked.drop("files", "n_bytes").join(sizes, on="repo", how="inner", maintain_order="left")


def _with_controls(
    corpus: Corpus, ranked: pl.DataFrame, seeds: Sequence[int], share: float, num_tokens: int
) -> dict[str, dict[int, pl.DataFrame]]:
    """The pools of one cut-off: arm -> seed -> pieces."""
    chosen = top(ranked, share)
    famous = corpus.kept.filter(pl.col("repo").is_in(chosen))
    pools = {
        arm_name("top", share): dict.fromkeys(seeds, famous),
        arm_name("random", share): {
            seed: corpus.kept.filter(pl.col("repo").is_in(random_like(ranked, chosen, seed))) for seed in seeds
        },
    }
    if draw(famous, num_tokens, corpus.tokenizer, "size")["tokens"].sum() < num_tokens:
        # Read more than once: as few bytes of all projects show what repetition alone does.
        pools[arm_name("as few bytes as top", share)] = {
            seed: first_bytes(corpus.kept, int(famous["n_bytes"].sum()), f"few {seed}") for seed in seeds
        }
    return pools


def _about(pools: dict, drawn: dict, how: Setting) -> pl.DataFrame:
    """Per arm, means over seeds: repositories, files and bytes of its pool, and how often a run reads its draw."""
    rows = []
    for arm, by_seed in pools.items():
        largest = [p.group_by("repo").agg(pl.col("n_bytes").sum())["n_bytes"].max() for p in by_seed.values()]
        n_bytes = [int(p["n_bytes"].sum()) for p in by_seed.values()]
        rows.append(
            {
                "arm": arm,
                "repositories": mean(p["repo"].n_unique() for p in by_seed.values()),
                "files": mean(p["doc_id"].n_unique() for p in by_seed.values()),
                "n_bytes": round(mean(n_bytes)),
                "frac_bytes_in_largest_repo": mean(map(truediv, largest, n_bytes)),
                "files_drawn": mean(d["doc_id"].n_unique() for d in drawn[arm].values()),
                "passes": mean(how.tokens / int(d["tokens"].sum()) for d in drawn[arm].values()),
            }
        )
    return pl.DataFrame(rows)
